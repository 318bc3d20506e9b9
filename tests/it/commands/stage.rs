//! A node, a ring or a copy beside one plain server that is told the same.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use redis::Cmd;
use redis::FromRedisValue;
use redis::RedisResult;
use redis::Value;
use redis::aio::MultiplexedConnection;
use redisdb::Outcome;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Replies;
use redisdb_node::Execute;
use redisdb_node::ExpiresAt;
use redisdb_node::Node;
use redisdb_node::TimeToLive;
use redisdb_node::command;
use redisdb_node::command::Effect;
use redisdb_node::command::OnCopy;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;
use redisdb_tests::Release;
use xtask::Server;

/// A node, a ring or a copy that the commands run on.
pub(super) trait Store: Execute<Error: Debug> {
    /// Returns whether an error says that nothing was sent, on purpose.
    fn is_refusal(error: &Self::Error) -> bool;
    /// Returns whether the row says that a command is refused.
    fn refuses(spec: &Spec, cmd: &Cmd) -> bool;
    /// Every reply to a write.
    fn written<T: Send>(written: Self::Write<T>) -> Vec<T>;
    /// Every server's answer.
    fn answers<T: Send>(each: Self::Each<T>) -> Vec<T>;
}

impl Store for Node {
    fn is_refusal(error: &Self::Error) -> bool {
        error.is_unsupported()
    }

    fn refuses(_: &Spec, _: &Cmd) -> bool {
        false
    }

    fn written<T: Send>(written: T) -> Vec<T> {
        vec![written]
    }

    fn answers<T: Send>(each: T) -> Vec<T> {
        vec![each]
    }
}

impl Store for RedisRing {
    fn is_refusal(error: &Self::Error) -> bool {
        matches!(error, redisdb::Error::Unsupported { .. })
    }

    /// Returns whether the command is meant for one server.
    fn refuses(spec: &Spec, _: &Cmd) -> bool {
        matches!(spec.ring, OnRing::Refuse(_))
    }

    fn written<T: Send>(written: T) -> Vec<T> {
        vec![written]
    }

    fn answers<T: Send>(each: Replies<T>) -> Vec<T> {
        all(each)
    }
}

impl Store for RedisCopy {
    fn is_refusal(error: &Self::Error) -> bool {
        matches!(error, redisdb::Error::Unsupported { .. })
    }

    /// Returns whether the command is a program or a consumer group's, or is meant for one server.
    fn refuses(spec: &Spec, _: &Cmd) -> bool {
        let of_a_group = ["XAUTOCLAIM", "XCLAIM", "XREADGROUP"].contains(&spec.name);
        // Their effect cannot be told from their reply.
        let cannot_be_told = ["INCREX"].contains(&spec.name);
        of_a_group
            || cannot_be_told
            || matches!(spec.copy, OnCopy::Refuse(_) | OnCopy::Effect(Effect::Script))
    }

    fn written<T: Send>(written: Replies<T>) -> Vec<T> {
        all(written)
    }

    fn answers<T: Send>(each: Replies<T>) -> Vec<T> {
        all(each)
    }
}

/// Returns what the nodes said: none may have failed, but what one node decided to do nothing about does not go to the others.
fn all<T>(replies: Replies<T>) -> Vec<T> {
    let reply = |(node, outcome): (Arc<str>, Outcome<T>)| match outcome {
        Outcome::Ok(reply) => Some(reply),
        Outcome::Skipped => None,
        failed => panic!("{node}: {:?}", failed.error()),
    };
    let said: Vec<_> = replies.into_iter().filter_map(reply).collect();
    assert!(!said.is_empty());
    said
}

/// A store, and one server that is told the same by plain redis-rs.
pub(super) struct Stage<S> {
    pub(super) store: S,
    pub(super) release: Release,
    pub(super) plain: Server,
    one: MultiplexedConnection,
    /// The servers of a copy: what it refuses is sent to each of them, so that they do not fall behind.
    copied: Vec<MultiplexedConnection>,
}

impl<S: Store> Stage<S> {
    pub(super) async fn new(store: S, copied: &[String]) -> Self {
        let plain = Server::start().unwrap();
        let mut one = plain_connection(&plain.url()).await;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut one).await.unwrap();
        let release = Release::of(&info);
        let mut connections = Vec::new();
        for url in copied {
            connections.push(plain_connection(url).await);
        }
        Self { store, release, plain, one, copied: connections }
    }

    /// Returns whether the servers are like this version of Redis or a later one; if not, a part of the test is noted to be left out.
    pub(super) fn is_since(&self, version: (u8, u8, u8), part: &str) -> bool {
        let is_since = version <= self.release.version;
        if !is_since {
            self.release.leave_out(part);
        }
        is_since
    }

    /// The same of Redis and of Valkey, `None` where no version of the one has it.
    pub(super) fn has_since(&self, since: [Option<(u8, u8, u8)>; 2], part: &str) -> bool {
        let has = self.release.has(since);
        if !has {
            self.release.leave_out(part);
        }
        has
    }

    /// Holds if a read returns what these words return on one server.
    pub(super) async fn read<T: FromRedisValue + PartialEq + Debug>(
        &self,
        call: impl Future<Output = Result<T, S::Error>>,
        words: &str,
    ) {
        self.read_as(call, words, |reply: T| reply).await;
    }

    /// As [`read`](Self::read), where the typed reply is made from another one.
    pub(super) async fn read_as<R: FromRedisValue, T: PartialEq + Debug>(
        &self,
        call: impl Future<Output = Result<T, S::Error>>,
        words: &str,
        expected: impl FnOnce(R) -> T,
    ) {
        if let Some((replies, reply)) = self.both(call.await.map(|reply| vec![reply]), &in_words(words)).await
        {
            assert_eq!(replies, [expected(reply)], "{words}");
        }
    }

    /// Holds if a write returns, from every server it went to, what these words return on one server.
    pub(super) async fn write<T: FromRedisValue + PartialEq + Debug + Send>(
        &self,
        call: impl Future<Output = Result<S::Write<T>, S::Error>>,
        words: &str,
    ) {
        self.write_cmd(call, in_words(words)).await;
    }

    /// As [`write`](Self::write), for words that are no text.
    pub(super) async fn write_cmd<T: FromRedisValue + PartialEq + Debug + Send>(
        &self,
        call: impl Future<Output = Result<S::Write<T>, S::Error>>,
        cmd: Cmd,
    ) {
        if let Some((replies, reply)) = self.both(call.await.map(S::written), &cmd).await {
            for said in replies {
                assert_eq!(said, reply, "{}", name(&cmd));
            }
        }
    }

    /// Holds if the server refuses these words, wherever they are said.
    pub(super) async fn fails<T>(&self, call: impl Future<Output = Result<T, S::Error>>, words: &str) {
        assert!(call.await.is_err(), "{words}");
        self.plain::<Value>(words).await.unwrap_err();
    }

    /// Holds if a write runs on a node, and is refused by a ring and by a copy; returns whether it ran.
    pub(super) async fn on_one_server<T>(
        &self,
        call: impl Future<Output = Result<T, S::Error>>,
        words: &str,
    ) -> bool {
        let cmd = in_words(words);
        let refused = S::refuses(command::lookup(&cmd).unwrap(), &cmd);
        match call.await {
            Ok(_) => assert!(!refused, "{words}"),
            Err(error) => assert_eq!(S::is_refusal(&error), refused, "{words}: {error}"),
        }
        !refused
    }

    /// Holds if a time to live is what these words say on one server, but for the time between them.
    pub(super) async fn lives(
        &self,
        call: impl Future<Output = Result<TimeToLive, S::Error>>,
        words: &str,
        unit: Duration,
    ) {
        let Some((replies, reply)) = self.both(call.await.map(|reply| vec![reply]), &in_words(words)).await
        else {
            return;
        };
        let number: i64 = reply;
        match replies.as_slice() {
            [TimeToLive::Missing] => assert_eq!(number, -2, "{words}"),
            [TimeToLive::Persistent] => assert_eq!(number, -1, "{words}"),
            [TimeToLive::In(left)] => {
                let expected = unit * u32::try_from(number).unwrap();
                assert!(left.abs_diff(expected) < Duration::from_secs(5), "{words}: {left:?}, {expected:?}");
            }
            _ => unreachable!(),
        }
    }

    /// Holds if every server of a copy has exactly what the plain server has, but for times to live.
    pub(super) async fn copies_are_equal(&self) {
        if self.copied.is_empty() {
            return;
        }
        let expected = contents(self.one.clone()).await;
        for node in &self.copied {
            assert_eq!(contents(node.clone()).await, expected);
        }
    }

    /// Every server's answer to a question about itself.
    pub(super) async fn ask<T: Send>(
        &self,
        call: impl Future<Output = Result<S::Each<T>, S::Error>>,
    ) -> Vec<T> {
        S::answers(call.await.unwrap())
    }

    /// Every reply to a write that must succeed.
    pub(super) async fn done<T: Send>(
        &self,
        call: impl Future<Output = Result<S::Write<T>, S::Error>>,
    ) -> Vec<T> {
        S::written(call.await.unwrap())
    }

    /// Returns what one server says to these words.
    pub(super) async fn plain<T: FromRedisValue>(&self, words: &str) -> RedisResult<T> {
        in_words(words).query_async(&mut self.one.clone()).await
    }

    /// Says the same to one server; `None` if the command is refused, or newer than the servers, as it should be.
    async fn both<T, R: FromRedisValue>(
        &self,
        said: Result<Vec<T>, S::Error>,
        cmd: &Cmd,
    ) -> Option<(Vec<T>, R)> {
        let spec = command::lookup(cmd).unwrap();
        let plain = cmd.query_async::<R>(&mut self.one.clone()).await;
        let refused = S::refuses(spec, cmd);
        match said {
            Ok(replies) => {
                assert!(!refused, "{} is not refused", spec.name);
                Some((replies, plain.unwrap_or_else(|error| panic!("{}: {error}", spec.name))))
            }
            Err(error) if refused => {
                assert!(S::is_refusal(&error), "{}: {error}", spec.name);
                for mut node in self.copied.iter().cloned() {
                    let _: RedisResult<Value> = cmd.query_async(&mut node).await;
                }
                None
            }
            Err(error) => {
                assert!(!self.release.has([spec.since.redis, spec.since.valkey]), "{}: {error}", spec.name);
                assert!(plain.is_err(), "{}: {error}", spec.name);
                self.release.leave_out(spec.name);
                None
            }
        }
    }
}

/// When a key goes away, from a reply in a unit.
pub(super) fn expires(unit: Duration) -> impl Fn(i64) -> ExpiresAt {
    move |number| match number {
        -2 => ExpiresAt::Missing,
        -1 => ExpiresAt::Persistent,
        n => ExpiresAt::At(
            SystemTime::UNIX_EPOCH
                + unit * u32::try_from(n / 1000).unwrap() * 1000
                + unit * u32::try_from(n % 1000).unwrap(),
        ),
    }
}

/// Every key of a server and what it holds, in an order that does not depend on the server.
async fn contents(mut server: MultiplexedConnection) -> BTreeMap<String, Vec<String>> {
    let keys: Vec<String> = in_words("KEYS *").query_async(&mut server).await.unwrap();
    let mut contents = BTreeMap::new();
    for key in keys {
        let kind: String = in_words(&format!("TYPE {key}")).query_async(&mut server).await.unwrap();
        let words = match kind.as_str() {
            "string" => format!("GET {key}"),
            "list" => format!("LRANGE {key} 0 -1"),
            "set" => format!("SMEMBERS {key}"),
            "zset" => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            "hash" => format!("HGETALL {key}"),
            "stream" => format!("XRANGE {key} - +"),
            other => panic!("{key} is a {other}"),
        };
        let value: Value = in_words(&words).query_async(&mut server).await.unwrap();
        let mut values: Vec<_> = match value {
            Value::Array(values) if kind == "hash" => {
                values.chunks(2).map(|pair| format!("{pair:?}")).collect()
            }
            Value::Array(values) => values.iter().map(|value| format!("{value:?}")).collect(),
            // Bytes 8 to 15 of a HyperLogLog are the last count, which `PFCOUNT` keeps where it was asked.
            Value::BulkString(log) if log.starts_with(b"HYLL") => vec![format!("{:?}", &log[16..])],
            value => vec![format!("{value:?}")],
        };
        if kind == "set" || kind == "hash" {
            values.sort();
        }
        contents.insert(key, values);
    }
    contents
}

fn in_words(words: &str) -> Cmd {
    let mut cmd = Cmd::new();
    for word in words.split(' ') {
        cmd.arg(word);
    }
    cmd
}

fn name(cmd: &Cmd) -> &'static str {
    command::lookup(cmd).map_or("", |spec| spec.name)
}

async fn plain_connection(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

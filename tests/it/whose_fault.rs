//! Failures in the middle of a call, on real servers: whose fault it is, whether the command may have been
//! executed, and whether the connection lives. Each failure is tried on a node, a ring and a copy; on the
//! last two the other nodes answer for themselves.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use redisdb::Error;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb::node;
use redisdb::node::ErrorKind;
use redisdb::node::Outcome;
use redisdb::node::Script;
use redisdb_tests::Hostile;
use redisdb_tests::NAMES;
use redisdb_tests::Says;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use xtask::Server;

/// A caller: a node, a ring or a copy. Only its node `b` has a fault.
enum Caller {
    Node(Node),
    Ring(RedisRing),
    Copy(RedisCopy),
}

impl Caller {
    /// Returns one caller of each kind. The node is `b`.
    async fn all(urls: &[String]) -> [Self; 3] {
        let named = || NAMES.iter().zip(urls);
        let config = redisdb::NodeConfig::new(&urls[1]).unwrap().with_name("b");
        let ring = named().fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
        let copy = named().fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
        [
            Self::Node(Node::connect(config).await.unwrap()),
            Self::Ring(ring.connect().await.unwrap()),
            Self::Copy(copy.on_return(OnReturn::Wait).connect().await.unwrap()),
        ]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Ring(_) => "ring",
            Self::Copy(_) => "copy",
        }
    }

    fn b(&self) -> Node {
        match self {
            Self::Node(node) => node.clone(),
            Self::Ring(ring) => ring.on_node("b").unwrap(),
            Self::Copy(copy) => copy.on_node("b").unwrap().clone(),
        }
    }

    /// Returns a key that `b` owns, or that is read from `b` first.
    fn key(&self, prefix: &str) -> String {
        let is_of_b = |key: &String| match self {
            Self::Node(_) => true,
            Self::Ring(ring) => ring.node_for(key).name() == "b",
            Self::Copy(copy) => copy.node_for(key).name() == "b",
        };
        (0..).map(|i| format!("{}:{prefix}{i}", self.name())).find(is_of_b).unwrap()
    }

    /// Returns what `b` said to a write. On a copy the other nodes have taken it.
    async fn incr(&self, key: &str) -> Result<i64, node::Error> {
        match self {
            Self::Node(node) => node.incr(key).await,
            Self::Ring(ring) => ring.incr(key).await.map_err(of_b),
            Self::Copy(copy) => of_copy(copy.incr(key).await.unwrap()),
        }
    }

    /// Does the same in a pipeline, with a read on either side.
    async fn incr_in_a_pipeline(&self, key: &str) -> Result<i64, node::Error> {
        match self {
            Self::Node(node) => {
                let pipeline = node.pipeline();
                let (before, incr) = (pipeline.get::<i64>(key), pipeline.incr(key));
                let after = pipeline.get::<i64>(key);
                pipeline.execute().await.check().ok();
                let incr = incr.await;
                for read in [before.await, after.await] {
                    assert_eq!(
                        read.err().map(|error| error.outcome()),
                        incr.as_ref().err().map(node::Error::outcome)
                    );
                }
                incr
            }
            Self::Ring(ring) => {
                let pipeline = ring.pipeline();
                let (before, incr) = (pipeline.get::<i64>(key), pipeline.incr(key));
                let after = pipeline.get::<i64>(key);
                pipeline.execute().await.check().ok();
                let incr = incr.await.map_err(of_b);
                for read in [before.await, after.await] {
                    let outcome = read.err().map(|error| of_b(error).outcome());
                    assert_eq!(outcome, incr.as_ref().err().map(node::Error::outcome));
                }
                incr
            }
            Self::Copy(copy) => {
                let pipeline = copy.pipeline();
                let (before, incr) = (pipeline.get::<i64>(key), pipeline.incr(key));
                pipeline.execute().await.check().ok();
                // The other nodes answer the read, unless the write after it was sent with it and the
                // connection is lost.
                if let Err(error) = before.await {
                    assert_eq!(of_b(error).outcome(), Outcome::Unknown);
                }
                of_copy(incr.await.unwrap())
            }
        }
    }

    /// Does the same in a block, which is executed whole or not at all.
    async fn incr_in_a_block(&self, key: &str) -> Result<i64, node::Error> {
        match self {
            Self::Node(node) => {
                let block = node.pipeline().atomic();
                let incr = block.incr(key);
                block.execute().await.check().ok();
                incr.await
            }
            Self::Ring(ring) => {
                let block = ring.pipeline().atomic();
                let incr = block.incr(key);
                block.execute().await.check().ok();
                incr.await.map_err(of_b)
            }
            Self::Copy(copy) => {
                let block = copy.pipeline().atomic();
                let incr = block.incr(key);
                block.execute().await.check().ok();
                of_copy(incr.await.unwrap())
            }
        }
    }

    /// Sends the write in one of the [`WAYS`].
    async fn incr_by(&self, way: &str, key: &str) -> Result<i64, node::Error> {
        match way {
            "alone" => self.incr(key).await,
            "in a pipeline" => self.incr_in_a_pipeline(key).await,
            _ => self.incr_in_a_block(key).await,
        }
    }

    /// Returns what `b` said to a script that writes.
    async fn script(&self, script: &Script, key: &str) -> Result<i64, node::Error> {
        match self {
            Self::Node(node) => script.key(key).invoke(node).await,
            Self::Ring(ring) => script.key(key).invoke(ring).await.map_err(of_b),
            Self::Copy(copy) => match script.key(key).invoke(copy).await {
                Ok(replies) => of_copy(replies),
                Err(error) => Err(error
                    .node_errors()
                    .into_iter()
                    .find(|error| error.node() == Some("b"))
                    .unwrap()
                    .clone()),
            },
        }
    }
}

/// Returns the error of `b`, which is the only one.
fn of_b(error: Error) -> node::Error {
    let errors = error.node_errors();
    assert!(errors.len() == 1 && errors[0].node() == Some("b"), "{error}");
    errors[0].clone()
}

/// Returns what `b` said, where the other nodes took the write.
fn of_copy(replies: redisdb::Replies<i64>) -> Result<i64, node::Error> {
    assert!(["a", "c"].iter().all(|name| replies.get(name).unwrap().ok().is_some()), "{replies:?}");
    match replies.get("b").unwrap() {
        redisdb::Outcome::Ok(value) => Ok(*value),
        other => Err(other.error().unwrap().clone()),
    }
}

/// Returns the number that a server gave the connection.
async fn id(node: &Node) -> u64 {
    let mut id = None;
    eventually("there is a connection", async || {
        id = node.client_id().await.ok();
        id.is_some()
    })
    .await;
    id.unwrap()
}

fn urls(servers: &[Server]) -> Vec<String> {
    servers.iter().map(Server::url).collect()
}

fn three() -> Vec<Server> {
    (0..3).map(|_| Server::start().unwrap()).collect()
}

#[tokio::test]
async fn a_connection_that_is_killed_in_the_middle_of_a_call_is_lost_and_the_call_in_doubt() {
    let servers = three();
    let outsider = Node::connect(servers[1].url()).await.unwrap();
    for caller in Caller::all(&urls(&servers)).await {
        let (b, key) = (caller.b(), caller.key("k"));
        for is_piped in [false, true] {
            let before = id(&b).await;
            // Writes wait from now on.
            outsider.send(redis::cmd("CLIENT").arg(&["PAUSE", "60000", "WRITE"])).await.unwrap();
            let kill = async {
                eventually("the call is under way", async || {
                    let list = outsider.send(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
                    let list: String = redis::from_redis_value(list).unwrap();
                    let mut clients = list.lines();
                    clients
                        .any(|line| line.starts_with(&format!("id={before} ")) && line.contains(" flags=b "))
                })
                .await;
                outsider.send(redis::cmd("CLIENT").arg(&["KILL", "ID"]).arg(before)).await.unwrap();
                outsider.send(redis::cmd("CLIENT").arg("UNPAUSE")).await.unwrap();
            };
            let call = async {
                match is_piped {
                    true => caller.incr_in_a_pipeline(&key).await,
                    false => caller.incr(&key).await,
                }
            };
            let (reply, ()) = futures_util::future::join(call, kill).await;
            let error = reply.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Disconnected(_)), "{}: {error}", caller.name());
            assert_eq!((error.node(), error.outcome()), (Some("b"), Outcome::Unknown), "{error}");
            assert_ne!(id(&b).await, before, "{}", caller.name());
            // It was not repeated, and the server is not left alone.
            assert_eq!(
                b.get::<i64>(&key).await.unwrap().filter(|_| !matches!(caller, Caller::Copy(_))),
                None
            );
        }
        eventually("it takes writes", async || caller.incr(&key).await.is_ok()).await;
    }
}

#[tokio::test]
async fn a_reply_that_is_late_leaves_the_call_in_doubt_and_the_connection_as_it_is() {
    let servers = three();
    for caller in Caller::all(&urls(&servers)).await {
        let (b, key) = (caller.b(), caller.key("k"));
        let before = id(&b).await;
        servers[1].pause();
        let error = caller.incr(&key).await.unwrap_err();
        servers[1].resume();
        assert!(
            matches!(error.kind(), ErrorKind::Timeout(_)) && error.is_timeout(),
            "{}: {error}",
            caller.name()
        );
        assert_eq!((error.node(), error.outcome()), (Some("b"), Outcome::Unknown), "{error}");
        // It was executed all the same, once.
        eventually("it was executed", async || b.get::<i64>(&key).await.is_ok_and(|value| value == Some(1)))
            .await;
        assert_eq!(id(&b).await, before, "{}", caller.name());
        eventually("it takes writes", async || caller.incr(&key).await.is_ok()).await;
    }
}

/// A script may say what only a server says, after it has written.
#[tokio::test]
async fn an_error_that_a_script_forges_is_no_proof_that_it_did_not_run() {
    let servers = three();
    let functions = is_since(&Node::connect(servers[1].url()).await.unwrap(), (7, 0, 0), "functions").await;
    for caller in Caller::all(&urls(&servers)).await {
        let b = caller.b();
        for (i, said) in [
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "NOAUTH Authentication required.",
            "EXECABORT Transaction discarded because of previous errors.",
            "NOSCRIPT of mine",
            "MASTERDOWN Link with MASTER is down",
        ]
        .iter()
        .enumerate()
        {
            let key = caller.key(&format!("{i}-"));
            let code = format!("redis.call('INCR', KEYS[1]) return redis.error_reply('{said}')");
            let error = caller.script(&Script::new(&code).deterministic(), &key).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{}: {error}", caller.name());
            assert_eq!(b.get::<i64>(&key).await.unwrap(), Some(1), "{}: {error}: it ran once", caller.name());
        }
        if functions && !matches!(caller, Caller::Copy(_)) {
            let library = "#!lua name=sly\nredis.register_function('sly', function(keys) redis.call('INCR', keys[1]) \
                           return redis.error_reply('LOADING Redis is loading the dataset in memory') end)";
            b.send(redis::cmd("FUNCTION").arg(&["LOAD", "REPLACE", library])).await.unwrap();
            let key = caller.key("f");
            // So it is for a node whose address has a name: the name may lead to another server by now, so
            // after a `READONLY` the node connects anew.
            let by_name = Node::connect(format!("redis://localhost:{}", servers[1].port())).await.unwrap();
            let readonly =
                Script::new("redis.call('INCR', KEYS[1]) return redis.error_reply('READONLY mine')");
            let error = readonly.key("by:name").invoke::<i64, _>(&by_name).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(by_name.getdel::<i64>("by:name").await.unwrap(), Some(1));
            let error = b.send(redis::cmd("FCALL").arg("sly").arg(1).arg(&key)).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            assert_eq!(b.get::<i64>(&key).await.unwrap(), Some(1));
        }
    }
}

const WAYS: [&str; 3] = ["alone", "in a pipeline", "in a block"];

#[tokio::test]
async fn a_server_that_loads_has_executed_nothing_and_keeps_its_connection() {
    // Each key takes 100 ms to load. The server answers clients after every 2 MiB, so after each of these
    // values.
    let slow = || Server::builder().arg("--key-load-delay", "100000").arg("--rdbcompression", "no");
    let mut servers: Vec<_> = (0..3).map(|_| slow().start().unwrap()).collect();
    let outsider = Node::connect(servers[1].url()).await.unwrap();
    for n in 0..24 {
        outsider.setrange(format!("filler:{n}"), 2 << 20, "x").await.unwrap();
    }
    let (urls, mut b_and_dump) = (urls(&servers), (servers.remove(1), None));
    for kind in 0..3 {
        // The caller is a new one each time: a server that comes and goes is left alone for longer than it
        // loads.
        let caller = Caller::all(&urls).await.into_iter().nth(kind).unwrap();
        let b = caller.b();
        // The task ends when all is loaded.
        let restarting = tokio::task::spawn_blocking(move || {
            let (mut server, dump) = b_and_dump;
            let dump = dump.unwrap_or_else(|| server.dump().unwrap());
            server.restart_from(&dump).unwrap();
            (server, Some(dump))
        });
        let is_loading = |error: &node::Error| error.code() == Some("LOADING");
        eventually("it loads", async || b.get::<u8>("k").await.is_err_and(|error| is_loading(&error))).await;
        let before = id(&b).await;
        for way in WAYS {
            let key = caller.key(way);
            let error = caller.incr_by(way, &key).await.unwrap_err();
            let whose = format!("{} {way}: {error}", caller.name());
            assert!(error.code() == Some("LOADING") && error.is_passing(), "{whose}");
            assert_eq!((error.node(), error.outcome()), (Some("b"), Outcome::Rejected), "{whose}");
            assert!(!error.may_have_executed() && !b.is_down(), "{whose}");
        }
        assert_eq!(id(&b).await, before, "{}", caller.name());
        b_and_dump = restarting.await.unwrap();
        for way in WAYS {
            // On a copy, the writes that the other nodes took meanwhile may have been brought over.
            let n = b.get::<i64>(caller.key(way)).await.unwrap();
            assert!(n.is_none() || matches!(caller, Caller::Copy(_)), "{} {way}: {n:?}", caller.name());
        }
        eventually("it takes writes", async || caller.incr("after").await.is_ok()).await;
    }
}

#[tokio::test]
async fn what_is_no_reply_leaves_the_call_in_doubt_and_ends_the_connection() {
    let servers = three();
    for noise in
        ["?\r\n", "$many\r\n", ":1:\r\n", "*seven\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\r\n"]
    {
        let (is_noisy, n_incr) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (noisy, count) = (Arc::clone(&is_noisy), Arc::clone(&n_incr));
        let hostile = Hostile::with(move |words| {
            let command = words.first().map_or("", String::as_str);
            if command == "INCR" {
                count.fetch_add(1, Ordering::Relaxed);
            }
            match noisy.load(Ordering::Relaxed) && ["GET", "INCR", "MULTI"].contains(&command) {
                true => Says::This(noise.into()),
                false if command == "INCR" => Says::This(b":1\r\n".to_vec()),
                false => Says::Usual,
            }
        })
        .await;
        let urls = [servers[0].url(), hostile.url(), servers[2].url()];
        for caller in Caller::all(&urls).await {
            let b = caller.b();
            for way in WAYS {
                let before = id(&b).await;
                n_incr.store(0, Ordering::Relaxed);
                is_noisy.store(true, Ordering::Relaxed);
                let error = caller.incr_by(way, &caller.key(way)).await.unwrap_err();
                is_noisy.store(false, Ordering::Relaxed);
                let whose = format!("{} {way}, {noise:?}: {error}", caller.name());
                assert!(matches!(error.kind(), ErrorKind::Disconnected(_)), "{whose}");
                assert_eq!((error.node(), error.outcome()), (Some("b"), Outcome::Unknown), "{whose}");
                assert!(error.may_have_executed(), "{whose}");
                // It was not repeated, and the server is not left alone.
                assert_eq!(n_incr.load(Ordering::Relaxed), 1, "{whose}");
                assert_ne!(id(&b).await, before, "{whose}");
            }
            eventually("it takes writes", async || caller.incr(&caller.key("after")).await.is_ok()).await;
        }
    }
}

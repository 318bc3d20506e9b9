//! The law of a ring and of a copy: a sequence of commands is answered as one server answers it, and leaves what it
//! leaves there.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::Cmd;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb::Node;
use redisdb_tests::contents;
use redisdb_tests::copy_of_any;
use redisdb_tests::ring_of_any;
use xtask::Server;

/// Commands, where `K` stands for any key, `T` for one of a few keys with one hash tag, `V` for a value, `N` for a
/// number and `M` for a member.
const COMMANDS: &[&str] = &[
    "SET K V",
    "SET K V EX 1000",
    "SETNX K V",
    "SET K V NX",
    "SET K V XX",
    "SET K V GET",
    "SET K V XX GET PX 900000",
    "SET K V KEEPTTL",
    "SETEX K 1000 V",
    "PSETEX K 900000 V",
    "GETSET K V",
    "MSETNX T V T V",
    "SETRANGE K 3 V",
    "GET K",
    "GETDEL K",
    "GETEX K PERSIST",
    "GETEX K EX 1000",
    "APPEND K V",
    "STRLEN K",
    "INCRBY K N",
    "INCRBYFLOAT K 0.5",
    "MSET K V K V K V",
    "MGET K K K K",
    "DEL K K",
    "UNLINK K K K",
    "EXISTS K K K K",
    "TOUCH K K",
    "TYPE K",
    "PERSIST K",
    "EXPIRE K 500",
    "PEXPIRE K 500000",
    "EXPIREAT K 4102444800",
    "RENAME T T",
    "RENAMENX T T",
    "COPY T T REPLACE",
    "SETBIT K 9 1",
    "BITCOUNT K",
    "BITOP OR T T T",
    "HSET K M V M V",
    "HGET K M",
    "HMGET K M M",
    "HDEL K M",
    "HGETALL K",
    "HINCRBY K M N",
    "HINCRBYFLOAT K M 0.5",
    "HSETNX K M V",
    "HLEN K",
    "LPUSH K V V",
    "RPUSH K V",
    "LPOP K",
    "RPOP K 2",
    "LRANGE K 0 -1",
    "LLEN K",
    "LREM K 1 V",
    "LTRIM K 0 3",
    "LMOVE T T LEFT RIGHT",
    "RPOPLPUSH T T",
    "LPUSHX K V",
    "RPUSHX K V V",
    "LINSERT K BEFORE V V",
    "LSET K 0 V",
    "SADD K M M M",
    "SREM K M",
    "SMEMBERS K",
    "SISMEMBER K M",
    "SCARD K",
    "SMOVE T T M",
    "SINTERSTORE T T T",
    "SUNION T T",
    "SDIFF T T",
    "ZADD K N M N M",
    "ZADD K GT N M",
    "ZADD K NX N M N M",
    "ZADD K XX CH N M",
    "ZADD K LT CH N M N M",
    "ZADD K INCR N M",
    "ZADD K NX INCR N M",
    "ZINCRBY K N M",
    "ZRANGE K 0 -1 WITHSCORES",
    "ZRANGEBYSCORE K -5 5",
    "ZRANK K M",
    "ZREM K M",
    "ZPOPMIN K",
    "ZPOPMAX K 2",
    "GEOADD K NX 1 2 M 3 4 M",
    "ZRANGESTORE T T 0 2",
    "ZUNIONSTORE T 2 T T",
    "PFADD K M M",
    "PFCOUNT T T",
    "XADD K 0-N M V",
    "XADD K MAXLEN = 2 0-N M V",
    "XTRIM K MAXLEN 1",
    "XDEL K 0-N",
    "XLEN K",
    "XRANGE K - +",
    "SORT K ALPHA",
    "DBSIZE",
    "KEYS *",
    "PING",
    "ECHO V",
    "NOSUCHCOMMAND K",
];

/// On a ring these have answers that are neither one server's nor wrong.
fn is_comparable(words: &[String]) -> bool {
    words[0] != "NOSUCHCOMMAND"
}

/// Commands with their words filled in.
fn sequences() -> impl Strategy<Value = Vec<Vec<String>>> {
    let command = (0..COMMANDS.len(), proptest::collection::vec(0u8..6, 8)).prop_map(|(command, choices)| {
        let mut choices = choices.into_iter();
        let word = |word: &str| {
            let mut choice = || choices.next().unwrap_or(0);
            match word {
                "K" => format!("key:{}", choice()),
                "T" => format!("{{tag}}:{}", choice() % 3),
                "V" => ["1", "-7", "", "text", "two words", "\u{e9}\0\r\n"][usize::from(choice())].to_owned(),
                "N" => (i64::from(choice()) - 2).to_string(),
                "0-N" => format!("0-{}", u32::from(choice()) + 1),
                "M" => format!("m{}", choice()),
                other => other.to_owned(),
            }
        };
        COMMANDS[command].split(' ').map(word).collect()
    });
    proptest::collection::vec(command, 1..60)
}

/// A reply without what may differ between equal answers: the order of what has none, and the words of an error.
fn shown(words: &[String], reply: redis::RedisResult<Value>) -> String {
    match reply {
        Err(error) => format!("error {:?}", error.code()),
        Ok(Value::Array(mut elements)) => {
            match words[0].as_str() {
                "KEYS" | "SMEMBERS" | "SUNION" | "SDIFF" => {
                    elements.sort_by_key(|element| format!("{element:?}"))
                }
                "HGETALL" => {
                    let mut pairs: Vec<_> = elements.chunks(2).map(<[Value]>::to_vec).collect();
                    pairs.sort_by_key(|pair| format!("{pair:?}"));
                    elements = pairs.concat();
                }
                _ => {}
            }
            format!("{elements:?}")
        }
        Ok(value) => format!("{value:?}"),
    }
}

/// Runs sequences on one server and on several, and compares answers and what is there in the end.
fn check<S: ConnectionLike + Clone + Send>(
    runtime: &tokio::runtime::Runtime,
    several: &S,
    server: &Server,
    all_contents: impl AsyncFn() -> Vec<BTreeMap<String, String>>,
) {
    let client = redis::Client::open(server.url()).unwrap();
    let one = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let node = runtime.block_on(Node::connect(server.url())).unwrap();
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&sequences(), |sequence| {
        let (mut one, mut several) = (one.clone(), several.clone());
        runtime.block_on(async {
            let flush = redis::cmd("FLUSHALL");
            flush.exec_async(&mut one).await.unwrap();
            flush.exec_async(&mut several).await.unwrap();
            for words in &sequence {
                let mut cmd = Cmd::new();
                cmd.arg(words);
                let expected = cmd.query_async::<Value>(&mut one).await;
                let found = cmd.query_async::<Value>(&mut several).await;
                if is_comparable(words) {
                    prop_assert_eq!(shown(words, found), shown(words, expected), "{:?}", words);
                } else {
                    prop_assert!(found.is_err());
                }
            }
            let expected = contents(&node).await;
            for found in all_contents().await {
                prop_assert_eq!(&found, &expected);
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_ring_answers_as_one_server_does() {
    let (runtime, server) = (runtime(), Server::start().unwrap());
    let (_servers, ring) = runtime.block_on(ring_of_any());
    check(&runtime, &ring, &server, async || {
        let mut together = BTreeMap::new();
        for node in ring.nodes() {
            together.extend(contents(&node).await);
        }
        vec![together]
    });
}

#[test]
fn a_copy_answers_as_one_server_does_and_all_its_nodes_hold_the_same() {
    let (runtime, server) = (runtime(), Server::start().unwrap());
    let (_servers, copy) = runtime.block_on(copy_of_any());
    check(&runtime, &copy, &server, async || {
        let mut each = Vec::new();
        for node in copy.nodes() {
            each.push(contents(&node).await);
        }
        each
    });
}

//! Input that is hard to carry: wrong types and lengths, bytes of any kind, and very much of it. On a node, on a ring
//! and on a copy: the right result or a clear error, in bounded memory.

use std::time::Duration;
use std::time::Instant;

use redis::AsyncCommands;
use redis::Cmd;
use redis::Value;
use redis::aio::ConnectionLike;
use redis::cmd;
use redisdb::Error;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::Execute;
use redisdb::node::HashCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::SetCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::passes;
use redisdb_tests::peak_mib;
use redisdb_tests::ring;
use xtask::Server;
use xtask::Servers;
use xtask::once_more;
use xtask::skipped;
use xtask::told;

/// For a reply of 64 MiB in a debug build on a busy machine; the default is for ordinary ones.
const PATIENT: Duration = Duration::from_secs(60);

async fn patient_node() -> (Server, Node) {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_response_timeout(PATIENT);
    let node = Node::connect(config).await.unwrap();
    (server, node)
}

async fn patient_ring() -> (Servers, RedisRing) {
    let servers = Servers::start(NAMES.len()).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let builder = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
    let ring = builder.response_timeout(PATIENT).connect().await.unwrap();
    (servers, ring)
}

async fn patient_copy() -> (Servers, RedisCopy) {
    let servers = Servers::start(NAMES.len()).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let builder = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = builder.response_timeout(PATIENT).connect().await.unwrap();
    (servers, copy)
}

/// Holds if a call fails with an error that says this.
fn fails<T>(result: Result<T, impl std::error::Error>, what: &str, says: &str) {
    match result {
        Ok(_) => panic!("{what} is no error"),
        Err(error) => assert!(error.to_string().contains(says), "{what}: {error}"),
    }
}

async fn wrong_types_fail(store: &impl Execute) {
    const SAYS: &str = "WRONGTYPE";
    store.set("text", "v").await.unwrap();
    store.rpush("list", "v").await.unwrap();
    fails(store.lpush("text", 1).await, "LPUSH", SAYS);
    fails(store.llen("text").await, "LLEN", SAYS);
    fails(store.hset("text", "f", 1).await, "HSET", SAYS);
    fails(store.smembers::<String>("list").await, "SMEMBERS", SAYS);
    fails(store.lpop::<String>("text").await, "LPOP", SAYS);
    fails(store.get::<String>("list").await, "GET", SAYS);
    fails(store.incr("text").await, "INCR", "not an integer");
    fails(store.incrbyfloat("text", 0.5).await, "INCRBYFLOAT", "not a valid float");
    // What one key of many holds is no error of `MGET`.
    assert_eq!(store.mget::<String>(&["text", "list"]).await.unwrap(), [Some("v".to_owned()), None]);
    // All of it is as it was.
    assert_eq!(store.get::<String>("text").await.unwrap().as_deref(), Some("v"));
    assert_eq!(store.lrange::<String>("list", 0, -1).await.unwrap(), ["v"]);
}

#[tokio::test]
async fn a_wrong_type_is_an_error_of_the_server_and_changes_nothing() {
    let server = Server::start().unwrap();
    wrong_types_fail(&Node::connect(server.url()).await.unwrap()).await;
    let (_servers, ring) = ring().await;
    wrong_types_fail(&ring).await;
    let (_servers, copy) = copy().await;
    wrong_types_fail(&copy).await;
}

/// Commands of a wrong length, or whose keys and numbers do not fit.
const MALFORMED: [&[&str]; 12] = [
    &["GET"],
    &["GET", "a", "b"],
    &["SET", "a"],
    &["MGET"],
    &["DEL"],
    &["EXISTS"],
    &["MSET"],
    &["MSET", "a", "1", "b"],
    &["MSETNX", "{t}a", "1", "{t}b"],
    &["RENAME", "a"],
    &["ZUNION", "3", "a", "b"],
    &["ZUNION", "x", "a"],
];

async fn malformed_commands_fail(mut store: impl ConnectionLike) {
    for words in MALFORMED {
        let result = Cmd::new().arg(words).query_async::<Value>(&mut store).await;
        let error = result.expect_err(&words.join(" ")).to_string();
        let is_clear = ["number", "integer", "arguments", "syntax"].iter().any(|word| error.contains(word));
        assert!(is_clear, "{words:?}: {error}");
    }
}

#[tokio::test]
async fn a_command_of_a_wrong_length_is_a_clear_error() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    malformed_commands_fail(node.dedicated().await.unwrap()).await;
    assert_eq!(node.dbsize().await.unwrap(), 0);
    let (_servers, ring) = ring().await;
    malformed_commands_fail(ring.clone()).await;
    assert_eq!(ring.dbsize().await.unwrap(), 0);
    let (_servers, copy) = copy().await;
    malformed_commands_fail(copy.clone()).await;
    assert_eq!(copy.dbsize().await.unwrap(), 0);
}

#[tokio::test]
async fn an_empty_list_of_keys_is_an_error_before_anything_is_sent() {
    const NONE: [&str; 0] = [];
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let (servers, ring) = ring().await;
    let (copied, copy) = copy().await;
    macro_rules! each {
        ($($method:ident($($argument:expr),*)),* $(,)?) => {$(
            fails(node.$method($($argument),*).await, stringify!($method), "wrong number of arguments");
            for server in servers.iter().chain(copied.iter()) {
                server.pause();
            }
            let start = Instant::now();
            let error = ring.$method($($argument),*).await.unwrap_err();
            assert!(matches!(error, Error::Keys { .. }) && !error.may_have_executed(), "{error}");
            let error = copy.$method($($argument),*).await.unwrap_err();
            assert!(matches!(error, Error::Keys { .. }) && !error.may_have_executed(), "{error}");
            assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
            for server in servers.iter().chain(copied.iter()) {
                server.resume();
            }
        )*};
    }
    let no_pairs = Vec::<(&str, u8)>::new;
    each!(del(&NONE), unlink(&NONE), exists(&NONE), touch(&NONE), mset(no_pairs()), msetnx(no_pairs()));
    fails(node.mget::<u8>(&NONE).await, "mget", "wrong number of arguments");
    assert!(matches!(ring.mget::<u8>(&NONE).await, Err(Error::Keys { .. })));
    assert!(matches!(copy.mget::<u8>(&NONE).await, Err(Error::Keys { .. })));
    assert!(matches!(ring.sunion::<u8>(&NONE).await, Err(Error::Keys { .. })));
    assert!(matches!(copy.sinterstore("to", &NONE).await, Err(Error::Keys { .. })));
}

/// A key of 512 bytes, of all kinds.
fn binary_key(n: usize) -> Vec<u8> {
    let bytes = (0..=255_u8).chain(0..=255).map(|byte| byte.wrapping_mul(7).wrapping_add(n as u8));
    let mut key: Vec<u8> = bytes.collect();
    key[..8].copy_from_slice(&n.to_be_bytes());
    key
}

async fn bytes_survive(store: &impl Execute) {
    let keys: Vec<Vec<u8>> = (0..300).map(binary_key).collect();
    assert!(keys.iter().all(|key| key.len() == 512 && std::str::from_utf8(key).is_err()));
    // Each holds its own name.
    store.mset(keys.iter().zip(&keys)).await.unwrap();
    assert_eq!(store.dbsize().await.unwrap(), 300);
    let values = store.mget::<Vec<u8>>(&keys).await.unwrap();
    assert!(values.iter().zip(&keys).all(|(value, key)| value.as_ref() == Some(key)));
    assert_eq!(store.exists(&keys).await.unwrap(), 300);
    for key in &keys[..20] {
        assert_eq!(store.get::<Vec<u8>>(key).await.unwrap().as_ref(), Some(key));
        store.hset(b"\xff\xfe\x00h".as_slice(), key, key).await.unwrap();
    }
    let fields = store.hgetall::<Vec<u8>, Vec<u8>>(b"\xff\xfe\x00h".as_slice()).await.unwrap();
    assert!(fields.len() == 20 && fields.iter().all(|(field, value)| field == value));
    let mut names = store.keys::<Vec<u8>>("*").await.unwrap();
    names.retain(|name| name.len() == 512);
    names.sort();
    assert_eq!(names, keys);
    // What is no text is not made one.
    store.get::<String>(&keys[0]).await.map(drop).unwrap_err();
    store.del(&keys).await.unwrap();
    assert_eq!(store.dbsize().await.unwrap(), 1);
    // Line ends, braces and nothing at all are names too.
    for key in [b"".as_slice(), b"\r\n", b"{", b"}", b"{}", b"{}{a}", b"{a\r\n$1}", b"*"] {
        store.set(key, key).await.unwrap();
        assert_eq!(store.get::<Vec<u8>>(key).await.unwrap().as_deref(), Some(key));
    }
    assert_eq!(store.dbsize().await.unwrap(), 9);
}

#[tokio::test]
async fn keys_and_values_are_bytes() {
    let server = Server::start().unwrap();
    bytes_survive(&Node::connect(server.url()).await.unwrap()).await;
    let (_servers, ring) = ring().await;
    bytes_survive(&ring).await;
    let (_servers, copy) = copy().await;
    bytes_survive(&copy).await;
}

async fn a_value_of_64_mib_comes_back(store: &impl Execute) {
    let big: Vec<u8> = (0..64_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    store.set("big", big.as_slice()).await.unwrap();
    store.set("small", "v").await.unwrap();
    assert!(store.get::<Vec<u8>>("big").await.unwrap().is_some_and(|value| value == big));
    let values = store.mget::<Vec<u8>>(&["small", "big", "none"]).await.unwrap();
    assert_eq!(values[0].as_deref(), Some(b"v".as_slice()));
    assert!(values[1].as_ref().is_some_and(|value| *value == big) && values[2].is_none());
    assert_eq!(store.strlen("big").await.unwrap(), 64 << 20);
    store.del("big").await.unwrap();
}

#[tokio::test]
async fn a_value_of_64_mib_comes_back_as_it_was() {
    let (_server, node) = patient_node().await;
    a_value_of_64_mib_comes_back(&node).await;
    let (_servers, ring) = patient_ring().await;
    a_value_of_64_mib_comes_back(&ring).await;
    let (_servers, copy) = patient_copy().await;
    a_value_of_64_mib_comes_back(&copy).await;
}

async fn a_hundred_thousand_keys(store: &impl Execute) {
    const N: usize = 100_000;
    let keys: Vec<String> = (0..N).map(|n| format!("key:{n}")).collect();
    store.mset(keys.iter().zip(0..N)).await.unwrap();
    assert_eq!(store.dbsize().await.unwrap(), N as u64);
    // From the last to the first, one of them twice and one that is not there.
    let asked: Vec<&str> =
        ["none", "key:7"].into_iter().chain(keys.iter().rev().map(String::as_str)).collect();
    let values = store.mget::<usize>(&asked).await.unwrap();
    assert!(values.into_iter().eq([None, Some(7)].into_iter().chain((0..N).rev().map(Some))));
    assert_eq!(store.exists(&asked).await.unwrap(), N as u64 + 1);
    store.del(&asked).await.unwrap();
    assert_eq!(store.dbsize().await.unwrap(), 0);
}

/// In a process of its own, for the other tests need memory as well.
#[test]
fn a_hundred_thousand_keys_are_right_in_bounded_memory() {
    if told().is_none() {
        println!("{}", passes(&mut once_more("").unwrap()));
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let before = peak_mib();
        let (_server, node) = patient_node().await;
        a_hundred_thousand_keys(&node).await;
        let (_servers, ring) = patient_ring().await;
        a_hundred_thousand_keys(&ring).await;
        let (_servers, copy) = patient_copy().await;
        a_hundred_thousand_keys(&copy).await;
        if let (Some(before), Some(after)) = (before, peak_mib()) {
            println!("MGET, MSET, EXISTS and DEL of 100,000 keys: {before} MiB before, at most {after} MiB");
            assert!(after < before + 128, "{before} MiB before, {after} MiB at most");
        } else {
            skipped("this system does not say what a process holds in memory", Some("100,000 keys"));
        }
    });
}

async fn both_families<S: Execute + AsyncCommands>(mut store: S) {
    // Ours take `&self`, so they are found first on a store; redis-rs's take `&mut self`.
    store.set("k", 1).await.unwrap();
    let ours = StringCommands::get::<i64>(&store, "k").await.unwrap();
    let theirs: i64 = AsyncCommands::get(&mut store, "k").await.unwrap();
    assert_eq!(ours, Some(theirs));
    // A method that only redis-rs has.
    let _: () = store.set_ex("k", 2, 100).await.unwrap();
    let mutable = &mut store;
    assert_eq!(StringCommands::get::<i64>(mutable, "k").await.unwrap(), Some(2));
}

#[tokio::test]
async fn the_methods_of_redis_rs_and_ours_live_in_one_module() {
    let (_servers, mut ring) = ring().await;
    ring.set("k", 1).await.unwrap();
    assert_eq!(ring.get::<i64>("k").await.unwrap(), Some(1));
    let theirs: i64 = AsyncCommands::get(&mut ring, "k").await.unwrap();
    assert_eq!(theirs, 1);
    both_families(ring).await;
    let (_servers, copy) = copy().await;
    assert!(copy.set("k", 1).await.unwrap().is_complete());
    assert_eq!(copy.get::<i64>("k").await.unwrap(), Some(1));
    both_families(copy).await;
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    node.set("k", 1).await.unwrap();
    both_families(node.dedicated().await.unwrap()).await;
    let _: Value = cmd("PING").query_async(&mut node.dedicated().await.unwrap()).await.unwrap();
}

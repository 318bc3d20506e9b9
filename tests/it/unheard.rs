//! Commands whose replies redis-rs was told not to wait for: they are waited for all the same.

use redis::Cmd;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb::Node;
use redisdb::commands::*;
use redisdb_tests::contents;
use redisdb_tests::copy;
use redisdb_tests::ring;
use xtask::Server;

/// A command that redis-rs is not to wait for.
fn unheard(words: &[&str]) -> Cmd {
    redis::cmd(words[0]).arg(&words[1..]).set_no_response(true).take()
}

/// The command is executed as if it were to be waited for, and answered.
async fn check(store: &mut (impl ConnectionLike + Send)) {
    let mut send = async |words: &[&str]| store.req_packed_command(&unheard(words)).await.unwrap();
    assert_eq!(send(&["RPUSH", "l", "x", "y"]).await, Value::Int(2));
    assert_eq!(send(&["LPOP", "l"]).await, Value::BulkString(b"x".into()));
    assert_eq!(send(&["SETNX", "n", "1"]).await, Value::Int(1));
    assert_eq!(send(&["INCR", "n"]).await, Value::Int(2));
    assert_eq!(send(&["INCRBYFLOAT", "n", "0.5"]).await, Value::BulkString(b"2.5".into()));
    assert_eq!(send(&["GET", "n"]).await, Value::BulkString(b"2.5".into()));
    let reply = store.req_packed_command(&unheard(&["INCR", "l"])).await;
    let error = reply.and_then(Value::extract_error).unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
}

#[tokio::test]
async fn a_copy_whose_replies_nobody_waits_for_stays_equal() {
    let (_servers, mut copy) = copy().await;
    check(&mut copy).await;
    assert_eq!(copy.query::<String>(&unheard(&["LPOP", "l"])).await.unwrap(), "y");
    let pipeline = copy.pipeline();
    let pushed = pipeline.command::<i64>(unheard(&["RPUSH", "l", "z"]));
    let popped = pipeline.command::<String>(unheard(&["LPOP", "l"]));
    pipeline.execute().await.check().unwrap();
    assert_eq!(pushed.await.unwrap().first(), Some(&1));
    assert_eq!(popped.await.unwrap().first().map(String::as_str), Some("z"));
    let first = contents(&copy.on_node("a").unwrap()).await;
    for node in copy.nodes() {
        assert_eq!(contents(&node).await, first);
    }
    assert_eq!(copy.verify().run().await.unwrap().into_iter().count(), 0);
}

#[tokio::test]
async fn a_node_that_refuses_what_nobody_waits_for_is_behind() {
    let (_servers, copy) = copy().await;
    copy.on_node("b").unwrap().config_set("maxmemory", 1).await.unwrap();
    let _of_the_others = copy.query::<Value>(&unheard(&["SET", "k", "v"])).await.unwrap();
    let behind = copy.health().into_iter().filter(|(_, health)| *health != redisdb::Health::Up);
    assert_eq!(behind.map(|(name, _)| name).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn a_ring_and_a_node_answer_what_nobody_waits_for() {
    let (_servers, mut ring) = ring().await;
    check(&mut ring).await;
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    assert_eq!(node.send(&unheard(&["INCR", "m"])).await.unwrap(), Value::Int(1));
    check(&mut node.dedicated().await.unwrap()).await;
}

#[tokio::test]
async fn a_timeout_that_is_set_to_the_default_stays() {
    use std::time::Duration;
    let (own, all) = (redisdb::NodeConfig::RESPONSE_TIMEOUT, Duration::from_secs(7));
    let config = |url| redisdb::NodeConfig::new(url).unwrap();
    let set =
        config("redis://127.0.0.1:1").with_name("set").with_response_timeout(own).with_connect_timeout(own);
    let ring = redisdb::RedisRing::builder()
        .node_config(set.clone())
        .node_config(config("redis://127.0.0.1:2").with_name("unset"))
        .response_timeout(all)
        .connect_timeout(all)
        .build()
        .unwrap();
    let found: Vec<_> = ring
        .nodes()
        .map(|node| (node.config().response_timeout(), node.config().connect_timeout()))
        .collect();
    assert_eq!(found, [(own, own), (all, all)]);
    let copy = redisdb::TopologyConfig::from_toml(
        "strategy = \"copy\"\nresponse_timeout_ms = 7000\nconnect_timeout_ms = 7000\n\
         [[nodes]]\nname = \"a\"\nurl = \"redis://h\"\nresponse_timeout_ms = 1000\nconnect_timeout_ms = 1000\n",
    );
    let copy = redisdb::RedisCopy::from_config(copy.unwrap()).unwrap();
    let node = copy.nodes().next().unwrap();
    let node = node.config();
    assert_eq!((node.response_timeout(), node.connect_timeout()), (own, own));
    assert!(format!("{set:?}").contains("1s"));
}

//! Commands that are sent again, and commands that are not, when a reply does not come or turns the command away.

use std::time::Duration;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb::node::PubSubEvent;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use xtask::Server;

const PATIENT: Duration = Duration::from_secs(20);

/// Returns how often a server was given a command.
async fn calls(node: &Node, command: &str) -> u64 {
    let stats = node.info_with(&["commandstats"]).await.unwrap();
    let calls = stats.get("commandstats", &format!("cmdstat_{command}")).unwrap_or_default();
    let calls = calls.split(',').find_map(|part| part.strip_prefix("calls=")).unwrap_or("0");
    calls.parse().unwrap()
}

#[tokio::test]
async fn what_took_the_whole_deadline_is_not_sent_again() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap();
    let node = Node::connect(config.with_response_timeout(Duration::from_millis(200))).await.unwrap();
    node.set("k", 1).await.unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    for deadline in [None, Some(Duration::from_millis(50))] {
        let before = calls(&other, "get").await;
        let hasty = deadline.map_or(node.clone(), |deadline| node.with_deadline(deadline));
        server.pause();
        assert!(hasty.get::<u8>("k").await.unwrap_err().is_timeout());
        server.resume();
        eventually("what was sent is executed", async || calls(&other, "get").await > before).await;
        // What came after it on the same connection is answered after it.
        assert_eq!(node.strlen("k").await.unwrap(), 1);
        assert_eq!(calls(&other, "get").await, before + 1, "{deadline:?}");
    }
}

#[tokio::test]
async fn a_write_that_a_replica_turned_away_follows_the_name_and_not_an_address() {
    let (master, next) = (Server::start().unwrap(), Server::start().unwrap());
    let proxy = Proxy::to(master.port()).await;
    let by_name = Node::connect(format!("redis://localhost:{}", proxy.port())).await.unwrap();
    let by_address = Node::connect(proxy.url()).await.unwrap();
    by_name.set("k", 0).await.unwrap();
    by_address.set("k", 0).await.unwrap();
    // Connections that are there stay.
    proxy.lead_new_ones_to(next.port());
    let at_master = Node::connect(master.url()).await.unwrap();
    at_master.send(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(next.port())).await.unwrap();
    let error = by_address.set("k", 1).await.unwrap_err();
    assert_eq!((error.code(), error.may_have_executed()), (Some("READONLY"), false), "{error}");
    // Though it may not be done twice: it was not executed.
    assert_eq!(by_name.incr("n").await.unwrap(), 1);
    let at_next = Node::connect(next.url()).await.unwrap();
    assert_eq!(at_next.get::<u8>("n").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_reply_that_is_too_large_costs_others_what_a_lost_connection_does() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_max_reply(1 << 20);
    let node = Node::connect(config.with_response_timeout(PATIENT)).await.unwrap();
    node.setrange("big", 2 << 20, "x").await.unwrap();
    node.set("k", 1).await.unwrap();
    server.pause();
    let [large, read, set, count] = [(); 4].map(|()| node.clone());
    let calls: [Call; 4] = [
        Box::pin(async move { large.get::<Vec<u8>>("big").await.map(drop) }),
        Box::pin(async move { read.get::<u8>("k").await.map(drop) }),
        Box::pin(async move { set.set("k", 2).await.map(drop) }),
        Box::pin(async move { count.incr("n").await.map(drop) }),
    ];
    let mut sent = Vec::new();
    for call in calls {
        sent.push(tokio::spawn(call));
        // In this order on the one connection.
        eventually("it is sent", async || node.in_flight() == sent.len() as u64).await;
    }
    server.resume();
    let [large, read, set, count] = sent.try_into().unwrap();
    let large = large.await.unwrap().unwrap_err();
    assert!(matches!(large.kind(), ErrorKind::ReplyTooLarge { .. }), "{large}");
    read.await.unwrap().unwrap();
    set.await.unwrap().unwrap();
    let count = count.await.unwrap().unwrap_err();
    assert!(matches!(count.kind(), ErrorKind::Disconnected(_)) && count.may_have_executed(), "{count}");
    assert!(!node.is_down());
}

#[tokio::test]
async fn the_limit_on_replies_holds_on_every_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(NodeConfig::new(&server.url()).unwrap().with_max_reply(1 << 20)).await.unwrap();
    let large = "x".repeat(2 << 20);
    let is_refused = |error: &redisdb::node::Error| matches!(error.kind(), ErrorKind::ReplyTooLarge { .. });
    node.set("big", &large).await.unwrap();
    let error = node.get::<Vec<u8>>("big").await.map(drop).unwrap_err();
    assert!(is_refused(&error), "the shared one: {error}");
    let error = node.dedicated().await.unwrap().get::<Vec<u8>>("big").await.map(drop).unwrap_err();
    assert!(is_refused(&error), "a dedicated one: {error}");
    node.rpush("list", &large).await.unwrap();
    let error = node.blpop::<String, Vec<u8>>("list", PATIENT).await.map(drop).unwrap_err();
    assert!(is_refused(&error), "one that waits: {error}");
    let error =
        node.transaction("big", async |tx| tx.get::<Vec<u8>>("big").await.map(drop)).await.unwrap_err();
    assert!(is_refused(&error), "one that watches: {error}");
    let mut news = node.subscribe("news").await.unwrap();
    assert_eq!(node.publish("news", &large).await.unwrap(), 1);
    assert!(matches!(news.next().await, PubSubEvent::Gap { .. }), "one that listens");
    node.publish("news", "small").await.unwrap();
    assert!(matches!(news.next().await, PubSubEvent::Message(message) if message.payload == b"small"));
}

type Call = std::pin::Pin<Box<dyn Future<Output = Result<(), redisdb::node::Error>> + Send>>;

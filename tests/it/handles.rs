//! The handles begin, end and leave behind what their documentation says.

use std::time::Duration;

use futures_util::StreamExt;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::LockError;
use redisdb::node::LockOptions;
use redisdb_tests::DEADLINE;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use redisdb_tests::ring;
use xtask::Server;
use xtask::Servers;

#[tokio::test]
async fn a_node_connects_with_the_first_command_and_then_knows_the_time_of_its_server() {
    let server = Server::start().unwrap();
    let node = Node::new(NodeConfig::new(&server.url()).unwrap());
    assert!(!node.is_connected() && !node.is_down() && node.server_clock().is_none());
    node.set("k", 1).await.unwrap();
    assert!(node.is_connected());
    let apart = node.server_clock().unwrap().elapsed().unwrap_or_else(|ahead| ahead.duration());
    assert!(apart < DEADLINE, "{apart:?}");
}

#[tokio::test]
async fn what_happens_to_the_nodes_is_told_until_the_ring_or_the_copy_ends() {
    let (_of_ring, ring) = ring().await;
    let events = ring.events();
    ring.set("k", 1).await.unwrap();
    drop(ring);
    let of_copy = Servers::start(3).unwrap();
    let copy = process(&of_copy.urls(), None).connect().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    let (also, more) = (copy.clone(), copy.events());
    drop(copy);
    _ = also.set("k", 2).await.unwrap();
    drop(also);
    for events in [events.boxed(), more.boxed()] {
        let ended = tokio::time::timeout(DEADLINE, events.for_each(|_| async {})).await;
        assert!(ended.is_ok(), "the stream ends with the last handle");
    }
}

#[tokio::test]
async fn a_guard_that_is_dropped_leaves_the_lock_to_expire() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let once = |timeout| LockOptions::new(timeout).wait_at_most(Duration::ZERO);
    drop(node.lock("l", once(Duration::from_secs(1000))).acquire().await.unwrap());
    assert!(matches!(node.lock("l", once(DEADLINE)).acquire().await, Err(LockError::NotAcquired)));
    let left = node.ttl("l").await.unwrap();
    assert!(matches!(left, TimeToLive::In(left) if left.as_secs() > 900), "{left:?}");
    // The shortest is a millisecond.
    drop(node.lock("m", once(Duration::ZERO)).acquire().await.unwrap());
    eventually("it has expired", async || node.exists("m").await.unwrap() == 0).await;
}

#[tokio::test]
async fn a_pipeline_is_used_again() {
    let (_servers, copy) = copy().await;
    let pipeline = copy.pipeline();
    // Sent as well, though its reply is not wanted.
    drop(pipeline.set("k", 1));
    assert_eq!(pipeline.len(), 1);
    assert_eq!(pipeline.execute().await.len(), 1);
    assert!(pipeline.is_empty());
    let value = pipeline.get::<u8>("k");
    pipeline.execute().await.check().unwrap();
    assert_eq!(value.await.unwrap(), Some(1));
}

#[tokio::test]
async fn all_ordinary_calls_of_a_node_share_one_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let received = async || node.info().await.unwrap().parse::<u32>("stats", "total_connections_received");
    let before = received().await.unwrap();
    let calls = (0..200).map(|i| {
        let node = node.clone();
        tokio::spawn(async move { node.incrby("n", i).await.map(drop) })
    });
    for call in futures_util::future::join_all(calls).await {
        call.unwrap().unwrap();
    }
    assert_eq!(received().await, Some(before), "no connection was made for them");
    assert_eq!(node.get::<i64>("n").await.unwrap(), Some((0..200).sum()));
}

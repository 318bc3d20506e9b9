//! One server under two names: it would count twice what is to be done once, and be two of the nodes that are to hold a
//! write.

use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::WriteTo;
use redisdb::cluster::ConfigError;
use redisdb::commands::*;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// The error names both nodes and says what to do.
#[track_caller]
fn says_so(error: &Error, a: &str, b: &str) {
    let text = error.to_string();
    assert!(text.contains(&format!("`{a}`")) && text.contains(&format!("`{b}`")), "{text}");
    assert!(text.contains("a server of its own"), "{text}");
}

#[test]
fn a_server_that_stands_twice_is_refused_when_a_ring_or_a_copy_is_built() {
    for (first, second) in [
        ("redis://10.0.0.1", "redis://10.0.0.1:6379/0"),
        ("redis://localhost:7000", "redis://u:secret@127.0.0.1:7000"),
        ("redis://SHOP.test", "rediss://shop.test"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("redis+sentinel://s1,s2/shop", "redis+sentinel://s2,s3/shop"),
    ] {
        let ring = RedisRing::builder().node("a", first).node("b", "redis://other").node("c", second).build();
        let error = ring.unwrap_err();
        assert!(matches!(error, Error::Config(ConfigError::SameServer { .. })), "{error:?}");
        says_so(&error, "a", "c");
        assert!(!error.to_string().contains("secret"));
        says_so(&RedisCopy::builder().node("a", first).node("c", second).build().unwrap_err(), "a", "c");
    }
    // Without names it is the names that stand twice, or are those of the addresses.
    assert!(RedisRing::builder().nodes(["redis://h", "redis://h"]).build().is_err());
    let error = RedisRing::builder().nodes(["redis://localhost", "redis://127.0.0.1"]).build().unwrap_err();
    says_so(&error, "localhost:6379", "127.0.0.1:6379");
    let present = RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2").build().unwrap();
    let replaced = present.replace(RedisRing::builder().node("a", "redis://h1").node("z", "redis://h1:6379"));
    says_so(&replaced.unwrap_err(), "a", "z");
    assert_eq!(present.nodes().len(), 2);
}

#[tokio::test]
async fn two_databases_of_one_server_are_two_nodes() {
    let server = Server::start().unwrap();
    let urls = [0, 1].map(|db| format!("{}/{db}", server.url()));
    let copy = RedisCopy::builder().node("a", &urls[0]).node("b", &urls[1]);
    let copy = copy.write_to(WriteTo::All).connect().await.unwrap();
    _ = copy.incr("n").await.unwrap();
    assert_eq!(copy.get::<u8>("n").await.unwrap(), Some(1));
    let ring = RedisRing::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
    ring.ready().await.unwrap();
}

/// Nodes that are reached by addresses that do not tell that they are one server.
fn over(a: &str, b: &str) -> CopyBuilder {
    RedisCopy::builder().node("a", a).node("b", b).write_to(WriteTo::AtLeast(2))
}

#[tokio::test]
async fn a_server_that_turns_out_to_be_there_twice_is_refused_when_it_is_connected() {
    let server = Server::builder().unix_socket().start().unwrap();
    let proxy = Proxy::to(server.port()).await;
    let socket = format!("unix://{}", server.socket().unwrap().display());
    for other in [proxy.url(), socket] {
        let error = over(&server.url(), &other).connect().await.unwrap_err();
        says_so(&error, "a", "b");
        let ring = RedisRing::builder().node("a", &server.url()).node("b", &other);
        says_so(&ring.connect().await.unwrap_err(), "a", "b");
        // Nothing counts twice for a caller that does not wait either.
        let copy = over(&server.url(), &other).build().unwrap();
        let error = copy.incr("n").await.unwrap_err();
        assert!(matches!(error, Error::TooFewReplies(_)), "{error}");
        says_so(&error, "a", "b");
        assert!(copy.health().iter().any(|(_, health)| *health != Health::Up));
    }
    let node = redisdb::Node::connect(server.url()).await.unwrap();
    assert_eq!(node.get::<u8>("n").await.unwrap(), Some(2), "each of two was counted once");
}

#[tokio::test]
async fn a_node_that_was_down_at_the_start_is_refused_when_it_comes_up_as_the_server_of_another() {
    let mut servers = Servers::start(2).unwrap();
    let proxy = Proxy::to(servers[1].port()).await;
    // The address of `b` leads to the server of `a` once its own is gone.
    servers[1].kill();
    let copy =
        RedisCopy::builder().node("a", &servers[0].url()).node("b", &proxy.url()).connect().await.unwrap();
    assert_eq!(copy.health()[1].1, Health::Down);
    proxy.lead_to(servers[0].port());
    eventually("it is refused", async || copy.health()[1].1 == Health::Misconfigured).await;
    _ = copy.incr("n").await.unwrap();
    assert_eq!(copy.get::<u8>("n").await.unwrap(), Some(1));
    let error = copy.on_node("b").unwrap().ready().await.unwrap_err();
    says_so(&Error::Node(error), "a", "b");

    // Mended, it is let in.
    servers[1].restart(Data::Lose).unwrap();
    proxy.lead_to(servers[1].port());
    eventually("it is well", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
    assert_eq!(copy.on_node("b").unwrap().get::<u8>("n").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_node_that_takes_the_place_of_another_may_be_its_server() {
    let servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let ring = RedisRing::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
    let old = ring.nodes().next().unwrap().clone();
    let renamed = || RedisRing::builder().node("z", &urls[0]).node("b", &urls[1]);
    ring.replace(renamed()).unwrap();
    ring.ready().await.unwrap();
    // Whoever holds the old one may go on, and so may all others.
    old.set("k", 1).await.unwrap();
    for node in ring.nodes() {
        node.set("k", 1).await.unwrap();
    }
    // Of the new ones none is there twice.
    let proxy = Proxy::to(servers[1].port()).await;
    ring.replace(renamed().node("c", &proxy.url())).unwrap();
    says_so(&ring.ready().await.unwrap_err(), "b", "c");
}

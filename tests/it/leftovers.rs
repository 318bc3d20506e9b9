//! Old values that a ring without a node that is down gives all the same: each case that `docs/ring.md` names.

use std::time::Duration;

use redisdb::OnDown;
use redisdb::RedisRing;
use redisdb::Rejoin;
use redisdb::node::KeyCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;

use crate::outages::both;
use crate::outages::builder;
use crate::outages::connected;
use crate::outages::failover;
use crate::outages::flush;
use crate::outages::keys_of_b;
use crate::outages::kill;
use crate::outages::read;
use crate::outages::servers;
use crate::outages::serves;

/// A ring that reaches the server of `b` through a proxy.
async fn apart(servers: &[Server], on_down: OnDown) -> (Proxy, RedisRing) {
    let proxy = Proxy::to(servers[1].port()).await;
    let urls = [servers[0].url(), proxy.url(), servers[2].url()];
    let nodes = NAMES.iter().zip(&urls);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = ring.on_down(on_down).connect().await.unwrap();
    (proxy, ring)
}

async fn takes_b_for_down(ring: &RedisRing, proxy: &Proxy) {
    proxy.refuse();
    let b = ring.on_node("b").unwrap();
    eventually("it is left alone", async || b.is_down()).await;
}

#[tokio::test]
async fn what_a_client_wrote_that_has_ended_by_then_is_old() {
    let mut servers = servers();
    let writer = connected(&servers, &failover()).await;
    let key = &keys_of_b(&writer, 1)[0];
    writer.set(key, "1").await.unwrap();
    kill(&writer, &mut servers, 1).await;
    writer.set(key, "2").await.unwrap();
    assert_eq!(read(&writer, key).await.as_deref(), Some("2"));
    drop(writer);
    servers[1].restart(Data::Keep).unwrap();
    let ring = connected(&servers, &failover()).await;
    assert_eq!(read(&ring, key).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn clients_that_do_not_agree_on_whether_a_node_is_up_read_each_other_late_by_the_cap_at_most() {
    let cap = Duration::from_secs(2);
    let on_down = OnDown::Failover { ttl_cap: cap };
    let servers = servers();
    let ours = connected(&servers, &on_down).await;
    let (proxy, theirs) = apart(&servers, on_down).await;
    let key = &keys_of_b(&ours, 1)[0];
    takes_b_for_down(&theirs, &proxy).await;
    theirs.set(key, "theirs").await.unwrap();
    ours.set(key, "ours").await.unwrap();
    assert_eq!(read(&theirs, key).await.as_deref(), Some("theirs"));
    assert_eq!(read(&ours, key).await.as_deref(), Some("ours"));
    eventually("it has gone by itself", async || theirs.get::<String>(key).await.unwrap().is_none()).await;
    ours.set(key, "ours").await.unwrap();
    proxy.heal();
    serves(&theirs, 1).await;
    // What was written elsewhere meanwhile is removed, whoever has written it since.
    assert_eq!((read(&theirs, key).await, read(&ours, key).await), (None, None));
}

#[tokio::test]
async fn each_client_that_saw_a_node_go_removes_its_keys_at_its_own_moment() {
    let servers = servers();
    let ours = connected(&servers, &flush()).await;
    let (proxy, theirs) = apart(&servers, flush()).await;
    let key = &keys_of_b(&ours, 1)[0];
    takes_b_for_down(&theirs, &proxy).await;
    ours.set(key, "ours").await.unwrap();
    assert_eq!(read(&ours, key).await.as_deref(), Some("ours"));
    proxy.heal();
    serves(&theirs, 1).await;
    assert_eq!(read(&ours, key).await, None);
}

#[tokio::test]
async fn what_lives_longer_than_was_said_is_old() {
    let on_down = OnDown::Remap { on_return: Rejoin::WaitMaxTtl(Duration::from_secs(1)) };
    let mut servers = servers();
    let ring = connected(&servers, &on_down).await;
    let keys = keys_of_b(&ring, 2);
    for key in &keys {
        ring.set(key, "1").await.unwrap();
    }
    kill(&ring, &mut servers, 1).await;
    for key in &keys {
        ring.set(key, "2").await.unwrap();
    }
    servers[1].restart(Data::Keep).unwrap();
    serves(&ring, 1).await;
    assert_eq!(read(&ring, &keys[0]).await.as_deref(), Some("1"));
    // And what the others hold of it is old in the next outage.
    ring.set(&keys[1], "3").await.unwrap();
    kill(&ring, &mut servers, 1).await;
    assert_eq!(read(&ring, &keys[1]).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn keys_of_a_node_that_was_added_are_read_where_they_were_while_it_is_away() {
    for on_down in both() {
        let mut servers = servers();
        let [a, _, c] = [0, 1, 2].map(|idx| servers[idx].url());
        let ring = RedisRing::builder().node("a", &a).node("c", &c).on_down(on_down.clone());
        let ring = ring.connect().await.unwrap();
        let keys: Vec<String> = (0..60).map(|i| format!("key:{i}")).collect();
        ring.mset(keys.iter().map(|key| (key, "1"))).await.unwrap();
        ring.replace(builder(&servers, &on_down)).unwrap();
        ring.ready().await.unwrap();
        let keys = keys_of_b(&ring, 3);
        for key in &keys {
            assert_eq!(read(&ring, key).await, None, "it was not moved");
            ring.set(key, "2").await.unwrap();
        }
        ring.del(&keys[2]).await.unwrap();
        kill(&ring, &mut servers, 1).await;
        for key in &keys[..2] {
            assert_eq!(read(&ring, key).await.as_deref(), Some("1"), "{on_down:?}");
        }
        // With `Failover` a delete goes to both nodes.
        let expected = (on_down == flush()).then_some("1");
        assert_eq!(read(&ring, &keys[2]).await.as_deref(), expected, "{on_down:?}");
    }
}

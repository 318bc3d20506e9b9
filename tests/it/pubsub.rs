//! Messages and who gets them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisRing;
use redisdb::node::PubSubCommands;
use redisdb::node::PubSubEvent;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb::node::Subscription;
use redisdb_tests::DEADLINE;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::copy_over;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::ring;
use redisdb_tests::ring_over;
use xtask::Data;
use xtask::Server;

async fn next(subscription: &mut Subscription) -> PubSubEvent {
    tokio::time::timeout(DEADLINE, subscription.next()).await.expect("nothing comes")
}

/// The next message, as channel and payload.
async fn text(subscription: &mut Subscription) -> (String, String) {
    match next(subscription).await {
        PubSubEvent::Message(message) => {
            (String::from_utf8(message.channel.clone()).unwrap(), message.payload_as().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn pair(channel: &str, payload: &str) -> (String, String) {
    (channel.to_owned(), payload.to_owned())
}

/// One channel for each node of a ring.
fn channel_of(ring: &RedisRing, node: &str) -> String {
    (0..).map(|i| format!("channel:{i}")).find(|channel| ring.node_for(channel).name() == node).unwrap()
}

async fn clients(node: &Node) -> u64 {
    node.info().await.unwrap().parse("clients", "connected_clients").unwrap()
}

#[tokio::test]
async fn each_kind_of_subscription_gets_its_messages() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let mut named = node.subscribe(&["a", "b"]).await.unwrap();
    let mut matching = node.psubscribe(&["?", "x*"]).await.unwrap();
    let is_sharded = is_since(&node, (7, 0, 0), "SSUBSCRIBE, SPUBLISH and PUBSUB SHARDCHANNELS").await;
    let mut shard = if is_sharded { Some(node.ssubscribe("a").await.unwrap()) } else { None };
    assert_eq!(node.publish("a", "1").await.unwrap(), 2);
    assert_eq!(node.publish("xyz", "2").await.unwrap(), 1);
    assert_eq!(node.publish("b", "3").await.unwrap(), 2);
    assert_eq!(node.publish("nobody", "5").await.unwrap(), 0);
    assert_eq!(text(&mut named).await, pair("a", "1"));
    assert_eq!(text(&mut named).await, pair("b", "3"));
    let PubSubEvent::Message(first) = next(&mut matching).await else { panic!() };
    assert_eq!((first.channel.as_slice(), first.pattern.as_deref()), (&b"a"[..], Some(&b"?"[..])));
    assert_eq!(text(&mut matching).await, pair("xyz", "2"));
    assert_eq!(text(&mut matching).await, pair("b", "3"));
    if let Some(shard) = &mut shard {
        assert_eq!(node.spublish("a", "4").await.unwrap(), 1);
        assert_eq!(text(shard).await, pair("a", "4"));
        assert_eq!(node.pubsub_shardchannels::<String>("*").await.unwrap(), ["a"]);
        assert_eq!(node.pubsub_shardnumsub::<String>("a").await.unwrap()["a"], 1);
    }

    let channels: BTreeSet<String> = node.pubsub_channels("*").await.unwrap().into_iter().collect();
    assert_eq!(channels, ["a", "b"].map(str::to_owned).into());
    assert_eq!(node.pubsub_numpat().await.unwrap(), 2);
    assert_eq!(node.pubsub_numsub::<String>(&["a", "c"]).await.unwrap()["a"], 1);
    assert_eq!(clients(&node).await, 3 + u64::from(is_sharded));
    drop((named, matching, shard));
    eventually("their connections are closed", async || clients(&node).await == 1).await;
}

#[tokio::test]
async fn a_refused_subscription_names_the_command_that_was_refused() {
    let server = Server::start().unwrap();
    let admin = Node::connect(server.url()).await.unwrap();
    let deaf = ["SETUSER", "deaf", "on", ">pw", "~*", "&*", "+@all", "-@pubsub"];
    admin.send(redis::cmd("ACL").arg(&deaf)).await.unwrap();
    let config = NodeConfig::new(&server.url()).unwrap();
    let node = Node::connect(config.with_credentials(Some("deaf".to_owned()), "pw")).await.unwrap();
    for (outcome, command) in [
        (node.subscribe("a").await, "SUBSCRIBE"),
        (node.psubscribe("a").await, "PSUBSCRIBE"),
        (node.ssubscribe("a").await, "SSUBSCRIBE"),
    ] {
        assert_eq!(outcome.unwrap_err().command(), command);
    }
}

#[tokio::test]
async fn whoever_names_no_channel_is_told_so() {
    let nothing: [&str; 0] = [];
    let (servers, ring) = ring().await;
    let copy = copy_over(&servers).await;
    let node = Node::connect(servers[0].url()).await.unwrap();
    assert!(node.subscribe(&nothing).await.is_err());
    assert!(copy.subscribe(&nothing).await.is_err());
    assert!(ring.psubscribe(&nothing).await.is_err());
    for outcome in [ring.subscribe(&nothing).await, ring.ssubscribe(&nothing).await] {
        let error = outcome.unwrap_err();
        assert!(!error.may_have_executed() && error.to_string().contains("name a channel"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_cannot_be_subscribed_to() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    server.kill();
    let error = node.subscribe("a").await.unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_its_gap_reported() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let mut subscription = node.subscribe(&["a", "b"]).await.unwrap();
    node.send(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).await.unwrap();
    assert!(matches!(next(&mut subscription).await, PubSubEvent::Gap { .. }));
    // The gap ends before the first message.
    node.publish("b", "after").await.unwrap();
    assert_eq!(text(&mut subscription).await, pair("b", "after"));

    server.restart(Data::Lose).unwrap();
    assert!(matches!(next(&mut subscription).await, PubSubEvent::Gap { .. }));
    eventually("it can be published", async || node.publish("a", "again").await.is_ok()).await;
    assert_eq!(text(&mut subscription).await, pair("a", "again"));

    // A server that hangs ends no connection; the test of it does.
    server.pause();
    let long_enough = node.config().response_timeout() + Duration::from_millis(1500);
    assert!(tokio::time::timeout(long_enough, subscription.next()).await.is_err());
    server.resume();
    assert!(matches!(next(&mut subscription).await, PubSubEvent::Gap { .. }));
}

#[tokio::test]
async fn on_a_ring_a_channel_is_its_owners_and_patterns_are_everybodys() {
    let (_servers, ring) = ring().await;
    let channels = NAMES.map(|name| channel_of(&ring, name));
    let mut named = ring.subscribe(&channels).await.unwrap();
    let mut matching = ring.psubscribe("channel:*").await.unwrap();
    let is_sharded = is_since(&ring.on_node("a").unwrap(), (7, 0, 0), "SSUBSCRIBE and SPUBLISH").await;
    let mut shards = if is_sharded { Some(ring.ssubscribe(&channels).await.unwrap()) } else { None };
    for channel in &channels {
        assert_eq!(ring.publish(channel, "x").await.unwrap(), 2);
        if is_sharded {
            assert_eq!(ring.spublish(channel, "s").await.unwrap(), 1);
        }
    }
    let expected: BTreeSet<_> = channels.iter().map(|channel| pair(channel, "x")).collect();
    for subscription in [&mut named, &mut matching] {
        let mut got = BTreeSet::new();
        for _ in 0..3 {
            got.insert(text(subscription).await);
        }
        assert_eq!(got, expected);
    }
    if let Some(shards) = &mut shards {
        for _ in 0..3 {
            assert_eq!(text(shards).await.1, "s");
        }
    }
    // On its owner alone: no other node has a subscriber by that name.
    for (channel, name) in channels.iter().zip(NAMES) {
        let there = ring.on_node(name).unwrap().pubsub_channels::<String>("*").await.unwrap();
        assert_eq!(there, [channel.as_str()]);
    }

    // A key's notification comes from the key's owner, whatever the name of its channel.
    _ = ring.on_each(|node| async move { node.config_set("notify-keyspace-events", "KEA").await }).await;
    let keys: Vec<String> = (0..12).map(|i| format!("key:{i}")).collect();
    let names: Vec<String> = keys.iter().map(|key| format!("__keyspace@0__:{key}")).collect();
    let mut events = ring.subscribe(&names).await.unwrap();
    for (key, name) in keys.iter().zip(&names) {
        ring.set(key, 1).await.unwrap();
        assert_eq!(text(&mut events).await, pair(name, "set"));
    }
}

#[tokio::test]
async fn a_ring_whose_other_node_is_restarted_misses_nothing_and_its_own_gap_is_reported() {
    let (mut servers, ring) = ring().await;
    let channel = channel_of(&ring, "a");
    let mut named = ring.subscribe(&channel).await.unwrap();
    let mut matching = ring.psubscribe("channel:*").await.unwrap();
    let publisher = ring_over(&servers).await;
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let (channel, stop) = (channel.clone(), Arc::clone(&stop));
        async move {
            let mut published = 0;
            while !stop.load(Ordering::Relaxed) && published < 5000 {
                assert_eq!(publisher.publish(&channel, published).await.unwrap(), 2);
                published += 1;
            }
            published
        }
    });
    // Kills and restarts block a thread; the publisher goes on meanwhile.
    let servers = tokio::task::spawn_blocking(move || {
        servers[1].kill();
        servers[1].restart(Data::Lose).unwrap();
        servers
    });
    let mut servers = servers.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let published = publishing.await.unwrap();
    assert!(published > 0);
    for i in 0..published {
        assert_eq!(text(&mut named).await, pair(&channel, &i.to_string()));
    }
    let (mut gaps, mut messages) = (Vec::new(), 0);
    while messages < published || gaps.is_empty() {
        match next(&mut matching).await {
            PubSubEvent::Message(_) => messages += 1,
            PubSubEvent::Gap { node } => gaps.push(node),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(gaps.iter().map(|node| &**node).collect::<Vec<_>>(), ["b"]);

    servers[0].kill();
    servers[0].restart(Data::Lose).unwrap();
    assert_eq!(next(&mut named).await, PubSubEvent::Gap { node: "a".into() });
    eventually("it can be published", async || ring.publish(&channel, "after").await.is_ok()).await;
    assert_eq!(text(&mut named).await, pair(&channel, "after"));
}

#[tokio::test]
async fn a_ring_is_listened_to_while_a_node_is_down() {
    let (mut servers, ring) = ring().await;
    servers[2].kill();
    let mut matching = ring.psubscribe("*").await.unwrap();
    ring.publish(channel_of(&ring, "a"), "x").await.unwrap();
    assert_eq!(text(&mut matching).await.1, "x");
    servers[2].restart(Data::Lose).unwrap();
    assert_eq!(next(&mut matching).await, PubSubEvent::Gap { node: "c".into() });
    let error = ring.subscribe(&channel_of(&ring, "c")).await;
    assert!(error.is_ok());
    servers.iter_mut().for_each(Server::kill);
    assert!(ring.psubscribe("*").await.unwrap_err().is_connect());
}

#[tokio::test]
async fn on_a_copy_no_message_comes_twice_whichever_node_is_down() {
    let (mut servers, copy) = copy().await;
    let mut named = copy.subscribe(&["a", "b", "c", "d"]).await.unwrap();
    let mut matching = copy.psubscribe("?").await.unwrap();
    let publisher = copy_over(&servers).await;
    let mut expected = Vec::new();
    let mut publish = async |round: &str| {
        for channel in ["a", "b", "c", "d"] {
            let replies = publisher.publish(channel, round).await.unwrap();
            assert_eq!(replies.first(), Some(&2), "{replies:?}");
            expected.push(pair(channel, round));
        }
    };
    publish("all up").await;
    for down in 0..3 {
        servers[down].kill();
        eventually("the loss is noticed", async || copy.nodes().nth(down).unwrap().ready().await.is_err())
            .await;
        eventually("the publisher too", async || publisher.nodes().nth(down).unwrap().ready().await.is_err())
            .await;
        publish("one down").await;
        servers[down].restart(Data::Lose).unwrap();
        let node = copy.nodes().nth(down).unwrap();
        eventually("it is listened to again", async || {
            node.pubsub_numsub::<String>("a").await.is_ok_and(|n| n["a"] == 1)
                && node.pubsub_numpat().await.is_ok_and(|n| n == 1)
        })
        .await;
        publish("all up again").await;
    }
    for subscription in [&mut named, &mut matching] {
        let (mut got, mut gaps) = (Vec::new(), 0);
        while got.len() < expected.len() {
            match next(subscription).await {
                PubSubEvent::Message(message) => got.push((
                    String::from_utf8(message.channel.clone()).unwrap(),
                    message.payload_as::<String>().unwrap(),
                )),
                PubSubEvent::Gap { .. } => gaps += 1,
                other => panic!("{other:?}"),
            }
        }
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
        assert_eq!(gaps, 3);
        let more = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
}

#[tokio::test]
async fn on_a_copy_keyspace_notifications_are_left_out() {
    let (_servers, copy) = copy().await;
    _ = copy.on_each(|node| async move { node.config_set("notify-keyspace-events", "KEA").await }).await;
    let error = copy.subscribe("__keyspace@0__:k").await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("on_node"), "{error}");
    let mut all = copy.psubscribe("*").await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    _ = copy.publish("c", "m").await.unwrap();
    assert_eq!(text(&mut all).await, pair("c", "m"));
}

//! A ring that does without a node that is down, as its `OnDown` says.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::StreamExt;
use redis::Direction;
use redisdb::Event;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnDown;
use redisdb::RedisRing;
use redisdb::Rejoin;
use redisdb::Scan;
use redisdb::commands::ScanOptions;
use redisdb::commands::TimeToLive;
use redisdb::node::BlockingCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::LockError;
use redisdb::node::LockOptions;
use redisdb::node::PubSubCommands;
use redisdb::node::Script;
use redisdb::node::ScriptingCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::DEADLINE;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Way;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;

const CAP: Duration = Duration::from_secs(60);

/// Three servers that keep their data when they are restarted.
fn servers() -> Vec<Server> {
    (0..3).map(|_| Server::builder().persistent().start().unwrap()).collect()
}

async fn ring(servers: &[Server], on_down: OnDown) -> RedisRing {
    let nodes = NAMES.iter().zip(servers);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, server)| ring.node(*name, &server.url()));
    ring.on_down(on_down).connect().await.unwrap()
}

/// Keys of one node, so many.
fn keys_of(ring: &RedisRing, name: &str, n: usize) -> Vec<String> {
    (0..).map(|i| format!("key:{i}")).filter(|key| ring.node_for(key).name() == name).take(n).collect()
}

async fn away(ring: &RedisRing, name: &str) {
    let node = ring.on_node(name).unwrap();
    eventually("it is left alone", async || node.is_down()).await;
}

async fn back(ring: &RedisRing, key: &str, name: &str) {
    eventually("it serves again", async || {
        let _looked = ring.get::<String>(key).await;
        ring.health().contains(&(name.to_owned(), Health::Up))
    })
    .await;
}

#[tokio::test]
async fn others_stand_in_and_what_they_wrote_is_missing_rather_than_old() {
    let mut servers = servers();
    let ring = ring(&servers, OnDown::Failover { ttl_cap: CAP }).await;
    let keys = keys_of(&ring, "b", 12);
    let untouched = &keys[10];
    for key in &keys {
        ring.set(key, "before").await.unwrap();
    }
    let mut events = ring.events();
    servers[1].kill();
    away(&ring, "b").await;

    // Each way to write and to read.
    ring.set(&keys[0], "meanwhile").await.unwrap();
    ring.mset(keys[1..5].iter().map(|key| (key, "meanwhile"))).await.unwrap();
    ring.setex(&keys[5], Duration::from_secs(10), "meanwhile").await.unwrap();
    let pipeline = ring.pipeline();
    drop((pipeline.set(&keys[6], "meanwhile"), pipeline.incr(&keys[7])));
    pipeline.execute().await.check().unwrap();
    ring.eval::<()>("redis.call('SET', KEYS[1], 'meanwhile')", &[&keys[8]], "unused").await.unwrap();
    assert_eq!(ring.del(&keys[9..10]).await.unwrap(), 0);
    let found = ring.mget::<String>(&keys).await.unwrap();
    for (i, found) in found.iter().enumerate() {
        let expected = match i {
            7 => Some("1"),
            9.. => None,
            _ => Some("meanwhile"),
        };
        assert_eq!(found.as_deref(), expected, "{i}");
    }
    for (i, key) in keys[..9].iter().enumerate() {
        let TimeToLive::In(left) = ring.pttl(key).await.unwrap() else { panic!("{i} has no end") };
        assert!(left <= if i == 5 { Duration::from_secs(10) } else { CAP }, "{i}: {left:?}");
    }

    servers[1].restart(Data::Keep).unwrap();
    back(&ring, untouched, "b").await;
    assert_eq!(ring.mget::<String>(&keys[..10]).await.unwrap(), vec![None; 10], "missing, not old");
    assert_eq!(ring.get::<String>(untouched).await.unwrap().as_deref(), Some("before"));
    assert_eq!(ring.on_node("b").unwrap().dbsize().await.unwrap(), 2);
    let told = std::iter::from_fn(|| events.next().now_or_never().flatten());
    let told: Vec<Event> =
        told.filter(|event| matches!(event, Event::Away { .. } | Event::Back { .. })).collect();
    assert!(
        matches!(&told[..], [Event::Away { node: a }, Event::Back { node: b }] if a == "b" && b == "b"),
        "{told:?}"
    );

    // A delete reaches what another client may have written on the node that stands in.
    let left: Vec<String> =
        ring.scan_iter::<String>(ScanOptions::new()).map(|key| key.unwrap()).collect().await;
    let standing_in = left.iter().find(|key| keys[..9].contains(key)).expect("they live for a minute");
    ring.set(standing_in, "after").await.unwrap();
    ring.unlink(&[standing_in]).await.unwrap();
    for node in ring.nodes() {
        assert!(!node.exists(&[standing_in]).await.unwrap().eq(&1), "{}", node.name());
    }
}

#[tokio::test]
async fn a_pop_that_waits_on_a_stand_in_for_longer_than_the_deadline_gets_its_element() {
    let mut servers = servers();
    let ring = ring(&servers, OnDown::Failover { ttl_cap: CAP }).await;
    let keys = keys_of(&ring, "b", 2);
    servers[1].kill();
    away(&ring, "b").await;
    let hasty = ring.with_deadline(Duration::from_millis(100));
    let waiting = {
        let (hasty, key) = (hasty.clone(), keys[0].clone());
        tokio::spawn(async move { hasty.blpop::<String, String>(&[key], Duration::from_secs(60)).await })
    };
    let stand_in = async || {
        for node in ring.nodes().filter(|node| node.name() != "b") {
            let clients: String = node.query(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
            if clients.contains("cmd=blpop") {
                return true;
            }
        }
        false
    };
    eventually("it waits", stand_in).await;
    // The deadline is over when the element comes.
    let late = ring.blpop::<String, String>(&[&keys[1]], Duration::from_millis(300)).await.unwrap();
    assert_eq!(late, None);
    ring.rpush(&keys[0], "job").await.unwrap();
    let popped = waiting.await.unwrap().unwrap();
    assert_eq!(popped.map(|(_, element)| element).as_deref(), Some("job"));
}

#[tokio::test]
async fn what_a_blocking_write_that_is_given_up_leaves_on_a_stand_in_ends_like_all_else() {
    let mut servers = servers();
    let proxies = Proxy::to_each(&servers).await;
    let nodes = NAMES.iter().zip(&proxies);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, proxy)| ring.node(*name, &proxy.url()));
    let ring = ring.on_down(OnDown::Failover { ttl_cap: CAP }).connect().await.unwrap();
    let source = (0..).map(|i| format!("{{{i}}}:from")).find(|key| ring.node_for(key).name() == "b").unwrap();
    let target = source.replace("from", "to");
    servers[1].kill();
    away(&ring, "b").await;
    let at = ring.placement().successors(&source).nth(1).unwrap();
    let stand_in = Node::connect(servers[at].url()).await.unwrap();
    let waiting = tokio::spawn({
        let (ring, source, target) = (ring.clone(), source.clone(), target.clone());
        async move {
            let long = Duration::from_secs(60);
            ring.blmove::<String>(&source, &target, Direction::Left, Direction::Right, long).await
        }
    });
    eventually("it waits", async || {
        let clients: String = stand_in.query(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
        clients.contains("cmd=blmove")
    })
    .await;
    proxies[at].hold(Way::Replies);
    stand_in.rpush(&source, "job").await.unwrap();
    eventually("it was executed", async || stand_in.exists(&[&target]).await.unwrap() == 1).await;
    waiting.abort();
    eventually(
        "what it has written ends",
        async || matches!(stand_in.pttl(&target).await.unwrap(), TimeToLive::In(left) if left <= CAP),
    )
    .await;
}

#[tokio::test]
async fn a_part_that_stands_in_for_some_keys_and_owns_others_treats_each_as_it_should() {
    let mut servers = servers();
    let ring = ring(&servers, OnDown::Failover { ttl_cap: CAP }).await;
    let of = |name| keys_of(&ring, name, 20);
    let (a, b, c) = (of("a"), of("b"), of("c"));
    // Of the parts for `a` and `c`, one begins with a key of its own, and one with a key that it stands in for.
    for keys in [[&a[..], &b, &c].concat(), [&b[..], &a, &c].concat()] {
        ring.mset(keys.iter().map(|key| (key, "before"))).await.unwrap();
        servers[1].kill();
        away(&ring, "b").await;
        ring.mset(keys.iter().map(|key| (key, "meanwhile"))).await.unwrap();
        for key in &keys {
            let lives = ring.pttl(key).await.unwrap();
            assert_eq!(lives == TimeToLive::Persistent, !b.contains(key), "{key}: {lives:?}");
        }
        let gone = [&a[..2], &b[..2], &c[..2]].concat();
        assert_eq!(ring.del(&gone).await.unwrap(), 6);
        servers[1].restart(Data::Keep).unwrap();
        back(&ring, &b[0], "b").await;
        for key in &keys {
            let found = ring.get::<String>(key).await.unwrap();
            let is_there = !b.contains(key) && !gone.contains(key);
            assert_eq!(found.as_deref(), is_there.then_some("meanwhile"), "{key}");
        }
    }
}

#[tokio::test]
async fn a_pipeline_does_not_wait_for_each_of_its_commands_while_a_node_is_away() {
    const N: usize = 60;
    let mut servers = servers();
    let proxy = Proxy::to(servers[0].port()).await;
    let urls = [proxy.url(), servers[1].url(), servers[2].url()];
    let nodes = NAMES.iter().zip(&urls);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = ring.on_down(OnDown::Failover { ttl_cap: CAP }).response_timeout(DEADLINE);
    let ring = ring.connect().await.unwrap();
    servers[1].kill();
    away(&ring, "b").await;
    let keys = keys_of(&ring, "a", N);
    let a = ring.on_node("a").unwrap();
    for deletes in [false, true] {
        proxy.hold(Way::Requests);
        let pipeline = ring.pipeline();
        let written: Vec<_> = keys.iter().map(|key| pipeline.incr(key)).collect();
        let again: Vec<_> = keys.iter().map(|key| pipeline.incr(key)).collect();
        let gone = deletes.then(|| pipeline.unlink(&keys));
        let executed = pipeline.execute();
        let all = async {
            eventually("all are under way", async || a.in_flight() >= N as u64).await;
            proxy.heal();
        };
        let (executed, ()) = tokio::join!(executed, all);
        executed.check().unwrap();
        let first = if deletes { 3 } else { 1 };
        for (i, (written, again)) in written.into_iter().zip(again).enumerate() {
            assert_eq!((written.await.unwrap(), again.await.unwrap()), (first, first + 1), "{i}");
        }
        if let Some(gone) = gone {
            assert_eq!(gone.await.unwrap(), N as u64);
        }
    }
}

/// A ring whose node `b` is reached through a proxy, and keys of `b`, so many.
async fn ring_with_a_proxy(servers: &[Server], n: usize) -> (Proxy, RedisRing, Vec<String>) {
    let proxy = Proxy::to(servers[1].port()).await;
    let urls = [servers[0].url(), proxy.url(), servers[2].url()];
    let nodes = NAMES.iter().zip(&urls);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = ring.on_down(OnDown::Failover { ttl_cap: CAP }).connect_timeout(Duration::from_millis(500));
    let ring = ring.connect().await.unwrap();
    let keys = keys_of(&ring, "b", n);
    (proxy, ring, keys)
}

/// From now on whoever answers for `b` says nothing: until that has been given up the node is not down.
async fn says_nothing(proxy: &Proxy, ring: &RedisRing) {
    let node = ring.on_node("b").unwrap();
    proxy.lose(Way::Replies);
    proxy.reset();
    eventually("its connection is gone", async || !node.is_connected()).await;
    assert!(!node.is_down());
}

#[tokio::test]
async fn calls_that_waited_in_vain_for_a_connection_go_to_the_node_that_stands_in() {
    let servers = servers();
    let (proxy, ring, keys) = ring_with_a_proxy(&servers, 2).await;
    says_nothing(&proxy, &ring).await;
    let (written, read) = tokio::join!(ring.set(&keys[0], 1), ring.get::<u8>(&keys[1]));
    written.unwrap();
    assert_eq!((read.unwrap(), ring.get::<u8>(&keys[0]).await.unwrap()), (None, Some(1)));
}

#[tokio::test]
async fn calls_that_waited_in_vain_for_a_connection_while_another_node_is_away_go_elsewhere_too() {
    let mut servers = servers();
    let (proxy, ring, keys) = ring_with_a_proxy(&servers, 5).await;
    let of_a = keys_of(&ring, "a", 1).remove(0);
    servers[2].kill();
    away(&ring, "c").await;
    says_nothing(&proxy, &ring).await;
    // One of one node, and parts of several.
    let pairs = [(&keys[1], "1"), (&of_a, "2"), (&keys[2], "3")];
    let (deleted, written, parts, read) =
        tokio::join!(ring.del(&keys[3]), ring.set(&keys[0], 0), ring.mset(pairs), ring.get::<u8>(&keys[4]),);
    written.unwrap();
    parts.unwrap();
    assert_eq!((deleted.unwrap(), read.unwrap()), (0, None));
    let all = [&keys[0], &keys[1], &of_a, &keys[2]];
    assert_eq!(ring.mget::<u8>(&all).await.unwrap(), [Some(0), Some(1), Some(2), Some(3)]);
}

#[tokio::test]
async fn writes_that_meet_the_return_of_a_node_are_never_old_afterwards() {
    let mut servers = servers();
    let ring = ring(&servers, OnDown::Failover { ttl_cap: CAP }).await;
    let key = keys_of(&ring, "b", 1).remove(0);
    for round in 0..3 {
        ring.set(&key, 1_000_000).await.unwrap();
        servers[1].kill();
        away(&ring, "b").await;
        servers[1].restart(Data::Keep).unwrap();
        let mut i = 0;
        eventually("it serves again", async || {
            i += 1;
            ring.set(&key, i).await.unwrap();
            // The one just written, or, if the node has come back in between, none; never the old one.
            let found = ring.get::<u32>(&key).await.unwrap();
            assert!(found.is_none_or(|found| found == i), "{round}: {found:?} for {i}");
            ring.health().contains(&("b".to_owned(), Health::Up))
        })
        .await;
    }
}

#[tokio::test]
async fn a_ring_remapped_without_a_node_does_on_its_return_as_it_was_told() {
    let longest = Duration::from_millis(1500);
    for (rejoin, expected) in [
        (Rejoin::Trust, Some("before")),
        (Rejoin::FlushPrefix("key:".to_owned()), None),
        (Rejoin::WaitMaxTtl(longest), None),
    ] {
        let mut servers = servers();
        let ring = ring(&servers, OnDown::Remap { on_return: rejoin.clone() }).await;
        let keys = keys_of(&ring, "b", 5);
        for key in &keys {
            ring.psetex(key, if expected.is_some() { CAP } else { longest }, "before").await.unwrap();
        }
        ring.on_node("b").unwrap().set("other:1", "kept").await.unwrap();
        servers[1].kill();
        away(&ring, "b").await;
        assert_eq!(ring.get::<String>(&keys[0]).await.unwrap(), None);
        ring.set(&keys[0], "meanwhile").await.unwrap();
        assert_eq!(ring.pttl(&keys[0]).await.unwrap(), TimeToLive::Persistent, "no cap");
        assert_eq!(ring.get::<String>(&keys[0]).await.unwrap().as_deref(), Some("meanwhile"));
        servers[1].restart(Data::Keep).unwrap();
        back(&ring, &keys[0], "b").await;
        for key in &keys {
            assert_eq!(ring.get::<String>(key).await.unwrap().as_deref(), expected, "{rejoin:?}");
        }
        let other = ring.on_node("b").unwrap().get::<String>("other:1").await.unwrap();
        assert_eq!(other.as_deref(), Some("kept"), "{rejoin:?}");
    }
}

#[tokio::test]
async fn what_belongs_to_one_connection_or_one_owner_fails_with_its_node() {
    for on_down in [OnDown::Failover { ttl_cap: CAP }, OnDown::Remap { on_return: Rejoin::Trust }] {
        let mut servers = servers();
        let ring = ring(&servers, on_down.clone()).await;
        let key = &keys_of(&ring, "b", 1)[0];
        servers[1].kill();
        away(&ring, "b").await;
        assert_eq!(ring.get::<u8>(key).await.unwrap(), None, "another node stands in");
        let transaction = ring.transaction(key, async |tx| tx.get::<u8>(key).await).await;
        let script = Script::new("return 1").key(key).invoke::<u8, _>(&ring).await;
        for error in [transaction.unwrap_err(), script.unwrap_err()] {
            assert!(error.to_string().contains("its node `b` cannot answer"), "{on_down:?}: {error}");
            assert!(!error.may_have_executed(), "{error}");
        }
        let once = LockOptions::new(CAP).wait_at_most(Duration::ZERO);
        let error = ring.lock(key, once).acquire().await.unwrap_err();
        assert!(matches!(&error, LockError::Store(error) if error.to_string().contains("`b`")), "{error}");
        let error = ring.subscribe(key).await.unwrap_err();
        assert!(error.is_connect() && error.to_string().contains("`b`"), "{error}");
    }
}

#[tokio::test]
async fn what_no_other_node_does_for_the_owner_is_not_done_before_the_owner_is_ready_to_serve() {
    let on_down = OnDown::Remap { on_return: Rejoin::WaitMaxTtl(Duration::from_secs(3600)) };
    let mut servers = servers();
    let ring = ring(&servers, on_down).await;
    let key = &keys_of(&ring, "b", 1)[0];
    ring.set(key, "before").await.unwrap();
    servers[1].kill();
    away(&ring, "b").await;
    servers[1].restart(Data::Keep).unwrap();
    let owner = ring.on_node("b").unwrap();
    eventually("it is connected", async || owner.ready().await.is_ok()).await;
    assert_eq!(ring.get::<String>(key).await.unwrap(), None, "another node stands in");
    let get = Script::new("return redis.call('GET', KEYS[1])");
    let atomic = ring.pipeline().atomic();
    let in_block = atomic.get::<String>(key);
    let _each_reply_tells = atomic.execute().await;
    let mut lent = ring.clone();
    let mut block = redis::pipe();
    let of_redis_rs = block.atomic().get(key).query_async::<(String,)>(&mut lent).await;
    assert!(of_redis_rs.unwrap_err().to_string().contains("not ready to serve"));
    for error in [
        ring.transaction(key, async |tx| tx.get::<String>(key).await).await.unwrap_err(),
        get.key(key).invoke::<String, _>(&ring).await.unwrap_err(),
        in_block.await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("not ready to serve"), "{error}");
        assert!(!error.may_have_executed(), "{error}");
    }
    let once = LockOptions::new(CAP).wait_at_most(Duration::ZERO);
    let error = ring.lock(key, once).acquire().await.unwrap_err();
    assert!(matches!(&error, LockError::Store(error) if error.to_string().contains("`b`")), "{error}");
}

#[tokio::test]
async fn a_process_that_only_runs_scripts_lets_a_node_serve_again_and_reads_nothing_old_from_it() {
    const LONGEST: Duration = Duration::from_secs(3);
    let mut servers = servers();
    let ring = ring(&servers, OnDown::Remap { on_return: Rejoin::WaitMaxTtl(LONGEST) }).await;
    let key = &keys_of(&ring, "b", 1)[0];
    let get = Script::new("return redis.call('GET', KEYS[1])");
    let read = async || get.key(key).invoke::<Option<String>, _>(&ring).await;
    ring.setex(key, LONGEST, "before").await.unwrap();
    servers[1].kill();
    let owner = ring.on_node("b").unwrap();
    eventually("it is left alone", async || read().await.is_err() && owner.is_down()).await;
    servers[1].restart(Data::Keep).unwrap();
    let mut found = Some("none".to_owned());
    eventually("a script runs", async || match read().await {
        Ok(read) => {
            found = read;
            true
        }
        Err(error) => {
            assert!(error.is_connect(), "{error}");
            false
        }
    })
    .await;
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_message_reaches_those_who_listen_at_an_owner_that_does_not_serve_yet() {
    let on_down = OnDown::Remap { on_return: Rejoin::WaitMaxTtl(Duration::from_secs(3600)) };
    let mut servers = servers();
    let ring = ring(&servers, on_down).await;
    let channel = &keys_of(&ring, "b", 1)[0];
    let _listening = ring.subscribe(channel).await.unwrap();
    servers[1].kill();
    away(&ring, "b").await;
    assert!(ring.publish(channel, "lost").await.is_err(), "nobody could hear it");
    servers[1].restart(Data::Keep).unwrap();
    let owner = ring.on_node("b").unwrap();
    eventually("somebody listens again", async || owner.publish(channel, "again").await.is_ok_and(|n| 0 < n))
        .await;
    assert_eq!(ring.get::<String>(channel).await.unwrap(), None, "another node stands in for its keys");
    assert_eq!(ring.publish(channel, "heard").await.unwrap(), 1);
}

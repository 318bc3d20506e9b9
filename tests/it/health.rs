//! When one server fails: what its calls come to, what is sent again, and what is told of it.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use redisdb::Error;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::OnDown;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Rejoin;
use redisdb::node;
use redisdb::node::AclCommands;
use redisdb::node::ErrorKind;
use redisdb::node::ListCommands;
use redisdb::node::LockError;
use redisdb::node::LockOptions;
use redisdb::node::NodeEvent;
use redisdb::node::Observer;
use redisdb::node::Outcome;
use redisdb::node::PubSubCommands;
use redisdb::node::ScriptingCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Sums;
use redisdb_tests::Way;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

fn config(server: &Server) -> NodeConfig {
    NodeConfig::new(&server.url()).unwrap()
}

/// A node whose events are kept.
fn observed(config: NodeConfig) -> (Node, impl Fn() -> Vec<String>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    let keep = move |_: &str, event: NodeEvent| {
        let text = event.to_string();
        // The cause of a failure has the system's words in it.
        kept.lock().unwrap().push(text.split(": no").next().unwrap().to_owned());
    };
    (Node::observed(config, Observer::new(keep)), move || events.lock().unwrap().clone())
}

#[tokio::test]
async fn every_change_of_a_nodes_health_is_told_once() {
    let mut server = Server::start().unwrap();
    let (node, events) = observed(config(&server));
    node.set("k", 1).await.unwrap();
    node.config_set("maxmemory", "1").await.unwrap();
    for _ in 0..3 {
        let error = node.set("k", 2).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Some("OOM"), Outcome::Rejected));
        assert!(node.refuses_writes() && !node.is_down());
        assert_eq!(node.get::<u8>("k").await.unwrap(), Some(1), "it answers reads");
    }
    node.config_set("maxmemory", "0").await.unwrap();
    node.set("k", 3).await.unwrap();
    assert!(!node.refuses_writes());
    server.kill();
    eventually("it is left alone", async || node.is_down()).await;
    let error = node.set("k", 4).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Down { .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotSent);
    server.restart(Data::Lose).unwrap();
    // Nobody calls: the node finds out by itself.
    eventually("it is back", async || !node.is_down()).await;
    assert_eq!((node.incarnation(), node.get::<u8>("k").await.unwrap()), (1, None));
    assert_eq!(
        events(),
        [
            "connected",
            "takes no writes: OOM",
            "takes writes again",
            "disconnected",
            "down",
            "connected, to another process than before",
        ]
    );
}

#[tokio::test]
async fn a_paused_server_is_left_alone_and_found_again_without_any_call() {
    let server = Server::start().unwrap();
    let timeout = Duration::from_millis(200);
    let config = config(&server).with_response_timeout(timeout).with_connect_timeout(timeout);
    let (node, events) = observed(config.with_probe_interval(timeout));
    node.set("k", 1).await.unwrap();
    server.pause();
    eventually("idle, it is found to hang", async || node.is_down()).await;
    for _ in 0..1000 {
        let error = node.incr("k").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Down { .. }) && !error.may_have_executed(), "{error}");
    }
    server.resume();
    eventually("it is found again", async || !node.is_down()).await;
    assert_eq!(node.incr("k").await.unwrap(), 2);
    let events = events();
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!((events[0].as_str(), events[3].as_str()), ("connected", "connected"));
}

#[tokio::test]
async fn a_caller_with_little_patience_condemns_nobody() {
    let server = Server::start().unwrap();
    let node = Node::connect(config(&server).with_response_timeout(Duration::from_secs(20))).await.unwrap();
    let hasty = node.with_deadline(Duration::from_millis(20));
    server.pause();
    for _ in 0..10 {
        let error = hasty.incr("n").await.unwrap_err();
        assert!(error.is_timeout() && error.outcome() == Outcome::Unknown, "{error}");
    }
    assert!(node.is_connected() && !node.is_down());
    server.resume();
    let n: i64 = node.get("n").await.unwrap().unwrap();
    assert_eq!(n, 10, "what timed out is executed later: it is unknown, not failed");
}

#[tokio::test]
async fn a_deadline_covers_the_connection_too() {
    let server = Server::start().unwrap();
    server.pause();
    let node = Node::new(config(&server).with_connect_timeout(Duration::from_secs(60)));
    let error = node.with_deadline(Duration::from_millis(50)).get::<u8>("k").await.unwrap_err();
    assert!(error.is_timeout() && error.outcome() == Outcome::NotSent, "{error}");
    server.resume();
    // The attempt goes on without its caller.
    assert_eq!(node.get::<u8>("k").await.unwrap(), None);
}

#[tokio::test]
async fn calls_above_the_bound_fail_at_once_and_are_not_sent() {
    const BOUND: usize = 8;
    let server = Server::start().unwrap();
    let patient = config(&server).with_response_timeout(Duration::from_secs(20));
    let node = Node::connect(patient.with_max_in_flight(BOUND)).await.unwrap();
    server.pause();
    let waiting: Vec<_> = (0..BOUND)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { node.incr("n").await })
        })
        .collect();
    eventually("they are under way", async || node.in_flight() == BOUND as u64).await;
    for _ in 0..100 {
        let error = node.incr("n").await.unwrap_err();
        assert!(error.is_overloaded() && error.outcome() == Outcome::NotSent, "{error}");
    }
    server.resume();
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    assert_eq!((node.in_flight(), node.incr("n").await.unwrap()), (0, BOUND as i64 + 1));
}

#[tokio::test]
async fn a_call_whose_caller_has_gone_counts_until_its_reply_comes() {
    const BOUND: usize = 8;
    let server = Server::start().unwrap();
    let patient = config(&server).with_response_timeout(Duration::from_secs(20));
    let node = Node::connect(patient.with_max_in_flight(BOUND)).await.unwrap();
    server.pause();
    for n in 0..100 {
        match node.incr("n").now_or_never() {
            None => assert!(n < BOUND, "{n} calls were sent"),
            Some(refused) => assert!(BOUND <= n && refused.unwrap_err().is_overloaded()),
        }
    }
    server.resume();
    eventually("there is room", async || node.get::<i64>("n").await.is_ok_and(|n| n == Some(BOUND as i64)))
        .await;
}

#[tokio::test]
async fn calls_above_the_bound_wait_for_room_where_the_node_says_so() {
    const BOUND: usize = 4;
    let server = Server::start().unwrap();
    let patient = config(&server).with_response_timeout(Duration::from_secs(20));
    let node = Node::connect(patient.with_max_in_flight(BOUND).with_wait_for_room(true)).await.unwrap();
    server.pause();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { node.incr("n").await })
        })
        .collect();
    eventually("they are under way", async || node.in_flight() == 100).await;
    // Of one that waits until its deadline nothing was sent.
    let error = node.with_deadline(Duration::from_millis(20)).incr("n").await.unwrap_err();
    assert!(error.is_overloaded() && error.outcome() == Outcome::NotSent, "{error}");
    // Some of those that wait go, also such as are let in just now.
    for call in calls.iter().step_by(3) {
        call.abort();
    }
    server.resume();
    let mut n_done = 0;
    for (n, call) in calls.into_iter().enumerate() {
        let outcome = call.await;
        assert!(outcome.is_ok() || n % 3 == 0);
        n_done += i64::from(outcome.is_ok_and(|reply| reply.is_ok()));
    }
    assert!(66 <= n_done, "{n_done}");
    let n = node.get::<i64>("n").await.unwrap().unwrap();
    assert!(n_done <= n && n <= 100, "{n_done} of 100 were told, {n} were done");
    // Callers who come again and again let those in who came before them.
    let workers = (0..3 * BOUND).map(|_| {
        let node = node.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                node.incr("n").await.unwrap();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_also_by_callers_who_give_up_before_a_reply_is_due() {
    let server = Server::start().unwrap();
    let node =
        Node::connect(config(&server).with_response_timeout(Duration::from_millis(300))).await.unwrap();
    server.pause();
    eventually("it is left alone", async || {
        let _given_up = tokio::time::timeout(Duration::from_millis(20), node.incr("n")).await;
        node.is_down()
    })
    .await;
    server.resume();
    eventually("it is found again", async || !node.is_down()).await;
}

#[tokio::test]
async fn calls_that_were_not_sent_when_the_connection_was_lost_are_sent_over_the_next_one() {
    const CALLS: usize = 200;
    // 80 MiB in all: more than the buffers of the system take.
    const SIZE: u64 = 400 << 10;
    let value = "x".repeat(SIZE as usize);
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).await;
    let patient = NodeConfig::new(&proxy.url()).unwrap().with_response_timeout(Duration::from_secs(20));
    let node = Node::connect(patient.with_connect_timeout(Duration::from_secs(20))).await.unwrap();
    server.pause();
    let calls: Vec<_> = (0..CALLS)
        .map(|i| {
            let (node, value) = (node.clone(), value.clone());
            tokio::spawn(async move { node.append(i.to_string(), value).await })
        })
        .collect();
    eventually("they are under way", async || node.in_flight() == CALLS as u64).await;
    proxy.reset();
    server.resume();
    let mut n_done = 0;
    for (i, call) in calls.into_iter().enumerate() {
        let outcome = call.await.unwrap();
        let held = node.strlen(i.to_string()).await.unwrap();
        match outcome {
            Ok(length) => {
                assert_eq!((length, held), (SIZE, SIZE), "{i}");
                n_done += 1;
            }
            Err(error) => {
                assert_eq!(error.outcome(), Outcome::Unknown, "{i}: {error}");
                assert!(held == 0 || held == SIZE, "{i}: {held}");
            }
        }
    }
    assert!(CALLS / 4 < n_done, "{n_done}");
}

#[tokio::test]
async fn what_may_be_done_twice_is_sent_again_when_the_connection_is_lost() {
    let server = Server::start().unwrap();
    let node = Node::connect(config(&server).with_response_timeout(Duration::from_secs(20))).await.unwrap();
    let other = Node::connect(config(&server)).await.unwrap();
    let send = async |words: &[&str]| other.send(redis::Cmd::new().arg(words)).await.unwrap();
    // Writes wait on the server, until their connection is ended there.
    let waits = async || {
        eventually("the write waits", async || {
            let clients = other.info_with(&["clients"]).await.unwrap();
            clients.get("clients", "blocked_clients").is_some_and(|n| n != "0")
        })
        .await;
    };
    for (key, is_repeated) in [("set", true), ("incr", false), ("setnx", false)] {
        send(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
        let caller = node.clone();
        let call = tokio::spawn(async move {
            match key {
                "set" => caller.set(key, 1).await.map(drop),
                "incr" => caller.incr(key).await.map(drop),
                _ => caller.setnx(key, 1).await.map(drop),
            }
        });
        waits().await;
        send(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        if is_repeated {
            waits().await;
        }
        send(&["CLIENT", "UNPAUSE"]).await;
        let outcome = call.await.unwrap().map_err(|error| error.outcome());
        assert_eq!(outcome, if is_repeated { Ok(()) } else { Err(Outcome::Unknown) }, "{key}");
        assert_eq!(node.get::<u8>(key).await.unwrap(), is_repeated.then_some(1), "{key}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_denied_by_a_later_attempt() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(config(&server).with_response_timeout(Duration::from_secs(20))).await.unwrap();
    let other = Node::connect(config(&server)).await.unwrap();
    other.send(redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE")).await.unwrap();
    let caller = node.clone();
    let call = tokio::spawn(async move { caller.set("k", 1).await });
    eventually("the write waits", async || {
        let clients = other.info_with(&["clients"]).await.unwrap();
        clients.get("clients", "blocked_clients").is_some_and(|n| n != "0")
    })
    .await;
    server.kill();
    // The second attempt is certainly not sent, but the first one was.
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    eventually("it is left alone", async || node.is_down()).await;
    assert_eq!(node.set("k", 1).await.unwrap_err().outcome(), Outcome::NotSent);
}

#[tokio::test]
async fn what_a_busy_server_turns_away_is_sent_again_a_few_times() {
    let server = Server::start().unwrap();
    let node = Node::connect(config(&server)).await.unwrap();
    let other = Node::connect(config(&server).with_response_timeout(Duration::from_secs(30))).await.unwrap();
    node.config_set("lua-time-limit", "1").await.unwrap();
    let endless = tokio::spawn(async move {
        other.send(redis::cmd("EVAL").arg("while true do end").arg(0)).await.unwrap_err();
    });
    eventually("it is busy", async || {
        node.get::<u8>("n").await.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    let third = Node::connect(config(&server)).await;
    assert!(third.is_err(), "it lets nobody in meanwhile");
    let error = node.incr("n").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(!node.is_down(), "to turn a call away is to answer");
    node.send(redis::cmd("SCRIPT").arg("KILL")).await.unwrap();
    endless.await.unwrap();
    assert_eq!(node.get::<u8>("n").await.unwrap(), None, "nothing was executed");
    let stats = node.info_with(&["commandstats"]).await.unwrap();
    let rejected: u32 = stats
        .get("commandstats", "cmdstat_incr")
        .and_then(|stats| stats.split(',').find_map(|part| part.strip_prefix("rejected_calls=")))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(rejected, 4, "once, and three times again");
}

#[tokio::test]
async fn the_deadline_of_a_copy_leaves_time_for_another_node_than_the_one_that_hangs() {
    // Its nodes have the patience of ten seconds.
    let (servers, copy) = copy().await;
    let keys: Vec<String> = (0..20).map(|i| format!("key:{i}")).collect();
    _ = copy.mset(keys.iter().zip(0..)).await.unwrap();
    servers[1].pause();
    let hasty = copy.with_deadline(Duration::from_millis(600));
    let all = async {
        for (key, i) in keys.iter().zip(0..) {
            assert_eq!(hasty.get::<u32>(key).await.unwrap(), Some(i), "{key}");
        }
        let replies = hasty.set("k", 1).await.unwrap();
        let outcomes: Vec<_> =
            replies.iter().map(|(_, outcome)| outcome.error().map(|e| e.outcome())).collect();
        assert_eq!(outcomes, [None, Some(Outcome::Unknown), None]);
        let replies = hasty.incrbyfloat("f", 0.5).await.unwrap();
        assert_eq!(replies.successes().count(), 2);
    };
    tokio::time::timeout(Duration::from_secs(9), all).await.unwrap();
    servers[1].resume();
}

#[tokio::test]
async fn a_rings_deadline_bounds_each_of_its_calls() {
    let (servers, ring) = ring().await;
    let key_of =
        |name: &str| (0..).map(|i| format!("key:{i}")).find(|key| ring.node_for(key).name() == name).unwrap();
    let keys = NAMES.map(key_of);
    ring.mset(keys.iter().zip(0..)).await.unwrap();
    servers[1].pause();
    let hasty = ring.with_deadline(Duration::from_millis(200));
    let all = async {
        assert!(hasty.get::<u32>(&keys[1]).await.unwrap_err().is_timeout());
        assert_eq!(hasty.get::<u32>(&keys[0]).await.unwrap(), Some(0));
        let error = hasty.mget::<u32>(&keys).await.unwrap_err();
        let Error::Partial(partial) = &error else { panic!("{error}") };
        assert_eq!(partial.failed_keys().count(), 1);
        let pipeline = hasty.pipeline();
        let values: Vec<_> = keys.iter().map(|key| pipeline.get::<u32>(key)).collect();
        assert_eq!(pipeline.execute().await.failures().count(), 1);
        drop(values);
    };
    tokio::time::timeout(Duration::from_secs(8), all).await.unwrap();
    servers[1].resume();
}

#[tokio::test]
async fn what_a_copy_asks_each_node_or_one_alone_keeps_its_deadline() {
    // Its nodes have the patience of ten seconds.
    let (servers, copy) = copy().await;
    let channel = (0..).map(|i| format!("news:{i}")).find(|name| copy.node_for(name).name() == "b").unwrap();
    servers[1].pause();
    let hasty = copy.with_deadline(Duration::from_millis(200));
    let all = async {
        let is_late = |error: &node::Error| error.is_timeout();
        let users = hasty.acl_whoami().await.unwrap();
        let late: Vec<_> =
            users.failures().filter(|(_, error)| is_late(error)).map(|(name, _)| name).collect();
        assert_eq!((users.successes().count(), late), (2, vec!["b"]));
        assert_eq!(hasty.script_exists(&["0"]).await.unwrap(), [false], "those that answer say so");
        let error = hasty.publish(&channel, "x").await.unwrap_err();
        assert!(error.node_errors().into_iter().all(is_late), "{error}");
    };
    tokio::time::timeout(Duration::from_secs(8), all).await.unwrap();
    servers[1].resume();
}

#[tokio::test]
async fn a_message_on_a_copy_has_the_whole_deadline() {
    const LATE: Duration = Duration::from_millis(1500);
    let servers = Servers::start(3).unwrap();
    let (mut proxies, mut copy) = (Vec::new(), RedisCopy::builder());
    for (name, server) in NAMES.iter().zip(servers.iter()) {
        let proxy = Proxy::to(server.port()).await;
        copy = copy.node(*name, &proxy.url());
        proxies.push(proxy);
    }
    let copy = copy.response_timeout(Duration::from_secs(60)).connect().await.unwrap();
    proxies.iter().for_each(|proxy| proxy.slow(Way::Replies, LATE, Duration::ZERO));
    // More than a half of it, and than the share of one of three nodes.
    let hasty = copy.with_deadline(LATE * 9 / 5);
    let pipeline = hasty.pipeline();
    let promise = pipeline.publish("news", "x");
    let (alone, _) = tokio::join!(hasty.publish("news", "x"), pipeline.execute());
    assert_eq!(alone.unwrap().first(), Some(&0));
    assert_eq!(promise.await.unwrap().first(), Some(&0));
}

#[tokio::test]
async fn a_flush_of_a_copy_with_an_identity_keeps_its_deadline() {
    let servers = Servers::start(2).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url)).identity("shop");
    let copy = copy.response_timeout(Duration::from_secs(60)).connect().await.unwrap();
    servers[1].pause();
    let hasty = copy.with_deadline(Duration::from_millis(200));
    let flushed = tokio::time::timeout(Duration::from_secs(20), hasty.flushall()).await;
    servers[1].resume();
    let late: Vec<_> = flushed.unwrap().unwrap().failures().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(late, ["b"]);
}

#[tokio::test]
async fn a_time_that_no_clock_can_count_is_as_good_as_for_ever() {
    const LONG: Duration = Duration::MAX;
    let servers = Servers::start(3).unwrap();
    let config = config(&servers[0]).with_response_timeout(LONG).with_connect_timeout(LONG);
    let node = Node::connect(config).await.unwrap();
    node.with_deadline(LONG).set("k", 1).await.unwrap();
    assert_eq!(node.get::<u8>("k").await.unwrap(), Some(1));
    node.lpush("k", "x").await.unwrap_err();
    for on_down in [OnDown::Failover { ttl_cap: LONG }, OnDown::Remap { on_return: Rejoin::WaitMaxTtl(LONG) }]
    {
        let nodes = NAMES.iter().zip(servers.urls());
        let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
        let ring = ring.on_down(on_down).connect().await.unwrap().with_deadline(LONG);
        let key = (0..).map(|i| format!("key:{i}")).find(|key| ring.node_for(key).name() == "b").unwrap();
        ring.set(&key, 1).await.unwrap();
        servers[1].pause();
        eventually("it is left alone", async || ring.on_node("b").unwrap().is_down()).await;
        ring.set(&key, 2).await.unwrap();
        assert_eq!(ring.get::<u8>(&key).await.unwrap(), Some(2), "another node stands in");
        servers[1].resume();
        eventually("it answers", async || ring.on_node("b").unwrap().ping().await.is_ok()).await;
    }
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.connect().await.unwrap().with_deadline(LONG);
    _ = copy.set("k", 3).await.unwrap();
    assert_eq!(copy.get::<u8>("k").await.unwrap(), Some(3));
    let options = LockOptions::new(LONG).retry_every(LONG);
    let guard = copy.lock("l", options).acquire().await.unwrap();
    let once = options.wait_at_most(Duration::from_secs(1));
    assert!(matches!(copy.lock("l", once).acquire().await, Err(LockError::NotAcquired)));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn a_ring_asks_one_node_after_the_other_within_one_deadline() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let servers = Servers::start(3).unwrap();
    let mut ring = RedisRing::builder().connect_timeout(Duration::from_secs(60));
    for (name, server) in NAMES.iter().zip(servers.iter()) {
        server.pause();
        ring = ring.node(*name, &server.url());
    }
    let ring = ring.build().unwrap().with_deadline(DEADLINE);
    let password = redis::cmd("ACL").arg("GENPASS").take();
    let outcome = tokio::time::timeout(2 * DEADLINE, ring.query::<String>(&password)).await;
    servers.iter().for_each(Server::resume);
    let error = outcome.expect("three nodes are asked in the time of one").unwrap_err();
    assert!(!error.may_have_executed() && error.node_errors().len() == 3, "{error}");
}

#[tokio::test]
async fn calls_are_counted_by_what_they_came_to() {
    let mut server = Server::start().unwrap();
    let sums = Sums::of("redisdb_call");
    // On this thread alone, which is where everything here runs.
    let recording = metrics::set_default_local_recorder(&sums);
    let node = Node::connect(config(&server).with_name("a")).await.unwrap();
    for _ in 0..3 {
        node.set("k", "text").await.unwrap();
    }
    node.incr("k").await.unwrap_err();
    let pipeline = node.pipeline();
    let values = [pipeline.get::<String>("k"), pipeline.get("l")];
    pipeline.execute().await.check().unwrap();
    drop(values);
    server.kill();
    eventually("it is left alone", async || node.is_down()).await;
    let gets = 5;
    for _ in 0..gets {
        node.get::<String>("k").await.unwrap_err();
    }
    drop(recording);
    let all = sums.all();
    let sum = |name: &str| all.get(name).copied().unwrap_or(0);
    assert_eq!(sum("redisdb_calls_total node=a group=string outcome=answered"), 3);
    assert_eq!(sum("redisdb_calls_total node=a group=string outcome=rejected"), 1);
    assert_eq!(sum("redisdb_calls_total node=a group=string outcome=not_sent"), gets);
    assert_eq!(sum("redisdb_calls_total node=a group=pipeline outcome=answered"), 1);
    assert_eq!(sum("redisdb_call_seconds node=a group=string"), 4 + gets, "{all:?}");
}

//! Commands that wait for something to come.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use redis::Direction;
use redisdb::Error;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::node::BlockingCommands;
use redisdb::node::ErrorKind;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ReadGroupOptions;
use redisdb::node::ScoreEnd;
use redisdb::node::ServerCommands;
use redisdb::node::SortedSetCommands;
use redisdb::node::StreamCommands;
use redisdb::node::StringCommands;
use redisdb::node::plumbing::Fence;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::ring;
use xtask::Server;
use xtask::Servers;

const SHORT: Duration = Duration::from_millis(20);
const FOREVER: Duration = Duration::ZERO;

async fn node() -> (Server, Node) {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    (server, node)
}

/// A field of INFO, as a number.
async fn info(node: &Node, section: &str, field: &str) -> u64 {
    node.info().await.unwrap().parse(section, field).unwrap()
}

async fn until_blocked(node: &Node, clients: u64) {
    eventually("so many clients wait", async || info(node, "clients", "blocked_clients").await == clients)
        .await;
}

#[tokio::test]
async fn what_is_there_is_taken_at_once() {
    let (_server, node) = node().await;
    node.rpush("l", &["1", "2", "3", "4", "5", "6"]).await.unwrap();
    let one = |n: &str| Some(("l".to_owned(), n.to_owned()));
    assert_eq!(node.blpop::<String, String>(&["none", "l"], FOREVER).await.unwrap(), one("1"));
    assert_eq!(node.brpop::<String, String>("l", FOREVER).await.unwrap(), one("6"));
    let moved = node.blmove::<u8>("l", "m", Direction::Left, Direction::Right, FOREVER).await.unwrap();
    assert_eq!(moved, Some(2));
    assert_eq!(node.brpoplpush::<u8>("l", "m", FOREVER).await.unwrap(), Some(5));
    if is_since(&node, (7, 0, 0), "BLMPOP").await {
        let popped = node.blmpop::<String, u8>(&["none", "l"], Direction::Left, 9, FOREVER).await.unwrap();
        assert_eq!(popped, Some(("l".to_owned(), vec![3, 4])));
    }
    assert_eq!(node.lrange::<u8>("m", 0, -1).await.unwrap(), [5, 2]);

    node.zadd("z", [(1.0, "a"), (2.0, "b"), (3.0, "c"), (4.5, "d")]).await.unwrap();
    let least = node.bzpopmin::<String, String>(&["none", "z"], FOREVER).await.unwrap();
    assert_eq!(least, Some(("z".to_owned(), "a".to_owned(), 1.0)));
    let most = node.bzpopmax::<String, String>("z", FOREVER).await.unwrap();
    assert_eq!(most, Some(("z".to_owned(), "d".to_owned(), 4.5)));
    if is_since(&node, (7, 0, 0), "BZMPOP").await {
        let rest = node.bzmpop::<String, String>("z", ScoreEnd::Max, 9, FOREVER).await.unwrap();
        assert_eq!(rest, Some(("z".to_owned(), vec![("c".to_owned(), 3.0), ("b".to_owned(), 2.0)])));
    }

    let id = node.xadd("x", [("f", 7)]).await.unwrap();
    let tails = node.xread_block::<String, String, u8>(&["x", "y"], &["0", "0"], FOREVER).await.unwrap();
    assert_eq!((tails[0].0.as_str(), tails[0].1[0].id), ("x", id));
    assert_eq!(tails[0].1[0].fields, HashMap::from([("f".to_owned(), 7)]));
    node.send(redis::cmd("XGROUP").arg("CREATE").arg("x").arg("g").arg("0")).await.unwrap();
    let given = node
        .xreadgroup_block::<String, String, u8>("g", "me", "x", ReadGroupOptions::new(), FOREVER)
        .await
        .unwrap();
    assert_eq!(given.len(), 1);
}

#[tokio::test]
async fn what_does_not_come_in_time_is_none() {
    let (_server, node) = node().await;
    let start = Instant::now();
    assert_eq!(node.blpop::<String, String>("l", SHORT).await.unwrap(), None);
    assert_eq!(node.brpop::<String, String>("l", SHORT).await.unwrap(), None);
    assert_eq!(node.brpoplpush::<String>("l", "m", SHORT).await.unwrap(), None);
    assert_eq!(node.bzpopmin::<String, String>("z", SHORT).await.unwrap(), None);
    assert_eq!(node.bzpopmax::<String, String>("z", SHORT).await.unwrap(), None);
    assert_eq!(node.xread_block::<String, String, u8>("x", "$", SHORT).await.unwrap(), []);
    assert!(start.elapsed() >= 6 * SHORT);
    if is_since(&node, (7, 0, 0), "BLMPOP, BZMPOP").await {
        let start = Instant::now();
        assert_eq!(node.blmpop::<String, String>("l", Direction::Left, 1, SHORT).await.unwrap(), None);
        assert_eq!(node.bzmpop::<String, String>("z", ScoreEnd::Min, 1, SHORT).await.unwrap(), None);
        assert!(start.elapsed() >= 2 * SHORT);
    }
    // Longer than the response timeout, which is for the reply alone.
    let patient = node.config().response_timeout() + Duration::from_millis(200);
    assert_eq!(node.blpop::<String, String>("l", patient).await.unwrap(), None);
}

#[tokio::test]
async fn the_server_forgets_a_call_that_is_dropped() {
    let (_server, node) = node().await;
    for round in 1..=10 {
        let jobs = format!("jobs:{round}");
        let waiting = tokio::spawn({
            let (node, jobs) = (node.clone(), jobs.clone());
            async move { node.blpop::<String, String>(&jobs, FOREVER).await }
        });
        until_blocked(&node, 1).await;
        waiting.abort();
        until_blocked(&node, 0).await;
        // Nobody takes it, now or when the pool hands out the next connection.
        node.rpush(&jobs, "one").await.unwrap();
        assert_eq!(node.blpop::<String, String>("none", SHORT).await.unwrap(), None);
        assert_eq!(node.llen(&jobs).await.unwrap(), 1);
    }
    // The shared connection and one that is kept for the next call.
    eventually("nothing is left open", async || info(&node, "clients", "connected_clients").await == 2).await;
}

#[tokio::test]
async fn no_more_connections_of_ones_own_are_made_than_may_be() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_max_dedicated(2).with_response_timeout(SHORT);
    let node = Node::connect(config).await.unwrap();
    let held = [node.dedicated().await.unwrap(), node.dedicated().await.unwrap()];
    let error = node.dedicated().await.unwrap_err();
    assert!(error.is_not_sent() && error.to_string().contains("all 2 dedicated connections"), "{error}");
    assert!(error.to_string().contains("`max_dedicated`"), "{error}");
    assert!(error.is_overloaded() && !error.is_unsupported(), "{error}");
    assert!(node.blpop::<String, String>("l", FOREVER).await.unwrap_err().is_overloaded());
    let never = node.transaction("k", async |_| Ok(())).await.unwrap_err();
    assert!(never.is_overloaded(), "{never}");
    drop(held);
    let again = [node.dedicated().await.unwrap(), node.dedicated().await.unwrap()];
    again[0].set("k", 1).await.unwrap();
    assert_eq!(again[1].get::<u8>("k").await.unwrap(), Some(1));
    assert_eq!(info(&node, "clients", "connected_clients").await, 3);
}

#[tokio::test]
async fn a_connection_of_ones_own_to_another_server_than_the_node_leads_to_by_now_is_not_used_again() {
    let servers = Servers::start(2).unwrap();
    let proxy = Proxy::to(servers[0].port()).await;
    let node = Node::connect(proxy.url()).await.unwrap();
    let outsider = Node::connect(servers[0].url()).await.unwrap();
    node.dedicated().await.unwrap().set("k", "first").await.unwrap();
    assert_eq!(node.dedicated().await.unwrap().get::<String>("k").await.unwrap().as_deref(), Some("first"));
    let shared = node.send(redis::cmd("CLIENT").arg("ID")).await.unwrap();
    let shared: u64 = redis::from_redis_value(shared).unwrap();
    proxy.lead_new_ones_to(servers[1].port());
    outsider.send(redis::cmd("CLIENT").arg("KILL").arg("ID").arg(shared)).await.unwrap();
    eventually("it leads to the other server", async || {
        node.ready().await.is_ok() && node.incarnation() == 1
    })
    .await;
    assert_eq!(node.dedicated().await.unwrap().get::<String>("k").await.unwrap(), None);
    eventually("the other one is gone", async || info(&outsider, "clients", "connected_clients").await == 1)
        .await;
}

#[tokio::test]
async fn a_connection_of_ones_own_to_another_process_than_the_fence_admits_is_not_used() {
    let servers = Servers::start(2).unwrap();
    let proxy = Proxy::to(servers[0].port()).await;
    let node = Node::connect(proxy.url()).await.unwrap();
    let fenced = node.fenced(&Fence::open_to(node.incarnation()));
    proxy.lead_new_ones_to(servers[1].port());
    // The shared connection leads to the first server still.
    assert!(fenced.ping().await.is_ok());
    // One that was taken without a fence is asked as well.
    for _ in 0..2 {
        let error = fenced.blpop::<String, String>("l", SHORT).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Fenced), "{error}");
        assert!(node.blpop::<String, String>("l", SHORT).await.is_ok(), "without a fence any server will do");
    }
}

#[tokio::test]
async fn a_blocking_command_that_a_replica_turned_away_follows_the_name() {
    let (master, next) = (Server::start().unwrap(), Server::start().unwrap());
    let proxy = Proxy::to(master.port()).await;
    let by_name = Node::connect(format!("redis://localhost:{}", proxy.port())).await.unwrap();
    let by_address = Node::connect(proxy.url()).await.unwrap();
    for node in [&by_name, &by_address] {
        assert_eq!(node.blpop::<String, String>("l", SHORT).await.unwrap(), None);
    }
    // Connections that are there stay.
    proxy.lead_new_ones_to(next.port());
    let at_master = Node::connect(master.url()).await.unwrap();
    at_master.send(redis::cmd("REPLICAOF").arg("127.0.0.1").arg(next.port())).await.unwrap();
    Node::connect(next.url()).await.unwrap().rpush("l", "here").await.unwrap();
    let error = by_address.blpop::<String, String>("l", SHORT).await.unwrap_err();
    assert_eq!(error.code(), Some("READONLY"), "{error}");
    assert!(by_address.refuses_writes());
    let popped = by_name.blpop::<String, String>("l", SHORT).await.unwrap();
    assert_eq!(popped, Some(("l".to_owned(), "here".to_owned())));
    assert!(!by_name.refuses_writes());
}

#[tokio::test]
async fn a_connection_that_outlives_its_node_is_told_that_the_server_hangs() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_response_timeout(Duration::from_millis(100));
    let node = Node::connect(config.with_probe_interval(Duration::from_millis(50))).await.unwrap();
    let owned = node.dedicated().await.unwrap();
    drop(node);
    server.pause();
    let waits = owned.blpop::<String, String>("l", FOREVER);
    let error = tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("went down"), "{error}");
    server.resume();
}

#[tokio::test]
async fn a_connection_that_was_left_inside_a_block_or_watching_does_not_harm_the_next_who_takes_it() {
    let (_server, node) = node().await;
    for left in [redis::cmd("MULTI"), redis::cmd("WATCH").arg("k").take()] {
        let mut owned = node.dedicated().await.unwrap();
        left.query_async::<()>(&mut owned).await.unwrap();
        drop(owned);
        node.set("k", "changed").await.unwrap();
        let mut owned = node.dedicated().await.unwrap();
        assert_eq!(owned.get::<String>("k").await.unwrap().as_deref(), Some("changed"), "{left:?}");
        // What was watched would make this nil.
        let executed: Option<(String,)> =
            redis::pipe().atomic().get("k").query_async(&mut owned).await.unwrap();
        assert_eq!(executed, Some(("changed".to_owned(),)), "{left:?}");
    }
}

#[tokio::test]
async fn what_a_connection_was_given_up_with_is_sent_no_further() {
    let server = Server::start().unwrap();
    let config = NodeConfig::new(&server.url()).unwrap().with_response_timeout(10 * SHORT);
    let node = Node::connect(config).await.unwrap();
    let outsider = Node::connect(server.url()).await.unwrap();
    let owned = node.dedicated().await.unwrap();
    server.pause();
    // More than the sockets hold.
    let error = owned.set("k", vec![b'x'; 32 << 20]).await.unwrap_err();
    server.resume();
    assert!(error.is_timeout() && error.may_have_executed(), "{error}");
    eventually("it is gone", async || {
        let clients = outsider.info_with(&["clients"]).await.unwrap();
        clients.parse::<u64>("clients", "connected_clients").is_some_and(|n| n == 2)
            && node.ready().await.is_ok()
    })
    .await;
    assert_eq!(outsider.exists("k").await.unwrap(), 0);
}

/// Waits for it to end, once its node is down, by an error that says so.
async fn ends_by_its_node<T>(waiting: impl Future<Output = Result<T, redisdb::node::Error>>) {
    let waited = tokio::time::timeout(redisdb_tests::DEADLINE, waiting).await.expect("it ends");
    let error = waited.err().expect("nothing came");
    assert!(error.may_have_executed() && error.to_string().contains("went down"), "{error}");
}

#[tokio::test]
async fn what_waits_without_end_ends_when_its_node_goes_down() {
    let (server, node) = node().await;
    let through_redis_rs = async {
        let mut owned = node.dedicated().await.unwrap();
        let popped: redis::RedisResult<(String, String)> =
            redis::cmd("BRPOP").arg("none").arg(0).query_async(&mut owned).await;
        assert!(popped.unwrap_err().to_string().contains("went down"));
    };
    let replicas = async {
        let owned = node.dedicated().await.unwrap();
        ends_by_its_node(owned.wait(1, FOREVER)).await;
    };
    let stopped = async {
        until_blocked(&node, 4).await;
        server.pause();
    };
    tokio::join!(
        ends_by_its_node(node.blpop::<String, String>("none", FOREVER)),
        ends_by_its_node(node.xread_block::<String, String, String>("none", "$", FOREVER)),
        through_redis_rs,
        replicas,
        stopped,
    );
    assert!(node.is_down());
    server.resume();
    eventually("it is back", async || node.ready().await.is_ok()).await;
    node.rpush("none", 1).await.unwrap();
    let popped = node.blpop::<String, String>("none", FOREVER).await.unwrap();
    assert_eq!(popped, Some(("none".to_owned(), "1".to_owned())));
}

#[tokio::test]
async fn a_dedicated_connection_left_in_mid_reply_is_closed_and_another_one_is_kept() {
    let (_server, node) = node().await;
    let owned = node.dedicated().await.unwrap();
    let dropped =
        tokio::time::timeout(Duration::from_millis(50), owned.blpop::<String, String>("l", FOREVER)).await;
    assert!(dropped.is_err());
    until_blocked(&node, 0).await;
    let error = owned.get::<String>("k").await.unwrap_err();
    assert!(error.is_not_sent() && error.to_string().contains("dropped"), "{error}");
    drop(owned);
    for _ in 0..20 {
        node.dedicated().await.unwrap().set("k", 1).await.unwrap();
    }
    eventually("one is kept", async || info(&node, "clients", "connected_clients").await == 2).await;
    assert_eq!(node.llen("l").await.unwrap(), 0);
}

#[tokio::test]
async fn many_wait_at_once_and_each_element_goes_to_one() {
    let (_server, node) = node().await;
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let node = node.clone();
            tokio::spawn(async move { node.blpop::<String, u32>("jobs", FOREVER).await.unwrap().unwrap().1 })
        })
        .collect();
    until_blocked(&node, 30).await;
    node.rpush("jobs", (0..30).collect::<Vec<u32>>()).await.unwrap();
    let mut taken = Vec::new();
    for task in waiting {
        taken.push(task.await.unwrap());
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_waiting_call_does_not_slow_the_others() {
    let (_server, node) = node().await;
    node.set("k", "v").await.unwrap();
    let gets = async || {
        let start = Instant::now();
        for _ in 0..10_000 {
            node.get::<String>("k").await.unwrap();
        }
        start.elapsed()
    };
    gets().await;
    let mut ratios = Vec::new();
    // Each with the one before it, for the machine is faster at one time than at another.
    for _ in 0..3 {
        let alone = gets().await;
        let waiting = tokio::spawn({
            let node = node.clone();
            async move { node.blpop::<String, String>("jobs", Duration::from_secs(30)).await }
        });
        until_blocked(&node, 1).await;
        let beside = gets().await;
        until_blocked(&node, 1).await;
        waiting.abort();
        until_blocked(&node, 0).await;
        ratios.push(beside.as_secs_f64() / alone.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("10,000 GETs beside a waiting call, to 10,000 alone: {ratios:.2?}");
    assert!(ratios[0] < 1.5, "{ratios:?}");
}

#[tokio::test]
async fn a_blocking_call_on_a_ring_waits_at_the_owner() {
    let (_servers, ring) = ring().await;
    for i in 0..10 {
        let keys = [format!("{{{i}}}:a"), format!("{{{i}}}:b")];
        let waiting = tokio::spawn({
            let (ring, keys) = (ring.clone(), keys.clone());
            async move { ring.blpop::<String, String>(&keys, FOREVER).await }
        });
        let owner = ring.node_for(&keys[0]);
        until_blocked(&owner, 1).await;
        ring.rpush(&keys[1], "x").await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), Some((keys[1].clone(), "x".to_owned())));
    }
    let error = ring.blpop::<String, String>(&["a", "b"], FOREVER).await.unwrap_err();
    assert!(matches!(error, Error::CrossNode(_)), "{error}");

    // By redis-rs too.
    ring.rpush("l", "x").await.unwrap();
    let popped: (String, String) =
        redis::cmd("BLPOP").arg("l").arg(0).query_async(&mut ring.clone()).await.unwrap();
    assert_eq!(popped, ("l".to_owned(), "x".to_owned()));
}

#[tokio::test]
async fn on_a_copy_nothing_is_taken_and_a_stream_can_be_waited_for() {
    let (_servers, copy) = copy().await;
    let error = copy.blpop::<String, String>("l", FOREVER).await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    assert!(error.to_string().contains("pop without blocking, or wait on one node"), "{error}");
    let waiting = tokio::spawn({
        let copy = copy.clone();
        async move { copy.xread_block::<String, String, u8>("x", "$", FOREVER).await }
    });
    until_blocked(&copy.node_for("x"), 1).await;
    let id = copy.node_for("x").xadd("x", [("f", 1)]).await.unwrap();
    let tails = waiting.await.unwrap().unwrap();
    assert_eq!(tails[0].1[0].id, id);
}

#[tokio::test]
async fn on_a_copy_with_an_identity_a_read_that_waits_asks_one_node_whatever_the_deadline() {
    let servers = Servers::start(3).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.identity("shop").connect().await.unwrap().with_deadline(10 * SHORT);
    assert_eq!(copy.xread_block::<String, String, u8>("x", "$", 30 * SHORT).await.unwrap(), []);
}

#[tokio::test]
async fn a_dedicated_connection_waits_for_the_replicas_of_its_writes() {
    let (server, node) = node().await;
    let owned = node.dedicated().await.unwrap();
    owned.set("k", 1).await.unwrap();
    assert_eq!(owned.wait(1, SHORT).await.unwrap(), 0);
    let replica = Server::builder().args(["--replicaof", "127.0.0.1", &server.port().to_string()]);
    let replica = replica.start().unwrap();
    eventually("it follows", async || info(&node, "replication", "connected_slaves").await == 1).await;
    owned.set("k", 2).await.unwrap();
    assert_eq!(owned.wait(1, Duration::from_secs(20)).await.unwrap(), 1);
    let replica = Node::connect(replica.url()).await.unwrap();
    assert_eq!(replica.get::<u8>("k").await.unwrap(), Some(2));

    // The shared connection has written what others wrote.
    let error = node.wait(1, SHORT).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("dedicated()"), "{error}");
    let error = node.waitaof(1, 0, SHORT).await.unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("dedicated()"), "{error}");
    if is_since(&node, (7, 2, 0), "WAITAOF").await {
        let server = Server::builder().persistent().start().unwrap();
        let owned = Node::connect(server.url()).await.unwrap().dedicated().await.unwrap();
        owned.set("k", 1).await.unwrap();
        assert_eq!(owned.waitaof(1, 0, Duration::from_secs(20)).await.unwrap(), (1, 0));
    } else {
        // It reaches the server in its own words: that one does not know it.
        let error = owned.waitaof(1, 0, SHORT).await.unwrap_err();
        assert!(error.code() == Some("ERR") && error.to_string().contains("WAITAOF"), "{error}");
    }
}

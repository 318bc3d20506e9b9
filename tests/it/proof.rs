//! Servers that do not tell a user, or anybody, which process they are: what they hold counts only where something else
//! proves that it is the process from before.

use std::time::Duration;

use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb_tests::Events;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::since;
use tracing::Level;
use xtask::Data;
use xtask::Server;
use xtask::ServerBuilder;
use xtask::Servers;
use xtask::needs;

const KEYS: usize = 20;
/// The permissions that the documentation of Redis gives to programs: neither `INFO` nor `RESTORE`.
const PROGRAM: &str = "+@all -@dangerous";
const NO_INFO: &str = "+@all -info";
/// Users who may not ask what proves which process answers, one way or another.
const BLIND: [&str; 6] = [
    PROGRAM,
    NO_INFO,
    "+@all -info -script",
    "+@all -info -client",
    "+@all -info -script -client",
    "+@all -info -hello -client",
];

/// A server with a user `app`.
fn with_user(rules: &str) -> ServerBuilder {
    Server::builder().args(["--user", "app", "on", ">secret", "~*", "&*"]).args(rules.split(' '))
}

fn url(server: &Server) -> String {
    format!("redis://app:secret@127.0.0.1:{}", server.port())
}

fn over(servers: &Servers) -> CopyBuilder {
    let nodes = ["a", "b", "c"].iter().zip(servers.iter());
    nodes.fold(RedisCopy::builder(), |copy, (name, server)| copy.node(*name, &url(server)))
}

/// A node of a server, as somebody who may do all.
async fn outsider(server: &Server) -> Node {
    Node::connect(format!("redis://127.0.0.1:{}", server.port())).await.unwrap()
}

async fn fill(copy: &RedisCopy) {
    _ = copy.mset((0..KEYS).map(|i| (format!("key:{i}"), i))).await.unwrap();
    _ = copy.rpush("list", &[1, 2, 3]).await.unwrap();
    _ = copy.hset("hash", "f", "v").await.unwrap();
}

/// Every key is there, and is not taken by who must be the first; or nobody says anything.
async fn says_nothing_wrong(copy: &RedisCopy) {
    for i in 0..KEYS {
        let key = format!("key:{i}");
        if let Ok(found) = copy.get::<usize>(&key).await {
            assert_eq!(found, Some(i), "{:?}", copy.health());
        }
        if let Ok(taken) = copy.setnx(&key, "other").await {
            assert!(taken.successes().all(|(_, taken)| !taken), "{:?}", copy.health());
        }
    }
}

async fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

/// A server of a copy comes back empty, and is made equal before it says anything.
async fn comes_back_empty(builder: ServerBuilder, identity: Option<&str>) {
    let mut servers = builder.start_many(2).unwrap();
    let copy = match identity {
        Some(identity) => over(&servers).identity(identity),
        None => over(&servers),
    };
    let copy = copy.connect().await.unwrap();
    fill(&copy).await;
    servers[1].kill();
    eventually("it is known to be down", async || copy.health()[1].1 == Health::Down).await;
    servers[1].restart(Data::Lose).unwrap();
    let b = copy.on_node("b").unwrap();
    eventually("it is well again, and says nothing wrong before", async || {
        says_nothing_wrong(&copy).await;
        let is_well = is_well(&copy).await;
        if is_well {
            assert_eq!(b.get::<usize>("key:7").await.unwrap(), Some(7), "who is up has been made equal");
            assert_eq!(b.llen("list").await.unwrap(), 3);
            assert_eq!(b.hget::<String>("hash", "f").await.unwrap().as_deref(), Some("v"));
        }
        is_well
    })
    .await;
    assert!(b.incarnation() > 0);
    assert_eq!(copy.verify().run().await.unwrap(), []);
    for i in 0..KEYS {
        assert_eq!(b.get::<usize>(format!("key:{i}")).await.unwrap(), Some(i));
    }
}

#[tokio::test]
async fn a_server_that_came_back_empty_answers_nothing_to_a_user_who_cannot_see_it() {
    for rules in BLIND {
        println!("{rules}");
        comes_back_empty(with_user(rules), None).await;
    }
}

#[tokio::test]
async fn nor_does_one_of_a_copy_with_an_identity() {
    for rules in BLIND {
        println!("{rules}");
        comes_back_empty(with_user(rules), Some("shop")).await;
    }
}

#[tokio::test]
async fn nor_does_one_whose_info_was_renamed() {
    let renamed = || with_user("+@all").args(["--rename-command", "INFO", ""]);
    comes_back_empty(renamed(), None).await;
    comes_back_empty(renamed(), Some("shop")).await;
}

/// The newest connection of the user.
async fn newest(outsider: &Node) -> Option<u64> {
    let list: String = outsider.query(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
    let of_user = list.lines().filter(|line| line.contains(" user=app "));
    of_user.filter_map(|line| line.strip_prefix("id=")?.split(' ').next()?.parse().ok()).max()
}

/// Returns which incarnation a node's server is, each time its connection was ended.
async fn ended(server: &Server, node: &Node, n: u64) -> Vec<u64> {
    let outsider = outsider(server).await;
    let mut incarnations = Vec::new();
    for _ in 0..n {
        let before = newest(&outsider).await;
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        outsider.send(&kill).await.unwrap();
        eventually("it is connected anew", async || before < newest(&outsider).await && node.is_connected())
            .await;
        incarnations.push(node.incarnation());
    }
    incarnations
}

#[tokio::test]
async fn a_new_connection_to_the_same_process_is_no_loss_where_a_script_proves_it() {
    let servers = with_user(NO_INFO).start_many(2).unwrap();
    let copy = over(&servers).connect().await.unwrap();
    fill(&copy).await;
    let b = copy.on_node("b").unwrap();
    let admin = outsider(&servers[1]).await;
    let is_proved = is_since(&admin, (7, 0, 0), "that a script proves the process").await;
    let expected: Vec<u64> = if is_proved { vec![0, 0, 0] } else { vec![1, 2, 3] };
    assert_eq!(ended(&servers[1], &b, 3).await, expected);
    says_nothing_wrong(&copy).await;
    eventually("it is well", async || is_well(&copy).await).await;

    // Whoever removes the script takes the proof, once.
    let before = b.incarnation();
    admin.script_flush(FlushMode::Sync).await.unwrap();
    let lost = ended(&servers[1], &b, 2).await;
    assert_eq!(lost, if is_proved { vec![before + 1, before + 1] } else { vec![before + 1, before + 2] });
    eventually("it is well", async || is_well(&copy).await).await;
}

#[tokio::test]
async fn a_connection_to_a_process_that_nothing_proves_is_one_to_another_but_for_the_first() {
    let servers = with_user("+@all -info -script").start_many(2).unwrap();
    let copy = over(&servers).connect().await.unwrap();
    fill(&copy).await;
    assert_eq!(copy.nodes().map(|node| node.incarnation()).collect::<Vec<_>>(), [0, 0]);
    assert!(is_well(&copy).await);
    let b = copy.on_node("b").unwrap();
    assert_eq!(ended(&servers[1], &b, 2).await, [1, 2]);
    says_nothing_wrong(&copy).await;
    eventually("it was compared, and is well", async || is_well(&copy).await).await;
    says_nothing_wrong(&copy).await;
}

/// All connections end at once, and nothing proves that the servers are the processes from before.
async fn nobody_is_known_to_be_right(identity: Option<&str>, by_repair: bool) {
    let (warnings, _listening) = Events::listen("redisdb", Level::WARN);
    let servers = with_user("+@all -info -script").start_many(2).unwrap();
    let proxies = [Proxy::to(servers[0].port()).await, Proxy::to(servers[1].port()).await];
    let mut copy = RedisCopy::builder();
    for (name, proxy) in ["a", "b"].iter().zip(&proxies) {
        copy = copy.node(*name, &proxy.url().replace("redis://", "redis://app:secret@"));
    }
    let copy = match identity {
        Some(identity) => copy.identity(identity),
        None => copy,
    };
    let copy = copy.connect().await.unwrap();
    fill(&copy).await;
    let at_b = outsider(&servers[1]).await;
    at_b.set("key:7", "b's").await.unwrap();
    proxies.iter().for_each(Proxy::refuse);
    let is_down = |(_, health): &(String, Health)| *health == Health::Down;
    eventually("they are known to be down", async || copy.health().iter().all(is_down)).await;
    proxies.iter().for_each(Proxy::heal);
    eventually("they are connected anew", async || copy.nodes().all(|node| node.is_connected())).await;

    let about = "no node is known to have `key:7` right";
    let told = || warnings.lines().iter().filter(|line| line.contains(about)).count();
    eventually("it is told of which key they hold not the same, and that is not read before", async || {
        let error = copy.get::<String>("key:7").await.unwrap_err();
        let Error::Unavailable(unavailable) = &error else { panic!("{error}") };
        assert!(!unavailable.behind.is_empty() || !unavailable.errors.is_empty(), "{error:?}");
        assert!(copy.setnx("key:7", "other").await.is_err());
        told() == 1
    })
    .await;
    eventually("all else is read from both", async || {
        copy.health().iter().all(|(_, health)| *health == Health::Suspect)
    })
    .await;
    assert_eq!(copy.get::<String>("key:3").await.unwrap().as_deref(), Some("3"));
    match by_repair {
        true => assert!(copy.repair("b").from("a").run().await.unwrap().readmitted),
        false => copy.readmit("a").await.unwrap(),
    }
    eventually("it is well again, by what `a` holds", async || {
        let found = copy.get::<String>("key:7").await.unwrap();
        assert_eq!(found.as_deref(), Some("7"));
        is_well(&copy).await
    })
    .await;
    assert_eq!(at_b.get::<String>("key:7").await.unwrap().as_deref(), Some("7"));
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(told(), 1, "once");
}

#[tokio::test]
async fn where_all_connections_end_at_once_and_nothing_proves_who_answers_what_both_hold_alike_is_read() {
    for identity in [None, Some("shop")] {
        for by_repair in [false, true] {
            println!("{identity:?} {by_repair}");
            nobody_is_known_to_be_right(identity, by_repair).await;
        }
    }
}

#[tokio::test]
async fn a_ring_takes_no_harm_from_connections_that_nothing_proves() {
    let servers = with_user("+@all -info -script -client -hello").start_many(2).unwrap();
    let urls: Vec<String> = servers.iter().map(url).collect();
    let ring = RedisRing::builder().node("a", &urls[0]).node("b", &urls[1]).connect().await.unwrap();
    ring.mset((0..KEYS).map(|i| (format!("key:{i}"), i))).await.unwrap();
    ring.rpush("list", &[1, 2, 3]).await.unwrap();
    assert_eq!(ring.blpop::<String, u8>("list", Duration::from_secs(5)).await.unwrap().unwrap().1, 1);
    for (server, node) in servers.iter().zip(ring.nodes()) {
        assert_eq!(ended(server, &node, 2).await, [1, 2]);
    }
    for i in 0..KEYS {
        assert_eq!(ring.get::<usize>(format!("key:{i}")).await.unwrap(), Some(i));
    }
    assert_eq!(ring.blpop::<String, u8>("list", Duration::from_secs(5)).await.unwrap().unwrap().1, 2);
}

#[tokio::test]
async fn a_process_that_starts_later_takes_no_server_for_the_one_that_was_marked_without_a_proof() {
    let mut servers = with_user(NO_INFO).start_many(2).unwrap();
    let first = over(&servers).identity("shop").connect().await.unwrap();
    fill(&first).await;
    let old = servers[1].dump().unwrap();
    _ = first.mset((0..KEYS).map(|i| (format!("key:{i}"), i + 100))).await.unwrap();
    drop(first);

    let admin = outsider(&servers[0]).await;
    if !is_since(&admin, (7, 0, 0), "that a script proves the process").await {
        let error = over(&servers).identity("shop").connect().await.unwrap_err();
        assert!(matches!(error, Error::Identity { .. }), "{error}");
        assert!(error.to_string().contains("ACL SETUSER app +info"), "{error}");
        // Whoever vouches for the servers is believed.
        let vouched = over(&servers).identity("shop").build().unwrap();
        vouched.adopt().await.unwrap();
        assert_eq!(vouched.get::<usize>("key:7").await.unwrap(), Some(107));
        return;
    }
    let second = over(&servers).identity("shop").connect().await.unwrap();
    assert!(is_well(&second).await, "{:?}", second.health());
    drop(second);
    // Its marker is as young as that of the other, and came from the dump with the old values.
    servers[1].restart_from(&old).unwrap();
    let third = over(&servers).identity("shop").connect().await.unwrap();
    eventually("it is made equal, and says nothing before", async || {
        for i in 0..KEYS {
            assert_eq!(third.get::<usize>(format!("key:{i}")).await.unwrap(), Some(i + 100));
        }
        is_well(&third).await
    })
    .await;
    assert_eq!(third.on_node("b").unwrap().get::<usize>("key:7").await.unwrap(), Some(107));
}

#[tokio::test]
async fn two_processes_that_cannot_see_who_answers_bring_a_node_back_once_and_agree() {
    let mut servers = with_user(NO_INFO).start_many(2).unwrap();
    let first = over(&servers).identity("shop").connect().await.unwrap();
    fill(&first).await;
    let admin = outsider(&servers[0]).await;
    needs!(since(&admin, (7, 0, 0)).await);
    let second = over(&servers).identity("shop").connect().await.unwrap();
    servers[1].restart(Data::Lose).unwrap();
    for copy in [&first, &second] {
        eventually("it is another process", async || copy.on_node("b").unwrap().incarnation() == 1).await;
    }
    eventually("both are well", async || is_well(&first).await && is_well(&second).await).await;
    let at_b = outsider(&servers[1]).await;
    let marker = async || at_b.get::<String>("__redisdb:{shop}:node").await.unwrap();
    let generation = async || {
        let marker = marker().await?;
        marker.split("\"generation\":").nth(1)?.split(',').next().map(str::to_owned)
    };
    // Neither makes it whole again and again, because the other one did.
    let (before, looks) = (generation().await.unwrap(), looks_at(&at_b).await);
    eventually("both look at it", async || looks + 6 < looks_at(&at_b).await).await;
    assert_eq!(generation().await.unwrap(), before);
    assert!(is_well(&first).await && is_well(&second).await);
}

/// Returns how often the marker of a server was looked at.
async fn looks_at(server: &Node) -> u64 {
    let stats = server.info_with(&["commandstats"]).await.unwrap();
    let stats = stats.get("commandstats", "cmdstat_dbsize").unwrap_or_default();
    stats.strip_prefix("calls=").and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_copy_tells_once_that_nothing_proves_who_answers_and_what_to_do() {
    let server = with_user("+@all -info -script").start().unwrap();
    let (warnings, listening) = Events::listen("redisdb_node::connection", Level::WARN);
    let node = Node::connect(url(&server)).await.unwrap();
    ended(&server, &node, 2).await;
    drop(listening);
    let warnings = warnings.lines();
    assert!(matches!(&warnings[..], [one] if one.contains("ACL SETUSER app +info")), "{warnings:?}");
}

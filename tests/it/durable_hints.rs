//! Durable hints: what a node of a copy with an identity has missed stands on the other servers, outlives the process that saw it, and
//! other processes go by it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Cmd;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnDifference;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb::node::Script;
use redisdb_cluster::shadow::Listener;
use redisdb_cluster::shadow::Told;
use redisdb_tests::Events;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Way;
use redisdb_tests::calls;
use redisdb_tests::eventually;
use redisdb_tests::process;
use tracing::Level;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

const SHOP: Option<&str> = Some("shop");
const KEYS: usize = 60;

fn key(i: usize) -> String {
    format!("key:{i}")
}

fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

fn health_of(copy: &RedisCopy, name: &str) -> Health {
    copy.health().into_iter().find(|(node, _)| node == name).unwrap().1
}

async fn nodes(servers: &Servers) -> Vec<Node> {
    let mut nodes = Vec::new();
    for url in servers.urls() {
        nodes.push(Node::connect(url).await.unwrap());
    }
    nodes
}

/// The keys of the hints that a server holds.
async fn hints_on(node: &Node) -> Vec<String> {
    let keys: Vec<String> = node.keys("__redisdb:{shop}:missed:*").await.unwrap();
    keys
}

async fn no_hint_is_left(nodes: &[Node]) {
    eventually("no hint is left", async || {
        for node in nodes {
            if !hints_on(node).await.is_empty() {
                return false;
            }
        }
        true
    })
    .await;
}

/// Waits until a process knows that it cannot reach a node.
async fn is_missed(copy: &RedisCopy, name: &str) {
    eventually("it is away", async || !copy.on_node(name).unwrap().is_connected()).await;
}

async fn check(copy: &RedisCopy, value: &str) {
    for i in 0..KEYS {
        assert_eq!(copy.get::<String>(key(i)).await.unwrap().as_deref(), Some(value), "{}", key(i));
    }
}

/// Returns how many keys of a server were compared: each is asked for its size.
async fn n_compared(node: &Node) -> u64 {
    let info = node.info_with(&["commandstats"]).await.unwrap();
    // Before Redis 7.0 there is one line for all that `MEMORY` does.
    let calls = ["cmdstat_memory|usage", "cmdstat_memory"].iter().find_map(|it| info.get("commandstats", it));
    let calls = calls.unwrap_or("calls=0,");
    calls.strip_prefix("calls=").unwrap().split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_process_that_starts_later_reads_nothing_that_a_node_missed_before() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let first = process(&urls, SHOP).connect().await.unwrap();
    _ = first.mset((0..1000).map(|i| (key(i), "old"))).await.unwrap();
    servers[2].pause();
    // By itself, in a pipeline, decided by one node, and by a whole value.
    for i in 0..KEYS {
        match i % 4 {
            0 => _ = first.set(key(i), "new").await.unwrap(),
            1 => {
                let pipe = first.pipeline();
                let written = pipe.set(key(i), "new");
                _ = pipe.execute().await;
                _ = written.await.unwrap();
            }
            2 => assert!(
                *first.getset::<String>(key(i), "new").await.unwrap().first().unwrap()
                    == Some("old".to_owned())
            ),
            _ => _ = first.setex(key(i), Duration::from_secs(1000), "new").await.unwrap(),
        }
    }
    drop(first);
    let nodes = [Node::connect(&*urls[0]).await.unwrap(), Node::connect(&*urls[1]).await.unwrap()];
    for node in &nodes {
        assert_eq!(hints_on(node).await, ["__redisdb:{shop}:missed:c"]);
    }
    servers[2].resume();
    let behind = Node::connect(&*urls[2]).await.unwrap();
    assert_eq!(behind.get::<String>(key(KEYS - 1)).await.unwrap().as_deref(), Some("old"));
    let before = n_compared(&behind).await;
    // Else it would lead, and compare all keys once.
    let second = process(&urls, SHOP).on_difference(OnDifference::Leave).connect().await.unwrap();
    check(&second, "new").await;
    eventually("it is up again", async || is_well(&second)).await;
    check(&second, "new").await;
    for i in 0..KEYS {
        assert_eq!(behind.get::<String>(key(i)).await.unwrap().as_deref(), Some("new"), "{}", key(i));
    }
    // What was missed was compared, some times, and not all 1,000 keys.
    let compared = n_compared(&behind).await - before;
    assert!((1..500).contains(&compared), "{compared}");
    no_hint_is_left(&[nodes[0].clone(), nodes[1].clone(), behind]).await;
}

#[tokio::test]
async fn a_process_that_starts_later_compares_at_most_twice_as_many_keys_as_were_hinted() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let first = process(&urls, SHOP).connect().await.unwrap();
    for page in 0..10 {
        _ = first.mset((page * 1000..(page + 1) * 1000).map(|i| (key(i), "old"))).await.unwrap();
    }
    servers[2].pause();
    for i in 0..KEYS {
        _ = first.set(key(i), "new").await.unwrap();
    }
    drop(first);
    servers[2].resume();
    let nodes = nodes(&servers).await;
    let before = n_compared(&nodes[2]).await;
    let compared = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&compared);
    let listener = Listener::new(move |told| {
        if let Told::Compared(node, keys) = told {
            heard.lock().unwrap().extend(keys.iter().map(|key| (node, key.clone())));
        }
    });
    // Else it would lead, and compare all keys once.
    let second = process(&urls, SHOP).on_difference(OnDifference::Leave).shadow(listener);
    let second = second.connect().await.unwrap();
    eventually("it is up again", async || is_well(&second)).await;
    check(&second, "new").await;
    no_hint_is_left(&nodes).await;
    let looks = compared.lock().unwrap().clone();
    let keys: BTreeSet<_> = looks.iter().collect();
    assert!((KEYS..=2 * KEYS).contains(&keys.len()), "{} keys", keys.len());
    // Nor was anything else compared there, by what the server has counted.
    let n_looks = n_compared(&nodes[2]).await - before;
    assert!((looks.len() as u64..1_000).contains(&n_looks), "{n_looks} looks");
}

#[tokio::test]
async fn another_process_soon_reads_nothing_that_a_node_missed_which_only_the_writer_cannot_reach() {
    let servers = Servers::start(3).unwrap();
    let mut urls = servers.urls();
    let reader = process(&urls, SHOP).connect().await.unwrap();
    let proxy = Proxy::to(servers[1].port()).await;
    urls[1] = proxy.url();
    let writer = process(&urls, SHOP).connect().await.unwrap();
    let read_from_b: Vec<String> =
        (0..1000).map(key).filter(|key| reader.node_for(key).name() == "b").take(KEYS).collect();
    _ = writer.mset(read_from_b.iter().map(|key| (key, "old"))).await.unwrap();
    proxy.refuse();
    proxy.reset();
    is_missed(&writer, "b").await;
    for key in &read_from_b {
        _ = writer.set(key, "new").await.unwrap();
    }
    eventually("the reader has heard of it", async || {
        let mut n_new = 0;
        for key in &read_from_b {
            n_new += usize::from(reader.get::<String>(key).await.unwrap().as_deref() == Some("new"));
        }
        n_new == KEYS
    })
    .await;
    // The reader brings the node up to date, though the writer still cannot.
    let nodes = nodes(&servers).await;
    eventually("the node has it", async || {
        let mut n_new = 0;
        for key in &read_from_b {
            n_new += usize::from(nodes[1].get::<String>(key).await.unwrap().as_deref() == Some("new"));
        }
        n_new == KEYS && is_well(&reader)
    })
    .await;
    assert_ne!(health_of(&writer, "b"), Health::Up);
    proxy.heal();
    eventually("the writer reaches it again", async || is_well(&writer)).await;
    no_hint_is_left(&nodes).await;
    assert_eq!(reader.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn what_a_node_missed_is_heard_from_a_server_all_of_whose_keys_are_just_being_compared() {
    const SLOWLY: OnReturn = OnReturn::Repair { keys_per_second: 30 };
    let mut servers = Server::builder().persistent().start_many(2).unwrap();
    let mut urls = servers.urls();
    let of = |urls: &[String], on_return| {
        process(urls, SHOP).on_return(on_return).on_difference(OnDifference::Leave).connect()
    };
    let reader = of(&urls, SLOWLY).await.unwrap();
    let proxy = Proxy::to(servers[0].port()).await;
    urls[0] = proxy.url();
    let writer = of(&urls, OnReturn::Wait).await.unwrap();
    // Comparing them takes minutes.
    for page in 0..6 {
        _ = writer.mset((page * 1000..(page + 1) * 1000).map(|i| (key(i), "old"))).await.unwrap();
    }
    servers[1].kill();
    servers[1].restart(Data::Keep).unwrap();
    let restarted = Node::connect(servers[1].url()).await.unwrap();
    eventually("its keys are compared", async || marker_of(&restarted).await.contains("syncing")).await;
    proxy.refuse();
    proxy.reset();
    is_missed(&writer, "a").await;
    let key = (0..).map(key).find(|key| reader.node_for(key).name() == "a").unwrap();
    eventually("only the restarted server has it", async || writer.set(&key, "new").await.is_ok()).await;
    eventually("the reader has heard of it", async || match reader.get::<String>(&key).await {
        Ok(value) => value.unwrap() == "new",
        // The other node may still lack anything.
        Err(error) => matches!(error, Error::Unavailable(_)),
    })
    .await;
    assert_eq!(health_of(&reader, "b"), Health::Syncing);
}

#[tokio::test]
async fn more_hints_than_a_server_holds_count_as_all() {
    let servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let first = process(&urls, SHOP).connect().await.unwrap();
    _ = first.set("k", "old").await.unwrap();
    servers[1].pause();
    _ = first.set("k", "new").await.unwrap();
    let holder = Node::connect(&*urls[0]).await.unwrap();
    // 100,000 in all, of which one is too many.
    for page in 0..10 {
        let mut more = redis::cmd("ZADD");
        more.arg("__redisdb:{shop}:missed:b");
        (0..10_000).for_each(|i| _ = more.arg(page * 10_000 + i).arg(format!("k{page}:{i}")));
        holder.send(&more).await.unwrap();
    }
    // It may just be reading all of these, and a write whose hints come late is not acknowledged.
    eventually("it is written", async || first.set("another", 1).await.is_ok()).await;
    drop(first);
    let nodes = nodes_after_resuming(&servers).await;
    let hints: Vec<String> = nodes[0]
        .query(Cmd::new().arg("ZRANGE").arg("__redisdb:{shop}:missed:b").arg(0).arg(-1))
        .await
        .unwrap();
    assert!(hints.contains(&"a".to_owned()) && hints.len() < 10, "{} hints", hints.len());
    let second = process(&urls, SHOP).connect().await.unwrap();
    assert_eq!(health_of(&second, "b"), Health::Syncing);
    for _ in 0..20 {
        assert_eq!(second.get::<String>("k").await.unwrap().as_deref(), Some("new"));
    }
    eventually("it is up again", async || is_well(&second)).await;
    assert_eq!(nodes[1].get::<String>("k").await.unwrap().as_deref(), Some("new"));
    no_hint_is_left(&nodes).await;
    assert_eq!(second.verify().run().await.unwrap(), []);
}

async fn nodes_after_resuming(servers: &Servers) -> Vec<Node> {
    servers[1].resume();
    nodes(servers).await
}

#[tokio::test]
async fn a_node_that_was_away_for_long_is_compared_whole_only_if_the_hints_are_not_complete() {
    for is_complete in [true, false] {
        let servers = Servers::start(3).unwrap();
        let urls = servers.urls();
        let first = process(&urls, SHOP).connect().await.unwrap();
        _ = first.mset((0..1000).map(|i| (key(i), "old"))).await.unwrap();
        servers[2].pause();
        is_missed(&first, "c").await;
        let nodes = [Node::connect(&*urls[0]).await.unwrap(), Node::connect(&*urls[1]).await.unwrap()];
        eventually("the others tell what it misses", async || {
            hints_on(&nodes[0]).await.len() + hints_on(&nodes[1]).await.len() == 2
        })
        .await;
        for i in 0..KEYS {
            _ = first.set(key(i), "new").await.unwrap();
        }
        drop(first);
        // As if the others had gone on for many beats.
        for node in &nodes {
            let marker = "__redisdb:{shop}:node";
            let marked: String = node.get(marker).await.unwrap().unwrap();
            node.set(marker, marked.replace("\"epoch\":1,", "\"epoch\":9,")).await.unwrap();
        }
        if !is_complete {
            nodes[1].del("__redisdb:{shop}:missed:c").await.unwrap();
        }
        servers[2].resume();
        let second = process(&urls, SHOP).connect().await.unwrap();
        let expected = if is_complete { Health::Suspect } else { Health::Syncing };
        assert_eq!(health_of(&second, "c"), expected);
        check(&second, "new").await;
        eventually("it is up again", async || is_well(&second)).await;
        assert_eq!(second.verify().run().await.unwrap(), []);
        no_hint_is_left(&nodes).await;
    }
}

/// Returns what stands in the marker of a server.
async fn marker_of(node: &Node) -> String {
    node.get::<String>("__redisdb:{shop}:node").await.unwrap().unwrap()
}

#[tokio::test]
async fn void_hints_that_come_back_with_a_dump_are_removed_once_more() {
    const MISSED: &str = "__redisdb:{shop}:missed:c";
    let servers = Servers::start(3).unwrap();
    let first = process(&servers.urls(), SHOP).connect().await.unwrap();
    servers[2].pause();
    is_missed(&first, "c").await;
    _ = first.mset((0..KEYS).map(|i| (key(i), "new"))).await.unwrap();
    let holder = Node::connect(servers[0].url()).await.unwrap();
    let mut set: Vec<(String, f64)> = holder.zrange_withscores(MISSED, 0, -1).await.unwrap();
    let marker = marker_of(&holder).await;
    servers[2].resume();
    eventually("it is up again", async || is_well(&first)).await;
    let nodes = nodes(&servers).await;
    no_hint_is_left(&nodes).await;
    drop(first);
    // All of a set, and one that was begun without a first hint.
    for _ in 0..2 {
        assert!(marker_of(&holder).await != marker && KEYS <= set.len());
        holder.zadd(MISSED, set.iter().map(|(hint, number)| (*number, hint))).await.unwrap();
        holder.set("__redisdb:{shop}:node", &marker).await.unwrap();
        let second = process(&servers.urls(), SHOP).connect().await.unwrap();
        no_hint_is_left(&nodes).await;
        eventually("no marker says that there are any", async || !marker_of(&holder).await.contains('\n'))
            .await;
        assert!(is_well(&second));
        set.retain(|(hint, _)| !hint.starts_with('s'));
    }
}

#[tokio::test]
async fn hints_that_somebody_removed_before_anybody_read_them_count_as_all() {
    for is_down in [true, false] {
        let servers = Servers::start(3).unwrap();
        let mut urls = servers.urls();
        // For all others the server is there all the time, and only the writer cannot reach it.
        let proxy = Proxy::to(servers[1].port()).await;
        let others = std::mem::replace(&mut urls[1], proxy.url());
        let writer = process(&urls, SHOP).connect().await.unwrap();
        urls[1] = others;
        let nodes = nodes(&servers).await;
        _ = writer.mset((0..1000).map(|i| (key(i), "old"))).await.unwrap();
        if is_down {
            servers[1].pause();
        }
        proxy.refuse();
        proxy.reset();
        is_missed(&writer, "b").await;
        for i in 0..KEYS {
            _ = writer.set(key(i), "new").await.unwrap();
        }
        drop(writer);
        let holders = [nodes[0].clone(), nodes[2].clone()];
        for holder in &holders {
            assert!(marker_of(holder).await.ends_with("\n\"b\""), "{}", marker_of(holder).await);
            assert_eq!(holder.del("__redisdb:{shop}:missed:b").await.unwrap(), 1);
        }
        servers[1].resume();
        let before = n_compared(&nodes[1]).await;
        let second = process(&urls, SHOP).connect().await.unwrap();
        assert_eq!(health_of(&second, "b"), Health::Syncing);
        check(&second, "new").await;
        eventually("it is up again", async || is_well(&second)).await;
        check(&second, "new").await;
        let compared = n_compared(&nodes[1]).await - before;
        assert!(1000 <= compared, "{compared}");
        assert_eq!(second.verify().run().await.unwrap(), []);
        no_hint_is_left(&nodes).await;
        eventually("no marker says that there are any", async || {
            !marker_of(&nodes[0]).await.contains('\n') && !marker_of(&nodes[2]).await.contains('\n')
        })
        .await;
    }
}

#[tokio::test]
async fn a_write_succeeds_where_its_hint_is_not_permitted_and_that_is_told_once_at_the_start() {
    let (events, _listening) = Events::listen("redisdb_cluster", Level::WARN);
    let servers = Servers::start(3).unwrap();
    let mut urls = Vec::new();
    for server in servers.iter() {
        let all = Node::connect(server.url()).await.unwrap();
        let user = "ACL SETUSER app on >pw ~* &* +@all -zadd";
        all.send(Cmd::new().arg(user.split(' ').collect::<Vec<_>>())).await.unwrap();
        urls.push(server.url().replace("redis://", "redis://app:pw@"));
    }
    let copy = process(&urls, SHOP).connect().await.unwrap();
    let told = || -> Vec<String> {
        events.lines().into_iter().filter(|line| line.contains("ACL SETUSER app")).collect()
    };
    let at_start = told();
    assert_eq!(at_start.len(), 3, "once of each server: {at_start:?}");
    assert!(at_start.iter().all(|line| line.contains("+zadd")), "{at_start:?}");
    for node in nodes(&servers).await {
        assert_eq!(node.keys::<String>("*").await.unwrap(), ["__redisdb:{shop}:node"]);
    }
    _ = copy.mset((0..KEYS).map(|i| (key(i), "old"))).await.unwrap();
    servers[2].pause();
    is_missed_after_a_write(&copy).await;
    for i in 0..KEYS {
        _ = copy.set(key(i), "new").await.unwrap();
    }
    servers[2].resume();
    eventually("it is up again", async || is_well(&copy)).await;
    check(&copy, "new").await;
    assert_eq!(told(), at_start, "not once more, in the outage");
}

#[tokio::test]
async fn hints_that_another_process_gave_are_not_complete_after_a_write_of_one_that_may_give_none() {
    for may_not in ["-zadd", "-eval"] {
        hints_are_not_complete_after_a_write_of_one(may_not).await;
    }
}

async fn hints_are_not_complete_after_a_write_of_one(may_not: &str) {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let nodes = nodes(&servers).await;
    let mut denied = Vec::new();
    for (node, url) in nodes.iter().zip(&urls) {
        let user = format!("ACL SETUSER app on >pw ~* &* +@all {may_not}");
        node.send(Cmd::new().arg(user.split(' ').collect::<Vec<_>>())).await.unwrap();
        denied.push(url.replace("redis://", "redis://app:pw@"));
    }
    let first = process(&urls, SHOP).connect().await.unwrap();
    let second = process(&denied, SHOP).connect().await.unwrap();
    _ = first.mset((0..KEYS).map(|i| (key(i), "old"))).await.unwrap();
    servers[2].pause();
    is_missed(&first, "c").await;
    is_missed(&second, "c").await;
    _ = first.set(key(0), "new").await.unwrap();
    drop(first);
    _ = second.set(key(1), "new").await.unwrap();
    drop(second);
    for node in &nodes[..2] {
        let all: Vec<String> = node
            .query(Cmd::new().arg("ZRANGE").arg("__redisdb:{shop}:missed:c").arg(0).arg(-1))
            .await
            .unwrap();
        let marker = marker_of(node).await;
        let are_missed = all.is_empty() && marker.ends_with("\n\"c\"");
        assert!(are_missed || all.contains(&"a".to_owned()), "{all:?} {marker}");
    }
    servers[2].resume();
    let third = process(&urls, SHOP).connect().await.unwrap();
    assert_eq!(health_of(&third, "c"), Health::Syncing);
    for i in 0..KEYS {
        let expected = if i < 2 { "new" } else { "old" };
        assert_eq!(third.get::<String>(key(i)).await.unwrap().as_deref(), Some(expected), "{}", key(i));
    }
    eventually("it is up again", async || is_well(&third)).await;
    assert_eq!(nodes[2].get::<String>(key(1)).await.unwrap().as_deref(), Some("new"));
    no_hint_is_left(&nodes).await;
}

#[tokio::test]
async fn a_server_that_is_full_says_that_a_node_missed_all_where_it_has_no_room_for_a_hint() {
    for has_hints in [true, false] {
        let servers = Servers::start(3).unwrap();
        let urls = servers.urls();
        let nodes = nodes(&servers).await;
        let first = process(&urls, SHOP).connect().await.unwrap();
        _ = first.mset((0..KEYS).map(|i| (key(i), "old"))).await.unwrap();
        let fill = async || {
            let full = nodes[..2].iter().map(|node| node.config_set("maxmemory", 1));
            assert!(join_all(full).await.iter().all(Result::is_ok));
        };
        if !has_hints {
            fill().await;
        }
        servers[2].pause();
        is_missed(&first, "c").await;
        if has_hints {
            _ = first.set(key(0), "new").await.unwrap();
            eventually("the others tell what it misses", async || hints_on(&nodes[0]).await.len() == 1).await;
            fill().await;
        }
        assert!(first.set(key(1), "new").await.is_err(), "no server has room for a value");
        // This needs no room.
        let deleted = first.del(key(2)).await.unwrap();
        assert_eq!(deleted.failures().map(|(name, _)| name).collect::<Vec<_>>(), ["c"]);
        drop(first);
        for node in &nodes[..2] {
            let hints = Cmd::new().arg("ZRANGE").arg("__redisdb:{shop}:missed:c").arg(0).arg(-1).take();
            let hints: Vec<String> = node.query(&hints).await.unwrap();
            assert!(hints.contains(&"a".to_owned()) && hints.len() <= 2, "{hints:?}");
        }
        servers[2].resume();
        assert!(nodes[2].get::<String>(key(2)).await.unwrap().is_some());
        let second = process(&urls, SHOP).connect().await.unwrap();
        assert_eq!(health_of(&second, "c"), Health::Syncing);
        let expected = |i| match i {
            0 if has_hints => Some("new"),
            2 => None,
            _ => Some("old"),
        };
        for i in 0..KEYS {
            assert_eq!(second.get::<String>(key(i)).await.unwrap().as_deref(), expected(i), "{}", key(i));
        }
        for node in &nodes[..2] {
            node.config_set("maxmemory", 0).await.unwrap();
        }
        eventually("it is up again", async || is_well(&second)).await;
        assert_eq!(nodes[2].get::<String>(key(2)).await.unwrap(), None);
        no_hint_is_left(&nodes).await;
    }
}

async fn is_missed_after_a_write(copy: &RedisCopy) {
    _ = copy.set(key(0), "new").await.unwrap();
    is_missed(copy, NAMES[2]).await;
}

#[tokio::test]
async fn a_marker_that_is_written_keeps_what_another_process_has_just_said_there_about_hints() {
    let servers = Servers::start(2).unwrap();
    let mut urls = servers.urls();
    let proxy = Proxy::to(servers[0].port()).await;
    urls[0] = proxy.url();
    let copy = process(&urls, SHOP).on_difference(OnDifference::Leave).connect().await.unwrap();
    let node = Node::connect(servers[0].url()).await.unwrap();
    // What comes after a look at the marker comes late, so that there is time to add a line.
    proxy.slow(Way::Requests, Duration::from_millis(100), Duration::ZERO);
    let marking = tokio::spawn(async move { copy.adopt().await });
    let (mut n_looks, mut lines) = (calls(&node, "dbsize").await, Vec::new());
    while !marking.is_finished() {
        let looked = calls(&node, "dbsize").await;
        if n_looks < looked {
            n_looks = looked;
            let line = format!("\n\"other {looked}\"");
            _ = node.append("__redisdb:{shop}:node", &line).await.unwrap();
            lines.push(line);
        }
    }
    marking.await.unwrap().unwrap();
    let marker = marker_of(&node).await;
    assert!(!lines.is_empty() && marker.ends_with(&lines.concat()), "{marker} has not all of {lines:?}");
}

#[tokio::test]
async fn a_write_is_not_acknowledged_if_the_node_that_took_it_is_lost_before_it_was_told_what_another_missed()
{
    let servers = Servers::start(2).unwrap();
    let proxies = Proxy::to_each(servers.iter()).await;
    let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    let key = (0..).map(key).find(|key| copy.node_for(key).name() == "a").unwrap();
    let script = Script::new("return redis.call('SET', KEYS[1], ARGV[1])").deterministic();
    for way in ["command", "pipeline", "block", "decided", "script"] {
        _ = copy.del(&key).await.unwrap();
        // That the other one hangs is noticed by this write alone, after 500 ms.
        proxies[1].hold(Way::Requests);
        let writing = tokio::spawn({
            let (copy, key, script) = (copy.clone(), key.clone(), script.clone());
            async move {
                match way {
                    "command" => copy.set(&key, way).await.map(drop),
                    "pipeline" => {
                        let pipe = copy.pipeline();
                        let written = pipe.set(&key, way);
                        _ = pipe.execute().await;
                        written.await.map(drop)
                    }
                    "block" => {
                        let pipe = copy.pipeline().atomic();
                        let written = pipe.set(&key, way);
                        _ = pipe.execute().await;
                        written.await.map(drop)
                    }
                    "decided" => copy.setnx(&key, way).await.map(drop),
                    _ => script.key(&key).arg(way).invoke::<String, _>(&copy).await.map(drop),
                }
            }
        });
        // Over the connection over which the answer has come by then.
        let first = copy.on_node("a").unwrap();
        eventually("one node has answered", async || {
            first.get::<String>(&key).await.is_ok_and(|value| value.as_deref() == Some(way))
        })
        .await;
        proxies[0].refuse();
        proxies[0].reset();
        let error = writing.await.unwrap().expect_err(way);
        assert!(error.may_have_executed(), "{way}: {error}");
        proxies.iter().for_each(Proxy::heal);
        eventually("both are up", async || is_well(&copy)).await;
    }
}

#[tokio::test]
async fn a_hint_that_the_call_had_no_time_to_give_is_given_later() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    let key = (0..).map(key).find(|key| copy.node_for(key).name() == "a").unwrap();
    _ = copy.set(&key, "old").await.unwrap();
    servers[2].pause();
    // Nobody has noticed yet that it is away, and the future is dropped before anybody does.
    let write = tokio::time::timeout(Duration::from_millis(20), copy.set(&key, "new"));
    assert!(write.await.is_err(), "it waits for the node that hangs");
    let holder = Node::connect(&*urls[0]).await.unwrap();
    eventually("the hint is there", async || {
        let hints: Vec<String> = holder
            .query(Cmd::new().arg("ZRANGE").arg("__redisdb:{shop}:missed:c").arg(0).arg(-1))
            .await
            .unwrap();
        hints.contains(&format!("k{key}"))
    })
    .await;
    servers[2].resume();
    eventually("it is up again", async || is_well(&copy)).await;
    no_hint_is_left(&nodes(&servers).await).await;
}

/// Removes a hint about a key, unless the key is there already.
const REMOVE_BEFORE: &str = "\
if redis.call('EXISTS', ARGV[1]) == 1 then return -1 end
return redis.call('ZREM', KEYS[1], 'k' .. ARGV[1])";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_that_is_removed_before_the_write_behind_it_runs_is_given_again() {
    let servers = Servers::start(2).unwrap();
    let copy = process(&servers.urls(), SHOP).connect().await.unwrap();
    let holder = Node::connect(servers[0].url()).await.unwrap();
    servers[1].pause();
    _ = copy.set("before", 1).await;
    is_missed(&copy, NAMES[1]).await;
    // The server takes some milliseconds to read it. In one of the rounds at least the hint is seen meanwhile.
    let large = "x".repeat(32 << 20);
    let mut n_removed = 0;
    for key in (0..20).map(key) {
        let writing = tokio::spawn({
            let (copy, key, large) =
                (copy.with_deadline(Duration::from_secs(10)), key.clone(), large.clone());
            async move { copy.set(key, large).await }
        });
        let mut remove = redis::cmd("EVAL");
        remove.arg(REMOVE_BEFORE).arg(1).arg("__redisdb:{shop}:missed:b").arg(&key);
        let mut removed = 0;
        while removed == 0 {
            removed = holder.query::<i64>(&remove).await.unwrap();
        }
        n_removed += i32::from(removed == 1);
        _ = writing.await.unwrap().unwrap();
        let mut hint = redis::cmd("ZSCORE");
        hint.arg("__redisdb:{shop}:missed:b").arg(format!("k{key}"));
        assert!(holder.query::<Option<f64>>(&hint).await.unwrap().is_some(), "{key}: {removed}");
        holder.del(&key).await.unwrap();
        if 2 < n_removed {
            break;
        }
    }
    assert!(0 < n_removed, "the hint was never seen before its write");
}

#[tokio::test]
async fn a_request_that_runs_after_another_process_has_brought_its_key_over_is_undone_by_its_writer() {
    const MOST_ROUNDS: usize = 10;
    let servers = Servers::start(3).unwrap();
    let proxy = Proxy::to(servers[1].port()).await;
    let mut urls = servers.urls();
    // Else a key that rests would become equal whoever knows of it.
    let leave = |urls: &[String]| process(urls, SHOP).on_difference(OnDifference::Leave);
    let second = leave(&urls).connect().await.unwrap();
    urls[1] = proxy.url();
    let first = leave(&urls).connect().await.unwrap();
    let nodes = nodes(&servers).await;
    for round in 0..MOST_ROUNDS {
        let key = key(round);
        let n_executed = calls(&nodes[1], "incr").await;
        proxy.hold(Way::Requests);
        _ = first.incr(&key).await.unwrap();
        eventually("the second brings it over", async || nodes[1].get::<u64>(&key).await.unwrap() == Some(1))
            .await;
        no_hint_is_left(&nodes).await;
        // By then the first has heard it too: it asks each second.
        let n_looks = calls(&nodes[0], "get").await;
        eventually("both have looked at the first node", async || {
            n_looks + 6 <= calls(&nodes[0], "get").await
        })
        .await;
        proxy.heal();
        eventually("the first reaches it", async || is_well(&first)).await;
        eventually("they are equal", async || nodes[1].get::<u64>(&key).await.unwrap() == Some(1)).await;
        if n_executed < calls(&nodes[1], "incr").await {
            assert!(is_well(&first) && is_well(&second));
            return;
        }
        // Its connection was ended before the proxy delivered it.
    }
    panic!("no request ran late in {MOST_ROUNDS} rounds");
}

//! Calls as the very first ones of a process: a server may have been emptied before, be another node's, or stand there twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::Scan;
use redisdb::commands::*;
use redisdb::node::RunScript;
use redisdb::node::Script;
use redisdb::node::plumbing::HoldLocks;
use redisdb_cache::Cache;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use xtask::Servers;

const KEYS: usize = 60;

/// Returns what another process of the copy will find.
async fn filled() -> (Servers, Vec<Node>) {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop"));
    _ = copy.mset((0..KEYS).map(|i| (format!("key:{i}"), i))).await.unwrap();
    for i in 0..20 {
        _ = copy.hset_multiple(format!("hash:{i}"), (0..KEYS).map(|i| (i, i))).await.unwrap();
    }
    let mut all = Vec::new();
    for url in servers.urls() {
        all.push(Node::connect(url.as_str()).await.unwrap());
    }
    (servers, all)
}

fn builder(urls: &[String]) -> CopyBuilder {
    let nodes = NAMES.iter().zip(urls);
    nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url))
}

/// A process that has done nothing yet.
fn process(urls: &[String], identity: Option<&str>) -> RedisCopy {
    match identity {
        Some(identity) => builder(urls).identity(identity).build().unwrap(),
        None => builder(urls).build().unwrap(),
    }
}

async fn scanned(copy: &RedisCopy) -> usize {
    let options = ScanOptions::new().pattern("key:*");
    let keys: Vec<String> = copy.scan_iter(options).try_collect().await.unwrap();
    keys.into_iter().collect::<BTreeSet<_>>().len()
}

async fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

#[tokio::test]
async fn a_scan_goes_through_no_server_that_was_emptied() {
    let (servers, all) = filled().await;
    for emptied in &all {
        emptied.flushall().await.unwrap();
        let copy = process(&servers.urls(), Some("shop"));
        assert_eq!(scanned(&copy).await, KEYS, "without {}", emptied.name());
        eventually("it was made equal", async || is_well(&copy).await).await;
        // Also before it is noticed.
        emptied.flushall().await.unwrap();
        assert_eq!(scanned(&copy).await, KEYS, "without {}", emptied.name());
        eventually("it was made equal", async || {
            is_well(&copy).await && emptied.exists("key:7").await.unwrap() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn nor_does_one_of_the_elements_of_a_key() {
    let (servers, all) = filled().await;
    for emptied in &all {
        emptied.flushall().await.unwrap();
        for i in 0..20 {
            // It begins no repair, which its end would leave halfway.
            let copy = builder(&servers.urls()).identity("shop").on_return(OnReturn::Wait).build().unwrap();
            let fields = copy.hscan_iter::<usize, usize>(format!("hash:{i}"), ScanOptions::new());
            let fields: Vec<_> = fields.try_collect().await.unwrap();
            assert_eq!(fields.into_iter().collect::<BTreeSet<_>>().len(), KEYS, "hash:{i}");
        }
        let copy = process(&servers.urls(), Some("shop"));
        copy.ready().await.unwrap();
        eventually("it was made equal", async || is_well(&copy).await).await;
    }
}

#[tokio::test]
async fn a_cache_is_cleared_by_what_a_server_holds_that_was_not_emptied() {
    let (servers, all) = filled().await;
    for emptied in &all {
        let cache = |copy: RedisCopy| Cache::builder(copy).prefix("app").build().unwrap();
        let filling = cache(process(&servers.urls(), Some("shop")));
        for i in 0..KEYS {
            filling.set(format!("{i}"), &i).await.unwrap();
        }
        drop(filling);
        emptied.flushall().await.unwrap();
        let copy = process(&servers.urls(), Some("shop"));
        let clearing = cache(copy.clone());
        let swept = clearing.clear().await.unwrap();
        assert!(KEYS as u64 <= swept.n_deleted && swept.failed.is_empty(), "{swept:?}");
        for i in 0..KEYS {
            assert_eq!(clearing.get::<usize>(format!("{i}")).await.unwrap(), None);
        }
        eventually("it was made equal", async || is_well(&copy).await).await;
    }
}

#[tokio::test]
async fn a_scan_needs_no_server_that_is_down() {
    for down in 0..3 {
        let (mut servers, _all) = filled().await;
        servers[down].kill();
        assert_eq!(scanned(&process(&servers.urls(), None)).await, KEYS);
        assert_eq!(scanned(&process(&servers.urls(), Some("shop"))).await, KEYS);
    }
}

#[tokio::test]
async fn whoever_readmits_a_node_is_believed() {
    let (servers, all) = filled().await;
    all[1].flushall().await.unwrap();
    all[1].mset((0..KEYS).map(|i| (format!("key:{i}"), i + 1000))).await.unwrap();
    process(&servers.urls(), Some("shop")).readmit("b").await.unwrap();

    // Another process believes it too, by the marker.
    let copy = process(&servers.urls(), Some("shop"));
    copy.ready().await.unwrap();
    assert!(is_well(&copy).await, "{:?}", copy.health());
    for i in 0..KEYS {
        let key = format!("key:{i}");
        let expected = if copy.node_for(&key).name() == "b" { i + 1000 } else { i };
        assert_eq!(copy.get::<usize>(&key).await.unwrap(), Some(expected));
    }
}

#[tokio::test]
async fn but_not_that_a_server_is_another_node_s() {
    let (servers, all) = filled().await;
    let mut urls = servers.urls();
    urls.swap(0, 1);
    let marker = async || all[0].get::<String>("__redisdb:{shop}:node").await.unwrap().unwrap();
    let before = marker().await;
    let error = process(&urls, Some("shop")).readmit("b").await.unwrap_err();
    assert!(matches!(error, Error::Identity { .. }), "{error}");
    assert_eq!(marker().await, before);
}

#[tokio::test]
async fn a_repair_takes_no_server_for_its_source_that_was_emptied() {
    let (servers, all) = filled().await;
    all[0].flushall().await.unwrap();
    all[1].del(vec!["key:7", "key:8"]).await.unwrap();
    let repaired = process(&servers.urls(), Some("shop")).repair("b").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.removed), (2, 0), "{repaired:?}");
    assert_eq!(all[1].get::<usize>("key:7").await.unwrap(), Some(7));
}

/// The calls that the handle of a copy can get first, by the names of its methods and of those of the traits it has; a cache and a
/// lock use no others.
const CALLS: &[&str] = &[
    "ready",
    "query",
    "readmit",
    "conflicts",
    "resolve",
    "converged",
    "run",
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "take_lock",
    "extend_lock",
    "owns_lock",
    "release_lock",
    "read",
    "write",
    "each",
    "shards",
    "shard_of",
    "invoke",
    "send_many",
    "send_atomic",
    "req_packed_command",
    "req_packed_commands",
    // Last, for the node is there no more for those that come later.
    "forget",
];

/// The methods that ask nothing, are about each server as it is, or says that the servers are to be taken as they are.
const OTHERS: &[&str] = &[
    "on_each",
    "adopt",
    "tag_delimiters",
    "one_reply",
    "error_code",
    "is_unknown_script",
    "read_reply",
    "write_reply",
    "each_reply",
    "not_sent",
    "common_clock",
    "get_db",
    "is_own_key",
];

async fn call(name: &str, copy: &RedisCopy) -> Result<(), Box<dyn std::error::Error>> {
    const SECOND: Duration = Duration::from_secs(1);
    match name {
        "ready" => copy.ready().await?,
        "query" => copy.query(redis::cmd("GET").arg("k")).await?,
        "readmit" => copy.readmit("b").await?,
        "conflicts" => drop(copy.conflicts().await?),
        "resolve" => drop(copy.resolve("k", "b").await?),
        "converged" => drop(copy.converged("k").await?),
        "forget" => drop(copy.forget("b").await?),
        "run" => drop(copy.repair("b").run().await?),
        "subscribe" => drop(copy.subscribe("news").await?),
        "psubscribe" => drop(copy.psubscribe("news*").await?),
        "ssubscribe" => drop(copy.ssubscribe("news").await?),
        "take_lock" => drop(copy.take_lock(b"l", "token", SECOND).await?),
        "extend_lock" => drop(copy.extend_lock(b"held", "token", SECOND).await?.ok_or("not held")?),
        "owns_lock" => copy.owns_lock(b"held", "token").await?.then_some(()).ok_or("not held")?,
        "release_lock" => copy.release_lock(b"held", "token").await?.then_some(()).ok_or("not held")?,
        "read" => drop(copy.get::<String>("k").await?),
        "write" => drop(copy.incr("n").await?),
        "each" => drop(copy.dbsize().await?),
        "shards" => drop(copy.shards().await?),
        "shard_of" => drop(copy.shard_of(b"k").await?),
        "invoke" => {
            let script = Script::new("return redis.call('INCR', KEYS[1])").deterministic();
            let call = script.key("n");
            drop(copy.invoke::<i64>(&call).await?);
        }
        "send_many" => {
            let pipeline = copy.pipeline();
            let incr = pipeline.incr("n");
            pipeline.execute().await.check().ok();
            drop(incr.await?);
        }
        "send_atomic" => {
            let pipeline = copy.pipeline().atomic();
            let incr = pipeline.incr("n");
            pipeline.execute().await.check().ok();
            drop(incr.await?);
        }
        "req_packed_command" => redis::cmd("INCR").arg("n").exec_async(&mut copy.clone()).await?,
        "req_packed_commands" => redis::pipe().cmd("INCR").arg("n").exec_async(&mut copy.clone()).await?,
        other => panic!("{other}"),
    }
    Ok(())
}

/// The names of what is public of a copy's handle and may send something, from the code.
fn methods() -> BTreeSet<String> {
    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => files(&entry, found),
                false => found.push(fs::read_to_string(entry).unwrap()),
            }
        }
    }
    let mut code = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cluster/src"), &mut code);
    let mut names = BTreeSet::new();
    for file in code {
        let mut block = "";
        for line in file.lines() {
            // The macro of what both handles have is further in.
            let line = line.strip_prefix("        ").unwrap_or(line);
            if line.starts_with("impl") {
                block = line;
            }
            let is_of_trait = block.contains(" for RedisCopy");
            let handles = ["impl RedisCopy", "impl $handle", "Repair<", "Verify<"];
            let is_of_copy = handles.iter().any(|of| block.contains(of));
            let declared = match line.strip_prefix("    pub async fn ") {
                Some(rest) if is_of_copy => Some(rest),
                None if is_of_trait => {
                    line.strip_prefix("    async fn ").or_else(|| line.strip_prefix("    fn "))
                }
                _ => None,
            };
            let end = |rest: &str| rest.find(['<', '(']);
            names.extend(declared.and_then(|rest| Some(rest.get(..end(rest)?)?.to_owned())));
        }
    }
    names
}

#[test]
fn every_method_that_can_be_the_first_is_tried() {
    let tried = CALLS.iter().chain(OTHERS).map(|name| (*name).to_owned()).collect();
    let methods = methods();
    assert_eq!(methods.symmetric_difference(&tried).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The calls that a server knows.
async fn known_to(node: &Node) -> Vec<&'static str> {
    let is_since_7 = is_since(node, (7, 0, 0), "SSUBSCRIBE").await;
    CALLS.iter().copied().filter(|name| is_since_7 || *name != "ssubscribe").collect()
}

#[tokio::test]
async fn every_first_call_finds_the_servers_of_the_copy() {
    let (servers, all) = filled().await;
    for name in known_to(&all[0]).await {
        for node in &all {
            node.set("held", "token").await.unwrap();
        }
        let called = call(name, &process(&servers.urls(), Some("shop"))).await;
        assert!(called.is_ok(), "{name}: {called:?}");
    }
}

#[tokio::test]
async fn every_first_call_is_refused_where_a_server_is_another_node_s() {
    let (servers, all) = filled().await;
    for node in &all {
        node.set("held", "token").await.unwrap();
    }
    let mut urls = servers.urls();
    urls.swap(0, 1);
    for name in CALLS {
        let error = call(name, &process(&urls, Some("shop"))).await.expect_err(name);
        assert!(error.to_string().contains("check its URL"), "{name}: {error}");
    }
    for node in all {
        assert_eq!(node.get::<u64>("n").await.unwrap(), None);
        assert_eq!(node.get::<String>("held").await.unwrap().as_deref(), Some("token"));
    }
}

#[tokio::test]
async fn no_first_call_uses_a_server_twice() {
    let servers = Servers::start(2).unwrap();
    let proxy = Proxy::to(servers[1].port()).await;
    let node = Node::connect(servers[1].url()).await.unwrap();
    let calls = known_to(&node).await;
    for identity in [None, Some("shop")] {
        for &name in &calls {
            node.set("held", "token").await.unwrap();
            let copy = process(&[servers[1].url(), proxy.url()], identity);
            if let Err(error) = call(name, &copy).await {
                assert!(error.to_string().contains("a server of its own"), "{name}: {error}");
            }
            let n_connected = copy.nodes().filter(|node| node.is_connected()).count();
            assert!(n_connected < 2, "{name}");
            let subscribed = node.send(redis::cmd("PUBSUB").arg(&["NUMSUB", "news"])).await.unwrap();
            let (_, n): (String, usize) = redis::from_redis_value(subscribed).unwrap();
            assert!(n < 2, "{name}");
        }
    }
}

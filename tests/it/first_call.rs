//! Calls that choose a server by what is known of it, as the very first ones of a process: the server may have been emptied
//! before.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::Scan;
use redisdb::commands::*;
use redisdb_cache::Cache;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use xtask::Servers;

const KEYS: usize = 60;

/// What another process of the copy will find.
async fn filled() -> (Servers, Vec<Node>) {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop"));
    copy.mset((0..KEYS).map(|i| (format!("key:{i}"), i))).await.unwrap();
    for i in 0..20 {
        copy.hset_multiple(format!("hash:{i}"), (0..KEYS).map(|i| (i, i))).await.unwrap();
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

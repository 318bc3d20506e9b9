//! Going through all keys, or all elements of one.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use redisdb::Error;
use redisdb::Node;
use redisdb::RedisRing;
use redisdb::Scan;
use redisdb::commands::*;
use redisdb::node::ScanCursor;
use redisdb_tests::copy;
use redisdb_tests::copy_of_any;
use redisdb_tests::ring;
use redisdb_tests::ring_of_any;
use xtask::Data;
use xtask::Server;

const N: usize = 500;

fn expected() -> BTreeSet<String> {
    (0..N).map(|i| format!("key:{i}")).collect()
}

/// Fills a store, and checks that a scan of it finds every key.
async fn check<S: Scan>(store: &S) {
    let keys = expected();
    store.mset(keys.iter().map(|key| (key, 1))).await.unwrap();
    let found: Vec<String> = store.scan_iter(ScanOptions::new().count(7)).try_collect().await.unwrap();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), keys);
    let some: Vec<String> =
        store.scan_iter(ScanOptions::new().pattern("key:7?")).try_collect().await.unwrap();
    assert_eq!(some.into_iter().collect::<BTreeSet<_>>().len(), 10);

    store.hset_multiple("h", (0..N).map(|i| (i, i * 2))).await.unwrap();
    store.sadd("s", (0..N).collect::<Vec<_>>()).await.unwrap();
    store.zadd("z", (0..N).map(|i| (i as f64 / 2.0, i))).await.unwrap();
    let options = || ScanOptions::new().count(11);
    let fields: BTreeSet<(usize, usize)> =
        store.hscan_iter::<usize, usize>("h", options()).try_collect().await.unwrap();
    assert_eq!(fields, (0..N).map(|i| (i, i * 2)).collect());
    let members: BTreeSet<usize> = store.sscan_iter::<usize>("s", options()).try_collect().await.unwrap();
    assert_eq!(members, (0..N).collect());
    let scored: Vec<(usize, f64)> = store.zscan_iter::<usize>("z", options()).try_collect().await.unwrap();
    assert!(scored.iter().all(|(i, score)| *score == *i as f64 / 2.0));
    assert_eq!(scored.into_iter().map(|(i, _)| i).collect::<BTreeSet<_>>(), (0..N).collect());
    let none: Vec<usize> = store.sscan_iter::<usize>("none", options()).try_collect().await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn a_node_is_gone_through() {
    let server = Server::start().unwrap();
    check(&Node::connect(server.url()).await.unwrap()).await;
}

#[tokio::test]
async fn a_ring_is_gone_through() {
    let (_servers, ring) = ring_of_any().await;
    check(&ring).await;
}

#[tokio::test]
async fn a_copy_is_gone_through() {
    let (_servers, copy) = copy_of_any().await;
    check(&copy).await;
}

#[tokio::test]
async fn a_scan_goes_on_from_a_cursor_that_was_kept_as_text() {
    let (_servers, ring) = ring().await;
    ring.mset(expected().iter().map(|key| (key, 1))).await.unwrap();
    let mut found = BTreeSet::new();
    let mut kept = Some(ScanCursor::default().to_string());
    let mut steps = 0;
    while let Some(text) = kept {
        let step = ring.scan_from::<String>(text.parse().unwrap(), ScanOptions::new()).await.unwrap();
        found.extend(step.items);
        kept = step.next.map(|cursor| cursor.to_string());
        steps += 1;
    }
    assert!(steps > 10);
    assert_eq!(found, expected());
}

#[tokio::test]
async fn a_cursor_of_other_servers_is_refused() {
    let (servers, ring) = ring().await;
    ring.mset(expected().iter().map(|key| (key, 1))).await.unwrap();
    let step = ring.scan_from::<String>(ScanCursor::default(), ScanOptions::new()).await.unwrap();
    let other = RedisRing::builder().nodes(servers.urls()).connect().await.unwrap();
    let error = other.scan_from::<String>(step.next.unwrap(), ScanOptions::new()).await.unwrap_err();
    assert!(error.is_stale_cursor() && error.to_string().contains("start the scan anew"), "{error}");
    assert!("x".parse::<ScanCursor>().is_err());
}

#[tokio::test]
async fn a_node_that_is_down_is_not_passed_over() {
    let (mut servers, ring) = ring().await;
    ring.mset(expected().iter().map(|key| (key, 1))).await.unwrap();
    servers[2].kill();
    let mut keys = ring.scan_iter::<String>(ScanOptions::new());
    let mut found = 0;
    let error = loop {
        match keys.try_next().await {
            Ok(Some(_)) => found += 1,
            Ok(None) => panic!("the scan ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert!(found > 0);
    assert!(matches!(&error, Error::Node(error) if error.node() == Some("c")), "{error}");
    assert_eq!(keys.try_next().await.unwrap(), None);
}

/// Restarts a server with its data in the middle of a scan, which then ends with an error that says so; from the start it finds
/// everything.
async fn ends_with_a_restart<S: Scan, T: Send>(
    store: &S,
    server: &mut Server,
    mut scan: impl FnMut(&S) -> Box<dyn futures_util::Stream<Item = Result<T, S::Error>> + Unpin + '_>,
    n: usize,
) where
    S::Error: std::fmt::Display + std::fmt::Debug,
{
    let mut found = scan(store);
    assert!(found.try_next().await.unwrap().is_some());
    server.kill();
    server.restart(Data::Keep).unwrap();
    let error = loop {
        match found.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the scan ended as if it were complete"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("start the scan anew"), "{error}");
    drop(found);
    let found: Vec<T> = scan(store).try_collect().await.unwrap();
    assert!(n <= found.len());
}

#[tokio::test]
async fn a_scan_does_not_go_on_in_another_process() {
    let mut server = Server::builder().persistent().start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    node.mset(expected().iter().map(|key| (key, 1))).await.unwrap();
    node.sadd("s", expected()).await.unwrap();
    let options = || ScanOptions::new().count(7);
    ends_with_a_restart(&node, &mut server, |node| Box::new(node.scan_iter::<String>(options())), N).await;
    ends_with_a_restart(&node, &mut server, |node| Box::new(node.sscan_iter::<String>("s", options())), N)
        .await;
    // Nor does one that another client begins where the first one was.
    let step = node.scan_from::<String>(ScanCursor::default(), options()).await.unwrap();
    let cursor = step.next.unwrap().to_string();
    let other = Node::connect(server.url()).await.unwrap();
    other.scan_from::<String>(cursor.parse().unwrap(), options()).await.unwrap();
    server.kill();
    server.restart(Data::Keep).unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    let error = other.scan_from::<String>(cursor.parse().unwrap(), options()).await.unwrap_err();
    assert!(error.is_stale_cursor() && error.to_string().contains("start the scan anew"), "{error}");
}

#[tokio::test]
async fn a_node_of_a_copy_that_is_behind_is_not_gone_through() {
    let (mut servers, copy) = copy().await;
    _ = copy.mset(expected().iter().map(|key| (key, 1))).await.unwrap();
    for server in servers.iter_mut().take(2) {
        server.kill();
        server.restart(Data::Lose).unwrap();
    }
    for name in ["a", "b"] {
        let node = copy.on_node(name).unwrap();
        redisdb_tests::eventually("it is up", async || node.ready().await.is_ok()).await;
    }
    let found: Vec<String> = copy.scan_iter(ScanOptions::new()).try_collect().await.unwrap();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected());
}

//! Metrics and events of a cache on a server that goes away.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use redisdb_cache::Cache;
use redisdb_cache::CacheBuilder;
use redisdb_cache::OnError;
use redisdb_cache::OnUndecodable;
use redisdb_cache::Ttl;
use redisdb_node::Node;
use redisdb_node::StringCommands;
use redisdb_tests::Events;
use redisdb_tests::Sums;
use tracing::Level;
use xtask::Server;

fn lenient(node: Node) -> CacheBuilder<Node> {
    Cache::builder(node).prefix("shop").on_error(OnError::Miss).on_undecodable(OnUndecodable::Miss)
}

#[tokio::test]
async fn what_is_counted_is_exported() {
    let mut server = Server::start().unwrap();
    let cache = lenient(Node::connect(server.url()).await.unwrap()).build().unwrap();
    cache.set("before", &1).await.unwrap();
    cache.get::<u8>("before").await.unwrap();
    let sums = Sums::of("redisdb_cache_");
    // Installed after the cache was built, and on this thread alone, which is where everything here runs.
    let recording = metrics::set_default_local_recorder(&sums);
    cache.get::<u8>("before").await.unwrap();
    cache.get::<u8>("nothing").await.unwrap();
    cache.get_or_set_with("k", Ttl::Default, || async { Ok::<_, Infallible>(1) }).await.unwrap();
    cache.get_or_set_with("l", Ttl::Default, || async { Err::<u8, _>(fmt::Error) }).await.unwrap_err();
    server.kill();
    cache.set("k", &2).await.unwrap();
    drop(recording);
    cache.get::<u8>("nobody listens").await.unwrap();

    let expected = [
        ("redisdb_cache_dropped_total cache=shop", 1),
        ("redisdb_cache_failed_loads_total cache=shop", 1),
        ("redisdb_cache_hits_total cache=shop", 1),
        ("redisdb_cache_load_seconds cache=shop", 2),
        ("redisdb_cache_loads_total cache=shop", 2),
        ("redisdb_cache_misses_total cache=shop", 3),
    ];
    assert_eq!(sums.all(), BTreeMap::from(expected.map(|(name, sum)| (name.to_owned(), sum))));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.failed_loads), (2, 3, 2, 1));
    assert_eq!((stats.dropped, stats.unavailable), (1, 1));
}

#[tokio::test]
async fn what_goes_missing_without_an_error_is_told() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let cache = lenient(node.clone()).build().unwrap();
    let (events, listening) = Events::listen("redisdb_cache", Level::TRACE);

    node.set("shop:1:k", "a-hidden-value").await.unwrap();
    cache.get::<String>("k").await.unwrap();
    let fails = || async { Err::<u8, _>(std::io::Error::other("a-hidden-value")) };
    cache.get_or_set_with("l", Ttl::Default, fails).await.unwrap_err();
    server.kill();
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    cache.set_many(keys.iter().map(|key| (key, "a-hidden-value"))).await.unwrap();
    drop(listening);

    let lines = events.lines();
    let starting = |start: &str| lines.iter().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    let all = lines.join("\n");
    assert_eq!(lines.len(), 52, "{all}");
    assert!(!all.contains("hidden"), "{all}");
    let unread = starting("WARN message=value cannot be read cache=\"shop\" key=k reason=");
    assert_eq!(unread.len(), 1, "{all}");
    assert_eq!(starting("WARN message=load failed cache=\"shop\" key=\"l\"").len(), 1, "{all}");
    let dropped = starting("WARN message=value not stored cache=\"shop\" key=k0 reason=").len();
    assert_eq!(dropped, 1, "{all}");
    // In an outage not every one is a warning.
    assert!(40 < starting("DEBUG message=value not stored cache=\"shop\" key=k").len(), "{all}");
}

//! What a cache counts and says, as metrics and as events, on a server that goes away.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::Mutex;

use redisdb_cache::Cache;
use redisdb_cache::CacheBuilder;
use redisdb_cache::OnError;
use redisdb_cache::OnUndecodable;
use redisdb_cache::Ttl;
use redisdb_node::Node;
use redisdb_node::StringCommands;
use redisdb_tests::Sums;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::span;
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

/// A subscriber that keeps the cache's events, one line each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("redisdb_cache")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn what_goes_missing_without_an_error_is_told() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let cache = lenient(node.clone()).build().unwrap();
    let lines = Lines::default();
    // With one subscriber alone, tracing asks the thread that comes first to an event whether anybody wants it, which
    // may be another test's, without a subscriber; of two it asks each.
    let _second = tracing::Dispatch::new(lines.clone());
    let told = tracing::subscriber::set_default(lines.clone());

    node.set("shop:1:k", "a-hidden-value").await.unwrap();
    cache.get::<String>("k").await.unwrap();
    let fails = || async { Err::<u8, _>(std::io::Error::other("a-hidden-value")) };
    cache.get_or_set_with("l", Ttl::Default, fails).await.unwrap_err();
    server.kill();
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    cache.set_many(keys.iter().map(|key| (key, "a-hidden-value"))).await.unwrap();
    drop(told);

    let lines = lines.0.lock().unwrap();
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

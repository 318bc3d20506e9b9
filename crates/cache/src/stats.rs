//! The statistics of a cache.

pub(crate) mod metrics;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::stats::metrics::Export;

/// The numbers that a cache and its clones have counted since it was built.
///
/// With the feature `metrics` each number is also a counter of the `metrics` crate:
/// `redisdb_cache_hits_total`, for example, labeled `cache` with the prefix. The time that loaders take is
/// the histogram `redisdb_cache_load_seconds`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys that were asked for and had a value.
    pub hits: u64,
    /// Keys that were asked for and had the note that there is no value.
    pub negative_hits: u64,
    /// Keys that were asked for and had a value whose time was over, but not its grace.
    pub stale: u64,
    /// Keys that were asked for and had nothing.
    pub misses: u64,
    /// Keys that could not be asked for: the store gave an error.
    pub unavailable: u64,
    /// Values that could not be returned: damaged, foreign, or of another type.
    pub undecodable: u64,
    /// Loaders that were called. The one of `get_or_set_many`, which loads several keys, counts once.
    pub loads: u64,
    /// Callers that waited for a load which another one had begun.
    pub joined_loads: u64,
    /// Loaders that gave an error, panicked, or took too long.
    pub failed_loads: u64,
    /// Loads whose value was not stored, because the key was set or deleted meanwhile.
    pub overtaken_loads: u64,
    /// Values that were not stored though no error says so. Loaded values are dropped that the store did not
    /// take, that are too long, or that the [codec](crate::Codec) cannot hold; other values are dropped under
    /// [`OnError::Miss`](crate::OnError::Miss).
    pub dropped: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) negative_hits: Counter,
    pub(crate) stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) unavailable: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) loads: Counter,
    pub(crate) joined_loads: Counter,
    pub(crate) failed_loads: Counter,
    pub(crate) overtaken_loads: Counter,
    pub(crate) dropped: Counter,
    pub(crate) load_time: Export,
}

/// A number that only grows.
#[derive(Debug)]
pub(crate) struct Counter {
    n: AtomicU64,
    export: Export,
}

impl Counters {
    pub(crate) fn new(prefix: &str) -> Self {
        let counter = |name| Counter { n: AtomicU64::new(0), export: Export::new(name, prefix) };
        Self {
            hits: counter("redisdb_cache_hits_total"),
            negative_hits: counter("redisdb_cache_negative_hits_total"),
            stale: counter("redisdb_cache_stale_total"),
            misses: counter("redisdb_cache_misses_total"),
            unavailable: counter("redisdb_cache_unavailable_total"),
            undecodable: counter("redisdb_cache_undecodable_total"),
            loads: counter("redisdb_cache_loads_total"),
            joined_loads: counter("redisdb_cache_joined_loads_total"),
            failed_loads: counter("redisdb_cache_failed_loads_total"),
            overtaken_loads: counter("redisdb_cache_overtaken_loads_total"),
            dropped: counter("redisdb_cache_dropped_total"),
            load_time: Export::new("redisdb_cache_load_seconds", prefix),
        }
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            hits: self.hits.get(),
            negative_hits: self.negative_hits.get(),
            stale: self.stale.get(),
            misses: self.misses.get(),
            unavailable: self.unavailable.get(),
            undecodable: self.undecodable.get(),
            loads: self.loads.get(),
            joined_loads: self.joined_loads.get(),
            failed_loads: self.failed_loads.get(),
            overtaken_loads: self.overtaken_loads.get(),
            dropped: self.dropped.get(),
        }
    }
}

impl Counter {
    /// Counts one more.
    pub(crate) fn count(&self) {
        self.n.fetch_add(1, Ordering::Relaxed);
        self.export.count();
    }

    fn get(&self) -> u64 {
        self.n.load(Ordering::Relaxed)
    }
}

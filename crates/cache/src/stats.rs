//! What a cache has counted.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// What a cache and its clones have counted since it was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys that were asked for and had a value, or the note that there is none.
    pub hits: u64,
    /// Keys that were asked for and had a value whose time was over, but not its grace.
    pub stale: u64,
    /// Keys that were asked for and had none.
    pub misses: u64,
    /// Loaders that were called.
    pub loads: u64,
    /// Loaders that gave an error, or took too long.
    pub failed_loads: u64,
    /// Keys that could not be asked for: the store gave an error.
    pub unavailable: u64,
    /// Values that could not be returned: damaged, foreign, or of another type.
    pub undecodable: u64,
    /// Values that were not stored because the store gave an error: loaded ones, and all under
    /// [`OnError::Miss`](crate::OnError::Miss).
    pub dropped: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) loads: Counter,
    pub(crate) failed_loads: Counter,
    pub(crate) unavailable: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) dropped: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            hits: self.hits.get(),
            stale: self.stale.get(),
            misses: self.misses.get(),
            loads: self.loads.get(),
            failed_loads: self.failed_loads.get(),
            unavailable: self.unavailable.get(),
            undecodable: self.undecodable.get(),
            dropped: self.dropped.get(),
        }
    }
}

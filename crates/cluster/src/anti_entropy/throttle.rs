//! A throttle: a repair handles no more keys in a second than it may.

use std::time::Duration;
use std::time::Instant;

/// Keeps to a number of keys in a second.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    keys_per_second: Option<u32>,
    start: Option<Instant>,
    done: u64,
}

impl Throttle {
    pub(crate) fn of(keys_per_second: u32) -> Self {
        Self { keys_per_second: Some(keys_per_second.max(1)), ..Self::default() }
    }

    /// Returns how many keys may be gone through at once, so that waiting after them takes a few seconds at most: a lease is
    /// renewed in between.
    pub(crate) fn batch(&self, most: usize) -> usize {
        let of_five_seconds =
            self.keys_per_second.map(|rate| usize::try_from(rate).unwrap_or(most).saturating_mul(5));
        of_five_seconds.map_or(most, |n| n.min(most))
    }

    /// Waits as long as so many more keys should have taken.
    pub(crate) async fn wait(&mut self, keys: u64) {
        let Some(rate) = self.keys_per_second else { return };
        self.done += keys;
        let start = *self.start.get_or_insert_with(Instant::now);
        let due = Duration::from_secs_f64(self.done as f64 / f64::from(rate));
        if let Some(early) = due.checked_sub(start.elapsed()) {
            tokio::time::sleep(early).await;
        }
    }
}

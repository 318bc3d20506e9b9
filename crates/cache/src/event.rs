//! Log events of a cache that goes on without a value and returns no error.
//!
//! An outage makes thousands of such events in a second. Of each kind one in a second is a warning, the
//! others are for debugging; [`Stats`](crate::Stats) counts all.

use std::fmt;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::DecodeReason;

/// The times at which each thing was last said at length.
#[derive(Debug, Default)]
pub(crate) struct Events {
    dropped: Seldom,
    undecodable: Seldom,
    failed: Seldom,
}

impl Events {
    /// A value was not stored.
    pub(crate) fn dropped(&self, cache: &str, key: impl fmt::Display, reason: impl fmt::Display) {
        match self.dropped.is_due() {
            true => tracing::warn!(cache, %key, %reason, "value not stored"),
            false => tracing::debug!(cache, %key, %reason, "value not stored"),
        }
    }

    /// There is a value, and it cannot be returned.
    pub(crate) fn undecodable(&self, cache: &str, key: impl fmt::Display, reason: &DecodeReason) {
        match self.undecodable.is_due() {
            true => tracing::warn!(cache, %key, %reason, "value cannot be read"),
            false => tracing::debug!(cache, %key, %reason, "value cannot be read"),
        }
    }

    /// A load gave nothing. The loader's error is the caller's, and may quote anything.
    pub(crate) fn failed(&self, cache: &str, key: &str) {
        match self.failed.is_due() {
            true => tracing::warn!(cache, key, "load failed"),
            false => tracing::debug!(cache, key, "load failed"),
        }
    }
}

/// Lets one through in a second.
#[derive(Debug, Default)]
struct Seldom {
    last: Mutex<Option<Instant>>,
}

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(1);

    fn is_due(&self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.last.lock();
        let is_due = last.is_none_or(|last| Self::PAUSE <= now.saturating_duration_since(last));
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_second_is_let_through() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let at = |millis| seldom.is_due_at(start + Duration::from_millis(millis));
        assert_eq!(
            [at(0), at(1), at(999), at(1000), at(1001), at(2500)],
            [true, false, false, true, false, true]
        );
    }
}

//! A throttle: a repair handles no more keys in a second than it may.

use std::time::Duration;
use std::time::Instant;

/// Keeps to a number of keys in a second. What was not used in a pause is not made up for.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    keys_per_second: Option<u32>,
    /// When the keys that were handled so far should have been done.
    due: Option<Instant>,
}

impl Throttle {
    pub(crate) fn of(keys_per_second: u32) -> Self {
        Self { keys_per_second: Some(keys_per_second.max(1)), due: None }
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
        let pause = self.pause(keys, Instant::now());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns how long to wait after so many more keys.
    fn pause(&mut self, keys: u64, now: Instant) -> Duration {
        let Some(rate) = self.keys_per_second else { return Duration::ZERO };
        let due = self.due.unwrap_or(now) + Duration::from_secs_f64(keys as f64 / f64::from(rate));
        let pause = due.saturating_duration_since(now);
        self.due = Some(due.max(now));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_pause_no_more_keys_are_handled_than_before() {
        let second = Duration::from_secs(1);
        let (mut throttle, start) = (Throttle::of(100), Instant::now());
        assert_eq!(throttle.pause(200, start), 2 * second);
        assert_eq!(throttle.pause(100, start + 2 * second), second, "it had waited");
        assert_eq!(throttle.pause(100, start + 60 * second), Duration::ZERO, "it had stood still");
        assert_eq!(throttle.pause(100, start + 60 * second), second);
    }
}

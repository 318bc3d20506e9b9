//! The settings of a cache, and what they make of a time to live.

use std::time::Duration;
use std::time::SystemTime;

use crate::key::KeyStyle;
use crate::ttl::Life;
use crate::ttl::Ttl;
use crate::ttl::unix_millis;

/// The reaction of a cache to an error of the store, on a read or on a write of a value.
///
/// Deleting, counting and writing under a condition give their errors in any case: after a deletion that did
/// not happen, an old value would be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The cache returns the error. The default.
    #[default]
    Raise,
    /// The cache answers as if nothing were there, drops the write, and counts it.
    Miss,
}

/// The reaction of a cache to a value that cannot be returned: damaged, foreign, or of another type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUndecodable {
    /// The cache returns the error. The default.
    #[default]
    Raise,
    /// The cache answers as if nothing were there, and counts it. The value stays until it is overwritten.
    Miss,
}

/// The settings of a cache.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    pub(crate) key_style: KeyStyle,
    pub(crate) default_ttl: Ttl,
    pub(crate) on_error: OnError,
    pub(crate) on_undecodable: OnUndecodable,
    pub(crate) max_key_len: usize,
    pub(crate) max_stored_len: usize,
    pub(crate) batch_len: usize,
    pub(crate) jitter_percent: u8,
    pub(crate) grace: Duration,
    pub(crate) refresh_pause: Duration,
    pub(crate) negative_ttl: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) max_loads: usize,
    pub(crate) max_unpacked_len: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            key_style: KeyStyle::default(),
            default_ttl: Ttl::FIVE_MINUTES,
            on_error: OnError::default(),
            on_undecodable: OnUndecodable::default(),
            max_key_len: 64 << 10,
            max_stored_len: 8 << 20,
            batch_len: 1000,
            jitter_percent: 0,
            grace: Duration::ZERO,
            refresh_pause: Duration::from_secs(30),
            negative_ttl: Duration::ZERO,
            load_timeout: Duration::from_secs(30),
            max_loads: 10_000,
            max_unpacked_len: 128 << 20,
        }
    }
}

impl Settings {
    /// The life of a value that is set at `now`.
    pub(crate) fn life(&self, ttl: Ttl, now: SystemTime) -> Life {
        // Not worth a random number where it is off.
        let ttl = match self.jitter_percent {
            0 => ttl,
            percent => ttl.shortened(self.default_ttl, percent, fastrand::u64(..)),
        };
        ttl.life(self.default_ttl, now)
    }

    /// Returns when a value that is loaded at `now` becomes stale, in milliseconds since 1970, and how long it is
    /// kept as such; 0 for never.
    pub(crate) fn with_grace(&self, life: Life, now: SystemTime) -> (u64, Life) {
        let stale_at = match life {
            Life::For(millis) => unix_millis(now).saturating_add(millis),
            Life::Until(instant) => instant,
            Life::Over | Life::Forever => 0,
        };
        match self.grace.is_zero() || stale_at == 0 {
            true => (0, life),
            false => (stale_at, life.longer_by(self.grace)),
        }
    }
}

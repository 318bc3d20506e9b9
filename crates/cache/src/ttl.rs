//! The time to live of an entry.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// The time that an entry is kept.
///
/// A [`Duration`] converts into it, so `cache.set_for(key, &value, Duration::from_secs(60))` is fine. A part
/// of a millisecond counts as a whole one: a short life is never taken for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ttl {
    /// As long as the cache was [told to](crate::CacheBuilder::default_ttl).
    #[default]
    Default,
    /// From now on for so long. Zero: it is not kept, and what was there goes away.
    After(Duration),
    /// Until this instant. An instant that has passed is as zero.
    At(SystemTime),
    /// Without end, as far as the server does not evict it.
    Never,
}

/// A [`Ttl`] seen from one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// The life is over before it began.
    Over,
    /// For so many milliseconds from when the server is told.
    For(u64),
    /// Until so many milliseconds since 1970.
    Until(u64),
    /// Without end.
    Forever,
}

impl Life {
    /// An end must not pass the signed 64 bits in which a server counts milliseconds: this is 146 million
    /// years away.
    const LONGEST: u64 = u64::MAX >> 2;

    /// Anything that no server can hold has no end.
    fn bounded(self) -> Self {
        match self {
            Self::For(millis) | Self::Until(millis) if Self::LONGEST < millis => Self::Forever,
            life => life,
        }
    }

    pub(crate) fn longer_by(self, more: Duration) -> Self {
        match self {
            Self::For(millis) => Self::For(millis.saturating_add(millis_up(more))).bounded(),
            Self::Until(millis) => Self::Until(millis.saturating_add(millis_up(more))).bounded(),
            life @ (Self::Over | Self::Forever) => life,
        }
    }
}

impl Ttl {
    /// The default of the default: what Django's caches have.
    pub(crate) const FIVE_MINUTES: Self = Self::After(Duration::from_secs(300));

    /// A time from now on stays one: the clock of this machine may be off. A copy makes an instant of it, so
    /// that all of its nodes drop the entry together.
    pub(crate) fn life(self, default: Self, now: SystemTime) -> Life {
        let life = match self {
            Self::Default if default == Self::Default => return Self::FIVE_MINUTES.life(default, now),
            Self::Default => return default.life(default, now),
            Self::Never => Life::Forever,
            Self::After(Duration::ZERO) => Life::Over,
            Self::After(ttl) => Life::For(millis_up(ttl)),
            Self::At(instant) if instant <= now => Life::Over,
            Self::At(instant) => Life::Until(millis_up(since_1970(instant))),
        };
        life.bounded()
    }

    /// A life from now on, shorter by up to `percent` (and 10 seconds): `random` says how much of that.
    pub(crate) fn shortened(self, default: Self, percent: u8, random: u64) -> Self {
        const MOST: Duration = Duration::from_secs(10);
        match self {
            Self::Default if default != Self::Default => default.shortened(default, percent, random),
            Self::Default => Self::FIVE_MINUTES.shortened(default, percent, random),
            Self::After(ttl) => {
                let most = (ttl / 100).saturating_mul(percent.min(100).into()).min(MOST);
                // In steps of a thousandth.
                let less = most / 1000 * u32::try_from(random % 1001).unwrap_or(0);
                let shorter = ttl.saturating_sub(less);
                Self::After(if shorter.is_zero() { ttl } else { shorter })
            }
            Self::At(_) | Self::Never => self,
        }
    }
}

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Self {
        Self::After(ttl)
    }
}

impl From<SystemTime> for Ttl {
    fn from(instant: SystemTime) -> Self {
        Self::At(instant)
    }
}

/// The whole milliseconds since 1970.
pub(crate) fn unix_millis(instant: SystemTime) -> u64 {
    u64::try_from(since_1970(instant).as_millis()).unwrap_or(u64::MAX)
}

fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn since_1970(instant: SystemTime) -> Duration {
    instant.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ttl: impl Into<Ttl>, expected: Life) {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(ttl.into().life(Ttl::Default, now), expected);
    }

    #[test]
    fn a_life_is_rounded_up_and_only_zero_is_none() {
        check(Duration::ZERO, Life::Over);
        check(Duration::from_nanos(1), Life::For(1));
        check(Duration::from_micros(1001), Life::For(2));
        check(Duration::from_millis(500), Life::For(500));
        check(UNIX_EPOCH + Duration::from_secs(1001), Life::Until(1_001_000));
    }

    #[test]
    fn what_has_passed_is_over() {
        check(UNIX_EPOCH, Life::Over);
        check(UNIX_EPOCH + Duration::from_secs(1000), Life::Over);
    }

    #[test]
    fn more_than_thirty_days_are_still_counted_from_now() {
        check(Duration::from_secs(60 * 60 * 24 * 30 + 1), Life::For(2_592_001_000));
    }

    #[test]
    fn what_no_server_can_hold_has_no_end() {
        check(Duration::MAX, Life::Forever);
        check(Duration::from_millis(i64::MAX.unsigned_abs()), Life::Forever);
        check(Ttl::Never, Life::Forever);
    }

    #[test]
    fn a_shortened_life_is_shorter_by_no_more_than_was_said() {
        let check = |ttl: Duration, percent, random, expected: Duration| {
            assert_eq!(Ttl::After(ttl).shortened(Ttl::Default, percent, random), Ttl::After(expected));
        };
        let second = Duration::from_secs(1);
        check(100 * second, 5, 0, 100 * second);
        check(100 * second, 5, 1000, 95 * second);
        check(3600 * second, 5, 1000, 3590 * second);
        check(100 * second, 0, 1000, 100 * second);
        check(second, 200, 1000, second);
        check(Duration::ZERO, 5, 1000, Duration::ZERO);
        let default = Ttl::Default.shortened(Ttl::Default, 1, 1000);
        assert_eq!(default, Ttl::After(297 * second));
        assert_eq!(Ttl::Default.shortened(Ttl::Never, 5, 1000), Ttl::Never);
    }

    #[test]
    fn the_default_is_five_minutes_if_nobody_says_otherwise() {
        let now = UNIX_EPOCH;
        assert_eq!(Ttl::Default.life(Ttl::Default, now), Life::For(300_000));
        assert_eq!(Ttl::Default.life(Ttl::Never, now), Life::Forever);
        assert_eq!(Ttl::Default.life(Duration::from_secs(1).into(), now), Life::For(1000));
    }
}

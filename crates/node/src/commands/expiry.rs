//! The expiry of a key, or of a field of a hash: what is sent and what is answered.
//!
//! Durations and instants are rounded **up** to the unit of the command, so that nothing goes away before its
//! time and no positive duration becomes zero. An instant before 1970 is sent as 1970.

use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::Value;

/// The time that a key, or a field of a hash, will live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeToLive {
    /// There is no such key.
    Missing,
    /// The key or field has no expiry.
    Persistent,
    /// The key or field goes away after this time.
    In(Duration),
}

impl TimeToLive {
    /// The time left; `None` if there is no such key or it has no expiry.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::In(left) => Some(left),
            Self::Missing | Self::Persistent => None,
        }
    }
}

/// The expiry of a key, or of a field of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiresAt {
    /// There is no such key.
    Missing,
    /// The key or field has no expiry.
    Persistent,
    /// The key or field goes away at this instant, by the server's clock.
    At(SystemTime),
}

impl ExpiresAt {
    /// The instant; `None` if there is no such key or it has no expiry.
    pub fn instant(self) -> Option<SystemTime> {
        match self {
            Self::At(instant) => Some(instant),
            Self::Missing | Self::Persistent => None,
        }
    }
}

/// An instant by the clock of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(SystemTime);

impl Timestamp {
    /// The instant.
    pub fn instant(self) -> SystemTime {
        self.0
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl FromRedisValue for Timestamp {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let since_1970 = match value {
            Value::Array(_) => {
                let (seconds, micros): (u64, u64) = FromRedisValue::from_redis_value(value)?;
                Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))
            }
            seconds => Duration::from_secs(FromRedisValue::from_redis_value(seconds)?),
        };
        UNIX_EPOCH.checked_add(since_1970).map(Self).ok_or_else(|| ParsingError::from("not an instant"))
    }
}

/// The expiry options that `SET`, `GETEX`, `HSETEX` and `HGETEX` have in common.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expiry {
    Ex(Duration),
    Px(Duration),
    ExAt(SystemTime),
    PxAt(SystemTime),
    KeepTtl,
    Persist,
}

impl ToRedisArgs for Expiry {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let (word, number) = match *self {
            Self::Ex(ttl) => ("EX", Some(seconds(ttl))),
            Self::Px(ttl) => ("PX", Some(millis(ttl))),
            Self::ExAt(at) => ("EXAT", Some(unix_seconds(at))),
            Self::PxAt(at) => ("PXAT", Some(unix_millis(at))),
            Self::KeepTtl => ("KEEPTTL", None),
            Self::Persist => ("PERSIST", None),
        };
        (word, number).write_redis_args(out);
    }
}

/// A duration in seconds, rounded up.
pub(super) fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// A duration in milliseconds, rounded up.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// An instant in seconds since 1970, rounded up.
pub(super) fn unix_seconds(instant: SystemTime) -> u64 {
    seconds(instant.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// An instant in milliseconds since 1970, rounded up.
pub(super) fn unix_millis(instant: SystemTime) -> u64 {
    millis(instant.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A reply in seconds: the unit is the command's, the reply does not say it.
pub(super) struct Seconds<T>(pub(super) T);

/// A reply in milliseconds.
pub(super) struct Millis<T>(pub(super) T);

impl<T: Measured> FromRedisValue for Seconds<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        measured(value, Duration::from_secs).map(Self)
    }
}

impl<T: Measured> FromRedisValue for Millis<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        measured(value, Duration::from_millis).map(Self)
    }
}

fn measured<T: Measured>(value: Value, unit: fn(u64) -> Duration) -> Result<T, ParsingError> {
    let measured = match i64::from_redis_value(value)? {
        -2 => T::MISSING,
        -1 => T::PERSISTENT,
        n => u64::try_from(n).ok().and_then(|n| T::of(unit(n))),
    };
    measured.ok_or_else(|| ParsingError::from("not a time"))
}

/// A value that is read from a number of seconds or milliseconds.
pub(super) trait Measured: Sized {
    const MISSING: Option<Self>;
    const PERSISTENT: Option<Self>;
    fn of(duration: Duration) -> Option<Self>;
}

impl Measured for TimeToLive {
    const MISSING: Option<Self> = Some(Self::Missing);
    const PERSISTENT: Option<Self> = Some(Self::Persistent);
    fn of(duration: Duration) -> Option<Self> {
        Some(Self::In(duration))
    }
}

impl Measured for ExpiresAt {
    const MISSING: Option<Self> = Some(Self::Missing);
    const PERSISTENT: Option<Self> = Some(Self::Persistent);
    fn of(duration: Duration) -> Option<Self> {
        UNIX_EPOCH.checked_add(duration).map(Self::At)
    }
}

impl Measured for Duration {
    const MISSING: Option<Self> = None;
    const PERSISTENT: Option<Self> = None;
    fn of(duration: Duration) -> Option<Self> {
        Some(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_rounded_up_and_zero_stays_zero() {
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
        assert_eq!(seconds(Duration::MAX), u64::MAX);
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_micros(1)), 1);
        assert_eq!(millis(Duration::from_micros(1001)), 2);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }

    #[test]
    fn an_instant_before_1970_is_sent_as_1970() {
        assert_eq!(unix_seconds(UNIX_EPOCH - Duration::from_secs(5)), 0);
        assert_eq!(unix_millis(UNIX_EPOCH + Duration::from_micros(1500)), 2);
    }

    #[test]
    fn an_instant_is_read_from_seconds_and_from_a_pair() {
        let pair = Value::Array(vec![Value::BulkString(b"7".into()), Value::BulkString(b"5".into())]);
        let instant = |reply| Timestamp::from_redis_value(reply).unwrap().instant();
        assert_eq!(instant(Value::Int(7)), UNIX_EPOCH + Duration::from_secs(7));
        assert_eq!(instant(pair), UNIX_EPOCH + Duration::from_micros(7_000_005));
    }

    #[test]
    fn the_special_numbers_become_states() {
        let ttl = |n| Seconds::<TimeToLive>::from_redis_value(Value::Int(n)).map(|ttl| ttl.0);
        assert_eq!(ttl(-2).unwrap(), TimeToLive::Missing);
        assert_eq!(ttl(-1).unwrap(), TimeToLive::Persistent);
        assert_eq!(ttl(3).unwrap(), TimeToLive::In(Duration::from_secs(3)));
        assert!(ttl(-3).is_err());
        let at = Millis::<ExpiresAt>::from_redis_value(Value::Int(1500)).unwrap().0;
        assert_eq!(at, ExpiresAt::At(UNIX_EPOCH + Duration::from_millis(1500)));
        assert!(Seconds::<Duration>::from_redis_value(Value::Int(-1)).is_err());
    }
}

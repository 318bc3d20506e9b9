//! The latency that a server has noticed of its own.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::SystemTime;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::Value;

use super::expiry::Timestamp;
use super::fields::Fields;

/// The spikes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyEvent {
    /// Its name: `command`, `fork`, ..
    pub event: String,
    /// The time of the last one, in whole seconds.
    pub at: SystemTime,
    /// The duration of the last one.
    pub latest: Duration,
    /// The duration of the longest one.
    pub longest: Duration,
}

impl FromRedisValue for LatencyEvent {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        // Later versions append further numbers.
        let mut items = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || items.next().unwrap_or(Value::Nil);
        Ok(Self {
            event: FromRedisValue::from_redis_value(next())?,
            at: Timestamp::from_redis_value(next())?.into(),
            latest: Duration::from_millis(FromRedisValue::from_redis_value(next())?),
            longest: Duration::from_millis(FromRedisValue::from_redis_value(next())?),
        })
    }
}

/// A spike.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencySpike {
    /// The time of the event, in whole seconds.
    pub at: SystemTime,
    /// The duration.
    pub took: Duration,
}

impl FromRedisValue for LatencySpike {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (at, took): (Timestamp, u64) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { at: at.into(), took: Duration::from_millis(took) })
    }
}

/// The durations of the calls of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatencyHistogram {
    /// The number of calls.
    pub calls: u64,
    /// The numbers of calls that took at most so long; each number includes those before it.
    pub within: BTreeMap<Duration, u64>,
}

impl FromRedisValue for LatencyHistogram {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        let within: BTreeMap<u64, u64> = fields.take("histogram_usec")?;
        Ok(Self {
            calls: fields.take("calls")?,
            within: within.into_iter().map(|(micros, n)| (Duration::from_micros(micros), n)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn spikes_are_read_with_what_later_versions_append() {
        let event = Value::BulkString(b"command".to_vec());
        let at = UNIX_EPOCH + Duration::from_secs(1_405_067_976);
        let mut items = vec![event, Value::Int(1_405_067_976), Value::Int(251), Value::Int(1001)];
        for _ in 0..2 {
            let read = LatencyEvent::from_redis_value(Value::Array(items.clone())).unwrap();
            assert_eq!((read.event.as_str(), read.at), ("command", at));
            let (latest, longest) = (Duration::from_millis(251), Duration::from_millis(1001));
            assert_eq!((read.latest, read.longest), (latest, longest));
            items.push(Value::Int(1));
        }
        let spike = Value::Array(vec![Value::Int(1_405_067_976), Value::Int(251)]);
        let spike = LatencySpike::from_redis_value(spike).unwrap();
        assert_eq!(spike, LatencySpike { at, took: Duration::from_millis(251) });
    }
}

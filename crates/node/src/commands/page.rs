//! A step of a scan, for `SCAN`, `HSCAN`, `SSCAN` and `ZSCAN`.

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::Value;

/// The items that a step of a scan found, and the cursor of the next step.
///
/// A page may be empty although the scan is not over: only the cursor tells. An element that is there from
/// the first step to the last is returned at least once, and possibly more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanPage<T> {
    /// The cursor for the next step; 0 when the scan is over.
    pub cursor: u64,
    /// The elements found by this step.
    pub items: Vec<T>,
}

impl<T> ScanPage<T> {
    /// Returns whether the scan is over.
    pub fn is_last(&self) -> bool {
        self.cursor == 0
    }
}

impl<T: FromRedisValue> FromRedisValue for ScanPage<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (cursor, items) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { cursor, items })
    }
}

/// Options of `HSCAN`, `SSCAN` and `ZSCAN`.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ScanOptions {
    pattern: Option<Vec<u8>>,
    count: Option<u64>,
}

impl ScanOptions {
    /// Everything, with the server's own page size (10).
    pub fn new() -> Self {
        Self::default()
    }

    /// Only what matches this glob-style pattern.
    pub fn pattern(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern = Some(pattern.as_ref().to_vec());
        self
    }

    /// About how much work one step does; a hint.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

impl ToRedisArgs for ScanOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.pattern.as_ref().map(|pattern| ("MATCH", pattern)).write_redis_args(out);
        self.count.map(|count| ("COUNT", count)).write_redis_args(out);
    }
}

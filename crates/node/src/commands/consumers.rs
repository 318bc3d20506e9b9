//! The options and replies of the commands on consumer groups of streams.

use std::hash::Hash;
use std::time::Duration;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::Value;

use super::expiry::Millis;
use super::expiry::millis;
use super::fields::Fields;
use super::streams::StreamEntry;
use super::streams::StreamId;

/// Options of `XGROUP CREATE`: by default the stream must exist.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct GroupOptions {
    mkstream: bool,
    entries_read: Option<u64>,
}

impl GroupOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the stream if need be.
    pub fn mkstream(mut self) -> Self {
        self.mkstream = true;
        self
    }

    /// The number of entries count as read, so that the server can tell how far the group lags. Since Redis
    /// 7.0.
    pub fn entries_read(mut self, entries_read: u64) -> Self {
        self.entries_read = Some(entries_read);
        self
    }
}

impl ToRedisArgs for GroupOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let entries_read = self.entries_read.map(|n| ("ENTRIESREAD", n));
        (self.mkstream.then_some("MKSTREAM"), entries_read).write_redis_args(out);
    }
}

/// Options of `XREADGROUP`: by default all entries, to be acknowledged.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct ReadGroupOptions {
    count: Option<u64>,
    noack: bool,
}

impl ReadGroupOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most this many entries of each stream.
    pub fn count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// The entries count as acknowledged at once.
    pub fn noack(mut self) -> Self {
        self.noack = true;
        self
    }
}

impl ToRedisArgs for ReadGroupOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.count.map(|count| ("COUNT", count)), self.noack.then_some("NOACK")).write_redis_args(out);
    }
}

/// Options of `XCLAIM`: by default the entries count as delivered just now, once more than before.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct ClaimOptions {
    idle: Option<Duration>,
    retry_count: Option<u64>,
    force: bool,
}

impl ClaimOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries count as delivered this long ago.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The entries count as delivered this often.
    pub fn retry_count(mut self, retry_count: u64) -> Self {
        self.retry_count = Some(retry_count);
        self
    }

    /// Claims entries that are pending for nobody, too.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }
}

impl ToRedisArgs for ClaimOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let idle = self.idle.map(|idle| ("IDLE", millis(idle)));
        let retry_count = self.retry_count.map(|n| ("RETRYCOUNT", n));
        (idle, retry_count, self.force.then_some("FORCE")).write_redis_args(out);
    }
}

/// Options of `XPENDING`: by default whatever is pending, for whomever.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PendingOptions {
    idle: Option<Duration>,
    consumer: Option<Vec<u8>>,
}

impl PendingOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only what was last delivered at least this long ago. Since Redis 6.2.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Only what is pending for this consumer.
    pub fn consumer(mut self, consumer: impl AsRef<[u8]>) -> Self {
        self.consumer = Some(consumer.as_ref().to_vec());
        self
    }

    /// The words before the bounds, and those after the count.
    pub(super) fn words(self) -> (impl ToRedisArgs, Option<Vec<u8>>) {
        (self.idle.map(|idle| ("IDLE", millis(idle))), self.consumer)
    }
}

/// The entries that are pending in a group: delivered and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSummary {
    /// The number of entries.
    pub count: u64,
    /// The oldest of them; `None` if there is none.
    pub first: Option<StreamId>,
    /// The latest of them; `None` if there is none.
    pub last: Option<StreamId>,
    /// Each consumer that has some, and how many.
    pub consumers: Vec<(String, u64)>,
}

impl FromRedisValue for PendingSummary {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (count, first, last, consumers) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { count, first, last, consumers })
    }
}

/// An entry that is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingEntry {
    /// Its id.
    pub id: StreamId,
    /// The consumer that it was delivered to.
    pub consumer: String,
    /// The time since the entry was last delivered.
    pub idle: Duration,
    /// The number of deliveries.
    pub deliveries: u64,
}

impl FromRedisValue for PendingEntry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, consumer, Millis(idle), deliveries) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { id, consumer, idle, deliveries })
    }
}

/// The entries that `XAUTOCLAIM` claimed, and the id at which the next call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AutoClaimed<T> {
    /// The start of the next one; [`StreamId::MIN`] when all was gone through.
    pub next: StreamId,
    /// The claimed entries.
    pub claimed: Vec<T>,
    /// The ids that were pending, but are no longer in the stream. Since Redis 7.0.
    pub deleted: Vec<StreamId>,
}

impl<T: FromRedisValue> FromRedisValue for AutoClaimed<T> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        Ok(Self {
            next: FromRedisValue::from_redis_value(part())?,
            claimed: FromRedisValue::from_redis_value(part())?,
            deleted: FromRedisValue::from_redis_value(part())?,
        })
    }
}

/// The facts that a server gives of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo<F: Eq + Hash, V> {
    /// The number of entries.
    pub length: u64,
    /// The id of the last entry that was added, even if it was deleted since.
    pub last_generated_id: StreamId,
    /// The number of entries were ever added; `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// The number of consumer groups.
    pub groups: u64,
    /// The oldest entry, `None` if there is none.
    pub first_entry: Option<StreamEntry<F, V>>,
    /// The latest entry, `None` if there is none.
    pub last_entry: Option<StreamEntry<F, V>>,
}

impl<F: FromRedisValue + Eq + Hash, V: FromRedisValue> FromRedisValue for StreamInfo<F, V> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            length: fields.take("length")?,
            last_generated_id: fields.take("last-generated-id")?,
            entries_added: fields.take("entries-added")?,
            groups: fields.take("groups")?,
            first_entry: fields.take("first-entry")?,
            last_entry: fields.take("last-entry")?,
        })
    }
}

/// The facts that a server gives of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// The number of its consumers.
    pub consumers: u64,
    /// The number of entries that are pending.
    pub pending: u64,
    /// The last entry that was delivered.
    pub last_delivered_id: StreamId,
    /// The number of entries were read; `None` if the server cannot tell, and before Redis 7.0.
    pub entries_read: Option<u64>,
    /// The number of entries that are still to be delivered; `None` if the server cannot tell, and before
    /// Redis 7.0.
    pub lag: Option<u64>,
}

impl FromRedisValue for GroupInfo {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            name: fields.take("name")?,
            consumers: fields.take("consumers")?,
            pending: fields.take("pending")?,
            last_delivered_id: fields.take("last-delivered-id")?,
            entries_read: fields.take("entries-read")?,
            lag: fields.take("lag")?,
        })
    }
}

/// The facts that a server gives of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerInfo {
    /// Its name.
    pub name: String,
    /// The number of entries that are pending for it.
    pub pending: u64,
    /// The time since the consumer last asked for entries.
    pub idle: Duration,
}

impl FromRedisValue for ConsumerInfo {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            name: fields.take("name")?,
            pending: fields.take("pending")?,
            idle: fields.take::<Millis<Duration>>("idle")?.0,
        })
    }
}

//! Streams, as far as they need no consumer group: <https://redis.io/docs/latest/commands/?group=stream>.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::str::FromStr;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use crate::Execute;
use crate::command::rows::XADD;
use crate::command::rows::XDEL;
use crate::command::rows::XLEN;
use crate::command::rows::XRANGE;
use crate::command::rows::XREAD;
use crate::command::rows::XREVRANGE;
use crate::command::rows::XTRIM;

/// The commands on streams.
///
/// A key that does not exist is an empty stream. A bound is a [`StreamId`], which is included, or what Redis writes:
/// `"-"` and `"+"` for the first and the last entry, `"(5-0"` for what lies inside.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A copy reads
/// from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a stream; otherwise as [`Execute::read`] and [`Execute::write`].
pub trait StreamCommands: Execute {
    /// Appends an entry, pairs of a field and its value, and returns the id that the server gave it.
    ///
    /// See <https://redis.io/docs/latest/commands/xadd/>.
    fn xadd<F: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        pairs: impl IntoIterator<Item = (F, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<StreamId>, Self::Error>> + Send {
        let mut cmd = XADD.cmd().arg(key).arg("*").take();
        for (field, value) in pairs {
            cmd.arg(field).arg(value);
        }
        self.write(&XADD, cmd)
    }

    /// Appends an entry as the options say, and returns its id; `None` if [`XaddOptions::nomkstream`] held it back.
    ///
    /// # Errors
    /// The server's, if the id is not greater than that of the last entry.
    ///
    /// See <https://redis.io/docs/latest/commands/xadd/>.
    fn xadd_with<F: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: XaddOptions,
        pairs: impl IntoIterator<Item = (F, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<StreamId>>, Self::Error>> + Send {
        let mut cmd = XADD.cmd().arg(key).arg(options).take();
        for (field, value) in pairs {
            cmd.arg(field).arg(value);
        }
        self.write(&XADD, cmd)
    }

    /// Deletes entries, and returns how many of them there were.
    ///
    /// See <https://redis.io/docs/latest/commands/xdel/>.
    fn xdel(
        &self,
        key: impl ToSingleRedisArg + Send,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&XDEL, XDEL.cmd().arg(key).arg(ids).take())
    }

    /// Returns the number of entries.
    ///
    /// See <https://redis.io/docs/latest/commands/xlen/>.
    fn xlen(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&XLEN, XLEN.cmd().arg(key).take())
    }

    /// Returns the entries within bounds, the oldest first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrange/>.
    fn xrange<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<StreamEntry<F, V>>, Self::Error>> + Send {
        self.read(&XRANGE, XRANGE.cmd().arg(key).arg(start).arg(end).take())
    }

    /// Returns the first `count` entries within bounds, the oldest first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrange/>.
    fn xrange_count<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Vec<StreamEntry<F, V>>, Self::Error>> + Send {
        self.read(&XRANGE, XRANGE.cmd().arg(key).arg(start).arg(end).arg("COUNT").arg(count).take())
    }

    /// Returns what each stream has after an id, one id for each key; streams that have nothing are left out.
    ///
    /// It does not wait.
    ///
    /// See <https://redis.io/docs/latest/commands/xread/>.
    fn xread<L: FromRedisValue + Send, F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<StreamTail<L, F, V>>, Self::Error>> + Send {
        self.read(&XREAD, XREAD.cmd().arg("STREAMS").arg(keys).arg(after).take())
    }

    /// Returns up to `count` entries of each stream after an id, one id for each key; streams that have nothing are left out.
    ///
    /// It does not wait.
    ///
    /// See <https://redis.io/docs/latest/commands/xread/>.
    fn xread_count<
        L: FromRedisValue + Send,
        F: FromRedisValue + Eq + Hash + Send,
        V: FromRedisValue + Send,
    >(
        &self,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
        count: u64,
    ) -> impl Future<Output = Result<Vec<StreamTail<L, F, V>>, Self::Error>> + Send {
        self.read(&XREAD, XREAD.cmd().arg("COUNT").arg(count).arg("STREAMS").arg(keys).arg(after).take())
    }

    /// Returns the entries within bounds, the latest first. `end` comes first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrevrange/>.
    fn xrevrange<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<StreamEntry<F, V>>, Self::Error>> + Send {
        self.read(&XREVRANGE, XREVRANGE.cmd().arg(key).arg(end).arg(start).take())
    }

    /// Returns the last `count` entries within bounds, the latest first. `end` comes first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrevrange/>.
    fn xrevrange_count<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Vec<StreamEntry<F, V>>, Self::Error>> + Send {
        self.read(&XREVRANGE, XREVRANGE.cmd().arg(key).arg(end).arg(start).arg("COUNT").arg(count).take())
    }

    /// Deletes the oldest entries, and returns how many.
    ///
    /// See <https://redis.io/docs/latest/commands/xtrim/>.
    fn xtrim(
        &self,
        key: impl ToSingleRedisArg + Send,
        trim: StreamTrim,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&XTRIM, XTRIM.cmd().arg(key).arg(trim).take())
    }
}

impl<E: Execute + ?Sized> StreamCommands for E {}

/// The id of an entry: the time it was added, and its number within that millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since 1970.
    pub millis: u64,
    /// The number within the millisecond.
    pub number: u64,
}

impl StreamId {
    /// Before every entry.
    pub const MIN: Self = Self::new(0, 0);
    /// After every entry.
    pub const MAX: Self = Self::new(u64::MAX, u64::MAX);

    /// An id.
    pub const fn new(millis: u64, number: u64) -> Self {
        Self { millis, number }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl FromStr for StreamId {
    type Err = ParsingError;

    fn from_str(text: &str) -> Result<Self, ParsingError> {
        let (millis, number) = text.split_once('-').unwrap_or((text, "0"));
        match (millis.parse(), number.parse()) {
            (Ok(millis), Ok(number)) => Ok(Self { millis, number }),
            _ => Err(ParsingError::from("not the id of an entry of a stream")),
        }
    }
}

impl ToRedisArgs for StreamId {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(self);
    }
}

impl ToSingleRedisArg for StreamId {}

impl FromRedisValue for StreamId {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        String::from_redis_value(value)?.parse()
    }
}

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry<F: Eq + Hash, V> {
    /// Its id.
    pub id: StreamId,
    /// Its fields and their values; of a field that was added twice, the last value.
    pub fields: HashMap<F, V>,
}

impl<F: FromRedisValue + Eq + Hash, V: FromRedisValue> FromRedisValue for StreamEntry<F, V> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, fields) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { id, fields })
    }
}

/// A stream and the entries that it has after an id.
pub type StreamTail<K, F, V> = (K, Vec<StreamEntry<F, V>>);

/// Which entries are deleted: the oldest, until the stream is short or young enough.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct StreamTrim {
    by: TrimBy,
    about: bool,
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum TrimBy {
    Length(u64),
    Id(StreamId),
}

impl StreamTrim {
    /// Keeps at most this many entries.
    pub fn maxlen(maxlen: u64) -> Self {
        Self { by: TrimBy::Length(maxlen), about: false, limit: None }
    }

    /// Keeps the entries from this id on. Since Redis 6.2.
    pub fn minid(minid: StreamId) -> Self {
        Self { by: TrimBy::Id(minid), about: false, limit: None }
    }

    /// May keep some more, which is faster: servers with the same entries may then keep different ones.
    pub fn about(mut self) -> Self {
        self.about = true;
        self
    }

    /// As [`about`](Self::about), and deletes at most this many; 0 means any number. Since Redis 6.2.
    pub fn limit(mut self, limit: u64) -> Self {
        self.about = true;
        self.limit = Some(limit);
        self
    }
}

impl ToRedisArgs for StreamTrim {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let about = self.about.then_some("~");
        match self.by {
            TrimBy::Length(maxlen) => ("MAXLEN", about, maxlen).write_redis_args(out),
            TrimBy::Id(minid) => ("MINID", about, minid).write_redis_args(out),
        }
        self.limit.map(|limit| ("LIMIT", limit)).write_redis_args(out);
    }
}

/// Options of `XADD`: by default the server chooses the id, the stream is created if need be, and nothing is trimmed.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct XaddOptions {
    nomkstream: bool,
    trim: Option<StreamTrim>,
    id: Option<StreamId>,
}

impl XaddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if the stream exists. Since Redis 6.2.
    pub fn nomkstream(mut self) -> Self {
        self.nomkstream = true;
        self
    }

    /// Deletes old entries, too.
    pub fn trim(mut self, trim: StreamTrim) -> Self {
        self.trim = Some(trim);
        self
    }

    /// The id of the entry, which must be greater than all before it.
    pub fn id(mut self, id: StreamId) -> Self {
        self.id = Some(id);
        self
    }
}

impl ToRedisArgs for XaddOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.nomkstream.then_some("NOMKSTREAM"), self.trim).write_redis_args(out);
        match self.id {
            Some(id) => id.write_redis_args(out),
            None => out.write_arg(b"*"),
        }
    }
}

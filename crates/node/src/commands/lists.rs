//! Lists: <https://redis.io/docs/latest/commands/?group=list>.

use std::future::Future;

use redis::Direction;
use redis::FromRedisValue;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use super::counted::Counted;
use crate::Execute;
use crate::command::rows::LINDEX;
use crate::command::rows::LINSERT;
use crate::command::rows::LLEN;
use crate::command::rows::LMOVE;
use crate::command::rows::LMPOP;
use crate::command::rows::LPOP;
use crate::command::rows::LPOS;
use crate::command::rows::LPUSH;
use crate::command::rows::LPUSHX;
use crate::command::rows::LRANGE;
use crate::command::rows::LREM;
use crate::command::rows::LSET;
use crate::command::rows::LTRIM;
use crate::command::rows::RPOP;
use crate::command::rows::RPOPLPUSH;
use crate::command::rows::RPUSH;
use crate::command::rows::RPUSHX;

/// The commands on lists that do not wait.
///
/// Indexes count from 0; negative ones count from the end: -1 is the last element.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a list; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait ListCommands: Execute {
    /// Returns the element at an index, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/lindex/>.
    fn lindex<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        index: i64,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&LINDEX, LINDEX.cmd().arg(key).arg(index).take())
    }

    /// Inserts a value before or after the first element that equals `pivot`, and returns the new length: 0
    /// if there is no list, -1 if there is no such element.
    ///
    /// See <https://redis.io/docs/latest/commands/linsert/>.
    fn linsert(
        &self,
        key: impl ToSingleRedisArg + Send,
        place: ListPlace,
        pivot: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&LINSERT, LINSERT.cmd().arg(key).arg(place).arg(pivot).arg(value).take())
    }

    /// Returns the number of elements, 0 if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/llen/>.
    fn llen(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&LLEN, LLEN.with(key))
    }

    /// Takes an element off one end of a list and puts it to one end of another, and returns it; `None` if
    /// the source is empty.
    ///
    /// See <https://redis.io/docs/latest/commands/lmove/>.
    fn lmove<V: FromRedisValue + Send>(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        from: Direction,
        to: Direction,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&LMOVE, LMOVE.cmd().arg(source).arg(destination).arg(from).arg(to).take())
    }

    /// Takes up to `count` elements off one end of the first list that is not empty, and returns its key and
    /// the elements. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/lmpop/>.
    fn lmpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        from: Direction,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<Popped<L, V>>, Self::Error>> + Send {
        self.write(&LMPOP, LMPOP.cmd().arg(Counted(keys)).arg(from).arg("COUNT").arg(count).take())
    }

    /// Takes the first element off a list and returns it, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/lpop/>.
    fn lpop<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&LPOP, LPOP.with(key))
    }

    /// Takes up to `count` elements off the head of a list and returns them. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/lpop/>.
    fn lpop_count<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(&LPOP, LPOP.cmd().arg(key).arg(count).take())
    }

    /// Returns the index of the first element that equals `value`, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/lpos/>.
    fn lpos(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&LPOS, LPOS.cmd().arg(key).arg(value).take())
    }

    /// Returns the index of the element that the options say of those that equal `value`, `None` if there is
    /// none.
    ///
    /// See <https://redis.io/docs/latest/commands/lpos/>.
    fn lpos_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        options: LposOptions,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&LPOS, LPOS.cmd().arg(key).arg(value).arg(options).take())
    }

    /// Returns the indexes of up to `count` elements that equal `value`; 0 means of all.
    ///
    /// See <https://redis.io/docs/latest/commands/lpos/>.
    fn lpos_count(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        count: u64,
        options: LposOptions,
    ) -> impl Future<Output = Result<Vec<u64>, Self::Error>> + Send {
        self.read(&LPOS, LPOS.cmd().arg(key).arg(value).arg("COUNT").arg(count).arg(options).take())
    }

    /// Puts values to the head of a list, one after the other, so that the last comes first; returns the new
    /// length.
    ///
    /// See <https://redis.io/docs/latest/commands/lpush/>.
    fn lpush(
        &self,
        key: impl ToSingleRedisArg + Send,
        values: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&LPUSH, LPUSH.cmd_for(1 + values.num_of_args()).arg(key).arg(values).take())
    }

    /// Puts values to the head of a list if it exists, and returns the new length, 0 if it does not.
    ///
    /// See <https://redis.io/docs/latest/commands/lpushx/>.
    fn lpushx(
        &self,
        key: impl ToSingleRedisArg + Send,
        values: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&LPUSHX, LPUSHX.cmd_for(1 + values.num_of_args()).arg(key).arg(values).take())
    }

    /// Returns the elements from `start` to `stop`, both included; what lies outside is left out.
    ///
    /// See <https://redis.io/docs/latest/commands/lrange/>.
    fn lrange<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&LRANGE, LRANGE.cmd().arg(key).arg(start).arg(stop).take())
    }

    /// Removes elements that equal `value`, and returns how many: the first `count` of them, the last
    /// `-count` if it is negative, all if it is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/lrem/>.
    fn lrem(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&LREM, LREM.cmd().arg(key).arg(count).arg(value).take())
    }

    /// Replaces the element at an index.
    ///
    /// # Errors
    /// The server's, if there is no such list or no such index.
    ///
    /// See <https://redis.io/docs/latest/commands/lset/>.
    fn lset(
        &self,
        key: impl ToSingleRedisArg + Send,
        index: i64,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&LSET, LSET.cmd().arg(key).arg(index).arg(value).take())
    }

    /// Removes all elements but those from `start` to `stop`, both included.
    ///
    /// See <https://redis.io/docs/latest/commands/ltrim/>.
    fn ltrim(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&LTRIM, LTRIM.cmd().arg(key).arg(start).arg(stop).take())
    }

    /// Takes the last element off a list and returns it, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/rpop/>.
    fn rpop<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&RPOP, RPOP.with(key))
    }

    /// Takes up to `count` elements off the tail of a list and returns them, the last first. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/rpop/>.
    fn rpop_count<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(&RPOP, RPOP.cmd().arg(key).arg(count).take())
    }

    /// Takes the last element off a list, puts it to the head of another, and returns it; `None` if the
    /// source is empty.
    ///
    /// See <https://redis.io/docs/latest/commands/rpoplpush/>.
    fn rpoplpush<V: FromRedisValue + Send>(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&RPOPLPUSH, RPOPLPUSH.cmd().arg(source).arg(destination).take())
    }

    /// Puts values to the tail of a list, and returns the new length.
    ///
    /// See <https://redis.io/docs/latest/commands/rpush/>.
    fn rpush(
        &self,
        key: impl ToSingleRedisArg + Send,
        values: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&RPUSH, RPUSH.cmd_for(1 + values.num_of_args()).arg(key).arg(values).take())
    }

    /// Puts values to the tail of a list if it exists, and returns the new length, 0 if it does not.
    ///
    /// See <https://redis.io/docs/latest/commands/rpushx/>.
    fn rpushx(
        &self,
        key: impl ToSingleRedisArg + Send,
        values: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&RPUSHX, RPUSHX.cmd_for(1 + values.num_of_args()).arg(key).arg(values).take())
    }
}

impl<E: Execute + ?Sized> ListCommands for E {}

/// The first key that had something to give, and what was taken; `None` if none of the keys had.
pub type Popped<K, T> = Option<(K, Vec<T>)>;

/// The place where `LINSERT` puts a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListPlace {
    /// Before the pivot.
    Before,
    /// After the pivot.
    After,
}

impl ToRedisArgs for ListPlace {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(match self {
            Self::Before => b"BEFORE",
            Self::After => b"AFTER",
        });
    }
}

/// Options of `LPOS`: by default the first match, wherever it stands.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct LposOptions {
    rank: Option<i64>,
    maxlen: Option<u64>,
}

impl LposOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with the `rank`-th match; a negative rank begins at the tail. 1 is the default, 0 an error of
    /// the server's.
    pub fn rank(mut self, rank: i64) -> Self {
        self.rank = Some(rank);
        self
    }

    /// Compares only this many elements; 0 means all.
    pub fn maxlen(mut self, maxlen: u64) -> Self {
        self.maxlen = Some(maxlen);
        self
    }
}

impl ToRedisArgs for LposOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.rank.map(|rank| ("RANK", rank)).write_redis_args(out);
        self.maxlen.map(|maxlen| ("MAXLEN", maxlen)).write_redis_args(out);
    }
}

//! Strings: <https://redis.io/docs/latest/commands/?group=string>.

use std::future::Future;
use std::time::Duration;
use std::time::SystemTime;

use redis::FromRedisValue;
use redis::IncrexOptions;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::comparison::ValueIs;
use super::expiry::Expiry;
use super::expiry::millis;
use super::expiry::seconds;
use super::fields::Fields;
use crate::Execute;
use crate::command::rows::APPEND;
use crate::command::rows::DECR;
use crate::command::rows::DECRBY;
use crate::command::rows::DELEX;
use crate::command::rows::DELIFEQ;
use crate::command::rows::DIGEST;
use crate::command::rows::GET;
use crate::command::rows::GETDEL;
use crate::command::rows::GETEX;
use crate::command::rows::GETRANGE;
use crate::command::rows::GETSET;
use crate::command::rows::INCR;
use crate::command::rows::INCRBY;
use crate::command::rows::INCRBYFLOAT;
use crate::command::rows::INCREX;
use crate::command::rows::LCS;
use crate::command::rows::MGET;
use crate::command::rows::MSET;
use crate::command::rows::MSETEX;
use crate::command::rows::MSETNX;
use crate::command::rows::PSETEX;
use crate::command::rows::SET;
use crate::command::rows::SETEX;
use crate::command::rows::SETNX;
use crate::command::rows::SETRANGE;
use crate::command::rows::STRLEN;
use crate::command::rows::SUBSTR;

/// The commands on strings.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together,
/// except where a method says that it splits them. A copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a string; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait StringCommands: Execute {
    /// Appends to the value of a key, which is created if need be, and returns the new length in bytes.
    ///
    /// See <https://redis.io/docs/latest/commands/append/>.
    fn append(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&APPEND, APPEND.cmd().arg(key).arg(value).take())
    }

    /// Subtracts one and returns the new number; a key that does not exist counts as 0.
    ///
    /// # Errors
    /// The server's, if the value is no integer of 64 bits, or the result would not be.
    ///
    /// See <https://redis.io/docs/latest/commands/decr/>.
    fn decr(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&DECR, DECR.with(key))
    }

    /// Subtracts `amount` and returns the new number; a key that does not exist counts as 0.
    ///
    /// # Errors
    /// As [`decr`](Self::decr).
    ///
    /// See <https://redis.io/docs/latest/commands/decrby/>.
    fn decrby(
        &self,
        key: impl ToSingleRedisArg + Send,
        amount: i64,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&DECRBY, DECRBY.cmd().arg(key).arg(amount).take())
    }

    /// Deletes a key, if it holds what the condition says, and returns whether it did. Since Redis 8.4.
    ///
    /// # On a copy
    /// A single node decides, and the others are sent a `DEL` if that node deleted the key.
    ///
    /// See <https://redis.io/docs/latest/commands/delex/>.
    fn delex(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: ValueIs,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&DELEX, DELEX.cmd().arg(key).arg(value).take())
    }

    /// Deletes a key, if it holds this value, and returns whether it did. Since Valkey 9.0; Redis has
    /// [`delex`](Self::delex).
    ///
    /// # On a copy
    /// A single node decides, and the others are sent a `DEL` if that node deleted the key.
    ///
    /// See <https://valkey.io/commands/delifeq/>.
    fn delifeq(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&DELIFEQ, DELIFEQ.cmd().arg(key).arg(value).take())
    }

    /// Returns the digest of a value, 16 hexadecimal digits; `None` if there is none. Since Redis 8.4.
    ///
    /// See <https://redis.io/docs/latest/commands/digest/>.
    fn digest(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send {
        self.read(&DIGEST, DIGEST.with(key))
    }

    /// Returns the value of a key, `None` if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/get/>.
    fn get<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&GET, GET.with(key))
    }

    /// Returns the value of a key, `None` if there is none, and deletes the key.
    ///
    /// See <https://redis.io/docs/latest/commands/getdel/>.
    fn getdel<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&GETDEL, GETDEL.with(key))
    }

    /// Returns the value of a key and lets the key live for `ttl` from now.
    ///
    /// A part of a millisecond counts as a whole one; a `ttl` of zero is an error of the server's.
    ///
    /// See <https://redis.io/docs/latest/commands/getex/>.
    fn getex<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&GETEX, GETEX.cmd().arg(key).arg("PX").arg(millis(ttl)).take())
    }

    /// Returns the value of a key and changes its expiry as the options say.
    ///
    /// See <https://redis.io/docs/latest/commands/getex/>.
    fn getex_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: GetExOptions,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&GETEX, GETEX.cmd().arg(key).arg(options).take())
    }

    /// Returns the bytes from `start` to `end`, both included; what lies outside is left out.
    ///
    /// Negative offsets count from the end: -1 is the last byte. A key that does not exist is an empty
    /// string.
    ///
    /// See <https://redis.io/docs/latest/commands/getrange/>.
    fn getrange<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        end: i64,
    ) -> impl Future<Output = Result<V, Self::Error>> + Send {
        self.read(&GETRANGE, GETRANGE.cmd().arg(key).arg(start).arg(end).take())
    }

    /// Sets a key and returns its former value, `None` if it had none. Drops its time to live.
    ///
    /// The server calls it deprecated: [`set_get`](Self::set_get) does the same.
    ///
    /// See <https://redis.io/docs/latest/commands/getset/>.
    fn getset<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&GETSET, GETSET.cmd().arg(key).arg(value).take())
    }

    /// Adds one and returns the new number; a key that does not exist counts as 0.
    ///
    /// # Errors
    /// As [`decr`](Self::decr).
    ///
    /// See <https://redis.io/docs/latest/commands/incr/>.
    fn incr(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&INCR, INCR.with(key))
    }

    /// Adds `amount` and returns the new number; a key that does not exist counts as 0.
    ///
    /// # Errors
    /// As [`decr`](Self::decr).
    ///
    /// See <https://redis.io/docs/latest/commands/incrby/>.
    fn incrby(
        &self,
        key: impl ToSingleRedisArg + Send,
        amount: i64,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&INCRBY, INCRBY.cmd().arg(key).arg(amount).take())
    }

    /// Adds `amount` and returns the new number; a key that does not exist counts as 0.
    ///
    /// # Errors
    /// The server's, if the value is no number, or the result would be infinite or no number.
    ///
    /// See <https://redis.io/docs/latest/commands/incrbyfloat/>.
    fn incrbyfloat(
        &self,
        key: impl ToSingleRedisArg + Send,
        amount: f64,
    ) -> impl Future<Output = Result<Self::Write<f64>, Self::Error>> + Send {
        self.write(&INCRBYFLOAT, INCRBYFLOAT.cmd().arg(key).arg(amount).take())
    }

    /// Adds a whole number within bounds, and returns the new value and what was added to it. Since Redis
    /// 8.8.
    ///
    /// # On a copy
    /// Refused: the effect cannot be told from the reply.
    ///
    /// See <https://redis.io/docs/latest/commands/increx/>.
    fn increx(
        &self,
        key: impl ToSingleRedisArg + Send,
        by: i64,
        options: IncrexOptions<i64>,
    ) -> impl Future<Output = Result<Self::Write<(i64, i64)>, Self::Error>> + Send {
        self.write(&INCREX, INCREX.cmd().arg(key).arg("BYINT").arg(by).arg(options).take())
    }

    /// Adds a number within bounds as [`increx`](Self::increx) does.
    ///
    /// See <https://redis.io/docs/latest/commands/increx/>.
    fn increx_float(
        &self,
        key: impl ToSingleRedisArg + Send,
        by: f64,
        options: IncrexOptions<f64>,
    ) -> impl Future<Output = Result<Self::Write<(f64, f64)>, Self::Error>> + Send {
        self.write(&INCREX, INCREX.cmd().arg(key).arg("BYFLOAT").arg(by).arg(options).take())
    }

    /// Returns the longest common subsequence of two strings.
    ///
    /// See <https://redis.io/docs/latest/commands/lcs/>.
    fn lcs<V: FromRedisValue + Send>(
        &self,
        a: impl ToSingleRedisArg + Send,
        b: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<V, Self::Error>> + Send {
        self.read(&LCS, LCS.cmd().arg(a).arg(b).take())
    }

    /// Returns the length of the longest common subsequence of two strings.
    ///
    /// See <https://redis.io/docs/latest/commands/lcs/>.
    fn lcs_len(
        &self,
        a: impl ToSingleRedisArg + Send,
        b: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&LCS, LCS.cmd().arg(a).arg(b).arg("LEN").take())
    }

    /// Returns where the longest common subsequence stands in two strings, leaving out the matches shorter
    /// than `min_match_len` bytes.
    ///
    /// See <https://redis.io/docs/latest/commands/lcs/>.
    fn lcs_idx(
        &self,
        a: impl ToSingleRedisArg + Send,
        b: impl ToSingleRedisArg + Send,
        min_match_len: u64,
    ) -> impl Future<Output = Result<LcsMatches, Self::Error>> + Send {
        self.read(
            &LCS,
            LCS.cmd()
                .arg(a)
                .arg(b)
                .arg("IDX")
                .arg("MINMATCHLEN")
                .arg(min_match_len)
                .arg("WITHMATCHLEN")
                .take(),
        )
    }

    /// Returns the values of many keys in the order of the keys; `None` for each that does not exist or is no
    /// string.
    ///
    /// # On a ring
    /// Split by owner, sent at once, merged in the order of the keys.
    ///
    /// # Errors
    /// An empty list of keys is an error of the server's.
    ///
    /// See <https://redis.io/docs/latest/commands/mget/>.
    fn mget<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<V>>, Self::Error>> + Send {
        self.read(&MGET, MGET.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Sets many keys: pairs of a key and its value. Drops their times to live.
    ///
    /// # On a ring
    /// Split by owner: not atomic across nodes.
    ///
    /// See <https://redis.io/docs/latest/commands/mset/>.
    fn mset<N: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        pairs: impl IntoIterator<Item = (N, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let pairs = pairs.into_iter();
        let mut cmd = MSET.cmd_for(pairs.size_hint().0.saturating_mul(2));
        for (key, value) in pairs {
            cmd.arg(key).arg(value);
        }
        self.write(&MSET, cmd)
    }

    /// Sets keys, pairs of a key and its value, as the options say: all of them or none. Returns whether it
    /// did. Since Redis 8.4.
    ///
    /// # On a ring
    /// The keys must have one hash tag.
    ///
    /// See <https://redis.io/docs/latest/commands/msetex/>.
    fn msetex<K: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)> + Send,
        options: SetOptions,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        let mut words = Vec::new();
        for (key, value) in pairs {
            words.push((key.to_redis_args(), value.to_redis_args()));
        }
        self.write(&MSETEX, MSETEX.cmd().arg(words.len()).arg(words).arg(options).take())
    }

    /// Sets many keys if none of them exists, and returns whether it did.
    ///
    /// See <https://redis.io/docs/latest/commands/msetnx/>.
    fn msetnx<N: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        pairs: impl IntoIterator<Item = (N, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        let mut cmd = MSETNX.cmd();
        for (key, value) in pairs {
            cmd.arg(key).arg(value);
        }
        self.write(&MSETNX, cmd)
    }

    /// Sets a key that lives for `ttl`.
    ///
    /// A part of a millisecond counts as a whole one; a `ttl` of zero is an error of the server's.
    ///
    /// See <https://redis.io/docs/latest/commands/psetex/>.
    fn psetex(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&PSETEX, PSETEX.cmd().arg(key).arg(millis(ttl)).arg(value).take())
    }

    /// Sets a key to a value, whatever it held, and drops its time to live.
    ///
    /// See <https://redis.io/docs/latest/commands/set/>.
    fn set(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        // Room for three arguments of the usual length: a value is longer than most arguments.
        self.write(&SET, SET.cmd_for(3).arg(key).arg(value).take())
    }

    /// Sets a key as the options say, and returns whether it did; only [`SetOptions::nx`] and
    /// [`SetOptions::xx`] can hold it back.
    ///
    /// See <https://redis.io/docs/latest/commands/set/>.
    fn set_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        options: SetOptions,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&SET, SET.cmd().arg(key).arg(value).arg(options).take())
    }

    /// Sets a key as the options say, if it holds what the condition says, and returns whether it did. Since
    /// Redis 8.4; Valkey 8.1 has [`ValueIs::equal_to`] alone. A key that does not exist is another than any
    /// value. The options may not be [`SetOptions::nx`] or [`SetOptions::xx`].
    ///
    /// # On a copy
    /// A single node decides, and the others are sent a `SET` without the condition if that node set the key.
    ///
    /// See <https://redis.io/docs/latest/commands/set/>.
    fn set_if(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        condition: ValueIs,
        options: SetOptions,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&SET, SET.cmd().arg(key).arg(value).arg(condition).arg(options).take())
    }

    /// Sets a key as the options say, and returns its former value, `None` if it had none.
    ///
    /// [`SetOptions::nx`] is accepted here since Redis 7.0: then `None` says that the key was set.
    ///
    /// See <https://redis.io/docs/latest/commands/set/>.
    fn set_get<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        options: SetOptions,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&SET, SET.cmd().arg(key).arg(value).arg(options).arg("GET").take())
    }

    /// Sets a key that lives for `ttl`.
    ///
    /// A part of a second counts as a whole one: [`psetex`](Self::psetex) is finer. A `ttl` of zero is an
    /// error of the server's.
    ///
    /// See <https://redis.io/docs/latest/commands/setex/>.
    fn setex(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SETEX, SETEX.cmd().arg(key).arg(seconds(ttl)).arg(value).take())
    }

    /// Sets a key if it does not exist, and returns whether it did.
    ///
    /// See <https://redis.io/docs/latest/commands/setnx/>.
    fn setnx(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&SETNX, SETNX.cmd().arg(key).arg(value).take())
    }

    /// Overwrites the bytes from `offset` on, and returns the new length; a gap is filled with zero bytes.
    ///
    /// See <https://redis.io/docs/latest/commands/setrange/>.
    fn setrange(
        &self,
        key: impl ToSingleRedisArg + Send,
        offset: u64,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SETRANGE, SETRANGE.cmd().arg(key).arg(offset).arg(value).take())
    }

    /// Returns the length of a value in bytes, 0 if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/strlen/>.
    fn strlen(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&STRLEN, STRLEN.with(key))
    }

    /// Returns the bytes from `start` to `end`, both included: the old name of [`getrange`](Self::getrange).
    ///
    /// See <https://redis.io/docs/latest/commands/substr/>.
    fn substr<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        end: i64,
    ) -> impl Future<Output = Result<V, Self::Error>> + Send {
        self.read(&SUBSTR, SUBSTR.cmd().arg(key).arg(start).arg(end).take())
    }
}

impl<E: Execute + ?Sized> StringCommands for E {}

/// Options of `SET`: by default it sets the key whatever it held, without an expiry.
///
/// An option given twice keeps its last value; so do the five that concern the expiry, and `nx` and `xx`,
/// among them.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct SetOptions {
    only: Option<&'static str>,
    expiry: Option<Expiry>,
}

impl SetOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if the key does not exist.
    pub fn nx(mut self) -> Self {
        self.only = Some("NX");
        self
    }

    /// Only if the key exists.
    pub fn xx(mut self) -> Self {
        self.only = Some("XX");
        self
    }

    /// Lives for `ttl`; a part of a second counts as a whole one, and zero is an error of the server's.
    pub fn ex(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Ex(ttl));
        self
    }

    /// Lives for `ttl`; a part of a millisecond counts as a whole one, and zero is an error of the server's.
    pub fn px(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Px(ttl));
        self
    }

    /// Lives until this instant, rounded up to a second.
    pub fn exat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::ExAt(instant));
        self
    }

    /// Lives until this instant, rounded up to a millisecond.
    pub fn pxat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::PxAt(instant));
        self
    }

    /// Keeps the time to live that the key has.
    pub fn keepttl(mut self) -> Self {
        self.expiry = Some(Expiry::KeepTtl);
        self
    }
}

impl ToRedisArgs for SetOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.only, self.expiry).write_redis_args(out);
    }
}

/// Options of `GETEX`: by default it leaves the expiry alone. The last one given counts.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct GetExOptions {
    expiry: Option<Expiry>,
}

impl GetExOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lives for `ttl`; a part of a second counts as a whole one, and zero is an error of the server's.
    pub fn ex(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Ex(ttl));
        self
    }

    /// Lives for `ttl`; a part of a millisecond counts as a whole one, and zero is an error of the server's.
    pub fn px(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Px(ttl));
        self
    }

    /// Lives until this instant, rounded up to a second.
    pub fn exat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::ExAt(instant));
        self
    }

    /// Lives until this instant, rounded up to a millisecond.
    pub fn pxat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::PxAt(instant));
        self
    }

    /// Lives without end.
    pub fn persist(mut self) -> Self {
        self.expiry = Some(Expiry::Persist);
        self
    }
}

impl ToRedisArgs for GetExOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.expiry.write_redis_args(out);
    }
}

/// The places of the longest common subsequence of two strings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LcsMatches {
    /// The matches, the last one first.
    pub matches: Vec<LcsMatch>,
    /// The length of the whole subsequence, short matches included.
    pub len: u64,
}

/// A run of bytes that two strings have in common; offsets are of its first and last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LcsMatch {
    /// In the first string.
    pub a: (u64, u64),
    /// In the second string.
    pub b: (u64, u64),
    /// The number of bytes.
    pub len: u64,
}

impl FromRedisValue for LcsMatches {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut fields = Fields::of(value)?;
        Ok(Self { matches: fields.take("matches")?, len: fields.take("len")? })
    }
}

impl FromRedisValue for LcsMatch {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (a, b, len) = FromRedisValue::from_redis_value(value)?;
        Ok(Self { a, b, len })
    }
}

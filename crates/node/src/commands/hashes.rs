//! Hashes: <https://redis.io/docs/latest/commands/?group=hash>.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;
use std::time::SystemTime;

use redis::ExpireOption;
use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::counted::Counted;
use super::expiry::ExpiresAt;
use super::expiry::Expiry;
use super::expiry::Millis;
use super::expiry::Seconds;
use super::expiry::TimeToLive;
use super::expiry::millis;
use super::expiry::seconds;
use super::expiry::unix_millis;
use super::expiry::unix_seconds;
use super::page::ScanOptions;
use super::page::ScanPage;
use super::strings::GetExOptions;
use crate::Execute;
use crate::command::rows::HDEL;
use crate::command::rows::HEXISTS;
use crate::command::rows::HEXPIRE;
use crate::command::rows::HEXPIREAT;
use crate::command::rows::HEXPIRETIME;
use crate::command::rows::HGET;
use crate::command::rows::HGETALL;
use crate::command::rows::HGETDEL;
use crate::command::rows::HGETEX;
use crate::command::rows::HINCRBY;
use crate::command::rows::HINCRBYFLOAT;
use crate::command::rows::HKEYS;
use crate::command::rows::HLEN;
use crate::command::rows::HMGET;
use crate::command::rows::HMSET;
use crate::command::rows::HPERSIST;
use crate::command::rows::HPEXPIRE;
use crate::command::rows::HPEXPIREAT;
use crate::command::rows::HPEXPIRETIME;
use crate::command::rows::HPTTL;
use crate::command::rows::HRANDFIELD;
use crate::command::rows::HSCAN;
use crate::command::rows::HSET;
use crate::command::rows::HSETEX;
use crate::command::rows::HSETNX;
use crate::command::rows::HSTRLEN;
use crate::command::rows::HTTL;
use crate::command::rows::HVALS;

/// The commands on hashes.
///
/// A key that does not exist is an empty hash. Methods that set or return an expiry of fields need Redis 7.4;
/// methods that read or write values with an expiry need Redis 8.0. Durations and instants are rounded up to
/// the command's unit.
///
/// A ring sends each to the owner of its key. A copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if the key holds something else than a hash; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait HashCommands: Execute {
    /// Deletes fields, and returns how many of them there were.
    ///
    /// See <https://redis.io/docs/latest/commands/hdel/>.
    fn hdel(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&HDEL, HDEL.cmd_for(1 + fields.num_of_args()).arg(key).arg(fields).take())
    }

    /// Returns whether the hash has a field.
    ///
    /// See <https://redis.io/docs/latest/commands/hexists/>.
    fn hexists(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        self.read(&HEXISTS, HEXISTS.cmd().arg(key).arg(field).take())
    }

    /// Lets fields live for `ttl` from now, and returns what became of each. Zero deletes them.
    ///
    /// See <https://redis.io/docs/latest/commands/hexpire/>.
    fn hexpire(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HEXPIRE,
            HEXPIRE.cmd().arg(key).arg(seconds(ttl)).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets the fields for which the condition holds live for `ttl` from now, and returns what became of
    /// each.
    ///
    /// See <https://redis.io/docs/latest/commands/hexpire/>.
    fn hexpire_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        condition: ExpireOption,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HEXPIRE,
            HEXPIRE.cmd().arg(key).arg(seconds(ttl)).arg(condition).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets fields live until an instant, and returns what became of each. An instant that has passed deletes
    /// them.
    ///
    /// See <https://redis.io/docs/latest/commands/hexpireat/>.
    fn hexpireat(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HEXPIREAT,
            HEXPIREAT.cmd().arg(key).arg(unix_seconds(instant)).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets the fields for which the condition holds live until an instant, and returns what became of each.
    ///
    /// See <https://redis.io/docs/latest/commands/hexpireat/>.
    fn hexpireat_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        condition: ExpireOption,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HEXPIREAT,
            HEXPIREAT
                .cmd()
                .arg(key)
                .arg(unix_seconds(instant))
                .arg(condition)
                .arg("FIELDS")
                .arg(Counted(fields))
                .take(),
        )
    }

    /// Returns the second at which each field goes away.
    ///
    /// See <https://redis.io/docs/latest/commands/hexpiretime/>.
    fn hexpiretime(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<ExpiresAt>, Self::Error>> + Send {
        let cmd = HEXPIRETIME.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take();
        let reply = self.read::<Vec<Seconds<_>>>(&HEXPIRETIME, cmd);
        async move { Ok(reply.await?.into_iter().map(|at| at.0).collect()) }
    }

    /// Returns the value of a field, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/hget/>.
    fn hget<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&HGET, HGET.cmd().arg(key).arg(field).take())
    }

    /// Returns all fields and their values.
    ///
    /// See <https://redis.io/docs/latest/commands/hgetall/>.
    fn hgetall<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<HashMap<F, V>, Self::Error>> + Send {
        self.read(&HGETALL, HGETALL.with(key))
    }

    /// Returns the values of fields, in the order of the fields, and deletes the fields.
    ///
    /// See <https://redis.io/docs/latest/commands/hgetdel/>.
    fn hgetdel<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<Option<V>>>, Self::Error>> + Send {
        self.write(&HGETDEL, HGETDEL.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take())
    }

    /// Returns the values of fields, in the order of the fields, and changes their expiry as the options say.
    ///
    /// See <https://redis.io/docs/latest/commands/hgetex/>.
    fn hgetex<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: GetExOptions,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<Option<V>>>, Self::Error>> + Send {
        self.write(&HGETEX, HGETEX.cmd().arg(key).arg(options).arg("FIELDS").arg(Counted(fields)).take())
    }

    /// Adds `amount` to a field and returns the new number; a field that does not exist counts as 0.
    ///
    /// # Errors
    /// The server's, if the value is no integer of 64 bits, or the result would not be.
    ///
    /// See <https://redis.io/docs/latest/commands/hincrby/>.
    fn hincrby(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
        amount: i64,
    ) -> impl Future<Output = Result<Self::Write<i64>, Self::Error>> + Send {
        self.write(&HINCRBY, HINCRBY.cmd().arg(key).arg(field).arg(amount).take())
    }

    /// Adds `amount` to a field and returns the new number; a field that does not exist counts as 0.
    ///
    /// # Errors
    /// The server's, if the value is no number, or the result would be infinite or no number.
    ///
    /// See <https://redis.io/docs/latest/commands/hincrbyfloat/>.
    fn hincrbyfloat(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
        amount: f64,
    ) -> impl Future<Output = Result<Self::Write<f64>, Self::Error>> + Send {
        self.write(&HINCRBYFLOAT, HINCRBYFLOAT.cmd().arg(key).arg(field).arg(amount).take())
    }

    /// Returns all fields.
    ///
    /// See <https://redis.io/docs/latest/commands/hkeys/>.
    fn hkeys<F: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<F>, Self::Error>> + Send {
        self.read(&HKEYS, HKEYS.with(key))
    }

    /// Returns the number of fields.
    ///
    /// See <https://redis.io/docs/latest/commands/hlen/>.
    fn hlen(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&HLEN, HLEN.with(key))
    }

    /// Returns the values of fields, in the order of the fields; `None` for each that does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/hmget/>.
    fn hmget<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<V>>, Self::Error>> + Send {
        self.read(&HMGET, HMGET.cmd_for(1 + fields.num_of_args()).arg(key).arg(fields).take())
    }

    /// Sets many fields: pairs of a field and its value.
    ///
    /// The server calls it deprecated: [`hset_multiple`](Self::hset_multiple) also says how many are new.
    ///
    /// See <https://redis.io/docs/latest/commands/hmset/>.
    fn hmset<F: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        pairs: impl IntoIterator<Item = (F, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let mut cmd = HMSET.with(key);
        for (field, value) in pairs {
            cmd.arg(field).arg(value);
        }
        self.write(&HMSET, cmd)
    }

    /// Lets fields live as long as their hash, and returns what became of each.
    ///
    /// See <https://redis.io/docs/latest/commands/hpersist/>.
    fn hpersist(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(&HPERSIST, HPERSIST.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take())
    }

    /// Lets fields live for `ttl` from now, in milliseconds, and returns what became of each. Zero deletes
    /// them.
    ///
    /// See <https://redis.io/docs/latest/commands/hpexpire/>.
    fn hpexpire(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HPEXPIRE,
            HPEXPIRE.cmd().arg(key).arg(millis(ttl)).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets the fields for which the condition holds live for `ttl` from now, and returns what became of
    /// each.
    ///
    /// See <https://redis.io/docs/latest/commands/hpexpire/>.
    fn hpexpire_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        condition: ExpireOption,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HPEXPIRE,
            HPEXPIRE.cmd().arg(key).arg(millis(ttl)).arg(condition).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets fields live until an instant, and returns what became of each. An instant that has passed deletes
    /// them.
    ///
    /// See <https://redis.io/docs/latest/commands/hpexpireat/>.
    fn hpexpireat(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HPEXPIREAT,
            HPEXPIREAT.cmd().arg(key).arg(unix_millis(instant)).arg("FIELDS").arg(Counted(fields)).take(),
        )
    }

    /// Lets the fields for which the condition holds live until an instant, and returns what became of each.
    ///
    /// See <https://redis.io/docs/latest/commands/hpexpireat/>.
    fn hpexpireat_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        condition: ExpireOption,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<FieldChange>>, Self::Error>> + Send {
        self.write(
            &HPEXPIREAT,
            HPEXPIREAT
                .cmd()
                .arg(key)
                .arg(unix_millis(instant))
                .arg(condition)
                .arg("FIELDS")
                .arg(Counted(fields))
                .take(),
        )
    }

    /// Returns the millisecond at which each field goes away.
    ///
    /// See <https://redis.io/docs/latest/commands/hpexpiretime/>.
    fn hpexpiretime(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<ExpiresAt>, Self::Error>> + Send {
        let cmd = HPEXPIRETIME.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take();
        let reply = self.read::<Vec<Millis<_>>>(&HPEXPIRETIME, cmd);
        async move { Ok(reply.await?.into_iter().map(|at| at.0).collect()) }
    }

    /// Returns how long each field will live, in milliseconds.
    ///
    /// See <https://redis.io/docs/latest/commands/hpttl/>.
    fn hpttl(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<TimeToLive>, Self::Error>> + Send {
        let cmd = HPTTL.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take();
        let reply = self.read::<Vec<Millis<_>>>(&HPTTL, cmd);
        async move { Ok(reply.await?.into_iter().map(|ttl| ttl.0).collect()) }
    }

    /// Returns a random field, `None` if there is none. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/hrandfield/>.
    fn hrandfield<F: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<F>, Self::Error>> + Send {
        self.read(&HRANDFIELD, HRANDFIELD.with(key))
    }

    /// Returns up to `count` different random fields; if it is negative, exactly `-count`, with repetitions.
    ///
    /// See <https://redis.io/docs/latest/commands/hrandfield/>.
    fn hrandfield_count<F: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
    ) -> impl Future<Output = Result<Vec<F>, Self::Error>> + Send {
        self.read(&HRANDFIELD, HRANDFIELD.cmd().arg(key).arg(count).take())
    }

    /// Returns random fields as [`hrandfield_count`](Self::hrandfield_count) does, and their values.
    ///
    /// See <https://redis.io/docs/latest/commands/hrandfield/>.
    fn hrandfield_withvalues<F: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
    ) -> impl Future<Output = Result<Vec<(F, V)>, Self::Error>> + Send {
        self.read(&HRANDFIELD, HRANDFIELD.cmd().arg(key).arg(count).arg("WITHVALUES").take())
    }

    /// Returns some fields and their values, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/hscan/>.
    fn hscan<F: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
    ) -> impl Future<Output = Result<ScanPage<(F, V)>, Self::Error>> + Send {
        self.read(&HSCAN, HSCAN.cmd().arg(key).arg(cursor).take())
    }

    /// Returns some fields and their values as the options say, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/hscan/>.
    fn hscan_with<F: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
        options: ScanOptions,
    ) -> impl Future<Output = Result<ScanPage<(F, V)>, Self::Error>> + Send {
        self.read(&HSCAN, HSCAN.cmd().arg(key).arg(cursor).arg(options).take())
    }

    /// Sets a field, and returns whether it is new.
    ///
    /// See <https://redis.io/docs/latest/commands/hset/>.
    fn hset(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&HSET, HSET.cmd().arg(key).arg(field).arg(value).take())
    }

    /// Sets many fields, pairs of a field and its value, and returns how many are new.
    ///
    /// See <https://redis.io/docs/latest/commands/hset/>.
    fn hset_multiple<F: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        pairs: impl IntoIterator<Item = (F, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        let mut cmd = HSET.with(key);
        for (field, value) in pairs {
            cmd.arg(field).arg(value);
        }
        self.write(&HSET, cmd)
    }

    /// Sets many fields and their expiry as the options say, and returns whether it did.
    ///
    /// See <https://redis.io/docs/latest/commands/hsetex/>.
    fn hsetex<F: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: HsetExOptions,
        pairs: impl IntoIterator<Item = (F, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let cmd = HSETEX.cmd().arg(key).arg(options).arg("FIELDS").arg(pairs.len()).arg(pairs).take();
        self.write(&HSETEX, cmd)
    }

    /// Sets a field if it does not exist, and returns whether it did.
    ///
    /// See <https://redis.io/docs/latest/commands/hsetnx/>.
    fn hsetnx(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&HSETNX, HSETNX.cmd().arg(key).arg(field).arg(value).take())
    }

    /// Returns the length of a value in bytes, 0 if there is no such field.
    ///
    /// See <https://redis.io/docs/latest/commands/hstrlen/>.
    fn hstrlen(
        &self,
        key: impl ToSingleRedisArg + Send,
        field: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&HSTRLEN, HSTRLEN.cmd().arg(key).arg(field).take())
    }

    /// Returns how long each field will live, in seconds.
    ///
    /// See <https://redis.io/docs/latest/commands/httl/>.
    fn httl(
        &self,
        key: impl ToSingleRedisArg + Send,
        fields: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<TimeToLive>, Self::Error>> + Send {
        let cmd = HTTL.cmd().arg(key).arg("FIELDS").arg(Counted(fields)).take();
        let reply = self.read::<Vec<Seconds<_>>>(&HTTL, cmd);
        async move { Ok(reply.await?.into_iter().map(|ttl| ttl.0).collect()) }
    }

    /// Returns all values.
    ///
    /// See <https://redis.io/docs/latest/commands/hvals/>.
    fn hvals<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&HVALS, HVALS.with(key))
    }
}

impl<E: Execute + ?Sized> HashCommands for E {}

/// The outcome for a field whose expiry was to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldChange {
    /// There is no such field.
    Missing,
    /// Nothing: the condition did not hold, or there was no expiry to remove.
    Unchanged,
    /// Its expiry was changed.
    Changed,
    /// The field was deleted, because its time has passed.
    Deleted,
}

impl FromRedisValue for FieldChange {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match i64::from_redis_value(value)? {
            -2 => Ok(Self::Missing),
            -1 | 0 => Ok(Self::Unchanged),
            1 => Ok(Self::Changed),
            2 => Ok(Self::Deleted),
            _ => Err(ParsingError::from("not a change of a field's expiry")),
        }
    }
}

/// Options of `HSETEX`: by default it sets the fields whatever they held, without an expiry.
///
/// Of the options that concern the expiry, and of `fnx` and `fxx`, the last one given counts.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct HsetExOptions {
    only: Option<&'static str>,
    expiry: Option<Expiry>,
}

impl HsetExOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only if none of the fields exists.
    pub fn fnx(mut self) -> Self {
        self.only = Some("FNX");
        self
    }

    /// Only if all of the fields exist.
    pub fn fxx(mut self) -> Self {
        self.only = Some("FXX");
        self
    }

    /// The fields live for `ttl`; a part of a second counts as a whole one.
    pub fn ex(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Ex(ttl));
        self
    }

    /// The fields live for `ttl`; a part of a millisecond counts as a whole one.
    pub fn px(mut self, ttl: Duration) -> Self {
        self.expiry = Some(Expiry::Px(ttl));
        self
    }

    /// The fields live until this instant, rounded up to a second.
    pub fn exat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::ExAt(instant));
        self
    }

    /// The fields live until this instant, rounded up to a millisecond.
    pub fn pxat(mut self, instant: SystemTime) -> Self {
        self.expiry = Some(Expiry::PxAt(instant));
        self
    }

    /// The fields keep the time to live that they have.
    pub fn keepttl(mut self) -> Self {
        self.expiry = Some(Expiry::KeepTtl);
        self
    }
}

impl ToRedisArgs for HsetExOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.only, self.expiry).write_redis_args(out);
    }
}

//! Keys, whatever they hold: <https://redis.io/docs/latest/commands/?group=generic>.

use std::fmt;
use std::future::Future;
use std::time::Duration;
use std::time::SystemTime;

use redis::ExpireOption;
use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;
use redis::ValueType;

use super::expiry::ExpiresAt;
use super::expiry::Millis;
use super::expiry::Seconds;
use super::expiry::TimeToLive;
use super::expiry::millis;
use super::expiry::seconds;
use super::expiry::unix_millis;
use super::expiry::unix_seconds;
use super::page::ScanOptions;
use super::page::ScanPage;
use crate::Execute;
use crate::command::rows::COPY;
use crate::command::rows::DEL;
use crate::command::rows::DUMP;
use crate::command::rows::EXISTS;
use crate::command::rows::EXPIRE;
use crate::command::rows::EXPIREAT;
use crate::command::rows::EXPIRETIME;
use crate::command::rows::KEYS;
use crate::command::rows::MIGRATE;
use crate::command::rows::MOVE;
use crate::command::rows::OBJECT_ENCODING;
use crate::command::rows::OBJECT_FREQ;
use crate::command::rows::OBJECT_IDLETIME;
use crate::command::rows::OBJECT_REFCOUNT;
use crate::command::rows::PERSIST;
use crate::command::rows::PEXPIRE;
use crate::command::rows::PEXPIREAT;
use crate::command::rows::PEXPIRETIME;
use crate::command::rows::PTTL;
use crate::command::rows::RANDOMKEY;
use crate::command::rows::RENAME;
use crate::command::rows::RENAMENX;
use crate::command::rows::RESTORE;
use crate::command::rows::SCAN;
use crate::command::rows::SORT;
use crate::command::rows::SORT_RO;
use crate::command::rows::TOUCH;
use crate::command::rows::TTL;
use crate::command::rows::TYPE;
use crate::command::rows::UNLINK;

/// The commands on keys, whatever they hold.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together,
/// except where a method says that it splits them. A copy reads from one node and writes to every node.
///
/// Durations and instants are rounded up to the command's unit: nothing goes away before its time.
///
/// # Errors
/// As [`Execute::read`] and [`Execute::write`].
pub trait KeyCommands: Execute {
    /// Copies a key with its time to live, and returns whether it did; it does not if the destination exists.
    ///
    /// See <https://redis.io/docs/latest/commands/copy/>.
    fn copy(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&COPY, COPY.cmd().arg(source).arg(destination).take())
    }

    /// Copies a key as the options say, and returns whether it did.
    ///
    /// See <https://redis.io/docs/latest/commands/copy/>.
    fn copy_with(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        options: CopyOptions,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&COPY, COPY.cmd().arg(source).arg(destination).arg(options).take())
    }

    /// Deletes keys, and returns how many of them there were.
    ///
    /// # On a ring
    /// Split by owner; the counts are added.
    ///
    /// See <https://redis.io/docs/latest/commands/del/>.
    fn del(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&DEL, DEL.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Deletes keys, and returns how many of them there were: another name of [`del`](Self::del).
    ///
    /// See <https://redis.io/docs/latest/commands/del/>.
    fn delete(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&DEL, DEL.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Returns the value of a key as [`restore`](Self::restore) takes it, `None` if the key does not exist.
    ///
    /// The format is the server's own: a server of another version may refuse it.
    ///
    /// See <https://redis.io/docs/latest/commands/dump/>.
    fn dump(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> + Send {
        self.read(&DUMP, DUMP.with(key))
    }

    /// Returns how many of the keys exist; a key given twice counts twice.
    ///
    /// # On a ring
    /// Split by owner; the counts are added.
    ///
    /// See <https://redis.io/docs/latest/commands/exists/>.
    fn exists(&self, keys: impl ToRedisArgs + Send) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&EXISTS, EXISTS.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Lets a key live for `ttl` from now, and returns whether the key exists. Zero deletes it.
    ///
    /// A part of a second counts as a whole one: [`pexpire`](Self::pexpire) is finer.
    ///
    /// See <https://redis.io/docs/latest/commands/expire/>.
    fn expire(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&EXPIRE, EXPIRE.cmd().arg(key).arg(seconds(ttl)).take())
    }

    /// Lets a key live for `ttl` from now if the condition holds, and returns whether it does.
    ///
    /// See <https://redis.io/docs/latest/commands/expire/>.
    fn expire_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        condition: ExpireOption,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&EXPIRE, EXPIRE.cmd().arg(key).arg(seconds(ttl)).arg(condition).take())
    }

    /// Lets a key live until an instant, and returns whether the key exists. An instant that has passed
    /// deletes it.
    ///
    /// A part of a second counts as a whole one: [`pexpireat`](Self::pexpireat) is finer.
    ///
    /// See <https://redis.io/docs/latest/commands/expireat/>.
    fn expireat(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&EXPIREAT, EXPIREAT.cmd().arg(key).arg(unix_seconds(instant)).take())
    }

    /// Lets a key live until an instant if the condition holds, and returns whether it does.
    ///
    /// See <https://redis.io/docs/latest/commands/expireat/>.
    fn expireat_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        condition: ExpireOption,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&EXPIREAT, EXPIREAT.cmd().arg(key).arg(unix_seconds(instant)).arg(condition).take())
    }

    /// Returns the second at which a key goes away.
    ///
    /// See <https://redis.io/docs/latest/commands/expiretime/>.
    fn expiretime(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<ExpiresAt, Self::Error>> + Send {
        let cmd = EXPIRETIME.with(key);
        let reply = self.read::<Seconds<ExpiresAt>>(&EXPIRETIME, cmd);
        async move { Ok(reply.await?.0) }
    }

    /// Returns the keys that match a glob-style pattern. The server does nothing else meanwhile: not for
    /// large data.
    ///
    /// # On a ring
    /// The keys of all nodes, one node after the other.
    ///
    /// # On a copy
    /// The keys of one node, but for those that the copy keeps there for itself.
    ///
    /// See <https://redis.io/docs/latest/commands/keys/>.
    fn keys<V: FromRedisValue + Send>(
        &self,
        pattern: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&KEYS, KEYS.with(pattern))
    }

    /// Moves keys to another server, and deletes them here once they are there. The server waits for the
    /// other one, and for nobody else, up to `timeout` for each step.
    ///
    /// # Errors
    /// The server's, if the other one cannot be reached in time, or has one of the keys.
    ///
    /// # On a ring, on a copy
    /// Refused: the keys would be moved to where nobody looks for them.
    ///
    /// See <https://redis.io/docs/latest/commands/migrate/>.
    fn migrate(
        &self,
        host: impl ToSingleRedisArg + Send,
        port: u16,
        keys: impl ToRedisArgs + Send,
        db: u32,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<Migrated>, Self::Error>> + Send {
        self.migrate_with(host, port, keys, db, timeout, MigrateOptions::new())
    }

    /// Moves keys as [`migrate`](Self::migrate) does, in the way the options say.
    ///
    /// See <https://redis.io/docs/latest/commands/migrate/>.
    fn migrate_with(
        &self,
        host: impl ToSingleRedisArg + Send,
        port: u16,
        keys: impl ToRedisArgs + Send,
        db: u32,
        timeout: Duration,
        options: MigrateOptions,
    ) -> impl Future<Output = Result<Self::Write<Migrated>, Self::Error>> + Send {
        let mut cmd = MIGRATE.cmd().arg(host).arg(port).arg("").arg(db).take();
        self.write(&MIGRATE, cmd.arg(millis(timeout)).arg(options).arg("KEYS").arg(keys).take())
    }

    /// Moves a key to another database of its server, and returns whether it did; it does not if the key
    /// exists there.
    ///
    /// `MOVE` on the wire, a word that Rust keeps for itself.
    ///
    /// See <https://redis.io/docs/latest/commands/move/>.
    #[doc(alias = "move")]
    fn move_to_db(
        &self,
        key: impl ToSingleRedisArg + Send,
        db: u32,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&MOVE, MOVE.cmd().arg(key).arg(db).take())
    }

    /// Returns how the server stores a value inside, `None` if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/object-encoding/>.
    fn object_encoding(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<String>, Self::Error>> + Send {
        self.read(&OBJECT_ENCODING, OBJECT_ENCODING.with(key))
    }

    /// Returns how often a key is used, on a logarithmic scale, `None` if it does not exist.
    ///
    /// # Errors
    /// The server's, unless its `maxmemory-policy` is an LFU policy.
    ///
    /// See <https://redis.io/docs/latest/commands/object-freq/>.
    fn object_freq(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&OBJECT_FREQ, OBJECT_FREQ.with(key))
    }

    /// Returns how long ago a key was last used, in whole seconds, `None` if it does not exist.
    ///
    /// # Errors
    /// The server's, if its `maxmemory-policy` is an LFU policy.
    ///
    /// See <https://redis.io/docs/latest/commands/object-idletime/>.
    fn object_idletime(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<Duration>, Self::Error>> + Send {
        let cmd = OBJECT_IDLETIME.with(key);
        let reply = self.read::<Option<Seconds<Duration>>>(&OBJECT_IDLETIME, cmd);
        async move { Ok(reply.await?.map(|idle| idle.0)) }
    }

    /// Returns the reference count of a value inside the server, `None` if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/object-refcount/>.
    fn object_refcount(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&OBJECT_REFCOUNT, OBJECT_REFCOUNT.with(key))
    }

    /// Lets a key live without end, and returns whether it had an expiry.
    ///
    /// See <https://redis.io/docs/latest/commands/persist/>.
    fn persist(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PERSIST, PERSIST.with(key))
    }

    /// Lets a key live for `ttl` from now, and returns whether the key exists. Zero deletes it.
    ///
    /// A part of a millisecond counts as a whole one.
    ///
    /// See <https://redis.io/docs/latest/commands/pexpire/>.
    fn pexpire(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PEXPIRE, PEXPIRE.cmd().arg(key).arg(millis(ttl)).take())
    }

    /// Lets a key live for `ttl` from now if the condition holds, and returns whether it does.
    ///
    /// See <https://redis.io/docs/latest/commands/pexpire/>.
    fn pexpire_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        condition: ExpireOption,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PEXPIRE, PEXPIRE.cmd().arg(key).arg(millis(ttl)).arg(condition).take())
    }

    /// Lets a key live until an instant, and returns whether the key exists. An instant that has passed
    /// deletes it.
    ///
    /// See <https://redis.io/docs/latest/commands/pexpireat/>.
    fn pexpireat(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PEXPIREAT, PEXPIREAT.cmd().arg(key).arg(unix_millis(instant)).take())
    }

    /// Lets a key live until an instant if the condition holds, and returns whether it does.
    ///
    /// See <https://redis.io/docs/latest/commands/pexpireat/>.
    fn pexpireat_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        instant: SystemTime,
        condition: ExpireOption,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PEXPIREAT, PEXPIREAT.cmd().arg(key).arg(unix_millis(instant)).arg(condition).take())
    }

    /// Returns the millisecond at which a key goes away.
    ///
    /// See <https://redis.io/docs/latest/commands/pexpiretime/>.
    fn pexpiretime(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<ExpiresAt, Self::Error>> + Send {
        let cmd = PEXPIRETIME.with(key);
        let reply = self.read::<Millis<ExpiresAt>>(&PEXPIRETIME, cmd);
        async move { Ok(reply.await?.0) }
    }

    /// Returns how long a key will live, in milliseconds.
    ///
    /// See <https://redis.io/docs/latest/commands/pttl/>.
    fn pttl(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<TimeToLive, Self::Error>> + Send {
        let cmd = PTTL.with(key);
        let reply = self.read::<Millis<TimeToLive>>(&PTTL, cmd);
        async move { Ok(reply.await?.0) }
    }

    /// Returns some key, `None` if there is none.
    ///
    /// # On a copy
    /// The key is one of the user's, and none that the copy keeps for itself. Where the server gives such keys again and
    /// again, its other keys are so few that a scan goes through them.
    ///
    /// See <https://redis.io/docs/latest/commands/randomkey/>.
    fn randomkey<V: FromRedisValue + Send>(
        &self,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&RANDOMKEY, RANDOMKEY.cmd())
    }

    /// Renames a key; what the new name held is deleted.
    ///
    /// # Errors
    /// The server's, if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/rename/>.
    fn rename(
        &self,
        key: impl ToSingleRedisArg + Send,
        new: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&RENAME, RENAME.cmd().arg(key).arg(new).take())
    }

    /// Renames a key if the new name does not exist, and returns whether it did.
    ///
    /// # Errors
    /// The server's, if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/renamenx/>.
    fn renamenx(
        &self,
        key: impl ToSingleRedisArg + Send,
        new: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&RENAMENX, RENAMENX.cmd().arg(key).arg(new).take())
    }

    /// Creates a key from what [`dump`](Self::dump) returned. The key lives for `ttl`; a `ttl` of zero means
    /// without end.
    ///
    /// # Errors
    /// `BUSYKEY` if the key exists: see [`RestoreOptions::replace`].
    ///
    /// See <https://redis.io/docs/latest/commands/restore/>.
    fn restore(
        &self,
        key: impl ToSingleRedisArg + Send,
        ttl: Duration,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&RESTORE, RESTORE.cmd().arg(key).arg(millis(ttl)).arg(value).take())
    }

    /// Creates a key from what [`dump`](Self::dump) returned, as the options say.
    ///
    /// # Errors
    /// `BUSYKEY` if the key exists and [`RestoreOptions::replace`] is not given.
    ///
    /// See <https://redis.io/docs/latest/commands/restore/>.
    fn restore_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
        options: RestoreOptions,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&RESTORE, RESTORE.cmd().arg(key).arg(options.expiry()).arg(value).arg(options).take())
    }

    /// Returns some keys of one server, and where to go on; the first cursor is 0.
    ///
    /// # On a ring, on a copy
    /// A cursor means something to one server only: refused here, and offered by their own methods.
    ///
    /// See <https://redis.io/docs/latest/commands/scan/>.
    fn scan<V: FromRedisValue + Send>(
        &self,
        cursor: u64,
    ) -> impl Future<Output = Result<ScanPage<V>, Self::Error>> + Send {
        self.read(&SCAN, SCAN.with(cursor))
    }

    /// Returns some keys of one server as the options say, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/scan/>.
    fn scan_with<V: FromRedisValue + Send>(
        &self,
        cursor: u64,
        options: ScanOptions,
    ) -> impl Future<Output = Result<ScanPage<V>, Self::Error>> + Send {
        self.read(&SCAN, SCAN.cmd().arg(cursor).arg(options).take())
    }

    /// Returns the elements of a list, a set or a sorted set sorted as numbers, the smallest first.
    ///
    /// `SORT` can store its result, so it counts as a write, and every node of a copy sorts:
    /// [`sort_ro`](Self::sort_ro) asks one.
    ///
    /// # Errors
    /// The server's, if an element is no number: see [`SortOptions::alpha`].
    ///
    /// See <https://redis.io/docs/latest/commands/sort/>.
    fn sort<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(&SORT, SORT.with(key))
    }

    /// Returns the elements of a list, a set or a sorted set sorted as the options say.
    ///
    /// With [`SortOptions::get`], `V` may be an `Option`, for what a pattern does not find, and, with several
    /// patterns, a tuple of one element for each.
    ///
    /// # On a ring
    /// A pattern of other keys is refused: they may be on other nodes.
    ///
    /// See <https://redis.io/docs/latest/commands/sort/>.
    fn sort_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: SortOptions,
    ) -> impl Future<Output = Result<Self::Write<Vec<V>>, Self::Error>> + Send {
        self.write(&SORT, SORT.cmd().arg(key).arg(options).take())
    }

    /// Returns the elements of a list, a set or a sorted set sorted as numbers, the smallest first. Since
    /// Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/sort_ro/>.
    fn sort_ro<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&SORT_RO, SORT_RO.with(key))
    }

    /// Returns the elements of a list, a set or a sorted set sorted as the options say; see
    /// [`sort_with`](Self::sort_with). Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/sort_ro/>.
    fn sort_ro_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        options: SortOptions,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&SORT_RO, SORT_RO.cmd().arg(key).arg(options).take())
    }

    /// Sorts as the options say, stores the result as a list at `destination`, and returns its length.
    ///
    /// See <https://redis.io/docs/latest/commands/sort/>.
    fn sort_store(
        &self,
        key: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        options: SortOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SORT, SORT.cmd().arg(key).arg(options).arg("STORE").arg(destination).take())
    }

    /// Marks keys as used just now, and returns how many of them exist.
    ///
    /// # On a ring
    /// Split by owner; the counts are added.
    ///
    /// See <https://redis.io/docs/latest/commands/touch/>.
    fn touch(&self, keys: impl ToRedisArgs + Send) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&TOUCH, TOUCH.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Returns how long a key will live, in seconds.
    ///
    /// See <https://redis.io/docs/latest/commands/ttl/>.
    fn ttl(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<TimeToLive, Self::Error>> + Send {
        let cmd = TTL.with(key);
        let reply = self.read::<Seconds<TimeToLive>>(&TTL, cmd);
        async move { Ok(reply.await?.0) }
    }

    /// Returns what a key holds, [`ValueType::None`] if it does not exist.
    ///
    /// `TYPE` on the wire, a word that Rust keeps for itself.
    ///
    /// See <https://redis.io/docs/latest/commands/type/>.
    #[doc(alias = "type")]
    fn key_type(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<ValueType, Self::Error>> + Send {
        self.read(&TYPE, TYPE.with(key))
    }

    /// Deletes keys as [`del`](Self::del) does, but frees their memory in the background.
    ///
    /// # On a ring
    /// Split by owner; the counts are added.
    ///
    /// See <https://redis.io/docs/latest/commands/unlink/>.
    fn unlink(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&UNLINK, UNLINK.cmd_for(keys.num_of_args()).arg(keys).take())
    }
}

impl<E: Execute + ?Sized> KeyCommands for E {}

/// Options of `COPY`: by default it stays in its database and leaves a destination that exists alone.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct CopyOptions {
    db: Option<u32>,
    replace: bool,
}

impl CopyOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies to another database of the same server.
    pub fn db(mut self, db: u32) -> Self {
        self.db = Some(db);
        self
    }

    /// Replaces what the destination held.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }
}

impl ToRedisArgs for CopyOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.db.map(|db| ("DB", db)).write_redis_args(out);
        self.replace.then_some("REPLACE").write_redis_args(out);
    }
}

/// Options of `RESTORE`: by default the key lives without end, and must not exist.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct RestoreOptions {
    ttl: Option<Duration>,
    expires_at: Option<SystemTime>,
    replace: bool,
    idletime: Option<Duration>,
    freq: Option<u8>,
}

impl RestoreOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lives for `ttl`, rounded up to a millisecond; zero means without end.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self.expires_at = None;
        self
    }

    /// Lives until this instant, rounded up to a millisecond (`ABSTTL`).
    pub fn expires_at(mut self, instant: SystemTime) -> Self {
        self.expires_at = Some(instant);
        self.ttl = None;
        self
    }

    /// Replaces what the key held.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Counts as last used this long ago, in whole seconds, for an LRU policy.
    pub fn idletime(mut self, idletime: Duration) -> Self {
        self.idletime = Some(idletime);
        self
    }

    /// Counts as used this often, for an LFU policy.
    pub fn freq(mut self, freq: u8) -> Self {
        self.freq = Some(freq);
        self
    }

    /// The word before the value; what it means depends on `ABSTTL`.
    fn expiry(&self) -> u64 {
        self.expires_at.map_or_else(|| millis(self.ttl.unwrap_or_default()), unix_millis)
    }
}

impl ToRedisArgs for RestoreOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.replace.then_some("REPLACE").write_redis_args(out);
        self.expires_at.map(|_| "ABSTTL").write_redis_args(out);
        self.idletime.map(|idle| ("IDLETIME", idle.as_secs())).write_redis_args(out);
        self.freq.map(|freq| ("FREQ", freq)).write_redis_args(out);
    }
}

/// Options of `SORT`: by default all elements, as numbers, the smallest first.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SortOptions {
    by: Option<Vec<u8>>,
    limit: Option<(u64, i64)>,
    get: Vec<Vec<u8>>,
    desc: bool,
    alpha: bool,
}

impl SortOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sorts by the values of other keys: `*` in the pattern stands for the element. `nosort` leaves the
    /// order alone.
    pub fn by(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.by = Some(pattern.as_ref().to_vec());
        self
    }

    /// Returns only `count` elements from the `offset`-th on; a negative `count` means all.
    pub fn limit(mut self, offset: u64, count: i64) -> Self {
        self.limit = Some((offset, count));
        self
    }

    /// Returns the values of other keys instead of the elements: `*` stands for the element, and `#` alone is
    /// the element itself. May be given several times.
    pub fn get(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.get.push(pattern.as_ref().to_vec());
        self
    }

    /// The largest first.
    pub fn desc(mut self) -> Self {
        self.desc = true;
        self
    }

    /// As text instead of numbers.
    pub fn alpha(mut self) -> Self {
        self.alpha = true;
        self
    }
}

impl ToRedisArgs for SortOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.by.as_ref().map(|pattern| ("BY", pattern)).write_redis_args(out);
        self.limit.map(|limit| ("LIMIT", limit)).write_redis_args(out);
        for pattern in &self.get {
            ("GET", pattern).write_redis_args(out);
        }
        self.desc.then_some("DESC").write_redis_args(out);
        self.alpha.then_some("ALPHA").write_redis_args(out);
    }
}

/// Options of `MIGRATE`: by default a key goes away here, and there must be none of its name there.
#[derive(Clone, Default)]
#[must_use]
pub struct MigrateOptions {
    copy: bool,
    replace: bool,
    auth: Option<(Option<String>, String)>,
}

impl MigrateOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the keys here.
    pub fn copy(mut self) -> Self {
        self.copy = true;
        self
    }

    /// Replaces the keys that the other server has.
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Logs in to the other server by a password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.auth = Some((None, password.into()));
        self
    }

    /// Logs in to the other server as a user. Since Redis 6.0.
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.auth = Some((Some(user.into()), password.into()));
        self
    }
}

impl fmt::Debug for MigrateOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrateOptions")
            .field("copy", &self.copy)
            .field("replace", &self.replace)
            .finish_non_exhaustive()
    }
}

impl ToRedisArgs for MigrateOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.copy.then_some("COPY").write_redis_args(out);
        self.replace.then_some("REPLACE").write_redis_args(out);
        match &self.auth {
            Some((Some(user), password)) => ("AUTH2", user, password).write_redis_args(out),
            Some((None, password)) => ("AUTH", password).write_redis_args(out),
            None => {}
        }
    }
}

/// The outcome of `MIGRATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Migrated {
    /// The keys were moved.
    Moved,
    /// There were none of these keys.
    NoKey,
}

impl FromRedisValue for Migrated {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        match value {
            Value::Okay => Ok(Self::Moved),
            Value::SimpleString(word) if word == "NOKEY" => Ok(Self::NoKey),
            _ => Err("`OK` or `NOKEY` was expected".into()),
        }
    }
}

//! Streams: <https://redis.io/docs/latest/commands/?group=stream>.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::str::FromStr;
use std::time::Duration;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::consumers::AutoClaimed;
use super::consumers::ClaimOptions;
use super::consumers::ConsumerInfo;
use super::consumers::GroupInfo;
use super::consumers::GroupOptions;
use super::consumers::PendingEntry;
use super::consumers::PendingOptions;
use super::consumers::PendingSummary;
use super::consumers::ReadGroupOptions;
use super::consumers::StreamInfo;
use super::counted::Counted;
use super::deletion::EntryDeleted;
use super::deletion::EntryDeletion;
use super::expiry::millis;
use crate::Execute;
use crate::command::rows::XACK;
use crate::command::rows::XACKDEL;
use crate::command::rows::XADD;
use crate::command::rows::XAUTOCLAIM;
use crate::command::rows::XCLAIM;
use crate::command::rows::XDEL;
use crate::command::rows::XDELEX;
use crate::command::rows::XGROUP_CREATE;
use crate::command::rows::XGROUP_CREATECONSUMER;
use crate::command::rows::XGROUP_DELCONSUMER;
use crate::command::rows::XGROUP_DESTROY;
use crate::command::rows::XGROUP_SETID;
use crate::command::rows::XINFO_CONSUMERS;
use crate::command::rows::XINFO_GROUPS;
use crate::command::rows::XINFO_STREAM;
use crate::command::rows::XLEN;
use crate::command::rows::XPENDING;
use crate::command::rows::XRANGE;
use crate::command::rows::XREAD;
use crate::command::rows::XREADGROUP;
use crate::command::rows::XREVRANGE;
use crate::command::rows::XSETID;
use crate::command::rows::XTRIM;

/// The commands on streams.
///
/// A key that does not exist is an empty stream. A bound is a [`StreamId`], which is included, or what Redis
/// writes: `"-"` and `"+"` for the first and the last entry, `"(5-0"` for what lies inside.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a stream; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait StreamCommands: Execute {
    /// Says that entries are done, and returns how many of them were pending.
    ///
    /// See <https://redis.io/docs/latest/commands/xack/>.
    fn xack(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&XACK, XACK.cmd().arg(key).arg(group).arg(ids).take())
    }

    /// Says that entries are done, and deletes them as `deletion` allows; returns what became of each. Since
    /// Redis 8.2.
    ///
    /// See <https://redis.io/docs/latest/commands/xackdel/>.
    fn xackdel(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        deletion: EntryDeletion,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<EntryDeleted>>, Self::Error>> + Send {
        let mut cmd = XACKDEL.cmd().arg(key).arg(group).arg(deletion).arg("IDS").take();
        self.write(&XACKDEL, cmd.arg(Counted(ids)).take())
    }

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

    /// Appends an entry as the options say, and returns its id; `None` if [`XaddOptions::nomkstream`] held it
    /// back.
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

    /// Takes entries from `start` on that have been pending for at least `min_idle` over to a consumer, up to
    /// 100 of them. Since Redis 6.2.
    ///
    /// An entry that is no longer in the stream is not among those returned. Since Redis 7.0 such an entry is
    /// no longer pending either, and [`AutoClaimed::deleted`] has its id. Before, it is taken over, and
    /// [`xautoclaim_justid`](Self::xautoclaim_justid) has its id among the others.
    ///
    /// See <https://redis.io/docs/latest/commands/xautoclaim/>.
    fn xautoclaim<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        start: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<AutoClaimedEntries<F, V>>, Self::Error>> + Send {
        self.write(
            &XAUTOCLAIM,
            XAUTOCLAIM.cmd().arg(key).arg(group).arg(consumer).arg(millis(min_idle)).arg(start).take(),
        )
    }

    /// Takes up to `count` entries over as [`xautoclaim`](Self::xautoclaim) does.
    ///
    /// See <https://redis.io/docs/latest/commands/xautoclaim/>.
    fn xautoclaim_count<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        start: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<AutoClaimedEntries<F, V>>, Self::Error>> + Send {
        self.write(
            &XAUTOCLAIM,
            XAUTOCLAIM
                .cmd()
                .arg(key)
                .arg(group)
                .arg(consumer)
                .arg(millis(min_idle))
                .arg(start)
                .arg("COUNT")
                .arg(count)
                .take(),
        )
    }

    /// Takes up to `count` entries over and returns their ids only; they do not count as delivered once more.
    ///
    /// See <https://redis.io/docs/latest/commands/xautoclaim/>.
    fn xautoclaim_justid(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        start: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<AutoClaimed<StreamId>>, Self::Error>> + Send {
        self.write(
            &XAUTOCLAIM,
            XAUTOCLAIM
                .cmd()
                .arg(key)
                .arg(group)
                .arg(consumer)
                .arg(millis(min_idle))
                .arg(start)
                .arg("COUNT")
                .arg(count)
                .arg("JUSTID")
                .take(),
        )
    }

    /// Takes those of the entries that have been pending for at least `min_idle` over to a consumer, and
    /// returns them.
    ///
    /// An entry that is no longer in the stream is not among those returned; since Redis 7.0 it is no longer
    /// pending either, before it is taken over.
    ///
    /// See <https://redis.io/docs/latest/commands/xclaim/>.
    fn xclaim<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<StreamEntries<F, V>>, Self::Error>> + Send {
        self.write(
            &XCLAIM,
            XCLAIM.cmd().arg(key).arg(group).arg(consumer).arg(millis(min_idle)).arg(ids).take(),
        )
    }

    /// Takes entries over and returns their ids only; they do not count as delivered once more.
    ///
    /// See <https://redis.io/docs/latest/commands/xclaim/>.
    fn xclaim_justid(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        ids: impl ToRedisArgs + Send,
        options: ClaimOptions,
    ) -> impl Future<Output = Result<Self::Write<Vec<StreamId>>, Self::Error>> + Send {
        self.write(
            &XCLAIM,
            XCLAIM
                .cmd()
                .arg(key)
                .arg(group)
                .arg(consumer)
                .arg(millis(min_idle))
                .arg(ids)
                .arg(options)
                .arg("JUSTID")
                .take(),
        )
    }

    /// Takes entries over as [`xclaim`](Self::xclaim) does, as the options say.
    ///
    /// See <https://redis.io/docs/latest/commands/xclaim/>.
    fn xclaim_with<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        min_idle: Duration,
        ids: impl ToRedisArgs + Send,
        options: ClaimOptions,
    ) -> impl Future<Output = Result<Self::Write<StreamEntries<F, V>>, Self::Error>> + Send {
        self.write(
            &XCLAIM,
            XCLAIM.cmd().arg(key).arg(group).arg(consumer).arg(millis(min_idle)).arg(ids).arg(options).take(),
        )
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

    /// Deletes entries as `deletion` allows, and returns what became of each. Since Redis 8.2.
    ///
    /// See <https://redis.io/docs/latest/commands/xdelex/>.
    fn xdelex(
        &self,
        key: impl ToSingleRedisArg + Send,
        deletion: EntryDeletion,
        ids: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<Vec<EntryDeleted>>, Self::Error>> + Send {
        self.write(&XDELEX, XDELEX.cmd().arg(key).arg(deletion).arg("IDS").arg(Counted(ids)).take())
    }

    /// Creates a consumer group that is delivered what comes after an entry; `"$"` is the last one, `"0"`
    /// before the first.
    ///
    /// # Errors
    /// `BUSYGROUP` if the group exists; the server's if the stream does not: see [`GroupOptions::mkstream`].
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-create/>.
    fn xgroup_create(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        after: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&XGROUP_CREATE, XGROUP_CREATE.cmd().arg(key).arg(group).arg(after).take())
    }

    /// Creates a consumer group as the options say.
    ///
    /// # Errors
    /// `BUSYGROUP` if the group exists.
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-create/>.
    fn xgroup_create_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        after: impl ToSingleRedisArg + Send,
        options: GroupOptions,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&XGROUP_CREATE, XGROUP_CREATE.cmd().arg(key).arg(group).arg(after).arg(options).take())
    }

    /// Creates a consumer, and returns whether it is new. Since Redis 6.2; reading creates it, too.
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-createconsumer/>.
    fn xgroup_createconsumer(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(
            &XGROUP_CREATECONSUMER,
            XGROUP_CREATECONSUMER.cmd().arg(key).arg(group).arg(consumer).take(),
        )
    }

    /// Deletes a consumer, and returns how many entries were pending for it: nobody can claim them any more.
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-delconsumer/>.
    fn xgroup_delconsumer(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&XGROUP_DELCONSUMER, XGROUP_DELCONSUMER.cmd().arg(key).arg(group).arg(consumer).take())
    }

    /// Deletes a consumer group with what is pending in it, and returns whether there was one.
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-destroy/>.
    fn xgroup_destroy(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&XGROUP_DESTROY, XGROUP_DESTROY.cmd().arg(key).arg(group).take())
    }

    /// Lets a consumer group go on after an entry.
    ///
    /// See <https://redis.io/docs/latest/commands/xgroup-setid/>.
    fn xgroup_setid(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        after: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&XGROUP_SETID, XGROUP_SETID.cmd().arg(key).arg(group).arg(after).take())
    }

    /// Returns the consumers of a group.
    ///
    /// See <https://redis.io/docs/latest/commands/xinfo-consumers/>.
    fn xinfo_consumers(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<ConsumerInfo>, Self::Error>> + Send {
        self.read(&XINFO_CONSUMERS, XINFO_CONSUMERS.cmd().arg(key).arg(group).take())
    }

    /// Returns the consumer groups of a stream.
    ///
    /// See <https://redis.io/docs/latest/commands/xinfo-groups/>.
    fn xinfo_groups(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<GroupInfo>, Self::Error>> + Send {
        self.read(&XINFO_GROUPS, XINFO_GROUPS.with(key))
    }

    /// Returns what the server knows of a stream.
    ///
    /// # Errors
    /// The server's, if the key does not exist.
    ///
    /// See <https://redis.io/docs/latest/commands/xinfo-stream/>.
    fn xinfo_stream<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<StreamInfo<F, V>, Self::Error>> + Send {
        self.read(&XINFO_STREAM, XINFO_STREAM.with(key))
    }

    /// Returns the number of entries.
    ///
    /// See <https://redis.io/docs/latest/commands/xlen/>.
    fn xlen(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&XLEN, XLEN.with(key))
    }

    /// Returns how much is pending in a group, and for whom.
    ///
    /// See <https://redis.io/docs/latest/commands/xpending/>.
    fn xpending(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<PendingSummary, Self::Error>> + Send {
        self.read(&XPENDING, XPENDING.cmd().arg(key).arg(group).take())
    }

    /// Returns the first `count` pending entries within bounds.
    ///
    /// See <https://redis.io/docs/latest/commands/xpending/>.
    fn xpending_range(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Vec<PendingEntry>, Self::Error>> + Send {
        self.read(&XPENDING, XPENDING.cmd().arg(key).arg(group).arg(start).arg(end).arg(count).take())
    }

    /// Returns the first `count` pending entries within bounds that the options select.
    ///
    /// See <https://redis.io/docs/latest/commands/xpending/>.
    fn xpending_with(
        &self,
        key: impl ToSingleRedisArg + Send,
        group: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        count: u64,
        options: PendingOptions,
    ) -> impl Future<Output = Result<Vec<PendingEntry>, Self::Error>> + Send {
        let (idle, consumer) = options.words();
        let cmd =
            XPENDING.cmd().arg(key).arg(group).arg(idle).arg(start).arg(end).arg(count).arg(consumer).take();
        self.read(&XPENDING, cmd)
    }

    /// Returns the entries within bounds, the oldest first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrange/>.
    fn xrange<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<StreamEntries<F, V>, Self::Error>> + Send {
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
    ) -> impl Future<Output = Result<StreamEntries<F, V>, Self::Error>> + Send {
        self.read(&XRANGE, XRANGE.cmd().arg(key).arg(start).arg(end).arg("COUNT").arg(count).take())
    }

    /// Returns what each stream has after an id, one id for each key; streams that have nothing are left out.
    ///
    /// This method does not wait.
    ///
    /// See <https://redis.io/docs/latest/commands/xread/>.
    fn xread<L: FromRedisValue + Send, F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<StreamTails<L, F, V>, Self::Error>> + Send {
        self.read(&XREAD, XREAD.cmd().arg("STREAMS").arg(keys).arg(after).take())
    }

    /// Returns up to `count` entries of each stream after an id, one id for each key; streams that have
    /// nothing are left out.
    ///
    /// This method does not wait.
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
    ) -> impl Future<Output = Result<StreamTails<L, F, V>, Self::Error>> + Send {
        self.read(&XREAD, XREAD.cmd().arg("COUNT").arg(count).arg("STREAMS").arg(keys).arg(after).take())
    }

    /// Returns entries to a consumer, one id for each key: `">"` for those that were never delivered, or an
    /// id for those that are pending for it after that one. An entry that was deleted meanwhile has no
    /// fields. This method does not wait.
    ///
    /// See <https://redis.io/docs/latest/commands/xreadgroup/>.
    #[expect(clippy::type_complexity, reason = "keys, fields and values are each the caller's choice")]
    fn xreadgroup<
        L: FromRedisValue + Send,
        F: FromRedisValue + Eq + Hash + Send,
        V: FromRedisValue + Send,
    >(
        &self,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<StreamTails<L, F, V>>, Self::Error>> + Send {
        self.write(
            &XREADGROUP,
            XREADGROUP.cmd().arg("GROUP").arg(group).arg(consumer).arg("STREAMS").arg(keys).arg(after).take(),
        )
    }

    /// Returns entries to a consumer as [`xreadgroup`](Self::xreadgroup) does, as the options say.
    ///
    /// See <https://redis.io/docs/latest/commands/xreadgroup/>.
    #[expect(clippy::type_complexity, reason = "keys, fields and values are each the caller's choice")]
    fn xreadgroup_with<
        L: FromRedisValue + Send,
        F: FromRedisValue + Eq + Hash + Send,
        V: FromRedisValue + Send,
    >(
        &self,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
        options: ReadGroupOptions,
    ) -> impl Future<Output = Result<Self::Write<StreamTails<L, F, V>>, Self::Error>> + Send {
        self.write(
            &XREADGROUP,
            XREADGROUP
                .cmd()
                .arg("GROUP")
                .arg(group)
                .arg(consumer)
                .arg(options)
                .arg("STREAMS")
                .arg(keys)
                .arg(after)
                .take(),
        )
    }

    /// Returns the entries within bounds, the latest first. `end` comes first.
    ///
    /// See <https://redis.io/docs/latest/commands/xrevrange/>.
    fn xrevrange<F: FromRedisValue + Eq + Hash + Send, V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        end: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<StreamEntries<F, V>, Self::Error>> + Send {
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
    ) -> impl Future<Output = Result<StreamEntries<F, V>, Self::Error>> + Send {
        self.read(&XREVRANGE, XREVRANGE.cmd().arg(key).arg(end).arg(start).arg("COUNT").arg(count).take())
    }

    /// Sets the id of the last entry, which no later entry may go below.
    ///
    /// See <https://redis.io/docs/latest/commands/xsetid/>.
    fn xsetid(
        &self,
        key: impl ToSingleRedisArg + Send,
        id: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&XSETID, XSETID.cmd().arg(key).arg(id).take())
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
#[non_exhaustive]
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

    /// Before Redis 7.0 `XCLAIM` and `XAUTOCLAIM` answer nil for an entry that is no longer in the stream: it
    /// is left out.
    fn from_redis_values(values: Vec<Value>) -> Result<Vec<Self>, ParsingError> {
        values.into_iter().filter(|value| *value != Value::Nil).map(Self::from_redis_value).collect()
    }

    fn from_redis_value_refs(values: &[Value]) -> Result<Vec<Self>, ParsingError> {
        values.iter().filter(|value| **value != Value::Nil).map(Self::from_redis_value_ref).collect()
    }
}

/// Entries of a stream, in the order that the method says.
pub type StreamEntries<F, V> = Vec<StreamEntry<F, V>>;

/// A stream and the entries that it has after an id.
pub type StreamTail<K, F, V> = (K, StreamEntries<F, V>);

/// The entries of several streams after an id each, in the order of the keys.
pub type StreamTails<K, F, V> = Vec<StreamTail<K, F, V>>;

/// The entries that `XAUTOCLAIM` claimed, with their fields.
pub type AutoClaimedEntries<F, V> = AutoClaimed<StreamEntry<F, V>>;

/// A limit of a stream: the oldest entries are deleted until it is short or young enough.
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

/// Options of `XADD`: by default the server chooses the id, the stream is created if need be, and nothing is
/// trimmed.
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

//! Sets: <https://redis.io/docs/latest/commands/?group=set>.

use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;

use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use super::counted::Counted;
use super::page::ScanOptions;
use super::page::ScanPage;
use crate::Execute;
use crate::command::rows::SADD;
use crate::command::rows::SCARD;
use crate::command::rows::SDIFF;
use crate::command::rows::SDIFFSTORE;
use crate::command::rows::SINTER;
use crate::command::rows::SINTERCARD;
use crate::command::rows::SINTERSTORE;
use crate::command::rows::SISMEMBER;
use crate::command::rows::SMEMBERS;
use crate::command::rows::SMISMEMBER;
use crate::command::rows::SMOVE;
use crate::command::rows::SPOP;
use crate::command::rows::SRANDMEMBER;
use crate::command::rows::SREM;
use crate::command::rows::SSCAN;
use crate::command::rows::SUNION;
use crate::command::rows::SUNIONSTORE;

/// The commands on sets.
///
/// A key that does not exist is an empty set.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a set; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait SetCommands: Execute {
    /// Adds members, and returns how many of them are new.
    ///
    /// See <https://redis.io/docs/latest/commands/sadd/>.
    fn sadd(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SADD, SADD.cmd_for(1 + members.num_of_args()).arg(key).arg(members).take())
    }

    /// Returns the number of members.
    ///
    /// See <https://redis.io/docs/latest/commands/scard/>.
    fn scard(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&SCARD, SCARD.with(key))
    }

    /// Returns the members of the first set that are in none of the others.
    ///
    /// See <https://redis.io/docs/latest/commands/sdiff/>.
    fn sdiff<V: FromRedisValue + Eq + Hash + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<HashSet<V>, Self::Error>> + Send {
        self.read(&SDIFF, SDIFF.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Stores the members of the first set that are in none of the others, and returns how many there are.
    ///
    /// See <https://redis.io/docs/latest/commands/sdiffstore/>.
    fn sdiffstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SDIFFSTORE, SDIFFSTORE.cmd_for(1 + keys.num_of_args()).arg(destination).arg(keys).take())
    }

    /// Returns the members that all sets have.
    ///
    /// See <https://redis.io/docs/latest/commands/sinter/>.
    fn sinter<V: FromRedisValue + Eq + Hash + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<HashSet<V>, Self::Error>> + Send {
        self.read(&SINTER, SINTER.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Returns how many members all sets have. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/sintercard/>.
    fn sintercard(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&SINTERCARD, SINTERCARD.cmd().arg(Counted(keys)).take())
    }

    /// Returns how many members all sets have, counting no further than `limit`; 0 means no limit. Since
    /// Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/sintercard/>.
    fn sintercard_limit(
        &self,
        keys: impl ToRedisArgs + Send,
        limit: u64,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&SINTERCARD, SINTERCARD.cmd().arg(Counted(keys)).arg("LIMIT").arg(limit).take())
    }

    /// Stores the members that all sets have, and returns how many there are.
    ///
    /// See <https://redis.io/docs/latest/commands/sinterstore/>.
    fn sinterstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(
            &SINTERSTORE,
            SINTERSTORE.cmd_for(1 + keys.num_of_args()).arg(destination).arg(keys).take(),
        )
    }

    /// Returns whether the set has a member.
    ///
    /// See <https://redis.io/docs/latest/commands/sismember/>.
    fn sismember(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        self.read(&SISMEMBER, SISMEMBER.cmd().arg(key).arg(member).take())
    }

    /// Returns all members.
    ///
    /// See <https://redis.io/docs/latest/commands/smembers/>.
    fn smembers<V: FromRedisValue + Eq + Hash + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<HashSet<V>, Self::Error>> + Send {
        self.read(&SMEMBERS, SMEMBERS.with(key))
    }

    /// Returns, for each of `members`, whether the set has it. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/smismember/>.
    fn smismember(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<bool>, Self::Error>> + Send {
        self.read(&SMISMEMBER, SMISMEMBER.cmd_for(1 + members.num_of_args()).arg(key).arg(members).take())
    }

    /// Moves a member from one set to another, and returns whether the source had it.
    ///
    /// See <https://redis.io/docs/latest/commands/smove/>.
    fn smove(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&SMOVE, SMOVE.cmd().arg(source).arg(destination).arg(member).take())
    }

    /// Takes a random member off the set and returns it, `None` if the set is empty.
    ///
    /// See <https://redis.io/docs/latest/commands/spop/>.
    fn spop<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&SPOP, SPOP.with(key))
    }

    /// Takes up to `count` random members off the set and returns them.
    ///
    /// See <https://redis.io/docs/latest/commands/spop/>.
    fn spop_count<V: FromRedisValue + Eq + Hash + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<HashSet<V>>, Self::Error>> + Send {
        self.write(&SPOP, SPOP.cmd().arg(key).arg(count).take())
    }

    /// Returns a random member, `None` if the set is empty.
    ///
    /// See <https://redis.io/docs/latest/commands/srandmember/>.
    fn srandmember<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&SRANDMEMBER, SRANDMEMBER.with(key))
    }

    /// Returns up to `count` different random members; if it is negative, exactly `-count`, with repetitions.
    ///
    /// See <https://redis.io/docs/latest/commands/srandmember/>.
    fn srandmember_count<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&SRANDMEMBER, SRANDMEMBER.cmd().arg(key).arg(count).take())
    }

    /// Removes members, and returns how many of them there were.
    ///
    /// See <https://redis.io/docs/latest/commands/srem/>.
    fn srem(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SREM, SREM.cmd_for(1 + members.num_of_args()).arg(key).arg(members).take())
    }

    /// Returns some members, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/sscan/>.
    fn sscan<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
    ) -> impl Future<Output = Result<ScanPage<V>, Self::Error>> + Send {
        self.read(&SSCAN, SSCAN.cmd().arg(key).arg(cursor).take())
    }

    /// Returns some members as the options say, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/sscan/>.
    fn sscan_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
        options: ScanOptions,
    ) -> impl Future<Output = Result<ScanPage<V>, Self::Error>> + Send {
        self.read(&SSCAN, SSCAN.cmd().arg(key).arg(cursor).arg(options).take())
    }

    /// Returns the members that any of the sets has.
    ///
    /// See <https://redis.io/docs/latest/commands/sunion/>.
    fn sunion<V: FromRedisValue + Eq + Hash + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<HashSet<V>, Self::Error>> + Send {
        self.read(&SUNION, SUNION.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Stores the members that any of the sets has, and returns how many there are.
    ///
    /// See <https://redis.io/docs/latest/commands/sunionstore/>.
    fn sunionstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(
            &SUNIONSTORE,
            SUNIONSTORE.cmd_for(1 + keys.num_of_args()).arg(destination).arg(keys).take(),
        )
    }
}

impl<E: Execute + ?Sized> SetCommands for E {}

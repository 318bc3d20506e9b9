//! The commands that wait: <https://redis.io/docs/latest/commands/?group=list> and others, for their
//! `timeout`.

use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

use redis::Direction;
use redis::FromRedisValue;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use super::consumers::ReadGroupOptions;
use super::counted::Counted;
use super::lists::Popped;
use super::sorted_sets::PoppedScored;
use super::sorted_sets::ScoreEnd;
use super::streams::StreamTails;
use crate::Execute;
use crate::command::rows::BLMOVE;
use crate::command::rows::BLMPOP;
use crate::command::rows::BLPOP;
use crate::command::rows::BRPOP;
use crate::command::rows::BRPOPLPUSH;
use crate::command::rows::BZMPOP;
use crate::command::rows::BZPOPMAX;
use crate::command::rows::BZPOPMIN;
use crate::command::rows::WAIT;
use crate::command::rows::WAITAOF;
use crate::command::rows::XREAD;
use crate::command::rows::XREADGROUP;

/// The commands that wait until there is something to take or to read.
///
/// Each call has a connection of its own while it waits, so it never delays another one. A node has at most
/// 64 of these ([`max_dedicated`](crate::NodeConfig::with_max_dedicated)), shared with transactions and
/// [`dedicated`](crate::Node::dedicated). A timeout is rounded up to a millisecond; [`Duration::ZERO`] waits
/// for ever. The server is given the time plus the node's response timeout to answer.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else; [`Overloaded`](crate::ErrorKind::Overloaded) if all connections
/// of one's own are in use; otherwise as [`Execute::read`] and [`Execute::write`].
///
/// # Cancel safety
/// When the future is dropped the connection is closed, and the server stops waiting. If it was just then
/// handing out an element, that element is gone: `blmove` to a list of one's own keeps it.
///
/// # On a ring
/// At the owner of the keys, which must have one hash tag.
///
/// # On a copy
/// A command that takes an element is refused, because the nodes would take different ones. `xread_block`
/// reads from one node.
///
/// # Example
/// ```no_run
/// use redisdb_node::{BlockingCommands, Node};
/// use std::time::Duration;
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// while let Some((queue, job)) = node.blpop::<String, String>(&["urgent", "jobs"], Duration::from_secs(30)).await? {
///     println!("{job} from {queue}");
/// }
/// # Ok(()) }
/// ```
pub trait BlockingCommands: Execute {
    /// Takes an element off one end of a list, once there is one, puts it to one end of another, and returns
    /// it; `None` if none came in time. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/blmove/>.
    fn blmove<V: FromRedisValue + Send>(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        from: Direction,
        to: Direction,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        let cmd = BLMOVE.cmd().arg(source).arg(destination).arg(from).arg(to).arg(Seconds(timeout)).take();
        self.write(&BLMOVE, cmd)
    }

    /// Takes up to `count` elements off one end of the first list that has any, and returns its key and the
    /// elements; `None` if none came in time. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/blmpop/>.
    fn blmpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        from: Direction,
        count: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<Popped<L, V>>, Self::Error>> + Send {
        let cmd =
            BLMPOP.cmd().arg(Seconds(timeout)).arg(Counted(keys)).arg(from).arg("COUNT").arg(count).take();
        self.write(&BLMPOP, cmd)
    }

    /// Takes the first element off the first list that has one, and returns the list's key and the element;
    /// `None` if none came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/blpop/>.
    fn blpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<PoppedOne<L, V>>, Self::Error>> + Send {
        self.write(&BLPOP, BLPOP.cmd().arg(keys).arg(Seconds(timeout)).take())
    }

    /// Takes the last element off the first list that has one, and returns the list's key and the element;
    /// `None` if none came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/brpop/>.
    fn brpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<PoppedOne<L, V>>, Self::Error>> + Send {
        self.write(&BRPOP, BRPOP.cmd().arg(keys).arg(Seconds(timeout)).take())
    }

    /// Takes the last element off a list, once there is one, makes it the first of another, and returns it;
    /// `None` if none came in time.
    ///
    /// Redis calls it outdated: `blmove` does more.
    ///
    /// See <https://redis.io/docs/latest/commands/brpoplpush/>.
    fn brpoplpush<V: FromRedisValue + Send>(
        &self,
        source: impl ToSingleRedisArg + Send,
        destination: impl ToSingleRedisArg + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<Option<V>>, Self::Error>> + Send {
        self.write(&BRPOPLPUSH, BRPOPLPUSH.cmd().arg(source).arg(destination).arg(Seconds(timeout)).take())
    }

    /// Takes up to `count` members off one end of the first sorted set that has any, and returns its key and
    /// the members with their scores; `None` if none came in time. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/bzmpop/>.
    fn bzmpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        end: ScoreEnd,
        count: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<PoppedScored<L, V>>, Self::Error>> + Send {
        let cmd =
            BZMPOP.cmd().arg(Seconds(timeout)).arg(Counted(keys)).arg(end).arg("COUNT").arg(count).take();
        self.write(&BZMPOP, cmd)
    }

    /// Takes the member with the highest score off the first sorted set that has one, and returns the set's
    /// key, the member and its score; `None` if none came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/bzpopmax/>.
    fn bzpopmax<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<PoppedScore<L, V>>, Self::Error>> + Send {
        self.write(&BZPOPMAX, BZPOPMAX.cmd().arg(keys).arg(Seconds(timeout)).take())
    }

    /// Takes the member with the lowest score off the first sorted set that has one, and returns the set's
    /// key, the member and its score; `None` if none came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/bzpopmin/>.
    fn bzpopmin<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Write<PoppedScore<L, V>>, Self::Error>> + Send {
        self.write(&BZPOPMIN, BZPOPMIN.cmd().arg(keys).arg(Seconds(timeout)).take())
    }

    /// Waits until so many replicas have what this connection has written, and returns how many have.
    ///
    /// The command means something only on a [dedicated connection](crate::DedicatedConnection), after its
    /// own writes; anything else refuses it.
    ///
    /// See <https://redis.io/docs/latest/commands/wait/>.
    fn wait(
        &self,
        replicas: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&WAIT, WAIT.cmd().arg(replicas).arg(Millis(timeout)).take())
    }

    /// Waits until this server, if `local` is 1, and so many replicas have on disk what this connection has
    /// written; returns how many of each have. Since Redis 7.2.
    ///
    /// The command means something only on a [dedicated connection](crate::DedicatedConnection), after its
    /// own writes; anything else refuses it. A server without an append-only file never has it.
    ///
    /// See <https://redis.io/docs/latest/commands/waitaof/>.
    fn waitaof(
        &self,
        local: u64,
        replicas: u64,
        timeout: Duration,
    ) -> impl Future<Output = Result<(u64, u64), Self::Error>> + Send {
        self.read(&WAITAOF, WAITAOF.cmd().arg(local).arg(replicas).arg(Millis(timeout)).take())
    }

    /// Returns what each stream has after an id, one id for each key, once there is anything; `$` stands for
    /// what comes from now on. Empty if nothing came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/xread/>.
    fn xread_block<
        L: FromRedisValue + Send,
        F: FromRedisValue + Eq + Hash + Send,
        V: FromRedisValue + Send,
    >(
        &self,
        keys: impl ToRedisArgs + Send,
        after: impl ToRedisArgs + Send,
        timeout: Duration,
    ) -> impl Future<Output = Result<StreamTails<L, F, V>, Self::Error>> + Send {
        let cmd = XREAD.cmd().arg("BLOCK").arg(Millis(timeout)).arg("STREAMS").arg(keys).arg(after).take();
        self.read(&XREAD, cmd)
    }

    /// Returns entries of each stream that no consumer of the group was given, once there are any, and gives
    /// them to this consumer. Empty if none came in time.
    ///
    /// See <https://redis.io/docs/latest/commands/xreadgroup/>.
    fn xreadgroup_block<
        L: FromRedisValue + Send,
        F: FromRedisValue + Eq + Hash + Send,
        V: FromRedisValue + Send,
    >(
        &self,
        group: impl ToSingleRedisArg + Send,
        consumer: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        options: ReadGroupOptions,
        timeout: Duration,
    ) -> impl Future<Output = Written<Self, StreamTails<L, F, V>>> + Send {
        let mut cmd = XREADGROUP.cmd();
        cmd.arg("GROUP").arg(group).arg(consumer).arg(options).arg("BLOCK").arg(Millis(timeout));
        cmd.arg("STREAMS").arg(&keys);
        for _ in 0..keys.to_redis_args().len() {
            cmd.arg(">");
        }
        self.write(&XREADGROUP, cmd)
    }
}

impl<E: Execute + ?Sized> BlockingCommands for E {}

/// The key of a list and the element that was taken off it; `None` if none came in time.
pub type PoppedOne<K, V> = Option<(K, V)>;

/// The key of a sorted set, the member that was taken off it, and its score; `None` if none came in time.
pub type PoppedScore<K, V> = Option<(K, V, f64)>;

/// The reply of a write, or its error.
type Written<E, T> = Result<<E as Execute>::Write<T>, <E as Execute>::Error>;

/// A timeout in seconds, as the commands on lists and sorted sets take it.
struct Seconds(Duration);

impl ToRedisArgs for Seconds {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let millis = millis(self.0);
        out.write_arg_fmt(format_args!("{}.{:03}", millis / 1000, millis % 1000));
    }
}

impl ToSingleRedisArg for Seconds {}

/// A timeout in milliseconds, as the commands on streams take it.
struct Millis(Duration);

impl ToRedisArgs for Millis {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(millis(self.0));
    }
}

impl ToSingleRedisArg for Millis {}

/// Rounded up: a short time must not become 0, which would wait for ever. Nothing longer than 100 years is
/// asked for.
fn millis(timeout: Duration) -> u128 {
    const LONGEST: u128 = 100 * 365 * 24 * 3_600_000;
    timeout.as_nanos().div_ceil(1_000_000).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_timeout_does_not_become_for_ever() {
        let check = |nanos, seconds: &str, millis: &str| {
            let timeout = Duration::from_nanos(nanos);
            assert_eq!(Seconds(timeout).to_redis_args(), [seconds.as_bytes()]);
            assert_eq!(Millis(timeout).to_redis_args(), [millis.as_bytes()]);
        };
        check(0, "0.000", "0");
        check(1, "0.001", "1");
        check(1_000_000, "0.001", "1");
        check(12_345_000_000, "12.345", "12345");
        assert_eq!(millis(Duration::MAX), 3_153_600_000_000);
    }
}

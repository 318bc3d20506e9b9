//! Sorted sets: <https://redis.io/docs/latest/commands/?group=sorted-set>.

use std::future::Future;

use redis::FromRedisValue;
use redis::RedisWrite;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use super::counted::Counted;
use super::lists::Popped;
use super::page::ScanOptions;
use super::page::ScanPage;
use crate::Execute;
use crate::command::rows::ZADD;
use crate::command::rows::ZCARD;
use crate::command::rows::ZCOUNT;
use crate::command::rows::ZDIFF;
use crate::command::rows::ZDIFFSTORE;
use crate::command::rows::ZINCRBY;
use crate::command::rows::ZINTER;
use crate::command::rows::ZINTERCARD;
use crate::command::rows::ZINTERSTORE;
use crate::command::rows::ZLEXCOUNT;
use crate::command::rows::ZMPOP;
use crate::command::rows::ZMSCORE;
use crate::command::rows::ZPOPMAX;
use crate::command::rows::ZPOPMIN;
use crate::command::rows::ZRANDMEMBER;
use crate::command::rows::ZRANGE;
use crate::command::rows::ZRANGEBYLEX;
use crate::command::rows::ZRANGEBYSCORE;
use crate::command::rows::ZRANGESTORE;
use crate::command::rows::ZRANK;
use crate::command::rows::ZREM;
use crate::command::rows::ZREMRANGEBYLEX;
use crate::command::rows::ZREMRANGEBYRANK;
use crate::command::rows::ZREMRANGEBYSCORE;
use crate::command::rows::ZREVRANGE;
use crate::command::rows::ZREVRANGEBYLEX;
use crate::command::rows::ZREVRANGEBYSCORE;
use crate::command::rows::ZREVRANK;
use crate::command::rows::ZSCAN;
use crate::command::rows::ZSCORE;
use crate::command::rows::ZUNION;
use crate::command::rows::ZUNIONSTORE;

/// The commands on sorted sets.
///
/// A key that does not exist is an empty set. Members are sorted by score, and those of one score by their
/// bytes. A rank counts from 0; a negative one counts from the end. Scores may be infinite, but not NaN.
///
/// A bound of scores is a number, which is included, or a [`ScoreBound`]; a bound of members is a
/// [`LexBound`]. Both may also be what Redis writes: `"(1.5"`, `"-inf"`, `"[ann"`, `"+"`.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a sorted set; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait SortedSetCommands: Execute {
    /// Adds members, pairs of a score and a member, or gives them a new score, and returns how many are new.
    ///
    /// See <https://redis.io/docs/latest/commands/zadd/>.
    fn zadd<M: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl IntoIterator<Item = (f64, M)> + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        let mut cmd = ZADD.with(key);
        for (score, member) in members {
            cmd.arg(score).arg(member);
        }
        self.write(&ZADD, cmd)
    }

    /// Adds members or changes their scores as the options say, and returns how many are new.
    ///
    /// See <https://redis.io/docs/latest/commands/zadd/>.
    fn zadd_with<M: ToSingleRedisArg + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl IntoIterator<Item = (f64, M)> + Send,
        options: ZaddOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        let mut cmd = ZADD.cmd().arg(key).arg(options).take();
        for (score, member) in members {
            cmd.arg(score).arg(member);
        }
        self.write(&ZADD, cmd)
    }

    /// Adds `amount` to the score of a member and returns the new score, `None` if the options held it back.
    ///
    /// See <https://redis.io/docs/latest/commands/zadd/>.
    fn zadd_incr(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
        amount: f64,
        options: ZaddOptions,
    ) -> impl Future<Output = Result<Self::Write<Option<f64>>, Self::Error>> + Send {
        self.write(&ZADD, ZADD.cmd().arg(key).arg(options).arg("INCR").arg(amount).arg(member).take())
    }

    /// Returns the number of members.
    ///
    /// See <https://redis.io/docs/latest/commands/zcard/>.
    fn zcard(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&ZCARD, ZCARD.with(key))
    }

    /// Returns the number of members whose score lies within bounds.
    ///
    /// See <https://redis.io/docs/latest/commands/zcount/>.
    fn zcount(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&ZCOUNT, ZCOUNT.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Returns the members of the first set that are in none of the others. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zdiff/>.
    fn zdiff<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZDIFF, ZDIFF.cmd().arg(Counted(keys)).take())
    }

    /// Returns the members of the first set that are in none of the others, and their scores. Since Redis
    /// 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zdiff/>.
    fn zdiff_withscores<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZDIFF, ZDIFF.cmd().arg(Counted(keys)).arg("WITHSCORES").take())
    }

    /// Stores the members of the first set that are in none of the others, and returns how many there are.
    /// Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zdiffstore/>.
    fn zdiffstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZDIFFSTORE, ZDIFFSTORE.cmd().arg(destination).arg(Counted(keys)).take())
    }

    /// Adds `amount` to the score of a member and returns the new score; a member that does not exist counts
    /// as 0.
    ///
    /// # Errors
    /// The server's, if the sum is no number.
    ///
    /// See <https://redis.io/docs/latest/commands/zincrby/>.
    fn zincrby(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
        amount: f64,
    ) -> impl Future<Output = Result<Self::Write<f64>, Self::Error>> + Send {
        self.write(&ZINCRBY, ZINCRBY.cmd().arg(key).arg(amount).arg(member).take())
    }

    /// Returns the members that all sets have, sorted by the sum of their scores. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zinter/>.
    fn zinter<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZINTER, ZINTER.cmd().arg(Counted(keys)).take())
    }

    /// Returns the members that all sets have, their scores combined as the options say. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zinter/>.
    fn zinter_with<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZINTER, ZINTER.cmd().arg(Counted(keys)).arg(options).take())
    }

    /// Returns the members that all sets have, and their scores, combined as the options say. Since Redis
    /// 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zinter/>.
    fn zinter_withscores<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZINTER, ZINTER.cmd().arg(Counted(keys)).arg(options).arg("WITHSCORES").take())
    }

    /// Returns how many members all sets have. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/zintercard/>.
    fn zintercard(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&ZINTERCARD, ZINTERCARD.cmd().arg(Counted(keys)).take())
    }

    /// Returns how many members all sets have, counting no further than `limit`; 0 means no limit. Since
    /// Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/zintercard/>.
    fn zintercard_limit(
        &self,
        keys: impl ToRedisArgs + Send,
        limit: u64,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&ZINTERCARD, ZINTERCARD.cmd().arg(Counted(keys)).arg("LIMIT").arg(limit).take())
    }

    /// Stores the members that all sets have with the sum of their scores, and returns how many there are.
    ///
    /// See <https://redis.io/docs/latest/commands/zinterstore/>.
    fn zinterstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZINTERSTORE, ZINTERSTORE.cmd().arg(destination).arg(Counted(keys)).take())
    }

    /// Stores the members that all sets have, their scores combined as the options say, and returns how many
    /// there are.
    ///
    /// See <https://redis.io/docs/latest/commands/zinterstore/>.
    fn zinterstore_with(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZINTERSTORE, ZINTERSTORE.cmd().arg(destination).arg(Counted(keys)).arg(options).take())
    }

    /// Returns the number of members within bounds, in a set whose members all have one score.
    ///
    /// See <https://redis.io/docs/latest/commands/zlexcount/>.
    fn zlexcount(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&ZLEXCOUNT, ZLEXCOUNT.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Takes up to `count` members off one end of the first set that is not empty, and returns its key and
    /// the members with their scores. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/zmpop/>.
    fn zmpop<L: FromRedisValue + Send, V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        end: ScoreEnd,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<PoppedScored<L, V>>, Self::Error>> + Send {
        self.write(&ZMPOP, ZMPOP.cmd().arg(Counted(keys)).arg(end).arg("COUNT").arg(count).take())
    }

    /// Returns the scores of members, in the order of the members. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zmscore/>.
    fn zmscore(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<f64>>, Self::Error>> + Send {
        self.read(&ZMSCORE, ZMSCORE.cmd_for(1 + members.num_of_args()).arg(key).arg(members).take())
    }

    /// Takes up to `count` members of the highest scores off the set and returns them with their scores, the
    /// highest first.
    ///
    /// See <https://redis.io/docs/latest/commands/zpopmax/>.
    fn zpopmax<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<Vec<Scored<V>>>, Self::Error>> + Send {
        self.write(&ZPOPMAX, ZPOPMAX.cmd().arg(key).arg(count).take())
    }

    /// Takes up to `count` members of the lowest scores off the set and returns them with their scores, the
    /// lowest first.
    ///
    /// See <https://redis.io/docs/latest/commands/zpopmin/>.
    fn zpopmin<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: u64,
    ) -> impl Future<Output = Result<Self::Write<Vec<Scored<V>>>, Self::Error>> + Send {
        self.write(&ZPOPMIN, ZPOPMIN.cmd().arg(key).arg(count).take())
    }

    /// Returns a random member, `None` if there is none. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrandmember/>.
    fn zrandmember<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&ZRANDMEMBER, ZRANDMEMBER.with(key))
    }

    /// Returns up to `count` different random members; if it is negative, exactly `-count`, with repetitions.
    ///
    /// See <https://redis.io/docs/latest/commands/zrandmember/>.
    fn zrandmember_count<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANDMEMBER, ZRANDMEMBER.cmd().arg(key).arg(count).take())
    }

    /// Returns random members as [`zrandmember_count`](Self::zrandmember_count) does, and their scores.
    ///
    /// See <https://redis.io/docs/latest/commands/zrandmember/>.
    fn zrandmember_withscores<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        count: i64,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZRANDMEMBER, ZRANDMEMBER.cmd().arg(key).arg(count).arg("WITHSCORES").take())
    }

    /// Returns the members of the ranks from `start` to `stop`, both included, the lowest score first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrange/>.
    fn zrange<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGE, ZRANGE.cmd().arg(key).arg(start).arg(stop).take())
    }

    /// Returns the members between two ranks or bounds, as the options say. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrange/>.
    fn zrange_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        stop: impl ToSingleRedisArg + Send,
        options: ZrangeOptions,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGE, ZRANGE.cmd().arg(key).arg(start).arg(stop).arg(options).take())
    }

    /// Returns the members of the ranks from `start` to `stop`, both included, with their scores, the lowest
    /// first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrange/>.
    fn zrange_withscores<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZRANGE, ZRANGE.cmd().arg(key).arg(start).arg(stop).arg("WITHSCORES").take())
    }

    /// Returns the members between two ranks or bounds with their scores, as the options say. Since Redis
    /// 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrange/>.
    fn zrange_withscores_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        stop: impl ToSingleRedisArg + Send,
        options: ZrangeOptions,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZRANGE, ZRANGE.cmd().arg(key).arg(start).arg(stop).arg(options).arg("WITHSCORES").take())
    }

    /// Returns the members within bounds, in a set whose members all have one score.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebylex/>.
    fn zrangebylex<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGEBYLEX, ZRANGEBYLEX.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Returns a part of the members within bounds, in a set whose members all have one score.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebylex/>.
    fn zrangebylex_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGEBYLEX, ZRANGEBYLEX.cmd().arg(key).arg(min).arg(max).arg(limit).take())
    }

    /// Returns the members whose score lies within bounds, the lowest score first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebyscore/>.
    fn zrangebyscore<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGEBYSCORE, ZRANGEBYSCORE.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Returns a part of the members whose score lies within bounds, the lowest score first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebyscore/>.
    fn zrangebyscore_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZRANGEBYSCORE, ZRANGEBYSCORE.cmd().arg(key).arg(min).arg(max).arg(limit).take())
    }

    /// Returns the members whose score lies within bounds, with their scores, the lowest first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebyscore/>.
    fn zrangebyscore_withscores<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZRANGEBYSCORE, ZRANGEBYSCORE.cmd().arg(key).arg(min).arg(max).arg("WITHSCORES").take())
    }

    /// Returns a part of the members whose score lies within bounds, with their scores, the lowest first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangebyscore/>.
    fn zrangebyscore_withscores_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(
            &ZRANGEBYSCORE,
            ZRANGEBYSCORE.cmd().arg(key).arg(min).arg(max).arg("WITHSCORES").arg(limit).take(),
        )
    }

    /// Stores the members of the ranks from `start` to `stop` with their scores, and returns how many there
    /// are. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangestore/>.
    fn zrangestore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        source: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZRANGESTORE, ZRANGESTORE.cmd().arg(destination).arg(source).arg(start).arg(stop).take())
    }

    /// Stores the members between two ranks or bounds, as the options say, and returns how many there are.
    /// Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrangestore/>.
    fn zrangestore_with(
        &self,
        destination: impl ToSingleRedisArg + Send,
        source: impl ToSingleRedisArg + Send,
        start: impl ToSingleRedisArg + Send,
        stop: impl ToSingleRedisArg + Send,
        options: ZrangeOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(
            &ZRANGESTORE,
            ZRANGESTORE.cmd().arg(destination).arg(source).arg(start).arg(stop).arg(options).take(),
        )
    }

    /// Returns the rank of a member, `None` if there is none; the lowest score has rank 0.
    ///
    /// See <https://redis.io/docs/latest/commands/zrank/>.
    fn zrank(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&ZRANK, ZRANK.cmd().arg(key).arg(member).take())
    }

    /// Returns the rank and the score of a member, `None` if there is none. Since Redis 7.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrank/>.
    fn zrank_withscore(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<(u64, f64)>, Self::Error>> + Send {
        self.read(&ZRANK, ZRANK.cmd().arg(key).arg(member).arg("WITHSCORE").take())
    }

    /// Removes members, and returns how many of them there were.
    ///
    /// See <https://redis.io/docs/latest/commands/zrem/>.
    fn zrem(
        &self,
        key: impl ToSingleRedisArg + Send,
        members: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZREM, ZREM.cmd_for(1 + members.num_of_args()).arg(key).arg(members).take())
    }

    /// Removes the members within bounds, in a set whose members all have one score, and returns how many
    /// there were.
    ///
    /// See <https://redis.io/docs/latest/commands/zremrangebylex/>.
    fn zremrangebylex(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZREMRANGEBYLEX, ZREMRANGEBYLEX.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Removes the members of the ranks from `start` to `stop`, both included, and returns how many there
    /// were.
    ///
    /// See <https://redis.io/docs/latest/commands/zremrangebyrank/>.
    fn zremrangebyrank(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZREMRANGEBYRANK, ZREMRANGEBYRANK.cmd().arg(key).arg(start).arg(stop).take())
    }

    /// Removes the members whose score lies within bounds, and returns how many there were.
    ///
    /// See <https://redis.io/docs/latest/commands/zremrangebyscore/>.
    fn zremrangebyscore(
        &self,
        key: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZREMRANGEBYSCORE, ZREMRANGEBYSCORE.cmd().arg(key).arg(min).arg(max).take())
    }

    /// Returns the members of the ranks from `start` to `stop`, both included, counted and returned from the
    /// highest score.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrange/>.
    fn zrevrange<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZREVRANGE, ZREVRANGE.cmd().arg(key).arg(start).arg(stop).take())
    }

    /// Returns the members that [`zrevrange`](Self::zrevrange) does, with their scores.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrange/>.
    fn zrevrange_withscores<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        start: i64,
        stop: i64,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZREVRANGE, ZREVRANGE.cmd().arg(key).arg(start).arg(stop).arg("WITHSCORES").take())
    }

    /// Returns the members within bounds, the last first, in a set whose members all have one score. `max`
    /// comes first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebylex/>.
    fn zrevrangebylex<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZREVRANGEBYLEX, ZREVRANGEBYLEX.cmd().arg(key).arg(max).arg(min).take())
    }

    /// Returns a part of the members that [`zrevrangebylex`](Self::zrevrangebylex) does.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebylex/>.
    fn zrevrangebylex_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZREVRANGEBYLEX, ZREVRANGEBYLEX.cmd().arg(key).arg(max).arg(min).arg(limit).take())
    }

    /// Returns the members whose score lies within bounds, the highest score first. `max` comes first.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebyscore/>.
    fn zrevrangebyscore<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZREVRANGEBYSCORE, ZREVRANGEBYSCORE.cmd().arg(key).arg(max).arg(min).take())
    }

    /// Returns a part of the members that [`zrevrangebyscore`](Self::zrevrangebyscore) does.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebyscore/>.
    fn zrevrangebyscore_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZREVRANGEBYSCORE, ZREVRANGEBYSCORE.cmd().arg(key).arg(max).arg(min).arg(limit).take())
    }

    /// Returns the members that [`zrevrangebyscore`](Self::zrevrangebyscore) does, with their scores.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebyscore/>.
    fn zrevrangebyscore_withscores<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(
            &ZREVRANGEBYSCORE,
            ZREVRANGEBYSCORE.cmd().arg(key).arg(max).arg(min).arg("WITHSCORES").take(),
        )
    }

    /// Returns a part of the members that [`zrevrangebyscore`](Self::zrevrangebyscore) does, with their
    /// scores.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrangebyscore/>.
    fn zrevrangebyscore_withscores_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        max: impl ToSingleRedisArg + Send,
        min: impl ToSingleRedisArg + Send,
        limit: Limit,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(
            &ZREVRANGEBYSCORE,
            ZREVRANGEBYSCORE.cmd().arg(key).arg(max).arg(min).arg("WITHSCORES").arg(limit).take(),
        )
    }

    /// Returns the rank of a member counted from the highest score, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrank/>.
    fn zrevrank(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        self.read(&ZREVRANK, ZREVRANK.cmd().arg(key).arg(member).take())
    }

    /// Returns the rank of a member counted from the highest score, and its score. Since Redis 7.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zrevrank/>.
    fn zrevrank_withscore(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<(u64, f64)>, Self::Error>> + Send {
        self.read(&ZREVRANK, ZREVRANK.cmd().arg(key).arg(member).arg("WITHSCORE").take())
    }

    /// Returns some members and their scores, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/zscan/>.
    fn zscan<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
    ) -> impl Future<Output = Result<ScanPage<Scored<V>>, Self::Error>> + Send {
        self.read(&ZSCAN, ZSCAN.cmd().arg(key).arg(cursor).take())
    }

    /// Returns some members and their scores as the options say, and where to go on; the first cursor is 0.
    ///
    /// See <https://redis.io/docs/latest/commands/zscan/>.
    fn zscan_with<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
        cursor: u64,
        options: ScanOptions,
    ) -> impl Future<Output = Result<ScanPage<Scored<V>>, Self::Error>> + Send {
        self.read(&ZSCAN, ZSCAN.cmd().arg(key).arg(cursor).arg(options).take())
    }

    /// Returns the score of a member, `None` if there is none.
    ///
    /// See <https://redis.io/docs/latest/commands/zscore/>.
    fn zscore(
        &self,
        key: impl ToSingleRedisArg + Send,
        member: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<f64>, Self::Error>> + Send {
        self.read(&ZSCORE, ZSCORE.cmd().arg(key).arg(member).take())
    }

    /// Returns the members that any of the sets has, sorted by the sum of their scores. Since Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zunion/>.
    fn zunion<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZUNION, ZUNION.cmd().arg(Counted(keys)).take())
    }

    /// Returns the members that any of the sets has, their scores combined as the options say. Since Redis
    /// 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zunion/>.
    fn zunion_with<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Vec<V>, Self::Error>> + Send {
        self.read(&ZUNION, ZUNION.cmd().arg(Counted(keys)).arg(options).take())
    }

    /// Returns the members that any of the sets has, and their scores, combined as the options say. Since
    /// Redis 6.2.
    ///
    /// See <https://redis.io/docs/latest/commands/zunion/>.
    fn zunion_withscores<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Vec<Scored<V>>, Self::Error>> + Send {
        self.read(&ZUNION, ZUNION.cmd().arg(Counted(keys)).arg(options).arg("WITHSCORES").take())
    }

    /// Stores the members that any of the sets has with the sum of their scores, and returns how many there
    /// are.
    ///
    /// See <https://redis.io/docs/latest/commands/zunionstore/>.
    fn zunionstore(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZUNIONSTORE, ZUNIONSTORE.cmd().arg(destination).arg(Counted(keys)).take())
    }

    /// Stores the members that any of the sets has, their scores combined as the options say, and returns how
    /// many there are.
    ///
    /// See <https://redis.io/docs/latest/commands/zunionstore/>.
    fn zunionstore_with(
        &self,
        destination: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        options: CombineOptions,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&ZUNIONSTORE, ZUNIONSTORE.cmd().arg(destination).arg(Counted(keys)).arg(options).take())
    }
}

impl<E: Execute + ?Sized> SortedSetCommands for E {}

/// A member and its score.
pub type Scored<V> = (V, f64);

/// The first set that had members to give, and what was taken; `None` if none of the sets had.
pub type PoppedScored<K, V> = Popped<K, Scored<V>>;

/// A bound of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ScoreBound {
    /// This score and what lies inside.
    Including(f64),
    /// Only what lies inside.
    Excluding(f64),
}

impl ToRedisArgs for ScoreBound {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Including(score) => score.write_redis_args(out),
            Self::Excluding(score) => out.write_arg_fmt(format_args!("({score}")),
        }
    }
}

impl ToSingleRedisArg for ScoreBound {}

/// A bound of members by their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LexBound<B> {
    /// Before every member.
    Lowest,
    /// This member and what lies inside.
    Including(B),
    /// Only what lies inside.
    Excluding(B),
    /// After every member.
    Highest,
}

impl<B: AsRef<[u8]>> ToRedisArgs for LexBound<B> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Lowest => out.write_arg(b"-"),
            Self::Including(member) => out.write_arg(&[b"[", member.as_ref()].concat()),
            Self::Excluding(member) => out.write_arg(&[b"(", member.as_ref()].concat()),
            Self::Highest => out.write_arg(b"+"),
        }
    }
}

impl<B: AsRef<[u8]>> ToSingleRedisArg for LexBound<B> {}

/// A part of a result: `count` elements from the `offset`-th on; a negative `count` means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The number of elements that are skipped.
    pub offset: u64,
    /// The number of members returned at most.
    pub count: i64,
}

impl Limit {
    /// `count` elements from the `offset`-th on; a negative `count` means all.
    pub fn new(offset: u64, count: i64) -> Self {
        Self { offset, count }
    }
}

impl ToRedisArgs for Limit {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        ("LIMIT", self.offset, self.count).write_redis_args(out);
    }
}

/// An end of a sorted set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreEnd {
    /// The lowest scores.
    Min,
    /// The highest scores.
    Max,
}

impl ToRedisArgs for ScoreEnd {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(match self {
            Self::Min => b"MIN",
            Self::Max => b"MAX",
        });
    }
}

/// Options of `ZADD`: by default it adds and updates, and counts what it added.
///
/// Of `nx` and `xx`, and of `gt` and `lt`, the last one given counts; the server refuses `nx` with `gt` or
/// `lt`.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct ZaddOptions {
    only: Option<&'static str>,
    compared: Option<&'static str>,
    changed: bool,
}

impl ZaddOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only adds members.
    pub fn nx(mut self) -> Self {
        self.only = Some("NX");
        self
    }

    /// Only updates members.
    pub fn xx(mut self) -> Self {
        self.only = Some("XX");
        self
    }

    /// Updates only to higher scores. Since Redis 6.2.
    pub fn gt(mut self) -> Self {
        self.compared = Some("GT");
        self
    }

    /// Updates only to lower scores. Since Redis 6.2.
    pub fn lt(mut self) -> Self {
        self.compared = Some("LT");
        self
    }

    /// Counts the members that were updated too.
    pub fn ch(mut self) -> Self {
        self.changed = true;
        self
    }
}

impl ToRedisArgs for ZaddOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.only, self.compared, self.changed.then_some("CH")).write_redis_args(out);
    }
}

/// Options of `ZRANGE` and `ZRANGESTORE`: by default the two arguments are ranks, the lowest score first.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct ZrangeOptions {
    by: Option<&'static str>,
    rev: bool,
    limit: Option<Limit>,
}

impl ZrangeOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// The arguments are bounds of scores.
    pub fn byscore(mut self) -> Self {
        self.by = Some("BYSCORE");
        self
    }

    /// The arguments are bounds of members, in a set whose members all have one score.
    pub fn bylex(mut self) -> Self {
        self.by = Some("BYLEX");
        self
    }

    /// From the highest score to the lowest; bounds then come the highest first.
    pub fn rev(mut self) -> Self {
        self.rev = true;
        self
    }

    /// Only a part; needs [`byscore`](Self::byscore) or [`bylex`](Self::bylex).
    pub fn limit(mut self, offset: u64, count: i64) -> Self {
        self.limit = Some(Limit { offset, count });
        self
    }
}

impl ToRedisArgs for ZrangeOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        (self.by, self.rev.then_some("REV"), self.limit).write_redis_args(out);
    }
}

/// The way in which the scores of a member become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

/// Options of `ZUNION`, `ZINTER` and the commands that store them: by default scores are added, each set
/// weighing 1.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CombineOptions {
    weights: Vec<f64>,
    aggregate: Option<Aggregate>,
}

impl CombineOptions {
    /// No option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Multiplies the scores of each set by its weight: one for each key.
    pub fn weights(mut self, weights: impl IntoIterator<Item = f64>) -> Self {
        self.weights = weights.into_iter().collect();
        self
    }

    /// The way in which the scores of a member become one.
    pub fn aggregate(mut self, aggregate: Aggregate) -> Self {
        self.aggregate = Some(aggregate);
        self
    }
}

impl ToRedisArgs for CombineOptions {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let weights = (!self.weights.is_empty()).then_some(("WEIGHTS", &self.weights));
        let aggregate = self.aggregate.map(|aggregate| match aggregate {
            Aggregate::Sum => ("AGGREGATE", "SUM"),
            Aggregate::Min => ("AGGREGATE", "MIN"),
            Aggregate::Max => ("AGGREGATE", "MAX"),
        });
        (weights, aggregate).write_redis_args(out);
    }
}

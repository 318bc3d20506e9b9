//! HyperLogLogs: <https://redis.io/docs/latest/commands/?group=hyperloglog>.

use std::future::Future;

use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use crate::Execute;
use crate::command::rows::PFADD;
use crate::command::rows::PFCOUNT;
use crate::command::rows::PFMERGE;

/// The commands that count different elements without storing them, with a standard error of 0.81 %.
///
/// A ring sends each to the owner of its key, and refuses several keys that are not known to be together. A
/// copy reads from one node and writes to every node.
///
/// # Errors
/// `WRONGTYPE` if a key holds something else than a HyperLogLog; otherwise as [`Execute::read`] and
/// [`Execute::write`].
pub trait HyperLogLogCommands: Execute {
    /// Counts elements, and returns whether the estimate may have changed. No elements at all just create the
    /// key.
    ///
    /// See <https://redis.io/docs/latest/commands/pfadd/>.
    fn pfadd(
        &self,
        key: impl ToSingleRedisArg + Send,
        elements: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<bool>, Self::Error>> + Send {
        self.write(&PFADD, PFADD.cmd_for(1 + elements.num_of_args()).arg(key).arg(elements).take())
    }

    /// Returns about how many different elements all keys together have counted.
    ///
    /// See <https://redis.io/docs/latest/commands/pfcount/>.
    fn pfcount(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        self.read(&PFCOUNT, PFCOUNT.cmd_for(keys.num_of_args()).arg(keys).take())
    }

    /// Adds what other keys have counted to what `destination` has.
    ///
    /// See <https://redis.io/docs/latest/commands/pfmerge/>.
    fn pfmerge(
        &self,
        destination: impl ToSingleRedisArg + Send,
        sources: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&PFMERGE, PFMERGE.cmd().arg(destination).arg(sources).take())
    }
}

impl<E: Execute + ?Sized> HyperLogLogCommands for E {}

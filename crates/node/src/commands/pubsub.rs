//! Publishing: <https://redis.io/docs/latest/commands/?group=pubsub>.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;

use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use crate::Execute;
use crate::command::rows::PUBLISH;
use crate::command::rows::PUBSUB_CHANNELS;
use crate::command::rows::PUBSUB_NUMPAT;
use crate::command::rows::PUBSUB_NUMSUB;
use crate::command::rows::PUBSUB_SHARDCHANNELS;
use crate::command::rows::PUBSUB_SHARDNUMSUB;
use crate::command::rows::SPUBLISH;

/// The commands that publish, and that ask who listens. [`Subscription`](crate::Subscription) listens.
///
/// # On a ring
/// A message goes to the owner of its channel.
///
/// # On a copy
/// A message goes to one node: the owner of its channel, or the next one when that cannot be reached.
pub trait PubSubCommands: Execute {
    /// Publishes a message and returns how many subscribers got it.
    ///
    /// See <https://redis.io/docs/latest/commands/publish/>.
    fn publish(
        &self,
        channel: impl ToSingleRedisArg + Send,
        message: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&PUBLISH, PUBLISH.cmd().arg(channel).arg(message).take())
    }

    /// Returns the channels that match a pattern and have a subscriber by name.
    ///
    /// See <https://redis.io/docs/latest/commands/pubsub-channels/>.
    fn pubsub_channels<C: FromRedisValue + Send>(
        &self,
        pattern: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<C>, Self::Error>> + Send {
        self.read(&PUBSUB_CHANNELS, PUBSUB_CHANNELS.with(pattern))
    }

    /// Returns how many patterns have a subscriber.
    ///
    /// See <https://redis.io/docs/latest/commands/pubsub-numpat/>.
    fn pubsub_numpat(&self) -> impl Future<Output = Result<Self::Each<u64>, Self::Error>> + Send {
        self.each(&PUBSUB_NUMPAT, PUBSUB_NUMPAT.cmd())
    }

    /// Returns how many subscribers each channel has by name.
    ///
    /// See <https://redis.io/docs/latest/commands/pubsub-numsub/>.
    fn pubsub_numsub<C: FromRedisValue + Eq + Hash + Send>(
        &self,
        channels: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<HashMap<C, u64>>, Self::Error>> + Send {
        self.each(&PUBSUB_NUMSUB, PUBSUB_NUMSUB.with(channels))
    }

    /// Returns the channels of `SPUBLISH` that match a pattern and have a subscriber. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/pubsub-shardchannels/>.
    fn pubsub_shardchannels<C: FromRedisValue + Send>(
        &self,
        pattern: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Vec<C>, Self::Error>> + Send {
        self.read(&PUBSUB_SHARDCHANNELS, PUBSUB_SHARDCHANNELS.with(pattern))
    }

    /// Returns how many subscribers each channel of `SPUBLISH` has. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/pubsub-shardnumsub/>.
    fn pubsub_shardnumsub<C: FromRedisValue + Eq + Hash + Send>(
        &self,
        channels: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Each<HashMap<C, u64>>, Self::Error>> + Send {
        self.each(&PUBSUB_SHARDNUMSUB, PUBSUB_SHARDNUMSUB.with(channels))
    }

    /// Publishes a message to those who listen by `ssubscribe`, and returns how many got it. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/spublish/>.
    fn spublish(
        &self,
        channel: impl ToSingleRedisArg + Send,
        message: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<u64>, Self::Error>> + Send {
        self.write(&SPUBLISH, SPUBLISH.cmd().arg(channel).arg(message).take())
    }
}

impl<E: Execute + ?Sized> PubSubCommands for E {}

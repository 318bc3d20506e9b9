//! Strings: <https://redis.io/docs/latest/commands/?group=string>.

use std::future::Future;

use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;

use crate::command::rows::GET;
use crate::command::rows::MGET;
use crate::command::rows::MSET;
use crate::command::rows::SET;
use crate::Execute;

/// The commands on strings.
pub trait StringCommands: Execute {
    /// Returns the value of a key, `None` if the key does not exist.
    ///
    /// # Errors
    /// `WRONGTYPE` if the key holds no string; otherwise as [`Execute::read`].
    ///
    /// See <https://redis.io/docs/latest/commands/get/>.
    fn get<V: FromRedisValue + Send>(
        &self,
        key: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send {
        self.read(&GET, GET.cmd().arg(key).take())
    }

    /// Sets a key to a value, whatever it held, and drops its time to live.
    ///
    /// # Errors
    /// As [`Execute::write`].
    ///
    /// See <https://redis.io/docs/latest/commands/set/>.
    fn set(
        &self,
        key: impl ToSingleRedisArg + Send,
        value: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SET, SET.cmd().arg(key).arg(value).take())
    }

    /// Returns the values of many keys in the order of the keys; `None` for each that does not exist or is no string.
    ///
    /// # On a ring
    /// Split by owner, sent at once, merged in the order of the keys.
    ///
    /// # Errors
    /// As [`Execute::read`]. An empty list of keys is an error of the server's.
    ///
    /// See <https://redis.io/docs/latest/commands/mget/>.
    fn mget<V: FromRedisValue + Send>(
        &self,
        keys: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<Option<V>>, Self::Error>> + Send {
        self.read(&MGET, MGET.cmd().arg(keys).take())
    }

    /// Sets many keys: pairs of a key and its value.
    ///
    /// # On a ring
    /// Split by owner: not atomic across nodes.
    ///
    /// # Errors
    /// As [`Execute::write`].
    ///
    /// See <https://redis.io/docs/latest/commands/mset/>.
    fn mset<K: ToSingleRedisArg + Send, V: ToSingleRedisArg + Send>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)> + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let mut cmd = MSET.cmd();
        for (key, value) in pairs {
            cmd.arg(key).arg(value);
        }
        self.write(&MSET, cmd)
    }
}

impl<E: Execute + ?Sized> StringCommands for E {}

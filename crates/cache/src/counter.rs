//! Counters, which the server adds up.

use std::sync::LazyLock;
use std::time::SystemTime;

use redisdb_node::RunScript;
use redisdb_node::Script;

use crate::cache::Cache;
use crate::error::Error;
use crate::error::MissingError;
use crate::key::AsKey;
use crate::key::Key;
use crate::ttl::Life;
use crate::ttl::Ttl;

/// Nil if there is nothing to count on. The sum is read anew, for Lua would make a float of it.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "\
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('INCRBY', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])",
    )
    .deterministic()
});

/// The deadline comes last: were it in `SET`, and had it passed, `INCRBY` would make a key without one.
static COUNT_FROM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "\
local made = redis.call('SET', KEYS[1], ARGV[2], 'NX')
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
    if made then redis.call('DEL', KEYS[1]) end
    return sum
end
sum = redis.call('GET', KEYS[1])
if made and ARGV[3] ~= '' then redis.call(ARGV[3], KEYS[1], ARGV[4]) end
return sum",
    )
    .deterministic()
});

impl<E: RunScript> Cache<E> {
    /// Adds `amount` to the integer of a key, and returns the sum. How long it is kept does not change.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is nothing, so that no counter without an end is made by accident;
    /// [`Error::Store`], also if the value is no integer or the sum would leave 64 bits: then it is as it
    /// was. And [`Error::Key`].
    ///
    /// # Cancel safety
    /// When the future is dropped the amount may have been added.
    ///
    /// # On a copy
    /// Every node counts; the sum is that of a node which is not known to be behind. A node that does not
    /// have the key while others do, because it has just expired there, counts nothing.
    pub async fn incr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        self.count(key.as_key(), amount.into()).await
    }

    /// Subtracts `amount` from the integer of a key, and returns the difference.
    ///
    /// # Errors
    /// As [`incr`](Self::incr).
    pub async fn decr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        // Not `DECRBY`: Redis 6.2 wraps around at the smallest integer. That is a sum that no server takes.
        self.count(key.as_key(), -i128::from(amount)).await
    }

    /// Adds `amount` to the integer of a key, and returns the sum. A key that is not there starts at `first`
    /// and is kept for `ttl`; one that is there is kept as long as it was.
    ///
    /// # Errors
    /// As [`incr`](Self::incr), without [`Error::Missing`].
    ///
    /// # On a copy
    /// As [`incr`](Self::incr).
    pub async fn incr_from(
        &self,
        key: impl AsKey,
        amount: i64,
        first: i64,
        ttl: impl Into<Ttl>,
    ) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key.as_key())?;
        let (command, millis) = match self.shared.settings.life(ttl.into(), SystemTime::now()) {
            // A time of zero removes the key.
            Life::Over => ("PEXPIRE", 0),
            Life::For(millis) => ("PEXPIRE", millis),
            Life::Until(millis) => ("PEXPIREAT", millis),
            Life::Forever => ("", 0),
        };
        let call = COUNT_FROM.key(name).arg(amount).arg(first).arg(command).arg(millis);
        let sum = self.shared.store.invoke::<i64>(&call).await;
        sum.and_then(E::one_reply).map_err(Error::Store)
    }

    async fn count(&self, key: Key<'_>, amount: i128) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key)?;
        let call = COUNT.key(name).arg(amount.to_string());
        let sum = self.shared.store.invoke::<Option<i64>>(&call).await;
        let sum = sum.and_then(E::one_reply).map_err(Error::Store)?;
        sum.ok_or_else(|| Error::Missing(MissingError { key: key.to_string() }))
    }
}

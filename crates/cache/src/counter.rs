//! Counting on the server.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::command::rows;

use crate::cache::Cache;
use crate::error::Error;
use crate::error::MissingError;
use crate::key::AsKey;
use crate::key::Key;
use crate::ttl::Life;
use crate::ttl::Ttl;

/// Nil if there is nothing to count on. The sum is read anew, for Lua would make a float of it.
const COUNT: &str = "\
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call(ARGV[1], KEYS[1], ARGV[2])
return redis.call('GET', KEYS[1])";

/// The deadline comes last: were it in `SET`, and had it passed, `INCRBY` would make a key without one.
const COUNT_FROM: &str = "\
local made = redis.call('SET', KEYS[1], ARGV[3], 'NX')
local sum = redis.pcall(ARGV[1], KEYS[1], ARGV[2])
if type(sum) == 'table' then
    if made then redis.call('DEL', KEYS[1]) end
    return sum
end
sum = redis.call('GET', KEYS[1])
if made and ARGV[4] ~= '' then redis.call('PEXPIREAT', KEYS[1], ARGV[4]) end
return sum";

impl<E: Execute> Cache<E> {
    /// Adds `amount` to the integer of a key, and returns the sum. How long it is kept does not change.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is nothing, so that no counter without an end is made by accident; [`Error::Store`],
    /// also if the value is no integer or the sum would leave 64 bits: then it is as it was. And [`Error::Key`].
    ///
    /// # Cancel safety
    /// When the future is dropped the amount may have been added.
    ///
    /// # On a copy
    /// Refused ([`Error::is_unsupported`]): it is a script, and a copy runs none.
    pub async fn incr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        self.count(key.as_key(), "INCRBY", amount).await
    }

    /// Subtracts `amount` from the integer of a key, and returns the difference.
    ///
    /// # Errors
    /// As [`incr`](Self::incr).
    pub async fn decr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        self.count(key.as_key(), "DECRBY", amount).await
    }

    /// Adds `amount` to the integer of a key, and returns the sum. A key that is not there starts at `first` and is kept
    /// for `ttl`; one that is there is kept as long as it was.
    ///
    /// # Errors
    /// As [`incr`](Self::incr), without [`Error::Missing`].
    ///
    /// # On a copy
    /// Refused, as [`incr`](Self::incr).
    pub async fn incr_from(
        &self,
        key: impl AsKey,
        amount: i64,
        first: i64,
        ttl: impl Into<Ttl>,
    ) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key.as_key())?;
        // An instant that has passed removes the key, and 1970 has.
        let deadline = match self.shared.settings.life(ttl.into(), SystemTime::now()) {
            Life::Over => "1".to_owned(),
            Life::Until(millis) => millis.to_string(),
            Life::Forever => String::new(),
        };
        let mut eval = rows::EVAL.cmd();
        eval.arg(COUNT_FROM).arg(1).arg(name).arg("INCRBY").arg(amount).arg(first).arg(deadline);
        let sum = self.shared.store.write::<i64>(&rows::EVAL, eval).await;
        sum.and_then(E::one_reply).map_err(Error::Store)
    }

    async fn count(&self, key: Key<'_>, command: &str, amount: i64) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key)?;
        let eval = rows::EVAL.cmd().arg(COUNT).arg(1).arg(name).arg(command).arg(amount).take();
        let sum = self.shared.store.write::<Option<i64>>(&rows::EVAL, eval).await;
        let sum = sum.and_then(E::one_reply).map_err(Error::Store)?;
        sum.ok_or_else(|| Error::Missing(MissingError { key: key.to_string() }))
    }
}

//! Counters, which the server adds up.

use std::sync::LazyLock;
use std::time::SystemTime;

use redisdb_node::RunScript;
use redisdb_node::Script;

use crate::engine::Engine;
use crate::error::Error;
use crate::error::MissingError;
use crate::key::Key;
use crate::ttl::Life;
use crate::ttl::Ttl;
use crate::ttl::unix_millis;

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

impl<E: RunScript> Engine<E> {
    pub(crate) async fn count_from(
        &self,
        key: Key<'_>,
        amount: i64,
        first: i64,
        ttl: Ttl,
    ) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key)?;
        let (command, millis) = match self.shared.settings.life(ttl, SystemTime::now()) {
            // A time of zero removes the key.
            Life::Over => ("PEXPIRE", 0),
            Life::For(millis) => match self.shared.store.common_clock().await {
                Some(now) => ("PEXPIREAT", unix_millis(now).saturating_add(millis)),
                None => ("PEXPIRE", millis),
            },
            Life::Until(millis) => ("PEXPIREAT", millis),
            Life::Forever => ("", 0),
        };
        let call = COUNT_FROM.key(name).arg(amount).arg(first).arg(command).arg(millis);
        let sum = self.shared.store.invoke::<i64>(&call).await;
        sum.and_then(E::one_reply).map_err(Error::Store)
    }

    /// Adds an amount, which is subtracted where it is negative: `DECRBY` of Redis 6.2 wraps around at the
    /// smallest integer, and no server takes the sum that is sent here for that.
    pub(crate) async fn count(&self, key: Key<'_>, amount: i128) -> Result<i64, Error<E::Error>> {
        let name = self.name_to_write(key)?;
        let call = COUNT.key(name).arg(amount.to_string());
        let sum = self.shared.store.invoke::<Option<i64>>(&call).await;
        let sum = sum.and_then(E::one_reply).map_err(Error::Store)?;
        sum.ok_or_else(|| Error::Missing(MissingError { key: key.to_string() }))
    }
}

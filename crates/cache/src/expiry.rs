//! Changing the time to live of a value that is stored.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::command::rows;

use crate::cache::Cache;
use crate::error::Error;
use crate::key::AsKey;
use crate::ttl::Life;
use crate::ttl::Ttl;

impl<E: Execute> Cache<E> {
    /// Lets the value of a key be kept for `ttl` from now, and returns whether there is one. A `ttl` of zero
    /// deletes it.
    ///
    /// A [stale](crate::Lookup::Stale) value stays stale.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`](crate::OnError) says, and [`Error::Key`].
    ///
    /// # On a copy
    /// Says what the first node said that took it.
    pub async fn touch(&self, key: impl AsKey, ttl: impl Into<Ttl>) -> Result<bool, Error<E::Error>> {
        let (key, store, settings) = (key.as_key(), &self.shared.store, &self.shared.settings);
        let touched = match ttl.into().life(settings.default_ttl, SystemTime::now()) {
            Life::Over => return self.delete(key).await,
            Life::Forever => {
                let persisted = store.persist(self.name(key)?).await.and_then(E::one_reply);
                // The server says no of a key without an end as of one that is not there.
                return Ok(persisted.map_err(Error::Store)? || self.has_key(key).await?);
            }
            Life::For(millis) => {
                let cmd = rows::PEXPIRE.cmd().arg(self.name(key)?).arg(millis).take();
                store.write::<bool>(&rows::PEXPIRE, cmd).await
            }
            Life::Until(millis) => {
                let cmd = rows::PEXPIREAT.cmd().arg(self.name(key)?).arg(millis).take();
                store.write::<bool>(&rows::PEXPIREAT, cmd).await
            }
        };
        touched.and_then(E::one_reply).map_err(Error::Store)
    }

    /// Lets the value of a key be kept without end, and returns whether there is one.
    ///
    /// # Errors
    /// As [`touch`](Self::touch).
    pub async fn persist(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        self.touch(key, Ttl::Never).await
    }

    /// Lets the value of a key be kept until an instant, and returns whether there is one. An instant that
    /// has passed deletes it.
    ///
    /// # Errors
    /// As [`touch`](Self::touch).
    pub async fn expire_at(&self, key: impl AsKey, instant: SystemTime) -> Result<bool, Error<E::Error>> {
        self.touch(key, Ttl::At(instant)).await
    }
}

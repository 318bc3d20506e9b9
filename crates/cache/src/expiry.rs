//! The time to live of a stored value.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::TimeToLive;
use redisdb_node::command::rows;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;
use crate::ttl::Life;
use crate::ttl::Ttl;

impl<E: Execute> Engine<E> {
    pub(crate) async fn touch(&self, key: Key<'_>, ttl: Ttl) -> Result<bool, Error<E::Error>> {
        let (store, settings) = (&self.shared.store, &self.shared.settings);
        let touched = match ttl.life(settings.default_ttl, SystemTime::now()) {
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

    pub(crate) async fn ttl(&self, key: Key<'_>) -> Result<TimeToLive, Error<E::Error>> {
        let name = self.name(key)?;
        self.shared.store.pttl(name).await.map_err(Error::Store)
    }
}

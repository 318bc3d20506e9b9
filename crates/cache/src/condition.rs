//! Values that are stored only if something, or nothing, is there.

use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::command::rows;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::Key;
use crate::ttl::Ttl;
use crate::write::Put;

impl<E: Execute> Engine<E> {
    pub(crate) async fn add<T: Serialize + ?Sized>(
        &self,
        key: Key<'_>,
        value: &T,
        ttl: Ttl,
    ) -> Result<bool, Error<E::Error>> {
        match self.put(key, value, ttl)? {
            Put::Set(cmd) => self.set_if(cmd, "NX").await,
            Put::Unlink(_) => Ok(!self.has_key(key).await?),
        }
    }

    pub(crate) async fn replace<T: Serialize + ?Sized>(
        &self,
        key: Key<'_>,
        value: &T,
        ttl: Ttl,
    ) -> Result<bool, Error<E::Error>> {
        match self.put(key, value, ttl)? {
            Put::Set(cmd) => self.set_if(cmd, "XX").await,
            Put::Unlink(_) => self.delete(key).await,
        }
    }

    pub(crate) async fn has_key(&self, key: Key<'_>) -> Result<bool, Error<E::Error>> {
        let name = self.name(key)?;
        Ok(self.shared.store.exists(name).await.map_err(Error::Store)? > 0)
    }

    async fn set_if(&self, mut set: redis::Cmd, condition: &str) -> Result<bool, Error<E::Error>> {
        let written = self.shared.store.write::<bool>(&rows::SET, set.arg(condition).take()).await;
        written.and_then(E::one_reply).map_err(Error::Store)
    }
}

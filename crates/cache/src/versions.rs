//! Moving values to another version.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::StringCommands;
use redisdb_node::TimeToLive;

use crate::cache::Cache;
use crate::cache::Put;
use crate::error::DecodeError;
use crate::error::Error;
use crate::error::MissingError;
use crate::key::AsKey;
use crate::ttl::Life;
use crate::ttl::Ttl;

impl<E: Execute> Cache<E> {
    /// Moves the value of a key to the next version, with what is left of its time, and returns that version.
    ///
    /// # Errors
    /// As [`move_to_version`](Self::move_to_version).
    pub async fn incr_version(&self, key: impl AsKey) -> Result<u32, Error<E::Error>> {
        self.move_to_version(key, self.version.saturating_add(1)).await
    }

    /// Moves the value of a key to the version before, with what is left of its time, and returns that
    /// version.
    ///
    /// # Errors
    /// As [`move_to_version`](Self::move_to_version).
    pub async fn decr_version(&self, key: impl AsKey) -> Result<u32, Error<E::Error>> {
        self.move_to_version(key, self.version.saturating_sub(1)).await
    }

    /// Moves the value of a key to another version, with what is left of its time, and returns that version.
    /// To its own it stays where it is.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none; [`Error::Decode`] if there is something that no cache wrote under
    /// this key; [`Error::Store`], whatever [`OnError`](crate::OnError) says, and [`Error::Key`].
    ///
    /// # Cancel safety
    /// It is read, written and then deleted: when the future is dropped, or after an error, the value may be
    /// there in both versions.
    pub async fn move_to_version(&self, key: impl AsKey, version: u32) -> Result<u32, Error<E::Error>> {
        let (key, store) = (key.as_key(), &self.shared.store);
        let name = self.name(key)?;
        let (bytes, left) = (store.get::<Vec<u8>>(&name), store.pttl(&name));
        let (bytes, left) = futures_util::future::join(bytes, left).await;
        let life = match left.map_err(Error::Store)? {
            TimeToLive::In(left) => Ttl::After(left).life(Ttl::Default, SystemTime::now()),
            TimeToLive::Persistent => Life::Forever,
            // It may have gone between the two questions.
            TimeToLive::Missing => Life::Over,
        };
        let bytes = bytes.map_err(Error::Store)?.filter(|_| life != Life::Over);
        let Some(bytes) = bytes else {
            return Err(Error::Missing(MissingError { key: key.to_string() }));
        };
        if version != self.version {
            let to = self.with_version(version).name_to_write(key)?;
            let bytes = self.shared.format.moved(&name, &to, bytes);
            let bytes = bytes.map_err(|reason| DecodeError { key: key.to_string(), reason })?;
            Put::new(&to, &bytes, life).send(store).await.map_err(Error::Store)?;
            self.delete(key).await?;
        }
        Ok(version)
    }
}

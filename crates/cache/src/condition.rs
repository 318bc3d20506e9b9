//! Values that are stored only if something, or nothing, is there.

use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::Serialize;

use crate::cache::Cache;
use crate::cache::Put;
use crate::error::Error;
use crate::key::AsKey;
use crate::ttl::Ttl;

impl<E: Execute> Cache<E> {
    /// Sets a key for the [default time](crate::CacheBuilder::default_ttl) if it has no value, and returns
    /// whether it did.
    ///
    /// # Errors
    /// As [`add_for`](Self::add_for).
    pub async fn add<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
    ) -> Result<bool, Error<E::Error>> {
        self.add_for(key, value, Ttl::Default).await
    }

    /// Sets a key for a time if it has no value, and returns whether it did. With a time of zero nothing is
    /// stored or removed; it returns whether there was no value. The note that there is none counts as a
    /// value, and so does one that is stale.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`](crate::OnError) says; [`Error::Encode`], [`Error::TooLarge`]
    /// and [`Error::Key`].
    ///
    /// # On a copy
    /// One node decides, and the others are sent what it decided.
    pub async fn add_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<bool, Error<E::Error>> {
        let key = key.as_key();
        match self.put(key, value, ttl.into())? {
            Put::Set(cmd) => self.set_if(cmd, "NX").await,
            Put::Unlink(_) => Ok(!self.has_key(key).await?),
        }
    }

    /// Sets a key for the [default time](crate::CacheBuilder::default_ttl) if it has a value, and returns
    /// whether it did.
    ///
    /// # Errors
    /// As [`replace_for`](Self::replace_for).
    pub async fn replace<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
    ) -> Result<bool, Error<E::Error>> {
        self.replace_for(key, value, Ttl::Default).await
    }

    /// Sets a key for a time if it has a value, and returns whether it did. With a time of zero the value is
    /// removed.
    ///
    /// # Errors
    /// As [`add_for`](Self::add_for).
    ///
    /// # On a copy
    /// One node decides, and the others are sent what it decided.
    pub async fn replace_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<bool, Error<E::Error>> {
        let key = key.as_key();
        match self.put(key, value, ttl.into())? {
            Put::Set(cmd) => self.set_if(cmd, "XX").await,
            Put::Unlink(_) => self.delete(key).await,
        }
    }

    async fn set_if(&self, mut set: redis::Cmd, condition: &str) -> Result<bool, Error<E::Error>> {
        let written = self.shared.store.write::<bool>(&rows::SET, set.arg(condition).take()).await;
        written.and_then(E::one_reply).map_err(Error::Store)
    }
}

//! Calls of a cache that depend on what is stored: conditional writes, counters, times to live, versions.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::RunScript;
use serde::Serialize;

use super::Cache;
use crate::error::Error;
use crate::key::AsKey;
use crate::ttl::Ttl;

/// # Conditional writes
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
        self.engine.add(key.as_key(), value, Ttl::Default).await
    }

    /// Sets a key for a time if it has no value, and returns whether it did. A stale value counts as one, and
    /// so does the note that there is none. With a time of zero nothing is stored or removed, and the call
    /// returns whether there was no value.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`](crate::OnError) says; [`Error::Encode`], [`Error::TooLarge`]
    /// and [`Error::Key`].
    ///
    /// # On a copy
    /// One node decides, and the others are sent its decision.
    pub async fn add_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<bool, Error<E::Error>> {
        self.engine.add(key.as_key(), value, ttl.into()).await
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
        self.engine.replace(key.as_key(), value, Ttl::Default).await
    }

    /// Sets a key for a time if it has a value, and returns whether it did. With a time of zero the value is
    /// removed.
    ///
    /// # Errors
    /// As [`add_for`](Self::add_for).
    ///
    /// # On a copy
    /// One node decides, and the others are sent its decision.
    pub async fn replace_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<bool, Error<E::Error>> {
        self.engine.replace(key.as_key(), value, ttl.into()).await
    }
}

/// # Times to live
impl<E: Execute> Cache<E> {
    /// Lets the value of a key be kept for `ttl` from now, and returns whether there is one. A `ttl` of zero
    /// deletes the value.
    ///
    /// A [stale](crate::Lookup::Stale) value stays stale.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`](crate::OnError) says, and [`Error::Key`].
    ///
    /// # On a copy
    /// The reply is that of the first node that took the change.
    pub async fn touch(&self, key: impl AsKey, ttl: impl Into<Ttl>) -> Result<bool, Error<E::Error>> {
        self.engine.touch(key.as_key(), ttl.into()).await
    }

    /// Lets the value of a key be kept without end, and returns whether there is one.
    ///
    /// # Errors
    /// As [`touch`](Self::touch).
    pub async fn persist(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        self.engine.touch(key.as_key(), Ttl::Never).await
    }

    /// Lets the value of a key be kept until an instant, and returns whether there is one. An instant that
    /// has passed deletes the value.
    ///
    /// # Errors
    /// As [`touch`](Self::touch).
    pub async fn expire_at(&self, key: impl AsKey, instant: SystemTime) -> Result<bool, Error<E::Error>> {
        self.engine.touch(key.as_key(), Ttl::At(instant)).await
    }
}

/// # Counting
impl<E: RunScript> Cache<E> {
    /// Adds `amount` to the integer of a key, and returns the sum. The key's time to live does not change.
    ///
    /// # Errors
    /// * [`Error::Missing`] if the key has no value, so that no counter without an end is made by accident.
    /// * [`Error::Store`], also if the value is no integer or the sum would leave 64 bits: then the value
    ///   stays as it was.
    /// * [`Error::Key`].
    ///
    /// # Cancel safety
    /// When the future is dropped the amount may have been added.
    ///
    /// # On a copy
    /// Every node counts; the sum is that of a node which is not known to be behind. A node that does not
    /// have the key while others do, because it has just expired there, counts nothing.
    pub async fn incr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        self.engine.count(key.as_key(), amount.into()).await
    }

    /// Subtracts `amount` from the integer of a key, and returns the difference.
    ///
    /// # Errors
    /// As [`incr`](Self::incr).
    pub async fn decr(&self, key: impl AsKey, amount: i64) -> Result<i64, Error<E::Error>> {
        self.engine.count(key.as_key(), -i128::from(amount)).await
    }

    /// Adds `amount` to the integer of a key, and returns the sum. A key without a value starts at `first`
    /// and is kept for `ttl`; a key with a value is kept as long as before.
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
        self.engine.count_from(key.as_key(), amount, first, ttl.into()).await
    }
}

/// # Versions
impl<E: Execute> Cache<E> {
    /// Moves the value of a key to the next version, with the rest of its time, and returns that version.
    ///
    /// # Errors
    /// As [`move_to_version`](Self::move_to_version).
    pub async fn incr_version(&self, key: impl AsKey) -> Result<u32, Error<E::Error>> {
        self.move_to_version(key, self.version().saturating_add(1)).await
    }

    /// Moves the value of a key to the version before, with the rest of its time, and returns that version.
    ///
    /// # Errors
    /// As [`move_to_version`](Self::move_to_version).
    pub async fn decr_version(&self, key: impl AsKey) -> Result<u32, Error<E::Error>> {
        self.move_to_version(key, self.version().saturating_sub(1)).await
    }

    /// Moves the value of a key to another version, with the rest of its time, and returns that version. To
    /// the version of this handle nothing moves.
    ///
    /// # Errors
    /// [`Error::Missing`] if the key has no value; [`Error::Decode`] if no cache wrote the value under this
    /// key; [`Error::Store`], whatever [`OnError`](crate::OnError) says, and [`Error::Key`].
    ///
    /// # Cancel safety
    /// The value is read, written and then deleted. When the future is dropped, or after an error, the value
    /// may be there in both versions.
    pub async fn move_to_version(&self, key: impl AsKey, version: u32) -> Result<u32, Error<E::Error>> {
        self.engine.move_to_version(key.as_key(), version).await
    }
}

//! Calls of a cache on many keys at once, and on all of them.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;

use futures_util::Stream;
use redisdb_node::Execute;
use redisdb_node::Scan;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Cache;
use crate::error::Error;
use crate::key::AsKey;
use crate::key::FoundKey;
use crate::many::Batch;
use crate::many::Deleted;
use crate::many::Found;
use crate::sweep::Sweep;
use crate::ttl::Ttl;

/// # Many keys
impl<E: Execute> Cache<E> {
    /// Returns the values of those keys that have one. A key that stands twice is found twice.
    ///
    /// # Errors
    /// * The first error, if every key failed. Keys that fail while others do not stand in [`Found::failed`];
    ///   under [`OnError::Miss`](crate::OnError::Miss) the keys that the store failed on count as missing.
    /// * [`Error::Reply`] if the store does not answer for each key.
    /// * [`Error::Decode`](crate::DecodeReason::TooMuch) for a compressed entry for which the entries before
    ///   it have left too little of `max_unpacked_len`.
    ///
    /// # On a ring
    /// Each node that owns some of the keys is sent one command, all at once, for 1000 keys at a time
    /// ([`batch_len`](crate::CacheBuilder::batch_len)).
    ///
    /// # On a copy
    /// One node is asked for all keys.
    pub async fn get_many<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Found<K, T, E::Error>, Error<E::Error>> {
        self.engine.get_many(keys).await
    }

    /// Sets many keys for the [default time](crate::CacheBuilder::default_ttl).
    ///
    /// # Errors
    /// As [`set_many_for`](Self::set_many_for).
    pub async fn set_many<K: AsKey, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Batch<K, E::Error>, Error<E::Error>> {
        self.engine.set_many(entries, Ttl::Default).await
    }

    /// Sets many keys for a time. Each is a write of its own: some may be done and others not.
    ///
    /// # Errors
    /// The first error, if every key failed. Keys that fail while others do not stand in [`Batch::failed`];
    /// under [`OnError::Miss`](crate::OnError::Miss) all that fail do, and are counted.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the values may have been written.
    ///
    /// # On a ring
    /// All values are sent at once, each to its node, 1000 at a time
    /// ([`batch_len`](crate::CacheBuilder::batch_len)).
    ///
    /// # On a copy
    /// A key is done when as many nodes took the value as the copy asks for.
    pub async fn set_many_for<K: AsKey, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        ttl: impl Into<Ttl>,
    ) -> Result<Batch<K, E::Error>, Error<E::Error>> {
        self.engine.set_many(entries, ttl.into()).await
    }

    /// Deletes many keys.
    ///
    /// # Errors
    /// The first error, if every key failed, whatever [`OnError`](crate::OnError) says. Keys that fail while
    /// others do not stand in [`Deleted::failed`]: their values will be read again.
    ///
    /// # On a ring
    /// All deletions are sent at once, each to its node, 1000 at a time
    /// ([`batch_len`](crate::CacheBuilder::batch_len)).
    pub async fn delete_many<K: AsKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Deleted<K, E::Error>, Error<E::Error>> {
        self.engine.delete_many(keys).await
    }

    /// Returns the values of many keys, in the caller's order: the stored ones, and those that `loader` gives
    /// for the other keys, which are stored for `ttl`.
    ///
    /// The loader is called once, with the keys that have no value, a stale one, or one that cannot be had;
    /// in the caller's order, each key once. Without such keys the loader is not called. Values that it gives
    /// for other keys are left out.
    ///
    /// The loader runs in the caller's own future, and callers do not wait for each other. As with
    /// [`get_or_set_with`](Self::get_or_set_with), a key that is set or deleted meanwhile keeps that state,
    /// and a value is kept [beyond its time](crate::CacheBuilder::stale_for).
    ///
    /// # Errors
    /// The loader's error, but where each key that it was called with has a stale value: these are returned then.
    /// [`Error::Key`] and [`Error::Closed`], made into an `X`. An error of the store is none: a value that the store
    /// cannot give is loaded.
    ///
    /// # Cancel safety
    /// When the future is dropped some of the loaded values may have been stored.
    pub async fn get_or_set_many<T, K, X, F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        ttl: impl Into<Ttl>,
        loader: impl FnOnce(Vec<K>) -> F,
    ) -> Result<Vec<(K, T)>, X>
    where
        T: Serialize + DeserializeOwned,
        K: AsKey + Clone + Eq + Hash,
        X: From<Error<E::Error>>,
        F: Future<Output = Result<HashMap<K, T>, X>>,
    {
        self.engine.get_or_set_many(keys, ttl.into(), loader).await
    }
}

/// # All keys
impl<E: Scan> Cache<E> {
    /// Goes through the keys of this version that match a glob-style pattern, step by step as they are asked
    /// for.
    ///
    /// A key that is there from the beginning to the end is found at least once, and possibly more than once.
    ///
    /// # Errors
    /// [`Error::Store`], after which the stream ends.
    ///
    /// # On a ring
    /// The nodes are gone through one after the other.
    pub fn keys(
        &self,
        pattern: &str,
    ) -> impl Stream<Item = Result<FoundKey, Error<E::Error>>> + Send + Unpin {
        self.engine.keys(pattern)
    }

    /// Deletes all entries with this cache's prefix, of every version, and nothing else.
    ///
    /// The servers are gone through step by step, all at once, and go on serving meanwhile. An entry that is
    /// stored meanwhile may stay. Loads that are under way are not written.
    ///
    /// ```no_run
    /// # async fn f(cache: redisdb_cache::Cache<redisdb_node::Node>) -> Result<(), Box<dyn std::error::Error>> {
    /// let swept = cache.clear().on_progress(|progress| println!("{progress:?}")).await?;
    /// println!("{} entries deleted", swept.n_deleted);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unprefixed`], and [`Error::Store`] if no server could be asked at all. A server that fails
    /// while others do not stands in [`Swept::failed`](crate::Swept::failed).
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    ///
    /// # On a copy
    /// The entries that one node in sync has are deleted on all nodes.
    pub fn clear(&self) -> Sweep<'_, E> {
        self.engine.clear()
    }

    /// Deletes the entries of this version whose keys match a glob-style pattern: `*`, `?`, `[a-z]`, `\*` for
    /// a star. Escape each of `*?[]\` by a backslash in a part of the pattern that a user may choose.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    pub fn delete_pattern(&self, pattern: &str) -> Sweep<'_, E> {
        self.engine.delete_pattern(pattern)
    }
}

//! The cache: how one is made, and its calls that read and write one key.

mod bulk;
mod update;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use redisdb_node::Execute;
use redisdb_node::TimeToLive;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::CacheBuilder;
use crate::engine::Engine;
use crate::engine::Shared;
use crate::error::Error;
use crate::key::AsKey;
use crate::lookup::Lookup;
use crate::preset;
use crate::stats::Stats;
use crate::ttl::Ttl;
use crate::write::Stored;

/// A cache: values under keys for a time, on one server, on a ring of servers, or on a copy.
///
/// Made by [`builder`](Self::builder), [`new`](Self::new), [`django`](Self::django) or
/// [`resilient`](Self::resilient). A cache is a cheap handle; its clones are one cache. `E` is the store:
/// `redisdb_node::Node`, or the cluster's `RedisRing` or `RedisCopy`.
///
/// # Trade-offs
/// * A stored value may be gone at any time: the server evicts it, or is down. Keep nothing here that is
///   nowhere else.
/// * The clock of the server counts how long an entry is kept. On a copy, and for [`Ttl::At`], the end is a
///   point in time: servers whose clocks are minutes apart keep entries minutes longer or shorter.
/// * On a ring with a node down, that node's share of the keys fails; see [`OnError`](crate::OnError). On a
///   copy two clients that write one key at the same time may leave the nodes different.
///
/// # Example
/// ```no_run
/// use std::time::Duration;
/// use redisdb_cache::Cache;
/// use redisdb_node::Node;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User { name: String }
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder(Node::connect("redis://127.0.0.1").await?).prefix("shop").build()?;
/// cache.set_for("user:7", &User { name: "Ann".into() }, Duration::from_secs(60)).await?;
/// let user = cache.get::<User>("user:7").await?;
/// # Ok(()) }
/// ```
pub struct Cache<E> {
    pub(crate) engine: Engine<E>,
}

/// # Making a cache
impl<E> Cache<E> {
    /// Returns a cache with the defaults: JSON, 5 minutes, no prefix, errors are returned.
    #[cfg(feature = "json")]
    pub fn new(store: E) -> Self {
        Self::builder(store).build_with(crate::Codec::Json)
    }

    /// Starts a cache with the defaults.
    pub fn builder(store: E) -> CacheBuilder<E> {
        CacheBuilder::new(store)
    }

    /// Starts a cache that shares its entries with a Django application:
    /// [`KeyStyle::Django`](crate::KeyStyle::Django), no envelope, 5 minutes.
    ///
    /// Integers are shared as they are. Other values are written by the codec, so the application needs a
    /// serializer that does the same: in its `OPTIONS`, for example, one that calls `json.dumps` and
    /// `json.loads`. Django's default serializer pickles, which only Python reads.
    pub fn django(store: E) -> CacheBuilder<E> {
        preset::django(store)
    }

    /// Starts a cache that would rather be a miss than an error.
    ///
    /// | | |
    /// |---|---|
    /// | the store gives an error | [`OnError::Miss`](crate::OnError::Miss) |
    /// | a value cannot be decoded | [`OnUndecodable::Miss`](crate::OnUndecodable::Miss) |
    /// | lives are shortened by up to | 5 % |
    /// | loaded values stay as stale ones for | 1 hour |
    /// | a loader that failed is left alone for | 30 seconds |
    /// | a loader may take | 5 seconds |
    /// | that something does not exist is noted for | 5 seconds |
    ///
    /// Deletions and conditional writes still give their errors.
    pub fn resilient(store: E) -> CacheBuilder<E> {
        preset::resilient(store)
    }

    /// Returns this cache in another version: the same prefix and settings, other entries.
    #[must_use]
    pub fn with_version(&self, version: u32) -> Self {
        Self { engine: self.engine.with_version(version) }
    }

    pub(crate) fn of(shared: Arc<Shared<E>>, version: u32) -> Self {
        Self { engine: Engine::new(shared, version) }
    }

    /// The version of the entries that this handle sees.
    pub fn version(&self) -> u32 {
        self.engine.version
    }

    /// The node, ring or copy that the cache runs on.
    pub fn store(&self) -> &E {
        &self.engine.shared.store
    }

    /// The numbers counted since the cache was built, by all clones.
    pub fn stats(&self) -> Stats {
        self.engine.shared.counters.snapshot()
    }

    /// Stops the loads that are under way and refuses all further calls, also those of the clones. Stored
    /// values stay. A second call does nothing. The last handle that is dropped stops the loads as well.
    pub fn close(&self) {
        self.engine.shared.flights.close();
    }
}

/// # Reading
impl<E: Execute> Cache<E> {
    /// Returns the value of a key; `None` if there is none. A [stale](Lookup::Stale) value counts as none:
    /// [`lookup`](Self::lookup) returns it, and tells a miss from a note that there is no value.
    ///
    /// # Errors
    /// [`Error::Store`] unless [`OnError::Miss`](crate::OnError::Miss) was chosen, [`Error::Decode`] unless
    /// [`OnUndecodable::Miss`](crate::OnUndecodable::Miss) was, and [`Error::Key`].
    ///
    /// # On a ring
    /// The owner of the key is asked.
    ///
    /// # On a copy
    /// One node is asked, and the next one when that is down.
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error<E::Error>> {
        self.engine.get(key.as_key()).await
    }

    /// Returns the state of a key: unlike [`get`](Self::get) this tells a miss from an outage.
    ///
    /// # Errors
    /// [`Error::Decode`] unless [`OnUndecodable::Miss`](crate::OnUndecodable::Miss) was chosen, and
    /// [`Error::Key`]. An error of the store is [`Lookup::Unavailable`].
    pub async fn lookup<T: DeserializeOwned>(
        &self,
        key: impl AsKey,
    ) -> Result<Lookup<T, E::Error>, Error<E::Error>> {
        self.engine.lookup(key.as_key()).await
    }

    /// Returns whether a key has a value, of whatever type; the note that there is none counts as one.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Key`].
    pub async fn has_key(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        self.engine.has_key(key.as_key()).await
    }

    /// Returns how long a key will still be kept.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Key`].
    pub async fn ttl(&self, key: impl AsKey) -> Result<TimeToLive, Error<E::Error>> {
        self.engine.ttl(key.as_key()).await
    }
}

/// # Writing and deleting
impl<E: Execute> Cache<E> {
    /// Sets a key to a value for the [default time](crate::CacheBuilder::default_ttl).
    ///
    /// # Errors
    /// As [`set_for`](Self::set_for).
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
    ) -> Result<Stored<E::Write<()>>, Error<E::Error>> {
        self.engine.set(key.as_key(), value, Ttl::Default).await
    }

    /// Sets a key to a value for a time. With a time of zero nothing is stored, and the old value is removed.
    ///
    /// # Errors
    /// [`Error::Store`] unless [`OnError::Miss`](crate::OnError::Miss) was chosen, [`Error::Encode`],
    /// [`Error::TooLarge`] and [`Error::Key`].
    ///
    /// # Cancel safety
    /// When the future is dropped the value may have been written, on a copy on some nodes.
    ///
    /// # On a ring
    /// The owner of the key takes the value.
    ///
    /// # On a copy
    /// All nodes are sent the value; [`Stored::Written`] has the reply of each.
    pub async fn set_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<Stored<E::Write<()>>, Error<E::Error>> {
        self.engine.set(key.as_key(), value, ttl.into()).await
    }

    /// Deletes a key, and returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`](crate::OnError) says, because a value that stays would be read
    /// again; and [`Error::Key`].
    ///
    /// # On a copy
    /// The reply is that of the first node that took the deletion.
    pub async fn delete(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        self.engine.delete(key.as_key()).await
    }
}

/// # Loading
impl<E: Execute + Send + 'static> Cache<E> {
    /// Returns the value of a key. If there is none, calls `loader`, stores its value for `ttl`, and returns
    /// it.
    ///
    /// One load of a key runs at a time, however many callers of this cache ask for the key at once. The load
    /// is a task that the cache owns: a caller that goes away stops neither the load nor the other callers.
    ///
    /// A key that is set or deleted through this cache meanwhile keeps that state: the loaded value is
    /// returned and not stored. A value that another process sets where nothing was is kept as well; a
    /// deletion by another process is not noticed.
    ///
    /// If the store gives an error, or the value there cannot be decoded, the loader runs all the same.
    ///
    /// A value whose time is over but not its [grace](crate::CacheBuilder::stale_for) is returned at once,
    /// and the loader runs in the background. If that load fails, the old value goes on being returned, and
    /// the loader is left alone for [a while](crate::CacheBuilder::refresh_pause).
    ///
    /// A value that is too long, or that the [codec](crate::Codec) cannot hold (NaN in JSON), is returned and
    /// not stored; [`Stats::dropped`](crate::Stats::dropped) counts it, and an event tells it. Callers who
    /// waited for such a load call their own loaders, all at once.
    ///
    /// # Errors
    /// * [`Error::Load`]: the loader gave an error, panicked, or took longer than
    ///   [`load_timeout`](crate::CacheBuilder::load_timeout); the value's own `Serialize` gave an error; or as
    ///   many loads are under way as [`max_loads`](crate::CacheBuilder::max_loads) allows.
    /// * [`Error::Key`] and [`Error::Closed`].
    /// * [`Error::Decode`]: the loader of another caller, for which this one waited, gave another type.
    ///
    /// # Cancel safety
    /// When the future is dropped the load goes on.
    ///
    /// ```no_run
    /// # use std::{io, time::Duration};
    /// # async fn f(cache: redisdb_cache::Cache<redisdb_node::Node>) -> Result<(), Box<dyn std::error::Error>> {
    /// let page: String = cache
    ///     .get_or_set_with("page:1", Duration::from_secs(60), || async { std::fs::read_to_string("page.html") })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn get_or_set_with<T, X, F>(
        &self,
        key: impl AsKey,
        ttl: impl Into<Ttl>,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, X>> + Send + 'static,
    {
        self.engine.get_or_set_with(key.as_key(), ttl.into(), loader).await
    }

    /// As [`get_or_set_with`](Self::get_or_set_with) for a value that may not exist: `None` from the loader is
    /// noted for [`negative_ttl`](crate::CacheBuilder::negative_ttl), and the loader is not called meanwhile.
    ///
    /// # Errors
    /// As [`get_or_set_with`](Self::get_or_set_with).
    pub async fn get_or_set_maybe<T, X, F>(
        &self,
        key: impl AsKey,
        ttl: impl Into<Ttl>,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Option<T>, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        self.engine.get_or_set_maybe(key.as_key(), ttl.into(), loader).await
    }

    /// Calls `loader` whatever is stored, stores its value for `ttl`, and returns it. A load that is under way
    /// is overtaken, not joined, because it may have read an old value.
    ///
    /// # Errors
    /// As [`get_or_set_with`](Self::get_or_set_with).
    pub async fn refresh_with<T, X, F>(
        &self,
        key: impl AsKey,
        ttl: impl Into<Ttl>,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, X>> + Send + 'static,
    {
        self.engine.refresh_with(key.as_key(), ttl.into(), loader).await
    }
}

impl<E> Clone for Cache<E> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone() }
    }
}

/// Without the store.
impl<E> fmt::Debug for Cache<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.fmt(f)
    }
}

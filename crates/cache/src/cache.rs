//! The cache, and its calls on one key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use redis::Cmd;
use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::TimeToLive;
use redisdb_node::command::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::CacheBuilder;
use crate::entry::Entry;
use crate::entry::Format;
use crate::entry::compress::Room;
use crate::error::DecodeError;
use crate::error::DecodeReason;
use crate::error::EncodeError;
use crate::error::Error;
use crate::error::KeyError;
use crate::error::TooLargeError;
use crate::event::Events;
use crate::key::AsKey;
use crate::key::Key;
use crate::key::name::BRACES;
use crate::key::name::Names;
use crate::load::single_flight::Flights;
use crate::lookup::Lookup;
use crate::lookup::Sought;
use crate::settings::OnError;
use crate::settings::OnUndecodable;
use crate::settings::Settings;
use crate::stats::Counters;
use crate::stats::Stats;
use crate::ttl::Life;
use crate::ttl::Ttl;
use crate::ttl::unix_millis;

/// Values under keys for a time, on one server, a ring of them, or a copy. A cheap handle: clones are one
/// cache.
///
/// `E` is what it runs on: `redisdb_node::Node`, or the cluster's `RedisRing` or `RedisCopy`.
///
/// # Trade-offs
/// * What is stored may be gone at any time: the server evicts it, or is down. Keep nothing here that is
///   nowhere else.
/// * How long an entry is kept is counted by the clock of the server. On a copy, and for [`Ttl::At`], it is a
///   point in time: servers whose clocks are minutes apart keep entries minutes longer or shorter.
/// * On a ring with a node down, that node's share of the keys fails; see [`OnError`]. On a copy two clients
///   that write one key at the same time may leave the nodes different.
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
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) version: u32,
    /// What the names of its Redis keys start with where tags stand between braces.
    pub(crate) head: Arc<[u8]>,
}

/// What the clones of a cache have in common.
pub(crate) struct Shared<E> {
    pub(crate) store: E,
    pub(crate) settings: Settings,
    pub(crate) format: Format,
    pub(crate) counters: Counters,
    pub(crate) events: Events,
    pub(crate) flights: Arc<Flights>,
}

/// The loads of a cache end with its last handle.
impl<E> Drop for Shared<E> {
    fn drop(&mut self) {
        self.flights.close();
    }
}

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

    /// Returns this cache in another version: the same prefix and settings, other entries.
    #[must_use]
    pub fn with_version(&self, version: u32) -> Self {
        Self::of(Arc::clone(&self.shared), version)
    }

    pub(crate) fn of(shared: Arc<Shared<E>>, version: u32) -> Self {
        let names = Names::new(shared.settings.key_style, BRACES);
        let head = names.head(&shared.settings.prefix, version).into();
        Self { shared, version, head }
    }

    /// The version of the entries that this handle sees.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What the cache runs on.
    pub fn store(&self) -> &E {
        &self.shared.store
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.snapshot()
    }

    /// Stops the loads that are under way and refuses all further calls, of the clones too. Called twice it
    /// does nothing the second time. What is stored stays. The last handle that goes stops the loads as well.
    pub fn close(&self) {
        self.shared.flights.close();
    }
}

impl<E: Execute> Cache<E> {
    /// Returns the value of a key; `None` if there is none. A [stale](Lookup::Stale) value counts as none:
    /// [`lookup`](Self::lookup) returns it, and tells a miss from a note that there is no value.
    ///
    /// # Errors
    /// [`Error::Store`] unless [`OnError::Miss`] was chosen, [`Error::Decode`] unless [`OnUndecodable::Miss`]
    /// was, and [`Error::Key`].
    ///
    /// # On a ring
    /// One node is asked.
    ///
    /// # On a copy
    /// One node is asked, and the next one when it is down.
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error<E::Error>> {
        match self.lookup(key).await? {
            Lookup::Hit(value) => Ok(Some(value)),
            Lookup::Stale(_) | Lookup::Negative | Lookup::Miss => Ok(None),
            Lookup::Unavailable(error) => match self.shared.settings.on_error {
                OnError::Raise => Err(Error::Store(error)),
                OnError::Miss => Ok(None),
            },
        }
    }

    /// Returns what is known of a key: unlike [`get`](Self::get) it tells a miss from an outage.
    ///
    /// # Errors
    /// [`Error::Decode`] unless [`OnUndecodable::Miss`] was chosen, and [`Error::Key`]. An error of the store
    /// is [`Lookup::Unavailable`].
    pub async fn lookup<T: DeserializeOwned>(
        &self,
        key: impl AsKey,
    ) -> Result<Lookup<T, E::Error>, Error<E::Error>> {
        let key = key.as_key();
        Ok(match self.seek(key).await? {
            Sought::Entry(Entry::Value(value)) => Lookup::Hit(value),
            Sought::Entry(Entry::Stale(value)) => Lookup::Stale(value),
            Sought::Entry(Entry::Negative) => Lookup::Negative,
            Sought::Nothing => Lookup::Miss,
            Sought::Unavailable(error) => Lookup::Unavailable(error),
            Sought::Undecodable(reason) => match self.shared.settings.on_undecodable {
                OnUndecodable::Raise => return Err(DecodeError { key: key.to_string(), reason }.into()),
                OnUndecodable::Miss => Lookup::Miss,
            },
        })
    }

    /// Sets a key to a value for the [default time](crate::CacheBuilder::default_ttl).
    ///
    /// # Errors
    /// As [`set_for`](Self::set_for).
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
    ) -> Result<Stored<E::Write<()>>, Error<E::Error>> {
        self.set_for(key, value, Ttl::Default).await
    }

    /// Sets a key to a value for a time. With a time of zero nothing is stored, and what was there goes away.
    ///
    /// # Errors
    /// [`Error::Store`] unless [`OnError::Miss`] was chosen, [`Error::Encode`], [`Error::TooLarge`] and
    /// [`Error::Key`].
    ///
    /// # Cancel safety
    /// When the future is dropped the value may have been written, on a copy on some nodes.
    ///
    /// # On a ring
    /// One node takes it.
    ///
    /// # On a copy
    /// All nodes are sent it; what each said is in [`Stored::Written`].
    pub async fn set_for<T: Serialize + ?Sized>(
        &self,
        key: impl AsKey,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<Stored<E::Write<()>>, Error<E::Error>> {
        let key = key.as_key();
        match self.put(key, value, ttl.into())?.send(&self.shared.store).await {
            Ok(written) => Ok(Stored::Written(written)),
            Err(error) => match self.shared.settings.on_error {
                OnError::Raise => Err(Error::Store(error)),
                OnError::Miss => {
                    self.shared.drop_value(key, error);
                    Ok(Stored::Dropped)
                }
            },
        }
    }

    /// Returns how long a key will still be kept.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Key`].
    pub async fn ttl(&self, key: impl AsKey) -> Result<TimeToLive, Error<E::Error>> {
        let name = self.name(key.as_key())?;
        self.shared.store.pttl(name).await.map_err(Error::Store)
    }

    /// Deletes a key, and returns whether there was one.
    ///
    /// # Errors
    /// [`Error::Store`], whatever [`OnError`] says, for a value that stays would be read again; and
    /// [`Error::Key`].
    ///
    /// # On a copy
    /// Says what the first node said that took it.
    pub async fn delete(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        let name = self.name_to_write(key.as_key())?;
        let deleted = self.shared.store.unlink(name).await.and_then(E::one_reply).map_err(Error::Store)?;
        Ok(deleted > 0)
    }

    /// Returns whether a key has a value, of whatever type; the note that there is none counts as one.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::Key`].
    pub async fn has_key(&self, key: impl AsKey) -> Result<bool, Error<E::Error>> {
        let name = self.name(key.as_key())?;
        Ok(self.shared.store.exists(name).await.map_err(Error::Store)? > 0)
    }

    /// How Redis keys are named, on what the store is now: a ring may be given another topology.
    pub(crate) fn names(&self) -> Names {
        Names::new(self.shared.settings.key_style, self.shared.store.tag_delimiters())
    }

    /// The name of the Redis key.
    pub(crate) fn name(&self, key: Key<'_>) -> Result<Vec<u8>, Error<E::Error>> {
        if self.shared.flights.is_closed() {
            return Err(Error::Closed);
        }
        let (settings, names) = (&self.shared.settings, self.names());
        let name = match names.delimiters() == BRACES {
            true => names.name(&self.head, key),
            false => names.name(&names.head(&settings.prefix, self.version), key),
        };
        if name.len() <= settings.max_key_len {
            return Ok(name);
        }
        Err(Error::Key(KeyError { key: key.to_string(), len: name.len(), limit: settings.max_key_len }))
    }

    /// The name of a Redis key that is about to be written: a load of it that is under way is overtaken.
    pub(crate) fn name_to_write(&self, key: Key<'_>) -> Result<Vec<u8>, Error<E::Error>> {
        let name = self.name(key)?;
        self.shared.flights.overtake(&name);
        Ok(name)
    }

    /// The command that stores a value, or, for no life at all, the one that removes it.
    pub(crate) fn put<T: Serialize + ?Sized>(
        &self,
        key: Key<'_>,
        value: &T,
        ttl: Ttl,
    ) -> Result<Put, Error<E::Error>> {
        let name = self.name(key)?;
        // Encoded in any case: whether a value can be stored does not depend on how long.
        let bytes = self.shared.format.encode(&name, value, 0).map_err(|error| {
            Error::Encode(EncodeError { key: key.to_string(), reason: error.into_reason() })
        })?;
        let limit = self.shared.settings.max_stored_len;
        if limit < bytes.len() {
            return Err(Error::TooLarge(TooLargeError { key: key.to_string(), len: bytes.len(), limit }));
        }
        let life = self.shared.settings.life(ttl, SystemTime::now());
        self.shared.flights.overtake(&name);
        Ok(Put::new(&name, &bytes, life))
    }

    /// What the store has under a key, counted.
    pub(crate) async fn seek<T: DeserializeOwned>(
        &self,
        key: Key<'_>,
    ) -> Result<Sought<T, E::Error>, Error<E::Error>> {
        let name = self.name(key)?;
        let found = self.shared.store.read(&rows::GET, rows::GET.cmd().arg(&name).take()).await;
        Ok(self.shared.found(key, &name, &mut Room::any(), found))
    }
}

impl<E> Shared<E> {
    /// Counts and tells that a value was not stored.
    pub(crate) fn drop_value(&self, key: impl fmt::Display, reason: impl fmt::Display) {
        self.counters.dropped.count();
        self.events.dropped(&self.settings.prefix, key, reason);
    }
}

impl<E: Execute> Shared<E> {
    /// What the reply to `GET` means in a call that has so much room left, counted.
    pub(crate) fn found<T: DeserializeOwned>(
        &self,
        key: Key<'_>,
        name: &[u8],
        room: &mut Room,
        reply: Result<Option<Vec<u8>>, E::Error>,
    ) -> Sought<T, E::Error> {
        let sought = match reply {
            Ok(Some(bytes)) => {
                match self.format.decode(name, &bytes, room, || unix_millis(SystemTime::now())) {
                    Ok(entry) => Sought::Entry(entry),
                    Err(reason) => Sought::Undecodable(reason),
                }
            }
            Ok(None) => Sought::Nothing,
            // A list, say: there is something, and no cache wrote it.
            Err(error) if E::error_code(&error) == Some("WRONGTYPE") => {
                Sought::Undecodable(DecodeReason::Foreign)
            }
            Err(error) => Sought::Unavailable(error),
        };
        let counters = &self.counters;
        let counter = match &sought {
            Sought::Entry(Entry::Value(_)) => &counters.hits,
            Sought::Entry(Entry::Stale(_)) => &counters.stale,
            Sought::Entry(Entry::Negative) => &counters.negative_hits,
            Sought::Nothing => &counters.misses,
            Sought::Unavailable(_) => &counters.unavailable,
            Sought::Undecodable(reason) => {
                self.events.undecodable(&self.settings.prefix, key, reason);
                &counters.undecodable
            }
        };
        counter.count();
        sought
    }
}

/// What became of a value that was to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored<W> {
    /// The store took it, and said this: nothing on a node and on a ring, each node's outcome on a copy.
    Written(W),
    /// The store gave an error, and [`OnError::Miss`] was chosen. It may have taken it all the same.
    Dropped,
}

impl<W> Stored<W> {
    /// Returns whether the store took it.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }
}

/// What stores a value or removes it.
#[derive(Debug)]
pub(crate) enum Put {
    Set(Cmd),
    Unlink(Cmd),
}

impl Put {
    pub(crate) fn new(name: &[u8], bytes: &[u8], life: Life) -> Self {
        if life == Life::Over {
            return Self::Unlink(rows::UNLINK.cmd().arg(name).take());
        }
        let mut set = Cmd::with_capacity(5, 64 + name.len() + bytes.len());
        set.arg("SET").arg(name).arg(bytes);
        match life {
            Life::For(millis) => set.arg("PX").arg(millis),
            Life::Until(millis) => set.arg("PXAT").arg(millis),
            Life::Over | Life::Forever => &mut set,
        };
        Self::Set(set)
    }

    pub(crate) async fn send<E: Execute>(self, store: &E) -> Result<E::Write<()>, E::Error> {
        match self {
            Self::Set(cmd) => store.write(&rows::SET, cmd).await,
            Self::Unlink(cmd) => store.write(&rows::UNLINK, cmd).await,
        }
    }
}

impl<E> Clone for Cache<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), version: self.version, head: Arc::clone(&self.head) }
    }
}

/// Without what it runs on.
impl<E> fmt::Debug for Cache<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("version", &self.version)
            .field("settings", &self.shared.settings)
            .field("format", &self.shared.format)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(life: Life, expected: &[&str]) {
        let (Put::Set(cmd) | Put::Unlink(cmd)) = Put::new(b"k", b"v", life);
        let words: Vec<_> = redisdb_node::command::words(&cmd).map(String::from_utf8_lossy).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn a_time_from_now_is_counted_by_the_clock_of_the_server() {
        check(Life::For(5), &["SET", "k", "v", "PX", "5"]);
        check(Life::Until(5), &["SET", "k", "v", "PXAT", "5"]);
        check(Life::Forever, &["SET", "k", "v"]);
        check(Life::Over, &["UNLINK", "k"]);
    }
}

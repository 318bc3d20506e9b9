//! Values that are loaded from elsewhere when they are not there.

use std::future::Future;
use std::sync::Arc;
use std::sync::Weak;
use std::thread;
use std::time::Instant;
use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::cache::Put;
use crate::cache::Shared;
use crate::entry::Entry;
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error::Error;
use crate::error::LoadError;
use crate::flight::Outcome;
use crate::flight::Ticket;
use crate::flight::Waiter;
use crate::key::AsKey;
use crate::key::Key;
use crate::lookup::Sought;
use crate::ttl::Life;
use crate::ttl::Ttl;

/// How what was loaded is written.
#[derive(Debug, Clone, Copy)]
enum Replace {
    /// Only if nothing is there: what another process wrote meanwhile is newer.
    Nothing,
    /// Whatever is there.
    Anything,
}

impl<E: Execute + Send + 'static> Cache<E> {
    /// Returns the value of a key; if there is none, calls `loader`, stores what it gives for `ttl`, and returns it.
    ///
    /// However many callers of this cache ask for a key at once, one load of it runs, in a task that the cache owns: a
    /// caller that goes away stops neither the load nor the others. A key that is set or deleted through this cache
    /// meanwhile keeps what it was set to; the loaded value is returned and not stored. What another process sets in
    /// place of nothing is kept as well; that it deletes the key is not noticed.
    ///
    /// If the store gives an error, or the value there cannot be decoded, the loader runs all the same. If a value is
    /// there whose time is over but not its [grace](crate::CacheBuilder::stale_for), it is returned at once and the
    /// loader runs behind the caller's back; if it fails, the old value goes on being returned, and the loader is left
    /// alone for [a while](crate::CacheBuilder::refresh_pause).
    ///
    /// # Errors
    /// [`Error::Load`] with the loader's error, its panic, or that it took longer than
    /// [`load_timeout`](crate::CacheBuilder::load_timeout); [`Error::Encode`], [`Error::Key`] and [`Error::Closed`].
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
        let key = key.as_key();
        let loader = || async { loader().await.map(Some) };
        let loaded = match self.look(key).await? {
            Seen::Value(value) => return Ok(value),
            Seen::Stale(value) => {
                self.refresh(key, ttl.into(), loader)?;
                return Ok(value);
            }
            // The note that there is none is that of other callers, whose loader may say so.
            Seen::Negative => self.load(key, ttl.into(), Replace::Anything, loader).await?,
            Seen::Absent(replace) => self.load(key, ttl.into(), replace, loader).await?,
        };
        loaded.ok_or_else(|| Error::Load(LoadError::lost(key)))
    }

    /// As [`get_or_set_with`](Self::get_or_set_with) for what may not exist: `None` from the loader is noted for
    /// [`negative_ttl`](crate::CacheBuilder::negative_ttl), and the loader not called meanwhile.
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
        let key = key.as_key();
        match self.look(key).await? {
            Seen::Value(value) => Ok(Some(value)),
            Seen::Stale(value) => {
                self.refresh(key, ttl.into(), loader)?;
                Ok(Some(value))
            }
            Seen::Negative => Ok(None),
            Seen::Absent(replace) => self.load(key, ttl.into(), replace, loader).await,
        }
    }

    /// Calls `loader` whatever is there, stores what it gives for `ttl`, and returns it. A load that is under way is
    /// overtaken, not joined: it may have read what is old by now.
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
        let key = key.as_key();
        self.shared.flights.overtake(&self.name(key)?);
        let loader = || async { loader().await.map(Some) };
        let loaded = self.load(key, ttl.into(), Replace::Anything, loader).await?;
        loaded.ok_or_else(|| Error::Load(LoadError::lost(key)))
    }

    /// What is there, for a caller who can load.
    async fn look<T: DeserializeOwned>(&self, key: Key<'_>) -> Result<Seen<T>, Error<E::Error>> {
        Ok(match self.seek(key).await? {
            Sought::Entry(Entry::Value(value)) => Seen::Value(value),
            Sought::Entry(Entry::Stale(value)) => Seen::Stale(value),
            Sought::Entry(Entry::Negative) => Seen::Negative,
            Sought::Undecodable(_) => Seen::Absent(Replace::Anything),
            Sought::Nothing | Sought::Unavailable(_) => Seen::Absent(Replace::Nothing),
        })
    }

    /// Starts a load that nobody waits for, unless the last one has just failed.
    fn refresh<T, X, F>(
        &self,
        key: Key<'_>,
        ttl: Ttl,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(), Error<E::Error>>
    where
        T: Serialize + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        let name = self.name(key)?;
        if !self.shared.flights.is_resting(&name) {
            self.fly(key, name, ttl, Replace::Anything, loader)?;
        }
        Ok(())
    }

    async fn load<T, X, F>(
        &self,
        key: Key<'_>,
        ttl: Ttl,
        replace: Replace,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Option<T>, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        let mut waiter = self.fly(key, self.name(key)?, ttl, replace, loader)?;
        let landed = waiter.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match landed {
            Some(Outcome::Value(bytes)) => {
                // As of no time: what has just been loaded is not stale.
                let entry = self.shared.format.decode(&bytes, 0);
                match entry.map_err(|reason| DecodeError { key: key.to_string(), reason })? {
                    Entry::Value(value) | Entry::Stale(value) => Ok(Some(value)),
                    Entry::Negative => Ok(None),
                }
            }
            Some(Outcome::Nothing) => Ok(None),
            Some(Outcome::Failed(error)) => Err(Error::Load(error)),
            None => Err(Error::Load(LoadError::lost(key))),
        }
    }

    fn fly<T, X, F>(
        &self,
        key: Key<'_>,
        name: Vec<u8>,
        ttl: Ttl,
        replace: Replace,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Waiter, Error<E::Error>>
    where
        T: Serialize + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        let shown = key.to_string();
        let cache = Arc::downgrade(&self.shared);
        let (counters, timeout) = (&self.shared.counters, self.shared.settings.load_timeout);
        let task_name = name.clone();
        let mut is_joined = true;
        let waiter = self.shared.flights.join(&name, |ticket, landing| {
            is_joined = false;
            counters.loads.count();
            async move {
                let loading = Loading { cache, name: task_name, key: shown, start: Instant::now() };
                let loaded = tokio::time::timeout(timeout, async { loader().await }).await;
                let outcome = match loaded {
                    Ok(Ok(value)) => loading.store(value, ttl, replace, &ticket).await,
                    Ok(Err(error)) => loading.fail(LoadError::of(&loading.key, error)),
                    Err(_) => loading.fail(LoadError::timeout(&loading.key, timeout)),
                };
                landing.land(outcome);
            }
        });
        if is_joined && waiter.is_some() {
            counters.joined_loads.count();
        }
        waiter.ok_or(Error::Closed)
    }
}

/// What a look at the store has shown to a caller who can load.
enum Seen<T> {
    Value(T),
    Stale(T),
    Negative,
    Absent(Replace),
}

/// A load that is under way, as its own task sees it.
struct Loading<E> {
    /// Weak: a load does not keep alive a cache that nobody holds, and the last handle stops it.
    cache: Weak<Shared<E>>,
    name: Vec<u8>,
    /// As in messages.
    key: String,
    start: Instant,
}

/// A panic is a failure as well.
impl<E> Drop for Loading<E> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.note_failure();
        }
    }
}

impl<E> Loading<E> {
    fn fail(&self, error: LoadError) -> Outcome {
        self.note_failure();
        Outcome::Failed(error)
    }

    fn note_failure(&self) {
        if let Some(shared) = self.cache.upgrade() {
            shared.counters.load_time.record(self.start.elapsed());
            shared.counters.failed_loads.count();
            shared.events.failed(&shared.settings.prefix, &self.key);
            shared.flights.rest(self.name.clone(), shared.settings.refresh_pause);
        }
    }
}

impl<E: Execute> Loading<E> {
    /// Writes what was loaded, unless the key was set or deleted meanwhile; a store that does not take it is no failure.
    async fn store<T: Serialize>(
        &self,
        value: Option<T>,
        ttl: Ttl,
        replace: Replace,
        ticket: &Ticket,
    ) -> Outcome {
        // Nobody waits when nobody holds the cache.
        let Some(shared) = self.cache.upgrade() else { return Outcome::Nothing };
        let (settings, format, now) = (&shared.settings, shared.format, SystemTime::now());
        let (bytes, life) = match &value {
            Some(value) => {
                let (stale_at, life) = settings.with_grace(settings.life(ttl, now), now);
                match format.encode(value, stale_at) {
                    Ok(bytes) => (bytes, life),
                    Err(reason) => {
                        let error = EncodeError { key: self.key.clone(), reason };
                        return self.fail(LoadError::of(&self.key, error));
                    }
                }
            }
            None => (format.encode_negative(), Ttl::After(settings.negative_ttl).life(Ttl::Default, now)),
        };
        shared.counters.load_time.record(self.start.elapsed());
        if settings.max_stored_len < bytes.len() {
            let (len, limit) = (bytes.len(), settings.max_stored_len);
            shared.drop_value(&self.key, format_args!("it is {len} bytes long, and at most {limit} may be"));
        } else if ticket.is_overtaken() {
            shared.counters.overtaken_loads.count();
        } else {
            self.write(&shared, &bytes, life, replace, ticket).await;
        }
        if value.is_some() { Outcome::Value(bytes.into()) } else { Outcome::Nothing }
    }

    async fn write(&self, shared: &Shared<E>, bytes: &[u8], life: Life, replace: Replace, ticket: &Ticket) {
        let store = &shared.store;
        let written = match (Put::new(&self.name, bytes, life), replace) {
            // Nothing was there, and nothing is to be kept.
            (Put::Unlink(_), Replace::Nothing) => Ok(()),
            (Put::Set(mut cmd), Replace::Nothing) => {
                store.write::<()>(&rows::SET, cmd.arg("NX").take()).await.map(drop)
            }
            (put, Replace::Anything) => put.send(store).await.map(drop),
        };
        // The key may have been set or deleted between the question and the write, and nobody knows what came first. A
        // cache may forget, but not serve what was deleted.
        let undone = match ticket.is_overtaken() {
            true => {
                shared.counters.overtaken_loads.count();
                Put::new(&self.name, bytes, Life::Over).send(store).await.map(drop)
            }
            false => Ok(()),
        };
        if let Err(error) = written.and(undone) {
            shared.drop_value(&self.key, error);
        }
    }
}

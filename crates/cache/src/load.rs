//! Read-through: a value that is missing is loaded from elsewhere and stored.

pub(crate) mod keep;
pub(crate) mod many;
pub(crate) mod single_flight;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::Weak;
use std::thread;
use std::time::Instant;

use futures_util::FutureExt;
use parking_lot::Mutex;
use redisdb_node::Execute;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Unwritten;
use crate::engine::Engine;
use crate::engine::Shared;
use crate::entry::Entry;
use crate::entry::compress::Room;
use crate::error::DecodeError;
use crate::error::EncodeError;
use crate::error::Error;
use crate::error::LoadError;
use crate::key::Key;
use crate::load::keep::Replace;
use crate::load::single_flight::Landed;
use crate::load::single_flight::Landing;
use crate::load::single_flight::NoFlight;
use crate::load::single_flight::Ticket;
use crate::load::single_flight::Waiter;
use crate::lookup::Sought;
use crate::ttl::Ttl;

impl<E: Execute + Send + 'static> Engine<E> {
    pub(crate) async fn get_or_set_with<T, X, F>(
        &self,
        key: Key<'_>,
        ttl: Ttl,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, X>> + Send + 'static,
    {
        let loader = || async { loader().await.map(Some) };
        let loaded = match self.look(key).await? {
            Seen::Value(value) => return Ok(value),
            Seen::Stale(value) => {
                self.refresh(key, ttl, loader)?;
                return Ok(value);
            }
            // The note that there is none is that of other callers, whose loader may say so.
            Seen::Negative => self.load(key, ttl, Replace::Anything, loader).await?,
            Seen::Absent(replace) => self.load(key, ttl, replace, loader).await?,
        };
        loaded.ok_or_else(|| Error::Load(LoadError::lost(key)))
    }

    pub(crate) async fn get_or_set_maybe<T, X, F>(
        &self,
        key: Key<'_>,
        ttl: Ttl,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Option<T>, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        match self.look(key).await? {
            Seen::Value(value) => Ok(Some(value)),
            Seen::Stale(value) => {
                self.refresh(key, ttl, loader)?;
                Ok(Some(value))
            }
            Seen::Negative => Ok(None),
            Seen::Absent(replace) => self.load(key, ttl, replace, loader).await,
        }
    }

    pub(crate) async fn refresh_with<T, X, F>(
        &self,
        key: Key<'_>,
        ttl: Ttl,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, X>> + Send + 'static,
    {
        self.shared.flights.overtake(&self.name(key)?);
        let loader = || async { loader().await.map(Some) };
        let loaded = self.load(key, ttl, Replace::Anything, loader).await?;
        loaded.ok_or_else(|| Error::Load(LoadError::lost(key)))
    }

    /// Asks the store for a key, for a caller who can load.
    async fn look<T: DeserializeOwned>(&self, key: Key<'_>) -> Result<Seen<T>, Error<E::Error>> {
        Ok(match self.seek(key).await? {
            Sought::Entry(Entry::Value(value)) => Seen::Value(value),
            Sought::Entry(Entry::Stale(value)) => Seen::Stale(value),
            Sought::Entry(Entry::Negative) => Seen::Negative,
            Sought::Undecodable(_) => Seen::Absent(Replace::Anything),
            Sought::Nothing => Seen::Absent(Replace::Nothing),
            Sought::Unavailable(_) => Seen::Absent(Replace::Unseen),
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
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        let name = self.name(key)?;
        if !self.shared.flights.is_resting(&name) {
            match self.fly(key, name, ttl, Replace::Anything, Slot::default(), loader) {
                // The old value is there, and the next call tries again.
                Err(Error::Load(error)) if error.is_overloaded() => {}
                started => drop(started?),
            }
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
        let own = Slot::default();
        let name = self.name(key)?;
        let (mut waiter, loader) = self.fly(key, name.clone(), ttl, replace, Slot::clone(&own), loader)?;
        let landed = waiter.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        let own = own.lock().take();
        match (landed, own, loader) {
            (Some(Landed::Value(_) | Landed::Unwritten), Some(value), _) => Ok(Some(value)),
            (Some(Landed::Value(bytes)), None, _) => {
                // As of no time: a value that has just been loaded is not stale.
                let entry = self.shared.format.decode(&name, &bytes, &mut Room::any(), || 0);
                match entry.map_err(|reason| DecodeError { key: key.to_string(), reason })? {
                    Entry::Value(value) | Entry::Stale(value) => Ok(Some(value)),
                    Entry::Negative => Ok(None),
                }
            }
            (Some(Landed::Unwritten), None, Some(loader)) => self.load_alone(key, loader).await,
            (Some(Landed::Nothing), ..) => Ok(None),
            (Some(Landed::Failed(error)), ..) => Err(Error::Load(error)),
            (Some(Landed::Unwritten), None, None) | (None, ..) => Err(Error::Load(LoadError::lost(key))),
        }
    }

    /// Calls a loader for its caller only; its value is not stored.
    async fn load_alone<T, X, F>(
        &self,
        key: Key<'_>,
        loader: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Option<T>, Error<E::Error>>
    where
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
    {
        let loading = Loading {
            cache: Arc::downgrade(&self.shared),
            name: self.name(key)?,
            key: key.to_string(),
            start: Instant::now(),
        };
        let timeout = self.shared.settings.load_timeout;
        self.shared.counters.loads.count();
        let loaded = AssertUnwindSafe(tokio::time::timeout(timeout, async { loader().await })).catch_unwind();
        let failed = match loaded.await {
            Ok(Ok(Ok(value))) => {
                self.shared.counters.load_time.record(loading.start.elapsed());
                return Ok(value);
            }
            Ok(Ok(Err(error))) => LoadError::of(&loading.key, error),
            Ok(Err(_)) => LoadError::timeout(&loading.key, timeout),
            Err(_) => LoadError::lost(key),
        };
        loading.note_failure();
        Err(Error::Load(failed))
    }

    /// Joins a load that is under way, or starts one, which puts its value in the slot; a loader that is not
    /// needed comes back.
    fn fly<T, X, F, L>(
        &self,
        key: Key<'_>,
        name: Vec<u8>,
        ttl: Ttl,
        replace: Replace,
        own: Slot<T>,
        loader: L,
    ) -> Result<(Waiter, Option<L>), Error<E::Error>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        X: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<Option<T>, X>> + Send + 'static,
        L: FnOnce() -> F + Send + 'static,
    {
        let shown = key.to_string();
        let cache = Arc::downgrade(&self.shared);
        let (counters, timeout) = (&self.shared.counters, self.shared.settings.load_timeout);
        let task_name = name.clone();
        let mut loader = Some(loader);
        let waiter = self.shared.flights.join(&name, |ticket, landing| {
            let loader = loader.take();
            counters.loads.count();
            async move {
                let Some(loader) = loader else { return };
                let loading = Loading { cache, name: task_name, key: shown, start: Instant::now() };
                let loaded = tokio::time::timeout(timeout, async { loader().await }).await;
                match loaded {
                    Ok(Ok(value)) => loading.land(value, ttl, replace, &ticket, &landing, &own).await,
                    Ok(Err(error)) => loading.fail(LoadError::of(&loading.key, error), &landing),
                    Err(_) => loading.fail(LoadError::timeout(&loading.key, timeout), &landing),
                }
            }
        });
        if loader.is_some() && waiter.is_ok() {
            counters.joined_loads.count();
        }
        let waiter = waiter.map_err(|no| match no {
            NoFlight::Closed => Error::Closed,
            NoFlight::Overloaded => Error::Load(LoadError::overloaded(key, self.shared.settings.max_loads)),
        })?;
        Ok((waiter, loader))
    }
}

/// The place where a load leaves its value for the caller whose loader it is.
type Slot<T> = Arc<Mutex<Option<T>>>;

/// The state of a key for a caller who can load.
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
    fn fail(&self, error: LoadError, landing: &Landing) {
        self.note_failure();
        landing.tell(Landed::Failed(error));
    }

    fn note_failure(&self) {
        if let Some(shared) = self.cache.upgrade() {
            shared.counters.load_time.record(self.start.elapsed());
            shared.load_failed([&self.key]);
            shared.flights.rest(self.name.clone(), shared.settings.refresh_pause);
        }
    }
}

impl<E: Execute> Loading<E> {
    /// Keeps a loaded value and gives it to the callers who wait.
    async fn land<T: Serialize + DeserializeOwned>(
        &self,
        value: Option<T>,
        ttl: Ttl,
        replace: Replace,
        ticket: &Ticket,
        landing: &Landing,
        own: &Slot<T>,
    ) {
        // Without a handle of the cache there is no caller who waits.
        let Some(shared) = self.cache.upgrade() else { return };
        let loaded = match shared.loaded(&self.name, value.as_ref(), ttl) {
            Ok(loaded) => Some(loaded),
            Err(Unwritten::Refused(reason)) => {
                shared.drop_value(&self.key, reason);
                // The next attempt would most likely end like this one.
                shared.flights.rest(self.name.clone(), shared.settings.refresh_pause);
                None
            }
            Err(Unwritten::ByType(reason)) => {
                let error = EncodeError { key: self.key.clone(), reason };
                return self.fail(LoadError::of(&self.key, error), landing);
            }
        };
        shared.counters.load_time.record(self.start.elapsed());
        let outcome = match (&value, &loaded) {
            (Some(_), Some(loaded)) => Landed::Value(loaded.bytes.as_slice().into()),
            (Some(_), None) => Landed::Unwritten,
            (None, _) => Landed::Nothing,
        };
        *own.lock() = value;
        if replace == Replace::Unseen {
            landing.tell(outcome.clone());
        }
        if let Some(loaded) = loaded {
            shared.keep(&self.key, &self.name, &loaded, replace, ticket).await;
        }
        landing.tell(outcome);
    }
}

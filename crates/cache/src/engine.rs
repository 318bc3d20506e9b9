//! The engine of a cache: the store, the settings, and the names of Redis keys in one version.

use std::fmt;
use std::sync::Arc;

use redisdb_node::Execute;

use crate::entry::Format;
use crate::error::Error;
use crate::error::KeyError;
use crate::event::Events;
use crate::key::Key;
use crate::key::name::BRACES;
use crate::key::name::Names;
use crate::load::single_flight::Flights;
use crate::settings::Settings;
use crate::stats::Counters;

/// The inside of a [`Cache`](crate::Cache): each file of an idea adds the calls of that idea.
pub(crate) struct Engine<E> {
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) version: u32,
    /// The beginning of the names of its Redis keys, where tags stand between braces.
    head: Arc<[u8]>,
}

/// The part that the clones of a cache have in common.
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

impl<E> Engine<E> {
    pub(crate) fn new(shared: Arc<Shared<E>>, version: u32) -> Self {
        let names = Names::new(shared.settings.key_style, BRACES);
        let head = names.head(&shared.settings.prefix, version).into();
        Self { shared, version, head }
    }

    pub(crate) fn with_version(&self, version: u32) -> Self {
        Self::new(Arc::clone(&self.shared), version)
    }
}

impl<E: Execute> Engine<E> {
    /// The naming of Redis keys on the store as it is now: a ring may be given another topology.
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

    /// The name of a Redis key that is about to be written: a load of the key that is under way is overtaken.
    pub(crate) fn name_to_write(&self, key: Key<'_>) -> Result<Vec<u8>, Error<E::Error>> {
        let name = self.name(key)?;
        self.shared.flights.overtake(&name);
        Ok(name)
    }
}

impl<E> Shared<E> {
    /// Counts and tells that a value was not stored.
    pub(crate) fn drop_value(&self, key: impl fmt::Display, reason: impl fmt::Display) {
        self.counters.dropped.count();
        self.events.dropped(&self.settings.prefix, key, reason);
    }

    /// Counts and tells that a loader gave nothing for its keys.
    pub(crate) fn load_failed(&self, keys: impl IntoIterator<Item: fmt::Display>) {
        self.counters.failed_loads.count();
        for key in keys {
            self.events.failed(&self.settings.prefix, &key.to_string());
        }
    }
}

impl<E> Clone for Engine<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), version: self.version, head: Arc::clone(&self.head) }
    }
}

/// Without the store.
impl<E> fmt::Debug for Engine<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("version", &self.version)
            .field("settings", &self.shared.settings)
            .field("format", &self.shared.format)
            .finish_non_exhaustive()
    }
}

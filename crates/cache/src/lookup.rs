//! The result of a look-up: a hit, a miss, or why neither is known.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::engine::Shared;
use crate::entry::Entry;
use crate::entry::compress::Room;
use crate::error::DecodeError;
use crate::error::DecodeReason;
use crate::error::Error;
use crate::key::Key;
use crate::settings::OnError;
use crate::settings::OnUndecodable;
use crate::ttl::unix_millis;

/// The state of a key, which tells apart a miss, a noted absence and an outage, as a plain `Option` would
/// not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<T, S> {
    /// There is a value.
    Hit(T),
    /// There is a value that should be loaded anew.
    Stale(T),
    /// There is the note that no value exists where it would be loaded from.
    Negative,
    /// There is nothing: never stored, gone, or deleted.
    Miss,
    /// The store could not say: this is its error.
    Unavailable(S),
}

impl<T, S> Lookup<T, S> {
    /// The value that is there, fresh or stale.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Hit(value) | Self::Stale(value) => Some(value),
            Self::Negative | Self::Miss | Self::Unavailable(_) => None,
        }
    }
}

/// The reply of the store for one key, decoded, before the settings are applied to it.
#[derive(Debug)]
pub(crate) enum Sought<T, S> {
    Entry(Entry<T>),
    Nothing,
    Undecodable(DecodeReason),
    Unavailable(S),
}

impl<E: Execute> Engine<E> {
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: Key<'_>) -> Result<Option<T>, Error<E::Error>> {
        match self.lookup(key).await? {
            Lookup::Hit(value) => Ok(Some(value)),
            Lookup::Stale(_) | Lookup::Negative | Lookup::Miss => Ok(None),
            Lookup::Unavailable(error) => match self.shared.settings.on_error {
                OnError::Raise => Err(Error::Store(error)),
                OnError::Miss => Ok(None),
            },
        }
    }

    pub(crate) async fn lookup<T: DeserializeOwned>(
        &self,
        key: Key<'_>,
    ) -> Result<Lookup<T, E::Error>, Error<E::Error>> {
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

    /// Asks the store for a key, and counts its answer.
    pub(crate) async fn seek<T: DeserializeOwned>(
        &self,
        key: Key<'_>,
    ) -> Result<Sought<T, E::Error>, Error<E::Error>> {
        let name = self.name(key)?;
        let found = self.shared.store.read(&rows::GET, rows::GET.cmd().arg(&name).take()).await;
        Ok(self.shared.found(key, &name, &mut Room::any(), found))
    }
}

impl<E: Execute> Shared<E> {
    /// Decodes and counts the reply to `GET`, in a call with this much room left for decompressed values.
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

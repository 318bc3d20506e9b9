//! Storing a value that was loaded, unless the key was written meanwhile.

use std::fmt;
use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Unwritten;
use crate::engine::Shared;
use crate::entry::compress::Room;
use crate::load::single_flight::Ticket;
use crate::ttl::Life;
use crate::ttl::Ttl;
use crate::write::Put;

/// The condition under which a loaded value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    /// Only if nothing is there: a value that another process wrote meanwhile is newer.
    Nothing,
    /// The same, where the store could not be asked: callers have waited for the store long enough, and get the
    /// value before it is written.
    Unseen,
    /// In any case.
    Anything,
}

/// A loaded value as it is stored.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) bytes: Vec<u8>,
    life: Life,
}

impl<E> Shared<E> {
    /// Encodes a loaded value, or the note that there is none, as it is stored under a Redis key.
    ///
    /// # Errors
    /// The reason why the value is not stored, such as that it could not be read again.
    pub(crate) fn loaded<T: Serialize + DeserializeOwned>(
        &self,
        name: &[u8],
        value: Option<&T>,
        ttl: Ttl,
    ) -> Result<Loaded, Unwritten> {
        let (settings, now) = (&self.settings, SystemTime::now());
        Ok(match value {
            Some(value) => {
                let (stale_at, life) = settings.with_grace(settings.life(ttl, now), now);
                let bytes = self.format.encode(name, value, stale_at)?;
                if let Err(reason) = self.format.decode::<T>(name, &bytes, &mut Room::any(), || 0) {
                    return Err(Unwritten::Refused(format!("the value could not be read again: {reason}")));
                }
                Loaded { bytes, life }
            }
            None => Loaded {
                bytes: self.format.encode_negative(name),
                life: Ttl::After(settings.negative_ttl).life(Ttl::Default, now),
            },
        })
    }
}

impl<E: Execute> Shared<E> {
    /// Writes a loaded value, unless the key was set or deleted meanwhile. An error of the store is no failure
    /// of the load; it is counted and told.
    pub(crate) async fn keep(
        &self,
        key: impl fmt::Display,
        name: &[u8],
        loaded: &Loaded,
        replace: Replace,
        ticket: &Ticket,
    ) {
        let (len, limit) = (loaded.bytes.len(), self.settings.max_stored_len);
        if limit < len {
            return self
                .drop_value(key, format_args!("the value is {len} bytes long, and at most {limit} may be"));
        }
        if ticket.is_overtaken() {
            return self.counters.overtaken_loads.count();
        }
        let written = match (Put::new(name, &loaded.bytes, loaded.life), replace) {
            (put, Replace::Anything) => put.send(&self.store).await.map(drop),
            // Nothing was there, and nothing is to be kept.
            (Put::Unlink(_), _) => Ok(()),
            (Put::Set(mut cmd), _) => {
                self.store.write::<()>(&rows::SET, cmd.arg("NX").take()).await.map(drop)
            }
        };
        // The key may have been set or deleted between the question and the write, and nobody knows what came
        // first. A cache may forget, but not serve what was deleted.
        let undone = match ticket.is_overtaken() {
            true => {
                self.counters.overtaken_loads.count();
                Put::new(name, &[], Life::Over).send(&self.store).await.map(drop)
            }
            false => Ok(()),
        };
        if let Err(error) = written.and(undone) {
            self.drop_value(key, error);
        }
    }
}

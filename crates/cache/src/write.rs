//! Writing and deleting one value.

use std::time::SystemTime;

use redis::Cmd;
use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::command::rows;
use serde::Serialize;

use crate::engine::Engine;
use crate::error::EncodeError;
use crate::error::Error;
use crate::error::TooLargeError;
use crate::key::Key;
use crate::settings::OnError;
use crate::ttl::Life;
use crate::ttl::Ttl;

/// The outcome of a write of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored<W> {
    /// The store took the value, and said this: nothing on a node and on a ring, each node's outcome on a
    /// copy.
    Written(W),
    /// The store gave an error, and [`OnError::Miss`] was chosen. The store may have taken the value all the
    /// same.
    Dropped,
}

impl<W> Stored<W> {
    /// Returns whether the store took the value.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }
}

/// The command that stores a value, or the one that removes it.
#[derive(Debug)]
pub(crate) enum Put {
    Set(Cmd),
    Unlink(Cmd),
}

impl<E: Execute> Engine<E> {
    pub(crate) async fn set<T: Serialize + ?Sized>(
        &self,
        key: Key<'_>,
        value: &T,
        ttl: Ttl,
    ) -> Result<Stored<E::Write<()>>, Error<E::Error>> {
        match self.put(key, value, ttl)?.send(&self.shared.store).await {
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

    pub(crate) async fn delete(&self, key: Key<'_>) -> Result<bool, Error<E::Error>> {
        let name = self.name_to_write(key)?;
        let deleted = self.shared.store.unlink(name).await.and_then(E::one_reply).map_err(Error::Store)?;
        Ok(deleted > 0)
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

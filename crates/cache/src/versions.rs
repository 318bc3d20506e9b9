//! Moving values to another version.

use std::time::SystemTime;

use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::StringCommands;
use redisdb_node::TimeToLive;

use crate::engine::Engine;
use crate::error::DecodeError;
use crate::error::Error;
use crate::error::MissingError;
use crate::key::Key;
use crate::ttl::Life;
use crate::ttl::Ttl;
use crate::write::Put;

impl<E: Execute> Engine<E> {
    pub(crate) async fn move_to_version(&self, key: Key<'_>, version: u32) -> Result<u32, Error<E::Error>> {
        let store = &self.shared.store;
        let name = self.name(key)?;
        let (bytes, left) = (store.get::<Vec<u8>>(&name), store.pttl(&name));
        let (bytes, left) = futures_util::future::join(bytes, left).await;
        let life = match left.map_err(Error::Store)? {
            TimeToLive::In(left) => Ttl::After(left).life(Ttl::Default, SystemTime::now()),
            TimeToLive::Persistent => Life::Forever,
            // The key may have gone between the two questions.
            TimeToLive::Missing => Life::Over,
        };
        let bytes = bytes.map_err(Error::Store)?.filter(|_| life != Life::Over);
        let Some(bytes) = bytes else {
            return Err(Error::Missing(MissingError { key: key.to_string() }));
        };
        if version != self.version {
            let to = self.with_version(version).name_to_write(key)?;
            let bytes = self.shared.format.moved(&name, &to, bytes);
            let bytes = bytes.map_err(|reason| DecodeError { key: key.to_string(), reason })?;
            Put::new(&to, &bytes, life).send(store).await.map_err(Error::Store)?;
            self.delete(key).await?;
        }
        Ok(version)
    }
}

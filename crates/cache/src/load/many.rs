//! Read-through of many keys: the missing values are loaded together.

use std::collections::HashMap;
use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;
use std::time::Instant;

use futures_util::future::join_all;
use redisdb_node::Execute;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::entry::Entry;
use crate::entry::compress::Room;
use crate::error::Error;
use crate::key::AsKey;
use crate::load::keep::Replace;
use crate::lookup::Sought;
use crate::ttl::Ttl;

impl<E: Execute> Engine<E> {
    pub(crate) async fn get_or_set_many<T, K, X, F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        ttl: Ttl,
        loader: impl FnOnce(Vec<K>) -> F,
    ) -> Result<Vec<(K, T)>, X>
    where
        T: Serialize + DeserializeOwned,
        K: AsKey + Clone + Eq + Hash,
        X: From<Error<E::Error>>,
        F: Future<Output = Result<HashMap<K, T>, X>>,
    {
        let mut order: Vec<K> = Vec::new();
        let mut seen = HashSet::new();
        for key in keys {
            // A key that cannot be stored is no key to load for either.
            self.name(key.as_key())?;
            if seen.insert(key.clone()) {
                order.push(key);
            }
        }
        let (mut values, mut stale, mut missing) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut room = Room::of(self.shared.settings.max_unpacked_len);
        for chunk in order.chunks(self.shared.settings.batch_len) {
            for (key, sought) in self.seek_many::<T, K>(chunk.to_vec(), &mut room).await {
                match sought? {
                    Sought::Entry(Entry::Value(value)) => drop(values.insert(key, value)),
                    Sought::Nothing | Sought::Unavailable(_) => missing.push((key, Replace::Nothing)),
                    Sought::Entry(Entry::Stale(value)) => {
                        missing.push((key.clone(), Replace::Anything));
                        stale.insert(key, value);
                    }
                    Sought::Entry(Entry::Negative) | Sought::Undecodable(_) => {
                        missing.push((key, Replace::Anything));
                    }
                }
            }
        }
        if !missing.is_empty() {
            let names =
                missing.iter().map(|(key, _)| self.name(key.as_key())).collect::<Result<Vec<_>, _>>()?;
            let solo = self.shared.flights.solo(names);
            let start = Instant::now();
            self.shared.counters.loads.count();
            let loaded = loader(missing.iter().map(|(key, _)| key.clone()).collect()).await;
            self.shared.counters.load_time.record(start.elapsed());
            let mut loaded = match loaded {
                Ok(loaded) => loaded,
                Err(error) => {
                    self.shared.load_failed(missing.iter().map(|(key, _)| key.as_key()));
                    if stale.len() < missing.len() {
                        return Err(error);
                    }
                    // Each key has an old value, which is as good as it was.
                    values.extend(stale);
                    HashMap::new()
                }
            };
            let new: Vec<_> = missing
                .into_iter()
                .zip(&solo.loads)
                .filter_map(|((key, replace), (name, ticket))| {
                    Some((loaded.remove_entry(&key)?, replace, name.as_slice(), ticket))
                })
                .collect();
            for chunk in new.chunks(self.shared.settings.batch_len) {
                join_all(chunk.iter().map(async |((key, value), replace, name, ticket)| {
                    match self.shared.loaded(name, Some(value), ttl) {
                        Ok(loaded) => self.shared.keep(key.as_key(), name, &loaded, *replace, ticket).await,
                        Err(error) => self.shared.drop_value(key.as_key(), error.into_reason()),
                    }
                }))
                .await;
            }
            values.extend(new.into_iter().map(|(entry, ..)| entry));
        }
        Ok(order.into_iter().filter_map(|key| values.remove_entry(&key)).collect())
    }
}

//! Many values that are loaded together when they are not there.

use std::collections::HashMap;
use std::collections::HashSet;
use std::future::Future;
use std::hash::Hash;

use redisdb_node::Execute;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::error::Error;
use crate::key::AsKey;
use crate::ttl::Ttl;

impl<E: Execute> Cache<E> {
    /// Returns the values of many keys, in the caller's order: those that are there, and those that `loader` gives for
    /// the others, which are stored for `ttl`. It is called once, with the keys that have no value (or a stale one, or one
    /// that cannot be had), in the caller's order, each once; not at all if there is none. What it gives for other keys
    /// is left out.
    ///
    /// It runs in the caller's own future, and callers do not wait for each other.
    ///
    /// # Errors
    /// What the loader gives, and [`Error::Key`] and [`Error::Closed`], as `X` is made of an [`Error`]. The store's errors
    /// are none: what it cannot give is loaded.
    ///
    /// # Cancel safety
    /// When the future is dropped some of what was loaded may have been stored.
    pub async fn get_or_set_many<T, K, X, F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        ttl: impl Into<Ttl>,
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
        let mut values = match self.get_many::<T, K>(order.iter().cloned()).await {
            Ok(found) => found.into_map(),
            Err(Error::Closed) => return Err(Error::Closed.into()),
            Err(_) => HashMap::new(),
        };
        let missing: Vec<K> = order.iter().filter(|key| !values.contains_key(key)).cloned().collect();
        if !missing.is_empty() {
            let mut loaded = loader(missing.clone()).await?;
            let new: Vec<(K, T)> = missing.into_iter().filter_map(|key| loaded.remove_entry(&key)).collect();
            for (key, error) in
                self.put_many(new.iter().map(|(key, value)| (key.clone(), value)), ttl.into()).await.failed
            {
                self.shared.drop_value(key.as_key(), error);
            }
            values.extend(new);
        }
        Ok(order.into_iter().filter_map(|key| values.remove_entry(&key)).collect())
    }
}

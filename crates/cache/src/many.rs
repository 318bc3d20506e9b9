//! Many keys at once.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::future::join_all;
use redis::Cmd;
use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::builder::OnError;
use crate::builder::OnUndecodable;
use crate::cache::Cache;
use crate::entry::Entry;
use crate::error::DecodeError;
use crate::error::Error;
use crate::key::AsKey;
use crate::lookup::Sought;
use crate::ttl::Ttl;

/// What was found under many keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found<K, T, S> {
    /// The keys that have a value, in the caller's order.
    pub values: Vec<(K, T)>,
    /// The keys of which it is not known, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

/// What became of many writes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch<K, S> {
    /// How many keys were written.
    pub n_done: usize,
    /// The keys that were not, or of which it is not known, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

/// What became of many deletions.
#[derive(Debug, Clone)]
#[must_use = "a key that could not be deleted will be read again"]
#[non_exhaustive]
pub struct Deleted<K, S> {
    /// How many keys were there, and are not any more.
    pub n_deleted: usize,
    /// The keys that were not deleted, or of which it is not known, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

impl<E: Execute> Cache<E> {
    /// Returns the values of those keys that have one. A key that stands twice is found twice.
    ///
    /// # Errors
    /// The first one, if every key failed. Keys that fail while others do not stand in [`Found::failed`]; under
    /// [`OnError::Miss`] those that the store failed on count as missing.
    ///
    /// # On a ring
    /// One command to each node that owns some of the keys, all at once, 1000 keys at a time
    /// ([`batch_len`](crate::CacheBuilder::batch_len)).
    ///
    /// # On a copy
    /// One node is asked for all of them.
    pub async fn get_many<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Found<K, T, E::Error>, Error<E::Error>> {
        let mut found = Found { values: Vec::new(), failed: Vec::new() };
        let mut n_keys = 0;
        let mut keys = keys.into_iter();
        loop {
            let chunk: Vec<K> = keys.by_ref().take(self.shared.settings.batch_len).collect();
            if chunk.is_empty() {
                break;
            }
            n_keys += chunk.len();
            self.get_chunk(chunk, &mut found).await;
        }
        unless_all_failed(n_keys - found.failed.len(), &mut found.failed)?;
        Ok(found)
    }

    /// Sets many keys for the [default time](crate::CacheBuilder::default_ttl).
    ///
    /// # Errors
    /// As [`set_many_for`](Self::set_many_for).
    pub async fn set_many<K: AsKey, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Batch<K, E::Error>, Error<E::Error>> {
        self.set_many_for(entries, Ttl::Default).await
    }

    /// Sets many keys for a time. Each is a write of its own: some may be done and others not.
    ///
    /// # Errors
    /// The first one, if every key failed. Keys that fail while others do not stand in [`Batch::failed`]; under
    /// [`OnError::Miss`] all that fail do, and are counted.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the values may have been written.
    ///
    /// # On a ring
    /// All are sent at once, each to its node, 1000 at a time ([`batch_len`](crate::CacheBuilder::batch_len)).
    ///
    /// # On a copy
    /// A key is done when as many nodes took it as the copy asks for.
    pub async fn set_many_for<K: AsKey, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        ttl: impl Into<Ttl>,
    ) -> Result<Batch<K, E::Error>, Error<E::Error>> {
        let ttl = ttl.into();
        let mut batch = Batch { n_done: 0, failed: Vec::new() };
        let mut entries = entries.into_iter();
        loop {
            // Encoded before anything is awaited, so that the values need not be kept.
            let chunk = entries.by_ref().take(self.shared.settings.batch_len);
            let chunk: Vec<_> = chunk
                .map(|(key, value)| {
                    let put = self.put(key.as_key(), &value, ttl);
                    (key, put)
                })
                .collect();
            if chunk.is_empty() {
                break;
            }
            let sent = chunk.into_iter().map(async |(key, put)| match put {
                Ok(put) => (key, put.send(&self.shared.store).await.map_err(Error::Store)),
                Err(error) => (key, Err(error)),
            });
            for (key, result) in join_all(sent).await {
                match result {
                    Ok(_) => batch.n_done += 1,
                    Err(error) => batch.failed.push((key, error)),
                }
            }
        }
        match self.shared.settings.on_error {
            OnError::Raise => unless_all_failed(batch.n_done, &mut batch.failed)?,
            OnError::Miss => {
                for (key, error) in &batch.failed {
                    self.shared.drop_value(key.as_key(), error);
                }
            }
        }
        Ok(batch)
    }

    /// Deletes many keys.
    ///
    /// # Errors
    /// The first one, if every key failed, whatever [`OnError`] says. Keys that fail while others do not stand in
    /// [`Deleted::failed`]: their values will be read again.
    ///
    /// # On a ring
    /// All are sent at once, each to its node, 1000 at a time ([`batch_len`](crate::CacheBuilder::batch_len)).
    pub async fn delete_many<K: AsKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Deleted<K, E::Error>, Error<E::Error>> {
        let mut deleted = Deleted { n_deleted: 0, failed: Vec::new() };
        let mut n_done = 0;
        let mut keys = keys.into_iter();
        loop {
            let chunk: Vec<K> = keys.by_ref().take(self.shared.settings.batch_len).collect();
            if chunk.is_empty() {
                break;
            }
            let sent = chunk.into_iter().map(async |key| {
                let was_there = self.delete(&key).await;
                (key, was_there)
            });
            for (key, was_there) in join_all(sent).await {
                match was_there {
                    Ok(was_there) => {
                        n_done += 1;
                        deleted.n_deleted += usize::from(was_there);
                    }
                    Err(error) => deleted.failed.push((key, error)),
                }
            }
        }
        unless_all_failed(n_done, &mut deleted.failed)?;
        Ok(deleted)
    }

    async fn get_chunk<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: Vec<K>,
        found: &mut Found<K, T, E::Error>,
    ) {
        let settings = &self.shared.settings;
        for (key, sought) in self.seek_many(keys).await {
            match sought {
                Ok(Sought::Entry(Entry::Value(value))) => found.values.push((key, value)),
                Ok(Sought::Unavailable(error)) if settings.on_error == OnError::Raise => {
                    found.failed.push((key, Error::Store(error)));
                }
                Ok(Sought::Undecodable(reason)) if settings.on_undecodable == OnUndecodable::Raise => {
                    let error = DecodeError { key: key.as_key().to_string(), reason };
                    found.failed.push((key, Error::Decode(error)));
                }
                Ok(_) => {}
                Err(error) => found.failed.push((key, error)),
            }
        }
    }

    /// What the store has under each of these keys, counted.
    pub(crate) async fn seek_many<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: Vec<K>,
    ) -> Vec<(K, Result<Sought<T, E::Error>, Error<E::Error>>)> {
        let mut names = Vec::with_capacity(keys.len());
        let mut refused = Vec::with_capacity(keys.len());
        for key in &keys {
            let name = self.name(key.as_key());
            refused.push(name.map(|name| names.push(name)));
        }
        let mut replies = self.mget(names).await.into_iter();
        let pair = |(key, refused): (K, Result<(), Error<E::Error>>)| {
            let sought = match refused {
                Ok(()) => {
                    replies.next().map(|reply| self.shared.found(key.as_key(), reply)).ok_or(Error::Closed)
                }
                Err(error) => Err(error),
            };
            (key, sought)
        };
        keys.into_iter().zip(refused).map(pair).collect()
    }

    /// The reply for each name, in their order.
    async fn mget(&self, names: Vec<Vec<u8>>) -> Vec<Result<Option<Vec<u8>>, E::Error>> {
        if names.is_empty() {
            return Vec::new();
        }
        let store = &self.shared.store;
        let mut mget = Cmd::with_capacity(1 + names.len(), 16 + names.iter().map(Vec::len).sum::<usize>());
        mget.arg("MGET").arg(&names);
        match store.read::<Vec<Option<Vec<u8>>>>(&rows::MGET, mget).await {
            Ok(values) => values.into_iter().map(Ok).collect(),
            Err(error) => match E::by_key(error, &names) {
                Some(replies) => replies,
                // What no node has all of, several may have together.
                None => {
                    let gets =
                        names.iter().map(|name| store.read(&rows::GET, rows::GET.cmd().arg(name).take()));
                    join_all(gets).await
                }
            },
        }
    }
}

impl<K, T, S> Found<K, T, S> {
    /// The values by their keys.
    pub fn into_map(self) -> HashMap<K, T>
    where
        K: Eq + Hash,
    {
        self.values.into_iter().collect()
    }
}

/// If nothing was done, the first error is that of the call.
fn unless_all_failed<K, S>(n_done: usize, failed: &mut Vec<(K, Error<S>)>) -> Result<(), Error<S>> {
    if 0 < n_done || failed.is_empty() { Ok(()) } else { Err(failed.swap_remove(0).1) }
}

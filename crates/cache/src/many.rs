//! Many keys at once.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::future::join_all;
use redis::Cmd;
use redisdb_node::Execute;
use redisdb_node::command::rows;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::entry::Entry;
use crate::entry::compress::Room;
use crate::error::DecodeError;
use crate::error::Error;
use crate::error::ReplyError;
use crate::key::AsKey;
use crate::lookup::Sought;
use crate::settings::OnError;
use crate::settings::OnUndecodable;
use crate::ttl::Ttl;

/// The values found under many keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found<K, T, S> {
    /// The keys that have a value, in the caller's order.
    pub values: Vec<(K, T)>,
    /// The keys whose state is not known, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

/// The outcome of many writes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch<K, S> {
    /// The number of keys written.
    pub n_done: usize,
    /// The keys that were not written, or may not have been, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

/// The outcome of many deletions.
#[derive(Debug, Clone)]
#[must_use = "a key that could not be deleted will be read again"]
#[non_exhaustive]
pub struct Deleted<K, S> {
    /// The number of keys that were there, and are not any more.
    pub n_deleted: usize,
    /// The keys that were not deleted, or may not have been, in the caller's order, each with the reason.
    pub failed: Vec<(K, Error<S>)>,
}

impl<E: Execute> Engine<E> {
    pub(crate) async fn get_many<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Found<K, T, E::Error>, Error<E::Error>> {
        let mut found = Found { values: Vec::new(), failed: Vec::new() };
        let mut n_keys = 0;
        let mut room = Room::of(self.shared.settings.max_unpacked_len);
        let mut keys = keys.into_iter();
        loop {
            let chunk: Vec<K> = keys.by_ref().take(self.shared.settings.batch_len).collect();
            if chunk.is_empty() {
                break;
            }
            n_keys += chunk.len();
            self.get_chunk(chunk, &mut room, &mut found).await;
        }
        unless_all_failed(n_keys - found.failed.len(), &mut found.failed)?;
        Ok(found)
    }

    pub(crate) async fn set_many<K: AsKey, V: Serialize>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        ttl: Ttl,
    ) -> Result<Batch<K, E::Error>, Error<E::Error>> {
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

    pub(crate) async fn delete_many<K: AsKey>(
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
                let was_there = self.delete(key.as_key()).await;
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
        room: &mut Room,
        found: &mut Found<K, T, E::Error>,
    ) {
        let settings = &self.shared.settings;
        for (key, sought) in self.seek_many(keys, room).await {
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

    /// Asks the store for each of these keys, and counts the answers, in a call with this much room left for
    /// decompressed values.
    pub(crate) async fn seek_many<T: DeserializeOwned, K: AsKey>(
        &self,
        keys: Vec<K>,
        room: &mut Room,
    ) -> Vec<(K, Result<Sought<T, E::Error>, Error<E::Error>>)> {
        let mut names = Vec::with_capacity(keys.len());
        let mut refused = Vec::with_capacity(keys.len());
        for key in &keys {
            let name = self.name(key.as_key());
            refused.push(name.map(|name| names.push(name)));
        }
        let replies = self.mget(&names).await;
        let n_elements = replies.len();
        let mut replies = names.iter().zip(replies);
        let mut seek = |key: &K, refused: Result<(), Error<E::Error>>| {
            refused?;
            let (name, reply) = match replies.next() {
                Some((name, Ok(bytes))) => (name, Ok(bytes)),
                Some((name, Err(Error::Store(error)))) => (name, Err(error)),
                Some((_, Err(error))) => return Err(error),
                None => return Err(Error::Reply(ReplyError::to_mget(names.len(), n_elements))),
            };
            Ok(self.shared.found(key.as_key(), name, room, reply))
        };
        let pairs = keys.into_iter().zip(refused);
        pairs
            .map(|(key, refused)| {
                let sought = seek(&key, refused);
                (key, sought)
            })
            .collect()
    }

    /// The reply for each name, in their order.
    async fn mget(&self, names: &[Vec<u8>]) -> Vec<Result<Option<Vec<u8>>, Error<E::Error>>> {
        if names.is_empty() {
            return Vec::new();
        }
        let store = &self.shared.store;
        let mut mget = Cmd::with_capacity(1 + names.len(), 16 + names.iter().map(Vec::len).sum::<usize>());
        mget.arg("MGET").arg(names);
        let replies: Vec<Result<Option<Vec<u8>>, E::Error>> =
            match store.read::<Vec<Option<Vec<u8>>>>(&rows::MGET, mget).await {
                Ok(values) => values.into_iter().map(Ok).collect(),
                Err(error) => match E::by_key(error, names) {
                    Some(replies) => replies,
                    // Several nodes may have together the keys that no node has all of.
                    None => {
                        let gets =
                            names.iter().map(|name| store.read(&rows::GET, rows::GET.cmd().arg(name).take()));
                        join_all(gets).await
                    }
                },
            };
        if names.len() != replies.len() {
            // No element can be told to belong to a key.
            let error = ReplyError::to_mget(names.len(), replies.len());
            return names.iter().map(|_| Err(Error::Reply(error.clone()))).collect();
        }
        replies.into_iter().map(|reply| reply.map_err(Error::Store)).collect()
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

#[cfg(all(test, feature = "json"))]
mod tests {
    use redis::FromRedisValue;
    use redis::Value;
    use redisdb_node::Error as NodeError;
    use redisdb_node::ErrorKind;
    use redisdb_node::command::Command;
    use redisdb_node::command::Each;
    use redisdb_node::command::Read;
    use redisdb_node::command::Write;

    use super::*;
    use crate::cache::Cache;
    #[cfg(feature = "zstd")]
    use crate::error::DecodeReason;

    /// A store that answers each `MGET` with these elements, as no real server does.
    struct Says(Vec<Vec<u8>>);

    impl Execute for Says {
        type Error = NodeError;
        type Write<T: Send> = T;
        type Each<T: Send> = T;

        async fn read<T: FromRedisValue + Send>(
            &self,
            command: &'static Command<Read>,
            _: Cmd,
        ) -> Result<T, NodeError> {
            let reply = Value::Array(self.0.iter().cloned().map(Value::BulkString).collect());
            redisdb_node::plumbing::decode(reply).map_err(|error| {
                NodeError::new("fake".into(), command.spec().name, ErrorKind::Reply(error.into()))
            })
        }

        async fn write<T: FromRedisValue + Send>(
            &self,
            command: &'static Command<Write>,
            _: Cmd,
        ) -> Result<T, NodeError> {
            Err(NodeError::new("fake".into(), command.spec().name, ErrorKind::Unsupported("no".into())))
        }

        async fn each<T: FromRedisValue + Send>(
            &self,
            command: &'static Command<Each>,
            _: Cmd,
        ) -> Result<T, NodeError> {
            Err(NodeError::new("fake".into(), command.spec().name, ErrorKind::Unsupported("no".into())))
        }

        fn one_reply<T: Send>(written: T) -> Result<T, NodeError> {
            Ok(written)
        }
    }

    #[tokio::test]
    async fn a_reply_that_is_too_short_or_too_long_is_an_error_that_says_so() {
        for n_elements in [0, 1, 2, 4, 9] {
            let cache = Cache::new(Says(vec![b"7".to_vec(); n_elements]));
            let error = cache.get_many::<u8, _>(["a", "b", "c"]).await.unwrap_err();
            let wanted = ReplyError::to_mget(3, n_elements);
            assert!(matches!(&error, Error::Reply(told) if *told == wanted), "{error}");
            let loaded = cache.get_or_set_many(["a", "b", "c"], Ttl::Default, async |_| {
                Ok::<_, Error<NodeError>>(HashMap::<&str, u8>::new())
            });
            assert!(matches!(loaded.await, Err(Error::Reply(_))));
        }
        let cache = Cache::new(Says(vec![b"7".to_vec(); 3]));
        assert_eq!(cache.get_many::<u8, _>(["a", "b", "c"]).await.unwrap().values.len(), 3);
    }

    #[cfg(feature = "zstd")]
    #[tokio::test]
    async fn one_call_decompresses_no_more_than_its_budget() {
        const LONG: usize = 1 << 20;
        let keys: Vec<String> = (0..60).map(|i| i.to_string()).collect();
        let plain = |store| Cache::builder(store).prefix("p");
        let build = |store| plain(store).zstd(1, 1024).max_unpacked_len(4 * LONG + 100).build().unwrap();
        let writer = build(Says(Vec::new()));
        let value = "x".repeat(LONG);
        let entries: Vec<Vec<u8>> = keys
            .iter()
            .map(|key| {
                writer
                    .engine
                    .shared
                    .format
                    .encode(&writer.engine.name(key.as_key()).unwrap(), &value, 0)
                    .unwrap()
            })
            .collect();
        assert!(entries.iter().all(|entry| entry.len() < 1024));

        let found = build(Says(entries.clone())).get_many::<String, _>(&keys).await.unwrap();
        assert_eq!((found.values.len(), found.failed.len()), (4, 56));
        assert!(found.failed.iter().all(|(_, error)| {
            matches!(error, Error::Decode(error) if matches!(error.reason, DecodeReason::TooMuch { .. }))
        }));
        // In parts too: the budget is that of the call.
        let in_parts =
            plain(Says(entries[..6].to_vec())).zstd(1, 1024).batch_len(6).max_unpacked_len(9 * LONG);
        let twelve: Vec<&String> = keys[..6].iter().chain(&keys[..6]).collect();
        let found = in_parts.build().unwrap().get_many::<String, _>(twelve).await.unwrap();
        assert_eq!((found.values.len(), found.failed.len()), (8, 4));

        let never_asked = plain(Says(entries)).build().unwrap();
        let error = never_asked.get_many::<String, _>(&keys).await.unwrap_err();
        assert!(matches!(error, Error::Decode(error) if error.reason == DecodeReason::Compression));
    }
}

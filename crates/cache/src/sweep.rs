//! All keys of a cache, or those that match a pattern.

use std::future::ready;

use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use redisdb_node::KeyCommands;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::ScanOptions;
use redisdb_node::ScanPage;
use redisdb_node::command::rows;

use crate::cache::Cache;
use crate::error::Error;
use crate::key::FoundKey;

/// How much work one step of a scan does: a few hundred microseconds, in which the server does nothing else.
const STEP: u64 = 1000;

/// What became of deleting many keys that were found on the servers.
#[derive(Debug, Clone)]
#[must_use = "on a server that could not be gone through the keys are still there"]
#[non_exhaustive]
pub struct Swept<S> {
    /// How many keys were there, and are not any more.
    pub n_deleted: u64,
    /// The servers that could not be gone through to the end, by name, each with the reason.
    pub failed: Vec<(String, Error<S>)>,
}

impl<E: Scan> Cache<E> {
    /// Deletes all entries with this cache's prefix, of every version, and nothing else.
    ///
    /// The servers are gone through step by step, all at once, and go on serving meanwhile. What is stored meanwhile may
    /// stay. Loads that are under way are not written.
    ///
    /// # Errors
    /// [`Error::Unprefixed`], and [`Error::Store`] if nothing could be asked at all. A server that fails while others do
    /// not stands in [`Swept::failed`].
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    ///
    /// # On a copy
    /// What one node that is in sync has is deleted on all.
    pub async fn clear(&self) -> Result<Swept<E::Error>, Error<E::Error>> {
        let settings = &self.shared.settings;
        self.sweep(settings.key_style.pattern_of_all(&settings.prefix), |_| true).await
    }

    /// Deletes the entries of this version whose keys match a glob-style pattern: `*`, `?`, `[a-z]`, `\\*` for a star.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    pub async fn delete_pattern(&self, pattern: &str) -> Result<Swept<E::Error>, Error<E::Error>> {
        let settings = &self.shared.settings;
        let pattern = settings.key_style.pattern(&settings.prefix, self.version, pattern);
        let own = self.version;
        self.sweep(pattern, move |version| version == own).await
    }

    /// Goes through the keys of this version that match a glob-style pattern, step by step as they are asked for.
    ///
    /// A key that is there from the beginning to the end is found at least once, and possibly more than once.
    ///
    /// # Errors
    /// [`Error::Store`], after which the stream ends.
    ///
    /// # On a ring
    /// One node after the other.
    pub fn keys(&self, pattern: &str) -> impl Stream<Item = Result<FoundKey, Error<E::Error>>> + Send {
        let (settings, own) = (&self.shared.settings, self.version);
        let pattern = settings.key_style.pattern(&settings.prefix, own, pattern);
        let names = self.shared.store.scan_iter::<Vec<u8>>(ScanOptions::new().pattern(pattern).count(STEP));
        let keys = names.filter_map(move |name| {
            ready(match name {
                Ok(name) => match settings.key_style.take_apart(&settings.prefix, &name) {
                    Some((version, key)) if version == own => Some(Ok(key)),
                    _ => None,
                },
                Err(error) => Some(Err(Error::Store(error))),
            })
        });
        let closed = self.shared.flights.is_closed();
        let keys = stream::iter((!closed).then_some(keys)).flatten();
        stream::iter(closed.then_some(Err(Error::Closed))).chain(keys)
    }

    async fn sweep(
        &self,
        pattern: Vec<u8>,
        is_wanted: impl Fn(u32) -> bool + Sync,
    ) -> Result<Swept<E::Error>, Error<E::Error>> {
        if self.shared.flights.is_closed() {
            return Err(Error::Closed);
        }
        if self.shared.settings.prefix.is_empty() {
            return Err(Error::Unprefixed);
        }
        self.shared.flights.overtake_all();
        let shards = self.shared.store.shards().map_err(Error::Store)?;
        let n_shards = shards.len();
        let each = shards.into_iter().map(|node| self.sweep_node(node, &pattern, &is_wanted));
        let mut swept = Swept { n_deleted: 0, failed: Vec::new() };
        for (name, n_deleted, result) in join_all(each).await {
            swept.n_deleted += n_deleted;
            if let Err(error) = result {
                swept.failed.push((name, Error::Store(error)));
            }
        }
        match swept.failed.pop() {
            Some((_, error)) if swept.failed.len() + 1 == n_shards && swept.n_deleted == 0 => Err(error),
            failed => {
                swept.failed.extend(failed);
                Ok(swept)
            }
        }
    }

    /// The node's name, how many keys of it were deleted, and why it was not more.
    async fn sweep_node(
        &self,
        node: Node,
        pattern: &[u8],
        is_wanted: &(impl Fn(u32) -> bool + Sync),
    ) -> (String, u64, Result<(), E::Error>) {
        let (settings, store) = (&self.shared.settings, &self.shared.store);
        let options = ScanOptions::new().pattern(pattern).count(STEP);
        let (mut cursor, mut n_deleted) = (0, 0);
        let result = loop {
            let scan = rows::SCAN.cmd().arg(cursor).arg(&options).take();
            let page: ScanPage<Vec<u8>> = match redisdb_node::Execute::read(&node, &rows::SCAN, scan).await {
                Ok(page) => page,
                Err(error) => break Err(error.into()),
            };
            let own = |name: &Vec<u8>| {
                settings
                    .key_style
                    .take_apart(&settings.prefix, name)
                    .is_some_and(|(version, _)| is_wanted(version))
            };
            let names: Vec<Vec<u8>> = page.items.into_iter().filter(own).collect();
            if !names.is_empty() {
                match store.unlink(names).await.and_then(E::one_reply) {
                    Ok(n) => n_deleted += n,
                    Err(error) => break Err(error),
                }
            }
            if page.cursor == 0 {
                break Ok(());
            }
            cursor = page.cursor;
        };
        (node.name().to_owned(), n_deleted, result)
    }
}

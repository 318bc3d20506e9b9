//! Deleting all entries of a cache, or those that match a pattern.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use futures_util::future::join_all;
use parking_lot::Mutex;
use redisdb_node::KeyCommands;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::ScanCursor;
use redisdb_node::ScanOptions;
use redisdb_node::ServerCommands;

use crate::cache::Cache;
use crate::error::Error;
use crate::keys::glob;

/// How much work one step of a scan does: a few hundred microseconds, in which the server does nothing else.
pub(crate) const STEP: u32 = 1000;

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

/// How far a [`Sweep`] has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepProgress {
    /// How many keys were deleted.
    pub n_deleted: u64,
    /// About how many keys were gone through, other people's among them.
    pub n_seen: u64,
    /// How many there are to go through: the sum of `DBSIZE` of those servers that have begun.
    pub n_keys: u64,
    /// How many servers were gone through, or were given up.
    pub n_servers_done: usize,
    /// How many servers there are to go through; on a copy one.
    pub n_servers: usize,
}

/// Deletes many keys that are found on the servers when it is awaited; see [`Cache::clear`] and
/// [`Cache::delete_pattern`].
#[must_use = "it does nothing until it is awaited"]
pub struct Sweep<'a, E> {
    cache: &'a Cache<E>,
    pattern: Vec<u8>,
    step: u32,
    reporter: Option<Reporter<'a>>,
}

type OnProgress<'a> = Box<dyn FnMut(SweepProgress) + Send + 'a>;

impl<E: Scan> Cache<E> {
    /// Deletes all entries with this cache's prefix, of every version, and nothing else.
    ///
    /// The servers are gone through step by step, all at once, and go on serving meanwhile. What is stored
    /// meanwhile may stay. Loads that are under way are not written.
    ///
    /// ```no_run
    /// # async fn f(cache: redisdb_cache::Cache<redisdb_node::Node>) -> Result<(), Box<dyn std::error::Error>> {
    /// let swept = cache.clear().on_progress(|progress| println!("{progress:?}")).await?;
    /// println!("{} entries deleted", swept.n_deleted);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unprefixed`], and [`Error::Store`] if nothing could be asked at all. A server that fails
    /// while others do not stands in [`Swept::failed`].
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    ///
    /// # On a copy
    /// What one node that is in sync has is deleted on all.
    pub fn clear(&self) -> Sweep<'_, E> {
        self.sweep(self.names().pattern_of_all(&self.shared.settings.prefix))
    }

    /// Deletes the entries of this version whose keys match a glob-style pattern: `*`, `?`, `[a-z]`, `\*` for
    /// a star. What a user may choose of it has to be escaped like that: each of `*?[]\` behind a backslash.
    ///
    /// # Errors
    /// As [`clear`](Self::clear).
    ///
    /// # Cancel safety
    /// When the future is dropped, some of the entries are deleted.
    pub fn delete_pattern(&self, pattern: &str) -> Sweep<'_, E> {
        self.sweep(self.names().pattern(&self.shared.settings.prefix, self.version, pattern))
    }

    fn sweep(&self, pattern: Vec<u8>) -> Sweep<'_, E> {
        Sweep { cache: self, pattern, step: STEP, reporter: None }
    }
}

impl<'a, E> Sweep<'a, E> {
    /// Calls a function with the progress after every step on a server, and when a server is done or given
    /// up.
    pub fn on_progress(mut self, f: impl FnMut(SweepProgress) + Send + 'a) -> Self {
        self.reporter = Some(Reporter { state: Mutex::new((SweepProgress::default(), Box::new(f))) });
        self
    }

    /// Sets about how many keys a server goes through before it serves others; 0 counts as 1. Default: 1000.
    pub fn step(mut self, keys: u32) -> Self {
        self.step = keys.max(1);
        self
    }
}

impl<'a, E: Scan + Send> IntoFuture for Sweep<'a, E> {
    type Output = Result<Swept<E::Error>, Error<E::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<E: Scan> Sweep<'_, E> {
    async fn run(self) -> Result<Swept<E::Error>, Error<E::Error>> {
        let shared = &self.cache.shared;
        if shared.flights.is_closed() {
            return Err(Error::Closed);
        }
        if shared.settings.prefix.is_empty() {
            return Err(Error::Unprefixed);
        }
        shared.flights.overtake_all();
        let nodes = shared.store.shards().await.map_err(Error::Store)?;
        let n_servers = nodes.len();
        self.tell(|progress| progress.n_servers = n_servers);
        let each = nodes.into_iter().map(|node| self.sweep_node(node));
        let mut swept = Swept { n_deleted: 0, failed: Vec::new() };
        for (name, n_deleted, result) in join_all(each).await {
            swept.n_deleted += n_deleted;
            if let Err(error) = result {
                swept.failed.push((name, Error::Store(error)));
            }
        }
        match swept.failed.pop() {
            Some((_, error)) if swept.failed.len() + 1 == n_servers && swept.n_deleted == 0 => Err(error),
            failed => {
                swept.failed.extend(failed);
                Ok(swept)
            }
        }
    }

    /// The node's name, how many keys of it were deleted, and why it was not more.
    async fn sweep_node(&self, node: Node) -> (String, u64, Result<(), E::Error>) {
        // Only for those who want to know: not everybody may ask for it.
        let n_keys = match self.reporter {
            Some(_) => node.dbsize().await.unwrap_or(0),
            None => 0,
        };
        self.tell(|progress| progress.n_keys += n_keys);
        let (mut cursor, mut n_deleted, mut n_seen) = (ScanCursor::default(), 0, 0);
        let result = loop {
            let (n, next) = match self.step_of(&node, cursor).await {
                Ok(step) => step,
                Err(error) => break Err(error),
            };
            n_deleted += n;
            // A step may go through more or fewer; the last one has gone through all.
            let seen = if next.is_none() { n_keys } else { n_keys.min(n_seen + u64::from(self.step)) };
            self.tell(|progress| {
                progress.n_deleted += n;
                progress.n_seen += seen - n_seen;
            });
            n_seen = seen;
            cursor = match next {
                Some(next) => next,
                None => break Ok(()),
            };
        };
        self.tell(|progress| progress.n_servers_done += 1);
        (node.name().to_owned(), n_deleted, result)
    }

    /// One step: how many keys it deleted, and where the next one goes on.
    async fn step_of(&self, node: &Node, at: ScanCursor) -> Result<(u64, Option<ScanCursor>), E::Error> {
        let shared = &self.cache.shared;
        let options = ScanOptions::new().pattern(self.pattern.as_slice()).count(self.step.into());
        let step = node.scan_from::<Vec<u8>>(at, options).await?;
        let names: Vec<Vec<u8>> = step.items.into_iter().filter(|name| self.is_meant(name)).collect();
        if names.is_empty() {
            return Ok((0, step.next));
        }
        let n_deleted = shared.store.unlink(names).await.and_then(E::one_reply)?;
        Ok((n_deleted, step.next))
    }

    fn tell(&self, change: impl FnOnce(&mut SweepProgress)) {
        if let Some(reporter) = &self.reporter {
            let mut state = reporter.state.lock();
            let (progress, f) = &mut *state;
            change(progress);
            f(*progress);
        }
    }

    /// The pattern of all versions finds more, for `*` stands for anything; and a server may pay no heed to a
    /// pattern.
    fn is_meant(&self, name: &[u8]) -> bool {
        let names = self.cache.names();
        names.take_apart(&self.cache.shared.settings.prefix, name).is_some()
            && glob::matches(&self.pattern, name)
    }
}

/// What all servers have done, and who is told of it.
struct Reporter<'a> {
    state: Mutex<(SweepProgress, OnProgress<'a>)>,
}

impl<E> fmt::Debug for Sweep<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("pattern", &self.pattern.escape_ascii().to_string())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

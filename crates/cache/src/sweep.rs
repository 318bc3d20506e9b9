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

use crate::engine::Engine;
use crate::error::Error;

/// The number of keys that one step of a scan goes through: a few hundred microseconds, in which the server
/// does nothing else.
pub(crate) const STEP: u32 = 1000;

/// The outcome of a [`Sweep`].
#[derive(Debug, Clone)]
#[must_use = "on a server that could not be gone through the keys are still there"]
#[non_exhaustive]
pub struct Swept<S> {
    /// The number of keys that were there, and are not any more.
    pub n_deleted: u64,
    /// The servers that could not be gone through to the end, by name, each with the reason.
    pub failed: Vec<(String, Error<S>)>,
}

/// The progress of a [`Sweep`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepProgress {
    /// The number of keys deleted.
    pub n_deleted: u64,
    /// About the number of keys gone through, other programs' keys among them.
    pub n_seen: u64,
    /// The number of keys to go through: the sum of `DBSIZE` of the servers that have begun.
    pub n_keys: u64,
    /// The number of servers that were gone through, or given up.
    pub n_servers_done: usize,
    /// The number of servers to go through; on a copy one.
    pub n_servers: usize,
}

/// A deletion of many keys, which starts when the sweep is awaited. Made by
/// [`Cache::clear`](crate::Cache::clear) and [`Cache::delete_pattern`](crate::Cache::delete_pattern).
#[must_use = "a sweep does nothing until it is awaited"]
pub struct Sweep<'a, E> {
    engine: &'a Engine<E>,
    /// The pattern that the keys to delete match, in this version; `None` for all keys of all versions.
    pattern: Option<String>,
    /// The pattern that the servers are given, which finds these keys and perhaps more.
    on_servers: Vec<u8>,
    step: u32,
    reporter: Option<Reporter<'a>>,
}

type OnProgress<'a> = Box<dyn FnMut(SweepProgress) + Send + 'a>;

impl<E: Scan> Engine<E> {
    pub(crate) fn clear(&self) -> Sweep<'_, E> {
        self.sweep(None)
    }

    pub(crate) fn delete_pattern(&self, pattern: &str) -> Sweep<'_, E> {
        self.sweep(Some(pattern.to_owned()))
    }

    fn sweep(&self, pattern: Option<String>) -> Sweep<'_, E> {
        let (names, prefix) = (self.names(), &self.shared.settings.prefix);
        let on_servers = match &pattern {
            Some(pattern) => names.pattern(prefix, self.version, pattern),
            None => names.pattern_of_all(prefix),
        };
        Sweep { engine: self, pattern, on_servers, step: STEP, reporter: None }
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
        let shared = &self.engine.shared;
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
        let each = nodes.into_iter().map(|node| self.sweep_node(node, 1 < n_servers));
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

    /// Goes through one node, of several if `is_ring`. Returns its name, the number of keys deleted, and the error that ended it.
    async fn sweep_node(&self, node: Node, is_ring: bool) -> (String, u64, Result<(), E::Error>) {
        // Only where a progress is asked for: not every user may run `DBSIZE`.
        let n_keys = match self.reporter {
            Some(_) => node.dbsize().await.unwrap_or(0),
            None => 0,
        };
        self.tell(|progress| progress.n_keys += n_keys);
        let (mut cursor, mut n_deleted, mut n_seen) = (ScanCursor::default(), 0, 0);
        let result = loop {
            let (n, next) = match self.step_of(&node, cursor, is_ring).await {
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

    /// Makes one step. Returns the number of keys deleted, and the cursor of the next step.
    async fn step_of(
        &self,
        node: &Node,
        at: ScanCursor,
        is_ring: bool,
    ) -> Result<(u64, Option<ScanCursor>), E::Error> {
        let shared = &self.engine.shared;
        let options = ScanOptions::new().pattern(self.on_servers.as_slice()).count(self.step.into());
        let step = node.scan_from::<Vec<u8>>(at, options).await?;
        let names: Vec<Vec<u8>> = step
            .items
            .into_iter()
            .filter(|name| !shared.store.is_own_key(name) && self.is_meant(name))
            .collect();
        if names.is_empty() {
            return Ok((0, step.next));
        }
        let mut n_deleted = shared.store.unlink(&names).await.and_then(E::one_reply)?;
        // A node of a ring may hold keys that have another owner by now. A copy is gone through at one node.
        if is_ring {
            n_deleted += node.unlink(&names).await?;
        }
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

    /// Returns whether a key that was found is one to delete. The pattern for the server finds more, because `*`
    /// stands for anything; and a server may pay no heed to a pattern.
    fn is_meant(&self, name: &[u8]) -> bool {
        let (names, prefix) = (self.engine.names(), &self.engine.shared.settings.prefix);
        match &self.pattern {
            Some(pattern) => names.found(prefix, self.engine.version, pattern, name).is_some(),
            None => names.take_apart(prefix, name).is_some(),
        }
    }
}

/// The progress on all servers, and the function that is told of it.
struct Reporter<'a> {
    state: Mutex<(SweepProgress, OnProgress<'a>)>,
}

impl<E> fmt::Debug for Sweep<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("pattern", &self.pattern)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

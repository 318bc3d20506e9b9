//! Finding where the nodes of a copy differ.

use std::fmt;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::commands::ScanOptions;

use super::RedisCopy;
use super::keys::BATCH;
use super::pace::Pace;
use super::repair::Progress;
use super::repair::sizes;
use crate::error::Error;
use crate::state;
use crate::state::State;

/// A key that is not the same on all nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// The nodes that do not have it.
    pub missing: Vec<String>,
    /// The nodes that hold something else than the first node that has it.
    pub other: Vec<String>,
}

/// Compares all nodes of a copy; see [`RedisCopy::verify`].
#[must_use = "it does nothing until it is run"]
pub struct Verify<'a> {
    copy: &'a RedisCopy,
    rounds: usize,
    pace: Pace,
    on_progress: Box<dyn FnMut(Progress) + Send + 'a>,
}

impl RedisCopy {
    /// Compares every key on all nodes that are up, and returns those that are not the same everywhere.
    ///
    /// Values and types are compared, and times to live to the second.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// for difference in copy.verify().run().await? {
    ///     println!("{difference}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn verify(&self) -> Verify<'_> {
        Verify { copy: self, rounds: 3, pace: Pace::default(), on_progress: Box::new(|_| {}) }
    }
}

impl<'a> Verify<'a> {
    /// Sets how often a key that differs is looked at again before it counts: writes that are on their way make keys
    /// differ for a moment. Default 3.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// Sets how many keys are compared in a second at most. Default: as many as the servers answer.
    pub fn keys_per_second(mut self, keys: u32) -> Self {
        self.pace = Pace::of(keys);
        self
    }

    /// Calls a function with the progress after every batch of keys.
    pub fn on_progress(mut self, f: impl FnMut(Progress) + Send + 'a) -> Self {
        self.on_progress = Box::new(f);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// When a node that was up cannot be reached any more.
    pub async fn run(mut self) -> Result<Vec<Difference>, Error> {
        let nodes: Vec<&Node> = self.copy.shared.nodes.iter().filter(|node| node.is_connected()).collect();
        let total = sizes(nodes.iter().copied()).await?;
        let mut progress = Progress { total, ..Progress::default() };
        let mut suspects = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let keys = node.scan_iter::<Vec<u8>>(ScanOptions::new().count(BATCH as u64)).try_chunks(BATCH);
            let mut keys = std::pin::pin!(keys);
            while let Some(batch) = keys.try_next().await.map_err(|error| Error::Node(error.1))? {
                let batch = self.copy.shared.without_ours(batch);
                let n_keys = batch.len() as u64;
                // What an earlier node has was compared with that node's keys.
                let found = differences(&nodes, &batch).await?;
                let first_here = |difference: &Difference| {
                    nodes.iter().take(i).all(|node| difference.missing.iter().any(|name| name == node.name()))
                };
                suspects.extend(found.into_iter().filter(first_here));
                progress.compared = (progress.compared + batch.len() as u64).min(progress.total);
                progress.different = suspects.len() as u64;
                (self.on_progress)(progress);
                self.pace.wait(n_keys).await;
            }
        }
        for _ in 1..self.rounds {
            if suspects.is_empty() {
                break;
            }
            let keys: Vec<Vec<u8>> =
                suspects.drain(..).map(|difference: Difference| difference.key).collect();
            for batch in keys.chunks(BATCH) {
                suspects.extend(differences(&nodes, batch).await?);
            }
        }
        suspects.sort_by(|a, b| a.key.cmp(&b.key));
        suspects.dedup();
        Ok(suspects)
    }
}

/// Compares keys on all nodes: each node with the first one that has the key.
async fn differences(nodes: &[&Node], keys: &[Vec<u8>]) -> Result<Vec<Difference>, Error> {
    let states = try_join_all(nodes.iter().map(|node| state::read(node, keys, state::WHOLE))).await?;
    let is_missing = |node: usize, key: usize| {
        states.get(node).and_then(|states| states.get(key)).is_none_or(|state| *state == State::Missing)
    };
    let mut found = Vec::new();
    for (first, (first_node, of_first)) in nodes.iter().zip(&states).enumerate() {
        // The keys whose first node this is.
        let here: Vec<usize> = (0..keys.len())
            .filter(|key| !is_missing(first, *key) && (0..first).all(|node| is_missing(node, *key)))
            .collect();
        let pick =
            |states: &[State]| here.iter().filter_map(|key| states.get(*key).cloned()).collect::<Vec<_>>();
        let names: Vec<Vec<u8>> = here.iter().filter_map(|key| keys.get(*key).cloned()).collect();
        let mut differences: Vec<Difference> = names
            .iter()
            .map(|key| Difference {
                key: key.clone(),
                missing: nodes.iter().take(first).map(|node| node.name().to_owned()).collect(),
                other: Vec::new(),
            })
            .collect();
        let of_first = pick(of_first);
        for (node, of_node) in nodes.iter().zip(&states).skip(first + 1) {
            let of_node = pick(of_node);
            let same = state::compare(&names, (first_node, &of_first), (node, &of_node)).await?;
            for ((difference, same), state) in differences.iter_mut().zip(same).zip(of_node) {
                match (same, state) {
                    (true, _) => {}
                    (false, State::Missing) => difference.missing.push(node.name().to_owned()),
                    (false, State::Present { .. }) => difference.other.push(node.name().to_owned()),
                }
            }
        }
        differences.retain(|difference| !difference.missing.is_empty() || !difference.other.is_empty());
        found.extend(differences);
    }
    Ok(found)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.key.escape_ascii())?;
        if !self.missing.is_empty() {
            write!(f, " is missing on {}", self.missing.join(", "))?;
        }
        if !self.other.is_empty() {
            write!(f, " is something else on {}", self.other.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Verify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

//! Bringing a node of a copy back to what the others hold, and finding where they differ.

use std::fmt;
use std::time::Duration;
use std::time::Instant;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::ScanCursor;
use redisdb_node::commands::ScanOptions;

use super::RedisCopy;
use crate::error::Error;
use crate::state;
use crate::state::State;

/// How many keys are read, compared and written at once.
const BATCH: usize = 128;
/// How often keys that were written meanwhile are brought over again before they are left behind.
const ROUNDS: usize = 10;

/// How far a [`Repair`] or a [`Verify`] has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many keys were compared.
    pub compared: u64,
    /// How many there are to compare, about: the largest `DBSIZE` of the nodes.
    pub total: u64,
    /// How many differed.
    pub different: u64,
}

/// What a [`Repair`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// How many keys were compared.
    pub compared: u64,
    /// How many were brought over from the source; on a dry run, how many would be.
    pub copied: u64,
    /// How many were removed, because the source does not have them; on a dry run, how many would be.
    pub removed: u64,
    /// Keys that could not be brought over, with the reason.
    pub failed: Vec<(Vec<u8>, String)>,
    /// Whether the node answers reads again; never after a dry run.
    pub readmitted: bool,
}

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

/// Brings one node of a copy to what another one holds; see [`RedisCopy::repair`].
#[must_use = "it does nothing until it is run"]
pub struct Repair<'a> {
    copy: &'a RedisCopy,
    node: String,
    source: Option<String>,
    dry_run: bool,
    whole: u64,
    pace: Pace,
    on_progress: Box<dyn FnMut(Progress) + Send + 'a>,
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
    /// Brings a node to what another one holds, and [readmits](Self::readmit) it.
    ///
    /// A node that is known to have missed some keys has these brought over; one that came back with another memory
    /// has all of its keys compared, and those removed that the source does not have. Writes of this client may go on:
    /// keys that are written meanwhile are brought over again. Other clients should not write meanwhile, or
    /// [verify](Self::verify) afterwards.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let repaired = copy.repair("a").keys_per_second(5000).run().await?;
    /// println!("{} keys brought over", repaired.copied);
    /// # Ok(()) }
    /// ```
    pub fn repair(&self, node: impl Into<String>) -> Repair<'_> {
        let (node, pace, on_progress) = (node.into(), Pace::default(), Box::new(|_| {}));
        Repair { copy: self, node, source: None, dry_run: false, whole: state::WHOLE, pace, on_progress }
    }

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

impl<'a> Repair<'a> {
    /// Sets the node whose keys count. Default: the first that is up and in sync.
    pub fn from(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Changes nothing, and counts what would be changed.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Sets how many keys are compared in a second at most. Default: as many as the servers answer.
    pub fn keys_per_second(mut self, keys: u32) -> Self {
        self.pace.keys_per_second = Some(keys.max(1));
        self
    }

    /// Sets how large values may be, in bytes of the server's memory, to go by their dump: the whole value in one reply
    /// and one command. What is larger goes some elements at a time, without the pending entries of a stream's
    /// groups and the times to live of single fields. Default 64 MiB.
    pub fn dump_up_to(mut self, bytes: u64) -> Self {
        self.whole = bytes;
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
    /// That there is no such node, that source or node cannot be reached, or that either was restarted meanwhile; what
    /// was brought over until then stays. The node stays behind.
    ///
    /// # Cancel safety
    /// When the future is dropped, what was brought over stays, and the node stays behind.
    pub async fn run(mut self) -> Result<Repaired, Error> {
        let shared = &*self.copy.shared;
        let target = shared.nodes.position(&self.node)?;
        let (target_node, behind) = (shared.nodes.at(target), shared.behind_of(target)?);
        target_node.ready().await?;
        let source = self.source_node(target)?;
        source.ready().await?;
        let incarnations = (source.incarnation(), target_node.incarnation());
        // From here on, what this client writes is noted as missed by the node, so that it is brought over again.
        let repairing = behind.start_repair(target_node);
        let mut repaired = Repaired::default();
        if repairing.everything() {
            self.all_keys(&source, target_node, &mut repaired).await?;
        }
        let counted = self.dry_run && repairing.everything();
        for _ in 0..if counted { 0 } else { ROUNDS } {
            let missed = repairing.missed();
            for batch in missed.chunks(BATCH) {
                let keys: Vec<Vec<u8>> = batch.iter().map(|(key, _)| key.clone()).collect();
                let brought = self.bring(&source, target_node, &keys, &mut repaired).await?;
                for ((key, number), brought) in batch.iter().zip(brought) {
                    if brought {
                        repairing.forget(key, *number);
                    }
                }
            }
            if missed.is_empty() || self.dry_run {
                break;
            }
        }
        if self.dry_run {
            return Ok(repaired);
        }
        if incarnations != (source.incarnation(), target_node.incarnation()) {
            return Err(unsupported("a server was restarted during the repair; repair it again"));
        }
        self.copy.mark(&[target_node]).await?;
        repaired.failed.iter().for_each(|(key, _)| repairing.failed(key));
        repairing.finish();
        repaired.readmitted = behind.is_in_sync(target_node);
        Ok(repaired)
    }

    fn source_node(&self, target: usize) -> Result<Node, Error> {
        let nodes = &self.copy.shared.nodes;
        match &self.source {
            Some(name) if *name == self.node => Err(unsupported("a node cannot be repaired from itself")),
            Some(name) => Ok(nodes.at(nodes.position(name)?).clone()),
            None => {
                let in_sync = |idx: &usize| {
                    *idx != target
                        && nodes.at(*idx).is_connected()
                        && self
                            .copy
                            .shared
                            .behind_of(*idx)
                            .is_ok_and(|behind| behind.is_in_sync(nodes.at(*idx)))
                };
                let source = (0..nodes.len()).find(in_sync);
                let none = "no other node is up and in sync; name the one whose keys count, by `from`";
                source.map(|idx| nodes.at(idx).clone()).ok_or_else(|| unsupported(none))
            }
        }
    }

    /// Compares all keys of both nodes.
    async fn all_keys(&mut self, source: &Node, target: &Node, repaired: &mut Repaired) -> Result<(), Error> {
        let total = sizes([source, target]).await?;
        for node in [source, target] {
            let mut cursor = Some(ScanCursor::default());
            while let Some(at) = cursor {
                let step = node.scan_from::<Vec<u8>>(at, ScanOptions::new().count(BATCH as u64)).await?;
                cursor = step.next;
                let items = self.copy.shared.without_ours(step.items);
                for batch in items.chunks(BATCH) {
                    self.bring(source, target, batch, repaired).await?;
                    let different = repaired.copied + repaired.removed;
                    (self.on_progress)(Progress { compared: repaired.compared, total, different });
                    self.pace.wait(repaired.compared).await;
                }
            }
        }
        Ok(())
    }

    /// Makes keys on the target what they are on the source, where they are not; returns for each whether it is now.
    async fn bring(
        &mut self,
        source: &Node,
        target: &Node,
        keys: &[Vec<u8>],
        repaired: &mut Repaired,
    ) -> Result<Vec<bool>, Error> {
        let states = try_join_all([source, target].map(|node| state::read(node, keys, self.whole))).await?;
        let [wanted, found] = states.as_slice() else { return Ok(Vec::new()) };
        let mut same = state::compare(keys, (source, wanted), (target, found)).await?;
        repaired.compared += keys.len() as u64;
        let different: Vec<(&[u8], &State)> = keys
            .iter()
            .zip(wanted)
            .zip(&same)
            .filter(|(_, same)| !**same)
            .map(|((key, wanted), _)| (key.as_slice(), wanted))
            .collect();
        let outcomes = match different.is_empty() || self.dry_run {
            true => different.iter().map(|_| Ok(())).collect(),
            false => state::write(source, target, &different).await?,
        };
        let unequal = same.iter_mut().filter(|same| !**same);
        for (((key, wanted), outcome), same) in different.into_iter().zip(outcomes).zip(unequal) {
            *same = outcome.is_ok() && !self.dry_run;
            match (outcome, wanted) {
                (Ok(()), State::Missing) => repaired.removed += 1,
                (Ok(()), State::Present { .. }) => repaired.copied += 1,
                (Err(error), _) => repaired.failed.push((key.to_vec(), error.to_string())),
            }
        }
        Ok(same)
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
        self.pace.keys_per_second = Some(keys.max(1));
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
        let nodes: Vec<&Node> = self.copy.nodes().filter(|node| node.is_connected()).collect();
        let total = sizes(nodes.iter().copied()).await?;
        let mut progress = Progress { total, ..Progress::default() };
        let mut suspects = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let keys = node.scan_iter::<Vec<u8>>(ScanOptions::new().count(BATCH as u64)).try_chunks(BATCH);
            let mut keys = std::pin::pin!(keys);
            while let Some(batch) = keys.try_next().await.map_err(|error| Error::Node(error.1))? {
                let batch = self.copy.shared.without_ours(batch);
                // What an earlier node has was compared with that node's keys.
                let found = differences(&nodes, &batch).await?;
                let first_here = |difference: &Difference| {
                    nodes.iter().take(i).all(|node| difference.missing.iter().any(|name| name == node.name()))
                };
                suspects.extend(found.into_iter().filter(first_here));
                progress.compared = (progress.compared + batch.len() as u64).min(progress.total);
                progress.different = suspects.len() as u64;
                (self.on_progress)(progress);
                self.pace.wait(progress.compared).await;
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

async fn sizes<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Result<u64, Error> {
    use redisdb_node::commands::ServerCommands;
    let sizes = try_join_all(nodes.into_iter().map(|node| node.dbsize())).await?;
    Ok(sizes.into_iter().max().unwrap_or(0))
}

fn unsupported(reason: &str) -> Error {
    Error::refused("repair", "copy", reason)
}

/// Keeps to a number of keys in a second.
#[derive(Debug, Default)]
struct Pace {
    keys_per_second: Option<u32>,
    start: Option<Instant>,
}

impl Pace {
    async fn wait(&mut self, done: u64) {
        let Some(rate) = self.keys_per_second else { return };
        let start = *self.start.get_or_insert_with(Instant::now);
        let due = Duration::from_secs_f64(done as f64 / f64::from(rate));
        if let Some(early) = due.checked_sub(start.elapsed()) {
            tokio::time::sleep(early).await;
        }
    }
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

impl fmt::Debug for Repair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair")
            .field("node", &self.node)
            .field("source", &self.source)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Verify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

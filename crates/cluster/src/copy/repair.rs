//! Bringing a node of a copy back to what the others hold.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use redisdb_node::Node;

use super::RedisCopy;
use super::Shared;
use super::bring::Brought;
use super::bring::bring;
use super::bring::forget_unanimous;
use super::identity::Lease;
use super::keys::BATCH;
use super::keys::Keys;
use super::keys::missing;
use super::keys::must_be_ours;
use super::marker::Stage;
use super::pace::Pace;
use crate::behind::Behind;
use crate::behind::Standing;
use crate::error::Error;
use crate::error::RepairReason;
use crate::state;

/// How often keys that were written meanwhile are brought over again before they are left behind.
const ROUNDS: usize = 10;
/// How long a write of another process may be on its way to one node when it has reached the other: all keys are
/// compared a second time after this.
const SETTLE: Duration = Duration::from_millis(500);

/// How far a [`Repair`] or a [`Verify`](super::Verify) has come.
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
    /// How many keys were compared; those that are looked at a second time count once.
    pub compared: u64,
    /// How many were brought over from the source; on a dry run, how many would be.
    pub copied: u64,
    /// How many were removed, because the source does not have them; on a dry run, how many would be.
    pub removed: u64,
    /// Keys that could not be brought over, with the reason.
    pub failed: Vec<(Vec<u8>, String)>,
    /// Keys that the node named by [`from`](Repair::from) has missed too, and that no other node has right: they were
    /// brought over from it all the same.
    pub doubtful: Vec<Vec<u8>>,
    /// Whether the node answers all reads again; never after a dry run.
    pub readmitted: bool,
}

/// Brings one node of a copy to what another one holds; see [`RedisCopy::repair`].
#[must_use = "it does nothing until it is run"]
pub struct Repair<'a> {
    copy: &'a RedisCopy,
    node: String,
    source: Option<String>,
    dry_run: bool,
    /// Nobody asked for it.
    by_itself: bool,
    whole: u64,
    pace: Pace,
    on_progress: Box<dyn FnMut(Progress) + Send + 'a>,
}

impl RedisCopy {
    /// Brings a node to what another one holds, and readmits it.
    ///
    /// It is done [by itself](crate::OnReturn), unless that was turned off or no node is in sync. A node that is known
    /// to have missed some keys has these brought over; one that came back with another memory has all of its keys
    /// compared, and those removed that the source does not have. Writes may go on: keys that this client writes
    /// meanwhile are brought over again, and all are compared a second time, because of other clients' writes.
    ///
    /// ```no_run
    /// # async fn f(copy: redisdb_cluster::RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let repaired = copy.repair("a").keys_per_second(5000).run().await?;
    /// println!("{} keys brought over", repaired.copied);
    /// # Ok(()) }
    /// ```
    pub fn repair(&self, node: impl Into<String>) -> Repair<'_> {
        Repair {
            copy: self,
            node: node.into(),
            source: None,
            dry_run: false,
            by_itself: false,
            whole: state::WHOLE,
            pace: Pace::default(),
            on_progress: Box::new(|_| {}),
        }
    }
}

impl<'a> Repair<'a> {
    /// Sets the node whose keys count, but for those that it is known to have missed itself where another node has them
    /// right. Default: of each key, the first node that is up and in sync about it.
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
        self.pace = Pace::of(keys);
        self
    }

    /// Sets how large values may be, in bytes of the server's memory, to go by their dump: the whole value in one reply
    /// and one command. What is larger goes some elements at a time, without the pending entries of a stream's
    /// groups and the times to live of single fields. Default 64 MiB.
    pub fn dump_up_to(mut self, bytes: u64) -> Self {
        self.whole = bytes;
        self
    }

    /// Nobody asked for it, so it keeps away from a server that may be somebody else's.
    pub(super) fn by_itself(mut self) -> Self {
        self.by_itself = true;
        self
    }

    /// Calls a function with the progress after every batch of keys.
    pub fn on_progress(mut self, f: impl FnMut(Progress) + Send + 'a) -> Self {
        self.on_progress = Box::new(f);
        self
    }

    /// Runs it. While another repair of the node is under way in this process, it waits for that one to end.
    ///
    /// # Errors
    /// That there is no such node, or that source or node cannot be reached; [`Error::Repair`] if no node can be the source,
    /// the node was restarted meanwhile, or another process is at it. What was brought over until then stays, and so the
    /// node stays behind.
    ///
    /// # Cancel safety
    /// When the future is dropped, what was brought over stays, and the node stays behind.
    pub async fn run(self) -> Result<Repaired, Error> {
        let idx = self.copy.shared.nodes.position(&self.node)?;
        let behind = self.copy.shared.behind_of(idx)?;
        let _alone = behind.repairing.lock().await;
        self.copy.shared.nodes.at(idx).ready().await?;
        self.copy.examine(idx).await;
        self.attempt(ROUNDS).await
    }

    /// Runs it, with so many rounds for the keys that are missed one by one. Whoever calls this holds the right to repair
    /// the node.
    pub(super) async fn attempt(mut self, rounds: usize) -> Result<Repaired, Error> {
        let mut lease = None;
        let repaired = self.work(rounds, &mut lease).boxed().await;
        // Also after an error: whoever tries next need not wait until it runs out.
        if let Some(lease) = lease {
            lease.release().await;
        }
        repaired
    }

    async fn work(&mut self, rounds: usize, lease: &mut Option<Lease>) -> Result<Repaired, Error> {
        let (copy, shared) = (self.copy, &*self.copy.shared);
        let idx = shared.nodes.position(&self.node)?;
        let behind = shared.behind_of(idx)?;
        let (incarnation, n_floods) = (shared.nodes.at(idx).incarnation(), behind.n_floods());
        // Another process that answers there meanwhile is neither read nor written.
        let target = &shared.process(idx, incarnation);
        let mut repaired = Repaired::default();
        let everything = !behind.has_memory(target);
        if everything {
            let source = self.source_of_all(idx)?;
            shared.nodes.at(source).ready().await?;
            if self.by_itself {
                let should_be_marked = shared.identity.is_some() && !behind.admission().admits(incarnation);
                must_be_ours(copy, shared.nodes.at(source), target, should_be_marked).await?;
            }
            if !self.dry_run {
                *lease = copy.begin_sync(idx, target).await?;
            }
            self.all_keys((source, idx), target, lease, &mut repaired).await?;
        }
        let counted = self.dry_run && everything;
        let mut last = behind.last_missed();
        for round in 0..if counted { 0 } else { rounds } {
            last = behind.last_missed();
            let missed = behind.missed_keys();
            if missed.is_empty() {
                break;
            }
            let any = self.missed_keys((idx, target), missed, round == 0, &mut repaired).await?;
            if !any && !everything && round == 0 {
                return Err(Error::unrepaired(&self.node, RepairReason::NoSource));
            }
            // What nobody has right stays missed; all else is the same.
            if !any || self.dry_run {
                break;
            }
        }
        repaired.doubtful.sort();
        repaired.doubtful.dedup();
        if self.dry_run {
            return Ok(repaired);
        }
        if incarnation != target.incarnation() {
            return Err(Error::unrepaired(&self.node, RepairReason::Restarted));
        }
        if let Some(lease) = lease {
            lease.keep().await?;
        }
        for (key, _) in &repaired.failed {
            behind.missed(std::iter::once(key.as_slice()));
        }
        if everything {
            if repaired.failed.is_empty() && behind.n_floods() == n_floods {
                copy.mark(idx..=idx, Stage::Ready).await?;
            }
            behind.synced(incarnation, n_floods);
        }
        // Of the last round's keys it is known that they were written, not that nothing has come between since.
        behind.catch_up(last);
        repaired.readmitted = behind.is_in_sync(target);
        Ok(repaired)
    }

    /// Compares all keys of both nodes.
    async fn all_keys(
        &mut self,
        (source_idx, idx): (usize, usize),
        target: &Node,
        lease: &mut Option<Lease>,
        repaired: &mut Repaired,
    ) -> Result<(), Error> {
        let shared = &*self.copy.shared;
        let source = shared.nodes.at(source_idx);
        let behind = shared.behind_of(idx)?;
        let total = sizes([source, target]).await?;
        let mut strays = HashSet::new();
        // The first time all is brought over. The second time, what differs still was written by somebody meanwhile, and
        // is looked at once more by itself.
        for time in 0..2 {
            let mut compared = 0;
            let mut keys = Keys::of(self.copy, source);
            while let Some(batch) = keys.next(lease).await? {
                let brought = bring((source, target), behind, &batch, self.whole, self.dry_run).await?;
                let n_keys = batch.len() as u64;
                compared += n_keys;
                match time {
                    0 => count(repaired, batch.into_iter().zip(brought)),
                    _ => {
                        let differ =
                            batch.iter().zip(brought).filter(|(_, brought)| *brought != Brought::Same);
                        differ.for_each(|(key, _)| behind.missed(std::iter::once(key.as_slice())));
                    }
                }
                let different = repaired.copied + repaired.removed;
                (self.on_progress)(Progress { compared, total, different });
                self.pace.wait(n_keys).await;
            }
            if time == 0 {
                repaired.compared += compared;
                let mut keys = Keys::of(self.copy, target);
                while let Some(batch) = keys.next(lease).await? {
                    strays.extend(missing(source, batch).await?);
                    self.pace.wait(1).await;
                }
                if self.dry_run {
                    repaired.removed += strays.len() as u64;
                    return Ok(());
                }
                if repaired.copied == 0 && strays.is_empty() {
                    break;
                }
                tokio::time::sleep(SETTLE).await;
                // What the source does not have even now is not on its way there.
                let strays: Vec<Vec<u8>> = strays.drain().collect();
                for batch in strays.chunks(BATCH) {
                    let brought = bring((source, target), behind, batch, self.whole, false).await?;
                    count(repaired, batch.iter().cloned().zip(brought));
                }
            }
        }
        // Of what the source itself has missed, others may know better.
        let missed_there = shared.behind_of(source_idx)?.missed_keys();
        missed_there.iter().for_each(|(key, _)| behind.missed(std::iter::once(key.as_slice())));
        Ok(())
    }

    /// Brings over keys that were missed one by one, each from a node that has not missed it. Those that are the same are
    /// forgotten; what had to be written is looked at again in the next round. Returns whether there was any to be brought
    /// over, or forgotten because all nodes hold the same.
    async fn missed_keys(
        &mut self,
        (idx, target): (usize, &Node),
        missed: Vec<(Vec<u8>, u64)>,
        first: bool,
        repaired: &mut Repaired,
    ) -> Result<bool, Error> {
        let shared = &*self.copy.shared;
        let behind = shared.behind_of(idx)?;
        let total = missed.len() as u64;
        let mut by_source: BTreeMap<usize, Vec<(Vec<u8>, u64)>> = BTreeMap::new();
        let mut orphaned = Vec::new();
        for (key, number) in missed {
            match self.source_of(idx, &key)? {
                Some(source) => {
                    if shared.behind_of(source)?.has_missed_of(&key) {
                        repaired.doubtful.push(key.clone());
                    }
                    by_source.entry(source).or_default().push((key, number));
                }
                None => orphaned.push((key, number)),
            }
        }
        let is_decided = !self.dry_run && forget_unanimous(shared, idx, &orphaned, self.whole).await?;
        let any = is_decided || !by_source.is_empty();
        let mut compared = 0;
        for (source, keys) in by_source {
            let source = shared.nodes.at(source);
            for batch in keys.chunks(BATCH) {
                let keys: Vec<Vec<u8>> = batch.iter().map(|(key, _)| key.clone()).collect();
                let brought = bring((source, target), behind, &keys, self.whole, self.dry_run).await?;
                for ((key, number), brought) in batch.iter().zip(&brought) {
                    if *brought == Brought::Same && !self.dry_run {
                        behind.forget(key, *number);
                    }
                }
                compared += batch.len() as u64;
                if first {
                    repaired.compared += batch.len() as u64;
                }
                count(repaired, keys.into_iter().zip(brought));
                let different = repaired.copied + repaired.removed;
                (self.on_progress)(Progress { compared, total, different });
                self.pace.wait(batch.len() as u64).await;
            }
        }
        Ok(any)
    }

    fn named_source(&self, target: usize) -> Result<Option<usize>, Error> {
        let Some(name) = &self.source else { return Ok(None) };
        let named = self.copy.shared.nodes.position(name)?;
        if named == target {
            return Err(Error::refused("repair", "copy", "a node cannot be repaired from itself"));
        }
        Ok(Some(named))
    }

    /// The node from which all keys are brought over: one that is up and has missed nothing, or else as little as can be
    /// told key by key.
    fn source_of_all(&self, target: usize) -> Result<usize, Error> {
        if let Some(named) = self.named_source(target)? {
            return Ok(named);
        }
        let shared = &*self.copy.shared;
        let of = |wanted: fn(&Behind, &Node) -> bool| {
            (0..shared.nodes.len()).find(|idx| {
                let node = shared.nodes.at(*idx);
                *idx != target
                    && node.is_connected()
                    && shared.behind.get(*idx).is_some_and(|behind| wanted(behind, node))
            })
        };
        let source = of(Behind::is_in_sync).or_else(|| of(Behind::is_readable));
        source.ok_or_else(|| Error::unrepaired(&self.node, RepairReason::NoSource))
    }

    /// The node from which this key is brought over.
    fn source_of(&self, target: usize, key: &[u8]) -> Result<Option<usize>, Error> {
        let (shared, named) = (&*self.copy.shared, self.named_source(target)?);
        match named {
            Some(named) if !shared.behind_of(named)?.has_missed_of(key) => Ok(Some(named)),
            named => Ok(shared.source_of(target, key).or(named)),
        }
    }
}

impl Shared {
    /// The first other node, in the order in which this key is read, that answers and has missed nothing of it.
    pub(super) fn source_of(&self, target: usize, key: &[u8]) -> Option<usize> {
        let of = |wanted: Standing| {
            self.nodes.ring().successors(key).find(|idx| {
                let node = self.nodes.at(*idx);
                let standing = |behind: &Behind| behind.standing(node, std::iter::once(key));
                *idx != target
                    && node.is_connected()
                    && self.behind.get(*idx).is_some_and(|behind| standing(behind) == wanted)
            })
        };
        // Nodes that were all away for a moment are not to wait for each other.
        of(Standing::InSync).or_else(|| of(Standing::Nearly))
    }
}

fn count(repaired: &mut Repaired, brought: impl Iterator<Item = (Vec<u8>, Brought)>) {
    for (key, brought) in brought {
        match brought {
            Brought::Same => {}
            Brought::Copied => repaired.copied += 1,
            Brought::Removed => repaired.removed += 1,
            Brought::Failed(reason) => repaired.failed.push((key, reason)),
        }
    }
}

pub(super) async fn sizes<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Result<u64, Error> {
    use redisdb_node::commands::ServerCommands;
    let sizes = try_join_all(nodes.into_iter().map(|node| node.dbsize())).await?;
    Ok(sizes.into_iter().max().unwrap_or(0))
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

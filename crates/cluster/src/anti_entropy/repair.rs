//! Repair: a node of a copy is brought back to what the others hold.

use std::collections::HashSet;
use std::fmt;

use crate::anti_entropy::key_scan::must_be_ours;
use crate::anti_entropy::progress::Meter;
use crate::anti_entropy::progress::Progress;
use crate::anti_entropy::skipped::Skipped;
use crate::anti_entropy::source::Source;
use crate::anti_entropy::throttle::Throttle;
use crate::anti_entropy::transfer::Transferred;
use crate::anti_entropy::value::Limits;
use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::error::RepairReason;
use crate::error::debug::Keys;
use crate::error::debug::Pairs;
use crate::error::debug::debug;
use crate::hints::trust::Trust;
use crate::membership::lease::Leases;
use crate::membership::marker::Stage;

/// The number of times that keys which were written meanwhile are brought over again before they are left
/// behind.
const ROUNDS: usize = 10;

/// What a [`Repair`] did.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The number of keys that were compared: all of them if the repair was asked for by hand. A key that is
    /// looked at a second time counts once.
    pub compared: u64,
    /// The number of keys that were brought over from the source; on a dry run, of those that would be.
    pub copied: u64,
    /// The number of keys that were removed, because the source does not have them; on a dry run, of those
    /// that would be.
    pub removed: u64,
    /// Keys that could not be brought over, with the reason.
    pub failed: Vec<(Vec<u8>, String)>,
    /// Keys that were left alone, because the user may not use them.
    pub skipped: Skipped,
    /// Keys that the node named by [`from`](Repair::from) has missed too, and that no other node has right: they were
    /// brought over from it all the same.
    pub doubtful: Vec<Vec<u8>>,
    /// Keys that every node is known to have missed, so that nobody can tell who has them right: they were left as they
    /// are, and no read of them is answered. [`from`](Repair::from) names the node that counts.
    pub undecided: Vec<Vec<u8>>,
    /// True if the node answers all reads again. It is never true after a dry run.
    pub readmitted: bool,
}

/// Brings one node of a copy to what another one holds; see [`RedisCopy::repair`](crate::RedisCopy::repair).
#[must_use = "it does nothing until it is run"]
pub struct Repair<'a> {
    pub(crate) copy: CopyEngine,
    pub(crate) node: String,
    source: Option<String>,
    pub(crate) dry_run: bool,
    /// Nobody asked for it.
    pub(super) by_itself: bool,
    /// The node that all keys were compared with.
    compared_with: Option<usize>,
    pub(crate) limits: Limits,
    pub(crate) pace: Throttle,
    pub(crate) meter: Meter<'a>,
}

impl Repaired {
    /// Takes out of the keys that failed those that have come to be the same since.
    pub(crate) fn are_done<'k>(&mut self, brought: impl Iterator<Item = (&'k Vec<u8>, &'k Transferred)>) {
        if !self.failed.is_empty() {
            let done: HashSet<&[u8]> =
                brought.filter(|(_, brought)| brought.is_done()).map(|(key, _)| key.as_slice()).collect();
            self.failed.retain(|(key, _)| !done.contains(key.as_slice()));
        }
    }
}

impl<'a> Repair<'a> {
    pub(crate) fn new(copy: CopyEngine, node: String) -> Self {
        Self {
            copy,
            node,
            source: None,
            dry_run: false,
            by_itself: false,
            compared_with: None,
            limits: Limits::DEFAULT,
            pace: Throttle::default(),
            meter: Meter::new(|_| {}),
        }
    }

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
        self.pace = Throttle::of(keys);
        self
    }

    /// Sets how large values may be, in bytes of the server's memory, to go by their dump: the whole value in one reply
    /// and one command, which hold the servers for about 10 us per KiB. What is larger goes some elements at a time; what cannot go so is
    /// named in [`Repaired::failed`]. Default: 384 KiB to be read so, 64 KiB to be written so, and 64 MiB for what can only go whole.
    pub fn dump_up_to(mut self, bytes: u64) -> Self {
        self.limits = Limits::dump_up_to(bytes);
        self
    }

    /// Nobody asked for it, so it keeps away from a server that may be somebody else's, and compares no more than it must.
    pub(crate) fn by_itself(mut self) -> Self {
        self.by_itself = true;
        self
    }

    /// Calls a function with the progress after every batch of keys.
    pub fn on_progress(mut self, f: impl FnMut(Progress) + Send + 'a) -> Self {
        self.meter = Meter::new(f);
        self
    }

    /// Runs it. While another repair of the node is under way in this process, it waits for that one to end.
    ///
    /// # Errors
    /// That there is no such node, or that it is its own source, before anything else; that source or node cannot be
    /// reached; [`Error::Repair`] if no node can be the source, either was restarted meanwhile, or another process is at
    /// it. What was brought over until then stays, and so the node stays behind.
    ///
    /// # Cancel safety
    /// When the future is dropped, what was brought over stays, and the node stays behind.
    pub async fn run(self) -> Result<Repaired, Error> {
        let idx = self.copy.topology.nodes.position(&self.node)?;
        let is_named = self.named_source(idx)?.is_some();
        let copy = self.copy.clone();
        let hints = copy.topology.nodes.member(idx).hints();
        // Which of the others counts is known of their servers alone, unless the caller says it.
        match copy.connect().await {
            Err(error) if !is_named => return Err(error),
            _ => {}
        }
        let _alone = hints.repairing.lock().await;
        copy.topology.nodes.at(idx).ready().await?;
        copy.examine(idx).await;
        hints.make_own();
        self.attempt(ROUNDS).await
    }

    /// Runs it, with so many rounds for the keys that are missed one by one. Whoever calls this holds the right to repair
    /// the node.
    pub(crate) async fn attempt(mut self, rounds: usize) -> Result<Repaired, Error> {
        let leases = Leases::default();
        let repaired = leases.while_kept(self.work(rounds, &leases)).await;
        // Also after an error: whoever tries next need not wait until they run out.
        leases.release(&self.copy).await;
        repaired
    }

    async fn work(&mut self, rounds: usize, leases: &Leases) -> Result<Repaired, Error> {
        let copy = &self.copy.clone();
        let topology = &*copy.topology;
        let idx = topology.nodes.position(&self.node)?;
        let hints = topology.nodes.member(idx).hints();
        let (incarnation, n_floods) = (topology.nodes.at(idx).incarnation(), hints.n_floods());
        // Another process that answers there meanwhile is neither read nor written.
        let target = &topology.process(idx, incarnation);
        let mut repaired = Repaired::default();
        let is_whole = hints.has_memory(target);
        let everything = !is_whole || !self.by_itself;
        if everything {
            let source = self.source_of_all(copy, idx)?;
            source.node.ready().await?;
            if self.by_itself
                && let Some(doubt) = topology.doubt(idx, incarnation)
            {
                must_be_ours(copy, &source, target, doubt).await?;
            }
            // A server without a marker is marked before it is given anything: if this process ends midway, the others know that it is ours.
            let is_marked = !topology.nodes.member(idx).was_emptied();
            let begins = !is_whole && !self.dry_run;
            if begins && !is_marked {
                leases.begin_sync(copy, idx, target).await?;
            }
            self.hinted_first((idx, target)).await?;
            if begins && is_marked {
                leases.begin_sync(copy, idx, target).await?;
            }
            self.compared_with = Some(source.idx);
            self.all_keys(&source, (idx, target), leases, &mut repaired).await?;
        } else {
            let n_missed = hints.n_missed() as u64;
            self.meter.begin(n_missed, n_missed);
        }
        let counted = self.dry_run && everything;
        let mut last = hints.last_missed();
        for round in 0..if counted { 0 } else { rounds } {
            last = hints.last_missed();
            let missed = hints.missed_keys();
            if missed.is_empty() {
                break;
            }
            if round == 0 && !everything {
                repaired.compared = missed.len() as u64;
            }
            let before = (missed.len(), repaired.copied + repaired.removed);
            let any = self.missed_keys((idx, target), missed, &mut repaired).await?;
            if !any && !everything && round == 0 {
                return Err(Error::unrepaired(&self.node, RepairReason::NoSource));
            }
            // What nobody has right stays missed, and so does what cannot be brought over; all else is the same, or was
            // written meanwhile.
            let after = (hints.n_missed(), repaired.copied + repaired.removed);
            if !any || self.dry_run || before == after && last == hints.last_missed() {
                break;
            }
        }
        repaired.doubtful.sort();
        repaired.doubtful.dedup();
        // Some were tried more than once.
        repaired.failed.sort();
        repaired.failed.dedup_by(|a, b| a.0 == b.0);
        self.meter.end(repaired.copied + repaired.removed);
        if self.dry_run {
            return Ok(repaired);
        }
        if incarnation != target.incarnation() {
            return Err(Error::unrepaired(&self.node, RepairReason::Restarted));
        }
        leases.keep().await?;
        for (key, _) in &repaired.failed {
            hints.record_hint(std::iter::once(key.as_slice()));
        }
        repaired.undecided.retain(|key| hints.has_missed_of(key));
        if !is_whole {
            if repaired.failed.is_empty() && hints.n_floods() == n_floods {
                copy.mark(idx..=idx, Stage::Ready).await?;
            }
            // What is not marked as ready does not answer either.
            if repaired.failed.is_empty() || topology.identity.is_none() {
                hints.synced(incarnation, n_floods);
                topology.nodes.member(idx).was_compared();
            }
        }
        // The keys of the last round are known to have been written. Whether anything has come between since is not known.
        hints.catch_up(last);
        repaired.readmitted = hints.is_in_sync(target);
        Ok(repaired)
    }

    pub(crate) fn count(
        &self,
        repaired: &mut Repaired,
        brought: impl Iterator<Item = (Vec<u8>, Transferred)>,
    ) {
        let topology = &self.copy.topology;
        let brought: Vec<(Vec<u8>, Transferred)> = brought.collect();
        repaired.are_done(brought.iter().map(|(key, brought)| (key, brought)));
        for (key, brought) in brought {
            match brought {
                Transferred::Same | Transferred::Missed | Transferred::Unsettled => {}
                Transferred::Copied => repaired.copied += 1,
                Transferred::Removed => repaired.removed += 1,
                Transferred::Failed(error) => {
                    let reason = topology.reason(&key, &error);
                    repaired.failed.push((key, reason));
                }
                Transferred::Denied(error) => repaired.skipped.add(&key, || topology.reason(&key, &error)),
            }
        }
    }

    pub(crate) fn named_source(&self, target: usize) -> Result<Option<usize>, Error> {
        let Some(name) = &self.source else { return Ok(None) };
        let named = self.copy.topology.nodes.position(name)?;
        if named == target {
            return Err(Error::refused("repair", "copy", "a node cannot be repaired from itself"));
        }
        Ok(Some(named))
    }

    /// The node that all keys are compared with.
    fn source_of_all<'c>(&self, copy: &'c CopyEngine, target: usize) -> Result<Source<'c>, Error> {
        if let Some(named) = self.named_source(target)? {
            return Ok(Source::named(copy, named));
        }
        let found = copy.topology.source_of_all(target);
        let found = found.ok_or_else(|| Error::unrepaired(&self.node, RepairReason::NoSource))?;
        Source::found(copy, found, &self.node)
    }

    /// The node from which this key is brought over: rather the one that all are compared with.
    pub(crate) fn source_of(&self, target: usize, key: &[u8]) -> Option<usize> {
        let topology = &*self.copy.topology;
        let has_it_right = |idx: &usize| {
            let member = topology.nodes.member(*idx);
            match self.source {
                Some(_) => !member.hints().has_missed_of(key),
                None => member.node().is_connected() && member.trust(std::iter::once(key)) == Trust::Full,
            }
        };
        self.compared_with.filter(has_it_right).or_else(|| topology.source_of(target, key))
    }
}

debug!(Repaired {
    compared,
    copied,
    removed,
    failed = Pairs(failed),
    skipped,
    doubtful = Keys(doubtful),
    undecided = Keys(undecided),
    readmitted,
});

impl fmt::Debug for Repair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repair")
            .field("node", &self.node)
            .field("source", &self.source)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redisdb_node as node;

    use super::*;
    use crate::RedisCopy;

    #[test]
    fn a_key_has_failed_if_that_came_of_it_last() {
        let copy = RedisCopy::builder().node("a", "redis://a").node("b", "redis://b").build().unwrap();
        let repair = Repair::new(copy.engine(), "a".to_owned());
        let failed = || {
            let error = node::ErrorKind::Timeout(Duration::from_secs(1));
            Transferred::Failed(node::Error::without_node("RESTORE", error))
        };
        for (last, n_failed) in [
            (failed(), 1),
            (Transferred::Unsettled, 1),
            (Transferred::Missed, 1),
            (Transferred::Copied, 0),
            (Transferred::Removed, 0),
            (Transferred::Same, 0),
        ] {
            let mut repaired = Repaired::default();
            let shown = format!("{last:?}");
            for brought in [failed(), last] {
                repair.count(&mut repaired, [(b"k".to_vec(), brought)].into_iter());
                repair.count(&mut repaired, [(b"other".to_vec(), Transferred::Same)].into_iter());
            }
            repaired.failed.dedup_by(|a, b| a.0 == b.0);
            assert_eq!(repaired.failed.len(), n_failed, "{shown}");
        }
    }
}

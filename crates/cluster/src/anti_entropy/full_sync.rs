//! A full sync: all keys of a node are compared with those of a source, and made the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::try_join;
use redisdb_node::Node;

use crate::anti_entropy::key_scan::BATCH;
use crate::anti_entropy::key_scan::Keys;
use crate::anti_entropy::key_scan::missing;
use crate::anti_entropy::key_scan::size;
use crate::anti_entropy::repair::Repair;
use crate::anti_entropy::repair::Repaired;
use crate::anti_entropy::source::Source;
use crate::anti_entropy::transfer::Transferred;
use crate::anti_entropy::transfer::transfer;
use crate::error::Error;
use crate::membership::lease::Leases;

/// The time for which a write of another process may be on its way to one node when it has reached the other.
/// After it all keys are compared a second time.
const SETTLE: Duration = Duration::from_millis(500);
/// The most keys that differ and are only noted, on a node that answers reads. Then they are brought over
/// first.
const FEW_MISSED: usize = 10_000;

/// The pause after which the keys that are known to be missed are brought over again, while all are compared.
const HINTED_EVERY: Duration = Duration::from_secs(1);

impl Repair<'_> {
    /// Brings over the keys that a node is known to have missed, before all its keys are compared: that takes its time, and
    /// until then the other nodes may go too. Each process does so for what it knows; one of them compares all.
    pub(crate) async fn hinted_first(&mut self, (idx, target): (usize, &Node)) -> Result<(), Error> {
        let missed = self.copy.topology.nodes.member(idx).hints().missed_keys();
        if self.by_itself && (1..=FEW_MISSED).contains(&missed.len()) {
            // What cannot be brought over now is compared with all the others.
            self.missed_keys((idx, target), missed, &mut Repaired::default()).await?;
        }
        Ok(())
    }

    /// Compares all keys of both nodes.
    pub(crate) async fn all_keys(
        &mut self,
        source: &Source<'_>,
        (idx, target): (usize, &Node),
        leases: &Leases,
        repaired: &mut Repaired,
    ) -> Result<(), Error> {
        let copy = self.copy.clone();
        let (topology, hints) = (&*copy.topology, copy.topology.nodes.member(idx).hints());
        let is_whole = hints.has_memory(target);
        let (here, there) = try_join(size(target), size(&source.node)).await?;
        let n_passes = if is_whole || self.dry_run { 1 } else { 2 };
        self.meter.begin(here.max(there), here + there * n_passes);
        let mut strays = HashSet::new();
        let mut hinted = Instant::now();
        // The first time all is brought over. The second time, what differs still was written by somebody meanwhile, and
        // is looked at once more by itself.
        for time in 0..2 {
            let mut keys = Keys::of(&copy, &source.node).by(self.pace.batch(BATCH));
            while let Some(batch) = keys.next(Some(leases)).await? {
                if HINTED_EVERY <= hinted.elapsed() {
                    self.hinted_first((idx, target)).await?;
                    hinted = Instant::now();
                }
                let n_keys = batch.len() as u64;
                match time {
                    0 => {
                        repaired.compared += n_keys;
                        self.first((source, idx, target), batch, repaired).await?;
                    }
                    _ => {
                        let brought =
                            transfer((source, target), hints, &batch, self.limits, self.dry_run).await?;
                        topology.shadow().iter().for_each(|shadow| shadow.is_compared(idx, &batch));
                        repaired.are_done(batch.iter().zip(&brought));
                        let differ = batch.iter().zip(brought).filter(|(_, brought)| brought.is_different());
                        differ.for_each(|(key, _)| hints.record_hint(std::iter::once(key.as_slice())));
                    }
                }
                self.meter.step(n_keys, repaired.copied + repaired.removed);
                self.pace.wait(n_keys).await;
            }
            if time == 0 {
                let mut keys = Keys::of(&copy, target);
                while let Some(batch) = keys.next(Some(leases)).await? {
                    let n_keys = batch.len() as u64;
                    let missing = missing(&source.node, batch).await?;
                    strays.extend(missing.into_iter().filter(|key| source.counts_for(key)));
                    self.meter.step(n_keys, repaired.copied + repaired.removed);
                    self.pace.wait(1).await;
                }
                if !self.dry_run && (0 < repaired.copied || !strays.is_empty()) {
                    tokio::time::sleep(SETTLE).await;
                }
                // What the source does not have even now is not on its way there.
                let n_copied = repaired.copied;
                let strays: Vec<Vec<u8>> = strays.drain().collect();
                for batch in strays.chunks(BATCH) {
                    self.first((source, idx, target), batch.to_vec(), repaired).await?;
                }
                if n_passes == 1 || n_copied == 0 && strays.is_empty() {
                    break;
                }
            }
        }
        // Of what the source itself has missed, others may know better; a node that has it right needs no other.
        match (self.dry_run, is_whole) {
            (true, _) => {
                let missed = topology.nodes.member(source.idx).hints().missed_keys();
                let missed = missed.into_iter().filter(|(key, _)| !is_whole || hints.has_missed_of(key));
                self.missed_keys((idx, target), missed.collect(), repaired).await?;
            }
            (false, true) => {}
            (false, false) => topology.missed_with_the_others(idx, |other| {
                other.missed_keys().into_iter().map(|(key, _)| key).collect()
            }),
        }
        Ok(())
    }

    /// Brings over those of some keys that are not the same. On a node that answers reads what differs is missed from then
    /// on, until it has been brought over.
    async fn first(
        &mut self,
        (source, idx, target): (&Source<'_>, usize, &Node),
        keys: Vec<Vec<u8>>,
        repaired: &mut Repaired,
    ) -> Result<(), Error> {
        let topology = Arc::clone(&self.copy.topology);
        let hints = topology.nodes.member(idx).hints();
        let is_read = hints.has_memory(target);
        let brought = transfer((source, target), hints, &keys, self.limits, is_read || self.dry_run).await?;
        topology.shadow().iter().for_each(|shadow| shadow.is_compared(idx, &keys));
        let found = keys.into_iter().zip(brought);
        if !is_read || self.dry_run {
            self.count(repaired, found);
            return Ok(());
        }
        let (denied, found): (Vec<_>, Vec<_>) =
            found.partition(|(_, brought)| matches!(brought, Transferred::Denied(_)));
        self.count(repaired, denied.into_iter());
        let found = found.into_iter();
        let differ = found.filter(|(_, brought)| brought.is_different());
        differ.for_each(|(key, _)| hints.record_hint(std::iter::once(key.as_slice())));
        // Before they are too many to be remembered; once to write them, once to see that they are the same.
        for _ in 0..2 {
            if FEW_MISSED < hints.n_missed() {
                self.missed_keys((idx, target), hints.missed_keys(), repaired).await?;
            }
        }
        Ok(())
    }
}

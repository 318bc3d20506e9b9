//! A replay: the keys that a node is known to have missed are brought over one by one.

use std::collections::BTreeMap;

use redisdb_node::Node;

use crate::anti_entropy::key_scan::BATCH;
use crate::anti_entropy::repair::Repair;
use crate::anti_entropy::repair::Repaired;
use crate::anti_entropy::source::Source;
use crate::anti_entropy::transfer::Transferred;
use crate::anti_entropy::transfer::forget_unanimous;
use crate::anti_entropy::transfer::transfer;
use crate::error::Error;

impl Repair<'_> {
    /// Brings over keys that were missed one by one, each from a node that has not missed it. Those that are the same are
    /// forgotten; what had to be written is looked at again in the next round. Returns whether there was any to be brought
    /// over, or forgotten because all nodes hold the same.
    pub(crate) async fn missed_keys(
        &mut self,
        (idx, target): (usize, &Node),
        missed: Vec<(Vec<u8>, u64)>,
        repaired: &mut Repaired,
    ) -> Result<bool, Error> {
        let copy = &self.copy.clone();
        let topology = &*copy.topology;
        let hints = topology.nodes.member(idx).hints();
        let mut by_source: BTreeMap<usize, Vec<(Vec<u8>, u64)>> = BTreeMap::new();
        let (mut doubtful, mut orphaned) = (Vec::new(), Vec::new());
        let named = self.named_source(idx)?;
        for (key, number) in missed {
            match (self.source_of(idx, &key), named) {
                (Some(source), _) => by_source.entry(source).or_default().push((key, number)),
                (None, Some(_)) => doubtful.push((key, number)),
                (None, None) => orphaned.push((key, number)),
            }
        }
        let is_decided = !self.dry_run && forget_unanimous(topology, idx, &orphaned, self.limits).await?;
        let any = is_decided || !by_source.is_empty() || !doubtful.is_empty();
        let mut orphaned: Vec<Vec<u8>> = orphaned.into_iter().map(|(key, _)| key).collect();
        orphaned.retain(|key| self.dry_run || hints.has_missed_of(key));
        let doubtful = named.filter(|_| !doubtful.is_empty()).map(|named| (named, doubtful, true));
        let by_source = by_source.into_iter().map(|(source, keys)| (source, keys, false));
        for (source, keys, is_doubtful) in by_source.chain(doubtful) {
            let source = match (is_doubtful, Some(source) == named) {
                (true, _) => Source::named_for_want_of_another(copy, source),
                (false, true) => Source::named(copy, source),
                (false, false) => Source::found(copy, source, &self.node)?,
            };
            for batch in keys.chunks(BATCH) {
                let keys: Vec<Vec<u8>> = batch.iter().map(|(key, _)| key.clone()).collect();
                let brought = transfer((&source, target), hints, &keys, self.limits, self.dry_run).await?;
                topology.shadow().iter().for_each(|shadow| shadow.is_compared(idx, &keys));
                // The two may be the same because both have missed the write, of which the other servers tell.
                source.hear_what_it_missed().await;
                for ((key, number), brought) in batch.iter().zip(&brought) {
                    let is_done = match brought {
                        Transferred::Same => source.counts_for(key),
                        // Of one that this user may not use any more nothing is known, or can be mended.
                        Transferred::Denied(_) => true,
                        _ => false,
                    };
                    if is_done && !self.dry_run {
                        hints.forget(key, *number);
                    }
                }
                topology.tell_shadow_all();
                if is_doubtful && !self.dry_run {
                    repaired.doubtful.extend(keys.iter().cloned());
                }
                self.count(repaired, keys.into_iter().zip(brought));
                self.meter.step(batch.len() as u64, repaired.copied + repaired.removed);
                self.pace.wait(batch.len() as u64).await;
            }
        }
        orphaned.sort();
        repaired.undecided = orphaned;
        Ok(any)
    }
}

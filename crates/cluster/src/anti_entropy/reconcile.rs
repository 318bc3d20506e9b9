//! Reconciliation: all servers of a copy were restarted, so no node is known to be right. All are compared with each other, and
//! what those hold alike that are not known to have missed it counts, as the explored rules have it.

use futures_util::FutureExt;
use redisdb_node::Node;

use crate::anti_entropy::decide::SeenRestarted;
use crate::anti_entropy::decide::is_conflict;
use crate::anti_entropy::value;
use crate::anti_entropy::value::Compared;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::verify::Difference;
use crate::anti_entropy::verify::Verify;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::error::Error;
use crate::error::RepairReason;
use crate::membership::lease::Leases;
use crate::membership::marker::Data;
use crate::membership::marker::Stage;

/// The most keys that may differ where most of the keys do: the servers may be somebody else's.
const FEW: u64 = 10;
/// The most keys that nobody has right and that are left to the caller one by one.
const MOST_CONFLICTS: usize = 10_000;

/// A node that takes part, as the process that it was at the beginning.
struct Part<'a> {
    idx: usize,
    member: &'a Member,
    process: Node,
    n_floods: u64,
    /// True if its server had lost its data.
    had_lost: bool,
}

impl CopyTopology {
    /// The nodes that may be right, while none is known to be: those that were restarted with their data. If there is none,
    /// those that have data and missed more than is remembered; else, of those that lost their data, the ones that were being
    /// filled. `None` while a node is known to be right, though it may be away, or while one of them cannot be reached.
    pub(crate) fn restarted(&self) -> Option<Vec<usize>> {
        if self.nodes.members().any(|member| member.hints().is_whole()) {
            return None;
        }
        // What a node lost is worse than what it missed: a node that has data never follows one that has none.
        let rank = |member: &Member| (member.data(), member.has_joined(), member.hints().is_flooded());
        let best = self.nodes.members().map(rank).min()?;
        let restarted = self.nodes.members().enumerate().filter(|(_, member)| rank(member) == best);
        let restarted: Vec<usize> = restarted.map(|(idx, _)| idx).collect();
        restarted.iter().all(|idx| self.nodes.at(*idx).is_connected()).then_some(restarted)
    }
}

impl CopyEngine {
    /// Compares these nodes with each other, and has them answer again what they hold alike. A key that they do not is behind
    /// on all of them, so it waits until somebody decides or writes it whole.
    ///
    /// # Errors
    /// If another process is at it, one of them is not what it was any more, or most of their keys differ.
    pub(crate) async fn reconcile(&self, nodes: &[usize], keys_per_second: u32) -> Result<(), Error> {
        let topology = &*self.topology;
        let parts: Vec<Part<'_>> = nodes.iter().map(|idx| self.part(*idx)).collect();
        let mut alone = Vec::new();
        for part in &parts {
            let busy = || Error::unrepaired(part.process.name(), RepairReason::Busy);
            alone.push(part.member.hints().repairing.try_lock().map_err(|_| busy())?);
        }
        for part in &parts {
            self.read_hints_about(part.idx).await;
        }
        let leases = Leases::default();
        let compared = leases.while_kept(async {
            for part in &parts {
                leases.begin_sync(self, part.idx, &part.process).await?;
            }
            self.compare(&parts, keys_per_second, &leases).await
        });
        let reconciled = compared.await;
        leases.release(self).await;
        reconciled?;
        tracing::info!(nodes = ?topology.names(nodes.to_vec()), "all servers were restarted, and have been compared");
        Ok(())
    }

    fn part(&self, idx: usize) -> Part<'_> {
        let member = self.topology.nodes.member(idx);
        let process = self.topology.process(idx, member.node().incarnation());
        let had_lost = member.data() != Data::Kept;
        Part { idx, member, process, n_floods: member.hints().n_floods(), had_lost }
    }

    async fn compare(&self, parts: &[Part<'_>], keys_per_second: u32, leases: &Leases) -> Result<(), Error> {
        let topology = &*self.topology;
        let first = parts.first().map(|part| part.process.name().to_owned()).unwrap_or_default();
        // The only one that has any data needs no comparing.
        if 1 < parts.len() {
            let verify = Verify::new(self.clone()).keys_per_second(keys_per_second);
            let verified = verify.run().boxed().await?;
            if parts.iter().any(|part| !verified.nodes.iter().any(|node| node == part.process.name())) {
                return Err(Error::unrepaired(&first, RepairReason::NoSource));
            }
            let mut conflicts = Vec::new();
            for difference in &verified.differences {
                if self.is_conflict(parts, difference).await? {
                    conflicts.push(difference);
                }
            }
            let n_conflicts = conflicts.len() as u64;
            let is_ours = |part: &Part<'_>| topology.doubt(part.idx, part.process.incarnation()).is_none();
            let are_foreign = FEW < n_conflicts && verified.compared < n_conflicts * 2;
            if MOST_CONFLICTS < conflicts.len() || are_foreign && !parts.iter().all(is_ours) {
                return Err(Error::unrepaired(&first, RepairReason::Foreign));
            }
            for difference in conflicts {
                let key = || std::iter::once(difference.key.as_slice());
                parts.iter().for_each(|part| part.member.hints().record_hint(key()));
            }
        }
        leases.keep().await?;
        let is_the_same = |part: &Part<'_>| {
            topology.nodes.at(part.idx).incarnation() == part.process.incarnation()
                && part.member.hints().n_floods() == part.n_floods
                && !part.member.was_emptied()
                && (part.member.data() != Data::Kept) == part.had_lost
        };
        if !parts.iter().all(is_the_same) {
            return Err(Error::unrepaired(&first, RepairReason::Restarted));
        }
        self.mark(parts.iter().map(|part| part.idx), Stage::Ready).await?;
        for part in parts {
            let hints = part.member.hints();
            if hints.is_flooded() {
                let node = part.process.name();
                tracing::warn!(
                    node,
                    "counts again, for no node is whole: writes that it alone missed are lost"
                );
            }
            hints.synced(part.process.incarnation(), part.n_floods);
            part.member.was_compared();
        }
        Ok(())
    }

    /// Returns whether nobody has a key right. Where all are known to have missed it, that is known already.
    async fn is_conflict(&self, parts: &[Part<'_>], difference: &Difference) -> Result<bool, Error> {
        let key = std::slice::from_ref(&difference.key);
        let nodes: Vec<&Node> = parts.iter().map(|part| &part.process).collect();
        let sizes = value::sizes(&nodes, key).await?;
        let (looks, compared) = value::read_and_compare(&nodes, key, &sizes, Limits::DEFAULT).await?;
        let Some(Compared::First(first)) = compared.first() else { return Ok(false) };
        let seen = parts.iter().zip(&looks).zip(first).map(|((part, look), first)| SeenRestarted {
            state: matches!(look.first(), Some(Snapshot::Present { .. })).then_some(*first),
            // Where each has missed more than is remembered, that says nothing of any one key.
            is_behind: part.member.hints().lacks(&difference.key),
        });
        let seen: Vec<SeenRestarted> = seen.collect();
        Ok(!seen.iter().all(|one| one.is_behind) && is_conflict(&seen))
    }
}

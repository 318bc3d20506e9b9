//! The choice of the source: the node whose keys count when another node is made equal to it.

use redisdb_node::Node;

use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::error::Error;
use crate::error::RepairReason;
use crate::hints::log::HintLog;
use crate::hints::trust::Trust;

/// A node whose keys count, except those that it is known to have missed. Only the process counts that it was when it was chosen.
pub(crate) struct Source<'a> {
    copy: &'a CopyEngine,
    pub(crate) idx: usize,
    pub(crate) node: Node,
    /// It holds what it was sent since this client knows it; a node that the caller has named may not.
    has_memory: bool,
    /// Also the keys that it is known to have missed count: the caller has named it, and no other has them right.
    also_missed: bool,
}

impl<'a> Source<'a> {
    /// A node that the caller has named, whatever is known of it.
    pub(crate) fn named(copy: &'a CopyEngine, idx: usize) -> Self {
        let node = copy.topology.process(idx, copy.topology.nodes.at(idx).incarnation());
        let has_memory = copy.topology.nodes.member(idx).hints().has_memory(&node);
        Self { copy, idx, node, has_memory, also_missed: false }
    }

    /// The same, of which also counts what it is known to have missed.
    pub(crate) fn named_for_want_of_another(copy: &'a CopyEngine, idx: usize) -> Self {
        Self { also_missed: true, ..Self::named(copy, idx) }
    }

    /// A node that was found to be in sync.
    ///
    /// # Errors
    /// If it is another process by now.
    pub(crate) fn found(copy: &'a CopyEngine, idx: usize, target: &str) -> Result<Self, Error> {
        let source = Self::named(copy, idx);
        if source.has_memory { Ok(source) } else { Err(lost(target)) }
    }

    pub(crate) fn topology(&self) -> &CopyTopology {
        &self.copy.topology
    }

    /// Returns whether what it holds of this key counts.
    pub(crate) fn counts_for(&self, key: &[u8]) -> bool {
        self.also_missed || !self.copy.topology.nodes.member(self.idx).hints().lacks(key)
    }

    /// Reads what the other servers say that it has missed.
    pub(crate) async fn hear_what_it_missed(&self) {
        self.copy.read_hints_about(self.idx).await;
    }

    /// Makes sure that what it was asked up to now came from the memory that counts: that nobody has emptied it meanwhile.
    /// Without an identity nobody can tell.
    ///
    /// # Errors
    /// If it did not.
    pub(crate) async fn check(&self, target: &str) -> Result<(), Error> {
        let topology = &*self.copy.topology;
        let is_as_it_was = !self.has_memory
            || self.copy.has_its_marker(self.idx, &Budget::new(None, 1)).await
                && topology.nodes.member(self.idx).hints().has_memory(&self.node);
        if is_as_it_was { Ok(()) } else { Err(lost(target)) }
    }
}

fn lost(target: &str) -> Error {
    Error::unrepaired(target, RepairReason::SourceLost)
}

impl CopyTopology {
    /// Notes a node that holds something else of these keys than it should, though it has missed no write that failed.
    pub(crate) fn note_different<'a>(&self, hints: &HintLog, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        match self.converges() {
            true => hints.record_crossing(keys),
            false => hints.record_difference(keys),
        }
    }

    /// The first other node, in the order in which this key is read, that answers and has missed nothing of it.
    pub(crate) fn source_of(&self, target: usize, key: &[u8]) -> Option<usize> {
        let of = |wanted: Trust| {
            self.nodes.places(key).find(|idx| {
                let member = self.nodes.member(*idx);
                *idx != target && member.node().is_connected() && member.trust(std::iter::once(key)) == wanted
            })
        };
        // Nodes that were all away for a moment are not to wait for each other.
        of(Trust::Full).or_else(|| of(Trust::Provisional))
    }

    /// The other node from which all keys are brought over: one that is up and has missed nothing, or else as little as can
    /// be told key by key.
    pub(crate) fn source_of_all(&self, target: usize) -> Option<usize> {
        let of = |wanted: fn(&Member) -> bool| {
            (0..self.nodes.len()).find(|idx| {
                let member = self.nodes.member(*idx);
                *idx != target && member.node().is_connected() && wanted(member)
            })
        };
        of(Member::is_in_sync).or_else(|| of(Member::is_readable))
    }

    /// Has a node miss these keys of the others too: what it holds came from one of them, or it was the only one that took them.
    pub(crate) fn missed_with_the_others(&self, idx: usize, keys: fn(&HintLog) -> Vec<Vec<u8>>) {
        let others = self.nodes.members().enumerate().filter(|(other, _)| *other != idx);
        for key in others.flat_map(|(_, other)| keys(other.hints())) {
            self.nodes.member(idx).hints().inherit_hint(std::iter::once(key.as_slice()));
        }
    }
}

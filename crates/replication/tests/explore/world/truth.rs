//! What has really happened: which writes were acknowledged, who held them, and which losses are excused.

use redisdb_replication::Digest;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;

use super::value::PerWrite;
use super::value::Value;
use super::value::WriteId;
use super::value::WriteSet;

/// What a write does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    Set,
    Delete,
    Increment,
    /// An increment that one node decides.
    Decision,
}

/// What has really happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) n_writes: u8,
    /// The writes that leave the same whatever was there.
    pub(crate) whole: WriteSet,
    /// Those of them that leave nothing.
    pub(crate) deletes: WriteSet,
    /// The increments that one node decides.
    pub(crate) decided: WriteSet,
    /// What came of them there.
    pub(crate) results: PerWrite<Value>,
    /// Whether two of them were acknowledged, and neither was built upon the other.
    pub(crate) is_split: bool,
    /// Whether a decision may be undone by one that another client made at the same time, while their node was lost (K10).
    pub(crate) may_cross: bool,
    /// Whether two decisions may be acknowledged of which neither was built upon the other (K11).
    pub(crate) may_split: bool,
    /// What was acknowledged when the write began; only where decisions may cross.
    pub(crate) acknowledged_before: PerWrite<WriteSet>,
    /// The writes of others to one node alone.
    pub(crate) outside: WriteSet,
    /// The writes of which nothing is promised: they began before a node threw the key away.
    pub(crate) excused: WriteSet,
    /// The nodes that have told that the key was removed there, since it was last seen equal.
    pub(crate) removed: NodeSet,
    /// The writes of the second client.
    pub(crate) of_second: WriteSet,
    pub(crate) acknowledged: WriteSet,
    /// The writes that a rightful node took at some time.
    pub(crate) held: WriteSet,
    /// The acknowledged writes that were lost with a forgotten node, and of which nobody was told.
    pub(crate) untold: WriteSet,
    /// The writes that needed late hints.
    pub(crate) hinted_late: WriteSet,
    /// What the writer knew when it began, and what others had written by then.
    pub(crate) known_before: PerWrite<WriteSet>,
    /// The nodes that took the write, were not behind, and have kept their data since.
    pub(crate) keepers: PerWrite<NodeSet>,
    /// The hints that go with the write.
    pub(crate) in_block: PerWrite<NodeSet>,
    /// The nodes that note a doubt with the write.
    pub(crate) doubted: PerWrite<NodeSet>,
}

impl Truth {
    pub(crate) fn begin(&mut self, sort: Sort, is_of_second: bool, known: WriteSet) -> WriteId {
        self.n_writes += 1;
        let id = WriteId(self.n_writes);
        match sort {
            Sort::Set | Sort::Delete => self.whole.insert(id),
            Sort::Decision => self.decided.insert(id),
            Sort::Increment => {}
        }
        if sort == Sort::Delete {
            self.deletes.insert(id);
        }
        if is_of_second {
            self.of_second.insert(id);
        }
        self.known_before[id] = known.or(self.outside);
        if self.may_cross {
            self.acknowledged_before[id] = self.acknowledged;
        }
        id
    }

    /// Somebody else writes to one node alone, where nothing of what was there before is kept.
    pub(crate) fn write_alone(&mut self, sort: Sort, node: Node) -> WriteId {
        self.writes().for_each(|id| self.keepers[id].remove(node));
        let id = self.begin(sort, false, WriteSet::default());
        self.outside.insert(id);
        id
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = WriteId> + use<> {
        WriteId::all(self.n_writes)
    }

    /// Returns what can be seen of a value.
    pub(crate) fn digest(&self, value: Value) -> Digest {
        value.digest(self.whole, self.deletes)
    }

    /// Returns whether there is nothing.
    pub(crate) fn is_missing(&self, value: Value) -> bool {
        self.digest(value) == Digest::MISSING
    }

    /// Returns whether there is nothing because it was removed.
    pub(crate) fn is_removed(&self, value: Value) -> bool {
        value.base(self.deletes).is_some()
    }

    /// Returns what a value is after a write.
    pub(crate) fn after(&self, value: Value, id: WriteId) -> Value {
        match self.is_decided(id) {
            true => self.results[id],
            false if self.whole.contains(id) => Value::replaced_by(id),
            false => value.increased_by(id),
        }
    }

    /// Returns whether a node has decided the write: the others take over what came of it.
    pub(crate) fn is_decided(&self, id: WriteId) -> bool {
        self.results[id] != Value::MISSING
    }

    /// Notes that a node took over what another one has decided: it holds what that one held then, and nothing else.
    pub(crate) fn took_over(&mut self, id: WriteId, node: Node, is_member: bool) {
        let result = self.results[id];
        for write in self.writes() {
            match result.has(write) && self.held.contains(write) && is_member {
                true => self.keepers[write].insert(node),
                false if !self.covers(result, write) => self.keepers[write].remove(node),
                false => {}
            }
        }
    }

    /// Returns whether the write is in the value, or was overwritten there by a whole write that is not from before it. A delete is held
    /// wherever nothing is left of what was there before it.
    pub(crate) fn covers(&self, value: Value, id: WriteId) -> bool {
        let is_later = |base: WriteId| !self.known_before[id].contains(base);
        let is_before = |other: WriteId| self.known_before[id].minus(self.deletes).contains(other);
        let is_done = self.deletes.contains(id) && !value.writes().any(is_before);
        is_done
            || value.has(id)
            || value.base(self.whole).is_some_and(is_later)
            || value.writes().any(|other| self.is_crossed(id, other))
    }

    /// Returns whether the write is in the value twice, which no decision that crossed it explains: one that all nodes execute may come
    /// to a node behind a decision that has it already.
    pub(crate) fn is_twice(&self, value: Value, id: WriteId) -> bool {
        let is_explained =
            !self.decided.contains(id) && value.writes().any(|other| self.is_crossed(id, other));
        value.has_twice(id) && !is_explained
    }

    /// Returns whether decisions may cross, the other write was decided, and neither of the two was known when the other one began.
    fn is_crossed(&self, id: WriteId, other: WriteId) -> bool {
        let knew = |one, other| self.known_before[one].or(self.acknowledged_before[one]).contains(other);
        self.may_cross && self.decided.contains(other) && other != id && !knew(id, other) && !knew(other, id)
    }

    /// Returns a write of the set that the value is without.
    pub(crate) fn lacks(&self, value: Value, set: WriteSet) -> Option<WriteId> {
        set.iter().find(|id| !self.covers(value, *id))
    }

    /// Notes that a node took a write.
    pub(crate) fn taken(&mut self, id: WriteId, node: Node, is_rightful: bool, is_member: bool) {
        if is_rightful || self.whole.contains(id) {
            self.held.insert(id);
            if is_member {
                self.keepers[id].insert(node);
            }
        }
    }

    /// Notes that a client is told that its write is done. Returns whether a node that had it has lost its data meanwhile.
    pub(crate) fn acknowledge(&mut self, id: WriteId) -> bool {
        let is_lost = self.keepers[id].is_empty() && self.held.contains(id);
        if !is_lost && !self.excused.contains(id) {
            self.acknowledged.insert(id);
        }
        is_lost
    }

    /// Returns an acknowledged decision beside this one, neither of which was built upon the other: of two that took a lock, both
    /// would hold it. Where something was overwritten, nobody can tell.
    pub(crate) fn decided_beside(&self, id: WriteId) -> Option<WriteId> {
        let is_beside = |other: &WriteId| {
            self.decided.contains(*other) && !self.results[*other].has(id) && !self.results[id].has(*other)
        };
        let counts = !self.may_split
            && self.whole.is_empty()
            && self.decided.contains(id)
            && self.acknowledged.contains(id);
        self.acknowledged.iter().filter(|_| counts).find(is_beside)
    }

    /// Returns whether the value lacks a write of one of the clients, and nobody was told that it is lost.
    pub(crate) fn is_untold(&self, value: Value, is_of_second: bool) -> bool {
        let mut lacking = self.untold.iter().filter(|id| !self.covers(value, *id));
        lacking.any(|id| self.of_second.contains(id) == is_of_second)
    }

    /// Returns the writes that the node has kept.
    pub(crate) fn kept_by(&self, node: Node) -> WriteSet {
        self.writes().filter(|id| self.keepers[*id].contains(node)).collect()
    }

    /// Notes that a node has lost all but these writes. Returns the acknowledged writes that no node has kept.
    pub(crate) fn lost(&mut self, node: Node, kept: WriteSet) -> WriteSet {
        let mut gone = WriteSet::default();
        for id in WriteId::all(self.n_writes) {
            if !kept.contains(id) {
                self.keepers[id].remove(node);
            }
            if self.keepers[id].is_empty() && self.acknowledged.contains(id) {
                self.acknowledged.remove(id);
                gone.insert(id);
            }
        }
        gone
    }

    /// Notes that a node holds what another one held.
    pub(crate) fn copied(&mut self, from: Node, to: Node, value: Value) {
        for id in WriteId::all(self.n_writes) {
            if self.keepers[id].contains(from) && self.covers(value, id) {
                self.keepers[id].insert(to);
            }
        }
    }

    /// Returns what is wrong with a value that all nodes agree upon.
    pub(crate) fn fault_of(&self, value: Value) -> Option<String> {
        if let Some(id) = self.lacks(value, self.acknowledged) {
            return Some(format!("S1: the acknowledged write {} is not in the agreed value {value}", id.0));
        }
        let twice = self.acknowledged.iter().find(|id| self.is_twice(value, *id));
        twice.map(|id| format!("S1: the acknowledged write {} was applied twice: {value}", id.0))
    }
}

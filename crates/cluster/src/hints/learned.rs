//! What a process knows of a miss beside its own writes: what other servers say, and what it has seen to differ.

use std::time::Duration;
use std::time::Instant;

use crate::hints::log::HintLog;
use crate::hints::log::Keys;

/// What a repair saw of a key on the two nodes, and when it first saw that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    digest: u64,
    pub(super) at: Instant,
}

/// The time for which two nodes must show the same of a key before one is made equal to the other, if only other processes know of the
/// miss, or if writes of the key have crossed. That is longer than a write is on its way from one node to the next.
pub(super) const SETTLED: Duration = Duration::from_millis(500);

/// What this process alone can know of a key that a node has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Firsthand {
    /// The node only gave another reply than another node, as happens when writes cross.
    Crossed,
    /// The process has seen the node differ.
    Differs,
    /// The process has sent this incarnation of the server a write, and heard nothing. The write may run late, after other
    /// processes have brought the key over.
    Unanswered(u64),
}

impl Firsthand {
    /// Returns whether the node stays behind whatever others say of this incarnation of its server.
    pub(super) fn outweighs_others(self, incarnation: u64) -> bool {
        match self {
            Self::Crossed | Self::Differs => true,
            Self::Unanswered(by) => by == incarnation,
        }
    }
}

impl Keys {
    /// These keys were missed for certain.
    pub(super) fn did_not_cross<'a>(&mut self, keys: impl Iterator<Item = &'a [u8]>) {
        if self.firsthand.is_empty() {
            return;
        }
        for key in keys {
            if let Some(known @ Firsthand::Crossed) = self.firsthand.get_mut(key) {
                *known = Firsthand::Differs;
            }
        }
    }

    /// Returns whether the node has only answered otherwise of any of these keys.
    pub(super) fn has_crossed<'a>(&self, mut keys: impl Iterator<Item = &'a [u8]>) -> bool {
        !self.firsthand.is_empty() && keys.any(|key| self.firsthand.get(key) == Some(&Firsthand::Crossed))
    }

    /// Returns whether the node has missed a write of any of these keys for certain; of none, of any key.
    pub(super) fn lacks_any<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        if self.firsthand.is_empty() {
            return self.missed.contains_any(keys);
        }
        let mut keys = keys.peekable();
        match keys.peek() {
            Some(_) => keys
                .any(|key| self.missed.contains(key) && self.firsthand.get(key) != Some(&Firsthand::Crossed)),
            None => !self.missed.is_empty(),
        }
    }

    /// Returns whether this process has seen this key differ, which nobody is told.
    pub(super) fn is_seen_to_differ(&self, key: &[u8]) -> bool {
        matches!(self.firsthand.get(key), Some(Firsthand::Crossed | Firsthand::Differs))
    }
}

impl HintLog {
    /// Records that the node holds something else of these keys than it should, though it has missed no write that failed. This
    /// process does not read them there before they are the same. Other processes are not told: two that write at the same time
    /// see different nodes differ, and together they would have all nodes miss a write.
    pub(crate) fn record_difference<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        held.firsthand.extend(keys.clone().map(|key| (key.to_vec(), Firsthand::Differs)));
        self.note(&mut held, keys);
    }

    /// The same where nodes become equal by themselves. Writes that cross leave such a difference for a moment, so the node is
    /// still read, after the other ones, and is made equal when the key was quiet.
    pub(crate) fn record_crossing<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        for key in keys.clone() {
            let is_missed = held.missed.contains(key);
            if !is_missed {
                held.learned.insert(key.to_vec(), None);
            }
            let known = if is_missed { Firsthand::Differs } else { Firsthand::Crossed };
            held.firsthand.entry(key.to_vec()).or_insert(known);
        }
        self.note(&mut held, keys);
    }

    /// Records that this incarnation of the server was sent a write of these keys, and said nothing. If the write runs after
    /// another process has brought the keys over, the node differs again. So this process compares them itself, whatever others
    /// say: over the same connection, after the write, or over a new one, which ends whatever was sent before.
    pub(crate) fn record_unanswered<'a>(
        &self,
        incarnation: u64,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        self.record_hint(keys.clone());
        let mut held = self.held();
        for key in keys {
            if held.missed.contains(key) {
                held.firsthand.insert(key.to_vec(), Firsthand::Unanswered(incarnation));
            }
        }
    }

    /// Records what another server says that the node has missed, as some process has told it.
    pub(crate) fn learn_hint<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        held.did_not_cross(keys.clone());
        for key in keys.clone() {
            if !held.missed.contains(key) {
                held.learned.insert(key.to_vec(), None);
            }
        }
        self.note(&mut held, keys);
    }

    /// From now on all that was learned counts as seen by this process: the caller wants it brought over now.
    pub(crate) fn make_own(&self) {
        self.held().learned.clear();
    }

    /// Returns whether a key that differs is to be brought over now. If only other processes know that it was missed, they may be
    /// writing it at this moment, and where writes have crossed, more may be on their way. Then both nodes must show what they showed some
    /// time ago.
    pub(crate) fn is_settled(&self, key: &[u8], digest: u64) -> bool {
        let mut held = self.held();
        let Some(seen) = held.learned.get_mut(key) else { return true };
        match seen {
            Some(seen) if seen.digest == digest => SETTLED <= seen.at.elapsed(),
            _ => {
                *seen = Some(Seen { digest, at: Instant::now() });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::testing::key;
    use crate::hints::testing::new;
    use crate::hints::trust::Trust;

    #[test]
    fn what_only_others_know_of_is_brought_over_when_it_has_not_changed_for_a_while() {
        let (hints, _) = new();
        hints.record_hint(key("own"));
        hints.learn_hint([b"own".as_slice(), b"a", b"b"].into_iter());
        assert!(hints.is_settled(b"own", 1) && hints.is_settled(b"none", 1));
        assert!(!hints.is_settled(b"a", 1) && !hints.is_settled(b"a", 1), "not so soon");
        let longer_ago = |name: &str| {
            let mut held = hints.held();
            held.learned.get_mut(name.as_bytes()).unwrap().as_mut().unwrap().at -= SETTLED;
        };
        longer_ago("a");
        assert!(!hints.is_settled(b"a", 2), "somebody has written it");
        longer_ago("a");
        assert!(hints.is_settled(b"a", 2));
        hints.record_hint(key("b"));
        assert!(hints.is_settled(b"b", 1), "this process has seen it itself by now");
        hints.learn_hint(key("c"));
        hints.make_own();
        assert!(hints.is_settled(b"c", 1));
        hints.learn_hint(key("d"));
        hints.forget(b"d", hints.last_missed());
        hints.record_hint(key("d"));
        assert!(hints.is_settled(b"d", 1));
        hints.record_crossing([b"d".as_slice(), b"e"].into_iter());
        assert!(hints.is_settled(b"d", 1) && !hints.is_settled(b"e", 1), "more may be on their way");
        longer_ago("e");
        assert!(hints.is_settled(b"e", 1));
        hints.record_crossing(key("e"));
        assert!(!hints.is_settled(b"e", 2));
    }

    #[test]
    fn a_node_that_only_answered_otherwise_is_read_after_the_others_until_it_has_missed_a_write() {
        let (hints, node) = new();
        hints.meet(&node);
        hints.record_crossing(key("k"));
        assert_eq!(hints.trust(&node, key("k")), Trust::Provisional);
        assert_eq!(hints.trust(&node, key("other")), Trust::Full);
        assert!(hints.has_missed_of(b"k") && !hints.lacks(b"k"), "it is brought over, and is no conflict");
        let of_both = [b"k".as_slice(), b"other"].into_iter();
        assert_eq!(hints.trust(&node, of_both), Trust::Provisional);
        for miss in [HintLog::record_hint, HintLog::learn_hint, HintLog::inherit_hint] {
            hints.forget(b"k", hints.last_missed());
            assert_eq!(hints.trust(&node, key("k")), Trust::Full);
            hints.record_crossing(key("k"));
            miss(&hints, key("k"));
            assert!(hints.trust(&node, key("k")) == Trust::Stale && hints.lacks(b"k"));
            hints.record_crossing(key("k"));
            assert!(hints.lacks(b"k"), "that it also answers otherwise changes nothing");
        }
    }
}

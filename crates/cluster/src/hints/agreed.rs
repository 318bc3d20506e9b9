//! The keys that a restarted node holds as all others do: for them it counts as right, though not all its keys were compared.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redisdb_node::Node;

use crate::health::Health;
use crate::hints::log::HintLog;
use crate::hints::log::Keys;
use crate::membership::state_machine::Memory;

/// So many keys are remembered at most; beyond that they are looked at once more.
const MOST_KEYS: usize = 100_000;

impl HintLog {
    /// Returns whether the node was restarted, and has been there for so long since.
    pub(crate) fn is_restarted_for(&self, long: Duration) -> bool {
        let held = self.held();
        held.is_restarted() && long <= held.changed_at.elapsed()
    }

    /// Records that this process of the server holds these keys as all other nodes do.
    pub(crate) fn agree(&self, incarnation: u64, keys: &[Vec<u8>]) {
        let mut held = self.held();
        if held.agreed_by != incarnation || MOST_KEYS < held.agreed.len() + keys.len() {
            held.agreed.clear();
        }
        held.agreed_by = incarnation;
        held.agreed.extend(keys.iter().cloned());
        self.has_agreed.store(true, Ordering::Release);
    }

    /// Forgets what the node agreed on with the others: it is not what it was.
    pub(crate) fn disagree(&self) {
        self.disagree_on(&mut self.held());
    }

    pub(super) fn disagree_on(&self, held: &mut Keys) {
        held.agreed.clear();
        self.has_agreed.store(false, Ordering::Release);
    }

    /// Returns whether the node, though it was restarted, holds what it should of these keys. Without keys, it is not known to.
    pub(crate) fn agrees_on<'a>(&self, node: &Node, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        if !self.has_agreed.load(Ordering::Acquire) {
            return false;
        }
        let held = self.held();
        held.agrees_on(node, keys)
    }
}

impl Keys {
    pub(super) fn agrees_on<'a>(&self, node: &Node, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut keys = keys.peekable();
        self.agreed_by == node.incarnation()
            && self.is_restarted()
            && keys.peek().is_some()
            && keys.all(|key| self.agreed.contains(key) && !self.missed.contains(key))
    }

    fn is_restarted(&self) -> bool {
        self.state.health == Health::Syncing && self.state.memory == Memory::Lost
    }
}

#[cfg(test)]
mod tests {
    use redisdb_node::NodeConfig;

    use super::*;
    use crate::hints::trust::Trust;
    use crate::membership::state_machine::Observation;

    fn key(key: &str) -> impl Iterator<Item = &[u8]> + Clone {
        std::iter::once(key.as_bytes())
    }

    /// A node that was restarted, and is connected as the process of its first incarnation.
    fn restarted() -> (HintLog, Node) {
        let (hints, node) = (HintLog::default(), Node::new(NodeConfig::new("redis://h").unwrap()));
        hints.trusted.store(node.incarnation() + 1, Ordering::Release);
        hints.on(Observation::Lost);
        (hints, node)
    }

    #[test]
    fn a_restarted_node_is_right_about_what_all_agreed_on_until_it_misses_a_write_of_it() {
        let (hints, node) = restarted();
        assert_eq!(hints.trust(&node, key("a")), Trust::Stale);
        hints.agree(node.incarnation(), &[b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(hints.trust(&node, key("a")), Trust::Full);
        assert!(hints.holds(&node, key("a")) && hints.holds(&node, [b"a".as_slice(), b"b"].into_iter()));
        assert!(!hints.holds(&node, [b"a".as_slice(), b"c"].into_iter()));
        assert!(
            !hints.holds(&node, std::iter::empty()) && !hints.is_in_sync(&node) && !hints.is_readable(&node)
        );
        hints.record_hint(key("a"));
        assert!(!hints.holds(&node, key("a")) && hints.holds(&node, key("b")));
    }

    #[test]
    fn what_was_agreed_on_counts_no_more_when_the_node_was_away_or_is_another_process() {
        let (hints, node) = restarted();
        hints.agree(node.incarnation() + 1, &[b"a".to_vec()]);
        assert!(!hints.holds(&node, key("a")), "another process of the server agreed");
        hints.agree(node.incarnation(), &[b"b".to_vec()]);
        assert!(hints.holds(&node, key("b")) && !hints.holds(&node, key("a")));
        assert!(!hints.is_restarted_for(Duration::from_secs(60)));
        hints.on(Observation::Unreachable);
        assert!(!hints.holds(&node, key("b")) && !hints.is_restarted_for(Duration::ZERO));
        [Observation::Probing, Observation::Connected, Observation::Lost]
            .into_iter()
            .for_each(|seen| hints.on(seen));
        assert!(!hints.holds(&node, key("b")) && hints.is_restarted_for(Duration::ZERO));
        hints.agree(node.incarnation(), &[b"b".to_vec()]);
        hints.on(Observation::Lost);
        assert!(hints.holds(&node, key("b")), "it was looked at once more");
        hints.disagree();
        assert!(!hints.holds(&node, key("b")));
    }

    #[test]
    fn what_was_agreed_on_counts_no_more_when_the_node_has_missed_more_than_is_remembered() {
        let (hints, node) = restarted();
        hints.agree(node.incarnation(), &[b"a".to_vec()]);
        assert!(hints.holds(&node, key("a")) && hints.is_restarted_for(Duration::ZERO));
        hints.on(Observation::Flooded);
        assert!(!hints.holds(&node, key("a")) && !hints.is_restarted_for(Duration::ZERO));
        // Whoever compared the key had not heard of it.
        hints.agree(node.incarnation(), &[b"a".to_vec()]);
        assert!(!hints.holds(&node, key("a")) && !hints.agrees_on(&node, key("a")));
    }

    #[test]
    fn what_was_agreed_on_is_bounded() {
        let (hints, node) = restarted();
        let keys: Vec<Vec<u8>> = (0..MOST_KEYS).map(|i| i.to_be_bytes().to_vec()).collect();
        hints.agree(node.incarnation(), &keys);
        hints.agree(node.incarnation(), &[b"k".to_vec()]);
        assert!(hints.holds(&node, key("k")));
        assert_eq!(hints.held().agreed.len(), 1);
    }
}

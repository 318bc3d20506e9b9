//! The hint log of one node of a copy: which keys it has missed, as far as this client knows.

use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redisdb_node::Node;
use redisdb_node::plumbing::Fence;

use crate::health::Health;
use crate::hints::copy_window::Copying;
use crate::hints::key_log::KeyLog;
use crate::hints::learned::Firsthand;
use crate::hints::learned::Seen;
use crate::membership::state_machine::Memory;
use crate::membership::state_machine::NodeState;
use crate::membership::state_machine::Observation;

/// What one node has missed.
#[derive(Debug)]
pub(crate) struct HintLog {
    /// The incarnation of the server whose memory is trusted; see [`Node::incarnation`].
    pub(super) trusted: AtomicU64,
    /// True if the node's state lets it answer reads. Every read asks this before and after, so it has no
    /// lock.
    pub(super) readable: AtomicBool,
    /// Which process of the server may be written to. Without an identity the fence has no say.
    pub(super) fence: Fence,
    pub(super) n_keys: AtomicUsize,
    /// True if any keys are remembered that the node holds as all others do.
    pub(super) has_agreed: AtomicBool,
    /// True if the other servers are given what is recorded too, as hints that outlive this process.
    pub(super) is_shared: AtomicBool,
    /// The number of recorded hints that the other servers were not given yet.
    pub(super) n_ungiven: AtomicUsize,
    /// How many batches of keys have begun to be copied to the node, and how many of them have been.
    pub(super) batches_started: AtomicU64,
    pub(super) batches_ended: AtomicU64,
    pub(super) keys: Mutex<Keys>,
    /// Held by the one repair of the node.
    pub(crate) repairing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(super) struct Keys {
    pub(super) state: NodeState,
    pub(super) missed: KeyLog,
    /// When the node's health has changed last.
    pub(super) changed_at: Instant,
    /// The keys that this process of the server holds as all other nodes do, though it was restarted.
    pub(super) agreed: HashSet<Vec<u8>>,
    pub(super) agreed_by: u64,
    /// Since when the node is away, if it is.
    went_away: Option<Instant>,
    /// How often everything was missed, so that a repair notices when it happens while it runs.
    pub(super) n_floods: u64,
    /// The missed keys that are brought over only when they were quiet: only others know that the node missed them, or writes of them
    /// have crossed. Each with what a repair saw when it looked last.
    pub(super) learned: HashMap<Vec<u8>, Option<Seen>>,
    /// The missed keys of which this process knows what no other can: what others say of them settles nothing.
    pub(super) firsthand: HashMap<Vec<u8>, Firsthand>,
    /// What was missed and not given to the other servers yet; of all, as which flood.
    pub(super) ungiven: KeyLog,
    pub(super) ungiven_flood: Option<u64>,
    /// The last batches that were copied.
    pub(super) batches: VecDeque<Copying>,
}

impl Keys {
    /// Forgets a key, unless it was recorded again after this write. Returns whether it is missed no more.
    pub(super) fn forget(&mut self, key: &[u8], upto: u64) -> bool {
        self.missed.forget(key, upto);
        let is_gone = !self.missed.contains(key);
        if is_gone {
            self.learned.remove(key);
            self.firsthand.remove(key);
        }
        is_gone
    }

    /// Returns whether the node has missed a write of one of these keys, or may have missed one of any key.
    pub(super) fn is_behind<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        self.state.memory == Memory::Flooded || self.lacks_any(keys)
    }

    /// Returns whether only others know that the node missed this key.
    pub(super) fn is_learned(&self, key: &[u8]) -> bool {
        self.learned.contains_key(key)
    }

    pub(super) fn n_ungiven(&self) -> usize {
        self.ungiven.len() + usize::from(self.ungiven_flood.is_some())
    }
}

impl Default for HintLog {
    fn default() -> Self {
        let keys = Keys {
            state: NodeState::NEW,
            missed: KeyLog::default(),
            changed_at: Instant::now(),
            agreed: HashSet::new(),
            agreed_by: 0,
            went_away: None,
            n_floods: 0,
            learned: HashMap::new(),
            firsthand: HashMap::new(),
            ungiven: KeyLog::default(),
            ungiven_flood: None,
            batches: VecDeque::new(),
        };
        Self {
            trusted: AtomicU64::new(0),
            readable: AtomicBool::new(NodeState::NEW.is_readable()),
            fence: Fence::closed(),
            n_keys: AtomicUsize::new(0),
            has_agreed: AtomicBool::new(false),
            is_shared: AtomicBool::new(false),
            n_ungiven: AtomicUsize::new(0),
            batches_started: AtomicU64::new(0),
            batches_ended: AtomicU64::new(0),
            keys: Mutex::new(keys),
            repairing: tokio::sync::Mutex::new(()),
        }
    }
}

impl HintLog {
    /// Records that the node may not have taken a write of these keys. Without keys, it may have missed a write of any key.
    pub(crate) fn record_hint<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        held.did_not_cross(keys.clone());
        if !held.learned.is_empty() {
            keys.clone().for_each(|key| _ = held.learned.remove(key));
        }
        let is_flooded = self.note(&mut held, keys.clone());
        if !self.is_shared.load(Ordering::Acquire) {
            return;
        }
        if is_flooded || held.ungiven.record(keys).0 {
            held.ungiven.clear();
            held.ungiven_flood = Some(held.n_floods);
        }
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }

    /// Records that the node may have missed what another node has missed, as far as this process knows.
    pub(crate) fn inherit_hint<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        held.did_not_cross(keys.clone());
        self.note(&mut held, keys);
    }

    pub(super) fn note<'a>(&self, held: &mut Keys, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut keys = keys.peekable();
        let is_flooded = match keys.peek() {
            Some(_) => held.missed.record(keys).0,
            None => {
                held.missed.clear();
                true
            }
        };
        if is_flooded {
            held.n_floods += 1;
            held.learned.clear();
            held.firsthand.clear();
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
        self.turn(held, if is_flooded { Observation::Flooded } else { Observation::Missed });
        is_flooded
    }

    /// Records what was seen of the node.
    pub(crate) fn on(&self, seen: Observation) {
        self.turn(&mut self.held(), seen);
    }

    /// Records whether the server is the process whose memory is trusted.
    pub(crate) fn meet(&self, node: &Node) {
        // No repair may end between the question and the answer.
        let mut held = self.held();
        let seen = if self.is_trusted(node) { Observation::Intact } else { Observation::Lost };
        self.turn(&mut held, seen);
    }

    fn turn(&self, held: &mut Keys, seen: Observation) {
        let before = held.state;
        held.state = before.after(seen);
        if before.health != held.state.health {
            held.changed_at = Instant::now();
            self.disagree_on(held);
        }
        if before != held.state {
            self.readable.store(held.state.is_readable(), Ordering::Release);
            held.went_away = match held.state.health {
                Health::Down if !matches!(before.health, Health::Probing | Health::Fencing) => {
                    Some(Instant::now())
                }
                Health::Down | Health::Probing | Health::Fencing => held.went_away,
                _ => None,
            };
            tracing::debug!(?before, ?seen, after = ?held.state, "a node of a copy has changed");
        }
    }

    /// Returns whether the node counts as one that holds everything but the keys that it missed, also while it is away.
    pub(crate) fn is_whole(&self) -> bool {
        self.held().state.memory == Memory::Whole
    }

    /// Returns whether the node may soon answer for these keys: it is not known to lack them, and is away, but not for longer
    /// than this. A node that is back, and was not looked at yet, counts as away.
    pub(crate) fn may_be_back_soon<'a>(
        &self,
        node: &Node,
        keys: impl Iterator<Item = &'a [u8]>,
        within: Duration,
    ) -> bool {
        let held = self.held();
        let is_away = match held.state.memory {
            Memory::Whole => !node.is_connected() || !self.is_trusted(node),
            // It may be connected already, and not have been looked at.
            Memory::Lost => {
                !node.is_connected()
                    || matches!(held.state.health, Health::Down | Health::Probing | Health::Fencing)
            }
            Memory::Flooded => false,
        };
        is_away && !held.lacks_any(keys) && held.went_away.is_none_or(|since| since.elapsed() < within)
    }

    /// Returns whether the node missed more than is remembered key by key.
    pub(crate) fn is_flooded(&self) -> bool {
        self.held().state.memory == Memory::Flooded
    }

    /// Returns whether the node may hold what it should of these keys, though it was restarted: it is not known to have missed
    /// a write of them.
    pub(crate) fn may_hold<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        !self.held().is_behind(keys)
    }

    /// Returns whether the node answers reads, but for what it has missed.
    pub(crate) fn is_readable(&self, node: &Node) -> bool {
        self.readable.load(Ordering::Acquire) && self.is_trusted(node)
    }

    /// Which process of the server may be written to, where servers are marked.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Returns whether any keys are remembered that it has missed.
    pub(crate) fn has_missed(&self) -> bool {
        0 < self.n_keys.load(Ordering::Acquire)
    }

    /// How many keys were missed that are remembered one by one.
    pub(crate) fn n_missed(&self) -> usize {
        self.n_keys.load(Ordering::Acquire)
    }

    /// Returns whether the server is the process whose memory is trusted.
    pub(crate) fn is_trusted(&self, node: &Node) -> bool {
        node.incarnation() == self.trusted.load(Ordering::Acquire)
    }

    /// Returns whether the node holds what it was sent since this client knows it, but for the keys that it missed.
    pub(crate) fn has_memory(&self, node: &Node) -> bool {
        self.is_trusted(node) && self.held().state.memory == Memory::Whole
    }

    /// How the node is.
    pub(crate) fn health(&self, node: &Node) -> Health {
        let held = self.held();
        match held.state.health {
            _ if held.state.is_readable() && !node.is_connected() => Health::Down,
            Health::Up | Health::Suspect | Health::WriteDegraded | Health::Replaying
                if !self.is_trusted(node) =>
            {
                Health::Syncing
            }
            health => health,
        }
    }

    /// Trusts the memory of this incarnation of the server: somebody has made it whole.
    pub(crate) fn vouch(&self, incarnation: u64) {
        let mut held = self.held();
        if held.state.memory != Memory::Flooded {
            self.trusted.store(incarnation, Ordering::Release);
        }
        self.turn(&mut held, Observation::Vouched);
    }

    /// Trusts the node again, but for the keys that are still remembered: the caller vouches that it is equal.
    pub(crate) fn readmit(&self, node: &Node) {
        let mut held = self.held();
        self.trusted.store(node.incarnation(), Ordering::Release);
        self.turn(&mut held, Observation::Readmitted);
        if !held.missed.is_empty() {
            self.turn(&mut held, Observation::Missed);
        }
    }

    /// Returns whether the node has missed a write of this key for certain, and has not only answered one otherwise.
    pub(crate) fn lacks(&self, key: &[u8]) -> bool {
        self.has_missed() && self.held().lacks_any(std::iter::once(key))
    }

    /// Returns whether this key is remembered as missed.
    pub(crate) fn has_missed_of(&self, key: &[u8]) -> bool {
        self.has_missed() && self.held().missed.contains(key)
    }

    /// The keys that are missed now, each with the number of its last write.
    pub(crate) fn missed_keys(&self) -> Vec<(Vec<u8>, u64)> {
        self.held().missed.iter().map(|(key, number)| (key.to_vec(), number)).collect()
    }

    /// The number of the last write that was missed.
    pub(crate) fn last_missed(&self) -> u64 {
        self.held().missed.last()
    }

    /// Forgets a key that is the same as on a node in sync, unless it has been missed again since.
    pub(crate) fn forget(&self, key: &[u8], number: u64) {
        let mut held = self.held();
        if held.forget(key, number) {
            // Nobody else need be told of it either.
            let last = held.ungiven.last();
            held.ungiven.forget(key, last);
            self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// Forgets those of these keys that were not missed again after this write: the node has taken their whole values. Without
    /// keys, the node has removed all keys, and any key may be forgotten.
    pub(crate) fn settle<'a>(&self, keys: impl Iterator<Item = &'a [u8]>, last: u64) {
        let mut held = self.held();
        let mut keys = keys.peekable();
        match keys.peek() {
            Some(_) => keys.for_each(|key| _ = held.forget(key, last)),
            None => {
                let Keys { missed, learned, firsthand, .. } = &mut *held;
                missed.forget_all(last);
                learned.retain(|key, _| missed.contains(key));
                firsthand.retain(|key, _| missed.contains(key));
            }
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// Records that all that was missed up to this write has been brought over, if it has.
    pub(crate) fn catch_up(&self, last: u64) -> bool {
        let mut held = self.held();
        let caught_up = held.missed.iter().all(|(_, number)| last < number);
        if caught_up {
            let is_behind = !held.missed.is_empty();
            self.turn(&mut held, Observation::CaughtUp);
            if is_behind {
                self.turn(&mut held, Observation::Missed);
            }
        }
        caught_up
    }

    /// How often everything was missed.
    pub(crate) fn n_floods(&self) -> u64 {
        self.held().n_floods
    }

    /// Records that all keys have been compared and made the same on this incarnation of the server; not if everything
    /// was missed anew since there were so many floods.
    pub(crate) fn synced(&self, incarnation: u64, n_floods: u64) {
        let mut held = self.held();
        if held.n_floods == n_floods {
            self.trusted.store(incarnation, Ordering::Release);
            self.turn(&mut held, Observation::Synced);
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock()
    }
}

#[cfg(test)]
mod tests {
    use crate::hints::key_log::MOST_BYTES;
    use crate::hints::testing::key;
    use crate::hints::testing::new;
    use crate::hints::trust::Trust;

    #[test]
    fn a_key_that_is_missed_again_during_a_repair_stays_missed() {
        let (hints, node) = new();
        hints.record_hint(key("a"));
        hints.record_hint(key("b"));
        let (missed, last) = (hints.missed_keys(), hints.last_missed());
        hints.record_hint(key("b"));
        for (key, number) in missed {
            hints.forget(&key, number);
        }
        assert!(hints.catch_up(last));
        assert!(hints.in_sync(&node, key("a")) && !hints.in_sync(&node, key("b")));
        assert!(!hints.is_in_sync(&node));
    }

    #[test]
    fn a_whole_value_settles_what_was_missed_before_it_and_nothing_since() {
        let (hints, node) = new();
        hints.record_hint([b"a".as_slice(), b"b", b"c"].into_iter());
        let last = hints.last_missed();
        hints.record_hint(key("b"));
        hints.settle([b"a".as_slice(), b"b", b"x"].into_iter(), last);
        let is_behind = |name| !hints.in_sync(&node, key(name));
        assert_eq!(["a", "b", "c"].map(is_behind), [false, true, true]);
        let last = hints.last_missed();
        hints.record_hint(key("c"));
        hints.settle(std::iter::empty(), last);
        assert_eq!(["a", "b", "c"].map(is_behind), [false, false, true]);
    }

    #[test]
    fn a_flood_during_a_repair_is_not_forgotten_by_it() {
        let (hints, node) = new();
        hints.record_hint(std::iter::empty());
        let n_floods = hints.n_floods();
        hints.record_hint(std::iter::empty());
        hints.synced(0, n_floods);
        hints.catch_up(hints.last_missed());
        assert!(!hints.in_sync(&node, key("a")));
        hints.synced(0, hints.n_floods());
        assert_eq!(hints.trust(&node, key("a")), Trust::Provisional);
        hints.catch_up(hints.last_missed());
        assert!(hints.in_sync(&node, key("a")));
    }

    #[test]
    fn too_many_keys_count_as_all() {
        let (hints, node) = new();
        let long = vec![b'x'; MOST_BYTES / 2];
        hints.record_hint(std::iter::once(long.as_slice()));
        assert!(hints.in_sync(&node, key("a")));
        hints.record_hint(
            [[long.as_slice(), b"y"].concat(), [long.as_slice(), b"z"].concat()].iter().map(Vec::as_slice),
        );
        assert!(!hints.in_sync(&node, key("a")));
        hints.readmit(&node);
        assert!(hints.is_in_sync(&node));
    }
}

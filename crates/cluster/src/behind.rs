//! Which node of a copy has missed what, as far as this client knows.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use redisdb_node::Node;

/// How many keys are remembered one by one, and how many bytes of them; above, the whole node counts as behind.
const MOST_KEYS: usize = 100_000;
const MOST_BYTES: usize = 16 << 20;

/// What one node has missed.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// The incarnation of the server whose memory is trusted; see [`Node::incarnation`].
    trusted: AtomicU64,
    everything: AtomicBool,
    n_keys: AtomicUsize,
    /// How many repairs of the node have been started, and how many of them have ended.
    repairs_started: AtomicU64,
    repairs_ended: AtomicU64,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    /// Each key with the number of the last write of it that was missed.
    missed: HashMap<Vec<u8>, u64>,
    bytes: usize,
    n_writes: u64,
    /// How often everything was missed, so that a repair notices when it happens while it runs.
    n_floods: u64,
}

impl Behind {
    /// Records that the node may not have taken a write of these keys; of none, that it missed a write of all.
    pub(crate) fn missed<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut held = self.held();
        let mut any = false;
        for key in keys {
            any = true;
            held.n_writes += 1;
            let number = held.n_writes;
            if held.missed.insert(key.to_vec(), number).is_none() {
                held.bytes += key.len();
            }
        }
        if !any || held.missed.len() > MOST_KEYS || held.bytes > MOST_BYTES {
            held.missed.clear();
            held.bytes = 0;
            held.n_floods += 1;
            self.everything.store(true, Ordering::Release);
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// Returns whether the node's answer about these keys can be trusted; of none, about anything.
    pub(crate) fn in_sync<'a>(&self, node: &Node, mut keys: impl Iterator<Item = &'a [u8]>) -> bool {
        if self.is_all_behind(node) {
            return false;
        }
        if self.n_keys.load(Ordering::Acquire) == 0 {
            return true;
        }
        let held = self.held();
        let mut any = false;
        let all = keys.all(|key| {
            any = true;
            !held.missed.contains_key(key)
        });
        all && (any || held.missed.is_empty())
    }

    fn is_all_behind(&self, node: &Node) -> bool {
        self.everything.load(Ordering::Acquire) || node.incarnation() != self.trusted.load(Ordering::Acquire)
    }

    /// Returns whether the node holds what it was sent since this client knows it, but for the keys that it missed.
    pub(crate) fn has_memory(&self, node: &Node) -> bool {
        !self.is_all_behind(node)
    }

    /// Returns whether nothing was missed at all.
    pub(crate) fn is_in_sync(&self, node: &Node) -> bool {
        self.in_sync(node, std::iter::empty())
    }

    /// Forgets what was missed: the caller vouches that the node is equal again.
    pub(crate) fn readmit(&self, node: &Node) {
        let mut held = self.held();
        held.missed.clear();
        held.bytes = 0;
        self.n_keys.store(0, Ordering::Release);
        self.trusted.store(node.incarnation(), Ordering::Release);
        self.everything.store(false, Ordering::Release);
    }

    /// How many repairs of the node have ended: what a write remembers when it begins.
    pub(crate) fn repairs_ended(&self) -> u64 {
        self.repairs_ended.load(Ordering::Acquire)
    }

    /// Returns whether a repair was under way at any time since so many had ended. What was written meanwhile may have
    /// been overwritten by what the repair had read before.
    pub(crate) fn was_repaired_since(&self, repairs_ended: u64) -> bool {
        self.repairs_started.load(Ordering::Acquire) > repairs_ended
    }

    /// Starts a repair of the node.
    pub(crate) fn start_repair<'a>(&'a self, node: &'a Node) -> Repairing<'a> {
        self.repairs_started.fetch_add(1, Ordering::AcqRel);
        let n_floods = self.held().n_floods;
        Repairing { behind: self, node, n_floods, everything: self.is_all_behind(node) }
    }

    fn held(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A repair that is under way.
#[derive(Debug)]
pub(crate) struct Repairing<'a> {
    behind: &'a Behind,
    node: &'a Node,
    n_floods: u64,
    everything: bool,
}

impl Repairing<'_> {
    /// Whether all keys have to be compared.
    pub(crate) fn everything(&self) -> bool {
        self.everything
    }

    /// The keys that are missed now, each with the number of its last write.
    pub(crate) fn missed(&self) -> Vec<(Vec<u8>, u64)> {
        self.behind.held().missed.iter().map(|(key, number)| (key.clone(), *number)).collect()
    }

    /// Forgets a key that has been brought over, unless it has been missed again since.
    pub(crate) fn forget(&self, key: &[u8], number: u64) {
        let mut held = self.behind.held();
        if held.missed.get(key) == Some(&number) {
            held.missed.remove(key);
            held.bytes -= key.len();
        }
        self.behind.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// Records a key that could not be brought over.
    pub(crate) fn failed(&self, key: &[u8]) {
        self.behind.missed(std::iter::once(key));
    }

    /// Lets the node answer reads again, but for the keys that are missed still; not if everything was missed anew.
    pub(crate) fn finish(&self) {
        let held = self.behind.held();
        if held.n_floods == self.n_floods {
            self.behind.trusted.store(self.node.incarnation(), Ordering::Release);
            self.behind.everything.store(false, Ordering::Release);
        }
    }
}

impl Drop for Repairing<'_> {
    fn drop(&mut self) {
        self.behind.repairs_ended.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use redisdb_node::NodeConfig;

    use super::*;

    fn key(key: &str) -> impl Iterator<Item = &[u8]> {
        std::iter::once(key.as_bytes())
    }

    #[test]
    fn a_key_that_is_missed_again_during_a_repair_stays_missed() {
        let (behind, node) = (Behind::default(), Node::new(NodeConfig::new("redis://h").unwrap()));
        behind.missed(key("a"));
        behind.missed(key("b"));
        let repairing = behind.start_repair(&node);
        let missed = repairing.missed();
        behind.missed(key("b"));
        for (key, number) in missed {
            repairing.forget(&key, number);
        }
        repairing.finish();
        assert!(behind.in_sync(&node, key("a")) && !behind.in_sync(&node, key("b")));
        assert!(!behind.is_in_sync(&node));
    }

    #[test]
    fn a_flood_during_a_repair_is_not_forgotten_by_it() {
        let (behind, node) = (Behind::default(), Node::new(NodeConfig::new("redis://h").unwrap()));
        behind.missed(std::iter::empty());
        let repairing = behind.start_repair(&node);
        assert!(repairing.everything());
        behind.missed(std::iter::empty());
        repairing.finish();
        assert!(!behind.in_sync(&node, key("a")));
    }

    #[test]
    fn a_write_knows_of_every_repair_that_it_met() {
        let (behind, node) = (Behind::default(), Node::new(NodeConfig::new("redis://h").unwrap()));
        let before = behind.repairs_ended();
        assert!(!behind.was_repaired_since(before));
        let repairing = behind.start_repair(&node);
        let during = behind.repairs_ended();
        assert!(behind.was_repaired_since(before) && behind.was_repaired_since(during));
        drop(repairing);
        assert!(behind.was_repaired_since(before) && behind.was_repaired_since(during));
        assert!(!behind.was_repaired_since(behind.repairs_ended()));
    }

    #[test]
    fn too_many_keys_count_as_all() {
        let (behind, node) = (Behind::default(), Node::new(NodeConfig::new("redis://h").unwrap()));
        let long = vec![b'x'; MOST_BYTES / 2];
        behind.missed(std::iter::once(long.as_slice()));
        assert!(behind.in_sync(&node, key("a")));
        behind.missed(
            [[long.as_slice(), b"y"].concat(), [long.as_slice(), b"z"].concat()].iter().map(Vec::as_slice),
        );
        assert!(!behind.in_sync(&node, key("a")));
        behind.readmit(&node);
        assert!(behind.is_in_sync(&node));
    }
}

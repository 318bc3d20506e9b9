//! Which node of a copy has missed what, as far as this client knows.

use std::collections::HashSet;
use std::sync::Mutex;
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
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    missed: HashSet<Box<[u8]>>,
    bytes: usize,
}

impl Behind {
    /// Records that the node may not have taken a write of these keys; of none, that it missed a write of all.
    pub(crate) fn missed<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut keys = keys.peekable();
        if keys.peek().is_none() {
            self.everything.store(true, Ordering::Release);
            return;
        }
        let mut held = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if held.missed.insert(key.into()) {
                held.bytes += key.len();
            }
        }
        if held.missed.len() > MOST_KEYS || held.bytes > MOST_BYTES {
            *held = Keys::default();
            self.everything.store(true, Ordering::Release);
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// Returns whether the node's answer about these keys can be trusted; of none, about anything.
    pub(crate) fn in_sync<'a>(&self, node: &Node, mut keys: impl Iterator<Item = &'a [u8]>) -> bool {
        if self.everything.load(Ordering::Acquire)
            || node.incarnation() != self.trusted.load(Ordering::Acquire)
        {
            return false;
        }
        if self.n_keys.load(Ordering::Acquire) == 0 {
            return true;
        }
        let held = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        let all = keys.all(|key| {
            any = true;
            !held.missed.contains(key)
        });
        all && (any || held.missed.is_empty())
    }

    /// Returns whether nothing was missed at all.
    pub(crate) fn is_in_sync(&self, node: &Node) -> bool {
        self.in_sync(node, std::iter::empty())
    }

    /// Forgets what was missed: the caller vouches that the node is equal again.
    pub(crate) fn readmit(&self, node: &Node) {
        let mut held = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Keys::default();
        self.n_keys.store(0, Ordering::Release);
        self.trusted.store(node.incarnation(), Ordering::Release);
        self.everything.store(false, Ordering::Release);
    }
}

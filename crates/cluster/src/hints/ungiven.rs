//! What a hint log has recorded and the other servers were not told yet.

use std::sync::atomic::Ordering;

use crate::hints::learned::Firsthand;
use crate::hints::log::HintLog;

impl HintLog {
    /// From now on what is recorded is to be given to the other servers too.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Release);
    }

    /// Returns whether anything is recorded that the other servers were not given.
    pub(crate) fn has_ungiven(&self) -> bool {
        0 < self.n_ungiven.load(Ordering::Acquire)
    }

    /// Up to so many keys that the other servers were not given, each with its number; and the number of the flood, if they
    /// are to be told that all was missed.
    pub(crate) fn ungiven(&self, most: usize) -> (Vec<(Vec<u8>, u64)>, Option<u64>) {
        let held = self.held();
        let keys = held.ungiven.iter().take(most).map(|(key, number)| (key.to_vec(), number));
        (keys.collect(), held.ungiven_flood)
    }

    /// The missed keys of which no other process can have heard. They were not given yet, or are known by a difference, which
    /// nobody is told.
    pub(crate) fn untold(&self) -> Vec<Vec<u8>> {
        let held = self.held();
        let ungiven = held.ungiven.iter().map(|(key, _)| key.to_vec());
        let differing = held.firsthand.keys().filter(|key| held.is_seen_to_differ(key));
        ungiven.chain(differing.cloned()).collect()
    }

    /// The other servers have just been given these keys.
    pub(crate) fn given_now<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut held = self.held();
        let last = held.ungiven.last();
        keys.for_each(|key| held.ungiven.forget(key, last));
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }

    /// The other servers were given these, or that all was missed, or both.
    pub(crate) fn given(&self, keys: &[(Vec<u8>, u64)], flood: Option<u64>) {
        let mut held = self.held();
        keys.iter().for_each(|(key, number)| held.ungiven.forget(key, *number));
        if held.ungiven_flood == flood {
            held.ungiven_flood = None;
        }
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }

    /// Forgets a key that another process has found to be the same as on a node in sync.
    ///
    /// The key stays if it was missed again after the write with this number. It also stays if this process knows more: it has a
    /// hint that nobody was given yet, has seen the key differ, or has sent this incarnation of the server a write that may run
    /// late.
    pub(crate) fn forget_given(&self, incarnation: u64, key: &[u8], last: u64) {
        let mut held = self.held();
        let is_firsthand = match held.firsthand.get(key) {
            None => false,
            Some(Firsthand::Crossed | Firsthand::Differs) => true,
            Some(Firsthand::Unanswered(by)) => *by == incarnation,
        };
        if held.ungiven.contains(key) || held.ungiven_flood.is_some() || is_firsthand {
            return;
        }
        held.forget(key, last);
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// No server says any more that the node has missed this key. What only others knew is forgotten, unless it was learned again
    /// after this write. What this process has seen itself is to be given to the other servers anew.
    pub(crate) fn unsaid(&self, key: &[u8], last: u64) {
        let mut held = self.held();
        if held.is_seen_to_differ(key) {
            return;
        }
        if held.is_learned(key) {
            held.forget(key, last);
        } else if held.missed.contains(key) && held.ungiven.record(std::iter::once(key)).0 {
            held.ungiven_flood = Some(held.n_floods);
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }
}

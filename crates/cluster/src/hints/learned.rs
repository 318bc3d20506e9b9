//! What a process knows of a miss beside its own writes: what other servers say, and what it has seen to differ.

use std::time::Duration;
use std::time::Instant;

use crate::hints::log::HintLog;

/// What a repair saw of a key on the two nodes, and when it first saw that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    digest: u64,
    pub(super) at: Instant,
}

/// How long a key must stay the same on two nodes before one is made equal to the other, where others know more of it: longer
/// than a write is on its way from one node to the next.
pub(super) const SETTLED: Duration = Duration::from_millis(500);

impl HintLog {
    /// Records that the node holds something else of these keys than it should, though it has missed no write that failed. This
    /// process does not read them there before they are the same. Other processes are not told: two that write at the same time
    /// see different nodes differ, and together they would have all nodes miss a write.
    pub(crate) fn record_difference<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        held.differing.extend(keys.clone().map(<[u8]>::to_vec));
        self.note(&mut held, keys);
    }

    /// The same where nodes become equal by themselves. Writes that cross leave such a difference for a moment, so the node is still read,
    /// after the other ones.
    pub(crate) fn record_crossing<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) {
        let mut held = self.held();
        for key in keys.clone() {
            if !held.missed.contains(key) {
                held.crossed.insert(key.to_vec());
            }
            held.differing.insert(key.to_vec());
        }
        self.note(&mut held, keys);
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

    /// Returns whether a key that differs is to be brought over now. Of one of which only others know that it was missed, others
    /// may be writing at this moment: it must be the same on both nodes as it was at the last look, some time ago.
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

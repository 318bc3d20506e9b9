//! The window in which keys are being copied to a node: a write that meets it is hinted again.

use std::sync::atomic::Ordering;

use twox_hash::XxHash3_64;

use crate::hints::log::HintLog;

/// A repair remembers the keys of its last batches, up to so many. A write that began before these counts as having met its keys.
pub(crate) const BATCHES: usize = 64;

impl HintLog {
    /// How many batches have been copied: what a write remembers when it begins.
    pub(crate) fn batches_ended(&self) -> u64 {
        self.batches_ended.load(Ordering::Acquire)
    }

    /// Returns whether any batch was being copied at any time since so many had been.
    pub(crate) fn was_copied_since(&self, batches_ended: u64) -> bool {
        self.batches_started.load(Ordering::Acquire) > batches_ended
    }

    /// Returns whether any of these keys was being copied at any time since so many batches had been; of none, any at
    /// all. What was written meanwhile may have been overwritten by what was read before.
    pub(crate) fn were_copied_since<'a>(
        &self,
        batches_ended: u64,
        mut keys: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        if !self.was_copied_since(batches_ended) {
            return false;
        }
        let held = self.held();
        let since = self.batches_started.load(Ordering::Acquire).saturating_sub(batches_ended);
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        let mut any = false;
        let found = keys.any(|key| {
            any = true;
            let hash = XxHash3_64::oneshot(key);
            held.batches.iter().rev().take(since).any(|batch| batch.contains(&hash))
        });
        found || !any || since > held.batches.len()
    }

    /// Records that a batch of keys is about to be read elsewhere and written to the node.
    pub(crate) fn start_batch(&self, keys: &[Vec<u8>]) -> Batch<'_> {
        let mut held = self.held();
        if held.batches.len() == BATCHES {
            held.batches.pop_front();
        }
        held.batches.push_back(keys.iter().map(|key| XxHash3_64::oneshot(key)).collect());
        self.batches_started.fetch_add(1, Ordering::AcqRel);
        Batch { hints: self }
    }
}

/// A batch of keys that is being copied to a node.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    hints: &'a HintLog,
}

impl Batch<'_> {
    /// Only these of its keys are written.
    pub(crate) fn narrow<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        if let Some(batch) = self.hints.held().batches.back_mut() {
            *batch = keys.map(XxHash3_64::oneshot).collect();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.hints.batches_ended.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::testing::key;
    use crate::hints::testing::new;

    #[test]
    fn a_write_knows_of_every_batch_with_its_key_that_it_met() {
        let (hints, _) = new();
        let keys = [b"a".to_vec(), b"b".to_vec()];
        let met = |before, name| hints.were_copied_since(before, key(name));
        let before = hints.batches_ended();
        assert!(!met(before, "a"));
        let batch = hints.start_batch(&keys);
        let during = hints.batches_ended();
        assert!(met(before, "a") && met(during, "b") && !met(during, "c"));
        // Without a key it meets them all.
        assert!(hints.were_copied_since(during, std::iter::empty()));
        batch.narrow(key("b"));
        assert!(!met(during, "a") && met(during, "b"));
        drop(batch);
        assert!(met(before, "b") && met(during, "b") && !met(hints.batches_ended(), "b"));
        for _ in 0..BATCHES {
            drop(hints.start_batch(&[]));
        }
        assert!(met(before, "a"), "what is not remembered counts as met");
    }
}

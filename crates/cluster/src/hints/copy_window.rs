//! The window in which keys are being copied to a node: they are looked at, and then those that differ are written. A write that ends
//! while its keys are looked at has them left alone; one that meets the writing of its keys is hinted again.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use twox_hash::XxHash3_64;

use crate::hints::log::HintLog;

/// A repair remembers the keys of its last batches, up to so many. A write that began before these counts as having met its keys.
pub(crate) const BATCHES: usize = 64;

/// The keys of a batch, as their hashes.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The keys that are looked at, or those of them that are written.
    keys: HashSet<u64>,
    are_written: bool,
    /// Those that this process has written since the batch began to look at them.
    touched: HashSet<u64>,
}

impl HintLog {
    /// How many batches have been copied: what a write remembers when it begins.
    pub(crate) fn batches_ended(&self) -> u64 {
        self.batches_ended.load(Ordering::Acquire)
    }

    /// Returns whether any batch was being copied at any time since so many had been.
    pub(crate) fn was_copied_since(&self, batches_ended: u64) -> bool {
        self.batches_started.load(Ordering::Acquire) > batches_ended
    }

    /// Returns whether any of these keys was being written by a batch at any time since so many batches had been copied; of none, any
    /// at all. What was written meanwhile may have been overwritten by what was read before. Keys that are only looked at until now are
    /// left alone by their batch from then on.
    pub(crate) fn were_copied_since<'a>(
        &self,
        batches_ended: u64,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        if !self.was_copied_since(batches_ended) {
            return false;
        }
        let mut held = self.held();
        let since = self.batches_started.load(Ordering::Acquire).saturating_sub(batches_ended);
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        let (mut any, mut found) = (false, since > held.batches.len());
        for key in keys {
            any = true;
            let hash = XxHash3_64::oneshot(key);
            for batch in held.batches.iter_mut().rev().take(since).filter(|batch| batch.keys.contains(&hash))
            {
                match batch.are_written {
                    true => found = true,
                    false => _ = batch.touched.insert(hash),
                }
            }
        }
        found || !any
    }

    /// Records that a batch of keys is about to be read elsewhere and on the node, so that those that differ can be written to it.
    pub(crate) fn start_batch(&self, keys: &[Vec<u8>]) -> Batch<'_> {
        let mut held = self.held();
        if held.batches.len() == BATCHES {
            held.batches.pop_front();
        }
        let keys = keys.iter().map(|key| XxHash3_64::oneshot(key)).collect();
        held.batches.push_back(Copying { keys, ..Copying::default() });
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
    /// From now on these of its keys are written. Returns of each whether it may be: one that this process has written meanwhile is left
    /// alone.
    pub(crate) fn writes<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Vec<bool> {
        let mut held = self.hints.held();
        let Some(batch) = held.batches.back_mut() else { return keys.map(|_| false).collect() };
        let hashes: Vec<u64> = keys.map(XxHash3_64::oneshot).collect();
        let may_be: Vec<bool> = hashes.iter().map(|hash| !batch.touched.contains(hash)).collect();
        batch.keys =
            hashes.into_iter().zip(&may_be).filter(|(_, may_be)| **may_be).map(|(hash, _)| hash).collect();
        batch.are_written = true;
        may_be
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if let Some(batch) = self.hints.held().batches.back_mut().filter(|batch| !batch.are_written) {
            *batch = Copying::default();
        }
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
        // Without a key it meets them all.
        assert!(hints.were_copied_since(during, std::iter::empty()));
        assert_eq!(batch.writes(key("b")), [true]);
        assert!(!met(during, "a") && met(during, "b") && !met(during, "c"));
        drop(batch);
        assert!(met(before, "b") && met(during, "b") && !met(hints.batches_ended(), "b"));
        for _ in 0..BATCHES {
            drop(hints.start_batch(&[]));
        }
        assert!(met(before, "a"), "what is not remembered counts as met");
    }

    #[test]
    fn a_batch_leaves_alone_what_was_written_while_it_looked() {
        let (hints, _) = new();
        let keys = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
        let met = |before, name| hints.were_copied_since(before, key(name));
        let before = hints.batches_ended();
        let batch = hints.start_batch(&keys);
        assert!(
            !hints.were_copied_since(before, [b"a".as_slice(), b"b"].into_iter()),
            "nothing is overwritten"
        );
        let all = || keys.iter().map(Vec::as_slice);
        assert_eq!(batch.writes(all()), [false, false, true]);
        assert!(!met(before, "a") && !met(before, "b") && met(before, "c"));
        drop(batch);
        assert!(!met(before, "a") && met(before, "c"), "the write of `a` was not over before the batch was");
        // One that fails before it writes anything overwrites nothing.
        let before = hints.batches_ended();
        drop(hints.start_batch(&keys));
        assert!(!met(before, "a"));
        assert_eq!(hints.start_batch(&keys).writes(all()), [true; 3]);
    }
}

//! The work of convergence that is still to be done: the dirty keys, and whether any key may have changed unheard. A value without I/O.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;

use crate::anti_entropy::convergence::dirty::Dirty;
use crate::anti_entropy::convergence::dirty::DirtyKeys;
use crate::anti_entropy::convergence::dirty::Overflow;
use crate::anti_entropy::convergence::dirty::Size;
use crate::anti_entropy::convergence::dirty::Told;
use crate::anti_entropy::convergence::second_look::FirstLooks;

/// The work that the process that leads has still to do.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) dirty: Mutex<DirtyKeys>,
    /// The first looks at dirty keys that are compared once more.
    pub(super) first_looks: Mutex<FirstLooks>,
    /// The number of times that any key may have changed unheard.
    unheard: AtomicU64,
    /// The number of these times after which all keys have been compared.
    pub(super) compared: AtomicU64,
    /// The last time when any key may have changed unheard.
    unheard_at: Mutex<Option<Instant>>,
    /// True if a node does not tell what changes there.
    pub(super) is_deaf: AtomicBool,
}

impl Work {
    /// Notes that a key has changed, as these nodes tell.
    pub(super) fn change(&self, key: &[u8], on: Told) {
        let overflow = self.dirty.lock().change(key, on, Instant::now());
        self.heed(overflow);
    }

    /// Notes that a key differs, of which no node has told.
    pub(super) fn differs(&self, key: &[u8]) {
        let now = Instant::now();
        let found = Dirty { key: key.to_vec(), told: Told::default(), since: now };
        let overflow = self.dirty.lock().put_back(&found, Size::Small, now);
        self.heed(overflow);
    }

    /// Notes that a key with a large value may have changed, as these nodes tell, since then.
    pub(super) fn is_large(&self, key: &[u8], on: Told, since: Instant) {
        let overflow = self.dirty.lock().is_large(key, on, since);
        self.heed(overflow);
    }

    /// Takes out keys that are quiet, so many at most.
    pub(super) fn take_quiet(&self, size: Size, quiet: Duration, most: usize) -> Vec<Dirty> {
        self.dirty.lock().take_quiet(size, quiet, Instant::now(), most)
    }

    /// Notes what became of keys that were taken out: some are to be compared again, and some turned out to be large.
    pub(super) fn are_done(&self, (taken, size): (&[Dirty], Size), again: &[Dirty], large: &[Dirty]) {
        let overflow = {
            let (dirty, now) = (&mut *self.dirty.lock(), Instant::now());
            dirty.are_done(taken);
            let again = again.iter().map(|key| dirty.put_back(key, size, now));
            let is_any = again.fold(false, |any, Overflow(one)| any | one);
            let large = large.iter().map(|Dirty { key, told, since }| dirty.is_large(key, *told, *since));
            Overflow(large.fold(is_any, |any, Overflow(one)| any | one))
        };
        self.heed(overflow);
    }

    /// How long the first of the keys that were quiet has waited to be found equal.
    pub(super) fn lag(&self, quiet: Duration) -> Duration {
        self.dirty.lock().oldest(Instant::now()).unwrap_or_default().saturating_sub(quiet)
    }

    fn heed(&self, Overflow(is_any_dirty): Overflow) {
        if is_any_dirty {
            self.first_looks.lock().clear();
            self.any_may_have_changed();
        }
    }

    pub(super) fn any_may_have_changed(&self) {
        *self.unheard_at.lock() = Some(Instant::now());
        self.unheard.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns how often any key may have changed unheard.
    pub(super) fn times_unheard(&self) -> u64 {
        self.unheard.load(Ordering::Acquire)
    }

    /// Returns which of the keys have changed, or may have changed, since they were taken out.
    /// `times_unheard` is the number of that moment.
    pub(super) fn changed_since(&self, keys: &[Vec<u8>], times_unheard: u64) -> Vec<bool> {
        let any_may_have = self.times_unheard() != times_unheard;
        let dirty = self.dirty.lock();
        keys.iter().map(|key| any_may_have || dirty.contains(key)).collect()
    }

    /// Notes that the process that led then has compared all that changed, or was unheard, so long ago.
    pub(super) fn is_done_upto(&self, long_ago: Duration) {
        let done = self.take_quiet(Size::Small, long_ago, usize::MAX);
        self.are_done((&done, Size::Small), &[], &[]);
        if self.unheard_at.lock().is_none_or(|at| long_ago <= at.elapsed()) {
            self.compared.store(self.times_unheard(), Ordering::Release);
        }
    }

    /// Returns the number of times unheard up to which all keys are to be compared; `None` if they are not.
    pub(super) fn round_due(&self) -> Option<u64> {
        let unheard = self.times_unheard();
        (self.compared.load(Ordering::Acquire) < unheard).then_some(unheard)
    }
}

/// Keys that were taken out to be compared. They are put back if nobody says what became of them.
pub(super) struct UnderWay<'a> {
    work: &'a Work,
    due: &'a [Dirty],
    size: Size,
    is_over: bool,
}

impl<'a> UnderWay<'a> {
    pub(super) fn new(work: &'a Work, due: &'a [Dirty], size: Size) -> Self {
        Self { work, due, size, is_over: false }
    }

    pub(super) fn are_done(mut self, again: &[Dirty], large: &[Dirty]) {
        self.is_over = true;
        self.work.are_done((self.due, self.size), again, large);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.work.are_done((self.due, self.size), self.due, &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_changes_were_not_heard_each_key_may_have_changed() {
        let work = Work::default();
        let keys = [b"a".to_vec(), b"b".to_vec()];
        let times_unheard = work.times_unheard();
        work.change(b"b", Told::by(0));
        assert_eq!(work.changed_since(&keys, times_unheard), [false, true]);
        work.any_may_have_changed();
        assert_eq!(work.changed_since(&keys, times_unheard), [true, true]);
    }
}

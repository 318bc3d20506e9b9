//! The dirty keys: those that have changed somewhere, and are compared once they are quiet. A value without I/O.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

/// So many keys are dirty at most ..
const MOST_KEYS: usize = 1_000_000;
/// .. and so many bytes their names have together. Beyond that, all keys are compared.
const MOST_BYTES: usize = 64 << 20;

/// The keys that have changed since they were last compared.
#[derive(Debug, Default)]
pub(crate) struct DirtyKeys {
    changed: HashMap<Arc<[u8]>, Change>,
    /// The same keys, in the order in which they changed last.
    small: BTreeSet<(Instant, Arc<[u8]>)>,
    large: BTreeSet<(Instant, Arc<[u8]>)>,
    n_bytes: usize,
}

/// The size of a value, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// It is small, or not known yet.
    Small,
    /// It was found to be large.
    Large,
}

/// When a key changed last, and where.
#[derive(Debug, Clone, Copy)]
struct Change {
    at: Instant,
    on: Told,
    size: Size,
}

/// What is known of a key since it was last seen equal: the nodes, by their index, that have told that it changed there, and those that
/// were given it because they lacked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Told {
    told: u64,
    given: u64,
}

impl Told {
    /// This node has told.
    pub(crate) fn by(node: usize) -> Self {
        Self { told: bit(node), given: 0 }
    }

    /// The same, and this node was given the key since it has told of it.
    pub(crate) fn given_to(self, node: usize) -> Self {
        Self { told: self.told & !bit(node), given: self.given | bit(node) }
    }

    /// Nothing counts that a node has told: one of them may have been flushed.
    pub(crate) fn by_nobody(self) -> Self {
        Self { told: 0, ..self }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self { told: self.told | other.told, given: self.given | other.given }
    }

    fn without(self, node: usize) -> Self {
        Self { told: self.told & !bit(node), ..self }
    }

    pub(crate) fn includes(self, node: usize) -> bool {
        self.told & bit(node) != 0
    }

    /// Returns whether this node was given the key, because it lacked it.
    pub(crate) fn was_given(self, node: usize) -> bool {
        self.given & bit(node) != 0
    }
}

fn bit(node: usize) -> u64 {
    u32::try_from(node).ok().and_then(|node| 1_u64.checked_shl(node)).unwrap_or(0)
}

/// There are too many dirty keys: all are forgotten, and any key may be dirty.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Overflow(pub(crate) bool);

impl DirtyKeys {
    /// Records that a key has changed, as these nodes tell.
    pub(crate) fn change(&mut self, key: &[u8], on: Told, now: Instant) -> Overflow {
        self.put(key, |known| match known {
            Some(change) => Change { at: now, on: change.on.or(on), size: change.size },
            None => Change { at: now, on, size: Size::Small },
        })
    }

    /// Puts a key back that was quiet, and is large.
    pub(crate) fn is_large(&mut self, key: &[u8], on: Told, quiet_since: Instant) -> Overflow {
        self.put(key, |known| match known {
            Some(change) => Change { at: change.at, on: change.on.or(on), size: Size::Large },
            None => Change { at: quiet_since, on, size: Size::Large },
        })
    }

    fn put(&mut self, key: &[u8], change: impl FnOnce(Option<Change>) -> Change) -> Overflow {
        let known = self.changed.get_key_value(key).map(|(name, change)| (Arc::clone(name), *change));
        let change = change(known.as_ref().map(|(_, change)| *change));
        let name = match known {
            Some((name, before)) => {
                self.by_time(before.size).remove(&(before.at, Arc::clone(&name)));
                name
            }
            None if MOST_KEYS == self.changed.len() || MOST_BYTES < self.n_bytes + key.len() => {
                *self = Self::default();
                return Overflow(true);
            }
            None => {
                self.n_bytes += key.len();
                key.into()
            }
        };
        self.by_time(change.size).insert((change.at, Arc::clone(&name)));
        self.changed.insert(name, change);
        Overflow(false)
    }

    fn by_time(&mut self, size: Size) -> &mut BTreeSet<(Instant, Arc<[u8]>)> {
        match size {
            Size::Small => &mut self.small,
            Size::Large => &mut self.large,
        }
    }

    /// What this node has told counts for nothing any more: it was emptied.
    pub(crate) fn disregard(&mut self, node: usize) {
        self.changed.values_mut().for_each(|change| change.on = change.on.without(node));
    }

    /// Takes out keys of a size that have not changed for so long, so many at most, with the nodes that told of each.
    pub(crate) fn take_quiet(
        &mut self,
        size: Size,
        quiet: Duration,
        now: Instant,
        most: usize,
    ) -> Vec<(Vec<u8>, Told)> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((at, _)) = self.by_time(size).first()
            && quiet <= now.saturating_duration_since(*at)
            && let Some((_, name)) = self.by_time(size).pop_first()
        {
            self.n_bytes -= name.len();
            let on = self.changed.remove(&name).map(|change| change.on).unwrap_or_default();
            taken.push((name.to_vec(), on));
        }
        taken
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.changed.len()
    }

    /// How many of them were found to be large.
    pub(crate) fn n_large(&self) -> usize {
        self.large.len()
    }

    /// Returns whether this key is one of them.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.changed.contains_key(key)
    }

    /// How long ago the key changed that has been quiet for the longest time.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let first = [&self.small, &self.large].into_iter().filter_map(BTreeSet::first).min();
        first.map(|(at, _)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_quiet_when_it_has_not_changed_for_that_long_and_is_taken_once() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        for (key, at) in [(b"a", 0.0), (b"b", 0.1), (b"a", 0.5)] {
            assert_eq!(dirty.change(key, Told::by(0), start + QUIET.mul_f64(at)), Overflow(false));
        }
        assert_eq!(dirty.take_quiet(Size::Small, QUIET, start + QUIET, 9), []);
        let taken = dirty.take_quiet(Size::Small, QUIET, start + QUIET.mul_f64(1.1), 9);
        assert_eq!(taken, [(b"b".to_vec(), Told::by(0))], "the other one has changed once more");
        assert_eq!(dirty.oldest(start + QUIET), Some(QUIET / 2));
        assert_eq!(
            dirty.take_quiet(Size::Small, QUIET, start + QUIET * 2, 9),
            [(b"a".to_vec(), Told::by(0))]
        );
        assert_eq!((dirty.len(), dirty.n_bytes, dirty.oldest(start)), (0, 0, None));
    }

    #[test]
    fn a_large_key_is_taken_by_itself_and_stays_large_while_it_changes() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        for key in [b"a", b"b", b"c"] {
            assert_eq!(dirty.change(key, Told::by(0), start), Overflow(false));
        }
        // One that is in no list any more, and one that has changed meanwhile.
        let mut taken = dirty.take_quiet(Size::Small, QUIET, start + QUIET, 2);
        taken.sort();
        assert_eq!(dirty.change(b"b", Told::by(1), start + QUIET), Overflow(false));
        for (key, told) in &taken {
            assert_eq!(dirty.is_large(key, *told, start), Overflow(false));
        }
        assert_eq!((dirty.len(), dirty.n_large(), dirty.oldest(start + QUIET)), (3, 2, Some(QUIET)));
        assert_eq!(
            dirty.take_quiet(Size::Small, QUIET, start + QUIET * 9, 9),
            [(b"c".to_vec(), Told::by(0))]
        );
        assert_eq!(dirty.take_quiet(Size::Large, QUIET, start + QUIET, 9), [(b"a".to_vec(), Told::by(0))]);
        assert_eq!(dirty.change(b"b", Told::by(2), start + QUIET * 2), Overflow(false));
        assert_eq!(dirty.take_quiet(Size::Large, QUIET, start + QUIET * 2, 9), []);
        let told = Told::by(0).or(Told::by(1)).or(Told::by(2));
        assert_eq!(dirty.take_quiet(Size::Large, QUIET, start + QUIET * 3, 9), [(b"b".to_vec(), told)]);
        assert_eq!((dirty.len(), dirty.n_bytes), (0, 0));
    }

    #[test]
    fn the_key_that_has_been_quiet_for_the_longest_time_may_be_large_or_small() {
        for (large, small) in [(1, 2), (2, 1)] {
            let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
            assert_eq!(dirty.change(b"a", Told::default(), start + QUIET * small), Overflow(false));
            assert_eq!(dirty.is_large(b"b", Told::default(), start + QUIET * large), Overflow(false));
            assert_eq!(dirty.oldest(start + QUIET * 3), Some(QUIET * 2));
        }
    }

    #[test]
    fn it_is_known_which_nodes_told_of_a_key_but_not_of_one_that_was_emptied_since() {
        let (mut dirty, now) = (DirtyKeys::default(), Instant::now());
        for node in [0, 2, 63] {
            assert_eq!(dirty.change(b"k", Told::by(node), now), Overflow(false));
        }
        dirty.disregard(2);
        assert!(dirty.contains(b"k"));
        let taken = dirty.take_quiet(Size::Small, Duration::ZERO, now, 1);
        let told: Vec<usize> = (0..200).filter(|node| taken[0].1.includes(*node)).collect();
        assert_eq!(told, [0, 63]);
    }

    #[test]
    fn what_a_node_told_before_it_was_given_the_key_counts_no_more_and_what_it_tells_since_does() {
        let given = Told::by(0).or(Told::by(1)).given_to(1);
        assert_eq!(
            [0, 1].map(|node| (given.includes(node), given.was_given(node))),
            [(true, false), (false, true)]
        );
        assert!([1, 2].iter().all(|node| given.given_to(2).was_given(*node)));
        let since = given.or(Told::by(1));
        assert!(since.includes(1) && since.was_given(1));
        assert!(!since.by_nobody().includes(1) && since.by_nobody().was_given(1));
    }

    #[test]
    fn of_too_many_keys_none_is_remembered() {
        let (mut dirty, now) = (DirtyKeys::default(), Instant::now());
        let long = vec![b'x'; MOST_BYTES];
        assert_eq!(dirty.change(&long, Told::default(), now), Overflow(false));
        assert_eq!(dirty.change(&long, Told::default(), now), Overflow(false));
        assert_eq!(dirty.change(b"k", Told::default(), now), Overflow(true));
        assert_eq!((dirty.len(), dirty.n_bytes), (0, 0));
        for i in 0..MOST_KEYS {
            assert_eq!(dirty.change(&i.to_be_bytes(), Told::default(), now), Overflow(false));
        }
        assert_eq!(dirty.change(b"k", Told::default(), now), Overflow(true));
    }
}

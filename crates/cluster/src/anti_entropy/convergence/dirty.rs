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
    /// Those of them that were quiet and could not be compared, in the order in which nodes told of them last.
    put_back: BTreeSet<(Instant, Arc<[u8]>)>,
    /// Those that were taken out to be compared, in the same order.
    under_way: BTreeSet<(Instant, Vec<u8>)>,
    n_bytes: usize,
}

/// A dirty key that is quiet, and is taken out to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dirty {
    pub(crate) key: Vec<u8>,
    pub(crate) told: Told,
    /// When a node told of it last.
    pub(crate) since: Instant,
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
    /// When it changed last, or was put back.
    at: Instant,
    on: Told,
    size: Size,
    /// When a node told of it last.
    since: Instant,
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
            Some(change) => Change { at: now, on: change.on.or(on), size: change.size, since: now },
            None => Change { at: now, on, size: Size::Small, since: now },
        })
    }

    /// Puts a key back that was quiet, and is large.
    pub(crate) fn is_large(&mut self, key: &[u8], on: Told, since: Instant) -> Overflow {
        self.put(key, |known| match known {
            Some(change) => Change { on: change.on.or(on), size: Size::Large, ..change },
            None => Change { at: since, on, size: Size::Large, since },
        })
    }

    /// Puts keys back that were taken out and could not be compared. They are quiet again when they have not changed for as long as before.
    pub(crate) fn put_back(&mut self, dirty: &Dirty, size: Size, now: Instant) -> Overflow {
        let Dirty { key, told, since } = dirty;
        self.put(key, |known| match known {
            Some(change) => Change { on: change.on.or(*told), ..change },
            None => Change { at: now, on: *told, size, since: *since },
        })
    }

    /// These keys, which were taken out, are not under way any more.
    pub(crate) fn are_done(&mut self, taken: &[Dirty]) {
        taken.iter().for_each(|Dirty { key, since, .. }| _ = self.under_way.remove(&(*since, key.clone())));
    }

    fn put(&mut self, key: &[u8], change: impl FnOnce(Option<Change>) -> Change) -> Overflow {
        let known = self.changed.get_key_value(key).map(|(name, change)| (Arc::clone(name), *change));
        let change = change(known.as_ref().map(|(_, change)| *change));
        let name = match known {
            Some((name, before)) => {
                self.by_time(before.size).remove(&(before.at, Arc::clone(&name)));
                self.put_back.remove(&(before.since, Arc::clone(&name)));
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
        if change.since < change.at {
            self.put_back.insert((change.since, Arc::clone(&name)));
        }
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

    /// Takes out keys of a size that have not changed for so long, so many at most. They are under way until they
    /// [are done](Self::are_done).
    pub(crate) fn take_quiet(
        &mut self,
        size: Size,
        quiet: Duration,
        now: Instant,
        most: usize,
    ) -> Vec<Dirty> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((at, _)) = self.by_time(size).first()
            && quiet <= now.saturating_duration_since(*at)
            && let Some((_, name)) = self.by_time(size).pop_first()
        {
            self.n_bytes -= name.len();
            let Some(Change { on, since, .. }) = self.changed.remove(&name) else { continue };
            self.put_back.remove(&(since, Arc::clone(&name)));
            self.under_way.insert((since, name.to_vec()));
            taken.push(Dirty { key: name.to_vec(), told: on, since });
        }
        taken
    }

    /// How many there are, also under way.
    pub(crate) fn len(&self) -> usize {
        self.changed.len() + self.under_way.len()
    }

    /// How many of them were found to be large.
    pub(crate) fn n_large(&self) -> usize {
        self.large.len()
    }

    /// Returns whether this key is one of them.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.changed.contains_key(key)
    }

    /// How long ago a node told of the key that has waited to be compared for the longest time.
    pub(crate) fn oldest(&self, now: Instant) -> Option<Duration> {
        let waiting = [&self.small, &self.large, &self.put_back].into_iter().filter_map(BTreeSet::first);
        let waiting = waiting.map(|(at, _)| at).chain(self.under_way.first().map(|(since, _)| since));
        waiting.min().map(|at| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(1);

    /// Takes out keys that are quiet and compares them at once. Returns them, and who told of them.
    fn compared(dirty: &mut DirtyKeys, size: Size, now: Instant, most: usize) -> Vec<(Vec<u8>, Told)> {
        let taken = dirty.take_quiet(size, QUIET, now, most);
        dirty.are_done(&taken);
        taken.into_iter().map(|Dirty { key, told, .. }| (key, told)).collect()
    }

    #[test]
    fn a_key_is_quiet_when_it_has_not_changed_for_that_long_and_is_taken_once() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        for (key, at) in [(b"a", 0.0), (b"b", 0.1), (b"a", 0.5)] {
            assert_eq!(dirty.change(key, Told::by(0), start + QUIET.mul_f64(at)), Overflow(false));
        }
        assert_eq!(compared(&mut dirty, Size::Small, start + QUIET, 9), []);
        let taken = compared(&mut dirty, Size::Small, start + QUIET.mul_f64(1.1), 9);
        assert_eq!(taken, [(b"b".to_vec(), Told::by(0))], "the other one has changed once more");
        assert_eq!(dirty.oldest(start + QUIET), Some(QUIET / 2));
        assert_eq!(compared(&mut dirty, Size::Small, start + QUIET * 2, 9), [(b"a".to_vec(), Told::by(0))]);
        assert_eq!((dirty.len(), dirty.n_bytes, dirty.oldest(start)), (0, 0, None));
    }

    #[test]
    fn a_large_key_is_taken_by_itself_and_stays_large_while_it_changes() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        for key in [b"a", b"b", b"c"] {
            assert_eq!(dirty.change(key, Told::by(0), start), Overflow(false));
        }
        // One that is in no list any more, and one that has changed meanwhile.
        let mut taken = compared(&mut dirty, Size::Small, start + QUIET, 2);
        taken.sort();
        assert_eq!(dirty.change(b"b", Told::by(1), start + QUIET), Overflow(false));
        for (key, told) in &taken {
            assert_eq!(dirty.is_large(key, *told, start), Overflow(false));
        }
        assert_eq!((dirty.len(), dirty.n_large(), dirty.oldest(start + QUIET)), (3, 2, Some(QUIET)));
        assert_eq!(compared(&mut dirty, Size::Small, start + QUIET * 9, 9), [(b"c".to_vec(), Told::by(0))]);
        assert_eq!(compared(&mut dirty, Size::Large, start + QUIET, 9), [(b"a".to_vec(), Told::by(0))]);
        assert_eq!(dirty.change(b"b", Told::by(2), start + QUIET * 2), Overflow(false));
        assert_eq!(compared(&mut dirty, Size::Large, start + QUIET * 2, 9), []);
        let told = Told::by(0).or(Told::by(1)).or(Told::by(2));
        assert_eq!(compared(&mut dirty, Size::Large, start + QUIET * 3, 9), [(b"b".to_vec(), told)]);
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
        let taken = compared(&mut dirty, Size::Small, now + QUIET, 1);
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

    #[test]
    fn a_key_waits_from_when_a_node_told_of_it_while_it_is_under_way_and_after_it_was_put_back() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        for (size, key) in [(Size::Small, b"a"), (Size::Large, b"b")] {
            assert_eq!(dirty.change(key, Told::by(0), start), Overflow(false));
            if size == Size::Large {
                assert_eq!(dirty.is_large(key, Told::by(0), start), Overflow(false));
            }
            let taken = dirty.take_quiet(size, QUIET, start + QUIET, 1);
            assert_eq!(
                (dirty.len(), dirty.oldest(start + QUIET * 3)),
                (1, Some(QUIET * 3)),
                "it is under way"
            );
            assert!(!dirty.contains(key), "it has not changed since");
            dirty.are_done(&taken);
            assert_eq!(dirty.put_back(&taken[0], size, start + QUIET * 3), Overflow(false));
            assert_eq!((dirty.len(), dirty.oldest(start + QUIET * 3)), (1, Some(QUIET * 3)));
            assert_eq!(dirty.take_quiet(size, QUIET, start + QUIET * 3, 1), [], "it is tried again later");
            assert_eq!(dirty.take_quiet(size, QUIET, start + QUIET * 4, 1), taken);
            dirty.are_done(&taken);
            assert_eq!((dirty.len(), dirty.oldest(start), dirty.put_back.len()), (0, None, 0));
        }
    }

    #[test]
    fn a_key_that_changes_while_it_is_under_way_waits_from_then_on() {
        let (mut dirty, start) = (DirtyKeys::default(), Instant::now());
        assert_eq!(dirty.change(b"a", Told::by(0), start), Overflow(false));
        let taken = dirty.take_quiet(Size::Small, QUIET, start + QUIET, 1);
        assert_eq!(dirty.change(b"a", Told::by(1), start + QUIET * 2), Overflow(false));
        assert_eq!(dirty.len(), 2);
        dirty.are_done(&taken);
        assert_eq!(dirty.put_back(&taken[0], Size::Small, start + QUIET * 3), Overflow(false));
        assert_eq!(dirty.oldest(start + QUIET * 3), Some(QUIET));
        let told = Told::by(0).or(Told::by(1));
        assert_eq!(compared(&mut dirty, Size::Small, start + QUIET * 3, 1), [(b"a".to_vec(), told)]);
        // So it does after it was put back.
        assert_eq!(dirty.put_back(&taken[0], Size::Small, start + QUIET * 3), Overflow(false));
        assert_eq!(dirty.change(b"a", Told::by(1), start + QUIET * 4), Overflow(false));
        assert_eq!(dirty.oldest(start + QUIET * 5), Some(QUIET));
        assert_eq!(dirty.put_back.len(), 0);
    }
}

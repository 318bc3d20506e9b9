//! The keys of the world that is explored.

use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Index;
use std::ops::IndexMut;

/// A key, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key(u8);

impl Key {
    /// The largest number of keys.
    const MAX: usize = 2;

    /// Returns the first keys.
    pub(crate) fn first_n(n_keys: usize) -> impl Iterator<Item = Self> {
        (0..2).take(n_keys).map(Self)
    }

    /// Returns its number.
    pub(crate) fn idx(self) -> usize {
        usize::from(self.0)
    }
}

/// One value for each key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct PerKey<T>([T; Key::MAX]);

impl<T: Hash + PartialEq + Default> Hash for PerKey<T> {
    /// Most say nothing: that is not hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let nothing = T::default();
        let says_something = |said: u8, value: &T| said << 1 | u8::from(*value != nothing);
        self.0.iter().fold(0, says_something).hash(state);
        self.0.iter().filter(|value| **value != nothing).for_each(|value| value.hash(state));
    }
}

impl<T> Index<Key> for PerKey<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "keys are numbered below `Key::MAX`")]
    fn index(&self, key: Key) -> &T {
        &self.0[key.idx()]
    }
}

impl<T> IndexMut<Key> for PerKey<T> {
    #[expect(clippy::indexing_slicing, reason = "keys are numbered below `Key::MAX`")]
    fn index_mut(&mut self, key: Key) -> &mut T {
        &mut self.0[key.idx()]
    }
}

//! A key of which something is under way, and sets of such keys.

use std::ops::Index;
use std::ops::IndexMut;

/// The slot of a key that is in motion: written to, missed somewhere, or being repaired.
///
/// Whoever runs the core gives a key a slot when it comes into motion. A key at rest has no state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(u8);

impl Key {
    /// The first slot.
    pub const FIRST: Self = Self(0);
    /// The largest number of slots.
    pub const MAX: usize = 2;

    /// Returns the key of this slot, if there is one.
    #[must_use]
    pub fn new(idx: usize) -> Option<Self> {
        (idx < Self::MAX).then_some(Self(u8::try_from(idx).ok()?))
    }

    /// Returns its slot.
    #[must_use]
    pub fn idx(self) -> usize {
        usize::from(self.0)
    }
}

/// Some keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct KeySet(u8);

impl KeySet {
    /// No key.
    pub const EMPTY: Self = Self(0);

    /// Returns the keys of the first `n_keys` slots.
    #[must_use]
    pub fn first_n(n_keys: usize) -> Self {
        (0..n_keys).filter_map(Key::new).fold(Self::EMPTY, Self::with)
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the key is one of them.
    #[must_use]
    pub fn contains(self, key: Key) -> bool {
        self.0 >> key.0 & 1 == 1
    }

    /// Returns whether all of them are in the other set too.
    #[must_use]
    pub fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// Returns these and one more.
    #[must_use]
    pub fn with(self, key: Key) -> Self {
        Self(self.0 | 1 << key.0)
    }

    /// Adds a key.
    pub fn insert(&mut self, key: Key) {
        *self = self.with(key);
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: Key) {
        self.0 &= !(1 << key.0);
    }

    /// Returns them in their order.
    pub fn iter(self) -> impl Iterator<Item = Key> {
        (0..8).filter(move |idx| self.0 >> idx & 1 == 1).map(Key)
    }
}

/// One value for each key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PerKey<T>([T; Key::MAX]);

impl<T> PerKey<T> {
    /// Returns all of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

impl<T> Index<Key> for PerKey<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "a key is made for slots below `Key::MAX` only")]
    fn index(&self, key: Key) -> &T {
        &self.0[key.idx()]
    }
}

impl<T> IndexMut<Key> for PerKey<T> {
    #[expect(clippy::indexing_slicing, reason = "a key is made for slots below `Key::MAX` only")]
    fn index_mut(&mut self, key: Key) -> &mut T {
        &mut self.0[key.idx()]
    }
}

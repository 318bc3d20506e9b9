//! What a key holds: the writes that made it, from the last whole write on.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::iter;
use std::ops::Index;
use std::ops::IndexMut;

use redisdb_replication::Digest;

/// One write of a key, by its number from 1 on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct WriteId(pub(crate) u8);

impl WriteId {
    /// The largest number of writes of a key.
    pub(crate) const MAX: u8 = 4;

    pub(crate) fn all(n_writes: u8) -> impl Iterator<Item = Self> {
        (1..=n_writes).map(Self)
    }

    /// The set of this write alone.
    fn alone(self) -> u8 {
        1_u8.wrapping_shl(u32::from(self.0))
    }
}

/// Some writes of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct WriteSet(u8);

impl WriteSet {
    pub(crate) fn contains(self, id: WriteId) -> bool {
        self.0 & id.alone() != 0
    }

    pub(crate) fn insert(&mut self, id: WriteId) {
        self.0 |= id.alone();
    }

    pub(crate) fn remove(&mut self, id: WriteId) {
        self.0 &= !id.alone();
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = WriteId> {
        let mut left = self.0;
        iter::from_fn(move || {
            let next = (left != 0).then(|| WriteId(left.trailing_zeros() as u8))?;
            left &= !next.alone();
            Some(next)
        })
    }
}

impl FromIterator<WriteId> for WriteSet {
    fn from_iter<I: IntoIterator<Item = WriteId>>(ids: I) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

/// One value for each write of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct PerWrite<T>([T; WriteId::MAX as usize]);

impl<T: Hash + PartialEq + Default> Hash for PerWrite<T> {
    /// Most say nothing: that is not hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let nothing = T::default();
        let says_something = |said: u8, value: &T| said << 1 | u8::from(*value != nothing);
        self.0.iter().fold(0, says_something).hash(state);
        self.0.iter().filter(|value| **value != nothing).for_each(|value| value.hash(state));
    }
}

impl<T> Index<WriteId> for PerWrite<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "writes are numbered from 1 to `WriteId::MAX`")]
    fn index(&self, id: WriteId) -> &T {
        &self.0[usize::from(id.0) - 1]
    }
}

impl<T> IndexMut<WriteId> for PerWrite<T> {
    #[expect(clippy::indexing_slicing, reason = "writes are numbered from 1 to `WriteId::MAX`")]
    fn index_mut(&mut self, id: WriteId) -> &mut T {
        &mut self.0[usize::from(id.0) - 1]
    }
}

/// The writes that made a value, in their order, four bits each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Value(u32);

impl Value {
    /// Nothing is there.
    pub(crate) const MISSING: Self = Self(0);

    /// Returns the value after a whole write.
    pub(crate) fn replaced_by(id: WriteId) -> Self {
        Self(u32::from(id.0))
    }

    /// Returns the value after a relative write.
    pub(crate) fn increased_by(self, id: WriteId) -> Self {
        if self.0 >> 28 == 0 { Self(self.0 << 4 | u32::from(id.0)) } else { self }
    }

    /// Returns the writes in their order.
    pub(crate) fn writes(self) -> impl Iterator<Item = WriteId> {
        // The first one is in the highest bits that are not zero, and no write has the number 0.
        let mut left = 32 - self.0.leading_zeros().min(32) / 4 * 4;
        iter::from_fn(move || {
            left = left.checked_sub(4)?;
            Some(WriteId((self.0.wrapping_shr(left) & 15) as u8))
        })
    }

    pub(crate) fn has(self, id: WriteId) -> bool {
        self.writes().any(|other| other == id)
    }

    /// Returns the whole write that it rests on.
    pub(crate) fn base(self, whole: WriteSet) -> Option<WriteId> {
        self.writes().next().filter(|id| whole.contains(*id))
    }

    /// Returns what can be seen of it: which whole write it rests on, and how often it was increased since. That it rests on
    /// one of the deletes cannot be seen.
    pub(crate) fn digest(self, whole: WriteSet, deletes: WriteSet) -> Digest {
        let base = self.base(whole);
        let n_relative = self.writes().count() - usize::from(base.is_some());
        let base = base.filter(|id| !deletes.contains(*id));
        Digest(u64::from(base.unwrap_or_default().0) << 8 | n_relative as u64)
    }

    /// Returns whether a write is in it twice.
    pub(crate) fn has_twice(self, id: WriteId) -> bool {
        1 < self.writes().filter(|other| *other == id).count()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes: Vec<String> = self.writes().map(|id| id.0.to_string()).collect();
        write!(f, "[{}]", writes.join(" "))
    }
}

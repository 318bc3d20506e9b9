//! The result of a look-up: a hit, a miss, or why neither is known.

use crate::entry::Entry;
use crate::error::DecodeReason;

/// What is known of a key: four things that a plain `Option` would make one or two of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<T, S> {
    /// There is a value.
    Hit(T),
    /// There is a value that should be loaded anew.
    Stale(T),
    /// There is the note that no value exists where it would be loaded from.
    Negative,
    /// There is nothing: never stored, gone, or deleted.
    Miss,
    /// The store could not say: this is its error.
    Unavailable(S),
}

impl<T, S> Lookup<T, S> {
    /// The value that is there, fresh or stale.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Hit(value) | Self::Stale(value) => Some(value),
            Self::Negative | Self::Miss | Self::Unavailable(_) => None,
        }
    }
}

/// What the store has shown, before anything is made of it.
#[derive(Debug)]
pub(crate) enum Sought<T, S> {
    Entry(Entry<T>),
    Nothing,
    Undecodable(DecodeReason),
    Unavailable(S),
}

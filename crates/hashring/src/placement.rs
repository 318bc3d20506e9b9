//! From a hash to a node: the ways there are.

use crate::table::{Place, Table};

/// Stretches of the circle with one owner each, as last hash and owner, in ascending order and
/// without a gap; neighbors have different owners.
pub(crate) type Stretches = Vec<(u64, u16)>;

/// From a hash to a node.
#[derive(Clone, Debug)]
pub(crate) enum Placement {
    /// Our own layout.
    Table(Table),
}

impl Placement {
    /// The node that owns a hash.
    #[inline(always)]
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        match self {
            Self::Table(table) => table.owner(hash),
        }
    }

    /// Who owns what, all around the circle. `None` if owners do not come in stretches.
    pub(crate) fn stretches(&self) -> Option<Stretches> {
        match self {
            Self::Table(table) => Some(table.stretches()),
        }
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => table.bytes(),
        }
    }

    /// The nodes in the order in which they would own a hash; a node may occur repeatedly.
    pub(crate) fn walk(&self, hash: u64) -> Walk<'_> {
        match self {
            Self::Table(table) => Walk::Table { table, hash, last: None },
        }
    }
}

/// A walk through the nodes, from the best one for a hash to the worst.
#[derive(Clone, Debug)]
pub(crate) enum Walk<'ring> {
    /// `last` is where the walk is.
    Table { table: &'ring Table, hash: u64, last: Option<Place> },
}

impl Iterator for Walk<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        match self {
            Self::Table { table, hash, last } => {
                *last = Some(table.next(*hash, *last)?);
                last.map(|place| place.index)
            }
        }
    }
}

//! The kinds of placement: from a hash to a node.

#[cfg(feature = "layouts")]
use crate::{
    circle::{Circle, Reach},
    index::Index,
    rendezvous::Rendezvous,
    slots::Slots,
};
use crate::{
    stretches::Stretches,
    table::{Place, Table},
};

/// From a hash to a node.
#[derive(Clone, Debug)]
pub(crate) enum Placement {
    /// Our own layout.
    Table(Table),
    /// The rings of others.
    #[cfg(feature = "layouts")]
    Ring { circle: Circle, index: Index },
    /// A list of nodes, taken modulo its length.
    #[cfg(feature = "layouts")]
    Slots(Slots),
    /// Every node has a score for every key, and the highest wins.
    #[cfg(feature = "layouts")]
    Rendezvous(Rendezvous),
}

impl Placement {
    /// The node that owns a hash.
    #[inline(always)]
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        match self {
            Self::Table(table) => table.owner(hash),
            #[cfg(feature = "layouts")]
            other => other.owner_elsewhere(hash),
        }
    }

    #[cfg(feature = "layouts")]
    #[inline(never)]
    fn owner_elsewhere(&self, hash: u64) -> u16 {
        match self {
            Self::Table(table) => table.owner(hash),
            Self::Ring { circle, index } => match index.owner(hash) {
                Ok(owner) => owner,
                Err(0) => circle.owner(circle.find(hash)),
                Err(arc) => circle.owner(circle.find_from(arc, hash)),
            },
            Self::Slots(slots) => slots.owner(hash),
            Self::Rendezvous(rendezvous) => rendezvous.owner(hash),
        }
    }

    /// Returns the owners all around the circle. `None` if owners do not come in stretches.
    pub(crate) fn stretches(&self) -> Option<Stretches> {
        match self {
            Self::Table(table) => Some(table.stretches()),
            #[cfg(feature = "layouts")]
            Self::Ring { circle, .. } => Some(circle.stretches()),
            #[cfg(feature = "layouts")]
            Self::Slots(_) | Self::Rendezvous(_) => None,
        }
    }

    /// Returns the owner of each equal share, in an order that decides where keys land; nothing if the owners
    /// come in stretches.
    pub(crate) fn equal_shares(&self) -> Vec<u16> {
        match self {
            Self::Table(_) => Vec::new(),
            #[cfg(feature = "layouts")]
            Self::Ring { .. } => Vec::new(),
            #[cfg(feature = "layouts")]
            Self::Slots(slots) => slots.equal_shares(),
            #[cfg(feature = "layouts")]
            Self::Rendezvous(rendezvous) => rendezvous.equal_shares(),
        }
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => table.bytes(),
            #[cfg(feature = "layouts")]
            Self::Ring { circle, index } => circle.bytes() + index.bytes(),
            #[cfg(feature = "layouts")]
            Self::Slots(slots) => slots.bytes(),
            #[cfg(feature = "layouts")]
            Self::Rendezvous(rendezvous) => rendezvous.bytes(),
        }
    }

    /// The nodes in the order in which they would own a hash; a node may occur repeatedly.
    pub(crate) fn walk(&self, hash: u64) -> Walk<'_> {
        match self {
            Self::Table(table) => Walk::Table { table, hash, last: None },
            #[cfg(feature = "layouts")]
            Self::Ring { circle, .. } => Walk::Ring { circle, arc: circle.find(hash), left: circle.len() },
            #[cfg(feature = "layouts")]
            Self::Slots(slots) => Walk::Slots { slots, hash, passed: 0 },
            #[cfg(feature = "layouts")]
            Self::Rendezvous(rendezvous) => Walk::Rendezvous { rendezvous, hash, last: None },
        }
    }
}

/// A walk through the nodes, from the best one for a hash to the worst.
#[derive(Clone, Debug)]
pub(crate) enum Walk<'ring> {
    /// `last` is where the walk is.
    Table { table: &'ring Table, hash: u64, last: Option<Place> },
    /// `arc` is to be visited next, and `left` is how many arcs there are to visit.
    #[cfg(feature = "layouts")]
    Ring { circle: &'ring Circle, arc: usize, left: usize },
    /// `passed` is the number of slots visited.
    #[cfg(feature = "layouts")]
    Slots { slots: &'ring Slots, hash: u64, passed: usize },
    /// `last` is the node visited last, with its score.
    #[cfg(feature = "layouts")]
    Rendezvous { rendezvous: &'ring Rendezvous, hash: u64, last: Option<(u64, u16)> },
}

impl Iterator for Walk<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        match self {
            Self::Table { table, hash, last } => {
                *last = Some(table.next(*hash, *last)?);
                last.map(|place| place.index)
            }
            #[cfg(feature = "layouts")]
            Self::Ring { circle, arc, left } => {
                *left = left.checked_sub(1)?;
                let owner = circle.owner(*arc);
                // Without this point, its arc would belong to the point that reaches next.
                *arc = match circle.reach() {
                    Reach::Before => circle.after(*arc),
                    Reach::After => circle.before(*arc),
                };
                Some(owner)
            }
            #[cfg(feature = "layouts")]
            Self::Slots { slots, hash, passed } => {
                *passed += 1;
                slots.nth(*hash, *passed - 1)
            }
            #[cfg(feature = "layouts")]
            Self::Rendezvous { rendezvous, hash, last } => {
                *last = Some(rendezvous.next(*hash, *last)?);
                last.map(|(_, node)| node)
            }
        }
    }
}

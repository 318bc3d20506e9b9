//! Our own layout: the owner of every cell of the circle, in one table.

use crate::{Member, points::Points};

/// The circle has 2^18 cells, and a cell has one owner: the top bits of a hash are the whole question.
///
/// It decides the balance, the memory (512 KiB, which stays in the second-level cache) and where keys
/// land, and never changes. A finer circle would balance thousands of nodes better; but from 3 to 100
/// nodes the points decide, not the cells.
pub(crate) const CELL_BITS: u32 = 18;

const N_CELLS: usize = 1 << CELL_BITS;

/// The owner of each cell: that of the first point at or after the beginning of the cell.
///
/// This is a hash ring in which a key stands at the beginning of its cell. It needs no points at lookup,
/// only this array, and a lookup is one load, however many nodes there are.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    owners: Box<[u16; N_CELLS]>,
    /// For the order of the other nodes: their points, which are computed when they are needed.
    nodes: Box<[Node]>,
}

/// A node; in the table they are in the order of their names, which is the order among equal points.
#[derive(Clone, Copy, Debug)]
struct Node {
    points: Points,
    index: u16,
}

impl Table {
    pub(crate) fn new(members: &[Member]) -> Self {
        let mut by_name: Vec<(u16, &Member)> = (0..).zip(members).collect();
        by_name.sort_by_key(|(_, node)| node.name.as_str());
        let nodes: Box<[Node]> = by_name
            .into_iter()
            .map(|(index, node)| Node { points: Points::new(&node.name, node.weight), index })
            .collect();
        Self { owners: owners(&nodes), nodes }
    }

    /// The node that owns a hash.
    #[inline(always)]
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        #[expect(clippy::indexing_slicing, reason = "the top 18 bits of a number are below 2^18")]
        self.owners[(hash >> (64 - CELL_BITS)) as usize]
    }

    /// The stretches of the circle with one owner each, as last hash and owner, in ascending order.
    pub(crate) fn stretches(&self) -> Vec<(u64, u16)> {
        let mut stretches: Vec<(u64, u16)> = Vec::new();
        for (cell, &owner) in (1u64..).zip(self.owners.iter()) {
            let end = (cell << (64 - CELL_BITS)).wrapping_sub(1);
            match stretches.last_mut() {
                Some(last) if last.1 == owner => last.0 = end,
                _ => stretches.push((end, owner)),
            }
        }
        stretches
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.owners) + size_of_val(&*self.nodes)
    }

    /// The node that comes next after `last` for a hash: the one whose next point is the next farther away.
    /// Nodes are known by their rank in the order of names.
    pub(crate) fn next(&self, hash: u64, last: Option<Place>) -> Option<Place> {
        let position = hash >> (64 - CELL_BITS) << (64 - CELL_BITS);
        (0..)
            .zip(&self.nodes)
            .map(|(rank, node)| Place {
                distance: node.points.distance_from(position),
                rank,
                index: node.index,
            })
            .filter(|&place| last.is_none_or(|last| place > last))
            .min()
    }
}

/// Where a node stands in the order of succession for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    distance: u64,
    rank: u16,
    pub(crate) index: u16,
}

/// The owner of each cell.
fn owners(nodes: &[Node]) -> Box<[u16; N_CELLS]> {
    /// No point in this cell.
    const NONE: u64 = u64::MAX;
    // The first point in each cell, as one number to compare: its low 46 bits, then the rank of the node.
    let mut first = vec![NONE; N_CELLS];
    for (rank, node) in (0u64..).zip(nodes) {
        node.points.iter().for_each(|point| {
            if let Some(first) = first.get_mut((point >> (64 - CELL_BITS)) as usize) {
                *first = (*first).min(point << CELL_BITS >> (CELL_BITS - 16) | rank);
            }
        });
    }
    // A cell without a point belongs to the next point, around the end if need be.
    let owner_of = |point: u64| nodes.get(point as usize & 0xffff).map_or(0, |node| node.index);
    let mut owner = first.iter().find(|&&point| point != NONE).map_or(0, |&point| owner_of(point));
    let mut owners: Box<[u16; N_CELLS]> = first_owners();
    for (owned, &point) in owners.iter_mut().zip(&first).rev() {
        if point != NONE {
            owner = owner_of(point);
        }
        *owned = owner;
    }
    owners
}

/// A table to be filled, made on the heap: it is too large for a stack.
fn first_owners() -> Box<[u16; N_CELLS]> {
    match vec![0; N_CELLS].try_into() {
        Ok(owners) => owners,
        Err(_) => Box::new([0; N_CELLS]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_points_the_first_name_wins() {
        let same = Points::new("same", 1.0);
        let nodes = [Node { points: same, index: 7 }, Node { points: same, index: 3 }];
        assert!(owners(&nodes).iter().all(|&owner| owner == 7));

        let table = Table { owners: owners(&nodes), nodes: nodes.into() };
        let first = table.next(0, None);
        let second = table.next(0, first);
        assert_eq!([first, second].map(|place| place.map(|place| place.index)), [Some(7), Some(3)]);
        assert_eq!(table.next(0, second), None);
    }
}

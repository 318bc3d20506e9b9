//! Our own layout: the owner of every cell of the circle, in one table.

use std::iter;

use crate::{Member, points::Points};

/// The circle has 2^18 cells, and a cell has one owner: the top bits of a hash are the whole question.
///
/// This number decides the balance, the memory ([`Cells`], which stay in the second-level cache) and where
/// keys land, and never changes. A finer circle would balance thousands of nodes better; but from 3 to 100
/// nodes the points decide, not the cells.
pub(crate) const CELL_BITS: u32 = 18;

const N_CELLS: usize = 1 << CELL_BITS;

/// The owner of each cell: that of the first point at or after the beginning of the cell.
///
/// This is a hash ring in which a key stands at the beginning of its cell. A lookup needs no points, only
/// this array, and is one load, however many nodes there are.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    owners: Cells,
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
        Self { owners: Cells::new(&owners(&nodes)), nodes }
    }

    /// The node that owns a hash.
    #[inline(always)]
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        self.owners.get(hash)
    }

    /// The stretches of the circle with one owner each, as last hash and owner, in ascending order.
    pub(crate) fn stretches(&self) -> Vec<(u64, u16)> {
        let mut stretches: Vec<(u64, u16)> = Vec::new();
        for cell in 1..=N_CELLS as u64 {
            let end = (cell << (64 - CELL_BITS)).wrapping_sub(1);
            let owner = self.owner(end);
            match stretches.last_mut() {
                Some(last) if last.1 == owner => last.0 = end,
                _ => stretches.push((end, owner)),
            }
        }
        stretches
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.owners.bytes() + size_of_val(&*self.nodes)
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

/// A node for each cell, in as few bits as it takes. A program needs the processor's caches for other things
/// too, and a lookup that misses them costs ten times as much.
#[derive(Clone, Debug)]
enum Cells {
    /// Up to 16 nodes: 128 KiB, two cells in a byte, the first in its low bits.
    Halves(Box<[u8; N_CELLS / 2]>),
    /// Up to 256 nodes: 256 KiB.
    Bytes(Box<[u8; N_CELLS]>),
    /// 512 KiB.
    Words(Box<[u16; N_CELLS]>),
}

impl Cells {
    fn new(numbers: &[u16; N_CELLS]) -> Self {
        let small = |number: u16| number.to_le_bytes()[0];
        match numbers.iter().max() {
            Some(0..16) => {
                let half = |pair: &[u16; 2]| small(pair[0]) | small(pair[1]) << 4;
                Self::Halves(on_heap(numbers.as_chunks().0.iter().map(half)))
            }
            Some(16..256) => Self::Bytes(on_heap(numbers.iter().copied().map(small))),
            _ => Self::Words(on_heap(numbers.iter().copied())),
        }
    }

    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "the top 18 bits of a number are below 2^18")]
    fn get(&self, hash: u64) -> u16 {
        match self {
            Self::Halves(halves) => {
                let byte = halves[(hash >> (65 - CELL_BITS)) as usize];
                (byte >> (hash >> (62 - CELL_BITS) & 4) & 15).into()
            }
            Self::Bytes(bytes) => bytes[(hash >> (64 - CELL_BITS)) as usize].into(),
            Self::Words(words) => words[(hash >> (64 - CELL_BITS)) as usize],
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Halves(halves) => size_of_val(&**halves),
            Self::Bytes(bytes) => size_of_val(&**bytes),
            Self::Words(words) => size_of_val(&**words),
        }
    }
}

/// The place of a node in the order of succession for a key.
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
    let mut owners = on_heap(iter::repeat_n(0, N_CELLS));
    for (owned, &point) in owners.iter_mut().zip(&first).rev() {
        if point != NONE {
            owner = owner_of(point);
        }
        *owned = owner;
    }
    owners
}

/// An array that is too large for a stack.
fn on_heap<T: Copy + Default, const N: usize>(numbers: impl Iterator<Item = T>) -> Box<[T; N]> {
    match numbers.collect::<Box<[T]>>().try_into() {
        Ok(array) => array,
        Err(_) => Box::new([T::default(); N]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_keeps_its_node_however_many_there_are() {
        for n in [1, 15, 16, 17, 255, 256, 257, u16::MAX] {
            let mut nodes = [0; N_CELLS];
            (0..).zip(&mut nodes).for_each(|(cell, node)| *node = (cell * 7 % u32::from(n)) as u16);
            let cells = Cells::new(&nodes);
            let (first, last) = (1 << (64 - CELL_BITS), (1 << (64 - CELL_BITS)) - 1);
            for (cell, node) in (0..).zip(nodes) {
                assert_eq!([cells.get(cell * first), cells.get(cell * first + last)], [node; 2]);
            }
        }
    }

    #[test]
    fn cells_are_as_narrow_as_the_number_of_nodes_allows() {
        for (n, kib) in [(1, 128), (16, 128), (17, 256), (256, 256), (257, 512), (u16::MAX, 512)] {
            let mut nodes = [0; N_CELLS];
            nodes[0] = n - 1;
            assert_eq!(Cells::new(&nodes).bytes(), kib << 10, "{n} nodes");
        }
    }

    #[test]
    fn the_first_name_wins_among_equal_points() {
        let same = Points::new("same", 1.0);
        let nodes = [Node { points: same, index: 7 }, Node { points: same, index: 3 }];
        assert!(owners(&nodes).iter().all(|&owner| owner == 7));

        let table = Table { owners: Cells::new(&owners(&nodes)), nodes: nodes.into() };
        let first = table.next(0, None);
        let second = table.next(0, first);
        assert_eq!([first, second].map(|place| place.map(|place| place.index)), [Some(7), Some(3)]);
        assert_eq!(table.next(0, second), None);
    }
}

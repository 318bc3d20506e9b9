//! The index of a circle: from a hash to its owner with one load.

use crate::circle::Circle;

/// The circle cut into cells of equal size, several for each point, so that nearly every cell has one owner
/// or two.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    cells: Box<[Cell]>,
}

/// Who owns a small piece of the circle, in one word so that it is one load.
///
/// From the low bits up: the owner before the split (16 bits), the owner after it (16 bits), and the
/// split, which is the [`place`] of the last hash before it (32 bits). In a cell of three or more
/// owners, the owner after the split is [`MANY`], and the upper half is the number of the first arc.
#[derive(Clone, Copy, Debug)]
struct Cell(u64);

/// Stands for an owner where a cell has more than two.
const MANY: u16 = u16::MAX;

/// Cells for each point. A point takes 10 bytes and a cell 8, so this makes 58 bytes for each point;
/// about one cell in 80 then has more than two owners.
const CELLS_PER_POINT: usize = 6;

/// The number of the cell of a hash, and where in the cell it lies.
#[inline(always)]
fn place(hash: u64, n_cells: usize) -> (usize, u32) {
    let product = u128::from(hash) * n_cells as u128;
    ((product >> 64) as usize, (product >> 32) as u32)
}

impl Cell {
    #[inline]
    fn two(before: u16, after: u16, split: u32) -> Self {
        Self(u64::from(split) << 32 | u64::from(after) << 16 | u64::from(before))
    }

    fn one(owner: u16) -> Self {
        Self::two(owner, owner, 0)
    }

    fn many(first_arc: usize) -> Self {
        Self::two(0, MANY, first_arc as u32)
    }

    #[inline(always)]
    fn before(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    fn after(self) -> u16 {
        (self.0 >> 16) as u16
    }

    #[inline(always)]
    fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Index {
    /// An index of a circle.
    pub(crate) fn new(circle: &Circle) -> Self {
        let n_cells = circle.len() * CELLS_PER_POINT;
        let mut cells = Vec::with_capacity(n_cells);
        let mut first_arc = 0;
        for arc in 0..circle.len() {
            let (before, after) = (circle.owner(arc), circle.owner(circle.after(arc)));
            if before == after {
                continue;
            }
            let (number, split) = place(circle.end(arc), n_cells);
            cells.resize(cells.len().max(number), Cell::one(before));
            match cells.get_mut(number) {
                None => {
                    cells.push(Cell::two(before, after, split));
                    first_arc = arc;
                }
                Some(cell) => *cell = Cell::many(first_arc),
            }
        }
        cells.resize(n_cells, Cell::one(circle.owner(0)));
        Self { cells: cells.into() }
    }

    /// The owner of a hash, when its cell tells; otherwise the arc to start looking from.
    #[inline(always)]
    pub(crate) fn owner(&self, hash: u64) -> Result<u16, usize> {
        let (number, place) = place(hash, self.cells.len());
        let Some(&cell) = self.cells.get(number) else { return Err(0) };
        if cell.after() == MANY {
            return Err(cell.upper() as usize);
        }
        // Further bits of the hash decide, but only once in four billion lookups.
        if place == cell.upper() {
            return Err(0);
        }
        Ok(if place < cell.upper() { cell.before() } else { cell.after() })
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.cells)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::circle::Reach;

    /// Points that crowd in places and stand at both ends of the circle.
    fn points() -> impl Strategy<Value = Vec<(u64, u16)>> {
        let point =
            prop_oneof![any::<u64>(), 0u64..4, u64::MAX - 3..=u64::MAX, (0u64..16).prop_map(|n| n << 60)];
        prop::collection::vec((point, 0u16..5), 1..40)
    }

    fn resolve(index: &Index, circle: &Circle, hash: u64) -> u16 {
        match index.owner(hash) {
            Ok(owner) => owner,
            Err(0) => circle.owner(circle.find(hash)),
            Err(arc) => circle.owner(circle.find_from(arc, hash)),
        }
    }

    proptest! {
        #[test]
        fn the_index_says_what_a_search_finds(mut points in points(), hashes: [u64; 16]) {
            points.sort_by_key(|point| point.0);
            points.dedup_by_key(|point| point.0);
            let near = points.iter().flat_map(|&(p, _)| [p.wrapping_sub(1), p, p.wrapping_add(1)]);
            let hashes: Vec<u64> = near.chain(hashes).chain([0, u64::MAX]).collect();
            for reach in [Reach::Before, Reach::After] {
                let (at, owners) = points.iter().copied().unzip();
                let circle = Circle::new(at, owners, reach);
                let index = Index::new(&circle);
                let stretches = circle.stretches();
                for &hash in &hashes {
                    let owner = match reach {
                        Reach::Before => points.iter().find(|point| point.0 >= hash).or(points.first()),
                        Reach::After => points.iter().rfind(|point| point.0 <= hash).or(points.last()),
                    };
                    let owner = owner.unwrap().1;
                    prop_assert_eq!(resolve(&index, &circle, hash), owner, "{:?} {:#x}", reach, hash);
                    let stretch = stretches.iter().find(|stretch| stretch.0 >= hash);
                    prop_assert_eq!(stretch.unwrap().1, owner, "stretch, {:?} {:#x}", reach, hash);
                }
                prop_assert_eq!(stretches.last().unwrap().0, u64::MAX);
            }
        }
    }
}

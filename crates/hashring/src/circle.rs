//! The circle of all hashes, cut into arcs at points.

use crate::stretches::Stretches;

/// Points on the circle and the arcs they own.
///
/// Arc `i` belongs to point `i` and ends at [`end(i)`](Self::end), which is its last position. Ends are in
/// ascending order; what lies behind the last end belongs to arc 0, as the circle is closed.
#[derive(Clone, Debug)]
pub(crate) struct Circle {
    points: Box<[u64]>,
    owners: Box<[u16]>,
    reach: Reach,
}

/// The positions that a point owns, seen from the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The positions before it, its own included, back to the point before: a key belongs to the next point.
    Before,
    /// The positions from its own up to the point after: a key belongs to the last point that is not past it.
    After,
}

impl Circle {
    /// From distinct points in ascending order.
    pub(crate) fn new(mut points: Vec<u64>, mut owners: Vec<u16>, reach: Reach) -> Self {
        // The arc of the last point may reach over the end of the numbers to the start. The stretch then has
        // the smallest end and comes first.
        if let (Some(&first), Some(&last)) = (points.first(), points.last())
            && end_between(last, first, reach) < last
        {
            points.rotate_right(1);
            owners.rotate_right(1);
        }
        Self { points: points.into(), owners: owners.into(), reach }
    }

    /// The number of points and arcs.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.points) + size_of_val(&*self.owners)
    }

    /// The direction in which the next best owner of a position is found.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    #[inline]
    fn point(&self, arc: usize) -> u64 {
        self.points.get(arc).copied().unwrap_or_default()
    }

    /// The node that owns an arc.
    #[inline]
    pub(crate) fn owner(&self, arc: usize) -> u16 {
        self.owners.get(arc).copied().unwrap_or_default()
    }

    /// The last position of an arc.
    #[inline]
    pub(crate) fn end(&self, arc: usize) -> u64 {
        match self.reach {
            Reach::Before => self.point(arc),
            reach => end_between(self.point(arc), self.point(self.after(arc)), reach),
        }
    }

    /// The arc after this one.
    #[inline]
    pub(crate) fn after(&self, arc: usize) -> usize {
        if arc + 1 < self.len() { arc + 1 } else { 0 }
    }

    /// The arc before this one.
    #[inline]
    pub(crate) fn before(&self, arc: usize) -> usize {
        arc.checked_sub(1).unwrap_or(self.len().saturating_sub(1))
    }

    /// The arc of a position, when it is known to be this one or one after it.
    #[inline]
    pub(crate) fn find_from(&self, mut arc: usize, hash: u64) -> usize {
        while arc < self.len() && self.end(arc) < hash {
            arc += 1;
        }
        if arc < self.len() { arc } else { 0 }
    }

    /// The arc of a position.
    pub(crate) fn find(&self, hash: u64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.end(middle) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < self.len() { low } else { 0 }
    }

    /// Returns the owners all around the circle.
    pub(crate) fn stretches(&self) -> Stretches {
        let mut stretches = Stretches::new();
        let arcs = (0..self.len()).map(|arc| (self.end(arc), self.owner(arc)));
        // The stretch behind the last end, if there is one.
        let rest = (u64::MAX, self.owner(0));
        for (end, owner) in arcs.chain([rest]) {
            match stretches.last_mut() {
                Some(last) if last.0 == end => {}
                Some(last) if last.1 == owner => last.0 = end,
                _ => stretches.push((end, owner)),
            }
        }
        stretches
    }
}

/// The last position that belongs to `point` when `next` is the point after it.
#[inline]
fn end_between(point: u64, next: u64, reach: Reach) -> u64 {
    match reach {
        Reach::Before => point,
        Reach::After => next.wrapping_sub(1),
    }
}

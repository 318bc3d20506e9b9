//! The circle, cut into arcs: the one lookup of all rings.

/// Arcs in ascending order of their last position. The arc after the last one starts over at the first.
#[derive(Clone, Debug)]
pub(crate) struct Arcs {
    ends: Box<[u64]>,
    owners: Box<[u16]>,
}

impl Arcs {
    /// From points in any order; of equal points the first one counts.
    pub(crate) fn from_points(mut points: Vec<(u64, u16)>) -> Self {
        points.sort_by_key(|point| point.0);
        points.dedup_by_key(|point| point.0);
        let (ends, owners): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        Self { ends: ends.into(), owners: owners.into() }
    }

    /// The number of arcs.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The arc that `hash` lies on.
    pub(crate) fn find(&self, hash: u64) -> usize {
        let arc = self.ends.partition_point(|&end| end < hash);
        if arc < self.ends.len() { arc } else { 0 }
    }

    /// The node that owns an arc.
    pub(crate) fn owner(&self, arc: usize) -> usize {
        self.owners.get(arc).copied().unwrap_or_default().into()
    }

    /// Each arc as its last position and owner.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, usize)> {
        self.ends.iter().zip(&self.owners).map(|(&end, &owner)| (end, owner.into()))
    }
}

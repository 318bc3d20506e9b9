//! The points of our own layout: where on the circle each node stands.

use twox_hash::XxHash3_64;

/// Points per unit of weight.
///
/// Together with [`CELL_BITS`](crate::table::CELL_BITS) it decides the balance: the largest of 100 equal
/// nodes owns about 1.05 times the mean (the standard deviation is 1.9 %). It decides where keys land
/// and never changes.
pub(crate) const POINTS: f64 = 3072.0;

/// How many points a node of this weight has: at least one.
pub(crate) fn count(weight: f64) -> u64 {
    ((weight * POINTS).round() as u64).max(1)
}

/// The points of one node.
///
/// The circle of 2^64 positions is cut into `count` equal sectors and each of them holds one point, so that
/// even a few points are well spread. The place in sector `k` is XXH3-64 of `k` as 8 bytes, little-endian,
/// with XXH3-64 of the node's name as the seed. `tests/golden.rs` guards this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points {
    seed: u64,
    sector: u64,
    count: u64,
}

impl Points {
    pub(crate) fn new(name: &str, weight: f64) -> Self {
        let count = count(weight);
        let sector = u64::try_from((1u128 << 64) / u128::from(count)).unwrap_or(u64::MAX);
        Self { seed: XxHash3_64::oneshot(name.as_bytes()), sector, count }
    }

    /// All points, in ascending order.
    pub(crate) fn iter(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |k| self.point(k))
    }

    /// How far it is from a position to the next point, going up and around.
    pub(crate) fn distance_from(self, position: u64) -> u64 {
        let k = (position / self.sector).min(self.count - 1);
        let mut point = self.point(k);
        if point < position {
            point = self.point(if k + 1 < self.count { k + 1 } else { 0 });
        }
        point.wrapping_sub(position)
    }

    #[inline]
    fn point(self, k: u64) -> u64 {
        let place = XxHash3_64::oneshot_with_seed(self.seed, &k.to_le_bytes());
        let offset = (u128::from(place) * u128::from(self.sector)) >> 64;
        k * self.sector + offset as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sector_holds_one_point() {
        for weight in [0.0001, 0.5, 1.0, 1.7, 3.0] {
            let points = Points::new("a", weight);
            for (k, point) in (0..).zip(points.iter()) {
                assert_eq!(point / points.sector, k, "weight {weight}");
            }
        }
    }

    #[test]
    fn the_next_point_is_the_nearest_going_up() {
        for weight in [0.0001, 0.002, 0.01] {
            let points = Points::new("b", weight);
            let all: Vec<u64> = points.iter().collect();
            let near = all.iter().flat_map(|&p| [p.wrapping_sub(1), p, p.wrapping_add(1)]);
            for position in near.chain([0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX]) {
                let nearest = all.iter().map(|p| p.wrapping_sub(position)).min();
                assert_eq!(Some(points.distance_from(position)), nearest, "from {position}");
            }
        }
    }
}

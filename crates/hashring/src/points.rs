//! The points of our own layout: where on the circle each node stands.

use twox_hash::XxHash3_64;

/// Points per unit of weight, and sectors of the circle.
///
/// Together with [`CELL_BITS`](crate::table::CELL_BITS) it decides the balance: the largest of 100 equal
/// nodes owns about 1.05 times the mean (the standard deviation is 1.9 %). This number decides where keys
/// land and never changes.
pub(crate) const POINTS: u64 = 3072;

/// The length of a sector.
const SECTOR: u64 = u64::MAX / POINTS;

/// The points of one node.
///
/// The circle of 2^64 positions is cut into 3072 equal sectors. Each unit of weight has one point in every
/// sector, so that few nodes are spread evenly too. Point `i` is in sector `i` modulo 3072, at a place that
/// is XXH3-64 of `i` (8 bytes, little-endian) with XXH3-64 of the node's name as the seed. Of the last unit,
/// if it is a fraction, only those points count whose place has low 32 bits below the fraction of 2^32; but
/// point 0 always does.
///
/// So all units are alike, and a node of weight 2 is like two nodes. Sectors of half the size would make
/// heavy nodes more regular than light ones, and the more regular ones own more than they should. A larger
/// weight only adds points, so it takes keys only to the node. `tests/golden.rs` guards all this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points {
    seed: u64,
    /// All points, those that do not count included.
    count: u64,
    /// The last point of the last whole unit of weight, and what counts of the points after it.
    whole: u64,
    fraction: u64,
}

impl Points {
    pub(crate) fn new(name: &str, weight: f64) -> Self {
        Self {
            seed: XxHash3_64::oneshot(name.as_bytes()),
            count: count(weight),
            whole: weight.floor() as u64 * POINTS,
            fraction: (weight.fract() * 2f64.powi(32)) as u64,
        }
    }

    /// All points, those of each unit of weight in ascending order.
    pub(crate) fn iter(self) -> impl Iterator<Item = u64> {
        let units = (0..self.count).step_by(POINTS as usize);
        units.flat_map(move |unit| (0..POINTS).filter_map(move |sector| self.point(unit + sector, sector)))
    }

    /// The distance from a position to the next point, going up and around.
    pub(crate) fn distance_from(self, position: u64) -> u64 {
        (0..self.count)
            .step_by(POINTS as usize)
            .filter_map(|unit| self.distance_in(unit, position))
            .min()
            .unwrap_or_default()
    }

    /// The same for one unit of weight, whose first point is given. `None` if no point of it counts.
    fn distance_in(self, unit: u64, position: u64) -> Option<u64> {
        let sector = (position / SECTOR).min(POINTS - 1);
        // Behind the position in its own sector there may be nothing; the way then ends there after a whole
        // turn.
        (sector..POINTS)
            .chain(0..=sector)
            .filter_map(|sector| self.point(unit + sector, sector))
            .enumerate()
            .find(|&(n, point)| n > 0 || point >= position || sector_of(point) != sector)
            .map(|(_, point)| point.wrapping_sub(position))
    }

    #[inline]
    fn point(self, i: u64, sector: u64) -> Option<u64> {
        let place = XxHash3_64::oneshot_with_seed(self.seed, &i.to_le_bytes());
        let offset = (u128::from(place) * u128::from(SECTOR)) >> 64;
        let counts = i < self.whole || place & 0xffff_ffff < self.fraction || i == 0;
        counts.then_some(sector * SECTOR + offset as u64)
    }
}

fn sector_of(point: u64) -> u64 {
    (point / SECTOR).min(POINTS - 1)
}

/// The largest number of points of a node of this weight.
pub(crate) fn count(weight: f64) -> u64 {
    (weight.ceil() as u64).saturating_mul(POINTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_of_weight_is_a_point_in_each_sector() {
        for weight in [1.0, 2.0, 5.0] {
            let mut in_sector = [0; POINTS as usize];
            for point in Points::new("a", weight).iter() {
                in_sector[sector_of(point) as usize] += 1;
            }
            assert!(in_sector.iter().all(|&n| n == weight as u32));
        }
    }

    #[test]
    fn a_fraction_is_that_part_of_the_points() {
        for weight in [0.1, 0.5, 1.25, 3.75] {
            let n = Points::new("a", weight).iter().count() as f64;
            assert!((n / POINTS as f64 - weight).abs() < 0.05, "{n} points for weight {weight}");
        }
        assert_eq!(Points::new("a", 1e-12).iter().count(), 1);
    }

    #[test]
    fn a_larger_weight_keeps_the_points() {
        let mut before = Vec::new();
        for weight in [0.1, 0.5, 1.0, 1.5, 2.0, 2.25] {
            let points: Vec<u64> = Points::new("a", weight).iter().collect();
            assert!(before.iter().all(|point| points.contains(point)));
            before = points;
        }
    }

    #[test]
    fn the_next_point_is_the_nearest_going_up() {
        for weight in [1e-12, 0.001, 0.01, 1.0, 1.01, 2.0] {
            let points = Points::new("b", weight);
            let all: Vec<u64> = points.iter().collect();
            let near = all.iter().step_by(97).flat_map(|&p| [p.wrapping_sub(1), p, p.wrapping_add(1)]);
            for position in near.chain([0, 1, SECTOR, u64::MAX / 2, u64::MAX - 1, u64::MAX]) {
                let nearest = all.iter().map(|p| p.wrapping_sub(position)).min();
                assert_eq!(Some(points.distance_from(position)), nearest, "weight {weight}, from {position}");
            }
        }
    }
}

//! PHP's [Predis](https://github.com/predis/predis).

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, total_weight},
};
use crate::{hash32::Hash32, key_hash::KeyHash};

/// A distribution strategy of Predis.
///
/// A node is hashed by its `host:port`, or the path of its socket. A node without a weight has 100 there,
/// so give all of them theirs or none. The order of the nodes matters only if two have a point in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Predis {
    /// `HashRing`, the default there.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "hashring"))]
    HashRing,
    /// `KetamaRing`.
    Ketama,
}

impl Predis {
    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        let (total, n) = (total_weight(nodes), nodes.len() as f64);
        match self {
            Self::HashRing => {
                let ring = Ring {
                    points: PointHash::Hash32(Hash32::Crc32a),
                    search: Search::AtOrBefore,
                    tie: Tie::Last,
                };
                let count = |node: &Node<'_>| php_round(node.weight / total * n * 128.0) as u64;
                Plan {
                    key_hash: KeyHash::Hash32(Hash32::Crc32a),
                    placement: ring.of_labels(nodes, ':', count),
                }
            }
            Self::Ketama => {
                let ring = Ring { points: PointHash::Md5Words(4), search: Search::AtOrAfter, tie: Tie::Last };
                let count = |node: &Node<'_>| (node.weight / total * n * 40.0) as u64;
                Plan { key_hash: KeyHash::Hash32(Hash32::Md5), placement: ring.of_labels(nodes, '-', count) }
            }
        }
    }
}

/// `round` of PHP 5.3 to 8.3, which first rounds to 15 significant digits: 30.499999999999996 becomes 31.
fn php_round(x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let digits = 14 - x.log10().floor() as i32;
    let scale = 10f64.powi(digits.abs());
    let rounded =
        if digits < 0 { (x / scale + 0.5).floor() * scale } else { (x * scale + 0.5).floor() / scale };
    (rounded + 0.5).floor()
}

#[cfg(test)]
mod tests {
    use super::php_round;

    #[test]
    fn rounds_as_php_does() {
        for (x, rounded) in
            [(30.499999999999996, 31.0), (30.4999, 30.0), (0.5, 1.0), (0.0, 0.0), (1280.0, 1280.0)]
        {
            assert_eq!(php_round(x), rounded, "{x}");
        }
    }
}

//! PHP's `RedisArray`, of the extension [phpredis](https://github.com/phpredis/phpredis).

use super::{
    Node, Plan,
    ring::{self, PointHash, Ring, Search, Tie},
};
use crate::{circle::Reach, key_hash::KeyHash, php_hash::PhpHash, placement::Placement};

/// A `RedisArray` of phpredis: its options `consistent` and `algorithm`.
///
/// A node is hashed by its host string exactly as it stands there. Weights mean nothing. The order of the
/// nodes matters, but with `consistent` only if two have a point in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct PhpRedis {
    /// True if there is a ring. Otherwise each node has one equal part of the hashes, in their order.
    pub consistent: bool,
    /// The hash of a key, if not CRC-32.
    pub algorithm: Option<PhpHash>,
}

impl PhpRedis {
    /// The default: parts of equal size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With the option `consistent`.
    #[must_use]
    pub fn consistent() -> Self {
        Self { consistent: true, algorithm: None }
    }

    /// With the option `algorithm`.
    #[must_use]
    pub fn algorithm(mut self, algorithm: PhpHash) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        if self.consistent {
            let ring = Ring { points: PointHash::Md5Words(4), search: Search::AtOrAfter, tie: Tie::First };
            let placement = ring.of_labels(nodes, '-', |_| 40);
            Plan { key_hash: KeyHash::Php(self.algorithm), placement }
        } else {
            Plan { key_hash: KeyHash::PhpFlipped(self.algorithm), placement: equal_parts(nodes) }
        }
    }
}

/// The node of a hash is `hash * n / (2^32 - 1)`, rounded down: each has one arc, and the arcs are almost
/// alike.
fn equal_parts(nodes: &[Node<'_>]) -> Placement {
    let (n, max) = (nodes.len() as u64, u64::from(u32::MAX));
    let ends = (1..).zip(nodes).map(|(next, node)| {
        // The last hash below that for which the formula yields the next node. For the highest hash it yields
        // a node that does not exist, which phpredis reads nevertheless; here it is the last node.
        let end = if next == n { max } else { (next * max).div_ceil(n) - 1 };
        (end << 32 | max, node.index)
    });
    ring::placement(ends.collect(), Reach::Before)
}

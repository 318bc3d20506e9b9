//! Python's `hash_ring` by Doist, which is the ring of django-redisdb.

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, total_weight},
};
use crate::{hash32::Hash32, key_hash::KeyHash};

/// The version of `hash_ring` to reproduce.
///
/// django-redisdb names its nodes by their position: `0`, `1`, `2` and so on. Weights may be fractions,
/// and zero. The order of the nodes matters only if two have a point in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DoistHashRing {
    /// The release on PyPI (1.3.1, Python 2), and the repository on Python 3 since 2021-12-28.
    #[default]
    Current,
    /// The repository on Python 3 from 2014 until 2021-12-28: by mistake it hashed the text that Python shows
    /// for a digest. This layout is badly balanced; use it only to reach data that was stored with it.
    LegacyPython3,
}

impl DoistHashRing {
    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        // Three of the four words of a digest: this is not ketama.
        let (points, key_hash) = match self {
            Self::Current => (PointHash::Md5Words(3), KeyHash::Hash32(Hash32::Md5)),
            Self::LegacyPython3 => (PointHash::Md5Repr(3), KeyHash::Md5Repr),
        };
        let (total, n) = (total_weight(nodes), nodes.len() as f64);
        let count = |node: &Node<'_>| (40.0 * n * node.weight / total) as u64;
        let ring = Ring { points, search: Search::After, tie: Tie::Last };
        Plan { key_hash, placement: ring.of_labels(nodes, '-', count) }
    }
}

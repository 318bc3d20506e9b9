//! Python's [`uhashring`](https://github.com/ultrabug/uhashring).

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, total_weight},
};
use crate::{hash32::Hash32, key_hash::KeyHash};

/// The ring that `uhashring` was told to use.
///
/// A node is hashed by its name. The order of the nodes matters only if two have a point in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Uhashring {
    /// Its own. Of the 128 bits of a hash the first 64 are compared, which is the same unless two
    /// hashes agree in these and differ in the others.
    #[default]
    Default,
    /// `hash_fn="ketama"`.
    Ketama,
}

impl Uhashring {
    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        let ring = |points| Ring { points, search: Search::After, tie: Tie::Last };
        match self {
            Self::Default => Plan {
                key_hash: KeyHash::Md5Wide,
                placement: ring(PointHash::Md5Wide).of_labels(nodes, '-', |node| node.whole_weight() * 160),
            },
            Self::Ketama => {
                let (total, n) = (total_weight(nodes) as u64, nodes.len() as u64);
                let count = |node: &Node<'_>| {
                    (40 * n).saturating_mul(node.whole_weight()).checked_div(total).unwrap_or_default()
                };
                Plan {
                    key_hash: KeyHash::Hash32(Hash32::Md5),
                    placement: ring(PointHash::Md5Words(4)).of_labels(nodes, '-', count),
                }
            }
        }
    }
}

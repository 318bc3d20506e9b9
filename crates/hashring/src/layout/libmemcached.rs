//! [libmemcached](https://libmemcached.org).

use std::borrow::Cow;

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, ketama_count_f32, total_weight},
};
use crate::{hash32::Hash32, key_hash::KeyHash, placement::Placement, slots::Slots};

/// A distribution of libmemcached.
///
/// Without a [label](crate::Member::label) the name of a node counts as its `host:port`, of which the port
/// 11211 is not hashed. The order of the nodes matters for `modula`, and if two have a point in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Libmemcached {
    /// `MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED`: the ring of ketama.
    KetamaWeighted {
        /// The hash of a key; MD5 unless it was changed afterwards.
        hash: Hash32,
    },
    /// `MEMCACHED_BEHAVIOR_KETAMA`: a ring of its own. A weight above 1 silently makes it the ring of ketama.
    Ketama {
        /// The hash of a key.
        hash: Hash32,
        /// The hash of a point.
        ring_hash: Hash32,
    },
    /// The hash modulo the number of nodes; weights mean nothing. The default there.
    Modula {
        /// The hash of a key.
        hash: Hash32,
    },
}

impl Default for Libmemcached {
    /// [`Modula`](Self::Modula) with the one-at-a-time hash.
    fn default() -> Self {
        Self::Modula { hash: Hash32::OneAtATime }
    }
}

impl Libmemcached {
    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        let ring = |points| Ring { points, search: Search::AtOrAfter, tie: Tie::First };
        let ketama = || {
            let total = total_weight(nodes);
            let count = |node: &Node<'_>| ketama_count_f32(node.weight, total, nodes.len());
            ring(PointHash::Md5Words(4)).of_labels(nodes, '-', count)
        };
        let (hash, placement) = match self {
            Self::KetamaWeighted { hash } => (hash, ketama()),
            Self::Ketama { hash, .. } if nodes.iter().any(|node| node.weight > 1.0) => (hash, ketama()),
            Self::Ketama { hash, ring_hash } => {
                (hash, ring(PointHash::Hash32(ring_hash)).of_labels(nodes, '-', |_| 100))
            }
            Self::Modula { hash } => {
                (hash, Placement::Slots(Slots::new(nodes.iter().map(|node| (node.index, 1)))))
            }
        };
        Plan { key_hash: KeyHash::Hash32(hash), placement }
    }
}

/// The text that libmemcached hashes for an address.
pub(super) fn label(address: &str) -> Cow<'_, str> {
    address.strip_suffix(":11211").unwrap_or(address).into()
}

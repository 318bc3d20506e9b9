//! The original [libketama](https://github.com/RJ/ketama).
//!
//! A node is hashed by its address, port included. Keys end at the first NUL.

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, total_weight},
};
use crate::key_hash::KeyHash;

pub(super) fn plan(nodes: &[Node<'_>]) -> Plan {
    let (total, n) = (total_weight(nodes), nodes.len() as f64);
    // The multiplication is in double precision, unlike that of those who copied it.
    let count = |node: &Node<'_>| {
        let part = node.weight as f32 / total as f32;
        (f64::from(part) * 40.0 * n) as f32 as u64
    };
    let ring = Ring { points: PointHash::Md5Words(4), search: Search::AtOrAfter, tie: Tie::First };
    Plan { key_hash: KeyHash::CString, placement: ring.of_labels(nodes, '-', count) }
}

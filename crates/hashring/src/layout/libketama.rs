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
    let count = |node: &Node<'_>| count(node.weight, total, n);
    let ring = Ring { points: PointHash::Md5Words(4), search: Search::AtOrAfter, tie: Tie::First };
    Plan { key_hash: KeyHash::CString, placement: ring.of_labels(nodes, '-', count) }
}

/// The number of digests of a node. The multiplication is in double precision, unlike that of the programs
/// that took the formula over.
fn count(weight: f64, total: f64, n_nodes: f64) -> u64 {
    let part = weight as f32 / total as f32;
    (f64::from(part) * 40.0 * n_nodes) as f32 as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_are_rounded_once_less() {
        let counts = [21.0, 10.0, 9.0].map(|weight| super::count(weight, 40.0, 3.0));
        assert_eq!(counts, [62, 30, 27]);
    }
}

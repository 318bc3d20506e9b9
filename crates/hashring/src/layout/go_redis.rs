//! Go's [`redis.Ring`](https://github.com/redis/go-redis), version 8 and later.
//!
//! A node is hashed by the name of its shard. Addresses, weights and the order mean nothing. go-redis takes a
//! shard out while it is down and gives its keys to the next best one: those are the
//! [successors](crate::HashRing::successors).

use twox_hash::XxHash64;

use super::{Node, Plan};
use crate::{key_hash::KeyHash, placement::Placement, rendezvous::Rendezvous};

pub(super) fn plan(nodes: &[Node<'_>]) -> Plan {
    let hashes = nodes.iter().map(|node| XxHash64::oneshot(0, node.label.as_bytes()));
    Plan { key_hash: KeyHash::Xxh64, placement: Placement::Rendezvous(Rendezvous::new(hashes)) }
}

//! Java's [Jedis](https://github.com/redis/jedis): `ShardedJedis` up to 3.x, `JedisSharding` in 4.x to 6.x.

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie},
};
use crate::{hash32::Hash32, key_hash::KeyHash};

/// The sharding of Jedis.
///
/// A shard without a name is known by its position only: its address is not hashed, so **the order of the
/// nodes matters**. A node here is one without a name unless it has a [label](crate::Member::label), which is
/// that name.
///
/// Jedis hashes whole keys unless it is given a pattern; [`HashTag::Jedis`](crate::HashTag::Jedis) is its
/// `DEFAULT_KEY_TAG_PATTERN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Jedis {
    /// The hash of keys and points.
    pub hash: JedisHash,
    /// True if the weight of a named shard is hashed too, as it was up to 2.9.
    pub weight_in_names: bool,
}

/// A hash of Jedis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum JedisHash {
    /// `Hashing.MURMUR_HASH`, the default there.
    #[default]
    Murmur,
    /// `Hashing.MD5`.
    Md5,
}

impl Jedis {
    /// Jedis 2.10 and later.
    #[must_use]
    pub fn new(hash: JedisHash) -> Self {
        Self { hash, weight_in_names: false }
    }

    /// Jedis up to 2.9.
    #[must_use]
    pub fn up_to_2_9(hash: JedisHash) -> Self {
        Self { hash, weight_in_names: true }
    }

    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        let (points, key_hash) = match self.hash {
            JedisHash::Murmur => (PointHash::Murmur64, KeyHash::Murmur64),
            JedisHash::Md5 => (PointHash::Md5Words(1), KeyHash::Hash32(Hash32::Md5)),
        };
        // Jedis compares with a sign, which turns the circle half around and changes nothing.
        let ring = Ring { points, search: Search::AtOrAfter, tie: Tie::Last };
        let placement = ring.of(nodes.iter().map(|node| {
            let (label, weight) = (&node.label, node.whole_weight());
            let text = match (node.is_labeled, self.weight_in_names) {
                (false, _) => format!("SHARD-{}-NODE-", node.index),
                (true, false) => format!("{label}*"),
                (true, true) => format!("{label}*{weight}"),
            };
            (node.index, text, weight * 160)
        }));
        Plan { key_hash, placement }
    }
}

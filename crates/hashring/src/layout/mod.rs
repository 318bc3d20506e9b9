//! The rings of other programs, so that a Rust service can join shards that they already use.
//!
//! Each has its own file, which says what is particular about it. `ring.rs` has the parts that they have in
//! common; lookups are those of every [`HashRing`](crate::HashRing).

#[cfg(feature = "layouts")]
use std::borrow::Cow;

use crate::{BuildError, HashTag, Member, key_hash::KeyHash, placement::Placement, table::Table};

/// The program whose placement a ring reproduces. The default is our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", remote = "Self"))]
#[non_exhaustive]
pub enum Layout {
    /// Our own: fast, well balanced, and independent of the order of the nodes.
    #[default]
    Xxh3,
    /// Python's `hash_ring`, which is the ring of django-redisdb.
    #[cfg(feature = "layouts")]
    HashRing(DoistHashRing),
    /// twemproxy (nutcracker).
    #[cfg(feature = "layouts")]
    Twemproxy(Twemproxy),
    /// libmemcached.
    #[cfg(feature = "layouts")]
    Libmemcached(Libmemcached),
    /// The original libketama.
    #[cfg(feature = "layouts")]
    Libketama,
    /// Ruby's `Redis::Distributed`.
    #[cfg(feature = "layouts")]
    RedisRb(RedisRb),
    /// PHP's `RedisArray`, of the extension phpredis.
    #[cfg(feature = "layouts")]
    #[cfg_attr(feature = "serde", serde(rename = "phpredis"))]
    PhpRedis(PhpRedis),
    /// PHP's Predis.
    #[cfg(feature = "layouts")]
    Predis(Predis),
    /// Go's `redis.Ring`.
    #[cfg(feature = "layouts")]
    GoRedis,
    /// Python's `uhashring`.
    #[cfg(feature = "layouts")]
    Uhashring(Uhashring),
    /// Java's `ShardedJedis` and `JedisSharding`.
    #[cfg(feature = "layouts")]
    Jedis(Jedis),
}

#[cfg(feature = "layouts")]
mod ring;

#[cfg(feature = "layouts")]
mod hash_ring;
#[cfg(feature = "layouts")]
pub use hash_ring::DoistHashRing;

#[cfg(feature = "layouts")]
mod twemproxy;
#[cfg(feature = "layouts")]
pub use twemproxy::{Distribution, Twemproxy};

#[cfg(feature = "layouts")]
mod libmemcached;
#[cfg(feature = "layouts")]
pub use libmemcached::Libmemcached;

#[cfg(feature = "layouts")]
mod libketama;

#[cfg(feature = "layouts")]
mod redis_rb;
#[cfg(feature = "layouts")]
pub use redis_rb::RedisRb;

#[cfg(feature = "layouts")]
mod phpredis;
#[cfg(feature = "layouts")]
pub use crate::php_hash::PhpHash;
#[cfg(feature = "layouts")]
pub use phpredis::PhpRedis;

#[cfg(feature = "layouts")]
mod predis;
#[cfg(feature = "layouts")]
pub use predis::Predis;

#[cfg(feature = "layouts")]
mod go_redis;

#[cfg(feature = "layouts")]
mod uhashring;
#[cfg(feature = "layouts")]
pub use uhashring::Uhashring;

#[cfg(feature = "layouts")]
mod jedis;
#[cfg(feature = "layouts")]
pub use jedis::{Jedis, JedisHash};

/// The hash and the placement that a layout makes of the nodes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) key_hash: KeyHash,
    pub(crate) placement: Placement,
}

/// A node as the layouts of others see it.
#[cfg(feature = "layouts")]
#[derive(Debug)]
struct Node<'a> {
    index: u16,
    /// The text that is hashed for it.
    label: Cow<'a, str>,
    /// True if its label was given, and not derived from the name.
    is_labeled: bool,
    weight: f64,
}

#[cfg(feature = "layouts")]
impl Node<'_> {
    /// The weight where fractions have been ruled out.
    fn whole_weight(&self) -> u64 {
        self.weight as u64
    }
}

impl Layout {
    /// The rule for the part of a key that is hashed, unless the configuration says otherwise.
    pub(crate) fn hash_tag(self) -> HashTag {
        match self {
            Self::Xxh3 => HashTag::Cluster,
            #[cfg(feature = "layouts")]
            Self::Predis(_) | Self::GoRedis => HashTag::Cluster,
            #[cfg(feature = "layouts")]
            Self::RedisRb(_) => HashTag::RedisRb,
            #[cfg(feature = "layouts")]
            Self::PhpRedis(_) => HashTag::PhpRedis,
            #[cfg(feature = "layouts")]
            _ => HashTag::None,
        }
    }

    /// Returns whether a node may have this weight: zero and fractions are for those who had them.
    pub(crate) fn check(self, Member { name, weight, .. }: &Member) -> Result<(), BuildError> {
        let (zero, fractions) = match self {
            Self::Xxh3 => (false, true),
            #[cfg(feature = "layouts")]
            Self::HashRing(_) => (true, true),
            #[cfg(feature = "layouts")]
            Self::Uhashring(_) => (true, false),
            #[cfg(feature = "layouts")]
            _ => (false, false),
        };
        if !weight.is_finite() || *weight < 0.0 {
            Err(BuildError::InvalidWeight { name: name.clone(), weight: *weight })
        } else if *weight == 0.0 && !zero {
            Err(BuildError::ZeroWeight { name: name.clone() })
        } else if weight.fract() != 0.0 && !fractions {
            Err(BuildError::FractionalWeight { name: name.clone(), weight: *weight })
        } else {
            Ok(())
        }
    }

    /// The number of entries to store for a weight, where that is not relative to the other weights.
    pub(crate) fn size(self, weight: f64) -> u64 {
        match self {
            Self::Xxh3 => crate::points::count(weight),
            #[cfg(feature = "layouts")]
            Self::Twemproxy(Twemproxy { distribution: Distribution::Modula, .. }) => weight as u64,
            #[cfg(feature = "layouts")]
            Self::Uhashring(Uhashring::Default) | Self::Jedis(_) => (weight as u64).saturating_mul(160),
            #[cfg(feature = "layouts")]
            _ => 160,
        }
    }

    /// Places the nodes. Their weights have been checked.
    pub(crate) fn plan(self, members: &[Member]) -> Plan {
        #[cfg(feature = "layouts")]
        let nodes = || {
            let node = |(index, member)| self.node(index, member);
            (0..).zip(members).map(node).collect::<Vec<_>>()
        };
        match self {
            Self::Xxh3 => Plan { key_hash: KeyHash::Xxh3, placement: Placement::Table(Table::new(members)) },
            #[cfg(feature = "layouts")]
            Self::HashRing(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::Twemproxy(layout) => layout.plan(nodes()),
            #[cfg(feature = "layouts")]
            Self::Libmemcached(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::Libketama => libketama::plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::RedisRb(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::PhpRedis(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::Predis(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::GoRedis => go_redis::plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::Uhashring(layout) => layout.plan(&nodes()),
            #[cfg(feature = "layouts")]
            Self::Jedis(layout) => layout.plan(&nodes()),
        }
    }

    #[cfg(feature = "layouts")]
    fn node(self, index: u16, member: &Member) -> Node<'_> {
        let label = match (&member.label, self) {
            (Some(label), _) => label.into(),
            (None, Self::Twemproxy(_)) => twemproxy::label(&member.name),
            (None, Self::Libmemcached(_)) => libmemcached::label(&member.name),
            (None, Self::RedisRb(version)) => version.id(&member.name),
            (None, _) => Cow::from(&member.name),
        };
        Node { index, label, is_labeled: member.label.is_some(), weight: member.weight }
    }
}

#[cfg(feature = "layouts")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashRing;

    fn ring(layout: Layout, nodes: &[&str]) -> HashRing {
        HashRing::builder().layout(layout).nodes(nodes.iter().copied()).build().unwrap()
    }

    fn all() -> Vec<Layout> {
        vec![
            Layout::HashRing(DoistHashRing::Current),
            Layout::HashRing(DoistHashRing::LegacyPython3),
            Layout::Twemproxy(Twemproxy::default()),
            Layout::Twemproxy(Twemproxy::modula(crate::Hash32::Murmur)),
            Layout::Libmemcached(Libmemcached::default()),
            Layout::Libketama,
            Layout::RedisRb(RedisRb::V4),
            Layout::RedisRb(RedisRb::V6),
            Layout::PhpRedis(PhpRedis::new()),
            Layout::PhpRedis(PhpRedis::consistent().algorithm(PhpHash::Sha256)),
            Layout::Predis(Predis::HashRing),
            Layout::Predis(Predis::Ketama),
            Layout::GoRedis,
            Layout::Uhashring(Uhashring::Default),
            Layout::Jedis(Jedis::default()),
        ]
    }

    #[test]
    fn every_layout_has_all_that_a_ring_has() {
        for layout in all() {
            let (three, four) = (ring(layout, &["a", "b", "c"]), ring(layout, &["a", "b", "c", "d"]));
            assert!((three.shares().iter().sum::<f64>() - 1.0).abs() < 1e-9, "{layout:?}");
            assert_eq!(three.fingerprint(), ring(layout, &["a", "b", "c"]).fingerprint());
            assert_ne!(three.fingerprint(), four.fingerprint(), "{layout:?}");
            assert_eq!(three.moved(&three).total, 0.0);
            assert!(three.moved(&four).total > 0.0, "{layout:?}");
            for key in ["", "a", "user:1", "{x}y"] {
                let mut order: Vec<usize> = three.successors(key).collect();
                assert_eq!(order.first(), Some(&three.lookup(key)), "{layout:?} {key}");
                order.sort_unstable();
                assert_eq!(order, [0, 1, 2], "{layout:?} {key}");
            }
        }
    }

    #[test]
    fn rings_of_different_layouts_are_compared_by_samples() {
        let (ours, theirs) = (ring(Layout::Xxh3, &["a", "b"]), ring(Layout::Libketama, &["a", "b"]));
        let moved = ours.moved(&theirs);
        assert!(!moved.exact && (0.4..0.6).contains(&moved.total));
    }

    #[test]
    fn weights_are_checked_by_the_layout() {
        let build = |layout, weight: f64| {
            HashRing::builder()
                .layout(layout)
                .node("a")
                .weighted_node("b", weight)
                .build()
                .map(|ring| ring.len())
        };
        let name = || "b".to_owned();
        assert_eq!(build(Layout::HashRing(DoistHashRing::Current), 0.5), Ok(2));
        assert_eq!(build(Layout::HashRing(DoistHashRing::Current), 0.0), Ok(2));
        assert_eq!(build(Layout::Libketama, 0.0), Err(BuildError::ZeroWeight { name: name() }));
        let fractional = BuildError::FractionalWeight { name: name(), weight: 1.5 };
        assert_eq!(build(Layout::Libketama, 1.5), Err(fractional));
    }
}

//! The policies of a ring and of a copy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::anti_entropy::conflict::Conflict;

/// The number of nodes that must take a write for the call to be `Ok`. The write is sent to all nodes in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteTo {
    /// One is enough. The default: data stays writable while all but one server are down.
    #[default]
    Any,
    /// This many are needed.
    AtLeast(usize),
    /// All are needed.
    All,
}

impl WriteTo {
    pub(crate) fn wanted(self, n_nodes: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::AtLeast(n) => n,
            Self::All => n_nodes,
        }
    }
}

/// The nodes of a copy that may answer a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadFrom {
    /// Nodes in sync: they have missed no write of the key by this client, and since a restart all their keys were compared.
    /// The default: a server that comes back empty or old never answers.
    #[default]
    InSync,
    /// Nodes in sync first. If none of them answers, the others too, which may serve old values or none.
    Any,
}

/// The treatment of a node of a copy that has missed writes, or has lost its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnReturn {
    /// The node is repaired in the background: the keys that it missed, or all, are copied to it from a node in sync. Then it
    /// answers reads again. The default, with 10,000 keys per second.
    Repair {
        /// The largest number of keys that are compared in a second.
        keys_per_second: u32,
    },
    /// The node answers no reads of keys that it may have missed until somebody calls
    /// [`repair`](crate::RedisCopy::repair) or [`readmit`](crate::RedisCopy::readmit).
    Wait,
}

impl Default for OnReturn {
    fn default() -> Self {
        // 100,000 keys are compared twice in 20 s, at some 10 % of what a server answers.
        Self::Repair { keys_per_second: 10_000 }
    }
}

/// A function that names the node whose value counts.
type Choose = dyn Fn(&Conflict) -> Option<String> + Send + Sync;

/// The treatment of a key of a copy that is in [conflict](Conflict).
///
/// A rule is asked when the conflict has lasted from one look to the next, a second later, while every node is there. It ends
/// the conflict as [`resolve`](crate::RedisCopy::resolve) does, and what the other nodes hold of the key is lost. Give all
/// processes the same rule: two that choose different nodes at the same moment leave these different.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnConflict {
    /// The key is told, and waits until somebody decides. The default.
    #[default]
    Tell,
    /// The first of these nodes that the copy has counts.
    Prefer(Vec<String>),
    /// The node counts whose name this function returns; with `None` the key waits as with `Tell`. It is asked once for each
    /// conflict, and must not block. A configuration that has a function cannot be written into a file.
    #[serde(skip)]
    With(Arc<Choose>),
}

impl OnConflict {
    /// Lets a function [choose](Self::With).
    pub fn with(choose: impl Fn(&Conflict) -> Option<String> + Send + Sync + 'static) -> Self {
        Self::With(Arc::new(choose))
    }

    /// Returns whether the rule may choose a node.
    pub(crate) fn decides(&self) -> bool {
        !matches!(self, Self::Tell)
    }

    /// The node whose value counts, if it says so.
    pub(crate) fn choose(&self, conflict: &Conflict) -> Option<String> {
        match self {
            Self::Tell => None,
            Self::Prefer(order) => {
                let is_there = |name: &&String| conflict.held.iter().any(|held| held.node == **name);
                order.iter().find(is_there).cloned()
            }
            Self::With(choose) => choose(conflict),
        }
    }
}

impl PartialEq for OnConflict {
    /// Two functions are equal if they are the same one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tell, Self::Tell) => true,
            (Self::Prefer(order), Self::Prefer(other)) => order == other,
            (Self::With(choose), Self::With(other)) => Arc::ptr_eq(choose, other),
            _ => false,
        }
    }
}

impl fmt::Debug for OnConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tell => f.write_str("Tell"),
            Self::Prefer(order) => f.debug_tuple("Prefer").field(order).finish(),
            Self::With(_) => f.write_str("With(..)"),
        }
    }
}

/// What is done with a key that its nodes hold differently though none of them is known to have missed a write: processes wrote it
/// at the same time, or one ended in the middle of a write.
///
/// Only on a copy with an [identity](crate::CopyBuilder::identity), whose nodes are [brought back](OnReturn::Repair) by
/// themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDifference {
    /// All nodes are made equal, seconds after the key was last changed, to what the first node holds that the key is read
    /// from. The default. See [`RedisCopy::convergence`](crate::RedisCopy::convergence).
    #[default]
    Converge,
    /// The nodes stay different until `verify` and `repair`, or the next write of the whole value.
    Leave,
}

/// The policies of a copy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) write_to: WriteTo,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_return: OnReturn,
    pub(crate) on_conflict: OnConflict,
    pub(crate) on_difference: OnDifference,
}

/// The treatment of a ring's keys whose node is [down](redisdb_node::Node::is_down).
///
/// Anything but `Fail` is for caches alone: data that can be made anew. A value that is read during the outage was written
/// during it, but with [`Rejoin::Trust`], or is missing; a counter starts from nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDown {
    /// Calls for the keys fail at once, with [`Error::Unavailable`](crate::Error::Unavailable). The default: no other node takes
    /// over.
    #[default]
    Fail,
    /// The next node of [`successors`](redisdb_hashring::HashRing::successors) that is up stands in for the node.
    ///
    /// A value that is written there lives for `ttl_cap` at most, and deletes go to both nodes. Before the node serves again,
    /// the keys that this client wrote or deleted meanwhile are removed from it, so that they are missing rather than old. If
    /// those are more than 100,000 or 16 MiB, all its keys are removed. If the node goes down again, a key on a stand-in that
    /// may be old, by the time it has left to live, is removed there before it is used.
    ///
    /// Each client removes the keys that it wrote. If a client has ended by the time the node returns, the keys that it wrote
    /// are old there. Two clients that do not agree on whether the node is up read each other's writes late, by no more than
    /// `ttl_cap`.
    Failover {
        /// The longest life of a value on a stand-in. A minute is usual.
        #[serde(rename = "ttl_cap_ms", with = "millis")]
        ttl_cap: Duration,
    },
    /// The next node that is up stands in, as if the node were not in the ring. go-redis and twemproxy do the same.
    ///
    /// The values that the node kept are old when it returns. The values that the others are given meanwhile are old when it
    /// goes down again.
    Remap {
        /// The treatment of these old values. There is no default: each has its price.
        on_return: Rejoin,
    },
}

impl OnDown {
    /// Returns whether stand-ins must see to it that no old value is read.
    pub(crate) fn is_careful(&self) -> bool {
        !matches!(self, Self::Fail | Self::Remap { on_return: Rejoin::Trust })
    }

    /// Returns the prefix of the keys that are removed when a node returns.
    pub(crate) fn flushes(&self) -> Option<&str> {
        match self {
            Self::Remap { on_return: Rejoin::FlushPrefix(prefix) } => Some(prefix),
            _ => None,
        }
    }
}

/// The treatment of old values when a node of a ring returns: those on the node, before it serves again, and those of its keys
/// on the others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejoin {
    /// All keys that begin with this prefix are removed from the node, and those of them that it owns from the other nodes.
    /// Every client that saw the node go does so, at its own moment, and scans all keys of all nodes for it.
    ///
    /// The other nodes are cleaned in the background; one that is down, when it is back. If the node goes down before that, no
    /// other node stands in that may hold old values of it: calls wait as long as for a connection, then they fail.
    FlushPrefix(String),
    /// The node stays out of the ring this long after it went, so that all it held has expired. Correct only if every key
    /// expires within this time. If the node goes down again, its keys fail until this long after its return, so that its keys
    /// on the others have expired too.
    WaitMaxTtl(#[serde(with = "millis")] Duration),
    /// Nothing is removed: the node serves old values, and so do the others when it goes down again.
    Trust,
}

/// A duration as a number of milliseconds.
mod millis {
    use std::time::Duration;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

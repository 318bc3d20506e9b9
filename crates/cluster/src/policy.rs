//! The policies of a ring and of a copy.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

/// How many nodes must take a write for the call to be `Ok`. It is sent to all of them in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteTo {
    /// One is enough. The default: data stays writable while all but one server are down.
    #[default]
    Any,
    /// So many.
    AtLeast(usize),
    /// All.
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

/// Which nodes of a copy may answer a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadFrom {
    /// Those that have missed no write of this key by this client, and have not been restarted under it. The default:
    /// a server that comes back empty or old never answers.
    #[default]
    InSync,
    /// Those first; when none of them answers, the others too, which may serve old values or none.
    Any,
}

/// What is done with a node of a copy that has missed writes, or has lost its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnReturn {
    /// It is brought back by itself: what it has missed is copied to it from a node in sync, or all of it, and then it
    /// answers reads again. The default, with 10,000 keys per second.
    Repair {
        /// How many keys are compared in a second at most.
        keys_per_second: u32,
    },
    /// It answers no reads of what it may have missed until somebody calls
    /// [`repair`](crate::RedisCopy::repair) or [`readmit`](crate::RedisCopy::readmit).
    Wait,
}

impl Default for OnReturn {
    fn default() -> Self {
        // 100,000 keys are compared twice in 20 s, at some 10 % of what a server answers.
        Self::Repair { keys_per_second: 10_000 }
    }
}

/// What a copy was asked to guarantee.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) write_to: WriteTo,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_return: OnReturn,
}
/// What a ring does with the keys of a node that is [down](redisdb_node::Node::is_down).
///
/// Anything but `Fail` is for caches alone: data that can be made anew. What is read meanwhile was written meanwhile,
/// or is missing; a counter starts from nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDown {
    /// Their calls fail at once, with [`Error::Unavailable`](crate::Error::Unavailable). The default: a key is in one
    /// place, and what is there counts.
    #[default]
    Fail,
    /// The next node of [`successors`](redisdb_hashring::HashRing::successors) that is up answers for them.
    ///
    /// Whatever is written there goes after `ttl_cap` at the latest, and deletes go to both nodes. Before the node serves
    /// again, the keys that this client wrote or deleted meanwhile are removed from it (all of its keys, if those are more
    /// than 100,000), so that they are missing rather than old. If it goes again, a key that another node may hold from
    /// before, by the time it has left to live, is removed there before it is used.
    ///
    /// Each client removes what it wrote itself: what one wrote that has ended by the time the node returns is old there.
    /// Two clients that do not agree on whether the node is up read each other's writes late, by no more than `ttl_cap`.
    Failover {
        /// How long a value may live on a node that stands in. A minute is usual.
        #[serde(rename = "ttl_cap_ms", with = "millis")]
        ttl_cap: Duration,
    },
    /// The next node that is up answers for them, as if the node were not in the ring: what go-redis and twemproxy do.
    ///
    /// The node kept what it held before, which is old by the time it returns; what the others are given meanwhile is old
    /// when it goes again.
    Remap {
        /// What is done about that. There is no default: each answer has its price.
        on_return: Rejoin,
    },
}

impl OnDown {
    /// Whether nodes that stand in for others must see to it that nothing old is read.
    pub(crate) fn is_careful(&self) -> bool {
        !matches!(self, Self::Fail | Self::Remap { on_return: Rejoin::Trust })
    }

    /// The prefix of all keys that are removed when a node returns.
    pub(crate) fn flushes(&self) -> Option<&str> {
        match self {
            Self::Remap { on_return: Rejoin::FlushPrefix(prefix) } => Some(prefix),
            _ => None,
        }
    }
}

/// What a ring does about old values on a node that returns, before that serves again, and about those that the others have
/// of it by then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejoin {
    /// All keys that begin with this are removed from it, and from the other nodes those of them that are its own. Every client
    /// that saw it go does so, at its own moment, and looks through all keys of all nodes for it.
    ///
    /// The other nodes follow in the background, those that are down when they are back. If the node goes again before that,
    /// nobody answers for it who may hold old values of it: calls wait as long as for a connection, then they fail.
    FlushPrefix(String),
    /// It is left out until so long after it went: by then all it held has gone by itself, if nothing is written to live
    /// longer. If it goes again, its keys fail until so long after it returned, for what the others hold of it goes by itself,
    /// too.
    WaitMaxTtl(#[serde(with = "millis")] Duration),
    /// Nothing: old values are served, by the node and, when it goes again, by the others.
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

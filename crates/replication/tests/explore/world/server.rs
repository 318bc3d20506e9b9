//! A server: values, hints, its marker, and what was sent to it over connections that are gone.

use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Report;
use redisdb_replication::Standing;
use redisdb_replication::Token;

use super::key::Key;
use super::key::PerKey;
use super::value::Value;
use super::value::WriteSet;

/// The key that says what a server is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Marker {
    #[default]
    Missing,
    /// It was set under an earlier run.
    OfEarlierRun,
    /// A repair with this lease is filling the server.
    Filling {
        token: Token,
        was_missing: bool,
    },
    Current,
}

impl Marker {
    pub(crate) fn is_missing(self) -> bool {
        matches!(self, Self::Missing | Self::Filling { was_missing: true, .. })
    }

    pub(crate) fn standing(self) -> Standing {
        match self {
            Self::Missing => Standing::Empty,
            Self::OfEarlierRun => Standing::Restarted,
            Self::Filling { was_missing: true, .. } => Standing::FillingEmpty,
            Self::Filling { .. } => Standing::Filling,
            Self::Current => Standing::Current,
        }
    }

    /// Returns what it says after a restart that kept it.
    pub(crate) fn restarted(self) -> Self {
        if self.is_missing() { Self::Missing } else { Self::OfEarlierRun }
    }
}

/// What a server keeps on its disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Data {
    pub(crate) values: PerKey<Value>,
    /// Who has missed a write of a key.
    pub(crate) hints: PerKey<NodeSet>,
    /// Those of the hints that a repair has in its hands.
    pub(crate) claimed: PerKey<NodeSet>,
    /// The keys that were written here while this server was behind or not current.
    pub(crate) doubts: PerKey<bool>,
    /// Those of them that a repair has in its hands.
    pub(crate) claimed_doubts: PerKey<bool>,
    /// The nodes that are members no more, as this server has noted.
    pub(crate) forgotten: NodeSet,
    /// The newest lease that has worked here.
    pub(crate) token: Token,
}

impl Data {
    /// Returns who has missed a write of the key, as this server says.
    pub(crate) fn missed(&self, key: Key) -> NodeSet {
        self.hints[key].or(self.claimed[key])
    }

    /// Returns whether the server says of the node that it has missed a write of the key.
    pub(crate) fn says_missed(&self, key: Key, node: Node) -> bool {
        self.missed(key).contains(node)
    }
}

/// A server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Server {
    pub(crate) is_running: bool,
    pub(crate) marker: Marker,
    pub(crate) data: Data,
    pub(crate) dump: Option<Data>,
    /// The writes that are kept by the dump.
    pub(crate) kept: PerKey<WriteSet>,
    /// The hints in the dump whose epoch is over.
    pub(crate) void: PerKey<NodeSet>,
    /// Writes that were sent over a connection that is gone, and may still run.
    pub(crate) zombies: PerKey<WriteSet>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { is_running: true, marker: Marker::Current, ..Self::default() }
    }

    pub(crate) fn report(&self, keys: impl Iterator<Item = Key>) -> Report<Key> {
        let missed = keys.map(|key| (key, self.data.missed(key))).filter(|said| !said.1.is_empty());
        let (standing, missed) = (self.marker.standing(), missed.collect());
        Report { standing, missed, forgotten: self.data.forgotten }
    }

    pub(crate) fn has_zombies(&self, mut keys: impl Iterator<Item = Key>) -> bool {
        keys.any(|key| !self.zombies[key].is_empty())
    }
}

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
    /// Those of the hints that are of the newest count: they came since a repair claimed anything here.
    pub(crate) newest: PerKey<NodeSet>,
    /// The keys that were written here while this server was behind or not current.
    pub(crate) doubts: PerKey<bool>,
    /// Those of them that a repair has in its hands.
    pub(crate) claimed_doubts: PerKey<bool>,
    /// The nodes about which the hints are not complete.
    pub(crate) all: NodeSet,
    /// Those of them that a repair has in its hands.
    pub(crate) claimed_all: NodeSet,
    /// Whether the doubts are not complete.
    pub(crate) all_doubted: bool,
    /// Whether a repair has that in its hands.
    pub(crate) claimed_all_doubted: bool,
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

    /// Returns who may have missed any key.
    pub(crate) fn all_missed(&self) -> NodeSet {
        self.all.or(self.claimed_all)
    }

    fn says_missed_key(&self, key: Key, node: Node) -> bool {
        self.missed(key).contains(node)
    }

    /// Returns whether the server says of the node that it has missed a write of the key.
    pub(crate) fn says_missed(&self, key: Key, node: Node) -> bool {
        self.missed(key).or(self.all_missed()).contains(node)
    }
}

/// A server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Server {
    pub(crate) is_running: bool,
    /// Whether it has no room for hints and doubts.
    pub(crate) is_full: bool,
    pub(crate) marker: Marker,
    pub(crate) data: Data,
    pub(crate) dump: Option<Data>,
    /// The writes that are kept by the dump.
    pub(crate) kept: PerKey<WriteSet>,
    /// The hints in the dump whose epoch is over.
    pub(crate) void: PerKey<NodeSet>,
    /// The nodes whose epoch has ended since the dump was saved.
    pub(crate) renewed: NodeSet,
    /// The nodes about which each new hint is void, for its count has gone back behind the end of an epoch.
    pub(crate) behind_count: NodeSet,
    /// Writes that were sent over a connection that is gone, and may still run.
    pub(crate) zombies: PerKey<WriteSet>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { is_running: true, marker: Marker::Current, ..Self::default() }
    }

    /// Keeps a hint and a doubt. Where there is no room for them it gives up what says that they are complete, which needs none.
    pub(crate) fn note(&mut self, key: Key, missed_by: NodeSet, is_doubted: bool) {
        let missed_by = missed_by.minus(self.behind_count);
        let data = &mut self.data;
        if self.is_full {
            data.all = data.all.or(missed_by);
            data.all_doubted |= is_doubted;
        } else {
            data.hints[key] = data.hints[key].or(missed_by);
            data.newest[key] = data.newest[key].or(missed_by);
            data.doubts[key] |= is_doubted;
        }
    }

    /// A new count of hints begins: those that are here, and those in the dump, are of an older one.
    pub(crate) fn begin_count(&mut self) {
        self.data.newest = PerKey::default();
        if let Some(dump) = &mut self.dump {
            dump.newest = PerKey::default();
        }
    }

    /// The epoch of a node ends: the hints about it that are not of the newest count are void, here and in the dump.
    pub(crate) fn end_epoch(&mut self, node: Node) {
        let data = &mut self.data;
        let is_old = |data: &Data, key| data.says_missed_key(key, node) && !data.newest[key].contains(node);
        for key in Key::first_n(2) {
            if is_old(data, key) {
                data.hints[key].remove(node);
                data.claimed[key].remove(node);
            }
            if self.dump.is_some_and(|dump| is_old(&dump, key)) {
                self.void[key].insert(node);
            }
        }
    }

    /// The hints about a node are gone, and with them what says that they are complete.
    pub(crate) fn lose_hints(&mut self, about: NodeSet) {
        let data = &mut self.data;
        for key in Key::first_n(2) {
            data.hints[key] = data.hints[key].minus(about);
            data.claimed[key] = data.claimed[key].minus(about);
            data.newest[key] = data.newest[key].minus(about);
        }
        data.claimed_all = data.claimed_all.minus(about);
        data.all = data.all.or(about);
    }

    /// The doubts are gone, and with them what says that they are complete.
    pub(crate) fn lose_doubts(&mut self) {
        let data = &mut self.data;
        (data.doubts, data.claimed_doubts) = (PerKey::default(), PerKey::default());
        (data.all_doubted, data.claimed_all_doubted) = (true, false);
    }

    pub(crate) fn report(&self, keys: impl Iterator<Item = Key>) -> Report<Key> {
        let missed = keys.map(|key| (key, self.data.missed(key))).filter(|said| !said.1.is_empty());
        let (standing, missed) = (self.marker.standing(), missed.collect());
        Report { standing, missed, all: self.data.all_missed(), forgotten: self.data.forgotten }
    }

    pub(crate) fn has_zombies(&self, mut keys: impl Iterator<Item = Key>) -> bool {
        keys.any(|key| !self.zombies[key].is_empty())
    }
}

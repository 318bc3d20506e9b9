//! A client process: its own state of the core, and what it has under way at the servers.

use redisdb_replication::Effect;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Setup;
use redisdb_replication::State;

use super::key::Key;
use super::key::PerKey;
use super::value::Value;
use super::value::WriteId;
use super::value::WriteSet;

/// Which of the two clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Who {
    First,
    Second,
}

impl Who {
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// A late hint that is under way to a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct LateHint {
    pub(crate) node: Node,
    pub(crate) missed_by: NodeSet,
    pub(crate) is_doubted: bool,
}

/// A client process.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Client {
    pub(crate) is_alive: bool,
    /// The nodes that this client cannot reach.
    pub(crate) cut: NodeSet,
    pub(crate) state: State<Key>,
    /// The nodes that were asked for their marker and hints.
    pub(crate) asked: NodeSet,
    /// The write of each key that is under way.
    pub(crate) writing: PerKey<Option<WriteId>>,
    /// The nodes that the write was sent to and that have not run it.
    pub(crate) sent: PerKey<NodeSet>,
    pub(crate) hint: PerKey<Option<LateHint>>,
    /// Whether the call is older than `D`.
    pub(crate) is_overdue: PerKey<bool>,
    /// Whether the caller is gone.
    pub(crate) is_dropped: PerKey<bool>,
    /// What a repair has sent to a node.
    pub(crate) work: Option<Effect<Key>>,
    /// The keys that were compared since the round over all keys began.
    pub(crate) compared: PerKey<bool>,
    /// The state that a repair has fetched.
    pub(crate) fetched: Value,
    /// The writes that this client knows to be done.
    pub(crate) known: PerKey<WriteSet>,
}

impl Client {
    pub(crate) fn new(setup: &Setup) -> Self {
        Self { is_alive: true, state: State::at_rest(setup), ..Self::default() }
    }

    /// Returns whether the client is connected to the node, and nothing is between them.
    pub(crate) fn is_linked(&self, node: Node) -> bool {
        self.state.connected().contains(node) && !self.cut.contains(node)
    }

    /// Returns whether something of a write of the key may still be sent.
    pub(crate) fn is_busy(&self, key: Key) -> bool {
        self.state.is_writing(&key) && !self.is_overdue[key]
    }

    /// Forgets what belonged to a write of the key that has ended.
    pub(crate) fn forget_ended(&mut self, key: Key) {
        if !self.state.is_writing(&key) {
            self.writing[key] = None;
            self.sent[key] = NodeSet::EMPTY;
            self.hint[key] = None;
            self.is_overdue[key] = false;
            self.is_dropped[key] = false;
        }
    }
}

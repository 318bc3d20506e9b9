//! A client process: its own state of the core, and what it has under way at the servers.

use std::collections::BTreeMap;

use redisdb_replication::CallId;
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

/// A write of a client that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Call {
    pub(crate) key: Key,
    pub(crate) id: WriteId,
    /// The nodes that the write was sent to and that have not run it.
    pub(crate) sent: NodeSet,
    pub(crate) hint: Option<LateHint>,
    /// The node that was sent the question what the write does.
    pub(crate) decider: Option<Node>,
    /// The node that has decided, where the client stood still before it heard so.
    pub(crate) unheard: Option<Node>,
    /// Whether the call is older than `D`.
    pub(crate) is_overdue: bool,
    /// Whether a server was restarted since it began.
    pub(crate) is_from_before: bool,
    /// Whether the caller is gone.
    pub(crate) is_dropped: bool,
}

impl Call {
    pub(crate) fn new(key: Key, id: WriteId) -> Self {
        Self {
            key,
            id,
            sent: NodeSet::EMPTY,
            hint: None,
            decider: None,
            unheard: None,
            is_overdue: false,
            is_from_before: false,
            is_dropped: false,
        }
    }

    /// Returns its number: reads, which are over at once, have the number 0.
    pub(crate) fn number(&self) -> CallId {
        CallId(self.key.idx() as u64 * 16 + u64::from(self.id.0))
    }
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
    /// The nodes that are to note who is forgotten.
    pub(crate) to_note: NodeSet,
    /// Its writes that are under way.
    pub(crate) calls: BTreeMap<CallId, Call>,
    /// What a repair has sent to a node.
    pub(crate) work: Option<Effect<Key>>,
    /// The keys that were compared since the round over all keys began.
    pub(crate) compared: PerKey<bool>,
    /// The nodes whose changes of a key are still on their way to this client, which repairs.
    pub(crate) unheard: PerKey<NodeSet>,
    /// Whether this client has still to hear that changes were not heard.
    pub(crate) has_gap: bool,
    /// The writes that were under way when a repair looked at a key that it is to look at once more.
    pub(crate) under_way: PerKey<WriteSet>,
    /// The nodes that a repair has looked at.
    pub(crate) looked_at: NodeSet,
    /// The nodes that had told that the key was removed there when a repair looked at it.
    pub(crate) seen_removed: NodeSet,
    /// What the nodes held when a repair looked; only where a value does not return to what it was.
    pub(crate) seen: [Value; 3],
    /// What they held at the look before, D earlier; only there.
    pub(crate) seen_before: PerKey<Option<[Value; 3]>>,
    /// The state that a repair has fetched.
    pub(crate) fetched: Value,
    /// What the nodes held then: they are watched from that moment on.
    pub(crate) watched: [Value; 3],
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

    /// Returns its writes of a key that are under way.
    pub(crate) fn calls_of(&self, key: Key) -> impl Iterator<Item = &Call> {
        self.calls.values().filter(move |call| call.key == key)
    }

    /// Returns its writes of a key of which something may still be sent.
    pub(crate) fn busy_with(&self, key: Key) -> impl Iterator<Item = WriteId> {
        self.calls_of(key).filter(|call| !call.is_overdue).map(|call| call.id)
    }

    /// Returns whether a write is under way that a restarted server may have lost.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.calls.values().any(|call| call.is_from_before && !call.is_overdue)
    }

    /// Drops the writes that have ended.
    pub(crate) fn drop_ended(&mut self) {
        self.calls.retain(|number, _| self.state.is_writing(*number));
    }
}

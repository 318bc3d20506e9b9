//! The shadow of a copy: the explored rules of `redisdb-replication`, which are told what happens to the copy. The shadow
//! decides nothing. Where the rules would decide otherwise than the copy does, the shadow tells a difference.

mod report;
pub(crate) mod write;

use std::collections::HashMap;
use std::fmt;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use parking_lot::Mutex;
use redisdb_node::NodeEvent;
use redisdb_node::plumbing::foreign;
pub use redisdb_replication as replication;
use redisdb_replication::CallId;
use redisdb_replication::Effect;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Outcome;
use redisdb_replication::PerNode;
use redisdb_replication::Report;
use redisdb_replication::Rules;
use redisdb_replication::Setup;
use redisdb_replication::Standing;
use redisdb_replication::State;
use redisdb_replication::step;

use crate::event::Event;

type Key = Vec<u8>;

/// Whom a shadow tells what it is told, and where the copy differs from the rules.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Told<'_>) + Send + Sync>);

/// What a shadow tells.
#[derive(Debug)]
pub enum Told<'a> {
    /// It begins.
    Begins(Setup),
    /// It took an event in, after which its state has this [`digest`].
    Took(&'a replication::Event<Key>, u64),
    /// The copy does something else than the rules would.
    Differs(Difference),
}

/// What a copy does, and the rules would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The copy gives what this node answered to a read of this key.
    Read(String, Key, Because),
    /// The copy gives what all nodes answered to a read of this key.
    Unanimous(Key),
    /// The copy says that no node can answer a read of this key, where the rules read this one.
    Unavailable(String, Key),
    /// The copy acknowledges a write of this key, of which the rules say this.
    Acknowledged(Key, Outcome),
    /// The copy does not acknowledge a write of this key, which the rules acknowledge.
    NotAcknowledged(Key),
}

/// Why the rules do not read a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// A node was lost or has returned, and not all have said since what they hold.
    TheGateIsShut,
    /// The node was not heard since its connection was lost.
    ItIsLost,
    /// The node's marker does not say that it holds all keys.
    ItIsNotCurrent,
    /// The node has missed a write of the key.
    ItIsBehind,
}

impl Listener {
    /// Hands everything over to this function, in the order in which it happens. The function must not block.
    pub fn new(tell: impl Fn(Told<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = |key: &Key| foreign::bytes(key).to_string();
        match self {
            Self::Read(node, name, because) => {
                write!(f, "`{}` is read from {node}, and the rules do not: {because:?}", key(name))
            }
            Self::Unanimous(name) => write!(f, "`{}` is read from all, and the rules do not", key(name)),
            Self::Unavailable(node, name) => {
                write!(f, "`{}` is unavailable, and the rules read it from {node}", key(name))
            }
            Self::Acknowledged(name, outcome) => {
                write!(f, "a write of `{}` is acknowledged, and to the rules it is {outcome:?}", key(name))
            }
            Self::NotAcknowledged(name) => {
                write!(f, "a write of `{}` is not acknowledged, and the rules do", key(name))
            }
        }
    }
}

/// A digest of what the rules know. Equal states have equal digests, in each process.
#[must_use]
pub fn digest(state: &State<Key>) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// The shadow of one copy in one process.
#[derive(Debug)]
pub(crate) struct Shadow {
    names: Vec<String>,
    setup: Setup,
    listener: Listener,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    state: State<Key>,
    last_call: u64,
    /// What the rules have answered to the writes that are under way.
    answers: HashMap<CallId, Outcome>,
    /// The process of each server that was heard last, and what its marker said.
    heard: PerNode<Option<(u64, Standing)>>,
}

impl Shadow {
    /// The shadow of a copy of these nodes, so many of which must take a write. `None` if the rules know no such number of
    /// nodes.
    pub(crate) fn new(names: Vec<String>, n_takers: usize, listener: Listener) -> Option<Self> {
        let members = NodeSet::first_n(names.len());
        let setup = Setup { members, n_takers, rules: Rules::ALL };
        let are_known = members.len() == names.len();
        listener.tell(Told::Begins(setup));
        are_known.then(|| Self { names, setup, listener, known: Mutex::default() })
    }

    /// Something has happened to a node.
    pub(crate) fn hear(&self, event: &Event) {
        if let Event::Node { node, event: NodeEvent::Down { .. } | NodeEvent::Disconnected } = event
            && let Some(node) = self.names.iter().position(|name| name == node).and_then(Node::new)
        {
            self.lose(&mut self.known.lock(), node);
        }
    }

    /// What the marker of a node's server said last, if that is still this process and the node was not lost since.
    fn standing(&self, node: usize, process: u64) -> Option<Standing> {
        let (known, node) = (self.known.lock(), Node::new(node)?);
        let heard = known.heard[node].filter(|heard| heard.0 == process);
        heard.filter(|_| known.state.connected().contains(node)).map(|heard| heard.1)
    }

    /// This process of a node's server says what it is and holds.
    pub(crate) fn learn(&self, node: usize, process: u64, report: Report<Key>) {
        let Some(node) = Node::new(node) else { return };
        let known = &mut *self.known.lock();
        let before = known.heard[node].replace((process, report.standing));
        if before.is_some_and(|(before, _)| before != process) {
            self.lose(known, node);
        }
        let event = match known.state.connected().contains(node) {
            true if !known.state.is_news(&self.setup, node, &report) => return,
            true => replication::Event::Told(node, report),
            false => replication::Event::Connected(node, report),
        };
        self.feed(known, event);
    }

    /// The copy gives what a node answered to a read of these keys.
    pub(crate) fn is_read<'k>(&self, node: usize, keys: impl Iterator<Item = &'k [u8]>) {
        let Some(at) = Node::new(node) else { return };
        let known = self.known.lock();
        for key in keys.map(<[u8]>::to_vec) {
            if !known.state.readable(&self.setup, &key).contains(at) {
                let because = self.why_not(&known, at, &key);
                self.differs(Difference::Read(self.name(at), key, because));
            }
        }
    }

    /// The copy gives what all nodes answered to a read of these keys.
    pub(crate) fn is_read_from_all<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let known = self.known.lock();
        for key in keys.map(<[u8]>::to_vec) {
            if known.state.readable(&self.setup, &key).is_empty() && !known.state.may_agree(&self.setup, &key)
            {
                self.differs(Difference::Unanimous(key));
            }
        }
    }

    /// The copy says that no node can answer a read of these keys.
    pub(crate) fn is_unavailable<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let known = self.known.lock();
        for key in keys.map(<[u8]>::to_vec) {
            if let Some(node) = known.state.readable(&self.setup, &key).first() {
                self.differs(Difference::Unavailable(self.name(node), key));
            }
        }
    }

    fn why_not(&self, known: &Known, node: Node, key: &Key) -> Because {
        match &known.state {
            state if !state.connected().contains(node) => Because::ItIsLost,
            state if !state.is_gate_open(&self.setup) => Because::TheGateIsShut,
            state if state.behind(key).contains(node) => Because::ItIsBehind,
            _ => Because::ItIsNotCurrent,
        }
    }

    fn lose(&self, known: &mut Known, node: Node) {
        if known.state.connected().contains(node) {
            self.feed(known, replication::Event::Lost(node));
        }
    }

    /// Tells the rules of an event. What they want hinted late is hinted: the copy does so before a call returns.
    fn feed(&self, known: &mut Known, event: replication::Event<Key>) -> Vec<Effect<Key>> {
        let effects = step(&self.setup, &mut known.state, event.clone());
        self.listener.tell(Told::Took(&event, digest(&known.state)));
        for effect in &effects {
            match effect {
                Effect::AnswerWrite(call, outcome) => _ = known.answers.insert(*call, *outcome),
                Effect::Hint { call, node, .. } => {
                    self.feed(known, replication::Event::Hinted(*call, *node, None));
                }
                _ => {}
            }
        }
        effects
    }

    fn differs(&self, difference: Difference) {
        self.listener.tell(Told::Differs(difference));
    }

    fn name(&self, node: Node) -> String {
        self.names.get(node.idx()).cloned().unwrap_or_default()
    }
}

impl Listener {
    fn tell(&self, told: Told<'_>) {
        (self.0)(told);
    }
}

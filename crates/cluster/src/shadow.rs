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
use redisdb_replication::Digest;
use redisdb_replication::Effect;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Outcome;
use redisdb_replication::PerNode;
use redisdb_replication::Report;
use redisdb_replication::Rule;
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
    /// A repair has compared these keys on the node in this place with another node. The rules are not told: how many keys are compared
    /// is no matter of theirs.
    Compared(usize, &'a [Key]),
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
    /// The copy does not know that this node has missed a write of this key, which the rules have hinted.
    NotHinted(String, Key),
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
            Self::NotHinted(node, name) => {
                write!(f, "{node} has missed a write of `{}` to the rules, and not to the copy", key(name))
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
    known: Mutex<Belief>,
}

/// What the rules have been told, and what they have said.
#[derive(Debug, Default)]
struct Belief {
    state: State<Key>,
    last_call: u64,
    /// What the rules have answered to the writes that are under way, and whom they have hinted to have missed them.
    answers: HashMap<CallId, Outcome>,
    hinted: HashMap<CallId, NodeSet>,
    /// The process of each server that was heard last, and what its marker said.
    heard: PerNode<Option<(u64, Standing)>>,
}

impl Belief {
    fn note_hint(&mut self, call: CallId, missed_by: NodeSet) {
        let hinted = self.hinted.entry(call).or_default();
        *hinted = hinted.or(missed_by);
    }
}

impl Shadow {
    /// The shadow of a copy of these nodes, so many of which must take a write.
    pub(crate) fn new(names: Vec<String>, n_takers: usize, listener: Listener) -> Self {
        let members = NodeSet::first_n(names.len());
        let setup = Setup { members, n_takers, rules: Rules::ALL.without(Rule::Gate) };
        listener.tell(Told::Begins(setup));
        Self { names, setup, listener, known: Mutex::default() }
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

    /// The copy has forgotten that some nodes have missed a write of some keys: they were given what they missed, or were seen to hold
    /// it. `has_missed` says whether the copy still knows of a node that it has missed a write of a key.
    pub(crate) fn are_mended(&self, has_missed: impl Fn(usize, &[u8]) -> bool) {
        let known = &mut *self.known.lock();
        let mended = known.state.missed().filter_map(|(key, nodes)| {
            let mended: NodeSet = nodes.iter().filter(|node| !has_missed(node.idx(), key)).collect();
            (!mended.is_empty()).then(|| (key.clone(), mended))
        });
        for (key, nodes) in mended.collect::<Vec<_>>() {
            self.feed(known, replication::Event::Mended(key, nodes));
        }
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

    /// The copy gives what these nodes answered alike to a read of these keys: all but those that are known to be behind.
    pub(crate) fn is_read_from_all<'k>(&self, voters: &[usize], keys: impl Iterator<Item = &'k [u8]>) {
        let known = self.known.lock();
        let voters: NodeSet = voters.iter().filter_map(|voter| Node::new(*voter)).collect();
        for key in keys.map(<[u8]>::to_vec) {
            let state = &known.state;
            if state.readable(&self.setup, &key).is_empty()
                && !state.may_agree_among(&self.setup, &key, voters)
            {
                self.differs(Difference::Unanimous(key));
            }
        }
    }

    /// The copy has seen that all nodes hold the same of these keys, a while after they were restarted.
    pub(crate) fn is_agreed_on(&self, keys: &[Vec<u8>]) {
        let known = &mut *self.known.lock();
        if known.state.wants_to_settle(&self.setup) {
            self.feed(known, replication::Event::Settled);
        }
        for key in keys {
            known.last_call += 1;
            let call = CallId(known.last_call);
            let mut next = Some(replication::Event::Read(call, key.clone()));
            while let Some(event) = next.take() {
                next = self.feed(known, event).into_iter().find_map(|effect| match effect {
                    Effect::Read(call, _, node) => {
                        Some(replication::Event::Answered(call, node, Digest::default(), None))
                    }
                    _ => None,
                });
            }
        }
    }

    /// A repair has compared these keys on this node with another one.
    pub(crate) fn is_compared(&self, node: usize, keys: &[Key]) {
        self.listener.tell(Told::Compared(node, keys));
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

    fn why_not(&self, known: &Belief, node: Node, key: &Key) -> Because {
        match &known.state {
            state if !state.connected().contains(node) => Because::ItIsLost,
            state if !state.is_gate_open(&self.setup) => Because::TheGateIsShut,
            state if state.behind(key).contains(node) => Because::ItIsBehind,
            _ => Because::ItIsNotCurrent,
        }
    }

    fn lose(&self, known: &mut Belief, node: Node) {
        if known.state.connected().contains(node) {
            self.feed(known, replication::Event::Lost(node));
        }
    }

    /// Tells the rules of an event. What they want hinted late is hinted: the copy does so before a call returns.
    fn feed(&self, known: &mut Belief, event: replication::Event<Key>) -> Vec<Effect<Key>> {
        let effects = step(&self.setup, &mut known.state, event.clone());
        self.listener.tell(Told::Took(&event, digest(&known.state)));
        for effect in &effects {
            match effect {
                Effect::AnswerWrite(call, outcome) => _ = known.answers.insert(*call, *outcome),
                Effect::Write { call, missed_by, .. } => known.note_hint(*call, *missed_by),
                Effect::Hint { call, node, missed_by, .. } => {
                    known.note_hint(*call, *missed_by);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::divergence::Ack;

    const KEY: &[u8] = b"k";

    fn report(missed: &[(&[u8], usize)]) -> Report<Key> {
        let nodes = |idx: usize| NodeSet::EMPTY.with(Node::new(idx).unwrap());
        let missed = missed.iter().map(|(key, idx)| (key.to_vec(), nodes(*idx))).collect();
        Report { missed, ..Report::of(Standing::Current) }
    }

    /// The copy knows of all that was missed.
    fn knows(_: usize, _: &[u8]) -> bool {
        true
    }

    fn keys<'k>() -> impl Iterator<Item = &'k [u8]> {
        std::iter::once(KEY)
    }

    /// A shadow of two nodes that are well, and what it has told.
    fn shadow() -> (Shadow, Arc<Mutex<Vec<Difference>>>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let differences = Arc::clone(&told);
        let listener = Listener::new(move |told| {
            if let Told::Differs(difference) = told {
                differences.lock().push(difference);
            }
        });
        let shadow = Shadow::new(vec!["a".to_owned(), "b".to_owned()], 1, listener);
        (0..2).for_each(|node| shadow.learn(node, 1, report(&[])));
        (shadow, told)
    }

    #[test]
    fn what_the_rules_would_do_too_is_no_difference() {
        let (shadow, told) = shadow();
        shadow.begin_write(keys(), false).end(vec![Ack::Yes, Ack::Yes], (true, false), knows);
        (0..2).for_each(|node| shadow.is_read(node, keys()));
        shadow.begin_write(keys(), true).end(vec![Ack::No, Ack::Maybe], (false, false), knows);
        assert_eq!(*told.lock(), []);
    }

    #[test]
    fn a_read_of_a_node_that_missed_a_write_differs_until_the_other_node_says_no_more_that_it_did() {
        let (shadow, told) = shadow();
        shadow.begin_write(keys(), true).end(vec![Ack::Yes, Ack::No], (true, false), knows);
        shadow.is_read(0, keys());
        assert_eq!(*told.lock(), []);
        shadow.is_read(1, keys());
        let behind = |node: &str| Difference::Read(node.to_owned(), KEY.to_vec(), Because::ItIsBehind);
        assert_eq!(told.lock().pop(), Some(behind("b")));
        shadow.learn(0, 1, report(&[(KEY, 1)]));
        shadow.is_read(1, keys());
        assert_eq!(told.lock().pop(), Some(behind("b")));
        shadow.learn(0, 1, report(&[]));
        shadow.is_read(1, keys());
        assert_eq!(*told.lock(), []);
    }

    #[test]
    fn a_write_that_builds_on_what_a_node_lacks_is_not_acknowledged_by_the_rules() {
        let (shadow, told) = shadow();
        shadow.learn(0, 1, report(&[(KEY, 1)]));
        shadow.begin_write(keys(), false).end(vec![Ack::No, Ack::Yes], (true, false), knows);
        assert_eq!(told.lock().pop(), Some(Difference::Acknowledged(KEY.to_vec(), Outcome::Unknown)));
        shadow.begin_write(keys(), false).end(vec![Ack::Yes, Ack::Yes], (false, false), knows);
        assert_eq!(told.lock().pop(), Some(Difference::NotAcknowledged(KEY.to_vec())));
        // Of one that a node has decided the copy wants more.
        shadow.begin_write(keys(), false).end(vec![Ack::Yes, Ack::Yes], (false, true), knows);
        assert_eq!(told.lock().pop(), None);
    }

    #[test]
    fn a_node_that_the_copy_does_not_know_to_have_missed_a_write_differs() {
        let (shadow, told) = shadow();
        shadow
            .begin_write(keys(), true)
            .end(vec![Ack::Yes, Ack::No], (true, false), |node, key| node == 0 && key == KEY);
        assert_eq!(told.lock().pop(), Some(Difference::NotHinted("b".to_owned(), KEY.to_vec())));
        shadow.hear(&Event::Node { node: "b".to_owned(), event: NodeEvent::Disconnected });
        shadow.begin_write(keys(), true).end(vec![Ack::Yes, Ack::No], (true, false), |_, _| false);
        assert_eq!(told.lock().pop(), Some(Difference::NotHinted("b".to_owned(), KEY.to_vec())));
        assert!(shadow.known.lock().hinted.is_empty());
    }

    #[test]
    fn a_node_that_is_another_process_or_was_lost_is_heard_before_it_is_read() {
        let (shadow, told) = shadow();
        let node = |event| Event::Node { node: "b".to_owned(), event };
        shadow.hear(&node(NodeEvent::Disconnected));
        shadow.is_read(1, keys());
        let read = |because| Difference::Read("b".to_owned(), KEY.to_vec(), because);
        assert_eq!(told.lock().pop(), Some(read(Because::ItIsLost)));
        assert_eq!(shadow.standing(1, 1), None);
        shadow.learn(1, 2, Report { standing: Standing::Restarted, ..report(&[]) });
        shadow.is_read(1, keys());
        assert_eq!(told.lock().pop(), Some(read(Because::ItIsNotCurrent)));
        shadow.is_read_from_all(&[0, 1], keys());
        assert_eq!(*told.lock(), []);
        shadow.is_unavailable(keys());
        assert_eq!(told.lock().pop(), Some(Difference::Unavailable("a".to_owned(), KEY.to_vec())));
    }

    #[test]
    fn a_node_that_was_mended_is_behind_no_more_though_no_node_is_current() {
        let (shadow, told) = shadow();
        let restarted =
            |missed: &[(&[u8], usize)]| Report { standing: Standing::Restarted, ..report(missed) };
        shadow.learn(0, 2, restarted(&[(KEY, 1)]));
        shadow.learn(1, 2, restarted(&[]));
        let differs = |voters: &[usize]| {
            shadow.is_read_from_all(voters, keys());
            std::mem::take(&mut *told.lock()) == [Difference::Unanimous(KEY.to_vec())]
        };
        assert!(differs(&[0, 1]) && !differs(&[0]), "the node that is behind is left out");
        shadow.learn(0, 2, restarted(&[]));
        shadow.are_mended(|node, key| node == 1 && key == KEY);
        assert!(differs(&[0, 1]), "what a node has said is remembered while it is not current");
        shadow.are_mended(|_, _| false);
        assert!(!differs(&[0, 1]) && differs(&[0]));
    }

    #[test]
    fn a_write_that_nobody_waits_for_any_more_leaves_behind_who_did_not_take_it() {
        let (shadow, told) = shadow();
        shadow.begin_write(keys(), true).give_up(vec![Ack::Yes, Ack::Maybe]);
        shadow.is_read(0, keys());
        assert_eq!(*told.lock(), []);
        shadow.is_read(1, keys());
        assert_eq!(told.lock().len(), 1);
        assert!(shadow.known.lock().answers.is_empty());
    }
}

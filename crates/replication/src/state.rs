//! What one process knows of the nodes of a copy, and whom it may read from.

use std::collections::BTreeMap;

use crate::event::CallId;
use crate::event::Report;
use crate::event::Standing;
use crate::event::Token;
use crate::missed::Missed;
use crate::node::Node;
use crate::node::NodeSet;
use crate::node::PerNode;
use crate::pass::Pass;
use crate::read::Read;
use crate::repair::Repair;
use crate::rule::Rule;
use crate::rule::Rules;
use crate::write::Call;

/// What does not change while a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Setup {
    /// The nodes of the copy.
    pub members: NodeSet,
    /// How many nodes must take a write for it to be acknowledged.
    pub n_takers: usize,
    /// The rules in force.
    pub rules: Rules,
}

impl Setup {
    /// Returns whether a rule is in force.
    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.rules.has(rule)
    }
}

/// What one process knows. Nothing in it is known to other processes. Of a key at rest it knows nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State<K> {
    /// The nodes that are members no more.
    pub(crate) forgotten: NodeSet,
    /// The nodes that have noted all of these.
    pub(crate) noted: NodeSet,
    /// The nodes that this process is connected to.
    pub(crate) connected: NodeSet,
    /// The nodes whose marker and hints were read since the last loss or return of any node.
    pub(crate) fresh: NodeSet,
    /// The nodes that may be read from, as far as their connections go.
    pub(crate) admitted: NodeSet,
    /// What each node's marker said last.
    pub(crate) standings: PerNode<Standing>,
    /// Who has missed a write of a key, by the node that says so.
    pub(crate) missed: Missed<K>,
    /// The nodes that count as current for a key, though they are not for all: all nodes were seen to hold the same.
    pub(crate) agreed: BTreeMap<K, NodeSet>,
    /// Whether `D` has passed since a node was lost or came back: no write is under way that a restarted node may have lost.
    pub(crate) is_settled: bool,
    /// The writes that are under way.
    pub(crate) calls: BTreeMap<CallId, Call<K>>,
    /// The reads that are under way.
    pub(crate) reads: BTreeMap<CallId, Read<K>>,
    /// What this process does for all: the repair.
    pub(crate) repair: Repair<K>,
}

impl<K> Default for State<K> {
    /// Returns the state of a process that is connected to no node, and has heard of none.
    fn default() -> Self {
        Self {
            forgotten: NodeSet::EMPTY,
            noted: NodeSet::EMPTY,
            connected: NodeSet::EMPTY,
            fresh: NodeSet::EMPTY,
            admitted: NodeSet::EMPTY,
            standings: PerNode::default(),
            missed: Missed::default(),
            agreed: BTreeMap::new(),
            is_settled: false,
            calls: BTreeMap::new(),
            reads: BTreeMap::new(),
            repair: Repair::default(),
        }
    }
}

impl<K: Ord + Clone> State<K> {
    /// Returns the state of a process that is connected to all nodes, which are current and hold the same.
    #[must_use]
    pub fn at_rest(setup: &Setup) -> Self {
        let members = setup.members;
        let mut state = Self { connected: members, fresh: members, admitted: members, ..Self::default() };
        for node in members.iter() {
            state.standings[node] = Standing::Current;
        }
        state
    }

    /// Returns the same of the process that repairs for all.
    #[must_use]
    pub fn at_rest_with_lease(setup: &Setup, token: Token) -> Self {
        Self { repair: Repair::with_lease(token), ..Self::at_rest(setup) }
    }

    /// Returns whether this process believes that it repairs for all.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.repair.lease.is_some()
    }

    /// Returns whether this process waits for a node in a repair.
    #[must_use]
    pub fn is_repairing(&self) -> bool {
        self.repair.pass.is_some()
    }

    /// Returns whether the nodes differ in a key, and are compared once more `D` later, because a node does not tell what changes
    /// there.
    #[must_use]
    pub fn looks_twice(&self, key: &K) -> bool {
        self.repair.shown.contains_key(key)
    }

    /// Returns the node whose state is being copied.
    #[must_use]
    pub fn source_of_pass(&self) -> Option<Node> {
        self.repair.pass.as_ref().and_then(Pass::source)
    }

    /// Returns the nodes of the copy that are not forgotten.
    #[must_use]
    pub fn members(&self, setup: &Setup) -> NodeSet {
        setup.members.minus(self.forgotten)
    }

    /// Returns the nodes that are members no more.
    #[must_use]
    pub fn forgotten(&self) -> NodeSet {
        self.forgotten
    }

    /// Returns the nodes that this process is connected to.
    #[must_use]
    pub fn connected(&self) -> NodeSet {
        self.connected
    }

    /// Returns whether the call is a write that is under way.
    #[must_use]
    pub fn is_writing(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// Returns whether a report of the node would tell this process anything.
    #[must_use]
    pub fn is_news(&self, setup: &Setup, node: Node, report: &Report<K>) -> bool {
        let is_known = match self.replaces(setup, report) {
            true => self.missed.says_just(node, &report.missed, report.all),
            false => self.missed.says(node, &report.missed, report.all),
        };
        let opens_gate = !setup.has(Rule::Gate) || self.connected.is_subset(self.fresh.with(node));
        !is_known
            || !report.forgotten.is_subset(self.forgotten)
            || self.owes_word(report)
            || self.standings[node] != report.standing
            || !self.fresh.contains(node)
            || opens_gate && self.admitted != self.connected
    }

    /// Returns the nodes that have missed a write of the key, as far as this process knows.
    #[must_use]
    pub fn behind(&self, key: &K) -> NodeSet {
        self.missed.behind(key).minus(self.forgotten)
    }

    /// Returns the keys that were missed, as far as this process knows, each with the nodes that have missed a write of just this key.
    pub fn missed(&self) -> impl Iterator<Item = (&K, NodeSet)> {
        self.missed.keys()
    }

    /// Returns whether all connected nodes have said what they hold since the last loss or return of any.
    #[must_use]
    pub fn is_gate_open(&self, setup: &Setup) -> bool {
        !setup.has(Rule::Gate) || self.connected.is_subset(self.fresh)
    }

    /// Returns the nodes that may answer a read of the key.
    #[must_use]
    pub fn readable(&self, setup: &Setup, key: &K) -> NodeSet {
        if !self.is_gate_open(setup) {
            return NodeSet::EMPTY;
        }
        let sound: NodeSet = self.members(setup).iter().filter(|node| self.is_sound(setup, *node)).collect();
        self.admitted.and(sound.or(self.agreed(key))).minus(self.behind(key))
    }

    /// Returns the nodes that hold what all held when the key was seen equal on all, and what was written since.
    #[must_use]
    pub fn agreed(&self, key: &K) -> NodeSet {
        self.agreed.get(key).copied().unwrap_or_default()
    }

    /// Returns whether no write is under way that a restarted node may have lost.
    pub(crate) fn is_settled(&self, setup: &Setup) -> bool {
        self.is_settled || !setup.has(Rule::Settled)
    }

    /// Returns whether [`Event::Settled`](crate::Event::Settled) would tell this process anything.
    #[must_use]
    pub fn wants_to_settle(&self, setup: &Setup) -> bool {
        let members = self.members(setup);
        !self.is_settled && members == self.connected && self.current(members).is_empty()
    }

    /// A node was lost, or is not what it was: that it agreed with the others proves nothing any more.
    pub(crate) fn disagree(&mut self, node: Node) {
        self.agreed.retain(|_, nodes| {
            nodes.remove(node);
            !nodes.is_empty()
        });
    }

    /// Returns whether the node's marker says that it holds all keys.
    pub(crate) fn is_sound(&self, setup: &Setup, node: Node) -> bool {
        let standing = self.standings[node];
        match standing {
            Standing::Current => true,
            _ if standing.is_emptied() => !setup.has(Rule::Emptied),
            _ => !setup.has(Rule::Restarted),
        }
    }

    /// Returns those of the nodes that are current, for this key at least, and not known to be behind for it.
    #[must_use]
    pub fn entitled(&self, key: &K, among: NodeSet) -> NodeSet {
        self.current(among).or(among.and(self.agreed(key))).minus(self.behind(key))
    }

    /// Returns those of the nodes that are current and not known to be behind for any key.
    pub(crate) fn in_sync(&self, among: NodeSet) -> NodeSet {
        self.current(among).minus(self.missed.behind_any(among))
    }

    /// Returns those of the nodes that are current.
    pub(crate) fn current(&self, among: NodeSet) -> NodeSet {
        among.iter().filter(|node| self.standings[*node] == Standing::Current).collect()
    }

    /// Returns whether the node has to be told who is forgotten.
    pub(crate) fn owes_word(&self, report: &Report<K>) -> bool {
        if self.forgotten.is_empty() {
            return false;
        }
        let hinted = report.missed.values().fold(report.all, |all, nodes| all.or(*nodes));
        !self.forgotten.is_subset(report.forgotten) || !hinted.and(self.forgotten).is_empty()
    }

    /// Returns whether what a node says of misses replaces what it said before.
    fn replaces(&self, setup: &Setup, report: &Report<K>) -> bool {
        report.standing == Standing::Current || !setup.has(Rule::Memory)
    }

    /// Takes in what a node says.
    pub(crate) fn learn(&mut self, setup: &Setup, node: Node, report: &Report<K>) {
        // A node that is current is so for all keys.
        if report.standing.is_emptied() || report.standing == Standing::Current {
            self.disagree(node);
        }
        self.standings[node] = report.standing;
        match self.replaces(setup, report) {
            true => self.missed.replace(node, &report.missed, report.all),
            false => self.missed.extend(node, &report.missed, report.all),
        }
        match !self.forgotten.is_empty() && self.forgotten.is_subset(report.forgotten) {
            true => self.noted.insert(node),
            false => self.noted.remove(node),
        }
        self.fresh.insert(node);
        if self.is_gate_open(setup) {
            self.admitted = self.connected;
        }
    }
}

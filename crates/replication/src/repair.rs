//! The repair: who does it, what gives a reason for it, and when a node is current again.

use crate::effect::Effect;
use crate::event::Standing;
use crate::event::Token;
use crate::key::Key;
use crate::key::KeySet;
use crate::node::Node;
use crate::node::NodeSet;
use crate::pass::Pass;
use crate::rule::Rule;
use crate::step::Step;

/// What the process that repairs for all has still to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Repair {
    /// The lease under which this process repairs.
    pub(crate) lease: Option<Token>,
    /// The keys that changed since they were last seen equal.
    pub(crate) dirty: KeySet,
    /// The keys that were seen equal on all nodes since the filling of those that are not current began.
    pub(crate) compared: KeySet,
    /// The key that is being compared.
    pub(crate) pass: Option<Pass>,
}

impl Repair {
    /// Returns the repair of a process that has just got this lease.
    pub(crate) fn with_lease(token: Token) -> Self {
        Self { lease: Some(token), ..Self::default() }
    }
}

impl Step<'_> {
    /// This process repairs from now on. What its predecessor has not finished is not known, so all keys are looked at.
    pub(crate) fn lease_got(&mut self, token: Token) {
        let dirty = self.all_by_feed();
        self.state.repair = Repair { dirty, ..Repair::with_lease(token) };
    }

    pub(crate) fn lease_lost(&mut self) {
        self.state.repair = Repair::default();
    }

    /// A key changed on some node.
    pub(crate) fn changed(&mut self, key: Key) {
        let repair = &mut self.state.repair;
        if repair.lease.is_none() || !self.setup.has(Rule::Feed) {
            return;
        }
        repair.dirty.insert(key);
        if let Some(pass) = repair.pass.as_mut().filter(|pass| pass.key == key) {
            pass.has_changed = true;
        }
    }

    /// A node was away, and what changed there meanwhile was not heard.
    pub(crate) fn missed_the_feed(&mut self) {
        if self.state.repair.lease.is_some() {
            self.state.repair.dirty = self.all_by_feed();
            self.state.repair.compared = KeySet::EMPTY;
        }
    }

    fn all_by_feed(&self) -> KeySet {
        if self.setup.has(Rule::Feed) { self.setup.keys } else { KeySet::EMPTY }
    }

    /// A key may be changing still: nothing is begun.
    pub(crate) fn due(&mut self, key: Key) {
        if !self.setup.has(Rule::Quiet) {
            self.begin_pass(key);
        }
    }

    /// A key is quiet: if there is a reason to compare it, that begins.
    pub(crate) fn begin_pass(&mut self, key: Key) {
        let repair = &self.state.repair;
        let (Some(token), None) = (repair.lease, repair.pass) else { return };
        let set = self.state.connected;
        if !self.has_reason(key) || !self.sees_enough() {
            return;
        }
        self.state.repair.dirty.remove(key);
        self.state.repair.pass = Some(Pass::new(key, set));
        if let Some(node) = set.first() {
            self.emit(Effect::Claim(key, node, token));
        }
    }

    /// Returns whether the key changed, was missed by a node in sight, or has to be compared for a node to become current.
    fn has_reason(&self, key: Key) -> bool {
        let repair = &self.state.repair;
        let is_hinted = !self.state.behind(self.setup, key).and(self.state.connected).is_empty();
        let is_awaited = !self.all_current(self.state.connected) && !repair.compared.contains(key);
        repair.dirty.contains(key) || is_hinted || is_awaited
    }

    /// Returns whether the nodes in sight are enough to say who is right.
    fn sees_enough(&self) -> bool {
        let (set, members) = (self.state.connected, self.setup.members);
        let are_two = 2 <= set.len() || members.len() == 1;
        let are_known = set.is_subset(self.state.fresh);
        let are_all = set == members || self.all_current(set) || !self.setup.has(Rule::AllInSight);
        are_two && are_known && are_all
    }

    pub(crate) fn all_current(&self, set: NodeSet) -> bool {
        set.iter().all(|node| self.state.standings[node] == Standing::Current)
    }

    /// A key was seen equal everywhere: returns the nodes that are to be made current, under their next epoch.
    ///
    /// Those are the nodes that were filled, after the last key; and each node that was behind for this key or has a doubt. Of
    /// neither may another key be missed.
    pub(crate) fn renewable(&mut self, pass: &Pass) -> NodeSet {
        self.state.repair.compared.insert(pass.key);
        if pass.set != self.setup.members && self.setup.has(Rule::AllInSight) {
            return NodeSet::EMPTY;
        }
        let is_current = |node: &Node| self.state.standings[*node] == Standing::Current;
        let current: NodeSet = pass.set.iter().filter(is_current).collect();
        let are_all = self.setup.keys.is_subset(self.state.repair.compared) || !self.setup.has(Rule::AllKeys);
        let filled = if are_all { pass.set.minus(current) } else { NodeSet::EMPTY };
        let was_behind = pass.set.iter().fold(pass.doubted, |all, node| all.or(pass.said[node]));
        filled.or(current.and(was_behind)).minus(self.behind_for_others(pass.key))
    }

    /// Returns the nodes that have missed another key than this one.
    fn behind_for_others(&self, key: Key) -> NodeSet {
        let others =
            self.setup.keys.iter().filter(|other| *other != key && self.setup.has(Rule::NoOtherHint));
        others.fold(NodeSet::EMPTY, |all, other| all.or(self.state.behind(self.setup, other)))
    }
}

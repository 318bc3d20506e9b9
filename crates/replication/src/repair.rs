//! The repair: who does it, what gives a reason for it, and when a node is current again.

use std::collections::BTreeMap;

use crate::effect::Effect;
use crate::event::Token;
use crate::node::NodeSet;
use crate::pass::Pass;
use crate::pass::Shown;
use crate::rule::Rule;
use crate::state::Setup;
use crate::state::State;
use crate::step::Step;

/// What the process that repairs for all has still to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Repair<K> {
    /// The lease under which this process repairs.
    pub(crate) lease: Option<Token>,
    /// The keys that changed since they were last seen equal, with the nodes that have told so.
    pub(crate) dirty: BTreeMap<K, NodeSet>,
    /// What the nodes showed of keys that differed, where a node does not tell what changes there. These keys are dirty.
    pub(crate) shown: BTreeMap<K, Shown>,
    /// Whether any key may have changed unheard.
    pub(crate) is_round_due: bool,
    /// The key that is being compared.
    pub(crate) pass: Option<Pass<K>>,
}

impl<K> Default for Repair<K> {
    fn default() -> Self {
        Self { lease: None, dirty: BTreeMap::new(), shown: BTreeMap::new(), is_round_due: false, pass: None }
    }
}

impl<K> Repair<K> {
    /// Returns the repair of a process that has just got this lease.
    pub(crate) fn with_lease(token: Token) -> Self {
        Self { lease: Some(token), ..Self::default() }
    }
}

impl<K: Ord + Clone> State<K> {
    /// Returns whether all keys are to be compared, one after the other: any of them may have changed unheard, or been
    /// missed, or a node is not current. As long as it is so, whoever runs the core walks the round. No key counts that
    /// was compared in a round before.
    #[must_use]
    pub fn wants_round(&self) -> bool {
        let set = self.connected;
        self.repair.lease.is_some() && (self.repair.is_round_due || self.unfinished(set) != NodeSet::EMPTY)
    }

    /// Returns whether a quiet key would be compared: it changed, was missed by a node in sight, or is due in the round.
    #[must_use]
    pub fn wants_pass(&self, setup: &Setup, key: &K, is_due: bool) -> bool {
        let repair = &self.repair;
        let is_hinted = || !self.behind(key).and(self.connected).is_empty();
        let has_reason = || is_due && self.wants_round() || repair.dirty.contains_key(key) || is_hinted();
        repair.lease.is_some() && repair.pass.is_none() && has_reason() && self.sees_enough(setup)
    }

    /// Returns whether the nodes in sight are enough to say who is right.
    fn sees_enough(&self, setup: &Setup) -> bool {
        let (set, members) = (self.connected, self.members(setup));
        let are_two = members.len().clamp(1, 2) <= set.len();
        let are_known = set.is_subset(self.fresh);
        let are_all = set == members || self.all_current(set) || !setup.has(Rule::AllInSight);
        are_two && are_known && are_all
    }

    /// Returns those of the nodes that are not current, or may have missed any key.
    pub(crate) fn unfinished(&self, among: NodeSet) -> NodeSet {
        among.minus(self.current(among)).or(among.and(self.missed.behind_for_all()))
    }

    fn all_current(&self, set: NodeSet) -> bool {
        self.current(set) == set
    }
}

impl<K: Ord + Clone> Step<'_, K> {
    /// This process repairs from now on. What its predecessor has not finished is not known, so all keys are looked at.
    pub(crate) fn lease_got(&mut self, token: Token) {
        self.state.repair = Repair::with_lease(token);
        self.missed_the_feed();
    }

    pub(crate) fn lease_lost(&mut self) {
        self.state.repair = Repair::default();
    }

    /// A key changed on these nodes.
    pub(crate) fn changed(&mut self, key: K, nodes: NodeSet) {
        let repair = &mut self.state.repair;
        if repair.lease.is_none() || !self.setup.has(Rule::Feed) {
            return;
        }
        if let Some(pass) = repair.pass.as_mut().filter(|pass| pass.key == key) {
            pass.has_changed = true;
        }
        let told = repair.dirty.entry(key).or_default();
        *told = told.or(nodes);
    }

    /// Changes were not heard, among them perhaps one of the key that is being compared.
    pub(crate) fn unheard(&mut self) {
        self.missed_the_feed();
        if let Some(pass) = self.state.repair.pass.as_mut().filter(|_| self.setup.has(Rule::Gap)) {
            pass.has_changed = true;
        }
    }

    /// What changed meanwhile was not heard: any key may have.
    pub(crate) fn missed_the_feed(&mut self) {
        let repair = &mut self.state.repair;
        repair.is_round_due = repair.lease.is_some() && self.setup.has(Rule::Feed);
        self.begin_round();
    }

    /// What was compared before proves nothing any more.
    pub(crate) fn begin_round(&mut self) {
        if let Some(pass) = &mut self.state.repair.pass {
            pass.is_void = true;
        }
        if self.state.repair.lease.is_some() {
            self.emit(Effect::BeginRound);
        }
    }

    /// A key is quiet: if there is a reason to compare it, that begins.
    pub(crate) fn begin_pass(&mut self, key: &K, is_due: bool) {
        let (Some(token), true) = (self.state.repair.lease, self.state.wants_pass(self.setup, key, is_due))
        else {
            return;
        };
        let set = self.state.connected;
        let mut pass = Pass::new(key.clone(), set);
        pass.told = self.state.repair.dirty.get(key).copied().unwrap_or_default();
        pass.shown_before = self.state.repair.shown.remove(key);
        if self.setup.has(Rule::ClearFirst) {
            self.state.repair.dirty.remove(key);
        }
        if !self.setup.has(Rule::HintsLast) {
            pass.hinted_before = self.state.behind(key);
        }
        self.state.repair.pass = Some(pass);
        if let Some(node) = set.first() {
            self.emit(Effect::Claim(key.clone(), node, token));
        }
    }

    /// A key was seen equal everywhere: returns the nodes that are to be made current, under their next epoch.
    ///
    /// Those are the nodes that were filled or may have missed any key, after the last key; and each node that was behind
    /// for this key or has a doubt. Of neither may another key be missed.
    pub(crate) fn renewable(&self, pass: &Pass<K>, is_last: bool) -> NodeSet {
        if pass.set != self.state.members(self.setup) && self.setup.has(Rule::AllInSight) {
            return NodeSet::EMPTY;
        }
        let unfinished = self.state.unfinished(pass.set);
        let are_all = is_last || !self.setup.has(Rule::AllKeys);
        let filled = if are_all { unfinished } else { NodeSet::EMPTY };
        let was_behind = pass.set.iter().fold(pass.doubted, |all, node| all.or(pass.said[node]));
        let whole = filled.or(pass.set.minus(unfinished).and(was_behind));
        match self.setup.has(Rule::NoOtherHint) {
            true => whole.minus(self.state.missed.behind_another(&pass.key, whole)),
            false => whole,
        }
    }
}

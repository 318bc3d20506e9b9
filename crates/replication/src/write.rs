//! A write: sent to all, hinted where it was missed, acknowledged if it is held.

use crate::effect::Effect;
use crate::effect::Outcome;
use crate::event::CallId;
use crate::event::Kind;
use crate::event::Standing;
use crate::node::Node;
use crate::node::NodeSet;
use crate::rule::Rule;
use crate::state::Setup;
use crate::step::Step;

/// How far one node's decision has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Decision {
    /// The node was asked.
    Asked(Node),
    /// The node has decided: it holds what all are to hold.
    By(Node),
}

/// A write that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Call<K> {
    key: K,
    kind: Kind,
    /// Whose decision it is, if one node decides.
    decision: Option<Decision>,
    /// The nodes that have not answered.
    waiting: NodeSet,
    /// The nodes that took it.
    took: NodeSet,
    /// The nodes that did not take it, or may not have.
    failed: NodeSet,
    /// Those of them whose hint went with the write.
    in_block: NodeSet,
    /// The nodes that were asked to note a doubt with the write.
    doubted: NodeSet,
    /// The nodes that had noted who is forgotten, so that they were sent no hint about that.
    noted: NodeSet,
    /// The takers that keep the late hint and the late doubt.
    hinted: NodeSet,
    /// The taker that is being asked to keep them.
    hinting: Option<Node>,
    /// Whether nobody waits for the outcome any more.
    pub(crate) is_dropped: bool,
    /// Whether it is older than `D`.
    is_overdue: bool,
}

impl<K> Call<K> {
    /// A node took the write.
    pub(crate) fn wrote(&mut self, node: Node) {
        self.waiting.remove(node);
        self.took.insert(node);
    }

    /// A taker keeps the late hint.
    pub(crate) fn hinted(&mut self, node: Node) {
        self.hinting = None;
        self.hinted.insert(node);
    }

    /// A node is lost, or refused the write: it may have taken what it was sent, or may do so later.
    pub(crate) fn lost(&mut self, node: Node) {
        if self.waiting.contains(node) {
            self.waiting.remove(node);
            self.failed.insert(node);
        }
        if self.hinting == Some(node) {
            self.hinting = None;
        }
    }

    /// The call is older than `D`: what has not been answered is not waited for, and what was not sent is not sent any more.
    pub(crate) fn overdue(&mut self, setup: &Setup) {
        self.is_overdue = true;
        if matches!(self.decision, Some(Decision::Asked(_))) && !setup.has(Rule::DecidedInTime) {
            return;
        }
        self.failed = self.failed.or(self.waiting);
        self.waiting = NodeSet::EMPTY;
    }

    /// A node was restarted, or emptied: what it took before may be lost.
    pub(crate) fn restarted(&mut self, node: Node) {
        if self.took.contains(node) {
            self.give_up(node);
        }
    }

    /// These nodes are members no more: that they took the write counts for nothing.
    pub(crate) fn forget(&mut self, nodes: NodeSet) {
        nodes.iter().for_each(|node| self.restarted(node));
    }

    /// A taker cannot be hinted: it counts as one that failed, and the others are told of it too.
    fn give_up(&mut self, taker: Node) {
        self.took.remove(taker);
        self.failed.insert(taker);
        self.hinted = NodeSet::EMPTY;
    }
}

/// What a node decided in vain, or may have decided, is sent to no other one, and nobody is told that it is done.
fn in_vain<K>(call: Call<K>) -> Call<K> {
    Call { decision: None, waiting: NodeSet::EMPTY, took: NodeSet::EMPTY, ..call }
}

impl<K: Ord + Clone> Step<'_, K> {
    pub(crate) fn begin_write(&mut self, id: CallId, key: K, kind: Kind) {
        let is_held = !self.state.readable(self.setup, &key).is_empty();
        if kind != Kind::Whole && !is_held && self.setup.has(Rule::Held) {
            return self.emit(Effect::AnswerWrite(id, Outcome::Refused));
        }
        let call = Call {
            key,
            kind,
            decision: None,
            waiting: NodeSet::EMPTY,
            took: NodeSet::EMPTY,
            failed: NodeSet::EMPTY,
            in_block: NodeSet::EMPTY,
            doubted: NodeSet::EMPTY,
            noted: self.state.noted,
            hinted: NodeSet::EMPTY,
            hinting: None,
            is_dropped: false,
            is_overdue: false,
        };
        let call = match kind {
            Kind::Whole | Kind::Relative => self.send_write(id, call),
            Kind::Decided => self.ask_to_decide(id, call),
        };
        self.state.calls.insert(id, call);
        self.advance_write(id);
    }

    /// Sends a write to all nodes but for the one that has decided it.
    fn send_write(&mut self, id: CallId, call: Call<K>) -> Call<K> {
        let waiting = self.state.connected.minus(call.took);
        let away = self.setup.members.minus(waiting).minus(call.took);
        let (in_block, doubted) = self.notes(away, waiting);
        for node in waiting.iter() {
            let (key, is_doubted) = (call.key.clone(), doubted.contains(node));
            let missed_by = self.unheard_of(node, in_block);
            self.emit(Effect::Write { call: id, node, key, missed_by, is_doubted });
        }
        let in_block = if call.took.is_empty() { in_block } else { call.in_block.and(in_block) };
        let doubted = call.doubted.or(doubted);
        Call { waiting, failed: away, in_block, doubted, noted: self.state.noted, ..call }
    }

    /// Asks the first node that may be read to decide. There may be none any more: then the call is over.
    fn ask_to_decide(&mut self, id: CallId, call: Call<K>) -> Call<K> {
        let held = self.state.readable(self.setup, &call.key);
        // Without the rule any node decides.
        let Some(node) =
            held.first().or(self.state.connected.first().filter(|_| !self.setup.has(Rule::Held)))
        else {
            return Call { decision: None, waiting: NodeSet::EMPTY, ..call };
        };
        let waiting = NodeSet::EMPTY.with(node);
        let away = self.setup.members.minus(self.state.connected);
        let (in_block, doubted) = self.notes(away.without(node), waiting);
        let (key, is_doubted) = (call.key.clone(), doubted.contains(node));
        let missed_by = self.unheard_of(node, in_block);
        self.emit(Effect::Decide { call: id, node, key, missed_by, is_doubted });
        Call { decision: Some(Decision::Asked(node)), waiting, in_block, doubted, ..call }
    }

    /// Returns whether a node that was asked to decide did not say that it has, or its decision does not count.
    fn is_in_vain(&self, call: &Call<K>) -> bool {
        match call.decision {
            Some(Decision::Asked(_)) => true,
            Some(Decision::By(_)) => !self.counts(call),
            None => false,
        }
    }

    /// Returns about which nodes a hint goes with the write, and which of its nodes note a doubt.
    fn notes(&self, away: NodeSet, waiting: NodeSet) -> (NodeSet, NodeSet) {
        let in_block = if self.setup.has(Rule::Block) { away } else { NodeSet::EMPTY };
        (in_block, waiting.minus(self.state.in_sync(waiting)))
    }

    /// A node took the write, or has decided it.
    pub(crate) fn wrote(&mut self, id: CallId, node: Node) {
        let Some(mut call) = self.state.calls.remove(&id) else { return };
        call = match call.decision {
            Some(Decision::Asked(decider)) if decider == node => {
                let counts = !self.state.entitled(&call.key, NodeSet::EMPTY.with(node)).is_empty();
                let is_emptied = self.state.standings[node] == Standing::Empty;
                if counts || !self.setup.has(Rule::Held) {
                    let took = NodeSet::EMPTY.with(node);
                    self.send_write(id, Call { decision: Some(Decision::By(node)), took, ..call })
                } else if is_emptied || !self.setup.has(Rule::DecidedOnce) {
                    // What it did is undone when the nodes are made equal.
                    self.ask_to_decide(id, call)
                } else {
                    in_vain(call)
                }
            }
            _ => {
                call.wrote(node);
                call
            }
        };
        self.state.calls.insert(id, call);
        self.advance_write(id);
    }

    /// Goes on with a write as far as the answers reach: late hints one by one, then the end.
    pub(crate) fn advance_write(&mut self, id: CallId) {
        let Some(mut call) = self.state.calls.remove(&id) else { return };
        while call.waiting.is_empty() && call.hinting.is_none() {
            if self.is_in_vain(&call) {
                call = in_vain(call);
            }
            let Some(taker) = self.next_to_hint(&call) else { return self.end_write(id, &call) };
            if !self.state.connected.contains(taker) {
                call.give_up(taker);
                continue;
            }
            call.hinting = Some(taker);
            self.emit(Effect::Hint {
                call: id,
                node: taker,
                key: call.key.clone(),
                missed_by: self.unheard_of(taker, call.failed.without(taker)),
                is_doubted: self.owes_doubt(&call).contains(taker),
            });
        }
        self.state.calls.insert(id, call);
    }

    /// Returns those of the nodes about which a node keeps hints: about who is forgotten it needs none, once it has noted
    /// that.
    fn unheard_of(&self, holder: Node, nodes: NodeSet) -> NodeSet {
        match self.state.noted.contains(holder) || !self.setup.has(Rule::HintForgotten) {
            true => nodes.minus(self.state.forgotten),
            false => nodes,
        }
    }

    /// Returns the taker that lacks the hint about the nodes that failed midway, or the doubt about itself.
    fn next_to_hint(&self, call: &Call<K>) -> Option<Node> {
        if !self.counts(call) {
            return None;
        }
        let is_hint_owed = !call.failed.is_subset(call.in_block) && self.setup.has(Rule::LateHint);
        let unaware = call.took.and(call.noted).minus(self.state.noted);
        let owing = if is_hint_owed { call.took } else { self.owes_doubt(call).or(unaware) };
        owing.minus(call.hinted).first()
    }

    /// Returns the takers that turned out to be behind or not current, and have not been told so with the write.
    fn owes_doubt(&self, call: &Call<K>) -> NodeSet {
        let others = call.took.minus(call.doubted);
        match self.setup.has(Rule::LateDoubt) {
            true => others.minus(self.state.in_sync(others)),
            false => NodeSet::EMPTY,
        }
    }

    /// Returns whether what the takers hold now is what the write was to build on.
    fn counts(&self, call: &Call<K>) -> bool {
        let rule = if call.kind == Kind::Decided { Rule::DecidedRightly } else { Rule::Held };
        let holders = match call.decision {
            // One that was lost since may have been replaced by another one that has decided otherwise.
            Some(Decision::By(decider)) => {
                call.took.and(NodeSet::EMPTY.with(decider)).and(self.state.connected)
            }
            Some(Decision::Asked(_)) | None => call.took,
        };
        call.kind == Kind::Whole
            || !self.setup.has(rule)
            || !self.state.entitled(&call.key, holders).is_empty()
    }

    /// The call is over, and is in the state no more.
    fn end_write(&mut self, id: CallId, call: &Call<K>) {
        let counts = self.counts(call);
        if counts {
            for taker in call.took.iter() {
                let missed_by = call.failed.without(taker).minus(self.state.forgotten);
                self.state.missed.add(taker, &call.key, missed_by);
            }
        }
        let is_in_time = !call.is_overdue || !self.setup.has(Rule::Deadline);
        let is_ok = counts && is_in_time && self.setup.n_takers <= call.took.len();
        if !call.is_dropped {
            self.emit(Effect::AnswerWrite(id, if is_ok { Outcome::Ok } else { Outcome::Unknown }));
        }
    }
}

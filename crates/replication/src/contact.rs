//! Losing a node and reaching it again: the fence and the gate.

use crate::effect::Effect;
use crate::event::CallId;
use crate::event::Report;
use crate::event::Standing;
use crate::node::Node;
use crate::node::NodeSet;
use crate::rule::Rule;
use crate::step::Step;

impl<K: Ord + Clone> Step<'_, K> {
    /// The connection to a node is gone. What was sent over it may still run.
    pub(crate) fn lost(&mut self, node: Node) {
        self.state.connected.remove(node);
        self.state.admitted.remove(node);
        self.state.fresh.remove(node);
        self.state.noted.remove(node);
        self.state.disagree(node);
        self.state.is_settled = false;
        self.close_gate();
        self.end_pass_without(node);
        self.read_elsewhere(node);
        self.state.calls.values_mut().for_each(|call| call.lost(node));
        let calls: Vec<CallId> = self.state.calls.keys().copied().collect();
        calls.into_iter().for_each(|call| self.advance_write(call));
    }

    /// A connection is open: what was sent over the one before must not run any more.
    pub(crate) fn opened(&mut self, node: Node) {
        if self.setup.has(Rule::Fence) {
            self.emit(Effect::EndOldConnection(node));
        }
    }

    /// The node is fenced, and has said what it is: writes go to it. Reads wait for the gate.
    pub(crate) fn connected(&mut self, node: Node, report: &Report<K>) {
        if self.state.forgotten.contains(node) {
            return;
        }
        self.state.connected.insert(node);
        self.state.is_settled = false;
        self.close_gate();
        self.missed_the_feed();
        self.learn(node, report);
        if report.standing != Standing::Current && self.setup.has(Rule::SameTaker) {
            self.state.calls.values_mut().for_each(|call| call.restarted(node));
        }
    }

    /// Asks all connected nodes for their hints and markers. Nothing is read before they have answered.
    fn close_gate(&mut self) {
        if !self.setup.has(Rule::Gate) {
            return;
        }
        self.state.fresh = NodeSet::EMPTY;
        for node in self.state.connected.iter() {
            self.emit(Effect::Ask(node));
        }
    }
}

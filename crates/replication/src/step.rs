//! The step: what a process knows and does after an event.

use crate::effect::Effect;
use crate::event::Event;
use crate::event::Report;
use crate::key::Key;
use crate::node::Node;
use crate::state::Setup;
use crate::state::State;
use crate::write::Call;

/// Takes one event in, and returns what is to be done.
///
/// The step knows no clock and no socket. What it decides follows from the state and the event alone.
#[must_use]
pub fn step(setup: &Setup, state: &mut State, event: Event) -> Vec<Effect> {
    let mut step = Step { setup, state, effects: Vec::new() };
    step.take(event);
    step.effects
}

/// One step under way.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) state: &'a mut State,
    pub(crate) effects: Vec<Effect>,
}

impl Step<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Lost(node) => self.lost(node),
            Event::Opened(node) => self.opened(node),
            Event::Connected(node, report) => self.connected(node, &report),
            Event::Told(node, report) => self.state.learn(self.setup, node, &report),

            Event::Write(key, kind) => self.begin_write(key, kind),
            Event::Wrote(key, node, report) => {
                self.heard(node, report);
                self.with_call(key, |call| call.wrote(node));
            }
            Event::Hinted(key, node, report) => {
                self.heard(node, report);
                self.with_call(key, |call| call.hinted(node));
            }
            Event::Dropped(key) => self.with_call(key, |call| call.is_dropped = true),
            Event::Overdue(key) => self.with_call(key, Call::overdue),

            Event::Read(key) => self.begin_read(key),
            Event::Answered(key, node, digest, report) => {
                self.heard(node, report);
                self.answered(key, node, digest);
            }

            Event::LeaseGot(token) => self.lease_got(token),
            Event::LeaseLost | Event::Superseded => self.lease_lost(),
            Event::Changed(key) => self.changed(key),
            Event::Quiet(key) => self.begin_pass(key),
            Event::Due(key) => self.due(key),
            Event::Claimed(claimed) => self.claimed(&claimed),
            Event::Fetched(key, digest, standing) => self.fetched(key, digest, standing),
            Event::Put(key, node) => self.put(key, node),
            Event::Released(key, node, report) => self.released(key, node, &report),
            Event::Marked(node, report) => {
                self.heard(node, Some(report));
                self.marked(node);
            }
        }
    }

    /// Takes in what came with a reply.
    fn heard(&mut self, node: Node, report: Option<Report>) {
        if let Some(report) = report {
            self.state.learn(self.setup, node, &report);
        }
    }

    /// Sends something to a node, or tells somebody something.
    pub(crate) fn emit(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn with_call(&mut self, key: Key, change: impl FnOnce(&mut Call)) {
        if let Some(call) = &mut self.state.calls[key] {
            change(call);
            self.advance_write(key);
        }
    }
}

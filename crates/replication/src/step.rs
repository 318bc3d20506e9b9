//! The step: what a process knows and does after an event.

use crate::effect::Effect;
use crate::event::CallId;
use crate::event::Event;
use crate::event::Report;
use crate::event::Standing;
use crate::node::Node;
use crate::node::NodeSet;
use crate::rule::Rule;
use crate::state::Setup;
use crate::state::State;
use crate::write::Call;

/// Takes one event in, and returns what is to be done.
///
/// The step knows no clock and no socket. What it decides follows from the state and the event alone.
#[must_use]
pub fn step<K: Ord + Clone>(setup: &Setup, state: &mut State<K>, event: Event<K>) -> Vec<Effect<K>> {
    let mut step = Step { setup, state, effects: Vec::new() };
    step.take(event);
    step.effects
}

/// Takes one event in, has each effect that follows answered at once by the events that this function returns, and goes on until
/// nothing follows any more. The last effect is answered first.
pub fn step_through<K: Ord + Clone>(
    setup: &Setup,
    state: &mut State<K>,
    event: Event<K>,
    mut answer: impl FnMut(Effect<K>) -> Vec<Event<K>>,
) {
    let mut effects = step(setup, state, event);
    while let Some(effect) = effects.pop() {
        for event in answer(effect) {
            effects.extend(step(setup, state, event));
        }
    }
}

/// One step under way.
#[derive(Debug)]
pub(crate) struct Step<'a, K> {
    pub(crate) setup: &'a Setup,
    pub(crate) state: &'a mut State<K>,
    pub(crate) effects: Vec<Effect<K>>,
}

impl<K: Ord + Clone> Step<'_, K> {
    fn take(&mut self, event: Event<K>) {
        match event {
            Event::Lost(node) => self.lost(node),
            Event::Opened(node) => self.opened(node),
            Event::Connected(node, report) => self.connected(node, &report),
            Event::Told(node, report) => self.learn(node, &report),

            Event::Settled => self.state.is_settled = true,

            Event::Forget(node) => self.forget(NodeSet::EMPTY.with(node)),

            Event::Write(call, key, kind) => self.begin_write(call, key, kind),
            Event::Wrote(call, node, report) => {
                self.heard(node, report);
                self.wrote(call, node);
            }
            Event::Refused(call, node, report) => {
                self.heard(node, report);
                self.with_call(call, |call| call.lost(node));
            }
            Event::Hinted(call, node, report) => {
                self.heard(node, report);
                self.with_call(call, |call| call.hinted(node));
            }
            Event::Dropped(call) => self.with_call(call, |call| call.is_dropped = true),
            Event::Overdue(call) => {
                let setup = self.setup;
                self.with_call(call, |call| call.overdue(setup));
            }

            Event::Read(call, key) => self.begin_read(call, key),
            Event::Answered(call, node, digest, report) => {
                self.heard(node, report);
                self.answered(call, node, digest);
            }

            Event::LeaseGot(token) => self.lease_got(token),
            Event::LeaseLost | Event::Superseded => self.lease_lost(),
            Event::Changed(key, nodes) => self.changed(key, nodes),
            Event::Unheard => self.unheard(),
            Event::Quiet { key, is_due } => self.begin_pass(&key, is_due),
            Event::Claimed(claimed) => self.claimed(&claimed),
            Event::Heard(key) => self.heard_all(&key),
            Event::Deaf(key) => self.deaf(&key),
            Event::Counted { key, is_last } => self.counted(&key, is_last),
            Event::Fetched(key, digest, standing) => self.fetched(&key, digest, standing),
            Event::Put(key, node) => self.put(&key, node),
            Event::Released(key, node, report) => self.released(&key, node, &report),
            Event::Mended(key, nodes) => self.state.missed.forget_key(&key, nodes),
            Event::Marked(node, report) => {
                self.heard(node, Some(report));
                self.marked(node);
            }
        }
    }

    /// Takes in what came with a reply.
    fn heard(&mut self, node: Node, report: Option<Report<K>>) {
        if let Some(report) = report {
            self.learn(node, &report);
        }
    }

    /// Takes in what a node says. What a forgotten node says counts for nothing.
    pub(crate) fn learn(&mut self, node: Node, report: &Report<K>) {
        self.forget(report.forgotten);
        let forgotten = self.state.forgotten;
        if forgotten.contains(node) {
            return;
        }
        let was_current = self.state.standings[node] == Standing::Current;
        self.state.learn(self.setup, node, report);
        if was_current && report.standing != Standing::Current {
            self.begin_round();
        }
        if self.state.owes_word(report) && self.setup.has(Rule::PassOn) {
            self.emit(Effect::Forget(node, forgotten));
        }
    }

    /// Sends something to a node, or tells somebody something.
    pub(crate) fn emit(&mut self, effect: Effect<K>) {
        self.effects.push(effect);
    }

    fn with_call(&mut self, id: CallId, change: impl FnOnce(&mut Call<K>)) {
        if let Some(call) = self.state.calls.get_mut(&id) {
            change(call);
            self.advance_write(id);
        }
    }
}

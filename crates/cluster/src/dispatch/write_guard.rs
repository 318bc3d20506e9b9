//! The guard of a write on a copy: whatever ends the write, the nodes that may have missed it get a hint.

use std::time::Instant;

use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Group;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

use crate::call::Call;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::error::Error;
use crate::hints::log::HintLog;
use crate::plan::divergence::Ack;
use crate::plan::divergence::Held;
use crate::plan::divergence::counts;
use crate::plan::divergence::is_decided;
use crate::plan::divergence::is_done;
use crate::plan::divergence::right_reply;
use crate::plan::divergence::stale_after;
use crate::plan::replicate::is_whole;
use crate::replies::Replies;
use crate::shadow::write::ShadowWrite;

type Results = Vec<Result<Value, node::Error>>;

/// Returns whether a write without keys may change any of them, as `FLUSHDB` does and `SCRIPT LOAD` does not.
fn changes_any_key(spec: &Spec) -> bool {
    match spec.group {
        Group::Server => matches!(spec.name, "FLUSHALL" | "FLUSHDB" | "SWAPDB"),
        // A script that was given no keys may still write.
        Group::Scripting => spec.keys != Keys::None,
        Group::Cluster | Group::Connection | Group::PubSub | Group::Sentinel => false,
        _ => true,
    }
}

/// How far a write has come.
#[derive(Debug)]
enum Phase {
    /// Nothing was sent.
    Nothing,
    /// This node was asked to decide.
    Deciding(usize),
    /// This node has decided, and the others are sent what came of it.
    Decided(usize),
    /// All nodes were sent the write.
    Sent,
    /// The nodes have answered this, and nobody has been told.
    Answered(Vec<Ack>),
    /// What the nodes said has been noted.
    Noted,
    /// All nodes took it alike, and nothing was copied to any of them meanwhile: there is nothing to note.
    Plain,
}

/// A node that may not have held what it should when a write began.
#[derive(Debug)]
struct Before {
    idx: usize,
    /// True if the node held all of the keys of this write nevertheless.
    held: bool,
    /// The number of the last write that it had missed, if it had missed any that is not brought over.
    last_missed: Option<u64>,
}

/// A write that is under way. When it goes, what the nodes may not have taken has been noted, also when its future is
/// dropped midway; and if it met a repair of a node, or one that joins, its keys are brought over again.
pub(crate) struct WriteGuard<'a> {
    topology: &'a CopyTopology,
    call: &'a Call<'a>,
    /// The moment at which the write began: nothing of it was sent before.
    began: Instant,
    stage: Phase,
    /// How many batches had been copied to each node; empty while none ever was.
    batches_ended: Vec<u64>,
    /// The nodes that were not in sync when the write began.
    before: Vec<Before>,
    /// The same write as the shadow of the copy sees it, if there is one.
    shadow: Option<Box<ShadowWrite<'a>>>,
}

impl<'a> WriteGuard<'a> {
    pub(crate) fn new(topology: &'a CopyTopology, call: &'a Call<'a>) -> Self {
        let ever = topology.nodes.members().any(|member| member.hints().was_copied_since(0));
        let batches_ended = match ever {
            true => topology.nodes.members().map(|member| member.hints().batches_ended()).collect(),
            false => Vec::new(),
        };
        let before = topology.nodes.members().enumerate().filter_map(|(idx, member)| {
            let hints = member.hints();
            let is_in_doubt = !member.is_in_sync();
            is_in_doubt.then(|| Before {
                idx,
                held: member.holds(call.keys()),
                last_missed: hints.has_missed().then(|| hints.last_missed()),
            })
        });
        let (began, before) = (Instant::now(), before.collect());
        Self { topology, call, began, stage: Phase::Nothing, batches_ended, before, shadow: None }
    }

    /// Returns whether a node is there that held what the write builds on when it began.
    pub(crate) fn has_a_holder(&self) -> bool {
        self.before.is_empty() || !self.topology.nobody_holds(self.call)
    }

    /// Returns when the write began: nothing of it was sent before.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    fn begins(&mut self) {
        if let (Some(shadow), None) = (self.topology.shadow(), &self.shadow) {
            let is_whole = is_whole(self.call.spec, self.call.cmd);
            self.shadow = Some(Box::new(shadow.begin_write(self.call.keys(), is_whole)));
        }
    }

    /// All nodes are sent it from now on.
    pub(crate) fn sending(&mut self) {
        self.begins();
        self.stage = Phase::Sent;
    }

    /// This node is asked to decide from now on.
    pub(crate) fn deciding(&mut self, decider: usize) {
        self.begins();
        self.stage = Phase::Deciding(decider);
    }

    /// This node has decided, and the others are sent what came of it from now on.
    pub(crate) fn decided(&mut self, decider: usize) {
        self.stage = Phase::Decided(decider);
    }

    /// The nodes have answered this. Nobody has been told, and perhaps nobody will be.
    pub(crate) fn answered(&mut self, took: Vec<Ack>) {
        self.stage = Phase::Answered(took);
    }

    /// Notes what the nodes said to a write that was sent to all, and judges it. If the write leaves the same everywhere, the
    /// nodes that took it hold what they should. Otherwise those that gave another reply than the right one do not.
    pub(crate) fn conclude(&mut self, results: Results) -> Result<Replies<Value>, Error> {
        self.judge(results, None)
    }

    /// Notes what became of the effect of a decision, and judges it: the reply is what was decided, if the deciding node still
    /// counts; what the others said to its effect is their own affair. `is_whole` says whether the effect leaves the same
    /// everywhere.
    pub(crate) fn conclude_decided(
        &mut self,
        results: Results,
        (decider, reply): (usize, &Value),
        is_whole: bool,
    ) -> Result<Replies<Value>, Error> {
        let results: Results = results.into_iter().map(|result| result.map(|_| reply.clone())).collect();
        self.judge(results, Some((decider, is_whole)))
    }

    /// `decided` is the deciding node of an effect, and whether that effect leaves the same everywhere.
    fn judge(&mut self, results: Results, decided: Option<(usize, bool)>) -> Result<Replies<Value>, Error> {
        let shadow = self.shadow.take().map(|shadow| (shadow, results.iter().map(Ack::from).collect()));
        let judged = if self.is_plain(&results) {
            self.stage = Phase::Plain;
            self.topology.judge(self.call.spec, self.topology.nodes.replies(results))
        } else {
            match decided {
                Some((decider, is_whole)) => self.weigh(results, Some(decider), is_whole),
                None => self.weigh(results, None, is_whole(self.call.spec, self.call.cmd)),
            }
        };
        if let Some((shadow, acks)) = shadow {
            let member = |idx| self.topology.nodes.member(idx);
            shadow.end(acks, (judged.is_ok(), decided.is_some()), |idx, key| {
                !member(idx).holds(std::iter::once(key))
            });
        }
        judged
    }

    /// Returns whether all nodes took it, held all they should, and said the same.
    fn is_plain(&self, results: &[Result<Value, node::Error>]) -> bool {
        let is_current = |(idx, member): (usize, &Member)| {
            member.is_in_sync() && !member.hints().was_copied_since(self.batches_ended(idx))
        };
        self.before.is_empty()
            && results.iter().all(Result::is_ok)
            && !are_different(results)
            && self.topology.nodes.members().enumerate().all(is_current)
    }

    fn weigh(
        &mut self,
        results: Results,
        decider: Option<usize>,
        is_whole: bool,
    ) -> Result<Replies<Value>, Error> {
        self.stage = Phase::Noted;
        let topology = self.topology;
        // Of two that end at once, the second sees what the first has noted.
        let _one_at_a_time = topology.lasting.judging.lock();
        let errors =
            results.iter().enumerate().filter_map(|(idx, result)| Some((idx, result.as_ref().err()?)));
        errors.for_each(|(idx, error)| topology.observe(idx, error));
        let took: Vec<Ack> = results.iter().map(Ack::from).collect();
        let held = self.held();
        let is_done = match decider {
            Some(decider) => {
                let is_connected = topology.nodes.at(decider).is_connected();
                is_decided(&took, &held, (decider, is_connected))
            }
            None => is_done(&took, &held, is_whole),
        };
        self.note_taken(&took, &held, is_done);
        if !is_done && took.contains(&Ack::Yes) {
            return Err(self.in_vain(results));
        }
        let counts = counts(&took, &held);
        let replies = self.order().filter(|idx| counts(*idx));
        let replies: Vec<(usize, &Value)> =
            replies.filter_map(|idx| Some((idx, results.get(idx)?.as_ref().ok()?))).collect();
        let right = right_reply(&replies, topology.identity.is_some());
        match right {
            _ if is_whole => self.settle(&results),
            Some((_, right)) if decider.is_none() && self.is_disagreed(&results) => {
                self.note_others(&results, right);
            }
            _ => {}
        }
        let first = right.map_or(0, |(idx, _)| idx);
        let others = took.iter().enumerate().filter(|(idx, took)| **took == Ack::Yes && !counts(*idx));
        let others = others.map(|(idx, _)| idx).collect();
        topology.judge(self.call.spec, topology.nodes.replies(results).counting_from(first, others))
    }

    /// The error of a write that only nodes took whose state does not count.
    fn in_vain(&self, results: Results) -> Error {
        let (mut takers, mut errors) = (Vec::new(), Vec::new());
        for (idx, result) in results.into_iter().enumerate() {
            match result {
                Ok(_) => takers.push(idx),
                Err(error) => errors.push(error),
            }
        }
        let takers = self.topology.names(takers);
        Error::unavailable(self.call.spec.name, self.keys().next(), errors, takers.clone())
            .done_in_vain(takers)
    }

    /// Notes that the deciding node, the only one that was sent anything, gave an error.
    pub(crate) fn note_undecided(&mut self, decider: usize, error: &node::Error) {
        self.stage = Phase::Noted;
        self.topology.observe(decider, error);
        if error.may_have_executed() {
            self.note_untold(&self.all_but(decider, Ack::Maybe, Ack::No));
        }
    }

    /// Notes a node that answered from another memory than that of the others.
    pub(crate) fn note_other(&self, idx: usize) {
        self.hint(self.topology.nodes.member(idx).hints());
    }

    /// Notes a node that gave another reply than the one that counts.
    pub(crate) fn note_different(&self, idx: usize) {
        self.topology.note_different(self.topology.nodes.member(idx).hints(), self.keys());
    }

    /// Nothing more is sent, and nothing was missed.
    pub(crate) fn nothing_missed(&mut self) {
        self.stage = Phase::Noted;
    }

    /// Returns whether nodes that should have given the same reply did not. `SORT` without `STORE` gives elements of equal
    /// weight in any order.
    pub(crate) fn is_disagreed<'r>(
        &self,
        results: impl IntoIterator<Item = &'r Result<Value, node::Error>>,
    ) -> bool {
        are_different(results)
            && !matches!(self.call.spec.keys, Keys::OneAndAfter { .. })
            && self.keys().next().is_some()
    }

    /// Settles the nodes that took a write of the whole value of its keys: what they had missed of these keys before it began
    /// counts no more. What was sent to a node earlier came there earlier.
    fn settle(&self, results: &[Result<Value, node::Error>]) {
        for Before { idx, last_missed, .. } in &self.before {
            if let (Some(Ok(_)), Some(last)) = (results.get(*idx), last_missed) {
                self.topology.nodes.member(*idx).hints().settle(self.keys(), *last);
            }
        }
        self.topology.tell_shadow_all();
    }

    /// Notes which nodes gave another reply than the right one: what they held was something else.
    ///
    /// A node whose keys are all still to be compared is expected to reply otherwise, and a script may reply what it likes.
    fn note_others(&self, results: &[Result<Value, node::Error>], right: &Value) {
        if self.call.spec.group == Group::Scripting {
            return;
        }
        for (idx, member) in self.topology.nodes.members().enumerate() {
            let reply = results.get(idx).and_then(|result| result.as_ref().ok());
            if reply.is_some_and(|reply| reply != right) && member.has_memory() {
                self.note_different(idx);
            }
        }
    }

    fn hint(&self, hints: &HintLog) {
        if self.touches_keys() {
            hints.record_hint(self.keys());
        }
    }

    fn note_taken(&self, took: &[Ack], held: &[Held], is_done: bool) {
        // With `Wait` this process compares nothing by itself, and goes by what the others have found.
        let compares = self.topology.repairs();
        let after = stale_after(took, held, is_done, self.order());
        for ((member, is_stale), took) in self.topology.nodes.members().zip(after).zip(took) {
            match took {
                _ if !is_stale => {}
                Ack::Maybe if compares && self.keys().next().is_some() => {
                    member.hints().record_unanswered(member.node().incarnation(), self.keys());
                }
                _ => self.hint(member.hints()),
            }
        }
    }

    /// Notes a write of which nobody is told that it is done.
    fn note_untold(&self, took: &[Ack]) {
        let _one_at_a_time = self.topology.lasting.judging.lock();
        let held = self.held();
        self.note_taken(took, &held, is_done(took, &held, false));
    }

    fn all_but(&self, one: usize, its: Ack, others: Ack) -> Vec<Ack> {
        (0..self.topology.nodes.len()).map(|idx| if idx == one { its } else { others }).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.call.keys()
    }

    fn touches_keys(&self) -> bool {
        self.keys().next().is_some() || changes_any_key(self.call.spec)
    }

    /// The nodes in the order in which the key is read. Those that a replacement has removed meanwhile come last, for they
    /// answer nobody any more.
    fn order(&self) -> impl Iterator<Item = usize> + use<'_> {
        let order = || self.topology.nodes.places(self.keys().next().unwrap_or_default());
        let is_removed = |idx: &usize| self.topology.is_removed(self.topology.nodes.member(*idx));
        order().filter(move |idx| !is_removed(idx)).chain(order().filter(is_removed))
    }

    fn batches_ended(&self, idx: usize) -> u64 {
        self.batches_ended.get(idx).copied().unwrap_or(0)
    }

    /// What each node held of its keys from its beginning until now.
    fn held(&self) -> Vec<Held> {
        let touches_keys = self.touches_keys();
        let held = self.topology.nodes.members().enumerate().map(|(idx, member)| {
            let before = self.before.iter().find(|before| before.idx == idx);
            let was_behind = before.is_some_and(|before| !before.held);
            let was_restarted = before.is_none() && !member.is_trusted();
            match () {
                () if !touches_keys => Held::Current,
                () if was_restarted => Held::Uncertain,
                () if member.hints().were_copied_since(self.batches_ended(idx), self.keys()) => {
                    Held::Uncertain
                }
                () if was_behind || !member.holds(self.keys()) => Held::Stale,
                // It answered a write of these keys otherwise than the node that counted. So what the others hold counts before
                // what it holds, however many answered as it did.
                () if member.hints().has_crossed(self.keys()) => Held::Away,
                // A node that has no connection now may be away without anybody having noticed.
                () if member.is_readable() && member.node().is_connected() => Held::Current,
                () => Held::Away,
            }
        });
        held.collect()
    }
}

/// Returns whether nodes gave different replies.
fn are_different<'r>(results: impl IntoIterator<Item = &'r Result<Value, node::Error>>) -> bool {
    let mut replies = results.into_iter().flatten();
    let Some(first) = replies.next() else { return false };
    replies.any(|reply| reply != first)
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        let is_plain = matches!(self.stage, Phase::Plain);
        let took = match std::mem::replace(&mut self.stage, Phase::Noted) {
            Phase::Nothing => return,
            Phase::Noted | Phase::Plain => None,
            Phase::Deciding(decider) => Some(self.all_but(decider, Ack::Maybe, Ack::No)),
            Phase::Decided(decider) => Some(self.all_but(decider, Ack::Yes, Ack::Maybe)),
            Phase::Sent => Some(vec![Ack::Maybe; self.topology.nodes.len()]),
            Phase::Answered(took) => Some(took),
        };
        took.iter().for_each(|took| self.note_untold(took));
        if let Some(shadow) = self.shadow.take() {
            shadow.give_up(took.unwrap_or_else(|| vec![Ack::No; self.topology.nodes.len()]));
        }
        self.topology.lasting.own_writes.note(self.keys());
        // What is copied to a node later was read after the write.
        for (idx, member) in self.topology.nodes.members().enumerate().filter(|_| !is_plain) {
            let hints = member.hints();
            if hints.were_copied_since(self.batches_ended(idx), self.keys()) {
                self.hint(hints);
            }
        }
        self.topology.joined_since().for_each(|member| self.hint(member.hints()));
    }
}

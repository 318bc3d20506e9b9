//! A wave of a pipeline on a copy: what is sent to which nodes, and what comes of their answers.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::Words;

use crate::call::Call;
use crate::dispatch::failover_read::another_may_answer;
use crate::dispatch::failover_read::lacks_something;
use crate::dispatch::failover_read::says_no_such_key;
use crate::dispatch::failover_read::tells_keys;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::trust::Trust;
use crate::pipeline::answers::At;
use crate::pipeline::wave::Lost;
use crate::pipeline::wave::Wave;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::divergence::Ack;
use crate::reply::NodesReply;

type Answer = Result<Value, node::Error>;

/// Commands of a pipeline on a copy that go to the nodes at the same time. When the future that sends them is dropped, the nodes
/// are noted as behind for what they may not have taken.
pub(crate) struct CopyWave<'a> {
    copy: &'a CopyEngine,
    wave: Wave<'a, 'a>,
    steps: Vec<Step<'a>>,
    /// The moment before anything of it was sent.
    began: Instant,
    budget: Budget,
    /// The nodes that say that something is not there, and may have been emptied a moment ago.
    doubted: Vec<usize>,
}

/// One command of a wave.
struct Step<'a> {
    call: &'a Call<'a>,
    goes_to_all: bool,
    /// The places of the replies of the nodes that are sent the command.
    at: Vec<At>,
    /// These replies, once they are taken from there.
    answers: Vec<Answer>,
    /// The guard of a write to all nodes, from its sending on.
    guard: Option<WriteGuard<'a>>,
    /// The outcome of the command, once that is known.
    outcome: Option<Result<NodesReply, Error>>,
}

impl<'a> Step<'a> {
    fn new(call: &'a Call<'a>, goes_to_all: bool, at: Vec<At>) -> Self {
        Self { call, goes_to_all, at, answers: Vec::new(), guard: None, outcome: None }
    }

    fn is_read(&self) -> bool {
        self.call.spec.access == Access::Read
    }

    fn is_write_to_all(&self) -> bool {
        self.goes_to_all && self.call.spec.access == Access::Write
    }
}

impl<'a> CopyWave<'a> {
    /// Returns an empty wave of a pipeline that has so many commands left.
    pub(crate) fn new(copy: &'a CopyEngine, n_commands: usize) -> Self {
        let (wave, budget) = (Wave::new(&copy.topology.nodes, n_commands), Budget::new(copy.deadline, 1));
        Self { copy, wave, steps: Vec::new(), began: Instant::now(), budget, doubted: Vec::new() }
    }

    /// Returns a wave that is one `MULTI` block for every node, of these commands in the words in which they go out.
    pub(crate) fn block(copy: &'a CopyEngine, calls: &'a [Call<'a>], words: Vec<Recorded<'a>>) -> Self {
        let mut block = Self::new(copy, 0);
        let nodes = 0..copy.topology.nodes.len();
        let step = |(i, call)| Step::new(call, true, nodes.clone().map(|idx| (idx, i)).collect());
        block.steps = calls.iter().enumerate().map(step).collect();
        block.wave.block = Some(words);
        block
    }

    /// Adds a command, planned as the nodes are at this moment. Returns whether the command goes out in this wave: a command that
    /// takes more than one step does not.
    pub(crate) fn takes(&mut self, call: &'a Call<'a>) -> bool {
        let topology = &*self.copy.topology;
        let (spec, key) = (call.spec, call.first_key());
        if self.wave.is_full() {
            return false;
        }
        self.steps.push(match topology.plan(call, Context::Pipeline) {
            Err(error) => Step { outcome: Some(Err(error)), ..Step::new(call, false, Vec::new()) },
            // Our own keys are left out.
            Ok(Plan::First) if !tells_keys(spec) => match topology.answers_now(call) {
                Some(idx) => Step::new(call, false, vec![self.wave.put(idx, call.cmd)]),
                None => return false,
            },
            // Nothing is sent before somebody holds what it builds on.
            Ok(Plan::All(_)) if spec.access == Access::Write && topology.nobody_holds(call) => return false,
            Ok(Plan::All(instead)) if key.is_some() || spec.access == Access::Each => {
                let words = instead.map_or(Words::Lent(call.cmd), Words::from);
                let at = (0..topology.nodes.len()).map(|idx| self.wave.put(idx, words.clone()));
                Step::new(call, true, at.collect())
            }
            Ok(_) => return false,
        });
        true
    }

    /// Sends all of it and returns one outcome for each command.
    pub(crate) async fn send(mut self, lost: &mut Lost) -> Vec<Result<NodesReply, Error>> {
        let (copy, budget) = (self.copy, &self.budget);
        for step in self.steps.iter_mut().filter(|step| step.is_write_to_all()) {
            step.guard.insert(WriteGuard::new(&copy.topology, step.call)).sending();
        }
        // A write is not given up before its time; reads alone leave time for asking elsewhere.
        let may_wait =
            self.steps.iter().any(|step| step.goes_to_all || !step.is_read() && !step.at.is_empty());
        let handle = |idx| match copy.topology.nodes.member(idx).writer() {
            node if may_wait => budget.all(node),
            node => budget.half(node),
        };
        self.wave.send(lost, handle).await;
        self.take_answers();
        self.doubt().await;
        self.judge();
        self.give_hints().await;
        // Those that nobody has answered yet are asked elsewhere.
        let copy = self.budget.rest(self.copy);
        let open = self.steps.iter_mut().filter(|step| step.outcome.is_none());
        join_all(open.map(async |step| step.outcome = Some(copy.run_by_itself(step.call).await))).await;
        self.steps.iter_mut().filter_map(|step| step.outcome.take()).collect()
    }

    fn take_answers(&mut self) {
        for Step { call, at, answers, .. } in &mut self.steps {
            if answers.is_empty() {
                answers.extend(at.iter().map(|at| self.wave.take(*at, call.spec)));
            }
        }
    }

    /// Gives the hints that come of the writes. A write whose hints are given too late, or to nobody, fails.
    async fn give_hints(&mut self) {
        let done =
            self.steps.iter_mut().filter(|step| !step.is_read() && matches!(step.outcome, Some(Ok(_))));
        let mut done: Vec<_> = done.collect();
        let Some(first) = done.first() else {
            return self.copy.give_hints(&self.budget).await;
        };
        if let Some(error) = self.copy.give_hints_of(first.call.spec, self.began, &self.budget).await {
            done.iter_mut().for_each(|step| step.outcome = Some(Err(error.clone())));
            return;
        }
        for step in done {
            if let Some(Ok(NodesReply::Each(replies))) = &step.outcome
                && let Err(error) = self.copy.check_told(step.call, replies)
            {
                step.outcome = Some(Err(error));
            }
        }
    }

    /// Makes sure, once for each node that says that something is not there, or that may have been flushed, that it had not been emptied.
    async fn doubt(&mut self) {
        if self.copy.topology.identity.is_none() {
            return;
        }
        let reads = self.steps.iter().filter(|step| step.is_read());
        let asked = reads.flat_map(|step| step.at.iter().zip(&step.answers).map(|asked| (step.call, asked)));
        let may_be_flushed = |idx| self.copy.topology.nodes.member(idx).flushes().are_unseen();
        let in_doubt = asked.filter(|(call, (at, answer))| may_be_flushed(at.0) || is_lacking(call, answer));
        let in_doubt: BTreeSet<usize> = in_doubt.map(|(_, (at, _))| at.0).collect();
        let looks = in_doubt
            .into_iter()
            .map(async |idx| (!self.copy.has_its_marker(idx, &self.budget).await).then_some(idx));
        self.doubted = join_all(looks).boxed().await.into_iter().flatten().collect();
        // Nodes gave other replies to a write than they should have.
        let is_disagreed =
            |step: &Step<'_>| step.guard.as_ref().is_some_and(|guard| guard.is_disagreed(&step.answers));
        if self.steps.iter().any(is_disagreed) {
            self.budget.limit(self.copy.look_at_all()).await;
        }
    }

    /// Judges each command that was sent, and notes what was missed.
    fn judge(&mut self) {
        let (topology, doubted) = (&self.copy.topology, &self.doubted);
        // Then what a node said is told, not that there was no time to ask another one.
        let is_over = self.budget.is_over();
        let mut open = Vec::new();
        for (i, step) in self.steps.iter_mut().enumerate() {
            let mut answers = std::mem::take(&mut step.answers);
            let judged = match step.guard.take() {
                Some(mut guard) => Judged::Done(guard.conclude(answers).map(NodesReply::Each)),
                None if step.goes_to_all => Judged::Done(topology.judge_all(step.call, answers, doubted)),
                None => match step.at.first().zip(answers.pop()) {
                    Some(((idx, _), answer)) => topology.judge_one(step.call, (*idx, answer), doubted),
                    // It was refused.
                    None => continue,
                },
            };
            match judged {
                Judged::Open(error) if !is_over => open.push((i, error)),
                Judged::Open(error) => step.outcome = Some(Err(error)),
                Judged::Done(outcome) => step.outcome = Some(outcome),
            }
        }
        if open.is_empty() {
            return;
        }
        // A read that is asked elsewhere must not see the future.
        let last_writes = self.last_writes();
        for (i, error) in open {
            let Some(step) = self.steps.get_mut(i).filter(|step| step.is_read()) else { continue };
            let mut keys = step.call.keys().peekable();
            let is_written_after = match keys.peek() {
                // It asks about all keys.
                None => last_writes.values().any(|last| i < *last),
                Some(_) => keys.any(|key| last_writes.get(key).is_some_and(|last| i < *last)),
            };
            if is_written_after {
                step.outcome = Some(Err(error));
            }
        }
    }

    /// Returns for each key the last of these commands that writes it.
    fn last_writes(&self) -> HashMap<&'a [u8], usize> {
        let writes = self.steps.iter().enumerate().filter(|(_, step)| step.is_write_to_all());
        writes.flat_map(|(i, step)| step.call.keys().map(move |key| (key, i))).collect()
    }
}

impl Drop for CopyWave<'_> {
    /// Notes what nodes have answered, though nobody is told.
    fn drop(&mut self) {
        // A guard has been taken away once its write is judged.
        self.steps.retain(|step| step.guard.is_some());
        self.take_answers();
        for Step { guard, answers, .. } in &mut self.steps {
            guard.iter_mut().for_each(|guard| guard.answered(answers.iter().map(Ack::from).collect()));
        }
    }
}

/// The judgement of one node's answer.
enum Judged {
    Done(Result<NodesReply, Error>),
    /// Another node may be asked. If none is, this error is the outcome.
    Open(Error),
}

impl CopyTopology {
    /// Returns the node that a command for one node goes to in a wave: the first connected one of those that may answer it.
    fn answers_now(&self, call: &Call<'_>) -> Option<usize> {
        let is_read = call.spec.access == Access::Read;
        let may = |idx: &usize| !is_read || self.nodes.member(*idx).trust(call.keys()) == Trust::Full;
        let order = || self.nodes.places(call.first_key().unwrap_or_default()).filter(may);
        order().find(|idx| self.nodes.at(*idx).is_connected()).or_else(|| order().next())
    }

    /// Judges every node's answer to a command.
    fn judge_all(
        &self,
        call: &Call<'_>,
        answers: Vec<Answer>,
        doubted: &[usize],
    ) -> Result<NodesReply, Error> {
        if call.spec.access == Access::Each {
            return Ok(NodesReply::Each(self.nodes.replies(answers)));
        }
        // All have been asked, and the one counts that would have been asked alone.
        let key = call.first_key();
        let mut answers: Vec<_> = answers.into_iter().map(Some).collect();
        let (mut errors, mut stale) = (Vec::new(), Vec::new());
        for idx in self.nodes.places(key.unwrap_or_default()) {
            let answer = answers.get_mut(idx).and_then(Option::take);
            match answer.map(|answer| self.judge_one(call, (idx, answer), doubted)) {
                Some(Judged::Done(outcome)) => return outcome,
                Some(Judged::Open(Error::Node(error))) => errors.push(error),
                _ => stale.push(idx),
            }
        }
        Err(Error::unavailable(call.spec.name, key, errors, self.names(stale)))
    }

    /// Judges the answer of the one node that was asked.
    fn judge_one(&self, call: &Call<'_>, (idx, answer): (usize, Answer), doubted: &[usize]) -> Judged {
        if call.spec.access != Access::Read {
            return match answer {
                Err(error) if error.is_connect() => Judged::Open(Error::Node(error)),
                answer => Judged::Done(self.judge_some(call.spec, vec![(idx, answer)]).map(NodesReply::Each)),
            };
        }
        let is_doubted = doubted.contains(&idx) && is_lacking(call, &answer);
        match answer {
            Ok(value) if self.nodes.member(idx).trust(call.keys()) == Trust::Full && !is_doubted => {
                self.shadow().iter().for_each(|shadow| shadow.is_read(idx, call.keys()));
                Judged::Done(Ok(self.reply_of(idx, value)))
            }
            Err(error) if another_may_answer(&error) => Judged::Open(Error::Node(error)),
            Err(error) if !is_doubted => Judged::Done(Err(Error::Node(error))),
            _ => {
                let key = call.first_key();
                Judged::Open(Error::unavailable(call.spec.name, key, Vec::new(), self.names(vec![idx])))
            }
        }
    }
}

/// Returns whether an answer says that something is not there.
fn is_lacking(call: &Call<'_>, answer: &Answer) -> bool {
    match answer {
        Ok(reply) => lacks_something(call, reply),
        Err(error) => says_no_such_key(error),
    }
}

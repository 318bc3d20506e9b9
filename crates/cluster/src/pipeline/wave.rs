//! A wave: commands of a pipeline on a copy that are sent to all nodes at the same time.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::given_up;

use crate::call::Call;
use crate::dispatch::failover_read::another_may_answer;
use crate::dispatch::failover_read::lacks_something;
use crate::dispatch::failover_read::says_no_such_key;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::trust::Trust;
use crate::pipeline::copy::Step;
use crate::pipeline::copy::last_writes;
use crate::plan::divergence::Ack;
use crate::reply::NodesReply;

type Answers = Vec<Result<Value, node::Error>>;

/// Commands of a pipeline that are under way. Left behind, the nodes are noted as behind for what they did not take.
pub(crate) struct Wave<'a> {
    copy: &'a CopyEngine,
    steps: &'a [Step<'a>],
    /// Before anything of it was sent.
    began: Instant,
    budget: Budget,
    /// Of each step that is a write to all nodes.
    guard: Vec<Option<WriteGuard<'a>>>,
    /// What each node answered to the commands that it was sent, once it has answered them all.
    of_nodes: Vec<OnceLock<Answers>>,
    /// The same, sorted by the steps, once all nodes have answered: each node that was sent a step, with its answer.
    of_steps: Vec<Vec<Asked>>,
    /// The nodes that say that something is not there, and may have been emptied a moment ago.
    doubted: Vec<usize>,
}

/// A node that was sent a step, and what it answered, if it has.
type Asked = (usize, Option<Result<Value, node::Error>>);

impl<'a> Wave<'a> {
    pub(crate) fn new(copy: &'a CopyEngine, steps: &'a [Step<'a>]) -> Self {
        let topology = &*copy.topology;
        let guard = steps.iter().map(|step| match step {
            Step::All(call, _) if call.spec.access == Access::Write => {
                let mut guard = WriteGuard::new(topology, call);
                guard.sending();
                Some(guard)
            }
            _ => None,
        });
        let of_nodes = topology.nodes.iter().map(|_| OnceLock::new()).collect();
        let (budget, guard) = (Budget::new(copy.deadline, 1), guard.collect());
        let (of_steps, doubted) = (Vec::new(), Vec::new());
        Self { copy, steps, began: Instant::now(), budget, guard, of_nodes, of_steps, doubted }
    }

    /// Sends all of them and returns one outcome for each.
    pub(crate) async fn send(mut self) -> Vec<Result<NodesReply, Error>> {
        let nodes = self.copy.topology.nodes.members().map(|member| member.writer()).enumerate();
        // A write is not given up before its time; reads alone leave time for asking elsewhere.
        let writes = self.steps.iter().filter_map(Step::call).any(|call| call.spec.access != Access::Read);
        let sent = nodes.zip(&self.of_nodes).map(async |((idx, node), answers)| {
            let commands = self.steps.iter().filter_map(|step| step.on(idx));
            let node = if writes { self.budget.all(node) } else { self.budget.half(node) };
            let _first = answers.set(node.send_each(commands).await);
        });
        join_all(sent).await;
        self.doubt().await;
        let mut outcomes = self.judge();
        self.give_hints(&mut outcomes).await;
        // Those that nobody has answered yet are asked elsewhere.
        let copy = self.budget.rest(self.copy);
        let open = self.steps.iter().zip(&outcomes).map(async |(step, outcome)| match (step, outcome) {
            (Step::One(call, _), None) => Some(copy.run_by_itself(call).await),
            _ => None,
        });
        let replies = join_all(open).await;
        for (outcome, reply) in outcomes.iter_mut().zip(replies) {
            if reply.is_some() {
                *outcome = reply;
            }
        }
        let unasked = || Err(Error::Node(lost(None, "")));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unasked)).collect()
    }

    /// Sends all of them to every node as one `MULTI` block, and returns one outcome for each.
    pub(crate) async fn send_block(mut self) -> Vec<Result<NodesReply, Error>> {
        let commands = self.steps.iter().filter_map(|step| step.on(0));
        let block: Vec<_> = commands.map(|(spec, cmd)| Recorded::new(spec, cmd.clone())).collect();
        let sent = self.copy.topology.nodes.members().map(|member| member.writer()).zip(&self.of_nodes).map(
            async |(node, answers)| {
                let _first = answers.set(self.budget.all(node).send_block(&block).await);
            },
        );
        join_all(sent).await;
        self.doubt().await;
        let mut outcomes = self.judge();
        self.give_hints(&mut outcomes).await;
        outcomes.into_iter().flatten().collect()
    }

    /// Gives the hints that come of the writes. None is done that has them too late.
    async fn give_hints(&self, outcomes: &mut [Option<Result<NodesReply, Error>>]) {
        let writes = self.steps.iter().zip(outcomes).filter_map(|(step, outcome)| {
            let call = step.call().filter(|call| call.spec.access != Access::Read)?;
            Some((call.spec, outcome.as_mut().filter(|outcome| outcome.is_ok())?))
        });
        let mut writes: Vec<_> = writes.collect();
        let Some((first, _)) = writes.first() else {
            return self.copy.give_hints(&self.budget).await;
        };
        if let Some(error) = self.copy.give_hints_of(first, self.began, &self.budget).await {
            writes.iter_mut().for_each(|(_, outcome)| **outcome = Err(error.clone()));
        }
    }

    /// Sorts the answers by the steps. Each node was sent its commands in the order of the steps.
    fn sort(&mut self) {
        let answers = self.of_nodes.iter_mut().map(|answers| answers.take().unwrap_or_default().into_iter());
        let mut answers: Vec<_> = answers.enumerate().collect();
        let asked = |step: &Step<'_>| {
            let asked = answers.iter_mut().filter(|(idx, _)| step.on(*idx).is_some());
            asked.map(|(idx, answers)| (*idx, answers.next())).collect()
        };
        self.of_steps = self.steps.iter().map(asked).collect();
    }

    /// Makes sure, once for each node that says that something is not there, that it had not been emptied.
    async fn doubt(&mut self) {
        self.sort();
        if self.copy.topology.identity.is_none() {
            return;
        }
        let mut lacking = BTreeSet::new();
        for (step, asked) in self.steps.iter().zip(&self.of_steps) {
            if let Some(call) = step.call().filter(|call| call.spec.access == Access::Read) {
                let may_be_flushed = |idx| self.copy.topology.nodes.member(idx).flushes().are_unseen();
                let needs_look = |(idx, answer): &&(usize, Option<_>)| {
                    answer.as_ref().is_some_and(|answer| may_be_flushed(*idx) || is_lacking(call, answer))
                };
                lacking.extend(asked.iter().filter(needs_look).map(|(idx, _)| *idx));
            }
        }
        let looks = lacking
            .into_iter()
            .map(async |idx| (!self.copy.has_its_marker(idx, &self.budget).await).then_some(idx));
        self.doubted = join_all(looks).boxed().await.into_iter().flatten().collect();
        if self.is_disagreed() {
            self.budget.limit(self.copy.look_at_all()).await;
        }
    }

    /// Returns whether nodes answered a write differently that should have answered the same.
    fn is_disagreed(&self) -> bool {
        self.guard.iter().zip(&self.of_steps).any(|(guard, asked)| {
            let answers = asked.iter().filter_map(|(_, answer)| answer.as_ref());
            guard.as_ref().is_some_and(|guard| guard.is_disagreed(answers))
        })
    }

    /// Tells what became of each command, in order, and notes what was missed. Those without an outcome can be asked
    /// elsewhere.
    fn judge(&mut self) -> Vec<Option<Result<NodesReply, Error>>> {
        let topology = &*self.copy.topology;
        let (of_steps, doubted) = (std::mem::take(&mut self.of_steps), std::mem::take(&mut self.doubted));
        // Then what a node said is told, not that there was no time to ask another one.
        let is_over = self.budget.is_over();
        let last_writes_of = OnceCell::new();
        let is_written_after = |i: usize, call: &Call<'_>| {
            let last_writes = last_writes_of.get_or_init(|| last_writes(self.steps));
            let mut keys = call.keys().peekable();
            match keys.peek() {
                // It asks about all keys.
                None => last_writes.values().any(|last| i < *last),
                Some(_) => keys.any(|key| last_writes.get(key).is_some_and(|last| i < *last)),
            }
        };
        let guard = std::mem::take(&mut self.guard);
        let judged = self.steps.iter().zip(of_steps).enumerate().zip(guard);
        let judged = judged.map(|((i, (step, asked)), guard)| {
            let answers = |spec: &'static Spec| {
                let lost = |idx| Err(lost(Some(topology.nodes.name(idx)), spec.name));
                asked.into_iter().map(move |(idx, answer)| (idx, answer.unwrap_or_else(|| lost(idx))))
            };
            match step {
                Step::Nothing(error) => Some(Err(error.clone())),
                Step::All(call, _) => {
                    let answers = answers(call.spec).map(|(_, answer)| answer).collect();
                    Some(match guard {
                        Some(mut guard) => guard.conclude(answers).map(NodesReply::Each),
                        None => topology.judge_all(call, answers, &doubted),
                    })
                }
                Step::One(call, _) => match topology.judge_one(call, answers(call.spec).next()?, &doubted) {
                    Judged::Open(error)
                        if is_over || call.spec.access == Access::Read && is_written_after(i, call) =>
                    {
                        Some(Err(error))
                    }
                    Judged::Open(_) => None,
                    Judged::Done(outcome) => Some(outcome),
                },
            }
        });
        judged.collect()
    }
}

impl Drop for Wave<'_> {
    /// What nodes answered of it is known, and nobody is told.
    fn drop(&mut self) {
        if self.of_steps.is_empty() {
            self.sort();
        }
        let ack = |(_, answer): &Asked| answer.as_ref().map_or(Ack::Maybe, Ack::from);
        // None, if it has been judged.
        for (guard, asked) in self.guard.iter_mut().zip(&self.of_steps) {
            if let Some(guard) = guard {
                guard.answered(asked.iter().map(ack).collect());
            }
        }
    }
}

/// What an answer of one node comes to.
enum Judged {
    Done(Result<NodesReply, Error>),
    /// Another node may be asked; or else this is the outcome.
    Open(Error),
}

impl CopyTopology {
    /// What every node's answer to a command comes to.
    fn judge_all(&self, call: &Call<'_>, answers: Answers, doubted: &[usize]) -> Result<NodesReply, Error> {
        match call.spec.access {
            Access::Each => Ok(NodesReply::Each(self.nodes.replies(answers))),
            // All have been asked, and the one counts that would have been asked alone.
            _ => {
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
        }
    }

    /// What the answer of the one node comes to that was asked.
    fn judge_one(
        &self,
        call: &Call<'_>,
        (idx, answer): (usize, Result<Value, node::Error>),
        doubted: &[usize],
    ) -> Judged {
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
fn is_lacking(call: &Call<'_>, answer: &Result<Value, node::Error>) -> bool {
    match answer {
        Ok(reply) => lacks_something(call, reply),
        Err(error) => says_no_such_key(error),
    }
}

/// The error of a command whose answer nobody waited for.
fn lost(node: Option<&Arc<str>>, command: &'static str) -> node::Error {
    match node {
        Some(node) => node::Error::new(Arc::clone(node), command, given_up()),
        None => node::Error::without_node(command, given_up()),
    }
}

//! A wave: commands of a pipeline on a copy that are sent to all nodes at the same time.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::OnceLock;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Recorded;

use crate::call::Call;
use crate::dispatch::failover_read::another_may_answer;
use crate::dispatch::failover_read::lacks_something;
use crate::dispatch::failover_read::says_no_such_key;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::log::Trust;
use crate::pipeline::copy::Step;
use crate::pipeline::copy::last_writes;
use crate::plan::divergence::Ack;
use crate::reply::NodesReply;

type Answers = Vec<Result<Value, node::Error>>;

/// Commands of a pipeline that are under way. Left behind, the nodes are noted as behind for what they did not take.
pub(crate) struct Wave<'a> {
    copy: &'a CopyEngine,
    steps: &'a [Step<'a>],
    budget: Budget,
    /// Of each step that is a write to all nodes.
    guard: Vec<Option<WriteGuard<'a>>>,
    /// What each node answered to the commands that it was sent, once it has answered them all.
    answers: Vec<OnceLock<Answers>>,
    /// The nodes that say that something is not there, and may have been emptied a moment ago.
    doubted: Vec<usize>,
}

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
        let answers = topology.nodes.iter().map(|_| OnceLock::new()).collect();
        let budget = Budget::new(copy.deadline, 1);
        Self { copy, steps, budget, guard: guard.collect(), answers, doubted: Vec::new() }
    }

    /// Sends all of them and returns one outcome for each.
    pub(crate) async fn send(mut self) -> Vec<Result<NodesReply, Error>> {
        let nodes = self.copy.topology.nodes.members().map(|member| member.writer()).enumerate();
        // A write is not given up before its time; reads alone leave time for asking elsewhere.
        let writes = self.guard.iter().any(Option::is_some);
        let sent = nodes.zip(&self.answers).map(async |((idx, node), answers)| {
            let commands = self.steps.iter().filter_map(|step| step.on(idx));
            let node = if writes { self.budget.all(node) } else { self.budget.half(node) };
            let _first = answers.set(node.send_each(commands).await);
        });
        join_all(sent).await;
        self.doubt().await;
        let mut outcomes = self.judge();
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
        let sent = self.copy.topology.nodes.members().map(|member| member.writer()).zip(&self.answers).map(
            async |(node, answers)| {
                let _first = answers.set(self.budget.all(node).send_block(&block).await);
            },
        );
        join_all(sent).await;
        self.doubt().await;
        self.judge().into_iter().flatten().collect()
    }

    /// Makes sure, once for each node that says that something is not there, that it had not been emptied.
    async fn doubt(&mut self) {
        if self.copy.topology.identity.is_none() {
            return;
        }
        let lacks = |(idx, answers): (usize, &OnceLock<Answers>)| {
            let commands = self.steps.iter().filter_map(|step| step.on(idx));
            let mut read = commands.zip(answers.get()?).filter(|((spec, _), _)| spec.access == Access::Read);
            let lacks = read.any(|(_, answer)| is_lacking(answer));
            lacks.then_some(idx)
        };
        let lacking: Vec<usize> = self.answers.iter().enumerate().filter_map(lacks).collect();
        let looks = lacking
            .iter()
            .map(async |&idx| (!self.copy.has_its_marker(idx, &self.budget).await).then_some(idx));
        self.doubted = join_all(looks).boxed().await.into_iter().flatten().collect();
        if self.is_disagreed() {
            self.budget.limit(self.copy.look_at_all()).await;
        }
    }

    /// Returns whether nodes answered a write differently that should have answered the same.
    fn is_disagreed(&self) -> bool {
        let answers = self.answers.iter().map(|answers| answers.get().into_iter().flatten());
        let mut answers: Vec<_> = answers.collect();
        self.steps.iter().zip(&self.guard).any(|(step, guard)| match (step, guard) {
            (Step::All(..), guard) => {
                let answers: Vec<_> = answers.iter_mut().filter_map(Iterator::next).collect();
                guard.as_ref().is_some_and(|guard| guard.is_disagreed(answers))
            }
            (Step::One(_, idx), _) => {
                answers.get_mut(*idx).and_then(Iterator::next);
                false
            }
            _ => false,
        })
    }

    /// Tells what became of each command, in order, and notes what was missed. Those without an outcome can be asked
    /// elsewhere.
    fn judge(&mut self) -> Vec<Option<Result<NodesReply, Error>>> {
        let topology = &*self.copy.topology;
        let answers = self.answers.iter_mut().map(|answers| answers.take().unwrap_or_default().into_iter());
        let mut answers: Vec<_> = answers.collect();
        let doubted = std::mem::take(&mut self.doubted);
        // Then what a node said is told, not that there was no time to ask another one.
        let is_over = self.budget.is_over();
        let mut next = |idx: usize, spec: &Spec| {
            let answer = answers.get_mut(idx).and_then(Iterator::next);
            answer.unwrap_or_else(|| Err(lost(Some(topology.nodes.name(idx)), spec.name)))
        };
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
        let judged = self.steps.iter().enumerate().zip(guard).map(|((i, step), guard)| match step {
            Step::Nothing(error) => Some(Err(error.clone())),
            Step::ByItself(call) => Some(Err(Error::Node(lost(None, call.spec.name)))),
            Step::All(call, _) => {
                let answers: Answers = (0..topology.nodes.len()).map(|idx| next(idx, call.spec)).collect();
                Some(match guard {
                    Some(mut guard) => guard.conclude(answers).map(NodesReply::Each),
                    None => topology.judge_all(call, answers, &doubted),
                })
            }
            Step::One(call, idx) => match topology.judge_one(call, (*idx, next(*idx, call.spec)), &doubted) {
                Judged::Open(error)
                    if is_over || call.spec.access == Access::Read && is_written_after(i, call) =>
                {
                    Some(Err(error))
                }
                Judged::Open(_) => None,
                Judged::Done(outcome) => Some(outcome),
            },
        });
        judged.collect()
    }
}

impl Drop for Wave<'_> {
    /// What nodes answered of it is known, and nobody is told.
    fn drop(&mut self) {
        let mut answers: Vec<_> =
            self.answers.iter_mut().map(|answers| answers.take().unwrap_or_default().into_iter()).collect();
        let mut next = |idx: usize| {
            let answer = answers.get_mut(idx).and_then(Iterator::next);
            answer.map_or(Ack::Maybe, |answer| Ack::from(&answer))
        };
        let n_nodes = self.copy.topology.nodes.len();
        // None, if it has been judged.
        for (step, guard) in self.steps.iter().zip(&mut self.guard) {
            match (step, guard) {
                (Step::All(..), guard) => {
                    let took = (0..n_nodes).map(&mut next).collect();
                    if let Some(guard) = guard {
                        guard.answered(took);
                    }
                }
                (Step::One(_, idx), _) => _ = next(*idx),
                _ => {}
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
        let is_doubted = doubted.contains(&idx) && is_lacking(&answer);
        match answer {
            Ok(value) if self.nodes.member(idx).trust(call.keys()) == Trust::Full && !is_doubted => {
                Judged::Done(Ok(NodesReply::One(Arc::clone(self.nodes.name(idx)), value)))
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
fn is_lacking(answer: &Result<Value, node::Error>) -> bool {
    match answer {
        Ok(reply) => lacks_something(reply),
        Err(error) => says_no_such_key(error),
    }
}

/// The error of a command whose answer nobody waited for.
pub(crate) fn lost(node: Option<&Arc<str>>, command: &'static str) -> node::Error {
    let reason = "the pipeline was dropped before its replies came";
    let source = std::io::Error::new(std::io::ErrorKind::Interrupted, reason);
    let kind = node::ErrorKind::Disconnected(Arc::new(source));
    match node {
        Some(node) => node::Error::new(Arc::clone(node), command, kind),
        None => node::Error::without_node(command, kind),
    }
}

//! A pipeline on a copy: each write goes to every node, each read to the node of its key.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::OnCopy;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::call::Call;
use crate::copy::RedisCopy;
use crate::engine::copy::CopyEngine;
use crate::engine::deadline::Budget;
use crate::engine::nodes::Nodes;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::hints::log::Trust;
use crate::pipeline::wave::Wave;
use crate::pipeline::wave::lost;
use crate::plan::context::Context;
use crate::plan::expiry;
use crate::plan::replicate;
use crate::plan::replicate::Replication;
use crate::replies::Outcome;
use crate::replies::Replies;
use crate::replies::decode;
use crate::replies::decode_merged;

/// How many commands are sent at a time.
const MOST_IN_A_WAVE: usize = 1000;

/// The reply to one command of a pipeline on a copy.
#[derive(Debug)]
#[non_exhaustive]
pub enum CopyReply {
    /// The answer to a read, and the node that gave it.
    One(Arc<str>, Value),
    /// The answer to a question, merged from those of these nodes.
    Merged(Box<[Arc<str>]>, Value),
    /// What each node said.
    All(Replies<Value>),
}

impl CopyReply {
    /// The value of this type, or who gave another one.
    pub(crate) fn read<T: FromRedisValue>(self, spec: &'static Spec) -> Result<T, Error> {
        let names = match &self {
            Self::One(name, _) => vec![Arc::clone(name)],
            Self::Merged(names, _) => names.to_vec(),
            Self::All(replies) if spec.access == Access::Each => replies.names(),
            Self::All(replies) => replies.first_node().into_iter().collect(),
        };
        let is_merged = matches!(self, Self::Merged(..)) || spec.access == Access::Each;
        let value = self.into_one(spec)?;
        match names.as_slice() {
            [name] if !is_merged => Ok(decode(name, spec.name, value)?),
            names => decode_merged(names, spec.name, value),
        }
    }

    /// One value: of a write, what all nodes answered that took it and count.
    pub(crate) fn into_one(self, spec: &'static Spec) -> Result<Value, Error> {
        match self {
            Self::One(_, value) | Self::Merged(_, value) => Ok(value),
            Self::All(replies) if spec.access == Access::Each => replies.by_name(spec.name),
            Self::All(replies) => match replies.first() {
                Some(first) if replies.agreed() => Ok(first.clone()),
                _ => Err(Error::Disagreement(Box::new(TooFewReplies {
                    command: spec.name,
                    wanted: replies.len(),
                    replies,
                }))),
            },
        }
    }
}

/// What is done with one command.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Nothing: it is not sent.
    Nothing(Error),
    /// It goes to every node, in other words if there are some.
    All(Call<'a>, Option<Cmd>),
    /// It goes to this node.
    One(Call<'a>, usize),
    /// It takes more than one step, so it runs as it would without a pipeline.
    ByItself(Call<'a>),
}

impl Step<'_> {
    /// What a node is sent.
    pub(crate) fn on(&self, node: usize) -> Option<(&'static Spec, &Cmd)> {
        match self {
            Self::All(call, instead) => Some((call.spec, instead.as_ref().unwrap_or(call.cmd))),
            Self::One(call, idx) if *idx == node => Some((call.spec, call.cmd)),
            _ => None,
        }
    }
}

impl CopyEngine {
    /// Runs commands and hands over each one's own outcome, in order, of several together when they are there.
    pub(crate) async fn run_many<C: Sync>(
        &self,
        commands: &[C],
        routable: impl Fn(&C) -> Result<(&'static Spec, &Cmd), Error>,
        mut outcomes: impl FnMut(Vec<Result<CopyReply, Error>>),
    ) {
        let identified = self.check_identity().await;
        if self.topology.nodes.no_clock_is_known() {
            let known = commands.iter().filter_map(|command| routable(command).ok());
            self.learn_clock_for(known.map(|(spec, _)| spec)).await;
        }
        let mut waiting = Group::default();
        for command in commands {
            let command = routable(command).and_then(|command| identified.clone().map(|()| command));
            let step = match command {
                Ok((spec, cmd)) => self.step(Call::new(spec, cmd)),
                Err(error) => Step::Nothing(error),
            };
            if !waiting.takes(&step) {
                outcomes(self.finish(std::mem::take(&mut waiting)).await);
            }
            waiting.add(step);
        }
        outcomes(self.finish(waiting).await);
    }

    /// Decides what is done with a command, as the nodes are at this moment.
    fn step<'a>(&self, call: Call<'a>) -> Step<'a> {
        let topology = &*self.topology;
        let plan = match replicate::plan(Context::Pipeline, &call, || topology.nodes.clock()) {
            Ok(plan) => plan,
            Err(error) => return Step::Nothing(error),
        };
        let (spec, key) = (call.spec, call.first_key());
        let is_up = |idx: &usize| topology.nodes.at(*idx).is_connected();
        let order = || topology.nodes.ring().successors(key.unwrap_or_default());
        let one = |call, node: Option<usize>| match node {
            Some(idx) => Step::One(call, idx),
            None => Step::ByItself(call),
        };
        match plan {
            Replication::AsItIs if spec.access == Access::Read && spec.copy == OnCopy::AnyNode => {
                let in_sync = |idx: &usize| topology.nodes.member(*idx).trust(call.keys()) == Trust::Full;
                let first = order().filter(in_sync).find(is_up).or_else(|| order().find(in_sync));
                one(call, first)
            }
            Replication::AsItIs
                if spec.access == Access::Each || spec.access == Access::Write && key.is_some() =>
            {
                Step::All(call, None)
            }
            Replication::Instead(instead) if key.is_some() => Step::All(call, Some(instead)),
            Replication::OneNode => one(call, order().find(is_up).or_else(|| order().next())),
            _ => Step::ByItself(call),
        }
    }

    async fn finish(&self, group: Group<'_>) -> Vec<Result<CopyReply, Error>> {
        let steps = group.steps;
        if group.by_themselves.is_some() {
            let each = steps.into_iter().map(async |step| match step {
                Step::Nothing(error) => Err(error),
                Step::One(call, _) | Step::ByItself(call) | Step::All(call, _) => {
                    self.run_by_itself(&call).await
                }
            });
            return join_all(each).await;
        }
        match steps.is_empty() {
            true => Vec::new(),
            false => Wave::new(self, &steps).send().await,
        }
    }

    /// Runs commands as one `MULTI` block on every node, and returns one outcome for each.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub(crate) async fn run_block(
        &self,
        commands: &[Recorded],
    ) -> Result<Vec<Result<CopyReply, Error>>, Error> {
        self.check_identity().await?;
        let nodes = &self.topology.nodes;
        self.learn_clock_for(commands.iter().map(|command| command.spec)).await;
        let steps: Result<Vec<_>, _> = commands
            .iter()
            .map(|command| step_of_block(nodes, Call::new(command.spec, &command.cmd)))
            .collect();
        match steps? {
            nothing if nothing.is_empty() => Ok(Vec::new()),
            steps => Ok(Wave::new(self, &steps).send_block().await),
        }
    }

    async fn learn_clock_for(&self, mut specs: impl Iterator<Item = &'static Spec>) {
        if specs.any(expiry::tells_a_life) {
            Budget::new(self.deadline, 1).learn_clock(&self.topology.nodes).await;
        }
    }

    /// Runs one command as it would run without a pipeline.
    pub(crate) async fn run_by_itself(&self, call: &Call<'_>) -> Result<CopyReply, Error> {
        match call.spec.access {
            Access::Read => self.run_read(call).boxed().await,
            Access::Each => Ok(CopyReply::All(self.run_each(call).boxed().await?)),
            _ => Ok(CopyReply::All(self.run_write(call).boxed().await?)),
        }
    }
}

/// A command in a `MULTI` block, which every node is sent.
fn step_of_block<'a>(nodes: &Nodes, call: Call<'a>) -> Result<Step<'a>, Error> {
    Ok(match replicate::plan(Context::Block, &call, || nodes.clock())? {
        Replication::Instead(instead) => Step::All(call, Some(instead)),
        _ => Step::All(call, None),
    })
}

/// Commands that can be under way at the same time.
#[derive(Default)]
struct Group<'a> {
    steps: Vec<Step<'a>>,
    /// If they are commands that run by themselves, their keys; of one that names none, it is alone.
    by_themselves: Option<HashSet<&'a [u8]>>,
}

impl<'a> Group<'a> {
    fn takes(&self, step: &Step<'a>) -> bool {
        let n_steps = self.steps.len();
        n_steps < MOST_IN_A_WAVE
            && match (step, &self.by_themselves) {
                (Step::Nothing(_), _) => true,
                (Step::All(..) | Step::One(..), keys) => keys.is_none(),
                (Step::ByItself(..), None) => self.steps.iter().all(|step| matches!(step, Step::Nothing(_))),
                (Step::ByItself(call), Some(others)) => {
                    let mut keys = call.keys().peekable();
                    !others.is_empty() && keys.peek().is_some() && keys.all(|key| !others.contains(key))
                }
            }
    }

    fn add(&mut self, step: Step<'a>) {
        if let Step::ByItself(call) = &step {
            self.by_themselves.get_or_insert_default().extend(call.keys());
        }
        self.steps.push(step);
    }
}

/// Of each key, the last of these commands that writes it.
pub(crate) fn last_writes<'a>(steps: &[Step<'a>]) -> HashMap<&'a [u8], usize> {
    let writes = steps.iter().enumerate().filter_map(|(i, step)| match step {
        Step::All(call, _) if call.spec.access == Access::Write => Some((i, call)),
        _ => None,
    });
    writes.flat_map(|(i, call)| call.keys().map(move |key| (key, i))).collect()
}

impl SendMany for RedisCopy {
    type Reply = CopyReply;
    type Answers = Vec<Option<Result<CopyReply, Error>>>;

    async fn send_many(&self, commands: &mut [Recorded], mut answered: impl FnMut(Self::Answers) + Send) {
        let answered = |outcomes: Vec<_>| answered(outcomes.into_iter().map(Some).collect());
        self.engine().run_many(commands, |command| Ok((command.spec, &command.cmd)), answered).await;
    }

    async fn send_atomic(&self, commands: &[Recorded]) -> Self::Answers {
        match self.engine().run_block(commands).await {
            Ok(outcomes) => outcomes.into_iter().map(Some).collect(),
            Err(error) => commands.iter().map(|_| Some(Err(error.clone()))).collect(),
        }
    }

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: CopyReply) -> Result<T, Error> {
        match reply {
            CopyReply::One(name, value) => Ok(decode(&name, spec.name, value)?),
            CopyReply::All(replies) => <Self as node::Execute>::one_reply(replies.decode(spec.name)),
            merged => merged.read(spec),
        }
    }

    fn write_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: CopyReply,
    ) -> Result<Replies<T>, Error> {
        Ok(match reply {
            CopyReply::All(replies) => replies.decode(spec.name),
            CopyReply::One(name, value) => {
                let outcome = Outcome::from(decode(&name, spec.name, value));
                Replies::new(vec![(name, outcome)])
            }
            CopyReply::Merged(names, value) => {
                let outcome = |name: &Arc<str>| {
                    (Arc::clone(name), Outcome::from(decode(name, spec.name, value.clone())))
                };
                Replies::new(names.iter().map(outcome).collect())
            }
        })
    }

    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: CopyReply,
    ) -> Result<Replies<T>, Error> {
        Self::write_reply(spec, reply)
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::refused(command, "copy", reason)
    }

    fn given_up(&self, command: &'static str) -> Error {
        Error::Node(lost(None, command))
    }
}

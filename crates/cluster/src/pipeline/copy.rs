//! A pipeline on a copy: each write goes to every node, each read to the node of its key.

use std::collections::HashMap;
use std::collections::HashSet;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::call::Call;
use crate::copy::RedisCopy;
use crate::engine::copy::CopyEngine;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::log::Trust;
use crate::pipeline::wave::Wave;
use crate::pipeline::wave::lost;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::expiry;
use crate::replies::Replies;
use crate::reply::NodesReply;

/// How many commands are sent at a time.
const MOST_IN_A_WAVE: usize = 1000;

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
        mut outcomes: impl FnMut(Vec<Result<NodesReply, Error>>),
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
        let plan = match topology.plan(&call, Context::Pipeline) {
            Ok(plan) => plan,
            Err(error) => return Step::Nothing(error),
        };
        let key = call.first_key();
        let is_up = |idx: &usize| topology.nodes.at(*idx).is_connected();
        let order = || topology.nodes.places(key.unwrap_or_default());
        let one = |call, node: Option<usize>| match node {
            Some(idx) => Step::One(call, idx),
            None => Step::ByItself(call),
        };
        match plan {
            Plan::One(_) if call.spec.access == Access::Read => {
                let in_sync = |idx: &usize| topology.nodes.member(*idx).trust(call.keys()) == Trust::Full;
                let first = order().filter(in_sync).find(is_up).or_else(|| order().find(in_sync));
                one(call, first)
            }
            Plan::One(first) => one(call, order().find(is_up).or(Some(first))),
            Plan::All(instead) if key.is_some() || call.spec.access == Access::Each => {
                Step::All(call, instead)
            }
            _ => Step::ByItself(call),
        }
    }

    async fn finish(&self, group: Group<'_>) -> Vec<Result<NodesReply, Error>> {
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
    ) -> Result<Vec<Result<NodesReply, Error>>, Error> {
        self.check_identity().await?;
        self.learn_clock_for(commands.iter().map(|command| command.spec)).await;
        let calls: Vec<_> = commands.iter().map(|command| Call::new(command.spec, &command.cmd)).collect();
        let plans = self.topology.plan_block(&calls)?;
        let steps = calls.into_iter().zip(plans).map(|(call, plan)| match plan {
            Plan::All(instead) => Step::All(call, instead),
            _ => Step::All(call, None),
        });
        let steps: Vec<_> = steps.collect();
        match steps.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(Wave::new(self, &steps).send_block().await),
        }
    }

    async fn learn_clock_for(&self, mut specs: impl Iterator<Item = &'static Spec>) {
        if specs.any(expiry::tells_a_life) {
            Budget::new(self.deadline, 1).learn_clock(&self.topology.nodes).await;
        }
    }

    /// Runs one command as it would run without a pipeline.
    pub(crate) async fn run_by_itself(&self, call: &Call<'_>) -> Result<NodesReply, Error> {
        match call.spec.access {
            Access::Read => self.run_read(call).boxed().await,
            Access::Each => Ok(NodesReply::Each(self.run_each(call).boxed().await?)),
            _ => Ok(NodesReply::Each(self.run_write(call).boxed().await?)),
        }
    }
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
    type Reply = NodesReply;
    type Answers = Vec<Option<Result<NodesReply, Error>>>;

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

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: NodesReply) -> Result<T, Error> {
        match reply {
            NodesReply::Each(replies) => <Self as node::Execute>::one_reply(replies.decode(spec.name)),
            reply => reply.read(spec),
        }
    }

    fn write_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: NodesReply,
    ) -> Result<Replies<T>, Error> {
        Ok(reply.read_each(spec))
    }

    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: NodesReply,
    ) -> Result<Replies<T>, Error> {
        Ok(reply.read_each(spec))
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::refused(command, "copy", reason)
    }

    fn given_up(&self, command: &'static str) -> Error {
        Error::Node(lost(None, command))
    }
}

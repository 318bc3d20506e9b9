//! A pipeline on a copy: each write goes to every node, each read to the node of its key.

use std::collections::HashMap;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redisdb_node as node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::call::Call;
use crate::copy::RedisCopy;
use crate::dispatch::failover_read::tells_keys;
use crate::engine::copy::CopyEngine;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::trust::Trust;
use crate::pipeline::AtOnce;
use crate::pipeline::answers::PipelineAnswers;
use crate::pipeline::wave::Wave;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::expiry;
use crate::replies::Replies;
use crate::reply::NodesReply;

/// What is done with one command.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Nothing: it is not sent.
    Nothing(Error),
    /// It goes to every node, in other words if there are some.
    All(Call<'a>, Option<Cmd>),
    /// It goes to this node.
    One(Call<'a>, usize),
}

impl Step<'_> {
    /// The command, if it is sent.
    pub(crate) fn call(&self) -> Option<&Call<'_>> {
        match self {
            Self::All(call, _) | Self::One(call, _) => Some(call),
            Self::Nothing(_) => None,
        }
    }

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
    /// Runs commands and hands over their answers, in order.
    async fn run_many(&self, commands: &[Recorded], mut answered: impl FnMut(PipelineAnswers)) {
        let budget = match self.budget(1).await {
            Ok(budget) => budget,
            Err(error) => return answered(PipelineAnswers::refused(commands.len(), &error)),
        };
        self.learn_clock_for(commands, &budget).await;
        let mut rest = commands;
        while !rest.is_empty() {
            let (mut steps, mut by_themselves, mut at_once) = (Vec::new(), Vec::new(), AtOnce::default());
            for command in rest.iter().take(Batch::MOST_COMMANDS) {
                match self.step(Call::new(command.spec, &command.cmd)) {
                    Err(call) if steps.is_empty() && at_once.joins(&call) => by_themselves.push(call),
                    Ok(step) if by_themselves.is_empty() => steps.push(step),
                    _ => break,
                }
            }
            let outcomes = match by_themselves.is_empty() {
                true => Wave::new(self, &steps).send().await,
                false => join_all(by_themselves.iter().map(|call| self.run_by_itself(call))).await,
            };
            rest = rest.get(outcomes.len()..).unwrap_or_default();
            answered(PipelineAnswers::listed(outcomes));
        }
    }

    /// Decides what is done with a command, as the nodes are at this moment. One that takes more than one step is returned as it
    /// is: it runs as it would without a pipeline.
    fn step<'a>(&self, call: Call<'a>) -> Result<Step<'a>, Call<'a>> {
        let topology = &*self.topology;
        let plan = match topology.plan(&call, Context::Pipeline) {
            Ok(plan) => plan,
            Err(error) => return Ok(Step::Nothing(error)),
        };
        let key = call.first_key();
        let is_up = |idx: &usize| topology.nodes.at(*idx).is_connected();
        let order = || topology.nodes.places(key.unwrap_or_default());
        match plan {
            // Our own keys are left out.
            Plan::First if tells_keys(call.spec) => Err(call),
            Plan::First => {
                let is_read = call.spec.access == Access::Read;
                let may =
                    |idx: &usize| !is_read || topology.nodes.member(*idx).trust(call.keys()) == Trust::Full;
                match order().filter(may).find(is_up).or_else(|| order().find(may)) {
                    Some(idx) => Ok(Step::One(call, idx)),
                    None => Err(call),
                }
            }
            // Nothing is sent before somebody holds what it builds on.
            Plan::All(_) if call.spec.access == Access::Write && topology.nobody_holds(&call) => Err(call),
            Plan::All(instead) if key.is_some() || call.spec.access == Access::Each => {
                Ok(Step::All(call, instead))
            }
            _ => Err(call),
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
        let budget = self.budget(1).await?;
        self.learn_clock_for(commands, &budget).await;
        let calls: Vec<_> = commands.iter().map(|command| Call::new(command.spec, &command.cmd)).collect();
        let plans = self.topology.plan_block(&calls)?;
        for call in calls.iter().filter(|call| call.spec.access == Access::Write) {
            if self.topology.nobody_holds(call) {
                self.wait_for_a_holder(call, &budget).boxed().await?;
            }
        }
        let step = |(call, plan)| Step::All(call, if let Plan::All(instead) = plan { instead } else { None });
        let steps: Vec<_> = calls.into_iter().zip(plans).map(step).collect();
        match steps.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(Wave::new(&budget.rest(self), &steps).send_block().await),
        }
    }

    async fn learn_clock_for(&self, commands: &[Recorded], budget: &Budget) {
        if commands.iter().any(|command| expiry::tells_a_life(command.spec)) {
            budget.learn_clock(&self.topology.nodes).await;
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
    type Answers = PipelineAnswers;

    async fn send_many(&self, commands: &mut [Recorded], answered: impl FnMut(PipelineAnswers) + Send) {
        self.engine().run_many(commands, answered).await;
    }

    async fn send_atomic(&self, commands: &[Recorded]) -> PipelineAnswers {
        match self.engine().run_block(commands).await {
            Ok(outcomes) => PipelineAnswers::listed(outcomes),
            Err(error) => PipelineAnswers::refused(commands.len(), &error),
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
}

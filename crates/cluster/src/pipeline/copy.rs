//! A pipeline on a copy: each write goes to every node, each read to the node of its key.

use futures_util::FutureExt;
use futures_util::future::join_all;
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
use crate::pipeline::AtOnce;
use crate::pipeline::answers::PipelineAnswers;
use crate::pipeline::calls_of;
use crate::pipeline::cmds_of;
use crate::pipeline::copy_wave::CopyWave;
use crate::pipeline::wave::Lost;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::expiry;
use crate::replies::Replies;
use crate::reply::NodesReply;

impl CopyEngine {
    /// Runs commands and hands over their answers, in order.
    async fn run_many(&self, commands: &[Recorded<'_>], mut answered: impl FnMut(PipelineAnswers)) {
        let budget = match self.budget(1).await {
            Ok(budget) => budget,
            Err(error) => return answered(PipelineAnswers::refused(commands.len(), &error)),
        };
        self.learn_clock_for(commands, &budget).await;
        let cmds = cmds_of(commands);
        let calls = calls_of(&cmds);
        let (mut rest, mut lost) = (calls.as_slice(), Lost::default());
        while !rest.is_empty() {
            let mut wave = CopyWave::new(self, rest.len());
            let outcomes = match rest.iter().take_while(|call| wave.takes(call)).count() {
                0 => {
                    let mut at_once = AtOnce::default();
                    let alone = rest.iter().take_while(|call| at_once.joins(call) && !wave.takes(call));
                    join_all(alone.map(|call| self.run_by_itself(call))).await
                }
                _ => wave.send(&mut lost).await,
            };
            rest = rest.get(outcomes.len()..).unwrap_or_default();
            answered(PipelineAnswers::listed(outcomes));
        }
    }

    /// Runs commands as one `MULTI` block on every node, and returns one outcome for each.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub(crate) async fn run_block(
        &self,
        commands: &[Recorded<'_>],
    ) -> Result<Vec<Result<NodesReply, Error>>, Error> {
        let budget = self.budget(1).await?;
        self.learn_clock_for(commands, &budget).await;
        let cmds = cmds_of(commands);
        let calls = calls_of(&cmds);
        let plans = self.topology.plan_block(&calls)?;
        for call in calls.iter().filter(|call| call.spec.access == Access::Write) {
            if self.topology.nobody_holds(call) {
                self.wait_for_a_holder(call, &budget).boxed().await?;
            }
        }
        let words = calls.iter().zip(plans).map(|(call, plan)| match plan {
            Plan::All(Some(instead)) => Recorded::new(call.spec, instead),
            _ => Recorded::lent(call.spec, call.cmd),
        });
        let block: Vec<_> = words.collect();
        match block.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(CopyWave::block(&budget.rest(self), &calls, block).send(&mut Lost::default()).await),
        }
    }

    async fn learn_clock_for(&self, commands: &[Recorded<'_>], budget: &Budget) {
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

impl SendMany for RedisCopy {
    type Reply = NodesReply;
    type Answers = PipelineAnswers;

    async fn send_many(&self, commands: &[Recorded<'_>], answered: impl FnMut(PipelineAnswers) + Send) {
        self.engine().run_many(commands, answered).await;
    }

    async fn send_atomic(&self, commands: &[Recorded<'_>]) -> PipelineAnswers {
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

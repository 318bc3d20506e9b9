//! Pipelines of redis-rs, which keep their commands.

use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node::command;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Answers;

use crate::dispatch::scatter::on_owner;
use crate::engine::ring::RingEngine;
use crate::error::Error;
use crate::pipeline::answers::RingAnswers;
use crate::pipeline::ring::Queued;
use crate::pipeline::ring::run_all;
use crate::plan::context::Context;
use crate::plan::context::row;
use crate::reply::NodesReply;

/// A command in a pipeline of redis-rs, which keeps it.
struct Lent<'a> {
    spec: Option<&'static Spec>,
    cmd: &'a Cmd,
}

impl Queued for Lent<'_> {
    fn command(&self) -> Result<(&'static Spec, &Cmd), Error> {
        Ok((self.spec.ok_or_else(|| Error::unknown(self.cmd))?, self.cmd))
    }

    fn take(&mut self) -> Cmd {
        self.cmd.clone()
    }
}

/// Runs every command of a redis-rs pipeline and hands over each one's own outcome, in order.
pub(crate) async fn run(
    ring: &RingEngine,
    pipeline: &Pipeline,
    mut outcome: impl FnMut(Result<Value, Error>),
) {
    let mut last = None;
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        let spec = row_after(last, cmd);
        last = spec.or(last);
        commands.push(Lent { spec, cmd });
    }
    let mut n_answered = 0;
    let answered = |mut answers: RingAnswers| {
        for i in 0..answers.n_commands() {
            let Some(answer) = answers.take(i) else { continue };
            let spec = || match pipeline.cmd_iter().nth(n_answered + i) {
                Some(cmd) => row(cmd),
                None => Err(Error::unknown(&Cmd::new())),
            };
            outcome(answer.and_then(|reply| match reply {
                NodesReply::One(_, value) => Ok(value),
                reply => reply.into_one(spec()?),
            }));
        }
        n_answered += answers.n_commands();
    };
    run_all(ring, &mut commands, answered).await;
}

/// The row of a command that follows another one in a pipeline, which often is the same command again.
fn row_after(last: Option<&'static Spec>, cmd: &Cmd) -> Option<&'static Spec> {
    let name = command::words(cmd).next().unwrap_or_default();
    // Of the commands that have subcommands none has keys, so one word is the whole name.
    let is_again = |spec: &&Spec| spec.keys != Keys::None && name == spec.name.as_bytes();
    last.filter(is_again).or_else(|| command::lookup(cmd))
}

/// Runs a redis-rs `MULTI` block as it is on the owner of its keys.
pub(crate) async fn run_atomic(
    ring: &RingEngine,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> Result<Vec<Value>, Error> {
    let topology = ring.topology();
    let commands = pipeline.cmd_iter().map(|cmd| Ok((row(cmd)?, cmd)));
    let commands = commands.collect::<Result<Vec<_>, Error>>()?;
    let owner = match commands.is_empty() {
        // A block without a command goes nowhere: any node says so.
        true => 0,
        false => topology.route_together(commands.iter().copied(), Context::Block)?,
    };
    let replies = ring.nodes_of(&topology).at(owner).send_pipeline(pipeline, offset, count).await;
    replies.map_err(|error| match commands.first() {
        Some((spec, cmd)) => on_owner(spec, cmd, error),
        None => Error::Node(error),
    })
}

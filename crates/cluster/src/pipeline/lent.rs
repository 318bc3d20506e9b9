//! Pipelines of redis-rs, which keep their commands.

use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node::Answers;
use redisdb_node::command;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

use super::Queued;
use super::RingAnswers;
use super::RingReply;
use super::owner_of;
use super::run_all;
use crate::error::Error;
use crate::ring::RedisRing;

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
    ring: &RedisRing,
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
    let value = |reply| match reply {
        RingReply::One(_, value) => value,
        RingReply::Each(replies) => {
            let named = |(name, reply): (&str, &Value)| (Value::BulkString(name.into()), reply.clone());
            Value::Map(replies.successes().map(named).collect())
        }
    };
    let answered = |mut answers: RingAnswers| {
        let taken = (0..answers.n_commands()).filter_map(|i| answers.take(i));
        taken.for_each(|answer| outcome(answer.map(value)));
    };
    run_all(ring, &mut commands, answered).await;
}

fn row(cmd: &Cmd) -> Result<&'static Spec, Error> {
    command::lookup(cmd).ok_or_else(|| Error::unknown(cmd))
}

/// The row of a command that follows another one in a pipeline, which often is the same command again.
fn row_after(last: Option<&'static Spec>, cmd: &Cmd) -> Option<&'static Spec> {
    let name = command::words(cmd).next().unwrap_or_default();
    // Of the commands that have subcommands none has keys, so one word is the whole name.
    let is_again = |spec: &&Spec| spec.keys != Keys::None && name == spec.name.as_bytes();
    last.filter(is_again).or_else(|| command::lookup(cmd))
}

/// Runs a redis-rs `MULTI` block as it is on the owner of its keys, which must have one hash tag.
pub(crate) async fn run_atomic(
    ring: &RedisRing,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> Result<Vec<Value>, Error> {
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        commands.push((row(cmd)?, cmd));
    }
    // A block without a command goes nowhere: any node says so.
    let owner = if pipeline.is_empty() { ring.node_for("") } else { owner_of(ring, commands)? };
    Ok(owner.send_pipeline(pipeline, offset, count).await?)
}

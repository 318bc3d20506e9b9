//! The adapter to redis-rs. Rings and copies are connections of redis-rs: `redis::cmd(..).query_async`, `redis::pipe()` and
//! [`redis::AsyncCommands`] run on them.

use std::io;

use redis::Cmd;
use redis::ErrorKind;
use redis::Pipeline;
use redis::RedisError;
use redis::RedisFuture;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::ServerError;
use redisdb_node::command;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Answers;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::copy::RedisCopy;
use crate::dispatch::scatter::on_owner;
use crate::engine::copy::CopyEngine;
use crate::engine::ring::RingEngine;
use crate::error::Error;
use crate::plan::context::Context;
use crate::plan::context::row;
use crate::reply::NodesReply;
use crate::ring::RedisRing;

/// A command goes where [`explain`](RedisRing::explain) says. A pipeline is grouped by node, and each command has its own
/// outcome; an atomic one goes to the owner of its keys, which must have one hash tag.
///
/// A question to each node, such as `INFO`, is answered by one map: each node's answer under its name. If a node does not
/// answer there is no map, but [`Error::Partial`], whose parts say what each of them answered, or why not: half an answer
/// would look like a whole one. A ring of one node with [`allow_colocated`](crate::RingBuilder::allow_colocated) gives that
/// node's own answer.
impl ConnectionLike for RedisRing {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.engine.run(row(cmd)?, cmd).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            match pipeline.is_transaction() {
                true => Ok(run_block_on_owner(&self.engine, pipeline, offset, count).await?),
                false => Ok(part(run_many(self, pipeline).await?, offset, count)),
            }
        })
    }

    fn get_db(&self) -> i64 {
        db(self.engine.topology().nodes.iter())
    }
}

/// A read goes to one node; of a write one value is returned, which all nodes must have answered that took it and are not
/// known to be behind.
/// A pipeline is one of the [typed kind](RedisCopy::pipeline), and so is an atomic one.
///
/// A question to each node, such as `INFO`, is answered by one map: each node's answer under its name. If a node does not
/// answer there is no map, but [`Error::Partial`], as on a ring.
impl ConnectionLike for RedisCopy {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.engine().run(row(cmd)?, cmd).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let values = match pipeline.is_transaction() {
                true => run_block(&self.engine(), pipeline).await?,
                false => run_many(self, pipeline).await?,
            };
            Ok(part(values, offset, count))
        })
    }

    fn get_db(&self) -> i64 {
        db(self.engine().topology.nodes.iter())
    }
}

/// The number of commands of a pipeline that are looked up at a time.
const AT_ONCE: usize = 10 * Batch::MOST_COMMANDS;

/// Runs each command of a pipeline and returns what redis-rs is told of it, in order.
async fn run_many<S>(servers: &S, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError>
where
    S: SendMany<Reply = NodesReply, Error = Error>,
{
    let mut told = Told::of(pipeline)?;
    let mut last = None;
    let mut cmds = pipeline.cmd_iter().enumerate().peekable();
    while cmds.peek().is_some() {
        let mut commands = Vec::with_capacity(pipeline.len().min(AT_ONCE));
        // Commands that are in no table stand between those that are sent.
        let mut unknown = Vec::new();
        for (number, cmd) in cmds.by_ref().take(AT_ONCE) {
            match row_after(last, cmd) {
                Some(spec) => {
                    last = Some(spec);
                    commands.push(Recorded::lent(spec, cmd));
                }
                None => unknown.push((number, Error::unknown(cmd))),
            }
        }
        let mut unknown = unknown.into_iter().peekable();
        let mut tell_unknown = |told: &mut Told| {
            while let Some((_, error)) = unknown.next_if(|(number, _)| *number == told.values.len()) {
                told.push(Err(error));
            }
        };
        let answered = |mut answers: S::Answers| {
            for i in 0..answers.n_commands() {
                tell_unknown(&mut told);
                let Some(answer) = answers.take(i) else { continue };
                let spec = || match pipeline.cmd_iter().nth(told.values.len()) {
                    Some(cmd) => row(cmd),
                    None => Err(Error::unknown(&Cmd::new())),
                };
                let value = answer.and_then(|reply| match reply {
                    NodesReply::One(_, value) => Ok(value),
                    reply => reply.into_one(spec()?),
                });
                told.push(value);
            }
        };
        servers.send_many(&commands, answered).await;
        tell_unknown(&mut told);
    }
    told.values()
}

/// Returns the row of a command that follows another one in a pipeline, which often is the same command again.
fn row_after(last: Option<&'static Spec>, cmd: &Cmd) -> Option<&'static Spec> {
    let name = command::words(cmd).next().unwrap_or_default();
    // The name of a command with a subcommand has two words, which one word never equals.
    let is_again = |spec: &&Spec| spec.keys != Keys::None && name == spec.name.as_bytes();
    last.filter(is_again).or_else(|| command::lookup(cmd))
}

/// Returns the values that redis-rs asked for.
fn part(mut values: Vec<Value>, offset: usize, count: usize) -> Vec<Value> {
    values.truncate(offset.saturating_add(count));
    values.drain(..offset.min(values.len()));
    values
}

/// Sends a `MULTI` block as it is to the owner of its keys, and returns `count` of the replies from `offset` on.
async fn run_block_on_owner(
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
    let by = ring.by();
    let replies = match ring.ready(&topology, owner, "MULTI").await {
        Ok(()) => topology.nodes.until(by).at(owner).send_pipeline(pipeline, offset, count).await,
        Err(error) => Err(error),
    };
    replies.map_err(|error| match commands.first() {
        Some((spec, cmd)) => on_owner(spec, cmd, error),
        None => Error::Node(error),
    })
}

/// Returns what a server answers to a `MULTI` block: to `MULTI`, to each command, and to `EXEC`. A discarded block is an error,
/// as redis-rs has it.
async fn run_block(copy: &CopyEngine, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        commands.push(Recorded::lent(row(cmd)?, cmd));
    }
    let outcomes = copy.run_block(&commands).await?;
    if let Some(error) = discarded(&outcomes) {
        reply_as(&format!("EXECABORT {error}"))?.extract_error()?;
    }
    let mut told = Told::default();
    for (command, outcome) in commands.iter().zip(outcomes) {
        told.push(outcome.and_then(|reply| reply.into_one(command.spec)));
    }
    let mut values = vec![Value::Okay; commands.len() + 1];
    values.push(Value::Array(told.values()?));
    Ok(values)
}

/// Returns the error of a block that no node executed: each of them discarded it, or could not be reached.
fn discarded(outcomes: &[Result<NodesReply, Error>]) -> Option<&Error> {
    let is_discarded =
        |error: &node::Error| matches!(error.kind(), node::ErrorKind::Server(error) if error.cause.is_some());
    let nowhere = |error: &Error| {
        let errors = error.node_errors();
        let all = errors.iter().all(|error| error.is_not_sent() || is_discarded(error));
        all && errors.into_iter().any(is_discarded)
    };
    let all = outcomes.iter().all(|outcome| outcome.as_ref().err().is_some_and(nowhere));
    outcomes.first()?.as_ref().err().filter(|_| all)
}

fn db<'a>(mut nodes: impl Iterator<Item = &'a Node>) -> i64 {
    nodes.next().map_or(0, |node| node.config().db().into())
}

/// The answer to a pipeline of redis-rs: an error is the value of its command. If no connection was left to answer any command,
/// there are no values, but that error.
#[derive(Default)]
struct Told {
    values: Vec<Value>,
    is_answered: bool,
    lost: Option<RedisError>,
}

impl Told {
    fn of(pipeline: &Pipeline) -> Result<Self, RedisError> {
        match pipeline.len() {
            0 => Err(no_command()),
            n => Ok(Self { values: Vec::with_capacity(n), ..Self::default() }),
        }
    }

    fn push(&mut self, outcome: Result<Value, Error>) {
        self.values.push(match outcome {
            Ok(value) => {
                self.is_answered = true;
                value
            }
            Err(error) => {
                match io_kind(&error) {
                    Some(_) if self.lost.is_none() => self.lost = Some(error.clone().into()),
                    Some(_) => {}
                    None => self.is_answered = true,
                }
                error_reply(&error).unwrap_or(Value::Nil)
            }
        });
    }

    fn values(self) -> Result<Vec<Value>, RedisError> {
        match self.lost {
            Some(error) if !self.is_answered => Err(error),
            _ => Ok(self.values),
        }
    }
}

/// Returns the error that redis-rs has for a command or a pipeline with nothing to send.
fn no_command() -> RedisError {
    (ErrorKind::Client, "empty command").into()
}

/// An error as the server sent it; where none sent one, or not all the same, the text is ours, and so may be the code.
fn error_reply(error: &Error) -> Result<Value, RedisError> {
    let code = match error {
        Error::Unavailable(_) => "UNAVAILABLE",
        Error::CrossNode(_) => "CROSSNODE",
        Error::Partial(_) => "PARTIAL",
        Error::TooFewReplies(_) => "TOOFEWREPLIES",
        Error::Disagreement(_) => "DISAGREEMENT",
        _ => "REDISDB",
    };
    let line = match said_by_all(error) {
        Some(reply) if reply.open_details().is_empty() => reply.code.clone(),
        Some(reply) => format!("{} {}", reply.code, reply.open_details()),
        None => format!("{} {error}", error.code().unwrap_or(code)),
    };
    reply_as(&line)
}

/// An error reply of this line.
fn reply_as(line: &str) -> Result<Value, RedisError> {
    redis::parse_redis_value(format!("-{}\r\n", line.replace(['\r', '\n'], " ")).as_bytes())
}

/// Returns the error reply of every server that was asked, if all are the same and no server did anything.
fn said_by_all(error: &Error) -> Option<&ServerError> {
    let is_done_by_none = match error {
        Error::Node(_) => true,
        Error::Partial(partial) => partial.parts.iter().all(|part| part.reply.is_err()),
        Error::TooFewReplies(write) => write.replies.first().is_none(),
        _ => false,
    };
    let mut said = error.node_errors().into_iter().map(|error| match error.kind() {
        node::ErrorKind::Server(reply) => Some(reply),
        _ => None,
    });
    let first = said.next().flatten().filter(|_| is_done_by_none)?;
    said.all(|reply| reply == Some(first)).then_some(first)
}

/// Returns the fault of the connection that should have answered, if that is why nobody did.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    match error.node_errors().first()?.kind() {
        node::ErrorKind::Timeout(_) | node::ErrorKind::ConnectTimeout(_) => Some(io::ErrorKind::TimedOut),
        node::ErrorKind::Disconnected(source)
        | node::ErrorKind::Unsent(source)
        | node::ErrorKind::Connect(source) => Some(source.kind()),
        node::ErrorKind::Down { .. } => Some(io::ErrorKind::NotConnected),
        _ => None,
    }
}

impl From<Error> for RedisError {
    /// Keeps what redis-rs asks of its errors: what the server said, that time ran out, that the connection is gone.
    fn from(error: Error) -> Self {
        if let Some(kind) = io_kind(&error) {
            return io::Error::new(kind, error.to_string()).into();
        }
        if matches!(&error, Error::UnknownCommand { command } if command.is_empty()) {
            return no_command();
        }
        match error_reply(&error).and_then(Value::extract_error) {
            Err(reply) => reply,
            Ok(_) => (ErrorKind::Client, "redisdb", error.to_string()).into(),
        }
    }
}

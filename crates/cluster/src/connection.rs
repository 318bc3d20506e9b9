//! Rings and copies as redis-rs connections: `redis::cmd(..).query_async`, `redis::pipe()` and
//! [`redis::AsyncCommands`] run on them.

use std::io;

use redis::Cmd;
use redis::ErrorKind;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::RedisError;
use redis::RedisFuture;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Recorded;
use redisdb_node::command;
use redisdb_node::command::Spec;

use crate::context::row;
use crate::copy::CopyReply;
use crate::copy::RedisCopy;
use crate::error::Error;
use crate::pipeline;
use crate::replies::decode;
use crate::ring::RedisRing;

impl RedisRing {
    /// Runs any command of Redis, or one that was [registered](command::Registration), where its row says, and converts
    /// its reply.
    ///
    /// ```no_run
    /// # async fn f(ring: redisdb_cluster::RedisRing) -> Result<(), redisdb_cluster::Error> {
    /// let kind: String = ring.query(redis::cmd("OBJECT").arg("ENCODING").arg("user:1")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Of the routing, of the node, or that the reply is not a `T`.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        self.run(row(cmd)?, cmd).await
    }
}

impl RedisCopy {
    /// Runs any command of Redis, or one that was [registered](command::Registration), and converts its reply: of a
    /// write, the one that all nodes gave that took it and are not known to be behind.
    ///
    /// # Errors
    /// Of the routing, of the nodes, that such nodes gave different replies, or that the reply is not a `T`.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        let reply = run(self, cmd).await?;
        let name = command::lookup(cmd).map_or("?", |spec| spec.name);
        Ok(decode(&"*".into(), name, reply)?)
    }
}

/// A command goes where [`explain`](RedisRing::explain) says. A pipeline is grouped by node, and each command has its own
/// outcome; an atomic one goes to the owner of its keys, which must have one hash tag.
///
/// What is asked of each node, as `INFO` is, is answered by one map: each node's answer under its name. If a node does not
/// answer there is no map, but [`Error::Partial`], whose parts say what each of them answered, or why not: half an answer
/// would look like a whole one.
impl ConnectionLike for RedisRing {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.run(row(cmd)?, cmd).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            if pipeline.is_transaction() {
                return Ok(pipeline::run_atomic(self, pipeline, offset, count).await?);
            }
            let mut values = Vec::with_capacity(pipeline.len());
            pipeline::run(self, pipeline, |outcome| values.push(value(outcome))).await;
            values.truncate(offset.saturating_add(count));
            values.drain(..offset.min(values.len()));
            Ok(values)
        })
    }

    fn get_db(&self) -> i64 {
        db(self.topology().nodes.iter())
    }
}

/// A read goes to one node; of a write one value is returned, which all nodes must have answered that took it and are not
/// known to be behind.
/// A pipeline is one of the [typed kind](RedisCopy::pipeline), and so is an atomic one.
///
/// What is asked of each node, as `INFO` is, is answered by one map: each node's answer under its name. If a node does not
/// answer there is no map, but [`Error::Partial`], as on a ring.
impl ConnectionLike for RedisCopy {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(run(self, cmd).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let values = match pipeline.is_transaction() {
                true => run_block(self, pipeline).await?,
                false => run_many(self, pipeline).await,
            };
            Ok(values.into_iter().skip(offset).take(count).collect())
        })
    }

    fn get_db(&self) -> i64 {
        db(self.nodes())
    }
}

async fn run(copy: &RedisCopy, cmd: &Cmd) -> Result<Value, Error> {
    copy.run(row(cmd)?, cmd).await
}

async fn run_many(copy: &RedisCopy, pipeline: &Pipeline) -> Vec<Value> {
    let commands: Vec<(Result<&'static Spec, Error>, &Cmd)> =
        pipeline.cmd_iter().map(|cmd| (row(cmd), cmd)).collect();
    let mut values = Vec::with_capacity(commands.len());
    let mut outcome = |outcome: Result<CopyReply, Error>| {
        let spec = commands.get(values.len()).and_then(|(spec, _)| spec.as_ref().ok());
        values.push(value(outcome.and_then(|reply| match spec {
            Some(spec) => reply.into_one(spec),
            None => Ok(Value::Nil),
        })));
    };
    let outcomes = |outcomes: Vec<_>| outcomes.into_iter().for_each(&mut outcome);
    copy.run_many(&commands, |(spec, cmd)| Ok((spec.clone()?, cmd)), outcomes).await;
    values
}

/// What a server answers to a `MULTI` block: to `MULTI`, to each command, and to `EXEC`. That it was discarded is an error, as
/// redis-rs has it.
async fn run_block(copy: &RedisCopy, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        commands.push(Recorded::new(row(cmd)?, cmd.clone()));
    }
    let outcomes = copy.run_block(&commands).await?;
    if let Some(error) = discarded(&outcomes) {
        reply_as(&format!("EXECABORT {error}"))?.extract_error()?;
    }
    let executed = commands.iter().zip(outcomes);
    let executed =
        executed.map(|(command, outcome)| value(outcome.and_then(|reply| reply.into_one(command.spec))));
    let executed = Value::Array(executed.collect());
    let mut values = vec![Value::Okay; commands.len() + 1];
    values.push(executed);
    Ok(values)
}

/// Why a block was executed by no node: each of them discarded it, or could not be reached.
fn discarded(outcomes: &[Result<CopyReply, Error>]) -> Option<&Error> {
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

/// In a pipeline, an error is the value of its command.
fn value(result: Result<Value, Error>) -> Value {
    result.or_else(|error| error_reply(&error)).unwrap_or(Value::Nil)
}

/// An error as the server would have sent it; where no server sent one, the code is ours.
fn error_reply(error: &Error) -> Result<Value, RedisError> {
    let code = match error {
        Error::Unavailable(_) => "UNAVAILABLE",
        Error::CrossNode(_) => "CROSSNODE",
        Error::Partial(_) => "PARTIAL",
        Error::TooFewReplies(_) => "TOOFEWREPLIES",
        Error::Disagreement(_) => "DISAGREEMENT",
        _ => "REDISDB",
    };
    let line = match error {
        Error::Node(node) if matches!(node.kind(), node::ErrorKind::Server(_)) => node.kind().to_string(),
        _ => format!("{} {error}", error.code().unwrap_or(code)),
    };
    reply_as(&line)
}

/// An error reply of this line.
fn reply_as(line: &str) -> Result<Value, RedisError> {
    redis::parse_redis_value(format!("-{}\r\n", line.replace(['\r', '\n'], " ")).as_bytes())
}

impl From<Error> for RedisError {
    /// Keeps what redis-rs asks of its errors: the server's code, that time ran out, that the connection is gone.
    fn from(error: Error) -> Self {
        let io_kind = error.node_errors().first().and_then(|error| match error.kind() {
            node::ErrorKind::Timeout(_) | node::ErrorKind::ConnectTimeout(_) => Some(io::ErrorKind::TimedOut),
            node::ErrorKind::Disconnected(source) | node::ErrorKind::Connect(source) => Some(source.kind()),
            node::ErrorKind::Down { .. } => Some(io::ErrorKind::NotConnected),
            _ => None,
        });
        if let Some(kind) = io_kind {
            return io::Error::new(kind, error.to_string()).into();
        }
        match error_reply(&error).and_then(Value::extract_error) {
            Err(reply) => reply,
            Ok(_) => (ErrorKind::Client, "redisdb", error.to_string()).into(),
        }
    }
}

//! Dedicated connections: for commands that block a connection, or change its state.

mod pool;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool::managed::Object;
use futures_util::future::Either;
use futures_util::future::select;
use parking_lot::Mutex;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::RedisError;
use redis::RedisFuture;
use redis::Value;
use redis::aio::ConnectionLike;

pub(crate) use self::pool::DedicatedPool;
use self::pool::Dialer;
use crate::command;
use crate::command::Command;
use crate::command::Connection;
use crate::command::Each;
use crate::command::Group;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;
use crate::command::block_time::BlockTime;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::execute::Execute;
use crate::node::Node;
use crate::pipeline::block;
use crate::redis_rs::decode;
use crate::redis_rs::empty;
use crate::wire::Failure;
use crate::wire::Many;
use crate::wire::Patience;
use crate::wire::Wire;

/// A dedicated connection, which nobody else uses: for `WATCH` and `MULTI`, and for commands that block. Made
/// by [`Node::dedicated`](crate::Node::dedicated).
///
/// The connection runs the typed commands, [`WAIT`](crate::BlockingCommands::wait) among them, and everything
/// else as a redis-rs connection. Dropped, it goes back to its pool. A connection that was changed (`SELECT`,
/// `SUBSCRIBE`), or was left inside a `MULTI` or in the middle of a reply, is closed instead.
///
/// A typed command has the node's response timeout, and a blocking command has its own time on top of that. A
/// command that waits without end, and every command sent through redis-rs, ends when the node goes
/// [down](crate::NodeEvent::Down). The error says so, and the command may have been executed. If the node
/// does not probe idle connections ([`probe_interval`](crate::NodeConfig::with_probe_interval) of zero), only
/// other calls notice that the node is down.
///
/// # Cancel safety
/// Dropping the future of a command closes the connection, because the next reply could not be told from the
/// one that was given up. The server forgets a blocked command at once, and later calls on the connection
/// fail.
///
/// ```no_run
/// use redisdb_node::{BlockingCommands, Node, StringCommands};
/// use std::time::Duration;
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let connection = node.dedicated().await?;
/// connection.set("k", "v").await?;
/// let replicas = connection.wait(2, Duration::from_millis(500)).await?;
/// println!("{replicas} replicas have it");
/// # Ok(()) }
/// ```
pub struct DedicatedConnection {
    /// Whose shared connection tells when the node goes down. It stays at work for as long as this connection is there.
    node: Node,
    /// `None` once a command was left in the middle of its reply.
    connection: Mutex<Option<Object<Dialer>>>,
    /// True if a command has changed the state of the connection.
    changed: AtomicBool,
}

impl DedicatedConnection {
    fn new(node: Node, connection: Object<Dialer>) -> Self {
        Self { node, connection: Mutex::new(Some(connection)), changed: AtomicBool::new(false) }
    }

    /// Sends a command by its row, and waits as long as the row says.
    ///
    /// # Errors
    /// [`Error`]; an error reply is one too.
    pub async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        self.note_change(spec);
        let wait = BlockTime::of(spec, cmd).with_reply(self.node.config().response_timeout());
        match self.send(wait, cmd).await {
            Ok(Value::ServerError(reply)) => {
                Err(self.error(spec.name, ErrorKind::Server(ServerError::from(&reply))))
            }
            Ok(reply) => Ok(reply),
            Err(kind) => Err(self.error(spec.name, kind)),
        }
    }

    /// Sends commands as one `MULTI` block in one write, and returns the outcome of each command; `None` if a key that this
    /// connection watches has changed, so that none was executed.
    ///
    /// # Errors
    /// The error of the connection. An error reply, also one for which no command was executed, is the outcome of its command.
    #[doc(hidden)]
    pub async fn run_block(&self, block: &Pipeline) -> Result<Option<Vec<Result<Value, Error>>>, Error> {
        let names: Vec<_> = block.cmd_iter().map(command::name_of).collect();
        let specs: Vec<_> = block.cmd_iter().map(command::lookup).collect();
        let replies = self.send_block(block).await.map_err(|kind| self.error("MULTI", kind))?;
        let named = |outcomes: Vec<Result<Value, ErrorKind>>| {
            let each = outcomes.into_iter().zip(specs);
            let named = each.map(|(outcome, spec)| {
                outcome.map_err(|kind| self.error(spec.map_or("EXEC", |spec| spec.name), kind))
            });
            named.collect()
        };
        Ok(block::Block::of(block.len(), replies).outcomes(&names).map(named))
    }

    /// Sends a `MULTI` block in one write and returns all replies to it. An error reply is a value among
    /// them.
    pub(crate) async fn send_block(&self, block: &Pipeline) -> Result<Vec<Value>, ErrorKind> {
        let wait = Some(self.node.config().response_timeout());
        self.send_many(wait, block, 0, block::n_replies(block.len())).await
    }

    /// Sends a command and waits for its reply for so long, or for as long as the node is up. An error reply is a value.
    async fn send(&self, wait: Option<Duration>, cmd: &Cmd) -> Result<Value, ErrorKind> {
        if empty::is_wordless(cmd) {
            return Err(ErrorKind::Unsupported(empty::WORDLESS.into()));
        }
        let wire = self.wire()?;
        self.answer_within(wait, wire.send(cmd, Patience::Own)).await
    }

    /// Sends commands together and waits for `count` of their replies from `offset` on; as [`send`](Self::send).
    async fn send_many(
        &self,
        wait: Option<Duration>,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, ErrorKind> {
        let many = Many::Pipeline(pipeline);
        if many.has_wordless() {
            return Err(ErrorKind::Unsupported(empty::WORDLESS.into()));
        }
        let wire = self.wire()?;
        let call = wire.send_many(many, offset, count, Patience::Own);
        Ok(match self.answer_within(wait, call).await? {
            Value::Array(replies) => replies,
            _ => Vec::new(),
        })
    }

    /// Waits for the answer to a call. Without it the connection is closed.
    async fn answer_within(
        &self,
        wait: Option<Duration>,
        call: impl Future<Output = Result<Value, Failure>>,
    ) -> Result<Value, ErrorKind> {
        let mut unanswered = Unanswered(Some(self));
        let answer = match wait {
            Some(wait) => tokio::time::timeout(wait, call).await.map_err(|_| ErrorKind::Timeout(wait))?,
            // A server that hangs says nothing more on this connection.
            None => match select(pin!(call), pin!(self.node.goes_down())).await {
                Either::Left((answer, _)) => answer,
                Either::Right(((), _)) => {
                    let reason = "its node went down while it waited for the reply";
                    let aborted = io::Error::new(io::ErrorKind::ConnectionAborted, reason);
                    return Err(ErrorKind::Disconnected(Arc::new(aborted)));
                }
            },
        };
        let answer = answer.map_err(Failure::of_own)?;
        unanswered.0 = None;
        Ok(answer)
    }

    /// Notes that a command changes the state of the connection, so that it does not go back to its pool. The
    /// pool finds by itself what `WATCH` and `MULTI` leave behind.
    fn note_change(&self, spec: &Spec) {
        if spec.connection == Connection::Session && spec.group != Group::Transactions {
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the connection out of its pool and closes it.
    pub(crate) fn close(&self) {
        let left = self.connection.lock().take();
        drop(left.map(Object::take));
    }

    fn wire(&self) -> Result<Wire, ErrorKind> {
        let held = self.connection.lock();
        let wire = held.as_ref().map(|pooled| pooled.dialed.wire.clone());
        wire.ok_or_else(|| {
            let reason = "an earlier command on this connection was dropped or failed, which ended it";
            ErrorKind::Connect(Arc::new(io::Error::new(io::ErrorKind::NotConnected, reason)))
        })
    }

    pub(crate) fn error(&self, command: &'static str, kind: ErrorKind) -> Error {
        self.node.failed(command, kind)
    }

    async fn answer<T: FromRedisValue>(&self, spec: &'static Spec, cmd: Cmd) -> Result<T, Error> {
        let reply = self.run(spec, &cmd).await?;
        decode(reply).map_err(|error| self.error(spec.name, ErrorKind::Reply(error.into())))
    }
}

impl Drop for DedicatedConnection {
    fn drop(&mut self) {
        if *self.changed.get_mut() {
            let connection = self.connection.get_mut().take();
            drop(connection.map(Object::take));
        }
    }
}

/// A command whose reply is still to come. Dropped, it takes the connection out of its pool and closes it.
struct Unanswered<'a>(Option<&'a DedicatedConnection>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.close();
        }
    }
}

impl fmt::Debug for DedicatedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedConnection").field("node", &self.node.name()).finish_non_exhaustive()
    }
}

impl Execute for DedicatedConnection {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.answer(command.spec(), cmd).await
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.answer(command.spec(), cmd).await
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.answer(command.spec(), cmd).await
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }
}

impl ConnectionLike for DedicatedConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            if empty::is_wordless(cmd) {
                return Err(empty::error());
            }
            command::lookup(cmd).into_iter().for_each(|spec| self.note_change(spec));
            self.send(None, cmd).await.map_err(of_connection)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let is_empty = pipeline.is_empty() && !pipeline.is_transaction();
            if is_empty || pipeline.cmd_iter().any(empty::is_wordless) {
                return Err(empty::error());
            }
            if let Some(answer) = empty::answer(pipeline, offset, count) {
                return Ok(answer);
            }
            pipeline.cmd_iter().filter_map(command::lookup).for_each(|spec| self.note_change(spec));
            if pipeline.is_transaction() {
                let replies = self.send_many(None, pipeline, 0, block::n_replies(pipeline.len())).await;
                let part = block::part_of(pipeline, replies.map_err(of_connection)?, offset, count);
                return part.map_err(|(_, kind)| reply_of(&kind.without_secrets(self.node.config())));
            }
            self.send_many(None, pipeline, offset, count).await.map_err(of_connection)
        })
    }

    fn get_db(&self) -> i64 {
        self.node.config().db().into()
    }
}

/// Returns the end of a connection as an error of redis-rs.
fn of_connection(kind: ErrorKind) -> RedisError {
    match kind {
        ErrorKind::Connect(error) | ErrorKind::Unsent(error) | ErrorKind::Disconnected(error) => {
            io::Error::new(error.kind(), error).into()
        }
        kind => io::Error::new(io::ErrorKind::InvalidData, kind.to_string()).into(),
    }
}

/// Returns the reason why a block was not executed as an error of redis-rs, which has the server's code.
fn reply_of(kind: &ErrorKind) -> RedisError {
    let code = match kind {
        ErrorKind::Server(_) => "",
        _ => "NOTATOMIC ",
    };
    let line = format!("-{code}{kind}\r\n");
    let parsed = redis::parse_redis_value(line.as_bytes()).and_then(Value::extract_error);
    parsed.err().unwrap_or_else(|| (redis::ErrorKind::Client, "redisdb", kind.to_string()).into())
}

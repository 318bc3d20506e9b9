//! One server.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use redis::Arg;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::Value;

use crate::command;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Retry;
use crate::command::Spec;
use crate::command::Write;
use crate::config::ConfigError;
use crate::config::NodeConfig;
use crate::connection::Connection;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::execute::Execute;
use crate::owned::Owned;
use crate::owned::OwnedConnection;

/// One Redis server. A cheap handle: clones share its connection.
///
/// All ordinary commands share one connection, on which they are pipelined by themselves. It is made when it is first
/// needed and made anew when it is lost; meanwhile calls fail at once, not each by its own timeout.
///
/// # Trade-offs
/// One connection is faster than several, but a huge reply delays those behind it. What blocks (`BLPOP`) waits on a
/// connection of its own; what changes a connection (`MULTI`, `SELECT`) is refused here and runs on
/// [`owned`](Self::owned) ones.
///
/// # Example
/// ```no_run
/// use redisdb_node::{Node, StringCommands};
///
/// # async fn f() -> Result<(), redisdb_node::Error> {
/// let node = Node::connect("redis://127.0.0.1").await?;
/// node.set("user:1", "Ann").await?;
/// let name = node.get::<String>("user:1").await?;
/// assert_eq!(name.as_deref(), Some("Ann"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    config: Arc<NodeConfig>,
    connection: Connection,
    owned: Owned,
}

impl Node {
    /// Returns a node without connecting: the first command does.
    pub fn new(config: NodeConfig) -> Self {
        let config = Arc::new(config);
        let inner = Inner {
            name: config.name().into(),
            connection: Connection::new(Arc::clone(&config)),
            owned: Owned::new(Arc::clone(&config)),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns a node that is connected.
    ///
    /// # Errors
    /// What is wrong with the URL, or why there is no connection, within the connect timeout.
    pub async fn connect(config: impl TryInto<NodeConfig, Error: Into<ConfigError>>) -> Result<Self, Error> {
        let config = config
            .try_into()
            .map_err(|error| Error::new("?".into(), "CONNECT", ErrorKind::Config(error.into())))?;
        let node = Self::new(config);
        node.ready().await?;
        Ok(node)
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// Why there is none, within the connect timeout.
    pub async fn ready(&self) -> Result<(), Error> {
        self.inner.connection.connect().await.map_err(|kind| self.error("CONNECT", kind))
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What the node was made from.
    pub fn config(&self) -> &NodeConfig {
        &self.inner.config
    }

    /// Returns whether there is a connection at this moment; `false` before the first command.
    pub fn is_connected(&self) -> bool {
        self.inner.connection.is_connected()
    }

    /// How often a new connection has led to another server process than the one before: it was restarted, or
    /// replaced. What was in its memory may be gone.
    pub fn incarnation(&self) -> u64 {
        self.inner.connection.incarnation()
    }

    /// Sends a command as it is, and returns its reply.
    ///
    /// # Errors
    /// [`Error`]; an error reply is one too.
    ///
    /// # Cancel safety
    /// When the future is dropped the command may have been executed.
    pub async fn send(&self, cmd: &Cmd) -> Result<Value, Error> {
        match self.inner.connection.send(cmd).await {
            Ok(reply @ Value::ServerError(_)) => self.accept(name_of(cmd), reply),
            Ok(reply) => Ok(reply),
            Err(kind) => Err(self.error(name_of(cmd), kind)),
        }
    }

    /// Turns an error reply into an [`Error`] of this node; any other reply stays as it is.
    ///
    /// # Errors
    /// If it is an error reply.
    pub fn accept(&self, command: impl Into<Cow<'static, str>>, reply: Value) -> Result<Value, Error> {
        match reply {
            Value::ServerError(reply) => {
                let reply = ServerError::new(reply.code(), reply.details().unwrap_or_default());
                Err(self.error(command, ErrorKind::Server(reply)))
            }
            reply => Ok(reply),
        }
    }

    /// Sends a pipeline in one write and returns `count` of its replies from `offset` on, as
    /// [`ConnectionLike`](redis::aio::ConnectionLike) does: error replies are values.
    ///
    /// # Errors
    /// Of the connection, for the whole pipeline.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    pub async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        let reply = self.inner.connection.send_pipeline(pipeline, offset, count).await;
        reply.map_err(|kind| self.error("pipeline", kind))
    }

    /// Sends a command by its row: one that blocks waits on a connection of its own, one that would change the shared
    /// connection is refused, and a read whose connection broke is sent once more.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send). When the future of a blocking command is dropped the server forgets it; what it had
    /// just taken for it is lost.
    pub async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        if let Some(reason) = spec.needs_owned(cmd) {
            return match spec.blocks_for_keys() {
                // Boxed, for it is rare: the future of every other command would have room for it.
                true => Box::pin(self.run_owned(spec, cmd)).await,
                false => Err(self.error(spec.name, ErrorKind::Unsupported(reason.into()))),
            };
        }
        match self.send(cmd).await {
            // A read changes nothing, so the connection's end need not be its caller's concern.
            Err(error) if spec.retry == Retry::Read && matches!(error.kind(), ErrorKind::Disconnected(_)) => {
                self.send(cmd).await
            }
            reply => reply,
        }
    }

    async fn run_owned(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        self.owned().await?.run(spec, cmd).await
    }

    /// Runs any command of Redis, or one that was [registered](crate::command::Registration), and converts its reply.
    ///
    /// ```no_run
    /// # async fn f(node: redisdb_node::Node) -> Result<(), redisdb_node::Error> {
    /// let kind: String = node.query(redis::cmd("OBJECT").arg("ENCODING").arg("user:1")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and that the command is not known: [`send`](Self::send) sends it all the same.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        match command::lookup(cmd) {
            Some(spec) => self.answer(spec, cmd.clone()).await,
            None => {
                let reason = "it is not in the command table; register it, or send it as it is, by `send`";
                Err(self.error(name_of(cmd), ErrorKind::Unsupported(reason.into())))
            }
        }
    }

    /// Takes a connection that nobody else uses, until it is dropped. At most 64 at a time.
    ///
    /// # Errors
    /// Why there is none: no connection could be made, or all are in use for longer than the response timeout.
    pub async fn owned(&self) -> Result<OwnedConnection, Error> {
        // The shared connection tells a server that is down, or is none, at once and for all callers.
        self.ready().await?;
        self.inner.owned.take().await.map_err(|kind| self.error("CONNECT", kind))
    }

    async fn answer<T: FromRedisValue>(&self, spec: &'static Spec, cmd: Cmd) -> Result<T, Error> {
        let reply = self.run(spec, &cmd).await?;
        T::from_redis_value(reply).map_err(|error| self.error(spec.name, ErrorKind::Reply(error.into())))
    }

    fn error(&self, command: impl Into<Cow<'static, str>>, kind: ErrorKind) -> Error {
        Error::new(Arc::clone(&self.inner.name), command, kind)
    }
}

/// The name of a command for an error: never one of its arguments.
fn name_of(cmd: &Cmd) -> Cow<'static, str> {
    match command::lookup(cmd) {
        Some(spec) => spec.name.into(),
        None => match cmd.args_iter().next() {
            Some(Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned().into(),
            _ => "".into(),
        },
    }
}

impl Execute for Node {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn by_key<T: FromRedisValue>(error: Error, keys: &[Vec<u8>]) -> Option<Vec<Result<T, Error>>> {
        Some(keys.iter().map(|_| Err(error.clone())).collect())
    }
}

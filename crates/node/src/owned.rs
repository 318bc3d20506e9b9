//! Connections of one's own: for what blocks a connection, or changes its state.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use deadpool_redis::Manager;
use deadpool_redis::Pool;
use deadpool_redis::PoolError;
use deadpool_redis::Runtime;
use deadpool_redis::TimeoutType;
use redis::AsyncConnectionConfig;
use redis::Cmd;
use redis::ConnectionAddr;
use redis::FromRedisValue;
use redis::IntoConnectionInfo;
use redis::Pipeline;
use redis::RedisError;
use redis::RedisFuture;
use redis::RedisResult;
use redis::Value;
use redis::aio::ConnectionLike;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;

use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;
use crate::config::Address;
use crate::config::NodeConfig;
use crate::dial;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::io_error;
use crate::execute::Execute;
use crate::sentinel;
use crate::waiting::Waiting;

/// How many owned connections a node opens at most. Each caller that blocks holds one.
const MOST: usize = 64;

/// A connection that nobody else uses, for `WATCH` and `MULTI`, and for commands that block.
///
/// It runs the typed commands, [`WAIT`](crate::BlockingCommands::wait) among them, and, as a redis-rs connection,
/// everything else. It goes back to its pool when it is dropped; one that was left inside a `MULTI` or in the middle
/// of a reply is closed instead.
///
/// A typed command is given the node's response timeout, and a blocking one its own time on top of that. What is sent
/// through redis-rs waits without end.
///
/// # Cancel safety
/// Dropping the future of a command ends the connection, for nobody could tell whose the next reply would be: the
/// server forgets a blocked command at once, and later calls fail.
///
/// ```no_run
/// use redisdb_node::{BlockingCommands, Node, StringCommands};
/// use std::time::Duration;
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let connection = node.owned().await?;
/// connection.set("k", "v").await?;
/// let replicas = connection.wait(2, Duration::from_millis(500)).await?;
/// println!("{replicas} replicas have it");
/// # Ok(()) }
/// ```
pub struct OwnedConnection {
    node: Arc<str>,
    response_timeout: Duration,
    /// Empty once a command was left in mid-reply.
    connection: Mutex<Option<deadpool_redis::Connection>>,
}

impl OwnedConnection {
    /// Sends a command by its row, and waits as long as it says.
    ///
    /// # Errors
    /// [`Error`]; an error reply is one too.
    pub async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        let wait = Waiting::of(spec, cmd).with_reply(self.response_timeout);
        let reply = match self.handle() {
            Ok(mut connection) => {
                self.within(wait, async move { connection.send_packed_command(cmd).await }).await
            }
            Err(ended) => Err(ErrorKind::Connect(Arc::new(ended))),
        };
        match reply {
            Ok(Value::ServerError(reply)) => {
                let reply = ServerError::new(reply.code(), reply.details().unwrap_or_default());
                Err(self.error(spec.name, ErrorKind::Server(reply)))
            }
            Ok(reply) => Ok(reply),
            Err(kind) => Err(self.error(spec.name, kind)),
        }
    }

    /// Sends a pipeline in one write and returns `count` of its replies from `offset` on; error replies are values.
    pub(crate) async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, ErrorKind> {
        let mut connection = self.handle().map_err(|ended| ErrorKind::Connect(Arc::new(ended)))?;
        let sent = async move { connection.send_packed_commands(pipeline, offset, count).await };
        self.within(Some(self.response_timeout), sent).await
    }

    async fn within<T>(
        &self,
        wait: Option<Duration>,
        sent: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, ErrorKind> {
        let sent = self.to_the_end(sent);
        match wait {
            None => sent.await.map_err(lost),
            Some(wait) => match tokio::time::timeout(wait, sent).await {
                Ok(reply) => reply.map_err(lost),
                Err(_) => Err(ErrorKind::Timeout(wait)),
            },
        }
    }

    /// Closes the connection if what was sent is not answered to the end.
    async fn to_the_end<T>(&self, sent: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let mut in_flight = InFlight(Some(&self.connection));
        let reply = sent.await;
        if reply.is_ok() {
            in_flight.0 = None;
        }
        reply
    }

    fn handle(&self) -> io::Result<MultiplexedConnection> {
        let held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = held.as_ref().map(|connection| MultiplexedConnection::clone(connection));
        handle.ok_or_else(|| {
            let reason = "an earlier command on this connection was dropped or failed, which ended it";
            io::Error::new(io::ErrorKind::NotConnected, reason)
        })
    }

    pub(crate) fn error(&self, command: &'static str, kind: ErrorKind) -> Error {
        Error::new(Arc::clone(&self.node), command, kind)
    }

    async fn answer<T: FromRedisValue>(&self, spec: &'static Spec, cmd: Cmd) -> Result<T, Error> {
        let reply = self.run(spec, &cmd).await?;
        T::from_redis_value(reply).map_err(|error| self.error(spec.name, ErrorKind::Reply(error.into())))
    }
}

/// A command whose reply is still to come. Left behind, it takes the connection out of its pool and closes it.
struct InFlight<'a>(Option<&'a Mutex<Option<deadpool_redis::Connection>>>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            let left = connection.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Out of the pool: its last handle closes the socket.
            drop(left.map(deadpool_redis::Connection::take));
        }
    }
}

fn lost(error: RedisError) -> ErrorKind {
    let kind = io_error(&error).map_or(io::ErrorKind::InvalidData, io::Error::kind);
    ErrorKind::Disconnected(Arc::new(io::Error::new(kind, error)))
}

impl fmt::Debug for OwnedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedConnection").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Execute for OwnedConnection {
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
}

impl ConnectionLike for OwnedConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut connection = self.handle()?;
            self.to_the_end(async move { connection.send_packed_command(cmd).await }).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut connection = self.handle()?;
            let sent = async move { connection.send_packed_commands(pipeline, offset, count).await };
            self.to_the_end(sent).await
        })
    }

    fn get_db(&self) -> i64 {
        let held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map_or(0, ConnectionLike::get_db)
    }
}
/// The owned connections of a node.
pub(crate) struct Owned {
    config: Arc<NodeConfig>,
    /// Those to one address; a master that is watched over by sentinels has another one after a failover.
    pool: Mutex<Option<(Address, Pool)>>,
}

impl Owned {
    pub(crate) fn new(config: Arc<NodeConfig>) -> Self {
        Self { config, pool: Mutex::new(None) }
    }

    async fn address(&self) -> Result<Address, ErrorKind> {
        match self.config.address() {
            Address::Sentinel { .. } => {
                let timeout = self.config.connect_timeout();
                let (settings, options) = (dial::settings(&self.config), AsyncConnectionConfig::new());
                let asked = sentinel::master(&self.config, &settings, options);
                let answer = tokio::time::timeout(timeout, asked).await;
                Ok(answer.unwrap_or(Err(ErrorKind::ConnectTimeout(timeout)))?.0)
            }
            address => Ok(address.clone()),
        }
    }

    /// The connections to an address. Those to another one, which is a master no more, are closed when they are free.
    fn pool(&self, address: Address) -> Result<Pool, ErrorKind> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pool {
            Some((there, pool)) if *there == address => Ok(pool.clone()),
            _ => {
                let new = Self::open(&self.config, address.clone())?;
                *pool = Some((address, new.clone()));
                Ok(new)
            }
        }
    }

    fn open(config: &NodeConfig, address: Address) -> Result<Pool, ErrorKind> {
        let address = match address {
            Address::Sentinel { .. } => return Err(ErrorKind::Unsupported("ask the sentinels first".into())),
            Address::Tcp { host, port } => ConnectionAddr::Tcp(host, port),
            Address::Tls { host, port } => {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }
            Address::Unix(path) => ConnectionAddr::Unix(path),
        };
        let params = address
            .into_connection_info()
            .map_err(dial::refused)?
            .set_redis_settings(dial::settings(config))
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let options = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(config.connect_timeout()));
        let manager = Manager::new_with_config(params, options).map_err(dial::refused)?;
        Pool::builder(manager)
            .max_size(MOST)
            .runtime(Runtime::Tokio1)
            // The check of a connection that is taken out again has no timeout of its own.
            .recycle_timeout(Some(config.response_timeout()))
            .create_timeout(Some(config.connect_timeout()))
            .wait_timeout(Some(config.response_timeout()))
            .build()
            .map_err(|error| ErrorKind::Unsupported(error.to_string().into()))
    }

    pub(crate) async fn take(&self) -> Result<OwnedConnection, ErrorKind> {
        match self.pool(self.address().await?)?.get().await {
            Ok(connection) => Ok(OwnedConnection {
                node: self.config.name().into(),
                response_timeout: self.config.response_timeout(),
                connection: Mutex::new(Some(connection)),
            }),
            // What a server says to a connection is not its answer to a command.
            Err(PoolError::Backend(error)) => Err(match dial::refused(error) {
                cause @ ErrorKind::Server(_) => ErrorKind::Down { cause: Arc::new(cause) },
                kind => kind,
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(ErrorKind::Unsupported(
                format!("all {MOST} owned connections are in use; drop one, or wait longer").into(),
            )),
            Err(PoolError::Timeout(_)) => Err(ErrorKind::ConnectTimeout(self.config.connect_timeout())),
            Err(error) => Err(ErrorKind::Connect(Arc::new(io::Error::other(error.to_string())))),
        }
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the pool: it would show the password.
        f.debug_struct("Owned").finish_non_exhaustive()
    }
}

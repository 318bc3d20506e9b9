//! One server.

mod run;
mod sessions;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use redis::Value;
use tokio::time::Instant;

use crate::command::Registration;
use crate::command::command_info;
use crate::command::rows;
use crate::config::ConfigError;
use crate::config::NodeConfig;
use crate::connection::Connection;
use crate::connection::DedicatedConnection;
use crate::connection::DedicatedPool;
use crate::connection::Fence;
use crate::connection::Roll;
use crate::connection::SCRIPT;
use crate::connection::is_there;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::metrics::NodeMetrics;
use crate::observe::Observer;

/// One Redis server. A cheap handle: clones share its connection.
///
/// All ordinary commands share one connection, on which they are pipelined by themselves. It is made when it is first
/// needed, and made anew in the background when it is lost. A server that cannot be reached, or leaves three calls in a
/// row without an answer (two, on a connection that was made anew after one), or half of 20 or more within ten seconds, is
/// left alone for a while: calls fail at once, not each by its own timeout.
///
/// A command that was turned away for a moment (`LOADING`, `BUSY`), a read without an answer, and a write that leaves the
/// same state when it is done twice are sent again, within the deadline and a budget of 20 % of the calls and 10 in a
/// second; and what a replica turned away (`READONLY`), once, where the address is a name or that of sentinels. Nothing else
/// is.
///
/// # Trade-offs
/// One connection is faster than several, but a huge reply delays those behind it. What blocks (`BLPOP`) waits on a
/// connection of its own; what changes a connection (`MULTI`, `SELECT`) is refused here and runs on
/// [`dedicated`](Self::dedicated) ones.
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
    deadline: Option<Duration>,
    /// Which process of the server the calls by this handle may go to; any, if that is not given.
    fence: Option<Fence>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    config: Arc<NodeConfig>,
    connection: Connection,
    dedicated: DedicatedPool,
    /// Whether the server turned the last write away because it takes none at present.
    refuses_writes: AtomicBool,
    metrics: NodeMetrics,
}

impl Node {
    /// Returns a node without connecting: the first command does.
    pub fn new(config: NodeConfig) -> Self {
        Self::observed(config, Observer::default())
    }

    /// The same, telling an observer how the node is whenever that changes.
    pub fn observed(config: NodeConfig, observer: Observer) -> Self {
        let config = Arc::new(config);
        let inner = Inner {
            name: config.name().into(),
            connection: Connection::new(Arc::clone(&config), observer),
            dedicated: DedicatedPool::new(Arc::clone(&config)),
            refuses_writes: AtomicBool::new(false),
            metrics: NodeMetrics::new(config.name().into()),
            config,
        };
        Self { inner: Arc::new(inner), deadline: None, fence: None }
    }

    /// The same node, whose calls by this handle take no longer than this in all: waiting for a connection, the reply, and
    /// attempts that are repeated. Default: the connect timeout and the response timeout, one after the other.
    ///
    /// What [waits](crate::BlockingCommands) on a connection of its own keeps its own time.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Returns the same node behind a fence: calls by this handle are sent only to a server process that the fence admits
    /// at that moment. Others fail with [`Fenced`](ErrorKind::Fenced), also on a connection that was just made anew.
    ///
    /// What needs a connection of its own passes the fence when it takes that connection.
    #[doc(hidden)]
    #[must_use]
    pub fn fenced(&self, fence: &Fence) -> Self {
        Self { fence: Some(fence.clone()), ..self.clone() }
    }

    /// Returns a node that is connected.
    ///
    /// # Errors
    /// What is wrong with the URL, or why there is no connection, within the connect timeout.
    pub async fn connect(config: impl TryInto<NodeConfig, Error: Into<ConfigError>>) -> Result<Self, Error> {
        let config = config
            .try_into()
            .map_err(Into::into)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|error| Error::new("?".into(), "CONNECT", ErrorKind::Config(error)))?;
        let node = Self::new(config);
        node.ready().await?;
        Ok(node)
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// Why there is none, within the connect timeout.
    pub async fn ready(&self) -> Result<(), Error> {
        self.inner
            .connection
            .connect(self.by(Instant::now()), self.fence.as_ref())
            .await
            .map_err(|kind| self.failed("CONNECT", kind))
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

    /// Returns whether the server is left alone at this moment, because it could not be reached or did not answer: calls
    /// fail at once until an attempt in the background succeeds.
    pub fn is_down(&self) -> bool {
        self.inner.connection.is_down()
    }

    /// Returns whether the server turned the last write away because it takes none at present: it has no memory left,
    /// cannot save, or is a replica. Reads go on.
    pub fn refuses_writes(&self) -> bool {
        self.inner.refuses_writes.load(Ordering::Relaxed)
    }

    /// How many calls are under way on the shared connection.
    pub fn in_flight(&self) -> u64 {
        self.inner.connection.in_flight()
    }

    /// What time it is by the server's clock: as it said when the connection was made, and about every minute since,
    /// counted on by a clock of this machine that does not jump. `None` before the first connection, and if the server
    /// does not say, or not to this user (`INFO`).
    pub fn server_clock(&self) -> Option<SystemTime> {
        self.inner.connection.clock()
    }

    /// How often a new connection has led to another server process than the one before, or may have: it was restarted,
    /// or replaced. What was in its memory may be gone.
    ///
    /// That it is the same process is proved by the `run_id` of `INFO`; where this user may not call that, since Redis 7.0
    /// by a script that was loaded into it (`HELLO`, `SCRIPT LOAD`, `SCRIPT EXISTS`); else by nothing, and each new
    /// connection counts.
    #[doc(hidden)]
    pub fn incarnation(&self) -> u64 {
        self.inner.connection.incarnation()
    }

    /// A name of the server process of this [incarnation](Self::incarnation) that no other process has. `None` if nothing
    /// proves which process it is, and of an incarnation that is not the present one.
    #[doc(hidden)]
    pub fn process(&self, incarnation: u64) -> Option<String> {
        self.inner.connection.process(incarnation)
    }

    /// Returns whether the server process of this incarnation is the one of this [name](Self::process), which another
    /// client may have given it; `None` if nothing proves either.
    ///
    /// # Errors
    /// That it cannot be asked.
    #[doc(hidden)]
    pub async fn is_process(&self, incarnation: u64, name: &str) -> Result<Option<bool>, Error> {
        let own = self.process(incarnation);
        if own.as_deref() == Some(name) {
            return Ok(Some(true));
        }
        let Some(digest) = name.strip_prefix(SCRIPT) else {
            return Ok(own.filter(|own| !own.starts_with(SCRIPT)).map(|_| false));
        };
        if !self.inner.connection.may_be_asked() {
            return Ok(None);
        }
        let only_it = self.fenced(&Fence::open_to(incarnation));
        match only_it.send(redis::cmd("SCRIPT").arg("EXISTS").arg(digest)).await {
            Ok(reply) => Ok(is_there(&reply).then_some(true)),
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has no two of these nodes be connected to one database of one server process from now on: the second that comes
    /// to is not connected, which is an error of its [configuration](crate::ConfigError::SameServer). A server that does
    /// not tell its `run_id` to this user (`INFO`) is taken for one of its own.
    ///
    /// Of a node that was among others before, those others count no more.
    pub fn keep_apart<'a>(nodes: impl IntoIterator<Item = &'a Self>) {
        let roll = Arc::new(Roll::default());
        for node in nodes {
            node.inner.connection.move_to(&roll);
        }
    }

    /// Asks the server for its `COMMAND INFO` about these commands, once, and returns what is to be
    /// [registered](Registration::register) of each, in their order. A subcommand is named after one space (since Redis
    /// 7.0): `"FT.CONFIG GET"`.
    ///
    /// What the server says tells a ring the owner of the keys. It does not tell a copy whether a write does the same on
    /// every server, so a copy refuses a write until the caller vouches that it is
    /// [deterministic](Registration::deterministic).
    ///
    /// ```no_run
    /// # async fn f(node: redisdb_node::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// for command in node.learn(&["JSON.GET", "JSON.SET", "JSON.DEL"]).await? {
    ///     command.deterministic().register()?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the server does not have one of them, or does not say where its keys stand: that one
    /// has to be registered by hand. Otherwise as [`send`](Self::send).
    pub async fn learn(&self, names: &[&str]) -> Result<Vec<Registration>, Error> {
        let row = &rows::COMMAND_INFO;
        let mut cmd = row.cmd();
        for name in names {
            cmd.arg(name.replacen(' ', "|", 1));
        }
        let entries = match self.run(row.spec(), &cmd).await? {
            Value::Array(entries) if entries.len() == names.len() => entries,
            _ => Vec::new(),
        };
        let unknown = std::iter::repeat(Value::Nil);
        let learned = names.iter().zip(entries.into_iter().chain(unknown)).map(|(name, entry)| {
            command_info::registration(name, entry).map_err(|reason| {
                let reason = format!("`{name}` cannot be learned: {reason}");
                self.failed(row.spec().name, ErrorKind::Unsupported(reason.into()))
            })
        });
        learned.collect()
    }

    /// Takes a connection that nobody else uses, until it is dropped. At most so many at a time as
    /// [`max_dedicated`](NodeConfig::with_max_dedicated) says.
    ///
    /// # Errors
    /// Why there is none: no connection could be made, or all are in use for longer than the response timeout, by others who
    /// took one, by blocking calls and by transactions ([`ErrorKind::Overloaded`]).
    pub async fn dedicated(&self) -> Result<DedicatedConnection, Error> {
        // The shared connection tells a server that is down, or is none, at once and for all callers.
        self.ready().await?;
        self.inner
            .dedicated
            .take(self.incarnation(), self.inner.connection.core())
            .await
            .map_err(|kind| self.failed("CONNECT", kind))
    }

    pub(crate) fn failed(&self, command: impl Into<Cow<'static, str>>, kind: ErrorKind) -> Error {
        Error::new(Arc::clone(&self.inner.name), command, kind)
    }
}

//! The handle of one server: how it is made, and how the server is.

mod run;
mod scripts;
mod sessions;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use redis::ProtocolVersion;
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
use crate::connection::identify;
use crate::connection::is_there;
use crate::connection::login::Login;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::metrics::NodeMetrics;
use crate::observe::Observer;
use crate::wire::Wire;

/// A Redis server. Made by [`connect`](Self::connect), or by [`new`](Self::new) without connecting. A node is
/// a cheap handle: clones share its connection.
///
/// All ordinary commands share one connection and are pipelined on it. The first command makes the
/// connection; a background task makes it anew when it is lost.
///
/// # When the server fails
/// A circuit breaker protects the callers. The breaker opens when the server cannot be reached, or when three
/// calls in a row have no answer (two, on a connection that was made anew after one). Half of 20 or more
/// calls within ten seconds without an answer open it too. While the breaker is open, calls fail at once
/// instead of waiting for their timeouts, and the background task tries the server again.
///
/// # What is sent again
/// * A command that the server turned away for a moment (`LOADING`, `BUSY`).
/// * A read without an answer, and a write that leaves the same state when it runs twice.
/// * Once, a command that a replica turned away (`READONLY`), if the address is a name or that of sentinels.
///
/// Retries stay within the deadline and a budget of 20 % of the calls and 10 in a second. Nothing else is
/// sent twice.
///
/// # Trade-offs
/// A single connection is faster than several, but a huge reply delays the replies behind it. A blocking
/// command (`BLPOP`) takes a dedicated connection by itself. A command that changes its connection (`MULTI`,
/// `SELECT`) is refused here; run it on a [`dedicated`](Self::dedicated) connection.
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
    deadline: Deadline,
    /// The server process that the calls by this handle may go to; `None` for any.
    fence: Option<Fence>,
}

/// Thirty years, which stand for a time that no clock can count.
pub const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// Returns the moment this long after another one, at most [`FAR`] after it.
pub fn after(start: Instant, time: Duration) -> Instant {
    start + time.min(FAR)
}

/// The end of the calls by a handle.
#[derive(Debug, Clone, Copy, Default)]
enum Deadline {
    /// A call ends by the timeouts of the node.
    #[default]
    None,
    /// So long after each began.
    Of(Duration),
    /// At this moment.
    At(Instant),
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    config: Arc<NodeConfig>,
    connection: Connection,
    dedicated: DedicatedPool,
    /// True if the server turned the last write away because it takes none at present.
    refuses_writes: AtomicBool,
    metrics: NodeMetrics,
}

/// # Making a node
impl Node {
    /// Returns a node without connecting: the first command does.
    pub fn new(config: NodeConfig) -> Self {
        Self::observed(config, Observer::default())
    }

    /// Returns a node that tells an observer of each change of its health, without connecting.
    pub fn observed(config: NodeConfig, observer: Observer) -> Self {
        Self::speaking(ProtocolVersion::RESP2, Arc::new(config), observer)
    }

    fn speaking(protocol: ProtocolVersion, config: Arc<NodeConfig>, observer: Observer) -> Self {
        let connection = Connection::new(Arc::clone(&config), observer, protocol);
        let inner = Inner {
            name: config.name().into(),
            dedicated: DedicatedPool::new(Arc::clone(&config), Arc::clone(connection.core().login())),
            connection,
            refuses_writes: AtomicBool::new(false),
            metrics: NodeMetrics::new(config.name().into()),
            config,
        };
        Self { inner: Arc::new(inner), deadline: Deadline::default(), fence: None }
    }

    /// Returns a node for the same server, of the same configuration, observer and deadline, whose shared connection is
    /// its own and speaks RESP3. It is made by its first command, as by [`new`](Self::new), and so are its health and
    /// its limits its own. Keep it: each call returns another one.
    ///
    /// It is meant for [`send_raw`](Self::send_raw), so that a reply can be forwarded to a client that speaks RESP3. The
    /// typed commands read the replies of both protocols. [Dedicated](Self::dedicated) connections speak RESP2 on it too.
    ///
    /// ```no_run
    /// # async fn f(node: redisdb_node::Node) -> Result<(), redisdb_node::Error> {
    /// let reply = node.in_resp3().send_raw(redis::cmd("HGETALL").arg("user:1")).await?;
    /// assert!(reply.as_bytes().starts_with(b"%"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A call fails with [`ErrorKind::Unsupported`] if the server is older than Redis 6.0, which does not know RESP3.
    #[must_use]
    pub fn in_resp3(&self) -> Self {
        let observer = self.inner.connection.observer().clone();
        let node = Self::speaking(ProtocolVersion::RESP3, Arc::clone(&self.inner.config), observer);
        Self { deadline: self.deadline, ..node }
    }

    /// Returns the same node with a deadline for each call by this handle. The deadline covers waiting for a
    /// connection, the reply, and retries; of a pipeline it covers each part that is sent at once. Default: the
    /// connect timeout and the response timeout, one after the other.
    ///
    /// A [blocking command](crate::BlockingCommands) on a dedicated connection keeps its own time.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Deadline::Of(deadline), ..self.clone() }
    }

    /// Returns the same node, whose calls by this handle all end at one moment.
    #[doc(hidden)]
    #[must_use]
    pub fn until(&self, by: Instant) -> Self {
        Self { deadline: Deadline::At(by), ..self.clone() }
    }

    /// Returns the same node for a call that sends several times, and ends by its deadline all the same.
    fn for_one_call(&self) -> Cow<'_, Self> {
        match self.deadline {
            Deadline::Of(deadline) => Cow::Owned(self.until(after(Instant::now(), deadline))),
            Deadline::None | Deadline::At(_) => Cow::Borrowed(self),
        }
    }

    /// Returns the same node behind a fence: calls by this handle are sent only to a server process that the
    /// fence admits at that moment. Others fail with [`Fenced`](ErrorKind::Fenced), also on a connection that
    /// was just made anew.
    ///
    /// A call that needs a connection of its own passes the fence when it takes that connection.
    #[doc(hidden)]
    #[must_use]
    pub fn fenced(&self, fence: &Fence) -> Self {
        Self { fence: Some(fence.clone()), ..self.clone() }
    }

    /// Connects to a server, and returns the node.
    ///
    /// # Errors
    /// The URL is wrong, or there is no connection within the connect timeout.
    pub async fn connect(config: impl TryInto<NodeConfig, Error: Into<ConfigError>>) -> Result<Self, Error> {
        let config = config
            .try_into()
            .map_err(Into::into)
            .and_then(|config| config.check().map(|()| config))
            .map_err(|error| Error::without_node("CONNECT", ErrorKind::Config(error)))?;
        let node = Self::new(config);
        node.ready().await?;
        Ok(node)
    }

    /// Connects if there is no connection yet.
    ///
    /// # Errors
    /// Why there is none, within the connect timeout.
    pub async fn ready(&self) -> Result<(), Error> {
        self.connected_to().await.map(drop)
    }

    /// Connects if there is no connection yet, and returns the [incarnation](Self::incarnation) that is connected to.
    async fn connected_to(&self) -> Result<u64, Error> {
        let connected = self.inner.connection.connect(self.by(Instant::now()), self.fence.as_ref()).await;
        connected.map_err(|kind| self.failed("CONNECT", kind))
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The configuration that the node was made from.
    pub fn config(&self) -> &NodeConfig {
        &self.inner.config
    }
}

/// # How the server is
impl Node {
    /// Returns whether the node is connected at this moment. `false` before the first command.
    pub fn is_connected(&self) -> bool {
        self.inner.connection.is_connected()
    }

    /// Returns whether the circuit breaker is open, because the server could not be reached or did not
    /// answer. Calls fail at once until an attempt in the background succeeds.
    pub fn is_down(&self) -> bool {
        self.inner.connection.is_down()
    }

    /// Has a server that comes and goes tried a second after it went, though calls would leave it alone for longer.
    #[doc(hidden)]
    pub fn shorten_rest(&self) {
        self.inner.connection.shorten_rest();
    }

    /// Returns whether the server refused the last write because it takes none at present: the server has no
    /// memory left, cannot save, or is a replica. Reads are not affected.
    pub fn refuses_writes(&self) -> bool {
        self.inner.refuses_writes.load(Ordering::Relaxed)
    }

    /// The number of calls in flight on the shared connection.
    pub fn in_flight(&self) -> u64 {
        self.inner.connection.in_flight()
    }

    /// The time by the server's clock. The node asks for it when it connects and about every minute since,
    /// and counts on by this machine's monotonic clock. `None` before the first connection, and if `INFO`
    /// does not tell this user the time.
    pub fn server_clock(&self) -> Option<SystemTime> {
        self.inner.connection.clock()
    }

    /// A number that grows with each connection that leads, or may lead, to another server process than the
    /// one before. The server was then restarted or replaced, and its data may be gone.
    ///
    /// The `run_id` of `INFO` proves that the process is the same. Where this user may not call `INFO`, a
    /// script that was loaded into the process proves it since Redis 7.0 (`HELLO`, `SCRIPT LOAD`, `SCRIPT
    /// EXISTS`). Otherwise nothing proves it, and each new connection counts.
    #[doc(hidden)]
    pub fn incarnation(&self) -> u64 {
        self.inner.connection.incarnation()
    }

    /// A unique name of the server process of this [incarnation](Self::incarnation). `None` if nothing proves
    /// which process it is, and for an incarnation that is not the present one.
    #[doc(hidden)]
    pub fn process(&self, incarnation: u64) -> Option<String> {
        self.inner.connection.process(incarnation)
    }

    /// Connects if there is no connection yet, and returns the same node for calls to the process that it is connected to, and
    /// to no other; also the [name](Self::process) of that process.
    ///
    /// # Errors
    /// As [`ready`](Self::ready).
    pub(crate) async fn pinned(&self) -> Result<(Self, Option<String>), Error> {
        let incarnation = self.connected_to().await?;
        Ok((self.fenced(&Fence::open_to(incarnation)), self.process(incarnation)))
    }

    /// The credentials of its connections.
    pub(crate) fn login(&self) -> &Login {
        self.inner.connection.core().login()
    }

    /// The [name](Self::process) of the process that a connection beside the shared one leads to.
    pub(crate) async fn process_behind(&self, wire: &Wire) -> Result<Option<String>, ErrorKind> {
        identify::process_behind(self.inner.connection.core(), wire).await
    }

    /// Returns whether the server process of this incarnation has this [name](Self::process), which another
    /// client may have given it. `None` if nothing proves either.
    ///
    /// # Errors
    /// The process cannot be asked.
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
}

/// # Several nodes, commands of modules, dedicated connections
impl Node {
    /// Keeps two of these nodes from being connected to the same database of one server process, from now on.
    /// The second node that gets there is not connected and has a [configuration
    /// error](crate::ConfigError::SameServer). A server whose `run_id` this user may not see (`INFO`) counts
    /// as a server of its own.
    ///
    /// A node that was kept apart from others before is kept apart only from these.
    pub fn keep_apart<'a>(nodes: impl IntoIterator<Item = &'a Self>) {
        let roll = Arc::new(Roll::default());
        for node in nodes {
            node.inner.connection.move_to(&roll);
        }
    }

    /// Asks the server's `COMMAND INFO` about these commands, and returns a row to
    /// [register](Registration::register) for each, in their order. A subcommand follows its command after
    /// one space, since Redis 7.0: `"FT.CONFIG GET"`.
    ///
    /// The reply says where the keys stand, which is all that a ring needs. The reply does not say whether a
    /// write does the same on every server, so a copy refuses the write until the caller vouches that it is
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
    /// [`ErrorKind::Unsupported`] if the server does not have one of the commands, or does not say where its
    /// keys stand: register that command by hand. Otherwise as [`send`](Self::send).
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

    /// Takes a connection that nobody else uses until it is dropped. There are at most
    /// [`max_dedicated`](NodeConfig::with_max_dedicated) of them at a time.
    ///
    /// # Errors
    /// No connection could be made; or all of them were in use for longer than the response timeout
    /// ([`ErrorKind::Overloaded`]). Blocking calls and transactions take such connections too.
    pub async fn dedicated(&self) -> Result<DedicatedConnection, Error> {
        // The shared connection tells a server that is down, or is none, at once and for all callers.
        let incarnation = self.connected_to().await?;
        let taken = self.inner.dedicated.take(incarnation, self).await;
        taken.map_err(|kind| self.failed("CONNECT", kind))
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.fence.is_some()
    }

    /// Waits until the server is left alone.
    pub(crate) async fn goes_down(&self) {
        self.inner.connection.core().goes_down().await;
    }

    /// Returns whether bytes that a server said have a password of this node in them, and so are not to be shown.
    #[doc(hidden)]
    pub fn has_secret(&self, said: &[u8]) -> bool {
        self.inner.config.has_secret(&String::from_utf8_lossy(said))
    }

    pub(crate) fn failed(&self, command: impl Into<Cow<'static, str>>, kind: ErrorKind) -> Error {
        Error::new(Arc::clone(&self.inner.name), command, kind.without_secrets(&self.inner.config))
    }
}

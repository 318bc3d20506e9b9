//! One server.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use futures_util::FutureExt;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::Value;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::command;
use crate::command::Access;
use crate::command::Retry;
use crate::command::Spec;
use crate::command::name_of;
use crate::config::ConfigError;
use crate::config::NodeConfig;
use crate::connection::Connection;
use crate::decode::decode;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::meters::Meters;
use crate::nothing;
use crate::observe::NodeEvent;
use crate::observe::Observer;
use crate::owned::Owned;
use crate::owned::OwnedConnection;
use crate::retry;

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
    deadline: Option<Duration>,
    /// Which process of the server the calls by this handle may go to; any, if that is not given.
    admission: Option<Admission>,
}

#[derive(Debug)]
struct Inner {
    name: Arc<str>,
    config: Arc<NodeConfig>,
    connection: Connection,
    owned: Owned,
    /// Whether the server turned the last write away because it takes none at present.
    refuses_writes: AtomicBool,
    meters: Meters,
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
            owned: Owned::new(Arc::clone(&config)),
            refuses_writes: AtomicBool::new(false),
            meters: Meters::new(config.name().into()),
            config,
        };
        Self { inner: Arc::new(inner), deadline: None, admission: None }
    }

    /// The same node, whose calls by this handle take no longer than this in all: waiting for a connection, the reply, and
    /// attempts that are repeated. Default: the connect timeout and the response timeout, one after the other.
    ///
    /// What [waits](crate::BlockingCommands) on a connection of its own keeps its own time.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The same node, whose calls by this handle are sent to a process only that is admitted when they are sent. To
    /// another one, also one to which a connection has just been made anew, nothing is sent:
    /// [`NotAdmitted`](ErrorKind::NotAdmitted).
    ///
    /// What needs a connection of its own is held to it when that is taken.
    #[must_use]
    pub fn admitting(&self, admission: &Admission) -> Self {
        Self { admission: Some(admission.clone()), ..self.clone() }
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
            .connect(self.by(Instant::now()), self.admission.as_ref())
            .await
            .map_err(|kind| self.error("CONNECT", kind))
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

    pub(crate) fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// Sends a command as it is, once, and returns its reply. One that the table knows to block or to change its
    /// connection is refused: others share that.
    ///
    /// # Errors
    /// [`Error`]; an error reply is one too.
    ///
    /// # Cancel safety
    /// When the future is dropped the command may have been executed.
    pub async fn send(&self, cmd: &Cmd) -> Result<Value, Error> {
        if nothing::is_wordless(cmd) {
            return Err(self.wordless());
        }
        if let Some(reason) = command::lookup(cmd).and_then(|spec| spec.needs_owned(cmd)) {
            return Err(self.error(name_of(cmd), ErrorKind::Unsupported(reason.into())));
        }
        let by = self.deadline.map(|deadline| Instant::now() + deadline);
        let reply = self.inner.connection.send(cmd, by, self.admission.as_ref()).await;
        self.judged(|| name_of(cmd), reply)
    }

    /// What a reply to a command says: an error reply is one, and may mean that this server is not the one to ask.
    fn judged(
        &self,
        command: impl FnOnce() -> Cow<'static, str>,
        reply: Result<Value, ErrorKind>,
    ) -> Result<Value, Error> {
        match reply {
            Ok(reply @ Value::ServerError(_)) => {
                self.look_for_demotion(std::slice::from_ref(&reply));
                self.accept(command(), reply)
            }
            Ok(reply) => Ok(reply),
            Err(kind) => Err(self.error(command(), kind)),
        }
    }

    /// A server that takes no writes any more may not be the one that the address leads to by now.
    fn look_for_demotion(&self, replies: &[Value]) {
        if replies
            .iter()
            .any(|reply| matches!(reply, Value::ServerError(error) if error.code() == "READONLY"))
        {
            self.inner.connection.renew();
        }
    }

    /// Turns an error reply into an [`Error`] of this node; any other reply stays as it is.
    ///
    /// # Errors
    /// If it is an error reply.
    pub fn accept(&self, command: impl Into<Cow<'static, str>>, reply: Value) -> Result<Value, Error> {
        match reply {
            Value::ServerError(reply) => {
                Err(self.error(command, ErrorKind::Server(ServerError::from(&reply))))
            }
            reply => Ok(reply),
        }
    }

    /// Sends a pipeline as it is, an atomic one not judged: all of its replies must be asked for.
    pub(crate) async fn send_all(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        let start = Instant::now();
        let (by, admission) = (self.by(start), self.admission.as_ref());
        let replies = self.inner.connection.send_pipeline(pipeline, offset, count, by, admission).await;
        let replies = replies.map_err(|kind| self.error("pipeline", kind));
        self.inner.meters.called(None, start, self.in_flight(), &replies);
        self.look_for_demotion(replies.as_deref().unwrap_or_default());
        replies
    }

    pub(crate) fn wordless(&self) -> Error {
        self.error("?", ErrorKind::Unsupported(nothing::WORDLESS.into()))
    }

    fn by(&self, start: Instant) -> Option<Instant> {
        self.deadline.map(|deadline| start + deadline)
    }

    /// Sends a command by its row: one that blocks waits on a connection of its own, one that would change the shared
    /// connection is refused, and what may be sent again is, where that helps.
    ///
    /// # Errors
    /// As [`send`](Self::send). When several attempts fail, the error is that of the last one, but never one that says
    /// that the command was not executed when it may have been.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send). When the future of a blocking command is dropped the server forgets it; what it had
    /// just taken for it is lost.
    pub async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        if let Some(reason) = spec.needs_owned(cmd) {
            return match spec.blocks_for_keys() {
                // Boxed, for it is rare: the future of every other command would have room for it, and its type in it.
                true => self.run_owned(spec, cmd).boxed().await,
                false => Err(self.error(spec.name, ErrorKind::Unsupported(reason.into()))),
            };
        }
        let start = Instant::now();
        let (by, admission) = (self.by(start), self.admission.as_ref());
        let reply = self.inner.connection.send(cmd, by, admission).await;
        let reply = match self.tried(spec, reply) {
            Ok(reply) => Ok(reply),
            // Boxed, for it is rare.
            Err(error) => Box::pin(self.repeat(spec, cmd, error, start)).await,
        };
        self.inner.meters.called(Some(spec.group), start, self.in_flight(), &reply);
        reply
    }

    /// The same, never sent again: for those who would rather ask another server.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_once(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        match spec.needs_owned(cmd) {
            Some(_) => self.run(spec, cmd).await,
            None => {
                let start = Instant::now();
                let (by, admission) = (self.by(start), self.admission.as_ref());
                let reply = self.inner.connection.send(cmd, by, admission).await;
                let reply = self.tried(spec, reply);
                self.inner.meters.called(Some(spec.group), start, self.in_flight(), &reply);
                reply
            }
        }
    }

    /// What became of one attempt to run a command: also whether the server takes writes.
    fn tried(&self, spec: &'static Spec, reply: Result<Value, ErrorKind>) -> Result<Value, Error> {
        let reply = self.judged(|| spec.name.into(), reply);
        match &reply {
            Ok(_) if spec.access == Access::Write && self.refuses_writes() => self.writes_are_taken(None),
            Err(error) if error.refuses_writes() => self.writes_are_taken(error.code()),
            _ => {}
        }
        reply
    }

    #[cold]
    async fn repeat(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        mut error: Error,
        start: Instant,
    ) -> Result<Value, Error> {
        let connection = &self.inner.connection;
        let by = self.by(start).unwrap_or(start + self.inner.config.response_timeout());
        for tried in 0.. {
            // A command that a replica turned away may be meant for the server that took its place.
            let may_be_demoted = tried == 0 && error.code() == Some("READONLY") && connection.renew();
            // A script may say so itself.
            let demoted = may_be_demoted && !error.may_have_executed();
            let pause = match demoted {
                true => Some(Duration::ZERO),
                false => retry::pause(spec, cmd, &error, tried),
            };
            let Some(pause) = pause.map(|pause| pause.mul_f64(fastrand::f64())) else { break };
            if by <= Instant::now() + pause || !connection.may_repeat() {
                break;
            }
            tokio::time::sleep(pause).await;
            tracing::debug!(node = self.name(), command = spec.name, %error, "sent again");
            self.inner.meters.repeated();
            let reply = connection.send(cmd, Some(by), self.admission.as_ref()).await;
            match self.tried(spec, reply) {
                Ok(reply) => return Ok(reply),
                // What an attempt may have done, no later one undoes; a read has done nothing.
                Err(last)
                    if spec.retry != Retry::Read
                        && error.may_have_executed()
                        && !last.may_have_executed() =>
                {
                    break;
                }
                Err(last) => error = last,
            }
        }
        Err(error)
    }

    #[cold]
    fn writes_are_taken(&self, refused: Option<&str>) {
        if self.inner.refuses_writes.swap(refused.is_some(), Ordering::Relaxed) != refused.is_some() {
            let event = match refused {
                Some(code) => NodeEvent::WritesRefused { code: code.to_owned() },
                None => NodeEvent::WritesTaken,
            };
            self.inner.connection.observer().tell(self.name(), event);
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

    /// Takes a connection that nobody else uses, until it is dropped. At most so many at a time as
    /// [`max_owned`](NodeConfig::with_max_owned) says.
    ///
    /// # Errors
    /// Why there is none: no connection could be made, or all are in use for longer than the response timeout, by others who
    /// took one, by blocking calls and by transactions ([`ErrorKind::Overloaded`]).
    pub async fn owned(&self) -> Result<OwnedConnection, Error> {
        // The shared connection tells a server that is down, or is none, at once and for all callers.
        self.ready().await?;
        self.inner
            .owned
            .take(self.incarnation(), self.inner.connection.core())
            .await
            .map_err(|kind| self.error("CONNECT", kind))
    }

    pub(crate) async fn answer<T: FromRedisValue>(&self, spec: &'static Spec, cmd: Cmd) -> Result<T, Error> {
        let reply = self.run(spec, &cmd).await?;
        decode(reply).map_err(|error| self.error(spec.name, ErrorKind::Reply(error.into())))
    }

    fn error(&self, command: impl Into<Cow<'static, str>>, kind: ErrorKind) -> Error {
        Error::new(Arc::clone(&self.inner.name), command, kind)
    }
}

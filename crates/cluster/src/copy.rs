//! The handle of a copy: every key is on all servers.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::Stream;
use parking_lot::Mutex;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use redisdb_hashring::HashRing;
use redisdb_node as node;
use redisdb_node::Execute;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::Scan;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Read;
use redisdb_node::command::Spec;
use redisdb_node::command::Write;
use redisdb_node::command::rows;
use tokio::sync::OnceCell;

use crate::builder::CopyBuilder;
use crate::call::Call;
use crate::config::TopologyConfig;
use crate::engine::background_task::BackgroundTask;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::engine::nodes::Nodes;
use crate::error::Error;
use crate::event::Event;
use crate::event::Events;
use crate::health::Health;
use crate::hints::log::Trust;
use crate::membership::marker::Beat;
use crate::membership::marker::Stage;
use crate::membership::state_machine::Observation;
use crate::policy::OnReturn;
use crate::policy::Policy;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;
use crate::replies::PerNode;
use crate::replies::Replies;

/// Several independent Redis servers that all hold every key. A cheap handle.
///
/// With one writer per key at a time and no fault, the copies are equal. Concurrent writers of one key may leave
/// them different, with no fault at all: nothing orders the writes of two clients. It is not linearizable, not atomic
/// over several keys. A lock on it is [held on a majority](Self::lock) of its nodes.
///
/// A write goes to every node at once and says what each of them did. A read goes to one node, chosen by the key, and
/// to the next one when that is down; the same key is read from the same node, so a client reads what it wrote.
///
/// # Trade-offs
/// * A node that may have missed a write of a key answers no read of that key, and a server that was restarted answers
///   no read at all, until it has been brought to what the others hold, which happens [by itself](crate::OnReturn), in a
///   task that ends with the last handle. Each client knows what it saw itself; [`ReadFrom::Any`] prefers an answer over
///   a right one.
/// * What a server chooses or decides by what it holds (`SPOP`, `SET NX`, `LPOP`, `INCRBYFLOAT`) is decided by one
///   node, the one that the key is read from, and what came of it is sent to the others: two round trips, one after
///   the other. A relative expiry is sent to all as one point in time. Scripts are refused,
///   unless they are [declared](redisdb_node::Script::deterministic) to do the same everywhere.
///
/// # Example
/// ```no_run
/// use redisdb_cluster::RedisCopy;
/// use redisdb_node::StringCommands;
///
/// # async fn f() -> Result<(), redisdb_cluster::Error> {
/// let copy = RedisCopy::builder().node("a", "redis://10.0.0.1").node("b", "redis://10.0.0.2").connect().await?;
/// let replies = copy.set("user:1", "Ann").await?;
/// for (node, error) in replies.failures() {
///     eprintln!("{node} is behind: {error}");
/// }
/// let name = copy.get::<String>("user:1").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisCopy {
    pub(crate) shared: Arc<Shared>,
    /// What watches over the nodes while there is a handle; it has a handle itself, without this.
    pub(crate) monitor: Option<Arc<BackgroundTask>>,
    pub(crate) deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) nodes: Nodes,
    pub(crate) write_to: WriteTo,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_return: OnReturn,
    /// What the servers are marked with, and that they have been looked at.
    pub(crate) identity: Option<String>,
    pub(crate) identified: OnceCell<()>,
    pub(crate) beat: Mutex<Beat>,
    /// Held while it is judged what became of a write that not every node took alike.
    pub(crate) judging: Mutex<()>,
    /// What was said already, and need not be said again.
    pub(crate) told: Mutex<HashSet<String>>,
}

impl RedisCopy {
    pub(crate) fn new(
        ring: HashRing,
        nodes: Vec<NodeConfig>,
        policy: Policy,
        identity: Option<String>,
    ) -> Self {
        let events = Events::default();
        let members = nodes.into_iter().map(|config| Member::new(config, &events));
        let members = match identity {
            Some(_) => members.map(Member::fenced).collect(),
            None => members.collect(),
        };
        let nodes = Nodes::new(Arc::new(ring), members, events);
        let Policy { write_to, read_from, on_return } = policy;
        let shared = Shared {
            nodes,
            write_to,
            read_from,
            on_return,
            identity,
            identified: OnceCell::new(),
            beat: Mutex::new(Beat::new(Instant::now())),
            judging: Mutex::default(),
            told: Mutex::default(),
        };
        Self { shared: Arc::new(shared), monitor: Some(Arc::default()), deadline: None }
    }

    /// Starts a copy without nodes.
    pub fn builder() -> CopyBuilder {
        CopyBuilder::default()
    }

    /// Returns a copy from a configuration, without connecting.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        CopyBuilder::from_config(config)?.build()
    }

    /// Connects to all nodes at once. The first command does it too, for the nodes it needs.
    ///
    /// # Errors
    /// If a node is wrongly configured (its password, its TLS, or it is no Redis), or if none can be reached. A node
    /// that is down is no error: it may come up later.
    ///
    /// With an [identity](crate::CopyBuilder::identity), [`Error::Identity`] if the servers are not those of this copy.
    pub async fn ready(&self) -> Result<(), Error> {
        self.shared.nodes.connect().await?;
        self.check_identity().await
    }

    /// The same copy, whose calls by this handle take no longer than this in all. A read shares it out among the nodes that it may
    /// have to ask, so that one that hangs leaves time for the others; a write gives it to all nodes at once, and a pipeline to each part that is
    /// sent at once, of which reads alone leave half of it for asking elsewhere.
    ///
    /// What [waits](redisdb_node::BlockingCommands), scripts, subscriptions and locks keep their own time.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The node that reads of this key go to while it is up and in sync.
    pub fn node_for(&self, key: impl AsRef<[u8]>) -> &Node {
        self.shared.nodes.at(self.shared.nodes.ring().lookup(key))
    }

    /// The node of this name, to run commands on it alone.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`].
    pub fn on_node(&self, name: &str) -> Result<&Node, Error> {
        Ok(self.shared.nodes.at(self.shared.nodes.position(name)?))
    }

    /// Calls a function with every node, all at once, and returns what each gave.
    pub async fn on_each<T, F>(&self, f: impl Fn(Node) -> F) -> PerNode<T>
    where
        F: Future<Output = Result<T, node::Error>>,
    {
        self.shared.nodes.on_each(f).await
    }

    /// The nodes, in the order of the configuration.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.shared.nodes.iter()
    }

    /// How each node is, as far as this client has seen, in the order of the configuration.
    pub fn health(&self) -> Vec<(&str, Health)> {
        self.shared.nodes.members().map(|member| (&**member.name(), member.health())).collect()
    }

    /// What happens to the nodes from now on: a stream that ends with the copy; see
    /// [`RedisRing::events`](crate::RedisRing::events).
    pub fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        self.shared.nodes.events().stream()
    }

    /// Lets a node answer reads again that has missed writes or lost its data. The caller vouches that it holds what the
    /// others hold: that it was repaired, or that all was written to it anew.
    ///
    /// Keys that it is known to have missed, and that another node which answers has right, are read from that one until they
    /// have been brought over, or written anew.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], or that the node cannot be reached; as a first call, also that of [`ready`](Self::ready).
    pub async fn readmit(&self, name: &str) -> Result<(), Error> {
        let idx = self.shared.nodes.position(name)?;
        self.check_identity().await?;
        let node = self.shared.nodes.at(idx);
        // Connected first: a restart that nobody has noticed yet would make it fall behind again at once.
        node.ready().await?;
        let hints = self.shared.nodes.member(idx).hints();
        hints.on(Observation::Connected);
        for (key, number) in hints.missed_keys() {
            if self.shared.source_of(idx, &key).is_none() {
                hints.forget(&key, number);
            }
        }
        hints.readmit(node);
        self.mark(idx..=idx, Stage::Ready).await
    }

    /// The nodes as they are written to. The servers have been looked at: whoever asks for them may be the first.
    pub(crate) async fn writers(&self) -> Result<impl Iterator<Item = &Node>, Error> {
        self.check_identity().await?;
        Ok(self.shared.nodes.members().map(Member::writer))
    }

    /// The nodes as they are listened to; the servers have been looked at.
    pub(crate) async fn listened_to(&self) -> Result<impl Iterator<Item = &Node>, Error> {
        self.check_identity().await?;
        Ok(self.shared.nodes.iter())
    }

    /// Whether a node holds what it was sent, but for what it is known to have missed.
    pub(crate) fn has_memory(&self, idx: usize) -> bool {
        self.shared.nodes.member(idx).has_memory()
    }

    /// Which node a key is read from first.
    pub(crate) fn placement(&self) -> &HashRing {
        self.shared.nodes.ring()
    }
}

impl RedisCopy {
    /// Runs a command by its row, and makes one value of what the nodes said.
    pub(crate) async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        self.run_by_itself(&Call::new(spec, cmd)).await?.into_one(spec)
    }
}

impl Execute for RedisCopy {
    type Error = Error;
    type Write<T: Send> = Replies<T>;
    type Each<T: Send> = PerNode<T>;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.run_read(&Call::new(command.spec(), &cmd)).await?.read(command.spec())
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<Replies<T>, Error> {
        Ok(self.run_write(&Call::new(command.spec(), &cmd)).await?.decode(command.spec().name))
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<PerNode<T>, Error> {
        Ok(self.run_each(&Call::new(command.spec(), &cmd)).await?.decode(command.spec().name))
    }

    fn tag_delimiters(&self) -> (u8, u8) {
        self.shared.nodes.tag_delimiters()
    }

    fn one_reply<T: Send>(written: Replies<T>) -> Result<T, Error> {
        let none =
            || node::Error::new("*".into(), "?", node::ErrorKind::Unsupported("no node was asked".into()));
        written.into_first().map_err(|error| Error::Node(error.unwrap_or_else(none)))
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }
}

impl Scan for RedisCopy {
    async fn shards(&self) -> Result<Vec<Node>, Error> {
        Ok(vec![self.to_go_through(None).await?])
    }

    async fn shard_of(&self, key: &[u8]) -> Result<Node, Error> {
        self.to_go_through(Some(key)).await
    }
}

impl RedisCopy {
    /// The node whose keys, or whose elements of a key, are gone through: it is in sync about them, and its server has not been
    /// emptied.
    async fn to_go_through(&self, key: Option<&[u8]>) -> Result<Node, Error> {
        self.connect().await?;
        for _ in 0..self.shared.nodes.len() {
            let idx = self.in_sync_about(key)?;
            if self.has_its_marker(idx, &Budget::new(self.deadline, 1)).await {
                return Ok(self.shared.nodes.at(idx).clone());
            }
        }
        Err(self.none_is_in_sync(key))
    }

    /// Connects, if nobody has yet, and makes sure of the servers: what chooses a node by what is known of it may be the first
    /// call.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        if !self.shared.nodes.iter().any(Node::is_connected) {
            self.shared.nodes.connect().await?;
        }
        self.check_identity().await
    }

    /// The first node, in the order in which this key is read, that is up and has missed nothing of it; without a key,
    /// nothing at all.
    fn in_sync_about(&self, key: Option<&[u8]>) -> Result<usize, Error> {
        let nodes = &self.shared.nodes;
        let order = |wanted: Trust| {
            nodes
                .ring()
                .successors(key.unwrap_or_default())
                .filter(move |idx| nodes.member(*idx).trust(key.into_iter()) == wanted)
        };
        // A node that is down now may be up again in a moment, so it is the choice where no other is left.
        let up = order(Trust::Full).find(|idx| nodes.at(*idx).is_connected());
        let found = up.or_else(|| order(Trust::Provisional).next()).or_else(|| order(Trust::Full).next());
        found.ok_or_else(|| self.none_is_in_sync(key))
    }

    fn none_is_in_sync(&self, key: Option<&[u8]>) -> Error {
        let stale = self.shared.nodes.iter().map(|node| node.name().to_owned()).collect();
        Error::unavailable(rows::SCAN.spec().name, key, Vec::new(), stale)
    }
}

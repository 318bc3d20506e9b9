//! The handle of a ring: each key is on one server.

use std::borrow::Borrow;
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::Stream;
use redis::Cmd;
use redis::FromRedisValue;
use redisdb_hashring::HashRing;
use redisdb_node as node;
use redisdb_node::Execute;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Read;
use redisdb_node::command::Spec;
use redisdb_node::command::Write;

use crate::builder::RingBuilder;
use crate::config::TopologyConfig;
use crate::dispatch::scatter::on_owner;
use crate::engine::background_task::BackgroundTask;
use crate::engine::nodes::Nodes;
use crate::engine::topology::Blueprint;
use crate::engine::topology::Replaced;
use crate::engine::topology::Topology;
use crate::error::Error;
use crate::event::Event;
use crate::health::Health;
use crate::pipeline::answers::RingReply;
use crate::plan::context::Context;
use crate::plan::route::Route;
use crate::replies::PerNode;
use crate::replies::decode;

/// Several independent Redis servers that share the keys: each key is on one of them. A cheap handle.
///
/// The owner of a key follows from the names of the nodes and the key's hash tag alone, so every client that has the
/// same names finds the same owner, whatever the order of the list and wherever the servers are.
///
/// # Trade-offs
/// * While a server is down its share of the keys cannot be read or written: those calls fail at once, with
///   [`Error::Unavailable`], and no other node takes the keys over, unless [`OnDown`](crate::OnDown) says so.
/// * A command over many keys ([`mset`](redisdb_node::StringCommands::mset), for example) is one command on each node,
///   not one atomic command. Commands that cannot be split want keys with one hash tag: `{user:1}:name`, `{user:1}:age`.
/// * When a node is added or removed, the keys that change their owner are not moved: they are missing from then on.
///
/// # Example
/// ```no_run
/// use redisdb_cluster::RedisRing;
/// use redisdb_node::StringCommands;
///
/// # async fn f() -> Result<(), redisdb_cluster::Error> {
/// let ring = RedisRing::builder().node("a", "redis://10.0.0.1").node("b", "redis://10.0.0.2").connect().await?;
/// ring.set("user:1", "Ann").await?; // to the owner only
/// let names = ring.mget::<String>(&["user:1", "user:2"]).await?; // from both, in this order
/// assert_eq!(names, [Some("Ann".to_owned()), None]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RedisRing {
    shared: Arc<Shared>,
    deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// Swapped whole: a call sees the nodes of one topology, from its routing to its last reply.
    pub(crate) topology: ArcSwap<Topology>,
    /// Lets nodes that were away serve again.
    pub(crate) monitor: BackgroundTask,
    /// Removes what others still hold of their keys then.
    pub(crate) cleaner: BackgroundTask,
}

impl RedisRing {
    pub(crate) fn new(plan: Blueprint) -> Self {
        let topology = ArcSwap::from_pointee(Topology::new(plan));
        let (monitor, cleaner) = Default::default();
        Self { shared: Arc::new(Shared { topology, monitor, cleaner }), deadline: None }
    }

    /// Starts a ring without nodes.
    pub fn builder() -> RingBuilder {
        RingBuilder::default()
    }

    /// Returns a ring from a configuration, without connecting.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        RingBuilder::from_config(config)?.build()
    }

    /// Connects to all nodes at once. The first command does it too, for the nodes it needs.
    ///
    /// # Errors
    /// If a node is wrongly configured (its password, its TLS, or it is no Redis), or if none can be reached. A node
    /// that is down is no error: it may come up later.
    pub async fn ready(&self) -> Result<(), Error> {
        self.topology().nodes.connect().await
    }

    /// The same ring, whose calls by this handle take no longer than this in all, each as
    /// [`Node::with_deadline`](redisdb_node::Node::with_deadline) has it.
    ///
    /// What [waits](redisdb_node::BlockingCommands) on a connection of its own keeps its own time, as do transactions,
    /// subscriptions and locks.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline: Some(deadline) }
    }

    /// What happens to the nodes from now on: a stream that ends with the ring. Nobody waits for its listener: one that is
    /// more than 256 events behind [misses](Event::Missed) the oldest.
    ///
    /// ```no_run
    /// use futures_util::StreamExt;
    ///
    /// # async fn f(ring: redisdb_cluster::RedisRing) {
    /// let mut events = ring.events();
    /// while let Some(event) = events.next().await {
    ///     println!("{event}");
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        self.topology().nodes.events().stream()
    }

    /// How each node is, as far as this client has seen, in the order of the configuration. With an
    /// [`OnDown`](crate::OnDown) other than `Fail`, a node that has come back and does not serve its keys yet is
    /// [`Syncing`](Health::Syncing).
    pub fn health(&self) -> Vec<(String, Health)> {
        let topology = self.topology();
        let health = |(idx, node): (usize, &Node)| {
            let health = match (node.is_connected(), topology.is_away(idx)) {
                (false, _) => Health::Down,
                (true, true) => Health::Syncing,
                (true, false) if node.refuses_writes() => Health::WriteDegraded,
                (true, false) => Health::Up,
            };
            (node.name().to_owned(), health)
        };
        topology.nodes.iter().enumerate().map(health).collect()
    }

    /// The owner of a key.
    pub fn node_for(&self, key: impl AsRef<[u8]>) -> Node {
        self.topology().nodes.owner(key).clone()
    }

    /// The node of this name, to run commands on it alone.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`].
    pub fn on_node(&self, name: &str) -> Result<Node, Error> {
        let topology = self.topology();
        Ok(topology.nodes.at(topology.nodes.position(name)?).clone())
    }

    /// Calls a function with every node, all at once, and returns what each gave.
    ///
    /// ```no_run
    /// # use redisdb_node::ServerCommands;
    /// # async fn f(ring: redisdb_cluster::RedisRing) {
    /// let sizes = ring.on_each(|node| async move { node.dbsize().await }).await;
    /// for (node, keys) in sizes.successes() {
    ///     println!("{node}: {keys} keys");
    /// }
    /// # }
    /// ```
    pub async fn on_each<T, F>(&self, f: impl Fn(Node) -> F) -> PerNode<T>
    where
        F: Future<Output = Result<T, node::Error>>,
    {
        self.topology().nodes.on_each(f).await
    }

    /// The nodes, in the order of the configuration.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node> + use<> {
        self.topology().nodes.iter().cloned().collect::<Vec<_>>().into_iter()
    }

    /// What places the keys.
    pub fn placement(&self) -> Arc<HashRing> {
        Arc::clone(self.topology().nodes.placement())
    }

    /// Puts other nodes in place of the present ones, for all clones of this handle: nodes are added, removed,
    /// reweighted, or given another address. The settings of the builder take the place of the present ones too.
    ///
    /// A call that is under way ends on the nodes on which it began; each later one sees the new nodes only. A node that
    /// is configured as before keeps its connection. The connections of a removed one are closed when the last call on it
    /// has ended.
    ///
    /// No key is moved: those that change their owner are missing from then on. [`HashRing::moved`] tells beforehand how
    /// many that will be.
    ///
    /// ```
    /// # use redisdb_cluster::RedisRing;
    /// let ring = RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2").build()?;
    /// let replaced = ring.replace(
    ///     RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2").node("c", "redis://h3"),
    /// )?;
    /// assert_eq!((replaced.kept.len(), replaced.added), (2, vec!["c".to_owned()]));
    /// # Ok::<(), redisdb_cluster::Error>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with the new nodes; the present ones stay.
    pub fn replace(
        &self,
        topology: impl TryInto<RingBuilder, Error: Into<Error>>,
    ) -> Result<Replaced, Error> {
        let plan = topology.try_into().map_err(Into::into)?.plan()?;
        let mut replaced = Replaced::default();
        // Tried again if another replacement comes between.
        self.shared.topology.rcu(|present| {
            let (next, what) = present.replaced_by(&plan);
            replaced = what;
            next
        });
        tracing::info!(
            added = ?replaced.added, removed = ?replaced.removed, changed = ?replaced.changed, "topology replaced"
        );
        self.topology().nodes.events().tell(Event::Replaced(replaced.clone()));
        Ok(replaced)
    }

    /// The topology of this moment.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.shared.topology.load_full()
    }

    /// The nodes of a topology, with the deadline of this handle.
    pub(crate) fn nodes_of<'a>(&self, topology: &'a Topology) -> Cow<'a, Nodes> {
        match self.deadline {
            None => Cow::Borrowed(&topology.nodes),
            Some(deadline) => Cow::Owned(topology.nodes.with_deadline(deadline)),
        }
    }

    fn target(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Target, Error> {
        let topology = self.shared.topology.load();
        let owner = match topology.fast_owner(spec, cmd) {
            Some(owner) => owner,
            None => match topology.route(spec, cmd, Context::Alone)? {
                Route::Owner(owner) if !topology.may_fail_over(spec) => owner,
                route => return Ok(Target::Several(Arc::clone(&topology), route)),
            },
        };
        let owner = topology.nodes.at(owner);
        Ok(Target::One(self.deadline.map_or_else(|| owner.clone(), |deadline| owner.with_deadline(deadline))))
    }

    /// Runs a command by its row.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        spec: &'static Spec,
        cmd: impl Borrow<Cmd>,
    ) -> Result<T, Error> {
        let cmd = cmd.borrow();
        let reply = match self.target(spec, cmd)? {
            Target::One(owner) => match owner.run(spec, cmd).await {
                Ok(reply) => return Ok(decode(owner.name(), spec.name, reply)?),
                Err(error) => Box::pin(self.run_elsewhere(spec, cmd, error)).await?,
            },
            // Boxed, for it is rare: the future of every other command would have room for it.
            Target::Several(topology, route) => Box::pin(self.run_other(spec, cmd, &topology, route)).await?,
        };
        reply.read(spec.name)
    }

    /// The same: the reply as it is, and who gave it.
    pub(crate) async fn reply(&self, spec: &'static Spec, cmd: &Cmd) -> Result<RingReply, Error> {
        match self.target(spec, cmd)? {
            Target::One(owner) => match owner.run(spec, cmd).await {
                Ok(reply) => Ok(RingReply::One(owner.name().into(), reply)),
                Err(error) => self.run_elsewhere(spec, cmd, error).await,
            },
            Target::Several(topology, route) => self.run_other(spec, cmd, &topology, route).await,
        }
    }

    /// Runs a command that its owner was not sent, where others answer for that by now and there is time left.
    async fn run_elsewhere(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        error: node::Error,
    ) -> Result<RingReply, Error> {
        let topology = self.topology();
        let has_time = self.deadline.is_none() || !error.is_timeout();
        if error.is_connect() && has_time && topology.may_fail_over(spec) {
            self.shared.look_after_those_away();
            return self.run_without_those_away(&topology, spec, cmd).await;
        }
        Err(on_owner(spec, cmd, error))
    }

    /// Sees to it that nodes which were away serve again.
    pub(crate) fn look_after_those_away(&self) {
        self.shared.look_after_those_away();
    }

    async fn run_other(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        topology: &Topology,
        route: Route,
    ) -> Result<RingReply, Error> {
        if topology.may_fail_over(spec) {
            self.shared.look_after_those_away();
            return self.run_without_those_away(topology, spec, cmd).await;
        }
        self.nodes_of(topology).run_on_several(spec, cmd, route).await
    }
}

/// How a command is run.
enum Target {
    /// As it is, by the owner of its keys.
    One(Node),
    /// By several nodes, or without one that is away.
    Several(Arc<Topology>, Route),
}

impl Execute for RedisRing {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = PerNode<T>;

    #[inline]
    fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.run(command.spec(), cmd)
    }

    #[inline]
    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.run(command.spec(), cmd)
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<PerNode<T>, Error> {
        self.reply(command.spec(), &cmd).await?.read_each(command.spec().name)
    }

    fn tag_delimiters(&self) -> (u8, u8) {
        self.topology().nodes.tag_delimiters()
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }

    fn by_key<T: FromRedisValue>(error: Error, keys: &[Vec<u8>]) -> Option<Vec<Result<T, Error>>> {
        match error {
            Error::Partial(partial) => Some(partial.by_key(keys)),
            // They have one owner.
            error => Some(keys.iter().map(|_| Err(error.clone())).collect()),
        }
    }
}

impl Scan for RedisRing {
    async fn shards(&self) -> Result<Vec<Node>, Error> {
        Ok(self.nodes().collect())
    }

    async fn shard_of(&self, key: &[u8]) -> Result<Node, Error> {
        Ok(self.node_for(key))
    }
}

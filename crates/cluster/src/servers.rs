//! The trait of what a ring and a copy have in common, for code that takes either.

use std::future::Future;
use std::time::Duration;

use futures_util::Stream;
use redis::Cmd;
use redis::FromRedisValue;
use redis::aio::ConnectionLike;
use redisdb_node as node;
use redisdb_node::Execute;
use redisdb_node::Node;
use redisdb_node::Pipeline;
use redisdb_node::Scan;
use redisdb_node::plumbing::SendMany;

use crate::builder::CopyBuilder;
use crate::builder::RingBuilder;
use crate::config::TopologyConfig;
use crate::copy::RedisCopy;
use crate::engine::replace::Replaced;
use crate::error::Error;
use crate::event::Event;
use crate::explain;
use crate::explain::Explanation;
use crate::health::Health;
use crate::replies::PerNode;
use crate::ring::RedisRing;

/// What a [`RedisRing`] and a [`RedisCopy`] have in common. Each has a method of its own under each of these names, so that
/// code for one of them need not import the trait.
///
/// ```no_run
/// use redisdb_cluster::Error;
/// use redisdb_cluster::Servers;
/// use redisdb_node::ServerCommands;
///
/// async fn sizes(servers: &impl Servers) {
///     for (node, keys) in servers.on_each(|node| async move { node.dbsize().await }).await.successes() {
///         println!("{node}: {keys} keys");
///     }
/// }
///
/// async fn greet<S: Servers>(servers: &S) -> Result<String, Error> {
///     servers.query(redis::cmd("SET").arg("greeting").arg("hello")).await
/// }
/// ```
pub trait Servers: Execute<Error = Error> + SendMany + Scan + ConnectionLike + Clone {
    /// What gathers the nodes and settings.
    type Builder: TryFrom<TopologyConfig, Error = Error>;

    /// Connects to all nodes at once.
    ///
    /// # Errors
    /// If a node is wrongly configured, or none can be reached.
    fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// The same servers, whose calls by this handle take no longer than this in all.
    #[must_use]
    fn with_deadline(&self, deadline: Duration) -> Self;

    /// Runs any command where its row says, and converts its reply.
    ///
    /// # Errors
    /// Of the routing, of the nodes, or that the reply is not a `T`.
    fn query<T: FromRedisValue + Send>(&self, cmd: &Cmd) -> impl Future<Output = Result<T, Error>> + Send;

    /// Starts a pipeline of typed commands.
    fn pipeline(&self) -> Pipeline<Self>;

    /// The node that owns a key, or that it is read from first.
    fn node_for(&self, key: impl AsRef<[u8]>) -> Node;

    /// The node of this name, to run commands on it alone.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`].
    fn on_node(&self, name: &str) -> Result<Node, Error>;

    /// Calls a function with every node, all at once, and returns what each gave.
    fn on_each<T: Send, F>(&self, f: impl Fn(Node) -> F + Send) -> impl Future<Output = PerNode<T>> + Send
    where
        F: Future<Output = Result<T, node::Error>> + Send;

    /// The nodes, in the order of the configuration.
    fn nodes(&self) -> impl ExactSizeIterator<Item = Node> + use<Self>;

    /// Returns the health of each node, as far as this client has seen, in the order of the configuration.
    fn health(&self) -> Vec<(String, Health)>;

    /// What happens to the nodes from now on.
    fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<Self>;

    /// Says where a command would go, and why, or why it would not; nothing is sent.
    fn explain(&self, cmd: &Cmd) -> Explanation;

    /// The same of each command of a pipeline, which may be atomic.
    fn explain_pipeline(&self, pipeline: &redis::Pipeline) -> Vec<Explanation>;

    /// Puts other nodes in place of the present ones, for all clones of this handle.
    ///
    /// # Errors
    /// What is wrong with the new nodes; the present ones stay.
    fn replace(&self, topology: Self::Builder) -> Result<Replaced, Error>;
}

/// The methods that are the same on both handles, and the trait, all of whose methods both handles have themselves.
macro_rules! servers {
    ($handle:ty, $builder:ty) => {
        /// # As on a ring, so on a copy
        impl $handle {
            /// Returns one from a configuration, without connecting.
            ///
            /// # Errors
            /// What is wrong with the configuration.
            pub fn from_config(config: TopologyConfig) -> Result<Self, Error> {
                <$builder>::from_config(config)?.build()
            }

            /// The owner of a key; on a copy, the node that reads of the key go to while it is up and in sync.
            pub fn node_for(&self, key: impl AsRef<[u8]>) -> Node {
                self.topology().nodes.owner(key).clone()
            }

            /// The node of this name, to run commands on it alone. On a copy they see and take also the keys that the copy keeps
            /// there for itself.
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

            /// What happens to the nodes from now on: a stream that ends with the last handle. Nobody waits for its listener:
            /// one that is more than 256 events behind [misses](Event::Missed) the oldest.
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

            /// Says where a command would go that is called by itself, and why, or why it would not; nothing is sent.
            ///
            /// ```
            /// # use redisdb_cluster::RedisRing;
            /// let ring = RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2").build()?;
            /// let mut msetnx = redis::cmd("MSETNX");
            /// println!("{}", ring.explain(msetnx.arg("x").arg(1).arg("y").arg(2)));
            /// # Ok::<(), redisdb_cluster::Error>(())
            /// ```
            pub fn explain(&self, cmd: &Cmd) -> Explanation {
                explain::alone(&*self.topology(), cmd)
            }

            /// The same of each command of a pipeline, which may be atomic. On a ring such a block goes to one node, or none
            /// of it is sent; the queue of a [transaction](RedisRing::transaction) is one, with the watched keys before it.
            ///
            /// ```
            /// # use redisdb_cluster::RedisRing;
            /// let ring = RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2").build()?;
            /// let mut block = redis::pipe();
            /// block.atomic().cmd("SET").arg("{user:1}:name").arg("Ann").cmd("SORT").arg("{user:1}:l").arg("BY").arg("w_*");
            /// for explanation in ring.explain_pipeline(&block) {
            ///     println!("{explanation}"); // refused, because of the pattern
            /// }
            /// # Ok::<(), redisdb_cluster::Error>(())
            /// ```
            pub fn explain_pipeline(&self, pipeline: &redis::Pipeline) -> Vec<Explanation> {
                explain::pipeline(&*self.topology(), pipeline)
            }
        }

        impl Servers for $handle {
            type Builder = $builder;

            fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send {
                <$handle>::ready(self)
            }

            fn with_deadline(&self, deadline: Duration) -> Self {
                <$handle>::with_deadline(self, deadline)
            }

            fn query<T: FromRedisValue + Send>(
                &self,
                cmd: &Cmd,
            ) -> impl Future<Output = Result<T, Error>> + Send {
                <$handle>::query(self, cmd)
            }

            fn pipeline(&self) -> Pipeline<Self> {
                <$handle>::pipeline(self)
            }

            fn node_for(&self, key: impl AsRef<[u8]>) -> Node {
                <$handle>::node_for(self, key)
            }

            fn on_node(&self, name: &str) -> Result<Node, Error> {
                <$handle>::on_node(self, name)
            }

            fn on_each<T: Send, F>(
                &self,
                f: impl Fn(Node) -> F + Send,
            ) -> impl Future<Output = PerNode<T>> + Send
            where
                F: Future<Output = Result<T, node::Error>> + Send,
            {
                <$handle>::on_each(self, f)
            }

            fn nodes(&self) -> impl ExactSizeIterator<Item = Node> + use<> {
                <$handle>::nodes(self)
            }

            fn health(&self) -> Vec<(String, Health)> {
                <$handle>::health(self)
            }

            fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
                <$handle>::events(self)
            }

            fn explain(&self, cmd: &Cmd) -> Explanation {
                <$handle>::explain(self, cmd)
            }

            fn explain_pipeline(&self, pipeline: &redis::Pipeline) -> Vec<Explanation> {
                <$handle>::explain_pipeline(self, pipeline)
            }

            fn replace(&self, topology: $builder) -> Result<Replaced, Error> {
                <$handle>::replace(self, topology)
            }
        }
    };
}

servers!(RedisRing, RingBuilder);
servers!(RedisCopy, CopyBuilder);

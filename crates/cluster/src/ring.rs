//! The handle of a ring: each key is on one server.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;
use redisdb_hashring::HashRing;
use redisdb_node::Execute;
use redisdb_node::Lock;
use redisdb_node::LockOptions;
use redisdb_node::Node;
use redisdb_node::Pipeline;
use redisdb_node::Scan;
use redisdb_node::Subscription;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Read;
use redisdb_node::command::Write;
use redisdb_node::plumbing::Topics;
use redisdb_node::plumbing::is_keyspace_channel;

use crate::builder::RingBuilder;
use crate::engine::replace::Replaced;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingTopology;
use crate::error::Error;
use crate::health::Health;
use crate::plan::context::row;
use crate::replies::PerNode;
use crate::sessions::transaction::RingTransaction;

/// Several independent Redis servers that share the keys: each key is on one of them. A cheap handle.
///
/// The owner of a key follows from the names and weights of the nodes and the key's hash tag alone. So every client that
/// has the same names and weights finds the same owner, whatever the order of the list and wherever the servers are.
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
    pub(crate) engine: RingEngine,
}

/// # How one is made
impl RedisRing {
    /// Starts a ring without nodes.
    pub fn builder() -> RingBuilder {
        RingBuilder::default()
    }

    /// Connects to all nodes at once. The first command does it too, for the nodes it needs.
    ///
    /// # Errors
    /// If a node is wrongly configured (its password, its TLS, or it is no Redis), or if none can be reached. A node
    /// that is down is no error: it may come up later.
    pub async fn ready(&self) -> Result<(), Error> {
        self.topology().nodes.connect().await
    }

    /// Returns the same ring, whose calls by this handle take no longer than this in all: waiting for connections, replies,
    /// retries, and what another node is asked instead. A pipeline gives it to each part that is sent at once.
    ///
    /// What [waits](redisdb_node::BlockingCommands) on a connection of its own keeps its own time, as do scripts, transactions,
    /// subscriptions and locks.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { engine: self.engine.with_deadline(deadline) }
    }
}

/// # Reading and writing
impl RedisRing {
    /// Runs any command of Redis, or one that was [registered](redisdb_node::command::Registration), where its row says, and converts
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
        self.engine.run(row(cmd)?, cmd).await
    }

    /// Starts a pipeline: typed commands that are grouped by node and sent together.
    ///
    /// ```no_run
    /// # use redisdb_cluster::RedisRing;
    /// # use redisdb_node::StringCommands;
    /// # async fn f(ring: RedisRing) -> Result<(), redisdb_cluster::Error> {
    /// let pipeline = ring.pipeline();
    /// let visits: Vec<_> = (0..10_000).map(|user| pipeline.incr(format!("visits:{user}"))).collect();
    /// for (i, error) in pipeline.execute().await.failures() {
    ///     eprintln!("user {i}: {error}; counted twice if it is tried again: {}", error.may_have_executed());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn pipeline(&self) -> Pipeline<RedisRing> {
        Pipeline::new(self.clone())
    }

    /// Runs a function that reads some keys and writes what follows from them, again and again until nobody else has
    /// changed these keys between its reading and its writing: as [`Node::transaction`](redisdb_node::Node::transaction)
    /// does, on the owner of the keys. They must have one hash tag, and so must all that the function names.
    ///
    /// # Errors
    /// What the function returns; [`Error::CrossNode`] before anything is sent; a
    /// [`Conflict`](redisdb_node::ErrorKind::Conflict) after 100 attempts, when nothing was executed.
    ///
    /// # Cancel safety
    /// When the future is dropped the block of writes has been executed, or it has not: never a part of it.
    ///
    /// ```no_run
    /// # use redisdb_cluster::{Error, RedisRing};
    /// # use redisdb_node::StringCommands;
    /// # async fn f(ring: RedisRing) -> Result<(), Error> {
    /// let left = ring
    ///     .transaction("{shop}:stock", |tx| async move {
    ///         let stock = tx.get::<i64>("{shop}:stock").await?.unwrap_or(0);
    ///         let queue = tx.queue();
    ///         drop(queue.set("{shop}:stock", stock - 1));
    ///         drop(queue.incr("{shop}:sold"));
    ///         queue.execute().await.check()?;
    ///         Ok(stock - 1)
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn transaction<T, F>(
        &self,
        keys: impl ToRedisArgs,
        f: impl Fn(RingTransaction) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.engine.transaction(keys, f).await
    }
}

/// # Where a key is
impl RedisRing {
    /// What places the keys.
    pub fn placement(&self) -> Arc<HashRing> {
        Arc::clone(self.topology().nodes.ring())
    }
}

/// # Messages and locks
impl RedisRing {
    /// Listens to channels, each at its owner. The channels of keyspace notifications are listened to at every node: a
    /// key's notification comes from the key's owner, not the channel's.
    ///
    /// A node that cannot be reached now is tried again, and has a [gap](redisdb_node::PubSubEvent::Gap) when it can.
    ///
    /// # Errors
    /// If none of the nodes can be reached, or one does not let the user in or listen.
    pub async fn subscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        let channels = channels.to_redis_args();
        self.engine.listen(channels, Topics::Channels, is_keyspace_channel, "SUBSCRIBE").await
    }

    /// Listens to all channels that match a pattern, or one of several, at every node.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(&self, patterns: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.engine.listen(patterns.to_redis_args(), Topics::Patterns, |_| true, "PSUBSCRIBE").await
    }

    /// Listens to channels of `SPUBLISH`, each at its owner. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.engine.listen(channels.to_redis_args(), Topics::Shards, |_| false, "SSUBSCRIBE").await
    }

    /// A lock of this name, at its owner. Nothing is sent yet.
    pub fn lock(&self, name: impl AsRef<[u8]>, options: LockOptions) -> Lock<RedisRing> {
        Lock::new(self, name, options)
    }
}

/// # Health
impl RedisRing {
    /// Returns the health of each node, as far as this client has seen, in the order of the configuration.
    /// With an [`OnDown`](crate::OnDown) other than `Fail`, a node that has come back and does not serve its
    /// keys yet is [`Syncing`](Health::Syncing).
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
}

/// # Care
impl RedisRing {
    /// Puts other nodes in place of the present ones, for all clones of this handle: nodes are added, removed,
    /// reweighted, or given another address. The settings of the builder take the place of the present ones too.
    ///
    /// A call that is under way ends on the nodes on which it began; each later one sees the new nodes only. A node that
    /// is configured as before keeps its connection. The connections of a removed one are closed when the last call on it
    /// has ended. A subscription stays on the nodes on which it was made: subscribe anew.
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
        Ok(self.engine.replace(&plan))
    }
}

impl RedisRing {
    pub(crate) fn topology(&self) -> Arc<RingTopology> {
        self.engine.topology()
    }
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
        self.engine.run(command.spec(), cmd)
    }

    #[inline]
    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.engine.run(command.spec(), cmd)
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<PerNode<T>, Error> {
        Ok(self.engine.reply(command.spec(), &cmd, self.engine.by()).await?.read_each(command.spec()))
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

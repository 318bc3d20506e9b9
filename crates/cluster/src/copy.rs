//! The handle of a copy: every key is on all servers.

mod care;

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;
use redisdb_node as node;
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

use crate::builder::CopyBuilder;
use crate::call::Call;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::CopyHandle;
use crate::engine::copy::topology::CopyTopology;
use crate::error::Error;
use crate::health::Health;
use crate::plan::context::row;
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
///   task that ends with the last handle. Each client knows what it saw itself; [`ReadFrom::Any`](crate::ReadFrom::Any) prefers an answer over
///   a right one.
/// * What a server chooses or decides by what it holds (`SPOP`, `SET NX`, `LPOP`) is decided by one
///   node, the one that the key is read from, and what came of it is sent to the others: two round trips, one after
///   the other. So is a sum of floating-point numbers, unless the nodes become equal by themselves. A relative expiry is sent to all as one point in time. Scripts are refused,
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
    pub(crate) handle: CopyHandle,
}

/// # How one is made
impl RedisCopy {
    /// Starts a copy without nodes.
    pub fn builder() -> CopyBuilder {
        CopyBuilder::default()
    }

    /// Connects to all nodes at once. The first command does it too, for the nodes it needs.
    ///
    /// # Errors
    /// If a node is wrongly configured (its password, its TLS, or it is no Redis), or if none can be reached. A node
    /// that is down is no error: it may come up later.
    ///
    /// With an [identity](crate::CopyBuilder::identity), [`Error::Identity`] if the servers are not those of this copy.
    pub async fn ready(&self) -> Result<(), Error> {
        let engine = self.engine();
        engine.topology.nodes.connect().await?;
        engine.check_identity().await
    }

    /// Returns the same copy, whose calls by this handle take no longer than this in all. A read shares the time out among the
    /// nodes that it may have to ask, so that a node that hangs leaves time for the others. A write and a question to each
    /// node give it to all nodes at once; a write that one node decides leaves time for the others. A pipeline gives it to each part that is sent at once; a part of reads alone leaves
    /// half of it for asking elsewhere.
    ///
    /// What [waits](redisdb_node::BlockingCommands), scripts, subscriptions and locks keep their own time.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { handle: self.handle.with_deadline(deadline) }
    }
}

/// # Reading and writing
impl RedisCopy {
    /// Runs any command of Redis, or one that was [registered](redisdb_node::command::Registration), and converts its reply: of a
    /// write, the one that all nodes gave that took it and are not known to be behind.
    ///
    /// # Errors
    /// Of the routing, of the nodes, that such nodes gave different replies, or that the reply is not a `T`.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        let spec = row(cmd)?;
        self.engine().run_by_itself(&Call::new(spec, cmd)).await?.read(spec)
    }

    /// Starts a pipeline: typed commands that are sent together, each write to every node, each read to the node of its key.
    ///
    /// Each command has its own outcome: of a write, what each node said, judged by [`WriteTo`](crate::WriteTo). A read
    /// sees the writes before it. Up to 1000 commands go to all nodes at the same time, the next when all nodes have
    /// answered. A node that does not answer is behind for the keys of the writes it did not take. A read whose node
    /// does not answer is asked of the next one, unless a later command among those 1000 writes its key: then it fails.
    ///
    /// # Trade-offs
    /// What one node decides (`SPOP`, `SET NX`, `LPOP`), what is about the servers (`FLUSHALL`, `SCRIPT LOAD`) or
    /// about all keys (`KEYS`, `RANDOMKEY`) takes more than one step, so the commands before it are finished first. Such commands
    /// that follow each other are sent together as long as they name different keys; those of one key take two round trips each.
    ///
    /// [`atomic`](Pipeline::atomic), each node runs all of it in one `MULTI` block, and readers of a node see all of it
    /// or nothing. Then it takes only what does the same on every server: what one node decides is refused, and nothing
    /// is sent. Use a script that is [`deterministic`](redisdb_node::Script::deterministic) instead. The keys need no
    /// common hash tag.
    ///
    /// # Cancel safety
    /// When `execute` is dropped each node has executed some of the commands. The nodes that are not known to have taken
    /// a write are behind for its keys, but for the one that the key is read from where none is known to have.
    ///
    /// ```no_run
    /// # use redisdb_cluster::RedisCopy;
    /// # use redisdb_node::StringCommands;
    /// # async fn f(copy: RedisCopy) -> Result<(), redisdb_cluster::Error> {
    /// let pipeline = copy.pipeline();
    /// let set = pipeline.set("user:1", "Ann");
    /// let name = pipeline.get::<String>("user:1");
    /// pipeline.execute().await.check()?;
    /// println!("{:?} is on {} nodes", name.await?, set.await?.successes().count());
    /// # Ok(()) }
    /// ```
    pub fn pipeline(&self) -> Pipeline<RedisCopy> {
        Pipeline::new(self.clone())
    }
}

/// # Messages and locks
impl RedisCopy {
    /// Listens to channels, at every node: a message is published to one of them, whichever is up, and comes once.
    ///
    /// # Errors
    /// If none of the nodes can be reached, or one does not let the user in or listen. The channels of keyspace
    /// notifications are refused: each node speaks of its own keys.
    pub async fn subscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.engine().listen(channels.to_redis_args(), Topics::Channels, "SUBSCRIBE").await
    }

    /// Listens to all channels that match a pattern, or one of several, at every node. Keyspace notifications are left out.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(&self, patterns: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.engine().listen(patterns.to_redis_args(), Topics::Patterns, "PSUBSCRIBE").await
    }

    /// Listens to channels of `SPUBLISH`, at every node. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.engine().listen(channels.to_redis_args(), Topics::Shards, "SSUBSCRIBE").await
    }

    /// A lock of this name, on a majority of the nodes. Nothing is sent yet.
    ///
    /// Two nodes bear no loss, for both are needed for a majority; three bear one.
    pub fn lock(&self, name: impl AsRef<[u8]>, options: LockOptions) -> Lock<RedisCopy> {
        Lock::new(self, name, options)
    }
}

/// # Health
impl RedisCopy {
    /// Returns the health of each node, as far as this client has seen, in the order of the configuration.
    pub fn health(&self) -> Vec<(String, Health)> {
        let topology = self.topology();
        let members = topology.nodes.members();
        members.map(|member| (member.name().to_string(), member.health())).collect()
    }
}

impl RedisCopy {
    /// The copy of this moment, for one call.
    pub(crate) fn engine(&self) -> CopyEngine {
        self.handle.engine()
    }

    pub(crate) fn topology(&self) -> Arc<CopyTopology> {
        self.engine().topology
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
        self.engine().run_read(&Call::new(command.spec(), &cmd)).await?.read(command.spec())
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<Replies<T>, Error> {
        Ok(self.engine().run_write(&Call::new(command.spec(), &cmd)).await?.decode(command.spec().name))
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<PerNode<T>, Error> {
        Ok(self.engine().run_each(&Call::new(command.spec(), &cmd)).await?.decode(command.spec().name))
    }

    fn tag_delimiters(&self) -> (u8, u8) {
        self.topology().nodes.tag_delimiters()
    }

    fn one_reply<T: Send>(written: Replies<T>) -> Result<T, Error> {
        let none = || node::Error::without_node("", node::ErrorKind::Unsupported("no node was asked".into()));
        written.into_first().map_err(|error| Error::Node(error.unwrap_or_else(none)))
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }
}

impl Scan for RedisCopy {
    async fn shards(&self) -> Result<Vec<Node>, Error> {
        Ok(vec![self.engine().to_go_through(None).await?])
    }

    async fn shard_of(&self, key: &[u8]) -> Result<Node, Error> {
        self.engine().to_go_through(Some(key)).await
    }

    fn is_own_key(&self, key: &[u8]) -> bool {
        self.handle.is_ours(key)
    }
}

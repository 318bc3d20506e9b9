//! Each key on all servers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use redisdb_hashring::HashTag;
use redisdb_node as node;
use redisdb_node::Execute;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::Scan;
use redisdb_node::command::Access;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Merge;
use redisdb_node::command::OnCopy;
use redisdb_node::command::OnRing;
use redisdb_node::command::Read;
use redisdb_node::command::Spec;
use redisdb_node::command::Write;

use crate::behind::Behind;
use crate::config::ConfigError;
use crate::config::MembersBuilder;
use crate::config::Strategy;
use crate::config::TopologyConfig;
use crate::effect;
use crate::effect::Plan;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::error::Unavailable;
use crate::explain::Explanation;
use crate::explain::explain_on_copy;
use crate::health::Health;
use crate::merge::PartValue;
use crate::merge::merge;
use crate::nodes::Nodes;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;
use crate::replies::Outcome;
use crate::replies::PerNode;
use crate::replies::Replies;

/// Several independent Redis servers that all hold every key. A cheap handle.
///
/// With one writer per key at a time and no fault, the copies are equal. Concurrent writers of one key may leave
/// them different, with no fault at all: nothing orders the writes of two clients. It is not linearizable, not atomic
/// over several keys, and no place for locks.
///
/// A write goes to every node at once and says what each of them did. A read goes to one node, chosen by the key, and
/// to the next one when that is down; the same key is read from the same node, so a client reads what it wrote.
///
/// # Trade-offs
/// * A node that may have missed a write of a key answers no read of that key, and a server that was restarted answers
///   no read at all, until it is [readmitted](Self::readmit): it could hold old values, or none. Each client knows
///   what it saw itself; [`ReadFrom::Any`] prefers an answer over a right one.
/// * What a server chooses or decides by what it holds (`SPOP`, `SET NX`, `LPOP`, `INCRBYFLOAT`, scripts) could differ
///   from node to node, and is refused. A relative expiry is sent to all as one point in time.
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
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nodes: Nodes,
    behind: Vec<Behind>,
    write_to: WriteTo,
    read_from: ReadFrom,
}

impl RedisCopy {
    /// Starts a copy without nodes.
    pub fn builder() -> CopyBuilder {
        CopyBuilder::default()
    }

    /// Returns a copy from a configuration, without connecting.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        let (write_to, read_from) = (config.write_to, config.read_from);
        let members = MembersBuilder::from_topology(config, Strategy::Copy)?;
        CopyBuilder { members, write_to, read_from }.build()
    }

    /// Connects to all nodes at once. The first command does it too, for the nodes it needs.
    ///
    /// # Errors
    /// If a node is wrongly configured (its password, its TLS, or it is no Redis), or if none can be reached. A node
    /// that is down is no error: it may come up later.
    pub async fn ready(&self) -> Result<(), Error> {
        self.shared.nodes.connect().await
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
        let health =
            |(node, behind): (&'_ Node, &Behind)| match (node.is_connected(), behind.is_in_sync(node)) {
                (false, _) => Health::Down,
                (true, false) => Health::Behind,
                (true, true) => Health::Up,
            };
        let nodes = self.shared.nodes.iter().zip(&self.shared.behind);
        nodes.map(|(node, behind)| (node.name(), health((node, behind)))).collect()
    }

    /// Lets a node answer reads again that was [behind](Health::Behind). The caller vouches that it holds what the
    /// others hold: that it was repaired, or that all was written to it anew.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], or that the node cannot be reached.
    pub async fn readmit(&self, name: &str) -> Result<(), Error> {
        let idx = self.shared.nodes.position(name)?;
        let node = self.shared.nodes.at(idx);
        // Connected first: a restart that nobody has noticed yet would make it fall behind again at once.
        node.ready().await?;
        if let Some(behind) = self.shared.behind.get(idx) {
            behind.readmit(node);
        }
        Ok(())
    }

    /// Says where a command would go and why, or why it would not; nothing is sent.
    pub fn explain(&self, cmd: &Cmd) -> Explanation {
        explain_on_copy(self.shared.nodes.ring(), cmd)
    }

    /// Asks one node, and the next one when that cannot answer.
    pub(crate) async fn run_read(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        if let Plan::Refuse(reason) = effect::plan(spec, cmd, SystemTime::UNIX_EPOCH) {
            return Err(refused(spec, reason));
        }
        if spec.copy == OnCopy::EveryNode {
            return self.ask_all(spec, cmd).await;
        }
        let shared = &*self.shared;
        let key = spec.first_key(cmd).map_err(|reason| Error::Keys { command: spec.name, reason })?;
        let (mut errors, mut behind) = (Vec::new(), Vec::new());
        for idx in shared.nodes.ring().successors(key.unwrap_or_default()) {
            if !shared.in_sync(idx, spec, cmd) {
                behind.push(idx);
                continue;
            }
            match shared.nodes.at(idx).run(spec, cmd).await {
                // The answer may have come over a new connection, from a server that has been restarted.
                Ok(reply) if shared.in_sync(idx, spec, cmd) => return Ok(reply),
                Ok(_) => behind.push(idx),
                Err(error) if another_may_answer(&error) => errors.push(error),
                Err(error) => return Err(Error::Node(error)),
            }
        }
        if shared.read_from == ReadFrom::Any {
            for &idx in &behind {
                match shared.nodes.at(idx).run(spec, cmd).await {
                    Err(error) if another_may_answer(&error) => errors.push(error),
                    reply => return reply.map_err(Error::Node),
                }
            }
        }
        Err(Error::Unavailable(Box::new(Unavailable {
            command: spec.name,
            key: key.map(<[u8]>::to_vec),
            errors,
            behind: behind.into_iter().map(|idx| shared.nodes.name(idx).to_string()).collect(),
        })))
    }

    /// Asks every node what each may answer differently, such as which scripts it knows; those that cannot be reached
    /// do not count.
    async fn ask_all(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        let results = self.shared.nodes.run_on_all(spec, cmd).await;
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for (idx, result) in results.into_iter().enumerate() {
            let node = self.shared.nodes.name(idx).to_string();
            match result {
                Ok(value) => values.push(PartValue { node, keys: Vec::new(), value }),
                Err(error) if another_may_answer(&error) => errors.push(error),
                Err(error) => return Err(Error::Node(error)),
            }
        }
        if values.is_empty() {
            let (command, behind) = (spec.name, Vec::new());
            return Err(Error::Unavailable(Box::new(Unavailable { command, key: None, errors, behind })));
        }
        let rule = match spec.ring {
            OnRing::EveryNode(rule) => rule,
            _ => Merge::AllOk,
        };
        merge(rule, values).map_err(|reason| refused(spec, &reason))
    }

    /// Sends a write to every node at once; the outcome is judged by [`WriteTo`].
    pub(crate) async fn run_write(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Replies<Value>, Error> {
        let shared = &*self.shared;
        // The keys must be known before anything is sent: a node that misses the write is behind on them.
        let _known = spec.keys_of(cmd).map_err(|reason| Error::Keys { command: spec.name, reason })?;
        let rewritten;
        let cmd = match effect::plan(spec, cmd, SystemTime::now()) {
            Plan::AsItIs => cmd,
            Plan::Instead(instead) => {
                rewritten = instead;
                &rewritten
            }
            Plan::OneNode => return self.run_on_one(spec, cmd).await,
            Plan::Refuse(reason) => return Err(refused(spec, reason)),
        };
        let results = shared.nodes.run_on_all(spec, cmd).await;
        shared.note_missed(spec, cmd, &results);
        let replies = shared.nodes.replies(results);
        let wanted = shared.write_to.wanted(replies.len());
        if replies.successes().count() >= wanted {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted, replies })))
    }

    /// Sends a command to one node: the channel's owner, or the next one when that cannot be reached.
    async fn run_on_one(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Replies<Value>, Error> {
        let shared = &*self.shared;
        let channel = spec.first_key(cmd).ok().flatten().unwrap_or_default();
        let mut replies: Vec<_> = (0..shared.nodes.len())
            .map(|idx| (Arc::clone(shared.nodes.name(idx)), Outcome::Skipped))
            .collect();
        for idx in shared.nodes.ring().successors(channel) {
            let result = shared.nodes.at(idx).run(spec, cmd).await;
            let next = result.as_ref().is_err_and(node::Error::is_connect);
            if let Some((_, outcome)) = replies.get_mut(idx) {
                *outcome = result.into();
            }
            if !next {
                break;
            }
        }
        let replies = Replies::new(replies);
        if replies.first().is_some() {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted: 1, replies })))
    }

    /// Runs a command by its row, and makes one value of what the nodes said.
    pub(crate) async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        match spec.access {
            Access::Read => self.run_read(spec, cmd).await,
            Access::Each => {
                let replies = self.run_each(spec, cmd).await?;
                let named = |(name, reply): (&str, &Value)| (Value::BulkString(name.into()), reply.clone());
                Ok(Value::Map(replies.successes().map(named).collect()))
            }
            _ => {
                let replies = self.run_write(spec, cmd).await?;
                match replies.first() {
                    Some(first) if replies.agreed() => Ok(first.clone()),
                    _ => Err(Error::Disagreement(Box::new(TooFewReplies {
                        command: spec.name,
                        wanted: replies.len(),
                        replies,
                    }))),
                }
            }
        }
    }

    pub(crate) async fn run_each(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Replies<Value>, Error> {
        if let Plan::Refuse(reason) = effect::plan(spec, cmd, SystemTime::UNIX_EPOCH) {
            return Err(refused(spec, reason));
        }
        Ok(self.shared.nodes.replies(self.shared.nodes.run_on_all(spec, cmd).await))
    }
}

impl Shared {
    fn in_sync(&self, idx: usize, spec: &Spec, cmd: &Cmd) -> bool {
        let keys = spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key);
        self.behind.get(idx).is_some_and(|behind| behind.in_sync(self.nodes.at(idx), keys))
    }

    /// Records which nodes may not hold what the others hold after a write.
    ///
    /// A node is behind if it did not take what another one took. If none took it for certain, those that may have
    /// are behind the others, which certainly did not; if all may have, nothing tells them apart.
    fn note_missed(&self, spec: &Spec, cmd: &Cmd, results: &[Result<Value, node::Error>]) {
        let taken = results.iter().any(Result::is_ok);
        let maybe =
            |result: &Result<Value, node::Error>| result.as_ref().is_err_and(node::Error::may_have_executed);
        if results.iter().all(Result::is_ok) || !taken && results.iter().all(maybe) {
            return;
        }
        for (behind, result) in self.behind.iter().zip(results) {
            if if taken { result.is_err() } else { maybe(result) } {
                behind.missed(spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key));
            }
        }
    }
}

/// Returns whether another node may give the answer that this one did not.
fn another_may_answer(error: &node::Error) -> bool {
    match error.kind() {
        node::ErrorKind::Server(reply) => {
            matches!(
                reply.code.as_str(),
                "LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN" | "NOAUTH" | "NOPERM"
            )
        }
        node::ErrorKind::Reply(_) | node::ErrorKind::Unsupported(_) => false,
        _ => true,
    }
}

fn refused(spec: &Spec, reason: &str) -> Error {
    Error::Unsupported { command: spec.name.to_owned(), strategy: "copy", reason: reason.to_owned() }
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
        let spec = command.spec();
        let reply = self.run_read(spec, &cmd).await?;
        T::from_redis_value(reply).map_err(|error| {
            let name = Arc::clone(self.shared.nodes.name(0));
            Error::Node(node::Error::new(name, spec.name, node::ErrorKind::Reply(error.into())))
        })
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<Replies<T>, Error> {
        Ok(self.run_write(command.spec(), &cmd).await?.decode(command.spec().name))
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<PerNode<T>, Error> {
        Ok(self.run_each(command.spec(), &cmd).await?.decode(command.spec().name))
    }

    fn one_reply<T: Send>(written: Replies<T>) -> Result<T, Error> {
        let mut error = None;
        for (_, outcome) in written {
            match outcome {
                Outcome::Ok(reply) => return Ok(reply),
                Outcome::Error(e) | Outcome::NotSent(e) | Outcome::Unknown(e) => error = error.or(Some(e)),
                Outcome::Skipped => {}
            }
        }
        let none =
            || node::Error::new("*".into(), "?", node::ErrorKind::Unsupported("no node was asked".into()));
        Err(Error::Node(error.unwrap_or_else(none)))
    }
}

impl Scan for RedisCopy {
    fn shards(&self) -> Result<Vec<Node>, Error> {
        let everything: [&[u8]; 0] = [];
        Ok(vec![self.in_sync_about("SCAN", everything.into_iter())?])
    }

    fn shard_of(&self, key: &[u8]) -> Result<Node, Error> {
        self.in_sync_about("SCAN", std::iter::once(key))
    }
}

impl RedisCopy {
    /// The first node, in the order in which this key is read, that is up and has missed nothing of it; without a key,
    /// nothing at all.
    fn in_sync_about<'a>(
        &self,
        command: &'static str,
        key: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Node, Error> {
        let nodes = &self.shared.nodes;
        let in_sync = |idx: &usize| {
            self.shared.behind.get(*idx).is_some_and(|behind| behind.in_sync(nodes.at(*idx), key.clone()))
        };
        let order = || nodes.ring().successors(key.clone().next().unwrap_or_default());
        // A node that is down now may be up again in a moment, so it is the choice where no other is left.
        let chosen = order().filter(in_sync).find(|idx| nodes.at(*idx).is_connected());
        match chosen.or_else(|| order().find(in_sync)) {
            Some(idx) => Ok(nodes.at(idx).clone()),
            None => Err(Error::Unavailable(Box::new(Unavailable {
                command,
                key: key.clone().next().map(<[u8]>::to_vec),
                errors: Vec::new(),
                behind: nodes.iter().map(|node| node.name().to_owned()).collect(),
            }))),
        }
    }
}

/// Gathers the nodes of a [`RedisCopy`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CopyBuilder {
    members: MembersBuilder,
    write_to: WriteTo,
    read_from: ReadFrom,
}

impl CopyBuilder {
    /// Adds a server under a name; the URL is as in [`NodeConfig::new`].
    pub fn node(mut self, name: impl Into<String>, url: &str) -> Self {
        self.members.add(Some(name.into()), url, 1);
        self
    }

    /// Adds servers under their addresses.
    pub fn nodes<U: AsRef<str>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        urls.into_iter().for_each(|url| self.members.add(None, url.as_ref(), 1));
        self
    }

    /// Adds a server with everything that can be said of it. Its weight is its share of the reads.
    pub fn node_config(mut self, node: NodeConfig) -> Self {
        self.members.add_config(node);
        self
    }

    /// Sets how many nodes must take a write. Default: [`WriteTo::Any`].
    pub fn write_to(mut self, write_to: WriteTo) -> Self {
        self.write_to = write_to;
        self
    }

    /// Sets which nodes may answer a read. Default: [`ReadFrom::InSync`].
    pub fn read_from(mut self, read_from: ReadFrom) -> Self {
        self.read_from = read_from;
        self
    }

    /// Sets which part of a key decides which node it is read from. Default: [`HashTag::Cluster`].
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.members.hash_tag(hash_tag);
        self
    }

    /// Sets how long connecting to a node may take, for nodes that do not say. Default 1 second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.members.connect_timeout(timeout);
        self
    }

    /// Sets how long a reply may take, for nodes that do not say. Default 1 second.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.members.response_timeout(timeout);
        self
    }

    /// Returns the copy without connecting.
    ///
    /// # Errors
    /// What is wrong with the nodes: a URL, a name that stands twice, that there is none, or that fewer are there than
    /// must take a write.
    pub fn build(self) -> Result<RedisCopy, Error> {
        let nodes = Nodes::new(self.members.build()?)?;
        let wanted = self.write_to.wanted(nodes.len());
        if wanted > nodes.len() || wanted == 0 {
            return Err(ConfigError::WriteTo { wanted, nodes: nodes.len() }.into());
        }
        let behind = nodes.iter().map(|_| Behind::default()).collect();
        let (write_to, read_from) = (self.write_to, self.read_from);
        Ok(RedisCopy { shared: Arc::new(Shared { nodes, behind, write_to, read_from }) })
    }

    /// Returns the copy with its nodes connected.
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`RedisCopy::ready`], within the connect timeout.
    pub async fn connect(self) -> Result<RedisCopy, Error> {
        let copy = self.build()?;
        copy.ready().await?;
        Ok(copy)
    }
}

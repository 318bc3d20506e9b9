//! Many commands at once on a ring: grouped by node, the groups sent concurrently, the results in the caller's order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline as RawPipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Pipeline;
use redisdb_node::Portion;
use redisdb_node::Recorded;
use redisdb_node::SendMany;
use redisdb_node::command;
use redisdb_node::command::Access;
use redisdb_node::command::Keys;
use redisdb_node::command::Merge;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::error::CrossNode;
use crate::error::Error;
use crate::nodes::Nodes;
use crate::replies::PerNode;
use crate::replies::Replies;
use crate::ring::RedisRing;
use crate::route::Route;
use crate::several::on_owner;
use crate::split::Part;
use crate::topology::Topology;

/// The reply to one command of a pipeline on a ring.
#[derive(Debug)]
#[non_exhaustive]
pub enum RingReply {
    /// One reply, and the node that gave it; `*` if it was merged from several.
    One(Arc<str>, Value),
    /// Each node's own answer.
    Each(PerNode<Value>),
}

/// One of the caller's commands.
trait Queued: Send + Sync {
    /// The command, with its row.
    fn command(&self) -> Result<(&'static Spec, &Cmd), Error>;

    /// What a node is sent. The command is not asked for after that.
    fn take(&mut self) -> Cmd;
}

impl Queued for Recorded {
    fn command(&self) -> Result<(&'static Spec, &Cmd), Error> {
        Ok((self.spec, &self.cmd))
    }

    fn take(&mut self) -> Cmd {
        self.cmd.take()
    }
}

/// A command in a pipeline of redis-rs, which keeps it.
struct Lent<'a> {
    spec: Option<&'static Spec>,
    cmd: &'a Cmd,
}

impl Queued for Lent<'_> {
    fn command(&self) -> Result<(&'static Spec, &Cmd), Error> {
        Ok((self.spec.ok_or_else(|| Error::unknown(self.cmd))?, self.cmd))
    }

    fn take(&mut self) -> Cmd {
        self.cmd.clone()
    }
}

/// What one of the commands waits for.
enum Waiting<'a> {
    /// Nothing: it was not sent.
    Nothing(Error),
    /// The reply of one node.
    One(&'static Spec, usize),
    /// The replies of its parts, to be merged.
    Parts(&'static Spec, Option<&'a Cmd>, Vec<Part>, Merge),
    /// The reply of every node, to be kept apart.
    Each(&'static Spec),
}

/// What each node is to be sent.
struct Portions {
    of_nodes: Vec<Option<Portion>>,
    /// How many commands a node will get, about, so that its portion need not grow.
    room: usize,
    is_full: bool,
}

impl Portions {
    fn put(&mut self, idx: usize, cmd: Cmd) {
        if let Some(of_node) = self.of_nodes.get_mut(idx) {
            let portion = of_node.get_or_insert_with(|| Portion::with_capacity(self.room));
            portion.push(cmd);
            self.is_full |= portion.is_full();
        }
    }
}

/// What a node has been sent, and what it answered.
struct Sent {
    portion: Option<Portion>,
    replies: Result<vec::IntoIter<Value>, node::Error>,
    /// How many of the commands have their outcome.
    n_taken: usize,
}

/// Runs every command of a redis-rs pipeline and hands over each one's own outcome, in order.
pub(crate) async fn run(
    ring: &RedisRing,
    pipeline: &RawPipeline,
    mut outcome: impl FnMut(Result<Value, Error>),
) {
    let mut last = None;
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        let spec = row_after(last, cmd);
        last = spec.or(last);
        commands.push(Lent { spec, cmd });
    }
    let value = |reply| match reply {
        RingReply::One(_, value) => value,
        RingReply::Each(replies) => {
            let named = |(name, reply): (&str, &Value)| (Value::BulkString(name.into()), reply.clone());
            Value::Map(replies.successes().map(named).collect())
        }
    };
    run_all(ring, &mut commands, |reply| outcome(reply.map(value))).await;
}

/// Runs commands and hands over each one's own outcome, in order. The order is kept on each node.
async fn run_all(
    ring: &RedisRing,
    commands: &mut [impl Queued],
    mut outcome: impl FnMut(Result<RingReply, Error>),
) {
    let topology = ring.topology();
    // What a node that stands in writes needs care, each command its own.
    let is_careful = |spec: &Spec| topology.ttl_cap(spec).is_some() && topology.takes_care_of(spec);
    if commands.iter().any(|command| command.command().is_ok_and(|(spec, _)| is_careful(spec))) {
        let commands: Vec<_> = commands.iter().map(Queued::command).collect();
        return ring.run_each_by_itself(&commands, outcome).await;
    }
    let nodes = &*ring.nodes_of(&topology);
    // A node that did not answer a part of the pipeline gets none of the rest.
    let mut lost: BTreeMap<usize, Arc<node::ErrorKind>> = BTreeMap::new();
    let none = Cmd::new();
    let mut commands = commands.iter_mut();
    while !commands.as_slice().is_empty() {
        let room = commands.len() / nodes.len() * 5 / 4 + 4;
        let mut portions = Portions { of_nodes: Vec::with_capacity(nodes.len()), room, is_full: false };
        portions.of_nodes.resize_with(nodes.len(), || None);
        let mut waiting = Vec::with_capacity(commands.len().min(room * nodes.len()));
        for command in commands.by_ref() {
            waiting.push(plan(&topology, command, &mut portions));
            if portions.is_full {
                break;
            }
        }
        let sent = portions.of_nodes.into_iter().enumerate().map(async |(idx, portion)| {
            let replies = match (&portion, lost.get(&idx)) {
                (None, _) => Ok(Vec::new()),
                (Some(_), Some(cause)) => {
                    let cause = Arc::clone(cause);
                    Err(failed(nodes, idx, "pipeline", &node::ErrorKind::Down { cause }))
                }
                (Some(portion), None) => {
                    nodes.at(idx).send_pipeline(portion.pipeline(), 0, portion.len()).await
                }
            };
            Sent { portion, replies: replies.map(Vec::into_iter), n_taken: 0 }
        });
        let mut sent = join_all(sent).await;
        for (idx, sent) in sent.iter().enumerate() {
            if let Err(error) = &sent.replies {
                lost.entry(idx).or_insert_with(|| match error.kind() {
                    node::ErrorKind::Down { cause } => Arc::clone(cause),
                    kind => Arc::new(kind.clone()),
                });
            }
        }
        // Each command takes its replies in the order in which it was put into the portions.
        for waiting in waiting {
            outcome(match waiting {
                Waiting::Nothing(error) => Err(error),
                Waiting::One(spec, idx) => match next(nodes, &mut sent, idx, spec) {
                    Ok(value) => Ok(RingReply::One(Arc::clone(nodes.name(idx)), value)),
                    Err((error, cmd)) => Err(on_owner(spec, cmd.unwrap_or(&none), error)),
                },
                Waiting::Parts(spec, cmd, parts, merge) => {
                    let replies = parts.iter().map(|part| of_node(nodes, &mut sent, part.node, spec));
                    let replies = replies.collect();
                    let merged = nodes.merge_parts(spec, cmd.unwrap_or(&none), merge, parts, replies);
                    merged.map(|value| RingReply::One("*".into(), value))
                }
                Waiting::Each(spec) => {
                    let replies = nodes
                        .iter()
                        .enumerate()
                        .map(|(idx, node)| (node.name().into(), of_node(nodes, &mut sent, idx, spec).into()));
                    Ok(RingReply::Each(Replies::new(replies.collect())))
                }
            });
        }
    }
}

/// The next reply of a node; an error comes with the command that it is about.
fn next<'a>(
    nodes: &Nodes,
    sent: &'a mut [Sent],
    idx: usize,
    spec: &'static Spec,
) -> Result<Value, (node::Error, Option<&'a Cmd>)> {
    let too_few = || {
        let reason = "it gave fewer replies than there were commands";
        let source = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, reason);
        node::ErrorKind::Disconnected(Arc::new(source))
    };
    let Some(Sent { portion, replies, n_taken }) = sent.get_mut(idx) else {
        return Err((failed(nodes, idx, spec.name, &too_few()), None));
    };
    *n_taken += 1;
    let error = match replies {
        Ok(replies) => match replies.next() {
            Some(reply @ Value::ServerError(_)) => nodes.at(idx).accept(spec.name, reply).err(),
            Some(reply) => return Ok(reply),
            None => None,
        },
        Err(error) => Some(failed(nodes, idx, spec.name, error.kind())),
    };
    let error = error.unwrap_or_else(|| failed(nodes, idx, spec.name, &too_few()));
    let cmd = portion.as_ref().and_then(|portion| portion.pipeline().cmd_iter().nth(*n_taken - 1));
    Err((error, cmd))
}

fn of_node(nodes: &Nodes, sent: &mut [Sent], idx: usize, spec: &'static Spec) -> Result<Value, node::Error> {
    next(nodes, sent, idx, spec).map_err(|(error, _)| error)
}

fn failed(nodes: &Nodes, idx: usize, command: &'static str, kind: &node::ErrorKind) -> node::Error {
    node::Error::new(Arc::clone(nodes.name(idx)), command, kind.clone())
}

/// Decides where a command goes, and puts it, or its parts, into the portions.
fn plan<'a>(topology: &Topology, command: &'a mut impl Queued, portions: &mut Portions) -> Waiting<'a> {
    let (spec, cmd) = match command.command() {
        Ok(command) => command,
        Err(error) => return Waiting::Nothing(error),
    };
    let routed = match spec.needs_owned(cmd) {
        Some(reason) => Err(Error::refused(spec.name, "ring", reason)),
        None => topology.route(spec, cmd),
    };
    match routed {
        Err(error) => Waiting::Nothing(error),
        Ok(Route::Owner(owner)) => {
            portions.put(owner, command.take());
            Waiting::One(spec, owner)
        }
        Ok(Route::AnyNode) => {
            let up = topology.nodes.iter().position(|node| node.is_connected()).unwrap_or(0);
            portions.put(up, command.take());
            Waiting::One(spec, up)
        }
        Ok(Route::Parts(mut parts, merge)) => {
            parts.iter_mut().for_each(|part| portions.put(part.node, part.cmd.take()));
            Waiting::Parts(spec, command.command().ok().map(|(_, cmd)| cmd), parts, merge)
        }
        Ok(Route::EveryNode(merge)) => {
            let n_nodes = topology.nodes.len();
            (0..n_nodes).for_each(|idx| portions.put(idx, cmd.clone()));
            if spec.access == Access::Each {
                return Waiting::Each(spec);
            }
            let part = |node| Part { node, cmd: Cmd::new(), keys: Vec::new() };
            Waiting::Parts(spec, None, (0..n_nodes).map(part).collect(), merge)
        }
    }
}

fn row(cmd: &Cmd) -> Result<&'static Spec, Error> {
    command::lookup(cmd).ok_or_else(|| Error::unknown(cmd))
}

/// The row of a command that follows another one in a pipeline, which often is the same command again.
fn row_after(last: Option<&'static Spec>, cmd: &Cmd) -> Option<&'static Spec> {
    let name = command::words(cmd).next().unwrap_or_default();
    // Of the commands that have subcommands none has keys, so one word is the whole name.
    let is_again = |spec: &&Spec| spec.keys != Keys::None && name == spec.name.as_bytes();
    last.filter(is_again).or_else(|| command::lookup(cmd))
}

/// Runs a redis-rs `MULTI` block as it is on the owner of its keys, which must have one hash tag.
pub(crate) async fn run_atomic(
    ring: &RedisRing,
    pipeline: &RawPipeline,
    offset: usize,
    count: usize,
) -> Result<Vec<Value>, Error> {
    let mut commands = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        commands.push((row(cmd)?, cmd));
    }
    Ok(owner_of(ring, commands)?.send_pipeline(pipeline, offset, count).await?)
}

/// The one node that a block of commands can run on.
pub(crate) fn owner_of<'a>(
    ring: &RedisRing,
    commands: impl IntoIterator<Item = (&'static Spec, &'a Cmd)>,
) -> Result<Node, Error> {
    let mut keys: Vec<&[u8]> = Vec::new();
    for (spec, cmd) in commands {
        if let OnRing::Refuse(reason) = spec.ring {
            return Err(Error::refused(spec.name, "ring", reason));
        }
        let found = spec.keys_of(cmd).map_err(Error::keys(spec))?;
        keys.extend(found.map(|(_, key)| key));
    }
    let placement = ring.placement();
    let Some(&first) = keys.first() else {
        return Err(Error::refused("MULTI", "ring", "without keys it has no owner; run it on one node"));
    };
    if !keys.iter().all(|key| placement.tag(*key) == placement.tag(first)) {
        let keys = keys.into_iter().map(|key| (key.to_vec(), ring.node_for(key).name().to_owned())).collect();
        return Err(Error::CrossNode(Box::new(CrossNode { command: "MULTI", keys })));
    }
    Ok(ring.node_for(first))
}

impl RedisRing {
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
}

impl SendMany for RedisRing {
    type Reply = RingReply;

    async fn send_many(
        &self,
        commands: &mut [Recorded],
        outcome: impl FnMut(Result<RingReply, Error>) + Send,
    ) {
        run_all(self, commands, outcome).await;
    }

    async fn send_atomic(
        &self,
        commands: &[Recorded],
        mut outcome: impl FnMut(Result<RingReply, Error>) + Send,
    ) {
        if commands.is_empty() {
            return;
        }
        let node = match owner_of(self, commands.iter().map(|command| (command.spec, &command.cmd))) {
            Ok(node) => node,
            Err(error) => return commands.iter().for_each(|_| outcome(Err(error.clone()))),
        };
        for (command, reply) in commands.iter().zip(node.send_block(commands).await) {
            outcome(match reply {
                Ok(value) => Ok(RingReply::One(node.name().into(), value)),
                Err(error) => Err(on_owner(command.spec, &command.cmd, error)),
            });
        }
    }

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: RingReply) -> Result<T, Error> {
        match reply {
            RingReply::One(name, value) => Ok(crate::replies::decode(&name, spec.name, value)?),
            RingReply::Each(replies) => {
                let first = replies.into_iter().find_map(|(name, outcome)| match outcome {
                    crate::replies::Outcome::Ok(value) => Some((name, value)),
                    _ => None,
                });
                let (name, value) = first.unwrap_or(("*".into(), Value::Nil));
                Ok(crate::replies::decode(&name, spec.name, value)?)
            }
        }
    }

    fn write_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: RingReply) -> Result<T, Error> {
        Self::read_reply(spec, reply)
    }

    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: RingReply,
    ) -> Result<PerNode<T>, Error> {
        Ok(match reply {
            RingReply::Each(replies) => replies.decode(spec.name),
            RingReply::One(name, value) => {
                let outcome = crate::replies::decode(&name, spec.name, value).into();
                Replies::new(vec![(name, outcome)])
            }
        })
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::refused(command, "ring", reason)
    }

    fn given_up(&self, command: &'static str) -> Error {
        let reason = "the pipeline was dropped before its replies came";
        let source = std::io::Error::new(std::io::ErrorKind::Interrupted, reason);
        let kind = node::ErrorKind::Disconnected(Arc::new(source));
        Error::Node(node::Error::new("*".into(), command, kind))
    }
}

//! Many commands at once on a ring: grouped by node, the groups sent concurrently, the results in the caller's order.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline as RawPipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Pipeline;
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
use crate::replies::PerNode;
use crate::replies::Replies;
use crate::ring::RedisRing;
use crate::ring::on_owner;
use crate::route::Route;
use crate::split::Part;
use crate::topology::Topology;

/// How many commands are routed at a time: what that takes in memory does not grow with the pipeline.
const WINDOW: usize = 10_000;

/// The reply to one command of a pipeline on a ring.
#[derive(Debug)]
#[non_exhaustive]
pub enum RingReply {
    /// One reply, and the node that gave it; `*` if it was merged from several.
    One(Arc<str>, Value),
    /// Each node's own answer.
    Each(PerNode<Value>),
}

/// What one of the commands waits for.
enum Waiting<'a> {
    /// Nothing: it was not sent.
    Nothing(Error),
    /// The reply of one node.
    One(&'static Spec, &'a Cmd, usize),
    /// The replies of its parts, to be merged.
    Parts(&'static Spec, &'a Cmd, Vec<Part>, Merge),
    /// The reply of every node, to be kept apart.
    Each(&'static Spec, &'a Cmd),
}

/// Where one command of a group stands.
enum Place {
    /// It is one of the caller's.
    Whole(usize),
    /// It is a part of one of the caller's.
    Part(usize, usize),
}

/// The commands for one node, in their order.
type Groups = BTreeMap<usize, Vec<Place>>;

/// Runs every command of a redis-rs pipeline and returns each one's own outcome, in order.
pub(crate) async fn run(ring: &RedisRing, pipeline: &RawPipeline) -> Vec<Result<Value, Error>> {
    let mut last = None;
    let commands: Vec<Result<(&'static Spec, &Cmd), Error>> = pipeline
        .cmd_iter()
        .map(|cmd| {
            let spec = row_after(last, cmd)?;
            last = Some(spec);
            Ok((spec, cmd))
        })
        .collect();
    let value = |reply| match reply {
        RingReply::One(_, value) => value,
        RingReply::Each(replies) => {
            let named = |(name, reply): (&str, &Value)| (Value::BulkString(name.into()), reply.clone());
            Value::Map(replies.successes().map(named).collect())
        }
    };
    let mut outcomes = Vec::with_capacity(commands.len());
    run_all(
        ring,
        &commands,
        |command| command.clone(),
        |outcome| {
            outcomes.push(outcome.map(value));
        },
    )
    .await;
    outcomes
}

/// Runs commands and hands over each one's own outcome, in order. The order is kept on each node.
async fn run_all<C: Sync>(
    ring: &RedisRing,
    commands: &[C],
    routable: impl Fn(&C) -> Result<(&'static Spec, &Cmd), Error>,
    mut outcome: impl FnMut(Result<RingReply, Error>),
) {
    let topology = ring.topology();
    // What a node that stands in writes needs care, command by command.
    let is_careful = |spec: &Spec| topology.ttl_cap(spec).is_some() && topology.takes_care_of(spec);
    if commands.iter().map(&routable).any(|command| command.is_ok_and(|(spec, _)| is_careful(spec))) {
        for command in commands {
            outcome(match routable(command) {
                Ok((spec, cmd)) => ring.run_one(spec, cmd).await,
                Err(error) => Err(error),
            });
        }
        return;
    }
    let nodes = &*ring.nodes_of(&topology);
    // A node that did not answer a part of the pipeline gets none of the rest.
    let mut lost: BTreeMap<usize, Arc<node::ErrorKind>> = BTreeMap::new();
    for commands in commands.chunks(WINDOW) {
        let mut groups = Groups::new();
        let planned = commands.iter().map(&routable).enumerate();
        let waiting: Vec<_> = planned.map(|(i, command)| plan(&topology, i, command, &mut groups)).collect();
        let sent = groups.iter().map(async |(&idx, places)| {
            let commands = places.iter().filter_map(|place| command_at(&waiting, place));
            let replies = match lost.get(&idx) {
                Some(cause) => commands.map(|(spec, _)| Err(down(nodes.at(idx), spec, cause))).collect(),
                None => nodes.at(idx).send_each(commands).await,
            };
            (idx, replies.into_iter())
        });
        let mut replies: BTreeMap<usize, _> = join_all(sent).await.into_iter().collect();
        for (&idx, replies) in &replies {
            if let Some(Err(error)) = replies.as_slice().last()
                && !matches!(error.kind(), node::ErrorKind::Server(_))
            {
                let cause = match error.kind() {
                    node::ErrorKind::Down { cause } => Arc::clone(cause),
                    kind => Arc::new(kind.clone()),
                };
                lost.insert(idx, cause);
            }
        }
        // Each command takes its replies from the groups in the order in which it was put there.
        let mut next = |idx: usize, spec: &'static Spec| {
            replies
                .get_mut(&idx)
                .and_then(Iterator::next)
                .unwrap_or_else(|| Err(missing(nodes.at(idx), spec)))
        };
        let answered = waiting.into_iter().map(|waiting| match waiting {
            Waiting::Nothing(error) => Err(error),
            Waiting::One(spec, cmd, idx) => match next(idx, spec) {
                Ok(value) => Ok(RingReply::One(Arc::clone(nodes.name(idx)), value)),
                Err(error) => Err(on_owner(spec, cmd, error)),
            },
            Waiting::Parts(spec, cmd, parts, merge) => {
                let replies = parts.iter().map(|part| next(part.node, spec)).collect();
                Ok(RingReply::One("*".into(), nodes.merge_parts(spec, cmd, merge, parts, replies)?))
            }
            Waiting::Each(spec, _) => {
                let replies = nodes.iter().enumerate();
                let named = replies.map(|(idx, node)| (node.name().into(), next(idx, spec).into()));
                Ok(RingReply::Each(Replies::new(named.collect())))
            }
        });
        answered.for_each(&mut outcome);
    }
}

/// Decides where a command goes, and puts it, or its parts, into the groups.
fn plan<'a>(
    topology: &Topology,
    i: usize,
    command: Result<(&'static Spec, &'a Cmd), Error>,
    groups: &mut Groups,
) -> Waiting<'a> {
    let (spec, cmd) = match command {
        Ok(command) => command,
        Err(error) => return Waiting::Nothing(error),
    };
    let routed = match spec.needs_owned(cmd) {
        Some(reason) => Err(Error::refused(spec.name, "ring", reason)),
        None => topology.route(spec, cmd),
    };
    let mut put = |idx: usize, place| groups.entry(idx).or_default().push(place);
    match routed {
        Err(error) => Waiting::Nothing(error),
        Ok(Route::Owner(owner)) => {
            put(owner, Place::Whole(i));
            Waiting::One(spec, cmd, owner)
        }
        Ok(Route::AnyNode) => {
            let up = topology.nodes.iter().position(|node| node.is_connected()).unwrap_or(0);
            put(up, Place::Whole(i));
            Waiting::One(spec, cmd, up)
        }
        Ok(Route::Parts(parts, merge)) => {
            parts.iter().enumerate().for_each(|(part, Part { node, .. })| put(*node, Place::Part(i, part)));
            Waiting::Parts(spec, cmd, parts, merge)
        }
        Ok(Route::EveryNode(merge)) => {
            let n_nodes = topology.nodes.len();
            (0..n_nodes).for_each(|idx| put(idx, Place::Whole(i)));
            if spec.access == Access::Each {
                return Waiting::Each(spec, cmd);
            }
            let part = |node| Part { node, cmd: Cmd::new(), keys: Vec::new() };
            Waiting::Parts(spec, cmd, (0..n_nodes).map(part).collect(), merge)
        }
    }
}

fn command_at<'a>(waiting: &'a [Waiting<'_>], place: &Place) -> Option<(&'static Spec, &'a Cmd)> {
    let (i, part) = match place {
        Place::Whole(i) => (*i, None),
        Place::Part(i, part) => (*i, Some(*part)),
    };
    match (waiting.get(i)?, part) {
        (Waiting::Parts(spec, _, parts, _), Some(part)) => Some((spec, &parts.get(part)?.cmd)),
        (Waiting::One(spec, cmd, _) | Waiting::Parts(spec, cmd, ..) | Waiting::Each(spec, cmd), _) => {
            Some((spec, cmd))
        }
        (Waiting::Nothing(_), _) => None,
    }
}

fn row(cmd: &Cmd) -> Result<&'static Spec, Error> {
    command::lookup(cmd).ok_or_else(|| Error::unknown(cmd))
}

/// The row of a command that follows another one in a pipeline, which often is the same command again.
fn row_after(last: Option<&'static Spec>, cmd: &Cmd) -> Result<&'static Spec, Error> {
    let name = command::words(cmd).next().unwrap_or_default();
    // Of the commands that have subcommands none has keys, so one word is the whole name.
    let is_again = |spec: &&Spec| spec.keys != Keys::None && name.eq_ignore_ascii_case(spec.name.as_bytes());
    last.filter(is_again).map_or_else(|| row(cmd), Ok)
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

fn missing(node: &Node, spec: &'static Spec) -> node::Error {
    let source = std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        "it gave fewer replies than there were commands",
    );
    node::Error::new(node.name().into(), spec.name, node::ErrorKind::Disconnected(Arc::new(source)))
}

fn down(node: &Node, spec: &'static Spec, cause: &Arc<node::ErrorKind>) -> node::Error {
    node::Error::new(node.name().into(), spec.name, node::ErrorKind::Down { cause: Arc::clone(cause) })
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

impl RedisRing {
    /// Runs one command of a pipeline by itself.
    async fn run_one(&self, spec: &'static Spec, cmd: &Cmd) -> Result<RingReply, Error> {
        if let Some(reason) = spec.needs_owned(cmd) {
            return Err(Error::refused(spec.name, "ring", reason));
        }
        if spec.access == Access::Each {
            let topology = self.topology();
            let nodes = self.nodes_of(&topology);
            return Ok(RingReply::Each(nodes.replies(nodes.run_on_all(spec, cmd).await)));
        }
        Ok(RingReply::One("*".into(), self.run(spec, cmd).await?))
    }
}

impl SendMany for RedisRing {
    type Reply = RingReply;

    async fn send_many(&self, commands: &[Recorded], outcome: impl FnMut(Result<RingReply, Error>) + Send) {
        run_all(self, commands, |command| Ok((command.spec, &command.cmd)), outcome).await;
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

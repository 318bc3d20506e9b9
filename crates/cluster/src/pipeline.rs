//! Many commands at once on a ring: grouped by node, the groups sent concurrently, the results in the caller's order.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command;
use redisdb_node::command::Merge;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::error::CrossNode;
use crate::error::Error;
use crate::explain::unknown_name;
use crate::ring::RedisRing;
use crate::ring::on_owner;
use crate::route::Route;
use crate::split::Part;

/// What one of the commands waits for.
enum Waiting<'a> {
    /// Nothing: it was not sent.
    Nothing(Error),
    /// The reply of one node.
    One(&'static Spec, &'a Cmd, usize),
    /// The replies of its parts, to be merged.
    Parts(&'static Spec, &'a Cmd, Vec<Part>, Merge),
}

/// Runs every command of a pipeline and returns each one's own outcome, in order. The order is kept on each node.
pub(crate) async fn run(ring: &RedisRing, pipeline: &Pipeline) -> Vec<Result<Value, Error>> {
    let mut groups: BTreeMap<usize, Pipeline> = BTreeMap::new();
    let mut send = |node: usize, cmd: &Cmd| {
        groups.entry(node).or_default().add_command(cmd.clone());
    };
    let mut waiting = Vec::with_capacity(pipeline.len());
    for cmd in pipeline.cmd_iter() {
        waiting.push(match plan(ring, cmd) {
            Err(error) => Waiting::Nothing(error),
            Ok((spec, Route::Owner(owner))) => {
                send(owner, cmd);
                Waiting::One(spec, cmd, owner)
            }
            Ok((spec, Route::AnyNode)) => {
                let up = ring.nodes().position(|node| node.is_connected()).unwrap_or(0);
                send(up, cmd);
                Waiting::One(spec, cmd, up)
            }
            Ok((spec, Route::Parts(parts, merge))) => {
                parts.iter().for_each(|part| send(part.node, &part.cmd));
                Waiting::Parts(spec, cmd, parts, merge)
            }
            Ok((spec, Route::EveryNode(merge))) => {
                let part = |node| Part { node, cmd: Cmd::new(), keys: Vec::new() };
                let parts: Vec<Part> = (0..ring.nodes().len()).map(part).collect();
                parts.iter().for_each(|part| send(part.node, cmd));
                Waiting::Parts(spec, cmd, parts, merge)
            }
        });
    }
    let sent = groups.iter().map(async |(&node, group)| {
        (node, Group::from(ring.at(node).send_pipeline(group, 0, group.len()).await))
    });
    let mut groups: BTreeMap<usize, Group> = join_all(sent).await.into_iter().collect();
    // Each command takes its replies from the groups in the order in which it was put there.
    let mut next = |idx: usize, spec: &'static Spec| match groups.get_mut(&idx) {
        Some(group) => group.next(ring.at(idx), spec),
        None => Err(missing(ring.at(idx), spec)),
    };
    let results = waiting.into_iter().map(|waiting| match waiting {
        Waiting::Nothing(error) => Err(error),
        Waiting::One(spec, cmd, node) => next(node, spec).map_err(|error| on_owner(spec, cmd, error)),
        Waiting::Parts(spec, cmd, parts, merge) => {
            let replies = parts.iter().map(|part| next(part.node, spec)).collect();
            ring.merge_parts(spec, cmd, merge, parts, replies)
        }
    });
    results.collect()
}

/// Runs a `MULTI` block as it is on the owner of its keys, which must have one hash tag.
pub(crate) async fn run_atomic(
    ring: &RedisRing,
    pipeline: &Pipeline,
    offset: usize,
    count: usize,
) -> Result<Vec<Value>, Error> {
    let mut keys: Vec<&[u8]> = Vec::new();
    for cmd in pipeline.cmd_iter() {
        let spec =
            command::lookup(cmd).ok_or_else(|| Error::UnknownCommand { command: unknown_name(cmd) })?;
        if let OnRing::Refuse(reason) = spec.ring {
            return Err(unsupported(spec, reason));
        }
        let found = spec.keys_of(cmd).map_err(|reason| Error::Keys { command: spec.name, reason })?;
        keys.extend(found.map(|(_, key)| key));
    }
    let placement = ring.placement();
    let Some(&first) = keys.first() else {
        let (command, reason) =
            ("MULTI".to_owned(), "without keys it has no owner; run it on one node".to_owned());
        return Err(Error::Unsupported { command, strategy: "ring", reason });
    };
    if !keys.iter().all(|key| placement.tag(*key) == placement.tag(first)) {
        let keys = keys.into_iter().map(|key| (key.to_vec(), ring.node_for(key).name().to_owned())).collect();
        return Err(Error::CrossNode(Box::new(CrossNode { command: "MULTI", keys })));
    }
    Ok(ring.node_for(first).send_pipeline(pipeline, offset, count).await?)
}

fn plan(ring: &RedisRing, cmd: &Cmd) -> Result<(&'static Spec, Route), Error> {
    let spec = command::lookup(cmd).ok_or_else(|| Error::UnknownCommand { command: unknown_name(cmd) })?;
    match spec.needs_owned(cmd) {
        Some(reason) => Err(unsupported(spec, reason)),
        None => Ok((spec, ring.route(spec, cmd)?)),
    }
}

fn unsupported(spec: &Spec, reason: &str) -> Error {
    Error::Unsupported { command: spec.name.to_owned(), strategy: "ring", reason: reason.to_owned() }
}

/// What one node said to its group of the commands.
enum Group {
    Replies(std::vec::IntoIter<Value>),
    Failed(node::Error),
}

impl From<Result<Vec<Value>, node::Error>> for Group {
    fn from(result: Result<Vec<Value>, node::Error>) -> Self {
        match result {
            Ok(replies) => Self::Replies(replies.into_iter()),
            Err(error) => Self::Failed(error),
        }
    }
}

impl Group {
    fn next(&mut self, node: &Node, spec: &'static Spec) -> Result<Value, node::Error> {
        match self {
            Self::Failed(error) => Err(error.clone()),
            Self::Replies(replies) => match replies.next() {
                Some(reply) => node.accept(spec.name, reply),
                None => Err(missing(node, spec)),
            },
        }
    }
}

fn missing(node: &Node, spec: &'static Spec) -> node::Error {
    let kind = node::ErrorKind::NotRedis("it gave fewer replies than there were commands".to_owned());
    node::Error::new(node.name().into(), spec.name, kind)
}

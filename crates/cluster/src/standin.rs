//! Commands on a ring that does without the nodes that are away: others stand in for them.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;

use crate::both::both;
use crate::error::Error;
use crate::nodes::Nodes;
use crate::pipeline::RingReply;
use crate::ring::RedisRing;
use crate::route::Route;
use crate::several::on_owner;
use crate::split::Shares;
use crate::topology::Topology;
use crate::topology::is_delete;

/// How many commands of a pipeline are under way at once that run each by itself.
const AT_ONCE: usize = 1000;

/// Shortens the life of keys that would live longer than so many milliseconds.
const CAP: &str = "for _, key in ipairs(KEYS) do \
                     local left = redis.call('PTTL', key) \
                     if left == -1 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, ARGV[1]) end \
                   end";

impl RedisRing {
    /// Runs a command where nodes that are away may have a part in it.
    pub(crate) async fn run_without_those_away(
        &self,
        topology: &Topology,
        spec: &'static Spec,
        cmd: &Cmd,
    ) -> Result<Value, Error> {
        let nodes = &*self.nodes_of(topology);
        // A node may go, or come back, at any moment; each time the command, if it was not sent, goes elsewhere.
        let mut attempts = 0..=nodes.len();
        loop {
            let is_last = attempts.next().is_none_or(|attempt| attempt == nodes.len());
            match topology.route(spec, cmd)? {
                Route::Owner(at) => match run_at(topology, nodes, at, spec, cmd).await {
                    None if !is_last => {}
                    Some(Err(error)) if error.is_connect() && topology.is_away(at) && !is_last => {}
                    Some(reply) => return reply.map_err(|error| on_owner(spec, cmd, error)),
                    None => return Err(flapping(nodes.at(at), spec, cmd)),
                },
                Route::Parts(split, rule) => {
                    let replies = split.parts.iter().map(async |part| {
                        match run_at(topology, nodes, part.node, spec, &part.cmd).await {
                            Some(Err(error))
                                if error.is_connect() && topology.is_away(part.node) && !is_last =>
                            {
                                self.run_part(topology, spec, &part.cmd).await
                            }
                            Some(reply) => reply,
                            None => self.run_part(topology, spec, &part.cmd).await,
                        }
                    });
                    let replies = join_all(replies).await;
                    return nodes.merge_parts(spec, cmd, rule, split, replies);
                }
                route => return nodes.run_on_several(spec, cmd, route).await,
            }
        }
    }

    /// Runs the commands of a pipeline each by itself, and hands over each one's outcome, in order: all at once that name
    /// different keys and follow each other, for their order is of no account.
    pub(crate) async fn run_each_by_itself(
        &self,
        commands: &[Result<(&'static Spec, &Cmd), Error>],
        mut outcomes: impl FnMut(Vec<Result<RingReply, Error>>),
    ) {
        let mut rest = commands;
        while !rest.is_empty() {
            let (together, others) = rest.split_at(n_of_different_keys(rest).min(rest.len()));
            let each = together.iter().map(async |command| match command {
                Ok((spec, cmd)) => self.run_one(spec, cmd).await,
                Err(error) => Err(error.clone()),
            });
            outcomes(join_all(each).await);
            rest = others;
        }
    }

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

    /// Runs a part of a command anew, whose node went, or came back, after it was routed.
    fn run_part<'a>(
        &'a self,
        topology: &'a Topology,
        spec: &'static Spec,
        cmd: &'a Cmd,
    ) -> Pin<Box<dyn Future<Output = Result<Value, node::Error>> + Send + 'a>> {
        Box::pin(async move {
            let reply = self.run_without_those_away(topology, spec, cmd).await;
            reply.map_err(|error| match error.node_errors().first() {
                Some(first) => (*first).clone(),
                None => {
                    let kind = node::ErrorKind::Unsupported(error.to_string().into());
                    node::Error::new("*".into(), spec.name, kind)
                }
            })
        })
    }
}

/// How many commands, from the first on, name different keys; at least one, if there is any.
fn n_of_different_keys(commands: &[Result<(&'static Spec, &Cmd), Error>]) -> usize {
    let mut named = HashSet::new();
    let mut n = 0;
    for command in commands.iter().take(AT_ONCE) {
        if let Ok((spec, cmd)) = command {
            let keys: Vec<&[u8]> = spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key).collect();
            if keys.is_empty() || keys.iter().any(|key| named.contains(key)) {
                break;
            }
            named.extend(keys);
        }
        n += 1;
    }
    n.max(1)
}

/// Runs a command, or a part of one, on one node; `None` if it is not the node for that any more, and nothing was sent.
async fn run_at(
    topology: &Topology,
    nodes: &Nodes,
    at: usize,
    spec: &'static Spec,
    cmd: &Cmd,
) -> Option<Result<Value, node::Error>> {
    let node = nodes.at(at);
    let Some(cap) = topology.ttl_cap(spec) else { return Some(node.run(spec, cmd).await) };
    let keys = || spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key);
    // A part of a split command may have keys of its node beside those of nodes that it stands in for.
    let others: Vec<&[u8]> = keys().filter(|key| nodes.ring().lookup(*key) != at).collect();
    let mut standing_in = Vec::with_capacity(others.len());
    for key in &others {
        standing_in.push(topology.away_of(key)?.stand_in(std::iter::once(*key))?);
    }
    let reply = match others.is_empty() || is_delete(spec) {
        true => node.run(spec, cmd).await,
        false => write_capped(node, spec, cmd, shorten(&others, cap)).await,
    };
    if is_delete(spec) && others.len() < keys().count() {
        delete_elsewhere(topology, nodes, spec, cmd).await;
    }
    drop(standing_in);
    Some(reply)
}

/// What sees to it that keys live no longer than that.
fn shorten(keys: &[&[u8]], cap: Duration) -> Cmd {
    let mut shorten = rows::EVAL.cmd();
    shorten.arg(CAP).arg(keys.len()).arg(keys).arg(u64::try_from(cap.as_millis()).unwrap_or(u64::MAX));
    shorten
}

/// Runs a write, and sees to it that what it wrote does not live too long.
async fn write_capped(
    node: &Node,
    spec: &'static Spec,
    cmd: &Cmd,
    shorten: Cmd,
) -> Result<Value, node::Error> {
    if spec.needs_owned(cmd).is_some() {
        let reply = node.run(spec, cmd).await?;
        return node.run(rows::EVAL.spec(), &shorten).await.map(|_| reply);
    }
    both(node, spec, cmd, shorten).await.map(|(reply, _)| reply)
}

/// Deletes keys where they may have been written while their owner was away, as other clients saw it. What is left there
/// goes by itself soon, so an error is of no consequence.
async fn delete_elsewhere(topology: &Topology, nodes: &Nodes, spec: &'static Spec, cmd: &Cmd) {
    let next = |key: &[u8]| {
        let served_by = topology.serving(key);
        let mut others =
            nodes.ring().successors(key).filter(|idx| *idx != served_by && !topology.is_away(*idx));
        others.next().unwrap_or(served_by)
    };
    let Ok(shares) = Shares::of(nodes.len(), next, spec, cmd) else { return };
    let split = shares.split();
    let deletes = split.parts.iter().map(async |part| nodes.at(part.node).run(spec, &part.cmd).await);
    for result in join_all(deletes).await {
        if let Err(error) = result {
            tracing::debug!(%error, "not deleted where it may stand as well");
        }
    }
}

fn flapping(node: &Node, spec: &'static Spec, cmd: &Cmd) -> Error {
    let reason = "it came and went while the command was to be sent; try again";
    let kind = node::ErrorKind::Connect(Arc::new(io::Error::new(io::ErrorKind::NotConnected, reason)));
    on_owner(spec, cmd, node::Error::new(node.name().into(), spec.name, kind))
}

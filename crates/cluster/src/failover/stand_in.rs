//! Commands on a ring while a node is away: another node stands in for it.

use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;
use redisdb_node::plumbing::Recorded;

use crate::dispatch::scatter::on_owner;
use crate::engine::nodes::Nodes;
use crate::engine::ring::RingEngine;
use crate::engine::topology::Topology;
use crate::engine::topology::is_delete;
use crate::error::Error;
use crate::failover::tracker::OutageTracker;
use crate::failover::tracker::StandingIn;
use crate::failover::tracker::remove;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::plan::split::Shares;
use crate::policy::OnDown;
use crate::reply::NodesReply;

/// How many commands of a pipeline are under way at once that run each by itself.
const AT_ONCE: usize = 1000;

/// Shortens the life of keys that would live longer than so many milliseconds.
const CAP: &str = "for _, key in ipairs(KEYS) do \
                     local left = redis.call('PTTL', key) \
                     if left == -1 or left > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, ARGV[1]) end \
                   end";

/// Removes keys that have no more than so many milliseconds to live.
const FORGET: &str = "for i, key in ipairs(KEYS) do \
                        local left = redis.call('PTTL', key) \
                        if 0 <= left and left <= tonumber(ARGV[i]) then redis.call('UNLINK', key) end \
                      end";

impl RingEngine {
    /// Runs a command where nodes that are away may have a part in it.
    pub(crate) async fn run_without_those_away(
        &self,
        topology: &Topology,
        spec: &'static Spec,
        cmd: &Cmd,
    ) -> Result<NodesReply, Error> {
        let nodes = &*self.nodes_of(topology);
        // A node may go, or come back, at any moment; each time the command, if it was not sent, goes elsewhere.
        let mut attempts = 0..=nodes.len();
        loop {
            let is_last = attempts.next().is_none_or(|attempt| attempt == nodes.len());
            match topology.route(spec, cmd, Context::Alone)? {
                Plan::One(at) => match run_at(topology, nodes, at, spec, cmd).await {
                    None if !is_last => {}
                    Some(Err(error)) if error.is_connect() && topology.is_away(at) && !is_last => {}
                    Some(Ok(reply)) => return Ok(NodesReply::One(Arc::clone(nodes.name(at)), reply)),
                    Some(Err(error)) => return Err(on_owner(spec, cmd, error)),
                    None => return Err(flapping(nodes.at(at), spec, cmd)),
                },
                Plan::Parts(split, rule) => {
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
        mut outcomes: impl FnMut(Vec<Result<NodesReply, Error>>),
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
    async fn run_one(&self, spec: &'static Spec, cmd: &Cmd) -> Result<NodesReply, Error> {
        let _sendable = self.topology().route(spec, cmd, Context::Pipeline)?;
        self.reply(spec, cmd).await
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
            reply.and_then(|reply| reply.into_one(spec)).map_err(|error| match error.node_errors().first() {
                Some(first) => (*first).clone(),
                None => {
                    let kind = node::ErrorKind::Unsupported(error.to_string().into());
                    node::Error::without_node(spec.name, kind)
                }
            })
        })
    }
}

/// How many commands, from the first on, may run at once, for none writes a key that another one names; at least one, if
/// there is any.
fn n_of_different_keys(commands: &[Result<(&'static Spec, &Cmd), Error>]) -> usize {
    let (mut named, mut written) = (HashSet::new(), HashSet::new());
    let mut n = 0;
    for command in commands.iter().take(AT_ONCE) {
        if let Ok((spec, cmd)) = command {
            let keys: Vec<&[u8]> = spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key).collect();
            let (others, writes) = match spec.access {
                Access::Read => (&written, false),
                _ => (&named, true),
            };
            if keys.is_empty() || keys.iter().any(|key| others.contains(key)) {
                break;
            }
            if writes {
                written.extend(keys.iter().copied());
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
    if !topology.on_down.is_careful() {
        return Some(node.run(spec, cmd).await);
    }
    let keys = || spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key);
    // A part of a split command may have keys of its node beside those of nodes that it stands in for.
    let others: Vec<&[u8]> = keys().filter(|key| nodes.ring().lookup(*key) != at).collect();
    let stand = Stand { topology, node, at, name: nodes.name(at) };
    if let Err(error) = stand.has_nothing_old(spec, &others).await {
        return Some(Err(error));
    }
    let (old, forget) = stand.forget(&others);
    let standing_in = stand.begin(spec, cmd, &others).await?;
    let shorten = stand.shorten(spec, &others);
    let reply = match forget.is_none() && shorten.is_none() {
        true => node.run(spec, cmd).await,
        false => stand.run_between(spec, cmd, forget, shorten, &others).await,
    };
    if reply.is_ok() {
        stand.know(&old);
    }
    if topology.goes_to_two(spec) && others.len() < keys().count() {
        delete_elsewhere(topology, nodes, spec, cmd).await;
    }
    drop(standing_in);
    Some(reply)
}

/// A node that stands in for others.
struct Stand<'a> {
    topology: &'a Topology,
    node: &'a Node,
    at: usize,
    name: &'a Arc<str>,
}

impl Stand<'_> {
    fn in_place_of(&self, key: &[u8]) -> impl Iterator<Item = &Arc<OutageTracker>> {
        self.topology.in_place_of(self.at, key)
    }

    /// Waits until nothing of these keys is left here from before, as long as for a connection.
    async fn has_nothing_old(&self, spec: &Spec, keys: &[&[u8]]) -> Result<(), node::Error> {
        let on_down = &self.topology.on_down;
        let prefix = on_down.flushes().unwrap_or_default().as_bytes();
        for key in keys.iter().filter(|key| key.starts_with(prefix)) {
            for away in self.in_place_of(key) {
                if !away.is_clean_of(self.name, on_down, self.limit()).await {
                    return Err(self.may_be_old(spec));
                }
            }
        }
        Ok(())
    }

    fn may_be_old(&self, spec: &Spec) -> node::Error {
        let reason =
            "the node that stands in may still hold old values of the key, from when it did so before";
        let cause = Arc::new(node::ErrorKind::Connect(Arc::new(std::io::Error::other(reason))));
        node::Error::new(Arc::clone(self.name), spec.name, node::ErrorKind::Down { cause })
    }

    /// Begins a write; `None` if a node that is stood in for has come back.
    async fn begin(&self, spec: &Spec, cmd: &Cmd, keys: &[&[u8]]) -> Option<Vec<StandingIn>> {
        let is_missed = matches!(self.topology.on_down, OnDown::Failover { .. });
        let mut standing_in = Vec::new();
        // What waits for ever does not count: nothing would be cleaned after it.
        if spec.access == Access::Write && (is_missed || spec.needs_dedicated(cmd).is_none()) {
            for key in keys {
                for away in self.in_place_of(key) {
                    standing_in.push(away.stand_in(self.name, is_missed.then_some(key), self.limit()).await?);
                }
            }
        }
        Some(standing_in)
    }

    /// Of these keys those that may be here from before, and what removes them if they are.
    fn forget<'k>(&self, keys: &[&'k [u8]]) -> (Vec<&'k [u8]>, Option<Cmd>) {
        let OnDown::Failover { ttl_cap } = self.topology.on_down else { return (Vec::new(), None) };
        let now = Instant::now();
        let may_live = |key: &&'k [u8]| {
            let began = self.in_place_of(key).filter_map(|away| away.held().began()).max()?;
            let old = self
                .in_place_of(key)
                .filter_map(|away| away.held().may_be_old(self.name, key, began, ttl_cap, now));
            Some((*key, old.max()?))
        };
        let (old, live): (Vec<_>, Vec<_>) = keys.iter().filter_map(may_live).unzip();
        let live: Vec<u64> = live.into_iter().map(millis).collect();
        let forget =
            (!old.is_empty()).then(|| rows::EVAL.cmd().arg(FORGET).arg(old.len()).arg(&old).arg(live).take());
        (old, forget)
    }

    /// Of these keys nothing is here from before any more.
    fn know(&self, keys: &[&[u8]]) {
        for key in keys {
            self.in_place_of(key).for_each(|away| away.held().knows(self.name, key));
        }
    }

    /// What sees to it that keys live no longer than they may here.
    fn shorten(&self, spec: &Spec, keys: &[&[u8]]) -> Option<Cmd> {
        match self.topology.on_down {
            OnDown::Failover { ttl_cap }
                if spec.access == Access::Write && !is_delete(spec) && !keys.is_empty() =>
            {
                Some(rows::EVAL.cmd().arg(CAP).arg(keys.len()).arg(keys).arg(millis(ttl_cap)).take())
            }
            _ => None,
        }
    }

    /// Runs a command with what has to happen before and after it: at once, unless it waits. If that fails, so does it, and
    /// nothing is kept that might live too long.
    async fn run_between(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        before: Option<Cmd>,
        after: Option<Cmd>,
        keys: &[&[u8]],
    ) -> Result<Value, node::Error> {
        let (node, eval) = (self.node, rows::EVAL.spec());
        let (reply, shortened) = if spec.needs_dedicated(cmd).is_some() {
            if let Some(before) = before {
                node.run(eval, &before).await?;
            }
            let reply = node.run(spec, cmd).await?;
            let shortened = match after {
                Some(after) => node.run(eval, &after).await,
                None => Ok(Value::Nil),
            };
            (reply, shortened)
        } else {
            let has_before = before.is_some();
            let scripts = |script: Option<Cmd>| script.map(|script| Recorded::new(eval, script));
            let cmd = Recorded::new(spec, cmd.clone());
            let block: Vec<_> = scripts(before).into_iter().chain([cmd]).chain(scripts(after)).collect();
            let mut outcomes = node.send_block(&block).await.into_iter();
            let mut next = || outcomes.next().unwrap_or(Ok(Value::Nil));
            if has_before {
                next()?;
            }
            (next()?, next())
        };
        if let Err(error) = shortened {
            if let Err(error) = remove(node, keys).await {
                tracing::warn!(node = node.name(), %error, "what was written in another node's place may stay");
            }
            return Err(error);
        }
        Ok(reply)
    }

    fn limit(&self) -> Duration {
        self.node.config().connect_timeout()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_at_once_that_cannot_see_each_others_effect() {
        let check = |words: &[&str], expected| {
            let cmds: Vec<Cmd> = words
                .iter()
                .map(|words| {
                    let mut words = words.split(' ');
                    redis::cmd(words.next().unwrap_or_default()).arg(words.collect::<Vec<_>>()).take()
                })
                .collect();
            let commands: Vec<_> =
                cmds.iter().map(|cmd| Ok((redisdb_node::command::lookup(cmd).unwrap(), cmd))).collect();
            assert_eq!(n_of_different_keys(&commands), expected, "{words:?}");
        };
        check(&["GET a", "GET a", "MGET a b", "SET c 1"], 4);
        check(&["GET a", "SET a 1"], 1);
        check(&["SET a 1", "GET b", "GET a"], 2);
        check(&["INCR a", "INCR a"], 1);
        check(&["DBSIZE", "GET a"], 1);
        check(&[], 1);
    }
}

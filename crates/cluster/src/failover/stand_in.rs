//! Commands on a ring while a node is away: another node stands in for it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Access;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;
use redisdb_node::plumbing::LONGEST;
use redisdb_node::plumbing::Recorded;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::dispatch::scatter::on_owner;
use crate::engine::nodes::Nodes;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingTopology;
use crate::engine::ring::topology::is_delete;
use crate::error::Error;
use crate::failover::tracker::OutageTracker;
use crate::failover::tracker::StandingIn;
use crate::failover::tracker::remove;
use crate::pipeline::AtOnce;
use crate::pipeline::answers::PipelineAnswers;
use crate::pipeline::calls_of;
use crate::pipeline::cmds_of;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::split::Shares;
use crate::policy::OnDown;
use crate::reply::NodesReply;

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

/// Runs a command where nodes that are away may have a part in it.
pub(crate) async fn run_without_those_away(
    topology: &RingTopology,
    spec: &'static Spec,
    cmd: &Cmd,
    by: Option<Instant>,
) -> Result<NodesReply, Error> {
    let nodes = &*topology.nodes.until(by);
    // A node may go, or come back, at any moment; each time the command, if it was not sent, goes elsewhere.
    let mut attempts = 0..=nodes.len();
    loop {
        let is_last = attempts.next().is_none_or(|attempt| attempt == nodes.len());
        match topology.route(spec, cmd, Context::Alone)? {
            Plan::One(at) => match run_at(topology, nodes, at, spec, cmd, by).await {
                None if !is_last => {}
                Some(Err(error)) if error.is_connect() && topology.is_away(at) && !is_last => {}
                Some(Ok(reply)) => return Ok(NodesReply::One(Arc::clone(nodes.name(at)), reply)),
                Some(Err(error)) => return Err(on_owner(spec, cmd, error)),
                None => return Err(flapping(nodes.at(at), spec, cmd)),
            },
            Plan::Parts(split, rule) => {
                let replies = split.parts.iter().map(async |part| {
                    match run_at(topology, nodes, part.node, spec, &part.cmd, by).await {
                        Some(Err(error)) if error.is_connect() && topology.is_away(part.node) && !is_last => {
                            run_part(topology, spec, &part.cmd, by).await
                        }
                        Some(reply) => reply,
                        None => run_part(topology, spec, &part.cmd, by).await,
                    }
                });
                let replies = join_all(replies).await;
                return nodes.merge_parts(spec, cmd, rule, split, replies);
            }
            route => return nodes.run_on_several(spec, cmd, route).await,
        }
    }
}

/// Runs a part of a command anew, because its node went or came back after the part was routed.
fn run_part<'a>(
    topology: &'a RingTopology,
    spec: &'static Spec,
    cmd: &'a Cmd,
    by: Option<Instant>,
) -> Pin<Box<dyn Future<Output = Result<Value, node::Error>> + Send + 'a>> {
    Box::pin(async move {
        let reply = run_without_those_away(topology, spec, cmd, by).await;
        reply.and_then(|reply| reply.into_one(spec)).map_err(|error| match error.node_errors().first() {
            Some(first) => (*first).clone(),
            None => {
                let kind = node::ErrorKind::Unsupported(error.to_string().into());
                node::Error::without_node(spec.name, kind)
            }
        })
    })
}

impl RingEngine {
    /// Runs the commands of a pipeline each by itself, and hands over their answers, in order.
    pub(crate) async fn run_each_by_itself(
        &self,
        commands: &[Recorded<'_>],
        mut answered: impl FnMut(PipelineAnswers),
    ) {
        let cmds = cmds_of(commands);
        let calls = calls_of(&cmds);
        let mut rest = calls.as_slice();
        while !rest.is_empty() {
            let mut at_once = AtOnce::default();
            let n_together = rest.iter().take_while(|call| at_once.joins(call)).count();
            let (together, others) = rest.split_at(n_together);
            let by = self.by();
            let each = together.iter().map(async |call| {
                let _sendable = self.topology().plan(call, Context::Pipeline)?;
                self.reply(call.spec, call.cmd, by).await
            });
            answered(PipelineAnswers::listed(join_all(each).await));
            rest = others;
        }
    }
}

/// Runs a command, or a part of one, on one node. Returns `None`, with nothing sent, if a node that is stood in for serves
/// again, or is about to when the time is up.
async fn run_at(
    topology: &RingTopology,
    nodes: &Nodes,
    at: usize,
    spec: &'static Spec,
    cmd: &Cmd,
    by: Option<Instant>,
) -> Option<Result<Value, node::Error>> {
    let node = nodes.at(at);
    if !topology.on_down.is_careful() {
        return Some(node.run(spec, cmd).await);
    }
    let keys = || spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key);
    // A part of a split command may have keys of its node beside those of nodes that it stands in for.
    let others: Vec<&[u8]> = keys().filter(|key| nodes.ring().lookup(*key) != at).collect();
    let stand = Stand { topology, node, at, name: nodes.name(at), by };
    if let Err(error) = stand.has_nothing_old(spec, &others).await {
        return Some(Err(error));
    }
    let (old, forget) = stand.forget(&others);
    let standing_in = stand.begin(spec, cmd, &others).await?;
    let shorten = stand.shorten(spec, &others);
    let run = async {
        match forget.is_none() && shorten.is_none() {
            true => node.run(spec, cmd).await,
            false => stand.run_between(spec, cmd, forget, shorten, &others).await,
        }
    };
    // The deletes run at the same time, each with all the time of the call: the owner may hang.
    let elsewhere = async {
        if topology.goes_to_two(spec) && others.len() < keys().count() {
            delete_elsewhere(topology, nodes, spec, cmd).await;
        }
    };
    let (reply, ()) = join(run, elsewhere).await;
    if reply.is_ok() {
        stand.know(&old);
    }
    drop(standing_in);
    Some(reply)
}

/// A node that stands in for others.
struct Stand<'a> {
    topology: &'a RingTopology,
    node: &'a Node,
    at: usize,
    name: &'a Arc<str>,
    by: Option<Instant>,
}

impl Stand<'_> {
    fn in_place_of(&self, key: &[u8]) -> impl Iterator<Item = &Arc<OutageTracker>> {
        self.topology.in_place_of(self.at, key)
    }

    /// Waits until this node holds no old values of these keys, for as long as for a connection.
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
        not_yet(self.name, spec.name, reason)
    }

    /// Begins a write. Returns `None` if a node that is stood in for serves again, or is about to when the time is up.
    async fn begin(&self, spec: &Spec, cmd: &Cmd, keys: &[&[u8]]) -> Option<Vec<StandingIn>> {
        let is_missed = matches!(self.topology.on_down, OnDown::Failover { .. });
        let mut standing_in = Vec::new();
        // A blocking command does not count: it may wait for ever, and this node would not be cleaned meanwhile.
        if spec.access == Access::Write && (is_missed || spec.needs_dedicated(cmd).is_none()) {
            for key in keys {
                for away in self.in_place_of(key) {
                    standing_in.push(away.stand_in(self.name, is_missed.then_some(key), self.limit()).await?);
                }
            }
        }
        Some(standing_in)
    }

    /// Returns those of these keys of which an old value may be here, and the script that removes the old values.
    fn forget<'k>(&self, keys: &[&'k [u8]]) -> (Vec<&'k [u8]>, Option<Cmd>) {
        let OnDown::Failover { ttl_cap } = self.topology.on_down else { return (Vec::new(), None) };
        let now = std::time::Instant::now();
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

    /// Records that this node holds no old values of these keys.
    fn know(&self, keys: &[&[u8]]) {
        for key in keys {
            self.in_place_of(key).for_each(|away| away.held().knows(self.name, key));
        }
    }

    /// Returns the script that shortens the life of these keys to what they may live here.
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

    /// Runs a command with a script before it and one after it, in one block unless the command blocks. If a script fails, the
    /// call fails. If that is the one after the command, the keys are removed, so that none lives too long.
    async fn run_between(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        before: Option<Cmd>,
        after: Option<Cmd>,
        keys: &[&[u8]],
    ) -> Result<Value, node::Error> {
        let (node, eval) = (self.node, rows::EVAL.spec());
        // The script after the command has time of its own: the command may have waited for longer than the call may take.
        let patient = self.topology.nodes.at(self.at);
        let (reply, shortened) = if spec.needs_dedicated(cmd).is_some() {
            if let Some(before) = before {
                node.run(eval, &before).await?;
            }
            let owed = after.map(|script| Owed { node: patient.clone(), script, is_paid: false });
            let reply = node.run(spec, cmd).await?;
            let shortened = match owed {
                Some(owed) => owed.pay().await,
                None => Ok(Value::Nil),
            };
            (reply, shortened)
        } else {
            let has_before = before.is_some();
            let scripts = |script: Option<Cmd>| script.map(|script| Recorded::new(eval, script));
            let cmd = Recorded::lent(spec, cmd);
            let block: Vec<_> = scripts(before).into_iter().chain([cmd]).chain(scripts(after)).collect();
            let mut outcomes = node.send_block(&block).await.into_iter();
            let mut next = || outcomes.next().unwrap_or(Ok(Value::Nil));
            if has_before {
                next()?;
            }
            (next()?, next())
        };
        if let Err(error) = shortened {
            if let Err(error) = remove(patient, keys).await {
                tracing::warn!(node = node.name(), %error, "what was written in another node's place may stay");
            }
            // The command was executed, whatever became of the script: nobody may take it for one that was not sent.
            return Err(match error.is_connect() {
                true => {
                    let lost = Arc::new(io::Error::new(io::ErrorKind::NotConnected, error.to_string()));
                    node::Error::new(Arc::clone(self.name), spec.name, node::ErrorKind::Disconnected(lost))
                }
                false => error,
            });
        }
        Ok(reply)
    }

    /// Returns how long is waited until the node may stand in: as long as for a connection, within the deadline of the call.
    fn limit(&self) -> Duration {
        let left = self.by.map(|by| by.saturating_duration_since(Instant::now()));
        self.node.config().connect_timeout().min(left.unwrap_or(Duration::MAX))
    }
}

/// The error of a call for a node that is connected, and may not answer yet.
pub(crate) fn not_yet(node: &Arc<str>, command: &'static str, reason: &'static str) -> node::Error {
    let cause = Arc::new(node::ErrorKind::Connect(Arc::new(io::Error::other(reason))));
    node::Error::new(Arc::clone(node), command, node::ErrorKind::Down { cause })
}

/// A script that has to run after a command, also if the command is given up midway: the server may have executed it.
struct Owed {
    node: Node,
    script: Cmd,
    is_paid: bool,
}

impl Owed {
    async fn pay(mut self) -> Result<Value, node::Error> {
        let paid = self.node.run(rows::EVAL.spec(), &self.script).await;
        self.is_paid = true;
        paid
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.is_paid, Handle::try_current()) {
            let (node, script) = (self.node.clone(), std::mem::take(&mut self.script));
            runtime.spawn(async move {
                if let Err(error) = node.run(rows::EVAL.spec(), &script).await {
                    tracing::warn!(node = node.name(), %error, "what was written in another node's place may stay");
                }
            });
        }
    }
}

/// Returns a time in milliseconds, at most the longest that is sent to a server.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}

/// Deletes keys on the node where other clients may have written them, because they saw the owner away. What is left there
/// expires soon, so an error is of no consequence.
async fn delete_elsewhere(topology: &RingTopology, nodes: &Nodes, spec: &'static Spec, cmd: &Cmd) {
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

//! A read on a copy: one node answers, or the next one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::ScanCursor;
use redisdb_node::command::Merge;
use redisdb_node::command::Spec;
use redisdb_node::commands::ScanOptions;
use tokio::time::Instant;

use crate::call::Call;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::error::Error;
use crate::hints::trust::Trust;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::replicate::is_whole;
use crate::plan::split::Split;
use crate::policy::ReadFrom;
use crate::replies::Replies;
use crate::reply::NodesReply;

/// The longest time for which a call waits for a node that holds what it needs, and that may just be restarting.
const RESTART: Duration = Duration::from_secs(3);
/// The pause after which a call looks at the nodes again.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The number of times that a node is asked for a random key, while it answers with own keys of the copy.
const ASK_FOR_A_KEY: u32 = 10;
/// The number of keys that one step of the scan after that looks at.
const PAGE: u64 = 1000;

impl CopyEngine {
    /// Asks one node, and the next one when that cannot answer; where none may answer alone, all of them.
    pub(crate) async fn run_read(&self, call: &Call<'_>) -> Result<NodesReply, Error> {
        let mut budget = self.budget(self.topology.nodes.len()).await?;
        if let Plan::Every(rule) = self.topology.plan(call, Context::Alone)? {
            return self.ask_all(call.spec, call.cmd, rule, &budget).boxed().await;
        }
        match self.ask_those_in_sync(call, &mut budget).await? {
            Ok(reply) => Ok(reply),
            // Boxed, for it is rare.
            Err(errors) => self.read_though_none_is_in_sync(call, errors, &mut budget).boxed().await,
        }
    }

    /// Asks the nodes that are in sync, one after the other. Returns the first answer, or the errors of those that gave none.
    async fn ask_those_in_sync(
        &self,
        call: &Call<'_>,
        budget: &mut Budget,
    ) -> Result<Result<NodesReply, Vec<node::Error>>, Error> {
        let Call { spec, cmd, .. } = *call;
        let topology = &*self.topology;
        let key = call.first_key();
        let mut errors = Vec::new();
        // A blocking command keeps its own time, and may have waited for longer than the call may take.
        let waits = spec.needs_dedicated(cmd).is_some();
        if topology.nobody_is_up() {
            // To ask all nodes costs one round trip; to look at each of them costs several.
            if let Some(reply) = self.run_unanimous_read(call, budget).boxed().await {
                return Ok(Ok(reply));
            }
            budget.limit(self.examine_all().boxed()).await;
        }
        // A node that may not answer takes no time from those that may.
        if topology.policy.read_from != ReadFrom::Any {
            let may_answer = |member: &&Member| member.trust(call.keys()) != Trust::Stale;
            budget.asks_at_most(topology.nodes.members().filter(may_answer).count());
        }
        for wanted in [Trust::Full, Trust::Provisional] {
            for idx in topology.nodes.places(key.unwrap_or_default()) {
                if topology.nodes.member(idx).trust(call.keys()) != wanted {
                    continue;
                }
                let node = budget.share(topology.nodes.at(idx));
                // Where another node is left to be asked, none is asked twice.
                let reply = match budget.is_last() {
                    _ if tells_keys(spec) => self.ask_for_keys(&node, spec, cmd).boxed().await,
                    true => node.run(spec, cmd).await,
                    false => node.run_once(spec, cmd).await,
                };
                match reply {
                    // The answer may have come over a new connection, from a server that has been restarted.
                    Ok(reply) if topology.nodes.member(idx).trust(call.keys()) != Trust::Stale => {
                        if waits {
                            *budget = Budget::new(self.deadline, 1);
                        }
                        let may_be_flushed = topology.nodes.member(idx).flushes().are_unseen();
                        let needs_look = may_be_flushed || lacks_something(call, &reply);
                        if !needs_look || self.is_sure(idx, call, budget).await {
                            topology.shadow().iter().for_each(|shadow| shadow.is_read(idx, call.keys()));
                            return Ok(Ok(topology.reply_of(idx, reply)));
                        }
                    }
                    Ok(_) => {}
                    Err(error) if says_no_such_key(&error) && !self.is_sure(idx, call, budget).await => {}
                    Err(error) if another_may_answer(&error) => {
                        topology.observe(idx, &error);
                        errors.push(error);
                    }
                    Err(error) => return Err(Error::Node(error)),
                }
            }
        }
        Ok(Err(errors))
    }

    /// Reads where no node in sync has answered.
    async fn read_though_none_is_in_sync(
        &self,
        call: &Call<'_>,
        mut errors: Vec<node::Error>,
        budget: &mut Budget,
    ) -> Result<NodesReply, Error> {
        let topology = &*self.topology;
        let (since, mut latest) = (Instant::now(), errors.clone());
        loop {
            if let Some(reply) = self.run_unanimous_read(call, budget).await {
                return Ok(reply);
            }
            // Where the nodes do not say the same, somebody may just be writing the key.
            let may_agree_soon =
                since.elapsed() < topology.longest_reply() && topology.voters(call).is_some();
            let may_answer_soon = may_agree_soon || topology.may_answer_soon(call, &latest);
            if !self.look_again(since, may_answer_soon, budget).await {
                break;
            }
            let copy = budget.rest(self);
            let mut again = Budget::new(copy.deadline, topology.nodes.len());
            match copy.ask_those_in_sync(call, &mut again).await? {
                Ok(reply) => return Ok(reply),
                Err(errors) => latest = errors,
            }
        }
        let key = call.first_key();
        let is_behind = |idx: &usize| {
            !errors.iter().any(|error: &node::Error| error.node() == Some(topology.nodes.name(*idx)))
        };
        let stale: Vec<usize> = topology.nodes.places(key.unwrap_or_default()).filter(is_behind).collect();
        if topology.policy.read_from == ReadFrom::Any {
            for &idx in &stale {
                let node = budget.share(topology.nodes.at(idx));
                let reply = match tells_keys(call.spec) {
                    true => self.ask_for_keys(&node, call.spec, call.cmd).boxed().await,
                    false => node.run(call.spec, call.cmd).await,
                };
                match reply {
                    Err(error) if another_may_answer(&error) => errors.push(error),
                    reply => return Ok(topology.reply_of(idx, reply?)),
                }
            }
        }
        topology.shadow().iter().for_each(|shadow| shadow.is_unavailable(call.keys()));
        Err(Error::unavailable(call.spec.name, key, errors, topology.names(stale)))
    }

    /// Asks a node which keys it holds, and leaves out our own.
    async fn ask_for_keys(&self, node: &Node, spec: &'static Spec, cmd: &Cmd) -> Result<Value, node::Error> {
        let is_ours = |key: &Value| matches!(key, Value::BulkString(key) if self.topology.is_ours(key));
        for _ in 0..ASK_FOR_A_KEY {
            match node.run(spec, cmd).await? {
                Value::Array(mut keys) => {
                    keys.retain(|key| !is_ours(key));
                    return Ok(Value::Array(keys));
                }
                key if !is_ours(&key) => return Ok(key),
                _ => {}
            }
        }
        // The node holds few other keys, or none.
        let mut at = Some(ScanCursor::default());
        while let Some(cursor) = at {
            let step = node.scan_from::<Vec<u8>>(cursor, ScanOptions::new().count(PAGE)).await?;
            if let Some(key) = step.items.into_iter().find(|key| !self.topology.is_ours(key)) {
                return Ok(Value::BulkString(key));
            }
            at = step.next;
        }
        Ok(Value::Nil)
    }

    /// Waits for a node that holds what a write builds on, which may just be restarted, for half of the time that is left.
    ///
    /// # Errors
    /// If there is none in time. Nothing is sent then, because a write that only the other nodes took would count for nothing.
    pub(crate) async fn wait_for_a_holder(&self, call: &Call<'_>, budget: &Budget) -> Result<(), Error> {
        let (topology, budget) = (&*self.topology, &budget.before_sending());
        let since = Instant::now();
        if topology.nobody_is_up() {
            budget.limit(self.examine_all().boxed()).await;
        }
        while topology.nobody_holds(call) {
            if self.agree_on(call, budget).await {
                break;
            }
            let may_be_held_soon = topology.may_answer_soon(call, &[]) || topology.may_agree_soon(call);
            if !self.look_again(since, may_be_held_soon, budget).await {
                let key = call.first_key();
                let (there, away): (Vec<usize>, Vec<usize>) = topology
                    .nodes
                    .places(key.unwrap_or_default())
                    .partition(|idx| topology.nodes.at(*idx).is_connected());
                // Each node that is away says itself why.
                let asked = join_all(away.iter().map(|idx| topology.nodes.at(*idx).ready()));
                let errors =
                    budget.limit(asked).await.into_iter().flatten().filter_map(Result::err).collect();
                return Err(Error::unavailable(call.spec.name, key, errors, topology.names(there)));
            }
        }
        Ok(())
    }

    /// Looks at all nodes once more, a moment later, if that is worth it and the call has not waited for too long since
    /// `since`. Returns whether it has looked.
    async fn look_again(&self, since: Instant, is_worth_it: bool, budget: &Budget) -> bool {
        if budget.is_over() || RESTART <= since.elapsed() || !is_worth_it {
            return false;
        }
        tokio::time::sleep(ASK_AGAIN).await;
        budget.limit(self.examine_all()).await;
        true
    }

    /// Asks every node what each may answer differently, such as which scripts it knows; those that cannot be reached
    /// do not count.
    async fn ask_all(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        rule: Merge,
        budget: &Budget,
    ) -> Result<NodesReply, Error> {
        let asked = self.topology.nodes.iter().map(async |node| budget.all(node).run(spec, cmd).await);
        let results = join_all(asked).await;
        let (mut answered, mut values, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (idx, result) in results.into_iter().enumerate() {
            match result {
                Err(error) if another_may_answer(&error) => errors.push(error),
                result => {
                    answered.push(idx);
                    values.push(Ok(result?));
                }
            }
        }
        if values.is_empty() {
            return Err(Error::unavailable(spec.name, None, errors, Vec::new()));
        }
        self.topology.nodes.merge_parts(spec, cmd, rule, Split::whole(answered.into_iter()), values)
    }

    pub(crate) async fn run_each(&self, call: &Call<'_>) -> Result<Replies<Value>, Error> {
        let Call { spec, cmd, .. } = *call;
        let _sendable = self.topology.plan(call, Context::Alone)?;
        let budget = self.budget(1).await?;
        let members = self.topology.nodes.members();
        let asked = members.map(async |member| budget.all(member.writer()).run(spec, cmd).await);
        Ok(self.topology.nodes.replies(join_all(asked).await))
    }
}

impl CopyTopology {
    /// Returns whether no node is known to answer reads.
    pub(crate) fn nobody_is_up(&self) -> bool {
        !self.nodes.members().any(Member::is_readable)
    }

    /// Returns whether a write builds on a value that no reachable node holds, as far as is known.
    pub(crate) fn nobody_holds(&self, call: &Call<'_>) -> bool {
        let is_right = |member: &Member| member.trust(call.keys()) != Trust::Stale;
        // A node that was lost a moment ago does not count: it would get a hint for a write that counts for nothing without it.
        // Where no node is connected, nobody has called yet.
        let holds = |member: &Member| {
            is_right(member) && (member.node().is_connected() || !self.nodes.iter().any(Node::is_connected))
        };
        !self.nodes.members().any(holds) && call.first_key().is_some() && !is_whole(call.spec, call.cmd)
    }

    /// Returns whether a node may answer for these keys in a moment: one went away a moment ago and may just be restarting, or
    /// one is in sync by now that was not asked.
    fn may_answer_soon(&self, call: &Call<'_>, errors: &[node::Error]) -> bool {
        let was_asked = |member: &Member| errors.iter().any(|error| error.node() == Some(member.name()));
        let may_answer = |member: &Member| {
            member.hints().may_be_back_soon(member.node(), call.keys(), RESTART)
                || member.trust(call.keys()) != Trust::Stale && !was_asked(member)
        };
        self.nodes.members().any(may_answer) && self.nodes.iter().any(Node::is_connected)
    }

    pub(crate) fn reply_of(&self, idx: usize, reply: Value) -> NodesReply {
        NodesReply::One(Arc::clone(self.nodes.name(idx)), reply)
    }

    pub(crate) fn names(&self, nodes: Vec<usize>) -> Vec<String> {
        nodes.into_iter().map(|idx| self.nodes.name(idx).to_string()).collect()
    }
}

/// Returns whether a command tells which keys there are.
pub(crate) fn tells_keys(spec: &Spec) -> bool {
    matches!(spec.name, "KEYS" | "RANDOMKEY")
}

/// Returns whether a reply says that something is not there: nil, nothing of a kind, or what a time to live, a type or a bit has
/// for it. A reply that only looks like that costs a look at the marker.
pub(crate) fn lacks_something(call: &Call<'_>, reply: &Value) -> bool {
    match reply {
        Value::Nil | Value::Int(0 | -2) => true,
        Value::Int(-1) => call.spec.name == "BITPOS",
        // The reply is the number of the keys that are there.
        Value::Int(n) if matches!(call.spec.name, "EXISTS" | "TOUCH") => {
            usize::try_from(*n).is_ok_and(|n| n < call.keys().count())
        }
        Value::BulkString(bytes) => bytes.is_empty(),
        Value::SimpleString(text) => text == "none",
        Value::Array(elements) | Value::Set(elements) => {
            elements.is_empty() || elements.iter().any(|element| lacks_something(call, element))
        }
        Value::Map(pairs) => pairs.is_empty(),
        _ => false,
    }
}

/// Returns whether an error reply says that the key is not there.
pub(crate) fn says_no_such_key(error: &node::Error) -> bool {
    matches!(error.kind(), node::ErrorKind::Server(reply) if reply.details().starts_with("no such key"))
}

/// Returns whether another node may give the answer that this one did not.
pub(crate) fn another_may_answer(error: &node::Error) -> bool {
    match error.kind() {
        node::ErrorKind::Server(reply) => {
            error.is_passing() || matches!(reply.code.as_str(), "NOAUTH" | "NOPERM")
        }
        node::ErrorKind::Reply(_)
        | node::ErrorKind::ReplyTooLarge { .. }
        | node::ErrorKind::Unsupported(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(line: &str, reply: Value) -> bool {
        let mut cmd = Cmd::new();
        cmd.arg(line.split(' ').collect::<Vec<_>>());
        lacks_something(&Call::new(redisdb_node::command::lookup(&cmd).unwrap(), &cmd), &reply)
    }

    #[test]
    fn a_reply_says_that_something_is_missing_in_many_ways() {
        for missing in [
            Value::Nil,
            Value::Int(0),
            Value::Int(-2),
            Value::BulkString(Vec::new()),
            Value::SimpleString("none".to_owned()),
            Value::Array(vec![Value::Int(1), Value::Nil]),
            Value::Array(vec![Value::BulkString(b"0".to_vec()), Value::Array(Vec::new())]),
            Value::Map(Vec::new()),
        ] {
            assert!(lacks("GET k", missing));
        }
        for there in [Value::Int(1), Value::BulkString(b"v".to_vec()), Value::Array(vec![Value::Int(-1)])] {
            assert!(!lacks("GET k", there));
        }
        assert!(!lacks("TTL k", Value::Int(-1)), "it lives for ever");
        assert!(lacks("BITPOS k 1", Value::Int(-1)));
        assert!(lacks("EXISTS a b", Value::Int(1)) && !lacks("EXISTS a b", Value::Int(2)));
    }
}

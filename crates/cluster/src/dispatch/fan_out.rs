//! A write on a copy, fanned out: all nodes are sent it at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::ScriptCall;
use redisdb_node::command::Spec;

use crate::call::Call;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::hints::book::HintsAhead;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::divergence::Ack;
use crate::plan::expiry;
use crate::replies::Outcome;
use crate::replies::Replies;

impl CopyEngine {
    /// Sends a write to every node at once; the outcome is judged by [`WriteTo`].
    pub(crate) async fn run_write(&self, call: &Call<'_>) -> Result<Replies<Value>, Error> {
        let Call { spec, cmd, .. } = *call;
        let mut budget = self.budget(self.topology.nodes.len()).await?;
        let topology = &*self.topology;
        let mut guard = WriteGuard::new(topology, call);
        if expiry::tells_a_life(spec) {
            budget.learn_clock(&topology.nodes).await;
        }
        let rewritten;
        let plan = topology.plan(call, Context::Alone)?;
        if !guard.has_a_holder() && !matches!(plan, Plan::First) {
            self.wait_for_a_holder(call, &budget).boxed().await?;
            guard = WriteGuard::new(topology, call);
        }
        let cmd = match plan {
            Plan::All(Some(instead)) => {
                rewritten = instead;
                &rewritten
            }
            Plan::PrimaryFirst(decide, absolute) => {
                let cmd = absolute.as_ref().unwrap_or(cmd);
                let judged = self.run_decided(call, cmd, decide, &mut guard, &mut budget).boxed().await;
                let began = guard.began();
                drop(guard);
                return self.with_hints_given(judged, (call, began), budget).await;
            }
            Plan::First => return self.run_on_one(call, &mut budget).boxed().await,
            _ => cmd,
        };
        guard.sending();
        // What is rare is boxed: the future of every call would have room for it.
        if topology.identity.is_some() && matches!(spec.name, "FLUSHALL" | "FLUSHDB") {
            let flushed = (0..topology.nodes.len()).map(|idx| self.flush(idx, spec, cmd, &budget));
            let results = join_all(flushed).boxed().await;
            return self.conclude_write(call, guard, results, None, budget).boxed().await;
        }
        if let Some(mut ahead) = self.hints_ahead(call) {
            let results = self.send_with_hints(&mut ahead, spec, cmd, &budget).boxed().await;
            return self.conclude_write(call, guard, results, Some(ahead), budget).boxed().await;
        }
        let results =
            join_all((0..topology.nodes.len()).map(|idx| topology.send(idx, spec, cmd, &budget))).await;
        if topology.identity.is_some() && guard.is_disagreed(&results) {
            return self.conclude_write(call, guard, results, None, budget).boxed().await;
        }
        let judged = guard.conclude(results);
        let began = guard.began();
        drop(guard);
        if topology.has_ungiven_hints() || topology.is_too_late(began) {
            return self.with_hints_given(judged, (call, began), budget).boxed().await;
        }
        judged
    }

    /// Notes and judges what the nodes said to a write, and gives the hints that come of it.
    async fn conclude_write(
        &self,
        call: &Call<'_>,
        mut guard: WriteGuard<'_>,
        results: Vec<Result<Value, node::Error>>,
        ahead: Option<HintsAhead<'_>>,
        budget: Budget,
    ) -> Result<Replies<Value>, Error> {
        if self.topology.identity.is_some() && guard.is_disagreed(&results) {
            guard.answered(results.iter().map(Ack::from).collect());
            budget.limit(self.look_at_all()).await;
        }
        let judged = guard.conclude(results);
        let began = guard.began();
        drop(guard);
        ahead.iter().for_each(HintsAhead::are_recorded);
        self.with_hints_given(judged, (call, began), budget).await
    }

    /// Returns what a write came to, once the hints that come of it are given.
    async fn with_hints_given(
        &self,
        judged: Result<Replies<Value>, Error>,
        (call, began): (&Call<'_>, Instant),
        budget: Budget,
    ) -> Result<Replies<Value>, Error> {
        let too_late = self.give_hints_of(call.spec, began, &budget).await;
        let replies = judged?;
        match too_late {
            Some(error) => Err(error),
            None => self.check_told(call, &replies).map(|()| replies),
        }
    }

    /// Looks at all markers, because nodes disagree: a server that was emptied a moment ago must not count.
    pub(crate) fn look_at_all(&self) -> impl Future<Output = ()> + Send {
        // Boxed, for it is rare.
        join_all((0..self.topology.nodes.len()).map(|idx| self.look_at(idx))).map(drop).boxed()
    }

    /// Has every node run a script, all at once, where the caller has declared that it does the same everywhere.
    pub(crate) async fn run_script(
        &self,
        call: &Call<'_>,
        script: &ScriptCall<'_>,
    ) -> Result<Replies<Value>, Error> {
        call.check_keys()?;
        let writers = self.writers_of(call.spec.name, call.keys()).await?;
        let topology = &*self.topology;
        let mut guard = WriteGuard::new(topology, call);
        if !guard.has_a_holder() {
            self.wait_for_a_holder(call, &Budget::new(self.deadline, 1)).boxed().await?;
            guard = WriteGuard::new(topology, call);
        }
        guard.sending();
        let results = join_all(writers.map(|node| node.run_script(script))).await;
        if topology.identity.is_some() && guard.is_disagreed(&results) {
            guard.answered(results.iter().map(Ack::from).collect());
            self.look_at_all().await;
        }
        let judged = guard.conclude(results);
        let began = guard.began();
        drop(guard);
        self.with_hints_given(judged, (call, began), Budget::new(self.deadline, 1)).await
    }

    /// Sends a command to one node: the channel's owner, or the next one when that cannot be reached.
    async fn run_on_one(&self, call: &Call<'_>, budget: &mut Budget) -> Result<Replies<Value>, Error> {
        let Call { spec, cmd, .. } = *call;
        let topology = &*self.topology;
        let channel = call.first_key().unwrap_or_default();
        let mut results = Vec::new();
        for idx in topology.nodes.places(channel) {
            // Another node is asked only where this one cannot be connected to.
            let writer = topology.nodes.member(idx).writer();
            let writer = if writer.is_connected() { budget.all(writer) } else { budget.share(writer) };
            let result = writer.run(spec, cmd).await;
            let next = result.as_ref().is_err_and(node::Error::is_connect);
            results.push((idx, result));
            if !next {
                break;
            }
        }
        topology.judge_some(spec, results)
    }
}

impl CopyTopology {
    /// Sends a write to a node.
    pub(crate) async fn send(
        &self,
        idx: usize,
        spec: &'static Spec,
        cmd: &Cmd,
        budget: &Budget,
    ) -> Result<Value, node::Error> {
        budget.all(self.nodes.member(idx).writer()).run(spec, cmd).await
    }

    /// Judges a write by how many nodes took it.
    pub(crate) fn judge(
        &self,
        spec: &'static Spec,
        replies: Replies<Value>,
    ) -> Result<Replies<Value>, Error> {
        let wanted = self.policy.write_to.wanted(replies.len());
        if replies.successes().count() >= wanted {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted, replies })))
    }

    /// Judges a command that was meant for one node: of those that were asked, one must have taken it.
    pub(crate) fn judge_some(
        &self,
        spec: &'static Spec,
        results: Vec<(usize, Result<Value, node::Error>)>,
    ) -> Result<Replies<Value>, Error> {
        let names = (0..self.nodes.len()).map(|idx| Arc::clone(self.nodes.name(idx)));
        let mut replies: Vec<_> = names.map(|name| (name, Outcome::Skipped)).collect();
        for (idx, result) in results {
            if let Some((_, outcome)) = replies.get_mut(idx) {
                *outcome = result.into();
            }
        }
        let replies = Replies::new(replies);
        if replies.first().is_some() {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted: 1, replies })))
    }
}

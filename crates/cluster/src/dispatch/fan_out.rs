//! A write on a copy: all nodes are sent it at once, or one decides it and the others are sent its effect.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::MutexGuard;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::ScriptCall;
use redisdb_node::command;
use redisdb_node::command::Spec;

use crate::call::Call;
use crate::dispatch::failover_read::says_no_such_key;
use crate::dispatch::run_with::run_with;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::Shared;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::hints::log::Trust;
use crate::plan::context::Context;
use crate::plan::divergence::Ack;
use crate::plan::primary_effect::Decide;
use crate::plan::primary_effect::Effect;
use crate::plan::replicate;
use crate::plan::replicate::Replication;
use crate::replies::Outcome;
use crate::replies::Replies;

impl CopyEngine {
    /// Sends a write to every node at once; the outcome is judged by [`WriteTo`].
    pub(crate) async fn run_write(&self, call: &Call<'_>) -> Result<Replies<Value>, Error> {
        let Call { spec, cmd, .. } = *call;
        let mut budget = self.budget(self.shared.nodes.len()).await?;
        let shared = &*self.shared;
        let mut guard = WriteGuard::new(shared, call);
        if replicate::tells_a_life(spec) {
            budget.learn_clock(&shared.nodes).await;
        }
        let rewritten;
        let cmd = match replicate::plan(Context::Alone, call, || shared.nodes.clock())? {
            Replication::AsItIs => cmd,
            Replication::Instead(instead) => {
                rewritten = instead;
                &rewritten
            }
            Replication::Decided(decide, absolute) => {
                let cmd = absolute.as_ref().unwrap_or(cmd);
                return self.run_decided(call, cmd, decide, &mut guard, &mut budget).boxed().await;
            }
            Replication::OneNode => return self.run_on_one(call).boxed().await,
        };
        guard.sending();
        let is_flush = matches!(spec.name, "FLUSHALL" | "FLUSHDB");
        let results = match is_flush && shared.identity.is_some() {
            true => join_all((0..shared.nodes.len()).map(|idx| self.flush(idx, spec, cmd))).boxed().await,
            false => join_all((0..shared.nodes.len()).map(|idx| shared.send(idx, spec, cmd, &budget))).await,
        };
        if shared.identity.is_some() && guard.is_disagreed(&results) {
            guard.answered(results.iter().map(Ack::from).collect());
            budget.limit(self.look_at_all()).await;
        }
        guard.conclude(results)
    }

    /// Looks at all markers, because nodes disagree: a server that was emptied a moment ago must not count.
    pub(crate) fn look_at_all(&self) -> impl Future<Output = ()> + Send {
        // Boxed, for it is rare.
        join_all((0..self.shared.nodes.len()).map(|idx| self.look_at(idx))).map(drop).boxed()
    }

    /// Has one node decide what a command does, and sends what came of it to the others, all at once.
    ///
    /// If the deciding node gives an error, nothing was sent to the others.
    async fn run_decided(
        &self,
        call: &Call<'_>,
        cmd: &Cmd,
        decide: Decide,
        guard: &mut WriteGuard<'_>,
        budget: &mut Budget,
    ) -> Result<Replies<Value>, Error> {
        let (shared, spec, key) = (&*self.shared, call.spec, call.first_key());
        let order = || shared.nodes.ring().successors(key.unwrap_or_default());
        let (mut errors, mut in_vain) = (Vec::<node::Error>::new(), Vec::new());
        if shared.nobody_is_up() {
            budget.limit(self.examine_all()).await;
        }
        for wanted in [Trust::Full, Trust::Provisional] {
            for idx in order() {
                if shared.nodes.member(idx).trust(call.keys()) != wanted {
                    continue;
                }
                guard.deciding(idx);
                match ask(&budget.share(shared.nodes.member(idx).writer()), spec, cmd, decide).await {
                    Ok((reply, answer)) => {
                        let lacks = decide.lacks_something(cmd, &reply, answer.as_ref());
                        if self.counts(idx, call, lacks, budget).await {
                            let effect = decide.effect(cmd, &reply, answer.as_ref());
                            return self.send_effect(spec, cmd, (idx, reply), effect, guard, budget).await;
                        }
                        // What it did is undone when it is made equal to the others.
                        guard.note_other(idx);
                        in_vain.push(idx);
                    }
                    Err(error) if says_no_such_key(&error) && !self.counts(idx, call, true, budget).await => {
                    }
                    Err(error) if error.is_connect() => {
                        shared.observe(idx, &error);
                        errors.push(error);
                    }
                    Err(error) => {
                        // It may have done it, and the others certainly have not.
                        guard.note_undecided(idx, &error);
                        return Err(match in_vain.is_empty() {
                            true => Error::Node(error),
                            // Others have done it before, though that does not count.
                            false => Error::unavailable(spec.name, key, vec![error], Vec::new())
                                .done_in_vain(shared.names(in_vain)),
                        });
                    }
                }
            }
        }
        let is_behind = |idx: &usize| {
            !in_vain.contains(idx) && !errors.iter().any(|error| error.node() == &**shared.nodes.name(*idx))
        };
        let stale = order().filter(is_behind).collect();
        guard.nothing_missed();
        let error = Error::unavailable(spec.name, key, errors, shared.names(stale));
        Err(error.done_in_vain(shared.names(in_vain)))
    }

    /// Returns whether the answer of a node counts: a server that was restarted, or emptied a moment ago, has answered from
    /// another memory than that of the others. Without an identity nobody can tell of one that was emptied.
    async fn counts(&self, idx: usize, call: &Call<'_>, lacks: bool, budget: &Budget) -> bool {
        self.shared.nodes.member(idx).trust(call.keys()) != Trust::Stale
            && (!lacks || self.has_its_marker(idx, budget).await)
    }

    async fn send_effect(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        (decider, reply): (usize, Value),
        effect: Effect,
        guard: &mut WriteGuard<'_>,
        budget: &Budget,
    ) -> Result<Replies<Value>, Error> {
        let shared = &*self.shared;
        let is_same = matches!(effect, Effect::Same);
        let (cmd, row, expected) = match effect {
            Effect::Nothing => {
                guard.nothing_missed();
                let outcome =
                    |idx| if idx == decider { Outcome::Ok(reply.clone()) } else { Outcome::Skipped };
                let names =
                    (0..shared.nodes.len()).map(|idx| (Arc::clone(shared.nodes.name(idx)), outcome(idx)));
                return Ok(Replies::new(names.collect()));
            }
            Effect::Same => (cmd.clone(), spec, Some(reply.clone())),
            Effect::Instead(cmd, expected) => {
                let row = command::lookup(&cmd).unwrap_or(spec);
                (cmd, row, expected.map(Value::Int))
            }
        };
        let each = (0..shared.nodes.len()).map(async |idx| {
            if idx == decider { Ok(reply.clone()) } else { shared.send(idx, row, &cmd, budget).await }
        });
        guard.decided(decider);
        let results = join_all(each).await;
        // Another answer than the deciding node's: what is there was something else before.
        let differs = |(idx, result): &(usize, &Result<Value, node::Error>)| {
            let found = result.as_ref().ok().filter(|_| *idx != decider);
            found.zip(expected.as_ref()).is_some_and(|(found, expected)| found != expected)
        };
        let differing: Vec<_> = results.iter().enumerate().filter(differs).map(|(idx, _)| idx).collect();
        if !differing.is_empty() && shared.identity.is_some() {
            // Or what the deciding node held was: somebody may have emptied it a moment ago.
            budget.limit(self.look_at(decider)).await;
        }
        if is_same && !self.has_memory(decider) {
            // What the others said to the same command is what counts then.
            return guard.conclude(results);
        }
        let judged = guard.conclude_decided(results, (decider, &reply), replicate::is_whole(row, &cmd));
        if self.has_memory(decider) {
            differing.into_iter().filter(|idx| self.has_memory(*idx)).for_each(|idx| guard.note_other(idx));
        }
        judged
    }

    /// Has every node run a script, all at once, where the caller has declared that it does the same everywhere.
    pub(crate) async fn run_script(
        &self,
        call: &Call<'_>,
        script: &ScriptCall<'_>,
    ) -> Result<Replies<Value>, Error> {
        let writers = self.writers().await?;
        let shared = &*self.shared;
        call.check_keys()?;
        let mut guard = WriteGuard::new(shared, call);
        guard.sending();
        let results = join_all(writers.map(|node| node.run_script(script))).await;
        if shared.identity.is_some() && guard.is_disagreed(&results) {
            guard.answered(results.iter().map(Ack::from).collect());
            self.look_at_all().await;
        }
        guard.conclude(results)
    }

    /// Sends a command to one node: the channel's owner, or the next one when that cannot be reached.
    async fn run_on_one(&self, call: &Call<'_>) -> Result<Replies<Value>, Error> {
        let Call { spec, cmd, .. } = *call;
        let shared = &*self.shared;
        let channel = call.first_key().unwrap_or_default();
        let mut results = Vec::new();
        for idx in shared.nodes.ring().successors(channel) {
            let result = shared.nodes.member(idx).writer().run(spec, cmd).await;
            let next = result.as_ref().is_err_and(node::Error::is_connect);
            results.push((idx, result));
            if !next {
                break;
            }
        }
        shared.judge_some(spec, results)
    }
}

/// Runs a command on the node that decides it, together with the question about its effect where there is one.
async fn ask(
    node: &Node,
    spec: &'static Spec,
    cmd: &Cmd,
    decide: Decide,
) -> Result<(Value, Option<Value>), node::Error> {
    match decide.question(cmd) {
        None => Ok((node.run(spec, cmd).await?, None)),
        Some(question) => {
            let (reply, answer) = run_with(node, spec, cmd, question).await?;
            // It was executed, and what the others must be sent is not known.
            let unknown = |error: node::Error| {
                let reason = (redis::ErrorKind::UnexpectedReturnType, "its effect", error.to_string());
                node::Error::new(node.name().into(), spec.name, node::ErrorKind::Reply(reason.into()))
            };
            Ok((reply, Some(answer.map_err(unknown)?)))
        }
    }
}

impl Shared {
    /// Sends a write to a node.
    async fn send(
        &self,
        idx: usize,
        spec: &'static Spec,
        cmd: &Cmd,
        budget: &Budget,
    ) -> Result<Value, node::Error> {
        budget.all(self.nodes.member(idx).writer()).run(spec, cmd).await
    }

    /// Held while it is judged what became of a write.
    pub(crate) fn judging(&self) -> MutexGuard<'_, ()> {
        self.judging.lock()
    }

    /// Judges a write by how many nodes took it.
    pub(crate) fn judge(
        &self,
        spec: &'static Spec,
        replies: Replies<Value>,
    ) -> Result<Replies<Value>, Error> {
        let wanted = self.write_to.wanted(replies.len());
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

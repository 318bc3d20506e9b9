//! A write on a copy that one node decides, the primary of its key: the others are sent its effect.

use crate::call::Call;
use crate::dispatch::failover_read::says_no_such_key;
use crate::dispatch::run_with::run_with;
use crate::dispatch::write_guard::WriteGuard;
use crate::engine::copy::CopyEngine;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::hints::trust::Trust;
use crate::plan::primary_effect::Decide;
use crate::plan::primary_effect::Effect;
use crate::plan::replicate;
use crate::replies::Outcome;
use crate::replies::Replies;
use futures_util::future::join_all;
use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command;
use redisdb_node::command::Spec;
use std::sync::Arc;
use std::time::Instant;

/// The outcome of asking a node to decide.
enum Decision {
    /// The node's reply counts, and the other nodes are sent this effect.
    Counts(Value, Effect),
    /// The node has executed the command, but did not hold what it should, so its reply does not count.
    InVain,
    /// The node has done nothing, because it lacks what it should hold.
    Nothing,
}

impl CopyEngine {
    /// Has one node decide what a command does, and sends its effect to all others at once.
    ///
    /// If the deciding node gives an error, nothing was sent to the others.
    pub(crate) async fn run_decided(
        &self,
        call: &Call<'_>,
        cmd: &Cmd,
        decide: Decide,
        guard: &mut WriteGuard<'_>,
        budget: &mut Budget,
    ) -> Result<Replies<Value>, Error> {
        let (topology, spec, key) = (&*self.topology, call.spec, call.first_key());
        let order = || topology.nodes.places(key.unwrap_or_default());
        let (mut errors, mut in_vain) = (Vec::<node::Error>::new(), Vec::new());
        if order().all(|idx| topology.nodes.member(idx).trust(call.keys()) == Trust::Stale) {
            budget.limit(self.examine_all()).await;
        }
        'asking: for wanted in [Trust::Full, Trust::Provisional] {
            for idx in order() {
                let is_wanted = || topology.nodes.member(idx).trust(call.keys()) == wanted;
                if !is_wanted() {
                    continue;
                }
                budget.limit(self.hear_of(idx)).await;
                if !is_wanted() {
                    continue;
                }
                guard.deciding(idx);
                match self.decide_on(idx, call, cmd, decide, budget).await {
                    Ok(Decision::Counts(reply, effect)) => {
                        return self.send_effect(call, cmd, (idx, reply), effect, guard, budget).await;
                    }
                    Ok(Decision::InVain) => {
                        // With this hint, repair overwrites what the node did.
                        guard.note_other(idx);
                        in_vain.push(idx);
                        // Unless it was emptied, a repair that is under way may take the node for current with this effect in it.
                        // If another node decided too, the command would be executed twice.
                        if !topology.nodes.member(idx).was_emptied() {
                            break 'asking;
                        }
                    }
                    Ok(Decision::Nothing) => {}
                    Err(error) if error.is_connect() => {
                        topology.observe(idx, &error);
                        errors.push(error);
                    }
                    Err(error) => {
                        // This node may have executed the command. The others were sent nothing.
                        guard.note_undecided(idx, &error);
                        return Err(match in_vain.is_empty() {
                            true => Error::Node(error),
                            // Nodes that were asked before have executed it, though their replies do not count.
                            false => Error::unavailable(spec.name, key, vec![error], Vec::new())
                                .done_in_vain(topology.names(in_vain)),
                        });
                    }
                }
            }
        }
        let is_behind = |idx: &usize| {
            !in_vain.contains(idx)
                && topology.nodes.member(*idx).trust(call.keys()) == Trust::Stale
                && !errors.iter().any(|error| error.node() == Some(topology.nodes.name(*idx)))
        };
        let stale = order().filter(is_behind).collect();
        guard.nothing_missed();
        let error = Error::unavailable(spec.name, key, errors, topology.names(stale));
        Err(error.done_in_vain(topology.names(in_vain)))
    }

    /// Asks one node to decide, and returns its reply with the effect, if the reply counts.
    async fn decide_on(
        &self,
        idx: usize,
        call: &Call<'_>,
        cmd: &Cmd,
        decide: Decide,
        budget: &mut Budget,
    ) -> Result<Decision, node::Error> {
        let topology = &*self.topology;
        let asked = Instant::now();
        let asking = ask(&budget.share(topology.nodes.member(idx).writer()), call.spec, cmd, decide).await;
        let (reply, answer) = match asking {
            Ok(decided) => decided,
            Err(error) if says_no_such_key(&error) && !self.counts(idx, call, true, budget).await => {
                return Ok(Decision::Nothing);
            }
            Err(error) => return Err(error),
        };
        let lacks = decide.lacks_something(cmd, &reply, answer.as_ref());
        if !self.counts(idx, call, lacks, budget).await {
            return Ok(Decision::InVain);
        }
        // A key that has been quiet for `quiet()` is made equal on all nodes, which may undo this decision. Sending its effect
        // after that would undo what others have written since. This process may also have been stopped for so long. Half of
        // that time is for the decision, and half for the effect. A write that takes longer than both is not acknowledged.
        let longest = topology.longest_reply();
        if longest < asked.elapsed() {
            let name = topology.nodes.name(idx).clone();
            return Err(node::Error::new(name, call.spec.name, node::ErrorKind::Timeout(longest)));
        }
        let effect = decide.effect(cmd, &reply, answer.as_ref());
        Ok(Decision::Counts(reply, effect))
    }

    /// Returns whether the reply of a node counts. `lacks` says that the reply tells of something missing.
    ///
    /// A server that was restarted, or emptied a moment ago, has replied from another memory than that of the others. A node
    /// may also have missed a write of another process, if it alone was cut off from that process. Without an identity nobody
    /// can tell that a server was emptied, or what another process has seen.
    async fn counts(&self, idx: usize, call: &Call<'_>, lacks: bool, budget: &Budget) -> bool {
        let member = self.topology.nodes.member(idx);
        budget.limit(self.hear_of(idx)).await;
        let needs_look = || lacks || member.flushes().are_unseen();
        member.trust(call.keys()) != Trust::Stale && (!needs_look() || self.is_sure(idx, call, budget).await)
    }

    /// Sends the effect of a decision to the other nodes.
    async fn send_effect(
        &self,
        call: &Call<'_>,
        cmd: &Cmd,
        (decider, reply): (usize, Value),
        effect: Effect,
        guard: &mut WriteGuard<'_>,
        budget: &Budget,
    ) -> Result<Replies<Value>, Error> {
        let topology = &*self.topology;
        let is_same = matches!(effect, Effect::Same);
        let (cmd, row, expected) = match effect {
            Effect::Nothing => {
                guard.nothing_missed();
                let outcome =
                    |idx| if idx == decider { Outcome::Ok(reply.clone()) } else { Outcome::Skipped };
                let names =
                    (0..topology.nodes.len()).map(|idx| (Arc::clone(topology.nodes.name(idx)), outcome(idx)));
                return Ok(Replies::new(names.collect()));
            }
            Effect::Same => (cmd.clone(), call.spec, Some(reply.clone())),
            Effect::Instead(cmd, expected) => {
                let row = command::lookup(&cmd).unwrap_or(call.spec);
                (cmd, row, expected.map(Value::Int))
            }
        };
        let each = (0..topology.nodes.len()).map(async |idx| {
            if idx == decider { Ok(reply.clone()) } else { topology.send(idx, row, &cmd, budget).await }
        });
        guard.decided(decider);
        let results = join_all(each).await;
        // A reply other than the expected one shows that the node held something else before.
        let differs = |(idx, result): &(usize, &Result<Value, node::Error>)| {
            let found = result.as_ref().ok().filter(|_| *idx != decider);
            found.zip(expected.as_ref()).is_some_and(|(found, expected)| found != expected)
        };
        let differing: Vec<_> = results.iter().enumerate().filter(differs).map(|(idx, _)| idx).collect();
        if !differing.is_empty() && topology.identity.is_some() {
            // It may be the deciding node that held something else: somebody may have emptied it a moment ago.
            budget.limit(self.look_at(decider)).await;
        }
        if is_same && !self.has_memory(decider) {
            // The deciding node does not count any more, so the others' replies to the same command do.
            return guard.conclude(results);
        }
        let judged = guard.conclude_decided(results, (decider, &reply), replicate::is_whole(row, &cmd));
        if self.has_memory(decider) {
            differing
                .into_iter()
                .filter(|idx| self.has_memory(*idx))
                .for_each(|idx| guard.note_different(idx));
        }
        judged
    }
}

/// Runs a command on the node that decides it, together with the question about its effect where there is one.
async fn ask(
    node: &Node,
    spec: &'static Spec,
    cmd: &Cmd,
    decide: Decide,
) -> Result<(Value, Option<Value>), node::Error> {
    // The command was executed, but its effect, which the others must be sent, is not known.
    let unknown = |reason: String| {
        let reason = (redis::ErrorKind::UnexpectedReturnType, "its effect", reason);
        node::Error::new(node.name().into(), spec.name, node::ErrorKind::Reply(reason.into()))
    };
    let (reply, answer) = match decide.question(cmd) {
        None => (node.run(spec, cmd).await?, None),
        Some(question) => {
            let (reply, answer) = run_with(node, spec, cmd, question).await?;
            (reply, Some(answer.map_err(|error| unknown(error.to_string()))?))
        }
    };
    decide.fits(cmd, &reply, answer.as_ref()).map_err(unknown)?;
    Ok((reply, answer))
}

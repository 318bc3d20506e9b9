//! The supervisor of a copy: it watches each node, and brings one back that was away.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::future::join3;
use futures_util::future::select;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::NodeEvent;
use redisdb_node::commands::ServerCommands;

use crate::anti_entropy::conflict::KnownConflicts;
use crate::anti_entropy::repair::Repair;
use crate::anti_entropy::repair::Repaired;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::deadline::Budget;
use crate::error::Error;
use crate::error::RepairReason;
use crate::event::Event;
use crate::health::Health;
use crate::hints::log::HintLog;
use crate::membership::state_machine::Observation;
use crate::policy::OnReturn;

/// The pause between two looks at a node that is up.
const CALM: Duration = Duration::from_secs(1);
/// The pause between two looks at a node that is not up. What it missed is brought over in two steps, so that
/// writes of other processes that are on their way do not count as differences.
const BUSY: Duration = Duration::from_millis(250);
/// The time after which a server is asked for its hints anew, while its node is healed or left alone. It is a little more than the
/// longest pause of a node that is up: such a node is looked at before.
const HEAR_AGAIN: Duration = Duration::from_millis(1250);
/// The longest pause after which a node that could not be made the same is tried again; each pause is twice
/// the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The number of attempts in vain after which they are told.
const IN_VAIN: u32 = 5;
/// The time for which a server that is not ours to repair is left alone, while nothing about it changes.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

impl CopyEngine {
    /// Makes sure that somebody watches over the nodes, as long as there is a handle of this copy.
    pub(crate) fn watch(&self) {
        let Some(supervisor) = &self.supervisor else { return };
        supervisor.ensure(|| {
            // Without the supervisor in it: whoever watches does not keep itself alive.
            let copy = Self { topology: Arc::clone(&self.topology), supervisor: None, deadline: None };
            async move { copy.care().await }
        });
    }

    async fn care(&self) {
        let care = join_all((0..self.topology.nodes.len()).map(|idx| self.care_for(idx)));
        join3(care, self.converge().boxed(), self.watch_markers().boxed()).await;
    }

    /// Looks at a node now and then, and brings it back when it has been away, forever.
    async fn care_for(&self, idx: usize) {
        let (mut care, mut told) = (Care::default(), Health::Up);
        let mut conflicts = KnownConflicts::default();
        let node = self.topology.nodes.at(idx).name();
        let mut events = self.topology.nodes.events().stream();
        loop {
            // Boxed, so that the future of the watcher is not nested too deeply for rustc.
            self.examine(idx).boxed().await;
            self.leave_forgotten().boxed().await;
            self.pass_on(idx).boxed().await;
            self.tell(idx, &mut told);
            let tended = async {
                let is_well = self.heal(idx, &mut care).boxed().await;
                self.remove_hints(idx).boxed().await;
                self.tell(idx, &mut told);
                // One of the watchers does it for all.
                if idx == 0 {
                    self.tell_conflicts(&mut conflicts).boxed().await;
                }
                let pause = match care.failures {
                    0 if is_well => CALM,
                    0 => BUSY,
                    n => (CALM * 2_u32.saturating_pow(n - 1)).min(LONGEST_PAUSE),
                };
                // Between four and six fifths of it, so that processes do not keep step.
                let pause = pause.mul_f64(0.8 + 0.4 * fastrand::f64());
                // Whatever a new connection leads to is looked at at once: until then it may be given nothing.
                let _waited = tokio::time::timeout(pause, connection(&mut events, node)).await;
            };
            let _tended = select(tended.boxed(), self.hear_meanwhile(idx).boxed()).await;
        }
    }

    /// Reads now and then what a server says that other nodes have missed, forever: the healing of its own node may take long.
    async fn hear_meanwhile(&self, idx: usize) {
        let node = self.topology.nodes.at(idx);
        loop {
            tokio::time::sleep(HEAR_AGAIN).await;
            node.shorten_rest();
            if node.ready().await.is_ok() && self.topology.identity.is_some() {
                self.read_hints_on(idx).await;
                self.give_hints(&Budget::new(None, 1)).await;
            }
        }
    }

    /// Tells how a node is, if that is not what was told last.
    fn tell(&self, idx: usize, told: &mut Health) {
        let topology = &*self.topology;
        let (node, hints) = topology.nodes.member(idx).with_hints();
        let health = hints.health(node);
        if std::mem::replace(told, health) != health {
            tracing::info!(node = node.name(), ?health, "a copy's node");
            topology.nodes.events().tell(Event::Health { node: node.name().to_owned(), health });
        }
        #[cfg(feature = "metrics")]
        metrics::gauge!("redisdb_copy_missed_keys", "node" => node.name().to_owned())
            .set(hints.n_missed() as f64);
    }

    /// Looks at all nodes at once: nobody is known to be up, and one may have come back a moment ago.
    pub(crate) async fn examine_all(&self) {
        join_all((0..self.topology.nodes.len()).map(|idx| self.examine(idx))).await;
    }

    /// Connects to a node, looks at what it is, and draws the conclusions.
    pub(crate) async fn examine(&self, idx: usize) {
        let topology = &*self.topology;
        let (node, hints) = topology.nodes.member(idx).with_hints();
        hints.on(Observation::Probing);
        // It may be up for others, which would read what it misses of this process.
        node.shorten_rest();
        if let Err(error) = node.ready().await {
            topology.observe(idx, &error);
            self.begin_hints_about(idx).boxed().await;
            return;
        }
        hints.on(Observation::Connected);
        if topology.identity.is_some() {
            self.look_at(idx).await;
            self.try_permissions(idx).boxed().await;
            self.read_hints_on(idx).boxed().await;
            self.give_hints(&Budget::new(None, 1)).await;
            topology.tell_shadow(idx, None);
            return;
        }
        // A server that hangs is noticed by what it does not answer.
        if let Err(error) = node.send(&redis::cmd("PING")).await {
            topology.observe(idx, &error);
        }
        hints.meet(node);
    }

    /// Brings over what a node has missed, as far as it is this client's business. Returns whether there is nothing left.
    async fn heal(&self, idx: usize, care: &mut Care) -> bool {
        let topology = &*self.topology;
        let (node, hints) = topology.nodes.member(idx).with_hints();
        let last = hints.last_missed();
        let is_back = match hints.health(node) {
            Health::Up => {
                *care = Care::default();
                return true;
            }
            Health::Down | Health::Probing | Health::Fencing | Health::Misconfigured => {
                care.quiet = 0;
                return false;
            }
            Health::Syncing => false,
            Health::Suspect | Health::WriteDegraded | Health::Replaying => !hints.has_missed(),
        };
        // That must be seen twice, so that other processes have had the time to bring over what they know of.
        if is_back {
            care.quiet += 1;
            return care.quiet > 1 && hints.catch_up(last);
        }
        let OnReturn::Repair { keys_per_second } = topology.policy.on_return else {
            care.answer_the_rest(node, hints);
            return false;
        };
        let is_whole = hints.has_memory(node);
        if !is_whole && care.is_refused(node, hints).await {
            return false;
        }
        let repaired = match topology.restarted() {
            // One of them looks after all.
            Some(restarted) if restarted.first() == Some(&idx) => {
                self.reconcile(&restarted, keys_per_second).await.map(|()| Repaired::default())
            }
            Some(_) => return false,
            None => {
                let Ok(_alone) = hints.repairing.try_lock() else { return false };
                let repair = Repair::new(self.clone(), node.name().to_owned());
                repair.keys_per_second(keys_per_second).by_itself().attempt(1).await
            }
        };
        let is_orphan = |(key, _): (Vec<u8>, u64)| topology.source_of(idx, &key).is_none();
        match repaired.is_err() && is_whole && hints.missed_keys().into_iter().all(is_orphan) {
            // Nobody has them right, which may stay so: no other node is to wait for this one, nor any reader of other keys.
            true => care.answer_the_rest(node, hints),
            false => care.quiet = 0,
        }
        match &repaired {
            Ok(repaired) => {
                care.n_in_vain = 0;
                topology.tell_left(node, repaired);
            }
            Err(error) => {
                topology.tell_all_refused(error);
                care.tell_stuck(node, error);
            }
        }
        match repaired {
            Ok(repaired) if repaired.failed.is_empty() => care.failures = 0,
            // A node that is full may have room again soon, and a few keys are tried quickly; not so all of them.
            Ok(_) => care.failures = if is_whole { 1 } else { care.failures.saturating_add(1) },
            Err(Error::Repair(error)) if !error.is_passing() => {
                care.failures = 1;
                match care.is_refused_anew(Refused::now(node, hints, error.reason)) {
                    true => {
                        tracing::warn!(node = node.name(), %error, "left alone until something has changed");
                    }
                    false => tracing::debug!(node = node.name(), %error, "still left alone"),
                }
            }
            Err(error) => {
                tracing::debug!(node = node.name(), %error, "not repaired yet");
                // That another process is at it, or that no node can be the source, may change soon.
                let may_change_soon = is_whole || matches!(error, Error::Repair(_));
                care.failures = if may_change_soon { 1 } else { care.failures.saturating_add(1) };
            }
        }
        false
    }
}

/// What a watcher remembers of a node.
#[derive(Debug, Default)]
struct Care {
    /// The number of looks in a row at which nothing was missed.
    quiet: u32,
    /// The number of repairs in a row that could not make the node the same.
    failures: u32,
    /// The number of repairs in a row that were in vain, while no other process was repairing the node.
    n_in_vain: u32,
    /// That its server is not ours to be repaired, as far as is known.
    refused: Option<Refused>,
}

/// What a server was like that is not ours to be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    reason: RepairReason,
    incarnation: u64,
    is_admitted: bool,
    at: Instant,
}

impl Refused {
    fn now(node: &Node, hints: &HintLog, reason: RepairReason) -> Self {
        let incarnation = node.incarnation();
        let is_admitted = hints.fence().admits(incarnation);
        Self { reason, incarnation, is_admitted, at: Instant::now() }
    }
}

impl Care {
    /// Tells once, of a node that is still not repaired after some attempts, what stands in the way.
    fn tell_stuck(&mut self, node: &Node, error: &Error) {
        // That another process is at it passes, and what stays so is told at once.
        if let Error::Repair(error) = error
            && (error.reason == RepairReason::Busy || !error.is_passing())
        {
            return;
        }
        self.n_in_vain = self.n_in_vain.saturating_add(1);
        if self.n_in_vain == IN_VAIN {
            tracing::warn!(node = node.name(), %error, "it is still not the same as the others, and is tried again");
        }
    }

    /// Has a node that is back answer what it has not missed, though what it missed is not brought over.
    fn answer_the_rest(&mut self, node: &Node, hints: &HintLog) {
        self.quiet += 1;
        if self.quiet > 1 && hints.health(node) == Health::Replaying {
            hints.on(Observation::CaughtUp);
            hints.on(Observation::Missed);
        }
    }

    /// Remembers that a server is not ours to be repaired. Returns whether that is news.
    fn is_refused_anew(&mut self, now: Refused) -> bool {
        let before = self.refused.replace(now);
        before.is_none_or(|before| Refused { at: now.at, ..before } != now)
    }

    /// Returns whether a server that was not ours to repair has not changed since: it is the same process, is
    /// known as well as before, and still holds something. Only a look at all its keys would show more, and
    /// that is done rarely.
    async fn is_refused(&self, node: &Node, hints: &HintLog) -> bool {
        let Some(refused) = self.refused else { return false };
        Refused { at: refused.at, ..Refused::now(node, hints, refused.reason) } == refused
            && refused.at.elapsed() < LOOK_AGAIN
            && !matches!(node.dbsize().await, Ok(0))
    }
}

impl CopyTopology {
    /// Takes note of what the error of a call says of its node.
    pub(crate) fn observe(&self, idx: usize, error: &node::Error) {
        let hints = self.nodes.member(idx).hints();
        if matches!(error.kind(), node::ErrorKind::Fenced) {
            // It is there; what it is, is about to be looked at.
        } else if error.is_config() {
            hints.on(Observation::Misconfigured);
        } else if error.is_local() {
            // That this process has no more file descriptors says nothing of the server.
        } else if error.is_connect() || error.command() == "CONNECT" {
            hints.on(Observation::Unreachable);
        } else if error.refuses_writes() {
            hints.on(Observation::Refused);
        }
    }
}

/// Waits until a connection to a node has been made.
async fn connection(events: &mut (impl Stream<Item = Event> + Unpin), node: &str) {
    let is_it = |event: &Event| match event {
        Event::Node { node: name, event } => name == node && matches!(event, NodeEvent::Connected { .. }),
        // It may have been among them.
        Event::Missed(_) => true,
        _ => false,
    };
    while let Some(event) = events.next().await {
        if is_it(&event) {
            return;
        }
    }
    std::future::pending().await
}

//! The engine of a ring: what its handle calls, and how one command runs.

pub(crate) mod topology;

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::Cmd;
use redis::FromRedisValue;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::after;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::dispatch::scatter::on_owner;
use crate::engine::background_task::BackgroundTask;
use crate::engine::replace::Replaced;
use crate::engine::ring::topology::RingBlueprint;
use crate::engine::ring::topology::RingTopology;
use crate::error::Error;
use crate::event::Event;
use crate::failover::stand_in::not_yet;
use crate::failover::stand_in::run_without_those_away;
use crate::plan::Plan;
use crate::plan::context::Context;
use crate::policy::OnDown;
use crate::policy::Rejoin;
use crate::replies::decode;
use crate::reply::NodesReply;

/// What the handle of a ring calls. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct RingEngine {
    shared: Arc<Shared>,
    deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// Swapped whole: a call sees the nodes of one topology, from its routing to its last reply.
    pub(crate) topology: ArcSwap<RingTopology>,
    /// Lets nodes that were away serve again.
    pub(crate) rejoining: BackgroundTask,
    /// Removes from the other nodes what they still hold of the keys of nodes that serve again.
    pub(crate) cleaning: BackgroundTask,
    /// Wakes the task that does it. A return that comes while the task is about to rest is not lost.
    pub(crate) is_to_clean: Arc<Notify>,
}

impl RingEngine {
    pub(crate) fn new(plan: RingBlueprint) -> Self {
        let topology = ArcSwap::from_pointee(RingTopology::new(plan));
        let (rejoining, cleaning, is_to_clean) = Default::default();
        Self { shared: Arc::new(Shared { topology, rejoining, cleaning, is_to_clean }), deadline: None }
    }

    /// The same ring, whose calls take no longer than this in all.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// Puts other nodes in place of the present ones; see [`RedisRing::replace`](crate::RedisRing::replace).
    pub(crate) fn replace(&self, plan: &RingBlueprint) -> Replaced {
        let mut replaced = Replaced::default();
        // Tried again if another replacement comes between.
        self.shared.topology.rcu(|present| {
            let (next, what) = present.replaced_by(plan);
            replaced = what;
            next
        });
        replaced.log();
        self.topology().nodes.events().tell(Event::Replaced(replaced.clone()));
        replaced
    }

    /// The topology of this moment.
    pub(crate) fn topology(&self) -> Arc<RingTopology> {
        self.shared.topology.load_full()
    }

    /// When a call ends that begins now, by the deadline of this handle.
    pub(crate) fn by(&self) -> Option<Instant> {
        self.deadline.map(|deadline| after(Instant::now(), deadline))
    }

    fn target(&self, spec: &'static Spec, cmd: &Cmd, by: Option<Instant>) -> Result<Target, Error> {
        let topology = self.shared.topology.load();
        let owner = match topology.fast_owner(spec, || spec.first_key(cmd).ok()?) {
            Some(owner) => owner,
            None if topology.may_fail_over(spec) => return Ok(Target::Without(Arc::clone(&topology))),
            None => match topology.route(spec, cmd, Context::Alone)? {
                Plan::One(owner) => owner,
                plan => return Ok(Target::Several(Arc::clone(&topology), plan)),
            },
        };
        let owner = topology.nodes.at(owner);
        Ok(Target::One(by.map_or_else(|| owner.clone(), |by| owner.until(by))))
    }

    /// Runs a command by its row.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        spec: &'static Spec,
        cmd: impl Borrow<Cmd>,
    ) -> Result<T, Error> {
        let (cmd, by) = (cmd.borrow(), self.by());
        let reply = match self.target(spec, cmd, by)? {
            Target::One(owner) => match owner.run(spec, cmd).await {
                Ok(reply) => return Ok(decode(owner.name(), spec.name, reply)?),
                Err(error) => Box::pin(self.run_elsewhere(spec, cmd, error, by)).await?,
            },
            // Boxed, for it is rare: the future of every other command would have room for it.
            target => Box::pin(self.run_other(spec, cmd, target, by)).await?,
        };
        reply.read(spec)
    }

    /// Runs a command by its row. Returns the reply as it is, and who gave it.
    pub(crate) async fn reply(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        by: Option<Instant>,
    ) -> Result<NodesReply, Error> {
        self.run_other(spec, cmd, self.target(spec, cmd, by)?, by).await
    }

    /// Runs a command on other nodes, if its owner was not sent it, others answer for the owner by now, and there is time left.
    async fn run_elsewhere(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        error: node::Error,
        by: Option<Instant>,
    ) -> Result<NodesReply, Error> {
        let topology = self.topology();
        let has_time = by.is_none_or(|by| Instant::now() < by);
        if error.is_connect() && has_time && topology.may_fail_over(spec) {
            self.shared.look_after_those_away();
            return run_without_those_away(&topology, spec, cmd, by).await;
        }
        Err(on_owner(spec, cmd, error))
    }

    /// Sees to it that nodes which were away serve again.
    pub(crate) fn look_after_those_away(&self) {
        self.shared.look_after_those_away();
    }

    /// Waits until a node may do for its keys what no other node does in its place: a block, a transaction, a script, a lock. A node
    /// that is back after an outage first has to be made ready, for what it holds may be old; that is waited for as long as for a
    /// connection.
    ///
    /// # Errors
    /// If it is not ready. Nothing was sent then.
    pub(crate) async fn ready(
        &self,
        topology: &RingTopology,
        owner: usize,
        command: &'static str,
    ) -> Result<(), node::Error> {
        let node = topology.nodes.at(owner);
        // A node that is down says so itself.
        if !topology.is_away(owner) || node.is_down() {
            return Ok(());
        }
        self.look_after_those_away();
        let limit = match topology.on_down {
            OnDown::Remap { on_return: Rejoin::WaitMaxTtl(_) } => Duration::ZERO,
            _ => node.config().connect_timeout().min(self.deadline.unwrap_or(Duration::MAX)),
        };
        if topology.nodes.member(owner).outages().serves_within(limit).await {
            return Ok(());
        }
        let reason = "it is back after an outage, and not ready to serve yet: what it holds may be old";
        Err(not_yet(topology.nodes.name(owner), command, reason))
    }

    async fn run_other(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        target: Target,
        by: Option<Instant>,
    ) -> Result<NodesReply, Error> {
        match target {
            Target::One(owner) => match owner.run(spec, cmd).await {
                Ok(reply) => Ok(NodesReply::One(owner.name().into(), reply)),
                Err(error) => self.run_elsewhere(spec, cmd, error, by).await,
            },
            Target::Several(topology, plan) => topology.nodes.until(by).run_on_several(spec, cmd, plan).await,
            Target::Without(topology) => {
                self.shared.look_after_those_away();
                run_without_those_away(&topology, spec, cmd, by).await
            }
        }
    }
}

/// How a command is run.
enum Target {
    /// As it is, by the owner of its keys.
    One(Node),
    /// By several nodes.
    Several(Arc<RingTopology>, Plan),
    /// By nodes that are not away, or by two nodes: each attempt is planned anew.
    Without(Arc<RingTopology>),
}

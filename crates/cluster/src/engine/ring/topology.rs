//! The topology of a ring: its nodes and how it uses them, one value that is swapped whole.

use std::sync::Arc;

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::command::Keys;
use redisdb_node::command::OnRing;
use redisdb_node::command::Spec;

use crate::builder::Members;
use crate::call::Call;
use crate::config::ConfigError;
use crate::engine::member::Member;
use crate::engine::nodes::Nodes;
use crate::engine::nodes::Replicas;
use crate::engine::replace::Replaced;
use crate::engine::replace::Turn;
use crate::engine::replace::members;
use crate::error::Error;
use crate::event::Events;
use crate::failover::tracker::OutageTracker;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::route::route;
use crate::plan::route::route_together;
use crate::policy::OnDown;
use crate::policy::Rejoin;

/// The nodes of a ring and how it uses them.
#[derive(Debug)]
pub(crate) struct RingTopology {
    pub(crate) nodes: Nodes,
    colocated: bool,
    pub(crate) on_down: OnDown,
}

/// What a ring is to be made of: all that may be wrong with it has been found by now.
#[derive(Debug)]
pub(crate) struct RingBlueprint {
    ring: Arc<HashRing>,
    nodes: Vec<NodeConfig>,
    colocated: bool,
    on_down: OnDown,
}

impl RingBlueprint {
    pub(crate) fn new(members: Members, colocated: bool, on_down: OnDown) -> Result<Self, Error> {
        let reason = match &on_down {
            OnDown::Failover { ttl_cap } if ttl_cap.as_millis() == 0 => {
                Some("`ttl_cap` is 0, so nothing that is written would be kept; a minute is usual")
            }
            OnDown::Remap { on_return: Rejoin::FlushPrefix(prefix) } if prefix.is_empty() => Some(
                "the prefix is empty, so every key of the server would be removed; give the keys a prefix",
            ),
            _ => None,
        };
        match reason {
            Some(reason) => Err(ConfigError::OnDown { reason }.into()),
            None => {
                Ok(Self { ring: Arc::new(members.ring.build()?), nodes: members.nodes, colocated, on_down })
            }
        }
    }
}

impl RingTopology {
    pub(crate) fn new(plan: RingBlueprint) -> Self {
        let events = Events::default();
        let (ring, on_down) = (Arc::clone(&plan.ring), plan.on_down.clone());
        let nobody = Self {
            nodes: Nodes::new(ring, Vec::new(), events, Replicas::One),
            colocated: plan.colocated,
            on_down,
        };
        nobody.replaced_by(&plan).0
    }

    /// Decides where a command goes that runs by itself or in a pipeline.
    pub(crate) fn route(&self, spec: &'static Spec, cmd: &Cmd, context: Context) -> Result<Plan, Error> {
        route(self.nodes.ring(), |key| self.serving(key), spec, cmd, self.colocated, context)
    }

    /// Decides on which node commands run together, in one block or one transaction. No other node stands in for it.
    pub(crate) fn route_together<'a>(
        &self,
        commands: impl Iterator<Item = (&'static Spec, &'a Cmd)> + Clone,
        context: Context,
    ) -> Result<usize, Error> {
        route_together(self.nodes.ring(), commands, self.colocated, context)
    }

    /// The node of a command that has one key and is sent as it is, as most are. [`route`](Self::route) decides the same with
    /// more work.
    #[inline]
    pub(crate) fn fast_owner<'a>(
        &self,
        spec: &'static Spec,
        first_key: impl FnOnce() -> Option<&'a [u8]>,
    ) -> Option<usize> {
        match (spec.ring, spec.keys) {
            (OnRing::ByKey, Keys::One(_)) if !self.may_fail_over(spec) => {
                first_key().map(|key| self.serving(key))
            }
            _ => None,
        }
    }

    /// Decides where a command goes that nobody stands in for.
    pub(crate) fn route_to_owner(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Plan, Error> {
        let ring = self.nodes.ring();
        route(ring, |key| ring.lookup(key), spec, cmd, self.colocated, Context::Alone)
    }

    /// The node that answers for a key: its owner, or, while that is away and the ring is to do without it, the next one
    /// that is not.
    #[inline]
    pub(crate) fn serving(&self, key: &[u8]) -> usize {
        let ring = self.nodes.ring();
        let owner = ring.lookup(key);
        match self.is_away(owner) {
            false => owner,
            true => ring.successors(key).find(|idx| !self.is_away(*idx)).unwrap_or(owner),
        }
    }

    /// Returns whether other nodes answer for the keys of this one.
    #[inline]
    pub(crate) fn is_away(&self, idx: usize) -> bool {
        self.on_down != OnDown::Fail
            && (self.nodes.at(idx).is_down() || self.nodes.member(idx).outages().is_away())
    }

    /// Returns whether it may not be enough to send a command once, to the node that it is routed to: a node is away, or a
    /// delete goes to two nodes.
    #[inline]
    pub(crate) fn may_fail_over(&self, spec: &Spec) -> bool {
        self.goes_to_two(spec) || self.is_any_away()
    }

    /// Returns whether a command goes to two nodes.
    #[inline]
    pub(crate) fn goes_to_two(&self, spec: &Spec) -> bool {
        matches!(self.on_down, OnDown::Failover { .. }) && is_delete(spec)
    }

    /// Returns whether there is a node for whose keys others answer.
    #[inline]
    pub(crate) fn is_any_away(&self) -> bool {
        self.on_down != OnDown::Fail && (0..self.nodes.len()).any(|idx| self.is_away(idx))
    }

    /// The trackers of the outages of all nodes.
    pub(crate) fn outages(&self) -> impl Iterator<Item = (&Node, &Arc<OutageTracker>)> {
        self.nodes.members().map(|member| (member.node(), member.outages()))
    }

    /// The nodes in whose place one answers for a key: its owner, and all others that would come first.
    pub(crate) fn in_place_of(&self, at: usize, key: &[u8]) -> impl Iterator<Item = &Arc<OutageTracker>> {
        let before = self.nodes.ring().successors(key).take_while(move |idx| *idx != at);
        before.map(|idx| self.nodes.member(idx).outages())
    }

    /// Returns whether a node would answer for a key before another one does.
    pub(crate) fn stands_before(&self, node: usize, other: usize, key: &[u8]) -> bool {
        let mut successors = self.nodes.ring().successors(key);
        successors.find(|idx| *idx == node || *idx == other) == Some(node)
    }

    /// The topology that takes the place of this one, with those of its nodes that stay as they are.
    pub(crate) fn replaced_by(&self, plan: &RingBlueprint) -> (Self, Replaced) {
        let events = self.nodes.events();
        let (members, replaced) = members(&self.nodes, &plan.nodes, |turn, config| match turn {
            Turn::Kept(member) => member.clone(),
            // What the node has missed is known by its name, and is to be removed from the server that has the name now.
            Turn::Changed(member) => member.moved(config, events),
            Turn::Added => Member::new(config, events),
        });
        members.iter().for_each(|member| member.outages().follow(&plan.on_down));
        let nodes = Nodes::new(Arc::clone(&plan.ring), members, events.clone(), Replicas::One);
        (Self { nodes, colocated: plan.colocated, on_down: plan.on_down.clone() }, replaced)
    }
}

impl Planner for RingTopology {
    const STRATEGY: &'static str = "ring";

    fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    fn plan(&self, call: &Call<'_>, context: Context) -> Result<Plan, Error> {
        self.route(call.spec, call.cmd, context)
    }

    fn plan_block(&self, calls: &[Call<'_>]) -> Result<Vec<Plan>, Error> {
        let owner = self.route_together(calls.iter().map(|call| (call.spec, call.cmd)), Context::Block)?;
        Ok(calls.iter().map(|_| Plan::One(owner)).collect())
    }
}

pub(crate) fn is_delete(spec: &Spec) -> bool {
    matches!(spec.name, "DEL" | "UNLINK")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::RedisRing;

    #[test]
    fn nodes_that_stay_as_they_are_keep_their_connection() {
        let builder = || RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2");
        let topology = RingTopology::new(builder().node("c", "redis://h3").plan().unwrap());
        let next = builder().node("d", "redis://h4").weighted_node("c", "redis://moved", 2);
        let (next, replaced) = topology.replaced_by(&next.plan().unwrap());
        assert_eq!(replaced.kept, ["a", "b"]);
        assert_eq!((replaced.added, replaced.changed), (vec!["d".to_owned()], vec!["c".to_owned()]));
        assert_eq!(next.nodes.iter().map(Node::name).collect::<Vec<_>>(), ["a", "b", "d", "c"]);
        let plan = builder().weighted_node("c", "redis://moved", 7).plan().unwrap();
        let (_, replaced) = next.replaced_by(&plan);
        assert_eq!((replaced.kept.len(), replaced.removed), (3, vec!["d".to_owned()]));
    }

    #[test]
    fn what_would_lose_data_is_refused() {
        let plan = |on_down| RedisRing::builder().node("a", "redis://h").on_down(on_down).plan();
        assert!(plan(OnDown::Failover { ttl_cap: Duration::ZERO }).is_err());
        assert!(plan(OnDown::Remap { on_return: Rejoin::FlushPrefix(String::new()) }).is_err());
        assert!(plan(OnDown::Remap { on_return: Rejoin::Trust }).is_ok());
    }
}

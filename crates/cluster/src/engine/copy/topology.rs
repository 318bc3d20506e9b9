//! The topology of a copy: its nodes and how it uses them, one value that is swapped whole.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::Weak;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use redisdb_hashring::HashRing;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::command::Keys;
use redisdb_node::plumbing::foreign;
use tokio::sync::OnceCell;

use crate::anti_entropy::convergence::Convergence;
use crate::anti_entropy::convergence::OwnWrites;
use crate::call::Call;
use crate::config::ConfigError;
use crate::engine::copy::Present;
use crate::engine::member::Member;
use crate::engine::nodes::Nodes;
use crate::engine::nodes::Replicas;
use crate::engine::replace::Replaced;
use crate::engine::replace::Turn;
use crate::engine::replace::members;
use crate::error::Error;
use crate::event::Events;
use crate::hints::book::DurableHints;
use crate::membership::forget::Forgetting;
use crate::membership::forget::WAS_FORGOTTEN;
use crate::membership::identity::Identity;
use crate::membership::marker::Beat;
use crate::plan::Plan;
use crate::plan::Planner;
use crate::plan::context::Context;
use crate::plan::replicate;
use crate::policy::OnDifference;
use crate::policy::OnReturn;
use crate::policy::Policy;
use crate::shadow::Listener;
use crate::shadow::Shadow;

/// The nodes of a copy and how it uses them.
#[derive(Debug)]
pub(crate) struct CopyTopology {
    pub(crate) nodes: Nodes,
    pub(crate) policy: Policy,
    /// What the servers are marked with.
    pub(crate) identity: Option<Identity>,
    /// Set once the servers have been looked at.
    pub(crate) identified: OnceCell<()>,
    pub(crate) lasting: Arc<Lasting>,
    /// The topology that took the place of this one, while calls are still under way here.
    next: OnceLock<Arc<CopyTopology>>,
}

/// The state that outlives a replacement of the nodes.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) beat: Mutex<Beat>,
    /// What the servers say that others have missed.
    pub(crate) durable: DurableHints,
    /// Held while it is judged what became of a write that not every node took alike.
    pub(crate) judging: Mutex<()>,
    /// The warnings that were given already, and are not given again.
    pub(crate) told: Mutex<HashSet<String>>,
    pub(crate) forgotten: Forgetting,
    /// How far the nodes are equal, as this process knows.
    pub(crate) convergence: Mutex<Convergence>,
    pub(crate) own_writes: OwnWrites,
    /// What the handles of the copy hold; it owns this.
    pub(crate) present: Weak<Present>,
}

/// The parts of a copy to be made, in which everything that may be wrong has been found by now.
#[derive(Debug)]
pub(crate) struct CopyBlueprint {
    pub(crate) ring: HashRing,
    pub(crate) nodes: Vec<NodeConfig>,
    pub(crate) policy: Policy,
    pub(crate) identity: Option<Identity>,
    pub(crate) shadow: Option<Listener>,
}

impl CopyTopology {
    pub(crate) fn new(plan: CopyBlueprint, present: Weak<Present>) -> Self {
        let n_takers = plan.policy.write_to.wanted(plan.nodes.len());
        let names = plan.nodes.iter().map(|node| node.name().to_owned());
        let shadow = plan.shadow.map(|listener| Shadow::new(names.collect(), n_takers, listener));
        let events = Events::default().heard_by(shadow);
        let members = plan.nodes.iter().map(|config| {
            let member = Member::new(config.clone(), &events);
            if plan.identity.is_some() { member.fenced() } else { member }
        });
        let lasting = Lasting {
            beat: Mutex::new(Beat::new(Instant::now())),
            durable: DurableHints::default(),
            judging: Mutex::default(),
            told: Mutex::default(),
            forgotten: Forgetting::default(),
            convergence: Mutex::default(),
            own_writes: OwnWrites::default(),
            present,
        };
        let nodes = Nodes::new(Arc::new(plan.ring), members.collect(), events, Replicas::All);
        Self::of(nodes, plan.policy, plan.identity, Arc::new(lasting), OnceCell::new())
    }

    fn of(
        nodes: Nodes,
        policy: Policy,
        identity: Option<Identity>,
        lasting: Arc<Lasting>,
        identified: OnceCell<()>,
    ) -> Self {
        Self { nodes, policy, identity, lasting, identified, next: OnceLock::new() }
    }

    /// The topology that takes the place of this one, with those of its nodes that stay as they are. A node that joins holds
    /// nothing that counts until all keys were compared.
    ///
    /// # Errors
    /// If the identity is another one, or if no node stays that is in sync: what only the others hold would be lost.
    pub(crate) fn replaced_by(&self, plan: CopyBlueprint) -> Result<(Self, Replaced), Error> {
        if plan.identity != self.identity {
            let reason =
                "it is not the one of the copy in use, and cannot be changed; build another copy".to_owned();
            return Err(ConfigError::Setting { setting: "identity".to_owned(), reason }.into());
        }
        if let Some(node) = plan.nodes.iter().find(|node| self.lasting.forgotten.contains(node.name())) {
            let reason = format!("the server of node `{}` {WAS_FORGOTTEN}", foreign::name(node.name()));
            return Err(ConfigError::Setting { setting: "nodes".to_owned(), reason }.into());
        }
        let events = self.nodes.events();
        let (members, replaced) = members(&self.nodes, &plan.nodes, |turn, config| match turn {
            Turn::Kept(member) => member.clone(),
            // Of a node with another address nothing is known either, though it has the same name.
            Turn::Changed(_) | Turn::Added => {
                let member = Member::new(config, events).joining();
                if self.identity.is_some() { member.fenced() } else { member }
            }
        });
        if replaced.kept.is_empty() {
            let reason = "no node stays as it is, so none could bring the others to what the copy holds; keep one of the \
                          present ones, or build another copy"
                .to_owned();
            return Err(ConfigError::Setting { setting: "nodes".to_owned(), reason }.into());
        }
        let stays = |member: &Member| replaced.kept.iter().any(|name| *name == **member.name());
        if !members.iter().any(|member| stays(member) && member.is_in_sync()) {
            return Err(Error::NotReplaced { stale: replaced.kept });
        }
        Ok((self.going_on(plan.ring, members, plan.policy), replaced))
    }

    /// A topology of these members that goes on with what outlives a replacement.
    fn going_on(&self, ring: HashRing, members: Vec<Member>, policy: Policy) -> Self {
        // A shadow knows no other nodes than the first ones.
        let events = self.nodes.events().clone().heard_by(None);
        let nodes = Nodes::new(Arc::new(ring), members, events, Replicas::All);
        let identified = OnceCell::new_with(self.identified.get().copied());
        Self::of(nodes, policy, self.identity.clone(), Arc::clone(&self.lasting), identified)
    }

    /// The longest time that a reply may take. The nodes may differ on a key for so long because of one write.
    pub(crate) fn longest_reply(&self) -> Duration {
        self.nodes.iter().map(|node| node.config().response_timeout()).max().unwrap_or_default()
    }

    /// The time for which a key must not have changed before it is compared, and the time that a write may take that has hints to give. The
    /// write may wait for a node for as long as a reply may take, and then as long again for one that is given a hint.
    pub(crate) fn quiet(&self) -> Duration {
        self.longest_reply() * 2
    }

    /// Returns whether a node that comes back is brought back without being asked for.
    pub(crate) fn repairs(&self) -> bool {
        matches!(self.policy.on_return, OnReturn::Repair { .. })
    }

    /// Returns whether the nodes are made equal by themselves where they differ.
    pub(crate) fn converges(&self) -> bool {
        self.identity.is_some() && self.repairs() && self.policy.on_difference == OnDifference::Converge
    }

    /// Returns whether the process that answers for a node is written to. With an identity, one that may be somebody else's is not.
    pub(crate) fn is_admitted(&self, member: &Member) -> bool {
        self.identity.is_none() || member.hints().fence().admits(member.node().incarnation())
    }

    /// Returns whether a node is connected, and admitted.
    pub(crate) fn takes_part(&self, member: &Member) -> bool {
        member.node().is_connected() && self.is_admitted(member)
    }

    /// What compares this copy with the explored rules, if anything does.
    pub(crate) fn shadow(&self) -> Option<&Shadow> {
        self.nodes.events().shadow()
    }

    /// The topology that takes the place of this one, without these nodes.
    ///
    /// # Errors
    /// If none would be left.
    pub(crate) fn without(&self, names: &BTreeSet<String>) -> Result<(Self, Replaced), Error> {
        let is_gone = |name: &str| names.contains(name);
        let mut ring = self.nodes.ring().config().clone();
        ring.nodes.retain(|node| !is_gone(&node.name));
        let members = self.nodes.members().filter(|member| !is_gone(member.name())).cloned();
        let next = self.going_on(ring.build()?, members.collect(), self.policy.clone());
        let name = |node: &Node| node.name().to_owned();
        let replaced = Replaced {
            removed: self.nodes.iter().map(name).filter(|name| is_gone(name)).collect(),
            kept: next.nodes.iter().map(name).collect(),
            ..Replaced::default()
        };
        Ok((next, replaced))
    }

    /// Records that another topology takes the place of this one.
    pub(crate) fn followed_by(&self, next: &Arc<Self>) {
        let _first = self.next.set(Arc::clone(next));
    }

    /// The topologies that have taken the place of this one, one after the other.
    fn later(&self) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(self.next.get(), |topology| topology.next.get())
    }

    /// Returns whether a node takes no part any more in the topology that is in use now.
    pub(crate) fn is_removed(&self, member: &Member) -> bool {
        self.later()
            .last()
            .is_some_and(|latest| !latest.nodes.members().any(|present| present.is_the_same(member)))
    }

    /// The nodes that have joined since: a call that is under way here does not send them anything.
    pub(crate) fn joined_since(&self) -> impl Iterator<Item = &Member> {
        let members = self.later().flat_map(|topology| topology.nodes.members());
        members.filter(|member| !self.nodes.members().any(|present| present.is_the_same(member)))
    }
}

impl Planner for CopyTopology {
    const STRATEGY: &'static str = "copy";

    fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    fn plan(&self, call: &Call<'_>, context: Context) -> Result<Plan, Error> {
        if !matches!(call.spec.keys, Keys::Channel(_)) {
            self.refuse_ours(call.spec.name, call.keys())?;
        }
        replicate::plan(context, call, self.converges(), || self.nodes.clock())
    }

    fn plan_block(&self, calls: &[Call<'_>]) -> Result<Vec<Plan>, Error> {
        calls.iter().map(|call| self.plan(call, Context::Block)).collect()
    }
}

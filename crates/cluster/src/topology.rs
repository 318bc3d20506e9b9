//! The nodes of a ring and how it uses them: one value that is swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use redis::Cmd;
use redisdb_hashring::HashRing;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::command::Spec;

use crate::builder::Members;
use crate::error::Error;
use crate::nodes::Nodes;
use crate::route::Route;
use crate::route::route;

/// The nodes of a ring and how it uses them.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) nodes: Nodes,
    colocated: bool,
}

/// What a ring is to be made of: all that may be wrong with it has been found by now.
#[derive(Debug)]
pub(crate) struct Plan {
    ring: Arc<HashRing>,
    nodes: Vec<NodeConfig>,
    colocated: bool,
}

/// What [`RedisRing::replace`](crate::RedisRing::replace) has done: the names of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// Those that were not there before.
    pub added: Vec<String>,
    /// Those that are there no more.
    pub removed: Vec<String>,
    /// Those that have another address, or other settings, and so another connection.
    pub changed: Vec<String>,
    /// Those that keep their connection.
    pub kept: Vec<String>,
}

impl Plan {
    pub(crate) fn new(members: Members, colocated: bool) -> Result<Self, Error> {
        Ok(Self { ring: Arc::new(members.ring.build()?), nodes: members.nodes, colocated })
    }
}

impl Topology {
    pub(crate) fn new(plan: Plan) -> Self {
        let nodes = Nodes::of(plan.ring, plan.nodes.into_iter().map(Node::new));
        Self { nodes, colocated: plan.colocated }
    }

    /// Decides where a command goes.
    pub(crate) fn route(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Route, Error> {
        route(self.nodes.ring(), spec, cmd, self.colocated)
    }

    /// The topology that takes the place of this one, with those of its nodes that stay as they are.
    pub(crate) fn replaced_by(&self, plan: &Plan) -> (Self, Replaced) {
        let mut present: HashMap<&str, &Node> = self.nodes.iter().map(|node| (node.name(), node)).collect();
        let mut replaced = Replaced::default();
        let nodes = plan.nodes.iter().map(|config| match present.remove(config.name()) {
            Some(node) if is_same_server(node.config(), config) => {
                replaced.kept.push(config.name().to_owned());
                node.clone()
            }
            Some(_) => {
                replaced.changed.push(config.name().to_owned());
                Node::new(config.clone())
            }
            None => {
                replaced.added.push(config.name().to_owned());
                Node::new(config.clone())
            }
        });
        let nodes = Nodes::of(Arc::clone(&plan.ring), nodes);
        let removed = self.nodes.iter().map(Node::name).filter(|name| present.contains_key(name));
        replaced.removed = removed.map(str::to_owned).collect();
        (Self { nodes, colocated: plan.colocated }, replaced)
    }
}

/// Whether a connection to the one is a connection to the other: all but the weight is the same.
fn is_same_server(a: &NodeConfig, b: &NodeConfig) -> bool {
    a.clone().with_weight(b.weight()) == *b
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RedisRing;

    #[test]
    fn nodes_that_stay_as_they_are_keep_their_connection() {
        let builder = || RedisRing::builder().node("a", "redis://h1").node("b", "redis://h2");
        let topology = Topology::new(builder().node("c", "redis://h3").plan().unwrap());
        let next = builder().node("d", "redis://h4").weighted_node("c", "redis://moved", 2);
        let (next, replaced) = topology.replaced_by(&next.plan().unwrap());
        assert_eq!(replaced.kept, ["a", "b"]);
        assert_eq!((replaced.added, replaced.changed), (vec!["d".to_owned()], vec!["c".to_owned()]));
        assert_eq!(next.nodes.iter().map(Node::name).collect::<Vec<_>>(), ["a", "b", "d", "c"]);
        let (_, replaced) =
            next.replaced_by(&builder().weighted_node("c", "redis://moved", 7).plan().unwrap());
        assert_eq!((replaced.kept.len(), replaced.removed), (3, vec!["d".to_owned()]));
    }
}

//! Replacement: other nodes take the place of the present ones, and those that stay as they are keep what is known of them.

use std::collections::HashMap;

use redisdb_node::NodeConfig;

use crate::engine::member::Member;
use crate::engine::nodes::Nodes;

/// What [`RedisRing::replace`](crate::RedisRing::replace) or [`RedisCopy::replace`](crate::RedisCopy::replace) has done: the
/// names of nodes.
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

/// How a node takes part in the next topology.
pub(crate) enum Turn<'a> {
    /// It stays as it is.
    Kept(&'a Member),
    /// It has another address, or other settings.
    Changed(&'a Member),
    /// It was not there before.
    Added,
}

/// The members of the next topology, in the order of these configurations.
pub(crate) fn members(
    present: &Nodes,
    next: &[NodeConfig],
    member: impl Fn(Turn<'_>, NodeConfig) -> Member,
) -> (Vec<Member>, Replaced) {
    let mut replaced = Replaced::default();
    let mut left: HashMap<&str, &Member> =
        present.members().map(|member| (&**member.name(), member)).collect();
    let members = next.iter().map(|config| {
        let (turn, names) = match left.remove(config.name()) {
            Some(present) if is_same_server(present.node().config(), config) => {
                (Turn::Kept(present), &mut replaced.kept)
            }
            Some(present) => (Turn::Changed(present), &mut replaced.changed),
            None => (Turn::Added, &mut replaced.added),
        };
        names.push(config.name().to_owned());
        member(turn, config.clone())
    });
    let members = members.collect();
    let removed = present.members().filter(|member| left.contains_key(&**member.name()));
    replaced.removed = removed.map(|member| member.name().to_string()).collect();
    (members, replaced)
}

impl Replaced {
    /// Tells of the replacement, by `tracing`.
    pub(crate) fn log(&self) {
        tracing::info!(added = ?self.added, removed = ?self.removed, changed = ?self.changed, "topology replaced");
    }
}

/// Returns whether both configurations can have the same connection: they differ in their weight at most.
fn is_same_server(a: &NodeConfig, b: &NodeConfig) -> bool {
    a.clone().with_weight(b.weight()) == *b
}

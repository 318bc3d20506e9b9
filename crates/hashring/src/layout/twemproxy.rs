//! [twemproxy](https://github.com/twitter/twemproxy), also called nutcracker.

use std::borrow::Cow;

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie, ketama_count_f32, total_weight},
};
use crate::{Member, hash32::Hash32, key_hash::KeyHash, placement::Placement, slots::Slots};

/// A pool of twemproxy: its `distribution` and its `hash`.
///
/// Its `hash_tag` is [`HashTag::Delimiters`](crate::HashTag::Delimiters); without one, braces mean nothing. A
/// node is hashed by what twemproxy calls its name: [`server`](Self::server) reads an entry of its
/// configuration. Without a [label](Member::label) the name of a node counts as its `host:port`, of which the
/// port 11211 is not hashed. The order of the nodes does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Twemproxy {
    /// The way in which a server is chosen. Default: ketama, as there.
    pub distribution: Distribution,
    /// The hash of a key. Default: `fnv1a_64`, as there.
    pub hash: Hash32,
}

/// The way in which twemproxy chooses a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Distribution {
    /// A ring.
    #[default]
    Ketama,
    /// The hash modulo the sum of the weights.
    Modula,
}

impl Twemproxy {
    /// `distribution: ketama` with this `hash`.
    #[must_use]
    pub fn ketama(hash: Hash32) -> Self {
        Self { distribution: Distribution::Ketama, hash }
    }

    /// `distribution: modula` with this `hash`.
    #[must_use]
    pub fn modula(hash: Hash32) -> Self {
        Self { distribution: Distribution::Modula, hash }
    }

    /// The node of an entry of `servers:`, such as `10.0.0.1:6379:1` or `10.0.0.1:6379:1 alpha`. The node has
    /// the label and the weight of the entry, and is called by its name or address. `None` if it is not of
    /// that form.
    #[must_use]
    pub fn server(entry: &str) -> Option<Member> {
        let (address, name) = match entry.rsplit_once(' ') {
            Some((address, name)) => (address.trim_end(), Some(name)),
            None => (entry, None),
        };
        let (address, weight) = address.rsplit_once(':')?;
        let weight: u32 = weight.parse().ok()?;
        let label = name.map_or_else(|| label(address), Cow::from);
        Some(Member::new(name.unwrap_or(address)).weight(weight).label(label))
    }

    pub(super) fn plan(self, mut nodes: Vec<Node<'_>>) -> Plan {
        // Its check for duplicates leaves the servers in this order.
        nodes.sort_by(|a, b| (a.label.len(), &a.label).cmp(&(b.label.len(), &b.label)));
        let placement = match self.distribution {
            Distribution::Ketama => {
                let total = total_weight(&nodes);
                let count = |node: &Node<'_>| ketama_count_f32(node.weight, total, nodes.len());
                let ring =
                    Ring { points: PointHash::Md5Words(4), search: Search::AtOrAfter, tie: Tie::First };
                ring.of_labels(&nodes, '-', count)
            }
            Distribution::Modula => {
                Placement::Slots(Slots::new(nodes.iter().map(|node| (node.index, node.whole_weight()))))
            }
        };
        Plan { key_hash: KeyHash::ZeroIfEmpty(self.hash), placement }
    }
}

/// The text that twemproxy hashes for an address.
pub(super) fn label(address: &str) -> Cow<'_, str> {
    if address.starts_with('/') {
        // The name of a Unix socket keeps the separator before the weight.
        return format!("{}:", address.trim_end_matches(':')).into();
    }
    address.strip_suffix(":11211").unwrap_or(address).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_twemproxy_reads_them() {
        for (entry, name, label, weight) in [
            ("127.0.0.1:6379:1", "127.0.0.1:6379", "127.0.0.1:6379", 1.0),
            ("127.0.0.1:11211:2", "127.0.0.1:11211", "127.0.0.1", 2.0),
            ("127.0.0.1:11211:3 alpha", "alpha", "alpha", 3.0),
            ("h:1:1 x:11211", "x:11211", "x:11211", 1.0),
            ("/tmp/a.sock:1", "/tmp/a.sock", "/tmp/a.sock:", 1.0),
        ] {
            assert_eq!(Twemproxy::server(entry), Some(Member::new(name).weight(weight).label(label)));
        }
        assert_eq!(Twemproxy::server("127.0.0.1"), None);
        assert_eq!(Twemproxy::server("127.0.0.1:6379:x"), None);
    }
}

//! Who has missed a write of which key, by the node that says so. Of a key that nobody missed nothing is remembered.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::hash::Hasher;

use crate::node::Node;
use crate::node::NodeSet;
use crate::node::PerNode;

/// Who has missed a write of which key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Missed<K> {
    keys: BTreeMap<K, PerNode<NodeSet>>,
    /// Of how many keys each node has missed a write, so that a write of another key does not look for them.
    n_keys: PerNode<u32>,
    /// Who may have missed a write of any key, by the node that says so.
    all: PerNode<NodeSet>,
}

impl<K> Default for Missed<K> {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), n_keys: PerNode::default(), all: PerNode::default() }
    }
}

impl<K: Hash> Hash for Missed<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.keys.hash(state);
        self.all.hash(state);
    }
}

impl<K: Ord + Clone> Missed<K> {
    /// Returns the nodes that have missed a write of the key.
    pub(crate) fn behind(&self, key: &K) -> NodeSet {
        self.behind_for(key).or(self.behind_for_all())
    }

    /// Returns the nodes that have missed a write of just this key.
    fn behind_for(&self, key: &K) -> NodeSet {
        self.keys.get(key).map_or(NodeSet::EMPTY, union)
    }

    /// Returns the nodes that may have missed a write of any key.
    pub(crate) fn behind_for_all(&self) -> NodeSet {
        union(&self.all)
    }

    /// Returns those of the nodes that have missed a write of any key.
    pub(crate) fn behind_any(&self, among: NodeSet) -> NodeSet {
        let of_keys: NodeSet = among.iter().filter(|node| 0 < self.n_keys[*node]).collect();
        of_keys.or(self.behind_for_all())
    }

    /// Returns those of the nodes that have missed a write of another key than this one.
    pub(crate) fn behind_another(&self, key: &K, among: NodeSet) -> NodeSet {
        let own = self.behind_for(key);
        among.iter().filter(|node| u32::from(own.contains(*node)) < self.n_keys[*node]).collect()
    }

    /// Returns whom the node says to have missed a write of the key.
    pub(crate) fn said(&self, holder: Node, key: &K) -> NodeSet {
        self.keys.get(key).map_or(NodeSet::EMPTY, |said| said[holder])
    }

    /// Returns the keys of which the node says that another one has missed a write.
    pub(crate) fn keys_of(&self, holder: Node) -> impl Iterator<Item = &K> {
        self.keys.iter().filter(move |(_, said)| !said[holder].is_empty()).map(|(key, _)| key)
    }

    /// Returns whether the node says just this.
    pub(crate) fn says_just(&self, holder: Node, said: &BTreeMap<K, NodeSet>, all: NodeSet) -> bool {
        let known = self.keys.iter().map(|(key, known)| (key, known[holder]));
        self.all[holder] == all
            && known.filter(|known| !known.1.is_empty()).eq(said.iter().map(|(key, nodes)| (key, *nodes)))
    }

    /// Returns whether the node has said all of this.
    pub(crate) fn says(&self, holder: Node, said: &BTreeMap<K, NodeSet>, all: NodeSet) -> bool {
        let is_known = |(key, nodes): (&K, &NodeSet)| nodes.is_subset(self.said(holder, key));
        all.is_subset(self.all[holder]) && said.iter().all(is_known)
    }

    /// Takes in what a node says of a key, in place of what it said before.
    pub(crate) fn set(&mut self, holder: Node, key: &K, nodes: NodeSet) {
        if self.said(holder, key) == nodes {
            return;
        }
        let known = self.keys.entry(key.clone()).or_default();
        let before = union(known);
        known[holder] = nodes;
        let after = union(known);
        if after.is_empty() {
            self.keys.remove(key);
        }
        for node in after.minus(before).iter() {
            self.n_keys[node] += 1;
        }
        for node in before.minus(after).iter() {
            self.n_keys[node] -= 1;
        }
    }

    /// Takes in what a node says of a key, beside what it said before.
    pub(crate) fn add(&mut self, holder: Node, key: &K, nodes: NodeSet) {
        self.set(holder, key, self.said(holder, key).or(nodes));
    }

    /// Returns the keys of which any node says that another one has missed a write, with the nodes that have.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&K, NodeSet)> {
        self.keys.iter().map(|(key, said)| (key, union(said)))
    }

    /// These nodes have missed nothing of a key any more, whoever said so.
    pub(crate) fn forget_key(&mut self, key: &K, nodes: NodeSet) {
        for holder in NodeSet::first_n(Node::MAX).iter() {
            self.set(holder, key, self.said(holder, key).minus(nodes));
        }
    }

    /// Takes in all that a node says, beside what it said before.
    pub(crate) fn extend(&mut self, holder: Node, said: &BTreeMap<K, NodeSet>, all: NodeSet) {
        self.all[holder] = self.all[holder].or(all);
        said.iter().for_each(|(key, nodes)| self.add(holder, key, *nodes));
    }

    /// Takes in all that a node says, in place of all that it said before.
    pub(crate) fn replace(&mut self, holder: Node, said: &BTreeMap<K, NodeSet>, all: NodeSet) {
        self.all[holder] = all;
        let is_over = |(key, known): (&K, &PerNode<NodeSet>)| {
            (!known[holder].is_empty() && !said.contains_key(key)).then(|| key.clone())
        };
        let over: Vec<K> = self.keys.iter().filter_map(is_over).collect();
        for key in over {
            self.set(holder, &key, NodeSet::EMPTY);
        }
        for (key, nodes) in said {
            self.set(holder, key, *nodes);
        }
    }
}

fn union(known: &PerNode<NodeSet>) -> NodeSet {
    known.values().fold(NodeSet::EMPTY, |all, nodes| all.or(*nodes))
}

//! A node of a copy, and sets of nodes.

use std::hash::Hash;
use std::hash::Hasher;
use std::ops::Index;
use std::ops::IndexMut;

/// One node of a copy, by its place in the order in which keys are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node(u8);

impl Node {
    /// The node that is asked first.
    pub const FIRST: Self = Self(0);
    /// The largest number of nodes of a copy: a set of nodes is one byte.
    pub const MAX: usize = 8;

    /// Returns the node at this place, if there can be one.
    #[must_use]
    pub fn new(idx: usize) -> Option<Self> {
        (idx < Self::MAX).then_some(Self(u8::try_from(idx).ok()?))
    }

    /// Returns its place.
    #[must_use]
    pub fn idx(self) -> usize {
        usize::from(self.0)
    }
}

/// Some nodes of a copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NodeSet(u8);

impl NodeSet {
    /// No node.
    pub const EMPTY: Self = Self(0);

    /// Returns the first `n_nodes` nodes.
    #[must_use]
    pub fn first_n(n_nodes: usize) -> Self {
        (0..n_nodes).filter_map(Node::new).collect()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns whether the node is one of them.
    #[must_use]
    pub fn contains(self, node: Node) -> bool {
        self.0 >> node.0 & 1 == 1
    }

    /// Returns whether all of them are in the other set too.
    #[must_use]
    pub fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// Returns these and one more.
    #[must_use]
    pub fn with(self, node: Node) -> Self {
        Self(self.0 | 1 << node.0)
    }

    /// Returns these but for one.
    #[must_use]
    pub fn without(self, node: Node) -> Self {
        Self(self.0 & !(1 << node.0))
    }

    /// Returns the nodes that are in one of the sets.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the nodes that are in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns these but for those of the other set.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Adds a node.
    pub fn insert(&mut self, node: Node) {
        *self = self.with(node);
    }

    /// Takes a node out.
    pub fn remove(&mut self, node: Node) {
        *self = self.without(node);
    }

    /// Returns the first of them.
    #[must_use]
    pub fn first(self) -> Option<Node> {
        self.iter().next()
    }

    /// Returns them in their order.
    pub fn iter(self) -> impl Iterator<Item = Node> {
        (0..8).filter(move |idx| self.0 >> idx & 1 == 1).map(Node)
    }
}

impl FromIterator<Node> for NodeSet {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// One value for each node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PerNode<T>([T; Node::MAX]);

impl<T> PerNode<T> {
    /// Returns the values of all nodes.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Hash + PartialEq + Default> Hash for PerNode<T> {
    /// Most copies have fewer nodes than there can be: what says nothing is not hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let nothing = T::default();
        let says_something = |node: &Node| self[*node] != nothing;
        let nodes: NodeSet = NodeSet(u8::MAX).iter().filter(says_something).collect();
        nodes.hash(state);
        nodes.iter().for_each(|node| self[node].hash(state));
    }
}

impl<T> Index<Node> for PerNode<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "a node is made for places below `Node::MAX` only")]
    fn index(&self, node: Node) -> &T {
        &self.0[node.idx()]
    }
}

impl<T> IndexMut<Node> for PerNode<T> {
    #[expect(clippy::indexing_slicing, reason = "a node is made for places below `Node::MAX` only")]
    fn index_mut(&mut self, node: Node) -> &mut T {
        &mut self.0[node.idx()]
    }
}

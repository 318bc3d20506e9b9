//! A node of a copy, and sets of nodes.

use std::hash::Hash;
use std::hash::Hasher;
use std::iter;
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
    #[inline]
    pub fn idx(self) -> usize {
        usize::from(self.0)
    }

    /// Returns the set of this node alone. Its place is below eight, so the shift loses nothing.
    #[inline]
    fn alone(self) -> u8 {
        1_u8.wrapping_shl(u32::from(self.0))
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
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns how many there are.
    #[must_use]
    #[inline]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns whether the node is one of them.
    #[must_use]
    #[inline]
    pub fn contains(self, node: Node) -> bool {
        self.0 & node.alone() != 0
    }

    /// Returns whether all of them are in the other set too.
    #[must_use]
    #[inline]
    pub fn is_subset(self, of: Self) -> bool {
        self.0 & !of.0 == 0
    }

    /// Returns these and one more.
    #[must_use]
    #[inline]
    pub fn with(self, node: Node) -> Self {
        Self(self.0 | node.alone())
    }

    /// Returns these but for one.
    #[must_use]
    #[inline]
    pub fn without(self, node: Node) -> Self {
        Self(self.0 & !node.alone())
    }

    /// Returns the nodes that are in one of the sets.
    #[must_use]
    #[inline]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the nodes that are in both sets.
    #[must_use]
    #[inline]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns these but for those of the other set.
    #[must_use]
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Adds a node.
    #[inline]
    pub fn insert(&mut self, node: Node) {
        *self = self.with(node);
    }

    /// Takes a node out.
    #[inline]
    pub fn remove(&mut self, node: Node) {
        *self = self.without(node);
    }

    /// Returns the first of them.
    #[must_use]
    #[inline]
    pub fn first(self) -> Option<Node> {
        self.iter().next()
    }

    /// Returns them in their order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Node> {
        let mut left = self.0;
        iter::from_fn(move || {
            let next = (left != 0).then(|| Node(left.trailing_zeros() as u8))?;
            left &= !next.alone();
            Some(next)
        })
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
        let with_nodes = (0..).map(Node).zip(&self.0).filter(|(_, value)| **value != nothing);
        let nodes: NodeSet = with_nodes.map(|(node, _)| node).collect();
        nodes.hash(state);
        nodes.iter().for_each(|node| self[node].hash(state));
    }
}

impl<T> Index<Node> for PerNode<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "a node is made for places below `Node::MAX` only")]
    #[inline]
    fn index(&self, node: Node) -> &T {
        &self.0[node.idx()]
    }
}

impl<T> IndexMut<Node> for PerNode<T> {
    #[expect(clippy::indexing_slicing, reason = "a node is made for places below `Node::MAX` only")]
    #[inline]
    fn index_mut(&mut self, node: Node) -> &mut T {
        &mut self.0[node.idx()]
    }
}

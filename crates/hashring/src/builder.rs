//! A ring, one node at a time.

use crate::{BuildError, HashRing, HashTag, Member, RingConfig, layout::Layout};

/// Collects the nodes of a ring. Made by [`HashRing::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    pub(crate) config: RingConfig,
}

impl Builder {
    /// Adds a node: a name (then its weight is 1), or a whole [`Member`].
    pub fn node(mut self, node: impl Into<Member>) -> Self {
        self.config.nodes.push(node.into());
        self
    }

    /// Adds nodes.
    pub fn nodes(mut self, nodes: impl IntoIterator<Item = impl Into<Member>>) -> Self {
        self.config.nodes.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// Adds a node that takes `weight` times the keys of a node of weight 1.
    pub fn weighted(self, name: impl Into<String>, weight: impl Into<f64>) -> Self {
        self.node(Member::new(name).weight(weight))
    }

    /// Sets whose placement it is. Default: [`Layout::Xxh3`], our own.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.config.layout = layout;
        self
    }

    /// Sets which part of a key is hashed. Default: the rule of the layout, [`HashTag::Cluster`] for our own.
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.config.hash_tag = Some(hash_tag);
        self
    }

    /// Builds the ring.
    ///
    /// # Errors
    /// When the nodes do not make a ring, as [`BuildError`] says.
    pub fn build(self) -> Result<HashRing, BuildError> {
        self.config.build()
    }
}

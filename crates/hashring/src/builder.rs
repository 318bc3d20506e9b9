//! The builder of a ring.

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
    pub fn weighted_node(self, name: impl Into<String>, weight: impl Into<f64>) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(nodes: &[(&str, f64)]) -> Option<BuildError> {
        let weighted = nodes.iter().map(|&(name, weight)| Member::new(name).weight(weight));
        HashRing::builder().nodes(weighted).build().err()
    }

    #[test]
    fn what_makes_no_ring_is_an_error_that_names_the_node() {
        let name = || "b".to_owned();
        assert_eq!(error(&[]), Some(BuildError::Empty));
        assert_eq!(
            error(&[("b", 1.0), ("a", 1.0), ("b", 2.0)]),
            Some(BuildError::DuplicateName { name: name() })
        );
        assert_eq!(error(&[("a", 1.0), ("b", 0.0)]), Some(BuildError::ZeroWeight { name: name() }));
        assert_eq!(error(&[("b", -1.0)]), Some(BuildError::InvalidWeight { name: name(), weight: -1.0 }));
        assert!(matches!(error(&[("b", f64::NAN)]), Some(BuildError::InvalidWeight { .. })));
        assert!(matches!(error(&[("b", f64::INFINITY)]), Some(BuildError::InvalidWeight { .. })));
        assert!(matches!(error(&[("b", 1e30)]), Some(BuildError::TooManyPoints { .. })));
        assert!(error(&[("", 1.0), ("\u{1F980}", 2.5)]).is_none());

        let many = HashRing::builder().nodes((0..70_000).map(|n| n.to_string())).build();
        assert!(matches!(many, Err(BuildError::TooManyNodes { nodes: 70_000, limit: 65_535 })));
    }

    #[test]
    fn one_node_owns_everything() {
        let ring = HashRing::builder().node("only").build().unwrap();
        assert_eq!((ring.lookup("a"), ring.shares()), (0, vec![1.0]));
        assert_eq!(ring.successors("a").collect::<Vec<_>>(), [0]);
        let whole = HashRing::builder().node("only").hash_tag(HashTag::None).build().unwrap();
        assert_eq!(ring.fingerprint(), whole.fingerprint());
    }
}

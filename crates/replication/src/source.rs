//! The source of a key: the node that is right about it.

use crate::node::Node;
use crate::node::NodeSet;
use crate::pass::Pass;
use crate::rule::Rule;
use crate::step::Step;

/// Whose state counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// This node is right.
    Right(Node),
    /// Nobody is known to be right. This node is the first of those that may be.
    Conflict(Node),
}

impl Verdict {
    pub(crate) fn node(self) -> Node {
        match self {
            Self::Right(node) | Self::Conflict(node) => node,
        }
    }

    pub(crate) fn is_conflict(self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl Step<'_> {
    /// Returns whose state of the key counts.
    ///
    /// The first node that is current and not hinted is right. Where there is none, nodes that all hold the same are right.
    pub(crate) fn source(&self, pass: &Pass) -> Verdict {
        let behind = self.state.behind(self.setup, pass.key);
        let sound: NodeSet = pass.set.iter().filter(|node| self.state.is_sound(self.setup, *node)).collect();
        if let Some(right) = sound.minus(behind).first() {
            return Verdict::Right(right);
        }
        let has_data = |node: &Node| !self.state.standings[*node].is_emptied();
        let with_data: NodeSet = pass.set.iter().filter(has_data).collect();
        let candidates = [with_data.minus(behind), with_data, pass.set];
        let first = candidates.into_iter().find_map(NodeSet::first).unwrap_or(Node::FIRST);
        let are_equal = with_data.and(pass.unlike(first)).is_empty();
        let is_agreement = are_equal && !with_data.is_empty() && !self.is_mutual(behind.and(pass.set));
        if is_agreement { Verdict::Right(first) } else { Verdict::Conflict(first) }
    }

    /// Returns whether hints make equal values no agreement.
    fn is_mutual(&self, hinted: NodeSet) -> bool {
        !hinted.is_empty() && self.setup.has(Rule::Mutual)
    }
}

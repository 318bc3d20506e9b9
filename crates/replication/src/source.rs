//! The source of a key: the node that is right about it.

use crate::event::Digest;
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

impl<K: Ord + Clone> Step<'_, K> {
    /// Returns whose state of the key counts.
    ///
    /// The first node that is current and not hinted is right; else the heir; else nodes that all hold the same.
    pub(crate) fn source(&self, pass: &Pass<K>) -> Verdict {
        let behind = self.state.behind(&pass.key);
        let sound: NodeSet = pass.set.iter().filter(|node| self.state.is_sound(self.setup, *node)).collect();
        let right = sound.minus(behind).first();
        let with_data = pass.set.minus(self.emptied(pass.set));
        let heir = || with_data.minus(behind).iter().find(|node| self.is_heir(pass, *node));
        if let Some(right) = right.or_else(heir) {
            return Verdict::Right(right);
        }
        let candidates = [with_data.minus(behind), with_data, pass.set];
        let first = candidates.into_iter().find_map(NodeSet::first).unwrap_or(Node::FIRST);
        let with_key = pass.set.minus(self.empty(pass));
        let are_equal = with_key.and(pass.unlike(first)).is_empty() && !with_data.is_empty();
        let is_hinted = !behind.and(pass.set).is_empty() && self.setup.has(Rule::Mutual);
        let is_doubted = !self.emptied(pass.doubted).is_empty();
        let is_agreement = are_equal && !is_hinted && !is_doubted;
        if is_agreement { Verdict::Right(first) } else { Verdict::Conflict(first) }
    }

    /// Returns whether a node that was restarted holds all that any of the others has, although it may have lost something:
    /// each of the others holds the same, or is empty and lacks the key, or has taken nothing since the
    /// node noted that it is behind.
    fn is_heir(&self, pass: &Pass<K>, node: Node) -> bool {
        let unlike = pass.unlike(node);
        let said = pass.said[node].or(self.empty(pass));
        let is_certain = unlike.and(pass.doubted).is_empty();
        self.setup.has(Rule::Heir) && unlike.is_subset(said) && is_certain
    }

    /// Returns the nodes that lost their marker and lack the key. One that has the key may have lost its marker alone.
    fn empty(&self, pass: &Pass<K>) -> NodeSet {
        self.emptied(pass.set).iter().filter(|node| pass.seen[*node] == Digest::MISSING).collect()
    }

    fn emptied(&self, among: NodeSet) -> NodeSet {
        among.iter().filter(|node| self.state.standings[*node].is_emptied()).collect()
    }
}

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
    /// The first node that is current and not hinted is right, if it has the key or knows why it lacks it; else the first
    /// such node that has the key. Where there is none, it is the heir; else nodes that all hold the same.
    pub(crate) fn source(&self, pass: &Pass<K>) -> Verdict {
        let behind = self.behind_in(pass);
        let rightful = self.rightful(pass);
        let right = self.first(rightful.minus(self.silent(pass))).or_else(|| self.first(rightful));
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

    /// Returns the nodes that are current and not hinted.
    fn rightful(&self, pass: &Pass<K>) -> NodeSet {
        let sound: NodeSet = pass.set.iter().filter(|node| self.state.is_sound(self.setup, *node)).collect();
        sound.minus(self.behind_in(pass))
    }

    fn behind_in(&self, pass: &Pass<K>) -> NodeSet {
        match self.setup.has(Rule::HintsLast) {
            true => self.state.behind(&pass.key),
            false => pass.hinted_before,
        }
    }

    /// Returns the nodes that lack the key and do not know why: they have told of no change, or may have thrown it away.
    fn silent(&self, pass: &Pass<K>) -> NodeSet {
        let told = if self.setup.has(Rule::Absence) { pass.told } else { pass.set };
        let evicting = if self.setup.has(Rule::Eviction) { pass.evicting } else { NodeSet::EMPTY };
        pass.lacking().minus(told.minus(evicting))
    }

    /// Returns the nodes that lack the key and are not given it: they may have thrown it away, and would do so again.
    pub(crate) fn spared(&self, pass: &Pass<K>) -> NodeSet {
        let lacking = self.rightful(pass).and(pass.lacking());
        if self.setup.has(Rule::NoRefill) { lacking.and(pass.evicting) } else { NodeSet::EMPTY }
    }

    /// Returns the node that counts first. All processes go by one order.
    fn first(&self, among: NodeSet) -> Option<Node> {
        let is_odd = self.state.repair.lease.is_some_and(|token| token.0 % 2 == 1);
        let is_opposite = is_odd && !self.setup.has(Rule::SameOrder);
        if is_opposite { among.iter().last() } else { among.first() }
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

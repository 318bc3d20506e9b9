//! A pass over one key: claim and look, choose the source, copy; or see that all are equal, and drop what was claimed.

use crate::effect::Effect;
use crate::event::Claimed;
use crate::event::Digest;
use crate::event::Report;
use crate::event::Standing;
use crate::node::Node;
use crate::node::NodeSet;
use crate::node::PerNode;
use crate::rule::Rule;
use crate::step::Step;

/// A key that is being compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Pass<K> {
    pub(crate) key: K,
    /// The nodes that are compared: all that were in sight when it began.
    pub(crate) set: NodeSet,
    /// What each of them showed.
    pub(crate) seen: PerNode<Digest>,
    /// What the pass before showed, if it has decided nothing because a node does not tell what changes there.
    pub(crate) shown_before: Option<Shown>,
    /// Whom each of them said to have missed the key.
    pub(crate) said: PerNode<NodeSet>,
    /// Those of them that have a doubt about the key.
    pub(crate) doubted: NodeSet,
    /// The nodes that have told of a change of the key since it was last seen equal.
    pub(crate) told: NodeSet,
    /// Those of the nodes that may throw keys away.
    pub(crate) evicting: NodeSet,
    /// The nodes that were known to have missed the key when the pass began; only where the rule is missing that forbids to
    /// go by it.
    pub(crate) hinted_before: NodeSet,
    /// Whether the key changed since the quiet moment.
    pub(crate) has_changed: bool,
    /// Whether a round over all keys has begun since, so that the pass counts for none.
    pub(crate) is_void: bool,
    stage: Stage,
}

/// What some nodes have shown of a key.
pub(crate) type Shown = (NodeSet, PerNode<Digest>);

/// How far a pass has come. The nodes are those that are still to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Stage {
    Claiming(NodeSet),
    Hearing,
    Fetching(Node, NodeSet),
    Putting(Node, NodeSet),
    Counting,
    Renewing(NodeSet),
    Releasing(NodeSet),
}

impl<K> Pass<K> {
    pub(crate) fn new(key: K, set: NodeSet) -> Self {
        Self {
            key,
            set,
            seen: PerNode::default(),
            shown_before: None,
            said: PerNode::default(),
            doubted: NodeSet::EMPTY,
            told: NodeSet::EMPTY,
            evicting: NodeSet::EMPTY,
            hinted_before: NodeSet::EMPTY,
            has_changed: false,
            is_void: false,
            stage: Stage::Claiming(set),
        }
    }

    /// Returns the node whose state is being copied.
    pub(crate) fn source(&self) -> Option<Node> {
        match self.stage {
            Stage::Fetching(source, _) | Stage::Putting(source, _) => Some(source),
            Stage::Claiming(_)
            | Stage::Hearing
            | Stage::Counting
            | Stage::Renewing(_)
            | Stage::Releasing(_) => None,
        }
    }

    /// Returns the nodes that showed something else than this one.
    pub(crate) fn unlike(&self, node: Node) -> NodeSet {
        self.set.iter().filter(|other| self.seen[*other] != self.seen[node]).collect()
    }

    /// Returns the nodes that showed that the key is not there.
    pub(crate) fn lacking(&self) -> NodeSet {
        self.set.iter().filter(|node| self.seen[*node] == Digest::MISSING).collect()
    }
}

impl<K: Ord + Clone> Step<'_, K> {
    /// A node has shown the key and handed over its hints.
    pub(crate) fn claimed(&mut self, claimed: &Claimed<K>) {
        let Claimed { node, key, digest, report, is_doubted, evicts, begins } = claimed;
        self.learn(*node, report);
        let Some((mut pass, Stage::Claiming(todo))) = self.pass_of(key) else { return };
        if *begins {
            // What was compared before was compared with what is lost since. This pass looks at what there is now.
            self.emit(Effect::BeginRound);
        }
        pass.seen[*node] = *digest;
        pass.said[*node] = report.missed.get(key).copied().unwrap_or_default();
        if *is_doubted && self.setup.has(Rule::Doubt) {
            pass.doubted.insert(*node);
        }
        if *evicts {
            pass.evicting.insert(*node);
        }
        let todo = todo.without(*node);
        match (todo.first(), self.state.repair.lease) {
            (Some(next), Some(token)) => {
                self.go_on(pass, Stage::Claiming(todo));
                self.emit(Effect::Claim(key.clone(), next, token));
            }
            _ if self.setup.has(Rule::Barrier) => {
                self.go_on(pass, Stage::Hearing);
                self.emit(Effect::Hear(key.clone()));
            }
            _ => self.choose_if_still(pass),
        }
    }

    /// All that was done before the key was shown is heard.
    pub(crate) fn heard_all(&mut self, key: &K) {
        if let Some((pass, Stage::Hearing)) = self.pass_of(key) {
            self.choose_if_still(pass);
        }
    }

    /// A node does not tell what changes there, so a write may be on its way to any node. Where all show what they showed `D`
    /// before, whatever any of them shows has been everywhere by now. Where there is nothing to decide, one look is enough.
    pub(crate) fn deaf(&mut self, key: &K) {
        let Some((pass, Stage::Hearing)) = self.pass_of(key) else { return };
        let shown = (pass.set, pass.seen);
        let is_same = pass.shown_before == Some(shown);
        if is_same || self.is_at_rest(&pass) || !self.setup.has(Rule::Twice) {
            return self.choose_if_still(pass);
        }
        self.state.repair.shown.insert(key.clone(), shown);
        self.end_pass(pass);
    }

    /// Returns whether all nodes hold the same, and none has missed anything or is to be made current.
    fn is_at_rest(&self, pass: &Pass<K>) -> bool {
        let are_equal = pass.set.first().is_none_or(|first| pass.unlike(first).is_empty());
        let is_clear = self.state.behind(&pass.key).is_empty() && pass.doubted.is_empty();
        are_equal && is_clear && self.state.unfinished(pass.set).is_empty()
    }

    fn choose_if_still(&mut self, pass: Pass<K>) {
        match pass.has_changed && self.setup.has(Rule::Still) {
            true => self.end_pass(pass),
            false => self.choose(pass),
        }
    }

    /// All have shown the key: who is right?
    fn choose(&mut self, pass: Pass<K>) {
        let verdict = self.source(&pass);
        let source = verdict.node();
        if verdict.is_conflict() {
            self.emit(Effect::TellConflict(pass.key.clone(), source));
        }
        let unlike = pass.unlike(source);
        self.emit(Effect::SeenEqual(pass.key.clone(), source, pass.set.minus(unlike)));
        let behind = unlike.minus(self.spared(&pass));
        if behind.is_empty() {
            return self.count(pass);
        }
        self.emit(Effect::Fetch(pass.key.clone(), source));
        self.go_on(pass, Stage::Fetching(source, behind));
    }

    /// The source has shown its whole state: it is copied, if it is the one that was looked at.
    pub(crate) fn fetched(&mut self, key: &K, digest: Digest, standing: Standing) {
        let Some((pass, Stage::Fetching(source, behind))) = self.pass_of(key) else { return };
        // Since it was claimed the source is current, or carries the mark of this lease.
        let has_lost_its_marker = matches!(standing, Standing::Empty | Standing::Restarted);
        let is_another = digest != pass.seen[source];
        if is_another && self.setup.has(Rule::LookedAt)
            || has_lost_its_marker && self.setup.has(Rule::SameSource)
        {
            return self.end_pass(pass);
        }
        self.put_next(pass, source, behind);
    }

    /// A node has the state, or something else was there than what had been seen.
    pub(crate) fn put(&mut self, key: &K, node: Node) {
        let Some((pass, Stage::Putting(source, behind))) = self.pass_of(key) else { return };
        self.put_next(pass, source, behind.without(node));
    }

    fn put_next(&mut self, pass: Pass<K>, source: Node, behind: NodeSet) {
        match (behind.first(), self.state.repair.lease) {
            (Some(node), Some(token)) => {
                let replaces = self.setup.has(Rule::CompareAndSet).then_some(pass.seen[node]);
                let is_missed = pass.lacking().contains(node) && self.setup.has(Rule::Given);
                self.emit(Effect::Put { node, key: pass.key.clone(), replaces, is_missed, token });
                self.go_on(pass, Stage::Putting(source, behind));
            }
            _ if self.setup.has(Rule::SeenEqual) => self.end_pass(pass),
            _ => self.count(pass),
        }
    }

    /// All hold the same: whoever walks the round knows whether this was the last key. A pass that began before
    /// the round does not count.
    fn count(&mut self, pass: Pass<K>) {
        if pass.is_void {
            return self.end_pass(pass);
        }
        self.emit(Effect::Compared(pass.key.clone()));
        self.go_on(pass, Stage::Counting);
    }

    /// The key is counted. The nodes that this proves to be whole are made current before the hints about them are
    /// dropped: who sees no hint writes without a doubt, and then no old hint may count any more.
    pub(crate) fn counted(&mut self, key: &K, is_last: bool) {
        let Some((pass, Stage::Counting)) = self.pass_of(key) else { return };
        self.state.repair.is_round_due &= !is_last;
        let renewed = self.renewable(&pass, is_last);
        self.renew_next(pass, renewed);
    }

    /// A node has answered that it is current, or not.
    pub(crate) fn marked(&mut self, node: Node) {
        if self.state.standings[node] != Standing::Current {
            // It has lost its marker since it was looked at.
            self.begin_round();
        }
        if let Some(pass @ Pass { stage: Stage::Renewing(todo), .. }) = self.state.repair.pass.clone() {
            self.renew_next(pass, todo.without(node));
        }
    }

    fn renew_next(&mut self, pass: Pass<K>, todo: NodeSet) {
        match (todo.first(), self.state.repair.lease) {
            (Some(node), Some(token)) => {
                self.emit(Effect::Mark(node, token));
                self.go_on(pass, Stage::Renewing(todo));
            }
            _ => {
                let set = pass.set;
                self.release_next(pass, set);
            }
        }
    }

    /// A node has dropped what was claimed there. All were seen equal, so only what it still says of the key counts.
    pub(crate) fn released(&mut self, key: &K, node: Node, report: &Report<K>) {
        self.learn(node, report);
        let Some((pass, Stage::Releasing(todo))) = self.pass_of(key) else { return };
        let said = report.missed.get(key).copied().unwrap_or_default();
        self.state.missed.set(node, key, said);
        self.release_next(pass, todo.without(node));
    }

    fn release_next(&mut self, pass: Pass<K>, todo: NodeSet) {
        match (todo.first(), self.state.repair.lease) {
            (Some(node), Some(token)) => {
                self.emit(Effect::Release { node, key: pass.key.clone(), about: pass.set, token });
                self.go_on(pass, Stage::Releasing(todo));
            }
            _ => {
                self.state.repair.pass = None;
                if !self.setup.has(Rule::ClearFirst) {
                    self.state.repair.dirty.remove(&pass.key);
                }
            }
        }
    }

    /// A node is lost in the middle of a pass: what was seen proves nothing any more.
    pub(crate) fn end_pass_without(&mut self, node: Node) {
        self.begin_round();
        if let Some(pass) = self.state.repair.pass.take_if(|pass| pass.set.contains(node)) {
            self.end_pass(pass);
        }
    }

    /// Ends a pass that has not seen all equal. The claimed hints stay claimed, and count as hints for everybody. What the
    /// nodes have told still counts.
    fn end_pass(&mut self, pass: Pass<K>) {
        self.state.repair.pass = None;
        let told = if self.setup.has(Rule::Word) { pass.told } else { NodeSet::EMPTY };
        self.changed(pass.key, told);
    }

    fn pass_of(&self, key: &K) -> Option<(Pass<K>, Stage)> {
        let pass = self.state.repair.pass.clone().filter(|pass| pass.key == *key)?;
        let stage = pass.stage;
        Some((pass, stage))
    }

    fn go_on(&mut self, pass: Pass<K>, stage: Stage) {
        self.state.repair.pass = Some(Pass { stage, ..pass });
    }
}

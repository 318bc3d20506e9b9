//! A node that never returns is forgotten: it is a member no more, and what was known by its word is known no more.

use std::collections::BTreeMap;

use crate::effect::Effect;
use crate::event::Standing;
use crate::node::Node;
use crate::node::NodeSet;
use crate::rule::Rule;
use crate::step::Step;

impl<K: Ord + Clone> Step<'_, K> {
    /// These nodes are members no more, if they are still. Each node that can be reached notes it.
    pub(crate) fn forget(&mut self, nodes: NodeSet) {
        let news = nodes.and(self.state.members(self.setup));
        if news.is_empty() {
            return;
        }
        self.state.forgotten = self.state.forgotten.or(news);
        self.state.noted = NodeSet::EMPTY;
        self.state.calls.values_mut().for_each(|call| call.forget(news));
        for node in news.iter() {
            self.lost(node);
            self.tell_lost(node);
            self.state.standings[node] = Standing::default();
            if self.setup.has(Rule::Forget) {
                self.state.missed.replace(node, &BTreeMap::new(), NodeSet::EMPTY);
            }
        }
        self.missed_the_feed();
        for node in self.state.connected.iter().filter(|_| self.setup.has(Rule::PassOn)) {
            self.emit(Effect::Forget(node, self.state.forgotten));
        }
    }

    /// Tells the keys of which the node has said that another one missed a write, and that no other one is known
    /// to hold.
    fn tell_lost(&mut self, node: Node) {
        let others = self.state.members(self.setup);
        let is_lost = |key: &&K| self.state.entitled(key, others).is_empty();
        let lost: Vec<K> = self.state.missed.keys_of(node).filter(is_lost).cloned().collect();
        for key in lost.into_iter().filter(|_| self.setup.has(Rule::TellLost)) {
            self.emit(Effect::TellLost(key));
        }
    }
}

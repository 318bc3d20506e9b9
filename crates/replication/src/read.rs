//! A read: one node answers, or the next one, or all of them if they agree.

use crate::effect::Effect;
use crate::event::CallId;
use crate::event::Digest;
use crate::node::Node;
use crate::node::NodeSet;
use crate::rule::Rule;
use crate::state::Setup;
use crate::state::State;
use crate::step::Step;

/// A read that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Read<K> {
    key: K,
    asked: Asked,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Asked {
    /// This node alone is asked.
    One(Node),
    /// All nodes are asked, one after the other; these have given the same answer.
    All(NodeSet, Option<Digest>),
}

impl<K: Ord + Clone> State<K> {
    /// Returns whether equal answers of all nodes would be right: all are in sight, none lost its data, none is behind.
    #[must_use]
    pub fn may_agree(&self, setup: &Setup, key: &K) -> bool {
        self.may_agree_among(setup, key, self.members(setup))
    }

    /// Returns the same of equal answers of these nodes, where all others are known to be behind for the key. The rules themselves ask
    /// all nodes.
    #[must_use]
    pub fn may_agree_among(&self, setup: &Setup, key: &K, among: NodeSet) -> bool {
        self.is_gate_open(setup)
            && among.is_subset(self.admitted)
            && among.iter().all(|node| !self.standings[node].is_emptied())
            && self.behind(key) == self.members(setup).minus(among)
    }
}

impl<K: Ord + Clone> Step<'_, K> {
    pub(crate) fn begin_read(&mut self, id: CallId, key: K) {
        if let Some(node) = self.state.readable(self.setup, &key).first() {
            return self.ask(id, key, node, Asked::One(node));
        }
        let first = self.state.members(self.setup).first();
        match first.filter(|_| self.setup.has(Rule::Agreement) && self.state.may_agree(self.setup, &key)) {
            Some(first) => self.ask(id, key, first, Asked::All(NodeSet::EMPTY, None)),
            None => self.emit(Effect::Unavailable(id)),
        }
    }

    /// A node gave its answer, and what came with it has been taken in.
    pub(crate) fn answered(&mut self, id: CallId, node: Node, digest: Digest) {
        let Some(Read { key, asked }) = self.state.reads.remove(&id) else { return };
        match asked {
            Asked::One(_) if self.state.readable(self.setup, &key).contains(node) => {
                self.emit(Effect::AnswerRead(id, node));
            }
            Asked::One(_) => self.begin_read(id, key),
            Asked::All(agreed, before) => {
                let is_same = before.is_none_or(|before| before == digest);
                if !is_same || !self.state.may_agree(self.setup, &key) {
                    return self.emit(Effect::Unavailable(id));
                }
                let agreed = agreed.with(node);
                match self.state.members(self.setup).minus(agreed).first() {
                    Some(next) => self.ask(id, key, next, Asked::All(agreed, Some(digest))),
                    None => {
                        if self.setup.has(Rule::Agreed) && self.state.is_settled(self.setup) {
                            self.state.agreed.insert(key, agreed);
                        }
                        self.emit(Effect::AnswerRead(id, node));
                    }
                }
            }
        }
    }

    /// A node is lost: the next one is asked wherever it was this one's turn.
    pub(crate) fn read_elsewhere(&mut self, node: Node) {
        let is_over = |_: &CallId, read: &mut Read<K>| match read.asked {
            Asked::One(asked) => asked == node,
            Asked::All(..) => true,
        };
        let over: Vec<(CallId, Read<K>)> = self.state.reads.extract_if(.., is_over).collect();
        for (id, Read { key, asked }) in over {
            match asked {
                Asked::One(_) => self.begin_read(id, key),
                Asked::All(..) => self.emit(Effect::Unavailable(id)),
            }
        }
    }

    fn ask(&mut self, id: CallId, key: K, node: Node, asked: Asked) {
        self.emit(Effect::Read(id, key.clone(), node));
        self.state.reads.insert(id, Read { key, asked });
    }
}

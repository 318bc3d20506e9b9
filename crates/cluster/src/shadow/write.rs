//! A write on a copy as its shadow sees it.

use redisdb_replication::CallId;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Kind;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Outcome;

use super::Difference;
use super::Shadow;
use crate::plan::divergence::Ack;

/// A write that is under way: for the rules as many writes as it has keys.
#[derive(Debug)]
pub(crate) struct ShadowWrite<'a> {
    shadow: &'a Shadow,
    calls: Vec<(CallId, &'a [u8])>,
    /// The nodes that the rules sent it to, and that have not answered.
    waiting: NodeSet,
}

impl Shadow {
    /// A write of these keys begins.
    pub(crate) fn begin_write<'a>(
        &'a self,
        keys: impl Iterator<Item = &'a [u8]>,
        is_whole: bool,
    ) -> ShadowWrite<'a> {
        let known = &mut *self.known.lock();
        // One that a node decides is taken for a relative one: the rules may have another node decide than the copy does.
        let kind = if is_whole { Kind::Whole } else { Kind::Relative };
        let (mut calls, mut waiting) = (Vec::new(), NodeSet::EMPTY);
        for key in keys {
            known.last_call += 1;
            let call = CallId(known.last_call);
            for effect in self.feed(known, Event::Write(call, key.to_vec(), kind)) {
                if let Effect::Write { node, .. } = effect {
                    waiting.insert(node);
                }
            }
            calls.push((call, key));
        }
        ShadowWrite { shadow: self, calls, waiting }
    }
}

impl ShadowWrite<'_> {
    /// A node has answered. A second answer counts for nothing, nor does that of a node that the rules hold for lost: they have
    /// sent it nothing.
    fn heard(&mut self, node: usize, ack: Ack) {
        let Some(node) = Node::new(node).filter(|node| self.waiting.contains(*node)) else { return };
        self.waiting.remove(node);
        let known = &mut *self.shadow.known.lock();
        for (call, _) in &self.calls {
            let event = match ack {
                Ack::Yes => Event::Wrote(*call, node, None),
                Ack::No | Ack::Maybe => Event::Refused(*call, node, None),
            };
            self.shadow.feed(known, event);
        }
    }

    /// The nodes have answered this, and the caller is told whether enough took it. `has_missed` says whether the copy knows of a
    /// node that it has missed a write of a key. Of a write that a node has decided the copy wants more than of a relative one: that it
    /// is not acknowledged is no difference.
    pub(crate) fn end(
        mut self,
        acks: Vec<Ack>,
        (is_acknowledged, is_decided): (bool, bool),
        has_missed: impl Fn(usize, &[u8]) -> bool,
    ) {
        acks.iter().enumerate().for_each(|(idx, ack)| self.heard(idx, *ack));
        // One that is back, and was not heard yet, is away to the rules and takes the write all the same.
        let took = |node: Node| acks.get(node.idx()) == Some(&Ack::Yes);
        let known = &mut *self.shadow.known.lock();
        for (call, key) in self.calls {
            for node in known.hinted.remove(&call).unwrap_or_default().iter() {
                if is_acknowledged && !took(node) && !has_missed(node.idx(), key) {
                    self.shadow.differs(Difference::NotHinted(self.shadow.name(node), key.to_vec()));
                }
            }
            let difference = match known.answers.remove(&call) {
                Some(Outcome::Ok) if !is_acknowledged && !is_decided => {
                    Difference::NotAcknowledged(key.to_vec())
                }
                Some(outcome) if is_acknowledged && outcome != Outcome::Ok => {
                    Difference::Acknowledged(key.to_vec(), outcome)
                }
                _ => continue,
            };
            self.shadow.differs(difference);
        }
    }

    /// Nobody is told what became of it; the nodes have answered this, as far as is known.
    pub(crate) fn give_up(mut self, acks: Vec<Ack>) {
        for (call, _) in &self.calls {
            self.shadow.feed(&mut self.shadow.known.lock(), Event::Dropped(*call));
        }
        acks.into_iter().enumerate().for_each(|(idx, ack)| self.heard(idx, ack));
        for (call, _) in self.calls {
            let known = &mut *self.shadow.known.lock();
            known.answers.remove(&call);
            known.hinted.remove(&call);
        }
    }
}

//! What a write leaves the nodes of a copy with: which of them may not hold now what the others hold.

use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Group;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

use super::Shared;
use crate::behind::Behind;
use crate::effect::is_whole;

/// Whether a node took a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Took {
    Yes,
    No,
    Maybe,
}

impl From<&Result<Value, node::Error>> for Took {
    fn from(result: &Result<Value, node::Error>) -> Self {
        match result {
            Ok(_) => Self::Yes,
            Err(error) if error.may_have_executed() => Self::Maybe,
            Err(_) => Self::No,
        }
    }
}

/// Returns which nodes are behind after a write.
///
/// `in_sync` says which were in sync before, and `order` in which order the key is read. Only what a node holds that was
/// in sync can be what the others should hold. So a write that such a node took was missed by all that did not. One that
/// only nodes took that were behind was missed by all the others too: somebody was told that it is done. If nobody took
/// it, those that may have are behind those that certainly did not; and if all that were in sync may have, the first of
/// them counts, and all others are behind.
fn behind_after(took: &[Took], in_sync: &[bool], order: impl Iterator<Item = usize>) -> Vec<bool> {
    let is_trusted = |idx: usize| in_sync.get(idx).copied().unwrap_or(false);
    let trusted =
        |wanted: Took| took.iter().enumerate().any(|(idx, took)| *took == wanted && is_trusted(idx));
    if took.contains(&Took::Yes) {
        return took.iter().map(|took| *took != Took::Yes).collect();
    }
    if !trusted(Took::No) {
        let mut order = order;
        let counts = order.find(|idx| is_trusted(*idx) && took.get(*idx) == Some(&Took::Maybe));
        if let Some(counts) = counts {
            // Also behind those that certainly did not: they are down, or do not hold what counts for another reason.
            return (0..took.len()).map(|idx| idx != counts).collect();
        }
    }
    took.iter().map(|took| *took == Took::Maybe).collect()
}

/// The reply that most nodes gave, or else the first: of the replies of nodes in sync, in the order in which the key is
/// read. A server that somebody has emptied a moment ago may be the first, but seldom the most.
fn right_reply<'a>(replies: impl Iterator<Item = &'a Value>) -> Option<&'a Value> {
    let replies: Vec<&Value> = replies.collect();
    let votes = |reply: &Value| replies.iter().filter(|other| ***other == *reply).count();
    let most = replies.iter().find(|reply| replies.len() < 2 * votes(reply));
    most.or(replies.first()).copied()
}

/// Returns whether a write without keys may change any of them, as `FLUSHDB` does and `SCRIPT LOAD` does not.
fn changes_any_key(spec: &Spec) -> bool {
    match spec.group {
        Group::Server => matches!(spec.name, "FLUSHALL" | "FLUSHDB" | "SWAPDB"),
        // A script that was given no keys may still write.
        Group::Scripting => spec.keys != Keys::None,
        Group::Cluster | Group::Connection | Group::PubSub | Group::Sentinel => false,
        _ => true,
    }
}

/// How far a write has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Nothing was sent.
    Nothing,
    /// This node was asked to decide.
    Deciding(usize),
    /// This node has decided, and the others are sent what came of it.
    Decided(usize),
    /// All nodes were sent it.
    Sent,
    /// What the nodes said has been noted.
    Noted,
}

/// A write that is under way. When it goes, what the nodes may not have taken has been noted, also when its future is
/// dropped midway; and if it met a repair of a node, its keys are brought over again.
pub(super) struct Watched<'a> {
    shared: &'a Shared,
    spec: &'static Spec,
    cmd: &'a Cmd,
    stage: Stage,
    /// How many batches had been copied to each node; empty while none ever was.
    batches_ended: Vec<u64>,
    /// The nodes that had missed any keys when it began, and the number of the last write that each had missed.
    missed_before: Vec<(usize, u64)>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(shared: &'a Shared, spec: &'static Spec, cmd: &'a Cmd) -> Self {
        let ever = shared.behind.iter().any(|behind| behind.was_copied_since(0));
        let batches_ended = match ever {
            true => shared.behind.iter().map(Behind::batches_ended).collect(),
            false => Vec::new(),
        };
        let nodes = shared.behind.iter().enumerate().filter(|(_, behind)| behind.has_missed());
        let missed_before = nodes.map(|(idx, behind)| (idx, behind.last_missed())).collect();
        Self { shared, spec, cmd, stage: Stage::Nothing, batches_ended, missed_before }
    }

    /// All nodes are sent it from now on.
    pub(super) fn sending(&mut self) {
        self.stage = Stage::Sent;
    }

    /// This node is asked to decide from now on.
    pub(super) fn deciding(&mut self, decider: usize) {
        self.stage = Stage::Deciding(decider);
    }

    /// This node has decided, and the others are sent what came of it from now on.
    pub(super) fn decided(&mut self, decider: usize) {
        self.stage = Stage::Decided(decider);
    }

    /// Notes what the nodes said.
    pub(super) fn note(&mut self, results: &[Result<Value, node::Error>]) {
        self.stage = Stage::Noted;
        if !results.iter().all(Result::is_ok) {
            let errors =
                results.iter().enumerate().filter_map(|(idx, result)| Some((idx, result.as_ref().err()?)));
            errors.for_each(|(idx, error)| self.shared.observe(idx, error));
            self.note_taken(&results.iter().map(Took::from).collect::<Vec<_>>());
        }
    }

    /// Notes that the deciding node, the only one that was sent anything, gave an error.
    pub(super) fn note_undecided(&mut self, decider: usize, error: &node::Error) {
        self.stage = Stage::Noted;
        self.shared.observe(decider, error);
        if error.may_have_executed() {
            self.note_taken(&self.all_but(decider, Took::Maybe, Took::No));
        }
    }

    /// Notes a node that answered from another memory than that of the others.
    pub(super) fn note_other(&self, idx: usize) {
        if let Some(behind) = self.shared.behind.get(idx) {
            self.note_missed(behind);
        }
    }

    /// Nothing more is sent, and nothing was missed.
    pub(super) fn nothing_missed(&mut self) {
        self.stage = Stage::Noted;
    }

    /// Returns whether nodes that should have given the same reply did not. `SORT` without `STORE` gives elements of equal
    /// weight in any order.
    pub(super) fn is_disagreed(&self, results: &[Result<Value, node::Error>]) -> bool {
        let mut replies = results.iter().flatten();
        let Some(first) = replies.next() else { return false };
        let mut differ = replies.filter(|reply| *reply != first).peekable();
        differ.peek().is_some()
            && !matches!(self.spec.keys, Keys::OneAndAfter { .. })
            && self.keys().next().is_some()
    }

    /// Notes what the replies to a write that was sent to all say of the nodes: of one that leaves the same everywhere,
    /// that those that took it hold what they should; of another one, which of them held something else before.
    pub(super) fn note_replies(&self, results: &[Result<Value, node::Error>]) {
        match is_whole(self.spec, self.cmd) {
            true => self.settle(results),
            false => self.note_disagreement(results),
        }
    }

    /// The nodes that took what it came to have the whole value of its keys: they have missed nothing of them any more that was
    /// missed before it began. Whatever was sent to a node before came there before.
    pub(super) fn settle(&self, results: &[Result<Value, node::Error>]) {
        for (idx, last) in &self.missed_before {
            if let (Some(behind), Some(Ok(_))) = (self.shared.behind.get(*idx), results.get(*idx)) {
                behind.settle(self.keys(), *last);
            }
        }
    }

    /// Notes which nodes gave another reply than the one that counts: what they held was something else.
    ///
    /// Of a node that has all to be compared still, other replies are expected.
    fn note_disagreement(&self, results: &[Result<Value, node::Error>]) {
        if !self.is_disagreed(results) {
            return;
        }
        let in_sync = self.in_sync();
        let reply = |idx: usize| results.get(idx).and_then(|result| result.as_ref().ok());
        let replies = self.order().filter(|idx| in_sync.get(*idx) == Some(&true)).filter_map(reply);
        let Some(right) = right_reply(replies) else { return };
        for (idx, behind) in self.shared.behind.iter().enumerate() {
            if reply(idx).is_some_and(|reply| reply != right) && behind.has_memory(self.shared.nodes.at(idx))
            {
                behind.missed(self.keys());
            }
        }
    }

    fn note_missed(&self, behind: &Behind) {
        if self.keys().next().is_some() || changes_any_key(self.spec) {
            behind.missed(self.keys());
        }
    }

    fn note_taken(&self, took: &[Took]) {
        let after = behind_after(took, &self.in_sync(), self.order());
        for (behind, is_behind) in self.shared.behind.iter().zip(after) {
            if is_behind {
                self.note_missed(behind);
            }
        }
    }

    fn all_but(&self, one: usize, its: Took, others: Took) -> Vec<Took> {
        (0..self.shared.nodes.len()).map(|idx| if idx == one { its } else { others }).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.spec.keys_of(self.cmd).ok().into_iter().flatten().map(|(_, key)| key)
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.shared.nodes.ring().successors(self.keys().next().unwrap_or_default())
    }

    fn in_sync(&self) -> Vec<bool> {
        (0..self.shared.nodes.len()).map(|idx| self.shared.in_sync(idx, self.spec, self.cmd)).collect()
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        match self.stage {
            Stage::Nothing | Stage::Noted => {}
            Stage::Deciding(decider) => self.note_taken(&self.all_but(decider, Took::Maybe, Took::No)),
            Stage::Decided(decider) => self.note_taken(&self.all_but(decider, Took::Yes, Took::Maybe)),
            Stage::Sent => self.note_taken(&vec![Took::Maybe; self.shared.nodes.len()]),
        }
        for (idx, behind) in self.shared.behind.iter().enumerate() {
            if behind.were_copied_since(self.batches_ended.get(idx).copied().unwrap_or(0), self.keys()) {
                self.note_missed(behind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Took::Maybe;
    use super::Took::No;
    use super::Took::Yes;
    use super::*;

    fn check<const N: usize>(took: [Took; N], in_sync: [bool; N], expected: [bool; N]) {
        // The last node is the first that is read from.
        let found = behind_after(&took, &in_sync, (0..N).rev());
        assert_eq!(found, expected, "{took:?} {in_sync:?}");
    }

    #[test]
    fn who_missed_what_somebody_took_is_behind() {
        check([Yes, Yes, Yes], [true; 3], [false; 3]);
        check([Yes, No, Maybe], [true; 3], [false, true, true]);
        // Somebody was told that it is done: none of the others may count as if it were not.
        check([Yes, No, Maybe], [false, true, true], [false, true, true]);
    }

    #[test]
    fn the_reply_of_most_is_right_or_else_that_of_the_first() {
        let right = |replies: &[i64]| {
            let replies: Vec<Value> = replies.iter().copied().map(Value::Int).collect();
            right_reply(replies.iter()).cloned()
        };
        assert_eq!(right(&[1, 7, 7]), Some(Value::Int(7)));
        assert_eq!(right(&[1, 7]), Some(Value::Int(1)));
        assert_eq!(right(&[1, 7, 7, 1]), Some(Value::Int(1)));
        assert_eq!(right(&[]), None);
    }

    #[test]
    fn what_nobody_took_leaves_those_behind_that_may_have() {
        check([No, No, No], [true; 3], [false; 3]);
        check([Maybe, No, Maybe], [true; 3], [true, false, true]);
    }

    #[test]
    fn if_all_that_count_may_have_taken_it_the_first_of_them_is_right() {
        check([Maybe, Maybe, Maybe], [true; 3], [true, true, false]);
        check([Maybe, Maybe, Maybe], [true, true, false], [true, false, true]);
        // A node that was behind before is not what the others should be like.
        check([No, Maybe, Maybe], [false, true, true], [true, true, false]);
        check([No, No], [false, false], [false, false]);
        check([No, Maybe], [false, false], [false, true]);
        check([Maybe, Maybe], [false, false], [true, true]);
    }
}

//! The verdict on a write: whether it is done, whose reply counts, and which nodes are stale after it.

use redis::Value;
use redisdb_node as node;
use redisdb_replication::CallId;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Kind;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Outcome;
use redisdb_replication::Report;
use redisdb_replication::Rules;
use redisdb_replication::Setup;
use redisdb_replication::Standing;
use redisdb_replication::State;
use redisdb_replication::step_through;

/// Whether a node took a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    Yes,
    No,
    Maybe,
}

impl<T> From<&Result<T, node::Error>> for Ack {
    fn from(result: &Result<T, node::Error>) -> Self {
        match result {
            Ok(_) => Self::Yes,
            Err(error) if error.may_have_executed() => Self::Maybe,
            Err(_) => Self::No,
        }
    }
}

/// What a node held of the keys of a write while that was under way, as far as this client knows; the more, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// They were being copied to it, or it was restarted meanwhile: what it took may be gone again.
    Uncertain,
    /// Something else than it should: it is behind for them.
    Stale,
    /// What it should, but it is away, or was until a moment ago; or it answered a write of them otherwise than the node that counted.
    Away,
    /// What it should.
    Current,
}

/// Returns whether somebody may be told that a write is done, as the explored rules say: a node took it that held what it should. Of
/// a write that leaves the same whatever was there, any node that keeps it.
pub(crate) fn is_done(took: &[Ack], held: &[Held], is_whole: bool) -> bool {
    let nodes: Vec<(bool, Held)> = taken_and_held(took, held).collect();
    is_acknowledged(&nodes, if is_whole { Kind::Whole } else { Kind::Relative })
}

/// The same of a write that this node has decided: the node must hold what it should, and its connection must not have been lost.
pub(crate) fn is_decided(took: &[Ack], held: &[Held], (decider, is_connected): (usize, bool)) -> bool {
    let mut nodes: Vec<(bool, Held)> = taken_and_held(took, held).collect();
    nodes.swap(0, decider);
    match nodes.len() {
        // Nobody else is sent what it decided.
        1 => is_acknowledged(&nodes, Kind::Relative),
        _ => is_connected && is_acknowledged(&nodes, Kind::Decided),
    }
}

fn taken_and_held(took: &[Ack], held: &[Held]) -> impl Iterator<Item = (bool, Held)> {
    took.iter().zip(held).map(|(took, held)| (*took == Ack::Yes, *held))
}

/// Returns what the rules say of a write, by who took it and what each held; the first node has decided it, if one has.
fn is_acknowledged(nodes: &[(bool, Held)], kind: Kind) -> bool {
    const CALL: CallId = CallId(0);
    let those = |are: fn(bool, Held) -> bool| -> NodeSet {
        let nodes = nodes.iter().enumerate().filter(|(_, (took, held))| are(*took, *held));
        nodes.filter_map(|(place, _)| Node::new(place)).collect()
    };
    let members = NodeSet::first_n(nodes.len());
    let setup = Setup { members, n_takers: 1, rules: Rules::ALL };
    let mut state: State<()> = State::at_rest(&setup);
    let behind = those(|_, held| held <= Held::Stale);
    let report = Report::of(Standing::Current).missing((), behind);
    let takers = those(|took, held| took && held != Held::Uncertain);
    let said = |node| match takers.contains(node) {
        true => Event::Wrote(CALL, node, None),
        false => Event::Refused(CALL, node, None),
    };
    let (write, told) = (Event::Write(CALL, (), kind), Event::Told(Node::FIRST, report));
    let mut events = Vec::new();
    let mut waiting = members;
    if kind == Kind::Decided {
        // What it decided counted at first.
        events.extend([write, Event::Wrote(CALL, Node::FIRST, None), told]);
        waiting.remove(Node::FIRST);
        if !takers.contains(Node::FIRST) {
            events.push(Event::Lost(Node::FIRST));
        }
    } else {
        events.extend([told, write]);
    }
    events.extend(waiting.iter().map(said));
    let mut is_done = false;
    for event in events {
        step_through(&setup, &mut state, event, |effect| match effect {
            // The nodes that did not take it are hinted before the caller is told.
            Effect::Hint { call, node, .. } => vec![Event::Hinted(call, node, None)],
            Effect::AnswerWrite(_, outcome) => {
                is_done = outcome == Outcome::Ok;
                Vec::new()
            }
            _ => Vec::new(),
        });
    }
    is_done
}

/// Returns whether the reply of a node counts: of those that took a write, those count that held the most.
pub(crate) fn counts(took: &[Ack], held: &[Held]) -> impl Fn(usize) -> bool {
    let took_it = |(took, held): (&Ack, &Held)| (*took == Ack::Yes).then_some(*held);
    let held: Vec<Option<Held>> = took.iter().zip(held).map(took_it).collect();
    let most = held.iter().max().copied().flatten();
    move |idx| most.is_some() && held.get(idx) == Some(&most)
}

/// Returns which nodes are behind after a write; `order` is the order in which the key is read.
///
/// If it is done, all are that did not take it. If not, nobody was told, and only what a node holds that held what it
/// should can be what the others should hold. So those that took it or may have are behind those that certainly did not;
/// and if all that count may have, the first of them is right, and all others are behind.
pub(crate) fn stale_after(
    took: &[Ack],
    held: &[Held],
    is_done: bool,
    mut order: impl Iterator<Item = usize>,
) -> Vec<bool> {
    if is_done {
        return took.iter().map(|took| *took != Ack::Yes).collect();
    }
    let most = held.iter().max().filter(|most| Held::Away <= **most);
    let is_trusted = |idx: usize| most.is_some() && held.get(idx) == most;
    let is_there_without = took.iter().enumerate().any(|(idx, took)| *took == Ack::No && is_trusted(idx));
    if !is_there_without && let Some(counts) = order.find(|idx| is_trusted(*idx)) {
        // Also behind those that certainly did not: they are down, or do not hold what counts for another reason.
        return (0..took.len()).map(|idx| idx != counts).collect();
    }
    took.iter().map(|took| *took != Ack::No).collect()
}

/// The right reply of those that count, in the order in which the key is read. With an identity it is the first: a node that
/// somebody has emptied does not count, and the first is right for whoever makes the nodes equal too. Without one it is the reply
/// that most nodes gave, or else the first: a server that somebody has emptied a moment ago may be the first, but seldom the most.
pub(crate) fn right_reply<'a>(
    replies: &[(usize, &'a Value)],
    has_identity: bool,
) -> Option<(usize, &'a Value)> {
    let votes = |reply: &Value| replies.iter().filter(|(_, other)| **other == *reply).count();
    let most = replies.iter().find(|(_, reply)| replies.len() < 2 * votes(reply));
    most.filter(|_| !has_identity).or(replies.first()).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Ack::Maybe;
    use super::Ack::No;
    use super::Ack::Yes;
    use super::Held::Away;
    use super::Held::Current;
    use super::Held::Stale;
    use super::Held::Uncertain;
    use super::*;

    fn check<const N: usize>(took: [Ack; N], held: [Held; N], expected: [bool; N]) {
        // The last node is the first that is read from.
        let found = stale_after(&took, &held, is_done(&took, &held, false), (0..N).rev());
        assert_eq!(found, expected, "{took:?} {held:?}");
    }

    #[test]
    fn who_missed_what_is_done_is_behind() {
        check([Yes, Yes, Yes], [Current; 3], [false; 3]);
        check([Yes, No, Maybe], [Current; 3], [false, true, true]);
        check([Yes, No, Maybe], [Away, Current, Current], [false, true, true]);
    }

    #[test]
    fn what_only_nodes_took_that_are_behind_is_not_done_and_nobody_else_is_behind() {
        check([Yes, No, Maybe], [Stale, Current, Current], [true, false, true]);
        check([Yes, Yes, No], [Stale, Stale, Away], [true, true, false]);
        check([Yes, Yes, Maybe], [Stale, Stale, Away], [true, true, false]);
        let took = [Yes, No, Maybe];
        assert!(is_done(&took, &[Stale, Current, Current], true), "what was there does not matter");
        assert!(!is_done(&took, &[Uncertain, Current, Current], true));
    }

    #[test]
    fn whatever_a_node_held_a_write_is_done_if_one_took_it_that_held_enough() {
        let (acks, all) = ([Yes, No, Maybe], [Uncertain, Stale, Away, Current]);
        for n in 0..12_usize.pow(3) {
            let nodes = [n % 12, n / 12 % 12, n / 144].map(|node| (acks[node % 3], all[node / 3]));
            let (took, held) = (nodes.map(|node| node.0), nodes.map(|node| node.1));
            for (is_whole, least) in [(false, Away), (true, Stale)] {
                let expected = nodes.iter().any(|(took, held)| *took == Yes && least <= *held);
                assert_eq!(is_done(&took, &held, is_whole), expected, "{nodes:?} {is_whole}");
            }
        }
        // Of as many nodes as there can be the last one alone holds what it should.
        let (mut took, mut held) = ([Yes; Node::MAX], [Stale; Node::MAX]);
        assert!(!is_done(&took, &held, false) && is_done(&took, &held, true));
        held[Node::MAX - 1] = Current;
        assert!(is_done(&took, &held, false));
        took[Node::MAX - 1] = Maybe;
        assert!(!is_done(&took, &held, false));
    }

    #[test]
    fn a_decision_is_done_while_its_node_is_there_and_holds_what_it_should_whoever_else_took_it() {
        let all = [Uncertain, Stale, Away, Current];
        for n in 0..4 * 12 {
            let (decider, other) = (all[n % 4], [Yes, No, Maybe][n / 4 % 3]);
            for held in all {
                let (took, held) = ([other, Yes, other], [held, decider, held]);
                assert_eq!(is_decided(&took, &held, (1, true)), Away <= decider, "{took:?} {held:?}");
                assert!(!is_decided(&took, &held, (1, false)), "{took:?} {held:?}");
            }
        }
        assert!(is_decided(&[Yes], &[Current], (0, false)) && !is_decided(&[Yes], &[Stale], (0, true)));
        let (mut held, last) = ([Current; Node::MAX], Node::MAX - 1);
        assert!(is_decided(&[Yes; Node::MAX], &held, (last, true)));
        held[last] = Stale;
        assert!(!is_decided(&[Yes; Node::MAX], &held, (last, true)));
    }

    #[test]
    fn what_nobody_took_leaves_those_behind_that_may_have() {
        check([No, No, No], [Current; 3], [false; 3]);
        check([Maybe, No, Maybe], [Current; 3], [true, false, true]);
    }

    #[test]
    fn if_all_that_count_may_have_taken_it_the_first_of_them_is_right() {
        check([Maybe, Maybe, Maybe], [Current; 3], [true, true, false]);
        check([Maybe, Maybe, Maybe], [Current, Current, Stale], [true, false, true]);
        check([Maybe, Maybe, Maybe], [Away, Away, Stale], [true, false, true]);
        // A node that was behind before is not what the others should be like, nor is one that is away if another is there.
        check([No, Maybe, Maybe], [Stale, Current, Current], [true, true, false]);
        check([No, Maybe, Maybe], [Away, Current, Current], [true, true, false]);
        check([No, No], [Stale; 2], [false, false]);
        check([No, Maybe], [Stale; 2], [false, true]);
        check([Maybe, Maybe], [Stale; 2], [true, true]);
    }

    #[test]
    fn the_replies_of_those_count_that_held_the_most() {
        let counting = |took: [Ack; 3], held: [Held; 3]| [0, 1, 2].map(counts(&took, &held));
        assert_eq!(counting([Yes, Yes, No], [Current; 3]), [true, true, false]);
        assert_eq!(counting([Yes, Yes, Yes], [Stale, Current, Away]), [false, true, false]);
        assert_eq!(counting([Yes, Yes, No], [Stale, Away, Current]), [false, true, false]);
        assert_eq!(counting([Yes, Yes, No], [Stale, Stale, Current]), [true, true, false]);
        assert_eq!(counting([No, Maybe, No], [Current; 3]), [false; 3]);
    }

    #[test]
    fn the_reply_of_most_is_right_or_else_that_of_the_first_and_with_an_identity_that_of_the_first() {
        let right = |replies: &[i64], has_identity: bool| {
            let replies: Vec<Value> = replies.iter().copied().map(Value::Int).collect();
            let replies: Vec<_> = replies.iter().enumerate().collect();
            right_reply(&replies, has_identity).map(|(idx, _)| idx)
        };
        assert_eq!(right(&[1, 7, 7], false), Some(1));
        assert_eq!(right(&[1, 7], false), Some(0));
        assert_eq!(right(&[1, 7, 7, 1], false), Some(0));
        assert_eq!(right(&[1, 7, 7], true), Some(0));
        assert!(right(&[], false).is_none() && right(&[], true).is_none());
    }

    /// What happens to a node in one step: the outcome that the client sees, whether it executed it, and whether it is away.
    type OnNode = (Ack, bool, bool);

    fn outcome() -> impl Strategy<Value = OnNode> {
        let took =
            prop_oneof![Just((Yes, true)), Just((No, false)), Just((Maybe, true)), Just((Maybe, false))];
        (took, any::<bool>()).prop_map(|((took, executed), is_away)| (took, executed, is_away))
    }

    /// A write, which may be whole, or whose future may be dropped, after which some node is brought back.
    fn step() -> impl Strategy<Value = ([OnNode; 3], bool, bool, Option<usize>)> {
        ([outcome(), outcome(), outcome()], any::<bool>(), any::<bool>(), proptest::option::of(0..3_usize))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_fails_some_node_counts_and_each_that_does_holds_all_that_is_done(
            steps in proptest::collection::vec(step(), 1..30),
        ) {
            let mut holds: [BTreeSet<usize>; 3] = Default::default();
            let mut is_behind = [false; 3];
            let mut done = BTreeSet::new();
            for (id, (outcomes, is_whole, is_dropped, back)) in steps.into_iter().enumerate() {
                let took = outcomes.map(|(took, ..)| took);
                let held: Vec<Held> = outcomes
                    .iter()
                    .zip(is_behind)
                    .map(|((.., is_away), is_behind)| match (is_behind, is_away) {
                        (true, _) => Stale,
                        (false, true) => Away,
                        (false, false) => Current,
                    })
                    .collect();
                let is_done = is_done(&took, &held, is_whole && !is_dropped);
                for (holds, (_, executed, _)) in holds.iter_mut().zip(outcomes) {
                    if executed {
                        holds.insert(id);
                        // It is what the key would be without what was there.
                        if is_whole {
                            holds.extend(done.iter().copied());
                        }
                    }
                }
                if is_done {
                    done.insert(id);
                }
                let after = stale_after(&took, &held, is_done, 0..3);
                for idx in 0..3 {
                    let is_settled = is_done && is_whole && took[idx] == Yes;
                    is_behind[idx] = after[idx] || is_behind[idx] && !is_settled;
                }
                let source = is_behind.iter().position(|is_behind| !is_behind);
                prop_assert!(source.is_some(), "nobody counts after {id}");
                if let (Some(back), Some(source)) = (back, source) {
                    holds[back] = holds[source].clone();
                    is_behind[back] = false;
                }
                for (holds, is_behind) in holds.iter().zip(is_behind) {
                    prop_assert!(is_behind || done.is_subset(holds), "{id}: {done:?} {holds:?}");
                }
            }
        }
    }
}

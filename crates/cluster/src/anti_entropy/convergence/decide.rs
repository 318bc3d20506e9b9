//! The decision about a key that was looked at on all nodes in sight: the explored rules say whose state counts, and which nodes
//! are given it.

use std::collections::BTreeMap;

use redisdb_replication::Claimed;
use redisdb_replication::Digest;
use redisdb_replication::Effect;
use redisdb_replication::Event;
use redisdb_replication::Node;
use redisdb_replication::NodeSet;
use redisdb_replication::Report;
use redisdb_replication::Rules;
use redisdb_replication::Setup;
use redisdb_replication::Standing;
use redisdb_replication::State;
use redisdb_replication::Token;
use redisdb_replication::step;

/// What a node was seen to hold of a key. The node is current, and is not known to have missed a write of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// This state: equal numbers are equal states.
    Holds(usize),
    /// Nothing, and the node has told that the key changed there: somebody removed it, or it has expired.
    Removed,
    /// Nothing, and the node has told nothing: it may never have had the key.
    Lacks,
}

/// Whose state of a key counts, and who is given it; by their places among the nodes that were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) source: usize,
    pub(crate) targets: Vec<usize>,
}

/// Decides about a key that was quiet, by what the nodes were seen to hold, in the order in which the key is read.
/// `has_changed` says whether the key changed after it was quiet. Returns `None` where nothing is to be written.
pub(crate) fn decide(seen: &[Seen], has_changed: bool) -> Option<Decision> {
    let setup = Setup { members: NodeSet::first_n(seen.len()), n_takers: 1, rules: Rules::ALL };
    let mut state: State<()> = State::at_rest_with_lease(&setup, Token::default());
    let lacking = seen.iter().enumerate().filter(|(_, seen)| **seen == Seen::Lacks);
    let lacking: NodeSet = lacking.filter_map(|(place, _)| Node::new(place)).collect();
    let is_there = seen.iter().any(|seen| matches!(seen, Seen::Holds(_)));
    let _dirty = step(&setup, &mut state, Event::Changed(()));
    let mut todo = step(&setup, &mut state, Event::Quiet { key: (), is_due: false });
    let (mut source, mut targets) = (None, Vec::new());
    while let Some(effect) = todo.pop() {
        let event = match effect {
            Effect::Claim((), node, _) => {
                let holds = *seen.get(node.idx())?;
                // A node that lacks the key and does not know why has missed it, say those that have it.
                let missed = match holds {
                    Seen::Holds(_) if is_there => BTreeMap::from([((), lacking)]),
                    _ => BTreeMap::new(),
                };
                let report = Report {
                    standing: Standing::Current,
                    missed,
                    all: NodeSet::EMPTY,
                    forgotten: NodeSet::EMPTY,
                };
                if has_changed {
                    todo.extend(step(&setup, &mut state, Event::Changed(())));
                }
                let digest = digest(holds);
                Event::Claimed(Claimed { node, key: (), digest, report, is_doubted: false, begins: false })
            }
            Effect::Fetch((), node) => {
                source = Some(node.idx());
                Event::Fetched((), digest(*seen.get(node.idx())?), Standing::Current)
            }
            Effect::Put { node, .. } => {
                targets.push(node.idx());
                Event::Put((), node)
            }
            _ => continue,
        };
        todo.extend(step(&setup, &mut state, event));
    }
    Some(Decision { source: source?, targets })
}

fn digest(seen: Seen) -> Digest {
    match seen {
        Seen::Holds(state) => Digest(u64::try_from(state).unwrap_or(u64::MAX - 1) + 1),
        Seen::Removed | Seen::Lacks => Digest::MISSING,
    }
}

#[cfg(test)]
mod tests {
    use super::Seen::Holds;
    use super::Seen::Lacks;
    use super::Seen::Removed;
    use super::*;

    fn check(seen: &[Seen], expected: Option<(usize, &[usize])>) {
        let expected = expected.map(|(source, targets)| Decision { source, targets: targets.to_vec() });
        assert_eq!(decide(seen, false), expected, "{seen:?}");
        assert_eq!(decide(seen, true), None, "{seen:?}: it has changed meanwhile");
    }

    #[test]
    fn the_first_node_counts_that_has_a_reason_for_what_it_holds() {
        check(&[Holds(0), Holds(0), Holds(0)], None);
        check(&[Holds(0), Holds(1), Holds(1)], Some((0, &[1, 2])));
        check(&[Holds(0), Holds(0), Holds(1)], Some((0, &[2])));
        check(&[Holds(0), Removed, Lacks], Some((0, &[1, 2])));
    }

    #[test]
    fn a_key_is_removed_where_the_first_node_was_seen_to_remove_it_and_else_comes_back() {
        check(&[Removed, Holds(1), Holds(1)], Some((0, &[1, 2])));
        check(&[Lacks, Holds(1), Holds(2)], Some((1, &[0, 2])));
        check(&[Lacks, Removed, Holds(2)], Some((1, &[2])));
        check(&[Lacks, Lacks, Holds(2)], Some((2, &[0, 1])));
        check(&[Lacks, Removed, Lacks], None);
    }

    #[test]
    fn whatever_is_seen_all_hold_the_same_afterwards_and_that_comes_from_one_of_them() {
        let each = [Holds(0), Holds(1), Holds(2), Removed, Lacks];
        for n in 0..each.len().pow(3) {
            let [a, b, c] = [n % 5, n / 5 % 5, n / 25].map(|i| each[i]);
            let before = [a, b, c].map(digest);
            let mut after = before;
            if let Some(Decision { source, targets }) = decide(&[a, b, c], false) {
                targets.iter().for_each(|target| after[*target] = before[source]);
                assert!(targets.iter().all(|target| before[*target] != before[source]), "{a:?} {b:?} {c:?}");
            }
            assert!(after.iter().all(|digest| *digest == after[0]), "{a:?} {b:?} {c:?}: {after:?}");
        }
    }
}

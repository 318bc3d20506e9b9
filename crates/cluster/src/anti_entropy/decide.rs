//! The decision about a key that was looked at on several nodes: the explored rules say whose state counts, which nodes are given it,
//! and whether anybody is right.

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
use redisdb_replication::step_through;

/// What a node was seen to hold of a key. The node is current, and is not known to have missed a write of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its state: equal numbers are equal states. `None` if the key is not there.
    pub(crate) state: Option<usize>,
    /// True if the node has told that the key changed there, since the key was last seen equal and the node
    /// was last emptied.
    pub(crate) has_told: bool,
    /// True if the node was given the key because it lacked it, and the key was not seen equal since.
    pub(crate) was_given: bool,
    /// True if the node may evict keys to make room.
    pub(crate) evicts: bool,
}

/// What a node that was restarted was seen to hold of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenRestarted {
    /// Its state: equal numbers are equal states. `None` if the key is not there.
    pub(crate) state: Option<usize>,
    /// True if the node is known to have missed a write of the key.
    pub(crate) is_behind: bool,
}

/// What may have happened to a key since it was quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Nothing.
    Still,
    /// It has changed.
    Changed,
    /// A node does not tell what changes there.
    Unheard {
        /// True if all nodes show what they showed when the key was compared before.
        is_second: bool,
    },
}

/// What is to be done about a key. The numbers are places among the nodes that were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: all hold what they should.
    Done,
    /// It is compared once more when it is quiet.
    Again,
    /// The state of the source counts, and is copied to the targets.
    Copy { source: usize, targets: Vec<usize> },
}

/// Decides about a key that was quiet, by what the nodes were seen to hold, in the order in which the key is read.
pub(crate) fn decide(seen: &[Seen], meanwhile: Meanwhile) -> Decision {
    let (setup, mut state) = at_rest(seen.len());
    let told = seen.iter().enumerate().filter(|(_, seen)| seen.has_told);
    let told: NodeSet = told.filter_map(|(place, _)| Node::new(place)).collect();
    let _dirty = step(&setup, &mut state, Event::Changed((), told));
    let (mut source, mut targets) = (None, Vec::new());
    let shown = |node: Node| seen.get(node.idx()).copied();
    // A look that shows what the one before did comes after that one.
    let n_looks = if meanwhile == (Meanwhile::Unheard { is_second: true }) { 2 } else { 1 };
    for _ in 0..n_looks {
        step_through(&setup, &mut state, Event::Quiet { key: (), is_due: false }, |effect| {
            let answer = match effect {
                Effect::Claim((), node, _) => shown(node).map(|shown| {
                    // It notes by itself that it has missed the key.
                    let lacking = if shown.was_given { NodeSet::EMPTY.with(node) } else { NodeSet::EMPTY };
                    let report = Report::of(Standing::Current).missing((), lacking);
                    claimed(node, shown.state, report, shown.evicts)
                }),
                Effect::Hear(()) => match meanwhile {
                    Meanwhile::Still => Some(Event::Heard(())),
                    Meanwhile::Changed => {
                        return vec![Event::Changed((), NodeSet::EMPTY), Event::Heard(())];
                    }
                    Meanwhile::Unheard { .. } => Some(Event::Deaf(())),
                },
                Effect::Fetch((), node) => {
                    source = Some(node.idx());
                    shown(node).map(|shown| Event::Fetched((), digest(shown.state), Standing::Current))
                }
                Effect::Put { node, .. } => {
                    targets.push(node.idx());
                    Some(Event::Put((), node))
                }
                _ => None,
            };
            answer.into_iter().collect()
        });
    }
    match source {
        Some(source) => Decision::Copy { source, targets },
        None if state.is_repairing() => Decision::Done,
        None => Decision::Again,
    }
}

/// Returns whether nobody is known to be right about a key, on nodes that were all restarted.
pub(crate) fn is_conflict(seen: &[SeenRestarted]) -> bool {
    let (setup, mut state) = at_rest(seen.len());
    let behind = seen.iter().enumerate().filter(|(_, seen)| seen.is_behind);
    let behind: NodeSet = behind.filter_map(|(place, _)| Node::new(place)).collect();
    let report = Report::of(Standing::Restarted).missing((), behind);
    let _dirty = step(&setup, &mut state, Event::Changed((), NodeSet::EMPTY));
    let mut is_conflict = false;
    step_through(&setup, &mut state, Event::Quiet { key: (), is_due: false }, |effect| match effect {
        Effect::Claim((), node, _) => {
            let state = seen.get(node.idx()).and_then(|seen| seen.state);
            vec![claimed(node, state, report.clone(), false)]
        }
        Effect::Hear(()) => vec![Event::Heard(())],
        Effect::TellConflict((), _) => {
            is_conflict = true;
            Vec::new()
        }
        _ => Vec::new(),
    });
    is_conflict
}

/// The rules of so many nodes, and a process that repairs.
fn at_rest(n_nodes: usize) -> (Setup, State<()>) {
    let setup = Setup { members: NodeSet::first_n(n_nodes), n_takers: 1, rules: Rules::ALL };
    (setup, State::at_rest_with_lease(&setup, Token::default()))
}

/// What the node says when it is asked for the key.
fn claimed(node: Node, state: Option<usize>, report: Report<()>, evicts: bool) -> Event<()> {
    let (is_doubted, begins) = (false, false);
    Event::Claimed(Claimed { node, key: (), digest: digest(state), report, is_doubted, evicts, begins })
}

fn digest(state: Option<usize>) -> Digest {
    let holds = |state| Digest(u64::try_from(state).unwrap_or(u64::MAX - 1) + 1);
    state.map_or(Digest::MISSING, holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing, and the node has told nothing: it may never have had the key.
    const LACKS: Seen = Seen { state: None, has_told: false, was_given: false, evicts: false };
    /// Nothing, and the node has told that the key changed there: somebody removed it, or it has expired.
    const REMOVED: Seen = Seen { has_told: true, ..LACKS };
    /// Nothing, and the node has told so, but it may have thrown the key away.
    const THROWN_AWAY: Seen = Seen { evicts: true, ..REMOVED };

    fn holds(state: usize) -> Seen {
        Seen { state: Some(state), ..LACKS }
    }

    fn check(seen: &[Seen], expected: Option<(usize, &[usize])>) {
        let copy =
            |(source, targets): (usize, &[usize])| Decision::Copy { source, targets: targets.to_vec() };
        let expected = expected.map_or(Decision::Done, copy);
        assert_eq!(decide(seen, Meanwhile::Still), expected, "{seen:?}");
        assert_eq!(decide(seen, Meanwhile::Changed), Decision::Again, "{seen:?}");
        assert_eq!(decide(seen, Meanwhile::Unheard { is_second: true }), expected, "{seen:?}");
        let is_at_rest = seen.iter().all(|one| one.state == seen[0].state && !one.was_given);
        let first = if is_at_rest { Decision::Done } else { Decision::Again };
        assert_eq!(decide(seen, Meanwhile::Unheard { is_second: false }), first, "{seen:?}");
    }

    #[test]
    fn the_first_node_counts_that_has_a_reason_for_what_it_holds() {
        check(&[holds(0), holds(0), holds(0)], None);
        check(&[holds(0), holds(1), holds(1)], Some((0, &[1, 2])));
        check(&[holds(0), holds(0), holds(1)], Some((0, &[2])));
        check(&[holds(0), REMOVED, LACKS], Some((0, &[1, 2])));
    }

    #[test]
    fn a_node_that_was_given_the_key_does_not_count_before_the_key_is_seen_equal() {
        let given = Seen { was_given: true, ..holds(0) };
        check(&[given, REMOVED], Some((1, &[0])));
        check(&[given, holds(1)], Some((1, &[0])));
        check(&[given, holds(0)], None);
        check(&[given, REMOVED, holds(1)], Some((1, &[0, 2])));
    }

    #[test]
    fn a_key_is_removed_where_the_first_node_was_seen_to_remove_it_and_else_comes_back() {
        check(&[REMOVED, holds(1), holds(1)], Some((0, &[1, 2])));
        check(&[LACKS, holds(1), holds(2)], Some((1, &[0, 2])));
        check(&[LACKS, REMOVED, holds(2)], Some((1, &[2])));
        check(&[LACKS, LACKS, holds(2)], Some((2, &[0, 1])));
        check(&[LACKS, REMOVED, LACKS], None);
    }

    #[test]
    fn a_node_that_throws_keys_away_takes_none_away_and_is_given_none_again() {
        check(&[THROWN_AWAY, holds(1)], None);
        check(&[holds(0), THROWN_AWAY], None);
        check(&[THROWN_AWAY, holds(1), LACKS], Some((1, &[2])));
        check(&[THROWN_AWAY, REMOVED, holds(2)], Some((1, &[2])));
        check(&[holds(0), Seen { evicts: true, ..holds(1) }], Some((0, &[1])));
    }

    #[test]
    fn whatever_is_seen_all_hold_the_same_afterwards_and_that_comes_from_one_of_them() {
        let each = [holds(0), holds(1), holds(2), REMOVED, LACKS];
        for n in 0..each.len().pow(3) {
            let [a, b, c] = [n % 5, n / 5 % 5, n / 25].map(|i| each[i]);
            let before = [a, b, c].map(|seen| digest(seen.state));
            let mut after = before;
            if let Decision::Copy { source, targets } = decide(&[a, b, c], Meanwhile::Still) {
                targets.iter().for_each(|target| after[*target] = before[source]);
                assert!(targets.iter().all(|target| before[*target] != before[source]), "{a:?} {b:?} {c:?}");
            }
            assert!(after.iter().all(|digest| *digest == after[0]), "{a:?} {b:?} {c:?}: {after:?}");
        }
    }

    #[test]
    fn restarted_nodes_are_in_conflict_if_those_differ_that_are_not_behind_or_if_none_is_left() {
        let each: Vec<SeenRestarted> = [None, Some(0), Some(1)]
            .into_iter()
            .flat_map(|state| [false, true].map(|is_behind| SeenRestarted { state, is_behind }))
            .collect();
        for n in 0..each.len().pow(3) {
            let seen = [n % 6, n / 6 % 6, n / 36].map(|i| each[i]);
            let right: Vec<_> = seen.iter().filter(|one| !one.is_behind).map(|one| one.state).collect();
            let are_equal = !right.is_empty() && right.iter().all(|state| *state == right[0]);
            assert_eq!(is_conflict(&seen), !are_equal, "{seen:?}");
        }
    }
}

//! What is remembered of keys: nothing of a key at rest, whatever a key is.

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
use redisdb_replication::step;

fn setup() -> Setup {
    Setup { members: NodeSet::first_n(2), n_takers: 1, rules: Rules::ALL }
}

fn key(number: u32) -> Vec<u8> {
    format!("key:{number}").into_bytes()
}

#[test]
fn a_write_that_all_nodes_took_leaves_nothing_of_its_key() {
    let setup = setup();
    let mut state = State::at_rest(&setup);
    for number in 0..100 {
        let effects = step(&setup, &mut state, Event::Write(CallId(7), key(number), Kind::Relative));
        assert_eq!(effects.len(), 2);
        let mut effects = Vec::new();
        for node in setup.members.iter() {
            effects = step(&setup, &mut state, Event::Wrote(CallId(7), node, None));
        }
        assert_eq!(effects, [Effect::AnswerWrite(CallId(7), Outcome::Ok)]);
        assert_eq!(state, State::at_rest(&setup));
    }
}

#[test]
fn a_key_that_was_missed_is_remembered_until_its_node_says_otherwise() {
    let setup = setup();
    let (first, second) = (Node::FIRST, Node::new(1).unwrap());
    let mut state = State::at_rest(&setup);
    let missed = |numbers: std::ops::Range<u32>| {
        let missed = numbers.map(|number| (key(number), NodeSet::EMPTY.with(second))).collect();
        Event::Told(first, Report { missed, ..Report::of(Standing::Current) })
    };
    assert!(step(&setup, &mut state, missed(0..1_000)).is_empty());
    assert_eq!(state.readable(&setup, &key(999)), NodeSet::EMPTY.with(first));
    assert_eq!(state.readable(&setup, &key(1_000)), setup.members);

    assert!(step(&setup, &mut state, missed(999..1_000)).is_empty());
    assert_eq!(state.readable(&setup, &key(0)), setup.members);
    assert_eq!(state.readable(&setup, &key(999)), NodeSet::EMPTY.with(first));
    assert_ne!(state, State::at_rest(&setup));

    assert!(step(&setup, &mut state, Event::Told(first, Report::of(Standing::Current))).is_empty());
    assert_eq!(state, State::at_rest(&setup));
}

#[test]
fn a_node_that_was_mended_has_missed_nothing_of_the_key_by_anybody_s_word_and_is_behind_for_others() {
    let setup = Setup { members: NodeSet::first_n(3), ..setup() };
    let mut state = State::at_rest(&setup);
    let nodes = |idx: &[usize]| idx.iter().filter_map(|idx| Node::new(*idx)).collect::<NodeSet>();
    for (holder, missed) in [(0, nodes(&[1, 2])), (1, nodes(&[2]))] {
        let missed = [key(1), key(2)].into_iter().map(|key| (key, missed)).collect();
        let report = Report { missed, ..Report::of(Standing::Restarted) };
        assert!(step(&setup, &mut state, Event::Told(Node::new(holder).unwrap(), report)).is_empty());
    }
    assert!(step(&setup, &mut state, Event::Mended(key(1), nodes(&[2]))).is_empty());
    let missed: Vec<_> = state.missed().map(|(key, nodes)| (key.clone(), nodes)).collect();
    assert_eq!(missed, [(key(1), nodes(&[1])), (key(2), nodes(&[1, 2]))]);
    // The others agree, but for those that are behind.
    for (number, voters, expected) in [
        (1, nodes(&[0, 2]), true),
        (1, nodes(&[0]), false),
        (1, nodes(&[0, 1, 2]), false),
        (2, nodes(&[0, 2]), false),
        (2, nodes(&[0]), true),
    ] {
        assert_eq!(state.may_agree_among(&setup, &key(number), voters), expected, "{number} {voters:?}");
        assert!(!state.may_agree(&setup, &key(number)));
    }
}

//! Hints and doubts that are not complete: too many, not written for want of room, or removed by somebody else.

use super::claims::holds;
use super::faults::FAULTS;

#[test]
fn notes_that_are_gone_break_nothing_alone_or_with_another_fault() {
    holds("--vanish 1 --writers 1");
    holds("--vanish 2 --write 1 --writers 1 --relative");
    holds("--keys 2 --vanish 1 --write 1");
    holds("--nodes 3 --vanish 1 --write 1 --writers 1");
    for fault in FAULTS {
        holds(&format!("--held --vanish 1 --{fault} 1 --write 1 --writers 1 --no-zombies --relative"));
    }
}

#[test]
fn a_node_without_room_for_notes_breaks_nothing_with_another_fault() {
    for fault in FAULTS {
        let found = holds(&format!("--held --full 1 --{fault} 1 --write 1 --writers 1 --no-zombies"));
        assert!(100 < found.n_states, "{fault}: nothing was explored");
    }
}

//! Each class of faults alone: two nodes and two writes; two keys; three nodes.

use super::claims::holds;

/// The classes of faults that are explored alone and in pairs.
pub(crate) const FAULTS: [&str; 11] =
    ["cut", "stop", "same", "empty", "older", "flush", "refuse", "die", "drop", "pause", "expire"];

#[test]
fn nothing_goes_wrong_without_a_fault() {
    holds("--write 3");
    holds("--keys 2 --write 3");
    holds("--nodes 3 --keys 2");
}

#[test]
fn each_fault_alone_breaks_nothing_on_two_nodes_with_two_writes_of_one_key() {
    for fault in FAULTS {
        // Both clients write, but where that takes too long for every day.
        let n_writers = if ["stop", "same", "empty", "older"].contains(&fault) { 1 } else { 2 };
        let found = holds(&format!("--{fault} 1 --writers {n_writers}"));
        assert_eq!(found.n_told, 0, "{fault}: one fault is no reason for a conflict");
        assert!(1_000 < found.n_states, "{fault}: nothing was explored");
    }
}

#[test]
fn each_fault_alone_breaks_nothing_on_two_nodes_with_two_keys() {
    for fault in FAULTS {
        // Two writes where that does not take too long for every day.
        let n_writes = if ["older", "empty"].contains(&fault) { 1 } else { 2 };
        holds(&format!("--keys 2 --{fault} 1 --write {n_writes} --writers 1 --no-zombies"));
    }
}

#[test]
fn each_fault_alone_breaks_nothing_on_three_nodes_with_a_write() {
    for fault in FAULTS {
        holds(&format!("--nodes 3 --{fault} 1 --write 1"));
    }
}

#[test]
fn a_majority_of_takers_holds_too() {
    holds("--takers 2 --cut 1");
    holds("--nodes 3 --takers 2 --cut 1 --write 1");
}

#[test]
fn a_server_that_proves_that_it_lost_nothing_is_current_at_once_and_costs_no_conflict() {
    holds("--kept 1 --needless-is-bad --real-is-bad");
    holds("--kept 2 --write 1 --needless-is-bad --real-is-bad");
}

#[test]
fn two_writes_of_one_client_at_once_break_nothing() {
    holds("--at-once 2 --write 3 --writers 1");
    holds("--nodes 3 --at-once 2 --writers 1 --drop 1");
    for fault in ["cut", "stop", "flush", "drop", "pause", "expire"] {
        holds(&format!("--at-once 2 --{fault} 1 --writers 1 --no-zombies --relative"));
    }
}

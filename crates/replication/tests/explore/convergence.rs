//! Keys that become equal by themselves: two processes that repair at the same time, writers that die, others who write to one node
//! alone, nodes that throw keys away, changes that are heard late or never, nodes that tell of none.

use super::claims::holds;
use super::faults::FAULTS;

#[test]
fn a_delete_is_a_write_like_others_and_each_fault_alone_breaks_nothing() {
    holds("--deletes --write 3 --whole");
    holds("--nodes 3 --deletes");
    for fault in FAULTS {
        holds(&format!("--deletes --{fault} 1 --writers 1 --whole"));
    }
}

#[test]
fn two_processes_that_repair_at_the_same_time_make_the_nodes_equal() {
    holds("--expire 1 --deletes --whole");
    holds("--expire 1 --deletes --whole --write 1 --late-feed");
    holds("--nodes 3 --expire 1 --deletes --write 1");
    holds("--expire 1 --deletes --outside 1 --whole --write 1");
}

/// So a copy does it today: its servers know no leases, and it notes nothing when it gives a node what this one lacks.
#[test]
fn two_processes_that_repair_without_a_fencing_token_make_nodes_equal_that_missed_nothing() {
    holds("--expire 1 --deletes --without FencingToken --without Given");
    holds("--expire 1 --outside 1 --whole --write 1 --without FencingToken --without Given");
}

#[test]
fn a_writer_that_dies_between_the_nodes_leaves_them_equal() {
    holds("--die 1 --deletes");
    holds("--die 1 --deletes --late-feed --whole");
    holds("--nodes 3 --die 1 --deletes --whole");
    holds("--die 1 --deletes --outside 1 --whole --write 1");
}

#[test]
fn what_others_write_to_one_node_alone_or_remove_there_is_on_all_nodes_or_on_none() {
    holds("--outside 2 --deletes --whole --write 1");
    holds("--outside 3 --whole --write 1");
    holds("--outside 1 --deletes");
    holds("--nodes 3 --outside 1 --deletes --write 1");
    holds("--outside 2 --deletes --whole --write 1 --late-feed");
    holds("--keys 2 --outside 1 --deletes --whole --write 1");
}

#[test]
fn a_node_that_throws_keys_away_takes_none_away_from_others_and_comes_to_rest() {
    for evicting in ["--evicts 0", "--evicts 1", "--evicts 0 --evicts 1"] {
        let found = holds(&format!("{evicting} --deletes --outside 1 --write 1"));
        assert!(1_000 < found.n_states, "{evicting}: nothing was explored");
        holds(&format!("{evicting} --late-feed --whole"));
        holds(&format!("{evicting} --expire 1 --whole"));
    }
    holds("--nodes 3 --evicts 1 --deletes --whole");
}

#[test]
fn a_flush_by_others_takes_nothing_away_from_the_other_nodes() {
    holds("--flush 1 --deletes --whole");
    holds("--flush 1 --outside 1 --deletes --whole --write 1");
    holds("--flush 1 --deletes --write 1 --late-feed");
    holds("--nodes 3 --flush 1 --deletes --whole --write 1");
}

#[test]
fn what_is_heard_late_or_never_leaves_the_nodes_equal() {
    holds("--late-feed --deletes");
    holds("--nodes 3 --late-feed --deletes --whole");
    holds("--late-feed --cut 1 --deletes --write 1");
    holds("--gap 1 --late-feed --deletes");
    holds("--gap 1 --late-feed --deletes --outside 1 --whole --write 1");
}

#[test]
fn where_no_node_tells_what_changes_two_looks_at_all_nodes_make_them_equal() {
    holds("--deaf");
    holds("--deaf --deletes");
    holds("--deaf --nodes 3 --deletes --whole");
    holds("--deaf --keys 2 --deletes --whole --writers 1");
    holds("--deaf --die 1 --deletes");
    holds("--deaf --drop 1 --deletes");
    holds("--deaf --outside 2 --deletes --whole --write 1");
    holds("--deaf --evicts 0 --deletes --whole");
}

#[test]
fn where_no_node_tells_what_changes_each_fault_alone_breaks_nothing_if_no_value_comes_back() {
    holds("--deaf --no-returns --expire 1 --deletes --whole");
    holds("--deaf --no-returns --expire 1 --deletes --whole --without FencingToken --without Given");
    for fault in ["cut", "stop", "older", "flush", "refuse", "pause"] {
        holds(&format!("--deaf --no-returns --{fault} 1 --deletes --writers 1 --whole"));
    }
}

//! What the rules cannot hold: each combination of faults that breaks a promise, in a user's words.

use super::claims::breaks;
use super::claims::holds;

/// K1: a request hangs longer than any timeout, and meanwhile a node is emptied. This one is held: the emptied node has a doubt,
/// so the conflict is told.
#[test]
fn a_request_that_hangs_while_a_node_is_emptied_costs_a_conflict_that_is_told() {
    holds("--cut 1 --flush 1 --writers 1 --late-any --relative");
}

/// K2: a node takes a write that others miss, saves its dump before the late hint comes, and is restarted from that dump: the
/// write is lost.
#[test]
fn a_dump_between_a_write_and_its_late_hint_may_lose_the_write() {
    breaks("--cut 1 --older 1 --write 1 --writers 1 --strict-older", "S3");
}

/// K3: a value that was read before its write was acknowledged may be missing in a later read.
#[test]
fn a_value_that_was_read_before_it_was_acknowledged_may_not_be_read_again() {
    breaks("--cut 1 --strict-reads", "S2");
}

/// K4: three faults in one outage. A node missed a write, the second one took it but is out of reach, and the third one, which
/// alone keeps the hint, is emptied: the write is not read.
#[test]
fn three_faults_in_one_outage_may_hide_a_write() {
    breaks("--nodes 3 --cut 1 --flush 1 --stop 1 --write 1 --writers 1 --relative --no-zombies", "S2");
}

/// K7: a key is on one node alone, and is deleted by a client that this node is cut off from, while it is copied to the node where
/// the delete finds nothing: the key comes back there.
#[test]
fn a_delete_that_finds_nothing_on_the_only_node_it_reaches_may_be_undone_by_a_copy_under_way() {
    breaks("--cut 1 --outside 1 --deletes --whole --write 1", "S1");
}

/// K8: the node that a copy goes to changes, and comes back to what was seen there, while the source is flushed.
#[test]
fn a_value_that_returns_to_what_was_seen_is_replaced_and_a_flush_of_the_source_may_lose_the_write() {
    breaks("--flush 1 --outside 2 --whole --write 1", "S1");
}

/// K9: where no node tells what changes, a key comes back to what was seen D before, by a delete that the other node refuses: the delete
/// is undone, because its hint comes after the second look.
#[test]
fn where_no_node_tells_what_changes_a_value_that_returns_hides_a_write() {
    breaks("--deaf --refuse 1 --deletes --writers 1", "S1");
    holds("--deaf --refuse 1 --deletes --writers 1 --no-returns");
}

/// K10: two clients decide a key at the same moment, and one of them loses the first node. What was decided first may come last, and
/// undoes the other one.
#[test]
fn a_decision_may_be_undone_by_one_that_crosses_it_while_their_node_is_lost() {
    for fault in ["cut", "stop", "same", "empty", "older", "flush"] {
        breaks(&format!("--decided --relative --{fault} 1 --no-returns --strict-decisions"), "S2");
    }
}

/// K11: the first node comes back, one client has heard that and another one has not: each has its own node decide, and both decisions
/// are acknowledged. So it is with a flush that a client hears of later.
#[test]
fn two_decisions_may_both_be_acknowledged_while_not_all_have_heard_who_decides() {
    breaks("--decided --relative --same 1 --no-returns --strict-splits", "S6");
    breaks("--decided --relative --flush 1 --no-returns --strict-splits", "S6");
}

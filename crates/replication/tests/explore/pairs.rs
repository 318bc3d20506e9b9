//! Two faults in one outage, in each pair of classes: two nodes, one write of a key that is there. (What a node lacks counts for
//! little, so without the key a stale source would not show.)

use super::claims::holds;
use super::faults::FAULTS;

#[test]
fn no_pair_of_faults_breaks_anything() {
    for (idx, one) in FAULTS.iter().enumerate() {
        for other in FAULTS.iter().skip(idx + 1) {
            holds(&format!("--held --{one} 1 --{other} 1 --write 1 --writers 1"));
        }
    }
}

#[test]
fn no_fault_breaks_anything_twice() {
    // Of two clients one must live to say what is right.
    for fault in FAULTS.iter().filter(|fault| **fault != "die") {
        holds(&format!("--held --{fault} 2 --write 1 --writers 1"));
    }
}

#[test]
fn two_faults_with_three_nodes_break_nothing() {
    holds("--nodes 3 --cut 1 --flush 1 --write 1 --writers 1 --relative --no-zombies");
}

#[test]
fn a_restart_after_a_cut_tells_no_conflict() {
    holds("--cut 1 --same 1 --write 1 --needless-is-bad --real-is-bad");
}

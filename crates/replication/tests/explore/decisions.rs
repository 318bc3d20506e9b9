//! Writes that one node decides: the others take over what came of them.

use super::claims::holds;
use super::faults::FAULTS;

#[test]
fn no_decision_is_lost_where_nothing_fails() {
    holds("--decided --write 4 --relative");
    holds("--decided --deletes --late-feed");
    holds("--nodes 3 --decided --write 3 --relative");
    holds("--some-decided --write 3 --no-returns --relative");
    holds("--decided --outside 1 --deletes --write 1");
    holds("--deaf --decided --relative");
}

#[test]
fn each_fault_alone_undoes_no_decision_but_one_that_crosses_another() {
    for fault in FAULTS {
        let found = holds(&format!("--decided --relative --{fault} 1"));
        assert!(1_000 < found.n_states, "{fault}: nothing was explored");
        holds(&format!("--nodes 3 --decided --relative --{fault} 1 --write 1"));
    }
    for fault in ["flush", "refuse", "die", "drop", "pause", "expire"] {
        holds(&format!("--decided --{fault} 1"));
    }
    // A process that dies or stands still, or a lease that runs out, undoes none at all.
    for fault in ["die", "drop", "pause", "expire"] {
        holds(&format!(
            "--some-decided --{fault} 1 --relative --no-returns --strict-decisions --strict-splits"
        ));
    }
}

#[test]
fn no_pair_of_faults_breaks_a_decision() {
    for (idx, one) in FAULTS.iter().enumerate() {
        for other in FAULTS.iter().skip(idx + 1) {
            holds(&format!("--held --decided --relative --{one} 1 --{other} 1 --write 1 --writers 1"));
        }
    }
}

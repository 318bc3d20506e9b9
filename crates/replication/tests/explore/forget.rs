//! A node that is forgotten, alone and with each other fault.

use super::claims::holds;
use super::faults::FAULTS;

#[test]
fn a_node_that_is_forgotten_takes_nothing_with_it_in_silence() {
    holds("--forget 1");
    holds("--nodes 3 --forget 1 --write 1 --writers 1");
    for fault in FAULTS {
        holds(&format!("--held --forget 1 --{fault} 1 --write 1 --writers 1"));
    }
}

//! Each class of faults alone: two nodes and two keys, and three nodes.

use super::claims::holds;

#[test]
fn nothing_goes_wrong_without_a_fault() {
    holds("");
    holds("--nodes 3 --write 3");
    holds("--keys 2 --write 3");
}

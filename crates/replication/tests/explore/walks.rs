//! Walks drawn by lot, beyond the bounds that can be gone through.

use super::claims::holds;

#[test]
fn walks_with_three_nodes_two_keys_and_two_faults_break_nothing() {
    holds("--walks 400 --nodes 3 --keys 2 --write 4 --cut 1 --stop 1");
    holds("--walks 400 --nodes 3 --keys 2 --write 4 --same 1 --older 1");
    holds("--walks 400 --nodes 3 --keys 2 --write 4 --cut 1 --empty 1");
    holds("--walks 400 --nodes 3 --keys 2 --write 4 --flush 1 --expire 1");
}

//! Each class of faults alone.

use super::search::Verdict;
use super::search::search;
use super::world::bounds::Bounds;

#[test]
fn nothing_goes_wrong_without_a_fault() {
    let found = search(Bounds::new(2));
    println!("{found:#?}");
    assert!(matches!(found.verdict, Verdict::Holds));
}

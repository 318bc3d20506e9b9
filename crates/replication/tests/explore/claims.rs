//! What a test claims of bounds: that the rules hold within them, or that something goes wrong.

use super::search::Found;
use super::search::Verdict;
use super::search::search;
use super::walk::walk;
use super::world::bounds::Bounds;

fn explore(line: &str) -> Found {
    let bounds = Bounds::parse(line).unwrap();
    let found = if bounds.n_walks == 0 { search(bounds) } else { walk(bounds) };
    println!("| `{line}` | {found} |");
    found
}

/// Nothing goes wrong within the bounds.
pub(crate) fn holds(line: &str) -> Found {
    let found = explore(line);
    match &found.verdict {
        Verdict::Holds => found,
        Verdict::CutOff => panic!("{line}: the search is not complete"),
        Verdict::Violated { what, trace } => panic!("{line}: {what}\n{}", trace.join("\n")),
    }
}

/// This goes wrong within the bounds.
pub(crate) fn breaks(line: &str, expected: &str) {
    match explore(line).verdict {
        Verdict::Violated { what, .. } => assert!(what.starts_with(expected), "{line}: {what}"),
        verdict => panic!("{line}: {verdict:?}"),
    }
}

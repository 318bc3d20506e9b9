//! The parts that tests leave out, and why: noted while they run, and told at the end of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::{env, thread};

use crate::server::RUN_DIR;

/// In the folder of a run: one line for each note.
const FILE: &str = "skipped";

/// What a `Result` holds; if it is an error, the calling test ends here, and is counted as skipped for that reason.
#[macro_export]
macro_rules! needs {
    ($result:expr $(,)?) => {
        match $result {
            Ok(needed) => needed,
            Err(reason) => {
                $crate::skipped(&reason, None);
                return;
            }
        }
    };
}

/// Notes that the calling test is skipped, or leaves out a part. `test-cluster` tells it at the end of its run; without
/// it, stderr tells it at once, also when the test passes.
pub fn skipped(reason: &str, part: Option<&str>) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (reason, test, part) = (words(reason), test_name(), part.map(words));
    let noted = env::var_os(RUN_DIR).and_then(|folder| {
        let line = format!("{reason}\t{test}\t{}\n", part.as_deref().unwrap_or_default());
        let file = File::options().append(true).create(true).open(Path::new(&folder).join(FILE));
        file.and_then(|mut file| file.write_all(line.as_bytes())).ok()
    });
    if noted.is_none() {
        let part = part.map(|part| format!(", in part: {part}")).unwrap_or_default();
        let _nobody_reads = io::stderr().write_all(format!("skipped: {test}{part}: {reason}\n").as_bytes());
    }
}

/// Returns how many tests of a run were skipped, and which for which reason.
pub fn skips(folder: &Path) -> String {
    told(&fs::read_to_string(folder.join(FILE)).unwrap_or_default())
}

/// The name of the test on whose thread this is called.
pub(crate) fn test_name() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}

fn told(notes: &str) -> String {
    // By reason and test, the parts: none if it is the whole.
    let mut reasons: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for note in notes.lines() {
        let mut cells = note.splitn(3, '\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (reason, test, part) = (cell(), cell(), cell());
        let parts = reasons.entry(reason).or_default().entry(test).or_default();
        if !part.is_empty() {
            parts.insert(part);
        }
    }
    let tests = || reasons.values().flatten();
    let whole: BTreeSet<_> = tests().filter(|(_, parts)| parts.is_empty()).map(|(test, _)| test).collect();
    let in_part: BTreeSet<_> = tests().map(|(test, _)| test).filter(|test| !whole.contains(test)).collect();
    let mut text = format!("skipped: {} tests, and a part of {}\n", whole.len(), in_part.len());
    for (reason, tests) in &reasons {
        let _ = writeln!(text, "  {reason}");
        for (test, parts) in tests {
            let parts: Vec<_> = parts.iter().copied().collect();
            let parts =
                if parts.is_empty() { String::new() } else { format!(", in part: {}", parts.join(", ")) };
            let _ = writeln!(text, "    {test}{parts}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_counted_by_test_and_shown_by_reason() {
        let notes = "no clock\tclock::jumps\t\nold\tcommands::all\tGETEX\nold\tcommands::all\tCOPY\n\
                     old\tcommands::all\tGETEX\nold\tscripts::run\t\nno clock\tscripts::run\thours\n";
        let expected = "skipped: 2 tests, and a part of 1\n  no clock\n    clock::jumps\n    scripts::run, in part: hours\n  \
                        old\n    commands::all, in part: COPY, GETEX\n    scripts::run\n";
        assert_eq!(told(notes), expected);
        assert_eq!(told(""), "skipped: 0 tests, and a part of 0\n");
    }

    #[test]
    fn the_name_of_a_test_is_known() {
        assert_eq!(test_name(), "skip::tests::the_name_of_a_test_is_known");
    }
}

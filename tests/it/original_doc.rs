//! `docs/original.md` leaves none of the original's methods out, and names methods and tests that exist.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The number of methods the reference of the original has.
const N_METHODS: usize = 168;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of the table, a row for each method.
fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/original.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Returns what stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_method_of_the_original_has_one_row() {
    let rows = rows();
    let names: Vec<_> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(names.len(), N_METHODS);
    assert!(names.is_sorted_by(|a, b| a < b), "the rows are not sorted, or a method has two");
    assert!(rows.iter().all(|row| row.len() == 5), "a row has another number of cells");
}

#[test]
fn every_method_that_is_named_exists() {
    let families = fs::read_dir(root().join("crates/node/src/commands")).unwrap();
    let families: String = families.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for row in rows() {
        for (i, method) in quoted(&row[1]).enumerate() {
            let (family, method) = match method.split_once("Commands::") {
                Some((family, method)) => (Some(family), method),
                None if i > 0 && row[1].contains("Commands::") => (None, method),
                None => continue,
            };
            let is_there = |end| families.contains(&format!("\n    fn {method}{end}"));
            assert!(is_there("(") || is_there("<"), "`{method}` does not exist");
            if let Some(family) = family {
                assert!(families.contains(&format!("pub trait {family}Commands: Execute")), "{family}");
            }
        }
    }
}

#[test]
fn every_method_names_a_test_that_exists() {
    for row in rows() {
        let mut tests = quoted(&row[4]).peekable();
        assert!(tests.peek().is_some(), "{} has no test", row[0]);
        for test in tests {
            let (module, test) = test.split_once("::").unwrap();
            let module = fs::read_to_string(root().join(format!("tests/it/{module}.rs"))).unwrap();
            assert!(
                module.contains(&format!("fn {test}(")) || module.contains(&format!("fn {test}<")),
                "{test}"
            );
        }
    }
}

/// Returns what the page of commands says of a ring and of a copy, by the name of the command.
fn commands() -> HashMap<String, [String; 2]> {
    let page = fs::read_to_string(root().join("docs/commands.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| [`"));
    let entry = |row: &str| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        let name = quoted(&cells[0]).next().unwrap().to_lowercase();
        (name, [cells[3].clone(), cells[4].clone()])
    };
    rows.map(entry).collect()
}

/// Returns what a word of the page of commands means for a copy, as this page says it.
fn on_a_copy(word: &str) -> Vec<&str> {
    match word.split(' ').next().unwrap() {
        "deadline" => vec!["every node, one point in time"],
        "conditional" if word.contains("with") => vec!["every node; with a condition one node decides"],
        "conditional" | "random" | "float" => vec!["one node decides, the others follow"],
        "pop" => vec!["one node decides, the others follow", "refused"],
        "script" => vec!["refused"],
        _ => vec![word],
    }
}

#[test]
fn every_method_goes_where_the_page_of_commands_says() {
    // The words of these are about more than one command.
    const OTHERWISE: [&str; 4] = ["scan", "sort", "unwatch", "watch"];
    let commands = commands();
    let mut n_compared = 0;
    for row in rows() {
        let name = row[0].trim_matches('`');
        let is_command = |name: &str| commands.get(name).filter(|_| !OTHERWISE.contains(&name));
        let Some([ring, copy]) = is_command(name).or_else(|| is_command(&name.replace('_', " "))) else {
            continue;
        };
        assert_eq!(&row[2], ring, "{name} on a ring");
        assert!(on_a_copy(copy).contains(&row[3].as_str()), "{name} on a copy: {} for {copy}", row[3]);
        n_compared += 1;
    }
    assert!(n_compared > 140, "they are found: {n_compared}");
}

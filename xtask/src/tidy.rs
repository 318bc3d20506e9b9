//! The house rules a compiler does not know, from `docs/style.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use xtask::workspace;

use crate::Result;
use crate::cargo::read;

/// Above this, a file holds two ideas. Its unit tests do not count: nobody should save on those.
const MOST_LINES: usize = 450;

/// The one place every locked package may come from.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// A rule: what is wrong with the file at this path with this text.
type Rule = fn(&str, &str) -> Option<String>;

const RULES: [Rule; 6] = [length, name, unfinished, machine_path, foreign_source, unsafe_allowed];

/// Every file that is, or would be, committed keeps the rules.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    for path in files()?.lines() {
        // What is not text has no rules; what is listed and not there was just deleted.
        let Ok(text) = fs::read_to_string(workspace::root().join(path)) else { continue };
        faults.extend(
            RULES.iter().filter_map(|rule| rule(path, &text)).map(|fault| format!("{path}: {fault}")),
        );
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn files() -> Result<String> {
    let mut git = Command::new("git");
    // In a container the checkout often belongs to another user; reading a list of names is safe.
    git.args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]);
    read(git.current_dir(workspace::root()))
}

fn length(path: &str, text: &str) -> Option<String> {
    let is_library = path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
    let is_data = path.ends_with("/command/table.rs") || path.contains("/commands/");
    let n_lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    (is_library && !is_data && MOST_LINES < n_lines)
        .then(|| format!("{n_lines} lines; a file of more than {MOST_LINES} holds two ideas: split it"))
}

fn name(path: &str, _: &str) -> Option<String> {
    let has_vague_name = Path::new(path).iter().filter_map(|part| part.to_str()).any(|part| {
        matches!(part.strip_suffix(".rs").unwrap_or(part), "utils" | "common" | "helpers" | "types")
    });
    has_vague_name
        .then(|| "a name that fits everything says nothing: name the idea the file holds".to_string())
}

fn unfinished(path: &str, text: &str) -> Option<String> {
    // In two parts, or this file would break its own rule.
    let marks = [concat!("todo", "!("), concat!("#[", "ignore"), concat!("unimplemented", "!(")];
    let mark = marks.iter().find(|mark| path.ends_with(".rs") && text.contains(*mark))?;
    Some(format!("`{mark}`: finish it, or state what is wrong today in a test and a FIXME"))
}

fn machine_path(_: &str, text: &str) -> Option<String> {
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
    let (idx, line) =
        text.lines().enumerate().find(|(_, line)| homes.iter().any(|home| starts_a_path(line, home)))?;
    Some(format!("line {} has a path of one machine: {}", idx + 1, line.trim()))
}

/// Returns whether the folder occurs as the start of a path and not inside a longer one.
fn starts_a_path(line: &str, folder: &str) -> bool {
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | ')' | '*');
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(is_path))
}

fn foreign_source(path: &str, text: &str) -> Option<String> {
    let is_foreign = |line: &&str| line.starts_with("source = ") && *line != REGISTRY;
    let line = text.lines().find(|line| path.ends_with("Cargo.lock") && is_foreign(line))?;
    Some(format!("a package from elsewhere than crates.io: {line}"))
}

fn unsafe_allowed(path: &str, text: &str) -> Option<String> {
    let is_member = path.ends_with("/Cargo.toml");
    let forbids = text.contains("unsafe_code = \"forbid\"") || text.contains("[lints]\nworkspace = true");
    (is_member && !forbids)
        .then(|| "does not forbid unsafe code: add `[lints]` with `workspace = true`".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_told_to_split() {
        let long = "\n".repeat(451);
        assert!(length("crates/node/src/node.rs", &long).is_some());
        assert!(length("crates/node/src/node.rs", &long[1..]).is_none());
        assert!(length("crates/node/src/command/table.rs", &long).is_none());
        assert!(length("tests/it/ring.rs", &long).is_none());
        let tests = "#[cfg(test)]\nmod tests {\n".to_string() + &long;
        assert!(length("crates/node/src/node.rs", &tests).is_none());
    }

    #[test]
    fn vague_names_are_refused() {
        assert!(name("crates/node/src/utils.rs", "").is_some());
        assert!(name("crates/node/src/common/mod.rs", "").is_some());
        assert!(name("crates/node/src/uncommon.rs", "").is_none());
    }

    #[test]
    fn unfinished_work_is_found_in_code_only() {
        let text = concat!("fn f() { todo", "!() }");
        assert!(unfinished("src/a.rs", text).is_some());
        assert!(unfinished("docs/style.md", text).is_none());
    }

    #[test]
    fn a_path_of_a_machine_is_told_from_one_that_looks_like_it() {
        assert!(machine_path("a.md", concat!("see /ho", "me/me/x")).is_some());
        assert!(machine_path("a.md", concat!("`/wo", "rk/x`")).is_some());
        assert!(machine_path("a.md", concat!("target/wo", "rk/x")).is_none());
        assert!(machine_path("a.md", concat!("https://example.org/ho", "me/x")).is_none());
    }

    #[test]
    fn packages_come_from_one_registry() {
        let lock = format!("[[package]]\nname = \"a\"\n{REGISTRY}\n");
        assert!(foreign_source("Cargo.lock", &lock).is_none());
        assert!(foreign_source("Cargo.lock", "source = \"git+https://example.org/a\"").is_some());
    }
}

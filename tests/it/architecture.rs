//! The map of all files at the end of `docs/architecture.md` is made from their first sentences, and compared here.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

const PAGE: &str = "docs/architecture.md";
const HEADING: &str = "## The map of all files\n";
const BLESS: &str = "REDISDB_BLESS=1 cargo test -p redisdb-tests architecture";
/// The folders of the map, in its order, from the lowest layer to the highest.
const FOLDERS: [&str; 10] = [
    "crates/hashring/src",
    "crates/replication/src",
    "crates/node/src",
    "crates/cluster/src",
    "crates/cache/src",
    "crates/redisdb/src",
    "xtask/src",
    "tests/support",
    "tests/it",
    "benches",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust files in a folder, by their paths below it: a file stands before those of its folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => found.extend(files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
    found.sort_by_key(|path| path.with_extension(""));
    found
}

/// The first sentence of a file's documentation.
fn first_sentence(text: &str) -> Option<String> {
    let head = text.lines().take_while(|line| line.starts_with("//!") && *line != "//!");
    let head = head.map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ");
    let end = head.find(". ").unwrap_or_else(|| head.len().saturating_sub(1));
    let sentence = head.get(..end).filter(|sentence| !sentence.is_empty())?;
    // A link to an item means nothing on a page.
    let unlinked = sentence.split("](crate::").enumerate().map(|(i, part)| match i {
        0 => part.to_owned(),
        _ => format!("]{}", part.split_once(')').map_or("", |(_, rest)| rest)),
    });
    Some(unlinked.collect::<String>().replace("[`", "`").replace("`]", "`"))
}

fn map() -> String {
    let mut map = String::new();
    for folder in FOLDERS {
        write!(map, "\n### `{folder}`\n\n").unwrap();
        let folder = root().join(folder);
        for file in files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(&folder).unwrap().display().to_string();
            match first_sentence(&text) {
                Some(sentence) => writeln!(map, "* `{name}`: {sentence}.").unwrap(),
                None if text.starts_with("#![doc") => {
                    writeln!(map, "* `{name}`: The table of contents of the crate.").unwrap();
                }
                None => panic!("{} begins with no sentence that says what it is", file.display()),
            }
        }
    }
    map
}

#[test]
fn the_map_has_every_file_and_what_it_is() {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (before, present) = page.split_once(HEADING).unwrap();
    let map = map();
    if std::env::var_os("REDISDB_BLESS").is_some() {
        fs::write(&path, format!("{before}{HEADING}{map}")).unwrap();
        return;
    }
    let stale = map.lines().find(|line| !present.lines().any(|other| other == *line));
    assert!(present == map, "{PAGE} is not as the files are; make it anew: {BLESS}\nfirst: {stale:?}");
}

#[test]
fn the_first_sentence_is_what_stands_before_the_first_period() {
    let first = |text| first_sentence(text).unwrap();
    assert_eq!(first("//! One idea. More.\n\nuse a;"), "One idea");
    assert_eq!(first("//! One idea, in\n//! two lines.\n//!\n//! More.\n"), "One idea, in two lines");
    assert_eq!(first("//! As [`OnDown`](crate::OnDown) says.\n"), "As `OnDown` says");
    assert!(first_sentence("use a;\n").is_none());
}

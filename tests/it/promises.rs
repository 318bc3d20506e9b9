//! The pages name the tests that hold what they promise: each of those exists.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests that a page names, as in (test `scan::a_node_is_gone_through`), or as a sentence of its own.
fn named(page: &str) -> Vec<&str> {
    let begins =
        ["(test `", "(tests `", "(Test `", "(Tests `"].iter().flat_map(|begin| page.match_indices(begin));
    let lists = begins.map(|(at, _)| page[at..].split(')').next().unwrap());
    lists.flat_map(|list| list.split('`').skip(1).step_by(2)).collect()
}

/// The file of a module of `tests/it`, or of a crate with tests of its own: `redisdb_node::retry`.
fn file(path: &str) -> PathBuf {
    let path = path.replace("::", "/");
    let of_a_crate = path.strip_prefix("redisdb_").and_then(|path| path.split_once('/'));
    let Some((name, path)) = of_a_crate else { return root().join(format!("tests/it/{path}.rs")) };
    let [inside, outside] = ["src", "tests"].map(|dir| root().join(format!("crates/{name}/{dir}/{path}.rs")));
    if inside.exists() { inside } else { outside }
}

/// Returns whether there is a module of this path with tests, and this test in it.
fn exists(name: &str) -> bool {
    // A file of a crate need not have any.
    let with_tests = |text: &String| {
        !name.starts_with("redisdb_") || ["#[test]", "#[tokio::test]"].iter().any(|test| text.contains(test))
    };
    let module = |path: &str| fs::read_to_string(file(path)).ok().filter(with_tests);
    let has = |text: String, test: &str| {
        [format!("fn {test}("), format!("fn {test}<")].iter().any(|f| text.contains(f))
    };
    let is_test = |(path, test): (&str, &str)| module(path).is_some_and(|text| has(text, test));
    module(name).is_some() || name.rsplit_once("::").is_some_and(is_test)
}

#[test]
fn every_test_that_a_page_names_exists() {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().path());
    let crates =
        fs::read_dir(root().join("crates")).unwrap().map(|file| file.unwrap().path().join("README.md"));
    let mut n_named = 0;
    let others = ["README.md", "SECURITY.md", "benches/README.md"].map(|page| root().join(page));
    for path in docs.chain(crates).chain(others) {
        let page = fs::read_to_string(&path).unwrap();
        for name in named(&page) {
            assert!(exists(name), "{}: there is no test `{name}`", path.display());
            n_named += 1;
        }
    }
    assert!(n_named > 10, "they are found: {n_named}");
}

/// The page of the cache names its tests shorter: by module and function of `tests/it/cache`, the module once for several.
#[test]
fn every_test_that_the_page_of_the_cache_names_exists() {
    let page = fs::read_to_string(root().join("docs/cache.md")).unwrap();
    let (_, table) = page.split_once("## What is held by which test").unwrap();
    let mut n_named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| no.")) {
        let cell = row.trim_matches('|').split('|').nth(2).unwrap();
        let parts: Vec<&str> = cell.split('`').collect();
        let mut module = None;
        for (before, name) in parts.iter().step_by(2).zip(parts.iter().skip(1).step_by(2)) {
            let of_the_crate = before.ends_with("unit ") || module == Some("unit");
            match name.split_once("::") {
                Some((of, test)) => {
                    module = Some(of);
                    assert!(exists(&format!("cache::{of}::{test}")), "{name}");
                }
                // A unit of the crate is found by its name alone.
                None if of_the_crate => module = Some("unit"),
                None if *name == "Duration" => {}
                None => assert!(exists(&format!("cache::{}::{name}", module.unwrap())), "{name}"),
            }
            n_named += 1;
        }
    }
    assert!(n_named > 100, "they are found: {n_named}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert_eq!(named("so (tests `a::b`,\n`c`), and `d` (test `e`). (Test `f`.)"), ["e", "a::b", "c", "f"]);
    assert!(exists("promises") && exists("promises::a_test_that_is_not_there_is_noticed"));
    assert!(exists("redisdb_node::retry") && exists("redisdb_node::retry::pauses_grow_up_to_the_longest"));
    assert!(!exists("redisdb_node::lib") && !exists("redisdb_node::retry::no_test"));
    assert!(!exists("no_module") && !exists("promises::no_test") && !exists("no_module::no_test"));
}

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

/// Whether there is a module of this path with tests, and this test in it.
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
    for path in docs.chain(crates).chain([root().join("README.md")]) {
        let page = fs::read_to_string(&path).unwrap();
        for name in named(&page) {
            assert!(exists(name), "{}: there is no test `{name}`", path.display());
            n_named += 1;
        }
    }
    assert!(n_named > 10, "they are found: {n_named}");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    assert_eq!(named("so (tests `a::b`,\n`c`), and `d` (test `e`). (Test `f`.)"), ["e", "a::b", "c", "f"]);
    assert!(exists("promises") && exists("promises::a_test_that_is_not_there_is_noticed"));
    assert!(exists("redisdb_node::retry") && exists("redisdb_node::retry::pauses_grow_up_to_the_longest"));
    assert!(!exists("redisdb_node::lib") && !exists("redisdb_node::retry::no_test"));
    assert!(!exists("no_module") && !exists("promises::no_test") && !exists("no_module::no_test"));
}

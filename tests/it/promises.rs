//! The pages name the tests that hold what they promise: each of those exists.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests that a page names, as in (test `scan::a_node_is_gone_through`).
fn named(page: &str) -> Vec<&str> {
    let begins = page.match_indices("(test `").chain(page.match_indices("(tests `"));
    let lists = begins.map(|(at, _)| page[at..].split(')').next().unwrap());
    lists.flat_map(|list| list.split('`').skip(1).step_by(2)).collect()
}

/// Whether there is a module of this path, and this test in it.
fn exists(name: &str) -> bool {
    let module =
        |path: &str| fs::read_to_string(root().join(format!("tests/it/{}.rs", path.replace("::", "/"))));
    let has = |text: String, test: &str| {
        [format!("fn {test}("), format!("fn {test}<")].iter().any(|f| text.contains(f))
    };
    let is_test = |(path, test): (&str, &str)| module(path).is_ok_and(|text| has(text, test));
    module(name).is_ok() || name.rsplit_once("::").is_some_and(is_test)
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
    assert_eq!(named("so (tests `a::b`,\n`c`), and `d` (test `e`)"), ["e", "a::b", "c"]);
    assert!(exists("promises") && exists("promises::a_test_that_is_not_there_is_noticed"));
    assert!(!exists("no_module") && !exists("promises::no_test") && !exists("no_module::no_test"));
}

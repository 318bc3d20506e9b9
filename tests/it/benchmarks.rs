//! Ratios and differences on the page of benchmarks are those of the table beside them.

use std::fs;
use std::path::Path;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/README.md")).unwrap()
}

/// The cells of the rows of the table that begins with this, without emphasis.
fn table(page: &str, begins: &str) -> Vec<Vec<String>> {
    let from = page.find(begins).unwrap_or_else(|| panic!("{begins}"));
    let rows = page[from..].lines().take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        row.trim_matches('|').split('|').map(|cell| cell.trim().replace("**", "")).collect::<Vec<_>>()
    };
    rows.map(cells).collect()
}

/// Returns how many instructions a call takes.
fn instructions(rows: &[Vec<String>], call: &str) -> f64 {
    let row = rows.iter().find(|row| row[0].starts_with(call)).unwrap_or_else(|| panic!("{call}"));
    row[1].parse().unwrap()
}

#[test]
fn each_ratio_of_instructions_is_to_the_row_above_it_that_has_1() {
    let rows = table(&page(), "| call | instructions | ratio |");
    assert!(rows.len() > 10, "they are found: {rows:?}");
    let mut base = 0.0;
    for row in rows {
        let taken: f64 = row[1].parse().unwrap();
        if row[2] == "1" {
            base = taken;
        }
        let ratio: f64 = row[2].parse().unwrap();
        assert!((taken / base - ratio).abs() <= 0.0051, "{row:?} to {base}: {}", taken / base);
    }
}

#[test]
fn what_a_ring_adds_is_the_difference_of_two_rows() {
    let page = page();
    let rows = table(&page, "| call | instructions | ratio |");
    let by_hand = instructions(&rows, "`node.get`, three servers sharded by hand");
    let added = instructions(&rows, "`ring.get`") - by_hand;
    let says = format!(
        "A ring adds {added} instructions to the same nodes sharded by hand, {:.1} % of a",
        added / by_hand * 100.0
    );
    assert!(page.contains(&says), "the page does not say: {says}");
}

#[test]
fn the_speed_of_a_lookup_follows_from_the_table() {
    let page = page();
    let rows = table(&page, "| design | 3 nodes |");
    // At 100 nodes, hot and random.
    let of = |design: &str| {
        let row = rows.iter().find(|row| row[0] == design).unwrap_or_else(|| panic!("{design}"));
        let (hot, random) = row[3].split_once(" / ").unwrap();
        [hot, random].map(|ratio| ratio.parse::<f64>().unwrap())
    };
    let (ours, next) = (of("redisdb-hashring"), of("crate hashring 0.3.6 (SipHash)"));
    let with_xxh3 = rows.iter().position(|row| row[0] == "the same with XXH3").unwrap();
    assert!(rows[with_xxh3 - 1][0].starts_with("crate hashring"));
    let with_xxh3 = of("the same with XXH3");
    let times = |other: f64, ours: f64| other / ours;
    for (says, is) in [
        ("14.0 times faster than the next ring crate as it comes", times(next[0], ours[0])),
        ("6.8 times faster than it with XXH3 when hot", times(with_xxh3[0], ours[0])),
        ("4.2 and 3.7 times at random", times(next[1], ours[1])),
    ] {
        let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(says), "the page does not say: {says}");
        let said: f64 = says.split(' ').next().unwrap().parse().unwrap();
        assert!((said - is).abs() <= 0.1, "{says}: {is}");
    }
    assert!((3.7 - times(with_xxh3[1], ours[1])).abs() <= 0.1);
}

#[test]
fn what_the_readme_says_of_building_a_ring_is_what_was_measured() {
    let rows = table(&page(), "| nodes | time | bytes |");
    let of = |nodes: &str| &rows.iter().find(|row| row[0] == nodes).unwrap()[1];
    let says = format!("Building it takes {} for 3 nodes and {} for 1000.", of("3"), of("1000"));
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/hashring/README.md");
    let readme = fs::read_to_string(readme).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&says), "the README does not say: {says}");
}

/// A row with a cell too many or too few is shown without it.
#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_head() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let mut n_rows = 0;
    for path in docs.chain([root.join("README.md"), root.join("benches/README.md")]) {
        let page = fs::read_to_string(&path).unwrap();
        let mut head = None;
        for line in page.lines() {
            if !line.starts_with('|') {
                head = None;
                continue;
            }
            let n_cells = line.replace("\\|", "").matches('|').count();
            assert_eq!(*head.get_or_insert(n_cells), n_cells, "{}: {line}", path.display());
            n_rows += 1;
        }
    }
    assert!(n_rows > 100, "they are found: {n_rows}");
}

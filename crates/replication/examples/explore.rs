//! Explores the rules of a copy within bounds that are given, and prints a row of the table in `docs/replication.md`.
//!
//! ```sh
//! cargo run --release -p redisdb-replication --example explore -- --nodes 3 --cut 1
//! cargo run --release -p redisdb-replication --example explore -- --walks 10000 --nodes 3 --keys 2 --cut 1 --same 1
//! cargo run --release -p redisdb-replication --example explore -- --done rows.md < list.txt   # a row for each line not in it
//! ```
#![expect(clippy::print_stdout, reason = "it tells what it found")]

#[path = "../tests/explore/search.rs"]
mod search;
#[path = "../tests/explore/walk.rs"]
mod walk;
#[path = "../tests/explore/world/mod.rs"]
mod world;

use std::env;
use std::error::Error;
use std::fs;
use std::io::stdin;

use search::Verdict;
use search::search;
use walk::walk;
use world::bounds::Bounds;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [flag, file] = args.as_slice() else { return explore(&args.join(" ")) };
    if flag != "--done" {
        return explore(&args.join(" "));
    }
    let done = fs::read_to_string(file).unwrap_or_default();
    for line in stdin().lines() {
        let line = line?;
        if !done.contains(&format!("| `{line}` |")) {
            explore(&line)?;
        }
    }
    Ok(())
}

fn explore(line: &str) -> Result<(), Box<dyn Error>> {
    let bounds = Bounds::parse(line)?;
    let found = if bounds.n_walks == 0 { search(bounds) } else { walk(bounds) };
    println!("| `{line}` | {found} |");
    if let Verdict::Violated { trace, .. } = &found.verdict {
        for (idx, step) in trace.iter().enumerate() {
            println!("  {:>2} {step}", idx + 1);
        }
    }
    Ok(())
}

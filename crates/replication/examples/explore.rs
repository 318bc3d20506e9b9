//! Explores the rules of a copy within bounds that are given.
#![expect(clippy::print_stdout, reason = "it tells what it found")]

#[path = "../tests/explore/search.rs"]
mod search;
#[path = "../tests/explore/world/mod.rs"]
mod world;

use std::env;

use redisdb_replication::Rule;
use redisdb_replication::Rules;
use search::Verdict;
use search::search;
use world::bounds::Bounds;
use world::bounds::Kinds;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let line = args.join(" ");
    let bounds = match parse(&args) {
        Ok(bounds) => bounds,
        Err(error) => {
            println!("{error}");
            return;
        }
    };
    let found = search(bounds);
    let (verdict, trace) = match found.verdict {
        Verdict::Holds => ("holds".to_owned(), Vec::new()),
        Verdict::CutOff => ("CUT OFF".to_owned(), Vec::new()),
        Verdict::Violated { what, trace } => (what, trace),
    };
    println!(
        "| `{line}` | {} | {:.1} | {} ({} needless) | {verdict} |",
        found.n_states,
        found.took.as_secs_f64(),
        found.n_told,
        found.n_needless
    );
    for (idx, step) in trace.iter().enumerate() {
        println!("  {:>2} {step}", idx + 1);
    }
}

fn parse(args: &[String]) -> Result<Bounds, String> {
    let mut bounds = Bounds::new(2);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|value| value.parse::<u8>().ok());
        let budget = &mut bounds.budget;
        let missing = || format!("{arg} needs a number");
        match arg.as_str() {
            "--nodes" => bounds.n_nodes = number().ok_or_else(missing)?.into(),
            "--keys" => bounds.n_keys = number().ok_or_else(missing)?.into(),
            "--takers" => bounds.n_takers = number().ok_or_else(missing)?.into(),
            "--writers" => bounds.n_writers = number().ok_or_else(missing)?.into(),
            "--limit" => bounds.limit = usize::from(number().ok_or_else(missing)?) * 1_000_000,
            "--write" => budget.write = number().ok_or_else(missing)?,
            "--cut" => budget.cut = number().ok_or_else(missing)?,
            "--stop" => budget.stop = number().ok_or_else(missing)?,
            "--same" => budget.same = number().ok_or_else(missing)?,
            "--kept" => budget.kept = number().ok_or_else(missing)?,
            "--empty" => budget.empty = number().ok_or_else(missing)?,
            "--older" => (budget.dump, budget.older) = { let n = number().ok_or_else(missing)?; (n, n) },
            "--flush" => budget.flush = number().ok_or_else(missing)?,
            "--die" => budget.die = number().ok_or_else(missing)?,
            "--drop" => budget.drop = number().ok_or_else(missing)?,
            "--pause" => budget.pause = number().ok_or_else(missing)?,
            "--expire" => budget.expire = number().ok_or_else(missing)?,
            "--whole" => bounds.kinds = Kinds::Whole,
            "--relative" => bounds.kinds = Kinds::Relative,
            "--no-zombies" => bounds.with_zombies = false,
            "--late-any" => bounds.late_any = true,
            "--strict-older" => bounds.strict_older = true,
            "--strict-reads" => bounds.strict_reads = true,
            "--needless-is-bad" => bounds.needless_is_bad = true,
            "--without" => {
                let name = args.next().ok_or("--without needs the name of a rule")?;
                let named = |rule: &Rule| format!("{rule:?}").eq_ignore_ascii_case(name);
                let rule = Rule::ALL.into_iter().find(named).ok_or_else(|| format!("no rule {name}"))?;
                bounds.rules = Rules::ALL.without(rule);
            }
            _ => return Err(format!("what is {arg}?")),
        }
    }
    Ok(bounds)
}

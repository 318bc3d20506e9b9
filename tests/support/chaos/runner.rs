//! The runner: one seed after the other, a line for each, and a table in the end.

use std::fs;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::runtime::Runtime;
use xtask::Binary;
use xtask::workspace;

use crate::options::Options;
use crate::plan::outage;
use crate::seed;
use crate::verdicts::Verdicts;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs all seeds, or shows their plans, and returns whether every promise was kept.
pub(crate) fn run(runtime: &Runtime, options: &Options) -> Outcome<bool> {
    if options.plan {
        options.seeds.clone().for_each(|seed| show_plan(seed, options));
        return Ok(true);
    }
    let binary = Binary::find()?;
    let folder = workspace::target_dir().join("chaos");
    fs::create_dir_all(&folder)?;
    let mut verdicts = Verdicts::open(folder.join("verdicts"));
    let conditions = options.conditions(&binary.version);
    println!("{conditions}");
    let mut rows: Vec<(u64, bool, String)> = Vec::new();
    for seed in options.seeds.clone() {
        if let Some((is_kept, line)) = verdicts.get(&conditions, seed).filter(|_| options.resume) {
            println!("{line} (run before)");
            rows.push((seed, is_kept, line.to_owned()));
            continue;
        }
        let of_seed = folder.join(format!("seed-{seed}"));
        seed::new_folder(&of_seed)?;
        let ran = match seed::run(runtime, options, &binary, &of_seed, seed, &|what| progress(seed, what)) {
            Ok(ran) => ran,
            // It has no verdict, so it is run again when the run is resumed.
            Err(error) => {
                let line = format!("seed {seed}: NOT JUDGED: {error}");
                println!("{line}");
                rows.push((seed, false, line));
                continue;
            }
        };
        let (is_kept, line) = (ran.broken().is_empty(), ran.line());
        println!("{line}");
        let traces = folder.join(format!("seed-{seed}.txt"));
        if is_kept {
            let _there_may_be_none = fs::remove_file(traces);
        } else {
            fs::write(&traces, ran.traces())?;
            println!("  its traces: {}", traces.display());
        }
        if is_kept || !options.keep {
            fs::remove_dir_all(&of_seed)?;
        }
        if ran.troubles.is_empty() {
            verdicts.put(&conditions, seed, is_kept, &line)?;
        }
        rows.push((seed, is_kept, line));
    }
    println!("\n{:>6}  verdict", "seed");
    for (seed, is_kept, line) in &rows {
        let judged =
            line.split(" | ").next().and_then(|judged| judged.split_once(": ")).map_or("", |(_, rest)| rest);
        println!("{seed:>6}  {}", if *is_kept { "kept" } else { judged });
    }
    let n_kept = rows.iter().filter(|(_, is_kept, _)| *is_kept).count();
    println!("{n_kept} of {} seeds kept every promise", rows.len());
    Ok(n_kept == rows.len())
}

/// Shows the outages of a seed as far as they come within the time, if each of them heals at once.
fn show_plan(seed: u64, options: &Options) {
    println!("seed {seed}");
    let mut passed = Duration::ZERO;
    for number in 0.. {
        if options.time <= passed {
            break;
        }
        let outage = outage(seed, number, &options.shape);
        println!("  outage {number}, then {} ms of quiet", outage.quiet.as_millis());
        outage.faults.iter().for_each(|fault| println!("    {fault}"));
        passed += outage.lasts() + outage.quiet;
    }
}

/// Says on a terminal how far a seed is; a file has no use for it.
fn progress(seed: u64, what: &str) {
    if std::io::stderr().is_terminal() {
        let shown: String = format!("seed {seed}: {what}").chars().take(100).collect();
        eprint!("\r{shown:<100}\r");
    }
}

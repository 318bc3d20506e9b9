//! The runner: one seed after the other, a line for each, and a table in the end.

use std::time::Duration;

use redisdb_tests::Judged;
use redisdb_tests::Outcome;
use redisdb_tests::progress;
use tokio::runtime::Runtime;
use xtask::Binary;
use xtask::workspace;

use crate::options::Options;
use crate::plan::outage;
use crate::seed;

/// Runs all seeds, or shows their plans, and returns whether every promise was kept.
pub(crate) fn run(runtime: &Runtime, options: &Options) -> Outcome<bool> {
    if options.plan {
        options.seeds.seeds.clone().for_each(|seed| show_plan(seed, options));
        return Ok(true);
    }
    let binary = Binary::find()?;
    let folder = workspace::target_dir().join("chaos");
    options.seeds.judge(&folder, &options.conditions(&binary.version), |seed, folder| {
        let ran = seed::run(runtime, options, &binary, folder, seed, &|what| progress(seed, what))?;
        let is_kept = ran.broken().is_empty();
        let traces = if is_kept { String::new() } else { ran.traces() };
        Ok(Judged { is_kept, line: ran.line(), traces, is_final: ran.troubles.is_empty() })
    })
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

//! `cargo xtask ci`: everything a change has to pass, here as on the machine that decides.

use std::env;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use xtask::{Binary, Tool};

use crate::cargo::{cargo, run as run_command};
use crate::{Result, chaos, flags, package, races, test_cluster, tidy};

/// The outcome of a step.
enum Outcome {
    Passed,
    /// The step was not run, for this reason: a failure where `CI` is set, and never a success.
    NotRun(String),
    Failed,
}

struct Step {
    name: &'static str,
    what: &'static str,
    check: fn() -> Result<Outcome>,
}

struct Report {
    step: &'static Step,
    outcome: Outcome,
    time: Duration,
}

/// The quick and the telling first. All are run, whatever fails: one look at the table shows the whole work to do.
static STEPS: [Step; 15] = [
    Step { name: "format", what: "cargo fmt --check", check: format },
    Step { name: "tidy", what: "the house rules", check: || passed(tidy::check()) },
    Step { name: "clippy", what: "all targets, all features", check: clippy },
    Step { name: "tests", what: "all features, real servers, doctests", check: test_everything },
    Step {
        name: "redis-8",
        what: "the modules that depend on the server, on it",
        check: || test_on("redis-8"),
    },
    Step {
        name: "valkey-9",
        what: "the modules that depend on the server, on it",
        check: || test_on("valkey-9"),
    },
    Step { name: "chaos", what: "three scenes of faults that overlap", check: scenes },
    Step { name: "races", what: "writers that race, and nodes that become equal", check: race },
    Step { name: "hermetic", what: "tests with default features and no server", check: test_hermetic },
    Step { name: "docs", what: "rustdoc without a warning", check: documentation },
    Step { name: "packages", what: "what would be published", check: || passed(package::check()) },
    Step { name: "deny", what: "licenses and sources, by cargo-deny", check: deny },
    Step { name: "typos", what: "spelling, by typos", check: spelling },
    Step { name: "advisories", what: "known vulnerabilities, by cargo-deny", check: advisories },
    Step { name: "hack", what: "each crate with each feature, by cargo-hack", check: feature_combinations },
];

pub(crate) fn run(flags: &flags::Ci) -> Result<ExitCode> {
    let is_ci = env::var_os("CI").is_some_and(|ci| !ci.is_empty());
    let reports: Vec<Report> = select(&flags.step)?.into_iter().map(perform).collect();
    println!();
    for Report { step, outcome, time } in &reports {
        let outcome = match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::NotRun(reason) => format!("NOT RUN: {reason}"),
            Outcome::Failed => "FAILED".to_owned(),
        };
        println!("{:<10} {:<48} {:>7.1} s  {outcome}", step.name, step.what, time.as_secs_f64());
    }
    let has_failed = |report: &Report| match report.outcome {
        Outcome::Passed => false,
        // The list of advisories is no package, so a machine that reaches only the registries cannot have it.
        Outcome::NotRun(_) => is_ci && report.step.name != "advisories",
        Outcome::Failed => true,
    };
    Ok(if reports.iter().any(has_failed) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The steps of these names; all if there is none.
fn select(names: &[String]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let find = |name: &String| {
        let known = || STEPS.iter().map(|step| step.name).collect::<Vec<_>>().join(" ");
        let step = STEPS.iter().find(|step| step.name == name);
        step.ok_or_else(|| format!("no step `{name}`; there are: {}", known()).into())
    };
    names.iter().map(find).collect()
}

fn perform(step: &'static Step) -> Report {
    println!("\n== {}: {}", step.name, step.what);
    let start = Instant::now();
    let outcome = (step.check)().unwrap_or_else(|error| {
        println!("{error}");
        Outcome::Failed
    });
    let time = start.elapsed();
    println!("== {}: {:.1} s", step.name, time.as_secs_f64());
    Report { step, outcome, time }
}

fn format() -> Result<Outcome> {
    passed(run_command(cargo().args(["fmt", "--all", "--check"])))
}

fn clippy() -> Result<Outcome> {
    let mut command = cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"]);
    passed(run_command(&mut command))
}

fn test_everything() -> Result<Outcome> {
    passed(test_cluster::test(&Binary::find()?, test_cluster::NODES, &[]))
}

/// Returns what a newer server may do otherwise, on the server of this name.
fn test_on(server: &str) -> Result<Outcome> {
    let modules = ["table", "commands", "typed", "copy", "ring", "cache"].map(String::from);
    match Binary::named(server) {
        Some(Ok(binary)) => passed(test_cluster::test(&binary, test_cluster::NODES, &modules)),
        Some(Err(error)) => Ok(Outcome::NotRun(format!("it cannot be had: {error}"))),
        None => Ok(Outcome::NotRun("no server has this name".to_owned())),
    }
}

/// Faults that overlap on a copy, a quarter of a minute each: servers that go, servers that come back with less, and a rolling
/// restart. No client is killed: what a killed one was just writing may differ for good. Nor is there ballast: a restart in the
/// middle of a comparison may leave a key in conflict.
const SCENES: [(&str, &str); 3] =
    [("1", "kill,stop,restart,cut,client-stop"), ("2", "empty,dump,flush,kill"), ("3", "rolling")];

fn scenes() -> Result<Outcome> {
    for (seed, faults) in SCENES {
        let scene = flags::Chaos {
            seeds: Some(seed.to_owned()),
            faults: Some(faults.to_owned()),
            ballast: None,
            seconds: Some(15),
            resume: false,
            nodes: None,
            processes: None,
            together: None,
            server: None,
            no_identity: false,
            keep: false,
            plan: false,
        };
        // A machine that stands still now and then may break a promise that is one of time.
        if chaos::run(&scene).is_err() {
            println!("once more:");
            chaos::run(&scene)?;
        }
    }
    Ok(Outcome::Passed)
}

/// Two processes that write the same 3,000 keys, on nodes that are left different and on nodes that become equal.
fn race() -> Result<Outcome> {
    for leave in [true, false] {
        let race = flags::Races {
            seeds: Some("1".to_owned()),
            keys: Some(3000),
            leave,
            resume: false,
            processes: None,
            server: None,
            kill: false,
            storm: false,
            clock: false,
            cost: false,
            keep: false,
            monitor: false,
        };
        // As with the scenes of faults: that nodes are equal in time is a promise of time.
        if races::run(&race).is_err() {
            println!("once more:");
            races::run(&race)?;
        }
    }
    Ok(Outcome::Passed)
}

/// Under a server program that does not exist, a test that starts one fails. The rules of a copy have no feature and start nothing: their
/// tests would be those of the step `tests` once more, three minutes of them.
fn test_hermetic() -> Result<Outcome> {
    let args = ["test", "--workspace", "--exclude", "redisdb-replication"];
    passed(run_command(cargo().args(args).env("REDISDB_REDIS_SERVER", "none, this run is hermetic")))
}

fn documentation() -> Result<Outcome> {
    let mut command = cargo();
    command
        .args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    passed(run_command(&mut command))
}

fn deny() -> Result<Outcome> {
    with_tool(Tool::CargoDeny, |deny| deny.args(["check", "bans", "licenses", "sources"]))
}

fn advisories() -> Result<Outcome> {
    let Ok(deny) = Tool::CargoDeny.find() else { return deny() };
    let fetched =
        run_command(Command::new(&deny).current_dir(xtask::workspace::root()).args(["fetch", "db"]));
    match fetched {
        Ok(()) => with_tool(Tool::CargoDeny, |deny| deny.args(["check", "--disable-fetch", "advisories"])),
        Err(_) => Ok(Outcome::NotRun("the list of advisories cannot be fetched here".to_owned())),
    }
}

fn spelling() -> Result<Outcome> {
    with_tool(Tool::Typos, |typos| typos.args(["--hidden"]))
}

/// Each crate by itself, with each feature by itself, none, the default ones, and all: the powerset has seven times as many
/// combinations.
fn feature_combinations() -> Result<Outcome> {
    with_tool(Tool::CargoHack, |hack| {
        hack.args(["hack", "check", "--workspace", "--each-feature", "--no-dev-deps"])
    })
}

/// Runs a tool at the root of the workspace, with what `args` adds.
fn with_tool(tool: Tool, args: impl FnOnce(&mut Command) -> &mut Command) -> Result<Outcome> {
    match tool.find() {
        Ok(program) => {
            let mut command = Command::new(program);
            command.current_dir(xtask::workspace::root());
            passed(run_command(args(&mut command)))
        }
        Err(error) => Ok(Outcome::NotRun(format!("{tool:?} cannot be had: {error}"))),
    }
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name() {
        let names = |steps: &[&str]| -> Result<Vec<&str>> {
            let steps: Vec<String> = steps.iter().map(|step| step.to_string()).collect();
            Ok(select(&steps)?.iter().map(|step| step.name).collect())
        };
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["tidy", "docs"]).unwrap(), ["tidy", "docs"]);
        assert!(names(&["nonsense"]).unwrap_err().to_string().contains("format tidy"));
    }
}

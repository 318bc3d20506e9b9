//! `cargo xtask ci`: everything a change has to pass, here as on the machine that decides.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xtask::Binary;

use crate::cargo::{cargo, run as run_command};
use crate::package::PUBLISHED;
use crate::{Result, package, test_cluster, tidy};

/// A step that passed says whether it was run at all: a tool that is not installed is no failure.
enum Outcome {
    Passed,
    NotInstalled,
    Failed,
}

struct Report {
    step: &'static str,
    outcome: Outcome,
    time: Duration,
}

type Step = (&'static str, fn() -> Result<Outcome>);

/// The quick and the telling first. All are run, whatever fails: one look at the table shows the whole work to do.
const STEPS: [Step; 11] = [
    ("format", format),
    ("tidy", || passed(tidy::check())),
    ("clippy", clippy),
    ("tests, all features, real servers, doctests", test_everything),
    ("tests, default features, no server", test_hermetic),
    ("each crate alone", crates_alone),
    ("documentation", documentation),
    ("packages", || passed(package::check())),
    ("licenses and sources (cargo-deny)", deny),
    ("spelling (typos)", spelling),
    ("feature combinations (cargo-hack)", feature_combinations),
];

pub(crate) fn run() -> Result<ExitCode> {
    let reports: Vec<Report> = STEPS.into_iter().map(perform).collect();
    println!();
    for Report { step, outcome, time } in &reports {
        let outcome = match outcome {
            Outcome::Passed => "passed",
            Outcome::NotInstalled => "not installed, left out",
            Outcome::Failed => "FAILED",
        };
        println!("{step:<45} {:>7.1} s  {outcome}", time.as_secs_f64());
    }
    let has_failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn perform((step, check): Step) -> Report {
    println!("\n== {step}");
    let start = Instant::now();
    let outcome = check().unwrap_or_else(|error| {
        println!("{error}");
        Outcome::Failed
    });
    let time = start.elapsed();
    println!("== {step}: {:.1} s", time.as_secs_f64());
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

/// Under a server program that does not exist, a test that starts one fails.
fn test_hermetic() -> Result<Outcome> {
    passed(run_command(
        cargo().args(["test", "--workspace"]).env("REDISDB_REDIS_SERVER", "none, this run is hermetic"),
    ))
}

fn crates_alone() -> Result<Outcome> {
    for package in PUBLISHED {
        run_command(cargo().args(["check", "--package", package]))?;
        run_command(cargo().args(["check", "--package", package, "--no-default-features"]))?;
    }
    Ok(Outcome::Passed)
}

fn documentation() -> Result<Outcome> {
    let mut command = cargo();
    command
        .args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    passed(run_command(&mut command))
}

fn deny() -> Result<Outcome> {
    // Not `advisories`: their list lives outside the package registry, and this has to pass without it.
    if_installed(
        cargo().args(["deny", "--version"]),
        cargo().args(["deny", "check", "bans", "licenses", "sources"]),
    )
}

fn spelling() -> Result<Outcome> {
    if_installed(
        Command::new("typos").arg("--version"),
        Command::new("typos").current_dir(xtask::workspace::root()),
    )
}

fn feature_combinations() -> Result<Outcome> {
    let mut command = cargo();
    command.args(["hack", "check", "--workspace", "--feature-powerset", "--no-dev-deps"]);
    if_installed(cargo().args(["hack", "--version"]), &mut command)
}

fn if_installed(probe: &mut Command, command: &mut Command) -> Result<Outcome> {
    let is_installed =
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if is_installed { passed(run_command(command)) } else { Ok(Outcome::NotInstalled) }
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

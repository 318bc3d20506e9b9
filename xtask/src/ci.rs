//! `cargo xtask ci`: everything a change has to pass, here as on the machine that decides.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xtask::Binary;

use crate::cargo::{cargo, run as run_command};
use crate::package::PUBLISHED;
use crate::{Result, flags, package, test_cluster, tidy};

/// A step that passed says whether it was run at all: a tool that is not installed is no failure.
enum Outcome {
    Passed,
    NotInstalled,
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
static STEPS: [Step; 11] = [
    Step { name: "format", what: "cargo fmt --check", check: format },
    Step { name: "tidy", what: "the house rules", check: || passed(tidy::check()) },
    Step { name: "clippy", what: "all targets, all features", check: clippy },
    Step { name: "tests", what: "all features, real servers, doctests", check: test_everything },
    Step { name: "hermetic", what: "tests with default features and no server", check: test_hermetic },
    Step { name: "alone", what: "each crate by itself, with and without features", check: crates_alone },
    Step { name: "docs", what: "rustdoc without a warning", check: documentation },
    Step { name: "packages", what: "what would be published", check: || passed(package::check()) },
    Step { name: "deny", what: "licenses and sources, by cargo-deny", check: deny },
    Step { name: "typos", what: "spelling, by typos", check: spelling },
    Step { name: "hack", what: "combinations of features, by cargo-hack", check: feature_combinations },
];

pub(crate) fn run(flags: &flags::Ci) -> Result<ExitCode> {
    let reports: Vec<Report> = select(&flags.step)?.into_iter().map(perform).collect();
    println!();
    for Report { step, outcome, time } in &reports {
        let outcome = match outcome {
            Outcome::Passed => "passed",
            Outcome::NotInstalled => "not installed, left out",
            Outcome::Failed => "FAILED",
        };
        println!("{:<10} {:<48} {:>7.1} s  {outcome}", step.name, step.what, time.as_secs_f64());
    }
    let has_failed = reports.iter().any(|report| matches!(report.outcome, Outcome::Failed));
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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

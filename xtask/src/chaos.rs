//! `cargo xtask chaos`: faults that overlap at random, on a copy that several processes use.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};

use xtask::workspace;

use crate::cargo::{cargo, run as run_command, run_leashed};
use crate::run_folder::RunFolder;
use crate::test_cluster::chosen;
use crate::{Result, flags};

pub(crate) fn run(flags: &flags::Chaos) -> Result<ExitCode> {
    if flags.plan {
        run_command(runner("chaos")?.args(words(flags)))?;
        return Ok(ExitCode::SUCCESS);
    }
    play("chaos", &words(flags), flags.server.as_deref())
}

/// Runs a program of the tests that plays seeds on servers that it starts, and sees that none of them is left.
pub(crate) fn play(program: &str, words: &[String], server: Option<&OsStr>) -> Result<ExitCode> {
    let mut command = runner(program)?;
    let folder = RunFolder::new()?;
    let binary = chosen(server)?;
    let outcome = run_leashed(command.args(words).envs(binary.env()).env("REDISDB_RUN_DIR", folder.path()));
    let started = folder.check_none_is_left();
    if let Ok(started) = &started {
        eprintln!("{started} servers were started; none is left");
    }
    outcome.and(started).map(|_| ExitCode::SUCCESS)
}

fn runner(program: &str) -> Result<Command> {
    run_command(cargo().args(["build", "--package", "redisdb-tests", "--bin", program]))?;
    Ok(Command::new(workspace::target_dir().join("debug").join(program)))
}

/// The flags as the program reads them.
fn words(flags: &flags::Chaos) -> Vec<String> {
    let mut words = Vec::new();
    let mut value = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    value("--seeds", flags.seeds.clone());
    value("--nodes", flags.nodes.map(|n| n.to_string()));
    value("--processes", flags.processes.map(|n| n.to_string()));
    value("--seconds", flags.seconds.map(|n| n.to_string()));
    value("--faults", flags.faults.clone());
    value("--together", flags.together.map(|n| n.to_string()));
    value("--ballast", flags.ballast.map(|n| n.to_string()));
    let switches = [
        ("--resume", flags.resume),
        ("--no-identity", flags.no_identity),
        ("--keep", flags.keep),
        ("--plan", flags.plan),
    ];
    words.extend(switches.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| (*name).to_owned()));
    words
}

//! `cargo xtask chaos`: faults that overlap at random, on a copy that several processes use.

use std::process::{Command, ExitCode};

use xtask::workspace;

use crate::cargo::{cargo, run as run_command, run_leashed};
use crate::run_folder::RunFolder;
use crate::test_cluster::chosen;
use crate::{Result, flags};

pub(crate) fn run(flags: &flags::Chaos) -> Result<ExitCode> {
    run_command(cargo().args(["build", "--package", "redisdb-tests", "--bin", "chaos"]))?;
    let mut command = Command::new(workspace::target_dir().join("debug").join("chaos"));
    command.args(words(flags));
    if flags.plan {
        run_command(&mut command)?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = RunFolder::new()?;
    let binary = chosen(flags.server.as_deref())?;
    let outcome = run_leashed(command.envs(binary.env()).env("REDISDB_RUN_DIR", folder.path()));
    let started = folder.check_none_is_left();
    if let Ok(started) = &started {
        eprintln!("{started} servers were started; none is left");
    }
    outcome.and(started).map(|_| ExitCode::SUCCESS)
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

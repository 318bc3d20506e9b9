//! `cargo xtask bench`: criterion, with servers for the benchmarks that talk to some, and comparisons of whole clients.

mod client;
mod compare;
mod instructions;
mod peers;
mod report;
mod scale;

use std::fs;
use std::process::{Command, ExitCode};

use xtask::{Servers, workspace};

use crate::cargo::{cargo, run as run_command};
use crate::test_cluster::NODES;
use crate::{Result, flags};

const RING: &str = "REDISDB_RING";
const COPY: &str = "REDISDB_COPY";

pub(crate) fn run(flags: &flags::Bench) -> Result<ExitCode> {
    match flags.name.as_deref() {
        Some("compare") => compare::run(flags.quick),
        Some("instructions") => instructions::run(),
        Some("peers") => peers::run(),
        Some("scale") => scale::run(flags.quick),
        _ => criterion(flags),
    }
}

fn criterion(flags: &flags::Bench) -> Result<ExitCode> {
    let mut command = cargo();
    command.args(["bench", "--package", "redisdb-benches"]);
    // After `--` the first word is criterion's too, and no name starts like this.
    let is_option = |word: &&String| word.starts_with('-');
    let (option, name) =
        (flags.name.as_ref().filter(is_option), flags.name.as_ref().filter(|name| !is_option(name)));
    if let Some(name) = name {
        command.args(["--bench", name]);
    }
    if option.is_some() || !flags.args.is_empty() {
        command.arg("--").args(option).args(&flags.args);
    }
    match name {
        Some(name) if !wants_servers(name) => run_command(&mut command)?,
        _ => run_with_servers(&mut command)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run_with_servers(command: &mut Command) -> Result<()> {
    let ring = Servers::start(NODES)?;
    let copy = Servers::start(NODES)?;
    run_command(command.env(RING, ring.urls().join(",")).env(COPY, copy.urls().join(",")))
}

/// Returns whether the benchmark asks for the addresses of servers: idle ones would still disturb one that does not.
fn wants_servers(name: &str) -> bool {
    let folders = ["benches", "benches/benches", "benches/src"];
    let sources = folders.map(|folder| workspace::root().join(folder).join(format!("{name}.rs")));
    let source = sources.iter().find_map(|path| fs::read_to_string(path).ok());
    source.is_none_or(|source| source.contains(RING) || source.contains(COPY))
}

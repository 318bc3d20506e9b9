//! The project's own tasks, as `cargo xtask`: one file per task, listed in `flags.rs`.

mod bench;
mod cargo;
mod chaos;
mod ci;
mod cluster;
mod control;
mod demo;
mod flags;
mod leash;
mod package;
mod races;
mod run_folder;
mod table;
mod test_cluster;
mod tidy;

use std::error::Error;
use std::process::ExitCode;

use flags::{ClusterCmd, XtaskCmd};

/// A task is the end of the line: its errors are for a person to read, and nothing branches on them.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match flags::Xtask::from_env_or_exit().subcommand {
        XtaskCmd::Demo(flags) => demo::run(&flags),
        XtaskCmd::TestCluster(flags) => test_cluster::run(&flags),
        XtaskCmd::Races(flags) => races::run(&flags),
        XtaskCmd::Cluster(flags) => match flags.subcommand {
            ClusterCmd::Up(flags) => cluster::up(&flags),
        },
        XtaskCmd::Chaos(flags) => chaos::run(&flags),
        XtaskCmd::Bench(flags) => bench::run(&flags),
        XtaskCmd::Ci(flags) => ci::run(&flags),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

//! `cargo xtask demo`: the tour of the project, on servers of its own.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use xtask::{Binary, Server};

use crate::cargo::{cargo, run as run_command};
use crate::control::{Control, Stage};
use crate::test_cluster::NODES;
use crate::{Result, flags};

pub(crate) fn run(flags: &flags::Demo) -> Result<ExitCode> {
    // A newcomer waits for the build, not for the tour, and the build without optimizations is much the shorter one.
    let profile: &[&str] = if flags.release { &["--release"] } else { &[] };
    let example = ["--package", "redisdb", "--example", "tour"];
    let binary = Binary::find()?;
    // Built before any server starts, so that nothing waits for the compiler.
    run_command(cargo().arg("build").args(example).args(profile))?;
    // Persistent: the tour restarts a server with its data.
    let start = || Server::builder().binary(&binary).persistent().start_many(NODES);
    let (ring, copy) = (start()?, start()?);
    let mut tour = cargo();
    tour.args(["run", "--quiet"])
        .args(example)
        .args(profile)
        .env("REDISDB_RING", ring.urls().join(","))
        .env("REDISDB_COPY", copy.urls().join(","));
    let stage = Arc::new(Mutex::new(Some(Stage { ring, copy })));
    let control = Control::listen(Arc::clone(&stage))?;
    let status = tour.env("REDISDB_CONTROL", control.address()).status()?;
    // Here and not at the end of the process: an exit drops nothing.
    drop(stage.lock().ok().and_then(|mut stage| stage.take()));
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

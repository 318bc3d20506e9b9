//! `cargo xtask bench instructions`: how many instructions a call takes in the client, as callgrind counts them.
//!
//! Unlike a time, the number does not depend on what else the machine does. Two runs of different lengths are
//! subtracted, so that starting and connecting do not count.

use std::fmt::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use xtask::{Servers, workspace};

use super::client::{Program, Task};
use super::report;
use crate::Result;

/// A row of what is measured: its name, client and work, on how many servers, and what it is compared with.
struct Row {
    name: &'static str,
    client: &'static str,
    work: &'static str,
    servers: usize,
    against: Option<&'static str>,
}

const fn row(
    name: &'static str,
    (client, work): (&'static str, &'static str),
    servers: usize,
    against: Option<&'static str>,
) -> Row {
    Row { name, client, work, servers, against }
}

const GET: &str = "redis-rs `AsyncCommands::get`, one server";
const GET_3: &str = "redis-rs `AsyncCommands::get`, three servers sharded by hand";
const SET: &str = "redis-rs `AsyncCommands::set`, one server";
const MGET: &str = "redis-rs `mget` of 100, split over three by hand";
const PIPELINE: &str = "redis-rs pipeline of 100 `GET`, one server";
const COPY: &str = "redis-rs `set` on three servers by `join_all`";

const LEFT: &str = "`copy.set` with an identity, of nodes that are left different";
/// Other processes make the nodes equal meanwhile, as they do for all but two of many processes.
const EQUAL: &str = "`copy.set` with an identity, of nodes that become equal by themselves";

static ROWS: [Row; 20] = [
    row(GET, ("redis", "get"), 1, None),
    row("redis-rs `send_packed_command`, one server", ("redis-packed", "get"), 1, Some(GET)),
    row(GET_3, ("redis", "get"), 3, Some(GET)),
    row(
        "redis-rs `send_packed_command`, three servers sharded by hand",
        ("redis-packed", "get"),
        3,
        Some(GET),
    ),
    row("**`ring.get`**, three servers", ("ring", "get"), 3, Some(GET)),
    row("`node.get`", ("node", "get"), 1, Some(GET)),
    row("`node.get`, three servers sharded by hand", ("nodes", "get"), 3, Some(GET)),
    row("`cache.get` on a ring of three", ("cache", "get"), 3, Some(GET)),
    row(SET, ("redis", "set"), 1, None),
    row("`ring.set`, three servers", ("ring", "set"), 3, Some(SET)),
    row(COPY, ("redis-copy", "set"), 3, None),
    row("`copy.set`, three servers", ("copy", "set"), 3, Some(COPY)),
    row(MGET, ("redis", "mget"), 3, None),
    row("`ring.mget` of 100, three servers", ("ring", "mget"), 3, Some(MGET)),
    row(PIPELINE, ("redis", "pipeline"), 1, None),
    row("the same, split over three by hand", ("redis", "pipeline"), 3, Some(PIPELINE)),
    row("**`ring.pipeline()`** of 100 `get`, three servers", ("ring", "pipeline"), 3, Some(PIPELINE)),
    row(
        "redis-rs pipeline of 100 `GET` through a ring of three",
        ("ring-as-connection", "pipeline"),
        3,
        Some(PIPELINE),
    ),
    row(LEFT, ("copy-left", "set"), 3, None),
    row(EQUAL, ("copy-equal", "set"), 3, Some(LEFT)),
];

/// As many keys as a batch has.
const BATCH: u64 = 100;

pub(crate) fn run() -> Result<ExitCode> {
    if !Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return Err(
            "there is no `valgrind`, which counts the instructions; on Debian: `apt install valgrind`".into(),
        );
    }
    let program = Program::build(false)?;
    let servers = Servers::start(3)?;
    let urls = servers.urls();
    program.fill(&urls, 64)?;
    // Those of a copy with an identity hold nothing else.
    let marked_servers = Servers::start(3)?;
    let marked = marked_servers.urls();
    let mut table = String::from("| call | instructions | ratio |\n|---|--:|--:|\n");
    let mut counted: Vec<(&str, f64)> = Vec::new();
    let mut holders = Vec::new();
    for Row { name, client, work, servers, against } in &ROWS {
        let (batch, tasks) = if matches!(*work, "mget" | "pipeline") { (BATCH, 4) } else { (1, 64) };
        let task = Task { client, work, tasks, size: 64, multi: false };
        let urls = if matches!(*name, LEFT | EQUAL) { &marked } else { &urls[..*servers] };
        if *client == "cache" {
            // It writes its own entries in its first run.
            program.measure(&task, urls, Duration::from_millis(1))?;
        }
        if *name == EQUAL {
            holders = vec![program.hold(urls)?, program.hold(urls)?];
        }
        let (few, many) = (6_400 / batch.min(80), 19_200 / batch.min(80));
        let instructions = (count(&program, &task, urls, many)? - count(&program, &task, urls, few)?) as f64;
        let each = instructions / (many - few) as f64 / batch as f64;
        counted.push((name, each));
        let other = against.and_then(|other| counted.iter().find(|(name, _)| *name == other));
        let ratio = other.map_or("1".to_owned(), |(_, other)| format!("{:.2}", each / other));
        let line = format!("| {name} | {each:.0} | {ratio} |");
        eprintln!("{line}");
        writeln!(table, "{line}")?;
    }
    drop(holders);
    let about = format!(
        "User instructions for each call (of `mget` and pipelines: for each key) in the client, 64 tasks on \
         `current_thread` (batches: 4), values of 64 bytes; {}.\n\n{table}",
        report::machine()
    );
    println!("{about}");
    let path = report::write("instructions.md", &about)?;
    eprintln!("written to {}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn count(program: &Program, task: &Task, urls: &[String], operations: u64) -> Result<i64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program.path())
        .args(Program::words(task, urls))
        .args(["--ops", &operations.to_string()])
        .current_dir(workspace::root())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    match counted {
        Some(counted) if output.status.success() => Ok(counted),
        _ => Err(format!("`{}` at `{}` under valgrind: {said}", task.client, task.work).into()),
    }
}

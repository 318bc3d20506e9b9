//! Keeping count of the servers a run starts, to see that none is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use xtask::{command_line, is_alive, workspace};

use crate::Result;

/// A server whose owner has just ended is killed within milliseconds, by another process.
const LIMIT: Duration = Duration::from_secs(10);

/// A folder in which every server started notes its process id; see `RUN_DIR` in `server.rs`.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// An empty folder of this run, to be named to the programs started by `REDISDB_RUN_DIR`.
    pub(crate) fn new() -> Result<RunFolder> {
        let runs = workspace::target_dir().join("xtask-runs");
        remove_abandoned(&runs);
        let path = runs.join(process::id().to_string());
        fs::create_dir_all(&path).map_err(|error| format!("cannot write to {}: {error}", path.display()))?;
        Ok(RunFolder { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the servers noted to be gone and returns how many there were.
    ///
    /// # Errors
    /// Some are still there.
    pub(crate) fn check_none_is_left(&self) -> Result<usize> {
        let started = self.noted();
        let deadline = Instant::now() + LIMIT;
        loop {
            let left: Vec<String> = started
                .iter()
                .filter(|(pid, port)| is_server(*pid, port))
                .map(|(pid, _)| pid.to_string())
                .collect();
            if left.is_empty() {
                return Ok(started.len());
            }
            if deadline <= Instant::now() {
                return Err(
                    format!("servers are left over: end them with `kill -9 {}`", left.join(" ")).into()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn noted(&self) -> Vec<(u32, String)> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let noted = entries.filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, fs::read_to_string(entry.path()).ok()?))
        });
        noted.collect()
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Returns whether the process is still the server on this port: its id may be another program's by now.
fn is_server(pid: u32, port: &str) -> bool {
    command_line(pid).is_some_and(|line| line.contains(port))
}

/// The folders that runs interrupted by Ctrl-C have left.
fn remove_abandoned(runs: &Path) {
    for run in fs::read_dir(runs).into_iter().flatten().flatten() {
        let owner = run.file_name().to_str().and_then(|name| name.parse().ok());
        if owner.is_some_and(|pid: u32| !is_alive(pid)) {
            let _ = fs::remove_dir_all(run.path());
        }
    }
}

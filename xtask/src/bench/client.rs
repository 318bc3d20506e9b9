//! The program that does one piece of work through one client.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use xtask::workspace;

use crate::Result;
use crate::cargo::{cargo, run as run_command};

/// One client at one piece of work, and how many tasks do it at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) client: &'static str,
    pub(crate) work: &'static str,
    pub(crate) tasks: usize,
    pub(crate) size: usize,
    pub(crate) multi: bool,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) operations: f64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) median: Duration,
}

pub(crate) struct Program(PathBuf);

impl Program {
    /// Builds it, with the clients of others if they are asked for.
    pub(crate) fn build(peers: bool) -> Result<Program> {
        let mut command = cargo();
        command.args(["build", "--release", "--package", "redisdb-benches", "--bin", "redisdb-bench-client"]);
        if peers {
            command.args(["--features", "peers"]);
        }
        run_command(&mut command)?;
        Ok(Program(workspace::target_dir().join("release/redisdb-bench-client")))
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.0
    }

    /// Returns what is said to the program, without how long it is to run.
    pub(crate) fn words(task: &Task, urls: &[String]) -> Vec<String> {
        let mut words = vec![task.client.to_owned(), task.work.to_owned(), urls.join(",")];
        words.extend(["--tasks".to_owned(), task.tasks.to_string()]);
        words.extend(["--size".to_owned(), task.size.to_string()]);
        if task.multi {
            words.push("--multi".to_owned());
        }
        words
    }

    /// Gives every server every key, with values of this size.
    pub(crate) fn fill(&self, urls: &[String], size: usize) -> Result<()> {
        let task = Task { client: "fill", work: "set", tasks: 1, size, multi: false };
        self.read(Command::new(&self.0).args(Self::words(&task, urls))).map(drop)
    }

    pub(crate) fn measure(&self, task: &Task, urls: &[String], time: Duration) -> Result<Measured> {
        let millis = time.as_millis().to_string();
        let mut command = Command::new(&self.0);
        let line = self.read(command.args(Self::words(task, urls)).args(["--millis", &millis]))?;
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [operations, wall, cpu, median, ..] = numbers[..] else {
            return Err(format!("`{}` at `{}` printed `{line}`", task.client, task.work).into());
        };
        Ok(Measured {
            operations: operations as f64,
            wall: Duration::from_nanos(wall),
            cpu: Duration::from_nanos(cpu),
            median: Duration::from_nanos(median),
        })
    }

    /// Takes a ring through all that `scale` measures: the name, the milliseconds and the client's KiB of each step.
    pub(crate) fn scale(&self, urls: &[String], keys: u64) -> Result<Vec<(String, f64, f64)>> {
        let mut command = Command::new(&self.0);
        let text = self.read(command.args(["scale", "get", &urls.join(","), "--ops", &keys.to_string()]))?;
        let step = |line: &str| {
            let mut columns = line.split('\t');
            let name = columns.next()?.to_owned();
            let (nanos, kib): (f64, f64) = (columns.next()?.parse().ok()?, columns.next()?.parse().ok()?);
            Some((name, nanos / 1e6, kib))
        };
        text.lines()
            .map(|line| step(line).ok_or_else(|| format!("`scale` printed `{line}`").into()))
            .collect()
    }

    /// Starts a process that makes the nodes of a copy equal, or stands by, and waits until it does.
    pub(crate) fn hold(&self, urls: &[String]) -> Result<Holder> {
        let task = Task { client: "hold", work: "set", tasks: 1, size: 64, multi: false };
        let mut command = Command::new(&self.0);
        let mut holder = Holder(command.args(Self::words(&task, urls)).stdout(Stdio::piped()).spawn()?);
        let mut said = String::new();
        if let Some(output) = holder.0.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        match said.trim() {
            "held" => Ok(holder),
            said => Err(format!("`hold` printed `{said}`").into()),
        }
    }

    fn read(&self, command: &mut Command) -> Result<String> {
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{command:?} failed ({})", output.status).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// A process that makes the nodes of a copy equal; it ends with this.
pub(crate) struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

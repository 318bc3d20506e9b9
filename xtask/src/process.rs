//! Asking about a process and signaling it, by its id. std can only kill a child; the shell does the rest.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// A signal takes effect in microseconds; this is for a machine that does much else.
const LIMIT: Duration = Duration::from_secs(30);

/// The command line of a running process; `None` when there is no such process, or only its remains.
pub fn command_line(pid: u32) -> Option<String> {
    if !is_alive(pid) {
        return None;
    }
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).replace('\0', " "),
        Err(_) => ps(pid, "command=")?,
    };
    Some(line.trim().to_string())
}

/// Returns whether there is such a process. One that ended and was not waited for yet is not there any more.
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Stops a process as `kill -STOP` does. Returns when it has stopped, or is gone.
pub fn pause(pid: u32) {
    signal(pid, "STOP");
    wait_until(LIMIT, || is_stopped(pid) || !is_alive(pid));
}

/// Lets a paused process go on. Returns when it does.
pub fn resume(pid: u32) {
    signal(pid, "CONT");
    wait_until(LIMIT, || !is_stopped(pid));
}

/// Returns whether the process is stopped, as by SIGSTOP.
fn is_stopped(pid: u32) -> bool {
    state(pid).is_some_and(|state| state.starts_with('T'))
}

/// Sends a signal, named as in `STOP`. A process that is already gone is no error.
pub(crate) fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: a minimal system has no program of that name.
    let _ = Command::new("sh")
        .args(["-c", r#"kill -s "$1" "$2""#, "sh", name, &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Asks again and again until the condition holds; false when the time is up first.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if deadline <= Instant::now() {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The letter for what a process is doing, as `ps` prints it.
fn state(pid: u32) -> Option<String> {
    if !Path::new("/proc/self/stat").exists() {
        return ps(pid, "state=");
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the command's name, which stands in parentheses and may hold any character.
    stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().to_string())
}

fn ps(pid: u32, column: &str) -> Option<String> {
    let output = Command::new("ps").args(["-o", column, "-p", &pid.to_string()]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_command_line_until_it_ends() {
        let mut child = Command::new("sh").args(["-c", "read x"]).stdin(Stdio::piped()).spawn().unwrap();
        let shows_command = || command_line(child.id()).is_some_and(|line| line.contains("read x"));
        assert!(wait_until(Duration::from_secs(10), shows_command));
        child.kill().unwrap();
        assert!(wait_until(Duration::from_secs(10), || !is_alive(child.id())));
        child.wait().unwrap();
        assert_eq!(command_line(child.id()), None);
    }

    #[test]
    fn a_process_is_stopped_until_it_goes_on() {
        let mut child = Command::new("sh").args(["-c", "read x"]).stdin(Stdio::piped()).spawn().unwrap();
        assert!(!is_stopped(child.id()));
        pause(child.id());
        assert!(is_stopped(child.id()));
        resume(child.id());
        assert!(!is_stopped(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

//! The process between a server and its owner, which ends the server when the owner could not.
//!
//! `Drop` covers a return and a panic. It does not cover Ctrl-C, SIGKILL, `exit` or a `static`, which Rust never
//! drops. So a server is the child of a guardian: a shell that takes orders from a pipe only the owner holds. However
//! the owner ends, the system closes the pipe, and the guardian kills the server and removes its folder.
//!
//! This is safe because the guardian is the parent: it knows its child from the first moment, and nobody else
//! can be given that process id before the parent has waited for it. It also leaves no defunct server behind in a
//! container whose first process does not collect orphans.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::Binary;
use crate::process::signal;

/// Runs with the server's folder as `$1`, the program as `$2` and its arguments after that.
///
/// * HUP is ignored: the system sends it to the whole group when the owner dies while the server is stopped.
/// * PIPE is ignored: an owner may die between its order and the answer.
/// * SIGKILL, because a paused server answers to nothing else.
const SCRIPT: &str = r#"
trap '' HUP INT PIPE TERM
dir=$1 program=$2 pid=
shift 2
end() {
    if [ -n "$pid" ]; then kill -9 "$pid"; wait "$pid"; pid=; fi
}
cd "$dir/data" || exit
while read -r order port; do
    case $order in
    start) "$program" "$@" --port "$port" </dev/null >>"$dir/log" 2>&1 & pid=$!; echo "$pid" ;;
    kill) end; echo gone ;;
    esac
done
end
cd / && rm -rf -- "$dir"
"#;

/// A guardian at its post; when dropped, it kills the server, removes the folder and goes.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The server's process id, from its start until it was waited for.
    pid: Option<u32>,
}

impl Guardian {
    /// Posts a guardian for a server that is to work in `data` under the folder and to log beside it.
    pub(crate) fn post(dir: &Path, binary: &Binary, args: &[OsString]) -> io::Result<Guardian> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "redisdb-guardian"])
            .args([dir, &binary.path])
            .args(args)
            // Out of reach of the terminal's Ctrl-C, which goes to the owner's process group.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It outlives the owner: holding the owner's output open would make whoever reads that wait.
            .stderr(Stdio::null());
        binary.set_lib_path(&mut command);
        let mut shell = command.spawn()?;
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(io::Error::other("no pipe to the guardian"));
        };
        Ok(Guardian { shell, orders: Some(orders), answers: BufReader::new(answers), pid: None })
    }

    /// Starts the server and returns its process id; it may end at once.
    pub(crate) fn start(&mut self, port: u16) -> io::Result<u32> {
        let answer = self.order(&format!("start {port}"))?;
        let pid = answer.parse().map_err(io::Error::other)?;
        self.pid = Some(pid);
        Ok(pid)
    }

    /// Kills the server, if there is one, and returns when it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(pid) = self.pid.take()
            && self.order("kill").is_err()
        {
            // Somebody has ended the guardian: its child is still ours to end.
            signal(pid, "KILL");
        }
    }

    /// Returns whether a server was started and not killed since. It may have ended by itself; its id is still its own.
    pub(crate) fn is_watching(&self) -> bool {
        self.pid.is_some()
    }

    fn order(&mut self, order: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        orders.write_all(format!("{order}\n").as_bytes())?;
        let mut answer = String::new();
        match self.answers.read_line(&mut answer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_string()),
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.kill();
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, mem, process};

    #[test]
    fn an_owner_that_dies_before_its_order_is_answered_leaves_no_folder() {
        let dir = env::temp_dir().join(format!("redisdb-guardian-{}", process::id()));
        fs::create_dir_all(dir.join("data")).unwrap();
        let program =
            Binary { path: "true".into(), lib_dir: None, version: String::new(), origin: String::new() };
        let mut guardian = Guardian::post(&dir, &program, &[]).unwrap();
        let mut other = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        // The only reader of the guardian's answers goes.
        drop(mem::replace(&mut guardian.answers, BufReader::new(other.stdout.take().unwrap())));
        other.wait().unwrap();
        guardian.orders.as_mut().unwrap().write_all(b"start 1\nkill\n").unwrap();
        drop(guardian);
        assert!(!dir.exists());
    }
}

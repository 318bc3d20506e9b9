//! A command that does not outlive xtask.
//!
//! A test run is a tree: cargo, a test binary, its servers. When xtask alone is ended, as a time limit does it, the
//! tree would go on, and with a test that hangs, for ever. So the tree is a process group, and a shell that notices
//! the end of xtask by its end of a pipe ends the group; the servers then go as they always do.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

/// Runs with the number of the group as `$1`; a word means that all is well. (`-s KILL`, because after `-9` dash does
/// not know `--`.)
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word || kill -s KILL -- "-$1"
"#;

/// Runs the command to its end. Ctrl-C reaches xtask, and by its end the command.
pub(crate) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    // No input: outside the terminal's own group, reading from it would stop the command.
    let mut child = command.process_group(0).stdin(Stdio::null()).spawn()?;
    let guard = Command::new("sh")
        .args(["-c", SCRIPT, "redisdb-leash", &child.id().to_string()])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let status = child.wait();
    if let Ok(mut guard) = guard {
        if let Some(mut pipe) = guard.stdin.take() {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = guard.wait();
    }
    status
}

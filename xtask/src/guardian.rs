//! The process that ends a server when its owner could not.
//!
//! `Drop` covers a return and a panic. It does not cover Ctrl-C, SIGKILL, `exit` or a `static`, which Rust never
//! drops. So every server has a guardian: a shell that waits for the end of its input, a pipe only the owner holds.
//! However the owner ends, the system closes the pipe, and the guardian kills the server and removes its folder.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs with the server's folder as `$1`.
///
/// * The folder is renamed first: a server that is only just starting then finds no folder to write its id into, or no
///   folder to work in, and gives up by itself (see `LAUNCH`).
/// * The id is believed only while that process works in this folder, where the system can tell: an id is used again.
/// * SIGKILL, because a paused server answers to nothing else.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word && exit 0
mv -- "$1" "$1.gone" || exit 0
if read -r pid < "$1.gone/pid"; then
    if [ ! -e "/proc/$pid/cwd" ] || [ "/proc/$pid/cwd" -ef "$1.gone/data" ]; then
        kill -9 "$pid"
    fi
fi
rm -rf -- "$1.gone"
"#;

/// What a server's process runs first, in its data folder: note the id, then become the server.
pub(crate) const LAUNCH: &str = r#"echo $$ > ../pid && exec "$@""#;

/// A guardian at its post.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Posts a guardian for the server that works in the folder.
    pub(crate) fn post(dir: &Path) -> io::Result<Guardian> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "redisdb-guardian"])
            .arg(dir)
            .current_dir("/")
            // Out of reach of the terminal's Ctrl-C, which goes to the owner's process group.
            .process_group(0)
            .stdin(Stdio::piped())
            // It outlives the owner: holding the owner's output open would make a pipe's reader wait.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Guardian { shell })
    }
}

/// The server is gone and its folder removed: nothing is left to guard.
impl Drop for Guardian {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            let _ = stdin.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}

//! Libraries that come before the system's in a child process, and change what the system says to it.

use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Where a library is that `LD_PRELOAD` is to name: where a variable says, or where Debian puts it. If it is not there, what
/// is left out is said on stderr, also when the test passes.
pub fn preloaded(variable: &str, path: &str, left_out: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from);
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = named.into_iter().chain(folders.map(|folder| folder.join(path))).find(|path| path.exists());
    if found.is_none() {
        let line = format!("left out, for there is no {path}; {variable} may name it: {left_out}\n");
        let _best_effort = std::io::stderr().write_all(line.as_bytes());
    }
    found
}

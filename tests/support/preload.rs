//! Libraries that come before the system's in a child process, and change what the system says to it.

use std::env;
use std::fs;
use std::path::PathBuf;

/// Returns where a library is that `LD_PRELOAD` is to name: where a variable says, or where Debian puts it.
///
/// # Errors
/// It is not there.
pub fn preloaded(variable: &str, path: &str) -> Result<PathBuf, String> {
    let named = env::var_os(variable).map(PathBuf::from);
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = named.into_iter().chain(folders.map(|folder| folder.join(path))).find(|path| path.exists());
    found.ok_or_else(|| format!("there is no {path}; {variable} may name it"))
}

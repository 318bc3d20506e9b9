//! The places of the checkout and its build folder.

use std::env;
use std::path::{Path, PathBuf};

/// The root folder of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder cargo builds into; what is fetched or unpacked goes there too, so that `cargo clean` removes it.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // `join` keeps an absolute path as it is.
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

//! The places of the checkout and its build folder.

use std::env;
use std::path::{Path, PathBuf};

/// The root folder of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder that cargo builds into. Programs that are fetched go there too, so that `cargo clean` removes them.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // `join` keeps an absolute path as it is.
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

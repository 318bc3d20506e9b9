//! Where results are written, and on which machine they were measured.

use std::path::PathBuf;
use std::{fs, thread};

use xtask::workspace;

use crate::Result;

/// Writes a result to its file under `target/bench`.
pub(crate) fn write(name: &str, text: &str) -> Result<PathBuf> {
    let folder = workspace::target_dir().join("bench");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(path)
}

/// The machine in a few words.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let processors = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{processors} processors \"{model}\", {}, load {load}", std::env::consts::OS)
}

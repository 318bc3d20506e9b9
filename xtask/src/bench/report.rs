//! The files of results, and the machine on which they were measured.

use std::fmt::Write as _;
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

/// The beginning of a chart.
pub(crate) fn svg(width: usize, height: usize) -> Result<String> {
    let mut svg = String::new();
    writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
    )?;
    Ok(svg)
}

/// A bar of a chart: its length is a share of the longest.
pub(crate) struct Bar<'a> {
    pub(crate) label: &'a str,
    pub(crate) share: f64,
    pub(crate) value: &'a str,
    pub(crate) color: &'a str,
}

impl Bar<'_> {
    pub(crate) fn draw(&self, y: usize) -> String {
        let Bar { label, share, value, color } = self;
        format!(
            "<text x=\"20\" y=\"{y}\">{label}</text><rect x=\"250\" y=\"{}\" width=\"{:.0}\" height=\"12\" \
             fill=\"{color}\"/><text x=\"{:.0}\" y=\"{y}\">{value}</text>\n",
            y.saturating_sub(10),
            share * 540.0,
            255.0 + share * 540.0,
        )
    }
}

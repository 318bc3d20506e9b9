//! Rows of the tables at the end of the run: what tests have measured.

use std::path::Path;

/// Prints a row with its heading, and leaves it where `test-cluster` finds it.
///
/// # Panics
/// If it cannot be written.
pub fn leave_row(name: &str, cells: &[(&str, String)]) {
    let line = |pick: fn(&(&str, String)) -> String| cells.iter().map(pick).collect::<Vec<_>>().join("\t");
    let text = format!("{}\n{}\n", line(|cell| cell.0.to_owned()), line(|cell| cell.1.clone()));
    print!("{text}");
    if let Some(folder) = std::env::var_os("REDISDB_RUN_DIR") {
        std::fs::write(Path::new(&folder).join(format!("{name}.row")), text).unwrap();
    }
}

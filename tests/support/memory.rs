//! The memory of this process, where the system says: Linux does.

use std::fs;

use crate::leave_row;

/// Does something that may take so many MiB above what was held before, at its peak. Leaves a row of the table of memory.
/// Where the system says nothing of memory, it is only done.
///
/// # Panics
/// If it takes more.
pub async fn measured<T>(what: &str, most: u64, does: impl AsyncFnOnce() -> T) -> T {
    reset_peak();
    let before = resident_mib();
    let result = does().await;
    let (Some(before), Some(peak)) = (before, peak_mib()) else {
        xtask::skipped("this system does not say what a process holds in memory", Some(what));
        return result;
    };
    let grown = peak.saturating_sub(before);
    leave_row(what, &[("memory", what.to_owned()), ("MiB", grown.to_string()), ("may be", most.to_string())]);
    assert!(grown <= most, "{what}: {grown} MiB at most above what was held before, not {most}");
    result
}

/// The most that it has held so far, in MiB.
pub fn peak_mib() -> Option<u64> {
    status("VmHWM:")
}

/// Returns what it holds now, in MiB.
pub fn resident_mib() -> Option<u64> {
    status("VmRSS:")
}

/// Has the peak begin anew from what is held now. Where the system does not do that, it stays the peak of all time.
fn reset_peak() {
    let _best_effort = fs::write("/proc/self/clear_refs", "5");
}

fn status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib >> 10)
}

//! What this process holds in memory, where the system says: Linux does.

use std::fs;

/// The most that it has held since the [peak was reset](reset_peak), or ever, in MiB.
pub fn peak_mib() -> Option<u64> {
    status("VmHWM:")
}

/// What it holds now, in MiB.
pub fn resident_mib() -> Option<u64> {
    status("VmRSS:")
}

/// Has the peak begin anew from what is held now. Where the system does not do that, it stays the peak of all time.
pub fn reset_peak() {
    let _best_effort = fs::write("/proc/self/clear_refs", "5");
}

fn status(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib >> 10)
}

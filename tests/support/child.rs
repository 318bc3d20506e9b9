//! Tests that run themselves once more, in a process of their own.

use std::process::Command;

/// Runs a command of [`once_more`](xtask::once_more) to its end, and returns what the test said there.
///
/// # Panics
/// If it did not run, or did not pass.
pub fn passes(child: &mut Command) -> String {
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    text.into_owned()
}

//! Running cargo from inside cargo.

use std::process::{Command, ExitStatus, Stdio};
use std::{env, io};

use xtask::workspace;

use crate::{Result, leash};

/// The variables by which `cargo run` tells xtask about xtask. Handed on, it would look to some build scripts like a change, and every
/// `cargo xtask` after a plain `cargo build` would build their crates anew.
const OF_XTASK: [&str; 7] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "OUT_DIR",
    "CARGO_RUSTC_",
];

/// The cargo that runs xtask, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| OF_XTASK.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Shows a command and runs it to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    run_by(command, Command::status)
}

/// Shows a command and runs it to its end, or to the end of xtask.
pub(crate) fn run_leashed(command: &mut Command) -> Result<()> {
    run_by(command, leash::status)
}

fn run_by(command: &mut Command, status: fn(&mut Command) -> io::Result<ExitStatus>) -> Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    let status = status(command).map_err(|error| format!("`{line}` does not run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed ({status})").into()) }
}

/// Runs a command to its end and returns what it printed; its complaints and its progress are shown as they come.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{line}` does not run: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("`{line}` failed ({})", output.status).into())
    }
}

/// The command as one would type it; of many arguments, the first.
fn shown(command: &Command) -> String {
    const MOST: usize = 12;
    let program = command.get_program().to_string_lossy();
    let mut words = vec![program.rsplit('/').next().unwrap_or_default().to_string()];
    words.extend(command.get_args().take(MOST).map(|arg| arg.to_string_lossy().into_owned()));
    if MOST < command.get_args().len() {
        words.push("..".to_string());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        assert_eq!(
            shown(Command::new("/opt/bin/cargo").args(["test", "--workspace"])),
            "cargo test --workspace"
        );
    }
}

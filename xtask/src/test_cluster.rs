//! `cargo xtask test-cluster`: the test suite, on real servers.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{Command, ExitCode};

use xtask::{Binary, SERVERS};

use crate::cargo::{cargo, read, run_leashed};
use crate::run_folder::RunFolder;
use crate::{Result, flags, table};

/// The number of servers a ring or a copy under test has.
pub(crate) const NODES: usize = 3;

pub(crate) fn run(flags: &flags::TestCluster) -> Result<ExitCode> {
    let nodes = flags.nodes.unwrap_or(NODES);
    if nodes == 0 {
        return Err("`--nodes` has to be 1 or more".into());
    }
    if flags.server.as_ref().is_some_and(|server| server == "list") {
        list_servers();
        return Ok(ExitCode::SUCCESS);
    }
    let binary = chosen(flags.server.as_deref())?;
    test(&binary, nodes, &flags.filter)?;
    Ok(ExitCode::SUCCESS)
}

/// The server of this name, or at this path; without either, the one that is found.
pub(crate) fn chosen(server: Option<&OsStr>) -> Result<Binary> {
    let Some(server) = server else { return Ok(Binary::find()?) };
    if let Some(named) = server.to_str().and_then(Binary::named) {
        return Ok(named?);
    }
    let names = || SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(" ");
    Binary::at(server).map_err(|error| format!("{error}; servers with a name: {}", names()).into())
}

/// Shows each server that has a name, whether it can be had here, and from where.
fn list_servers() {
    for server in &SERVERS {
        let found = match Binary::named(server.name) {
            Some(Ok(binary)) => binary.version,
            Some(Err(error)) => format!("cannot be had here: {error}"),
            None => String::new(),
        };
        println!("{:<10} {:<44} {found}", server.name, server.origin());
    }
}

/// Runs everything, or of `tests/it` the modules and tests named, and then sees that no server is left.
pub(crate) fn test(binary: &Binary, nodes: usize, modules: &[String]) -> Result<()> {
    let folder = RunFolder::new()?;
    let with_servers = |command: &mut Command| -> Result<()> {
        command
            .envs(binary.env())
            .env("REDISDB_NODES", nodes.to_string())
            .env("REDISDB_RUN_DIR", folder.path());
        run_leashed(command)
    };
    let outcome = if modules.is_empty() {
        with_servers(cargo().args(["test", "--workspace", "--all-features", "--no-fail-fast"]))
    } else {
        let listing = read(it().args(["--", "--list", "--format", "terse"]))?;
        let names = select(&listing, modules)?;
        with_servers(it().args(["--", "--exact"]).args(names))
    };
    // Even after a failed test, which is when it matters most.
    table::print(folder.path());
    eprintln!("\n{}", xtask::skips(folder.path()));
    let started = folder.check_none_is_left();
    if let Ok(started) = &started {
        eprintln!(
            "{started} servers of redis-server {} ({}) were started; none is left",
            binary.version, binary.origin
        );
    }
    outcome.and(started.map(drop))
}

fn it() -> Command {
    let mut command = cargo();
    // The workspace, although one package has this test: with the same features as a whole run, nothing is built anew.
    command.args(["test", "--workspace", "--all-features", "--test", "it"]);
    command
}

/// The full names of the tests in these modules, or of a single test. They are given to the test binary as they are: its own filter finds
/// `ring` inside `hashring` too, and is content to run nothing.
fn select(listing: &str, modules: &[String]) -> Result<Vec<String>> {
    let names: Vec<&str> = listing.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    let mut selected = Vec::new();
    for module in modules {
        let is_in = |name: &str| {
            name.strip_prefix(module.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let before = selected.len();
        selected.extend(names.iter().filter(|name| is_in(name)).map(|name| name.to_string()));
        if selected.len() == before {
            let known: BTreeSet<&str> = names.iter().filter_map(|name| name.split("::").next()).collect();
            let known: Vec<&str> = known.into_iter().collect();
            return Err(format!("no test in a module `{module}`; there are: {}", known.join(" ")).into());
        }
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str =
        "hashring::is_even: test\nring::get: test\nring::set: test\nring::deep::get: test\n";

    fn selected(modules: &[&str]) -> std::result::Result<Vec<String>, String> {
        let modules: Vec<String> = modules.iter().map(|module| module.to_string()).collect();
        select(LISTING, &modules).map_err(|error| error.to_string())
    }

    #[test]
    fn a_module_selects_its_own_tests() {
        assert_eq!(selected(&["ring"]).unwrap(), ["ring::get", "ring::set", "ring::deep::get"]);
        assert_eq!(selected(&["hashring", "ring::deep"]).unwrap(), ["hashring::is_even", "ring::deep::get"]);
    }

    #[test]
    fn a_test_selects_itself() {
        assert_eq!(selected(&["ring::get"]).unwrap(), ["ring::get"]);
    }

    #[test]
    fn a_module_without_tests_is_an_error_that_names_those_there_are() {
        let error = selected(&["ring", "rin"]).unwrap_err();
        assert_eq!(error, "no test in a module `rin`; there are: hashring ring");
    }
}

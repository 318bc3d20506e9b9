//! Debian's package tool, as any user can run it: packages are downloaded and unpacked, and none is installed. It checks
//! their signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::unpack::{files_in, run};

/// The packages that a Debian 12 without redis-server lacks; only for when the package tool cannot say it itself.
const USUAL_PACKAGES: [&str; 4] = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1"];

/// Unpacks redis-server and what the system lacks for it into `dir/root`.
pub(crate) fn redis_server(dir: &Path) -> Result<(), Error> {
    // First with the package lists the system has. A fresh container has none, and old ones name files that are gone:
    // then with lists of our own.
    let apt = Apt { own_state: None, suite: None };
    apt.unpack(dir, &apt.missing_packages()).or_else(|_| {
        let apt = Apt { own_state: Some(dir.join("apt")), suite: None };
        apt.update()?;
        apt.unpack(dir, &apt.missing_packages())
    })
}

/// Unpacks packages of another suite of Debian, from the server that the system has its own from, into `dir/root`.
pub(crate) fn packages_of(suite: &'static str, dir: &Path, packages: &[&str]) -> Result<(), Error> {
    let apt = Apt { own_state: Some(dir.join("apt")), suite: Some(suite) };
    apt.update()?;
    apt.unpack(dir, &packages.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

struct Apt {
    own_state: Option<PathBuf>,
    /// The one suite that is looked at, instead of those of the system.
    suite: Option<&'static str>,
}

impl Apt {
    fn update(&self) -> Result<(), Error> {
        if let Some(state) = &self.own_state {
            for part in ["state/lists/partial", "cache/archives/partial", "sources"] {
                let _ = fs::create_dir_all(state.join(part));
            }
            if let Some(suite) = self.suite {
                let source = source(suite)?;
                fs::write(state.join("sources/one.sources"), source)
                    .map_err(|error| Error::new(format!("cannot write to {}: {error}", state.display())))?;
            }
        }
        // One unreachable third-party source makes this fail although the lists needed are there: the download decides.
        let _ = run(self.command().arg("update"));
        Ok(())
    }

    fn unpack(&self, dir: &Path, names: &[String]) -> Result<(), Error> {
        let (packages, root) = (dir.join("packages"), dir.join("root"));
        // What was downloaded before from elsewhere is none of it.
        let _ = fs::remove_dir_all(&packages);
        fs::create_dir_all(&packages).map_err(|error| Error::new(error.to_string()))?;
        run(self.command().current_dir(&packages).arg("download").args(names))?;
        for deb in files_in(&packages, |name| name.ends_with(".deb")) {
            run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&root))?;
        }
        Ok(())
    }

    /// Returns what an installation of redis-server would add to this system, told by a rehearsal of it.
    fn missing_packages(&self) -> Vec<String> {
        let usual = || USUAL_PACKAGES.map(String::from).to_vec();
        let rehearsal =
            run(self.command().args(["--simulate", "--no-install-recommends", "install", "redis-server"]));
        match rehearsal.map(|text| added_packages(&text)) {
            Ok(packages) if packages.iter().any(|name| name == "redis-server") => packages,
            _ => usual(),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        // As root, apt would hand over to a user who may not write to our folder.
        command.args(["-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3"]);
        if let Some(state) = &self.own_state {
            let option = |name: &str, path: &Path| format!("{name}={}", path.display());
            command.args(["-o", &option("Dir::State", &state.join("state"))]);
            command.args(["-o", &option("Dir::Cache", &state.join("cache"))]);
            match self.suite {
                None => command.args(["-o", "Dir::State::status=/var/lib/dpkg/status"]),
                Some(_) => command
                    .args(["-o", "Dir::State::status=/dev/null", "-o", "Dir::Etc::sourcelist=/dev/null"])
                    .args(["-o", &option("Dir::Etc::sourceparts", &state.join("sources"))])
                    .args(["-o", "Acquire::Languages=none"]),
            };
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// The lines that name a suite of Debian to the package tool, on the server that the system's own list names.
fn source(suite: &str) -> Result<String, Error> {
    const LIST: &str = "/etc/apt/sources.list.d/debian.sources";
    const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let text = fs::read_to_string(LIST).map_err(|error| Error::new(format!("{LIST}: {error}")))?;
    let server = text.lines().find_map(|line| line.strip_prefix("URIs:"));
    let server = server.ok_or_else(|| Error::new(format!("{LIST} names no server")))?.trim();
    Ok(format!("Types: deb\nURIs: {server}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYS}\n"))
}

/// The packages newly added in the output of a rehearsal; those only brought up to date are left alone, and so is the
/// C library, which the running system has to provide.
fn added_packages(rehearsal: &str) -> Vec<String> {
    let added = rehearsal.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        (!rest.starts_with('[') && name != "libc6").then(|| name.to_string())
    });
    added.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_newly_added_are_fetched() {
        let rehearsal = "Reading package lists...\n\
            Inst libjemalloc2 (5.3.0-1 Debian:12.10/oldstable [amd64])\n\
            Inst libssl3 [3.0.15-1] (3.0.16-1 Debian:12.11/oldstable [amd64])\n\
            Inst libc6 (2.36 Debian:12.11/oldstable [amd64])\n\
            Inst redis-server (5:7.0.15-1 Debian-Security:12/oldstable-security [amd64])\n\
            Conf libjemalloc2 (5.3.0-1 Debian:12.10/oldstable [amd64])\n";
        assert_eq!(added_packages(rehearsal), ["libjemalloc2", "redis-server"]);
    }
}

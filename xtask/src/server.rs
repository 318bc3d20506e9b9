//! One running redis-server.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, process};

use crate::guardian::Guardian;
use crate::process::{is_alive, pause, resume, wait_until};
use crate::resp::Client;
use crate::{Binary, Error, ServerBuilder, port};

/// A server starts or writes its data down in some 10 ms; this is for a machine that does much else.
const LIMIT: Duration = Duration::from_secs(30);

/// The time for one answer of a server that is asked again until [`LIMIT`] is over.
const ATTEMPT: Duration = Duration::from_millis(500);

/// The number of times that another port is tried when the chosen one was taken meanwhile.
const PORTS_TRIED: u32 = 10;

/// The name that Redis gives its dump by default.
const DUMP_FILE: &str = "dump.rdb";

/// The name that Redis gives the log of all commands by default; since 7.0 it takes one of this name over into a folder.
const LOG_FILE: &str = "appendonly.aof";

/// The folder in which every server started leaves a file named by its process id, with its port: whoever sets this
/// variable can see afterwards whether one is left.
pub(crate) const RUN_DIR: &str = "REDISDB_RUN_DIR";

/// The fate of the data at a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// The server comes back with everything it ever answered for.
    Keep,
    /// The server comes back empty.
    Lose,
}

/// The data of a server at one moment: see [`Server::dump`].
#[derive(Debug, Clone)]
pub struct Dump(Vec<u8>);

/// A redis-server of one's own; it is killed and its folder removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    options: ServerBuilder,
    binary: Binary,
    port: u16,
    dir: PathBuf,
    socket: Option<PathBuf>,
    pid: u32,
    guardian: Guardian,
}

impl Server {
    /// Starts a server that keeps nothing on disk, and waits until it answers.
    ///
    /// # Errors
    /// There is no redis-server to run, or it did not start: its log is in the text.
    pub fn start() -> Result<Server, Error> {
        Server::builder().start()
    }

    /// A server with a password, a socket, settings of its own.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// The TCP port it listens on; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address for a client, with the password if there is one: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let password =
            self.options.password.as_deref().map(|password| format!(":{}@", percent_encode(password)));
        format!("redis://{}127.0.0.1:{}", password.unwrap_or_default(), self.port)
    }

    /// Its Unix socket, if it was started with one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// The id of its process; another one after a restart.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its temporary folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns what it has logged since its first start.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns whether its process is there; a paused one is.
    pub fn is_running(&self) -> bool {
        self.guardian.is_watching() && is_alive(self.pid)
    }

    /// Ends it at once, as `kill -9` does, and waits until it is gone. A paused server goes too.
    pub fn kill(&mut self) {
        self.guardian.kill();
    }

    /// Stops it as `kill -STOP` does: it still accepts connections and answers nothing. Returns when it has stopped.
    pub fn pause(&self) {
        if self.is_running() {
            pause(self.pid);
        }
    }

    /// Lets a paused server go on. Returns when it does.
    pub fn resume(&self) {
        if self.is_running() {
            resume(self.pid);
        }
    }

    /// Starts it again on the same port and waits until it answers; kills it first if it is running.
    ///
    /// # Errors
    /// `Data::Keep` on a server that was not started with [`ServerBuilder::persistent`]; or it did not start.
    pub fn restart(&mut self, data: Data) -> Result<(), Error> {
        if data == Data::Keep && !self.options.persistent {
            return Err(Error::new(format!(
                "the server on port {} keeps no data over a restart; \
                 start it with `Server::builder().persistent()`, or restart it with `Data::Lose`",
                self.port
            )));
        }
        self.kill();
        if data == Data::Lose {
            self.empty_data_dir().map_err(|error| self.trouble("empty the data folder of", error))?;
        }
        self.run_again()
    }

    /// Has it write down everything it holds now, and returns that.
    ///
    /// # Errors
    /// It does not answer within 30 s, or cannot write.
    pub fn dump(&self) -> Result<Dump, Error> {
        let save = || {
            self.client(LIMIT)?.ask(&["SAVE"])?;
            fs::read(self.data_dir().join(DUMP_FILE))
        };
        save().map(Dump).map_err(|error| self.trouble("dump", error))
    }

    /// Starts it again on the same port with what a server held when it was dumped, as an operator does with a backup,
    /// and waits until it answers; kills it first if it is running.
    ///
    /// # Errors
    /// It did not start.
    pub fn restart_from(&mut self, dump: &Dump) -> Result<(), Error> {
        self.kill();
        // A server with a log reads that and no dump; but a log may begin with a dump.
        let file = if self.options.persistent { LOG_FILE } else { DUMP_FILE };
        let replaced = self.empty_data_dir().and_then(|()| fs::write(self.data_dir().join(file), &dump.0));
        replaced.map_err(|error| self.trouble("replace the dump of", error))?;
        self.run_again()
    }

    fn run_again(&mut self) -> Result<(), Error> {
        // Nothing else is told to use this port, but something may have been given it for an outgoing connection.
        let mut outcome = Err(Refusal::PortTaken);
        wait_until(LIMIT, || {
            outcome = self.run();
            !matches!(outcome, Err(Refusal::PortTaken))
        });
        outcome.map_err(|refusal| refusal.into_error(self))
    }

    pub(crate) fn launch(options: ServerBuilder) -> Result<Server, Error> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => Binary::find()?,
        };
        let no_folder =
            |error| Error::new(format!("no temporary folder for a server ({error}); set TMPDIR to one"));
        let dir = new_dir().map_err(no_folder)?;
        if options.sentinel {
            // A sentinel keeps what it is told in its configuration file, and does not start without one.
            fs::write(sentinel_config_in(&dir), "").map_err(no_folder)?;
        }
        let guardian = Guardian::post(&dir, &binary, &arguments(&options, &dir)).map_err(|error| {
            let _ = fs::remove_dir_all(&dir);
            Error::new(format!("a shell named `sh` has to be on PATH to watch over a server: {error}"))
        })?;
        let socket = options.unix_socket.then(|| socket_in(&dir));
        let mut server = Server { options, binary, port: 0, dir, socket, pid: 0, guardian };
        for _ in 0..PORTS_TRIED {
            server.port = port::free_port().ok_or_else(|| Error::new("no free port on 127.0.0.1"))?;
            match server.run() {
                Ok(()) => return Ok(server),
                Err(Refusal::PortTaken) => (),
                Err(refusal) => return Err(refusal.into_error(&server)),
            }
        }
        Err(Error::new(format!("another process took each of {PORTS_TRIED} free ports first; try again")))
    }

    /// Starts the process and waits until it answers on its port; leaves no process when it did not.
    fn run(&mut self) -> Result<(), Refusal> {
        let log_before = self.log().len();
        self.pid = self.guardian.start(self.port).map_err(Refusal::NotStarted)?;
        if let Some(run_dir) = env::var_os(RUN_DIR) {
            let _ = fs::write(Path::new(&run_dir).join(self.pid.to_string()), self.port.to_string());
        }
        let mut is_answering = false;
        wait_until(LIMIT, || {
            is_answering = self.answers(log_before);
            is_answering || !self.is_running()
        });
        if is_answering {
            return Ok(());
        }
        let refusal = match self.is_running() {
            true => Refusal::Silent,
            false if self.log().get(log_before..).is_some_and(says_port_taken) => Refusal::PortTaken,
            false => Refusal::Ended,
        };
        self.kill();
        Err(refusal)
    }

    /// Returns whether this very process answers: on a port lost to another one, a foreign server might. One whose commands were
    /// renamed is known by what it has logged since its start.
    fn answers(&self, log_before: usize) -> bool {
        let knows = |reply: &io::Result<String>| !matches!(reply, Err(e) if e.to_string().contains("unknown command"));
        let ask = || -> io::Result<bool> {
            let mut client = self.client(ATTEMPT)?;
            let info = client.ask(&["INFO", "server"]);
            let is_this = match knows(&info) {
                true => {
                    let pid = info?
                        .lines()
                        .find_map(|line| line.trim_end().strip_prefix("process_id:").map(str::to_owned));
                    pid == Some(self.pid.to_string())
                }
                false => self
                    .log()
                    .get(log_before..)
                    .is_some_and(|log| log.contains("Ready to accept connections")),
            };
            // While it loads its data it answers to INFO and not yet to PING.
            let pong = client.ask(&["PING"]);
            Ok(is_this && (!knows(&pong) || pong? == "PONG"))
        };
        ask().unwrap_or(false)
    }

    fn client(&self, patience: Duration) -> io::Result<Client> {
        let mut client = Client::connect(self.port, patience)?;
        if let Some(password) = &self.options.password {
            client.ask(&["AUTH", password])?;
        }
        Ok(client)
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn empty_data_dir(&self) -> io::Result<()> {
        fs::remove_dir_all(self.data_dir())?;
        fs::create_dir(self.data_dir())
    }

    fn trouble(&self, doing: &str, error: io::Error) -> Error {
        let why = match error.kind() {
            // What the system calls a socket whose time is up depends on the system.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("no answer within {} s", LIMIT.as_secs())
            }
            _ => error.to_string(),
        };
        Error::new(format!("cannot {doing} the server on port {}: {why}", self.port))
    }
}

/// The reason why one start came to nothing.
#[derive(Debug)]
enum Refusal {
    PortTaken,
    NotStarted(io::Error),
    Ended,
    Silent,
}

impl Refusal {
    fn into_error(self, server: &Server) -> Error {
        let what = match self {
            Refusal::PortTaken => "another process took its port".to_string(),
            Refusal::NotStarted(error) => error.to_string(),
            Refusal::Ended => "it ended at once".to_string(),
            Refusal::Silent => format!("no answer within {} s", LIMIT.as_secs()),
        };
        let log = match server.log() {
            log if log.trim().is_empty() => "(empty)".to_string(),
            log => log.trim_end().to_string(),
        };
        Error::new(format!(
            "{} did not start on port {}: {what}; its log:\n{log}",
            server.binary.path.display(),
            server.port
        ))
    }
}

fn arguments(options: &ServerBuilder, dir: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    if options.sentinel {
        args.extend([sentinel_config_in(dir).into(), "--sentinel".into()]);
    }
    let mut set = |name: &str, value: OsString| args.extend([name.into(), value]);
    set("--bind", "127.0.0.1".into());
    set("--dir", dir.join("data").into());
    set("--save", "".into());
    set("--appendonly", if options.persistent { "yes" } else { "no" }.into());
    // A kill right after an answer loses nothing.
    set("--appendfsync", "always".into());
    if let Some(password) = &options.password {
        set("--requirepass", password.into());
    }
    if options.unix_socket {
        set("--unixsocket", socket_in(dir).into());
    }
    args.extend(options.args.iter().map(OsString::from));
    args
}

fn sentinel_config_in(dir: &Path) -> PathBuf {
    dir.join("sentinel.conf")
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

fn says_port_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// Short, because the path of a Unix socket has to fit in about 100 bytes; closed to other users.
fn new_dir() -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let name = format!("redisdb-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {
                fs::create_dir(dir.join("data"))?;
                return Ok(dir);
            }
            // Left by a process of the same id, on a machine that lost power.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(error),
        }
    }
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_encoded_for_the_url() {
        assert_eq!(percent_encode("p@ss/1:é~"), "p%40ss%2F1%3A%C3%A9~");
    }
}

//! The servers of a seed, what they hold, and what they were sent.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use redis::Cmd;
use redisdb_tests::Held;
use redisdb_tests::Outcome;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;
use redisdb_tests::connect;
use redisdb_tests::held;
use xtask::Binary;
use xtask::Server;

/// By how much the clock of one server is ahead in the scene of clocks.
pub(crate) const AHEAD: Duration = Duration::from_secs(30);

/// The number of differing keys are traced.
const TRACED: usize = 20;

/// Servers, each of which ends with this value.
pub(crate) struct Stage {
    servers: Vec<Server>,
    folder: PathBuf,
}

impl Stage {
    /// Starts the servers, one of them with a clock that is ahead if that is given with the library that does it.
    pub(crate) fn start(
        n_nodes: usize,
        binary: &Binary,
        folder: &Path,
        ahead: Option<(usize, &Path)>,
    ) -> Outcome<Self> {
        let start = |node| match ahead {
            Some((one, library)) if one == node => {
                let binary = with_a_clock_ahead(binary, folder, library)?;
                Ok(Server::builder().binary(&binary).start()?)
            }
            _ => Ok(Server::builder().binary(binary).start()?),
        };
        let servers = (0..n_nodes).map(start).collect::<Outcome<Vec<_>>>()?;
        let stage = Self { servers, folder: folder.to_owned() };
        if let Some((node, _)) = ahead {
            let (seconds, _): (u64, u64) =
                Cmd::new().arg("TIME").query(&mut connect(stage.servers[node].port())?)?;
            if (seconds * 1_000_000).abs_diff(now() + micros(AHEAD)) > 2_000_000 {
                return Err("the clock of the server is not ahead".into());
            }
        }
        Ok(stage)
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Has each server tell all commands that it is sent, into a file.
    pub(crate) fn monitor(&self) -> Outcome<()> {
        for (node, server) in self.servers.iter().enumerate() {
            let mut commands = TcpStream::connect(("127.0.0.1", server.port()))?;
            commands.write_all(b"MONITOR\r\n")?;
            let mut file = File::create(self.monitored(node))?;
            // It ends with the server.
            thread::spawn(move || io::copy(&mut commands, &mut file));
        }
        Ok(())
    }

    fn monitored(&self, node: usize) -> PathBuf {
        self.folder.join(format!("commands-{node}"))
    }

    /// Reads from all servers at once what they hold.
    pub(crate) fn contents(&self) -> Outcome<Vec<BTreeMap<String, Held>>> {
        thread::scope(|scope| {
            let reads: Vec<_> =
                self.servers.iter().map(|server| scope.spawn(|| held(server.port()))).collect();
            reads.into_iter().map(|read| Ok(read.join().unwrap()?)).collect()
        })
    }

    /// Returns how many commands that bring a key over or take it away the servers have run together.
    pub(crate) fn n_copied(&self) -> Outcome<u64> {
        let mut n_copied = 0;
        for server in &self.servers {
            let stats: String =
                Cmd::new().arg("INFO").arg("commandstats").query(&mut connect(server.port())?)?;
            for name in ["cmdstat_restore:calls=", "cmdstat_unlink:calls="] {
                let count = stats.lines().find_map(|line| line.strip_prefix(name)?.split(',').next());
                n_copied += count.map_or(Ok(0), str::parse::<u64>)?;
            }
        }
        Ok(n_copied)
    }

    /// Returns what each server holds of the first of these keys, and which commands it was sent of them if that was told.
    pub(crate) fn traces(&self, differing: &[(String, Vec<String>)]) -> String {
        let mut text = String::new();
        for (key, on_each) in differing.iter().take(TRACED) {
            text.push_str(&format!("\ndiffering: {key}\n"));
            for (node, value) in on_each.iter().enumerate() {
                text.push_str(&format!("  server {node}: {value}\n"));
            }
            for node in 0..self.servers.len() {
                let commands = fs::read(self.monitored(node)).unwrap_or_default();
                let commands = String::from_utf8_lossy(&commands);
                let quoted = format!("\"{key}\"");
                for line in commands.lines().filter(|line| line.contains(&quoted)) {
                    let shown: String = line.chars().take(400).collect();
                    text.push_str(&format!("  server {node} was sent {shown}\n"));
                }
            }
        }
        text
    }
}

/// The same program, under a clock that is ahead. The C library gives the memory, for jemalloc asks for the time before libfaketime is
/// ready to tell it.
fn with_a_clock_ahead(binary: &Binary, folder: &Path, library: &Path) -> Outcome<Binary> {
    let path = folder.join("redis-server");
    let (ahead, library, program) = (AHEAD.as_secs(), library.display(), binary.path.display());
    fs::write(
        &path,
        format!(
            "#!/bin/sh\nFAKETIME=+{ahead} FAKETIME_DONT_FAKE_MONOTONIC=1 LD_PRELOAD='{library} libc.so.6' exec '{program}' \"$@\"\n"
        ),
    )?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
    Ok(Binary { path, ..binary.clone() })
}

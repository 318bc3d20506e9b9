//! `cargo xtask bench peers`: the sharding clients of other languages at the same work, beside ours.
//!
//! Each has its turn in every round, with one task, which is all that most of them know, and those that know more with
//! 64. What is not installed is named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use xtask::{Servers, workspace};

use super::client::{Program, Task};
use super::report;
use crate::Result;
use crate::cargo::run as run_command;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_millis(700);
const WORKS: [(&str, usize, &str); 5] = [
    ("get", 1, "GET, one task"),
    ("set", 1, "SET, one task"),
    ("mget", 1, "100 keys at once, one task"),
    ("get", 64, "GET, 64 tasks"),
    ("set", 64, "SET, 64 tasks"),
];

/// The way in which a contender is run.
enum Peer {
    /// By our own program.
    Rust(&'static str),
    /// By our own program, through the proxy.
    Proxy(Proxy),
    /// A program and a script of ours.
    Script(PathBuf, &'static str),
}

impl Peer {
    /// Returns whether it can have many calls under way at the same time.
    fn knows_tasks(&self) -> bool {
        !matches!(self, Self::Script(..))
    }
}

pub(crate) fn run() -> Result<ExitCode> {
    let program = Program::build(false)?;
    let servers = Servers::start(3)?;
    let urls = servers.urls();
    program.fill(&urls, 64)?;
    // Debian has version 5 alone, of 2017, which makes a connection for each call when it is built with Debian's Go 1.19.
    let mut missing = vec!["go-redis `Ring`, which needs Go and a module from its proxy".to_owned()];
    let peers = peers(&urls, &mut missing)?;
    let mut text = format!(
        "Three servers, values of 64 bytes, medians of {ROUNDS} rounds of {} ms in turn; {}.\n",
        TIME.as_millis(),
        report::machine()
    );
    for (work, tasks, title) in WORKS {
        write!(text, "\n| {title} | operations/s | ratio | CPU, us | ratio |\n|---|--:|--:|--:|--:|\n")?;
        let able: Vec<_> = peers.iter().filter(|(_, peer)| tasks == 1 || peer.knows_tasks()).collect();
        let mut measured: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (idx, (_, peer)) in able.iter().enumerate() {
                measured.entry(idx).or_default().push(measure(&program, peer, (work, tasks), &urls)?);
            }
        }
        let medians: Vec<(f64, f64)> = measured.into_values().map(|mut turns| median(&mut turns)).collect();
        let Some(&(first, cpu_first)) = medians.first() else { continue };
        for ((name, _), (per_second, cpu)) in able.into_iter().zip(medians) {
            let (speed, cost) = (per_second / first, cpu / cpu_first);
            writeln!(text, "| {name} | {per_second:.0} | {speed:.2} | {cpu:.1} | {cost:.2} |")?;
        }
    }
    for missing in &missing {
        writeln!(text, "\nNot measured: {missing}")?;
    }
    println!("{text}");
    let path = report::write("peers.md", &text)?;
    println!("written to {}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn peers(urls: &[String], missing: &mut Vec<String>) -> Result<Vec<(&'static str, Peer)>> {
    let mut peers =
        vec![("**RedisRing**", Peer::Rust("ring")), ("redis-rs, sharded by hand", Peer::Rust("redis"))];
    match Proxy::start(urls)? {
        Some(proxy) => peers.push(("redis-rs through twemproxy, both", Peer::Proxy(proxy))),
        None => missing.push("twemproxy; `apt install nutcracker`".to_owned()),
    }
    let mut script = |name, program: &str, probe: [&str; 2], script, install: &str| {
        if succeeds(Command::new(program).args(probe)) {
            peers.push((name, Peer::Script(program.into(), script)));
        } else {
            missing.push(format!("{name}; {install}"));
        }
    };
    let distributed = ["-e", "require 'redis/distributed'"];
    script("redis-rb `Distributed`", "ruby", distributed, "distributed.rb", "`apt install ruby-redis`");
    let array = ["-r", "class_exists('RedisArray') || exit(1);"];
    script("phpredis `RedisArray`", "php", array, "array.php", "`apt install php-cli php-redis`");
    match python() {
        Ok(python) => peers.push(("redis-py and uhashring", Peer::Script(python, "uhashring_redis.py"))),
        Err(error) => missing.push(format!("redis-py and uhashring; {error}")),
    }
    Ok(peers)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A Python of our own, with its client and a ring: uhashring, for hash_ring runs on Python 2 alone.
fn python() -> Result<PathBuf> {
    let folder = workspace::target_dir().join("bench/python");
    let python = folder.join("bin/python");
    if !succeeds(Command::new(&python).args(["-c", "import redis, uhashring"])) {
        run_command(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run_command(Command::new(&python).args(["-m", "pip", "install", "--quiet", "redis", "uhashring"]))?;
        if !succeeds(Command::new(&python).args(["-c", "import redis, uhashring"])) {
            return Err("its packages do not load".into());
        }
    }
    Ok(python)
}

/// Operations in a second, and microseconds of CPU for each.
fn measure(
    program: &Program,
    peer: &Peer,
    (work, tasks): (&'static str, usize),
    urls: &[String],
) -> Result<(f64, f64)> {
    let (operations, wall, cpu) = match peer {
        Peer::Rust(client) => ours(program, client, (work, tasks), urls)?,
        Peer::Proxy(proxy) => {
            let before = proxy.cpu()?;
            let (operations, wall, cpu) =
                ours(program, "redis", (work, tasks), std::slice::from_ref(&proxy.url))?;
            // It works during the warm-up too, a tenth of the time.
            (operations, wall, cpu + (proxy.cpu()? - before) / 1.1)
        }
        Peer::Script(interpreter, script) => {
            let script = workspace::root().join("benches/peers").join(script);
            let output = Command::new(interpreter)
                .arg(&script)
                .args([work, &TIME.as_millis().to_string()])
                .args(urls)
                .stderr(Stdio::inherit())
                .output()?;
            let said = String::from_utf8_lossy(&output.stdout);
            let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let [operations, wall, cpu] = numbers[..] else {
                return Err(format!("{} printed `{said}`", script.display()).into());
            };
            (operations, wall / 1e9, cpu / 1e9)
        }
    };
    Ok((operations / wall, cpu * 1e6 / operations))
}

fn ours(
    program: &Program,
    client: &'static str,
    (work, tasks): (&'static str, usize),
    urls: &[String],
) -> Result<(f64, f64, f64)> {
    let task = Task { client, work, tasks, size: 64, multi: false };
    let measured = program.measure(&task, urls, TIME)?;
    Ok((measured.operations, measured.wall.as_secs_f64(), measured.cpu.as_secs_f64()))
}

fn median(turns: &mut [(f64, f64)]) -> (f64, f64) {
    let middle = turns.len() / 2;
    let mut of = |value: fn(&(f64, f64)) -> f64| {
        turns.sort_by(|a, b| value(a).total_cmp(&value(b)));
        turns.get(middle).map_or(f64::NAN, value)
    };
    (of(|turn| turn.0), of(|turn| turn.1))
}

/// twemproxy in front of the servers.
struct Proxy {
    process: Child,
    url: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Proxy {
    /// `None` if it is not installed.
    fn start(urls: &[String]) -> Result<Option<Proxy>> {
        let binary = ["nutcracker", "/usr/sbin/nutcracker"].into_iter().find(|binary| {
            Command::new(binary).arg("--version").stderr(Stdio::null()).stdout(Stdio::null()).status().is_ok()
        });
        let Some(binary) = binary else { return Ok(None) };
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let stats = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut config = format!(
            "bench:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: modula\n  redis: true\n  servers:\n"
        );
        for url in urls {
            writeln!(config, "   - {}:1", url.trim_start_matches("redis://"))?;
        }
        let folder = workspace::target_dir().join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join("nutcracker.yml");
        fs::write(&path, config)?;
        let process = Command::new(binary)
            .arg("--conf-file")
            .arg(&path)
            .args(["--stats-port", &stats.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let proxy = Proxy { process, url: format!("redis://127.0.0.1:{port}") };
        let limit = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if limit < Instant::now() {
                return Err("nutcracker does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(proxy))
    }

    /// The seconds of CPU that it has used, in hundredths, as Linux counts them for other processes.
    fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name in parentheses may hold spaces; user and system time are the 12th and 13th word after it.
        let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = words.skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
        Ok(ticks / 100.0)
    }
}

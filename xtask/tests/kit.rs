//! The server kit on real servers: `cargo test -p xtask --features servers`.
#![cfg(feature = "servers")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, panic, process, thread};

use xtask::{Data, Server, Servers, command_line, is_alive, once_more, skipped, told};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_started_server_answers() {
    let server = Server::start().unwrap();
    assert_eq!(ask(&server, "PING"), "+PONG");
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    assert!(server.log().contains("Ready to accept connections"), "{}", server.log());
    assert!(server.dir().is_dir());
    assert_eq!(server.socket(), None);
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let server = Server::start().unwrap();
    let (pid, dir) = (server.pid(), server.dir().to_path_buf());
    drop(server);
    assert!(is_gone(pid, &dir));
}

#[test]
fn a_panic_takes_the_server_along() {
    let mut traces = None;
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let server = Server::start().unwrap();
        traces = Some((server.pid(), server.dir().to_path_buf()));
        panic!("on purpose");
    }));
    assert!(outcome.is_err());
    let (pid, dir) = traces.unwrap();
    assert!(is_gone(pid, &dir));
}

#[test]
fn a_killed_server_is_gone_and_comes_back_on_its_port() {
    let mut server = Server::start().unwrap();
    let (port, pid) = (server.port(), server.pid());
    assert!(server.is_running());
    server.kill();
    assert!(!server.is_running());
    assert_eq!(command_line(pid), None);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.restart(Data::Lose).unwrap();
    assert!(server.is_running());
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(ask(&server, "PING"), "+PONG");
}

#[test]
fn a_persistent_server_keeps_what_it_answered_for() {
    let mut server = Server::builder().persistent().start().unwrap();
    assert_eq!(ask(&server, "SET k v"), "+OK");
    server.restart(Data::Keep).unwrap();
    assert_eq!(ask(&server, "GET k"), "$1");
    server.restart(Data::Lose).unwrap();
    assert_eq!(ask(&server, "GET k"), "$-1");
}

#[test]
fn a_server_comes_back_with_an_older_dump() {
    let mut server = Server::start().unwrap();
    assert_eq!(ask(&server, "SET k v"), "+OK");
    let dump = server.dump().unwrap();
    assert_eq!(ask(&server, "DEL k"), ":1");
    assert_eq!(ask(&server, "SET l v"), "+OK");
    server.restart_from(&dump).unwrap();
    assert_eq!((ask(&server, "GET k"), ask(&server, "GET l")), ("$1".to_string(), "$-1".to_string()));
    server.kill();
    assert!(server.dump().is_err());
    let mut persistent = Server::builder().persistent().start().unwrap();
    assert_eq!(ask(&persistent, "SET l v"), "+OK");
    persistent.restart_from(&dump).unwrap();
    assert_eq!((ask(&persistent, "GET k"), ask(&persistent, "GET l")), ("$1".to_string(), "$-1".to_string()));
    assert_eq!(ask(&persistent, "SET l v"), "+OK");
    persistent.restart(Data::Keep).unwrap();
    assert_eq!((ask(&persistent, "GET k"), ask(&persistent, "GET l")), ("$1".to_string(), "$1".to_string()));
}

#[test]
fn a_busy_server_is_dumped_when_it_has_time() {
    let server = Server::start().unwrap();
    let mut busy = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let a_second = "local t = redis.call('TIME')[1] repeat until 1 < redis.call('TIME')[1] - t return 1";
    busy.write_all(format!("EVAL \"{a_second}\" 0\r\n").as_bytes()).unwrap();
    server.dump().unwrap();
    busy.set_read_timeout(Some(SOON)).unwrap();
    let mut reply = String::new();
    BufReader::new(busy).read_line(&mut reply).unwrap();
    assert_eq!(reply, ":1\r\n");
}

#[test]
fn a_server_without_persistence_refuses_to_keep_data_and_goes_on() {
    let mut server = Server::start().unwrap();
    let error = server.restart(Data::Keep).unwrap_err().to_string();
    assert!(error.contains("persistent()"), "{error}");
    assert_eq!(ask(&server, "PING"), "+PONG");
}

#[test]
fn a_paused_server_accepts_connections_and_answers_when_resumed() {
    let server = Server::start().unwrap();
    server.pause();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0]).is_err());
    server.resume();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"+");
}

#[test]
fn a_paused_server_can_be_killed_restarted_and_dropped() {
    let mut server = Server::start().unwrap();
    server.pause();
    server.kill();
    server.restart(Data::Lose).unwrap();
    server.pause();
    server.restart(Data::Lose).unwrap();
    assert_eq!(ask(&server, "PING"), "+PONG");
    server.pause();
    let (pid, dir) = (server.pid(), server.dir().to_path_buf());
    drop(server);
    assert!(is_gone(pid, &dir));
}

#[test]
fn a_password_is_asked_for_and_is_in_the_url() {
    let server = Server::builder().password("p@ss").start().unwrap();
    assert!(ask(&server, "PING").starts_with("-NOAUTH"));
    assert_eq!(server.url(), format!("redis://:p%40ss@127.0.0.1:{}", server.port()));
}

#[test]
fn a_socket_and_settings_are_passed_on() {
    let server = Server::builder().unix_socket().arg("--maxmemory", "1mb").start().unwrap();
    std::os::unix::net::UnixStream::connect(server.socket().unwrap()).unwrap();
    assert_eq!(ask_bulk(&server, "CONFIG GET maxmemory", 4), "1048576");
}

#[test]
fn a_wrong_setting_is_an_error_that_shows_the_log() {
    let error = Server::builder().arg("--no-such-setting", "1").start().unwrap_err().to_string();
    assert!(error.contains("no-such-setting"), "{error}");
}

#[test]
fn many_servers_start_on_ports_of_their_own() {
    let servers = Servers::start(4).unwrap();
    let mut ports: Vec<u16> = servers.iter().map(Server::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
    assert_eq!(servers.urls()[2], servers[2].url());
}

/// The owner is this test once more, in a process of its own.
#[test]
fn a_killed_owner_takes_its_servers_along() {
    if let Some(end) = told() {
        return own(&end);
    }
    for signal in ["KILL", "INT", "TERM", "HUP"].into_iter().filter(|signal| !is_ignored(signal)) {
        let (mut owner, traces) = start_owner("wait");
        // Kept open: to wait for the owner would close it, and let the owner end in peace before the signal arrives.
        let _stdin = owner.stdin.take();
        let sent =
            Command::new("sh").args(["-c", &format!("kill -s {signal} {}", owner.id())]).status().unwrap();
        assert!(sent.success());
        owner.wait().unwrap();
        for (pid, dir) in traces {
            assert!(within_limit(|| is_gone(pid, &dir)), "server {pid} survived SIG{signal} of its owner");
        }
    }
}

#[test]
fn an_owner_that_exits_or_aborts_takes_its_servers_along() {
    if let Some(end) = told() {
        return own(&end);
    }
    for end in ["exit", "abort"] {
        let (mut owner, traces) = start_owner(end);
        owner.wait().unwrap();
        for (pid, dir) in traces {
            assert!(within_limit(|| is_gone(pid, &dir)), "server {pid} survived the {end} of its owner");
        }
    }
}

#[test]
fn an_interrupted_cluster_up_leaves_no_server() {
    for signal in ["INT", "KILL"].into_iter().filter(|signal| !is_ignored(signal)) {
        let notes = Server::start().unwrap();
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["cluster", "up", "--nodes", "2"])
            .env("REDISDB_RUN_DIR", notes.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(xtask.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.filter(|line| line.starts_with("url = ")).take(2).count(), 2);
        let names = fs::read_dir(notes.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        let pids: Vec<u32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
        assert_eq!(pids.len(), 2);
        send(signal, xtask.id());
        xtask.wait().unwrap();
        assert!(within_limit(|| pids.iter().all(|pid| !is_alive(*pid))), "a server survived SIG{signal}");
    }
}

/// What an owner does until it ends in this way: one server runs, one is paused.
fn own(end: &str) {
    let servers = Servers::start(2).unwrap();
    servers[1].pause();
    for server in &servers {
        println!("\nserver {} {}", server.pid(), server.dir().display());
    }
    match end {
        "exit" => process::exit(0),
        "abort" => process::abort(),
        _ => drop(std::io::stdin().read(&mut [0])),
    }
}

fn start_owner(end: &str) -> (Child, Vec<(u32, PathBuf)>) {
    let mut owner = once_more(end)
        .unwrap()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let traces = lines.filter_map(|line| {
        let (pid, dir) = line.strip_prefix("server ")?.split_once(' ')?;
        Some((pid.parse().unwrap(), PathBuf::from(dir)))
    });
    let traces: Vec<_> = traces.take(2).collect();
    assert_eq!(traces.len(), 2);
    (owner, traces)
}

/// Returns whether this process was started with a signal ignored, as a shell does with what it runs in the background: then
/// every child of it ignores the signal too, and there is nothing to see.
fn is_ignored(signal: &str) -> bool {
    let number = match signal {
        "HUP" => 1,
        "INT" => 2,
        "KILL" => 9,
        "TERM" => 15,
        other => panic!("which number has SIG{other}?"),
    };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let ignored = mask >> (number - 1) & 1 == 1;
    if ignored {
        skipped("a signal is ignored by whoever started the tests", Some(&format!("SIG{signal}")));
    }
    ignored
}

fn send(signal: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {signal} {pid}")]).status().unwrap();
    assert!(sent.success());
}

fn is_gone(pid: u32, dir: &Path) -> bool {
    command_line(pid).is_none() && !dir.exists()
}

fn within_limit(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        thread::yield_now();
    }
    false
}

/// The first line of the reply to an inline command.
fn ask(server: &Server, command: &str) -> String {
    ask_bulk(server, command, 0)
}

fn ask_bulk(server: &Server, command: &str, line: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    BufReader::new(stream).lines().nth(line).unwrap().unwrap()
}

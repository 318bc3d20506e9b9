//! TLS to a real server, with certificates of its own. Left out, and said so, where `openssl` or a server with TLS is
//! not at hand.

use std::env;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use redisdb::Node;
use redisdb::commands::*;
use redisdb::node::SentinelCommands;
use xtask::Server;
use xtask::ServerBuilder;

/// Set in the child process that a test starts of itself: the roots are read once in a process, from its environment.
const URL: &str = "REDISDB_TEST_TLS_URL";

fn openssl(dir: &Path, args: &str) -> bool {
    let run = Command::new("openssl")
        .current_dir(dir)
        .args(args.split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Certificates for `localhost`, and of who vouches for them; whether there are any.
fn certificates(dir: &Path) -> bool {
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let made = [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    ]
    .iter()
    .all(|args| openssl(dir, args));
    if !made {
        println!("left out: openssl makes no certificates on this machine");
    }
    made
}

/// A server on a TLS port, and the port.
pub(crate) fn server(dir: &Path) -> Option<(Server, u16)> {
    if certificates(dir) { on_tls_port(Server::builder().password("the-right-one"), dir) } else { None }
}

/// The same, of a kind of its own.
fn on_tls_port(builder: ServerBuilder, dir: &Path) -> Option<(Server, u16)> {
    let port = xtask::free_port().unwrap();
    let file = |name: &str| dir.join(name).display().to_string();
    let server = builder
        .arg("--tls-port", &port.to_string())
        .arg("--tls-cert-file", &file("server.crt"))
        .arg("--tls-key-file", &file("server.key"))
        .arg("--tls-ca-cert-file", &file("ca.crt"))
        .arg("--tls-auth-clients", "no")
        .start();
    match server {
        Ok(server) => Some((server, port)),
        Err(error) => {
            println!(
                "left out: this server has no TLS: {}",
                error.to_string().lines().next().unwrap_or_default()
            );
            None
        }
    }
}

/// Runs one of the tests below in a process of its own, which trusts these roots.
fn run(test: &str, url: &str, roots: &Path) {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(URL, url)
        .env("SSL_CERT_FILE", roots)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
fn a_server_is_verified_and_talked_to() {
    if env::var_os(URL).is_some() {
        return;
    }
    let dir = Server::start().unwrap();
    let Some((_server, port)) = server(dir.dir()) else { return };
    let url = format!("rediss://:the-right-one@localhost:{port}/1");
    run("tls::child_talks", &url, &dir.dir().join("ca.crt"));
    // The server's own certificate does not vouch for itself.
    run("tls::child_is_refused", &url, &dir.dir().join("server.crt"));
    // The certificate is for another name.
    run("tls::child_is_refused", &url.replace("localhost", "127.0.0.1"), &dir.dir().join("ca.crt"));
}

#[tokio::test]
async fn sentinels_and_their_master_are_talked_to_through_tls() {
    if env::var_os(URL).is_some() {
        return;
    }
    let dir = Server::start().unwrap();
    let Some((_master, master_port)) = server(dir.dir()) else { return };
    let sentinel = Server::builder().sentinel().password("the-right-one-too");
    let Some((sentinel, port)) = on_tls_port(sentinel, dir.dir()) else { return };
    let at = Node::connect(sentinel.url()).await.unwrap();
    for setting in ["resolve-hostnames", "announce-hostnames"] {
        let set = redis::cmd("SENTINEL").arg("CONFIG").arg("SET").arg(setting).arg("yes").take();
        at.send(&set).await.unwrap();
    }
    at.sentinel_monitor("mymaster", "localhost", master_port, 1).await.unwrap();
    let url = format!(
        "rediss+sentinel://:the-right-one@localhost:{port}/mymaster/1?sentinel_password=the-right-one-too"
    );
    run("tls::child_talks", &url, &dir.dir().join("ca.crt"));
    run("tls::child_is_refused", &url, &dir.dir().join("server.crt"));
}

#[tokio::test]
async fn child_talks() {
    let Ok(url) = env::var(URL) else { return };
    let node = Node::connect(url).await.unwrap();
    node.set("k", 5).await.unwrap();
    assert_eq!(node.get::<i64>("k").await.unwrap(), Some(5));
    let mut owned = node.owned().await.unwrap();
    assert_eq!(redis::cmd("GET").arg("k").query_async::<i64>(&mut owned).await.unwrap(), 5);
}

#[tokio::test]
async fn child_is_refused() {
    let Ok(url) = env::var(URL) else { return };
    let error = Node::connect(url).await.unwrap_err();
    assert!(matches!(error.kind(), redisdb::node::ErrorKind::Tls(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("the-right-one"));
}

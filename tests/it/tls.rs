//! TLS to a real server, with certificates of its own. Skipped where `openssl` or a server with TLS is not at hand.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb::node::SentinelCommands;
use redisdb_tests::passes;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use xtask::Server;
use xtask::ServerBuilder;
use xtask::needs;
use xtask::once_more;
use xtask::told;

pub(crate) fn openssl(dir: &Path, args: &str) -> bool {
    let run = Command::new("openssl")
        .current_dir(dir)
        .args(args.split(' '))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

/// Certificates for `localhost`, and of who vouches for them.
pub(crate) fn certificates(dir: &Path) -> Result<(), String> {
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let made = [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    ]
    .iter()
    .all(|args| openssl(dir, args));
    if made { Ok(()) } else { Err("openssl makes no certificates on this machine".to_owned()) }
}

/// Signs the server's certificate anew, for another time; whether it could.
fn signed_for(dir: &Path, from: &str, to: &str) -> bool {
    let authority = "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n\
                     unique_subject=no\npolicy=any\n[any]\ncommonName=supplied\n";
    for (name, text) in [("authority", authority), ("index", ""), ("serial", "1000\n")] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let args = format!(
        "ca -batch -config authority -cert ca.crt -keyfile ca.key -in server.csr -notext -extfile names -startdate {from} \
         -enddate {to} -out server.crt"
    );
    openssl(dir, &args)
}

/// A server on a TLS port, and the port.
pub(crate) fn server(dir: &Path) -> Result<(Server, u16), String> {
    certificates(dir)?;
    on_tls_port(Server::builder().arg("--tls-auth-clients", "no").password("the-right-one"), dir)
}

/// The same, of a kind of its own. Who wants no client certificate says so by `--tls-auth-clients no`.
pub(crate) fn on_tls_port(builder: ServerBuilder, dir: &Path) -> Result<(Server, u16), String> {
    let port = xtask::free_port().unwrap();
    let file = |name: &str| dir.join(name).display().to_string();
    let server = builder
        .arg("--tls-port", &port.to_string())
        .arg("--tls-cert-file", &file("server.crt"))
        .arg("--tls-key-file", &file("server.key"))
        .arg("--tls-ca-cert-file", &file("ca.crt"))
        .start();
    let without = |error: xtask::Error| {
        format!("this server has no TLS: {}", error.to_string().lines().next().unwrap_or_default())
    };
    Ok((server.map_err(without)?, port))
}

/// Runs the calling test in a process of its own, as a client of this URL that trusts these roots: they are read once in a
/// process, from its environment. It says what the [client](is_client) does.
fn run(client: &str, url: &str, roots: &Path) -> String {
    passes(once_more(&format!("{client} {url}")).unwrap().env("SSL_CERT_FILE", roots))
}

/// Returns whether this process is such a client; then it has done what it is for.
async fn is_client() -> bool {
    let Some(told) = told() else { return false };
    match told.rsplit_once(' ').unwrap() {
        ("talks", url) => talks(url).await,
        ("is refused", url) => is_refused(url).await,
        ("is a guest", url) => is_a_guest(url).await,
        (other, _) => panic!("nobody knows what `{other}` is"),
    }
    true
}

#[tokio::test]
async fn a_server_is_verified_and_talked_to() {
    if is_client().await {
        return;
    }
    let dir = Server::start().unwrap();
    let (_server, port) = needs!(server(dir.dir()));
    let url = format!("rediss://:the-right-one@localhost:{port}/1");
    run("talks", &url, &dir.dir().join("ca.crt"));
    // The server's own certificate does not vouch for itself.
    run("is refused", &url, &dir.dir().join("server.crt"));
    // The certificate is for another name.
    run("is refused", &url.replace("localhost", "127.0.0.1"), &dir.dir().join("ca.crt"));
}

#[tokio::test]
async fn a_certificate_that_has_expired_or_is_for_later_is_refused() {
    if is_client().await {
        return;
    }
    let dir = Server::start().unwrap();
    needs!(certificates(dir.dir()));
    for (from, to, reason) in [
        ("20200101000000Z", "20200201000000Z", "expired"),
        ("20990101000000Z", "20990201000000Z", "not valid yet"),
        // Signed the same way it is taken, if it is for now.
        ("20200101000000Z", "20990201000000Z", ""),
    ] {
        assert!(signed_for(dir.dir(), from, to), "openssl signs nothing for {from} to {to}");
        let (server, port) = needs!(on_tls_port(
            Server::builder().arg("--tls-auth-clients", "no").password("the-right-one"),
            dir.dir()
        ));
        let url = format!("rediss://:the-right-one@localhost:{port}/1");
        let roots = dir.dir().join("ca.crt");
        match reason {
            "" => drop(run("talks", &url, &roots)),
            _ => {
                let output = run("is refused", &url, &roots);
                assert!(output.contains(reason), "{output}");
            }
        }
        drop(server);
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_spoken_to_without_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = vec![0; 4096];
        let n = stream.read(&mut said).await.unwrap();
        said.truncate(n);
        stream.write_all(b"-ERR Protocol error\r\n").await.unwrap();
        // Whatever comes after the refusal, until it hangs up.
        let _reset = stream.read_to_end(&mut said).await;
        said
    });
    let start = Instant::now();
    let error = Node::connect(format!("rediss://:the-right-one@localhost:{port}")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
    assert!(start.elapsed() < NodeConfig::CONNECT_TIMEOUT, "{:?}", start.elapsed());
    let said = said.await.unwrap();
    // A record of a TLS handshake, and no word of Redis.
    assert_eq!(said.first(), Some(&0x16));
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("AUTH") && !said.contains("HELLO") && !said.contains("the-right-one"), "{said}");
}

/// Has a sentinel watch over a master of the name `mymaster`, and call it by the name that its certificate is for.
pub(crate) async fn watch_by_name(sentinel: &Server, master_port: u16) {
    let at = Node::connect(sentinel.url()).await.unwrap();
    for setting in ["resolve-hostnames", "announce-hostnames"] {
        let set = redis::cmd("SENTINEL").arg("CONFIG").arg("SET").arg(setting).arg("yes").take();
        at.send(&set).await.unwrap();
    }
    at.sentinel_monitor("mymaster", "localhost", master_port, 1).await.unwrap();
}

#[tokio::test]
async fn sentinels_and_their_master_are_talked_to_through_tls() {
    if is_client().await {
        return;
    }
    let dir = Server::start().unwrap();
    let (_master, master_port) = needs!(server(dir.dir()));
    let sentinel = Server::builder().sentinel().arg("--tls-auth-clients", "no").password("the-right-one-too");
    let (sentinel, port) = needs!(on_tls_port(sentinel, dir.dir()));
    watch_by_name(&sentinel, master_port).await;
    let url = format!(
        "rediss+sentinel://:the-right-one@localhost:{port}/mymaster/1?sentinel_password=the-right-one-too"
    );
    run("talks", &url, &dir.dir().join("ca.crt"));
    run("is refused", &url, &dir.dir().join("server.crt"));
}

#[tokio::test]
async fn a_user_who_needs_no_password_is_let_in_through_tls_too() {
    if is_client().await {
        return;
    }
    let dir = Server::start().unwrap();
    let (server, port) = needs!(server(dir.dir()));
    let admin = Node::connect(server.url()).await.unwrap();
    admin.acl_setuser("guest", &["on", "nopass", "~*", "+@all"]).await.unwrap();
    run("is a guest", &format!("rediss://guest:@localhost:{port}"), &dir.dir().join("ca.crt"));
}

async fn is_a_guest(url: &str) {
    let node = Node::connect(url).await.unwrap();
    let who = redis::cmd("ACL").arg("WHOAMI").take();
    let shared: String = redis::from_redis_value(node.send(&who).await.unwrap()).unwrap();
    let owned: String = who.query_async(&mut node.dedicated().await.unwrap()).await.unwrap();
    assert_eq!((shared.as_str(), owned.as_str()), ("guest", "guest"));
}

async fn talks(url: &str) {
    let node = Node::connect(url).await.unwrap();
    node.set("k", 5).await.unwrap();
    assert_eq!(node.get::<i64>("k").await.unwrap(), Some(5));
    let mut owned = node.dedicated().await.unwrap();
    assert_eq!(redis::cmd("GET").arg("k").query_async::<i64>(&mut owned).await.unwrap(), 5);
}

async fn is_refused(url: &str) {
    let start = Instant::now();
    let error = Node::connect(url).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
    assert!(start.elapsed() < NodeConfig::CONNECT_TIMEOUT, "{:?}", start.elapsed());
    println!("{error}");
    assert!(!format!("{error:?} {error}").contains("the-right-one"));
}

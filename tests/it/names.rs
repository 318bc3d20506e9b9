//! A server whose name comes to mean another address, or none: names are looked up for each connection. Skipped where
//! `nss_wrapper` is not at hand, which reads a file of hosts of its own.

use std::env;
use std::fs;
use std::time::Instant;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb_tests::eventually;
use redisdb_tests::passes;
use redisdb_tests::preloaded;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use xtask::Servers;
use xtask::needs;
use xtask::once_more;
use xtask::told;

/// In the child process, the file of hosts.
const HOSTS: &str = "NSS_WRAPPER_HOSTS";

/// Runs the calling test with a file of hosts of its own; it is told the ports of two servers.
fn with_own_names() {
    let library = needs!(preloaded("REDISDB_LIBNSS_WRAPPER", "libnss_wrapper.so"));
    let servers = Servers::start(2).unwrap();
    let hosts = servers[0].dir().join("hosts");
    fs::write(&hosts, "127.0.0.1 shop.test\n").unwrap();
    let mut child = once_more(&format!("{} {}", servers[0].port(), servers[1].port())).unwrap();
    passes(child.env(HOSTS, &hosts).env("LD_PRELOAD", library));
}

/// Has the name mean something else from now on.
fn means(hosts: &str) {
    let file = env::var(HOSTS).unwrap();
    let new = format!("{file}.new");
    fs::write(&new, hosts).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_looked_up_for_each_connection() {
    let Some(ports) = told() else { return with_own_names() };
    let ports: Vec<u16> = ports.split(' ').map(|port| port.parse().unwrap()).collect();
    // The same port of another address leads to the other server.
    let elsewhere = TcpListener::bind(("127.0.0.2", ports[0])).await.unwrap();
    let other = ports[1];
    tokio::spawn(async move {
        while let Ok((mut client, _)) = elsewhere.accept().await {
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", other)).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let mut servers = Vec::new();
    for (port, name) in ports.iter().zip(["first", "second"]) {
        let server = Node::connect(format!("redis://127.0.0.1:{port}")).await.unwrap();
        server.set("name", name).await.unwrap();
        servers.push(server);
    }
    let cut = async || {
        for server in &servers {
            let kill = redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).take();
            server.send(&kill).await.unwrap();
        }
    };
    let node = Node::connect(format!("redis://shop.test:{}", ports[0])).await.unwrap();
    let is =
        async |name: &str| node.get::<String>("name").await.is_ok_and(|found| found.as_deref() == Some(name));
    assert!(is("first").await);

    // A connection that is well stays.
    means("127.0.0.2 shop.test\n");
    assert!(is("first").await);
    cut().await;
    eventually("it leads to the other server", async || is("second").await).await;
    // Which is known to be another one, so that a copy would not take it for the one it was.
    assert_eq!(node.incarnation(), 1);
    let mut owned = node.dedicated().await.unwrap();
    let name: String = redis::cmd("GET").arg("name").query_async(&mut owned).await.unwrap();
    assert_eq!(name, "second");
    drop(owned);

    // A name that means nothing is no connection: told at once, and never taken for something executed.
    means("127.0.0.1 other.test\n");
    cut().await;
    eventually("the name is not found", async || node.is_down()).await;
    let start = Instant::now();
    let error = node.incr("n").await.unwrap_err();
    let ErrorKind::Down { cause } = error.kind() else { panic!("{error}") };
    assert!(matches!(**cause, ErrorKind::Connect(_) | ErrorKind::ConnectTimeout(_)), "{error}");
    assert!(error.is_connect() && !error.may_have_executed(), "{error}");
    assert!(start.elapsed() < NodeConfig::CONNECT_TIMEOUT, "{:?}", start.elapsed());
    println!("{error}");

    means("127.0.0.1 shop.test\n");
    eventually("the name is found again", async || is("first").await).await;
    assert_eq!(node.incr("n").await.unwrap(), 1);
}

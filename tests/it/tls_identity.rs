//! Who a node trusts and as whom it shows itself through TLS, from files: an own certificate authority, a client certificate, the
//! server's name, and files that are rotated. Skipped where `openssl` or a server with TLS is not at hand.

use std::fs;
use std::path::Path;
use std::time::Duration;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::TlsConfig;
use redisdb::TopologyConfig;
use redisdb::commands::*;
use redisdb::node::ConfigError;
use redisdb::node::Error;
use redisdb::node::ErrorKind;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;
use xtask::needs;

use crate::tls::certificates;
use crate::tls::on_tls_port;
use crate::tls::openssl;
use crate::tls::watch_by_name;

/// Makes a certificate for a client, vouched for by the authority of the folder.
fn client_certificate(dir: &Path) -> bool {
    let made = [
        "req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=client",
        "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out client.crt",
    ];
    made.iter().all(|args| openssl(dir, args))
}

/// A folder with certificates of a server and a client, and a server that wants the client's if `auth_clients` says so.
fn server(auth_clients: &str) -> Result<(Server, Server, u16), String> {
    let dir = Server::start().unwrap();
    certificates(dir.dir())?;
    assert!(client_certificate(dir.dir()));
    let (server, port) = on_tls_port(
        Server::builder().arg("--tls-auth-clients", auth_clients).password("the-right-one"),
        dir.dir(),
    )?;
    Ok((dir, server, port))
}

fn url(host: &str, port: u16) -> NodeConfig {
    NodeConfig::new(&format!("rediss://:the-right-one@{host}:{port}")).unwrap()
}

/// Returns the error of connecting, which shows neither a password nor a key.
async fn refused(config: NodeConfig) -> Error {
    let error = Node::connect(config).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("the-right-one") && !shown.contains("MII"), "{shown}");
    assert!(error.is_config() && error.is_not_sent(), "{error:?}");
    error
}

#[tokio::test]
async fn an_own_authority_is_trusted_in_place_of_the_systems() {
    let (dir, _server, port) = needs!(server("no"));
    let ca = dir.dir().join("ca.crt");
    let node =
        Node::connect(url("localhost", port).with_tls(TlsConfig::new().with_ca(ca.as_path()))).await.unwrap();
    node.set("k", 5).await.unwrap();
    let text = fs::read_to_string(&ca).unwrap();
    Node::connect(url("localhost", port).with_tls(TlsConfig::new().with_ca(text))).await.unwrap();

    for config in [
        // The system's authorities do not vouch for it.
        url("localhost", port),
        // The certificate does not vouch for itself.
        url("localhost", port).with_tls(TlsConfig::new().with_ca(dir.dir().join("server.crt"))),
    ] {
        let error = refused(config).await;
        assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
        assert!(error.to_string().contains("UnknownIssuer") && error.to_string().contains("`ca`"), "{error}");
    }
}

#[tokio::test]
async fn the_servers_certificate_is_for_the_name_that_is_set() {
    let (dir, _server, port) = needs!(server("no"));
    let tls = TlsConfig::new().with_ca(dir.dir().join("ca.crt"));
    let error = refused(url("127.0.0.1", port).with_tls(tls.clone())).await;
    assert!(error.to_string().contains("`server_name`"), "{error}");
    assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
    Node::connect(url("127.0.0.1", port).with_tls(tls.clone().with_server_name("localhost"))).await.unwrap();
    let error = refused(url("localhost", port).with_tls(tls.with_server_name("elsewhere"))).await;
    assert!(error.to_string().contains("elsewhere"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_shown_it_by_each_kind_of_connection() {
    let (dir, _server, port) = needs!(server("yes"));
    let file = |name: &str| dir.dir().join(name);
    let tls = TlsConfig::new().with_ca(file("ca.crt"));
    for _ in 0..10 {
        let error = refused(url("localhost", port).with_tls(tls.clone())).await;
        assert!(matches!(error.kind(), ErrorKind::Tls(_)), "{error:?}");
        assert!(error.to_string().contains("`cert`"), "{error}");
    }
    let tls = tls.with_client_cert(file("client.crt"), file("client.key"));
    let node = Node::connect(url("localhost", port).with_tls(tls.clone())).await.unwrap();
    let mut subscription = node.subscribe("news").await.unwrap();
    let mut feed = node.changes().await.unwrap();
    let owned = node.dedicated().await.unwrap();
    owned.set("k", 5).await.unwrap();
    node.publish("news", "hello").await.unwrap();
    assert!(format!("{:?}", subscription.next().await).contains("Message"));
    assert!(format!("{:?}", feed.next().await).contains("Keys"));

    // As all nodes of a copy have it, by a file.
    let path = |name: &str| file(name).display().to_string();
    let config = TopologyConfig::from_toml(&format!(
        "strategy = \"copy\"\ntls = {{ ca = \"{}\", cert = \"{}\", key = \"{}\" }}\n\
         nodes = [\"rediss://:the-right-one@localhost:{port}/1\", \"rediss://:the-right-one@localhost:{port}/2\"]\n",
        path("ca.crt"),
        path("client.crt"),
        path("client.key"),
    ));
    let copy = RedisCopy::from_config(config.unwrap()).unwrap();
    copy.ready().await.unwrap();
    let builder = RedisCopy::builder().nodes([format!("rediss://:the-right-one@localhost:{port}/1")]);
    builder.clone().tls(tls).connect().await.unwrap();
    builder.connect().await.unwrap_err();
}

#[tokio::test]
async fn sentinels_and_their_master_are_shown_the_same_certificate() {
    let (dir, _master, master_port) = needs!(server("yes"));
    let file = |name: &str| dir.dir().join(name);
    let sentinel =
        Server::builder().arg("--tls-auth-clients", "yes").sentinel().password("the-right-one-too");
    let (sentinel, port) = needs!(on_tls_port(sentinel, dir.dir()));
    watch_by_name(&sentinel, master_port).await;
    let url = format!(
        "rediss+sentinel://:the-right-one@localhost:{port}/mymaster?sentinel_password=the-right-one-too"
    );
    let tls = TlsConfig::new().with_ca(file("ca.crt"));
    let config = NodeConfig::new(&url).unwrap();
    refused(config.clone().with_tls(tls.clone())).await;
    let node = Node::connect(config.with_tls(tls.with_client_cert(file("client.crt"), file("client.key"))))
        .await
        .unwrap();
    node.set("k", 5).await.unwrap();
}

#[tokio::test]
async fn rotated_files_are_picked_up_at_the_next_connection() {
    let (dir, mut server, port) = needs!(server("yes"));
    let mine = Server::start().unwrap();
    let rotate = |names: &[&str]| {
        for name in names {
            fs::copy(dir.dir().join(name), mine.dir().join(name)).unwrap();
        }
    };
    rotate(&["ca.crt", "client.crt", "client.key"]);
    let file = |name: &str| mine.dir().join(name);
    let tls =
        TlsConfig::new().with_ca(file("ca.crt")).with_client_cert(file("client.crt"), file("client.key"));
    let node = Node::connect(url("localhost", port).with_tls(tls)).await.unwrap();
    node.set("k", 5).await.unwrap();
    let (_subscription, mut feed) = (node.subscribe("news").await.unwrap(), node.changes().await.unwrap());

    // Half of a rotation, and a damaged file: what they held before is used.
    assert!(client_certificate(dir.dir()));
    for text in [fs::read(dir.dir().join("client.key")).unwrap(), b"damaged".to_vec()] {
        fs::write(file("client.key"), text).unwrap();
        let restarted = node.config().clone();
        drop(node.dedicated().await.unwrap());
        Node::connect(restarted).await.unwrap();
    }

    // Everything is another authority's.
    certificates(dir.dir()).unwrap();
    assert!(client_certificate(dir.dir()));
    server.restart(Data::Lose).unwrap();
    eventually("the node sees an authority that it does not know", async || {
        node.get::<i64>("k").await.is_err_and(|error| error.to_string().contains("no TLS connection"))
    })
    .await;
    rotate(&["ca.crt", "client.crt", "client.key"]);
    eventually("the node connects with the rotated files", async || node.get::<i64>("k").await.is_ok()).await;
    node.dedicated().await.unwrap().set("k", 6).await.unwrap();
    eventually("so does the subscription", async || node.publish("news", "hello").await.unwrap() == 1).await;
    eventually("so does the change feed", async || {
        node.set("k", 7).await.unwrap();
        let told = tokio::time::timeout(Duration::from_millis(20), feed.next()).await;
        told.is_ok_and(|told| format!("{told:?}").contains("Keys"))
    })
    .await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_and_not_shown() {
    let (dir, _server, port) = needs!(server("yes"));
    let file = |name: &str| dir.dir().join(name);
    fs::write(file("damaged.key"), "-----BEGIN PRIVATE KEY-----\ns3cr3t!\n-----END PRIVATE KEY-----\n")
        .unwrap();
    fs::write(file("unended.key"), "-----BEGIN PRIVATE KEY-----\ns3cr3t").unwrap();
    assert!(openssl(dir.dir(), "genrsa -out other.key 2048"));
    let check = async |tls: TlsConfig, setting: &str, name: &str, why: &str| {
        let start = std::time::Instant::now();
        let error = refused(url("localhost", port).with_tls(tls)).await;
        let is_told =
            matches!(error.kind(), ErrorKind::Config(ConfigError::Tls { setting: at, .. }) if *at == setting);
        assert!(is_told, "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains(name) && shown.contains(why) && !shown.contains("s3cr3t"), "{shown}");
        assert!(start.elapsed() < Duration::from_secs(1));
    };
    let with_key =
        |key: &str| TlsConfig::new().with_ca(file("ca.crt")).with_client_cert(file("client.crt"), file(key));
    check(TlsConfig::new().with_ca(file("none.crt")), "ca", "none.crt", "cannot be read").await;
    check(TlsConfig::new().with_ca(file("ca.key")), "ca", "ca.key", "BEGIN CERTIFICATE").await;
    check(with_key("none.key"), "key", "none.key", "cannot be read").await;
    check(with_key("client.crt"), "key", "client.crt", "BEGIN PRIVATE KEY").await;
    check(with_key("damaged.key"), "key", "damaged.key", "damaged").await;
    check(with_key("unended.key"), "key", "unended.key", "damaged").await;
    check(with_key("other.key"), "key", "other.key", "not the key of the certificate").await;
    let cert =
        TlsConfig::new().with_ca(file("ca.crt")).with_client_cert(file("client.key"), file("client.key"));
    check(cert, "cert", "client.key", "BEGIN CERTIFICATE").await;
}

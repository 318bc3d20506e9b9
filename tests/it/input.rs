//! Bad input: a typed error that names the node and the cause, in time, without a password.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;
use std::time::Instant;

use redisdb::ConfigError;
use redisdb::Error;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::TopologyConfig;
use redisdb::hashring::BuildError;
use redisdb::node;
use redisdb::node::StringCommands;
use xtask::Server;

const PASSWORD: &str = "s3cr3t-word";

/// An error must not show the password, in any of its forms.
fn no_password(error: &impl std::error::Error) {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    let mut shown = format!("{error:?} {error:#?}");
    while let Some(error) = source {
        shown += &format!(" {error} {error:?}");
        source = error.source();
    }
    assert!(!shown.contains(PASSWORD), "{shown}");
}

async fn connect(url: &str) -> Error {
    let timeout = Duration::from_millis(500);
    let start = Instant::now();
    let ring = RedisRing::builder().node("n", url).connect_timeout(timeout).connect().await;
    let error = ring.expect_err("it cannot connect");
    assert!(start.elapsed() < timeout * 4, "{:?}", start.elapsed());
    no_password(&error);
    assert!(!error.may_have_executed());
    error
}

fn node_error(error: &Error) -> &node::Error {
    let Error::Node(error) = error else { panic!("{error:?}") };
    assert_eq!(error.node(), Some("n"));
    error
}

#[test]
fn a_url_that_cannot_be_used_says_why() {
    for (url, wanted) in [
        ("127.0.0.1:6379", "the URL has no scheme"),
        (
            "http://127.0.0.1",
            "`http://` is not known; use `redis://`, `rediss://`, `unix://` or `redis+sentinel://`",
        ),
        ("redis://127.0.0.1:70000", "invalid port number"),
        ("redis://127.0.0.1:0", "port 0"),
        ("redis://", "names no host"),
        ("redis://h/one", "the database is no number"),
        ("redis://h?db=-1", "the database is no number"),
        ("redis://h?color=red", "`color` is not known"),
        ("unix://socket", "names no socket"),
        ("redis://:s3cr3t-word#x@h/0", ""),
        ("redis://:s3cr3t-word/x@h/0", ""),
        ("redis://u:1/s3cr3t-word@h/0", "the database is no number"),
        ("redis://u:1?s3cr3t-word@h/0", "the database is no number"),
        ("s3cr3t-word@h://x", "the URL has no scheme"),
    ] {
        let error = RedisRing::builder().node("n", url).build().expect_err(url);
        let Error::Config(ConfigError::Node { node, .. }) = &error else { panic!("{url}: {error:?}") };
        assert_eq!(node, "n");
        assert!(error.to_string().contains(wanted), "{url}: {error}");
        no_password(&error);
    }
}

#[test]
fn no_url_turns_off_what_a_certificate_proves() {
    for end in ["/#insecure", "?insecure=true", "?ssl_cert_reqs=none", "?verify=false", "?tls_insecure=1"] {
        let error = NodeConfig::new(&format!("rediss://h{end}")).unwrap_err();
        let is_refused =
            matches!(error, node::ConfigError::Fragment | node::ConfigError::UnknownParameter { .. });
        assert!(is_refused, "{end}: {error:?}");
    }
}

#[test]
fn a_list_of_nodes_that_makes_no_ring_says_why() {
    let error = RedisRing::builder().build().unwrap_err();
    assert!(matches!(error, Error::Ring(BuildError::Empty)), "{error:?}");
    let twice = RedisRing::builder().node("a", "redis://h1").node("a", "redis://h2").build().unwrap_err();
    assert!(matches!(twice, Error::Ring(BuildError::DuplicateName { .. })), "{twice:?}");
    assert!(twice.to_string().contains("name \"a\""), "{twice}");
    let zero = RedisRing::builder().weighted_node("a", "redis://h1", 0).build().unwrap_err();
    assert!(zero.to_string().starts_with("node `a`: the weight is 0"), "{zero}");
    assert!(matches!(RedisCopy::builder().build(), Err(Error::Ring(BuildError::Empty))));
}

#[test]
fn a_configuration_that_cannot_be_read_says_where_and_shows_no_password() {
    for text in [
        "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://:s3cr3t-word@h\"\nweigth = 2\n",
        "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://:s3cr3t-word@h:99999\"\n",
        "strategy = \"ring\"\n[[nodes]]\nurl = \"redis://h\"\npassword = \"s3cr3t-word\n",
        "strategy = \"circle\"\nnodes = []\n",
    ] {
        let error = TopologyConfig::from_toml(text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { line: Some(1..=4), .. }), "{error:?}");
        no_password(&error);
    }
    let config =
        TopologyConfig::from_toml("strategy = \"copy\"\n[[nodes]]\nurl = \"redis://:s3cr3t-word@h\"")
            .unwrap();
    assert!(!format!("{config:?}").contains(PASSWORD));
    let error = RedisRing::from_config(config).unwrap_err();
    assert!(matches!(error, Error::Config(ConfigError::Strategy { .. })), "{error:?}");
    assert!(TopologyConfig::load("no-such-file.toml").unwrap_err().to_string().contains("no-such-file.toml"));
}

#[tokio::test]
async fn a_refused_connection_names_the_node() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = connect(&format!("redis://:{PASSWORD}@127.0.0.1:{port}")).await;
    let error = node_error(&error);
    assert!(matches!(error.kind(), node::ErrorKind::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_told_apart() {
    let server = Server::builder().password("the-right-one").start().unwrap();
    for credentials in [format!(":{PASSWORD}@"), format!("ann:{PASSWORD}@"), String::new()] {
        let error = connect(&format!("redis://{credentials}127.0.0.1:{}", server.port())).await;
        let error = node_error(&error);
        assert!(error.is_auth() && error.is_config(), "{error}");
        assert!(error.to_string().contains("check user and password"), "{error}");
    }
    let node = Node::connect(server.url()).await.unwrap();
    node.set("k", 1).await.unwrap();
    let mut owned = node.dedicated().await.unwrap();
    assert_eq!(redis::cmd("GET").arg("k").query_async::<i64>(&mut owned).await.unwrap(), 1);
    assert!(!format!("{node:?} {owned:?}").contains("the-right-one"));
}

#[tokio::test]
async fn one_node_that_is_wrongly_configured_is_not_passed_over_as_down() {
    let (open, closed) =
        (Server::start().unwrap(), Server::builder().password("the-right-one").start().unwrap());
    let nodes = |builder: redisdb::RingBuilder| {
        builder.node("open", &open.url()).node("n", &format!("redis://127.0.0.1:{}", closed.port()))
    };
    let error = nodes(RedisRing::builder()).connect().await.expect_err("a password is missing");
    assert!(node_error(&error).is_auth(), "{error}");
}

#[tokio::test]
async fn a_password_that_none_asked_for_is_an_error_too() {
    let server = Server::start().unwrap();
    let error = connect(&format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port())).await;
    assert!(node_error(&error).is_auth(), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_redis_is_told_apart() {
    // It answers anything as a web server would.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _read = stream.read(&mut [0; 1024]);
            let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = connect(&format!("redis://127.0.0.1:{port}")).await;
    let error = node_error(&error);
    assert!(matches!(error.kind(), node::ErrorKind::NotRedis(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = connect(&format!("redis://127.0.0.1:{port}")).await;
    assert!(matches!(node_error(&error).kind(), node::ErrorKind::ConnectTimeout(_)), "{error:?}");
}

#[tokio::test]
async fn tls_to_a_plain_port_is_an_error_in_time() {
    let server = Server::start().unwrap();
    let error = connect(&format!("rediss://:{PASSWORD}@localhost:{}", server.port())).await;
    let kind = node_error(&error).kind();
    assert!(matches!(kind, node::ErrorKind::Tls(_) | node::ErrorKind::ConnectTimeout(_)), "{kind:?}");
}

#[tokio::test]
async fn the_database_is_the_first_that_is_given() {
    let server = Server::builder().unix_socket().start().unwrap();
    let url = server.url();
    for (url, argument, expected) in [
        (format!("{url}/3?db=2"), 4, 2),
        (format!("{url}/3"), 4, 3),
        (url.clone(), 4, 4),
        (url.clone(), 0, 0),
        (format!("unix://{}?db=5", server.socket().unwrap().display()), 4, 5),
        (format!("unix://{}", server.socket().unwrap().display()), 4, 4),
    ] {
        let config = NodeConfig::new(&url).unwrap().with_db(argument);
        assert_eq!(config.db(), expected, "{url}");
        let node = Node::connect(config).await.unwrap();
        node.set("db", expected).await.unwrap();
        let info = format!("{:?}", node.send(redis::cmd("INFO").arg("keyspace")).await.unwrap());
        assert!(info.contains(&format!("db{expected}:")), "{url}: {info}");
    }
}

//! Servers that do not know, or do not allow, a command that a node sends of its own accord: what needs it cannot be
//! known or done, and all else goes on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb::node::PubSubEvent;
use redisdb_tests::Hostile;
use redisdb_tests::Says;
use redisdb_tests::eventually;
use xtask::Server;
use xtask::ServerBuilder;

/// A server that does not know these commands.
fn without(commands: &[&str]) -> ServerBuilder {
    commands.iter().fold(Server::builder(), |server, name| server.args(["--rename-command", name, ""]))
}

/// A server with a user `app` who may do what the rules say.
fn with_user(rules: &str) -> ServerBuilder {
    Server::builder().args(["--user", "app", "on", ">secret", "~*", "&*"]).args(rules.split(' '))
}

fn as_user(server: &Server) -> String {
    format!("redis://app:secret@127.0.0.1:{}", server.port())
}

/// Everything that a node sends that nobody called, but for what sets up the connection itself.
const OWN: [&str; 6] = ["INFO", "CLIENT", "SCRIPT", "PING", "HELLO", "ROLE"];

async fn is_let_in(url: &str) {
    let node = Node::connect(url).await.unwrap();
    node.set("k", 1).await.unwrap();
    assert_eq!(node.get::<u8>("k").await.unwrap(), Some(1));
    node.rpush("list", &[1, 2]).await.unwrap();
    for expected in [1, 2] {
        // The second time over the connection of the first.
        let popped = node.blpop::<String, u8>("list", Duration::from_secs(5)).await.unwrap();
        assert_eq!(popped.unwrap().1, expected);
    }
    let pipeline = node.pipeline();
    let value = pipeline.get::<u8>("k");
    pipeline.execute().await.check().unwrap();
    drop(value);
    assert!(!node.is_down() && node.is_connected());
}

#[tokio::test]
async fn a_server_that_does_not_know_a_command_of_ours_is_used_without() {
    for name in OWN {
        println!("without {name}");
        let server = without(&[name]).start().unwrap();
        is_let_in(&server.url()).await;
    }
    let server = without(&OWN).start().unwrap();
    is_let_in(&server.url()).await;
    let ring = RedisRing::builder().node("a", &server.url()).connect().await.unwrap();
    ring.set("k", 2).await.unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    assert_eq!(node.server_clock(), None);
    assert_eq!(node.process(0), None);
}

/// Returns how many connections a server has had.
async fn received(node: &Node) -> u32 {
    node.info().await.unwrap().parse("stats", "total_connections_received").unwrap()
}

#[tokio::test]
async fn a_dedicated_connection_is_made_anew_each_time_where_unwatch_is_not_known() {
    for (unknown, n_made) in [(&[] as &[&str], 1), (&["UNWATCH"], 3)] {
        let server = without(unknown).start().unwrap();
        let node = Node::connect(server.url()).await.unwrap();
        let before = received(&node).await;
        for i in 0..3 {
            node.rpush("list", i).await.unwrap();
            let popped = node.blpop::<String, u8>("list", Duration::from_secs(5)).await.unwrap();
            assert_eq!(popped.unwrap().1, i);
        }
        assert_eq!(received(&node).await - before, n_made, "without {unknown:?}");
    }
}

#[tokio::test]
async fn nor_does_a_user_need_to_be_allowed_them() {
    for rules in [
        "+@all -@dangerous",
        "+@all -@connection",
        "+@all -info -client -script -ping -hello",
        "+@read +@write +@blocking -@dangerous",
        "+get +set +rpush +blpop",
    ] {
        println!("{rules}");
        let server = with_user(rules).start().unwrap();
        is_let_in(&as_user(&server)).await;
    }
}

#[tokio::test]
async fn a_copy_of_such_servers_works_and_its_nodes_are_up() {
    let servers = without(&["INFO", "CLIENT", "PING", "HELLO", "SCRIPT"]).start_many(2).unwrap();
    let urls = servers.urls();
    for identity in [None, Some("shop")] {
        let copy = RedisCopy::builder().node("a", &urls[0]).node("b", &urls[1]);
        let copy = match identity {
            Some(identity) => copy.identity(identity),
            None => copy,
        };
        let copy = copy.connect().await.unwrap();
        for n in 1..=20 {
            _ = copy.incr("n").await.unwrap();
            assert_eq!(copy.get::<u8>("n").await.unwrap(), Some(n));
        }
        eventually("they are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
            .await;
        _ = copy.flushall().await.unwrap();
        for node in copy.nodes() {
            node.flushall().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_bars_the_way_is_told_as_before_also_where_info_is_not_known() {
    let server = without(&["INFO"]).password("secret").start().unwrap();
    let port = server.port();
    for url in [format!("redis://127.0.0.1:{port}"), format!("redis://:wrong@127.0.0.1:{port}")] {
        let error = Node::connect(url).await.unwrap_err();
        assert!(error.is_auth() && error.is_config(), "{error:?}");
    }
    let node = Node::connect(server.url()).await.unwrap();
    node.set("k", 1).await.unwrap();
    // Of databases there is no choice: another one would be the wrong one.
    let no_select = without(&["SELECT"]).start().unwrap();
    is_let_in(&no_select.url()).await;
    let error = Node::connect(format!("{}/1", no_select.url())).await.unwrap_err();
    let ErrorKind::Down { cause } = error.kind() else { panic!("{error:?}") };
    assert!(matches!(&**cause, ErrorKind::Server(_)) && error.to_string().contains("SELECT"), "{error:?}");
}

#[tokio::test]
async fn a_subscription_says_what_it_needs() {
    let server = without(&["HELLO"]).start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let error = node.subscribe("news").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unsupported(_)), "{error:?}");
    assert!(error.to_string().contains("HELLO"), "{error}");
    assert!(!node.is_down());
    let server = with_user("+@all -ping -client -info").start().unwrap();
    let node = Node::connect(as_user(&server)).await.unwrap();
    let mut news = node.subscribe("news").await.unwrap();
    node.publish("news", "one").await.unwrap();
    assert!(matches!(news.next().await, PubSubEvent::Message(message) if message.payload == b"one"));
    drop(StreamExt::next(&mut news));
}

/// The markers on its servers decide, and a user who may not read it is told.
#[tokio::test]
async fn an_identity_says_what_it_needs() {
    let servers = with_user("resetkeys ~app:* +@all").start_many(2).unwrap();
    let over = |identity: &str| {
        let [a, b] = [0, 1].map(|i| as_user(&servers[i]));
        RedisCopy::builder().node("a", &a).node("b", &b).identity(identity)
    };
    let error = over("shop").connect().await.unwrap_err();
    assert!(matches!(error, Error::Identity { .. }), "{error:?}");
    assert!(error.to_string().contains("ACL SETUSER app ~__redisdb:{shop}:* +get"), "{error}");

    // Without DBSIZE it is seen that a server is empty all the same.
    let servers = with_user("+@all -dbsize").start_many(2).unwrap();
    let [a, b] = [0, 1].map(|i| as_user(&servers[i]));
    let copy = RedisCopy::builder().node("a", &a).node("b", &b).identity("shop").connect().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
}

/// A proxy that stands before several servers and does not know the commands that concern one of them.
struct Ignorant {
    server: Hostile,
    /// At which words connections end; of `*`, at each.
    ends_at: Arc<Mutex<Vec<&'static str>>>,
    n_pings: Arc<AtomicU64>,
}

/// The answer of the proxy to commands that it does not know.
type Refusal = &'static str;

impl Ignorant {
    async fn start(refusal: Refusal, ends_at: &[&'static str]) -> Self {
        let ends_at = Arc::new(Mutex::new(ends_at.to_vec()));
        let n_pings = Arc::new(AtomicU64::new(0));
        let (ends, pings) = (Arc::clone(&ends_at), Arc::clone(&n_pings));
        let server = Hostile::with(move |words| {
            let name = words[0].to_uppercase();
            if ends.lock().unwrap().iter().any(|word| *word == "*" || *word == name) {
                return Says::ThisAndEnds(Vec::new());
            }
            let reply = match name.as_str() {
                "GET" => "$1\r\n7\r\n",
                "SET" => "+OK\r\n",
                "PING" => {
                    pings.fetch_add(1, Ordering::SeqCst);
                    "+PONG\r\n"
                }
                "INFO" if refusal == KNOWS_INFO => "$17\r\nrun_id:0123456789\r\n",
                _ => refusal,
            };
            Says::This(reply.into())
        });
        Self { server: server.await, ends_at, n_pings }
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn n_accepted(&self) -> u64 {
        self.server.n_connections()
    }
}

/// The proxy answers `INFO` too, and refuses the rest by this.
const KNOWS_INFO: Refusal = "-ERR not this one\r\n";

#[tokio::test]
async fn a_proxy_that_knows_little_is_used() {
    for refusal in ["-ERR unknown command\r\n", "-ERR unsupported command 'info'\r\n", "-DENIED not here\r\n"]
    {
        let proxy = Ignorant::start(refusal, &[]).await;
        let node = Node::connect(proxy.url()).await.unwrap();
        assert_eq!(node.get::<u8>("k").await.unwrap(), Some(7));
        assert_eq!(proxy.n_accepted(), 1);
    }
}

#[tokio::test]
async fn a_proxy_that_ends_the_connection_at_what_it_does_not_know_is_used_without_asking() {
    for ends_at in [
        &["INFO"][..],
        &["HELLO"],
        &["CLIENT"],
        &["SCRIPT"],
        // As twemproxy does.
        &["INFO", "HELLO", "CLIENT", "SCRIPT"],
    ] {
        println!("{ends_at:?}");
        let proxy = Ignorant::start("-ERR unknown command\r\n", ends_at).await;
        let config = NodeConfig::new(&proxy.url()).unwrap().with_probe_interval(Duration::from_millis(20));
        let node = Node::new(config);
        node.ready().await.unwrap();
        assert_eq!(node.get::<u8>("k").await.unwrap(), Some(7));
        // Nor is it asked later.
        let before = proxy.n_pings.load(Ordering::SeqCst);
        eventually("it is looked after", async || before + 5 < proxy.n_pings.load(Ordering::SeqCst)).await;
        let n_accepted = proxy.n_accepted();
        assert!(n_accepted <= 2, "{n_accepted}");
        assert_eq!((node.incarnation(), node.process(0), node.server_clock()), (0, None, None));
        // A connection that is lost is made anew, and may lead anywhere.
        proxy.server.hang_up();
        eventually("it answers again", async || {
            node.incarnation() == 1 && node.get::<u8>("k").await.is_ok_and(|value| value == Some(7))
        })
        .await;
        assert!(proxy.n_accepted() <= n_accepted * 2, "{}", proxy.n_accepted());
    }
}

#[tokio::test]
async fn a_ring_over_such_proxies_works() {
    let proxies = [
        Ignorant::start("-ERR unknown command\r\n", &["INFO", "HELLO", "CLIENT", "SCRIPT"]).await,
        Ignorant::start("-ERR unknown command\r\n", &["INFO", "HELLO", "CLIENT", "SCRIPT"]).await,
    ];
    let [a, b] = [0, 1].map(|idx| proxies[idx].url());
    let ring = RedisRing::builder().node("a", &a).node("b", &b).connect().await.unwrap();
    for i in 0..20 {
        ring.set(format!("k{i}"), i).await.unwrap();
        assert_eq!(ring.get::<u8>(format!("k{i}")).await.unwrap(), Some(7));
    }
}

#[tokio::test]
async fn what_ends_the_connection_at_everything_is_down() {
    let proxy = Ignorant::start("", &["*"]).await;
    let error = Node::connect(proxy.url()).await.unwrap_err();
    assert!(error.is_connect() && error.is_not_sent() && !error.is_config(), "{error:?}");
    assert!(proxy.n_accepted() <= 2, "one more attempt: {}", proxy.n_accepted());
}

/// Else a connection that breaks in its handshake would be taken for one to another process.
#[tokio::test]
async fn a_server_that_has_said_who_it_is_is_not_let_in_without_that() {
    let server = Ignorant::start(KNOWS_INFO, &[]).await;
    let node = Node::connect(server.url()).await.unwrap();
    assert_eq!(node.process(0).as_deref(), Some("0123456789"));
    *server.ends_at.lock().unwrap() = vec!["INFO"];
    server.server.hang_up();
    eventually("it is down", async || node.is_down()).await;
    assert!(node.get::<u8>("k").await.unwrap_err().is_connect());
    server.ends_at.lock().unwrap().clear();
    eventually("it is back", async || node.get::<u8>("k").await.is_ok()).await;
    assert_eq!(node.incarnation(), 0, "it is the same process");
}

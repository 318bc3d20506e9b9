//! Masters that are watched over by sentinels.

use std::time::Duration;

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::BlockingCommands;
use redisdb::node::ListCommands;
use redisdb::node::PubSubCommands;
use redisdb::node::PubSubEvent;
use redisdb::node::SentinelCommands;
use redisdb::node::SentinelFields;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Server;
use xtask::Servers;

/// A master with a replica, and a sentinel that watches over them.
struct Watched {
    master: Server,
    replica: Server,
    sentinel: Server,
    at_sentinel: Node,
}

async fn watched(service: &str) -> Watched {
    let master = Server::start().unwrap();
    let follows = ["--replicaof".to_owned(), "127.0.0.1".to_owned(), master.port().to_string()];
    let replica = Server::builder().args(follows).start().unwrap();
    let at_replica = Node::connect(replica.url()).await.unwrap();
    eventually("the replica follows", async || {
        at_replica.info().await.unwrap().get("replication", "master_link_status") == Some("up")
    })
    .await;
    let sentinel = Server::builder().sentinel().start().unwrap();
    let at_sentinel = Node::connect(sentinel.url()).await.unwrap();
    at_sentinel.sentinel_monitor(service, "127.0.0.1", master.port(), 1).await.unwrap();
    at_sentinel.sentinel_set(service, "down-after-milliseconds", 300).await.unwrap();
    at_sentinel.sentinel_set(service, "failover-timeout", 2000).await.unwrap();
    eventually("the sentinel knows the replica", async || {
        at_sentinel
            .sentinel_replicas(service)
            .await
            .unwrap()
            .first()
            .is_some_and(|replica| replica.get("master-link-status").map(String::as_str) == Some("ok"))
    })
    .await;
    Watched { master, replica, sentinel, at_sentinel }
}

fn url(sentinels: &[u16], service: &str) -> String {
    let sentinels: Vec<_> = sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+sentinel://{}/{service}", sentinels.join(","))
}

#[tokio::test]
async fn a_sentinel_answers_what_it_knows() {
    let watched = watched("one").await;
    let at = &watched.at_sentinel;
    let address = ("127.0.0.1".to_owned(), watched.master.port());
    assert_eq!(at.sentinel_get_master_addr_by_name("one").await.unwrap(), Some(address));
    assert_eq!(at.sentinel_get_master_addr_by_name("two").await.unwrap(), None);
    assert_eq!(at.sentinel_master("one").await.unwrap()["port"], watched.master.port().to_string());
    assert_eq!(at.sentinel_masters().await.unwrap().len(), 1);
    assert_eq!(at.sentinel_slaves("one").await.unwrap()[0]["port"], watched.replica.port().to_string());
    assert_eq!(at.sentinel_sentinels("one").await.unwrap(), []);
    assert_eq!(at.sentinel_myid().await.unwrap().len(), 40);
    assert!(at.sentinel_ckquorum("one").await.unwrap().starts_with("OK"));
    at.sentinel_flushconfig().await.unwrap();
    assert_eq!(at.sentinel_reset("none*").await.unwrap(), 0);
    at.sentinel_remove("one").await.unwrap();
    assert_eq!(at.sentinel_masters().await.unwrap(), []);
    let (_servers, ring) = ring().await;
    assert!(ring.sentinel_masters().await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn a_node_follows_its_master_when_that_dies() {
    let mut watched = watched("mymaster").await;
    // The first sentinel of the list is gone: the others answer.
    let mut gone = Server::start().unwrap();
    gone.kill();
    let url = url(&[gone.port(), watched.sentinel.port()], "mymaster");
    let ring = RedisRing::builder().node("a", &url).connect().await.unwrap();
    let node = ring.on_node("a").unwrap();
    assert_eq!(node.role_of().await, "master");
    let mut subscription = ring.subscribe("news").await.unwrap();
    ring.set("k", "before").await.unwrap();
    let owned = node.dedicated().await.unwrap();
    owned.set("l", 1).await.unwrap();
    assert_eq!(owned.wait(1, std::time::Duration::from_secs(20)).await.unwrap(), 1);
    drop(owned);

    watched.master.kill();
    eventually("the replica takes over", async || ring.set("k", "after").await.is_ok()).await;
    let at_replica = Node::connect(watched.replica.url()).await.unwrap();
    assert_eq!(at_replica.get::<String>("k").await.unwrap().as_deref(), Some("after"));
    assert_eq!(ring.get::<u8>("l").await.unwrap(), Some(1));
    // Dedicated connections and subscriptions follow too.
    node.dedicated().await.unwrap().set("m", 1).await.unwrap();
    assert_eq!(at_replica.get::<u8>("m").await.unwrap(), Some(1));
    assert_eq!(subscription.next().await, PubSubEvent::Gap { node: "a".into() });
    assert_eq!(at_replica.publish("news", "x").await.unwrap(), 1);
}

#[tokio::test]
async fn a_node_follows_its_master_when_that_is_demoted() {
    let watched = watched("mymaster").await;
    let node = Node::connect(url(&[watched.sentinel.port()], "mymaster")).await.unwrap();
    node.set("k", 0).await.unwrap();
    let mut sent = 0;
    watched.at_sentinel.sentinel_failover("mymaster").await.unwrap();
    let at_replica = Node::connect(watched.replica.url()).await.unwrap();
    let at_master = Node::connect(watched.master.url()).await.unwrap();
    eventually("the roles are exchanged", async || {
        sent += 1;
        // Never a wrong answer: what is not written at a master is an error.
        let _ = node.set("k", sent).await;
        at_replica.role_of().await == "master" && at_master.role_of().await == "slave"
    })
    .await;
    eventually("it is written to the new one", async || node.set("k", "new").await.is_ok()).await;
    assert_eq!(at_replica.get::<String>("k").await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_write_that_a_demoted_master_turns_away_is_sent_to_the_new_one() {
    let watched = watched("mymaster").await;
    let node = Node::connect(url(&[watched.sentinel.port()], "mymaster")).await.unwrap();
    node.set("k", 0).await.unwrap();
    node.dedicated().await.unwrap().set("l", 0).await.unwrap();
    // By hand, for a sentinel closes the connections of a master that it demotes.
    let at_replica = Node::connect(watched.replica.url()).await.unwrap();
    let at_master = Node::connect(watched.master.url()).await.unwrap();
    watched.at_sentinel.sentinel_remove("mymaster").await.unwrap();
    at_replica.send(redis::cmd("REPLICAOF").arg("NO").arg("ONE")).await.unwrap();
    let follows = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(watched.replica.port()).take();
    at_master.send(&follows).await.unwrap();
    watched.at_sentinel.sentinel_monitor("mymaster", "127.0.0.1", watched.replica.port(), 1).await.unwrap();
    // A connection of its own that was kept is not one to a master any more.
    node.dedicated().await.unwrap().set("l", 1).await.unwrap();
    node.set("k", 1).await.unwrap();
    assert_eq!(at_replica.mget::<u8>(&["k", "l"]).await.unwrap(), [Some(1), Some(1)]);
}

#[tokio::test]
async fn a_server_that_is_no_master_is_not_taken_for_one() {
    let watched = watched("mymaster").await;
    watched.at_sentinel.sentinel_monitor("wrong", "127.0.0.1", watched.replica.port(), 1).await.unwrap();
    let error = Node::connect(url(&[watched.sentinel.port()], "wrong")).await.unwrap_err();
    assert!(error.is_connect() && error.to_string().contains("no master"), "{error}");
}

#[tokio::test]
async fn what_no_sentinel_knows_is_no_connection() {
    let watched = watched("mymaster").await;
    let error = Node::connect(url(&[watched.sentinel.port()], "other")).await.unwrap_err();
    assert!(error.is_connect() && error.to_string().contains("no sentinel knows"), "{error}");
}

/// A master and a replica with a password, and three sentinels with another one.
struct Guarded {
    master: Server,
    replica: Server,
    sentinels: Servers,
}

const PASSWORD: &str = "the master's";
const OF_SENTINELS: &str = "the sentinels' & nobody's";

impl Guarded {
    async fn start() -> Self {
        let guarded = || Server::builder().password(PASSWORD).arg("--masterauth", PASSWORD);
        let master = guarded().start().unwrap();
        let replica =
            guarded().args(["--replicaof", "127.0.0.1", &master.port().to_string()]).start().unwrap();
        let at_replica = Node::connect(replica.url()).await.unwrap();
        eventually("the replica follows", async || {
            at_replica.info().await.unwrap().get("replication", "master_link_status") == Some("up")
        })
        .await;
        let sentinels = Server::builder().sentinel().password(OF_SENTINELS).start_many(3).unwrap();
        for sentinel in sentinels.iter() {
            let at = Node::connect(sentinel.url()).await.unwrap();
            at.sentinel_monitor("mymaster", "127.0.0.1", master.port(), 2).await.unwrap();
            at.sentinel_set("mymaster", "auth-pass", PASSWORD).await.unwrap();
            at.sentinel_set("mymaster", "down-after-milliseconds", 300).await.unwrap();
            at.sentinel_set("mymaster", "failover-timeout", 2000).await.unwrap();
        }
        for sentinel in sentinels.iter() {
            let at = Node::connect(sentinel.url()).await.unwrap();
            eventually("it knows the others, and the replica", async || {
                let others = at.sentinel_sentinels("mymaster").await.unwrap();
                let replicas = at.sentinel_replicas("mymaster").await.unwrap();
                let is_linked = |replica: &SentinelFields| {
                    replica.get("master-link-status").is_some_and(|status| status == "ok")
                };
                others.len() == 2 && replicas.iter().any(is_linked)
            })
            .await;
        }
        Self { master, replica, sentinels }
    }

    /// The URL of the service, as the first sentinel knows it.
    fn url(&self) -> String {
        let port = self.sentinels[0].port();
        format!("redis+sentinel://:the%20master's@127.0.0.1:{port}/mymaster")
    }
}

#[tokio::test]
async fn one_sentinel_names_the_others_and_is_not_needed_any_more() {
    let mut guarded = Guarded::start().await;
    let url = format!("{}?sentinel_password=the+sentinels'+%26+nobody's", guarded.url());
    let ring = RedisRing::builder().node("a", &url).connect().await.unwrap();
    ring.set("k", "before").await.unwrap();
    let owned = ring.on_node("a").unwrap().dedicated().await.unwrap();
    owned.set("l", 1).await.unwrap();
    assert_eq!(owned.wait(1, std::time::Duration::from_secs(20)).await.unwrap(), 1);
    drop(owned);

    // The only one that the URL names, and the master.
    guarded.sentinels[0].kill();
    guarded.master.kill();
    eventually("the replica takes over", async || ring.set("k", "after").await.is_ok()).await;
    let at_replica = Node::connect(guarded.replica.url()).await.unwrap();
    assert_eq!(at_replica.get::<String>("k").await.unwrap().as_deref(), Some("after"));
    ring.on_node("a").unwrap().dedicated().await.unwrap().set("m", 1).await.unwrap();
    assert_eq!(at_replica.get::<u8>("m").await.unwrap(), Some(1));
}

#[tokio::test]
async fn whose_password_is_wrong_is_said_and_the_password_is_not() {
    let guarded = Guarded::start().await;
    let sentinel = format!("sentinel 127.0.0.1:{}", guarded.sentinels[0].port());
    let config = NodeConfig::new(&guarded.url()).unwrap();
    for config in [config.clone(), config.clone().with_sentinel_credentials(None, "a wrong one")] {
        let error = Node::connect(config).await.unwrap_err();
        assert!(error.is_auth() && error.to_string().contains(&sentinel), "{error}");
        assert!(!format!("{error} {error:?}").contains("a wrong one"));
    }
    let config = config.with_sentinel_credentials(None, OF_SENTINELS);
    Node::connect(config.clone()).await.unwrap();
    let error = Node::connect(config.with_credentials(None, "a wrong one")).await.unwrap_err();
    assert!(error.is_auth() && !error.to_string().contains("sentinel"), "{error}");

    // A user who may ask for the master and for nothing else.
    let at = Node::connect(guarded.sentinels[0].url()).await.unwrap();
    let user = ["SETUSER", "app", "on", ">hush", "+sentinel|get-master-addr-by-name"];
    at.send(redis::cmd("ACL").arg(&user)).await.unwrap();
    let url = format!("{}?sentinel_username=app&sentinel_password=hush", guarded.url());
    Node::connect(url).await.unwrap().set("k", 1).await.unwrap();
}

#[tokio::test]
async fn a_sentinel_with_an_old_view_misleads_nobody() {
    let watched = watched("mymaster").await;
    let old = Server::builder().sentinel().start().unwrap();
    let gone = {
        let mut server = Server::start().unwrap();
        server.kill();
        server
    };
    let at_old = Node::connect(old.url()).await.unwrap();
    // It takes a server that is gone for the master, and then one that is a replica.
    for port in [gone.port(), watched.replica.port()] {
        at_old.sentinel_monitor("mymaster", "127.0.0.1", port, 1).await.unwrap();
        for _ in 0..10 {
            let node = Node::connect(url(&[old.port(), watched.sentinel.port()], "mymaster")).await.unwrap();
            assert_eq!(node.role_of().await, "master");
            node.dedicated().await.unwrap().set("k", 1).await.unwrap();
        }
        at_old.sentinel_remove("mymaster").await.unwrap();
    }
}

trait Role {
    async fn role_of(&self) -> String;
}

impl Role for Node {
    async fn role_of(&self) -> String {
        let info = self.info().await.unwrap();
        info.get("replication", "role").unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_master_that_does_not_tell_a_user_its_role_is_believed_to_be_one() {
    let watched = watched("shop").await;
    let master = Node::connect(watched.master.url()).await.unwrap();
    for rules in ["+@all -role", "+@all -@dangerous", "+@all -role -info -client"] {
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg("app").arg("reset").arg("on").arg(">secret").arg("~*").arg("&*");
        master.send(user.arg(rules.split(' ').collect::<Vec<_>>())).await.unwrap();
        let url = format!("redis+sentinel://app:secret@127.0.0.1:{}/shop", watched.sentinel.port());
        let node = Node::connect(url).await.unwrap();
        node.set("k", rules).await.unwrap();
        node.rpush("list", &[1, 2]).await.unwrap();
        for expected in [1, 2] {
            let popped = node.blpop::<String, u8>("list", Duration::from_secs(5)).await.unwrap();
            assert_eq!(popped.unwrap().1, expected);
        }
    }
}

#[tokio::test]
async fn two_services_of_one_master_are_one_server() {
    let watched = watched("one").await;
    watched.at_sentinel.sentinel_monitor("two", "127.0.0.1", watched.master.port(), 1).await.unwrap();
    let [one, two] = ["one", "two"].map(|service| url(&[watched.sentinel.port()], service));
    let error = RedisRing::builder().node("a", &one).node("b", &two).connect().await.unwrap_err();
    assert!(error.to_string().contains("`a`") && error.to_string().contains("`b`"), "{error}");
    let error =
        RedisCopy::builder().node("a", &one).node("b", &watched.master.url()).connect().await.unwrap_err();
    assert!(error.to_string().contains("a server of its own"), "{error}");
}

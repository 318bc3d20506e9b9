//! The error replies of a real server, and whether each says that nothing was executed.

use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::commands::*;
use redisdb::node::Error;
use redisdb_tests::eventually;
use xtask::Server;

async fn node(server: &Server) -> Node {
    Node::connect(server.url()).await.unwrap()
}

async fn send(node: &Node, words: &[&str]) -> Result<redis::Value, Error> {
    node.send(redis::Cmd::new().arg(words)).await
}

/// The command is answered with this code, and was certainly not executed.
async fn rejected(node: &Node, words: &[&str], code: &str) {
    let error = send(node, words).await.expect_err(code);
    assert_eq!(error.code(), Some(code), "{error}");
    assert!(!error.may_have_executed() && !error.is_connect() && !error.is_timeout(), "{error}");
}

#[tokio::test]
async fn a_full_server_refuses_writes_and_answers_reads() {
    let server = Server::start().unwrap();
    let node = node(&server).await;
    node.set("k", 1).await.unwrap();
    node.config_set("maxmemory", 1).await.unwrap();
    rejected(&node, &["SET", "k", "2"], "OOM").await;
    assert_eq!(node.get::<u8>("k").await.unwrap(), Some(1));
    node.config_set("maxmemory", 0).await.unwrap();
    node.set("k", 2).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_save_refuses_writes_and_answers_reads() {
    let server = Server::start().unwrap();
    let node = node(&server).await;
    node.set("k", 1).await.unwrap();
    let dir = node.config_get("dir").await.unwrap();
    std::fs::create_dir(std::path::Path::new(&dir["dir"]).join("dump.rdb")).unwrap();
    // Writes are refused only while saving is configured at all.
    node.config_set("save", "3600 1").await.unwrap();
    node.bgsave().await.unwrap();
    eventually("saving has failed", async || send(&node, &["SET", "k", "2"]).await.is_err()).await;
    rejected(&node, &["SET", "k", "2"], "MISCONF").await;
    assert!(node.get::<u8>("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_replica_refuses_writes_and_without_its_master_reads() {
    let server = Server::start().unwrap();
    let node = node(&server).await;
    send(&node, &["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    rejected(&node, &["SET", "k", "1"], "READONLY").await;
    node.config_set("replica-serve-stale-data", "no").await.unwrap();
    rejected(&node, &["GET", "k"], "MASTERDOWN").await;
}

#[tokio::test]
async fn a_server_that_runs_an_endless_script_refuses_everything() {
    let server = Server::start().unwrap();
    let (node, other) = (node(&server).await, node(&server).await);
    // The name that every version knows.
    node.config_set("lua-time-limit", 20).await.unwrap();
    let script = tokio::spawn(async move { send(&other, &["EVAL", "while true do end", "0"]).await });
    eventually("the script is noticed", async || {
        send(&node, &["GET", "k"]).await.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    rejected(&node, &["SET", "k", "1"], "BUSY").await;
    send(&node, &["SCRIPT", "KILL"]).await.unwrap();
    // What a script did before it ended stays.
    assert!(script.await.unwrap().unwrap_err().may_have_executed());
    node.set("k", 1).await.unwrap();
}

#[tokio::test]
async fn a_user_gets_what_it_may_and_is_told_what_it_may_not() {
    let server = Server::start().unwrap();
    let admin = node(&server).await;
    send(&admin, &["ACL", "SETUSER", "ann", "on", ">a-word", "~*", "+get"]).await.unwrap();
    let url = server.url().replace("redis://", "redis://ann:a-word@");
    // INFO and CLIENT ID are not allowed either, and are not needed.
    let ann = Node::connect(url).await.unwrap();
    assert_eq!(ann.get::<String>("k").await.unwrap(), None);
    rejected(&ann, &["SET", "k", "1"], "NOPERM").await;
}

#[tokio::test]
async fn errors_of_a_single_command_prove_that_it_was_not_executed() {
    let server = Server::start().unwrap();
    let node = node(&server).await;
    node.rpush("list", "x").await.unwrap();
    rejected(&node, &["GET", "list"], "WRONGTYPE").await;
    rejected(&node, &["SET", "k"], "ERR").await;
    rejected(&node, &["NOSUCHCOMMAND"], "ERR").await;
    rejected(&node, &["EXPIRE", "k", "text"], "ERR").await;
    let hash = "0123456789012345678901234567890123456789";
    let error = send(&node, &["EVALSHA", hash, "0"]).await.unwrap_err();
    assert_eq!(error.code(), Some("NOSCRIPT"));
    assert!(!error.may_have_executed(), "a script that is not known has not run");
    let script = "redis.call('SET', KEYS[1], 1); return redis.call('GET', KEYS[2])";
    let error = send(&node, &["EVAL", script, "2", "done", "list"]).await.unwrap_err();
    assert!(error.may_have_executed(), "{error}");
    assert_eq!(node.get::<u8>("done").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_no_other_server() {
    let server = Server::start().unwrap();
    let first = node(&server).await;
    first.config_set("maxclients", 1).await.unwrap();
    let second = Node::new(NodeConfig::new(&server.url()).unwrap());
    let error = second.get::<u8>("k").await.unwrap_err();
    // The server says why and hangs up before it is asked anything: the reason may be lost, the outcome is not.
    assert!(!error.may_have_executed() && !error.is_config(), "{error:?}");
    first.config_set("maxclients", 100).await.unwrap();
    eventually("it is let in", async || second.get::<u8>("k").await.is_ok()).await;
}

#[tokio::test]
async fn servers_of_a_redis_cluster_send_nobody_elsewhere_in_silence() {
    let server = || Server::builder().arg("--cluster-enabled", "yes").start().unwrap();
    let (a, b) = (server(), server());
    let (at_a, at_b) = (node(&a).await, node(&b).await);
    let mut all = vec!["CLUSTER".to_owned(), "ADDSLOTS".to_owned()];
    all.extend((0..16384).map(|slot| slot.to_string()));
    send(&at_a, &all.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    send(&at_b, &["CLUSTER", "MEET", "127.0.0.1", &a.port().to_string()]).await.unwrap();
    eventually("they know each other", async || {
        send(&at_b, &["GET", "k"]).await.is_err_and(|error| error.code() == Some("MOVED"))
    })
    .await;
    rejected(&at_b, &["SET", "k", "1"], "MOVED").await;
    let ring = redisdb::RedisRing::builder().node("b", &b.url()).connect().await.unwrap();
    let error = ring.set("k", 1).await.unwrap_err();
    assert_eq!((error.code(), error.may_have_executed()), (Some("MOVED"), false), "{error}");
    assert!(!ring.on_node("b").unwrap().is_down(), "it answers");

    // A slot that is about to move: what is here already is, what is not is asked for elsewhere, and both is neither.
    send(&at_a, &["SET", "{t}a", "1"]).await.unwrap();
    let slot: i64 = at_a.query(redis::cmd("CLUSTER").arg("KEYSLOT").arg("{t}a")).await.unwrap();
    let id: String = redis::from_redis_value(send(&at_b, &["CLUSTER", "MYID"]).await.unwrap()).unwrap();
    send(&at_a, &["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &id]).await.unwrap();
    rejected(&at_a, &["GET", "{t}b"], "ASK").await;
    // Redis 6.2 sends there for both.
    let is_old = at_a.info().await.unwrap().version().unwrap().starts_with("6.");
    let code = if is_old { "ASK" } else { "TRYAGAIN" };
    rejected(&at_a, &["MGET", "{t}a", "{t}b"], code).await;
    assert_eq!(at_a.mget::<u8>(&["{t}a", "{t}b"]).await.unwrap_err().code(), Some(code));
}

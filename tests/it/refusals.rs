//! Errors that are no lost connection: what they say of the command, and that the connection stays.

use redis::Cmd;
use redis::Pipeline;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb::node::ErrorKind;
use redisdb::node::Outcome;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use xtask::Server;
use xtask::Servers;

fn cmd(words: &str) -> Cmd {
    let mut cmd = Cmd::new();
    cmd.arg(words.split(' ').collect::<Vec<_>>());
    cmd
}

fn block(commands: &[&str]) -> Pipeline {
    let mut block = redis::pipe();
    block.atomic();
    commands.iter().for_each(|words| _ = block.add_command(cmd(words)));
    block
}

async fn send(node: &Node, words: &str) {
    node.send(&cmd(words)).await.unwrap();
}

/// Returns what the server calls the shared connection.
async fn connection(node: &Node) -> redis::Value {
    node.send(&cmd("CLIENT ID")).await.unwrap()
}

/// A way in which a server refuses a command while it is queued: how to bring it about, by which command, and the code.
struct Refusal {
    before: &'static [&'static str],
    command: &'static str,
    code: &'static str,
    after: &'static [&'static str],
}

const REFUSALS: [Refusal; 5] = [
    Refusal {
        before: &["CONFIG SET maxmemory 1"],
        command: "ZADD z 1 m",
        code: "OOM",
        after: &["CONFIG SET maxmemory 0"],
    },
    Refusal {
        before: &["REPLICAOF 127.0.0.1 1"],
        command: "ZADD z 1 m",
        code: "READONLY",
        after: &["REPLICAOF NO ONE"],
    },
    Refusal { before: &[], command: "NOSUCH z", code: "ERR", after: &[] },
    Refusal { before: &[], command: "ZADD z", code: "ERR", after: &[] },
    Refusal {
        before: &["ACL SETUSER default -zadd"],
        command: "ZADD z 1 m",
        code: "NOPERM",
        after: &["ACL SETUSER default +zadd"],
    },
];

#[tokio::test]
async fn a_block_that_is_discarded_was_not_executed_and_costs_no_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let before = connection(&node).await;
    for Refusal { before, command, code, after } in REFUSALS {
        for words in before {
            send(&node, words).await;
        }
        let block = block(&[command, "GET k"]);
        let error = node.send_pipeline(&block, 3, 1).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Some("EXECABORT"), Outcome::Rejected), "{error}");
        let name = command.split(' ').next().unwrap();
        assert!(error.to_string().contains(&format!("`{name}`: {code}")), "{error}");
        assert_eq!(error.refuses_writes(), matches!(code, "OOM" | "READONLY"), "{error}");
        // Through redis-rs, on a connection of one's own.
        let mut owned = node.dedicated().await.unwrap();
        let id: i64 = cmd("CLIENT ID").query_async(&mut owned).await.unwrap();
        let error = block.query_async::<()>(&mut owned).await.unwrap_err();
        assert_eq!(error.code(), Some("EXECABORT"), "{error}");
        assert_eq!(cmd("CLIENT ID").query_async::<i64>(&mut owned).await.unwrap(), id);
        for words in after {
            send(&node, words).await;
        }
    }
    assert_eq!(connection(&node).await, before);
    assert_eq!(node.exists("z").await.unwrap(), 0);
}

#[tokio::test]
async fn a_typed_block_and_a_transaction_say_whose_fault_it_was() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let before = connection(&node).await;
    send(&node, "REPLICAOF 127.0.0.1 1").await;
    let pipeline = node.pipeline().atomic();
    let (got, set) = (pipeline.get::<String>("k"), pipeline.set("k", 1));
    assert!(pipeline.execute().await.check().is_err());
    let (got, set) = (got.await.unwrap_err(), set.await.unwrap_err());
    assert_eq!((got.code(), set.code()), (Some("EXECABORT"), Some("READONLY")));
    assert!(!got.may_have_executed() && !set.may_have_executed());
    assert!(got.to_string().contains("`SET`: READONLY"), "{got}");
    let error = node
        .transaction("k", |tx| async move {
            let queue = tx.queue();
            let got = queue.get::<String>("k");
            drop(queue.set("k", 1));
            let _each_has_its_own = queue.execute().await;
            let error = got.await.unwrap_err();
            // The connection is as well as before.
            tx.get::<String>("k").await?;
            Err::<(), _>(error)
        })
        .await
        .unwrap_err();
    assert!(error.code() == Some("EXECABORT") && !error.may_have_executed(), "{error}");
    assert!(error.to_string().contains("`SET`: READONLY"), "{error}");
    assert_eq!(connection(&node).await, before);
}

#[tokio::test]
async fn a_block_that_meets_a_script_that_runs_too_long_was_not_executed() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let outsider = Node::connect(server.url()).await.unwrap();
    send(&node, "CONFIG SET lua-time-limit 1").await;
    let before = connection(&node).await;
    let script = tokio::spawn({
        let outsider = outsider.clone();
        async move { outsider.send(redis::cmd("EVAL").arg("while true do end").arg(0)).await }
    });
    eventually("it runs too long", async || {
        node.send(&cmd("GET k")).await.is_err_and(|error| error.code() == Some("BUSY"))
    })
    .await;
    let error = node.send_pipeline(&block(&["SET k 1"]), 2, 1).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Some("EXECABORT"), Outcome::Rejected), "{error}");
    assert!(error.to_string().contains("BUSY"), "{error}");
    send(&node, "SCRIPT KILL").await;
    script.await.unwrap().unwrap_err();
    assert_eq!(connection(&node).await, before);
    assert_eq!(node.exists("k").await.unwrap(), 0);
}

/// Then the server executes each command by itself.
#[tokio::test]
async fn commands_that_ran_without_multi_are_not_called_discarded() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let before = connection(&node).await;
    send(&node, "ACL SETUSER default -multi").await;
    let error = node.send_pipeline(&block(&["SET k 1", "NOSUCH"]), 3, 1).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotAtomic(_)) && error.may_have_executed(), "{error}");
    assert_eq!(node.get::<u8>("k").await.unwrap(), Some(1));
    let pipeline = node.pipeline().atomic();
    let set = pipeline.set("k", 2);
    let _each_has_its_own = pipeline.execute().await;
    let error = set.await.unwrap_err();
    assert!(error.code() == Some("NOPERM") && error.may_have_executed(), "{error}");
    let mut owned = node.dedicated().await.unwrap();
    let error = block(&["SET k 3"]).query_async::<()>(&mut owned).await.unwrap_err();
    assert_eq!(error.code(), Some("NOTATOMIC"), "{error}");
    assert_eq!(owned.get::<u8>("k").await.unwrap(), Some(3));
    assert_eq!(connection(&node).await, before);
}

#[tokio::test]
async fn a_block_that_cannot_be_ended_does_not_swallow_the_commands_of_others() {
    let server = Server::builder().args(["--rename-command", "EXEC", ""]).start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let error = node.send_pipeline(&block(&["SET k 1"]), 2, 1).await.unwrap_err();
    assert_eq!(error.code(), Some("ERR"), "{error}");
    assert_eq!(node.get::<u8>("k").await.unwrap(), None);
    assert_eq!(node.dbsize().await.unwrap(), 0);
    assert!(!node.is_down());
}

#[tokio::test]
async fn nothing_to_send_is_no_lost_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let before = connection(&node).await;
    let error = node.send(&Cmd::new()).await.unwrap_err();
    assert!(error.is_unsupported() && error.is_not_sent(), "{error}");
    assert_eq!(node.send_pipeline(&redis::pipe(), 0, 0).await.unwrap(), []);
    let mut without_words = redis::pipe();
    without_words.add_command(cmd("GET k")).add_command(Cmd::new()).add_command(cmd("GET l"));
    let error = node.send_pipeline(&without_words, 0, 3).await.unwrap_err();
    assert!(error.is_unsupported() && error.is_not_sent(), "{error}");
    let mut owned = node.dedicated().await.unwrap();
    assert!(Cmd::new().query_async::<()>(&mut owned).await.is_err());
    owned.set("k", 1).await.unwrap();
    assert_eq!(connection(&node).await, before);
}

/// Servers quote what they were sent.
#[tokio::test]
async fn an_error_that_quotes_bytes_is_an_answer() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let before = connection(&node).await;
    let error = node.send(redis::cmd("NOSUCH").arg(b"\xff\xfe\xc3")).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Some("ERR"), Outcome::Rejected), "{error}");
    let mut pipeline = redis::pipe();
    pipeline.cmd("NOSUCH").arg(b"\xff").cmd("GET").arg("k");
    let replies = node.send_pipeline(&pipeline, 0, 2).await.unwrap();
    assert!(matches!(replies[..], [redis::Value::ServerError(_), redis::Value::Nil]), "{replies:?}");
    assert_eq!(connection(&node).await, before);
}

#[tokio::test]
async fn a_decided_command_on_a_copy_that_is_full_is_refused_and_takes_no_node_down() {
    let (servers, copy) = redisdb_tests::copy().await;
    let mut before = Vec::new();
    for node in copy.nodes() {
        before.push(connection(&node).await);
        send(&node, "CONFIG SET maxmemory 1").await;
    }
    let one: [(f64, &str); 1] = [(1.0, "m")];
    for _ in 0..4 {
        let error = copy.query::<u8>(&cmd("ZADD z NX 1 m")).await.unwrap_err();
        assert!(error.code() == Some("OOM") && !error.may_have_executed(), "{error}");
        let error = copy.incrbyfloat("f", 1.5).await.unwrap_err();
        assert!(error.code() == Some("OOM") && !error.may_have_executed(), "{error}");
        let error = copy.zadd("z", one).await.unwrap_err();
        assert!(error.code() == Some("OOM") && !error.may_have_executed(), "{error}");
        let error = block(&["ZADD z 1 m"]).query_async::<()>(&mut copy.clone()).await.unwrap_err();
        assert_eq!(error.code(), Some("EXECABORT"), "{error}");
    }
    for ((node, before), (_, health)) in copy.nodes().zip(before).zip(copy.health()) {
        assert_eq!(health, Health::WriteDegraded);
        assert!(!node.is_down());
        assert_eq!(connection(&node).await, before);
        send(&node, "CONFIG SET maxmemory 0").await;
    }
    assert_eq!(copy.query::<u8>(&cmd("ZADD z NX 1 m")).await.unwrap(), 1);
    drop(servers);
}

#[tokio::test]
async fn a_block_through_redis_rs_on_a_ring_keeps_the_code() {
    let servers = Servers::start(3).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
    let ring = ring.connect().await.unwrap();
    let owner = ring.node_for("k");
    let before = connection(&owner).await;
    send(&owner, "CONFIG SET maxmemory 1").await;
    let error = block(&["SET k 1"]).query_async::<()>(&mut ring.clone()).await.unwrap_err();
    assert_eq!(error.code(), Some("EXECABORT"), "{error}");
    assert!(error.to_string().contains("`SET`: OOM"), "{error}");
    let pipeline = ring.pipeline().atomic();
    let set = pipeline.set("k", 1);
    let _each_has_its_own = pipeline.execute().await;
    let error: Error = set.await.unwrap_err();
    assert!(error.code() == Some("OOM") && !error.may_have_executed(), "{error}");
    assert_eq!(connection(&owner).await, before);
}

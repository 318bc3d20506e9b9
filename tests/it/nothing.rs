//! Nothing to send: no command at all, or one without a word.

use redis::Cmd;
use redis::Pipeline;
use redis::Value;
use redis::aio::ConnectionLike;
use redisdb::Health;
use redisdb::Node;
use redisdb::cache::Cache;
use redisdb::node::command::rows;
use redisdb::node::plumbing::Batch;
use redisdb_tests::copy;
use redisdb_tests::process;
use redisdb_tests::ring;
use xtask::Server;
use xtask::Servers;

/// The number of the connection that a node has.
async fn connection(node: &Node) -> Value {
    node.send(redis::cmd("CLIENT").arg("ID")).await.unwrap()
}

/// The answers that redis-rs gets for a pipeline and a block without a command.
async fn lent(connection: &mut impl ConnectionLike) {
    let error = redis::pipe().exec_async(connection).await.unwrap_err();
    assert_eq!(error.kind(), redis::ErrorKind::Client, "redis-rs has this error too");
    redis::pipe().atomic().exec_async(connection).await.unwrap();
    let none: Vec<Value> = redis::pipe().atomic().query_async(connection).await.unwrap();
    assert_eq!(none, []);
    let error = Cmd::new().query_async::<Value>(connection).await.unwrap_err();
    assert!(!error.is_io_error(), "{error}");
}

#[tokio::test]
async fn a_pipeline_without_a_command_sends_nothing_to_a_node() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url().as_str()).await.unwrap();
    let before = connection(&node).await;
    assert_eq!(node.send_pipeline(&Pipeline::new(), 0, 0).await.unwrap(), []);
    let block = redis::pipe().atomic().clone();
    assert_eq!(node.send_pipeline(&block, 1, 1).await.unwrap(), [Value::Array(Vec::new())]);
    node.pipeline().execute().await.check().unwrap();
    node.pipeline().atomic().execute().await.check().unwrap();
    let mut owned = node.dedicated().await.unwrap();
    lent(&mut owned).await;
    let nothing =
        async |transaction: redisdb::node::Transaction| transaction.queue().execute().await.check().map(drop);
    node.transaction("k", nothing).await.unwrap();
    assert_eq!(connection(&node).await, before);
    assert!(!node.is_down());
}

#[tokio::test]
async fn a_command_without_a_word_is_an_error_and_costs_no_connection() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url().as_str()).await.unwrap();
    let before = connection(&node).await;
    assert!(node.send(&Cmd::new()).await.unwrap_err().is_unsupported());
    let pipeline = redis::pipe().cmd("PING").add_command(Cmd::new()).cmd("PING").clone();
    assert!(node.send_pipeline(&pipeline, 0, 3).await.unwrap_err().is_unsupported());
    // Also where the row of a command is given with it. Beside it, each caller gets the reply to its own command.
    let get = rows::GET.spec();
    for once in [false, true] {
        let wordless = async || {
            if once { node.run_once(get, &Cmd::new()).await } else { node.run(get, &Cmd::new()).await }
        };
        let echo = async |word: &str| node.send(redis::cmd("ECHO").arg(word)).await;
        let (refused, a, b) = tokio::join!(wordless(), echo("a"), echo("b"));
        assert!(refused.unwrap_err().is_unsupported());
        assert_eq!(
            (a.unwrap(), b.unwrap()),
            (Value::BulkString(b"a".into()), Value::BulkString(b"b".into()))
        );
    }
    let nothing = Cmd::new();
    let mut batch = Batch::with_capacity(1);
    assert_eq!(node.send_batch(&batch).await.unwrap(), []);
    batch.push(&nothing);
    assert!(node.send_batch(&batch).await.unwrap_err().is_unsupported());
    assert_eq!(connection(&node).await, before);
}

#[tokio::test]
async fn a_pipeline_without_a_command_sends_nothing_to_a_ring() {
    let (_servers, ring) = ring().await;
    ring.pipeline().execute().await.check().unwrap();
    ring.pipeline().atomic().execute().await.check().unwrap();
    lent(&mut ring.clone()).await;
    let cache = Cache::new(ring.clone());
    assert!(cache.get_many::<u8, &str>([]).await.unwrap().values.is_empty());
    assert!(cache.set_many::<&str, u8>([]).await.unwrap().failed.is_empty());
    assert_eq!(cache.delete_many::<&str>([]).await.unwrap().n_deleted, 0);
}

#[tokio::test]
async fn a_pipeline_without_a_command_sends_nothing_to_a_copy() {
    let (_servers, copy) = copy().await;
    copy.pipeline().execute().await.check().unwrap();
    copy.pipeline().atomic().execute().await.check().unwrap();
    lent(&mut copy.clone()).await;
}

#[tokio::test]
async fn an_empty_copy_is_verified_and_stays_up() {
    for identity in [None, Some("shop")] {
        let servers = Servers::start(3).unwrap();
        let copy = process(&servers.urls(), identity).connect().await.unwrap();
        let mut before = Vec::new();
        for node in copy.nodes() {
            before.push(connection(&node).await);
        }
        let verified = copy.verify().run().await.unwrap();
        assert_eq!((verified.compared, verified.len()), (0, 0));
        assert!(copy.repair("b").from("a").run().await.unwrap().readmitted);
        assert!(copy.health().iter().all(|(_, health)| *health == Health::Up), "{:?}", copy.health());
        for (node, before) in copy.nodes().zip(before) {
            assert_eq!(connection(&node).await, before);
        }
    }
}

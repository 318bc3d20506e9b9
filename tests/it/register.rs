//! Commands that the table does not have, registered by hand or learned from a server.
//!
//! No module is needed for it: a server that has renamed a command has one that the table does not know.

use redis::RedisResult;
use redis::Value;
use redis::cmd;
use redisdb::Error;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node;
use redisdb_node::command::Keys;
use redisdb_node::command::Merge;
use redisdb_node::command::OnRing;
use redisdb_node::command::Registration;
use redisdb_tests::NAMES;
use xtask::Server;

/// Three servers on which each of these commands has another name, which begins with a prefix.
fn servers(prefix: &str, commands: &[&str]) -> Vec<Server> {
    let start = |_| {
        let rename = |command: &&str| {
            ["--rename-command".to_owned(), command.to_string(), format!("{prefix}.{command}")]
        };
        Server::builder().args(commands.iter().flat_map(rename)).start().unwrap()
    };
    NAMES.iter().map(start).collect()
}

async fn ring_over(servers: &[Server]) -> RedisRing {
    let nodes = NAMES.iter().zip(servers);
    nodes
        .fold(RedisRing::builder(), |ring, (name, server)| ring.node(*name, &server.url()))
        .connect()
        .await
        .unwrap()
}

async fn copy_over(servers: &[Server]) -> RedisCopy {
    let nodes = NAMES.iter().zip(servers);
    nodes
        .fold(RedisCopy::builder(), |copy, (name, server)| copy.node(*name, &server.url()))
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn an_unknown_command_runs_on_a_ring_and_a_copy_once_it_is_learned() {
    let servers = servers("L", &["GET", "SET", "MSETNX", "INCR", "SINTERSTORE", "ZUNION", "DBSIZE"]);
    let (mut ring, mut copy) = (ring_over(&servers).await, copy_over(&servers).await);
    let set = cmd("L.SET").arg("k").arg("v").take();
    assert!(ring.explain(&set).to_string().contains("L.SET"), "{}", ring.explain(&set));
    set.query_async::<()>(&mut ring).await.unwrap_err();
    set.query_async::<()>(&mut copy).await.unwrap_err();

    let names = ["L.GET", "l.set", "L.MSETNX", "L.INCR", "L.SINTERSTORE", "L.DBSIZE"];
    let learned = ring.on_node("a").unwrap().learn(&names).await.unwrap();
    assert_eq!(learned[0], Registration::read("L.GET", Keys::One(1)).arity(2));
    assert_eq!(learned[1], Registration::write("L.SET", Keys::One(1)).arity(-3));
    assert_eq!(learned[2], Registration::write("L.MSETNX", Keys::Each { first: 1, step: 2 }).arity(-3));
    assert_eq!(learned[4], Registration::write("L.SINTERSTORE", Keys::Each { first: 1, step: 1 }).arity(-3));
    for command in learned {
        // `INCR` stays what it is: a write of which nobody has said that it can be copied.
        let command = if command.name() == "L.INCR" { command } else { command.deterministic() };
        command.register().unwrap();
    }

    for i in 0..50 {
        let key = format!("key:{i}");
        cmd("L.SET").arg(&key).arg(i).query_async::<()>(&mut ring).await.unwrap();
        assert_eq!(cmd("l.get").arg(&key).query_async::<usize>(&mut ring).await.unwrap(), i);
        let owner = ring.node_for(&key);
        assert_eq!(
            owner.send(cmd("L.GET").arg(&key)).await.unwrap(),
            Value::BulkString(i.to_string().into())
        );
        assert!(ring.explain(cmd("L.GET").arg(&key)).to_string().contains(owner.name()));
    }
    let values: (usize, usize) = redis::pipe()
        .cmd("L.GET")
        .arg("key:1")
        .cmd("L.GET")
        .arg("key:2")
        .query_async(&mut ring)
        .await
        .unwrap();
    assert_eq!(values, (1, 2));
    let across = cmd("L.MSETNX").arg(&["x", "1", "y", "2", "z", "3", "u", "4", "v", "5"]).take();
    let error = across.query_async::<Value>(&mut ring).await.unwrap_err();
    assert_eq!(error.code(), Some("CROSSNODE"), "{error}");
    let together = cmd("L.MSETNX").arg(&["{x}1", "1", "{x}2", "2"]).take();
    assert!(together.query_async::<bool>(&mut ring).await.unwrap());
    let error = cmd("L.DBSIZE").query_async::<Value>(&mut ring).await.unwrap_err();
    assert!(error.to_string().contains("on_node(name)"), "{error}");
    cmd("L.GET").query_async::<Value>(&mut ring).await.unwrap_err();

    cmd("L.SET").arg("copied").arg("yes").query_async::<()>(&mut copy).await.unwrap();
    assert_eq!(cmd("L.GET").arg("copied").query_async::<String>(&mut copy).await.unwrap(), "yes");
    for node in copy.nodes() {
        assert_eq!(node.send(cmd("L.GET").arg("copied")).await.unwrap(), Value::BulkString("yes".into()));
    }
    let error = cmd("L.INCR").arg("n").query_async::<Value>(&mut copy).await.unwrap_err();
    assert!(error.to_string().contains("deterministic"), "{error}");
    assert_eq!(cmd("L.INCR").arg("n").query_async::<i64>(&mut ring).await.unwrap(), 1);
}

#[tokio::test]
async fn a_command_that_is_registered_by_hand_goes_where_its_rule_says() {
    let servers = servers("H", &["DBSIZE", "MGET", "DEL", "ZUNION"]);
    let (mut ring, mut copy) = (ring_over(&servers).await, copy_over(&servers).await);
    let each = Keys::Each { first: 1, step: 1 };
    for command in [
        Registration::read("H.DBSIZE", Keys::None).ring(OnRing::EveryNode(Merge::Sum)),
        Registration::read("H.MGET", each).ring(OnRing::Split(Merge::Concat)),
        Registration::write("H.DEL", each).ring(OnRing::Split(Merge::Sum)).deterministic(),
        Registration::read("H.ZUNION", Keys::Counted(1)).arity(-3),
    ] {
        command.register().unwrap();
    }
    let keys: Vec<String> = (0..50).map(|i| format!("key:{i}")).collect();
    for key in &keys {
        cmd("SET").arg(key).arg(key).query_async::<()>(&mut ring).await.unwrap();
    }
    assert_eq!(cmd("H.DBSIZE").query_async::<usize>(&mut ring).await.unwrap(), 50);
    assert_eq!(cmd("H.MGET").arg(&keys).query_async::<Vec<String>>(&mut ring).await.unwrap(), keys);
    assert_eq!(cmd("H.DEL").arg(&keys).query_async::<usize>(&mut ring).await.unwrap(), 50);
    cmd("ZADD").arg("{z}a").arg(1).arg("m").query_async::<()>(&mut ring).await.unwrap();
    let union = cmd("H.ZUNION").arg(2).arg("{z}a").arg("{z}b").take();
    assert_eq!(union.query_async::<Vec<String>>(&mut ring).await.unwrap(), ["m"]);
    cmd("SET").arg("k").arg(1).query_async::<()>(&mut copy).await.unwrap();
    assert_eq!(cmd("H.DEL").arg("k").query_async::<usize>(&mut copy).await.unwrap(), 1);
    let gone: RedisResult<Option<i64>> = cmd("GET").arg("k").query_async(&mut copy).await;
    assert_eq!(gone.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_learned_says_why() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let reason = async |name: &str| {
        let error = node.learn(&["GET", name]).await.unwrap_err();
        assert!(matches!(error.kind(), node::ErrorKind::Unsupported(_)), "{error:?}");
        assert!(!error.may_have_executed());
        Error::from(error).to_string()
    };
    let error = reason("NO.SUCH").await;
    assert!(error.contains("`NO.SUCH` cannot be learned: the server does not have it"), "{error}");
    let error = reason("XREAD").await;
    assert!(error.contains("does not say where its keys stand"), "{error}");
    assert_eq!(node.learn(&[]).await.unwrap(), []);
    // It can be learned, but the table has it, and the table knows better.
    let [get] = <[_; 1]>::try_from(node.learn(&["GET"]).await.unwrap()).unwrap();
    let error = get.register().unwrap_err();
    assert_eq!(error.to_string(), "`GET` cannot be registered: it is in the command table already");
}

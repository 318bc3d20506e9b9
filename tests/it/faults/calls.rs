//! The outcomes of single calls while servers are killed, paused and restarted.

use std::time::Duration;
use std::time::Instant;

use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::ReadFrom;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::HyperLogLogCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// One key for each node of a ring.
fn key_of(ring: &RedisRing, node: &str) -> String {
    (0..).map(|i| format!("key:{i}")).find(|key| ring.node_for(key).name() == node).unwrap()
}

#[tokio::test]
async fn a_dead_node_of_a_ring_costs_its_own_keys_only() {
    let (mut servers, ring) = ring().await;
    let keys = NAMES.map(|name| key_of(&ring, name));
    for key in &keys {
        ring.set(key, 1).await.unwrap();
    }
    servers[1].kill();
    eventually("the loss is noticed", async || ring.get::<u8>(&keys[1]).await.is_err()).await;
    let error = ring.get::<u8>(&keys[1]).await.unwrap_err();
    let Error::Unavailable(unavailable) = &error else { panic!("{error}") };
    assert_eq!(unavailable.key.as_deref(), Some(keys[1].as_bytes()));
    assert_eq!(unavailable.errors[0].node(), Some("b"));
    assert!(error.is_connect() && !error.may_have_executed());
    for (i, key) in keys.iter().enumerate().filter(|(i, _)| *i != 1) {
        assert_eq!(ring.get::<u8>(key).await.unwrap(), Some(1), "{i}");
    }

    let error = ring.mget::<u8>(&keys).await.unwrap_err();
    let Error::Partial(partial) = &error else { panic!("{error}") };
    let failed: Vec<_> = partial.failed_keys().map(|(key, error)| (key, error.node())).collect();
    assert_eq!(failed, [(keys[1].as_bytes(), Some("b"))]);
    assert_eq!(partial.done_keys().count(), 2);

    servers[1].restart(Data::Lose).unwrap();
    eventually("it is used again", async || ring.set(&keys[1], 2).await.is_ok()).await;
    assert_eq!(ring.get::<u8>(&keys[1]).await.unwrap(), Some(2));
}

#[tokio::test]
async fn calls_to_a_down_node_do_not_wait_for_it() {
    let mut server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    server.kill();
    eventually("the loss is noticed", async || node.get::<u8>("k").await.is_err()).await;
    // A refused connection is quick; what must not happen is a timeout per call.
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(node.get::<u8>("k").await.is_err());
    }
    assert!(start.elapsed() < node.config().connect_timeout(), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_closed_connection_is_replaced_without_an_error() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    for round in 0..20 {
        node.set("k", round).await.unwrap();
        // Written as a write, which is never sent twice: it must not be lost in the closed connection.
        other
            .send(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"))
            .await
            .unwrap();
        eventually("the end is noticed", async || !node.is_connected()).await;
        assert_eq!(node.incr("n").await.unwrap(), round + 1);
    }
    assert_eq!(node.incarnation(), 0);
}

#[tokio::test]
async fn a_paused_server_times_out_and_comes_back() {
    let server = Server::start().unwrap();
    let config = redisdb::NodeConfig::new(&server.url()).unwrap();
    let timeout = Duration::from_millis(100);
    let node =
        Node::connect(config.with_response_timeout(timeout).with_connect_timeout(timeout)).await.unwrap();
    node.set("n", 0).await.unwrap();
    server.pause();
    let error = node.incr("n").await.unwrap_err();
    assert!(error.is_timeout() && error.may_have_executed(), "{error}");
    // The connection is given up after some timeouts, and a new one is not let in either: then nothing is sent.
    eventually("the connection is given up", async || {
        node.incr("n").await.is_err_and(|error| error.is_connect() && !error.may_have_executed())
    })
    .await;
    server.resume();
    eventually("it answers again", async || node.get::<i64>("n").await.is_ok()).await;
    assert_eq!(node.incarnation(), 0, "it is the same process");
    // What it was sent while it was paused has been executed or never will be: the old connection was ended first.
    let before = node.get::<i64>("n").await.unwrap();
    let stats = node.info_with(&["commandstats"]).await.unwrap();
    assert!(
        stats.get("commandstats", "cmdstat_client|kill").is_some()
            || stats.get("commandstats", "cmdstat_client").is_some()
    );
    for _ in 0..200 {
        assert_eq!(node.get::<i64>("n").await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_copy_answers_every_read_while_a_server_is_down() {
    let (mut servers, copy) = copy().await;
    let keys: Vec<String> = (0..60).map(|i| format!("key:{i}")).collect();
    _ = copy.mset(keys.iter().zip(0..)).await.unwrap();
    for down in 0..3 {
        servers[down].kill();
        for (key, i) in keys.iter().zip(0..) {
            assert_eq!(copy.get::<u32>(key).await.unwrap(), Some(i), "{key} with {down} down");
        }
        assert_eq!(copy.mget::<u32>(&keys).await.unwrap().len(), 60);
        let replies = copy.set("written", down).await.unwrap();
        assert_eq!(replies.failures().map(|(name, _)| name).collect::<Vec<_>>(), [NAMES[down]]);
        servers[down].restart(Data::Lose).unwrap();
        let node = copy.on_node(NAMES[down]).unwrap();
        eventually("it is up", async || node.ready().await.is_ok()).await;
        let lost = (NAMES[down].to_owned(), Health::Syncing);
        eventually("it is known to have lost all", async || copy.health()[down] == lost).await;
        // It is empty. Written anew and vouched for, it may answer again.
        _ = copy.mset(keys.iter().zip(0..)).await.unwrap();
        _ = copy.set("written", down).await.unwrap();
        copy.readmit(NAMES[down]).await.unwrap();
        assert_eq!(copy.health()[down], (NAMES[down].to_owned(), Health::Up));
    }
}

#[tokio::test]
async fn a_server_that_comes_back_empty_answers_no_read() {
    let (mut servers, copy) = copy().await;
    let keys: Vec<String> = (0..60).map(|i| format!("key:{i}")).collect();
    _ = copy.mset(keys.iter().zip(0..)).await.unwrap();
    // It is gone and back between two calls: nobody has seen it down.
    servers[0].kill();
    servers[0].restart(Data::Lose).unwrap();
    for (key, i) in keys.iter().zip(0..) {
        assert_eq!(copy.get::<u32>(key).await.unwrap(), Some(i), "{key}");
    }
    eventually("it is known to have lost all", async || {
        copy.health()[0] == ("a".to_owned(), Health::Syncing)
    })
    .await;
}

#[tokio::test]
async fn a_node_that_missed_a_write_does_not_answer_for_that_key() {
    let (mut servers, _) = copy().await;
    let timeout = Duration::from_millis(100);
    let builder = |read_from| {
        let nodes = NAMES.iter().zip(servers.urls());
        let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
        copy.on_return(OnReturn::Wait).response_timeout(timeout).connect_timeout(timeout).read_from(read_from)
    };
    let copy = builder(ReadFrom::InSync).connect().await.unwrap();
    let any = builder(ReadFrom::Any).connect().await.unwrap();
    let key = (0..).map(|i| format!("key:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap();
    let other = (0..).map(|i| format!("other:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap();
    _ = copy.mset([(&key, 1), (&other, 1)]).await.unwrap();
    let owner = copy.on_node("a").unwrap().clone();
    servers[0].pause();
    // It may or may not take this one once it goes on.
    let replies = copy.set(&key, 2).await.unwrap();
    assert_eq!(replies.failures().map(|(name, _)| name).collect::<Vec<_>>(), ["a"]);
    servers[0].resume();
    eventually("it answers", async || owner.ready().await.is_ok() && owner.exists(&key).await.is_ok()).await;
    owner.set(&key, "old").await.unwrap();
    owner.set(&other, "its own").await.unwrap();
    assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some("2"));
    // Once it is sure that it is the server it was, it answers for all that it has not missed.
    eventually("it is read from", async || {
        copy.get::<String>(&other).await.unwrap().as_deref() == Some("its own")
    })
    .await;
    assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some("2"));
    servers[1].kill();
    servers[2].kill();
    let error = copy.get::<String>(&key).await.unwrap_err();
    let Error::Unavailable(unavailable) = &error else { panic!("{error}") };
    assert_eq!(unavailable.behind, ["a"]);
    assert_eq!(any.get::<String>(&key).await.unwrap().as_deref(), Some("old"));
    copy.readmit("a").await.unwrap();
    assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some("old"));
}

#[tokio::test]
async fn start_up_does_not_need_every_node() {
    let mut servers = Servers::start(3).unwrap();
    servers[2].kill();
    let urls = servers.urls();
    let nodes = NAMES.iter().zip(&urls).fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
    let ring = nodes.connect().await.unwrap();
    let key = key_of(&ring, "c");
    assert!(matches!(ring.get::<u8>(&key).await, Err(Error::Unavailable(_))));
    servers[2].restart(Data::Lose).unwrap();
    eventually("it is used", async || ring.get::<u8>(&key).await.is_ok()).await;
    servers.iter_mut().for_each(Server::kill);
    let none = RedisRing::builder().nodes(&urls).connect().await.unwrap_err();
    assert!(none.is_connect(), "{none}");
}

#[tokio::test]
async fn a_dedicated_connection_blocks_nobody_else() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let mut waiting = node.dedicated().await.unwrap();
    let popped = tokio::spawn(async move {
        redis::cmd("BLPOP").arg("jobs").arg(0).query_async::<(String, String)>(&mut waiting).await
    });
    eventually("it waits", async || {
        let clients = node.send(redis::cmd("INFO").arg("clients")).await.unwrap();
        format!("{clients:?}").contains("blocked_clients:1")
    })
    .await;
    node.set("k", 1).await.unwrap();
    node.send(redis::cmd("RPUSH").arg("jobs").arg("one")).await.unwrap();
    assert_eq!(popped.await.unwrap().unwrap(), ("jobs".to_owned(), "one".to_owned()));

    // The shared connection refuses what would change it, before anything is sent.
    let multi = &redisdb::node::command::rows::MULTI;
    let error = node.run(multi.spec(), &multi.cmd()).await.unwrap_err();
    assert!(error.is_unsupported(), "{error}");
}

#[tokio::test]
async fn a_read_whose_connection_broke_is_sent_again_and_a_write_is_not() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let other = Node::connect(server.url()).await.unwrap();
    node.pfadd("seen", "x").await.unwrap();
    let client = |words: &'static [&'static str]| {
        let mut client = redis::cmd("CLIENT");
        client.arg(words);
        let other = other.clone();
        async move { other.send(&client).await.unwrap() }
    };
    // Both wait in the server: PFCOUNT may write its cache, so a pause of writes holds it too.
    client(&["PAUSE", "60000", "WRITE"]).await;
    let (reader, writer) = (node.clone(), node.clone());
    let read = tokio::spawn(async move { reader.pfcount("seen").await });
    let write = tokio::spawn(async move { writer.incr("n").await });
    eventually("both wait", async || {
        let clients = other.send(redis::cmd("INFO").arg("clients")).await.unwrap();
        // On one connection the second waits behind the first.
        format!("{clients:?}").contains("blocked_clients:1")
    })
    .await;
    client(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let error = write.await.unwrap().unwrap_err();
    assert!(error.may_have_executed() && !error.is_timeout(), "{error}");
    client(&["UNPAUSE"]).await;
    assert_eq!(read.await.unwrap().unwrap(), 1);
    assert_eq!(node.get::<u8>("n").await.unwrap(), None);
}

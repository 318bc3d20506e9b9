//! A refused command is refused by every way in, and leaves the connections that all calls share as they were.

use std::collections::BTreeMap;

use redis::Cmd;
use redis::Value;
use redis::cmd;
use redisdb::Decision;
use redisdb::Error;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::node::BlockingCommands;
use redisdb::node::ConnectionCommands;
use redisdb::node::KeyCommands;
use redisdb::node::ListCommands;
use redisdb::node::ServerCommands;
use redisdb::node::SortOptions;
use redisdb::node::StringCommands;
use redisdb_node::command::ALL;
use redisdb_node::command::words;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::copy_over;
use redisdb_tests::eventually;
use redisdb_tests::ring;
use xtask::Servers;

use crate::ways::examples;

/// Rings of three and of one, which accept keys that live on one node today.
async fn colocated(servers: &Servers) -> [RedisRing; 2] {
    let mut rings = Vec::new();
    for n in [3, 1] {
        let nodes = NAMES.iter().zip(servers.urls()).take(n);
        let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
        rings.push(ring.allow_colocated().connect().await.unwrap());
    }
    rings.try_into().unwrap()
}

/// The number of each node's shared connection: a connection that takes its place has another one.
async fn connections(nodes: &[Node]) -> Vec<u64> {
    let mut connections = Vec::new();
    for node in nodes {
        connections.push(node.client_id().await.unwrap());
    }
    connections
}

fn text(cmd: &Cmd) -> String {
    words(cmd).map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>().join(" ")
}

/// Calls what is refused by every way in.
async fn what_is_refused_does_no_harm<S: redisdb::Servers>(store: S, nodes: &[Node]) {
    let mut lent = store.clone();
    let before = connections(nodes).await;
    let mut n_refused = 0;
    for row in ALL {
        for cmd in examples(row).into_iter().take(4) {
            let name = text(&cmd);
            if let Decision::Refused(why) = store.explain(&cmd).decision {
                let error = store.query::<Value>(&cmd).await.unwrap_err();
                assert_eq!(error.to_string(), why.to_string(), "{name}");
                let error = cmd.query_async::<Value>(&mut lent).await.unwrap_err();
                assert!(error.to_string().contains(&why.to_string()), "{name}: {error}");
                n_refused += 1;
            }
            for is_atomic in [false, true] {
                let mut pipeline = redis::pipe();
                pipeline.add_command(cmd.clone());
                if is_atomic {
                    pipeline.atomic().cmd("SET").arg("{t}w1").arg(1);
                }
                let Decision::Refused(why) = &store.explain_pipeline(&pipeline)[0].decision else {
                    assert_eq!(row.needs_dedicated(&cmd), None, "{name}");
                    continue;
                };
                let error = pipeline.query_async::<Value>(&mut lent).await.unwrap_err();
                assert!(error.to_string().contains(&why.to_string()), "{name} of {is_atomic}: {error}");
                let typed = if is_atomic { store.pipeline().atomic() } else { store.pipeline() };
                let promise = typed.command::<Value>(cmd.clone());
                if is_atomic {
                    drop(typed.set("{t}w1", 1));
                }
                typed.execute().await.check().unwrap_err();
                assert_eq!(promise.await.err().unwrap().to_string(), why.to_string(), "{name}");
                n_refused += 1;
            }
            assert_eq!(connections(nodes).await, before, "{name}");
        }
    }
    println!("{n_refused} calls were refused");
    assert!(n_refused > 300, "{n_refused}");
}

#[tokio::test]
async fn what_is_refused_on_a_ring_leaves_the_shared_connections_as_they_were() {
    let (servers, ring) = ring().await;
    let nodes: Vec<Node> = ring.nodes().collect();
    what_is_refused_does_no_harm(ring, &nodes).await;
    for ring in colocated(&servers).await {
        let nodes: Vec<Node> = ring.nodes().collect();
        what_is_refused_does_no_harm(ring, &nodes).await;
    }
}

#[tokio::test]
async fn what_is_refused_on_a_copy_leaves_the_shared_connections_as_they_were() {
    let (_servers, copy) = copy().await;
    let nodes: Vec<Node> = copy.nodes().collect();
    what_is_refused_does_no_harm(copy, &nodes).await;
}

#[tokio::test]
async fn a_node_itself_is_sent_nothing_that_would_change_or_block_its_shared_connection() {
    let (_servers, ring) = ring().await;
    let node = ring.on_node("a").unwrap();
    let before = connections(std::slice::from_ref(&node)).await;
    for line in
        ["SUBSCRIBE c", "MULTI", "SELECT 1", "CLIENT REPLY OFF", "RESET", "QUIT", "MONITOR", "BLPOP l 0"]
    {
        let cmd = Cmd::new().arg(line.split(' ').collect::<Vec<_>>()).take();
        let error = node.send(&cmd).await.unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains("`dedicated()`"), "{error}");
    }
    assert_eq!(connections(std::slice::from_ref(&node)).await, before);
}

#[tokio::test]
async fn a_sort_by_keys_that_may_be_elsewhere_is_refused_in_every_block_and_transaction() {
    let (servers, ring) = ring().await;
    ring.rpush("{t}l", &["1", "2", "3"]).await.unwrap();
    for (element, weight) in [(1, 30), (2, 20), (3, 10)] {
        ring.set(format!("w_{element}"), weight).await.unwrap();
        ring.set(format!("{{t}}w_{element}"), weight).await.unwrap();
    }
    let by = |pattern: &str| cmd("SORT").arg("{t}l").arg("BY").arg(pattern).take();
    let is_refused = |error: &str| error.contains("its pattern reads keys") && error.contains("`{user:1}:*`");

    let mut lent = redis::pipe();
    lent.atomic().set("{t}k", 1).ignore().add_command(by("w_*"));
    let error = lent.query_async::<Value>(&mut ring.clone()).await.unwrap_err();
    assert!(is_refused(&error.to_string()), "{error}");
    let typed = ring.pipeline().atomic();
    drop(typed.sort_with::<u8>("{t}l", SortOptions::new().by("w_*")));
    assert!(is_refused(&typed.execute().await.check().unwrap_err().to_string()));
    let read =
        ring.transaction("{t}l", async |tx| tx.sort_with::<u8>("{t}l", SortOptions::new().by("w_*")).await);
    assert!(is_refused(&read.await.unwrap_err().to_string()));
    let queued = ring.transaction("{t}l", async |tx| {
        let queue = tx.queue();
        drop(queue.command::<Value>(cmd("SORT").arg("{t}l").arg("GET").arg("v_*").take()));
        queue.execute().await.check()
    });
    assert!(is_refused(&queued.await.unwrap_err().to_string()));
    assert_eq!(ring.exists("{t}k").await.unwrap(), 0);

    // With the tag, and where everything lives on one node, it is sorted.
    let order = vec![3, 2, 1];
    let sort = SortOptions::new().by("{t}w_*");
    let sorted = ring
        .transaction("{t}l", async |tx| tx.sort_with::<u8>("{t}l", SortOptions::new().by("{t}w_*")).await);
    assert_eq!(sorted.await.unwrap(), order);
    assert_eq!(ring.sort_with::<u8>("{t}l", sort).await.unwrap(), order);
    let [three, one] = colocated(&servers).await;
    assert!(is_refused(&three.query::<Value>(&by("w_*")).await.unwrap_err().to_string()));
    one.flushall().await.unwrap();
    one.rpush("{t}l", &["1", "2", "3"]).await.unwrap();
    for (element, weight) in [(1, 30), (2, 20), (3, 10)] {
        one.set(format!("w_{element}"), weight).await.unwrap();
    }
    let mut lent = redis::pipe();
    lent.atomic().add_command(by("w_*"));
    assert_eq!(lent.query_async::<(Vec<u8>,)>(&mut one.clone()).await.unwrap().0, order);
}

#[tokio::test]
async fn a_block_takes_keys_that_live_on_one_node_where_that_was_asked_for() {
    let (servers, _) = ring().await;
    let [three, one] = colocated(&servers).await;
    let of = |node: &str| {
        let three = &three;
        let keys = (0..).map(|i| format!("key:{i}"));
        keys.filter(|key| three.node_for(key).name() == node).take(2).collect::<Vec<_>>()
    };
    let (mine, others) = (of("a"), of("b"));
    let block = |keys: [&str; 2]| {
        let mut block = redis::pipe();
        block.atomic().incr(keys[0], 1).incr(keys[1], 1);
        block
    };
    let (a, b, c) = (mine[0].as_str(), mine[1].as_str(), others[0].as_str());
    for ring in [&three, &one] {
        assert_eq!(block([a, b]).query_async::<(u8, u8)>(&mut ring.clone()).await.unwrap(), (1, 1));
        let typed = ring.pipeline().atomic();
        let (first, second) = (typed.incr(a), typed.incr(b));
        typed.execute().await.check().unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (2, 2));
        let keys = [a, b];
        let moved = ring.transaction(&keys, async |tx| {
            let n = tx.get::<i64>(b).await?.unwrap();
            let queue = tx.queue();
            let sum = queue.incrby(a, n);
            queue.execute().await.check()?;
            sum.await
        });
        assert_eq!(moved.await.unwrap(), 4);
        ring.del(&[a, b]).await.unwrap();
    }
    let error = block([a, c]).query_async::<Value>(&mut three.clone()).await.unwrap_err();
    assert_eq!(error.code(), Some("CROSSNODE"));
    assert!(three.transaction(&[a, c], async |_| Ok(())).await.is_err());

    // One node has everything: also what has no key.
    let mut keyless = redis::pipe();
    keyless.atomic().cmd("PING").cmd("DBSIZE").cmd("EVAL").arg("return 7").arg(0);
    let (pong, size, seven): (String, u8, u8) = keyless.query_async(&mut one.clone()).await.unwrap();
    assert_eq!((pong.as_str(), size, seven), ("PONG", 0, 7));
    assert_eq!(one.query::<u8>(cmd("EVAL").arg("return 7").arg(0)).await.unwrap(), 7);
}

#[tokio::test]
async fn what_is_for_every_node_is_in_no_block_and_no_transaction() {
    let (_servers, ring) = ring().await;
    ring.mset((0..30).map(|i| (format!("key:{i}"), i))).await.unwrap();
    for line in ["DBSIZE", "FLUSHALL", "KEYS *", "INFO", "SCRIPT FLUSH", "RANDOMKEY"] {
        let cmd = Cmd::new().arg(line.split(' ').collect::<Vec<_>>()).take();
        let mut block = redis::pipe();
        block.atomic().set("{t}k", 1).add_command(cmd.clone());
        let error = block.query_async::<Value>(&mut ring.clone()).await.unwrap_err();
        assert!(error.to_string().contains("this is for every node"), "{line}: {error}");
    }
    let error = ring.transaction("{t}k", async |tx| tx.dbsize().await).await.unwrap_err();
    assert!(error.to_string().contains("this is for every node"), "{error}");
    let wait = ring.transaction("{t}k", async |tx| tx.wait(0, std::time::Duration::from_millis(1)).await);
    assert!(wait.await.unwrap_err().to_string().contains("`dedicated()`"));
    let changed = ring.transaction("{t}k", async |tx| tx.client_no_evict(true).await).await.unwrap_err();
    assert!(changed.is_unsupported(), "{changed}");
    assert_eq!(ring.dbsize().await.unwrap(), 30);
}

#[tokio::test]
async fn a_question_to_each_node_is_answered_by_all_of_them_or_by_an_error_that_names_who_did_not() {
    let (mut servers, ring) = ring().await;
    let copy = copy_over(&servers).await;
    let questions = [&["INFO", "server"][..], &["CONFIG", "GET", "maxmemory"], &["CLIENT", "ID"]];
    for n_killed in 0..=NAMES.len() {
        if let Some(killed) = n_killed.checked_sub(1) {
            servers[killed].kill();
            let name = NAMES[killed];
            let (of_ring, of_copy) = (ring.on_node(name).unwrap(), copy.on_node(name).unwrap());
            eventually("both know that it is gone", async || {
                of_ring.dbsize().await.is_err_and(|error| error.is_connect())
                    && of_copy.dbsize().await.is_err_and(|error| error.is_connect())
            })
            .await;
        }
        for words in questions {
            let cmd = Cmd::new().arg(words).take();
            answered(n_killed, &ring, &cmd).await;
            answered(n_killed, &copy, &cmd).await;
        }
    }
}

async fn answered<S: redisdb::Servers>(n_killed: usize, store: &S, cmd: &Cmd) {
    type PerNode = BTreeMap<String, Value>;
    let what = format!("{}, {n_killed} killed", text(cmd));
    let mut lent = store.clone();
    let mut piped = redis::pipe();
    piped.add_command(cmd.clone());
    let alone = cmd.query_async::<PerNode>(&mut lent).await;
    let in_pipeline = piped.query_async::<(PerNode,)>(&mut lent).await.map(|(map,)| map);
    let query = store.query(cmd).await.map(|value| redis::from_redis_value::<PerNode>(value).unwrap());
    if n_killed == 0 {
        for map in [alone.unwrap(), in_pipeline.unwrap(), query.unwrap()] {
            assert_eq!(map.into_keys().collect::<Vec<_>>(), NAMES, "{what}");
        }
        return;
    }
    let Err(Error::Partial(partial)) = query else { panic!("{what}: {query:?}") };
    let missing: Vec<_> = partial.parts.iter().filter(|part| part.reply.is_err()).collect();
    assert_eq!(
        missing.iter().map(|part| part.node.as_str()).collect::<Vec<_>>(),
        NAMES[..n_killed],
        "{what}"
    );
    assert_eq!(partial.parts.len(), NAMES.len());
    for error in [alone.unwrap_err(), in_pipeline.unwrap_err()] {
        let text = error.to_string();
        assert!(text.contains(&format!("{n_killed} of 3 nodes failed")), "{what}: {text}");
        assert!(
            NAMES[..n_killed].iter().all(|name| text.contains(&format!("node `{name}`"))),
            "{what}: {text}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_was_changed_is_nobody_elses_after_that() {
    let server = xtask::Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    for line in ["SELECT 3", "CLIENT SETNAME mine", "SUBSCRIBE c", "CLIENT NO-EVICT on", "MONITOR"] {
        let first = {
            let mut owned = node.dedicated().await.unwrap();
            let id: u64 = cmd("CLIENT").arg("ID").query_async(&mut owned).await.unwrap();
            let change = Cmd::new().arg(line.split(' ').collect::<Vec<_>>()).take();
            // What came of it makes no difference.
            let _ = change.query_async::<Value>(&mut owned).await;
            id
        };
        let mut owned = node.dedicated().await.unwrap();
        let second: u64 = cmd("CLIENT").arg("ID").query_async(&mut owned).await.unwrap();
        assert_ne!(first, second, "{line}");
    }
    // One that has watched, or run a block, is used again.
    let watched =
        async |key: &'static str| node.transaction(key, async |tx| tx.client_id().await).await.unwrap();
    assert_eq!(watched("a").await, watched("b").await);
}

#[tokio::test]
async fn a_copy_is_told_of_no_way_that_it_does_not_have() {
    let (_servers, copy) = copy().await;
    let mut lent: RedisCopy = copy.clone();
    for name in ["WATCH", "MULTI", "EXEC", "DISCARD", "UNWATCH"] {
        let error = cmd(name).arg("k").query_async::<Value>(&mut lent).await.unwrap_err().to_string();
        assert!(!error.contains("`transaction("), "{error}");
        assert!(error.contains("`pipeline().atomic()`") && error.contains("`lock(name, ..)`"), "{error}");
    }
}

#[tokio::test]
async fn what_some_nodes_have_done_may_have_been_executed_also_where_it_has_no_key() {
    let (mut servers, ring) = ring().await;
    ring.mset((0..30).map(|i| (format!("key:{i}"), i))).await.unwrap();
    servers[0].kill();
    let of_a = ring.on_node("a").unwrap();
    eventually("it is gone", async || of_a.dbsize().await.is_err_and(|error| error.is_connect())).await;
    let error = ring.flushall().await.unwrap_err();
    assert!(matches!(error, Error::Partial(_)) && error.may_have_executed(), "{error}");
    assert_eq!(ring.on_node("b").unwrap().dbsize().await.unwrap(), 0);
    servers[1].kill();
    servers[2].kill();
    let all_know = async || {
        let sizes = ring.on_each(|node| async move { node.dbsize().await }).await;
        sizes.failures().filter(|(_, error)| error.is_connect()).count() == 3
    };
    eventually("all are gone", all_know).await;
    assert!(!ring.flushall().await.unwrap_err().may_have_executed());
}

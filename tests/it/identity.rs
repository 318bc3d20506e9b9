//! Processes that start after a server came back empty.

use std::future::Future;
use std::time::Duration;

use redisdb::Error;
use redisdb::Health;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use xtask::Data;
use xtask::Servers;

const KEYS: usize = 60;

/// A copy as another process would make it: it has seen nothing yet.
async fn process(servers: &Servers) -> Result<RedisCopy, Error> {
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    copy.identity("shop").on_return(OnReturn::Wait).connect().await
}

async fn fill(copy: &RedisCopy) {
    _ = copy.mset((0..KEYS).map(|i| (format!("key:{i}"), i))).await.unwrap();
}

async fn check(copy: &RedisCopy) {
    for i in 0..KEYS {
        assert_eq!(copy.get::<usize>(format!("key:{i}")).await.unwrap(), Some(i));
    }
}

#[tokio::test]
async fn a_process_that_starts_later_knows_a_server_that_came_back_empty() {
    let mut servers = Servers::start(3).unwrap();
    let first = process(&servers).await.unwrap();
    fill(&first).await;
    drop(first);
    servers[1].kill();
    servers[1].restart(Data::Lose).unwrap();

    let second = process(&servers).await.unwrap();
    assert_eq!(second.health()[1], ("b".to_owned(), Health::Syncing));
    check(&second).await;
    let repaired = second.repair("b").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.removed, repaired.readmitted), (KEYS as u64, 0, true));

    let third = process(&servers).await.unwrap();
    assert!(third.health().iter().all(|(_, health)| *health == Health::Up));
    check(&third).await;
    assert_eq!(third.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn a_process_that_starts_while_a_server_is_down_does_not_trust_it_later() {
    let mut servers = Servers::start(3).unwrap();
    let first = process(&servers).await.unwrap();
    fill(&first).await;
    servers[0].kill();
    let second = process(&servers).await.unwrap();
    servers[0].restart(Data::Lose).unwrap();
    eventually("it is up", async || second.nodes().next().unwrap().ready().await.is_ok()).await;
    check(&second).await;
    eventually("it is known to have lost all", async || {
        second.health()[0] == ("a".to_owned(), Health::Syncing)
    })
    .await;
}

#[tokio::test]
async fn servers_that_cannot_be_asked_are_not_taken_for_unmarked_ones() {
    let mut servers = Servers::start(3).unwrap();
    drop(process(&servers).await.unwrap());
    for idx in 0..3 {
        servers[idx].kill();
    }
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.identity("shop").build().unwrap();
    let error = copy.get::<u8>("k").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)) && error.is_connect(), "{error}");
    assert_eq!(error.node_errors().len(), 3);
    for idx in 0..3 {
        servers[idx].restart(Data::Lose).unwrap();
    }
    eventually("it goes on", async || copy.get::<u8>("k").await.is_ok()).await;
}

#[tokio::test]
async fn exchanged_servers_are_noticed() {
    let servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let over =
        |a: usize, b: usize| RedisCopy::builder().identity("shop").node("a", &urls[a]).node("b", &urls[b]);
    over(0, 1).connect().await.unwrap();
    let error = over(1, 0).connect().await.unwrap_err();
    assert!(matches!(error, Error::Identity { .. }), "{error}");
    assert!(error.to_string().contains("the server of node `a` says that it is node `b`"), "{error}");
    // Without connecting first, the first command notices.
    let error = over(1, 0).build().unwrap().get::<u8>("k").await.unwrap_err();
    assert!(matches!(error, Error::Identity { .. }), "{error}");
}

#[tokio::test]
async fn servers_with_data_are_adopted_if_they_hold_the_same() {
    let servers = Servers::start(3).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let unmarked = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let unmarked = unmarked.connect().await.unwrap();
    fill(&unmarked).await;
    assert!(matches!(unmarked.adopt().await, Err(Error::Identity { .. })));
    unmarked.on_node("c").unwrap().set("key:7", "other").await.unwrap();

    let error = process(&servers).await.unwrap_err();
    assert!(error.to_string().contains("say so by `adopt()`"), "{error}");
    let nodes = NAMES.iter().zip(servers.urls());
    let builder =
        nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url)).identity("shop");
    let copy = builder.build().unwrap();
    let error = copy.adopt().await.unwrap_err();
    assert!(error.to_string().contains("`key:7` is something else on c"), "{error}");
    _ = unmarked.set("key:7", 7).await.unwrap();
    copy.adopt().await.unwrap();
    check(&process(&servers).await.unwrap()).await;
}

#[tokio::test]
async fn a_flush_by_the_copy_does_not_look_like_a_loss() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill(&copy).await;
    _ = copy.flushdb().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    let other = process(&servers).await.unwrap();
    assert!(other.health().iter().all(|(_, health)| *health == Health::Up));
    assert_eq!(other.get::<u8>("k").await.unwrap(), Some(1));
    // By somebody else, it does.
    other.on_node("b").unwrap().flushdb().await.unwrap();
    let third = process(&servers).await.unwrap();
    assert_eq!(third.health()[1], ("b".to_owned(), Health::Syncing));
}

/// A key that is read from node `a` first, and decided by it.
fn key_of_a(copy: &RedisCopy, prefix: &str) -> String {
    (0..).map(|i| format!("{prefix}:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap()
}

/// Has something done right after somebody has emptied the node that decides about all keys of [`key_of_a`], and checks that it
/// leaves all nodes with the same.
async fn after_a_flush(copy: &RedisCopy, call: impl Future<Output = ()>) {
    let a = copy.on_node("a").unwrap();
    redisdb::Node::connect(a.config().clone()).await.unwrap().flushall().await.unwrap();
    call.await;
    assert_eq!(
        copy.health(),
        [("a".to_owned(), Health::Syncing), ("b".to_owned(), Health::Up), ("c".to_owned(), Health::Up)]
    );
    assert!(copy.repair("a").run().await.unwrap().readmitted);
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

const KEYS_OF_A: [&str; 7] = ["text", "list", "set", "hash", "sorted", "stream", "fresh"];

/// Gives all but the last of them a text, a list of two, a set of one, a hash, a sorted set and a stream of one each.
async fn fill_keys_of_a(copy: &RedisCopy) {
    let key = |prefix| key_of_a(copy, prefix);
    _ = copy.del(KEYS_OF_A.map(key).to_vec()).await.unwrap();
    _ = copy.set(key("text"), "2").await.unwrap();
    _ = copy.rpush(key("list"), vec!["x", "y"]).await.unwrap();
    _ = copy.sadd(key("set"), "m").await.unwrap();
    _ = copy.hset(key("hash"), "f", "2").await.unwrap();
    _ = copy.zadd(key("sorted"), [(2.0, "m")]).await.unwrap();
    copy.query::<String>(redis::cmd("XADD").arg(key("stream")).arg("5-1").arg("f").arg("v")).await.unwrap();
}

/// A command of words, of which those in [`KEYS_OF_A`] are keys of node `a`.
fn command_of(copy: &RedisCopy, words: &str) -> redis::Cmd {
    let mut cmd = redis::Cmd::new();
    for word in words.split(' ') {
        match KEYS_OF_A.contains(&word) {
            true => cmd.arg(key_of_a(copy, word)),
            false => cmd.arg(word),
        };
    }
    cmd
}

#[tokio::test]
async fn nothing_is_decided_by_a_server_that_was_emptied_a_moment_ago() {
    use redis::Value::Array;
    use redis::Value::Int;
    use redis::Value::Nil;
    use redis::Value::Okay;
    let text = |text: &str| redis::Value::BulkString(text.into());
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    let has_half_ids =
        is_since(&copy.nodes().next().unwrap(), (7, 0, 0), "XADD with the half of an id").await;
    for (command, expected) in [
        ("SETNX text 9", Int(0)),
        ("SETNX fresh 9", Int(1)),
        ("SET text 9 NX", Nil),
        ("SET text 9 XX", Okay),
        ("GETSET text 9", text("2")),
        ("GETDEL text", text("2")),
        ("INCRBYFLOAT text 0.5", text("2.5")),
        ("LPOP list", text("x")),
        ("LPUSHX list w", Int(3)),
        ("SPOP set", text("m")),
        ("HSETNX hash f 9", Int(0)),
        ("HINCRBYFLOAT hash f 0.5", text("2.5")),
        ("ZPOPMIN sorted", Array(vec![text("m"), text("2")])),
        ("ZADD sorted GT 1 m", Int(0)),
        ("RENAMENX text text", Int(0)),
        ("XADD stream 5-* f v", text("5-2")),
        // What is only read, but of which an error says that there is no such key.
        ("XINFO GROUPS stream", Array(Vec::new())),
        // .. or whose reply says it in a way of its own.
        ("TTL text", Int(-1)),
        ("TYPE text", redis::Value::SimpleString("string".into())),
        ("GETRANGE text 0 -1", text("2")),
        ("BITPOS text 1", Int(2)),
        ("HSCAN hash 0", Array(vec![text("0"), Array(vec![text("f"), text("2")])])),
        ("SMISMEMBER set m n", Array(vec![Int(1), Int(0)])),
        ("ZMSCORE sorted m", Array(vec![text("2")])),
    ] {
        if command.starts_with("XADD") && !has_half_ids {
            continue;
        }
        fill_keys_of_a(&copy).await;
        let cmd = command_of(&copy, command);
        after_a_flush(&copy, async {
            let reply = copy.query::<redis::Value>(&cmd).await;
            assert_eq!(reply.unwrap(), expected, "{command}");
        })
        .await;
    }
}

#[tokio::test]
async fn nothing_in_a_pipeline_is_decided_by_a_server_that_was_emptied_a_moment_ago() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill_keys_of_a(&copy).await;
    let key = |prefix| key_of_a(&copy, prefix);
    after_a_flush(&copy, async {
        let pipeline = copy.pipeline();
        let set = pipeline.setnx(key("text"), 9);
        let popped = pipeline.lpop::<String>(key("list"));
        let length = pipeline.llen(key("list"));
        pipeline.execute().await.check().unwrap();
        assert_eq!(set.await.unwrap().first(), Some(&false));
        assert_eq!(popped.await.unwrap().first(), Some(&Some("x".to_owned())));
        assert_eq!(length.await.unwrap(), 1);
    })
    .await;
    // An error that says that there is no such key is believed no more than a miss.
    after_a_flush(&copy, async {
        let pipeline = copy.pipeline();
        let groups = pipeline.xinfo_groups(key("stream"));
        pipeline.execute().await.check().unwrap();
        assert!(groups.await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_was_built_up_on_a_server_since_it_was_emptied_a_moment_ago_is_neither_read_nor_decides() {
    use redis::Value::Array;
    use redis::Value::Int;
    let text = |text: &str| redis::Value::BulkString(text.into());
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    let a = redisdb::Node::connect(servers[0].url()).await.unwrap();
    eventually("the server tells of flushes", async || {
        a.info_with(&["clients"]).await.unwrap().get("clients", "tracking_clients") == Some("1")
    })
    .await;
    for (command, expected) in [
        ("GET text", text("2")),
        ("HGETALL hash", Array(vec![text("f"), text("2")])),
        ("LRANGE list 0 -1", Array(vec![text("x"), text("y")])),
        ("SCARD set", Int(1)),
        ("INCRBYFLOAT text 0.5", text("2.5")),
        ("LPOP list", text("x")),
        ("ZINCRBY sorted 0.5 m", text("2.5")),
    ] {
        for in_pipeline in [false, true] {
            fill_keys_of_a(&copy).await;
            let cmd = command_of(&copy, command);
            after_a_flush(&copy, async {
                for built_up in
                    ["APPEND text 9", "HSET hash g 9", "RPUSH list z", "SADD set n o", "ZADD sorted 9 n"]
                {
                    a.query::<i64>(&command_of(&copy, built_up)).await.unwrap();
                }
                let reply = match in_pipeline {
                    true => {
                        let mut pipeline = redis::pipe();
                        pipeline.add_command(cmd);
                        let replies: Vec<redis::Value> =
                            pipeline.query_async(&mut copy.clone()).await.unwrap();
                        replies[0].clone()
                    }
                    false => copy.query::<redis::Value>(&cmd).await.unwrap(),
                };
                assert_eq!(reply, expected, "{command}, in a pipeline: {in_pipeline}");
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_an_emptied_server_decided_may_have_been_done_if_no_other_can_decide() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill_keys_of_a(&copy).await;
    let a = redisdb::Node::connect(servers[0].url()).await.unwrap();
    servers[1].kill();
    servers[2].kill();
    a.flushall().await.unwrap();
    let key = key_of_a(&copy, "text");
    let error = copy.setnx(&key, 9).await.unwrap_err();
    assert!(error.may_have_executed(), "{error}");
    assert!(error.to_string().contains("node `a` had been emptied when it did it"), "{error}");
    assert_eq!(a.get::<u8>(&key).await.unwrap(), Some(9));
}

#[tokio::test]
async fn a_server_that_was_emptied_and_written_to_since_is_behind_not_the_others() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill_keys_of_a(&copy).await;
    let key = key_of_a(&copy, "list");
    after_a_flush(&copy, async {
        copy.on_node("a").unwrap().rpush(&key, "other").await.unwrap();
        let popped = copy.lpop::<String>(&key).await.unwrap();
        assert_eq!(popped.first(), Some(&Some("x".to_owned())), "not of another memory");
    })
    .await;
    assert_eq!(copy.lrange::<String>(&key, 0, -1).await.unwrap(), ["y"]);
}

#[tokio::test]
async fn no_way_of_reading_believes_a_server_that_was_emptied_a_moment_ago() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill(&copy).await;
    let keys: Vec<String> = (0..KEYS).map(|i| format!("key:{i}")).collect();
    let all: Vec<Option<usize>> = (0..KEYS).map(Some).collect();
    for round in 0..4 {
        let name = copy.node_for(&keys[0]).name().to_owned();
        copy.on_node(&name).unwrap().flushall().await.unwrap();
        let pipeline = if round == 0 { copy.pipeline() } else { copy.pipeline().atomic() };
        let found = match round {
            0 | 1 => {
                let replies: Vec<_> = keys.iter().map(|key| pipeline.get::<usize>(key)).collect();
                pipeline.execute().await.check().unwrap();
                let mut found = Vec::new();
                for reply in replies {
                    found.push(reply.await.unwrap());
                }
                found
            }
            2 => {
                let pipeline = copy.pipeline();
                let reply = pipeline.mget::<usize>(&keys);
                pipeline.execute().await.check().unwrap();
                reply.await.unwrap()
            }
            _ => copy.mget(&keys).await.unwrap(),
        };
        assert_eq!(found, all, "{round}");
        assert!(copy.repair(&name).run().await.unwrap().readmitted);
    }
    // What another process has made whole meanwhile is not believed either, and what was marked once more is.
    let other = process(&servers).await.unwrap();
    other.readmit("a").await.unwrap();
    for i in 0..20 {
        assert_eq!(copy.get::<usize>(format!("none:{i}")).await.unwrap(), None);
    }
    assert!(copy.health().iter().all(|(_, health)| *health == Health::Up), "{:?}", copy.health());
}

#[tokio::test]
async fn servers_are_adopted_only_if_all_of_them_were_compared() {
    let servers = Servers::start(3).unwrap();
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    let copy = copy.identity("shop").response_timeout(Duration::from_millis(300)).build().unwrap();
    for node in copy.nodes() {
        node.set("k", 1).await.unwrap();
    }
    servers[2].pause();
    assert!(copy.adopt().await.unwrap_err().is_timeout());
    servers[2].resume();
    eventually("it answers", async || copy.on_node("c").unwrap().ping().await.is_ok()).await;
    copy.adopt().await.unwrap();
    // One server alone is the same as itself.
    let url = &servers.urls()[0];
    redisdb::Node::connect(url.as_str()).await.unwrap().del("__redisdb:{shop}:node").await.unwrap();
    RedisCopy::builder().node("a", url).identity("shop").build().unwrap().adopt().await.unwrap();
}

#[tokio::test]
async fn a_node_loses_nothing_to_a_source_that_was_emptied_a_moment_ago() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers).await.unwrap();
    fill(&copy).await;
    let [a, b] = ["a", "b"].map(|name| copy.on_node(name).unwrap().clone());
    a.set("key:0", "other").await.unwrap();
    a.del("key:1").await.unwrap();
    // Of a whole node that is compared, and of one that is made whole.
    for is_whole in [true, false] {
        if !is_whole {
            a.flushall().await.unwrap();
            eventually("it is noticed", async || copy.health()[0].1 == Health::Syncing).await;
            a.mset((0..KEYS).map(|i| (format!("key:{i}"), "other"))).await.unwrap();
        }
        let kept = a.get::<String>("key:7").await.unwrap();
        redisdb::Node::connect(servers[1].url()).await.unwrap().flushall().await.unwrap();
        let error = copy.repair("a").from("b").run().await.unwrap_err();
        assert!(error.to_string().contains("the node whose keys count lost its data"), "{error}");
        assert_eq!(a.get::<String>("key:7").await.unwrap(), kept);
        assert_eq!(copy.health()[1], ("b".to_owned(), Health::Syncing));
        // The next one that is in sync is the source now.
        assert!(copy.repair("a").run().await.unwrap().readmitted);
        assert!(copy.repair("b").run().await.unwrap().readmitted);
        assert_eq!(b.get::<u8>("key:0").await.unwrap(), Some(0));
        assert_eq!(copy.verify().run().await.unwrap(), []);
    }
}

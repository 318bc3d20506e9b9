//! A ring of three servers.

use std::collections::BTreeSet;

use redis::AsyncCommands;
use redisdb::Error;
use redisdb::RedisRing;
use redisdb::Strategy;
use redisdb::TopologyConfig;
use redisdb::node::KeyCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use redisdb_tests::ring;

fn keys(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("key:{i}")).collect()
}

/// Writes `key:i` = i, and returns the keys.
async fn filled(ring: &RedisRing, n: usize) -> Vec<String> {
    let keys = keys(n);
    ring.mset(keys.iter().zip(0..)).await.unwrap();
    keys
}

#[tokio::test]
async fn each_key_is_on_its_owner_and_nowhere_else() {
    let (_servers, ring) = ring().await;
    let keys = filled(&ring, 100).await;
    let owners: BTreeSet<String> = keys.iter().map(|key| ring.node_for(key).name().to_owned()).collect();
    assert_eq!(owners.into_iter().collect::<Vec<_>>(), NAMES);
    for key in &keys {
        for node in ring.nodes() {
            let there = node.exists(key).await.unwrap() == 1;
            assert_eq!(there, node.name() == ring.node_for(key).name(), "{key} on {}", node.name());
        }
    }
}

#[tokio::test]
async fn split_commands_answer_as_one_server_does() {
    let (_servers, ring) = ring().await;
    let keys = filled(&ring, 100).await;
    let mut asked = vec!["none".to_owned(), keys[7].clone()];
    asked.extend(keys.iter().rev().cloned());
    let values = ring.mget::<u32>(&asked).await.unwrap();
    let expected: Vec<_> = [None, Some(7)].into_iter().chain((0..100).rev().map(Some)).collect();
    assert_eq!(values, expected);

    assert_eq!(ring.exists(&asked).await.unwrap(), 101);
    assert_eq!(ring.touch(&asked).await.unwrap(), 101);
    assert_eq!(ring.dbsize().await.unwrap(), 100);
    assert_eq!(ring.del(&keys[..40]).await.unwrap(), 40);
    assert_eq!(ring.unlink(&keys[30..60]).await.unwrap(), 20);
    assert_eq!(ring.dbsize().await.unwrap(), 40);
}

#[tokio::test]
async fn every_node_commands_reach_every_node() {
    let (_servers, ring) = ring().await;
    let keys = filled(&ring, 60).await;
    let found: BTreeSet<String> = ring.keys::<String>("key:*").await.unwrap().into_iter().collect();
    assert_eq!(found, keys.iter().cloned().collect());
    let random = ring.randomkey::<String>().await.unwrap().unwrap();
    assert!(keys.contains(&random));
    let info = ring.info().await.unwrap();
    assert_eq!(info.successes().map(|(name, _)| name).collect::<Vec<_>>(), NAMES);
    ring.flushdb().await.unwrap();
    assert_eq!(ring.dbsize().await.unwrap(), 0);
    assert_eq!(ring.randomkey::<String>().await.unwrap(), None);
    assert_eq!(ring.keys::<String>("*").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn keys_of_several_tags_are_refused_with_their_owners() {
    let (_servers, ring) = ring().await;
    ring.set("a1", 1).await.unwrap();
    // Whether they live on one node today makes no difference.
    for other in keys(20) {
        let error = ring.rename("a1", &other).await.unwrap_err();
        let Error::CrossNode(cross) = &error else { panic!("{error}") };
        let owner = |key: &str| (key.as_bytes().to_vec(), ring.node_for(key).name().to_owned());
        assert_eq!(cross.keys, [owner("a1"), owner(&other)]);
        assert!(error.is_unsupported() && !error.may_have_executed());
        assert!(error.to_string().ends_with("give them one hash tag, as in `{user:1}:a` and `{user:1}:b`"));
    }
    assert!(ring.msetnx([("x", 1), ("y", 2)]).await.is_err());
    ring.set("{user:1}:a", 1).await.unwrap();
    ring.rename("{user:1}:a", "{user:1}:b").await.unwrap();
    assert_eq!(ring.get::<u8>("{user:1}:b").await.unwrap(), Some(1));
}

#[tokio::test]
async fn colocated_keys_are_accepted_where_that_was_asked_for() {
    let (servers, _) = ring().await;
    let nodes = NAMES.iter().zip(servers.urls());
    let builder = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
    let ring = builder.allow_colocated().connect().await.unwrap();
    let owner = ring.node_for("key:0").name().to_owned();
    let (same, other): (Vec<_>, Vec<_>) =
        keys(20).into_iter().skip(1).partition(|key| ring.node_for(key).name() == owner);
    ring.set("key:0", 1).await.unwrap();
    ring.rename("key:0", &same[0]).await.unwrap();
    assert!(matches!(ring.rename(&same[0], &other[0]).await, Err(Error::CrossNode(_))));
}

#[tokio::test]
async fn what_cannot_run_on_a_ring_says_what_to_do_instead() {
    let (_servers, ring) = ring().await;
    let mut connection = ring.clone();
    for words in
        [&["SELECT", "1"][..], &["WAIT", "1", "0"], &["MULTI"], &["EVAL", "return 1", "0"], &["NOSUCH"]]
    {
        let mut cmd = redis::Cmd::new();
        cmd.arg(words);
        let error = cmd.query_async::<()>(&mut connection).await.unwrap_err().to_string();
        let explained = ring.explain(&cmd).to_string();
        assert!(error.contains(&explained), "{error} / {explained}");
        assert!(explained.contains(words[0]) && explained.len() > 60, "{explained}");
    }
}

#[tokio::test]
async fn explain_says_where_a_command_goes() {
    let (_servers, ring) = ring().await;
    let explain = |words: &[&str]| ring.explain(redis::Cmd::new().arg(words)).to_string();
    let owner = ring.node_for("k").name().to_owned();
    assert_eq!(explain(&["GET", "k"]), format!("`GET` on a ring: to `{owner}`, which owns `k`"));
    assert!(explain(&["MGET", "key:0", "key:1", "key:2", "key:3"]).contains("of its keys to `"));
    assert_eq!(explain(&["DBSIZE"]), "`DBSIZE` on a ring: to every node; the replies are added");
    assert!(explain(&["MSETNX", "a", "1", "b", "2"]).contains("`a` is on `"));
}

#[tokio::test]
async fn redis_rs_commands_and_pipelines_run_on_a_ring() {
    let (_servers, mut ring) = ring().await;
    // Ours and redis-rs's own methods in one module: by trait where both have the name.
    let () = AsyncCommands::set(&mut ring, "a", 1).await.unwrap();
    let sum: i64 = AsyncCommands::incr(&mut ring, "a", 41).await.unwrap();
    assert_eq!(sum, 42);
    let both: (i64, Option<i64>) = redis::cmd("MGET").arg("a").arg("b").query_async(&mut ring).await.unwrap();
    assert_eq!(both, (42, None));

    let mut pipe = redis::pipe();
    for i in 0..50 {
        pipe.cmd("SET").arg(format!("p:{i}")).arg(i).ignore();
    }
    pipe.cmd("MGET").arg(&["p:49", "p:0", "p:25"]).cmd("DBSIZE").cmd("INCR").arg("p:1").cmd("GET").arg("p:1");
    type Replies = (Vec<u32>, u32, u32, u32);
    let (some, size, incremented, got): Replies = pipe.query_async(&mut ring).await.unwrap();
    assert_eq!((some, size, incremented, got), (vec![49, 0, 25], 51, 2, 2));
}

#[tokio::test]
async fn each_command_of_a_pipeline_has_its_own_outcome() {
    let (_servers, mut ring) = ring().await;
    ring.set("text", "x").await.unwrap();
    let mut pipe = redis::pipe();
    pipe.cmd("INCR")
        .arg("text")
        .cmd("RENAME")
        .arg("x")
        .arg("y")
        .cmd("SET")
        .arg("n")
        .arg(1)
        .cmd("GET")
        .arg("n");
    pipe.ignore_errors();
    let replies: Vec<redis::Value> = pipe.query_async(&mut ring).await.unwrap();
    assert_eq!(replies.len(), 4);
    let error = |i: usize| replies[i].clone().extract_error().unwrap_err();
    assert_eq!(error(0).code(), Some("ERR"));
    assert_eq!(error(1).code(), Some("CROSSNODE"));
    assert_eq!(replies[3], redis::Value::BulkString(b"1".to_vec()));
}

#[tokio::test]
async fn a_multi_block_needs_one_hash_tag() {
    let (_servers, mut ring) = ring().await;
    let mut block = redis::pipe();
    block.atomic().cmd("SET").arg("{t}:a").arg(1).ignore().cmd("INCR").arg("{t}:a");
    assert_eq!(block.query_async::<(i64,)>(&mut ring).await.unwrap(), (2,));
    let mut block = redis::pipe();
    block.atomic().cmd("SET").arg("a").arg(1).cmd("SET").arg("b").arg(1);
    let error = block.query_async::<()>(&mut ring).await.unwrap_err();
    assert_eq!(error.code(), Some("CROSSNODE"));
    assert_eq!(ring.exists(&["a", "b"]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_script_runs_where_its_keys_are() {
    let (_servers, mut ring) = ring().await;
    let script = redis::Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    for key in keys(10) {
        let sum: i64 = script.key(&key).arg(5).invoke_async(&mut ring).await.unwrap();
        assert_eq!(sum, 5);
        assert_eq!(ring.node_for(&key).get::<i64>(&key).await.unwrap(), Some(5));
    }
}

#[tokio::test]
async fn any_command_can_be_run_and_its_reply_converted() {
    let (_servers, ring) = ring().await;
    let () = ring.query(redis::cmd("SET").arg("k").arg(5)).await.unwrap();
    assert_eq!(ring.query::<u8>(redis::cmd("GET").arg("k")).await.unwrap(), 5);
    assert_eq!(ring.node_for("k").query::<u8>(redis::cmd("GET").arg("k")).await.unwrap(), 5);
    let error = ring.query::<Vec<(u8, u8)>>(redis::cmd("GET").arg("k")).await.unwrap_err();
    assert!(error.may_have_executed() && error.to_string().contains("another type"), "{error}");
    let error = ring.query::<u8>(&redis::cmd("NOSUCH")).await.unwrap_err();
    assert!(matches!(error, Error::UnknownCommand { .. }), "{error}");
    assert!(ring.node_for("k").query::<u8>(&redis::cmd("NOSUCH")).await.unwrap_err().is_unsupported());
    assert!(ring.query::<()>(redis::cmd("RENAME").arg("k").arg("l")).await.unwrap_err().is_unsupported());
}

#[tokio::test]
async fn on_node_and_on_each_reach_the_nodes_themselves() {
    let (_servers, ring) = ring().await;
    filled(&ring, 90).await;
    let sizes = ring.on_each(|node| async move { node.dbsize().await }).await;
    assert_eq!(sizes.successes().map(|(_, size)| size).sum::<u64>(), 90);
    let of_a = ring.on_node("a").unwrap().dbsize().await.unwrap();
    assert_eq!(sizes.get("a").unwrap().ok(), Some(&of_a));
    assert!(matches!(ring.on_node("x"), Err(Error::NoSuchNode { .. })));
}

#[tokio::test]
async fn the_order_of_the_nodes_makes_no_difference() {
    let (servers, ring) = ring().await;
    let mut nodes: Vec<_> = NAMES.iter().zip(servers.urls()).collect();
    nodes.reverse();
    let turned = nodes.into_iter().fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
    let turned = turned.connect().await.unwrap();
    for key in filled(&ring, 100).await {
        assert_eq!(ring.node_for(&key).name(), turned.node_for(&key).name());
        assert!(turned.get::<u32>(&key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_configuration_file_makes_the_same_ring() {
    let (servers, ring) = ring().await;
    let nodes: String = NAMES
        .iter()
        .zip(servers.urls())
        .map(|(name, url)| format!("[[nodes]]\nname = \"{name}\"\nurl = \"{url}\"\n"))
        .collect();
    let config = TopologyConfig::from_toml(&format!("strategy = \"ring\"\n{nodes}")).unwrap();
    assert_eq!(config.strategy, Strategy::Ring);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(TopologyConfig::from_json(&json).unwrap(), config);
    let from_file = RedisRing::from_config(config).unwrap();
    for key in filled(&ring, 30).await {
        assert!(from_file.get::<u32>(&key).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_error_reply_names_node_and_command() {
    let (_servers, ring) = ring().await;
    ring.set("text", "x").await.unwrap();
    let error = ring.incr("text").await.unwrap_err();
    let owner = ring.node_for("text").name().to_owned();
    assert_eq!(error.code(), Some("ERR"));
    assert!(error.to_string().starts_with(&format!("node `{owner}`: `INCR`: ERR ")), "{error}");
    assert!(!error.may_have_executed());
}

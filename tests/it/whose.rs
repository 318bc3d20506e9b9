//! Whose reply it was that is of another type than was asked for.

use std::time::Duration;

use redis::Cmd;
use redisdb::Error;
use redisdb::OnDown;
use redisdb::RedisRing;
use redisdb::Servers;
use redisdb::commands::*;
use redisdb::node::Script;
use redisdb_tests::NAMES;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::is_since;
use redisdb_tests::ring;

/// The nodes of which an error says that their reply is not what was asked for.
fn whose(error: Error) -> Vec<String> {
    assert!(error.may_have_executed(), "{error}");
    let text = error.to_string();
    let names = match error {
        Error::Node(error) => error.node().map(str::to_owned).into_iter().collect(),
        Error::Merged(merged) => merged.nodes,
        other => panic!("{other}"),
    };
    assert!(names.iter().all(|name| text.contains(&format!("`{name}`"))), "{text}");
    names
}

/// Runs commands alone and in pipelines, all of which want a number where there is none, and says whose reply it was.
async fn wants_a_number<S>(store: &S, commands: &[Cmd]) -> Vec<Vec<String>>
where
    S: Servers,
    S::Write<u8>: std::fmt::Debug,
{
    let pipeline = store.pipeline();
    let promises: Vec<_> = commands.iter().map(|cmd| pipeline.command::<u8>(cmd.clone())).collect();
    pipeline.execute().await.check().ok();
    let mut all = Vec::new();
    for (cmd, promise) in commands.iter().zip(promises) {
        let alone = whose(store.query::<u8>(cmd).await.unwrap_err());
        if let Err(error) = promise.await {
            assert_eq!(whose(error), alone, "in a pipeline");
        }
        all.push(alone);
    }
    all
}

fn cmd(words: &str) -> Cmd {
    Cmd::new().arg(words.split(' ').collect::<Vec<_>>()).take()
}

#[tokio::test]
async fn a_reply_that_was_merged_is_told_of_the_nodes_that_gave_it() {
    let (_servers, ring) = ring().await;
    let key = |name: &str| (0..).map(|i| format!("k{i}")).find(|k| ring.node_for(k).name() == name).unwrap();
    let (of_a, of_c) = (key("a"), key("c"));
    let two = format!("MGET {of_c} {of_a}");
    let commands = ["KEYS *", "INFO", "SCRIPT EXISTS x", "TIME", &two].map(cmd);
    let all = ["a", "b", "c"].as_slice();
    let given = wants_a_number(&ring, &commands).await;
    assert_eq!(given, [all, all, all, all, &["a", "c"]]);
    // One key, and one node.
    ring.set(&of_c, "text").await.unwrap();
    let commands = [cmd("RANDOMKEY"), cmd(&format!("GET {of_c}")), cmd(&format!("MGET {of_c} {of_c}"))];
    assert_eq!(wants_a_number(&ring, &commands).await, [["c"], ["c"], ["c"]]);

    let (_servers, copy) = copy().await;
    let given = wants_a_number(&copy, &["INFO", "SCRIPT EXISTS x"].map(cmd)).await;
    assert_eq!(given, [all, all]);
}

#[tokio::test]
async fn a_reply_of_a_node_that_stands_in_is_told_of_that_one() {
    let (mut servers, _ring) = ring().await;
    let nodes = NAMES.iter().zip(&servers);
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, server)| ring.node(*name, &server.url()));
    let ring = ring.on_down(OnDown::Failover { ttl_cap: Duration::from_secs(60) }).connect().await.unwrap();
    let key = (0..).map(|i| format!("k{i}")).find(|k| ring.node_for(k).name() == "b").unwrap();
    servers[1].kill();
    eventually("it is left alone", async || ring.on_node("b").unwrap().is_down()).await;
    ring.set(&key, "text").await.unwrap();
    let is_on_a = ring.on_node("a").unwrap().exists(&key).await.unwrap();
    let by = if is_on_a == 1 { "a" } else { "c" };
    assert_eq!(whose(ring.get::<u8>(&key).await.unwrap_err()), [by]);
    let commands = [cmd(&format!("GET {key}")), cmd(&format!("MGET {key} {key}"))];
    assert_eq!(wants_a_number(&ring, &commands).await, [[by], [by]]);
    // A write, after which each command of a pipeline goes by itself, and a question about the key.
    let set = cmd(&format!("GETSET {key} text"));
    assert_eq!(wants_a_number(&ring, &[set]).await, [[by]]);
}

#[tokio::test]
async fn a_reply_of_another_type_is_told_of_the_node_that_gave_it() {
    let (mut servers, copy) = copy().await;
    let key =
        |name: &str| (0..).map(|i| format!("k:{i}")).find(|key| copy.node_for(key).name() == name).unwrap();
    let who = |error| whose(error).remove(0);
    let look = Script::new("return redis.call('GET', KEYS[1])").read_only();
    for name in ["a", "b", "c"] {
        let key = key(name);
        _ = copy.set(&key, "text").await.unwrap();
        assert_eq!(who(copy.get::<u8>(&key).await.unwrap_err()), name);
        assert_eq!(who(copy.query::<u8>(redis::cmd("GET").arg(&key)).await.unwrap_err()), name);
        let pipeline = copy.pipeline();
        let piped = pipeline.get::<u8>(&key);
        pipeline.execute().await.check().ok();
        assert_eq!(who(piped.await.unwrap_err()), name);
        if is_since(&copy.on_node("a").unwrap(), (7, 0, 0), "EVALSHA_RO").await {
            assert_eq!(who(look.key(&key).invoke::<u8, _>(&copy).await.unwrap_err()), name);
        }
    }
    // The one that answers in its place.
    let key = key("a");
    servers[0].kill();
    let next = who(copy.get::<u8>(&key).await.unwrap_err());
    assert!(["b", "c"].contains(&next.as_str()), "{next}");
    assert_eq!(who(copy.query::<u8>(redis::cmd("GET").arg(&key)).await.unwrap_err()), next);
    let getset = redis::cmd("GETSET").arg(&key).arg("other").take();
    assert_ne!(who(copy.query::<u8>(&getset).await.unwrap_err()), "a");
}

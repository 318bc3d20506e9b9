//! Single sentences of `docs/copy.md` that nothing else holds.

use redisdb::Error;
use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::commands::*;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Servers;

/// A key that is read from node `a` first.
fn key_of_a(copy: &RedisCopy) -> String {
    (0..).map(|i| format!("key:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap()
}

async fn send(copy: &RedisCopy, words: &[&[u8]]) {
    let _differs = copy.query::<redis::Value>(redis::Cmd::new().arg(words)).await;
}

#[tokio::test]
async fn what_leaves_the_same_everywhere_settles_its_keys() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    let [a, b] = ["a", "b"].map(|name| copy.on_node(name).unwrap().clone());
    a.set("other", "whole").await.unwrap();
    let dump: Vec<u8> = a.query(redis::cmd("DUMP").arg("other")).await.unwrap();
    for how in ["restore", "setnx", "flushall"] {
        _ = copy.set(&key, 1).await.unwrap();
        b.set(&key, 100).await.unwrap();
        _ = copy.incr(&key).await.unwrap();
        assert!(copy.health().contains(&("b".to_owned(), Health::Suspect)), "{how}: {:?}", copy.health());
        match how {
            "restore" => send(&copy, &[b"RESTORE", key.as_bytes(), b"0", &dump, b"REPLACE"]).await,
            "setnx" => {
                // The node that decides has nothing; what it came to goes to the others.
                a.del(&key).await.unwrap();
                assert_eq!(copy.setnx(&key, 5).await.unwrap().first(), Some(&true));
            }
            _ => drop(copy.flushall().await.unwrap()),
        }
        eventually(&format!("nothing is missed after {how}"), async || {
            copy.health().iter().all(|(_, health)| *health == Health::Up)
        })
        .await;
        for node in copy.nodes() {
            let found: Option<String> = node.get(&key).await.unwrap();
            let wanted = match how {
                "restore" => Some("whole"),
                "setnx" => Some("5"),
                _ => None,
            };
            assert_eq!(found.as_deref(), wanted, "{how} on {}", node.name());
        }
    }
}

#[tokio::test]
async fn what_the_deciding_node_refuses_is_not_sent_to_the_others() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    for name in ["b", "c"] {
        copy.on_node(name).unwrap().set(&key, "1.5").await.unwrap();
    }
    copy.on_node("a").unwrap().set(&key, "text").await.unwrap();
    let error = copy.incrbyfloat(&key, 1.0).await.unwrap_err();
    assert!(!error.may_have_executed(), "{error}");
    for name in ["b", "c"] {
        let node = copy.on_node(name).unwrap();
        assert_eq!(node.get::<String>(&key).await.unwrap().as_deref(), Some("1.5"));
        let stats = node.info_with(&["commandstats"]).await.unwrap();
        assert_eq!(stats.get("commandstats", "cmdstat_incrbyfloat"), None);
    }
}

#[tokio::test]
async fn a_server_that_somebody_flushed_answers_where_there_is_no_identity() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    _ = copy.set(&key, 1).await.unwrap();
    copy.on_node("a").unwrap().flushall().await.unwrap();
    assert_eq!(copy.get::<u8>(&key).await.unwrap(), None);
    assert_eq!(copy.setnx(&key, 2).await.unwrap().first(), Some(&true), "it decides that there is nothing");
}

#[tokio::test]
async fn the_marker_is_a_key_that_counts() {
    let servers = Servers::start(2).unwrap();
    let copy = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    for node in copy.nodes() {
        assert_eq!(node.dbsize().await.unwrap(), 2);
        let ttl = node.ttl("__redisdb:{shop}:node").await.unwrap();
        assert_eq!(ttl, TimeToLive::Persistent);
    }
    _ = copy.flushall().await.unwrap();
    for node in copy.nodes() {
        assert_eq!(node.exists("__redisdb:{shop}:node").await.unwrap(), 1);
        assert_eq!(node.dbsize().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_write_that_too_few_nodes_took_stays_on_those_that_took_it() {
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).write_to(WriteTo::All).connect().await.unwrap();
    _ = copy.set("k", 1).await.unwrap();
    servers[2].kill();
    let error = copy.set("k", 2).await.unwrap_err();
    assert!(matches!(error, Error::TooFewReplies(_)), "{error}");
    for name in ["a", "b"] {
        assert_eq!(copy.on_node(name).unwrap().get::<u8>("k").await.unwrap(), Some(2), "{name}");
    }
    assert_eq!(copy.get::<u8>("k").await.unwrap(), Some(2));
}

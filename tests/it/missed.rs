//! Notes of a copy about writes that not every node took, or that the nodes answered differently.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt;
use redisdb::Health;
use redisdb::OnDifference;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::Scan;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::Way;
use redisdb_tests::copy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Servers;

/// A key that is read from node `a` first.
fn key_of_a(copy: &RedisCopy) -> String {
    (0..).map(|i| format!("key:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap()
}

fn behind(copy: &RedisCopy) -> Vec<String> {
    let behind = copy.health().into_iter().filter(|(_, health)| *health != Health::Up);
    behind.map(|(name, _)| name).collect()
}

/// Lets a call run until a condition is true, then drops its future.
async fn cancelled<T>(call: impl Future<Output = T>, what: &str, condition: impl AsyncFnMut() -> bool) {
    tokio::select! {
        biased;
        _ = call => panic!("it ended before {what}"),
        () = eventually(what, condition) => {}
    }
}

/// A copy that brings no node back by itself, over servers behind proxies.
async fn with_proxies(identity: Option<&str>) -> (Servers, Vec<Proxy>, RedisCopy) {
    let servers = Servers::start(NAMES.len()).unwrap();
    let proxies = Proxy::to_each(servers.iter()).await;
    let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
    let copy = process(&urls, identity).on_return(OnReturn::Wait);
    let copy = copy.response_timeout(Duration::from_secs(10)).connect().await.unwrap();
    (servers, proxies, copy)
}

/// A server that is paused while something runs.
async fn while_paused(servers: &Servers, idx: usize, run: impl Future<Output = ()>) {
    servers[idx].pause();
    run.await;
    servers[idx].resume();
}

#[tokio::test]
async fn the_node_that_is_read_first_counts_for_a_write_whose_future_is_dropped() {
    let (servers, copy) = copy().await;
    let key = key_of_a(&copy);
    _ = copy.set(&key, "old").await.unwrap();
    let first = copy.on_node("a").unwrap().clone();
    while_paused(&servers, 2, async {
        let call = copy.set(&key, "new");
        cancelled(call, "the first has it", async || {
            first.get::<String>(&key).await.unwrap().unwrap() == "new"
        })
        .await;
    })
    .await;
    assert_eq!(behind(&copy), ["b", "c"]);
    for name in ["b", "c"] {
        assert!(copy.repair(name).run().await.unwrap().readmitted);
    }
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn nodes_that_may_not_answer_take_no_time_from_the_one_that_may() {
    let (servers, proxies, copy) = with_proxies(None).await;
    let key = key_of_a(&copy);
    _ = copy.set(&key, "old").await.unwrap();
    let first = copy.on_node("a").unwrap().clone();
    while_paused(&servers, 1, async {
        while_paused(&servers, 2, async {
            cancelled(copy.set(&key, "new"), "the first has it", async || {
                first.get::<String>(&key).await.unwrap().unwrap() == "new"
            })
            .await;
        })
        .await;
    })
    .await;
    assert_eq!(behind(&copy), ["b", "c"]);
    // More than a third of the deadline.
    proxies[0].slow(Way::Replies, Duration::from_millis(800), Duration::ZERO);
    let copy = copy.with_deadline(Duration::from_secs(2));
    assert_eq!(copy.get::<String>(&key).await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_scan_asks_another_node_where_the_first_one_hangs() {
    let (_servers, proxies, copy) = with_proxies(Some("shop")).await;
    _ = copy.set("k", 1).await.unwrap();
    let first = copy.node_for("").name().to_owned();
    proxies[NAMES.iter().position(|name| *name == first).unwrap()].hold(Way::Replies);
    let copy = copy.with_deadline(Duration::from_secs(2));
    let keys: Vec<String> = copy.scan_iter(ScanOptions::new()).try_collect().await.unwrap();
    assert_eq!(keys, ["k"]);
}

#[tokio::test]
async fn a_write_dropped_before_it_was_sent_leaves_no_trace() {
    let (_servers, copy) = copy().await;
    drop(copy.set("k", 1));
    let refused = copy.query::<()>(redis::cmd("EVAL").arg("return 1").arg(1).arg("k")).await;
    assert!(refused.is_err());
    assert_eq!(behind(&copy), [""; 0]);
}

#[tokio::test]
async fn a_decision_whose_future_is_dropped_was_missed_by_the_others() {
    let (servers, copy) = copy().await;
    let key = key_of_a(&copy);
    let first = copy.on_node("a").unwrap().clone();
    while_paused(&servers, 2, async {
        let call = copy.setnx(&key, 1);
        cancelled(call, "the first has decided", async || first.exists(&key).await.unwrap() == 1).await;
    })
    .await;
    assert_eq!(behind(&copy), ["b", "c"]);
}

#[tokio::test]
async fn a_node_that_may_have_decided_for_nobody_is_behind() {
    let (servers, copy) = copy().await;
    let key = key_of_a(&copy);
    while_paused(&servers, 0, async {
        let timeout = Duration::from_millis(100);
        assert!(tokio::time::timeout(timeout, copy.setnx(&key, 1)).await.is_err());
    })
    .await;
    assert_eq!(behind(&copy), ["a"]);
    let first = copy.on_node("a").unwrap();
    eventually("it has done it after all", async || first.exists(&key).await.unwrap() == 1).await;
    assert_eq!(copy.get::<u8>(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_node_that_answers_otherwise_than_most_is_behind() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    for odd in NAMES {
        _ = copy.set(&key, 1).await.unwrap();
        copy.on_node(odd).unwrap().set(&key, 100).await.unwrap();
        assert!(!copy.incr(&key).await.unwrap().agreed());
        // Most nodes are right.
        assert_eq!(behind(&copy), [odd]);
        assert!(copy.repair(odd).run().await.unwrap().readmitted);
        assert_eq!(copy.verify().run().await.unwrap(), []);
    }
    // If all are different, the one that the key is read from is right.
    for (name, value) in NAMES.into_iter().zip([1, 10, 100]) {
        copy.on_node(name).unwrap().set(&key, value).await.unwrap();
    }
    _ = copy.incr(&key).await.unwrap();
    assert_eq!(behind(&copy), ["b", "c"]);
    for name in ["b", "c"] {
        assert!(copy.repair(name).run().await.unwrap().readmitted);
    }
    assert_eq!(copy.get::<u8>(&key).await.unwrap(), Some(2));
    // What may be answered in any order is no disagreement.
    for name in NAMES {
        let node = copy.on_node(name).unwrap();
        let members: Vec<String> = (0..50).map(|i| format!("m{i}")).collect();
        let turn = if name == "b" { members.iter().rev().cloned().collect() } else { members };
        node.sadd("s", turn).await.unwrap();
    }
    let _any_order = copy.query::<Vec<String>>(redis::cmd("SORT").arg("s").arg("BY").arg("nosort")).await;
    assert_eq!(behind(&copy), [""; 0]);
}

#[tokio::test]
async fn where_nodes_become_equal_by_themselves_a_node_that_answers_otherwise_is_read_while_the_first_is_away()
 {
    for on_difference in [OnDifference::Converge, OnDifference::Leave] {
        let mut servers = Servers::start(2).unwrap();
        let copy =
            process(&servers.urls(), Some("shop")).on_difference(on_difference).connect().await.unwrap();
        let key = key_of_a(&copy);
        _ = copy.set(&key, 1).await.unwrap();
        copy.on_node("b").unwrap().incr(&key).await.unwrap();
        assert!(!copy.incr(&key).await.unwrap().agreed());
        servers[0].kill();
        let (read, written) = (copy.get::<u8>(&key).await, copy.incr(&key).await);
        match on_difference {
            OnDifference::Converge => {
                assert!(read.unwrap().is_some());
                assert!(written.is_ok(), "{written:?}");
            }
            // Nobody will compare the key.
            _ => assert!(read.is_err() && written.is_err(), "{read:?} {written:?}"),
        }
    }
}

#[tokio::test]
async fn what_one_node_has_decided_counts_against_two_that_answer_otherwise_but_alike() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    let other = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    let keys = (0..).map(|i| format!("key:{i}")).filter(|key| copy.node_for(key).name() == "a");
    for (key, next) in keys.take(20).zip([&copy, &other].into_iter().cycle()) {
        _ = copy.rpush(&key, vec!["1", "2", "3"]).await.unwrap();
        // As when a process ends while it pops an element.
        copy.on_node("a").unwrap().lpop::<String>(&key).await.unwrap();
        assert_eq!(copy.lpop::<String>(&key).await.unwrap().first().unwrap().as_deref(), Some("2"));
        _ = next.rpush(&key, "4").await.unwrap();
        eventually("all are equal", async || {
            let mut found = Vec::new();
            for name in NAMES {
                let list: Vec<String> = copy.on_node(name).unwrap().lrange(&key, 0, -1).await.unwrap();
                found.push(list);
            }
            found.iter().all(|list| *list == found[0]) && behind(next).is_empty()
        })
        .await;
        let list: Vec<String> = copy.lrange(&key, 0, -1).await.unwrap();
        assert_eq!(list, ["3", "4"], "what was popped is there again");
    }
}

/// Makes a node behind for a key, by a value of its own that a write of all nodes then meets.
async fn leave_behind(copy: &RedisCopy, name: &str, key: &str) {
    _ = copy.set(key, 1).await.unwrap();
    copy.on_node(name).unwrap().set(key, 100).await.unwrap();
    _ = copy.incr(key).await.unwrap();
    assert!(behind(copy).iter().any(|behind| behind == name));
}

#[tokio::test]
async fn a_write_of_the_whole_value_settles_a_key() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    let hour = Duration::from_secs(3600);
    let is_up = async || behind(&copy).is_empty();
    for (i, name) in ["a", "b", "c", "a", "b", "c", "a", "b", "c", "a"].into_iter().enumerate() {
        leave_behind(&copy, name, &key).await;
        match i {
            0 => drop(copy.set(&key, "whole").await.unwrap()),
            1 => drop(copy.setex(&key, hour, "whole").await.unwrap()),
            2 => drop(copy.psetex(&key, hour, "whole").await.unwrap()),
            3 => drop(copy.mset([("other", "x"), (key.as_str(), "whole")]).await.unwrap()),
            4 => drop(copy.del(&key).await.unwrap()),
            5 => drop(copy.unlink(vec!["other", &key]).await.unwrap()),
            6 => drop(copy.getset::<String>(&key, "whole").await.unwrap()),
            7 => drop(copy.getdel::<String>(&key).await.unwrap()),
            _ => {
                let pipeline = if i == 8 { copy.pipeline() } else { copy.pipeline().atomic() };
                let del = pipeline.del(&key);
                let set = pipeline.set(&key, "whole");
                pipeline.execute().await.check().unwrap();
                assert!(del.await.unwrap().is_complete() && set.await.unwrap().is_complete());
            }
        }
        eventually(&format!("nothing is missed after {i}"), is_up).await;
        assert_eq!(copy.verify().run().await.unwrap(), [], "{i}");
    }
}

#[tokio::test]
async fn a_write_of_a_part_settles_nothing() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    leave_behind(&copy, "b", &key).await;
    copy.on_node("b").unwrap().expire(&key, Duration::from_secs(3600)).await.unwrap();
    // How the node is tells of that only after a while.
    let is_missed = async || copy.repair("b").dry_run().run().await.unwrap().copied == 1;
    let append = redis::cmd("APPEND").arg(&key).arg(1).take();
    let set = redis::cmd("SET").arg(&key).arg(7).arg("KEEPTTL").take();
    for write in [append, set] {
        let _differs = copy.query::<redis::Value>(&write).await;
        assert!(is_missed().await, "{write:?}");
    }
    _ = copy.del("another").await.unwrap();
    assert!(is_missed().await);
}

#[tokio::test]
async fn what_only_some_nodes_had_to_delete_is_gone_from_all() {
    let (_servers, copy) = copy().await;
    let key = key_of_a(&copy);
    _ = copy.set(&key, 1).await.unwrap();
    copy.on_node("b").unwrap().del(&key).await.unwrap();
    assert!(!copy.del(&key).await.unwrap().agreed());
    assert_eq!(behind(&copy), [""; 0]);
}

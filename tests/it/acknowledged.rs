//! Acknowledgements of a copy, and the node whose reply it takes: one that is not known to be behind.

use std::future::Future;

use redisdb::Error;
use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::cache::Cache;
use redisdb::cache::Ttl;
use redisdb::commands::*;
use redisdb::node::Script;
use redisdb_tests::NAMES;
use redisdb_tests::copy_over;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Servers;

/// A key that is read from node `a` first.
fn key_of_a(copy: &RedisCopy, of: &str) -> String {
    (0..).map(|i| format!("{of}:{i}")).find(|key| copy.node_for(key).name() == "a").unwrap()
}

async fn are(copy: &RedisCopy, names: &[&str], health: Health) {
    eventually(&format!("{names:?} are {health:?}"), async || {
        copy.health().iter().all(|(name, found)| !names.contains(&&**name) || *found == health)
    })
    .await;
}

async fn all_up(copy: &RedisCopy) {
    are(copy, &NAMES, Health::Up).await;
}

/// Servers of which `c` alone has taken the last writes, and hangs; `a` and `b` are there, and behind for the keys.
async fn only_the_absent_has_it(servers: &Servers, copy: &RedisCopy, write: impl AsyncFnOnce(&RedisCopy)) {
    servers[0].pause();
    servers[1].pause();
    are(copy, &["a", "b"], Health::Down).await;
    write(copy).await;
    servers[2].pause();
    are(copy, &["c"], Health::Down).await;
    servers[0].resume();
    servers[1].resume();
    for name in ["a", "b"] {
        let node = copy.on_node(name).unwrap();
        eventually("it answers", async || node.ping().await.is_ok()).await;
    }
}

/// The call is an error that says that `a` and `b` are behind, and nothing was sent to them.
async fn refused<T: std::fmt::Debug>(what: &str, call: impl Future<Output = Result<T, Error>>) {
    let error = call.await.expect_err(what);
    let Error::Unavailable(unavailable) = &error else { panic!("{what}: {error}") };
    let mut behind = unavailable.behind.clone();
    behind.sort();
    assert_eq!(
        (behind, unavailable.in_vain.len()),
        (vec!["a".to_owned(), "b".to_owned()], 0),
        "{what}: {error}"
    );
    assert!(!error.may_have_executed(), "{what}: {error}");
}

/// Three servers, and a client of its own that brings back what was away.
async fn three(write_to: WriteTo) -> (Servers, RedisCopy) {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).write_to(write_to).connect().await.unwrap();
    (servers, copy)
}

#[tokio::test]
async fn a_write_that_builds_on_what_was_there_is_not_acknowledged_by_nodes_that_are_behind() {
    let (servers, copy) = three(WriteTo::Any).await;
    for _ in 0..10 {
        _ = copy.incr("n").await.unwrap();
    }
    only_the_absent_has_it(&servers, &copy, async |copy| {
        assert_eq!(copy.incr("n").await.unwrap().first(), Some(&11));
    })
    .await;
    assert!(matches!(copy.get::<i64>("n").await, Err(Error::Unavailable(_))));
    refused("INCR", copy.incr("n")).await;
    servers[2].resume();
    all_up(&copy).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(copy.get::<i64>("n").await.unwrap(), Some(11));
}

const SUM: &str = "return redis.call('INCRBY', KEYS[1], 1)";

#[tokio::test]
async fn no_way_in_acknowledges_what_only_nodes_took_that_are_behind() {
    let (servers, copy) = three(WriteTo::Any).await;
    let mut redis_rs = copy.clone();
    only_the_absent_has_it(&servers, &copy, async |copy| {
        for key in ["number", "text", "text2", "whole", "whole2", "gone"] {
            _ = copy.set(key, 10).await.unwrap();
        }
        _ = copy.rpush("list", &[1, 2, 3]).await.unwrap();
        _ = copy.sadd("set", &[1, 2, 3]).await.unwrap();
        _ = copy.hset("hash", "field", 1).await.unwrap();
    })
    .await;
    refused("INCR", copy.incr("number")).await;
    refused("APPEND", copy.append("text", "x")).await;
    refused("RPUSH", copy.rpush("list", 4)).await;
    refused("HSET", copy.hset("hash", "field", 2)).await;
    refused("EXPIRE", copy.expire("text", std::time::Duration::from_secs(1000))).await;
    refused("SUNIONSTORE", copy.sunionstore("union", &["set", "unknown"])).await;
    refused("a script", Script::new(SUM).deterministic().key("number").invoke::<i64, _>(&copy)).await;
    for atomic in [false, true] {
        let pipeline = if atomic { copy.pipeline().atomic() } else { copy.pipeline() };
        let (sum, set) = (pipeline.incr("number"), pipeline.set("whole", atomic));
        let failed: Vec<usize> = pipeline.execute().await.failures().map(|(i, _)| i).collect();
        refused("in a pipeline", sum).await;
        // A block is sent whole, or not at all.
        match atomic {
            true => refused("beside it", set).await,
            false => assert_eq!(set.await.unwrap().successes().count(), 2),
        }
        assert_eq!(failed, if atomic { vec![0, 1] } else { vec![0] });
    }
    let error = redis::cmd("INCR").arg("number").query_async::<i64>(&mut redis_rs).await.unwrap_err();
    assert!(error.to_string().contains("no node can answer"), "{error}");
    for atomic in [false, true] {
        let mut pipe = redis::pipe();
        let pipe = if atomic { pipe.atomic() } else { &mut pipe };
        let error = pipe.incr("number", 1).query_async::<(i64,)>(&mut redis_rs).await.unwrap_err();
        assert!(error.to_string().contains("no node can answer"), "{error}");
    }
    // Nor is what one node decides.
    refused("SETNX", copy.setnx("number", 1)).await;
    refused("GETDEL", copy.getdel::<i64>("number")).await;
    refused("INCRBYFLOAT", copy.incrbyfloat("number", 0.5)).await;
    refused("LPOP", copy.lpop::<i64>("list")).await;
    refused("SPOP", copy.spop::<i64>("set")).await;

    // Whatever was there: the whole value.
    _ = copy.set("whole2", 1).await.unwrap();
    _ = copy.mset([("whole", 2), ("new", 3)]).await.unwrap();
    assert_eq!(copy.get::<i64>("whole").await.unwrap(), Some(2));
    _ = copy.del("gone").await.unwrap();
    // Keys that nobody is behind for are written to as ever.
    assert_eq!(copy.incr("another").await.unwrap().first(), Some(&1));
    _ = copy.rename("new", "renamed").await.unwrap();
    _ = copy.config_set("maxmemory", 0).await.unwrap();
    _ = copy.script_load(SUM).await.unwrap();

    servers[2].resume();
    all_up(&copy).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(copy.get::<i64>("number").await.unwrap(), Some(10));
    assert_eq!(copy.mget::<i64>(&["whole", "whole2", "gone"]).await.unwrap(), [Some(2), Some(1), None]);
}

#[tokio::test]
async fn everything_may_be_removed_by_nodes_that_are_behind() {
    let (servers, copy) = three(WriteTo::Any).await;
    only_the_absent_has_it(&servers, &copy, async |copy| drop(copy.set("k", 1).await.unwrap())).await;
    assert_eq!(copy.flushall().await.unwrap().successes().count(), 2);
    servers[2].resume();
    all_up(&copy).await;
    for node in copy.nodes() {
        assert_eq!(node.dbsize().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn enough_nodes_that_are_behind_are_not_enough() {
    let (servers, copy) = three(WriteTo::AtLeast(2)).await;
    _ = copy.incrby("n", 10).await.unwrap();
    only_the_absent_has_it(&servers, &copy, async |copy| {
        assert!(matches!(copy.incr("n").await, Err(Error::TooFewReplies(_))));
    })
    .await;
    refused("INCR", copy.incr("n")).await;
    servers[2].resume();
    all_up(&copy).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
    assert_eq!(copy.incr("n").await.unwrap().successes().count(), 3);
}

#[tokio::test]
async fn a_command_with_a_key_that_no_node_has_right_is_not_acknowledged() {
    let (servers, copy) = three(WriteTo::Any).await;
    _ = copy.mset([("x", 1), ("y", 2)]).await.unwrap();
    // Of `x` only `c` has the last value, which hangs; of `y` all have it.
    only_the_absent_has_it(&servers, &copy, async |copy| drop(copy.append("x", 1).await.unwrap())).await;
    let bitop = redis::cmd("BITOP").arg("OR").arg("to").arg("y").arg("x").take();
    refused("BITOP", copy.query::<i64>(&bitop)).await;
    refused("RENAME", copy.rename("y", "x")).await;
    servers[2].resume();
    all_up(&copy).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn the_others_acknowledge_everything_while_one_node_is_away() {
    for idx in 0..3 {
        let (servers, copy) = three(WriteTo::Any).await;
        let mut redis_rs = copy.clone();
        _ = copy.set("n", 10).await.unwrap();
        servers[idx].pause();
        are(&copy, &NAMES[idx..=idx], Health::Down).await;
        let mut n = 10;
        let mut next = || {
            n += 1;
            Some(n)
        };
        for _ in 0..3 {
            assert_eq!(copy.incr("n").await.unwrap().first().copied(), next());
            let pipeline = copy.pipeline();
            let (one, two) = (pipeline.incr("n"), pipeline.incr("n"));
            pipeline.execute().await.check().unwrap();
            assert_eq!(one.await.unwrap().first().copied(), next());
            assert_eq!(two.await.unwrap().first().copied(), next());
            let sum = redis::cmd("INCR").arg("n").query_async::<i64>(&mut redis_rs).await.unwrap();
            assert_eq!(Some(sum), next());
        }
        // It is back, and behind.
        servers[idx].resume();
        let node = copy.on_node(NAMES[idx]).unwrap();
        eventually("it answers", async || node.ping().await.is_ok()).await;
        assert_eq!(copy.incr("n").await.unwrap().first().copied(), next());
        let sum = redis::cmd("INCR").arg("n").query_async::<i64>(&mut redis_rs).await.unwrap();
        assert_eq!(Some(sum), next());
        all_up(&copy).await;
        assert_eq!(copy.verify().run().await.unwrap(), []);
        assert_eq!(copy.get::<i64>("n").await.unwrap().map(|n| n + 1), next());
    }
}

/// Servers that hold a counter of 10, the first of which comes back empty and stays so.
async fn the_first_is_empty() -> (Servers, RedisCopy, String) {
    let mut servers = Servers::start(3).unwrap();
    let copy = copy_over(&servers).await;
    // It is read from there first, as far as that counts.
    let key = key_of_a(&copy, "n");
    _ = copy.set(&key, 10).await.unwrap();
    Cache::new(copy.clone()).set("count", &10).await.unwrap();
    servers[0].kill();
    servers[0].restart(Data::Lose).unwrap();
    let node = copy.on_node("a").unwrap();
    eventually("it answers", async || node.ping().await.is_ok()).await;
    (servers, copy, key)
}

#[tokio::test]
async fn the_reply_of_a_node_that_comes_back_empty_is_not_taken() {
    let (_servers, copy, key) = the_first_is_empty().await;
    let mut redis_rs = copy.clone();
    let mut n = 10;
    let mut next = || {
        n += 1;
        n
    };
    let cache = Cache::new(copy.clone());
    assert_eq!(cache.incr("count", 1).await.unwrap(), 11);
    assert_eq!(cache.decr("count", 2).await.unwrap(), 9);
    assert_eq!(cache.incr_from("count", 1, 1, Ttl::Never).await.unwrap(), 10);
    assert!(cache.persist("count").await.unwrap() && cache.delete("count").await.unwrap());
    let replies = copy.incr(&key).await.unwrap();
    assert_eq!(
        (replies.first().copied(), replies.agreed(), replies.is_complete()),
        (Some(next()), true, true)
    );
    assert_ne!(replies.get("a"), replies.get("b"), "what each node said is there");
    let sum = Script::new(SUM).deterministic();
    assert_eq!(sum.key(&key).invoke::<i64, _>(&copy).await.unwrap().first(), Some(&next()));
    for atomic in [false, true] {
        let pipeline = if atomic { copy.pipeline().atomic() } else { copy.pipeline() };
        let (sum, raw) = (pipeline.incr(&key), pipeline.command::<i64>(redis::cmd("INCR").arg(&key).take()));
        pipeline.execute().await.check().unwrap();
        assert_eq!(sum.await.unwrap().first(), Some(&next()));
        assert_eq!(raw.await.unwrap().first(), Some(&next()));
        let mut pipe = redis::pipe();
        let pipe = if atomic { pipe.atomic() } else { &mut pipe };
        assert_eq!(pipe.incr(&key, 1).query_async::<(i64,)>(&mut redis_rs).await.unwrap(), (next(),));
    }
    let incr = redis::cmd("INCR").arg(&key).take();
    assert_eq!(incr.query_async::<i64>(&mut redis_rs).await.unwrap(), next());
    assert_eq!(copy.query::<i64>(&incr).await.unwrap(), next());
    // Decided by another node, and read from another one.
    assert_eq!(copy.incrbyfloat(&key, 1.0).await.unwrap().first().copied(), Some(next() as f64));
    assert_eq!(copy.get::<i64>(&key).await.unwrap(), Some(n));
    // How many keys were deleted.
    assert_eq!(copy.unlink(&key).await.unwrap().first(), Some(&1));
    // What is no number on a node that counts is none, whatever the other says.
    _ = copy.set(&key, "text").await.unwrap();
    copy.on_node("a").unwrap().set(&key, 1).await.unwrap();
    let last = Script::new("return redis.call('GET', KEYS[1])").deterministic();
    let found = last.key(&key).invoke::<i64, _>(&copy).await.unwrap();
    assert_eq!((found.get("a").and_then(|a| a.ok()), found.first()), (Some(&1), None));
}

#[tokio::test]
async fn a_node_that_has_missed_a_write_is_not_asked_what_came_of_the_next() {
    let servers = Servers::start(3).unwrap();
    let copy = copy_over(&servers).await;
    let mut redis_rs = copy.clone();
    let key = key_of_a(&copy, "n");
    _ = copy.set(&key, 10).await.unwrap();
    // It refuses one write, and takes the next.
    let first = copy.on_node("a").unwrap();
    first.config_set("maxmemory", 1).await.unwrap();
    assert_eq!(copy.incr(&key).await.unwrap().first(), Some(&11));
    first.config_set("maxmemory", 0).await.unwrap();
    let replies = copy.incr(&key).await.unwrap();
    assert_eq!(replies.successes().map(|(_, n)| *n).collect::<Vec<_>>(), [11, 12, 12]);
    assert_eq!(replies.first(), Some(&12));
    assert_eq!(redis::cmd("INCR").arg(&key).query_async::<i64>(&mut redis_rs).await.unwrap(), 13);
}

#[tokio::test]
async fn a_server_that_somebody_emptied_a_moment_ago_tells_no_count() {
    let servers = Servers::start(2).unwrap();
    let copy = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    let mut redis_rs = copy.clone();
    for way in 0..4 {
        let key = key_of_a(&copy, &format!("n:{way}"));
        _ = copy.set(&key, 10).await.unwrap();
        redisdb::Node::connect(servers[0].url()).await.unwrap().flushall().await.unwrap();
        let found = match way {
            0 => copy.incr(&key).await.unwrap().first().copied().unwrap(),
            1 => redis::cmd("INCR").arg(&key).query_async(&mut redis_rs).await.unwrap(),
            2 => {
                let sum = Script::new(SUM).deterministic();
                sum.key(&key).invoke::<i64, _>(&copy).await.unwrap().first().copied().unwrap()
            }
            _ => {
                let pipeline = copy.pipeline();
                let sum = pipeline.incr(&key);
                pipeline.execute().await.check().unwrap();
                sum.await.unwrap().first().copied().unwrap()
            }
        };
        assert_eq!(found, 11, "{way}");
        are(&copy, &NAMES[..2], Health::Up).await;
    }
}

#[tokio::test]
async fn a_node_that_comes_back_empty_helps_nobody_to_a_lock() {
    let (_servers, copy, _) = the_first_is_empty().await;
    let options = redisdb::node::LockOptions::new(std::time::Duration::from_secs(60));
    let options = options.wait_at_most(std::time::Duration::ZERO);
    let guard = copy.lock("l", options).acquire().await.unwrap();
    // As if it had been away when the lock was taken; and of those that have it one has lost it.
    copy.on_node("c").unwrap().del("l").await.unwrap();
    copy.on_node("a").unwrap().del("l").await.unwrap();
    assert!(copy.lock("l", options).acquire().await.is_err());
    assert!(matches!(guard.is_held().await, Ok(false) | Err(_)));
}

#[tokio::test]
async fn a_write_that_only_a_node_took_that_was_restarted_before_the_call_ended_is_not_acknowledged() {
    for identity in [None, Some("shop")] {
        let mut servers = Servers::start(3).unwrap();
        // The write waits for the nodes that hang until the one that took it is there again.
        let patient = process(&servers.urls(), identity).response_timeout(std::time::Duration::from_secs(3));
        let copy = patient.connect().await.unwrap();
        let key = key_of_a(&copy, "key");
        _ = copy.set(&key, "old").await.unwrap();
        let dump = servers[0].dump().unwrap();
        servers[1].pause();
        servers[2].pause();
        let a = redisdb::Node::connect(&*servers.urls()[0]).await.unwrap();
        let incarnation = copy.on_node("a").unwrap().incarnation();
        let written = tokio::spawn({
            let (copy, key) = (copy.clone(), key.clone());
            async move { copy.set(&key, "new").await }
        });
        eventually("one took it", async || a.get::<String>(&key).await.unwrap().as_deref() == Some("new"))
            .await;
        servers[0].kill();
        servers[0].restart_from(&dump).unwrap();
        eventually("it is met again", async || copy.on_node("a").unwrap().incarnation() != incarnation).await;
        let written = written.await.unwrap();
        assert!(written.is_err(), "{identity:?}: {written:?}");
        servers[1].resume();
        servers[2].resume();
    }
}

//! The nodes of a copy with an identity become equal by themselves, whoever wrote at the same time, and whoever died meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use redis::Value;
use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnDifference;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::Proxy;
use redisdb_tests::RACED;
use redisdb_tests::ROUND;
use redisdb_tests::Raced;
use redisdb_tests::Sums;
use redisdb_tests::Way;
use redisdb_tests::calls;
use redisdb_tests::eventually;
use redisdb_tests::leads;
use redisdb_tests::process;
use tokio::sync::Barrier;
use tokio::time::timeout;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

const SHOP: Option<&str> = Some("shop");

fn of(servers: &Servers) -> CopyBuilder {
    process(&servers.urls(), SHOP)
}

async fn direct(server: &Server) -> Node {
    Node::connect(server.url()).await.unwrap()
}

/// A user whom servers do not tell what changes ..
const UNTOLD: [&str; 7] = ["--user", "app", "on", ">secret", "~*", "resetchannels", "+@all"];

/// .. and the address of a server for this user.
fn untold(port: u16) -> String {
    format!("redis://app:secret@127.0.0.1:{port}")
}

/// A process that uses three servers, and makes them equal once it has compared all keys.
async fn leading(servers: &Servers) -> RedisCopy {
    let copy = of(servers).connect().await.unwrap();
    leads(&copy).await;
    copy
}

async fn are_equal(copy: &RedisCopy) {
    // A key that is just being brought over may be on a node that was gone through before it came.
    eventually("all nodes are equal", async || {
        copy.convergence().dirty == 0 && copy.verify().rounds(1).run().await.unwrap().is_empty()
    })
    .await;
}

/// Writers that are released together, for each key anew. Returns how many keys each operation left different.
async fn race(copies: &[RedisCopy], n_keys: usize) {
    for op in RACED {
        let keys = Raced::of(op, n_keys);
        if keys.iter().all(Raced::is_there_before) {
            _ = copies[0].mset(keys.iter().map(|key| (key.name(), "before"))).await.unwrap();
        }
        let (keys, barrier) = (Arc::new(keys), Arc::new(Barrier::new(copies.len())));
        let writers = copies.iter().cloned().enumerate().map(|(writer, copy)| {
            let (keys, barrier) = (Arc::clone(&keys), Arc::clone(&barrier));
            tokio::spawn(async move {
                for some in keys.chunks(ROUND) {
                    barrier.wait().await;
                    join_all(some.iter().map(async |key| key.write(&copy, writer).await.unwrap())).await;
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_race_leave_all_nodes_equal_and_without_it_they_do_not() {
    const KEYS: usize = 500;
    let servers = Servers::start(3).unwrap();
    let leave = async || of(&servers).on_difference(OnDifference::Leave).connect().await.unwrap();
    let left = [leave().await, leave().await, leave().await];
    race(&left, KEYS).await;
    let n_left = left[0].verify().run().await.unwrap().len();
    // Else the race proves nothing.
    assert!(KEYS * RACED.len() < n_left * 100, "{n_left} keys differ");

    // What differed before is found too.
    let first = leading(&servers).await;
    are_equal(&first).await;
    let copies = [first, of(&servers).connect().await.unwrap(), of(&servers).connect().await.unwrap()];
    _ = copies[0].flushdb().await.unwrap();
    race(&copies, KEYS).await;
    are_equal(&copies[0]).await;
    assert!(0 < copies[0].convergence().converged);
    for i in 0..KEYS {
        assert_eq!(copies[0].get::<usize>(format!("INCR:{i}")).await.unwrap(), Some(3));
        assert_eq!(copies[0].zscore(format!("ZINCRBY:{i}"), "member").await.unwrap(), Some(4.5), "{i}");
        assert_eq!(copies[0].llen(format!("RPUSH:{i}")).await.unwrap(), 3);
    }
}

/// Returns what each server holds of a key.
async fn held(servers: &Servers, key: &str) -> Vec<Option<String>> {
    join_all(servers.iter().map(async |server| direct(server).await.get(key).await.unwrap())).await
}

#[tokio::test]
async fn whichever_process_waits_for_a_key_gets_on_when_all_nodes_hold_the_same() {
    let servers = Servers::start(3).unwrap();
    let leader = leading(&servers).await;
    let other = of(&servers).connect().await.unwrap();
    let unmarked = process(&servers.urls(), None).build().unwrap();
    let b = direct(&servers[1]).await;
    for (i, copy) in [&leader, &other, &unmarked].into_iter().enumerate() {
        let key = format!("key:{i}");
        _ = leader.set(&key, "before").await.unwrap();
        b.set(&key, "of b").await.unwrap();
        assert_eq!(copy.converged(&key).await.unwrap(), ["a", "b", "c"]);
        let held = held(&servers, &key).await;
        assert!(held[0].is_some() && held.iter().all(|it| *it == held[0]), "{held:?}");
    }
    assert_eq!(other.converged("nowhere").await.unwrap().len(), 3);
    let own = other.converged("__redisdb:{shop}:node").await.unwrap_err();
    assert!(own.is_unsupported(), "{own}");
}

#[tokio::test]
async fn an_error_names_the_nodes_that_do_not_hold_the_same_of_a_key_in_time() {
    let servers = Servers::start(3).unwrap();
    let copy = of(&servers).on_difference(OnDifference::Leave).connect().await.unwrap();
    let unmarked = process(&servers.urls(), None).connect().await.unwrap();
    let soon = Duration::from_millis(300);
    for (copy, key) in [(&copy, "k"), (&unmarked, "l")] {
        _ = copy.set(key, "before").await.unwrap();
        direct(&servers[1]).await.set(key, "of b").await.unwrap();
        direct(&servers[2]).await.del(key).await.unwrap();
        let error = copy.with_deadline(soon).converged(key).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let Error::NotConverged(not) = error else { panic!("{error}") };
        assert_eq!(
            (&*not.key, &*not.missing, &*not.other),
            (key.as_bytes(), &["c".to_owned()][..], &["b".to_owned()][..])
        );
        let waiting = tokio::spawn({
            let copy = copy.clone();
            async move { copy.converged(key).await }
        });
        _ = copy.set(key, "whole").await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn a_node_that_has_missed_a_write_is_waited_for_though_it_holds_the_same() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let copy = of(&servers).on_return(OnReturn::Wait).connect().await.unwrap();
    _ = copy.set("key", "same").await.unwrap();
    servers[2].kill();
    eventually("it is away", async || !copy.on_node("c").unwrap().is_connected()).await;
    _ = copy.append("key", "").await.unwrap();
    servers[2].restart(Data::Keep).unwrap();
    eventually("it is there", async || copy.on_node("c").unwrap().is_connected()).await;
    let error = copy.with_deadline(Duration::from_millis(300)).converged("key").await.unwrap_err();
    let Error::NotConverged(not) = error else { panic!("{error}") };
    assert_eq!((not.missing, not.other, not.behind), (vec![], vec![], vec!["c".to_owned()]));
    assert!(copy.repair("c").run().await.unwrap().readmitted);
    assert_eq!(copy.converged("key").await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_node_that_is_away_is_not_waited_for_and_one_that_is_behind_is() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let copy = leading(&servers).await;
    servers[2].kill();
    eventually("it is away", async || !copy.on_node("c").unwrap().is_connected()).await;
    _ = copy.set("key", "new").await.unwrap();
    assert_eq!(copy.converged("key").await.unwrap(), ["a", "b"]);
    servers[2].restart(Data::Keep).unwrap();
    eventually("it is there", async || copy.on_node("c").unwrap().is_connected()).await;
    assert_eq!(copy.converged("key").await.unwrap(), ["a", "b", "c"]);
    assert_eq!(held(&servers, "key").await[2].as_deref(), Some("new"));
}

#[tokio::test]
async fn what_only_some_nodes_took_is_brought_to_all_or_taken_away_from_all() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    let (a, b, c) = (direct(&servers[0]).await, direct(&servers[1]).await, direct(&servers[2]).await);
    let nodes = [&a, &b, &c];
    for i in 0..30 {
        _ = copy.set(format!("removed:{i}"), "before").await.unwrap();
        _ = copy.set(format!("changed:{i}"), "before").await.unwrap();
    }
    for i in 0..30 {
        // As by a writer that died in between: one node took it.
        nodes[i % 3].set(format!("new:{i}"), i).await.unwrap();
        nodes[i % 3].set(format!("changed:{i}"), i).await.unwrap();
        nodes[i % 3].del(format!("removed:{i}")).await.unwrap();
    }
    are_equal(&copy).await;
    for i in 0..30 {
        assert_eq!(copy.get::<usize>(format!("new:{i}")).await.unwrap(), Some(i), "nobody removed it");
        let first = copy.node_for(format!("removed:{i}")).name() == nodes_name(i % 3);
        let is_there = copy.exists(format!("removed:{i}")).await.unwrap();
        assert_eq!(is_there == 1, !first, "{i}: what the first node of a key holds counts");
    }
}

fn nodes_name(idx: usize) -> &'static str {
    redisdb_tests::NAMES[idx]
}

#[tokio::test]
async fn nodes_become_equal_without_one_that_is_away_and_with_it_when_it_is_back() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..30).map(|i| (format!("key:{i}"), "before"))).await.unwrap();
    servers[2].kill();
    eventually("it is away", async || !copy.on_node("c").unwrap().is_connected()).await;
    let b = direct(&servers[1]).await;
    for i in 0..30 {
        b.set(format!("key:{i}"), "of b").await.unwrap();
        b.set(format!("new:{i}"), "of b").await.unwrap();
    }
    are_equal(&copy).await;
    for i in 0..30 {
        assert_eq!(copy.get::<String>(format!("new:{i}")).await.unwrap().as_deref(), Some("of b"));
    }
    servers[2].restart(Data::Keep).unwrap();
    eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
    assert_eq!(copy.verify().run().await.unwrap().nodes.len(), 3);
    are_equal(&copy).await;
}

#[tokio::test]
async fn a_flush_by_others_takes_nothing_away_from_the_other_nodes() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..300).map(|i| (format!("key:{i}"), i))).await.unwrap();
    direct(&servers[0]).await.flushall().await.unwrap();
    // One that is changed on all nodes at the same moment.
    _ = copy.set("key:0", 0).await.unwrap();
    eventually("it is whole again", async || {
        copy.health().iter().all(|(_, health)| *health == Health::Up)
            && direct(&servers[0]).await.exists("key:299").await.unwrap() == 1
    })
    .await;
    are_equal(&copy).await;
    for i in 0..300 {
        assert_eq!(copy.get::<u32>(format!("key:{i}")).await.unwrap(), Some(i));
    }
}

#[tokio::test]
async fn databases_that_others_swap_are_found_by_the_marker_and_cost_no_key() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..300).map(|i| (format!("key:{i}"), i))).await.unwrap();
    let first = direct(&servers[0]).await;
    // In the other database is something that is none of the copy's.
    let _other: redis::Value = redis::pipe()
        .atomic()
        .cmd("SELECT")
        .arg(1)
        .cmd("SET")
        .arg("key:0")
        .arg("foreign")
        .cmd("SELECT")
        .arg(0)
        .cmd("SWAPDB")
        .arg(0)
        .arg(1)
        .query_async(&mut first.dedicated().await.unwrap())
        .await
        .unwrap();
    let health_of_first = || copy.health()[0].1;
    eventually("it is found", async || health_of_first() != Health::Up).await;
    for i in 0..300 {
        assert_eq!(copy.get::<u32>(format!("key:{i}")).await.unwrap(), Some(i));
    }
    eventually("it is whole again", async || health_of_first() == Health::Up).await;
    are_equal(&copy).await;
    assert_eq!(first.get::<u32>("key:0").await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_write_that_one_node_missed_is_not_undone_by_a_process_that_had_not_heard_of_it() {
    let servers = Servers::start(2).unwrap();
    // It compares a key sooner than it looks at the servers again, most of the time.
    let leader = of(&servers).response_timeout(Duration::from_millis(200)).connect().await.unwrap();
    leads(&leader).await;
    let proxy = Proxy::to(servers[0].port()).await;
    let writer = process(&[proxy.url(), servers[1].url()], SHOP).connect().await.unwrap();
    for round in 0..4 {
        let names: Vec<String> = (0..50).map(|i| format!("{round}:{i}")).collect();
        _ = leader.mset(names.iter().map(|name| (name, "old"))).await.unwrap();
        proxy.refuse();
        for name in &names {
            _ = writer.set(name, "new").await.unwrap();
        }
        are_equal(&leader).await;
        let values = leader.mget::<String>(&names).await.unwrap();
        assert!(values.iter().all(|value| value.as_deref() == Some("new")), "{values:?}");
        proxy.heal();
        for copy in [&leader, &writer] {
            eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
                .await;
        }
    }
}

/// Two processes of a copy, the first of which can be cut from the first node.
async fn cut_and_steady(servers: &Servers) -> (Proxy, RedisCopy, RedisCopy) {
    let steady = of(servers).connect().await.unwrap();
    let proxy = Proxy::to(servers[0].port()).await;
    let cut = process(&[proxy.url(), servers[1].url()], SHOP).connect().await.unwrap();
    (proxy, cut, steady)
}

async fn all_are_up(copies: [&RedisCopy; 2]) {
    for copy in copies {
        eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
            .await;
    }
}

#[tokio::test]
async fn a_node_that_missed_a_write_of_a_process_that_it_alone_was_cut_off_from_decides_nothing_without_it() {
    let servers = Servers::start(2).unwrap();
    let (proxy, cut, steady) = cut_and_steady(&servers).await;
    let mut n_unknown = 0;
    for round in 0..4 {
        proxy.refuse();
        let mut held = BTreeMap::new();
        for name in (0..20).map(|i| format!("lock:{round}:{i}")) {
            for (holder, copy) in [("cut", &cut), ("steady", &steady)] {
                match copy.setnx(&name, holder).await {
                    Ok(replies) if replies.first() == Some(&true) => {
                        assert_eq!(held.insert(name.clone(), holder), None, "{name} was taken twice");
                    }
                    Ok(_) => {}
                    Err(error) => {
                        assert!(error.may_have_executed(), "{error}");
                        n_unknown += 1;
                    }
                }
            }
        }
        are_equal(&steady).await;
        for (name, holder) in held {
            assert_eq!(steady.get::<String>(&name).await.unwrap().as_deref(), Some(holder), "{name}");
        }
        proxy.heal();
        all_are_up([&steady, &cut]).await;
    }
    assert!(n_unknown < 40, "{n_unknown} of 160 are not known to be done");
}

#[tokio::test]
async fn what_processes_add_to_one_sum_while_a_node_is_lost_to_one_of_them_is_all_there() {
    let servers = Servers::start(2).unwrap();
    let (proxy, cut, steady) = cut_and_steady(&servers).await;
    let names: Vec<String> = (0..20).map(|i| format!("sum:{i}")).collect();
    let mut sums = BTreeMap::from_iter(names.iter().map(|name| (name, 0..=0)));
    for _ in 0..3 {
        for is_cut in [false, true] {
            if is_cut {
                proxy.refuse();
            }
            for name in &names {
                // At the same moment.
                let [one, other] = [&cut, &steady].map(|copy| copy.incrbyfloat(name, 1.0));
                let (one, other) = futures_util::future::join(one, other).await;
                for added in [one, other] {
                    let (done, most) = sums[name].clone().into_inner();
                    let may_be = added.as_ref().err().is_none_or(Error::may_have_executed);
                    sums.insert(name, done + i32::from(added.is_ok())..=most + i32::from(may_be));
                }
            }
        }
        proxy.heal();
        all_are_up([&steady, &cut]).await;
        are_equal(&steady).await;
        for (name, range) in &sums {
            let sum = steady.get::<i32>(name).await.unwrap().unwrap();
            assert!(range.contains(&sum), "{name}: {sum} is not {range:?}");
        }
    }
    // Where a node holds something else at the moment, and the other one is lost, nothing is sent.
    let n_done: i32 = sums.values().map(|sum| *sum.start()).sum();
    assert!(160 < n_done, "only {n_done} of 240 were done");
}

#[tokio::test]
async fn a_write_whose_hints_come_too_late_is_not_acknowledged() {
    let servers = Servers::start(3).unwrap();
    let proxies = Proxy::to_each(servers.iter()).await;
    let urls: Vec<String> = proxies.iter().map(Proxy::url).collect();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    let a = direct(&servers[0]).await;
    for late in [false, true] {
        eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
            .await;
        // `c` is noticed to be away by this write alone, after 500 ms. The hints are answered 500 ms later, or never.
        proxies[2].lose(Way::Requests);
        let writing = tokio::spawn({
            let copy = copy.clone();
            async move { copy.set("k", late.to_string()).await }
        });
        eventually("it is taken", async || a.get::<String>("k").await.unwrap() == Some(late.to_string()))
            .await;
        if late {
            proxies[..2].iter().for_each(|proxy| proxy.lose(Way::Replies));
        }
        let written = writing.await.unwrap();
        proxies.iter().for_each(Proxy::heal);
        match written {
            Ok(replies) => assert!(!late && replies.successes().count() == 2, "{replies:?}"),
            // A machine that is late is late with all of it.
            Err(error) => assert!(error.is_timeout() && error.may_have_executed(), "{error}"),
        }
        eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
            .await;
        are_equal(&copy).await;
        assert_eq!(copy.get::<String>("k").await.unwrap(), Some(late.to_string()));
    }
}

#[tokio::test]
async fn a_change_that_was_not_heard_is_found_by_comparing_all_keys() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    let b = direct(&servers[1]).await;
    let (gaps, rounds) = (copy.convergence().gaps, copy.convergence().rounds);
    // Its feed is ended with the write in one block, so that nobody hears of it.
    let mut block = redis::pipe();
    block.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").cmd("SET").arg("key").arg("of b");
    let _killed: redis::Value = block.query_async(&mut b.dedicated().await.unwrap()).await.unwrap();
    eventually("all are compared", async || {
        gaps < copy.convergence().gaps && rounds < copy.convergence().rounds
    })
    .await;
    are_equal(&copy).await;
    assert_eq!(copy.get::<String>("key").await.unwrap().as_deref(), Some("of b"));
}

#[tokio::test]
async fn the_metrics_tell_how_far_the_nodes_are_equal() {
    let servers = Servers::start(3).unwrap();
    let sums = Sums::of("redisdb_copy");
    // On this thread alone, which is where everything here runs.
    let _recording = metrics::set_default_local_recorder(&sums);
    let copy = leading(&servers).await;
    let b = direct(&servers[1]).await;
    let is = |name: &str, wanted: u64| sums.all().get(name) == Some(&wanted);
    b.set("key", "of b").await.unwrap();
    eventually("the key waits", async || is("redisdb_copy_dirty_keys", 1)).await;
    eventually("two nodes are given it", async || is("redisdb_copy_converged_keys", 2)).await;
    eventually("none waits", async || is("redisdb_copy_dirty_keys", 0)).await;
    let _killed: i64 = b.query(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).await.unwrap();
    eventually("a gap is told", async || is("redisdb_copy_feed_gaps", 1)).await;
    leads(&copy).await;
    assert!(is("redisdb_copy_conflicts", 0) && is("redisdb_copy_convergence_lag_seconds", 0), "{sums:?}");
}

#[tokio::test]
async fn a_gap_while_all_keys_are_compared_has_those_compared_again_that_came_before_it() {
    const KEYS: usize = 6000;
    let servers = Servers::start(3).unwrap();
    let nodes = join_all((0..3).map(|idx| direct(&servers[idx]))).await;
    for node in &nodes {
        let names = (0..KEYS).map(|i| (format!("key:{i}"), i));
        node.mset(names).await.unwrap();
    }
    let copy = of(&servers).on_return(OnReturn::Repair { keys_per_second: 1000 }).build().unwrap();
    copy.adopt().await.unwrap();
    copy.ready().await.unwrap();
    let scans = async || calls(&nodes[0], "scan").await;
    let adopted = scans().await;
    // The first node tells these keys first.
    let first = redis::cmd("SCAN").arg(0).arg("COUNT").arg(50).clone();
    let (_, first): (u64, Vec<String>) = nodes[0].query(&first).await.unwrap();
    let first = first.into_iter().find(|key| key.starts_with("key:")).unwrap();
    eventually("it compares all keys", async || adopted + 20 < scans().await).await;
    assert_eq!(copy.convergence().rounds, 0);
    // A key that was gone through, with a feed that is ended, in one block: nobody hears of it.
    let mut block = redis::pipe();
    block.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").cmd("SET").arg(&first).arg("of b");
    let _killed: redis::Value = block.query_async(&mut nodes[1].dedicated().await.unwrap()).await.unwrap();
    eventually("all are compared", async || {
        let convergence = copy.convergence();
        0 < convergence.gaps && 0 < convergence.rounds && !convergence.round_due
    })
    .await;
    let once = KEYS as u64 / 128;
    assert_eq!(copy.convergence().rounds, 1);
    let scans = scans().await - adopted;
    assert!(scans < once * 2 - 5, "{scans}: what comes after the gap is compared once");
    are_equal(&copy).await;
}

/// Has a server hold a large value of this type, of so many elements.
async fn set_large(node: &Node, kind: &str, n: usize) {
    let mut pipeline = redis::pipe();
    for i in 0..n {
        let text = format!("{i:0100}");
        match kind {
            "string" => pipeline.cmd("APPEND").arg(kind).arg(text),
            "list" => pipeline.cmd("RPUSH").arg(kind).arg(text),
            "set" => pipeline.cmd("SADD").arg(kind).arg(text),
            "hash" => pipeline.cmd("HSET").arg(kind).arg(i).arg(text),
            "zset" => pipeline.cmd("ZADD").arg(kind).arg(i).arg(text),
            _ => pipeline.cmd("XADD").arg(kind).arg(format!("{}-0", i + 1)).arg("field").arg(text),
        };
    }
    let _: redis::Value = pipeline.query_async(&mut node.dedicated().await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn large_values_become_equal_some_elements_at_a_time() {
    const KINDS: [&str; 6] = ["string", "list", "set", "hash", "zset", "stream"];
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    let nodes = join_all((0..3).map(|idx| direct(&servers[idx]))).await;
    for kind in KINDS {
        // One node lacks it, and the two others hold different ones.
        set_large(&nodes[0], kind, 6000).await;
        set_large(&nodes[1], kind, 6001).await;
    }
    nodes[1].pexpire("list", Duration::from_secs(1000)).await.unwrap();
    for kind in KINDS {
        assert_eq!(copy.converged(kind).await.unwrap().len(), 3);
    }
    are_equal(&copy).await;
    for node in &nodes {
        let n = [node.llen("list").await, node.scard("set").await, node.zcard("zset").await];
        assert!(n.iter().all(|n| [6000, 6001].contains(n.as_ref().unwrap())), "{n:?}");
        assert_eq!(calls(node, "restore").await, 0);
    }
    // The third one was asked for the dumps of what it lacked.
    for node in &nodes[..2] {
        assert_eq!(calls(node, "dump").await, 0);
    }
}

#[tokio::test]
async fn values_that_a_server_dumps_in_2_ms_are_read_by_their_dump_and_copied_some_elements_at_a_time() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    let nodes = join_all((0..3).map(|idx| direct(&servers[idx]))).await;
    let counts = async |names: &[&str]| {
        let calls = join_all(nodes.iter().map(async |node| {
            join_all(names.iter().map(|name| calls(node, name))).await.into_iter().sum::<u64>()
        }));
        calls.await
    };
    for kind in ["set", "hash"] {
        join_all(nodes.iter().map(|node| set_large(node, kind, 1000))).await;
        let dump = async |node: &Node| node.query::<Vec<u8>>(redis::cmd("DUMP").arg(kind)).await.unwrap();
        let dumps = join_all(nodes.iter().map(dump)).await;
        assert!(dumps[0] != dumps[1] && dumps[1] != dumps[2], "each server has an order of its own");
        copy.converged(kind).await.unwrap();
    }
    eventually("all are read", async || counts(&["dump"]).await == [4, 4, 4]).await;
    assert_eq!(counts(&["smembers", "sscan", "hgetall", "hscan"]).await, [0, 0, 0], "the dumps say enough");
    for kind in ["set", "hash", "list"] {
        set_large(&nodes[1], kind, 1001).await;
        copy.converged(kind).await.unwrap();
    }
    are_equal(&copy).await;
    assert_eq!(counts(&["restore"]).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_large_value_holds_no_small_key_up() {
    let servers = Servers::start(2).unwrap();
    let copy = leading(&servers).await;
    let (a, b) = (direct(&servers[0]).await, direct(&servers[1]).await);
    for (node, byte) in [(&a, b"a"), (&b, b"b")] {
        node.set("large", byte.repeat(48 << 20)).await.unwrap();
    }
    // To look at it takes three seconds, and to copy it twice as long.
    eventually("it is looked at", async || 1 < calls(&b, "getrange").await).await;
    b.set("small", "of b").await.unwrap();
    copy.converged("small").await.unwrap();
    let first = async |node: &Node| node.getrange::<String>("large", 0, 0).await.unwrap();
    assert_ne!(first(&a).await, first(&b).await);
    copy.converged("large").await.unwrap();
    assert_eq!(first(&a).await, first(&b).await);
}

#[tokio::test]
async fn all_keys_are_compared_again_and_again_where_a_node_does_not_tell_what_changes() {
    let servers = Server::builder().args(UNTOLD).start_many(3).unwrap();
    let urls: Vec<String> = servers.iter().map(|server| untold(server.port())).collect();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    leads(&copy).await;
    for round in 0..2 {
        direct(&servers[1]).await.set("key", round).await.unwrap();
        assert_eq!(copy.converged("key").await.unwrap(), ["a", "b", "c"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_write_is_undone_that_is_on_its_way_where_a_node_does_not_tell_what_changes() {
    let servers = Server::builder().args(UNTOLD).start_many(3).unwrap();
    let ports = [0, 1, 2].map(|i| servers[i].port());
    let leader = process(&ports.map(untold), SHOP).connect().await.unwrap();
    leads(&leader).await;
    let far = Proxy::to(ports[0]).await;
    let writer = process(&[far.port(), ports[1], ports[2]].map(untold), SHOP).connect().await.unwrap();
    let keys = (0..).map(|i| format!("key:{i}")).filter(|key| writer.node_for(key).name() == "a");
    let keys: Vec<String> = keys.take(20).collect();
    far.slow(Way::Requests, Duration::from_millis(250), Duration::from_millis(100));
    let (b, before) = (direct(&servers[1]).await, leader.convergence().rounds);
    let writes = keys.iter().map(async |key| {
        let mut n = 0;
        while leader.convergence().rounds < before + 2 {
            // For most of the time the first node has not got the last one of these.
            _ = writer.append(key, "x").await.unwrap();
            n += 1;
            assert_eq!(b.strlen(key).await.unwrap(), n, "a write was undone");
        }
        n
    });
    let written = timeout(Duration::from_secs(60), join_all(writes)).await.expect("all are compared twice");
    are_equal(&leader).await;
    for (key, n) in keys.iter().zip(written) {
        assert_eq!(b.strlen(key).await.unwrap(), n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_process_compares_what_it_has_written_where_a_node_does_not_tell_what_changes() {
    let servers = Server::builder().args(UNTOLD).start_many(3).unwrap();
    let urls: Vec<String> = servers.iter().map(|server| untold(server.port())).collect();
    // So slowly that no round comes to its end.
    let slowly = OnReturn::Repair { keys_per_second: 100 };
    let build = async || process(&urls, SHOP).on_return(slowly).connect().await.unwrap();
    let copies = [build().await, build().await, build().await];
    _ = copies[0].mset((0..4000).map(|i| (format!("ballast:{i}"), i))).await.unwrap();
    let b = direct(&servers[1]).await;
    for (i, copy) in copies.iter().enumerate() {
        let (name, in_time) = (format!("probe:{i}"), copy.with_deadline(Duration::from_secs(6)));
        eventually("the process compares what it writes", async || {
            b.set(&name, "x").await.unwrap();
            _ = copy.append(&name, "y").await.unwrap();
            in_time.converged(&name).await.is_ok()
        })
        .await;
    }
    let rounds = async || copies.iter().map(|copy| copy.convergence().rounds).sum::<u64>();
    let before = rounds().await;
    race(&copies, 100).await;
    assert!(!copies[0].verify().rounds(1).run().await.unwrap().is_empty(), "the race proves nothing");
    are_equal(&copies[0]).await;
    assert!(rounds().await <= before + 1, "all keys were compared");
}

#[tokio::test]
async fn the_process_that_stands_by_goes_on_with_what_it_heard_when_the_one_that_leads_ends() {
    let servers = Servers::start(3).unwrap();
    let first = leading(&servers).await;
    let second = of(&servers).connect().await.unwrap();
    eventually("it stands by, and has listened for long enough", async || {
        let marker: String = direct(&servers[0]).await.get("__redisdb:{shop}:node").await.unwrap().unwrap();
        let convergence = second.convergence();
        // The last of what the first one says is that it has compared all keys.
        convergence.stands_by
            && !convergence.round_due
            && !marker.split("standby").next().unwrap().contains("owes")
    })
    .await;
    let c = direct(&servers[2]).await;
    drop(first);
    c.set("key", "of c").await.unwrap();
    eventually("the second one leads", async || second.convergence().leads).await;
    are_equal(&second).await;
    assert_eq!(second.get::<String>("key").await.unwrap().as_deref(), Some("of c"));
    let convergence = second.convergence();
    assert_eq!((convergence.rounds, convergence.round_due, convergence.stands_by), (0, false, false));
}

#[tokio::test]
async fn what_a_process_was_just_comparing_when_it_ended_is_compared_by_the_next_one() {
    let servers = Servers::start(3).unwrap();
    let first = leading(&servers).await;
    let second = of(&servers).connect().await.unwrap();
    eventually("it stands by, and owes nothing", async || {
        let convergence = second.convergence();
        convergence.stands_by && !convergence.round_due
    })
    .await;
    // It takes six seconds to read, and the process that stands by remembers what has changed for five.
    direct(&servers[1]).await.setrange("large", 100 << 20, "x").await.unwrap();
    let changed = Instant::now();
    eventually("it has been read for so long that only the first one knows", async || {
        let convergence = first.convergence();
        Duration::from_secs(6) < changed.elapsed() && convergence.dirty == 1 && convergence.converged == 0
    })
    .await;
    drop(first);
    let second = second.with_deadline(Duration::from_secs(180));
    assert_eq!(second.converged("large").await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_process_that_did_not_stand_by_compares_all_keys_when_it_goes_on() {
    let servers = Servers::start(3).unwrap();
    drop(leading(&servers).await);
    // Heard by nobody.
    direct(&servers[2]).await.set("key", "of c").await.unwrap();
    let second = leading(&servers).await;
    are_equal(&second).await;
    assert_eq!(second.get::<String>("key").await.unwrap().as_deref(), Some("of c"));
}

#[tokio::test]
async fn a_node_that_throws_keys_away_loses_none_of_the_others_and_is_given_none_again() {
    let servers = Servers::start(3).unwrap();
    let b = direct(&servers[1]).await;
    b.config_set("maxmemory", "1gb").await.unwrap();
    b.config_set("maxmemory-policy", "allkeys-lru").await.unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..100).map(|i| (format!("key:{i}"), "v".repeat(100)))).await.unwrap();
    // As if it had thrown them away.
    for i in 0..100 {
        b.del(format!("key:{i}")).await.unwrap();
    }
    _ = copy.set("last", 1).await.unwrap();
    b.set("last", 2).await.unwrap();
    eventually("what was changed after that is equal", async || {
        copy.verify().rounds(1).run().await.unwrap().iter().all(|difference| difference.key != b"last")
            && copy.convergence().dirty == 0
    })
    .await;
    assert_eq!(b.exists("key:0").await.unwrap(), 0);
    for server in [&servers[0], &servers[2]] {
        assert_eq!(direct(server).await.exists("key:99").await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_node_that_has_just_begun_to_throw_keys_away_takes_none_from_the_others() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..100).map(|i| (format!("key:{i}"), i))).await.unwrap();
    are_equal(&copy).await;
    for name in ["a", "b", "c"] {
        let node = copy.on_node(name).unwrap();
        node.config_set("maxmemory", "1gb").await.unwrap();
        node.config_set("maxmemory-policy", "allkeys-lru").await.unwrap();
    }
    // As if their first nodes had thrown them away.
    for i in 0..100 {
        let key = format!("key:{i}");
        assert_eq!(copy.node_for(&key).del(&key).await.unwrap(), 1);
    }
    eventually("what has changed is heard", async || 0 < copy.convergence().dirty).await;
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    let held =
        join_all(servers.iter().map(async |server| direct(server).await.dbsize().await.unwrap())).await;
    // Each also holds its marker.
    assert_eq!(held.iter().sum::<u64>(), 200 + 3, "{held:?}");
}

#[tokio::test]
async fn where_info_is_not_permitted_nodes_are_given_what_they_never_had_and_no_removal_counts() {
    let user = ["--user", "app", "on", ">secret", "~*", "&*", "+@all", "-info"];
    let servers = Server::builder().args(user).start_many(3).unwrap();
    let urls: Vec<String> = servers.iter().map(|server| untold(server.port())).collect();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    leads(&copy).await;
    let nodes = join_all(servers.iter().map(direct)).await;
    nodes[0].set("k", "v").await.unwrap();
    assert_eq!(copy.converged("k").await.unwrap(), ["a", "b", "c"]);
    eventually("it was compared once more", async || copy.convergence().dirty == 0).await;
    let first = copy.node_for("k").name().as_bytes()[0] - b'a';
    assert_eq!(nodes[usize::from(first)].del("k").await.unwrap(), 1);
    eventually("that is heard", async || 0 < copy.convergence().dirty).await;
    eventually("it is compared", async || copy.convergence().dirty == 0).await;
    let held = held(&servers, "k").await;
    assert_eq!(held.iter().filter(|it| it.is_some()).count(), 2, "{held:?}");
}

#[tokio::test]
async fn a_node_that_is_full_takes_no_key_from_the_others_and_copying_comes_to_rest() {
    const N: u64 = 3_000;
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..N).map(|i| (format!("key:{i}"), "v".repeat(2_000)))).await.unwrap();
    are_equal(&copy).await;
    let full = direct(&servers[0]).await;
    // Its marker is read each second, so it is thrown away last.
    let idle = redis::cmd("OBJECT").arg(&["IDLETIME", "key:7"]).take();
    eventually("no key was used for a while", async || {
        3 <= redis::from_redis_value::<u64>(full.send(&idle).await.unwrap()).unwrap()
    })
    .await;
    let used = full.info().await.unwrap().used_memory().unwrap();
    full.config_set("maxmemory-policy", "allkeys-lru").await.unwrap();
    full.config_set("maxmemory", used - 2_000_000).await.unwrap();
    let evicted = async || full.info().await.unwrap().parse::<u64>("stats", "evicted_keys").unwrap();
    eventually("it throws keys away", async || 300 < evicted().await).await;
    eventually("that is heard", async || 0 < copy.convergence().dirty).await;
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    let before = (copy.convergence().converged, evicted().await);
    _ = copy.set("last", 1).await.unwrap();
    copy.converged("last").await.unwrap();
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    let after = (copy.convergence().converged, evicted().await);
    assert!(after.0 == before.0 && after.1 <= before.1 + 10, "{before:?} {after:?}");
    for server in [&servers[1], &servers[2]] {
        let keys: Vec<String> = direct(server).await.keys("key:*").await.unwrap();
        assert_eq!(keys.len() as u64, N);
    }
}

#[tokio::test]
async fn nodes_become_equal_also_when_a_server_stops_telling_what_changes_and_when_it_tells_again() {
    let servers = Server::builder()
        .args(["--user", "app", "on", ">secret", "~*", "&*", "+@all"])
        .start_many(3)
        .unwrap();
    let urls: Vec<String> = servers.iter().map(|server| untold(server.port())).collect();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    leads(&copy).await;
    let b = direct(&servers[1]).await;
    let sent = async |words: &[&str]| b.send(redis::Cmd::new().arg(words)).await.unwrap();
    for (rule, round) in [("-client|tracking", 0), ("+client|tracking", 1)] {
        sent(&["ACL", "SETUSER", "app", rule]).await;
        sent(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        for name in ["b", "c"] {
            let key = format!("{name}:{round}");
            copy.on_node(name).unwrap().set(&key, round).await.unwrap();
            assert_eq!(copy.converged(&key).await.unwrap(), ["a", "b", "c"], "{rule}");
        }
    }
    // For longer than the pause between two rounds of a node that does not tell.
    eventually("no round follows the other any more", async || {
        let before = copy.convergence().rounds;
        for _ in 0..3 {
            copy.on_node("b").unwrap().incr("last").await.unwrap();
            copy.converged("last").await.unwrap();
        }
        copy.convergence().rounds == before
    })
    .await;
}

#[tokio::test]
async fn a_removal_by_the_first_node_counts_also_if_the_key_changes_elsewhere_while_it_is_looked_at() {
    const N: usize = 10_000;
    let servers = Servers::start(2).unwrap();
    let copy = leading(&servers).await;
    let nodes = [direct(&servers[0]).await, direct(&servers[1]).await];
    let keys: Vec<String> = (0..N).map(|i| format!("key:{i}")).collect();
    _ = copy.mset(keys.iter().map(|key| (key, "v"))).await.unwrap();
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    for keys in keys.chunks(500) {
        let firsts = keys.iter().map(|key| usize::from(copy.node_for(key).name() == nodes_name(1)));
        let removals = firsts.zip(keys).map(async |(first, key)| nodes[first].del(key).await);
        join_all(removals).await.into_iter().for_each(|removed| assert_eq!(removed.unwrap(), 1));
    }
    let before = copy.convergence().converged;
    eventually("the first are made equal", async || before < copy.convergence().converged).await;
    // From the last key to the first one, so that some are met just when they are looked at.
    for keys in keys.chunks(100).rev() {
        let changes = keys.iter().map(async |key| {
            let second = usize::from(copy.node_for(key).name() == nodes_name(0));
            nodes[second].expire(key, Duration::from_secs(1_000)).await
        });
        join_all(changes).await.into_iter().for_each(|changed| assert!(changed.is_ok()));
    }
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    are_equal(&copy).await;
    let came_back: Vec<String> = nodes[0].keys("key:*").await.unwrap();
    assert!(came_back.is_empty(), "{} keys came back", came_back.len());
}

#[tokio::test]
async fn a_key_that_is_deleted_while_it_is_copied_to_a_node_that_lacked_it_stays_deleted() {
    const N: usize = 10_000;
    let servers = Servers::start(2).unwrap();
    let copy = leading(&servers).await;
    let nodes = [direct(&servers[0]).await, direct(&servers[1]).await];
    // Their first node lacks them.
    let keys =
        (0..2 * N).map(|i| format!("key:{i}")).filter(|key| copy.node_for(key).name() == nodes_name(0));
    let keys: Vec<String> = keys.take(N).collect();
    for keys in keys.chunks(500) {
        nodes[1].mset(keys.iter().map(|key| (key, "v"))).await.unwrap();
    }
    let before = copy.convergence().converged;
    eventually("the first are copied", async || before < copy.convergence().converged).await;
    // From the last key to the first one, so that some are met just when they are copied.
    for keys in keys.chunks(20).rev() {
        join_all(keys.iter().map(|key| copy.del(key)))
            .await
            .into_iter()
            .for_each(|done| assert!(done.is_ok()));
    }
    eventually("all are compared", async || copy.convergence().dirty == 0).await;
    are_equal(&copy).await;
    let came_back: Vec<String> = nodes[0].keys("key:*").await.unwrap();
    assert!(came_back.is_empty(), "{} keys came back", came_back.len());
}

#[tokio::test]
async fn nothing_is_sent_to_servers_at_rest_but_what_looks_at_their_markers() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.mset((0..100).map(|i| (format!("key:{i}"), i))).await.unwrap();
    let stats = async |node: &Node| -> BTreeMap<String, String> {
        let info = node.info_with(&["commandstats"]).await.unwrap();
        let calls = |stats: &str| stats.split(',').next().unwrap_or_default().to_owned();
        info.section("commandstats").map(|(name, stats)| (name.to_owned(), calls(stats))).collect()
    };
    let nodes = join_all((0..3).map(|idx| direct(&servers[idx]))).await;
    eventually("all have been compared", async || calls(&nodes[2], "dump").await == 100).await;
    are_equal(&copy).await;
    let before = join_all(nodes.iter().map(stats)).await;
    let beat = async || calls(&copy.on_node("b").unwrap(), "get").await;
    let first = beat().await;
    // For longer than any pause after which a server might be asked something.
    eventually("the servers were looked at many times", async || first + 12 < beat().await).await;
    let after = join_all(nodes.iter().map(stats)).await;
    for (idx, (before, after)) in before.iter().zip(&after).enumerate() {
        let sent = after.iter().filter(|(name, calls)| before.get(*name) != Some(calls));
        let mut sent: Vec<&str> = sent.map(|(name, _)| name.trim_start_matches("cmdstat_")).collect();
        // Those of this test: one, but of the node whose looks it counts. A look at a marker also asks how many keys there are, and for
        // hints.
        let is_ours = idx == 1 || after["cmdstat_info"] == next(&before["cmdstat_info"]);
        sent.retain(|name| *name != "info" || !is_ours);
        let looks = ["get", "dbsize", "zrangebyscore", "set", "eval", "evalsha", "ping"];
        assert!(sent.iter().all(|name| looks.contains(name)), "{idx}: {sent:?}");
    }
}

/// One call more.
fn next(calls: &str) -> String {
    let n: u64 = calls.trim_start_matches("calls=").parse().unwrap();
    format!("calls={}", n + 1)
}

/// Has the process stopped as soon as a node has executed a write that makes 1.5 of `sum`, by the one thread that there is: as long as the
/// servers may need to make a key equal.
async fn stopped_meanwhile<T>(servers: &Servers, write: impl Future<Output = T>) -> T {
    let connect = |server: &Server| redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut connections: Vec<_> = servers.iter().map(connect).collect();
    let mut is_done = || {
        let sums =
            connections.iter_mut().map(|server| redis::cmd("GET").arg("sum").query::<f64>(server).unwrap());
        sums.collect::<Vec<_>>().contains(&1.5)
    };
    let stopped = async {
        while !is_done() {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(Duration::from_millis(2500));
    };
    futures_util::future::join(write, stopped).await.0
}

#[tokio::test]
async fn a_write_is_not_acknowledged_by_a_process_that_was_stopped_meanwhile() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    for in_pipeline in [false, true] {
        _ = copy.set("sum", 1).await.unwrap();
        let write = async {
            if in_pipeline {
                let pipe = copy.pipeline();
                let set = pipe.set("sum", 1.5);
                _ = pipe.execute().await;
                set.await.map(drop)
            } else {
                copy.set("sum", 1.5).await.map(drop)
            }
        };
        let error = stopped_meanwhile(&servers, write).await.unwrap_err();
        assert!(error.is_timeout() && error.may_have_executed(), "{error:?}");
        copy.converged("sum").await.unwrap();
        are_equal(&copy).await;
    }
    // Without an identity no other process compares its keys.
    let alone = process(&servers.urls(), None).connect().await.unwrap();
    _ = alone.set("sum", 1).await.unwrap();
    _ = stopped_meanwhile(&servers, alone.set("sum", 1.5)).await.unwrap();
}

#[tokio::test]
async fn a_write_that_one_node_decides_is_not_acknowledged_by_a_process_that_was_stopped_meanwhile() {
    let servers = Servers::start(3).unwrap();
    let copy = leading(&servers).await;
    _ = copy.set("sum", 1).await.unwrap();
    let if_there = |key: &str| redis::cmd("SET").arg(key).arg(1.5).arg("XX").take();
    let decided = stopped_meanwhile(&servers, copy.query::<Value>(&if_there("sum"))).await;
    let error = decided.unwrap_err();
    assert!(error.is_timeout() && error.may_have_executed(), "{error:?}");
    // Whatever came of it, it is the same everywhere.
    copy.converged("sum").await.unwrap();
    are_equal(&copy).await;
    _ = copy.set("other", 1).await.unwrap();
    assert_eq!(copy.query::<Value>(&if_there("other")).await.unwrap(), Value::Okay);
}

//! Calls on a copy whose futures are dropped, thousands of them and at any point: nothing is left behind for good.

use std::future::Future;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::commands::*;
use redisdb::node::Script;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Servers;

const N_DROPS: u64 = 4000;
const N_KEYS: u64 = 8;

/// Polls a future so often at most, and drops it.
async fn polled(call: impl Future, n_polls: u64) {
    let mut call = pin!(call);
    for _ in 0..n_polls {
        let is_ready = poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready()));
        if is_ready.await {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Starts a write of some kind, and drops it after some polls.
async fn drop_one(copy: &RedisCopy, dice: u64) {
    let (i, kind, n_polls) = (dice % N_KEYS, dice / 16 % 8, dice / 256 % 24);
    let (text, number, list) = (format!("text:{i}"), format!("number:{i}"), format!("list:{i}"));
    match kind {
        0 => polled(copy.set(&text, dice), n_polls).await,
        1 => polled(copy.incr(&number), n_polls).await,
        2 => polled(copy.setnx(&text, dice), n_polls).await,
        3 => polled(copy.lpop::<u64>(&list), n_polls).await,
        4 => {
            let sum = Script::new("return redis.call('INCRBY', KEYS[1], 1)").deterministic();
            polled(sum.key(&number).invoke::<i64, _>(copy), n_polls).await;
        }
        5 => {
            let (mut copy, mut pipe) = (copy.clone(), redis::pipe());
            pipe.incr(&number, 1).set(&text, dice).get(&text);
            polled(pipe.query_async::<redis::Value>(&mut copy), n_polls).await;
        }
        _ => {
            let pipeline = if kind == 6 { copy.pipeline() } else { copy.pipeline().atomic() };
            drop((pipeline.set(&text, dice), pipeline.incr(&number), pipeline.rpush(&list, dice)));
            drop((pipeline.get::<u64>(&text), pipeline.incr(&number)));
            polled(pipeline.execute(), n_polls).await;
        }
    }
}

async fn drop_many(copy: &RedisCopy) {
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..N_DROPS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        drop_one(copy, dice >> 33).await;
    }
}

/// In the end every key is read, and all nodes hold the same.
async fn is_whole(copy: &RedisCopy) {
    for key in (0..N_KEYS).flat_map(|i| ["text", "number", "list"].map(|of| format!("{of}:{i}"))) {
        eventually(&format!("{key} is read"), async || copy.exists(&key).await.is_ok()).await;
    }
    eventually("all nodes are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
        .await;
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_dropped_calls_leave_healthy_servers_whole() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    drop_many(&copy).await;
    is_whole(&copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_dropped_calls_leave_two_nodes_with_an_identity_whole() {
    let servers = Servers::start(2).unwrap();
    let copy = process(&servers.urls(), Some("shop")).write_to(WriteTo::All).connect().await.unwrap();
    drop_many(&copy).await;
    is_whole(&copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_dropped_calls_leave_servers_whole_while_one_refuses_writes() {
    let servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), None).connect().await.unwrap();
    let full = copy.on_node("b").unwrap();
    full.config_set("maxmemory", 1).await.unwrap();
    drop_many(&copy).await;
    full.config_set("maxmemory", 0).await.unwrap();
    drop_many(&copy).await;
    is_whole(&copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_dropped_calls_leave_servers_whole_while_one_comes_back() {
    for data in [None, Some(Data::Lose)] {
        let mut servers = Servers::start(3).unwrap();
        let copy = process(&servers.urls(), None).connect().await.unwrap();
        match data {
            None => servers[1].pause(),
            Some(_) => servers[1].kill(),
        }
        eventually("it is known to be down", async || copy.health()[1].1 == Health::Down).await;
        drop_many(&copy).await;
        match data {
            None => servers[1].resume(),
            Some(data) => servers[1].restart(data).unwrap(),
        }
        drop_many(&copy).await;
        is_whole(&copy).await;
    }
}

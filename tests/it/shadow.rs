//! The explored rules are told what a copy is told: in an ordinary outage the copy does what they would do.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_cluster::shadow::Because;
use redisdb_cluster::shadow::Difference;
use redisdb_cluster::shadow::Listener;
use redisdb_cluster::shadow::Told;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Server;

/// A process whose copy is compared with the rules, what came of that, and how many events the rules were told.
async fn compared(urls: &[String]) -> (RedisCopy, Arc<Mutex<Vec<Difference>>>, Arc<AtomicUsize>) {
    let (differences, n_events) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (found, counted) = (Arc::clone(&differences), Arc::clone(&n_events));
    let listener = Listener::new(move |told| match told {
        Told::Differs(difference) => found.lock().unwrap().push(difference),
        _ => _ = counted.fetch_add(1, Ordering::Relaxed),
    });
    let copy = process(urls, Some("shop")).shadow(listener).connect().await.unwrap();
    (copy, differences, n_events)
}

fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

/// Writes of all kinds and reads, until they are to end.
async fn load(copy: RedisCopy, name: &str, is_over: &AtomicBool) {
    for i in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let key = |kind: &str| format!("{name}:{kind}:{}", i % 7);
        // Whether one of them fails is its own affair: a server goes and comes.
        _ = copy.set(key("value"), i).await;
        _ = copy.incr(key("counter")).await;
        _ = copy.sadd(key("set"), i).await;
        _ = copy.spop::<u64>(key("set")).await;
        let pipe = copy.pipeline();
        let (first, second) = (pipe.rpush(key("list"), i), pipe.del(key("value")));
        _ = pipe.execute().await;
        _ = (first.await, second.await);
        _ = copy.get::<u64>(key("value")).await;
        _ = copy.get::<u64>(key("counter")).await;
        _ = copy.smembers::<Vec<u64>>(key("set")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_does_what_the_explored_rules_would_while_a_server_hangs_or_is_restarted() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let urls = servers.urls();
    let (first, of_first, n_events) = compared(&urls).await;
    let (second, of_second, _) = compared(&urls).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let loads = [(first.clone(), "one"), (second.clone(), "two")].map(|(copy, name)| {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move { load(copy, name, &is_over).await })
    });
    eventually("the load has begun", async || n_events.load(Ordering::Relaxed) > 1_000).await;
    servers[1].pause();
    eventually("it is missed", async || !first.on_node("b").unwrap().is_connected()).await;
    servers[1].resume();
    eventually("it is back", async || is_well(&first) && is_well(&second)).await;
    servers[2].restart(Data::Keep).unwrap();
    eventually("it was restarted", async || !is_well(&first)).await;
    eventually("it is back", async || is_well(&first) && is_well(&second)).await;
    is_over.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    for of_one in [of_first, of_second] {
        // An answer that came just before the connection was lost is right.
        of_one.lock().unwrap().retain(|it| !matches!(it, Difference::Read(.., Because::ItIsLost)));
        assert_eq!(*of_one.lock().unwrap(), []);
    }
}

//! All servers of a copy are restarted, at once or one after the other: no node is known to be right, and what all hold alike
//! is read all the time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb::node::Script;
use redisdb_tests::Events;
use redisdb_tests::eventually;
use redisdb_tests::process;
use tracing::Level;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

const KEYS: usize = 600;
const IDENTITIES: [Option<&str>; 2] = [Some("shop"), None];

fn key(i: usize) -> String {
    format!("key:{i}")
}

fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

async fn fill(copy: &RedisCopy) {
    _ = copy.mset((0..KEYS).map(|i| (key(i), i))).await.unwrap();
    _ = copy.sadd("set", (0..20).collect::<Vec<_>>()).await.unwrap();
    _ = copy.hset_multiple("hash", (0..20).map(|i| (i, i))).await.unwrap();
    _ = copy.expire("hash", std::time::Duration::from_secs(1000)).await.unwrap();
}

/// Reads everything, one by one and in a pipeline.
async fn check(copy: &RedisCopy) -> Result<(), Error> {
    for i in 0..KEYS {
        assert_eq!(copy.get::<usize>(key(i)).await?, Some(i));
    }
    assert_eq!(copy.mget::<usize>((0..9).map(key).collect::<Vec<_>>()).await?.len(), 9);
    assert_eq!(copy.get::<usize>("none").await?, None);
    assert_eq!(copy.smembers::<u8>("set").await?.len(), 20);
    assert_eq!(copy.hgetall::<u8, u8>("hash").await?.len(), 20);
    let left: i64 = copy.query(redis::cmd("PTTL").arg("hash")).await?;
    assert!((1..=1_000_000).contains(&left), "{left}");
    let pipe = copy.pipeline();
    let reads: Vec<_> = (0..9).map(|i| pipe.get::<usize>(key(i))).collect();
    _ = pipe.execute().await;
    for (i, read) in reads.into_iter().enumerate() {
        assert_eq!(read.await?, Some(i));
    }
    Ok(())
}

fn restart_all(servers: &mut Servers) {
    servers.iter_mut().for_each(Server::kill);
    servers.iter_mut().for_each(|server| server.restart(Data::Keep).unwrap());
}

#[tokio::test]
async fn what_all_hold_alike_is_read_until_they_have_been_compared() {
    for identity in IDENTITIES {
        let mut servers = Server::builder().persistent().start_many(3).unwrap();
        let urls = servers.urls();
        // So slowly that all of it is read before they have been compared.
        let slowly = OnReturn::Repair { keys_per_second: 300 };
        let copy = process(&urls, identity).on_return(slowly).connect().await.unwrap();
        fill(&copy).await;
        restart_all(&mut servers);
        eventually("the first is read", async || copy.get::<usize>(key(0)).await.is_ok()).await;
        check(&copy).await.unwrap();
        if identity.is_some() {
            // A process that starts now has seen none of them whole.
            let later = process(&urls, identity).on_return(slowly).connect().await.unwrap();
            assert!(!is_well(&later), "{:?}", later.health());
            check(&later).await.unwrap();
        }
        assert!(!is_well(&copy), "{:?}", copy.health());
        let fast = process(&urls, identity).connect().await.unwrap();
        eventually("all are up again", async || is_well(&fast)).await;
        check(&fast).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_just_being_written_is_read_once_all_hold_it_alike() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    // So slowly that it is read before they have been compared.
    let slowly = OnReturn::Repair { keys_per_second: 30 };
    let copy = process(&servers.urls(), None).on_return(slowly).connect().await.unwrap();
    fill(&copy).await;
    restart_all(&mut servers);
    eventually("the first is read", async || copy.get::<usize>(key(0)).await.is_ok()).await;
    let c = Node::connect(servers[2].url()).await.unwrap();
    let looks = async || {
        let stats = c.info_with(&["commandstats"]).await.unwrap();
        let calls = stats.get("commandstats", "cmdstat_get").unwrap_or_default();
        calls.trim_start_matches("calls=").split(',').next().unwrap().parse().unwrap_or(0_u64)
    };
    // A write may take as long as a reply may. The read looks for so long, and this may come too late for it.
    eventually("a read was answered that has seen the nodes differ", async || {
        let before = looks().await;
        c.set(key(7), "a write that has come here first").await.unwrap();
        let read = tokio::spawn({
            let copy = copy.clone();
            async move { copy.get::<usize>(key(7)).await }
        });
        eventually("it has looked eight times", async || before + 8 <= looks().await || read.is_finished())
            .await;
        c.set(key(7), 7).await.unwrap();
        read.await.unwrap().is_ok_and(|value| value == Some(7))
    })
    .await;
    assert!(!is_well(&copy), "{:?}", copy.health());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_that_is_faster_than_the_comparing_leaves_no_read_unanswered() {
    for identity in IDENTITIES {
        let mut servers = Server::builder().persistent().start_many(3).unwrap();
        let urls = servers.urls();
        let copy = process(&urls, identity)
            .on_return(OnReturn::Repair { keys_per_second: 600 })
            .connect()
            .await
            .unwrap();
        fill(&copy).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let reading = tokio::spawn({
            let (copy, is_over) = (copy.clone(), Arc::clone(&is_over));
            async move {
                let mut n_reads = 0;
                while !is_over.load(Ordering::Acquire) {
                    check(&copy).await.unwrap();
                    n_reads += KEYS;
                }
                n_reads
            }
        });
        // What is written meanwhile is missed by the one that is just away.
        let writing = tokio::spawn({
            let (copy, is_over) = (copy.clone(), Arc::clone(&is_over));
            async move {
                let mut n = 0;
                while !is_over.load(Ordering::Acquire) {
                    n += 1;
                    _ = copy.set("written", n).await.unwrap();
                }
                n
            }
        });
        for idx in 0..3 {
            servers[idx].restart(Data::Keep).unwrap();
            let name = ["a", "b", "c"][idx];
            eventually("it is noticed", async || {
                copy.health().iter().any(|(node, health)| node == name && *health == Health::Syncing)
            })
            .await;
        }
        eventually("all are up again", async || is_well(&copy)).await;
        is_over.store(true, Ordering::Release);
        let (n_reads, n_writes) = (reading.await.unwrap(), writing.await.unwrap());
        assert!(0 < n_reads, "{n_reads} reads, {n_writes} writes");
        eventually("all are the same", async || copy.verify().run().await.unwrap().is_empty()).await;
        assert_eq!(copy.get::<u64>("written").await.unwrap(), Some(n_writes));
    }
}

#[tokio::test]
async fn what_a_server_missed_while_it_was_restarted_comes_before_all_its_keys_are_compared() {
    for identity in IDENTITIES {
        let mut servers = Server::builder().persistent().start_many(3).unwrap();
        let urls = servers.urls();
        // To compare all keys takes two minutes.
        let slowly = OnReturn::Repair { keys_per_second: KEYS as u32 / 120 };
        let copy = process(&urls, identity).on_return(slowly).connect().await.unwrap();
        fill(&copy).await;
        servers[0].kill();
        eventually("it is missed", async || !copy.on_node("a").unwrap().is_connected()).await;
        for i in 0..5 {
            _ = copy.incr(format!("counter:{i}")).await.unwrap();
        }
        servers[0].restart(Data::Keep).unwrap();
        let restarted = Node::connect(&*urls[0]).await.unwrap();
        eventually("it holds what it missed", async || {
            for i in 0..5 {
                if restarted.get::<u64>(format!("counter:{i}")).await.unwrap() != Some(1) {
                    return false;
                }
            }
            true
        })
        .await;
        let health = copy.health();
        assert_eq!(health[0], ("a".to_owned(), Health::Syncing), "{health:?}");
    }
}

#[tokio::test]
async fn servers_that_came_back_with_dumps_of_different_times_tell_each_key_that_differs() {
    const KEYS: usize = 30;
    let mut servers = Servers::start(3).unwrap();
    let copy = process(&servers.urls(), Some("shop")).connect().await.unwrap();
    let all = |value: &'static str| (0..KEYS).map(move |i| (key(i), value));
    _ = copy.set("same", 1).await.unwrap();
    _ = copy.mset(all("old")).await.unwrap();
    let mut dumps = vec![servers[0].dump().unwrap()];
    _ = copy.mset(all("new")).await.unwrap();
    dumps.extend([servers[1].dump().unwrap(), servers[2].dump().unwrap()]);
    servers.iter_mut().for_each(Server::kill);
    for (server, dump) in servers.iter_mut().zip(&dumps) {
        server.restart_from(dump).unwrap();
    }
    eventually("they have been compared", async || {
        copy.health().iter().all(|(_, health)| *health == Health::Suspect)
    })
    .await;
    assert_eq!(copy.conflicts().await.unwrap().n_keys, KEYS);
    assert_eq!(copy.get::<u32>("same").await.unwrap(), Some(1));
    _ = copy.mset(all("newest")).await.unwrap();
    eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_is_known_to_have_missed_is_read_from_the_others_when_another_process_has_compared_all()
{
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let urls = servers.urls();
    // It leaves the comparing to the other process.
    let copy = process(&urls, Some("shop")).on_return(OnReturn::Wait).connect().await.unwrap();
    fill(&copy).await;
    servers[0].kill();
    _ = copy.set("k", "new").await.unwrap();
    servers.iter_mut().skip(1).for_each(Server::kill);
    servers.iter_mut().for_each(|server| server.restart(Data::Keep).unwrap());
    let is_read = async || copy.get::<String>("k").await.is_ok_and(|value| value.as_deref() == Some("new"));
    eventually("it is read from those that took it", is_read).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn({
        let (copy, is_over) = (copy.clone(), Arc::clone(&is_over));
        async move {
            while !is_over.load(Ordering::Acquire) {
                assert_eq!(copy.get::<String>("k").await.unwrap().as_deref(), Some("new"));
            }
        }
    });
    let other = process(&urls, Some("shop")).connect().await.unwrap();
    eventually("all are up for both", async || is_well(&other) && is_well(&copy)).await;
    is_over.store(true, Ordering::Release);
    reading.await.unwrap();
}

#[tokio::test]
async fn a_key_that_they_do_not_hold_alike_waits_for_a_decision_and_all_others_do_not() {
    for identity in IDENTITIES {
        let (events, _listening) = Events::listen("redisdb_cluster", Level::WARN);
        let mut servers = Servers::start(3).unwrap();
        let urls = servers.urls();
        let copy = process(&urls, identity).connect().await.unwrap();
        fill(&copy).await;
        _ = copy.set("k", "old").await.unwrap();
        let mut dumps = vec![servers[0].dump().unwrap()];
        _ = copy.set("k", "new").await.unwrap();
        dumps.extend([servers[1].dump().unwrap(), servers[2].dump().unwrap()]);
        servers.iter_mut().for_each(Server::kill);
        for (server, dump) in servers.iter_mut().zip(&dumps) {
            server.restart_from(dump).unwrap();
        }
        eventually("the first is read", async || copy.get::<usize>(key(0)).await.is_ok()).await;
        check(&copy).await.unwrap();
        eventually("they have been compared", async || {
            copy.health().iter().all(|(_, health)| *health == Health::Suspect)
        })
        .await;
        check(&copy).await.unwrap();
        let error = copy.get::<String>("k").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        eventually("it is told", async || {
            events.lines().iter().any(|line| line.contains("no node is known to have `k` right"))
        })
        .await;
        let conflicts = copy.conflicts().await.unwrap();
        let [conflict] = &*conflicts else { panic!("{conflicts:?}") };
        let held: Vec<_> = conflict.held.iter().map(|held| (held.node.as_str(), held.digest)).collect();
        assert_eq!((conflict.key.as_slice(), held.len()), (b"k".as_slice(), 3));
        assert!(held[0].1 != held[1].1 && held[1].1 == held[2].1 && held[1].1.is_some(), "{conflict}");
        assert!(!copy.resolve("key:7", "a").await.unwrap(), "it is in no conflict");
        assert!(copy.resolve("k", "x").await.is_err());
        let expected = match identity {
            Some(_) => {
                // Another process knows of it too, from the servers, and decides.
                let other = process(&urls, identity).connect().await.unwrap();
                assert_eq!(other.conflicts().await.unwrap(), conflicts);
                assert!(other.resolve("k", "a").await.unwrap());
                assert_eq!(other.get::<String>("k").await.unwrap().as_deref(), Some("old"));
                "old"
            }
            None => {
                _ = copy.set("k", "newest").await.unwrap();
                "newest"
            }
        };
        eventually("all are up", async || is_well(&copy)).await;
        assert_eq!(copy.get::<String>("k").await.unwrap().as_deref(), Some(expected));
        assert_eq!(copy.conflicts().await.unwrap().n_keys, 0);
        let n_told = events.lines().iter().filter(|line| line.contains("`k` right")).count();
        assert!(n_told <= if identity.is_some() { 2 } else { 1 }, "once in each process: {n_told}");
        assert_eq!(copy.verify().run().await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_all_hold_alike_is_written_before_all_keys_were_compared_and_what_differs_is_not() {
    for identity in IDENTITIES {
        let mut servers = Server::builder().persistent().start_many(3).unwrap();
        let urls = servers.urls();
        // To compare all keys takes two minutes.
        let slowly = OnReturn::Repair { keys_per_second: KEYS as u32 / 120 };
        let copy = process(&urls, identity).on_return(slowly).connect().await.unwrap();
        fill(&copy).await;
        let first = Node::connect(&*urls[0]).await.unwrap();
        first.set("differs", 1).await.unwrap();
        restart_all(&mut servers);
        eventually("it is noticed", async || {
            copy.health().iter().all(|(_, health)| *health == Health::Syncing)
        })
        .await;
        _ = copy.incr(key(0)).await.unwrap();
        assert!(!is_well(&copy), "{:?}", copy.health());
        // One that one node decides, one in a pipeline, one by a script, and one of several keys.
        assert!(copy.spop::<u8>("set").await.unwrap().first().unwrap().is_some());
        let pipe = copy.pipeline();
        let (pushed, added) = (pipe.rpush("list", &["a", "b"]), pipe.hincrby("hash", 3, 7));
        _ = pipe.execute().await;
        _ = (pushed.await.unwrap(), added.await.unwrap());
        let script = Script::new("return redis.call('INCR', KEYS[1])").deterministic();
        let counted: redisdb::Replies<u64> = script.key(key(1)).invoke(&copy).await.unwrap();
        assert_eq!(counted.first(), Some(&2));
        copy.query::<()>(redis::cmd("SUNIONSTORE").arg("union").arg("set").arg("none")).await.unwrap();
        // What differs is refused, and nothing is sent.
        for _ in 0..2 {
            let error = copy.incr("differs").await.unwrap_err();
            assert!(matches!(error, Error::Unavailable(_)), "{error}");
        }
        assert_eq!(copy.get::<u64>(key(0)).await.unwrap(), Some(1));
        if identity.is_some() {
            let other = process(&urls, identity).on_return(slowly).connect().await.unwrap();
            _ = other.incr(key(0)).await.unwrap();
        }
        // One that misses a write of it holds it no more.
        servers[2].kill();
        _ = copy.incr(key(0)).await.unwrap();
        servers[2].restart(Data::Keep).unwrap();
        let fast = process(&urls, identity).connect().await.unwrap();
        drop(copy);
        let expected = 2 + u64::from(identity.is_some());
        if identity.is_none() {
            // Nobody knows any more that a node missed it.
            continue;
        }
        eventually("all but one are equal", async || {
            let differ = fast.verify().run().await.unwrap().differences;
            differ.iter().map(|differs| differs.key.as_slice()).eq([b"differs"])
        })
        .await;
        for url in &urls {
            let node = Node::connect(&**url).await.unwrap();
            assert_eq!(node.get::<u64>(key(0)).await.unwrap(), Some(expected));
            let differs = if *url == urls[0] { Some(1) } else { None };
            assert_eq!(node.get::<u8>("differs").await.unwrap(), differs);
            assert_eq!(node.lrange::<String>("list", 0, -1).await.unwrap(), ["a", "b"]);
            assert_eq!(node.scard("union").await.unwrap(), 19);
        }
    }
}

#[tokio::test]
async fn what_a_server_is_known_to_have_missed_is_not_read_from_it_after_all_were_restarted() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let urls = servers.urls();
    let first = process(&urls, Some("shop")).connect().await.unwrap();
    fill(&first).await;
    _ = first.set("k", "old").await.unwrap();
    servers[2].kill();
    eventually("it is known to be away", async || !first.on_node("c").unwrap().is_connected()).await;
    _ = first.set("k", "new").await.unwrap();
    drop(first);
    restart_all(&mut servers);
    let second = process(&urls, Some("shop")).connect().await.unwrap();
    for _ in 0..20 {
        assert_eq!(second.get::<String>("k").await.unwrap().as_deref(), Some("new"));
    }
    check(&second).await.unwrap();
    eventually("all are up", async || is_well(&second)).await;
    let c = Node::connect(&*urls[2]).await.unwrap();
    assert_eq!(c.get::<String>("k").await.unwrap().as_deref(), Some("new"));
    assert_eq!(second.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn servers_that_all_came_back_empty_are_used_again() {
    for identity in IDENTITIES {
        let mut servers = Servers::start(3).unwrap();
        let copy = process(&servers.urls(), identity).connect().await.unwrap();
        fill(&copy).await;
        servers.iter_mut().for_each(Server::kill);
        servers.iter_mut().for_each(|server| server.restart(Data::Lose).unwrap());
        eventually("it is noticed", async || !is_well(&copy)).await;
        eventually("all are up again", async || is_well(&copy)).await;
        assert_eq!(copy.get::<usize>(key(7)).await.unwrap(), None);
        _ = copy.incr("n").await.unwrap();
        assert_eq!(copy.get::<u8>("n").await.unwrap(), Some(1));
        assert_eq!(copy.verify().run().await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_only_server_that_was_not_emptied_counts() {
    let mut servers = Server::builder().persistent().start_many(3).unwrap();
    let urls = servers.urls();
    let copy = process(&urls, Some("shop")).connect().await.unwrap();
    fill(&copy).await;
    servers.iter_mut().for_each(Server::kill);
    servers[0].restart(Data::Lose).unwrap();
    servers[1].restart(Data::Keep).unwrap();
    servers[2].restart(Data::Lose).unwrap();
    eventually("it is noticed", async || !is_well(&copy)).await;
    eventually("all are up again", async || is_well(&copy)).await;
    check(&copy).await.unwrap();
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

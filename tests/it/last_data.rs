//! The last data of a copy: a node that lost its data is followed by nobody while another one has data, and makes no conflicts.

use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

const SHOP: Option<&str> = Some("shop");
const KEYS: usize = 600;

fn key(i: usize) -> String {
    format!("key:{i}")
}

fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

fn is(copy: &RedisCopy, name: &str, expected: Health) -> bool {
    copy.health().iter().any(|(node, health)| node == name && *health == expected)
}

async fn fill(copy: &RedisCopy) {
    _ = copy.mset((0..KEYS).map(|i| (key(i), i))).await.unwrap();
}

/// Checks that each key has its value on a node.
async fn holds_all(node: &Node) {
    let held = node.mget::<usize>((0..KEYS).map(key).collect::<Vec<_>>()).await.unwrap();
    assert!(held.into_iter().eq((0..KEYS).map(Some)));
}

/// Has a server say that a node has missed more than is remembered, as one with no room for hints does.
async fn say_all_is_missed(holder: &Node, about: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut say = redis::cmd("ZADD");
    say.arg(format!("__redisdb:{{shop}}:missed:{about}")).arg(now.as_micros() as u64).arg("a");
    holder.send(&say).await.unwrap();
}

/// So slowly that whatever happens to a node happens before all keys have been compared.
const SLOWLY: OnReturn = OnReturn::Repair { keys_per_second: 100 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_missed_more_than_is_remembered_keeps_its_data_when_the_other_one_is_emptied() {
    for comes_back in [false, true] {
        let mut servers = Servers::start(2).unwrap();
        let copy = process(&servers.urls(), SHOP).on_return(SLOWLY).connect().await.unwrap();
        fill(&copy).await;
        let (a, b) =
            (Node::connect(servers[0].url()).await.unwrap(), Node::connect(servers[1].url()).await.unwrap());
        servers[0].pause();
        eventually("it is away", async || {
            copy.set("k", 1).await.is_ok() && !copy.on_node("a").unwrap().is_connected()
        })
        .await;
        say_all_is_missed(&b, "a").await;
        servers[0].resume();
        eventually("it is compared", async || is(&copy, "a", Health::Syncing)).await;
        match comes_back {
            true => servers[1].restart(Data::Lose).unwrap(),
            false => b.flushall().await.unwrap(),
        }
        let later = process(&servers.urls(), SHOP).connect().await.unwrap();
        eventually("all are up", async || {
            for copy in [&copy, &later] {
                for i in [0, 7, KEYS - 1] {
                    if let Ok(read) = copy.get::<usize>(key(i)).await {
                        assert_eq!(read, Some(i));
                    }
                }
            }
            is_well(&copy) && is_well(&later)
        })
        .await;
        holds_all(&a).await;
        eventually("the other one holds all", async || b.exists(key(7)).await.is_ok_and(|there| there == 1))
            .await;
        holds_all(&b).await;
        assert_eq!(later.verify().run().await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_being_filled_makes_no_conflict_when_the_others_are_restarted() {
    let mut servers = Server::builder().persistent().start_many(2).unwrap();
    let copy = process(&servers.urls(), SHOP).on_return(SLOWLY).connect().await.unwrap();
    fill(&copy).await;
    servers[0].restart(Data::Lose).unwrap();
    let a = Node::connect(servers[0].url()).await.unwrap();
    eventually("it is being filled", async || a.dbsize().await.is_ok_and(|keys| 50 < keys)).await;
    servers[1].restart(Data::Keep).unwrap();
    // A process that starts now knows of the loss by the marker alone.
    let later = process(&servers.urls(), SHOP).connect().await.unwrap();
    eventually("all are up", async || {
        for copy in [&copy, &later] {
            assert_eq!(copy.conflicts().await.map_or(0, |conflicts| conflicts.n_keys), 0);
            if let Ok(read) = copy.get::<usize>(key(KEYS - 1)).await {
                assert_eq!(read, Some(KEYS - 1));
            }
        }
        is_well(&copy) && is_well(&later)
    })
    .await;
    holds_all(&a).await;
    for i in 0..KEYS {
        assert_eq!(copy.get::<usize>(key(i)).await.unwrap(), Some(i));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_all_missed_more_than_is_remembered_answer_what_they_hold_alike() {
    let servers = Servers::start(2).unwrap();
    let urls = servers.urls();
    let copy = process(&urls, SHOP).connect().await.unwrap();
    fill(&copy).await;
    drop(copy);
    let nodes = [Node::connect(&*urls[0]).await.unwrap(), Node::connect(&*urls[1]).await.unwrap()];
    nodes[1].set("differs", 1).await.unwrap();
    say_all_is_missed(&nodes[0], "b").await;
    say_all_is_missed(&nodes[1], "a").await;
    let copies =
        [process(&urls, SHOP).connect().await.unwrap(), process(&urls, SHOP).connect().await.unwrap()];
    for copy in &copies {
        assert!(copy.health().iter().all(|(_, health)| *health == Health::Syncing), "{:?}", copy.health());
        assert!(copy.get::<usize>(key(7)).await.map_or(true, |read| read == Some(7)));
    }
    for copy in &copies {
        eventually("what is alike is read", async || {
            copy.get::<usize>(key(7)).await.is_ok_and(|read| read == Some(7))
        })
        .await;
        eventually("what differs is told", async || {
            copy.conflicts().await.is_ok_and(|conflicts| conflicts.iter().any(|told| told.key == b"differs"))
        })
        .await;
    }
    _ = copies[0].set("differs", 2).await.unwrap();
    for copy in &copies {
        eventually("all are up", async || is_well(copy)).await;
    }
    holds_all(&nodes[0]).await;
    assert_eq!(nodes[0].get::<u8>("differs").await.unwrap(), Some(2));
}

//! The nodes of a copy are replaced while it is in use: a node that joins answers when it holds all that the others hold.

use std::time::Duration;

use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::cluster::TopologyConfig;
use redisdb::commands::*;
use redisdb::redis;
use redisdb_tests::Events;
use redisdb_tests::Load;
use redisdb_tests::NAMES;
use redisdb_tests::contents;
use redisdb_tests::eventually;
use redisdb_tests::fill;
use redisdb_tests::process;
use tracing::Level;
use xtask::Servers;

/// A copy over the servers of these numbers, each under its own name.
fn over(servers: &Servers, numbers: &[usize], identity: Option<&str>) -> CopyBuilder {
    let names = ["a", "b", "c", "d"];
    let urls = servers.urls();
    let copy = process(&[], identity);
    numbers.iter().fold(copy, |copy, &i| copy.node(names[i], &urls[i]))
}

async fn is_whole(copy: &RedisCopy) {
    eventually("all nodes are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
        .await;
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.nodes.len(), verified.differences.len()), (copy.nodes().len(), 0), "{verified:?}");
}

#[tokio::test]
async fn a_node_that_joins_answers_when_it_holds_all() {
    for identity in [None, Some("shop")] {
        let servers = Servers::start(4).unwrap();
        let copy = over(&servers, &[0, 1], identity).connect().await.unwrap();
        fill(&copy).await;
        let clone = copy.clone();
        let before = copy.on_node("a").unwrap().client_id().await.unwrap();
        let replaced = copy.replace(over(&servers, &[0, 2, 3], identity)).unwrap();
        assert_eq!((replaced.kept, replaced.removed), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert_eq!(replaced.added, ["c", "d"]);
        assert_eq!(clone.on_node("a").unwrap().client_id().await.unwrap(), before, "it keeps its connection");
        assert!(clone.on_node("b").is_err());
        // None that has joined says that a key is missing, from the first moment on.
        for i in 0..200 {
            assert_eq!(clone.get::<u64>(format!("standing:{i}")).await.unwrap(), Some(i), "{identity:?}");
        }
        is_whole(&clone).await;
        let [a, c, d] = ["a", "c", "d"].map(|name| clone.on_node(name).unwrap());
        let mut held = contents(&a).await;
        held.retain(|key, _| !key.starts_with("__redisdb:"));
        assert_eq!(held.len(), 200);
        for node in [c, d] {
            let mut other = contents(&node).await;
            other.retain(|key, _| !key.starts_with("__redisdb:"));
            assert_eq!(other, held, "{}", node.name());
        }
    }
}

/// The server that is removed decides what comes of the write, and the one that stays is sent it when the one that joins has
/// copied what was there before.
#[tokio::test]
async fn a_write_that_is_under_way_meanwhile_is_brought_to_the_node_that_joins() {
    for is_dropped in [false, true] {
        let servers = Servers::start(3).unwrap();
        let patient =
            |numbers: &[usize]| over(&servers, numbers, None).response_timeout(Duration::from_secs(60));
        let copy = patient(&[0, 1]).connect().await.unwrap();
        let key = (0..).map(|i| format!("sum:{i}")).find(|key| copy.node_for(key).name() == "b").unwrap();
        _ = copy.set(&key, 1).await.unwrap();
        let b = Node::connect(servers.urls()[1].as_str()).await.unwrap();
        b.query::<()>(redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE")).await.unwrap();
        let writing = {
            let (copy, key) = (copy.clone(), key.clone());
            tokio::spawn(async move { copy.incrbyfloat(key, 1.5).await })
        };
        let is_waiting = async || {
            let clients: String = b.query(redis::cmd("CLIENT").arg("LIST")).await.unwrap();
            clients.contains("cmd=incrbyfloat")
        };
        eventually("the write waits", is_waiting).await;
        copy.replace(patient(&[0, 2])).unwrap();
        is_whole(&copy).await;
        let c = copy.on_node("c").unwrap();
        assert_eq!(c.get::<f64>(&key).await.unwrap(), Some(1.0));
        if is_dropped {
            writing.abort();
            assert!(writing.await.unwrap_err().is_cancelled());
            b.query::<()>(redis::cmd("CLIENT").arg("UNPAUSE")).await.unwrap();
        } else {
            b.query::<()>(redis::cmd("CLIENT").arg("UNPAUSE")).await.unwrap();
            _ = writing.await.unwrap().unwrap();
            // Whichever node is read first, also before it was brought to the one that joined.
            assert_eq!(copy.get::<f64>(&key).await.unwrap(), Some(2.5));
            let has_it = async || c.get::<f64>(&key).await.unwrap() == Some(2.5);
            eventually("the node that joined has it too", has_it).await;
        }
        is_whole(&copy).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_under_a_load_while_nodes_come_and_go() {
    for identity in [None, Some("shop")] {
        let servers = Servers::start(4).unwrap();
        let copy = over(&servers, &[0, 1, 2], identity).connect().await.unwrap();
        fill(&copy).await;
        let load = Load::start(&copy, "load", 6);
        for nodes in [[0, 1, 3], [0, 2, 3], [1, 2, 3], [1, 0, 3], [0, 1, 2]] {
            copy.replace(over(&servers, &nodes, identity)).unwrap();
            eventually("those that joined are up", async || {
                copy.health().iter().all(|(_, health)| *health == Health::Up)
            })
            .await;
        }
        let tally = load.stop().await;
        assert!(tally.calls > 100, "{tally:?}");
        assert_eq!((tally.missing, tally.wrong, tally.stale.len()), (0, 0, 0), "{identity:?}: {tally:?}");
        is_whole(&copy).await;
        for node in copy.nodes() {
            tally.check(&node).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_holds_other_keys_is_left_alone() {
    for n_keys in [3, 300] {
        let servers = Servers::start(3).unwrap();
        let other = Node::connect(servers.urls()[2].as_str()).await.unwrap();
        other.mset((0..n_keys).map(|i| (format!("theirs:{i}"), i))).await.unwrap();
        let copy = over(&servers, &[0, 1], None).connect().await.unwrap();
        fill(&copy).await;
        let (told, _listening) = Events::listen("redisdb", Level::WARN);
        copy.replace(over(&servers, &[0, 1, 2], None)).unwrap();
        eventually("it is told", async || told.lines().iter().any(|event| event.contains("somebody else's")))
            .await;
        assert_eq!(other.get::<u64>("theirs:2").await.unwrap(), Some(2));
        assert_eq!(copy.health()[2], ("c".to_owned(), Health::Syncing));
        assert_eq!(copy.get::<u64>("standing:7").await.unwrap(), Some(7));
        // Somebody who knows it to be ours says so.
        copy.repair("c").run().await.unwrap();
        assert_eq!(other.get::<u64>("theirs:2").await.unwrap(), None);
        is_whole(&copy).await;
    }
}

#[tokio::test]
async fn the_present_nodes_stay_where_the_next_ones_cannot_be_meant() {
    let servers = Servers::start(3).unwrap();
    let copy = over(&servers, &[0, 1], None).connect().await.unwrap();
    let ring = TopologyConfig::from_toml("strategy = \"ring\"\nnodes = [\"redis://h\"]").unwrap();
    assert!(copy.replace(ring).is_err());
    assert!(copy.replace(RedisCopy::builder()).is_err());
    assert!(copy.replace(over(&servers, &[2], None)).is_err(), "no node stays");
    servers[1].pause();
    _ = copy.set("k", 1).await.unwrap();
    // All that `b` has not taken is on `a` alone.
    let error = copy.replace(over(&servers, &[1, 2], None)).unwrap_err();
    assert!(matches!(error, Error::NotReplaced { .. }), "{error}");
    servers[1].resume();
    assert_eq!(copy.nodes().map(|node| node.name().to_owned()).collect::<Vec<_>>(), NAMES[..2]);
    eventually("it is replaced once it has come back", async || {
        copy.replace(over(&servers, &[1, 2], None)).is_ok()
    })
    .await;
    assert_eq!(copy.get::<u64>("k").await.unwrap(), Some(1));
    is_whole(&copy).await;
}

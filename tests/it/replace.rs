//! The nodes of a ring are replaced while it is in use.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use redisdb::Node;
use redisdb::RedisRing;
use redisdb::RingBuilder;
use redisdb::cluster::TopologyConfig;
use redisdb::node::ConnectionCommands;
use redisdb::node::ServerCommands;
use redisdb::node::StringCommands;
use redisdb_tests::eventually;
use xtask::Servers;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn builder(servers: &Servers, nodes: std::ops::Range<usize>) -> RingBuilder {
    let urls = servers.urls();
    nodes.fold(RedisRing::builder(), |ring, i| ring.node(NAMES[i], &urls[i]))
}

fn keys() -> Vec<String> {
    (0..200).map(|i| format!("key:{i}")).collect()
}

/// Returns how many connections a server has, but for the one that asks.
async fn connections(server: &xtask::Server) -> usize {
    let asking = Node::connect(server.url()).await.unwrap();
    let list = asking.client_list().await.unwrap();
    list.len() - 1
}

#[tokio::test]
async fn a_node_that_stays_keeps_its_connection_and_a_removed_one_is_let_go() {
    let servers = Servers::start(4).unwrap();
    let ring = builder(&servers, 0..3).connect().await.unwrap();
    let clone = ring.clone();
    let mut before = Vec::new();
    for node in ring.nodes() {
        before.push(node.client_id().await.unwrap());
    }
    ring.mset(keys().iter().zip(0..)).await.unwrap();
    let replaced = ring.replace(builder(&servers, 1..4)).unwrap();
    assert_eq!((replaced.kept, replaced.added), (vec!["b".into(), "c".into()], vec!["d".to_owned()]));
    assert_eq!((replaced.removed, replaced.changed), (vec!["a".to_owned()], Vec::<String>::new()));
    for (name, before) in ["b", "c"].into_iter().zip(&before[1..]) {
        assert_eq!(clone.on_node(name).unwrap().client_id().await.unwrap(), *before, "{name}");
    }
    assert!(clone.on_node("a").is_err());
    eventually("the removed node has no connection left", async || connections(&servers[0]).await == 0).await;
    // Written anew, every key is on one of the nodes that are left.
    clone.mset(keys().iter().zip(0..)).await.unwrap();
    assert_eq!(ring.mget::<u32>(&keys()).await.unwrap(), (0..200).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_node_that_moves_keeps_its_keys_by_its_name() {
    let servers = Servers::start(4).unwrap();
    let ring = builder(&servers, 0..3).connect().await.unwrap();
    let owners: Vec<String> = keys().iter().map(|key| ring.node_for(key).name().to_owned()).collect();
    // The third node is the fourth server now; with a configuration as a file has it.
    let [a, b, _, d] = <[String; 4]>::try_from(servers.urls()).unwrap();
    let config = format!(
        "strategy = \"ring\"\nnodes = [{{name = \"a\", url = \"{a}\"}}, {{name = \"b\", url = \"{b}\"}}, \
         {{name = \"c\", url = \"{d}\"}}]"
    );
    let replaced = ring.replace(TopologyConfig::from_toml(&config).unwrap()).unwrap();
    assert_eq!((replaced.kept.len(), replaced.changed), (2, vec!["c".to_owned()]));
    assert_eq!(keys().iter().map(|key| ring.node_for(key).name().to_owned()).collect::<Vec<_>>(), owners);
    ring.mset(keys().iter().zip(0..)).await.unwrap();
    assert_eq!(connections(&servers[3]).await, 1);
    eventually("the server before is let go", async || connections(&servers[2]).await == 0).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_new_nodes_leaves_the_present_ones() {
    let servers = Servers::start(4).unwrap();
    let ring = builder(&servers, 0..2).connect().await.unwrap();
    let twice = RedisRing::builder().node("x", "redis://h").node("x", "redis://h");
    assert!(ring.replace(twice).is_err() && ring.replace(RedisRing::builder()).is_err());
    assert!(
        ring.replace(TopologyConfig::from_toml("strategy = \"copy\"\nnodes = [\"redis://h\"]").unwrap())
            .is_err()
    );
    ring.set("k", 1).await.unwrap();
    assert_eq!(ring.nodes().len(), 2);
}

/// One topology has the keys' owners, the other has one node more; a key is only ever looked for at its owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_run_while_nodes_are_replaced_see_one_topology() {
    let servers = Servers::start(4).unwrap();
    let ring = builder(&servers, 0..3).connect().await.unwrap();
    // Each key holds the same in both topologies, so whichever a call sees, the answer is right.
    for nodes in [0..4, 0..3] {
        ring.replace(builder(&servers, nodes)).unwrap();
        ring.mset(keys().iter().zip(0..)).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (ring, done) = (ring.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let keys = keys();
                let mut n_calls = 0;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(
                        ring.mget::<u32>(&keys).await.unwrap(),
                        (0..200).map(Some).collect::<Vec<_>>()
                    );
                    assert_eq!(ring.get::<u32>("key:7").await.unwrap(), Some(7));
                    let pipeline = ring.pipeline();
                    let values: Vec<_> = keys.iter().map(|key| pipeline.get::<u32>(key)).collect();
                    pipeline.execute().await.check().unwrap();
                    for (i, value) in values.into_iter().enumerate() {
                        assert_eq!(value.await.unwrap(), Some(i as u32));
                    }
                    n_calls += 1;
                }
                n_calls
            })
        })
        .collect();
    for round in 0..100 {
        let n_nodes = 3 + round % 2;
        ring.replace(builder(&servers, 0..n_nodes)).unwrap();
        assert_eq!(ring.get::<u32>("key:0").await.unwrap(), Some(0));
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    eventually("no connection is left over", async || connections(&servers[0]).await == 1).await;
}

//! A network that is split: one process reaches two servers of a copy, another process the third one.

use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::WriteTo;
use redisdb::commands::*;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Servers;

/// Two processes, each with a way of its own to each server.
struct Split {
    larger: RedisCopy,
    smaller: RedisCopy,
    ways: Vec<Proxy>,
    nodes: Vec<Node>,
    _servers: Servers,
}

impl Split {
    /// The first process reaches `a` and `b` alone, and the second one `c`.
    async fn new(write_to: WriteTo) -> Self {
        let servers = Servers::start(3).unwrap();
        let (mut copies, mut ways) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut urls = Vec::new();
            for server in servers.iter() {
                let way = Proxy::to(server.port()).await;
                urls.push(way.url());
                ways.push(way);
            }
            copies.push(process(&urls, Some("shop")).write_to(write_to).connect().await.unwrap());
        }
        for key in ["larger", "smaller", "both"] {
            _ = copies[0].set(key, "before").await.unwrap();
        }
        for cut in [2, 3, 4] {
            ways[cut].refuse();
            ways[cut].reset();
        }
        let [larger, smaller] = copies.try_into().unwrap();
        let is_away = |copy: &RedisCopy, name| !copy.on_node(name).unwrap().is_connected();
        eventually("both know", async || {
            is_away(&larger, "c") && is_away(&smaller, "a") && is_away(&smaller, "b")
        })
        .await;
        let mut nodes = Vec::new();
        for url in servers.urls() {
            nodes.push(Node::connect(url).await.unwrap());
        }
        Self { larger, smaller, ways, nodes, _servers: servers }
    }

    async fn heal(&self) {
        self.ways.iter().for_each(Proxy::heal);
        let is_there = |copy: &RedisCopy| {
            copy.health().iter().all(|(_, health)| matches!(health, Health::Up | Health::Suspect))
        };
        eventually("all are there again", async || is_there(&self.larger) && is_there(&self.smaller)).await;
    }

    /// Waits until all servers hold this.
    async fn all_hold(&self, key: &str, value: &str) {
        eventually("all servers are equal", async || {
            for node in &self.nodes {
                if node.get::<String>(key).await.unwrap().as_deref() != Some(value) {
                    return false;
                }
            }
            true
        })
        .await;
    }
}

#[tokio::test]
async fn both_parts_of_a_split_network_go_on_and_what_both_wrote_is_in_conflict() {
    let split = Split::new(WriteTo::Any).await;
    _ = split.larger.set("larger", "after").await.unwrap();
    _ = split.smaller.set("smaller", "after").await.unwrap();
    _ = split.larger.set("both", "larger").await.unwrap();
    _ = split.smaller.set("both", "smaller").await.unwrap();
    assert_eq!(split.smaller.get::<String>("larger").await.unwrap().as_deref(), Some("before"));
    split.heal().await;
    split.all_hold("larger", "after").await;
    split.all_hold("smaller", "after").await;
    for copy in [&split.larger, &split.smaller] {
        eventually("the conflict is listed", async || {
            copy.conflicts().await.unwrap().iter().map(|conflict| &*conflict.key).eq([b"both"])
        })
        .await;
        let error = copy.get::<String>("both").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }
    _ = split.smaller.set("both", "whole").await.unwrap();
    split.all_hold("both", "whole").await;
    for copy in [&split.larger, &split.smaller] {
        eventually("it is over", async || copy.conflicts().await.unwrap().is_empty()).await;
        assert_eq!(copy.get::<String>("both").await.unwrap().as_deref(), Some("whole"));
    }
}

#[tokio::test]
async fn the_larger_part_of_a_split_network_alone_writes_with_a_majority() {
    let split = Split::new(WriteTo::AtLeast(2)).await;
    _ = split.larger.set("larger", "after").await.unwrap();
    let error = split.smaller.set("smaller", "after").await.unwrap_err();
    assert!(matches!(error, Error::TooFewReplies(_)), "{error}");
    assert_eq!(split.smaller.get::<String>("larger").await.unwrap().as_deref(), Some("before"));
    split.heal().await;
    split.all_hold("larger", "after").await;
    // What the smaller part left behind is on a server, and is brought to the others.
    split.all_hold("smaller", "after").await;
}

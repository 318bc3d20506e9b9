//! The node whose keys count when a server comes back: never one that is known to have missed them.

use redisdb::Error;
use redisdb::Health;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Data;
use xtask::Server;

/// Each key with the value that all nodes hold first, and what one of them alone is told then.
const TEXT: &str = "text";
const FRESH: &str = "fresh";
const KEYS: [&str; 10] = [TEXT, "count", "list", "hash", "sum", FRESH, "gone", "piped", "in:block", "popped"];

async fn fill(copy: &RedisCopy) {
    _ = copy.set("other", 7).await.unwrap();
    for key in [TEXT, "count", "sum", "gone", "piped", "in:block"] {
        _ = copy.set(key, 1).await.unwrap();
    }
    _ = copy.rpush("list", vec![1]).await.unwrap();
    _ = copy.rpush("popped", vec![1, 2]).await.unwrap();
    _ = copy.hset("hash", "f", 1).await.unwrap();
}

async fn change(copy: &RedisCopy) {
    _ = copy.set(TEXT, 2).await.unwrap();
    assert_eq!(copy.incr("count").await.unwrap().first(), Some(&2));
    _ = copy.rpush("list", vec![2]).await.unwrap();
    _ = copy.hset("hash", "f", 2).await.unwrap();
    _ = copy.incrbyfloat("sum", 1.0).await.unwrap();
    _ = copy.setnx(FRESH, 2).await.unwrap();
    _ = copy.del("gone").await.unwrap();
    _ = copy.lpop::<u8>("popped").await.unwrap();
    let pipeline = copy.pipeline();
    let piped = pipeline.incr("piped");
    pipeline.execute().await.check().unwrap();
    assert_eq!(piped.await.unwrap().first(), Some(&2));
    let block = copy.pipeline().atomic();
    let counted = block.incr("in:block");
    block.execute().await.check().unwrap();
    assert_eq!(counted.await.unwrap().first(), Some(&2));
}

/// Returns what a node holds under [`KEYS`].
async fn held(copy: &RedisCopy, name: &str) -> Vec<String> {
    let node = copy.on_node(name).unwrap();
    let mut held = Vec::new();
    for key in KEYS {
        let shown = match key {
            "list" | "popped" => node.lrange::<String>(key, 0, -1).await.unwrap().join(" "),
            "hash" => node.hget::<String>(key, "f").await.unwrap().unwrap_or_default(),
            _ => node.get::<String>(key).await.unwrap().unwrap_or_default(),
        };
        held.push(format!("{key}: {shown}"));
    }
    held
}

async fn is(copy: &RedisCopy, name: &str, wanted: &[Health]) -> bool {
    copy.health().iter().any(|(found, health)| *found == name && wanted.contains(health))
}

/// One node alone takes writes, dies, and comes back with its data after another one that missed them: whoever has
/// them right, nobody else may overwrite it.
async fn the_only_right_one_keeps_what_it_has(n_nodes: usize, right: usize, identity: Option<&str>) {
    let mut servers = Server::builder().persistent().start_many(n_nodes).unwrap();
    let copy = process(&servers.urls(), identity).connect().await.unwrap();
    fill(&copy).await;
    let (hung, dead) = ((right + 1) % n_nodes, (n_nodes == 3).then_some((right + 2) % n_nodes));
    let down = async |idx: usize| {
        eventually("it is known to be down", async || is(&copy, NAMES[idx], &[Health::Down]).await).await;
    };
    servers[hung].pause();
    down(hung).await;
    if let Some(dead) = dead {
        servers[dead].kill();
        down(dead).await;
    }
    change(&copy).await;
    let acknowledged = held(&copy, NAMES[right]).await;
    assert_eq!(acknowledged[..2], ["text: 2", "count: 2"]);

    servers[right].kill();
    down(right).await;
    servers[hung].resume();
    eventually("the one that hung is back", async || is(&copy, NAMES[hung], &[Health::Suspect]).await).await;
    for key in KEYS {
        let error = copy.exists(key).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{key}: {error}");
    }
    assert_eq!(copy.get::<u8>("other").await.unwrap(), Some(7));

    servers[right].restart(Data::Keep).unwrap();
    // Nobody has these keys right for certain, and no node waits for another because of that.
    eventually("it is back", async || is(&copy, NAMES[right], &[Health::Suspect]).await).await;
    assert_eq!(held(&copy, NAMES[right]).await, acknowledged);
    if let Some(dead) = dead {
        servers[dead].restart(Data::Keep).unwrap();
        eventually("so is the last", async || is(&copy, NAMES[dead], &[Health::Suspect]).await).await;
        assert_eq!(held(&copy, NAMES[right]).await, acknowledged);
    }
    for key in KEYS {
        assert!(copy.exists(key).await.is_err(), "{key}");
    }
    assert_eq!(copy.get::<u8>("other").await.unwrap(), Some(7));

    // Whoever knows better says so.
    for other in [Some(hung), dead].into_iter().flatten() {
        let repaired = copy.repair(NAMES[other]).from(NAMES[right]).run().await.unwrap();
        assert!(repaired.readmitted, "{repaired:?}");
    }
    eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
    for name in NAMES.iter().take(n_nodes) {
        assert_eq!(held(&copy, name).await, acknowledged, "{name}");
    }
    assert_eq!(copy.verify().run().await.unwrap(), []);
}

#[tokio::test]
async fn the_only_right_node_of_three_keeps_what_it_has() {
    the_only_right_one_keeps_what_it_has(3, 0, None).await;
}

#[tokio::test]
async fn the_only_right_node_keeps_what_it_has_also_if_it_is_the_last() {
    the_only_right_one_keeps_what_it_has(3, 2, None).await;
}

#[tokio::test]
async fn the_only_right_node_of_a_copy_with_an_identity_keeps_what_it_has() {
    the_only_right_one_keeps_what_it_has(3, 1, Some("shop")).await;
}

#[tokio::test]
async fn the_only_right_node_of_two_keeps_what_it_has() {
    the_only_right_one_keeps_what_it_has(2, 0, None).await;
}

#[tokio::test]
async fn the_only_right_node_of_two_with_an_identity_keeps_what_it_has() {
    the_only_right_one_keeps_what_it_has(2, 1, Some("shop")).await;
}

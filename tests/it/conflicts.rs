//! Conflicts of a copy: they are listed within bounds, and a rule ends them.

use redis::Cmd;
use redisdb::CopyBuilder;
use redisdb::Error;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnConflict;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::process;
use xtask::Servers;

/// Two servers of a copy, and a process that uses it.
async fn two(rule: OnConflict) -> (Servers, Vec<Node>, RedisCopy) {
    let servers = Servers::start(2).unwrap();
    let mut nodes = Vec::new();
    for url in servers.urls() {
        nodes.push(Node::connect(url).await.unwrap());
    }
    let copy = of(&servers).on_conflict(rule).connect().await.unwrap();
    (servers, nodes, copy)
}

fn of(servers: &Servers) -> CopyBuilder {
    process(&servers.urls(), Some("shop"))
}

/// Has the two servers hold different values of these keys, and each say that the other one has missed a write of them.
async fn differ(nodes: &[Node], keys: &[String]) {
    for (i, node) in nodes.iter().enumerate() {
        node.mset(keys.iter().map(|key| (key, NAMES[i]))).await.unwrap();
        let mut hints = Cmd::new();
        hints.arg("ZADD").arg(format!("__redisdb:{{shop}}:missed:{}", NAMES[1 - i]));
        keys.iter().enumerate().for_each(|(number, key)| _ = hints.arg(number + 1).arg(format!("k{key}")));
        node.send(&hints).await.unwrap();
    }
}

fn keys(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{prefix}:{i}")).collect()
}

#[tokio::test]
async fn the_first_thousand_are_listed_and_all_are_counted() {
    let (_servers, nodes, copy) = two(OnConflict::Tell).await;
    differ(&nodes, &keys("key", 1500)).await;
    eventually("all are known", async || copy.conflicts().await.unwrap().n_keys == 1500).await;
    let conflicts = copy.conflicts().await.unwrap();
    assert_eq!(conflicts.len(), 1000);
    for conflict in &*conflicts {
        let held: Vec<_> = conflict.held.iter().map(|held| (held.node.as_str(), held.digest)).collect();
        assert!(matches!(held[..], [("a", Some(a)), ("b", Some(b))] if a != b), "{conflict}");
    }
    for conflict in conflicts {
        assert!(copy.resolve(&conflict.key, "a").await.unwrap());
    }
    let left = copy.conflicts().await.unwrap();
    assert_eq!((left.len(), left.n_keys), (500, 500));
}

#[tokio::test]
async fn a_rule_ends_them_when_every_node_is_there() {
    let order = OnConflict::Prefer(vec!["b".to_owned(), "a".to_owned()]);
    let (_servers, nodes, copy) = two(order).await;
    assert!(format!("{copy:?}").contains(r#"on_conflict: Prefer(["b", "a"])"#));
    let keys = keys("key", 5);
    differ(&nodes, &keys).await;
    let is_b = async |key: &String| matches!(copy.get::<String>(key).await, Ok(Some(value)) if value == "b");
    for key in &keys {
        eventually("the rule has decided", async || is_b(key).await).await;
    }
    eventually("all are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
    for node in &nodes {
        assert_eq!(node.get::<String>(&keys[4]).await.unwrap().as_deref(), Some("b"));
    }
}

#[tokio::test]
async fn a_rule_may_leave_a_key_to_somebody_else() {
    let rule = OnConflict::with(|conflict| conflict.key.starts_with(b"hits:").then(|| "a".to_owned()));
    let (_servers, nodes, copy) = two(rule).await;
    let (hits, others) = (keys("hits", 3), keys("other", 2));
    differ(&nodes, &[hits.clone(), others.clone()].concat()).await;
    eventually("the rule has decided", async || copy.conflicts().await.unwrap().n_keys == 2).await;
    for key in &hits {
        assert_eq!(copy.get::<String>(key).await.unwrap().as_deref(), Some("a"));
    }
    for key in &others {
        assert!(matches!(copy.get::<String>(key).await, Err(Error::Unavailable(_))));
        assert!(copy.resolve(key, "b").await.unwrap());
        assert_eq!(copy.get::<String>(key).await.unwrap().as_deref(), Some("b"));
    }
}

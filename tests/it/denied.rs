//! Users of a copy who may not do everything, on servers that hold other keys too.

use std::time::Duration;

use redisdb::CopyBuilder;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::commands::*;
use redisdb_tests::Events;
use redisdb_tests::NAMES;
use redisdb_tests::calls;
use redisdb_tests::eventually;
use redisdb_tests::since;
use tracing::Level;
use xtask::Data;
use xtask::Servers;
use xtask::needs;

/// Servers with a user `app` of these rules, somebody who may do everything on each, and a copy as `app` uses it.
async fn copy_of(rules: &str, identity: Option<&str>) -> (Servers, Vec<Node>, RedisCopy) {
    let (servers, all, copy) = builder_of(rules).await;
    let copy = match identity {
        Some(identity) => copy.identity(identity),
        None => copy.on_return(OnReturn::Wait),
    };
    let copy = copy.connect().await.unwrap();
    (servers, all, copy)
}

async fn builder_of(rules: &str) -> (Servers, Vec<Node>, CopyBuilder) {
    let servers = Servers::start(3).unwrap();
    let mut all = Vec::new();
    let mut copy = RedisCopy::builder();
    for (name, url) in NAMES.into_iter().zip(servers.urls()) {
        let node = Node::connect(url.as_str()).await.unwrap();
        permit(&node, rules).await;
        all.push(node);
        copy = copy.node(name, &url.replace("redis://", "redis://app:pw@"));
    }
    (servers, all, copy)
}

async fn permit(node: &Node, rules: &str) {
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("app").arg("on").arg(">pw").arg(rules.split(' ').collect::<Vec<_>>());
    node.send(&user).await.unwrap();
}

/// One key of each type, some with a time to live.
async fn fill(copy: &RedisCopy) {
    _ = copy.set("app:string", "x").await.unwrap();
    _ = copy.setex("app:short", Duration::from_secs(1000), "x").await.unwrap();
    _ = copy.rpush("app:list", (0..1000).collect::<Vec<_>>()).await.unwrap();
    _ = copy.sadd("app:set", (0..1000).collect::<Vec<_>>()).await.unwrap();
    _ = copy.hset_multiple("app:hash", (0..1000).map(|i| (i, i))).await.unwrap();
    _ = copy.zadd("app:zset", (0..1000).map(|i| (f64::from(i), i))).await.unwrap();
    copy.query::<String>(redis::cmd("XADD").arg("app:stream").arg("5-1").arg("f").arg("v")).await.unwrap();
}
const N_KEYS: u64 = 7;

async fn is_well(copy: &RedisCopy) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
}

/// Empties a node, lets it come back by itself, and checks that it holds everything again.
async fn comes_back(copy: &RedisCopy, all: &[Node]) {
    all[1].flushall().await.unwrap();
    all[1].mset((0..20).map(|i| (format!("other:{i}"), "b"))).await.unwrap();
    eventually("it is noticed", async || !is_well(copy).await).await;
    eventually("it is up again", async || is_well(copy).await).await;
    for key in ["app:string", "app:short", "app:list", "app:set", "app:hash", "app:zset", "app:stream"] {
        assert_eq!(all[1].exists(key).await.unwrap(), 1, "{key}");
    }
    assert_ne!(all[1].ttl("app:short").await.unwrap(), all[1].ttl("app:string").await.unwrap());
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.compared, verified.len()), (N_KEYS, 0), "{verified:?}");
    assert_eq!(all[1].get::<String>("other:7").await.unwrap().as_deref(), Some("b"));
}

#[tokio::test]
async fn a_copy_heals_without_restore_and_beside_keys_of_others() {
    for rules in [
        "~app:* ~__redisdb:* &* +@all -restore",
        "~app:* ~__redisdb:* &* +@all -dump",
        "~app:* ~__redisdb:* &* +@all -dump -restore -memory",
        "~app:* ~__redisdb:* &* +@all -@dangerous +info",
    ] {
        let (_servers, all, copy) = copy_of(rules, Some("shop")).await;
        fill(&copy).await;
        for node in &all {
            node.mset((0..300).map(|i| (format!("other:{i}"), node.name().to_owned()))).await.unwrap();
        }
        let verified = copy.verify().run().await.unwrap();
        assert_eq!((verified.compared, verified.len(), verified.skipped.n_keys), (N_KEYS, 0, 300), "{rules}");
        let (key, reason) = &verified.skipped.examples[0];
        assert!(key.starts_with(b"other:") && reason.contains("`ACL SETUSER app ~other:"), "{reason}");
        comes_back(&copy, &all).await;
    }
}

#[tokio::test]
async fn a_repair_skips_counts_and_names_keys_of_others() {
    let (_servers, all, copy) = copy_of("~app:* +@all -restore", None).await;
    fill(&copy).await;
    all[0].mset((0..300).map(|i| (format!("other:{i}"), i))).await.unwrap();
    all[1].del("app:zset").await.unwrap();
    all[1].set("other:mine", 1).await.unwrap();
    let repaired = copy.repair("b").from("a").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.removed, repaired.skipped.n_keys), (1, 0, 300), "{repaired:?}");
    assert!(repaired.readmitted && repaired.failed.is_empty(), "{repaired:?}");
    assert_eq!(all[1].exists("other:mine").await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_repair_lacks_is_named_with_the_line_that_permits_it() {
    // Of one type nothing can be read but the dump, and nothing can be restored.
    let (_servers, all, copy) = copy_of("~* +@all -restore -hscan", None).await;
    fill(&copy).await;
    all[1].del("app:hash").await.unwrap();
    all[1].del("app:set").await.unwrap();
    let repaired = copy.repair("b").run().await.unwrap();
    let [(key, reason)] = repaired.failed.as_slice() else { panic!("{repaired:?}") };
    assert_eq!(key, b"app:hash");
    assert!(reason.contains("`ACL SETUSER app +hscan` permits it"), "{reason}");
    assert_eq!(all[1].exists("app:set").await.unwrap(), 1);
    assert_eq!(copy.health()[1], ("b".to_owned(), Health::Suspect));
    assert_eq!(copy.get::<String>("app:string").await.unwrap().as_deref(), Some("x"));
    // Without what is needed for every key nothing is a success.
    for denied in ["pttl", "scan", "exists"] {
        for node in &all {
            permit(node, &format!("-{denied}")).await;
        }
        let error = copy.repair("b").run().await.unwrap_err();
        assert_eq!(error.code(), Some("NOPERM"), "{denied}: {error}");
        let error = copy.verify().run().await.unwrap_err();
        assert_eq!(error.code(), Some("NOPERM"), "{denied}: {error}");
        for node in &all {
            permit(node, &format!("+{denied}")).await;
        }
    }
}

/// A node of a copy with an identity is not marked as whole while it lacks a key: others would believe that.
#[tokio::test]
async fn a_key_that_cannot_be_brought_over_keeps_its_node_away_where_servers_are_marked_and_that_is_told_once()
 {
    let (warnings, _listening) = Events::listen("redisdb_cluster", Level::WARN);
    let (_servers, all, copy) = copy_of("~* +@all -restore -hscan", Some("shop")).await;
    fill(&copy).await;
    all[1].flushall().await.unwrap();
    let told = || -> Vec<String> {
        warnings.lines().into_iter().filter(|line| line.contains("cannot be brought over")).collect()
    };
    eventually("it is told", async || !told().is_empty()).await;
    let scans = async || {
        let info = all[0].info_with(&["commandstats"]).await.unwrap();
        let scans = info.get("commandstats", "cmdstat_scan").unwrap_or_default();
        scans.strip_prefix("calls=").and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0u64)
    };
    let before = scans().await;
    eventually("it is tried again", async || {
        assert_eq!(copy.health()[1], ("b".to_owned(), Health::Syncing));
        before + 2 < scans().await
    })
    .await;
    let told = told();
    let [line] = told.as_slice() else { panic!("{told:?}") };
    assert!(line.contains("app:hash") && line.contains("`ACL SETUSER app +hscan` permits it"), "{line}");
    // All else was brought over, and the others answer.
    assert_eq!(all[1].exists("app:list").await.unwrap(), 1);
    assert_eq!(copy.hlen("app:hash").await.unwrap(), 1000);
    for node in &all {
        permit(node, "+hscan").await;
    }
    eventually("it is up once it is permitted", async || is_well(&copy).await).await;
}

#[tokio::test]
async fn a_key_that_cannot_be_brought_over_is_the_only_one_that_its_node_does_not_answer_without_marks() {
    let rules = "~* +@all -restore -hscan";
    let (mut servers, mut all, copy) = builder_of(rules).await;
    let copy = copy.connect().await.unwrap();
    fill(&copy).await;
    servers[1].restart(Data::Lose).unwrap();
    all[1] = Node::connect(servers[1].url()).await.unwrap();
    permit(&all[1], rules).await;
    eventually("it answers all else", async || copy.health()[1] == ("b".to_owned(), Health::Suspect)).await;
    assert_eq!(all[1].exists(vec!["app:list", "app:hash"]).await.unwrap(), 1);
    assert_eq!(copy.hlen("app:hash").await.unwrap(), 1000);
}

#[tokio::test]
async fn values_that_cannot_be_read_are_not_called_the_same() {
    let (_servers, all, copy) = copy_of("~* +@all -hgetall -hscan", None).await;
    for (node, value) in all.iter().zip([1, 2, 1]) {
        node.hset("app:hash", "f", value).await.unwrap();
    }
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.compared, verified.skipped.n_keys), (0, 1), "{verified:?}");
    assert!(verified.skipped.examples[0].1.contains("+hgetall"), "{verified:?}");
}

#[tokio::test]
async fn a_key_that_may_only_be_read_is_named_and_the_rest_is_brought_over() {
    let (_servers, all, copy) = {
        let probe = xtask::Server::start().unwrap();
        let node = Node::connect(probe.url()).await.unwrap();
        needs!(since(&node, (7, 0, 0)).await);
        copy_of("~app:* %R~read:* +@all", None).await
    };
    fill(&copy).await;
    for node in &all {
        node.set("read:1", "x").await.unwrap();
    }
    all[1].del(vec!["read:1", "app:list"]).await.unwrap();
    let repaired = copy.repair("b").run().await.unwrap();
    assert_eq!((repaired.copied, repaired.readmitted), (1, false), "{repaired:?}");
    assert_eq!(repaired.failed.len(), 1, "{repaired:?}");
    assert_eq!(repaired.failed[0].0, b"read:1");
    // Both were in one block at first. Then each was watched by itself, and none was written without.
    assert_eq!((calls(&all[1], "watch").await >= 3, calls(&all[1], "eval").await), (true, 0));
}

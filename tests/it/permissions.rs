//! Users with just the permissions that `docs/permissions.md` says they need.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::Cmd;
use redisdb::Health;
use redisdb::Node;
use redisdb::OnDown;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Rejoin;
use redisdb::commands::*;
use redisdb::node::Changes;
use redisdb::node::LockOptions;
use redisdb_cache::Cache;
use redisdb_tests::Events;
use redisdb_tests::NAMES;
use redisdb_tests::Release;
use redisdb_tests::eventually;
use tracing::Level;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// The rules that stand under a heading of the page.
fn rules(heading: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/permissions.md");
    let section = page.split("\n## ").find(|section| section.lines().next() == Some(heading)).unwrap();
    section.split("```").nth(1).unwrap().strip_prefix("text\n").unwrap().split_whitespace().collect()
}

async fn permit(server: &Server, rules: &[&str]) -> Node {
    let all = Node::connect(server.url()).await.unwrap();
    let user = Cmd::new().arg(&["ACL", "SETUSER", "app", "on", ">pw"]).arg(rules).clone();
    all.send(&user).await.unwrap();
    all
}

fn url(server: &Server) -> String {
    server.url().replace("redis://", "redis://app:pw@")
}

#[tokio::test]
async fn a_ring_needs_no_more_than_the_page_says() {
    let mut servers = Servers::start(3).unwrap();
    let mut builder = RedisRing::builder();
    let allowed = [rules("A ring"), vec!["+get", "+set"]].concat();
    for (name, server) in NAMES.iter().zip(servers.iter()) {
        permit(server, &allowed).await;
        builder = builder.node(*name, &url(server));
    }
    let ring = builder.connect().await.unwrap();
    for i in 0..30 {
        ring.set(format!("app:{i}"), i).await.unwrap();
        assert_eq!(ring.get::<u8>(format!("app:{i}")).await.unwrap(), Some(i));
    }
    assert!(ring.set("other", 1).await.is_err());
    servers[0].kill();
    servers[0].restart(Data::Lose).unwrap();
    permit(&servers[0], &allowed).await;
    let node = ring.on_node(NAMES[0]).unwrap();
    eventually("it is back, and known to be another process", async || {
        node.ready().await.is_ok() && node.incarnation() == 1
    })
    .await;
}

/// The rules that stand in a sentence of the page, after these words.
fn more(words: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/permissions.md");
    let (_, rest) = page.split_once(words).unwrap_or_else(|| panic!("the page does not say: {words}"));
    rest.split('`').nth(1).unwrap().split_whitespace().collect()
}

#[tokio::test]
async fn a_ring_that_does_without_a_node_needs_no_more_than_the_page_says() {
    let also = more("A ring that does without a node (`OnDown`) also needs");
    let allowed = [rules("A ring"), vec!["+get", "+set"], also].concat();
    for on_down in [
        OnDown::Failover { ttl_cap: Duration::from_secs(60) },
        OnDown::Remap { on_return: Rejoin::FlushPrefix("app:".to_owned()) },
    ] {
        let mut servers = Servers::start(3).unwrap();
        let mut builder = RedisRing::builder().on_down(on_down.clone());
        for (name, server) in NAMES.iter().zip(servers.iter()) {
            permit(server, &allowed).await;
            builder = builder.node(*name, &url(server));
        }
        let ring = builder.connect().await.unwrap();
        let key = (0..).map(|i| format!("app:{i}")).find(|key| ring.node_for(key).name() == "b").unwrap();
        ring.set(&key, "before").await.unwrap();
        servers[1].kill();
        let node = ring.on_node("b").unwrap().clone();
        eventually("it is left alone", async || node.is_down()).await;
        ring.set(&key, "meanwhile").await.unwrap();
        assert_eq!(ring.get::<String>(&key).await.unwrap().as_deref(), Some("meanwhile"), "{on_down:?}");
        servers[1].restart(Data::Lose).unwrap();
        // What is old by now; nobody else is let in before it is there.
        let all = Node::connect(servers[1].url()).await.unwrap();
        all.set(&key, "before").await.unwrap();
        permit(&servers[1], &allowed).await;
        eventually("it serves again", async || {
            let _looked = ring.get::<String>(&key).await;
            ring.health().contains(&("b".to_owned(), Health::Up))
        })
        .await;
        assert_eq!(ring.get::<String>(&key).await.unwrap(), None, "{on_down:?}");
    }
}

#[tokio::test]
async fn to_flush_a_copy_with_an_identity_needs_no_more_than_the_page_says() {
    let also = more("`FLUSHALL` on such a copy also needs");
    let allowed = [rules("A copy with an identity"), vec!["+flushall"], also].concat();
    let (_servers, copy) = copy_of(&allowed, Some("shop")).await;
    let copy = copy.unwrap();
    fill(&copy).await;
    _ = copy.flushall().await.unwrap();
    assert_eq!(copy.get::<u8>("app:7").await.unwrap(), None);
    eventually("they are up", async || copy.health().iter().all(|(_, health)| *health == Health::Up)).await;
}

/// The commands of the types, which stand in the page in words.
const OF_TYPES: [&str; 19] = [
    "+get",
    "+set",
    "+append",
    "+strlen",
    "+getrange",
    "+rpush",
    "+lrange",
    "+llen",
    "+sadd",
    "+sscan",
    "+scard",
    "+smembers",
    "+hset",
    "+hscan",
    "+hlen",
    "+hgetall",
    "+zadd",
    "+zscan",
    "+zrange",
];

#[tokio::test]
async fn a_copy_without_dumps_needs_no_more_than_the_page_says() {
    let page = include_str!("../../docs/permissions.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, sentence) = page.split_once("read and write each type, and ").unwrap();
    // The sentences after that are about streams and about fields that end, of which there are none here.
    let named: Vec<String> = sentence
        .split('.')
        .next()
        .unwrap()
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| format!("+{name}"))
        .collect();
    assert!(named.len() > 5, "{named:?}");
    let server = Server::start().unwrap();
    let release = Release::at(&Node::connect(server.url()).await.unwrap()).await;
    // Every hash is asked for it there, for only the answer says that it has no such fields.
    let of_hashes = release.has([Some((7, 4, 0)), Some((9, 0, 0))]).then_some("+hpexpiretime");
    for without in ["+dump", "+restore"] {
        let allowed = rules("A copy").into_iter().filter(|rule| *rule != without);
        let allowed: Vec<&str> = allowed
            .chain(named.iter().map(String::as_str))
            .chain(OF_TYPES)
            .chain(["+zcard"])
            .chain(of_hashes)
            .collect();
        let (mut servers, copy) = copy_of(&allowed, None).await;
        let copy = copy.unwrap();
        fill(&copy).await;
        let all = emptied(&mut servers[1], &allowed).await;
        eventually("it holds everything again", async || is_whole(&copy, &all).await).await;
        let verified = copy.verify().run().await.unwrap();
        assert_eq!((verified.compared, verified.len(), verified.skipped.n_keys), (54, 0, 0), "{verified:?}");
    }
}

/// The commands that the tests of copies call themselves.
const OWN: [&str; 6] = ["+set", "+get", "+rpush", "+sadd", "+hset", "+zadd"];

/// A copy of two servers, as a user of these rules uses it.
async fn copy_of(rules: &[&str], identity: Option<&str>) -> (Servers, Result<RedisCopy, redisdb::Error>) {
    let servers = Servers::start(2).unwrap();
    let mut builder = RedisCopy::builder();
    for (name, server) in NAMES.iter().zip(servers.iter()) {
        permit(server, &[rules, &OWN].concat()).await;
        builder = builder.node(*name, &url(server));
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    (servers, builder.connect().await)
}

async fn fill(copy: &RedisCopy) {
    for i in 0..50 {
        _ = copy.set(format!("app:{i}"), i).await.unwrap();
    }
    _ = copy.rpush("app:list", &[1, 2, 3]).await.unwrap();
    // Too large to be written whole, if the user may do otherwise.
    _ = copy.sadd("app:set", (0..2000).map(|i| format!("{i:030}")).collect::<Vec<_>>()).await.unwrap();
    _ = copy.hset("app:hash", "f", "v").await.unwrap();
    _ = copy.zadd("app:zset", [(1.5, "m")]).await.unwrap();
}

/// Starts a server anew, empty but for its user; returns somebody who may do everything there.
async fn emptied(server: &mut Server, rules: &[&str]) -> Node {
    server.restart(Data::Lose).unwrap();
    permit(server, &[rules, &OWN].concat()).await
}

async fn is_whole(copy: &RedisCopy, all: &Node) -> bool {
    copy.health().iter().all(|(_, health)| *health == Health::Up)
        && all.exists(&["app:7", "app:list", "app:set", "app:hash", "app:zset"]).await.unwrap() == 5
}

async fn comes_back(heading: &str, identity: Option<&str>) {
    let rules = rules(heading);
    let (mut servers, copy) = copy_of(&rules, identity).await;
    let copy = copy.unwrap();
    fill(&copy).await;
    let all = emptied(&mut servers[1], &rules).await;
    eventually("it holds everything again", async || is_whole(&copy, &all).await).await;
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.compared, verified.len(), verified.skipped.n_keys), (54, 0, 0), "{verified:?}");
    assert_eq!(copy.get::<u8>("app:7").await.unwrap(), Some(7));
}

/// Without any one of the rules, a node comes back whole all the same, or it is said what is missing, with the line that
/// mends it; the start may be refused.
async fn misses_nothing_silently(heading: &str, identity: Option<&str>) {
    let all_rules = rules(heading);
    for without in all_rules.iter().filter(|rule| rule.starts_with('+') && !OWN.contains(rule)) {
        let rules: Vec<&str> = all_rules.iter().copied().filter(|rule| rule != without).collect();
        let (warnings, _listening) = Events::listen("redisdb", Level::WARN);
        let told = || -> Vec<String> {
            warnings.lines().into_iter().filter(|line| line.contains("ACL SETUSER app")).collect()
        };
        let is_told = || !told().is_empty();
        let (mut servers, copy) = copy_of(&rules, identity).await;
        let copy = match copy {
            Ok(copy) => copy,
            Err(error) => {
                assert!(is_told() || error.to_string().contains("ACL SETUSER app"), "{without}: {error}");
                continue;
            }
        };
        fill(&copy).await;
        let all = emptied(&mut servers[1], &rules).await;
        let what = format!("without `{without}` it comes back, or somebody is told");
        eventually(&what, async || is_told() || is_whole(&copy, &all).await).await;
        let told = told();
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "each is told once: {told:?}");
    }
}

/// Returns which commands a copy with an identity is told to be in want of, in the order of the warnings, until it stays away for that,
/// or is back; and whether it is.
async fn goes_without(rule: &str) -> (Vec<String>, bool) {
    let all_rules = rules("A copy with an identity");
    let rules: Vec<&str> = all_rules.iter().copied().filter(|other| *other != rule).collect();
    let (warnings, _listening) = Events::listen("redisdb_cluster", Level::WARN);
    let (mut servers, copy) = copy_of(&rules, Some("shop")).await;
    let copy = copy.unwrap();
    fill(&copy).await;
    let all = emptied(&mut servers[1], &rules).await;
    let told = || -> Vec<String> {
        warnings.lines().into_iter().filter(|line| line.contains("permits it")).collect()
    };
    eventually(&format!("it is told what `{rule}` is for"), async || {
        told().iter().any(|line| line.contains("node=\"b\""))
    })
    .await;
    if rule == "+del" {
        eventually("it is back all the same", async || is_whole(&copy, &all).await).await;
    }
    let is_whole = is_whole(&copy, &all).await;
    (told(), is_whole)
}

/// The commands that the lease needs, some of them inside a script, whose error is another one than that of the command itself.
#[tokio::test]
async fn what_keeps_and_returns_the_lease_is_told_once_with_the_line_that_mends_it() {
    for (rule, is_back) in [("+pexpire", false), ("+del", true), ("+eval", false), ("+evalsha", false)] {
        let (told, is_whole) = goes_without(rule).await;
        for line in &told {
            let permits = line.split("`ACL SETUSER app ").nth(1).unwrap().split('`').next().unwrap();
            assert!(permits.split(' ').any(|permitted| permitted == rule), "{rule}: {line}");
        }
        let on = |node: &str| told.iter().filter(|line| line.contains(&format!("node=\"{node}\""))).count();
        // It was tried on both servers when the copy connected.
        assert!(on("a") == 1 && on("b") == 1, "{rule}: {told:?}");
        assert_eq!(is_whole, is_back, "{rule}");
    }
}

#[tokio::test]
async fn a_copy_needs_no_more_than_the_page_says() {
    comes_back("A copy", None).await;
}

#[tokio::test]
async fn a_copy_with_an_identity_needs_no_more_than_the_page_says() {
    comes_back("A copy with an identity", Some("shop")).await;
}

#[tokio::test]
async fn what_a_copy_may_not_do_is_told_if_it_stays_away_for_that() {
    misses_nothing_silently("A copy", None).await;
}

#[tokio::test]
async fn what_a_copy_with_an_identity_may_not_do_is_told_if_it_stays_away_for_that() {
    misses_nothing_silently("A copy with an identity", Some("shop")).await;
}

#[tokio::test]
async fn a_cache_needs_no_more_than_the_page_says() {
    let server = Server::start().unwrap();
    permit(&server, &rules("A cache")).await;
    let node = Node::connect(url(&server).as_str()).await.unwrap();
    let cache = Cache::builder(node).prefix("app").build().unwrap();
    cache.set("a", &1).await.unwrap();
    assert_eq!(cache.get::<u8>("a").await.unwrap(), Some(1));
    assert_eq!(cache.incr_from("n", 2, 5, Duration::from_secs(100)).await.unwrap(), 7);
    assert_eq!(cache.incr("n", 2).await.unwrap(), 9);
    assert!(cache.has_key("a").await.unwrap());
    cache.ttl("a").await.unwrap();
    cache.set_for("b", &2, Duration::from_secs(100)).await.unwrap();
    assert_eq!(cache.get_many::<u8, _>(["a", "b"]).await.unwrap().into_map().len(), 2);
    let second = Duration::from_secs(1);
    let loaded = cache.get_or_set_with("c", second, || async { Ok::<u8, std::io::Error>(3) }).await.unwrap();
    assert_eq!(loaded, 3);
    assert!(cache.delete("a").await.unwrap());
    let swept = cache.clear().await.unwrap();
    assert!(2 <= swept.n_deleted && swept.failed.is_empty(), "{swept:?}");
}

#[tokio::test]
async fn a_change_feed_needs_no_more_than_the_page_says() {
    let server = Server::start().unwrap();
    let all = permit(&server, &rules("A change feed")).await;
    let node = Node::connect(url(&server).as_str()).await.unwrap();
    let mut feed = node.changes().await.unwrap();
    all.set("app:1", 1).await.unwrap();
    feed.barrier().await.unwrap();
    assert!(matches!(feed.try_next(), Some(Changes::Keys(keys)) if keys == [b"app:1"]));
    assert_eq!(feed.process(), node.process(node.incarnation()).as_deref());
}

#[tokio::test]
async fn a_lock_needs_no_more_than_the_page_says() {
    let server = Server::start().unwrap();
    permit(&server, &rules("A lock")).await;
    let node = Node::connect(url(&server).as_str()).await.unwrap();
    let mut guard = node.lock("app:lock", LockOptions::new(Duration::from_secs(10))).acquire().await.unwrap();
    guard.extend(Duration::from_secs(20)).await.unwrap();
    assert!(guard.is_held().await.unwrap());
    guard.release().await.unwrap();
}

//! The helpers that tests share: servers to run on, and waiting for a condition by a deadline.

mod arguments;
pub use arguments::argument_lists;
pub use arguments::command;
mod child;
pub use child::passes;
mod client_process;
pub mod clock;
pub use client_process::CLIENT;
pub use client_process::ClientProcess;
pub use client_process::orders;
mod events;
pub use events::Events;
pub use events::Listening;
pub use events::Teller;
mod held;
pub use held::Held;
pub use held::canonical;
pub use held::connect;
pub use held::differences;
pub use held::held;
pub use held::keys;
pub use held::words;
mod hostile;
pub use hostile::Hostile;
pub use hostile::Says;
mod load;
pub use load::Load;
pub use load::Tally;
pub use load::fill;
mod memory;
pub use memory::measured;
pub use memory::peak_mib;
pub use memory::resident_mib;
mod preload;
pub use preload::preloaded;
mod proxy;
mod raced;
pub use raced::END;
pub use raced::LIFE;
pub use raced::LIVES;
pub use raced::RACED;
pub use raced::ROUND;
pub use raced::Raced;
mod release;
pub use release::Release;
pub use release::is_since;
pub use release::since;
mod row;
pub use row::leave_row;
mod seeds;
pub use seeds::Judged;
pub use seeds::Outcome;
pub use seeds::Seeds;
pub use seeds::exit;
pub use seeds::number;
pub use seeds::progress;
mod sums;
pub use proxy::End;
pub use proxy::Proxy;
pub use proxy::Way;
pub use sums::Sums;
mod verdicts;
pub use verdicts::Verdicts;

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use redisdb::CopyBuilder;
use redisdb::Node;
use redisdb::OnReturn;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::ServerCommands;
use xtask::Servers;

/// The names of the nodes of [`ring`] and [`copy`], in their order.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// The time that a condition may take to come true; long, for these machines may be busy.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The time that a server that is well may take: a busy machine, or a test that blocks the only thread while it starts a
/// server, must not look like a server that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Three servers and a ring over them.
pub async fn ring() -> (Servers, RedisRing) {
    let servers = Servers::start(NAMES.len()).unwrap();
    let ring = ring_over(&servers).await;
    (servers, ring)
}

/// A ring over servers that run already.
pub async fn ring_over(servers: &Servers) -> RedisRing {
    let nodes = NAMES.iter().zip(servers.urls());
    let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url));
    ring.connect_timeout(PATIENCE).response_timeout(PATIENCE).connect().await.unwrap()
}

/// Three servers and a copy over them.
pub async fn copy() -> (Servers, RedisCopy) {
    let servers = Servers::start(NAMES.len()).unwrap();
    let copy = copy_over(&servers).await;
    (servers, copy)
}

/// A copy over servers that run already. What it notes of a node stays, for it brings none back by itself.
pub async fn copy_over(servers: &Servers) -> RedisCopy {
    let nodes = NAMES.iter().zip(servers.urls());
    let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, &url));
    copy.on_return(OnReturn::Wait)
        .connect_timeout(PATIENCE)
        .response_timeout(PATIENCE)
        .connect()
        .await
        .unwrap()
}

/// A copy as a process of its own makes it: impatient with servers that hang, and bringing back those that were away.
pub fn process(urls: &[String], identity: Option<&str>) -> CopyBuilder {
    const IMPATIENT: Duration = Duration::from_millis(500);
    let copy = NAMES.iter().zip(urls).fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
    let copy = copy.connect_timeout(IMPATIENT).response_timeout(IMPATIENT);
    match identity {
        Some(identity) => copy.identity(identity),
        None => copy,
    }
}

/// Waits until a process makes the nodes of its copy equal, and has compared all keys.
pub async fn leads(copy: &RedisCopy) {
    eventually("it leads, and has compared all keys", async || {
        let convergence = copy.convergence();
        convergence.leads && !convergence.round_due
    })
    .await;
}

/// Returns how often a server was sent this command.
pub async fn calls(node: &Node, command: &str) -> u64 {
    let info = node.info_with(&["commandstats"]).await.unwrap();
    let stats = info.get("commandstats", &format!("cmdstat_{command}")).unwrap_or("calls=0,").to_owned();
    stats.strip_prefix("calls=").unwrap().split(',').next().unwrap().parse().unwrap()
}

/// A copy has no more nodes.
const MOST_OF_A_COPY: usize = redisdb_cluster::shadow::replication::Node::MAX;

/// Returns how many servers the tests use that hold for any number: `test-cluster --nodes`, 3 if that does not say.
pub fn n_nodes() -> usize {
    std::env::var("REDISDB_NODES").ok().and_then(|nodes| nodes.parse().ok()).unwrap_or(NAMES.len())
}

/// [`n_nodes`] servers and a ring over them, for what holds for any number.
pub async fn ring_of_any() -> (Servers, RedisRing) {
    let servers = Servers::start(n_nodes()).unwrap();
    let ring =
        RedisRing::builder().nodes(servers.urls()).connect_timeout(PATIENCE).response_timeout(PATIENCE);
    let ring = ring.connect().await.unwrap();
    (servers, ring)
}

/// [`n_nodes`] servers and a copy over them, or as many as a copy may have, for what holds for any number.
pub async fn copy_of_any() -> (Servers, RedisCopy) {
    let servers = Servers::start(n_nodes().min(MOST_OF_A_COPY)).unwrap();
    let copy =
        RedisCopy::builder().nodes(servers.urls()).connect_timeout(PATIENCE).response_timeout(PATIENCE);
    let copy = copy.connect().await.unwrap();
    (servers, copy)
}

/// Everything that a server holds: each key with what is in it, in an order that does not depend on how it came there.
pub async fn contents(node: &Node) -> BTreeMap<String, String> {
    let keys: Vec<String> = ask(node, &["KEYS", "*"]).await;
    let mut contents = BTreeMap::new();
    for key in keys {
        let kind: String = ask(node, &["TYPE", &key]).await;
        let (words, unordered, step): (&[&str], _, _) = match kind.as_str() {
            "string" => (&["GET", &key], false, 1),
            "list" => (&["LRANGE", &key, "0", "-1"], false, 1),
            "set" => (&["SMEMBERS", &key], true, 1),
            "hash" => (&["HGETALL", &key], true, 2),
            "zset" => (&["ZRANGE", &key, "0", "-1", "WITHSCORES"], false, 2),
            "stream" => (&["XRANGE", &key, "-", "+"], false, 1),
            other => panic!("what is a {other}?"),
        };
        let mut value: redis::Value = ask(node, words).await;
        if kind == "zset" {
            value = with_plain_scores(value);
        }
        let mut elements: Vec<String> = match &value {
            redis::Value::Array(elements) => {
                elements.chunks(step).map(|chunk| format!("{chunk:?}")).collect()
            }
            one => vec![format!("{one:?}")],
        };
        if unordered {
            elements.sort();
        }
        let expires: bool = ask::<i64>(node, &["PTTL", &key]).await >= 0;
        contents.insert(key, format!("{kind} {elements:?} expires: {expires}"));
    }
    contents
}

/// The same members with their scores as numbers are written here: servers of other versions write `0.1` otherwise.
fn with_plain_scores(value: redis::Value) -> redis::Value {
    let mut words: Vec<String> = redis::from_redis_value(value).unwrap();
    for score in words.iter_mut().skip(1).step_by(2) {
        *score = score.parse::<f64>().unwrap().to_string();
    }
    redis::Value::Array(words.into_iter().map(|word| redis::Value::BulkString(word.into_bytes())).collect())
}

async fn ask<T: redis::FromRedisValue>(node: &Node, words: &[&str]) -> T {
    let reply = node.send(redis::Cmd::new().arg(words)).await.unwrap();
    redis::from_redis_value(reply).unwrap()
}

/// Waits until a condition is true.
///
/// # Panics
/// When it is not by the [`DEADLINE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The examples of the pages, as doctests.
#[cfg(doctest)]
mod docs {
    #[doc = include_str!("../../README.md")]
    mod readme {}
    #[doc = include_str!("../../docs/architecture.md")]
    mod architecture {}
    #[doc = include_str!("../../docs/configuration.md")]
    mod configuration {}
    #[doc = include_str!("../../docs/copy.md")]
    mod copy {}
    #[doc = include_str!("../../docs/decisions.md")]
    mod decisions {}
    #[doc = include_str!("../../docs/errors.md")]
    mod errors {}
    #[doc = include_str!("../../docs/ring.md")]
    mod ring {}
    #[doc = include_str!("../../docs/sessions.md")]
    mod sessions {}
    #[doc = include_str!("../../docs/testing.md")]
    mod testing {}
}

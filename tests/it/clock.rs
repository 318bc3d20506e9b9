//! A client whose clock jumps by an hour: nothing ends sooner or later for it, for lives are counted by the servers'
//! clocks and timeouts by one that does not jump. Skipped where `libfaketime` is not at hand.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::cache::Cache;
use redisdb::commands::*;
use redisdb::node::Execute;
use redisdb::node::LockOptions;
use redisdb::node::SetOptions;
use redisdb_tests::NAMES;
use redisdb_tests::eventually;
use redisdb_tests::passes;
use redisdb_tests::preloaded;
use xtask::Servers;
use xtask::needs;
use xtask::once_more;
use xtask::told;

/// In the child process, the file that says by how much the clock is off.
const FILE: &str = "FAKETIME_TIMESTAMP_FILE";

const HOUR: u64 = 3600;
const LIFE: Duration = Duration::from_secs(100);

/// Runs the calling test with a clock that can jump; it is told the URLs of the servers.
fn with_own_clock() {
    let library = needs!(preloaded("REDISDB_LIBFAKETIME", "faketime/libfaketimeMT.so.1"));
    let servers = Servers::start(NAMES.len()).unwrap();
    let file = servers[0].dir().join("clock");
    fs::write(&file, "+0").unwrap();
    let mut child = once_more(&servers.urls().join(",")).unwrap();
    child
        .env(FILE, &file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("LD_PRELOAD", library);
    passes(&mut child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_ends_sooner_for_a_client_whose_clock_goes_forward_by_an_hour() {
    jumps_by("+3600").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_ends_later_for_a_client_whose_clock_goes_back_by_an_hour() {
    jumps_by("-3600").await;
}

async fn jumps_by(jump: &str) {
    let Some(urls) = told() else { return with_own_clock() };
    let urls: Vec<&str> = urls.split(',').collect();
    let nodes = || NAMES.iter().zip(&urls);
    let build_ring =
        || nodes().fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &format!("{url}/1")));
    let build_copy = || nodes().fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
    let (ring, copy) = (build_ring().connect().await.unwrap(), build_copy().connect().await.unwrap());
    let mut servers = Vec::new();
    for url in urls.iter().map(|url| (*url).to_owned()).chain(urls.iter().map(|url| format!("{url}/1"))) {
        servers.push(Node::connect(url).await.unwrap());
    }
    let lock = ring.lock("lock", LockOptions::new(LIFE)).acquire().await.unwrap();

    let (before, start) = (SystemTime::now(), Instant::now());
    fs::write(env::var_os(FILE).unwrap(), jump).unwrap();
    let jumped = match SystemTime::now().duration_since(before) {
        Ok(forward) => forward,
        Err(back) => back.duration(),
    };
    assert!(Duration::from_secs(HOUR - 60) < jumped, "{jumped:?}");
    assert!(start.elapsed() < Duration::from_secs(60));

    assert!(LIFE / 2 < lock.remaining(), "{:?}", lock.remaining());
    lock.release().await.unwrap();
    gives_lives(&ring, "ring").await;
    gives_lives(&copy, "copy").await;
    // Those that have not connected yet know no clock but this one.
    gives_lives(&build_ring().build().unwrap(), "new-ring").await;
    gives_lives(&build_copy().build().unwrap(), "new-copy").await;
    for (copy, name) in [(&copy, "copy"), (&build_copy().build().unwrap(), "new")] {
        let pipeline = copy.pipeline();
        let set = pipeline.setex(format!("{name}:piped"), LIFE, 1);
        pipeline.execute().await.check().unwrap();
        assert!(set.await.unwrap().is_complete());
    }
    for (copy, name) in [(&copy, "copy"), (&build_copy().build().unwrap(), "new")] {
        let block = copy.pipeline().atomic();
        let set = block.setex(format!("{name}:block"), LIFE, 1);
        block.execute().await.check().unwrap();
        assert!(set.await.unwrap().is_complete());
    }
    for server in &servers {
        live_on(server).await;
    }

    let cache = Cache::builder(copy.clone()).build().unwrap();
    cache.set_for("entry", &1, LIFE).await.unwrap();
    assert_eq!(cache.get::<u8>("entry").await.unwrap(), Some(1));

    // What a server has missed is brought over to it, and lives there as long as where it came from.
    let missing = &servers[2];
    let info: String =
        redis::from_redis_value(missing.send(redis::cmd("INFO").arg("server")).await.unwrap()).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap();
    let signal = |signal: &str| assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    signal("-STOP");
    for i in 0..5 {
        gives_lives(&copy, &format!("missed-{i}")).await;
    }
    signal("-CONT");
    eventually("all are in sync", async || copy.health().iter().all(|(_, health)| *health == Health::Up))
        .await;
    assert_eq!(missing.dbsize().await.unwrap(), servers[0].dbsize().await.unwrap());
    live_on(missing).await;
    assert_eq!(copy.verify().run().await.unwrap(), []);

    in_time(&ring, &servers[..NAMES.len()]).await;
}

/// Gives keys a life in several ways; the first is the first thing that this client does.
async fn gives_lives(store: &impl Execute, name: &str) {
    let key = |way: &str| format!("{name}:{way}");
    store.setex(key("setex"), LIFE, 1).await.unwrap();
    store.set_with(key("nx"), 1, SetOptions::new().nx().ex(LIFE)).await.unwrap();
    store.set(key("expire"), 1).await.unwrap();
    store.expire(key("expire"), LIFE).await.unwrap();
}

/// Every key of a server lives as long as it was given.
async fn live_on(server: &Node) {
    for key in server.keys::<String>("*").await.unwrap() {
        let left: i64 = server.query(redis::cmd("PTTL").arg(&key)).await.unwrap();
        assert!((50_000..=100_000).contains(&left), "`{key}` on {}: {left} ms", server.name());
    }
}

/// A call to a server that does not answer ends by its deadline, and neither at once nor never.
async fn in_time(ring: &RedisRing, servers: &[Node]) {
    const DEADLINE: Duration = Duration::from_millis(300);
    for server in servers {
        server.send(redis::cmd("CLIENT").arg("PAUSE").arg(1000)).await.unwrap();
    }
    let start = Instant::now();
    let error = ring.with_deadline(DEADLINE).get::<u8>("key").await.unwrap_err();
    assert!(error.is_timeout() && DEADLINE <= start.elapsed(), "{error} {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    eventually("it answers", async || ring.get::<u8>("key").await.is_ok()).await;
}

//! The keys that a copy with an identity keeps on its servers for itself: no command of a user takes them, and none finds them.

use std::time::Duration;

use futures_util::TryStreamExt;
use redisdb::Error;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Scan;
use redisdb::commands::*;
use redisdb::node::LockError;
use redisdb::node::LockOptions;
use redisdb::node::Script;
use redisdb_cache::Cache;
use redisdb_tests::process;
use xtask::Servers;

const MARKER: &str = "__redisdb:{shop}:node";
const HINTS: &str = "__redisdb:{shop}:missed:b";

async fn copy_of(n_servers: usize, identity: Option<&str>) -> (Servers, RedisCopy) {
    let servers = Servers::start(n_servers).unwrap();
    let copy = process(&servers.urls(), identity).connect().await.unwrap();
    (servers, copy)
}

/// Checks that a call was refused because of an own key.
fn is_refused<T>(how: &str, result: Result<T, Error>) {
    let Err(error) = result else { panic!("{how}: it was sent") };
    let text = error.to_string();
    assert!(error.is_unsupported() && !error.may_have_executed(), "{how}: {text}");
    assert!(text.contains("__redisdb:{shop}:") && text.contains("by its identity"), "{how}: {text}");
}

#[tokio::test]
async fn no_way_in_takes_an_own_key_and_nothing_is_sent() {
    let (_servers, copy) = copy_of(2, Some("shop")).await;
    _ = copy.set("k", "v").await.unwrap();
    let before: Vec<String> = marks(&copy).await;

    is_refused("by itself", copy.set(MARKER, "x").await);
    is_refused("a read", copy.get::<String>(HINTS).await);
    is_refused("one of several", copy.mset([("k", "x"), (HINTS, "x")]).await);
    is_refused("as a destination", copy.rename("k", MARKER).await);
    is_refused("as a destination", copy.copy("k", HINTS).await);
    is_refused("decided by one node", copy.setnx(HINTS, "x").await);
    is_refused("what waits", copy.blpop::<String, String>(HINTS, Duration::from_millis(1)).await);
    let set = redis::cmd("SET").arg(MARKER).arg("x").clone();
    is_refused("any command", copy.query::<()>(&set).await);

    let pipeline = copy.pipeline();
    let (refused, taken) = (pipeline.incr(MARKER), pipeline.incr("n"));
    _ = pipeline.execute().await;
    is_refused("in a pipeline", refused.await);
    assert_eq!(taken.await.unwrap().first().unwrap(), &1, "the others are sent");
    let block = copy.pipeline().atomic();
    let (refused, other) = (block.incr(MARKER), block.incr("m"));
    _ = block.execute().await;
    is_refused("in a block", refused.await);
    is_refused("with it in a block", other.await);

    let mut connection = copy.clone();
    let text = set.query_async::<()>(&mut connection).await.unwrap_err().to_string();
    assert!(text.contains("by its identity"), "{text}");
    let mut pipe = redis::pipe();
    pipe.atomic().set("m", 1).set(MARKER, 1);
    let text = pipe.query_async::<()>(&mut connection).await.unwrap_err().to_string();
    assert!(text.contains("by its identity"), "{text}");

    let script = Script::new("return redis.call('SET', KEYS[1], 'x')").deterministic();
    is_refused("a script", script.key(MARKER).invoke::<String, _>(&copy).await);
    let script = Script::new("return redis.call('GET', KEYS[1])").read_only();
    is_refused("a script that reads", script.key(MARKER).invoke::<String, _>(&copy).await);
    let elements = copy.hscan_iter::<String, String>(HINTS, ScanOptions::new());
    is_refused("its elements", elements.try_collect::<Vec<_>>().await);
    match copy.lock(HINTS, LockOptions::new(Duration::from_secs(5))).acquire().await {
        Err(LockError::Store(error)) => is_refused::<()>("a lock", Err(error)),
        lock => panic!("{lock:?}"),
    }
    assert!(copy.explain(&set).to_string().contains("by its identity"), "{}", copy.explain(&set));

    assert_eq!(marks(&copy).await, before);
    assert_eq!(copy.exists(&["m"]).await.unwrap(), 0, "no part of a block was sent");
    for node in copy.nodes() {
        let info = node.info_with(&["commandstats"]).await.unwrap();
        for command in ["mset", "rename", "copy", "setnx", "blpop", "hscan"] {
            assert_eq!(info.get("commandstats", &format!("cmdstat_{command}")), None);
        }
        assert_eq!(node.exists(HINTS).await.unwrap(), 0);
    }
    // A channel is no key, and a server's own surface is that of the server.
    _ = copy.publish(MARKER, "x").await.unwrap();
    assert!(copy.on_node("a").unwrap().get::<String>(MARKER).await.unwrap().is_some());
}

async fn marks(copy: &RedisCopy) -> Vec<String> {
    let mut marks = Vec::new();
    for node in copy.nodes() {
        marks.push(node.get(MARKER).await.unwrap().unwrap());
    }
    marks
}

#[tokio::test]
async fn names_of_other_copies_are_keys_like_any_other() {
    let (servers, without) = copy_of(2, None).await;
    _ = without.set(MARKER, "mine").await.unwrap();
    assert_eq!(without.get::<String>(MARKER).await.unwrap().as_deref(), Some("mine"));
    assert_eq!(without.keys::<String>("*").await.unwrap(), [MARKER]);
    assert_eq!(without.randomkey::<String>().await.unwrap().as_deref(), Some(MARKER));
    let ring = RedisRing::builder().node("a", &servers[0].url()).connect().await.unwrap();
    ring.set(MARKER, "mine").await.unwrap();
    let (_servers, blog) = copy_of(2, Some("blog")).await;
    _ = blog.set(MARKER, "mine").await.unwrap();
    assert_eq!(blog.keys::<String>("*").await.unwrap(), [MARKER]);
}

#[tokio::test]
async fn own_keys_are_found_by_none_that_goes_through_all_keys() {
    let (servers, copy) = copy_of(3, Some("shop")).await;
    // Only own keys are there.
    assert_eq!(copy.randomkey::<String>().await.unwrap(), None);
    assert_eq!(copy.keys::<String>("*").await.unwrap(), [""; 0]);
    _ = copy.set("k", "v").await.unwrap();
    servers[1].pause();
    _ = copy.set("k", "v").await.unwrap();
    _ = copy.set("k", "w").await.unwrap();
    for name in ["a", "c"] {
        let node = copy.on_node(name).unwrap();
        assert_eq!(node.exists(&[MARKER, HINTS]).await.unwrap(), 2, "{name}");
        for building in ["x:__redisdb:copying", "y:__redisdb:copying"] {
            node.set(building, "half of it").await.unwrap();
        }
    }
    assert_eq!(copy.dbsize().await.unwrap(), 5, "it counts all of them");

    assert_eq!(copy.keys::<String>("*").await.unwrap(), ["k"]);
    let scanned: Vec<String> = copy.scan_iter(ScanOptions::new()).try_collect().await.unwrap();
    assert_eq!(scanned, ["k"]);
    for _ in 0..50 {
        assert_eq!(copy.randomkey::<String>().await.unwrap().as_deref(), Some("k"));
    }
    let pipeline = copy.pipeline();
    let (keys, random) = (pipeline.keys::<String>("*"), pipeline.randomkey::<String>());
    _ = pipeline.execute().await;
    assert_eq!((keys.await.unwrap(), random.await.unwrap().as_deref()), (vec!["k".to_owned()], Some("k")));
    let mut connection = copy.clone();
    let (keys, random): (Vec<String>, String) =
        redis::pipe().cmd("KEYS").arg("*").cmd("RANDOMKEY").query_async(&mut connection).await.unwrap();
    assert_eq!((keys, random.as_str()), (vec!["k".to_owned()], "k"));
    assert_eq!(copy.query::<Vec<String>>(redis::cmd("KEYS").arg("__*")).await.unwrap(), [""; 0]);
    let verified = copy.verify().run().await.unwrap();
    assert_eq!((verified.compared, verified.len()), (1, 0), "{verified:?}");

    // A cache whose entries have names much like them.
    let cache = Cache::builder(copy.clone()).prefix("__redisdb").build().unwrap();
    cache.set("mine", &1).await.unwrap();
    let swept = cache.clear().await.unwrap();
    assert_eq!((swept.n_deleted, swept.failed.len()), (1, 0), "{swept:?}");
    let node = copy.on_node("a").unwrap();
    assert_eq!(node.exists(&[MARKER, HINTS]).await.unwrap(), 2);
}

#[tokio::test]
async fn a_write_while_all_are_well_costs_no_command_but_itself() {
    let (_servers, copy) = copy_of(2, Some("shop")).await;
    let nodes: Vec<_> = copy.nodes().collect();
    let n_scripts = async || {
        let mut n = Vec::new();
        for node in &nodes {
            let info = node.info_with(&["commandstats"]).await.unwrap();
            let calls = |name| {
                info.get("commandstats", name).unwrap_or("calls=0,").split(',').next().unwrap().to_owned()
            };
            n.push(["cmdstat_eval", "cmdstat_evalsha", "cmdstat_zadd"].map(calls));
        }
        n
    };
    let before = n_scripts().await;
    for i in 0..50 {
        _ = copy.set(format!("k:{i}"), i).await.unwrap();
    }
    assert_eq!(n_scripts().await, before);
    for node in &nodes {
        let own: Vec<String> = node.keys("__redisdb:*").await.unwrap();
        assert_eq!(own, [MARKER], "what is tried leaves nothing behind");
    }
}

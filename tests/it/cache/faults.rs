//! The cache while servers are down, and what a copy refuses.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::Key;
use redisdb_cache::Lookup;
use redisdb_cache::OnError;
use redisdb_cache::Stored;
use redisdb_cache::SweepProgress;
use redisdb_cache::Ttl;
use redisdb_cluster::RedisRing;
use redisdb_hashring::HashTag;
use redisdb_node::Execute;
use redisdb_node::KeyCommands;
use redisdb_node::Node;
use redisdb_node::StringCommands;
use redisdb_node::command::rows;
use redisdb_tests::eventually;
use xtask::Data;
use xtask::Server;
use xtask::Servers;

/// Forty keys, and those of them that one node owns.
fn keys_of(ring: &RedisRing, node: &str) -> (Vec<String>, BTreeSet<String>) {
    let keys: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    let owned = |key: &&String| ring.node_for(format!("shop:1:{key}")).name() == node;
    let owned: BTreeSet<String> = keys.iter().filter(owned).cloned().collect();
    assert!(!owned.is_empty() && owned.len() < keys.len());
    (keys, owned)
}

#[tokio::test]
async fn a_node_that_is_down_costs_exactly_its_keys() {
    let (mut servers, ring) = redisdb_tests::ring().await;
    let cache = Cache::builder(ring.clone()).prefix("shop").build().unwrap();
    let (keys, lost) = keys_of(&ring, "b");
    cache.set_many(keys.iter().map(|key| (key, 1))).await.unwrap();
    servers[1].kill();

    let batch = cache.set_many(keys.iter().map(|key| (key, 2))).await.unwrap();
    let failed: BTreeSet<String> = batch.failed.iter().map(|(key, _)| (*key).clone()).collect();
    assert_eq!(failed, lost);
    assert_eq!(batch.n_done, keys.len() - lost.len());
    let found = cache.get_many::<u8, _>(&keys).await.unwrap();
    let failed: BTreeSet<String> = found.failed.iter().map(|(key, _)| (*key).clone()).collect();
    assert_eq!(failed, lost);
    assert!(found.failed.iter().all(|(_, error)| error.is_connect()));
    assert_eq!(found.values.len(), keys.len() - lost.len());
    assert!(found.values.iter().all(|(_, value)| *value == 2));
    let deleted = cache.delete_many(&keys).await.unwrap();
    assert_eq!((deleted.n_deleted, deleted.failed.len()), (keys.len() - lost.len(), lost.len()));

    let key = lost.first().unwrap();
    assert!(matches!(cache.get::<u8>(key).await, Err(Error::Store(_))));
    assert!(matches!(cache.lookup::<u8>(key).await, Ok(Lookup::Unavailable(_))));
    let error = cache.get_many::<u8, _>(&lost).await.unwrap_err();
    assert!(error.is_connect() && !error.is_unsupported());
}

#[tokio::test]
async fn a_copy_without_a_node_in_sync_does_not_count_as_refusing_the_command() {
    let (mut servers, copy) = redisdb_tests::copy().await;
    let cache = Cache::builder(copy.clone()).prefix("shop").build().unwrap();
    cache.set("k", &1).await.unwrap();
    let own = copy.on_node("b").unwrap().clone();
    let keys: Vec<String> = own.keys("*").await.unwrap();
    for idx in 0..3 {
        servers[idx].restart(Data::Lose).unwrap();
        let node = copy.nodes().nth(idx).unwrap();
        eventually("it is back", async || node.ready().await.is_ok() && node.incarnation() == 1).await;
    }
    // What all hold alike would be read: here they do not.
    own.set(&keys[0], "something else").await.unwrap();
    let error = cache.get::<u8>("k").await.unwrap_err();
    assert!(matches!(error.store(), Some(redisdb::Error::Unavailable(_))), "{error}");
    assert!(!error.is_unsupported() && !error.may_have_executed(), "{error}");
}

#[tokio::test]
async fn the_keys_of_nodes_that_are_up_are_asked_for_once() {
    let (mut servers, ring) = redisdb_tests::ring().await;
    let cache = Cache::builder(ring.clone()).prefix("shop").build().unwrap();
    let (keys, lost) = keys_of(&ring, "b");
    cache.set_many(keys.iter().zip(0..)).await.unwrap();
    servers[1].kill();
    let asked: Vec<&String> = keys.iter().chain(&keys).collect();
    let found = cache.get_many::<usize, _>(asked).await.unwrap();
    assert_eq!((found.values.len(), found.failed.len()), (2 * (keys.len() - lost.len()), 2 * lost.len()));
    assert!(found.values.iter().all(|(key, value)| **key == keys[*value]));
    for node in ["a", "c"] {
        let info = rows::INFO.cmd().arg("commandstats").take();
        let stats: String = ring.on_node(node).unwrap().each(&rows::INFO, info).await.unwrap();
        let calls = |command: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
            line.map_or(0, |line| line.split(',').next().unwrap().parse::<u32>().unwrap())
        };
        assert_eq!((calls("mget"), calls("get")), (1, 0), "{node}");
    }
}

#[tokio::test]
async fn a_lenient_cache_misses_and_drops_but_does_not_hide_deletions() {
    let (mut servers, ring) = redisdb_tests::ring().await;
    let cache = Cache::builder(ring.clone()).prefix("shop").on_error(OnError::Miss).build().unwrap();
    let (keys, lost) = keys_of(&ring, "b");
    servers[1].kill();

    let batch = cache.set_many(keys.iter().map(|key| (key, 1))).await.unwrap();
    assert_eq!(batch.failed.len(), lost.len());
    let found = cache.get_many::<u8, _>(&keys).await.unwrap();
    assert_eq!((found.values.len(), found.failed.len()), (keys.len() - lost.len(), 0));
    let key = lost.first().unwrap();
    assert_eq!(cache.get::<u8>(key).await.unwrap(), None);
    assert_eq!(cache.set(key, &1).await.unwrap(), Stored::Dropped);
    assert!(matches!(cache.lookup::<u8>(key).await, Ok(Lookup::Unavailable(_))));
    assert_eq!(cache.stats().dropped, lost.len() as u64 + 1);
    assert_eq!(cache.stats().unavailable, lost.len() as u64 + 2);

    assert!(cache.delete(key).await.is_err());
    assert!(cache.add(key, &1).await.is_err());
    assert!(cache.incr(key, 1).await.is_err());
    assert!(cache.touch(key, Ttl::Never).await.is_err());
}

#[tokio::test]
async fn a_store_that_is_down_does_not_stop_a_load() {
    let mut server = Server::start().unwrap();
    let cache = Cache::new(Node::connect(server.url()).await.unwrap());
    server.kill();
    let load = || async { Ok::<_, Infallible>("loaded".to_owned()) };
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, load).await.unwrap(), "loaded");
    server.restart(Data::Lose).unwrap();
    let is_back = async || cache.set_for("k", "set", Duration::from_secs(100)).await.is_ok();
    eventually("the server is back", is_back).await;
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, load).await.unwrap(), "set");
}

#[tokio::test]
async fn who_waits_for_a_load_does_not_wait_for_a_store_that_hangs() {
    let server = Server::start().unwrap();
    let cache = Cache::new(Node::connect(server.url()).await.unwrap());
    server.pause();
    let load = || async { Ok::<_, Infallible>(1) };
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, load).await.unwrap(), 1);
    assert_eq!((cache.stats().unavailable, cache.stats().dropped), (1, 0), "the write is still under way");
    eventually("the write is given up", async || cache.stats().dropped == 1).await;
    server.resume();
    eventually("it answers", async || cache.get::<u8>("k").await.is_ok()).await;
}

#[tokio::test]
async fn a_server_that_hangs_is_a_timeout() {
    let server = Server::start().unwrap();
    let cache = Cache::new(Node::connect(server.url()).await.unwrap());
    server.pause();
    let error = cache.get::<u8>("k").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    server.resume();
    eventually("it answers", async || cache.get::<u8>("k").await.is_ok()).await;
}

#[tokio::test]
async fn a_copy_with_a_node_down_answers_everything() {
    let (mut servers, copy) = redisdb_tests::copy().await;
    let cache = Cache::new(copy);
    let keys: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    cache.set_many(keys.iter().map(|key| (key, 1))).await.unwrap();
    servers[1].kill();
    assert_eq!(cache.get_many::<u8, _>(&keys).await.unwrap().values.len(), 40);
    let batch = cache.set_many(keys.iter().map(|key| (key, 2))).await.unwrap();
    assert_eq!((batch.n_done, batch.failed.len()), (40, 0));
    let Stored::Written(replies) = cache.set("k", &2).await.unwrap() else { panic!("it was dropped") };
    assert_eq!(replies.failures().map(|(node, _)| node).collect::<Vec<_>>(), ["b"]);
    let found = cache.get_many::<u8, _>(&keys).await.unwrap();
    assert!(found.values.iter().all(|(_, value)| *value == 2));
    assert_eq!(cache.delete_many(&keys).await.unwrap().n_deleted, 40);
}

#[tokio::test]
async fn a_node_that_is_down_is_not_cleared_and_named() {
    let (mut servers, ring) = redisdb_tests::ring().await;
    let cache = Cache::builder(ring.clone()).prefix("shop").build().unwrap();
    let (keys, lost) = keys_of(&ring, "b");
    cache.set_many(keys.iter().map(|key| (key, 1))).await.unwrap();
    servers[1].kill();
    let mut last = SweepProgress::default();
    let swept = cache.clear().on_progress(|progress| last = progress).await.unwrap();
    assert_eq!(swept.n_deleted, (keys.len() - lost.len()) as u64);
    assert_eq!((last.n_deleted, last.n_servers_done, last.n_servers), (swept.n_deleted, 3, 3));
    assert!(matches!(&swept.failed[..], [(node, error)] if node == "b" && error.is_connect()));
    servers[0].kill();
    servers[2].kill();
    assert!(cache.clear().await.is_err());
}

#[tokio::test]
async fn what_is_counted_and_cleared_on_a_copy_is_so_on_all_nodes() {
    let (_servers, copy) = redisdb_tests::copy().await;
    let cache = Cache::builder(copy.clone()).prefix("shop").build().unwrap();
    cache.incr_from("k", 1, 41, Ttl::Default).await.unwrap();
    let each = copy.on_each(|node| async move { node.get::<i64>("shop:1:k").await }).await;
    assert_eq!(each.successes().map(|(_, n)| *n).collect::<Vec<_>>(), [Some(42); 3]);
    assert_eq!(cache.clear().await.unwrap().n_deleted, 1);
    let each = copy.on_each(|node| async move { node.get::<i64>("shop:1:k").await }).await;
    assert_eq!(each.successes().map(|(_, n)| *n).collect::<Vec<_>>(), [None; 3]);
}

#[tokio::test]
async fn keys_are_looked_for_as_they_are_asked_for() {
    let server = Server::start().unwrap();
    let node = Node::connect(server.url()).await.unwrap();
    let cache = Cache::builder(node.clone()).prefix("shop").build().unwrap();
    cache.set_many((0..5000).map(|i| (format!("k{i}"), i))).await.unwrap();
    let scans = async || {
        let stats: String =
            node.each(&rows::INFO, rows::INFO.cmd().arg("commandstats").take()).await.unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls="));
        calls.map_or(0, |calls| calls.split(',').next().unwrap().parse::<u32>().unwrap())
    };
    let mut keys = cache.keys("*");
    assert_eq!(scans().await, 0);
    keys.next().await.unwrap().unwrap();
    assert_eq!(scans().await, 1);
    assert_eq!(keys.count().await, 4999);
    assert!(5 <= scans().await);
}

#[tokio::test]
async fn the_last_handle_stops_the_loads() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let server = Server::start().unwrap();
    let cache = Cache::new(Node::connect(server.url()).await.unwrap());
    let (stopped, guard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (held, begun) = (Dropped(Arc::clone(&stopped)), Arc::clone(&guard));
    let load = || async move {
        let _held = held;
        begun.store(true, Ordering::SeqCst);
        std::future::pending::<Result<u8, Infallible>>().await
    };
    let caller = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get_or_set_with("k", Ttl::Default, load).await })
    };
    eventually("it loads", async || guard.load(Ordering::SeqCst)).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(!stopped.load(Ordering::SeqCst), "a caller that goes away stops nothing");
    drop(cache);
    eventually("it is stopped", async || stopped.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_tag_chooses_the_node_and_braces_in_a_key_do_not() {
    let ring = super::ring().await;
    let cache = Cache::builder(ring.clone()).prefix("tags").build().unwrap();
    for i in 0..40 {
        cache.set(format!("{{x}}{i}"), &i).await.unwrap();
        cache.set(Key::tagged("x", &i.to_string()), &i).await.unwrap();
    }
    let keys = |pattern: &'static str| {
        let ring = ring.clone();
        async move {
            let each = ring.on_each(|node| async move { node.keys::<String>(pattern).await }).await;
            each.successes().map(|(_, keys)| keys.len()).collect::<Vec<_>>()
        }
    };
    let with_braces = keys("tags:1:%7Bx%7D*").await;
    assert!(with_braces.iter().all(|n| 0 < *n), "{with_braces:?}");
    assert_eq!(with_braces.iter().sum::<usize>(), 40);
    let mut tagged = keys("tags:1:{x}*").await;
    tagged.sort_unstable();
    assert_eq!(tagged, [0, 0, 40]);
}

#[tokio::test]
async fn no_key_chooses_a_node_of_a_ring_with_other_delimiters() {
    let servers = Servers::start(3).unwrap();
    let urls = servers.urls();
    let over = || {
        let ring = RedisRing::builder();
        ["a", "b", "c"].iter().zip(&urls).fold(ring, |ring, (name, url)| ring.node(*name, url))
    };
    let ring = over().hash_tag(HashTag::Delimiters { open: b'<', close: b'>' }).connect().await.unwrap();
    let cache = Cache::builder(ring.clone()).prefix("tags").build().unwrap();
    let owners = |names: Vec<String>| {
        let owners: HashSet<_> = names.iter().map(|name| ring.node_for(name).name().to_owned()).collect();
        owners.len()
    };
    let keys = async |ring: &RedisRing, pattern: &str| {
        let each = ring.on_each(|node| async move { node.keys::<String>(pattern).await }).await;
        each.successes().flat_map(|(_, keys)| keys.clone()).collect::<Vec<_>>()
    };
    for i in 0..40 {
        cache.set(format!("<x>{i}"), &i).await.unwrap();
        cache.set(Key::tagged("x", &i.to_string()), &i).await.unwrap();
    }
    assert_eq!(owners(keys(&ring, "tags:1:%3Cx%3E*").await), 3);
    let tagged = keys(&ring, "tags:1:<x>*").await;
    assert_eq!((tagged.len(), owners(tagged)), (40, 1));

    // The ring in use: the same cache after the topology was replaced.
    ring.replace(over().hash_tag(HashTag::Delimiters { open: b'[', close: b']' })).unwrap();
    for i in 0..40 {
        cache.set(format!("[y]{i}"), &i).await.unwrap();
        assert_eq!(cache.get(format!("[y]{i}")).await.unwrap(), Some(i));
    }
    let found = keys(&ring, "tags:1:%5By%5D*").await;
    assert_eq!((found.len(), owners(found)), (40, 3));
}

#[tokio::test]
async fn no_error_and_no_debug_shows_the_password() {
    let server = Server::builder().password("very-secret").start().unwrap();
    assert!(server.url().contains("very-secret"));
    let node = Node::connect(server.url()).await.unwrap();
    let builder = Cache::builder(node).prefix("shop");
    let shown = format!("{builder:?}");
    let cache = builder.build().unwrap();
    cache.set("k", "hidden-value").await.unwrap();
    let error = cache.get::<Vec<u8>>("k").await.unwrap_err();
    let all = format!("{shown}{cache:?}{error}{error:?}{:?}", cache.stats());
    assert!(!all.contains("very-secret") && !all.contains("hidden-value"), "{all}");
}

#[tokio::test]
async fn what_is_cleared_on_a_ring_does_not_come_back_with_a_former_owner() {
    let servers = Servers::start(3).unwrap();
    let of = |n: usize| {
        let nodes = redisdb_tests::NAMES.iter().zip(servers.urls()).take(n);
        nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, &url))
    };
    let ring = of(2).connect().await.unwrap();
    let cache = Cache::builder(ring.clone()).prefix("shop").build().unwrap();
    let keys: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    cache.set_many(keys.iter().map(|key| (key, 1))).await.unwrap();
    ring.replace(of(3)).unwrap();
    cache.set("k0", &2).await.unwrap();
    assert!(40 <= cache.clear().await.unwrap().n_deleted);
    ring.replace(of(2)).unwrap();
    assert!(cache.get_many::<u8, _>(&keys).await.unwrap().values.is_empty());
}

//! All keys of a cache, and those that match a pattern.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::TryStreamExt;
use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::FoundKey;
use redisdb_cache::Key;
use redisdb_cache::SweepProgress;
use redisdb_node::Scan;

use super::basics::again;
use super::basics::prefix;

async fn fill<E: Scan>(cache: &Cache<E>, n: usize) {
    let batch = cache.set_many((0..n).map(|i| (format!("k{i}"), i))).await.unwrap();
    assert_eq!(batch.n_done, n);
}

pub(super) async fn clear_deletes_all_of_its_own_and_nothing_else<E: Scan + Clone + Send>(cache: Cache<E>) {
    let other = again(&cache).prefix(format!("{} other", prefix(&cache))).build().unwrap();
    let longer = again(&cache).prefix(format!("{}:1", prefix(&cache))).build().unwrap();
    other.set("k", &1).await.unwrap();
    longer.set("k", &1).await.unwrap();
    fill(&cache, 2500).await;
    cache.with_version(12).set("k", &1).await.unwrap();
    cache.set(Key::tagged("t", "k"), &1).await.unwrap();
    let swept = cache.clear().await.unwrap();
    assert!(swept.failed.is_empty());
    assert_eq!(swept.n_deleted, 2502);
    assert!(!cache.has_key("k7").await.unwrap());
    assert!(!cache.with_version(12).has_key("k").await.unwrap());
    assert!(other.has_key("k").await.unwrap() && longer.has_key("k").await.unwrap());
    assert_eq!(cache.clear().await.unwrap().n_deleted, 0);
}

pub(super) async fn clear_needs_a_prefix<E: Scan + Clone + Send>(cache: Cache<E>) {
    let bare = again(&cache).prefix("").build().unwrap();
    assert!(matches!(bare.clear().await, Err(Error::Unprefixed)));
    assert!(matches!(bare.delete_pattern("*").await, Err(Error::Unprefixed)));
    cache.close();
    assert!(matches!(cache.clear().await, Err(Error::Closed)));
    assert!(matches!(cache.keys("*").next().await, Some(Err(Error::Closed))));
}

pub(super) async fn a_pattern_deletes_what_matches<E: Scan + Send>(cache: Cache<E>) {
    fill(&cache, 100).await;
    cache.with_version(2).set("k1", &1).await.unwrap();
    assert_eq!(cache.delete_pattern("k1?").await.unwrap().n_deleted, 10);
    assert_eq!(cache.delete_pattern("nothing*").await.unwrap().n_deleted, 0);
    assert_eq!(cache.delete_pattern("k[12]").await.unwrap().n_deleted, 2);
    cache.set("50%{x}", &1).await.unwrap();
    assert_eq!(cache.delete_pattern("50%{*").await.unwrap().n_deleted, 1);
    // What is stored of them has other bytes in it.
    for key in ["100%", "a{x", "7up", "{x"] {
        cache.set(key, &1).await.unwrap();
    }
    assert_eq!(cache.delete_pattern("*5").await.unwrap().n_deleted, 9, "k5, k25, ..");
    assert_eq!(cache.delete_pattern("*B*").await.unwrap().n_deleted, 0);
    assert_eq!(cache.delete_pattern("[{}]*").await.unwrap().n_deleted, 1);
    assert_eq!(cache.keys("10??").try_collect::<Vec<_>>().await.unwrap().len(), 1);
    for key in ["100%", "a{x", "7up"] {
        assert!(cache.delete(key).await.unwrap(), "{key}");
    }
    assert_eq!(cache.delete_pattern("*").await.unwrap().n_deleted, 79);
    assert!(cache.with_version(2).has_key("k1").await.unwrap());
}

pub(super) async fn a_prefix_is_taken_literally<E: Scan + Clone + Send>(cache: Cache<E>) {
    let stars = again(&cache).prefix(format!("{} *[a]?", prefix(&cache))).build().unwrap();
    let other = again(&cache).prefix(format!("{} xxax", prefix(&cache))).build().unwrap();
    stars.set("k", &1).await.unwrap();
    other.set("k", &1).await.unwrap();
    assert_eq!(stars.clear().await.unwrap().n_deleted, 1);
    assert!(other.has_key("k").await.unwrap());
}

pub(super) async fn keys_are_found_as_they_were_given<E: Scan + Send>(cache: Cache<E>) {
    for key in ["a", "b:c", "50%{x}", "ключ"] {
        cache.set(key, &1).await.unwrap();
    }
    cache.set(Key::tagged("t}", "k"), &1).await.unwrap();
    cache.with_version(2).set("d", &1).await.unwrap();
    let found: Vec<FoundKey> = cache.keys("*").try_collect().await.unwrap();
    let shown: BTreeSet<_> =
        found.iter().map(|key| String::from_utf8_lossy(key.name()).into_owned()).collect();
    assert_eq!(shown, ["a", "b:c", "50%{x}", "ключ", "k"].map(str::to_owned).into());
    assert_eq!(found.iter().find_map(|key| key.tag()), Some(b"t}".as_slice()));
    assert_eq!(cache.get_many::<u8, _>(&found).await.unwrap().values.len(), found.len());
    let some: Vec<FoundKey> = cache.keys("b:*").try_collect().await.unwrap();
    assert_eq!(some.len(), 1);
}

pub(super) async fn keys_that_come_during_a_scan_are_no_error<E: Scan + Send>(cache: Cache<E>) {
    fill(&cache, 3000).await;
    let mut found = BTreeSet::new();
    let mut keys = cache.keys("*");
    // Lazy: keys come while the stream waits between two of its steps.
    while let Some(key) = keys.try_next().await.unwrap() {
        if found.insert(key) && found.len() % 500 == 1 {
            cache.set(format!("new{}", found.len()), &1).await.unwrap();
        }
    }
    let stayed = found.iter().filter(|key| key.name().starts_with(b"k")).count();
    assert_eq!(stayed, 3000);
}

pub(super) async fn the_progress_of_a_sweep_is_told<E: Scan + Clone + Send>(cache: Cache<E>) {
    fill(&cache, 2500).await;
    let mut told: Vec<SweepProgress> = Vec::new();
    let swept = cache.clear().step(100).on_progress(|progress| told.push(progress)).await.unwrap();
    assert_eq!(swept.n_deleted, 2500);
    let last = told.last().unwrap();
    assert_eq!(last.n_deleted, 2500);
    assert_eq!(last.n_servers_done, last.n_servers);
    // Others use these servers at the same time, so no more can be said of all their keys.
    assert!(2500 <= last.n_keys && last.n_seen == last.n_keys, "{last:?}");
    assert!(25 <= told.len(), "told in {} steps", told.len());
    assert!(told.is_sorted_by_key(|progress| (progress.n_deleted, progress.n_seen, progress.n_servers_done)));
    assert!(told.iter().any(|progress| 0 < progress.n_deleted && progress.n_deleted < 2500));
    assert!(told.iter().all(|progress| progress.n_seen <= progress.n_keys));
}

//! Counting.

use std::time::Duration;
use std::time::SystemTime;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::TimeToLive;
use redisdb_cache::Ttl;
use redisdb_node::RunScript;

use super::AHEAD;

pub(super) async fn a_counter_counts<E: RunScript>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    assert_eq!(cache.incr("k", 1).await.unwrap(), 2);
    assert_eq!(cache.incr("k", 10).await.unwrap(), 12);
    assert_eq!(cache.incr("k", -10).await.unwrap(), 2);
    assert_eq!(cache.decr("k", 1).await.unwrap(), 1);
    assert_eq!(cache.decr("k", -10).await.unwrap(), 11);
    assert_eq!(cache.get("k").await.unwrap(), Some(11));
}

pub(super) async fn a_counter_that_is_not_there_is_missing<E: RunScript>(cache: Cache<E>) {
    assert!(matches!(cache.incr("k", 1).await, Err(Error::Missing(_))));
    assert!(matches!(cache.decr("k", 1).await, Err(Error::Missing(_))));
    cache.set("k", &1).await.unwrap();
    assert!(matches!(cache.with_version(2).incr("k", 1).await, Err(Error::Missing(_))));
    assert!(!cache.with_version(2).has_key("k").await.unwrap());
}

pub(super) async fn what_is_no_number_is_not_counted<E: RunScript>(cache: Cache<E>) {
    cache.set("k", &None::<i64>).await.unwrap();
    assert!(matches!(cache.incr("k", 1).await, Err(Error::Store(_))));
    assert!(matches!(cache.incr_from("k", 1, 0, Ttl::Default).await, Err(Error::Store(_))));
    assert_eq!(cache.get::<Option<i64>>("k").await.unwrap(), Some(None));
}

pub(super) async fn a_counter_keeps_its_time<E: RunScript>(cache: Cache<E>) {
    cache.set_for("k", &1, Duration::from_secs(1000)).await.unwrap();
    cache.incr("k", 1).await.unwrap();
    assert!(Duration::from_secs(900) < cache.ttl("k").await.unwrap().duration().unwrap());
    cache.set_for("k", &1, Ttl::Never).await.unwrap();
    cache.decr("k", 1).await.unwrap();
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
}

pub(super) async fn an_overflow_changes_nothing<E: RunScript>(cache: Cache<E>) {
    cache.set("k", &i64::MAX).await.unwrap();
    assert!(matches!(cache.incr("k", 1).await, Err(Error::Store(_))));
    assert!(matches!(cache.incr_from("k", 1, 0, Ttl::Default).await, Err(Error::Store(_))));
    assert_eq!(cache.get("k").await.unwrap(), Some(i64::MAX));
    assert!(matches!(cache.decr("k", i64::MIN).await, Err(Error::Store(_))));
    assert!(matches!(cache.incr_from("new", i64::MAX, 1, Ttl::Never).await, Err(Error::Store(_))));
    assert!(!cache.has_key("new").await.unwrap());
}

pub(super) async fn large_numbers_are_exact<E: RunScript>(cache: Cache<E>) {
    // A float, which a script makes of numbers, cannot hold these.
    cache.set("k", &(i64::MAX - 2)).await.unwrap();
    assert_eq!(cache.incr("k", 1).await.unwrap(), i64::MAX - 1);
    assert_eq!(cache.incr_from("l", 1, i64::MAX - 2, Ttl::Default).await.unwrap(), i64::MAX - 1);
}

pub(super) async fn a_counter_starts_where_it_is_told<E: RunScript>(cache: Cache<E>) {
    assert_eq!(cache.incr_from("k", 2, 40, Duration::from_secs(1000)).await.unwrap(), 42);
    assert_eq!(cache.incr_from("k", 2, 40, Ttl::Never).await.unwrap(), 44);
    let left = cache.ttl("k").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(900) < left && left <= Duration::from_secs(1000) + AHEAD);
    assert_eq!(cache.incr_from("l", -1, 0, Ttl::Never).await.unwrap(), -1);
    assert_eq!(cache.ttl("l").await.unwrap(), TimeToLive::Persistent);
    let in_an_hour = SystemTime::now() + Duration::from_secs(3600);
    cache.incr_from("at", 1, 0, in_an_hour).await.unwrap();
    let left = cache.ttl("at").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(3500) < left && left <= Duration::from_secs(3601));
    assert_eq!(cache.incr_from("m", 1, 0, Duration::ZERO).await.unwrap(), 1);
    assert!(!cache.has_key("m").await.unwrap());
}

pub(super) async fn a_hundred_callers_count_exactly<E: RunScript + Send + 'static>(cache: Cache<E>) {
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.incr_from("k", 3, 0, Duration::from_secs(1000)).await.unwrap() })
        })
        .collect();
    let mut sums = Vec::new();
    for caller in callers {
        sums.push(caller.await.unwrap());
    }
    sums.sort_unstable();
    assert!(sums.into_iter().eq((1..=100).map(|n| 3 * n)));
    assert!(cache.ttl("k").await.unwrap().duration().is_some());
}

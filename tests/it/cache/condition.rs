//! Values that are stored if something, or nothing, is there.

use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::TimeToLive;
use redisdb_cache::Ttl;
use redisdb_node::Execute;
use redisdb_tests::eventually;

use super::basics::Unserializable;

use super::AHEAD;

pub(super) async fn add_sets_what_is_not_there<E: Execute>(cache: Cache<E>) {
    assert!(cache.add("k", "a").await.unwrap());
    assert!(!cache.add("k", "b").await.unwrap());
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("a"));
    assert!(cache.with_version(2).add("k", "c").await.unwrap());
    let left = cache.ttl("k").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(200) < left && left <= Duration::from_secs(300) + AHEAD);
}

pub(super) async fn add_after_the_end_sets<E: Execute>(cache: Cache<E>) {
    cache.set_for("k", &1, Duration::from_millis(50)).await.unwrap();
    eventually("it expires", async || cache.add("k", &2).await.unwrap()).await;
    assert_eq!(cache.get("k").await.unwrap(), Some(2));
}

pub(super) async fn add_for_no_time_stores_nothing<E: Execute>(cache: Cache<E>) {
    assert!(cache.add_for("k", &1, Duration::ZERO).await.unwrap());
    assert!(!cache.has_key("k").await.unwrap());
    cache.set("k", &1).await.unwrap();
    assert!(!cache.add_for("k", &2, Duration::ZERO).await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
}

pub(super) async fn add_without_end_stays<E: Execute>(cache: Cache<E>) {
    assert!(cache.add_for("k", &1, Ttl::Never).await.unwrap());
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
}

pub(super) async fn replace_sets_what_is_there<E: Execute>(cache: Cache<E>) {
    assert!(!cache.replace("k", &1).await.unwrap());
    assert!(!cache.has_key("k").await.unwrap());
    cache.set("k", &1).await.unwrap();
    assert!(cache.replace("k", &2).await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Some(2));
    assert!(cache.replace_for("k", &3, Duration::ZERO).await.unwrap());
    assert!(!cache.has_key("k").await.unwrap());
}

pub(super) async fn an_unserializable_value_is_not_added<E: Execute>(cache: Cache<E>) {
    assert!(matches!(cache.add("k", &Unserializable).await, Err(Error::Encode(_))));
    assert!(!cache.has_key("k").await.unwrap());
}

//! The life of an entry.

use std::time::Duration;
use std::time::SystemTime;

use redisdb_cache::Cache;
use redisdb_cache::TimeToLive;
use redisdb_cache::Ttl;
use redisdb_node::Execute;
use redisdb_tests::eventually;

use super::AHEAD;

const MINUTE: Duration = Duration::from_secs(60);

/// Checks what is left of a life that has just begun.
async fn check_left<E: Execute>(cache: &Cache<E>, life: Duration) {
    let left = cache.ttl("k").await.unwrap().duration().unwrap();
    assert!(life - Duration::from_secs(30) < left && left <= life + AHEAD, "{left:?} of {life:?}");
}

pub(super) async fn an_entry_expires<E: Execute>(cache: Cache<E>) {
    cache.set_for("k", &1, Duration::from_millis(100)).await.unwrap();
    eventually("it expires", async || cache.get::<u8>("k").await.unwrap().is_none()).await;
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Missing);
    cache.set_for("k", &1, SystemTime::now() + Duration::from_millis(100)).await.unwrap();
    eventually("it expires", async || cache.get::<u8>("k").await.unwrap().is_none()).await;
}

pub(super) async fn a_short_life_is_not_none<E: Execute>(cache: Cache<E>) {
    // It was stored, and went by itself: with a life of zero this would be a deletion.
    cache.set_for("k", &1, Ttl::Never).await.unwrap();
    cache.set_for("k", &2, Duration::from_micros(1)).await.unwrap();
    eventually("it expires", async || cache.get::<u8>("k").await.unwrap().is_none()).await;
}

pub(super) async fn the_default_time_is_five_minutes<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    check_left(&cache, 5 * MINUTE).await;
}

pub(super) async fn the_time_of_the_call_counts<E: Execute>(cache: Cache<E>) {
    cache.set_for("k", &1, 10 * MINUTE).await.unwrap();
    check_left(&cache, 10 * MINUTE).await;
    cache.set_for("k", &1, SystemTime::now() + 20 * MINUTE).await.unwrap();
    // An instant is kept to the end of its millisecond.
    check_left(&cache, 20 * MINUTE + Duration::from_millis(1)).await;
}

pub(super) async fn an_entry_without_end_stays<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    cache.set_for("k", &1, Ttl::Never).await.unwrap();
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
}

pub(super) async fn a_life_of_zero_removes<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    cache.set_for("k", &2, Duration::ZERO).await.unwrap();
    assert_eq!(cache.get::<u8>("k").await.unwrap(), None);
    cache.set("k", &1).await.unwrap();
    cache.set_for("k", &2, SystemTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(cache.get::<u8>("k").await.unwrap(), None);
}

pub(super) async fn a_long_life_counts_from_now<E: Execute>(cache: Cache<E>) {
    cache.set_for("k", &1, 60 * 24 * 31 * MINUTE).await.unwrap();
    check_left(&cache, 60 * 24 * 31 * MINUTE).await;
    cache.set_for("k", &1, Duration::MAX).await.unwrap();
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
}

pub(super) async fn the_time_left_is_told<E: Execute>(cache: Cache<E>) {
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Missing);
    cache.set_for("k", &1, Duration::from_millis(90_500)).await.unwrap();
    check_left(&cache, Duration::from_millis(90_500)).await;
}

pub(super) async fn touch_changes_the_time<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    assert!(cache.touch("k", 10 * MINUTE).await.unwrap());
    check_left(&cache, 10 * MINUTE).await;
    assert!(cache.touch("k", Ttl::Default).await.unwrap());
    check_left(&cache, 5 * MINUTE).await;
    assert!(cache.touch("k", Ttl::Never).await.unwrap());
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
    assert!(cache.touch("k", MINUTE).await.unwrap());
    check_left(&cache, MINUTE).await;
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
}

pub(super) async fn touch_says_whether_there_is_a_value<E: Execute>(cache: Cache<E>) {
    assert!(!cache.touch("k", MINUTE).await.unwrap());
    assert!(!cache.touch("k", Ttl::Never).await.unwrap());
    assert!(!cache.touch("k", Duration::ZERO).await.unwrap());
    assert!(!cache.persist("k").await.unwrap());
    cache.set_for("k", &1, Ttl::Never).await.unwrap();
    assert!(cache.touch("k", Ttl::Never).await.unwrap());
    assert!(cache.persist("k").await.unwrap());
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
}

pub(super) async fn a_touch_of_zero_deletes<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    assert!(cache.touch("k", Duration::ZERO).await.unwrap());
    assert!(!cache.has_key("k").await.unwrap());
}

pub(super) async fn an_instant_is_kept_to<E: Execute>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    assert!(cache.expire_at("k", SystemTime::now() + 10 * MINUTE).await.unwrap());
    check_left(&cache, 10 * MINUTE + Duration::from_millis(1)).await;
    assert!(cache.expire_at("k", SystemTime::now() + Duration::from_millis(50)).await.unwrap());
    eventually("it expires", async || !cache.has_key("k").await.unwrap()).await;
    cache.set("k", &1).await.unwrap();
    assert!(cache.expire_at("k", SystemTime::UNIX_EPOCH).await.unwrap());
    assert!(!cache.has_key("k").await.unwrap());
    assert!(!cache.expire_at("k", SystemTime::now() + MINUTE).await.unwrap());
}

//! Versions of entries.

use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::TimeToLive;
use redisdb_cache::Ttl;
use redisdb_node::Execute;

use super::AHEAD;

pub(super) async fn a_version_sees_its_own_entries<E: Execute>(cache: Cache<E>) {
    let second = cache.with_version(2);
    cache.set("k", &1).await.unwrap();
    assert_eq!(second.get::<u8>("k").await.unwrap(), None);
    assert!(!second.has_key("k").await.unwrap());
    assert!(!second.delete("k").await.unwrap());
    assert!(!second.touch("k", Ttl::Never).await.unwrap());
    second.set_many([("k", 2), ("l", 3)]).await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
    assert_eq!(cache.get_many::<i32, _>(["k", "l"]).await.unwrap().values, [("k", 1)]);
    assert_eq!(second.get_many::<i32, _>(["k", "l"]).await.unwrap().values, [("k", 2), ("l", 3)]);
    assert_eq!((cache.version(), second.version()), (1, 2));
}

pub(super) async fn a_value_moves_with_what_is_left_of_its_time<E: Execute>(cache: Cache<E>) {
    let second = cache.with_version(2);
    cache.set_for("k", &None::<u8>, Duration::from_secs(1000)).await.unwrap();
    assert_eq!(cache.incr_version("k").await.unwrap(), 2);
    assert!(!cache.has_key("k").await.unwrap());
    assert_eq!(second.get::<Option<u8>>("k").await.unwrap(), Some(None));
    let left = second.ttl("k").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(900) < left && left <= Duration::from_secs(1000) + AHEAD);

    second.set_for("k", &1, Ttl::Never).await.unwrap();
    assert_eq!(second.decr_version("k").await.unwrap(), 1);
    assert!(!second.has_key("k").await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
    assert_eq!(cache.move_to_version("k", 1).await.unwrap(), 1);
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
}

pub(super) async fn nothing_cannot_be_moved<E: Execute>(cache: Cache<E>) {
    assert!(matches!(cache.incr_version("k").await, Err(Error::Missing(_))));
    assert!(matches!(cache.decr_version("k").await, Err(Error::Missing(_))));
}

//! Many keys at once.

use std::collections::HashMap;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::TimeToLive;
use redisdb_node::Execute;

use super::AHEAD;

pub(super) async fn get_many_finds_what_there_is<E: Execute>(cache: Cache<E>) {
    cache.set("a", &Some(1)).await.unwrap();
    cache.set("b", &None::<u8>).await.unwrap();
    cache.set("ключ", &Some(3)).await.unwrap();
    let found = cache.get_many::<Option<u8>, _>(["a", "b", "c", "ключ"]).await.unwrap();
    assert!(found.failed.is_empty());
    assert_eq!(found.into_map(), HashMap::from([("a", Some(1)), ("b", None), ("ключ", Some(3))]));
}

pub(super) async fn get_many_keeps_order_and_duplicates<E: Execute>(cache: Cache<E>) {
    cache.set_many((0..20).map(|i| (format!("k{i}"), i))).await.unwrap();
    let keys: Vec<String> = [7, 3, 19, 3, 0].map(|i| format!("k{i}")).into();
    let found = cache.get_many::<i32, _>(&keys).await.unwrap();
    assert_eq!(found.values.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [7, 3, 19, 3, 0]);
    assert_eq!(found.values[0].0, "k7");
}

pub(super) async fn nothing_asked_is_nothing_found<E: Execute>(cache: Cache<E>) {
    let found = cache.get_many::<i32, &str>([]).await.unwrap();
    assert!(found.values.is_empty() && found.failed.is_empty());
    let batch = cache.set_many(Vec::<(&str, i32)>::new()).await.unwrap();
    assert_eq!((batch.n_done, batch.failed.len()), (0, 0));
}

pub(super) async fn set_many_sets_all<E: Execute>(cache: Cache<E>) {
    let batch = cache.set_many(HashMap::from([("a", "x"), ("b", "y"), ("ключ", "z")])).await.unwrap();
    assert_eq!((batch.n_done, batch.failed.len()), (3, 0));
    for (key, value) in [("a", "x"), ("b", "y"), ("ключ", "z")] {
        assert_eq!(cache.get::<String>(key).await.unwrap().as_deref(), Some(value));
    }
}

pub(super) async fn set_many_keeps_the_time<E: Execute>(cache: Cache<E>) {
    cache.set_many_for([("a", 1), ("b", 2)], Duration::from_secs(60)).await.unwrap();
    for key in ["a", "b"] {
        let left = cache.ttl(key).await.unwrap().duration().unwrap();
        assert!(Duration::from_secs(30) < left && left <= Duration::from_secs(60) + AHEAD);
    }
    cache.set_many_for([("a", 1)], redisdb_cache::Ttl::Never).await.unwrap();
    assert_eq!(cache.ttl("a").await.unwrap(), TimeToLive::Persistent);
    cache.set_many_for([("a", 1), ("b", 2)], Duration::ZERO).await.unwrap();
    assert!(cache.get_many::<i32, _>(["a", "b"]).await.unwrap().values.is_empty());
}

pub(super) async fn a_value_that_fails_does_not_stop_the_others<E: Execute>(cache: Cache<E>) {
    let long = "x".repeat(9 << 20);
    let batch = cache.set_many([("a", "x"), ("b", long.as_str()), ("c", "z")]).await.unwrap();
    assert_eq!(batch.n_done, 2);
    assert!(matches!(&batch.failed[..], [("b", Error::TooLarge(_))]));
    assert!(cache.set_many([("b", long.as_str())]).await.is_err());

    cache.set("b", &true).await.unwrap();
    let found = cache.get_many::<String, _>(["a", "b", "c"]).await.unwrap();
    assert_eq!(found.values.len(), 2);
    assert!(matches!(&found.failed[..], [("b", Error::Decode(_))]));
}

pub(super) async fn delete_many_counts_what_was_there<E: Execute>(cache: Cache<E>) {
    cache.set_many([("a", 1), ("b", 2), ("c", 3)]).await.unwrap();
    let deleted = cache.delete_many(["a", "b", "x"]).await.unwrap();
    assert_eq!((deleted.n_deleted, deleted.failed.len()), (2, 0));
    assert_eq!(cache.get_many::<i32, _>(["a", "b", "c"]).await.unwrap().values, [("c", 3)]);
    let deleted = cache.delete_many(Vec::<String>::new()).await.unwrap();
    assert_eq!((deleted.n_deleted, deleted.failed.len()), (0, 0));
}

pub(super) async fn more_keys_than_a_batch<E: Execute>(cache: Cache<E>) {
    let keys: Vec<String> = (0..2500).map(|i| format!("k{i}")).collect();
    let batch = cache.set_many(keys.iter().zip(0..)).await.unwrap();
    assert_eq!((batch.n_done, batch.failed.len()), (2500, 0));
    let found = cache.get_many::<i32, _>(&keys).await.unwrap();
    assert!(found.values.iter().map(|(_, value)| *value).eq(0..2500));
}

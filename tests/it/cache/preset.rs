//! Caches that were told more than a prefix.

use std::time::Duration;

use redisdb_cache::BuildError;
use redisdb_cache::Cache;
use redisdb_cache::Codec;
use redisdb_cache::TimeToLive;
use redisdb_cache::Ttl;
use redisdb_node::Execute;
use redisdb_node::StringCommands;

use super::basics::again;
use super::basics::prefix;

use super::AHEAD;

pub(super) async fn django_keys_are_those_of_django<E: Execute + Clone>(cache: Cache<E>) {
    let prefix = format!("{} {{django}}", prefix(&cache));
    let cache = Cache::django(cache.store().clone()).prefix(&prefix).version(7).build().unwrap();
    cache.set("a b{c}", "text").await.unwrap();
    cache.set("n", &-5).await.unwrap();
    let store = cache.store();
    let text = store.get::<String>(format!("{prefix}:7:a b{{c}}")).await.unwrap();
    assert_eq!(text.as_deref(), Some("\"text\""));
    assert_eq!(store.get::<String>(format!("{prefix}:7:n")).await.unwrap().as_deref(), Some("-5"));
    assert_eq!(cache.get::<String>("a b{c}").await.unwrap().as_deref(), Some("text"));
    assert_eq!(cache.get("n").await.unwrap(), Some(-5));
    let left = cache.ttl("n").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(200) < left && left <= Duration::from_secs(300) + AHEAD);
    cache.store().set(format!("{prefix}:7:p"), b"\x80\x04pickled").await.unwrap();
    assert!(cache.get::<String>("p").await.unwrap_err().is_decode());
}

pub(super) async fn resilient_lives_are_a_little_shorter<E: Execute + Clone>(cache: Cache<E>) {
    let cache = Cache::resilient(cache.store().clone()).prefix(prefix(&cache)).build().unwrap();
    let mut lives = Vec::new();
    for _ in 0..20 {
        cache.set_for("k", &1, Duration::from_secs(1000)).await.unwrap();
        lives.push(cache.ttl("k").await.unwrap().duration().unwrap());
    }
    let (shortest, longest) = (*lives.iter().min().unwrap(), *lives.iter().max().unwrap());
    // At most ten seconds, and what the test itself takes; by different ones, and one in a thousand by none at all.
    assert!(Duration::from_secs(960) < shortest && longest <= Duration::from_secs(1000));
    assert!(Duration::from_secs(1) < longest - shortest, "{lives:?}");
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
    assert_eq!(cache.get::<String>("k").await.unwrap(), None, "another type is a miss");
}

pub(super) async fn a_string_can_be_bare<E: Execute + Clone>(cache: Cache<E>) {
    let prefix = prefix(&cache);
    let builder = Cache::builder(cache.store().clone()).prefix(&prefix).codec(Codec::Raw);
    let cache = builder.without_envelope().build().unwrap();
    cache.set("k", "text").await.unwrap();
    let stored = cache.store().get::<String>(format!("{}:1:k", prefix)).await.unwrap();
    assert_eq!(stored.as_deref(), Some("text"));
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("text"));
    assert_eq!(cache.get::<Vec<u8>>("k").await.unwrap().as_deref(), Some(b"text".as_slice()));
}

pub(super) async fn what_needs_an_envelope_is_refused_without<E: Execute + Clone>(cache: Cache<E>) {
    let bare = || again(&cache).without_envelope();
    let minute = Duration::from_secs(60);
    assert_eq!(bare().stale_for(minute).build().err(), Some(BuildError::NeedsEnvelope));
    assert_eq!(bare().negative_ttl(minute).build().err(), Some(BuildError::NeedsEnvelope));
}

pub(super) async fn a_time_without_end_can_be_the_default<E: Execute + Clone>(cache: Cache<E>) {
    let cache = again(&cache).default_ttl(Ttl::Never).build().unwrap();
    cache.set("k", &1).await.unwrap();
    assert_eq!(cache.ttl("k").await.unwrap(), TimeToLive::Persistent);
    cache.set_for("k", &1, Duration::from_secs(60)).await.unwrap();
    assert!(cache.ttl("k").await.unwrap().duration().is_some());
}

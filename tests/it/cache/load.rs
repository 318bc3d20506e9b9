//! Values that are loaded.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::LoadError;
use redisdb_cache::Lookup;
use redisdb_cache::Ttl;
use redisdb_node::Execute;
use redisdb_node::StringCommands;
use redisdb_tests::eventually;
use tokio::sync::Semaphore;

use super::basics::Unserializable;
use super::basics::again;
use super::basics::prefix;

/// A loader that waits until it is let through, and counts how often it was called.
#[derive(Clone)]
struct Gate {
    calls: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn closed() -> Self {
        Self { calls: Arc::new(AtomicUsize::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    fn open(&self) {
        self.open.add_permits(1000);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn pass(self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.open.acquire().await.unwrap().forget();
    }

    async fn is_called(&self) {
        eventually("the loader is called", async || 0 < self.calls()).await;
    }
}

async fn ok<T>(value: T) -> Result<T, Infallible> {
    Ok(value)
}

fn load_error<T, S: std::error::Error>(result: Result<T, Error<S>>) -> LoadError {
    match result {
        Err(Error::Load(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was loaded"),
    }
}

/// A value that neither JSON nor MessagePack tells from `None`.
type Nested = Option<Option<u8>>;
const NESTED: Nested = Some(None);

/// A caller in a task of its own.
fn call<E: Execute + Send + 'static>(
    cache: &Cache<E>,
    gate: &Gate,
) -> tokio::task::JoinHandle<Result<String, Error<E::Error>>> {
    let (cache, gate) = (cache.clone(), gate.clone());
    tokio::spawn(async move {
        let load = || async {
            gate.pass().await;
            ok("loaded".to_owned()).await
        };
        cache.get_or_set_with("k", Ttl::Default, load).await
    })
}

pub(super) async fn a_value_is_loaded_once_and_then_found<E: Execute + Send + 'static>(cache: Cache<E>) {
    let load = || ok("a".to_owned());
    assert_eq!(cache.get_or_set_with("k", Duration::from_secs(1000), load).await.unwrap(), "a");
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("a"));
    assert!(Duration::from_secs(900) < cache.ttl("k").await.unwrap().duration().unwrap());
    let again = || ok("b".to_owned());
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, again).await.unwrap(), "a");
    assert_eq!(cache.stats().loads, 1);

    cache.set("null", &None::<u8>).await.unwrap();
    let value = cache.get_or_set_with("null", Ttl::Default, || ok(Some(1u8))).await.unwrap();
    assert_eq!(value, None, "a cached null is a value");
    assert_eq!(cache.get_or_set_with("n", Ttl::Default, || ok(7)).await.unwrap(), 7);
    assert_eq!(cache.get_or_set_with("gone", Duration::ZERO, || ok(7)).await.unwrap(), 7);
    assert!(!cache.has_key("gone").await.unwrap());
}

pub(super) async fn what_does_not_exist_is_noted<E: Execute + Clone + Send + 'static>(cache: Cache<E>) {
    let cache = again(&cache).negative_ttl(Duration::from_secs(1000)).build().unwrap();
    assert_eq!(cache.get_or_set_maybe("k", Ttl::Never, || ok(None::<u8>)).await.unwrap(), None);
    assert_eq!(cache.get_or_set_maybe("k", Ttl::Never, || ok(Some(1))).await.unwrap(), None);
    assert!(matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Negative));
    assert_eq!((cache.stats().negative_hits, cache.stats().hits), (2, 0));
    assert_eq!(cache.get::<u8>("k").await.unwrap(), None);
    assert!(cache.ttl("k").await.unwrap().duration().is_some());
    assert_eq!(cache.stats().loads, 1);
    // Who is sure that there is a value is not stopped by the note.
    assert_eq!(cache.get_or_set_with("k", Ttl::Never, || ok(2)).await.unwrap(), 2);
    assert_eq!(cache.get_or_set_maybe("k", Ttl::Never, || ok(Some(3))).await.unwrap(), Some(2));
}

pub(super) async fn what_does_not_exist_is_asked_for_again_if_not_noted<E: Execute + Send + 'static>(
    cache: Cache<E>,
) {
    for _ in 0..2 {
        assert_eq!(cache.get_or_set_maybe("k", Ttl::Never, || ok(None::<u8>)).await.unwrap(), None);
        assert!(!cache.has_key("k").await.unwrap());
    }
    assert_eq!(cache.stats().loads, 2);
}

pub(super) async fn a_hundred_callers_are_one_load<E: Execute + Send + 'static>(cache: Cache<E>) {
    let gate = Gate::closed();
    let callers: Vec<_> = (0..100).map(|_| call(&cache, &gate)).collect();
    gate.is_called().await;
    // All have found nothing, so all wait for the load or are about to.
    eventually("all have asked", async || cache.stats().misses == 100).await;
    gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "loaded");
    }
    assert_eq!(gate.calls(), 1);
    assert_eq!((cache.stats().loads, cache.stats().joined_loads), (1, 99));
}

pub(super) async fn a_caller_that_goes_away_stops_nothing<E: Execute + Send + 'static>(cache: Cache<E>) {
    let gate = Gate::closed();
    let first = call(&cache, &gate);
    gate.is_called().await;
    let second = call(&cache, &gate);
    eventually("both have asked", async || cache.stats().misses == 2).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.open();
    assert_eq!(second.await.unwrap().unwrap(), "loaded");
    assert_eq!(gate.calls(), 1);
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("loaded"));
}

pub(super) async fn a_panic_is_an_error_to_all_and_the_next_call_loads<E: Execute + Send + 'static>(
    cache: Cache<E>,
) {
    let gate = Gate::closed();
    let panics = {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move {
            let load = || async {
                gate.pass().await;
                // Stops without a trace of a backtrace in the test's output.
                std::panic::resume_unwind(Box::new("the loader's own"));
                #[expect(unreachable_code, reason = "says the type")]
                ok(String::new()).await
            };
            cache.get_or_set_with("k", Ttl::Default, load).await
        })
    };
    gate.is_called().await;
    let waits = call(&cache, &gate);
    eventually("both have asked", async || cache.stats().misses == 2).await;
    gate.open();
    assert!(load_error(panics.await.unwrap()).is_lost());
    assert!(load_error(waits.await.unwrap()).is_lost());
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.joined_loads, stats.failed_loads), (1, 1, 1));
    assert_eq!(call(&cache, &gate).await.unwrap().unwrap(), "loaded");
}

pub(super) async fn a_load_that_is_too_long_is_returned_and_not_stored<
    E: Execute + Clone + Send + 'static,
>(
    cache: Cache<E>,
) {
    let cache = again(&cache).max_stored_len(1000).build().unwrap();
    let long = "x".repeat(1000);
    let value = long.clone();
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, || ok(value)).await.unwrap(), long);
    assert!(!cache.has_key("k").await.unwrap());
    assert_eq!(cache.stats().dropped, 1);
}

pub(super) async fn the_error_of_the_loader_is_told_to_all<E: Execute + Send + 'static>(cache: Cache<E>) {
    let load = || async { Err::<u8, _>(io::Error::other("the database is down")) };
    let result = cache.get_or_set_with("k", Ttl::Default, load).await;
    let error = load_error(result);
    assert!(error.downcast_ref::<io::Error>().is_some());
    assert!(error.to_string().contains("`k`") && error.to_string().contains("the database is down"));
    assert!(!cache.has_key("k").await.unwrap());
    assert_eq!(cache.stats().failed_loads, 1);
}

pub(super) async fn a_loader_that_takes_too_long_is_stopped<E: Execute + Clone + Send + 'static>(
    cache: Cache<E>,
) {
    let cache = again(&cache).load_timeout(Duration::from_millis(50)).build().unwrap();
    assert!(load_error(call(&cache, &Gate::closed()).await.unwrap()).is_timeout());
}

pub(super) async fn a_slow_load_does_not_undo_a_set<E: Execute + Send + 'static>(cache: Cache<E>) {
    let gate = Gate::closed();
    let caller = call(&cache, &gate);
    gate.is_called().await;
    cache.set("k", "set").await.unwrap();
    gate.open();
    assert_eq!(caller.await.unwrap().unwrap(), "loaded");
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("set"));
    assert_eq!((cache.stats().overtaken_loads, cache.stats().dropped), (1, 0));
}

pub(super) async fn a_slow_load_does_not_undo_a_delete<E: Execute + Send + 'static>(cache: Cache<E>) {
    let (old, new) = (Gate::closed(), Gate::closed());
    let caller = call(&cache, &old);
    old.is_called().await;
    cache.delete("k").await.unwrap();
    // Who asks after the deletion does not get what was loaded before it.
    let later = call(&cache, &new);
    new.is_called().await;
    old.open();
    assert_eq!(caller.await.unwrap().unwrap(), "loaded");
    assert!(!cache.has_key("k").await.unwrap());
    new.open();
    assert_eq!(later.await.unwrap().unwrap(), "loaded");
    assert!(cache.has_key("k").await.unwrap());
}

pub(super) async fn a_load_does_not_undo_what_another_cache_set<E: Execute + Clone + Send + 'static>(
    cache: Cache<E>,
) {
    let (other, gate) = (again(&cache).build().unwrap(), Gate::closed());
    let caller = call(&cache, &gate);
    gate.is_called().await;
    other.set("k", "set").await.unwrap();
    gate.open();
    assert_eq!(caller.await.unwrap().unwrap(), "loaded");
    assert_eq!(other.get::<String>("k").await.unwrap().as_deref(), Some("set"));
}

pub(super) async fn a_damaged_value_is_loaded_anew<E: Execute + Send + 'static>(cache: Cache<E>) {
    cache.store().set(format!("{}:1:k", prefix(&cache)), "damaged").await.unwrap();
    assert!(cache.get_or_set_with("k", Ttl::Default, || ok(true)).await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Some(true));
}

pub(super) async fn refresh_loads_whatever_is_there<E: Execute + Send + 'static>(cache: Cache<E>) {
    cache.set("k", &1).await.unwrap();
    assert_eq!(cache.refresh_with("k", Ttl::Default, || ok(2)).await.unwrap(), 2);
    assert_eq!(cache.get("k").await.unwrap(), Some(2));
}

pub(super) async fn a_version_loads_its_own<E: Execute + Send + 'static>(cache: Cache<E>) {
    let second = cache.with_version(2);
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, || ok(1)).await.unwrap(), 1);
    assert_eq!(second.get_or_set_with("k", Ttl::Default, || ok(2)).await.unwrap(), 2);
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
}

pub(super) async fn many_are_loaded_by_one_call<E: Execute>(cache: Cache<E>) {
    type Loaded<S> = Result<HashMap<&'static str, i32>, Error<S>>;
    cache.set("b", &2).await.unwrap();
    let mut asked = Vec::new();
    let load = |missing: Vec<&'static str>| {
        asked.push(missing.clone());
        let values = missing.into_iter().filter(|key| *key != "none").zip([10, 30]);
        async { Loaded::<E::Error>::Ok(values.chain([("uncalled for", 0)]).collect()) }
    };
    let values = cache.get_or_set_many(["c", "b", "none", "a", "c"], Ttl::Default, load).await.unwrap();
    assert_eq!(values, [("c", 10), ("b", 2), ("a", 30)]);
    assert_eq!(asked, [vec!["c", "none", "a"]]);
    assert_eq!(cache.get("a").await.unwrap(), Some(30));
    assert!(!cache.has_key("uncalled for").await.unwrap());

    let never = |_| async { Loaded::<E::Error>::Err(Error::Closed) };
    let values = cache.get_or_set_many(["a", "b"], Ttl::Default, never).await.unwrap();
    assert_eq!(values, [("a", 30), ("b", 2)]);
    assert!(matches!(
        cache.get_or_set_many::<i32, _, _, _>(["x"], Ttl::Default, never).await,
        Err(Error::Closed)
    ));
}

pub(super) async fn a_slow_load_of_many_does_not_undo_writes<E: Execute + Clone>(cache: Cache<E>) {
    type Loaded<S> = Result<HashMap<&'static str, i32>, Error<S>>;
    let other = again(&cache).build().unwrap();
    cache.set("stale type", &true).await.unwrap();
    let load = async |missing: Vec<&'static str>| {
        assert_eq!(missing, ["set", "deleted", "set elsewhere", "stale type", "new"]);
        cache.set("set", &1).await.unwrap();
        cache.delete("deleted").await.unwrap();
        other.set("set elsewhere", &2).await.unwrap();
        Loaded::<E::Error>::Ok(missing.into_iter().map(|key| (key, 9)).collect())
    };
    let keys = ["set", "deleted", "set elsewhere", "stale type", "new"];
    let values = cache.get_or_set_many(keys, Ttl::Default, load).await.unwrap();
    assert!(values.iter().map(|(_, value)| *value).eq([9; 5]));
    let kept = cache.get_many::<i32, _>(keys).await.unwrap();
    assert_eq!(kept.values, [("set", 1), ("set elsewhere", 2), ("stale type", 9), ("new", 9)]);
    assert_eq!((cache.stats().overtaken_loads, cache.stats().dropped), (2, 0));
}

#[derive(Debug, serde::Deserialize)]
struct Odd;

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Unserializable.serialize(serializer)
    }
}

pub(super) async fn an_unserializable_load_is_an_error<E: Execute + Send + 'static>(cache: Cache<E>) {
    let result = cache.get_or_set_with("k", Ttl::Default, || ok(Odd)).await;
    assert!(load_error(result).to_string().contains("it cannot be written"));
    assert!(!cache.has_key("k").await.unwrap());
}

pub(super) async fn what_the_codec_cannot_hold_is_returned_and_not_stored<E: Execute + Send + 'static>(
    cache: Cache<E>,
) {
    for n in 1..=2 {
        assert_eq!(cache.get_or_set_with("k", Ttl::Default, || ok(NESTED)).await.unwrap(), NESTED);
        assert!(!cache.has_key("k").await.unwrap());
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.failed_loads, stats.dropped), (n, 0, n));
    }
    let maybe = cache.get_or_set_maybe("k", Ttl::Default, || ok(Some(NESTED))).await.unwrap();
    assert_eq!(maybe, Some(NESTED));
    assert_eq!(cache.refresh_with("k", Ttl::Default, || ok(NESTED)).await.unwrap(), NESTED);
    type Loaded<S> = Result<HashMap<&'static str, Nested>, Error<S>>;
    let load = async |_| Loaded::<E::Error>::Ok(HashMap::from([("k", NESTED), ("l", Some(Some(1)))]));
    let values = cache.get_or_set_many(["k", "l"], Ttl::Default, load).await.unwrap();
    assert_eq!(values, [("k", NESTED), ("l", Some(Some(1)))]);
    assert!(!cache.has_key("k").await.unwrap());
    assert_eq!(cache.get::<Nested>("l").await.unwrap(), Some(Some(Some(1))));
    assert_eq!(cache.stats().dropped, 5);
}

/// Its `Deserialize` does not take what its `Serialize` gives.
#[derive(Debug, PartialEq)]
struct OneWay;

impl serde::Serialize for OneWay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("one way")
    }
}

impl<'de> serde::Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|_| Self)
    }
}

pub(super) async fn what_could_not_be_read_again_is_returned_and_not_stored<E: Execute + Send + 'static>(
    cache: Cache<E>,
) {
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, || ok(OneWay)).await.unwrap(), OneWay);
    assert!(!cache.has_key("k").await.unwrap());
    assert_eq!((cache.stats().failed_loads, cache.stats().dropped), (0, 1));
}

pub(super) async fn who_waits_for_what_cannot_be_stored_loads_alone<E: Execute + Clone + Send + 'static>(
    cache: Cache<E>,
) {
    let cache = again(&cache).load_timeout(Duration::from_secs(5)).build().unwrap();
    let gate = Gate::closed();
    let call = |value: Result<Nested, &'static str>| {
        let (cache, gate) = (cache.clone(), gate.clone());
        tokio::spawn(async move {
            let load = move || async move {
                gate.pass().await;
                if value == Err("panics") {
                    std::panic::resume_unwind(Box::new("the loader's own"));
                }
                value.map_err(io::Error::other)
            };
            cache.get_or_set_with("k", Ttl::Default, load).await
        })
    };
    let first = call(Ok(NESTED));
    gate.is_called().await;
    let others = [Ok(NESTED), Ok(Some(Some(7))), Err("fails"), Err("panics")].map(call);
    eventually("all have asked", async || cache.stats().misses == 5).await;
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), NESTED);
    let [same, storable, fails, panics] = others;
    assert_eq!(same.await.unwrap().unwrap(), NESTED);
    assert_eq!(storable.await.unwrap().unwrap(), Some(Some(7)));
    assert!(load_error(fails.await.unwrap()).downcast_ref::<io::Error>().is_some());
    assert!(load_error(panics.await.unwrap()).is_lost());
    assert!(!cache.has_key("k").await.unwrap());
    let stats = cache.stats();
    assert_eq!((gate.calls(), stats.loads, stats.failed_loads, stats.dropped), (5, 5, 2, 1));
}

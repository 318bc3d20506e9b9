//! Values whose time is over, but not their grace.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::Error;
use redisdb_cache::Lookup;
use redisdb_node::Execute;
use redisdb_tests::eventually;

use super::basics::again;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(1000);

/// A cache with a grace, and the key `k` with a stale `1`.
async fn stale<E: Execute + Clone + Send + 'static>(cache: Cache<E>, grace: Duration) -> Cache<E> {
    let cache = again(&cache).stale_for(grace).refresh_pause(LONG).build().unwrap();
    let load = || async { Ok::<_, Infallible>(1) };
    assert_eq!(cache.get_or_set_with("k", SHORT, load).await.unwrap(), 1);
    let is_over = async || !matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Hit(_));
    eventually("its time is over", is_over).await;
    cache
}

pub(super) async fn a_stale_value_is_served_and_loaded_once<E: Execute + Clone + Send + 'static>(
    cache: Cache<E>,
) {
    let cache = stale(cache, LONG).await;
    assert!(matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Stale(1)));
    assert_eq!(cache.get::<u8>("k").await.unwrap(), None);
    let (calls, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
    for _ in 0..10 {
        let (calls, open) = (Arc::clone(&calls), Arc::clone(&open));
        let load = || async move {
            calls.fetch_add(1, Ordering::SeqCst);
            open.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(2)
        };
        assert_eq!(cache.get_or_set_with("k", LONG, load).await.unwrap(), 1);
    }
    open.add_permits(1000);
    eventually("it is refreshed", async || cache.get("k").await.unwrap() == Some(2)).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

pub(super) async fn a_stale_value_goes_after_its_grace<E: Execute + Clone + Send + 'static>(cache: Cache<E>) {
    let cache = stale(cache, SHORT).await;
    eventually("its grace is over", async || !cache.has_key("k").await.unwrap()).await;
    let fails = || async { Err::<u8, _>(io::Error::other("down")) };
    assert!(cache.get_or_set_with("k", LONG, fails).await.is_err());
}

pub(super) async fn a_failed_refresh_keeps_the_stale_value_and_rests<E: Execute + Clone + Send + 'static>(
    cache: Cache<E>,
) {
    let cache = stale(cache, LONG).await;
    let fails = || async { Err::<u8, _>(io::Error::other("down")) };
    assert_eq!(cache.get_or_set_with("k", LONG, fails).await.unwrap(), 1);
    eventually("it fails", async || cache.stats().failed_loads == 1).await;
    assert_eq!(cache.get_or_set_with("k", LONG, fails).await.unwrap(), 1);
    assert_eq!(cache.stats().loads, 2, "the first load, and one refresh");
    // A value that is set ends the rest.
    cache.set("k", &3).await.unwrap();
    assert_eq!(cache.get_or_set_with("k", LONG, fails).await.unwrap(), 3);
}

pub(super) async fn a_refresh_that_cannot_be_stored_keeps_the_stale_value_and_rests<
    E: Execute + Clone + Send + 'static,
>(
    cache: Cache<E>,
) {
    let cache = stale(cache, LONG).await;
    let load = || async { Ok::<_, Infallible>(Some(None::<u8>)) };
    assert_eq!(cache.get_or_set_with("k", LONG, load).await.unwrap(), Some(Some(1)));
    eventually("it is not stored", async || cache.stats().dropped == 1).await;
    assert_eq!(cache.get_or_set_with("k", LONG, load).await.unwrap(), Some(Some(1)));
    assert_eq!((cache.stats().loads, cache.stats().failed_loads), (2, 0));
}

pub(super) async fn a_refresh_that_panics_rests<E: Execute + Clone + Send + 'static>(cache: Cache<E>) {
    let cache = stale(cache, LONG).await;
    let panics = || async {
        // Stops without a trace of a backtrace in the test's output.
        std::panic::resume_unwind(Box::new("the loader's own"));
        #[expect(unreachable_code, reason = "says the type")]
        Ok::<u8, Infallible>(2)
    };
    assert_eq!(cache.get_or_set_with("k", LONG, panics).await.unwrap(), 1);
    eventually("it fails", async || cache.stats().failed_loads == 1).await;
    assert_eq!(cache.get_or_set_with("k", LONG, panics).await.unwrap(), 1);
    assert_eq!(cache.stats().loads, 2, "the first load, and one refresh");
}

pub(super) async fn many_that_were_loaded_become_stale<E: Execute + Clone + Send + 'static>(cache: Cache<E>) {
    let cache = again(&cache).stale_for(LONG).build().unwrap();
    let load = |keys: Vec<&'static str>| async {
        Ok::<_, Error<E::Error>>(keys.into_iter().map(|key| (key, 1)).collect::<HashMap<_, _>>())
    };
    assert_eq!(cache.get_or_set_many(["k"], SHORT, load).await.unwrap(), [("k", 1)]);
    let is_over = async || matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Stale(1));
    eventually("its time is over", is_over).await;
    // A loader is there, so what is stale is loaded anew.
    let again = |keys: Vec<&'static str>| async {
        Ok::<_, Error<E::Error>>(keys.into_iter().map(|key| (key, 2)).collect::<HashMap<_, _>>())
    };
    // A loader that fails takes no old value away, which is no answer for another key.
    let fails =
        |_: Vec<&'static str>| async { Err::<HashMap<&'static str, i32>, Error<E::Error>>(Error::Closed) };
    assert_eq!(cache.get_or_set_many(["k"], LONG, fails).await.unwrap(), [("k", 1)]);
    assert!(cache.get_or_set_many(["k", "none"], LONG, fails).await.is_err());
    assert_eq!((cache.stats().loads, cache.stats().failed_loads), (3, 2));
    assert_eq!(cache.get_or_set_many(["k"], LONG, again).await.unwrap(), [("k", 2)]);
    assert_eq!(cache.get("k").await.unwrap(), Some(2));
}

//! One key, one value.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_cache::CacheBuilder;
use redisdb_cache::DecodeReason;
use redisdb_cache::Error;
use redisdb_cache::Key;
use redisdb_cache::Lookup;
use redisdb_cache::OnUndecodable;
use redisdb_cache::Ttl;
use redisdb_node::Execute;
use redisdb_node::ListCommands;
use redisdb_node::StringCommands;
use redisdb_tests::eventually;
use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;
use serde::de::DeserializeOwned;
use serde::ser;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u8>,
}

async fn round_trip<E: Execute, T>(cache: &Cache<E>, value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    cache.set("k", &value).await.unwrap();
    assert_eq!(cache.get::<T>("k").await.unwrap().as_ref(), Some(&value));
}

pub(super) async fn what_was_set_is_found<E: Execute>(cache: Cache<E>) {
    round_trip(&cache, "v".to_owned()).await;
    assert_eq!(cache.lookup("k").await.unwrap().into_value(), Some("v".to_owned()));
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 0));
}

pub(super) async fn what_was_never_set_is_missing<E: Execute>(cache: Cache<E>) {
    assert_eq!(cache.get::<String>("k").await.unwrap(), None);
    assert_eq!(cache.get("k").await.unwrap().unwrap_or(7), 7);
    assert!(matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Miss));
    assert_eq!((cache.stats().hits, cache.stats().misses), (0, 3));
}

pub(super) async fn a_null_is_a_value<E: Execute>(cache: Cache<E>) {
    cache.set("k", &None::<String>).await.unwrap();
    assert_eq!(cache.get::<Option<String>>("k").await.unwrap(), Some(None));
    assert!(matches!(cache.lookup::<Option<u8>>("k").await.unwrap(), Lookup::Hit(None)));
}

pub(super) async fn the_last_value_counts<E: Execute>(cache: Cache<E>) {
    cache.set("k", "a").await.unwrap();
    cache.set("k", "b").await.unwrap();
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("b"));
}

pub(super) async fn every_type_comes_back<E: Execute>(cache: Cache<E>) {
    round_trip(&cache, String::new()).await;
    round_trip(&cache, "Iñtërnâtiônàlizætiøn ☃".to_owned()).await;
    round_trip(&cache, "17".to_owned()).await;
    round_trip(&cache, i64::MIN).await;
    round_trip(&cache, u64::MAX).await;
    round_trip(&cache, 1.5).await;
    round_trip(&cache, 2.0).await;
    round_trip(&cache, true).await;
    round_trip(&cache, vec![1, 2]).await;
    round_trip(&cache, Vec::<u8>::new()).await;
    round_trip(&cache, ("a".to_owned(), 1u8, false)).await;
    round_trip(&cache, BTreeMap::from([("a".to_owned(), 1)])).await;
    round_trip(&cache, User { name: "Ann".to_owned(), age: None }).await;
    round_trip(&cache, Some(5)).await;
    round_trip(&cache, ()).await;
}

pub(super) async fn a_bool_is_no_integer<E: Execute>(cache: Cache<E>) {
    cache.set("k", &true).await.unwrap();
    assert!(cache.get::<i64>("k").await.unwrap_err().is_decode());
    cache.set("k", &1).await.unwrap();
    assert!(cache.get::<bool>("k").await.unwrap_err().is_decode());
}

pub(super) async fn bytes_survive<E: Execute>(cache: Cache<E>) {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    round_trip(&cache, bytes.clone()).await;
    cache.set_many([("b", &bytes)]).await.unwrap();
    assert_eq!(cache.get::<Vec<u8>>("b").await.unwrap().as_ref(), Some(&bytes));
    assert!(cache.add("c", &bytes).await.unwrap());
    assert_eq!(cache.get::<Vec<u8>>("c").await.unwrap(), Some(bytes));
}

pub(super) async fn any_characters_make_a_key<E: Execute>(cache: Cache<E>) {
    let long = "k".repeat(2048);
    let longer = format!("{long}x");
    let odd = "#/:*(<+=> )&$%@?;'\"~";
    let keys: [&str; 8] = [odd, "a\r\nb", "nul\0", "", "{}", "{x}y", &long, &longer];
    for (i, key) in keys.iter().enumerate() {
        cache.set(key, &i).await.unwrap();
    }
    cache.set(b"\xff\xfe", &100).await.unwrap();
    cache.set("ключ ☃", &101).await.unwrap();
    cache.set(Key::tagged("x", "y"), &102).await.unwrap();
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(cache.get(key).await.unwrap(), Some(i), "{key:?}");
    }
    assert_eq!(cache.get(b"\xff\xfe").await.unwrap(), Some(100));
    assert_eq!(cache.get("ключ ☃".to_owned()).await.unwrap(), Some(101));
    assert_eq!(cache.get(Key::tagged("x", "y")).await.unwrap(), Some(102));
}

pub(super) async fn keys_differ_in_case<E: Execute>(cache: Cache<E>) {
    cache.set("key", &1).await.unwrap();
    cache.set("KEY", &2).await.unwrap();
    assert_eq!(cache.get("key").await.unwrap(), Some(1));
}

pub(super) async fn a_deleted_key_is_gone<E: Execute>(cache: Cache<E>) {
    cache.set("a", &1).await.unwrap();
    cache.set("b", &2).await.unwrap();
    assert!(cache.delete("a").await.unwrap());
    assert!(!cache.delete("a").await.unwrap());
    assert_eq!(cache.get::<u8>("a").await.unwrap(), None);
    assert_eq!(cache.get("b").await.unwrap(), Some(2));
}

pub(super) async fn a_key_is_there_or_not<E: Execute>(cache: Cache<E>) {
    assert!(!cache.has_key("k").await.unwrap());
    cache.set("k", &None::<u8>).await.unwrap();
    assert!(cache.has_key("k").await.unwrap());
    cache.set_for("k", &1, Duration::from_millis(50)).await.unwrap();
    eventually("it expires", async || !cache.has_key("k").await.unwrap()).await;
}

pub(super) async fn prefixes_do_not_meet<E: Execute + Clone>(cache: Cache<E>) {
    let other = Cache::builder(cache.store().clone()).prefix("prefixes_do_not_meet").build().unwrap();
    cache.set("k", &1).await.unwrap();
    assert_eq!(other.get::<u8>("k").await.unwrap(), None);
    assert!(!other.delete("k").await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Some(1));
}

pub(super) async fn a_damaged_value_is_an_error<E: Execute + Clone>(cache: Cache<E>) {
    let name = format!("{}:1:k", prefix(&cache));
    let lenient = again(&cache).on_undecodable(OnUndecodable::Miss).build().unwrap();
    for damage in
        [b"".as_slice(), b"hello", b"\xC5", b"\xC5\x01", b"\xC5\x09 from the future", b"1.5", b"007"]
    {
        cache.store().set(&name, damage).await.unwrap();
        assert!(cache.get::<String>("k").await.unwrap_err().is_decode(), "{damage:?}");
        assert_eq!(lenient.get::<String>("k").await.unwrap(), None);
        assert!(matches!(lenient.lookup::<String>("k").await.unwrap(), Lookup::Miss));
    }
    assert_eq!((lenient.stats().undecodable, lenient.stats().hits), (14, 0));
    cache.set("k", "whole").await.unwrap();
    let stored: Vec<u8> = cache.store().get(&name).await.unwrap().unwrap();
    cache.store().set(&name, &stored[..stored.len() - 1]).await.unwrap();
    assert!(cache.get::<String>("k").await.unwrap_err().is_decode());
}

pub(super) async fn an_entry_of_another_key_is_an_error<E: Execute + Clone>(cache: Cache<E>) {
    cache.set("k", "mine").await.unwrap();
    let stored: Vec<u8> = cache.store().get(format!("{}:1:k", prefix(&cache))).await.unwrap().unwrap();
    for (name, elsewhere) in [("1:l", cache.clone()), ("2:k", cache.with_version(2))] {
        cache.store().set(format!("{}:{name}", prefix(&cache)), &stored).await.unwrap();
        let error = elsewhere.get::<String>(&name[2..]).await.unwrap_err();
        assert!(matches!(&error, Error::Decode(error) if error.reason == DecodeReason::Checksum), "{error}");
    }
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("mine"));
}

pub(super) async fn what_is_no_string_is_foreign<E: Execute + Clone + Send + 'static>(cache: Cache<E>) {
    cache.store().rpush(format!("{}:1:k", prefix(&cache)), &["a", "b"]).await.unwrap();
    assert!(cache.get::<String>("k").await.unwrap_err().is_decode());
    let lenient = again(&cache).on_undecodable(OnUndecodable::Miss).build().unwrap();
    assert!(matches!(lenient.lookup::<String>("k").await.unwrap(), Lookup::Miss));
    assert_eq!(lenient.stats().undecodable, 1);
    let load = || async { Ok::<_, std::convert::Infallible>("loaded".to_owned()) };
    assert_eq!(cache.get_or_set_with("k", Ttl::Default, load).await.unwrap(), "loaded");
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("loaded"));
}

pub(super) async fn a_closed_cache_refuses<E: Execute + Send + 'static>(cache: Cache<E>) {
    let clone = cache.clone();
    cache.set("k", &1).await.unwrap();
    cache.close();
    cache.close();
    assert!(matches!(cache.get::<u8>("k").await, Err(Error::Closed)));
    assert!(matches!(clone.delete("k").await, Err(Error::Closed)));
    assert!(clone.set("k", &2).await.is_err());
}

pub(super) struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("it cannot be written"))
    }
}

pub(super) async fn an_unserializable_value_is_not_stored<E: Execute>(cache: Cache<E>) {
    let error = cache.set("k", &Unserializable).await.err().unwrap();
    assert!(matches!(error, Error::Encode(_)));
    assert!(error.to_string().contains("`k`") && error.to_string().contains("it cannot be written"));
    assert!(matches!(cache.lookup::<u8>("k").await.unwrap(), Lookup::Miss));
}

pub(super) async fn every_float_comes_back<E: Execute>(cache: Cache<E>) {
    // What 64 bits are is spread by a generator as in Knuth's MMIX.
    let bits = std::iter::successors(Some(1u64), |bits| {
        Some(bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407))
    });
    let mut floats: Vec<f64> = bits.take(300).map(f64::from_bits).filter(|float| float.is_finite()).collect();
    floats.extend([287.0 / 3.0, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 0.1 + 0.2]);
    floats.extend((1..300).map(|n| f64::from(n) / 3.0));
    let keys: Vec<_> = (0..floats.len()).map(|at| at.to_string()).collect();
    cache.set_many(keys.iter().zip(&floats)).await.unwrap();
    let found = cache.get_many::<f64, _>(&keys).await.unwrap();
    assert_eq!(found.values.len(), floats.len());
    for ((_, found), float) in found.values.iter().zip(&floats) {
        assert_eq!(found.to_bits(), float.to_bits(), "{float} came back as {found}");
    }
    for single in [7.038531e-26_f32, f32::MIN_POSITIVE / 3.0, -0.0, 1.0 / 3.0, f32::MAX] {
        cache.set("single", &single).await.unwrap();
        let found = cache.get::<f32>("single").await.unwrap().unwrap();
        assert_eq!(found.to_bits(), single.to_bits(), "{single}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Link(Vec<Link>);

pub(super) async fn what_would_come_back_as_something_else_is_refused<E: Execute + Clone>(cache: Cache<E>) {
    let deep = |depth| (1..depth).fold(Link(vec![]), |inner, _| Link(vec![inner]));
    let refused = |error: Option<Error<E::Error>>, why: &str| {
        assert!(matches!(&error, Some(Error::Encode(error)) if error.reason.contains(why)), "{error:?}");
    };
    cache.set("k", "old").await.unwrap();
    refused(cache.set("k", &Some(None::<u8>)).await.err(), "a `Some` of nothing");
    refused(cache.set("k", &[Some(())]).await.err(), "a `Some` of nothing");
    refused(cache.set("k", &deep(128)).await.err(), "127 deep");
    refused(cache.set_for("k", &deep(5000), Ttl::Never).await.err(), "127 deep");
    refused(cache.replace("k", &Some(None::<u8>)).await.err(), "a `Some` of nothing");
    refused(cache.add("l", &Some(None::<u8>)).await.err(), "a `Some` of nothing");
    let batch = cache.set_many([("k", Some(None)), ("m", Some(Some(1)))]).await.unwrap();
    assert_eq!((batch.n_done, batch.failed.len()), (1, 1));
    assert_eq!(cache.get::<String>("k").await.unwrap().as_deref(), Some("old"));
    round_trip(&cache, deep(127)).await;
    round_trip(&cache, deep(100)).await;

    for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        match cache.set("f", &Some(float)).await {
            // MessagePack has a form for each.
            Ok(_) => {
                let found = cache.get::<Option<f64>>("f").await.unwrap().unwrap().unwrap();
                assert_eq!(found.to_bits(), float.to_bits());
            }
            Err(error) => {
                refused(Some(error), "infinity");
                assert!(!cache.has_key("f").await.unwrap());
            }
        }
    }
    let short = again(&cache).max_decoded_len(1000).build().unwrap();
    refused(short.set("long", &"x".repeat(1000)).await.err(), "at most 1000");
}

pub(super) async fn another_type_is_an_error<E: Execute>(cache: Cache<E>) {
    cache.set("k", &User { name: "secret".to_owned(), age: None }).await.unwrap();
    let error = cache.get::<Vec<u32>>("k").await.unwrap_err();
    assert!(error.is_decode());
    assert!(error.to_string().contains("Vec<u32>") && !error.to_string().contains("secret"));
    assert_eq!(cache.stats().undecodable, 1);
}

pub(super) async fn a_value_over_the_limit_is_not_sent<E: Execute>(cache: Cache<E>) {
    let error = cache.set("k", &"x".repeat(9 << 20)).await.err().unwrap();
    assert!(matches!(error, Error::TooLarge(_)));
    let error = cache.set("x".repeat(65 << 10), &1).await.err().unwrap();
    assert!(matches!(error, Error::Key(_)));
    assert!(error.to_string().len() < 200);
}

pub(super) async fn an_integer_is_stored_as_its_digits<E: Execute>(cache: Cache<E>) {
    cache.set(Key::tagged("t", "n"), &-41).await.unwrap();
    let name = format!("{}:1:{{t}}n", prefix(&cache));
    assert_eq!(cache.store().get::<String>(&name).await.unwrap().as_deref(), Some("-41"));
    E::one_reply(cache.store().incr(&name).await.unwrap()).unwrap();
    assert_eq!(cache.get(Key::tagged("t", "n")).await.unwrap(), Some(-40));
}

/// The prefix of a claim's cache, read from what it says of itself.
pub(super) fn prefix<E>(cache: &Cache<E>) -> String {
    let debug = format!("{cache:?}");
    debug.split("prefix: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Starts a cache with the entries of another one, to be told more.
pub(super) fn again<E: Execute + Clone>(cache: &Cache<E>) -> CacheBuilder<E> {
    let prefix = prefix(cache);
    let codec = super::CODECS.into_iter().find(|codec| prefix.ends_with(&format!("{codec:?}"))).unwrap();
    Cache::builder(cache.store().clone()).prefix(prefix).codec(codec)
}

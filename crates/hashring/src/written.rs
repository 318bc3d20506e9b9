//! The form of layouts and hash tags in a file: a name, where a name says it all.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "layouts")]
use crate::layout::{DoistHashRing, Jedis, Libmemcached, PhpRedis, Predis, RedisRb, Twemproxy, Uhashring};
use crate::{HashTag, Layout};

/// The names of all layouts, with or without the feature `layouts`.
const LAYOUTS: &[&str] = &[
    "xxh3",
    "hash_ring",
    "twemproxy",
    "libmemcached",
    "libketama",
    "redis_rb",
    "phpredis",
    "predis",
    "go_redis",
    "uhashring",
    "jedis",
];

const TAGS: &[&str] =
    &["cluster", "none", "redis_rb", "phpredis", "jedis", "two characters such as {}", "delimiters"];

/// `Redis-RB` and `redis_rb` are one name.
fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('-', "_")
}

impl Layout {
    /// The layout of a name, with the settings that its program has by default.
    fn named(name: &str) -> Option<Self> {
        Some(match plain(name).as_str() {
            "xxh3" => Self::Xxh3,
            #[cfg(feature = "layouts")]
            "hash_ring" => Self::HashRing(DoistHashRing::default()),
            #[cfg(feature = "layouts")]
            "twemproxy" | "nutcracker" => Self::Twemproxy(Twemproxy::default()),
            #[cfg(feature = "layouts")]
            "libmemcached" => Self::Libmemcached(Libmemcached::default()),
            #[cfg(feature = "layouts")]
            "libketama" => Self::Libketama,
            #[cfg(feature = "layouts")]
            "redis_rb" => Self::RedisRb(RedisRb::default()),
            #[cfg(feature = "layouts")]
            "phpredis" => Self::PhpRedis(PhpRedis::default()),
            #[cfg(feature = "layouts")]
            "predis" => Self::Predis(Predis::default()),
            #[cfg(feature = "layouts")]
            "go_redis" => Self::GoRedis,
            #[cfg(feature = "layouts")]
            "uhashring" => Self::Uhashring(Uhashring::default()),
            #[cfg(feature = "layouts")]
            "jedis" => Self::Jedis(Jedis::default()),
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(LayoutVisitor),
            false => Self::deserialize(deserializer),
        }
    }
}

impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

struct LayoutVisitor;

impl<'de> Visitor<'de> for LayoutVisitor {
    type Value = Layout;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a layout, or a table of its name with its settings")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Layout, E> {
        match Layout::named(name) {
            Some(layout) => Ok(layout),
            None if LAYOUTS.contains(&plain(name).as_str()) => {
                Err(E::custom("this layout needs the feature `layouts`"))
            }
            None => Err(E::unknown_variant(name, LAYOUTS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Layout, A::Error> {
        Layout::deserialize(MapAccessDeserializer::new(map))
    }
}

impl HashTag {
    /// The rule of a name, or of the two characters around a tag.
    fn named(name: &str) -> Option<Self> {
        if let &[open, close] = name.as_bytes()
            && name.is_ascii()
        {
            return Some(Self::Delimiters { open, close });
        }
        Some(match plain(name).as_str() {
            "cluster" => Self::Cluster,
            "none" => Self::None,
            #[cfg(feature = "layouts")]
            "redis_rb" => Self::RedisRb,
            #[cfg(feature = "layouts")]
            "phpredis" => Self::PhpRedis,
            #[cfg(feature = "layouts")]
            "jedis" => Self::Jedis,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for HashTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(HashTagVisitor),
            false => Self::deserialize(deserializer),
        }
    }
}

impl Serialize for HashTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

struct HashTagVisitor;

impl<'de> Visitor<'de> for HashTagVisitor {
    type Value = HashTag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`cluster`, `none`, or the two characters around a tag, such as `{}`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<HashTag, E> {
        match HashTag::named(name) {
            Some(tag) => Ok(tag),
            None if TAGS.contains(&plain(name).as_str()) => {
                Err(E::custom("this rule needs the feature `layouts`"))
            }
            None => Err(E::unknown_variant(name, TAGS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HashTag, A::Error> {
        HashTag::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Reads a byte as a number, or as the character that it is.
pub(crate) fn byte<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    struct Byte;

    impl Visitor<'_> for Byte {
        type Value = u8;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("one character of ASCII, or the number of a byte")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u8, E> {
            match text.as_bytes() {
                &[byte] => Ok(byte),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            }
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u8, E> {
            number.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<u8, E> {
            number.try_into().map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }
    }

    match deserializer.is_human_readable() {
        true => deserializer.deserialize_any(Byte),
        false => u8::deserialize(deserializer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_hash_tag_is_a_name_or_two_characters() {
        let delimiters = |open, close| HashTag::Delimiters { open, close };
        for (json, tag) in [
            (r#""cluster""#, HashTag::Cluster),
            (r#""none""#, HashTag::None),
            (r#""{}""#, delimiters(b'{', b'}')),
            (r#""$$""#, delimiters(b'$', b'$')),
            (r#""<>""#, delimiters(b'<', b'>')),
            (r#"{"delimiters": {"open": 36, "close": 36}}"#, delimiters(b'$', b'$')),
            (r#"{"delimiters": {"open": "[", "close": "]"}}"#, delimiters(b'[', b']')),
        ] {
            assert_eq!(read(json), Ok(tag), "{json}");
            assert_eq!(read(&serde_json::to_string(&tag).unwrap()), Ok(tag));
        }
        for json in
            [r#""""#, r#""{""#, r#""{}}""#, r#""§""#, "5", r#"{"delimiters": {"open": 256, "close": 1}}"#]
        {
            assert!(read::<HashTag>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn every_layout_has_a_name_known_here() {
        assert_eq!(read(r#""xxh3""#), Ok(Layout::Xxh3));
        assert!(read::<Layout>(r#""rendezvous""#).unwrap_err().contains("`twemproxy`"));
        for name in LAYOUTS {
            let found = read::<Layout>(&format!("{name:?}"));
            match cfg!(feature = "layouts") {
                true => assert!(found.is_ok(), "{name}"),
                false if *name == "xxh3" => {}
                false => assert!(found.unwrap_err().contains("needs the feature `layouts`"), "{name}"),
            }
        }
    }

    #[cfg(feature = "layouts")]
    #[test]
    fn a_layout_is_a_name_or_a_table_of_its_settings() {
        for (json, layout) in [
            (r#""twemproxy""#, Layout::Twemproxy(Twemproxy::default())),
            (r#""Nutcracker""#, Layout::Twemproxy(Twemproxy::default())),
            (
                r#"{"twemproxy": {"distribution": "modula"}}"#,
                Layout::Twemproxy(Twemproxy::modula(crate::Hash32::Fnv1a64)),
            ),
            (r#""redis-rb""#, Layout::RedisRb(RedisRb::V6)),
            (r#"{"redis_rb": "v4"}"#, Layout::RedisRb(RedisRb::V4)),
            (r#""go_redis""#, Layout::GoRedis),
            (r#""predis""#, Layout::Predis(Predis::HashRing)),
        ] {
            assert_eq!(read(json), Ok(layout), "{json}");
            assert_eq!(read(&serde_json::to_string(&layout).unwrap()), Ok(layout));
        }
        assert!(read::<Layout>(r#"{"twemproxy": {"wieght": 1}}"#).is_err());
    }
}

//! The facts that a server gives of itself.

use std::str::FromStr;
use std::time::Duration;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::Value;

/// The reply of `INFO`, by section.
///
/// ```
/// # use redis::FromRedisValue;
/// # use redisdb_node::Info;
/// # let reply = redis::Value::BulkString(b"# Server\r\nredis_version:7.0.15\r\n# Keyspace\r\ndb0:keys=3,expires=1\r\n".into());
/// # let info = Info::from_redis_value(reply).unwrap();
/// assert_eq!(info.get("server", "redis_version"), Some("7.0.15"));
/// assert_eq!(info.keys(0), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    sections: Vec<Section>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    name: String,
    fields: Vec<(String, String)>,
}

impl Info {
    /// A field of a section, as the server writes it. The section may be written in any case.
    pub fn get(&self, section: &str, field: &str) -> Option<&str> {
        self.section(section).find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    /// A field of a section as a number or another type; `None` if there is none or it cannot be read so.
    pub fn parse<T: FromStr>(&self, section: &str, field: &str) -> Option<T> {
        self.get(section, field)?.parse().ok()
    }

    /// The names of the sections, in the server's order.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|section| section.name.as_str())
    }

    /// The fields of a section and their values, in the server's order; nothing if there is no such section.
    pub fn section(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let named = move |section: &&Section| section.name.eq_ignore_ascii_case(name);
        let fields = self.sections.iter().filter(named).flat_map(|section| &section.fields);
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The server's version: `7.0.15`.
    pub fn version(&self) -> Option<&str> {
        self.get("server", "redis_version")
    }

    /// A random text that changes when the server is started anew.
    pub fn run_id(&self) -> Option<&str> {
        self.get("server", "run_id")
    }

    /// The time since the server started.
    pub fn uptime(&self) -> Option<Duration> {
        self.parse("server", "uptime_in_seconds").map(Duration::from_secs)
    }

    /// The bytes that the server's data take.
    pub fn used_memory(&self) -> Option<u64> {
        self.parse("memory", "used_memory")
    }

    /// The number of connected clients.
    pub fn connected_clients(&self) -> Option<u64> {
        self.parse("clients", "connected_clients")
    }

    /// `master` or `slave`.
    pub fn role(&self) -> Option<&str> {
        self.get("replication", "role")
    }

    /// The number of keys a database has.
    pub fn keys(&self, db: u32) -> u64 {
        let counts = self.get("keyspace", &format!("db{db}")).unwrap_or_default();
        let keys = counts.split(',').find_map(|count| count.strip_prefix("keys="));
        keys.and_then(|keys| keys.parse().ok()).unwrap_or(0)
    }
}

impl FromRedisValue for Info {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut sections = Vec::<Section>::new();
        for line in String::from_redis_value(value)?.lines() {
            if let Some(name) = line.strip_prefix("# ") {
                sections.push(Section { name: name.to_owned(), fields: Vec::new() });
            } else if let (Some(section), Some((name, value))) = (sections.last_mut(), line.split_once(':')) {
                section.fields.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Self { sections })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:61\r\nconfig_file:/a:b\r\n\r\n\
                        # Memory\r\nused_memory:1024\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0\r\n";

    #[test]
    fn a_field_is_found_by_its_section() {
        for reply in [
            Value::BulkString(TEXT.into()),
            Value::VerbatimString { format: redis::VerbatimFormat::Text, text: TEXT.into() },
        ] {
            let info = Info::from_redis_value(reply).unwrap();
            assert_eq!(info.sections().collect::<Vec<_>>(), ["Server", "Memory", "Keyspace"]);
            assert_eq!(info.version(), Some("7.0.15"));
            assert_eq!(info.get("server", "config_file"), Some("/a:b"));
            assert_eq!(info.get("memory", "redis_version"), None);
            assert_eq!(info.uptime(), Some(Duration::from_secs(61)));
            assert_eq!(info.used_memory(), Some(1024));
            assert_eq!(info.section("keyspace").count(), 1);
            assert_eq!((info.keys(0), info.keys(1)), (3, 0));
        }
    }
}

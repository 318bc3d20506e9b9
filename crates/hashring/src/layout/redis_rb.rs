//! Ruby's `Redis::Distributed`, of the gem [redis](https://github.com/redis/redis-rb).

use std::borrow::Cow;

use super::{
    Node, Plan,
    ring::{PointHash, Ring, Search, Tie},
};
use crate::{hash32::Hash32, key_hash::KeyHash};

/// The three generations of `Redis::Distributed`.
///
/// A node is hashed by its id, which is made from its URL: without a [label](crate::Member::label), a name
/// that is a URL (`redis://host:port/db`) becomes the id that this generation makes of it, and any other name
/// is the id (the option `id:`). Weights mean nothing. The order of the nodes matters only if two have a
/// point in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum RedisRb {
    /// redis up to 4.8. Ids are as `redis://10.0.0.1:6379/0`.
    V4,
    /// redis 5.0 and later with redis-client up to 0.20. Ids are as `redis://10.0.0.1:6379/0`.
    V5,
    /// redis 5.0 and later with redis-client 0.21 and later. Ids are as `redis://10.0.0.1:6379`, and
    /// `redis://10.0.0.1:6379/3` for database 3.
    #[default]
    V6,
}

impl RedisRb {
    pub(super) fn plan(self, nodes: &[Node<'_>]) -> Plan {
        let points = match self {
            Self::V4 => PointHash::Hash32(Hash32::Crc32a),
            Self::V5 | Self::V6 => PointHash::Md5BigEndian,
        };
        let ring = Ring { points, search: Search::AtOrBefore, tie: Tie::Last };
        Plan { key_hash: KeyHash::Hash32(Hash32::Crc32a), placement: ring.of_labels(nodes, ':', |_| 160) }
    }

    /// The id of a node with this name.
    pub(super) fn id(self, name: &str) -> Cow<'static, str> {
        self.id_of_url(name).unwrap_or_else(|| name.to_owned()).into()
    }

    fn id_of_url(self, url: &str) -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if scheme == "unix" {
            let path = rest.rsplit_once('@').map_or(rest, |(_, path)| path);
            let db = query.split('&').find_map(|pair| pair.strip_prefix("db=")).unwrap_or("0");
            return Some(match self {
                Self::V4 => format!("unix://{path}/{db}"),
                Self::V5 => format!("{path}/{db}"),
                Self::V6 if db == "0" => format!("unix://{path}"),
                Self::V6 => format!("unix://{path}?db={db}"),
            });
        }
        let (authority, db) = rest.split_once('/').unwrap_or((rest, ""));
        let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (address, "6379"),
        };
        let host = if self == Self::V6 { host } else { host.trim_matches(['[', ']']) };
        Some(match (self, db) {
            (Self::V6, "" | "0") => format!("{scheme}://{host}:{port}"),
            (_, "") => format!("{scheme}://{host}:{port}/0"),
            _ => format!("{scheme}://{host}:{port}/{db}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RedisRb::{self, V4, V5, V6};

    #[test]
    fn ids_are_made_of_urls() {
        for (name, ids) in [
            ("node-a", ["node-a"; 3]),
            ("redis://h:1/0", ["redis://h:1/0", "redis://h:1/0", "redis://h:1"]),
            ("redis://h", ["redis://h:6379/0", "redis://h:6379/0", "redis://h:6379"]),
            ("redis://u:p@h:1/3?x=1", ["redis://h:1/3"; 3]),
            ("rediss://Host/15", ["rediss://Host:6379/15"; 3]),
            ("redis://[::1]", ["redis://::1:6379/0", "redis://::1:6379/0", "redis://[::1]:6379"]),
            ("unix:///s", ["unix:///s/0", "/s/0", "unix:///s"]),
            ("unix:///s?db=2", ["unix:///s/2", "/s/2", "unix:///s?db=2"]),
        ] {
            assert_eq!([V4, V5, V6].map(|version: RedisRb| version.id(name)), ids);
        }
    }
}

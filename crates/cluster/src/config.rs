//! The configuration of a ring or a copy, as data for a file and for builders.

mod text;
mod written;

#[cfg(feature = "layouts")]
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use redisdb_hashring::HashTag;
use redisdb_hashring::Layout;
use redisdb_node as node;
use redisdb_node::NodeConfig;
use redisdb_node::TlsConfig;
use serde::Deserialize;
use serde::Serialize;

use crate::config::written::Written;
use crate::policy::OnConflict;
use crate::policy::OnDifference;
use crate::policy::OnDown;
use crate::policy::OnReturn;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;

/// The nodes of a ring or a copy and how they are used, as in a configuration file.
///
/// ```
/// use redisdb_cluster::{Strategy, TopologyConfig};
///
/// let config = TopologyConfig::from_toml(r#"
///     strategy = "ring"
///     response_timeout_ms = 250       # for nodes that do not say otherwise
///
///     [[nodes]]
///     name = "a"
///     url = "redis://10.0.0.1"
///
///     [[nodes]]
///     name = "b"
///     url = "redis://10.0.0.2"
///     weight = 2
/// "#)?;
/// assert_eq!((config.strategy, config.nodes.len()), (Strategy::Ring, 2));
/// # Ok::<(), redisdb_cluster::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
#[non_exhaustive]
pub struct TopologyConfig {
    /// The strategy: each key is on one node, or on all.
    pub strategy: Strategy,
    /// The placement. Default: our own. Those of other programs come with the feature `layouts`.
    #[serde(skip_serializing_if = "is_default")]
    pub layout: Layout,
    /// The rule for the part of a key that is hashed. Default: that of the layout; our own has that of Redis Cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_tag: Option<HashTag>,
    /// The text that a compatible layout hashes for a node, by the node's name, where the layout would make another one of
    /// the name.
    #[cfg(feature = "layouts")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// On a ring: whether commands over several keys of one node are accepted without a hash tag; see
    /// [`RingBuilder::allow_colocated`](crate::RingBuilder::allow_colocated).
    #[serde(skip_serializing_if = "is_default")]
    pub allow_colocated: bool,
    /// On a ring: the treatment of keys whose node is down. Default: their calls fail.
    #[serde(skip_serializing_if = "is_default")]
    pub on_down: OnDown,
    /// On a copy: the number of nodes that must take a write. Default: any one.
    #[serde(skip_serializing_if = "is_default")]
    pub write_to: WriteTo,
    /// On a copy: the nodes that may answer a read. Default: those in sync.
    #[serde(skip_serializing_if = "is_default")]
    pub read_from: ReadFrom,
    /// On a copy: the treatment of a node that has missed writes or lost its data. Default: it is repaired.
    #[serde(skip_serializing_if = "is_default")]
    pub on_return: OnReturn,
    /// On a copy: the treatment of a key that no node is known to have right. Default: it is told, and waits.
    #[serde(skip_serializing_if = "is_default")]
    pub on_conflict: OnConflict,
    /// On a copy with an identity: the treatment of a key that its nodes hold differently. Default: they are made equal.
    #[serde(skip_serializing_if = "is_default")]
    pub on_difference: OnDifference,
    /// On a copy: the name with which the servers are marked; see [`CopyBuilder::identity`](crate::CopyBuilder::identity).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The longest time that connecting may take, in milliseconds, for nodes without their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// The longest time that a reply may take, in milliseconds, for nodes without their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_timeout_ms: Option<u64>,
    /// The certificate authority, the client certificate and the server's name, for nodes with `rediss://` URLs without their
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// The nodes.
    pub nodes: Vec<NodeConfig>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The way in which keys are kept on several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Strategy {
    /// Each key on one node: [`RedisRing`](crate::RedisRing).
    Ring,
    /// Each key on all nodes: [`RedisCopy`](crate::RedisCopy).
    Copy,
}

impl Strategy {
    /// Refuses the first setting that is set and is one of the other strategy.
    pub(crate) fn refuse_foreign(self, settings: &[(Self, &str, bool)]) -> Result<(), ConfigError> {
        let foreign = settings.iter().find(|(of, _, is_set)| *is_set && *of != self);
        let Some((_, name, _)) = foreign else { return Ok(()) };
        let (own, other) = if self == Self::Ring { ("ring", "copy") } else { ("copy", "ring") };
        let reason = format!(
            "this is a setting of a {other}, and the strategy is `{own}`; leave it out, or write `strategy = \"{other}\"`"
        );
        Err(ConfigError::setting(name, &reason))
    }
}

impl TopologyConfig {
    /// Reads TOML.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], with the line but none of its text, which may hold a password. A setting that cannot be meant
    /// is such an error too: one of the other strategy, a time of 0, a password that stands in the URL as well.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        text::from_toml(text)
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        text::from_json(text)
    }

    /// Reads a file: JSON if its name ends in `.json`, otherwise TOML.
    ///
    /// # Errors
    /// [`ConfigError`], if the file cannot be read or is wrong.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| ConfigError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        if path.extension().is_some_and(|extension| extension == "json") {
            Self::from_json(&text)
        } else {
            Self::from_toml(&text)
        }
    }
}

/// The error of a configuration. It never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A node's URL or weight is wrong.
    #[error("node `{node}`: {reason}")]
    Node {
        /// The name of the node, or its place in the list if it has none.
        node: String,
        /// What is wrong.
        reason: node::ConfigError,
    },
    /// Two nodes are the same database of the same server.
    #[error(
        "nodes `{node}` and `{other}` are the same database of the same server; give each a server of its own, or leave one \
         of the two out"
    )]
    SameServer {
        /// The name of the first.
        node: String,
        /// The name of the second.
        other: String,
    },
    /// The text is no configuration.
    #[error("the configuration cannot be read{}: {reason}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Syntax {
        /// The line, counted from 1.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A setting is wrong, or cannot be meant where it stands.
    #[error("`{setting}`: {reason}")]
    Setting {
        /// The setting.
        setting: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The configuration is for the other strategy.
    #[error("the configuration is for a {found:?}, not for a {wanted:?}")]
    Strategy {
        /// The strategy that it is for.
        found: Strategy,
        /// The strategy that it was used for.
        wanted: Strategy,
    },
    /// The setting for keys whose node is down is wrong.
    #[error("on_down: {reason}")]
    OnDown {
        /// Why.
        reason: &'static str,
    },
    /// More nodes must take a write than there are, or none.
    #[error("{wanted} nodes must take a write, but there are {nodes}")]
    WriteTo {
        /// The number of nodes that must.
        wanted: usize,
        /// The number of nodes that there are.
        nodes: usize,
    },
}

impl ConfigError {
    pub(crate) fn setting(setting: &str, reason: &str) -> Self {
        Self::Setting { setting: setting.to_owned(), reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::Rejoin;

    #[test]
    fn every_on_down_is_read_as_it_is_written() {
        for (text, expected) in [
            (r#""fail""#, OnDown::Fail),
            (r#"{"failover":{"ttl_cap_ms":60000}}"#, OnDown::Failover { ttl_cap: Duration::from_secs(60) }),
            (r#"{"remap":{"on_return":"trust"}}"#, OnDown::Remap { on_return: Rejoin::Trust }),
            (
                r#"{"remap":{"on_return":{"flush_prefix":"app:"}}}"#,
                OnDown::Remap { on_return: Rejoin::FlushPrefix("app:".to_owned()) },
            ),
            (
                r#"{"remap":{"on_return":{"wait_max_ttl":5}}}"#,
                OnDown::Remap { on_return: Rejoin::WaitMaxTtl(Duration::from_millis(5)) },
            ),
        ] {
            assert_eq!(serde_json::from_str::<OnDown>(text).unwrap(), expected);
            assert_eq!(serde_json::to_string(&expected).unwrap(), text);
        }
    }

    #[test]
    fn a_rule_for_conflicts_is_read_as_it_is_written_unless_it_is_a_function() {
        const COPY: &str = "strategy = \"copy\"\nnodes = [\"redis://a\", \"redis://b\"]\n";
        for (text, expected) in [
            ("", OnConflict::Tell),
            ("on_conflict = \"tell\"\n", OnConflict::Tell),
            (
                "on_conflict = { prefer = [\"b:6379\", \"a:6379\"] }\n",
                OnConflict::Prefer(vec!["b:6379".to_owned(), "a:6379".to_owned()]),
            ),
        ] {
            let config = TopologyConfig::from_toml(&format!("{COPY}{text}")).unwrap();
            assert_eq!(config.on_conflict, expected);
            let written = serde_json::to_string(&config).unwrap();
            assert_eq!(TopologyConfig::from_json(&written).unwrap(), config);
            assert_eq!(written.contains("on_conflict"), expected != OnConflict::Tell);
        }
        let mut config = TopologyConfig::from_toml(COPY).unwrap();
        config.on_conflict = OnConflict::with(|_| None);
        assert_eq!(config, config.clone());
        assert!(serde_json::to_string(&config).is_err());
        assert!(TopologyConfig::from_toml(&format!("{COPY}on_conflict = \"with\"")).is_err());
    }
}

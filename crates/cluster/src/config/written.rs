//! A topology as it is written in a file, before it is checked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use redisdb_hashring::BuildError;
use redisdb_hashring::HashTag;
use redisdb_hashring::Layout;
use redisdb_node as node;
use redisdb_node::NodeConfig;
use redisdb_node::NodeFields;
use redisdb_node::TlsConfig;
use redisdb_node::plumbing::foreign;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;

use super::ConfigError;
use super::Strategy;
use super::TopologyConfig;
use crate::error::Error;
use crate::policy::OnConflict;
use crate::policy::OnDifference;
use crate::policy::OnDown;
use crate::policy::OnReturn;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of settings")]
pub(super) struct Written {
    strategy: Strategy,
    layout: Option<Layout>,
    hash_tag: Option<HashTag>,
    labels: Option<BTreeMap<String, String>>,
    allow_colocated: Option<bool>,
    on_down: Option<OnDown>,
    write_to: Option<WriteTo>,
    read_from: Option<ReadFrom>,
    on_return: Option<OnReturn>,
    on_conflict: Option<OnConflict>,
    on_difference: Option<OnDifference>,
    identity: Option<String>,
    connect_timeout_ms: Option<u64>,
    response_timeout_ms: Option<u64>,
    tls: Option<TlsConfig>,
    #[serde(alias = "servers")]
    nodes: Vec<Entry>,
}

/// A node: its settings, or one text.
enum Entry {
    Text(String),
    Fields(Box<NodeFields>),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table with the settings of a node, or its URL")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                NodeFields::deserialize(MapAccessDeserializer::new(map))
                    .map(|fields| Entry::Fields(Box::new(fields)))
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// A mistake in a configuration, and its place: the node, if it is in one, and the settings that it may be in.
pub(super) struct Problem {
    pub(super) node: Option<usize>,
    /// The likeliest first.
    pub(super) settings: Vec<String>,
    pub(super) reason: String,
}

impl Problem {
    fn of(error: ConfigError) -> Self {
        Self::located(&[], &error.into())
    }

    fn at(node: Option<usize>, settings: &[&str], error: &Error) -> Self {
        let settings = settings.iter().map(|name| (*name).to_owned()).collect();
        Self { node, settings, reason: error.to_string() }
    }

    /// Returns the problem of a configuration of which nothing could be built.
    pub(super) fn of_building(config: &TopologyConfig, error: &Error) -> Self {
        let mut problem = Self::located(&config.nodes, error);
        // All other errors show names escaped and cut.
        if let Error::Ring(_) = error {
            for name in config.nodes.iter().map(NodeConfig::name) {
                if let Cow::Owned(shown) = foreign::name(name) {
                    problem.reason = problem.reason.replace(&name.escape_debug().to_string(), &shown);
                }
            }
        }
        problem
    }

    fn located(nodes: &[NodeConfig], error: &Error) -> Self {
        let is = |node: &NodeConfig, name: &str| node.name() == name || foreign::name(node.name()) == name;
        let named = |name: &str| nodes.iter().position(|node| is(node, name));
        match error {
            Error::Config(ConfigError::Node { node, reason }) => {
                Self::at(named(node), reason.settings(), error)
            }
            Error::Config(ConfigError::SameServer { other, .. }) => Self::at(named(other), &["url"], error),
            Error::Config(ConfigError::Setting { setting, .. }) => Self::at(None, &[setting], error),
            Error::Config(ConfigError::OnDown { .. }) => Self::at(None, &["on_down"], error),
            Error::Config(ConfigError::WriteTo { .. }) => Self::at(None, &["write_to"], error),
            Error::Ring(BuildError::DuplicateName { name }) => Self::at(named(name), &["name", "url"], error),
            Error::Ring(
                BuildError::ZeroWeight { name }
                | BuildError::InvalidWeight { name, .. }
                | BuildError::FractionalWeight { name, .. },
            ) => Self::at(named(name), &["weight", "url"], error),
            // There are no nodes, or too many.
            _ => Self::at(None, &NODES, error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// The names that the list of nodes may have.
pub(super) const NODES: [&str; 2] = ["nodes", "servers"];

const ZERO: &str = "it is 0, so nothing could be done in time; leave it out for the default of a second";

impl TryFrom<Written> for TopologyConfig {
    type Error = Problem;

    fn try_from(written: Written) -> Result<Self, Problem> {
        let settings = [
            (Strategy::Copy, "write_to", written.write_to.is_some()),
            (Strategy::Copy, "read_from", written.read_from.is_some()),
            (Strategy::Copy, "on_return", written.on_return.is_some()),
            (Strategy::Copy, "on_conflict", written.on_conflict.is_some()),
            (Strategy::Copy, "on_difference", written.on_difference.is_some()),
            (Strategy::Copy, "identity", written.identity.is_some()),
            (Strategy::Ring, "on_down", written.on_down.is_some()),
            (Strategy::Ring, "layout", written.layout.is_some()),
            (Strategy::Ring, "labels", written.labels.is_some()),
            (Strategy::Ring, "allow_colocated", written.allow_colocated.is_some()),
        ];
        written.strategy.refuse_foreign(&settings).map_err(Problem::of)?;
        let timeouts = [
            ("connect_timeout_ms", written.connect_timeout_ms),
            ("response_timeout_ms", written.response_timeout_ms),
        ];
        if let Some((setting, _)) = timeouts.iter().find(|(_, millis)| *millis == Some(0)) {
            return Err(Problem::of(ConfigError::setting(setting, ZERO)));
        }
        let layout = written.layout.unwrap_or_default();
        #[cfg(feature = "layouts")]
        let mut labels = written.labels.unwrap_or_default();
        #[cfg(not(feature = "layouts"))]
        if written.labels.is_some() {
            return Err(Problem::of(ConfigError::setting("labels", "labels need the feature `layouts`")));
        }
        let mut nodes: Vec<NodeConfig> = Vec::with_capacity(written.nodes.len());
        for (i, entry) in written.nodes.into_iter().enumerate() {
            let fields = match entry {
                Entry::Fields(fields) => *fields,
                Entry::Text(text) => NodeFields::new(text),
            };
            #[cfg(feature = "layouts")]
            let fields = match server_line(layout, fields.url()) {
                Some(server) => {
                    if let Some(label) = server.label {
                        labels.insert(label.clone(), label);
                    }
                    fields.with_server(&server.url, server.name, server.weight)
                }
                None => fields,
            };
            let name = fields.name().map_or_else(|| format!("#{i}"), |name| foreign::name(name).into_owned());
            let node = fields.check().map_err(|reason| {
                let settings = reason.settings();
                Problem::at(Some(i), settings, &ConfigError::Node { node: name, reason }.into())
            })?;
            if nodes.iter().any(|other| other.name() == node.name()) {
                let reason = node::ConfigError::NameTwice;
                let error = ConfigError::Node { node: foreign::name(node.name()).into_owned(), reason };
                return Err(Problem::at(Some(i), &["name", "url"], &error.into()));
            }
            nodes.push(node);
        }
        Ok(Self {
            strategy: written.strategy,
            layout,
            hash_tag: written.hash_tag,
            #[cfg(feature = "layouts")]
            labels,
            allow_colocated: written.allow_colocated.unwrap_or_default(),
            on_down: written.on_down.unwrap_or_default(),
            write_to: written.write_to.unwrap_or_default(),
            read_from: written.read_from.unwrap_or_default(),
            on_return: written.on_return.unwrap_or_default(),
            on_conflict: written.on_conflict.unwrap_or_default(),
            on_difference: written.on_difference.unwrap_or_default(),
            identity: written.identity,
            connect_timeout_ms: written.connect_timeout_ms,
            response_timeout_ms: written.response_timeout_ms,
            tls: written.tls,
            nodes,
        })
    }
}

/// An entry of twemproxy's `servers:`.
#[cfg(feature = "layouts")]
struct Server {
    url: String,
    name: String,
    weight: f64,
    /// The text that is hashed, if the entry has a name.
    label: Option<String>,
}

#[cfg(feature = "layouts")]
fn server_line(layout: Layout, text: &str) -> Option<Server> {
    if !matches!(layout, Layout::Twemproxy(_)) || text.contains("://") {
        return None;
    }
    let (place, name) = match text.trim().rsplit_once(' ') {
        Some((place, name)) => (place.trim_end(), Some(name.to_owned())),
        None => (text.trim(), None),
    };
    let (address, weight) = place.rsplit_once(':')?;
    let url = match address.rsplit_once(':') {
        _ if address.starts_with('/') => format!("unix://{address}"),
        Some((host, port)) if host.contains(':') => format!("redis://[{host}]:{port}"),
        Some((host, port)) => format!("redis://{host}:{port}"),
        None => return None,
    };
    let label = name.clone();
    Some(Server {
        url,
        name: name.unwrap_or_else(|| address.to_owned()),
        weight: weight.parse::<u32>().ok()?.into(),
        label,
    })
}

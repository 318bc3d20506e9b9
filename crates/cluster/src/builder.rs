//! The builders of a ring and of a copy, one method for each setting.

#[cfg(feature = "layouts")]
use std::collections::BTreeMap;
use std::time::Duration;

use redisdb_hashring::HashTag;
use redisdb_hashring::Layout;
use redisdb_hashring::Member;
use redisdb_hashring::RingConfig;
use redisdb_node::CredentialsProvider;
use redisdb_node::NodeConfig;
use redisdb_node::TlsConfig;
use redisdb_node::plumbing::foreign;

use crate::config::ConfigError;
use crate::config::Strategy;
use crate::config::TopologyConfig;
use crate::copy::RedisCopy;
use crate::engine::copy::CopyHandle;
use crate::engine::copy::topology::CopyBlueprint;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingBlueprint;
use crate::error::Error;
use crate::membership::identity::Identity;
use crate::policy::OnConflict;
use crate::policy::OnDifference;
use crate::policy::OnDown;
use crate::policy::OnReturn;
use crate::policy::Policy;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;
use crate::ring::RedisRing;
use crate::shadow::Listener;

/// Gathers the nodes of a [`RedisRing`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RingBuilder {
    members: MembersBuilder,
    colocated: bool,
    on_down: OnDown,
}

impl RingBuilder {
    pub(crate) fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        let members = MembersBuilder::from_topology(&config, Strategy::Ring)?;
        Ok(Self { members, colocated: config.allow_colocated, on_down: config.on_down })
    }

    /// Adds a server under a name, which is what places its keys; the URL is as in [`NodeConfig::new`].
    pub fn node(self, name: impl Into<String>, url: &str) -> Self {
        self.weighted_node(name, url, 1.0)
    }

    /// Adds a server that gets `weight` times the keys of one with weight 1.
    pub fn weighted_node(mut self, name: impl Into<String>, url: &str, weight: impl Into<f64>) -> Self {
        self.members.add(Some(name.into()), url, weight.into());
        self
    }

    /// Sets which part of a key decides where it is. Default: the rule of the layout, for our own [`HashTag::Cluster`].
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.members.hash_tag = Some(hash_tag);
        self
    }

    /// Sets whose placement it is, to join shards that other programs use. Default: our own.
    #[cfg(feature = "layouts")]
    pub fn layout(mut self, layout: Layout) -> Self {
        self.members.layout = layout;
        self
    }

    /// Sets what is hashed for the node of this name in a [`layout`](Self::layout), where that is not what the layout
    /// makes of the name.
    #[cfg(feature = "layouts")]
    pub fn label(mut self, name: impl Into<String>, label: impl Into<String>) -> Self {
        self.members.labels.insert(name.into(), label.into());
        self
    }

    /// Accepts commands, blocks and transactions over several keys that live on one node today without having one hash
    /// tag. On a ring of one node that is everything: also what has no key (`EVAL .. 0`), and in a block what is for every
    /// node (`DBSIZE`); what is asked of each node (`INFO`) is then answered as the node answers, without its name, but for
    /// the typed methods, which always give names. They may stop working when a node is added.
    pub fn allow_colocated(mut self) -> Self {
        self.colocated = true;
        self
    }

    /// Sets what is done with the keys of a node that is down. Default: [`OnDown::Fail`].
    pub fn on_down(mut self, on_down: OnDown) -> Self {
        self.on_down = on_down;
        self
    }

    /// Returns the ring without connecting.
    ///
    /// # Errors
    /// What is wrong with the nodes: a URL, a name or a server that stands twice, a weight of 0, or that there is none.
    pub fn build(self) -> Result<RedisRing, Error> {
        Ok(RedisRing { engine: RingEngine::new(self.plan()?) })
    }

    pub(crate) fn plan(self) -> Result<RingBlueprint, Error> {
        RingBlueprint::new(self.members.build()?, self.colocated, self.on_down)
    }
}

/// Gathers the nodes of a [`RedisCopy`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CopyBuilder {
    members: MembersBuilder,
    policy: Policy,
    identity: Option<String>,
    shadow: Option<Listener>,
}

impl CopyBuilder {
    pub(crate) fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        let members = MembersBuilder::from_topology(&config, Strategy::Copy)?;
        let TopologyConfig { write_to, read_from, on_return, on_conflict, on_difference, identity, .. } =
            config;
        let policy = Policy { write_to, read_from, on_return, on_conflict, on_difference };
        Ok(Self { members, policy, identity, shadow: None })
    }

    /// Adds a server under a name; the URL is as in [`NodeConfig::new`].
    pub fn node(mut self, name: impl Into<String>, url: &str) -> Self {
        self.members.add(Some(name.into()), url, 1.0);
        self
    }

    /// Sets how many nodes must take a write. Default: [`WriteTo::Any`].
    pub fn write_to(mut self, write_to: WriteTo) -> Self {
        self.policy.write_to = write_to;
        self
    }

    /// Sets which nodes may answer a read. Default: [`ReadFrom::InSync`].
    pub fn read_from(mut self, read_from: ReadFrom) -> Self {
        self.policy.read_from = read_from;
        self
    }

    /// Sets what is done with a node that has missed writes or lost its data. Default: it is
    /// [brought back](OnReturn::Repair) by itself, with at most 10,000 keys per second.
    pub fn on_return(mut self, on_return: OnReturn) -> Self {
        self.policy.on_return = on_return;
        self
    }

    /// Sets what is done with a key that no node is known to have right. Default: it is [told](OnConflict::Tell), and waits.
    ///
    /// ```
    /// use redisdb_cluster::{OnConflict, RedisCopy};
    ///
    /// let copy = RedisCopy::builder()
    ///     .node("a", "redis://10.0.0.1")
    ///     .node("b", "redis://10.0.0.2")
    ///     .on_conflict(OnConflict::Prefer(vec!["a".to_owned(), "b".to_owned()]))
    ///     .build()?;
    /// // Counters are nothing to worry about.
    /// let rule = OnConflict::with(|conflict| conflict.key.starts_with(b"hits:").then(|| "a".to_owned()));
    /// # Ok::<(), redisdb_cluster::Error>(())
    /// ```
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.policy.on_conflict = on_conflict;
        self
    }

    /// Sets what is done with a key that its nodes hold differently though none of them missed a write. Default: they are
    /// [made equal](OnDifference::Converge), on a copy with an [identity](Self::identity).
    pub fn on_difference(mut self, on_difference: OnDifference) -> Self {
        self.policy.on_difference = on_difference;
        self
    }

    /// Marks the servers as belonging to this copy, by one key `__redisdb:{identity}:node` on each of them, so that a
    /// process that starts after a server came back empty knows it for what it is. Default: they are not marked.
    ///
    /// The keys that begin with `__redisdb:{identity}:` are the copy's own: a command that names one is refused, and none finds
    /// one but `DBSIZE`, which counts them.
    ///
    /// Every process that uses these servers must give the same identity. Servers that hold data already are marked
    /// by [`RedisCopy::adopt`]; empty ones at the first start.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Has the explored rules told what the copy is told, and this listener told where the two differ. For tests.
    #[doc(hidden)]
    pub fn shadow(mut self, listener: Listener) -> Self {
        self.shadow = Some(listener);
        self
    }

    /// Sets which part of a key decides which node it is read from. Default: [`HashTag::Cluster`].
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.members.hash_tag = Some(hash_tag);
        self
    }

    /// Returns the copy without connecting.
    ///
    /// # Errors
    /// What is wrong with the nodes: a URL, a name or a server that stands twice, that there is none, that there are more than
    /// eight, or that fewer are there than must take a write.
    pub fn build(self) -> Result<RedisCopy, Error> {
        Ok(RedisCopy { handle: CopyHandle::new(self.plan()?) })
    }

    pub(crate) fn plan(self) -> Result<CopyBlueprint, Error> {
        const MAX: usize = redisdb_replication::Node::MAX;
        let Self { members, policy, identity, shadow } = self;
        let Members { ring, nodes } = members.build()?;
        let ring = ring.build()?;
        let refuse = |setting, reason: &str| Err(ConfigError::setting(setting, reason).into());
        // The rules of a copy know no more.
        if nodes.len() > MAX {
            let reason = format!(
                "a copy has {MAX} nodes at most, and these are {}; a ring has any number",
                nodes.len()
            );
            return refuse("nodes", &reason);
        }
        let wanted = policy.write_to.wanted(nodes.len());
        if wanted > nodes.len() || wanted == 0 {
            return Err(ConfigError::WriteTo { wanted, nodes: nodes.len() }.into());
        }
        if policy.on_return == (OnReturn::Repair { keys_per_second: 0 }) {
            return refuse("on_return", "`keys_per_second` is 0, so nothing would be repaired");
        }
        if policy.on_conflict == OnConflict::Prefer(Vec::new()) {
            let reason = "it prefers no node, so nothing would be decided; name one, or leave it out";
            return refuse("on_conflict", reason);
        }
        if let OnConflict::Prefer(order) = &policy.on_conflict
            && let Some(name) = order.iter().find(|name| nodes.iter().all(|node| node.name() != **name))
        {
            let reason = format!("there is no node `{}`; name one of the nodes", foreign::name(name));
            return refuse("on_conflict", &reason);
        }
        if identity.as_ref().is_some_and(String::is_empty) {
            return refuse("identity", "it is empty; give it a name, or leave it out");
        }
        let identity = identity.as_deref().map(Identity::new);
        Ok(CopyBlueprint { ring, nodes, policy, identity, shadow })
    }
}

/// The methods that both builders have.
macro_rules! common_settings {
    ($builder:ty, $handle:ty) => {
        /// # As on a ring, so on a copy
        impl $builder {
            /// Adds servers under their addresses. Give them [names](Self::node) if they may ever move to other addresses.
            pub fn nodes<U: AsRef<str>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
                urls.into_iter().for_each(|url| self.members.add(None, url.as_ref(), 1.0));
                self
            }

            /// Adds a server with everything that can be said of it. Its weight is its share of a ring's keys, or of a copy's
            /// reads.
            pub fn node_config(mut self, node: NodeConfig) -> Self {
                self.members.nodes.push(Ok(node));
                self
            }

            /// Sets how long connecting to a node may take, for nodes that do not say. Default 1 second.
            pub fn connect_timeout(mut self, timeout: Duration) -> Self {
                self.members.connect_timeout = Some(timeout);
                self
            }

            /// Sets how long a reply may take, for nodes that do not say. Default 1 second.
            pub fn response_timeout(mut self, timeout: Duration) -> Self {
                self.members.response_timeout = Some(timeout);
                self
            }

            /// Sets the certificate authority, the client certificate and the server's name for nodes with `rediss://` URLs
            /// that do not say.
            pub fn tls(mut self, tls: TlsConfig) -> Self {
                self.members.tls = Some(tls);
                self
            }

            /// Has a function asked for user and password at each handshake of the nodes that have no password, and no
            /// provider of their own.
            pub fn credentials_provider(mut self, provider: CredentialsProvider) -> Self {
                self.members.credentials_provider = Some(provider);
                self
            }

            /// Builds it, and connects its nodes.
            ///
            /// # Errors
            /// As [`build`](Self::build) and `ready` of what is built, within the connect timeout.
            pub async fn connect(self) -> Result<$handle, Error> {
                let built = self.build()?;
                built.ready().await?;
                Ok(built)
            }
        }

        impl TryFrom<TopologyConfig> for $builder {
            type Error = Error;

            /// Reads the nodes from a configuration.
            fn try_from(config: TopologyConfig) -> Result<Self, Error> {
                Self::from_config(config)
            }
        }
    };
}

common_settings!(RingBuilder, RedisRing);
common_settings!(CopyBuilder, RedisCopy);

/// The settings that both builders gather.
#[derive(Debug, Clone, Default)]
pub(crate) struct MembersBuilder {
    nodes: Vec<Result<NodeConfig, ConfigError>>,
    layout: Layout,
    hash_tag: Option<HashTag>,
    #[cfg(feature = "layouts")]
    labels: BTreeMap<String, String>,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
    tls: Option<TlsConfig>,
    credentials_provider: Option<CredentialsProvider>,
}

/// The nodes of one ring, and what places the keys on them.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) ring: RingConfig,
    pub(crate) nodes: Vec<NodeConfig>,
}

impl MembersBuilder {
    pub(crate) fn add(&mut self, name: Option<String>, url: &str, weight: f64) {
        let named = name.as_deref().map(|name| foreign::name(name).into_owned());
        let named = named.unwrap_or_else(|| format!("#{}", self.nodes.len()));
        let node = NodeConfig::new(url).map(|node| node.with_weight(weight));
        let node = match name {
            Some(name) => node.map(|node| node.with_name(name)),
            None => node,
        };
        self.nodes.push(node.map_err(|reason| ConfigError::Node { node: named, reason }));
    }

    pub(crate) fn from_topology(config: &TopologyConfig, wanted: Strategy) -> Result<Self, ConfigError> {
        if config.strategy != wanted {
            return Err(ConfigError::Strategy { found: config.strategy, wanted });
        }
        // A file is looked through when it is read; this is for what was changed since.
        wanted.refuse_foreign(&[
            (Strategy::Copy, "write_to", config.write_to != WriteTo::default()),
            (Strategy::Copy, "read_from", config.read_from != ReadFrom::default()),
            (Strategy::Copy, "on_return", config.on_return != OnReturn::default()),
            (Strategy::Copy, "on_conflict", config.on_conflict != OnConflict::default()),
            (Strategy::Copy, "on_difference", config.on_difference != OnDifference::default()),
            (Strategy::Copy, "identity", config.identity.is_some()),
            (Strategy::Ring, "on_down", config.on_down != OnDown::default()),
            (Strategy::Ring, "layout", config.layout != Layout::default()),
            (Strategy::Ring, "allow_colocated", config.allow_colocated),
        ])?;
        Ok(Self {
            nodes: config.nodes.iter().cloned().map(Ok).collect(),
            layout: config.layout,
            hash_tag: config.hash_tag,
            #[cfg(feature = "layouts")]
            labels: config.labels.clone(),
            connect_timeout: config.connect_timeout_ms.map(Duration::from_millis),
            response_timeout: config.response_timeout_ms.map(Duration::from_millis),
            tls: config.tls.clone(),
            credentials_provider: None,
        })
    }

    pub(crate) fn build(self) -> Result<Members, ConfigError> {
        const ZERO: &str = "it is 0, so nothing could be done in time; leave it out for the default";
        let timeouts =
            [("connect_timeout", self.connect_timeout), ("response_timeout", self.response_timeout)];
        if let Some((name, _)) = timeouts.iter().find(|(_, timeout)| *timeout == Some(Duration::ZERO)) {
            return Err(ConfigError::setting(name, ZERO));
        }
        let mut ring = RingConfig::default();
        ring.layout = self.layout;
        ring.hash_tag = self.hash_tag;
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let mut node = node?;
            // A node's own timeout, where it has one, stands above that of all.
            if let Some(timeout) = self.connect_timeout {
                node = node.or_connect_timeout(timeout);
            }
            if let Some(timeout) = self.response_timeout {
                node = node.or_response_timeout(timeout);
            }
            if let Some(tls) = &self.tls {
                node = node.or_tls(tls);
            }
            if let Some(provider) = &self.credentials_provider {
                node = node.or_credentials_provider(provider);
            }
            node.check().map_err(|reason| ConfigError::Node {
                node: foreign::name(node.name()).into_owned(),
                reason,
            })?;
            let member = Member::new(node.name()).weight(node.weight());
            #[cfg(feature = "layouts")]
            let member = match self.labels.get(node.name()) {
                Some(label) => member.label(label),
                None => member,
            };
            ring.nodes.push(member);
            if let Some(twin) = nodes.iter().find(|other: &&NodeConfig| is_twin(other, &node)) {
                let [node, other] = [twin, &node].map(|node| foreign::name(node.name()).into_owned());
                return Err(ConfigError::SameServer { node, other });
            }
            nodes.push(node);
        }
        #[cfg(feature = "layouts")]
        if let Some(name) = self.labels.keys().find(|name| nodes.iter().all(|node| node.name() != **name)) {
            let name = foreign::name(name);
            return Err(ConfigError::setting(
                "labels",
                &format!("there is no node `{name}`; name one of the nodes"),
            ));
        }
        Ok(Members { ring, nodes })
    }
}

/// Returns whether two nodes of different names are one server. Two nodes of one name are an error of the ring.
fn is_twin(a: &NodeConfig, b: &NodeConfig) -> bool {
    a.name() != b.name() && a.is_same_server(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(built: Result<impl Sized, Error>, wanted: &str) {
        let error = built.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(wanted), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_not_built() {
        let ring = || RedisRing::builder().node("a", "redis://h1");
        let copy = || RedisCopy::builder().node("a", "redis://h1");
        let node = || NodeConfig::new("redis://h2").unwrap();
        check(ring().connect_timeout(Duration::ZERO).build(), "`connect_timeout`: it is 0");
        check(copy().response_timeout(Duration::ZERO).build(), "`response_timeout`: it is 0");
        check(
            ring().node_config(node().with_response_timeout(Duration::ZERO)).build(),
            "`response_timeout` is 0",
        );
        check(copy().node_config(node().with_max_in_flight(0)).build(), "`max_in_flight` is 0");
        check(copy().on_return(OnReturn::Repair { keys_per_second: 0 }).build(), "`keys_per_second` is 0");
        let prefers = OnConflict::Prefer(vec!["a".to_owned(), "typo".to_owned()]);
        check(copy().on_conflict(prefers).build(), "`on_conflict`: there is no node `typo`");
        check(
            copy().on_conflict(OnConflict::Prefer(Vec::new())).build(),
            "`on_conflict`: it prefers no node",
        );
        check(copy().identity("").build(), "`identity`: it is empty");
        let many = |n| RedisCopy::builder().nodes((0..n).map(|node| format!("redis://h{node}"))).build();
        assert!(many(8).is_ok());
        check(many(9), "`nodes`: a copy has 8 nodes at most, and these are 9; a ring has any number");
        #[cfg(feature = "layouts")]
        check(ring().label("typo", "x").build(), "there is no node `typo`");
        let mut config = TopologyConfig::from_toml("strategy = \"ring\"\nnodes = [\"redis://h\"]").unwrap();
        config.write_to = WriteTo::All;
        check(RedisRing::from_config(config), "`write_to`: this is a setting of a copy");
    }
}

//! What gathers the nodes of a ring or a copy, one setting a method.

#[cfg(feature = "layouts")]
use std::collections::BTreeMap;
use std::time::Duration;

use redisdb_hashring::HashTag;
use redisdb_hashring::Layout;
use redisdb_hashring::Member;
use redisdb_hashring::RingConfig;
use redisdb_node as node;
use redisdb_node::NodeConfig;

use crate::config::ConfigError;
use crate::config::Strategy;
use crate::config::TopologyConfig;
use crate::copy::RedisCopy;
use crate::error::Error;
use crate::nodes::Nodes;
use crate::policy::OnDown;
use crate::policy::OnReturn;
use crate::policy::Policy;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;
use crate::ring::RedisRing;
use crate::topology::Plan;

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
        let on_down = config.on_down.clone();
        let members = MembersBuilder::from_topology(config, Strategy::Ring)?;
        Ok(Self { members, colocated: false, on_down })
    }

    /// Adds a server under a name, which is what places its keys; the URL is as in [`NodeConfig::new`].
    pub fn node(self, name: impl Into<String>, url: &str) -> Self {
        self.weighted_node(name, url, 1)
    }

    /// Adds a server that gets `weight` times the keys of one with weight 1.
    pub fn weighted_node(mut self, name: impl Into<String>, url: &str, weight: u32) -> Self {
        self.members.add(Some(name.into()), url, weight);
        self
    }

    /// Adds servers under their addresses. Give them [names](Self::node) if they may ever move to other addresses.
    pub fn nodes<U: AsRef<str>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        urls.into_iter().for_each(|url| self.members.add(None, url.as_ref(), 1));
        self
    }

    /// Adds a server with everything that can be said of it.
    pub fn node_config(mut self, node: NodeConfig) -> Self {
        self.members.add_config(node);
        self
    }

    /// Sets which part of a key decides where it is. Default: the rule of the layout, for our own [`HashTag::Cluster`].
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.members.hash_tag(hash_tag);
        self
    }

    /// Sets how long connecting to a node may take, for nodes that do not say. Default 1 second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.members.connect_timeout(timeout);
        self
    }

    /// Sets how long a reply may take, for nodes that do not say. Default 1 second.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.members.response_timeout(timeout);
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
    /// node (`DBSIZE`). They may stop working when a node is added.
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
        Ok(RedisRing::new(self.plan()?))
    }

    pub(crate) fn plan(self) -> Result<Plan, Error> {
        Plan::new(self.members.build()?, self.colocated, self.on_down)
    }

    /// Returns the ring with its nodes connected.
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`RedisRing::ready`], within the connect timeout.
    pub async fn connect(self) -> Result<RedisRing, Error> {
        let ring = self.build()?;
        ring.ready().await?;
        Ok(ring)
    }
}

impl TryFrom<TopologyConfig> for RingBuilder {
    type Error = Error;

    /// Reads the nodes from a configuration.
    fn try_from(config: TopologyConfig) -> Result<Self, Error> {
        Self::from_config(config)
    }
}

/// Gathers the nodes of a [`RedisCopy`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CopyBuilder {
    members: MembersBuilder,
    policy: Policy,
    identity: Option<String>,
}

impl CopyBuilder {
    pub(crate) fn from_config(config: TopologyConfig) -> Result<Self, Error> {
        let TopologyConfig { write_to, read_from, on_return, .. } = config;
        let policy = Policy { write_to, read_from, on_return };
        let identity = config.identity.clone();
        let members = MembersBuilder::from_topology(config, Strategy::Copy)?;
        Ok(Self { members, policy, identity })
    }

    /// Adds a server under a name; the URL is as in [`NodeConfig::new`].
    pub fn node(mut self, name: impl Into<String>, url: &str) -> Self {
        self.members.add(Some(name.into()), url, 1);
        self
    }

    /// Adds servers under their addresses.
    pub fn nodes<U: AsRef<str>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        urls.into_iter().for_each(|url| self.members.add(None, url.as_ref(), 1));
        self
    }

    /// Adds a server with everything that can be said of it. Its weight is its share of the reads.
    pub fn node_config(mut self, node: NodeConfig) -> Self {
        self.members.add_config(node);
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

    /// Marks the servers as belonging to this copy, by one key `__redisdb:{identity}:node` on each of them, so that a
    /// process that starts after a server came back empty knows it for what it is. Default: they are not marked.
    ///
    /// Every process that uses these servers must give the same identity. Servers that hold data already are marked
    /// by [`RedisCopy::adopt`]; empty ones at the first start.
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Sets which part of a key decides which node it is read from. Default: [`HashTag::Cluster`].
    pub fn hash_tag(mut self, hash_tag: HashTag) -> Self {
        self.members.hash_tag(hash_tag);
        self
    }

    /// Sets how long connecting to a node may take, for nodes that do not say. Default 1 second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.members.connect_timeout(timeout);
        self
    }

    /// Sets how long a reply may take, for nodes that do not say. Default 1 second.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.members.response_timeout(timeout);
        self
    }

    /// Returns the copy without connecting.
    ///
    /// # Errors
    /// What is wrong with the nodes: a URL, a name or a server that stands twice, that there is none, or that fewer are
    /// there than must take a write.
    pub fn build(self) -> Result<RedisCopy, Error> {
        let nodes = Nodes::new(self.members.build()?)?;
        let wanted = self.policy.write_to.wanted(nodes.len());
        if wanted > nodes.len() || wanted == 0 {
            return Err(ConfigError::WriteTo { wanted, nodes: nodes.len() }.into());
        }
        Ok(RedisCopy::new(nodes, self.policy, self.identity))
    }

    /// Returns the copy with its nodes connected.
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`RedisCopy::ready`], within the connect timeout.
    pub async fn connect(self) -> Result<RedisCopy, Error> {
        let copy = self.build()?;
        copy.ready().await?;
        Ok(copy)
    }
}

/// What both builders gather.
#[derive(Debug, Clone, Default)]
pub(crate) struct MembersBuilder {
    nodes: Vec<Result<NodeConfig, ConfigError>>,
    layout: Layout,
    hash_tag: Option<HashTag>,
    #[cfg(feature = "layouts")]
    labels: BTreeMap<String, String>,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
}

/// The nodes of one ring, and what places the keys on them.
#[derive(Debug)]
pub(crate) struct Members {
    pub(crate) ring: RingConfig,
    pub(crate) nodes: Vec<NodeConfig>,
}

impl MembersBuilder {
    pub(crate) fn add(&mut self, name: Option<String>, url: &str, weight: u32) {
        let named = name.clone().unwrap_or_else(|| format!("#{}", self.nodes.len()));
        let node = NodeConfig::new(url).and_then(|node| {
            let weight = weight.try_into().map_err(|_| node::ConfigError::ZeroWeight)?;
            Ok(node.with_weight(weight))
        });
        let node = match name {
            Some(name) => node.map(|node| node.with_name(name)),
            None => node,
        };
        self.nodes.push(node.map_err(|reason| ConfigError::Node { node: named, reason }));
    }

    pub(crate) fn add_config(&mut self, node: NodeConfig) {
        self.nodes.push(Ok(node));
    }

    pub(crate) fn hash_tag(&mut self, hash_tag: HashTag) {
        self.hash_tag = Some(hash_tag);
    }

    pub(crate) fn connect_timeout(&mut self, timeout: Duration) {
        self.connect_timeout = Some(timeout);
    }

    pub(crate) fn response_timeout(&mut self, timeout: Duration) {
        self.response_timeout = Some(timeout);
    }

    pub(crate) fn from_topology(config: TopologyConfig, wanted: Strategy) -> Result<Self, ConfigError> {
        if config.strategy != wanted {
            return Err(ConfigError::Strategy { found: config.strategy, wanted });
        }
        Ok(Self {
            nodes: config.nodes.into_iter().map(Ok).collect(),
            layout: config.layout,
            hash_tag: config.hash_tag,
            #[cfg(feature = "layouts")]
            labels: config.labels,
            connect_timeout: config.connect_timeout_ms.map(Duration::from_millis),
            response_timeout: config.response_timeout_ms.map(Duration::from_millis),
        })
    }

    pub(crate) fn build(self) -> Result<Members, ConfigError> {
        let mut ring = RingConfig::default();
        ring.layout = self.layout;
        ring.hash_tag = self.hash_tag;
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let mut node = node?;
            // A node's own timeout, where it has one, stands above that of all.
            if let Some(timeout) = self.connect_timeout
                && node.connect_timeout() == NodeConfig::CONNECT_TIMEOUT
            {
                node = node.with_connect_timeout(timeout);
            }
            if let Some(timeout) = self.response_timeout
                && node.response_timeout() == NodeConfig::RESPONSE_TIMEOUT
            {
                node = node.with_response_timeout(timeout);
            }
            let member = Member::new(node.name()).weight(node.weight().get());
            #[cfg(feature = "layouts")]
            let member = match self.labels.get(node.name()) {
                Some(label) => member.label(label),
                None => member,
            };
            ring.nodes.push(member);
            if let Some(twin) = nodes.iter().find(|other: &&NodeConfig| is_twin(other, &node)) {
                let [node, other] = [twin, &node].map(|node| node.name().to_owned());
                return Err(ConfigError::SameServer { node, other });
            }
            nodes.push(node);
        }
        Ok(Members { ring, nodes })
    }
}

/// Whether two nodes are one server. Of two of one name it is the name that is told to be wrong, by the ring.
fn is_twin(a: &NodeConfig, b: &NodeConfig) -> bool {
    a.name() != b.name() && a.is_same_server(b)
}

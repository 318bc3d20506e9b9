//! Subscriptions to several nodes.

use std::collections::BTreeMap;

use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Subscription;
use redisdb_node::plumbing::Topics;
use redisdb_node::plumbing::is_keyspace_channel;

use crate::engine::copy::CopyEngine;
use crate::engine::ring::RingEngine;
use crate::error::Error;

impl RingEngine {
    pub(crate) async fn subscribe(&self, channels: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        let (everywhere, owned): (Vec<_>, Vec<_>) =
            channels.into_iter().partition(|channel| is_keyspace_channel(channel));
        let mut parts = self.by_owner(owned);
        if !everywhere.is_empty() {
            for node in self.topology().nodes.iter() {
                let (_, channels) =
                    parts.entry(node.name().to_owned()).or_insert_with(|| (node.clone(), Vec::new()));
                channels.extend(everywhere.iter().cloned());
            }
        }
        start(parts.into_values().map(|(node, channels)| (node, Topics::Channels(channels))), "SUBSCRIBE")
            .await
    }

    pub(crate) async fn psubscribe(&self, patterns: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        let topology = self.topology();
        let nodes = topology.nodes.iter();
        start(nodes.map(|node| (node.clone(), Topics::Patterns(patterns.clone()))), "PSUBSCRIBE").await
    }

    pub(crate) async fn ssubscribe(&self, channels: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        let parts = self.by_owner(channels);
        start(parts.into_values().map(|(node, channels)| (node, Topics::Shards(channels))), "SSUBSCRIBE")
            .await
    }

    fn by_owner(&self, channels: Vec<Vec<u8>>) -> BTreeMap<String, (Node, Vec<Vec<u8>>)> {
        let mut parts = BTreeMap::new();
        for channel in channels {
            let node = self.topology().nodes.owner(&channel).clone();
            let (_, channels) =
                parts.entry(node.name().to_owned()).or_insert_with(|| (node.clone(), Vec::new()));
            channels.push(channel);
        }
        parts
    }
}

impl CopyEngine {
    pub(crate) async fn subscribe(&self, channels: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        self.listen(channels, Topics::Channels, "SUBSCRIBE").await
    }

    pub(crate) async fn psubscribe(&self, patterns: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        self.listen(patterns, Topics::Patterns, "PSUBSCRIBE").await
    }

    pub(crate) async fn ssubscribe(&self, channels: Vec<Vec<u8>>) -> Result<Subscription, Error> {
        self.listen(channels, Topics::Shards, "SSUBSCRIBE").await
    }

    async fn listen(
        &self,
        names: Vec<Vec<u8>>,
        topics: impl Fn(Vec<Vec<u8>>) -> Topics,
        command: &'static str,
    ) -> Result<Subscription, Error> {
        if names.iter().any(|name| is_keyspace_channel(name)) {
            let reason = "each node tells of its own keys there, so each event would come from every node; listen to \
                          one node, by `on_node(name)`";
            return Err(Error::refused(command, "copy", reason));
        }
        start_with(
            self.listened_to().await?.map(|node| (node.clone(), topics(names.clone()))),
            |message| !message.is_keyspace_event(),
            command,
        )
        .await
    }
}

async fn start(
    parts: impl Iterator<Item = (Node, Topics)>,
    command: &'static str,
) -> Result<Subscription, Error> {
    start_with(parts, |_| true, command).await
}

/// Starts a subscription. A node that cannot be reached is no error unless none can; any other failure is one.
async fn start_with(
    parts: impl Iterator<Item = (Node, Topics)>,
    accept: fn(&node::Message) -> bool,
    command: &'static str,
) -> Result<Subscription, Error> {
    let parts: Vec<_> = parts.collect();
    let n_parts = parts.len();
    if n_parts == 0 {
        return Err(Error::refused(command, "ring", "it names nothing to listen to; name a channel"));
    }
    let (subscription, begun) = Subscription::start(parts, accept).await;
    let mut errors = Vec::new();
    for error in begun.into_iter().filter_map(Result::err) {
        if error.is_config() || !error.is_connect() {
            return Err(Error::Node(error));
        }
        errors.push(error);
    }
    if errors.len() == n_parts {
        return Err(Error::unavailable(command, None, errors, Vec::new()));
    }
    Ok(subscription)
}

//! Subscriptions to several nodes.

use std::collections::BTreeMap;

use redis::ToRedisArgs;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Subscription;
use redisdb_node::plumbing::Topics;
use redisdb_node::plumbing::is_keyspace_channel;

use crate::copy::RedisCopy;
use crate::error::Error;
use crate::ring::RedisRing;

impl RedisRing {
    /// Listens to channels, each at its owner. The channels of keyspace notifications are listened to at every node: a
    /// key's notification comes from the key's owner, not the channel's.
    ///
    /// A node that cannot be reached now is tried again, and has a [gap](redisdb_node::PubSubEvent::Gap) when it can.
    ///
    /// # Errors
    /// If none of the nodes can be reached, or one does not let the user in or listen.
    pub async fn subscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        let (everywhere, owned): (Vec<_>, Vec<_>) =
            channels.to_redis_args().into_iter().partition(|channel| is_keyspace_channel(channel));
        let mut parts = self.by_owner(owned);
        if !everywhere.is_empty() {
            for node in self.nodes() {
                let (_, channels) =
                    parts.entry(node.name().to_owned()).or_insert_with(|| (node.clone(), Vec::new()));
                channels.extend(everywhere.iter().cloned());
            }
        }
        start(parts.into_values().map(|(node, channels)| (node, Topics::Channels(channels))), "SUBSCRIBE")
            .await
    }

    /// Listens to all channels that match a pattern, or one of several, at every node.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(&self, patterns: impl ToRedisArgs) -> Result<Subscription, Error> {
        let patterns = patterns.to_redis_args();
        start(self.nodes().map(|node| (node, Topics::Patterns(patterns.clone()))), "PSUBSCRIBE").await
    }

    /// Listens to channels of `SPUBLISH`, each at its owner. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        let parts = self.by_owner(channels.to_redis_args());
        start(parts.into_values().map(|(node, channels)| (node, Topics::Shards(channels))), "SSUBSCRIBE")
            .await
    }

    fn by_owner(&self, channels: Vec<Vec<u8>>) -> BTreeMap<String, (Node, Vec<Vec<u8>>)> {
        let mut parts = BTreeMap::new();
        for channel in channels {
            let node = self.node_for(&channel);
            let (_, channels) =
                parts.entry(node.name().to_owned()).or_insert_with(|| (node.clone(), Vec::new()));
            channels.push(channel);
        }
        parts
    }
}

impl RedisCopy {
    /// Listens to channels, at every node: a message is published to one of them, whichever is up, and comes once.
    ///
    /// # Errors
    /// If none of the nodes can be reached, or one does not let the user in or listen. The channels of keyspace
    /// notifications are refused: each node speaks of its own keys.
    pub async fn subscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(channels.to_redis_args(), Topics::Channels, "SUBSCRIBE").await
    }

    /// Listens to all channels that match a pattern, or one of several, at every node. Keyspace notifications are left
    /// out.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn psubscribe(&self, patterns: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(patterns.to_redis_args(), Topics::Patterns, "PSUBSCRIBE").await
    }

    /// Listens to channels of `SPUBLISH`, at every node. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub async fn ssubscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(channels.to_redis_args(), Topics::Shards, "SSUBSCRIBE").await
    }

    async fn listen(
        &self,
        names: Vec<Vec<u8>>,
        topics: impl Fn(Vec<Vec<u8>>) -> Topics,
        command: &'static str,
    ) -> Result<Subscription, Error> {
        if names.iter().any(|name| is_keyspace_channel(name)) {
            let reason = "each node speaks of its own keys there, so all would come once from each; listen to one \
                          node, by `on_node(name)`";
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

/// Starts a subscription; that a node is down is no error, that it is wrongly configured is one, and that none is up.
async fn start_with(
    parts: impl Iterator<Item = (Node, Topics)>,
    accept: fn(&node::Message) -> bool,
    command: &'static str,
) -> Result<Subscription, Error> {
    let parts: Vec<_> = parts.collect();
    let n_parts = parts.len();
    let (subscription, begun) = Subscription::start(parts, accept).await;
    let mut errors = Vec::new();
    for error in begun.into_iter().filter_map(Result::err) {
        if error.is_config() || !error.is_connect() {
            return Err(Error::Node(error));
        }
        errors.push(error);
    }
    if n_parts > 0 && errors.len() == n_parts {
        return Err(Error::unavailable(command, None, errors, Vec::new()));
    }
    Ok(subscription)
}

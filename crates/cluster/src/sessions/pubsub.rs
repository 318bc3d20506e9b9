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
    /// Listens to these, each at its owner, or at every node where `is_everywhere` says so.
    pub(crate) async fn listen(
        &self,
        names: Vec<Vec<u8>>,
        topics: fn(Vec<Vec<u8>>) -> Topics,
        is_everywhere: fn(&[u8]) -> bool,
        command: &'static str,
    ) -> Result<Subscription, Error> {
        let topology = self.topology();
        let mut parts: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for name in names {
            let owner = topology.nodes.ring().lookup(&name);
            let at = if is_everywhere(&name) { 0..topology.nodes.len() } else { owner..owner + 1 };
            at.for_each(|idx| parts.entry(idx).or_default().push(name.clone()));
        }
        let parts = parts.into_iter().map(|(idx, names)| (topology.nodes.at(idx).clone(), topics(names)));
        start(parts.collect(), |_| true, command).await
    }
}

impl CopyEngine {
    /// Listens to these at every node.
    pub(crate) async fn listen(
        &self,
        names: Vec<Vec<u8>>,
        topics: fn(Vec<Vec<u8>>) -> Topics,
        command: &'static str,
    ) -> Result<Subscription, Error> {
        if names.iter().any(|name| is_keyspace_channel(name)) {
            let reason = "each node tells of its own keys there, so each event would come from every node; listen to \
                          one node, by `on_node(name)`";
            return Err(Error::refused(command, "copy", reason));
        }
        self.check_identity().await?;
        let parts = self.topology.nodes.iter().map(|node| (node.clone(), topics(names.clone())));
        start(parts.collect(), |message| !message.is_keyspace_event(), command).await
    }
}

/// Starts a subscription. A node that cannot be reached is no error unless none can; any other failure is one.
async fn start(
    parts: Vec<(Node, Topics)>,
    accept: fn(&node::Message) -> bool,
    command: &'static str,
) -> Result<Subscription, Error> {
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

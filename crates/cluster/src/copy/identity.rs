//! How a process that has seen nothing yet tells a server that belongs to a copy from one that came back empty: by a
//! marker, one key on each server.

use futures_util::future::join_all;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;

use super::RedisCopy;
use crate::error::Error;
use crate::state::UNFINISHED;

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It is the node that we take it for, and complete.
    Marked,
    /// It says nothing, and holds so many keys.
    Unmarked { keys: i64 },
    /// It is another node, or of another copy.
    Foreign(String),
    /// It cannot be asked.
    Unreachable,
}

impl RedisCopy {
    /// Makes sure that the servers are those of this copy, once; a copy without an identity takes them as they are.
    pub(super) async fn check_identity(&self) -> Result<(), Error> {
        if self.shared.identity.is_none() {
            return Ok(());
        }
        self.shared.identified.get_or_try_init(|| self.identify()).await.map(drop)
    }

    async fn identify(&self) -> Result<(), Error> {
        let nodes: Vec<&Node> = self.nodes().collect();
        let found = join_all(nodes.iter().map(|node| self.ask_identity(node))).await;
        for (node, found) in nodes.iter().zip(&found) {
            if let Found::Foreign(says) = found {
                let reason =
                    format!("the server of node `{}` says that it is {says}; check its URL", node.name());
                return Err(Error::Identity { reason });
            }
        }
        let marked = found.contains(&Found::Marked);
        let all_empty = found.iter().all(|found| *found == Found::Unmarked { keys: 0 });
        if all_empty {
            // The first start. Another process may do the same at this moment: it writes the same.
            return self.mark(&nodes).await;
        }
        if !marked {
            let reason = "no server is marked as belonging to this copy, and they are not all empty; if they hold the \
                          same, say so by `adopt()`"
                .to_owned();
            return Err(Error::Identity { reason });
        }
        for (idx, found) in found.iter().enumerate() {
            if *found != Found::Marked
                && let Some(behind) = self.shared.behind.get(idx)
            {
                behind.missed(std::iter::empty());
            }
        }
        Ok(())
    }

    /// Marks the servers as belonging to this copy, if they all hold the same; for servers that held data before they
    /// were given an [identity](crate::CopyBuilder::identity).
    ///
    /// # Errors
    /// [`Error::Identity`] if they do not hold the same, with the first keys that differ, or if the copy has no
    /// identity; and if a node cannot be reached.
    pub async fn adopt(&self) -> Result<(), Error> {
        if self.shared.identity.is_none() {
            let reason =
                "this copy has no identity; give it one by `RedisCopy::builder().identity(..)`".to_owned();
            return Err(Error::Identity { reason });
        }
        self.shared.nodes.connect().await?;
        let nodes: Vec<&Node> = self.nodes().collect();
        for node in &nodes {
            node.ready().await?;
        }
        let differences = self.verify().run().await?;
        if let Some(first) = differences.first() {
            let reason =
                format!("{} keys are not the same on all servers; the first: {first}", differences.len());
            return Err(Error::Identity { reason });
        }
        self.mark(&nodes).await
    }

    /// Marks servers as complete.
    pub(super) async fn mark(&self, nodes: &[&Node]) -> Result<(), Error> {
        let Some(marker) = self.shared.marker() else { return Ok(()) };
        let marks = nodes.iter().map(async |node| {
            let set = rows::SET.cmd().arg(&marker).arg(node.name()).take();
            node.run(rows::SET.spec(), &set).await
        });
        for marked in join_all(marks).await {
            marked?;
        }
        Ok(())
    }

    /// Marks the servers again that have just removed all their keys, the marker among them.
    pub(super) async fn mark_flushed(&self, spec: &Spec, results: &[Result<Value, node::Error>]) {
        if self.shared.identity.is_some() && matches!(spec.name, "FLUSHALL" | "FLUSHDB") {
            let flushed =
                self.nodes().zip(results).filter(|(_, result)| result.is_ok()).map(|(node, _)| node);
            // A server that cannot be marked is taken for one that came back empty, which is the safe side.
            let _unmarked_is_safe = self.mark(&flushed.collect::<Vec<_>>()).await;
        }
    }

    async fn ask_identity(&self, node: &Node) -> Found {
        let Some(marker) = self.shared.marker() else { return Found::Unreachable };
        let get = rows::GET.cmd().arg(&marker).take();
        match node.run(rows::GET.spec(), &get).await {
            Ok(Value::BulkString(name)) if name == node.name().as_bytes() => Found::Marked,
            Ok(Value::BulkString(name)) => Found::Foreign(format!("node `{}`", name.escape_ascii())),
            Ok(Value::Nil) => match node.run(rows::DBSIZE.spec(), &rows::DBSIZE.cmd()).await {
                Ok(Value::Int(keys)) => Found::Unmarked { keys },
                _ => Found::Unreachable,
            },
            Ok(_) => Found::Foreign("something else: its marker is no string".to_owned()),
            Err(_) => Found::Unreachable,
        }
    }
}

impl super::Shared {
    /// The key of the marker.
    pub(super) fn marker(&self) -> Option<String> {
        self.identity.as_ref().map(|identity| format!("__redisdb:{{{identity}}}:node"))
    }

    /// The keys but for our own, which are not the same on any two servers: the marker, and what a repair is building.
    pub(super) fn without_ours(&self, mut keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let marker = self.marker();
        let is_ours = |key: &Vec<u8>| {
            key.starts_with(UNFINISHED) || marker.as_ref().is_some_and(|marker| key == marker.as_bytes())
        };
        keys.retain(|key| !is_ours(key));
        keys
    }
}

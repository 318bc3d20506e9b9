//! The time budget of a call on a copy, shared out among the nodes that the call asks.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::plumbing::after;
use tokio::time::Instant;

use crate::engine::copy::CopyEngine;
use crate::engine::nodes::Nodes;
use crate::error::Error;

/// The time that a call may take. Without a deadline every node has its own timeouts.
pub(crate) struct Budget {
    by: Option<Instant>,
    /// The number of nodes that may still be asked, one after the other.
    left: u32,
}

impl Budget {
    /// The budget of a call that asks up to so many nodes, one after the other.
    pub(crate) fn new(deadline: Option<Duration>, n_nodes: usize) -> Self {
        let by = deadline.map(|deadline| after(Instant::now(), deadline));
        Self { by, left: u32::try_from(n_nodes).unwrap_or(u32::MAX) }
    }

    /// No more nodes than these are asked from now on.
    pub(crate) fn asks_at_most(&mut self, n_nodes: usize) {
        self.left = self.left.min(u32::try_from(n_nodes).unwrap_or(u32::MAX));
    }

    /// The next node to be asked, with its share of the time that is left: one that hangs leaves enough for the others.
    pub(crate) fn share<'a>(&mut self, node: &'a Node) -> Cow<'a, Node> {
        let left = self.left.max(1);
        self.left = left - 1;
        self.within(node, left)
    }

    /// A node that is asked at the same time as others, with all the time that is left.
    pub(crate) fn all<'a>(&self, node: &'a Node) -> Cow<'a, Node> {
        self.within(node, 1)
    }

    /// A node that is asked at the same time as others, with half of the time that is left. The other half is for asking
    /// elsewhere what these left open.
    pub(crate) fn half<'a>(&self, node: &'a Node) -> Cow<'a, Node> {
        self.within(node, 2)
    }

    /// Half of the time that is left, for what is waited for before anything is sent. A command that was sent in the last
    /// moment would be given up before it is answered.
    pub(crate) fn before_sending(&self) -> Self {
        let now = Instant::now();
        Self { by: self.by.map(|by| now + by.saturating_duration_since(now) / 2), ..*self }
    }

    /// Waits for something that the call depends on; `None` if that takes more time than is left.
    pub(crate) async fn limit<T>(&self, awaited: impl Future<Output = T>) -> Option<T> {
        match self.by {
            None => Some(awaited.await),
            Some(by) => tokio::time::timeout_at(by, awaited).await.ok(),
        }
    }

    /// The same copy, for what is to be done in the time that is left.
    pub(crate) fn rest<'a>(&self, copy: &'a CopyEngine) -> Cow<'a, CopyEngine> {
        match self.by {
            None => Cow::Borrowed(copy),
            Some(by) => Cow::Owned(copy.with_deadline(by.saturating_duration_since(Instant::now()))),
        }
    }

    /// Waits until some server has told the time, or none can.
    pub(crate) async fn learn_clock(&self, nodes: &Nodes) {
        if nodes.no_clock_is_known() {
            self.limit(nodes.learn_clock()).boxed().await;
        }
    }

    /// Returns whether no other node is left to be asked.
    pub(crate) fn is_last(&self) -> bool {
        self.left == 0
    }

    /// Returns whether no time is left.
    pub(crate) fn is_over(&self) -> bool {
        self.by.is_some_and(|by| by <= Instant::now())
    }

    fn within<'a>(&self, node: &'a Node, shares: u32) -> Cow<'a, Node> {
        match self.by {
            None => Cow::Borrowed(node),
            Some(by) => {
                let now = Instant::now();
                Cow::Owned(node.until(now + by.saturating_duration_since(now) / shares))
            }
        }
    }
}

impl CopyEngine {
    /// The budget of a call by this handle that asks up to so many nodes, one after the other; the servers have been
    /// looked at within it.
    pub(crate) async fn budget(&self, n_nodes: usize) -> Result<Budget, Error> {
        let budget = Budget::new(self.deadline, n_nodes);
        if self.is_identified() {
            self.watch();
        } else {
            // Boxed, because this happens once: the future of every call would have room for it.
            let identified = budget.limit(self.check_identity()).boxed().await;
            identified.unwrap_or_else(|| {
                let kind = node::ErrorKind::ConnectTimeout(self.deadline.unwrap_or_default());
                Err(Error::Node(node::Error::without_node("CONNECT", kind)))
            })?;
        }
        Ok(budget)
    }
}

//! The barrier of a key: it waits until all nodes that can be reached hold the same.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use redisdb_node::Node;
use redisdb_node::plumbing::after;
use redisdb_node::plumbing::foreign;
use tokio::time::Instant;
use tokio::time::timeout_at;

use crate::anti_entropy::value::is_denied;
use crate::anti_entropy::verify::Difference;
use crate::anti_entropy::verify::differences;
use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::error::Error;
use crate::error::debug::Shown;
use crate::error::debug::debug;

/// Without a deadline of the caller it waits this long.
const WITHIN: Duration = Duration::from_secs(60);
/// The pause after the first look at the nodes; each next one is twice as long ..
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// .. up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A key that did not become the same on all nodes in time.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct NotConverged {
    /// The key.
    pub key: Vec<u8>,
    /// The nodes that do not have it, while others do.
    pub missing: Vec<String>,
    /// The nodes that hold something else than the first node that has it.
    pub other: Vec<String>,
    /// The nodes that are known to have missed a write of it, or are still to be made whole.
    pub behind: Vec<String>,
    /// Why the nodes could not be looked at the last time, if that is so.
    pub error: Option<Box<Error>>,
}

debug!(NotConverged { key = Shown(key), missing, other, behind, error });

impl CopyEngine {
    /// Waits until all nodes that can be reached hold the same of a key; see [`RedisCopy::converged`](crate::RedisCopy::converged).
    pub(crate) async fn converged(&self, key: &[u8]) -> Result<Vec<String>, Error> {
        self.topology.refuse_ours("converged", std::iter::once(key))?;
        let by = after(Instant::now(), self.deadline.unwrap_or(WITHIN));
        let mut last = NotConverged { key: key.to_vec(), ..NotConverged::default() };
        let waited = timeout_at(by, async {
            self.connect().await?;
            // Also those that no call has needed yet.
            join_all(self.topology.nodes.iter().map(Node::ready)).await;
            let mut pause = FIRST_PAUSE;
            loop {
                match self.seen_of(key).await {
                    Ok((nodes, NotConverged { missing, other, behind, .. }))
                        if !nodes.is_empty()
                            && [&missing, &other, &behind].iter().all(|it| it.is_empty()) =>
                    {
                        return Ok(nodes);
                    }
                    Ok((_, seen)) => last = seen,
                    Err(Error::Node(error)) if is_denied(&error) => return Err(Error::Node(error)),
                    Err(error) => last.error = Some(Box::new(error)),
                }
                tokio::time::sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        });
        let waited = waited.await;
        waited.unwrap_or_else(|_| Err(Error::NotConverged(Box::new(last))))
    }

    /// Compares a key on all nodes that can be reached. Returns their names, and what was seen.
    async fn seen_of(&self, key: &[u8]) -> Result<(Vec<String>, NotConverged), Error> {
        let members = || self.topology.nodes.members().enumerate();
        // A process that has just come is looked at first: it may be the node's.
        let unknown = members()
            .filter(|(_, member)| member.node().is_connected() && !self.topology.is_admitted(member));
        join_all(unknown.map(|(idx, _)| self.look_at(idx).boxed())).await;
        let (idxs, members): (Vec<usize>, Vec<_>) =
            members().filter(|(_, member)| self.topology.takes_part(member)).unzip();
        let nodes: Vec<_> = members.iter().map(|member| member.node()).collect();
        let mut denied = None;
        let found = differences(&nodes, vec![key.to_vec()], |_, error| denied = Some(error.clone())).await;
        let (found, _) = found?;
        if let Some(denied) = denied {
            return Err(Error::Node(denied));
        }
        // In this order: what a node had missed when it was looked at is known by now.
        join_all(idxs.iter().map(|idx| self.read_hints_on(*idx))).await;
        let is_behind = |member: &&Member| !member.has_memory() || member.hints().has_missed_of(key);
        let behind = members.iter().copied().filter(is_behind);
        let behind = behind.map(|member| member.name().to_string()).collect();
        let found = found.into_iter().next();
        let (missing, other) =
            found.map(|Difference { missing, other, .. }| (missing, other)).unwrap_or_default();
        let names = nodes.iter().map(|node| node.name().to_owned()).collect();
        Ok((names, NotConverged { key: key.to_vec(), missing, other, behind, error: None }))
    }
}

impl fmt::Display for NotConverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}` did not become the same on all nodes in time", foreign::bytes(&self.key))?;
        for (nodes, what) in [
            (&self.missing, "is missing on"),
            (&self.other, "is something else on"),
            (&self.behind, "is behind on"),
        ] {
            if !nodes.is_empty() {
                write!(f, "; it {what} `{}`", nodes.join("`, `"))?;
            }
        }
        self.error.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}

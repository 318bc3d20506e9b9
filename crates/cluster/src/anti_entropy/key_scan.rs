//! A scan over the keys of a node, in batches.

use redis::Pipeline;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::Scan;
use redisdb_node::ScanCursor;
use redisdb_node::commands::ScanOptions;
use redisdb_node::commands::ServerCommands;

use crate::anti_entropy::source::Source;
use crate::anti_entropy::value;
use crate::anti_entropy::verify::differences;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::error::Error;
use crate::error::RepairReason;
use crate::membership::identity::is_a_marker;
use crate::membership::lease::Leases;

/// The number of keys that are read, compared and written at once.
pub(crate) const BATCH: usize = 128;
/// The most keys that may be unknown to the others without raising a doubt: they may have been deleted since.
const FEW: usize = 10;

/// All keys of a node, but for our own, in batches.
pub(crate) struct Keys<'a> {
    copy: &'a CopyEngine,
    node: &'a Node,
    cursor: Option<ScanCursor>,
    /// Where those come from that wait, or were given last.
    before: Option<ScanCursor>,
    waiting: Vec<Vec<u8>>,
    batch: usize,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(copy: &'a CopyEngine, node: &'a Node) -> Self {
        let cursor = Some(ScanCursor::default());
        Self { copy, node, cursor, before: None, waiting: Vec::new(), batch: BATCH }
    }

    /// The same, in batches of so many keys.
    pub(crate) fn by(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The next of them; `None` at the end.
    pub(crate) async fn next(&mut self, leases: Option<&Leases>) -> Result<Option<Vec<Vec<u8>>>, Error> {
        if let Some(leases) = leases {
            leases.renew().await?;
        }
        while self.waiting.is_empty() {
            let Some(at) = self.cursor.clone() else { return Ok(None) };
            let options = ScanOptions::new().count(BATCH as u64);
            let step = self.node.scan_from::<Vec<u8>>(at.clone(), options).await?;
            (self.before, self.cursor) = (Some(at), step.next);
            self.waiting = step.items;
            self.waiting.retain(|key| !self.copy.topology.is_ours(key));
        }
        let rest = self.waiting.split_off(self.waiting.len().min(self.batch));
        Ok(Some(std::mem::replace(&mut self.waiting, rest)))
    }

    /// From where on the node is asked next; `None` at the end.
    pub(crate) fn cursor(&self) -> Option<&ScanCursor> {
        self.cursor.as_ref()
    }

    /// Returns whether keys are waiting that come before those that the node is asked for next.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Goes back to those that were given last: nothing could be done with them.
    pub(crate) fn go_back(&mut self) {
        self.waiting.clear();
        self.cursor = self.before.take().or_else(|| self.cursor.take());
    }
}

impl Keys<'_> {
    /// The next of them that none of these nodes has, and how many were gone through for it; calls a function with those that this user
    /// may not use there.
    pub(crate) async fn next_but(
        &mut self,
        others: &[&Node],
        mut denied: impl FnMut(&[u8], &node::Error),
    ) -> Result<Option<(u64, Vec<Vec<u8>>)>, Error> {
        let Some(mut batch) = self.next(None).await? else { return Ok(None) };
        let n_keys = batch.len() as u64;
        for other in others {
            batch = missing_but(other, batch, &mut denied).await?;
        }
        Ok(Some((n_keys, batch)))
    }
}

/// How many keys a node holds, about; 0 if this user may not ask.
pub(crate) async fn size(node: &Node) -> Result<u64, node::Error> {
    match node.dbsize().await {
        Err(error) if value::is_denied(&error) => Ok(0),
        size => size,
    }
}

/// Why a server may be somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The server came back, and may be another one: a few of its keys may have been deleted on the others since.
    CameBack,
    /// Its node has joined: it has not been one of the copy's before.
    Joined,
    /// The server should be marked, and is not: most of its keys must be the same on the others, not only known to them.
    Unmarked,
}

impl CopyTopology {
    /// Why this process of a node's server may be somebody else's; `None` if it is ours.
    pub(crate) fn doubt(&self, idx: usize, incarnation: u64) -> Option<Doubt> {
        let member = self.nodes.member(idx);
        let has_identity = self.identity.is_some();
        match member.has_joined() {
            _ if has_identity && member.is_ours(incarnation) => None,
            _ if has_identity && !member.hints().fence().admits(incarnation) => {
                Some(if member.was_emptied_lately() { Doubt::CameBack } else { Doubt::Unmarked })
            }
            true => Some(Doubt::Joined),
            false => Some(Doubt::CameBack),
        }
    }
}

/// Makes sure that not most of what a server holds is unknown to the others: its keys would not be ours to remove.
pub(crate) async fn must_be_ours(
    copy: &CopyEngine,
    source: &Source<'_>,
    target: &Node,
    doubt: Doubt,
) -> Result<(), Error> {
    let mut keys = Keys::of(copy, target);
    let (mut n_keys, mut n_unknown) = (0, 0);
    while n_keys < BATCH
        && let Some(batch) = keys.next(None).await?
    {
        // What the source is known to have missed says nothing.
        let batch: Vec<Vec<u8>> = batch.into_iter().filter(|key| source.counts_for(key)).collect();
        n_keys += batch.len();
        let unknown = match doubt {
            Doubt::Unmarked => {
                let (different, _) = differences(&[&source.node, target], batch, |_, _| ()).await?;
                different.into_iter().map(|difference| difference.key).collect()
            }
            Doubt::CameBack | Doubt::Joined => missing(&source.node, batch).await?,
        };
        if unknown.iter().any(|key| is_a_marker(key)) {
            return Err(Error::unrepaired(target.name(), RepairReason::OtherCopy));
        }
        n_unknown += unknown.len();
    }
    let few = if doubt == Doubt::CameBack { FEW } else { 0 };
    if few < n_unknown && n_keys < n_unknown * 2 {
        return Err(Error::unrepaired(target.name(), RepairReason::Foreign));
    }
    Ok(())
}

/// Those of the keys that a node does not have. One that this user may not use is none of them.
pub(crate) async fn missing(node: &Node, keys: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
    missing_but(node, keys, |_, _| ()).await
}

/// The same, and calls a function with each key that this user may not use.
pub(crate) async fn missing_but(
    node: &Node,
    keys: Vec<Vec<u8>>,
    mut denied: impl FnMut(&[u8], &node::Error),
) -> Result<Vec<Vec<u8>>, Error> {
    let mut questions = Pipeline::with_capacity(keys.len());
    for key in &keys {
        questions.cmd("EXISTS").arg(key);
    }
    let replies = node.send_pipeline(&questions, 0, questions.len()).await?;
    let mut missing = Vec::new();
    for (key, reply) in keys.into_iter().zip(replies) {
        match node.accept("EXISTS", reply) {
            Ok(Value::Int(0)) => missing.push(key),
            Ok(_) => {}
            Err(error) if value::is_denied_key(&error) => denied(&key, &error),
            Err(error) => return Err(Error::Node(error)),
        }
    }
    Ok(missing)
}

//! A wave: commands of a pipeline that go to the nodes at the same time, to each node in one batch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::Batch;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::Words;
use redisdb_node::plumbing::given_up;
use redisdb_node::plumbing::too_few;

use crate::engine::nodes::Nodes;
use crate::pipeline::answers::At;

/// Commands that go to the nodes at the same time, and the replies that have come. When the future that sends them is dropped,
/// the replies that came before stay here.
pub(crate) struct Wave<'n, 'a> {
    nodes: &'n Nodes,
    shares: Vec<Share<'a>>,
    /// The commands that every node is sent as one `MULTI` block, instead of its batch.
    pub(crate) block: Option<Vec<Recorded<'a>>>,
    /// About how many commands a node will get, so that its batch need not grow.
    room: usize,
    is_full: bool,
}

/// One node's share of a wave.
#[derive(Default)]
struct Share<'a> {
    batch: Option<Batch<'a>>,
    replies: Option<Replies>,
}

/// The replies of one node.
enum Replies {
    Batch(Result<Vec<Value>, node::Error>),
    Block(Vec<Option<Result<Value, node::Error>>>),
}

/// The nodes that did not answer a wave of a pipeline, and why: they are sent no later one.
#[derive(Default)]
pub(crate) struct Lost(BTreeMap<usize, Arc<node::ErrorKind>>);

impl<'n, 'a> Wave<'n, 'a> {
    /// Returns an empty wave with room for about so many commands for each node.
    pub(crate) fn new(nodes: &'n Nodes, room: usize) -> Self {
        let shares = nodes.iter().map(|_| Share::default()).collect();
        Self { nodes, shares, block: None, room: room.min(Batch::MOST_COMMANDS), is_full: false }
    }

    /// Returns whether the wave should be sent before more is added.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds a command for a node, and returns where its reply will stand.
    #[inline]
    pub(crate) fn put(&mut self, node: usize, cmd: impl Into<Words<'a>>) -> At {
        let Some(share) = self.shares.get_mut(node) else { return (node, usize::MAX) };
        let batch = share.batch.get_or_insert_with(|| Batch::with_capacity(self.room));
        let at = (node, batch.len());
        batch.push(cmd);
        self.is_full |= batch.is_full();
        at
    }

    /// Sends each node its batch, or every node the block, by the handle of the node that is given.
    pub(crate) async fn send(&mut self, lost: &mut Lost, handle: impl Fn(usize) -> Cow<'n, Node>) {
        let (nodes, block) = (self.nodes, &self.block);
        let sent = self.shares.iter_mut().enumerate().map(async |(idx, share)| {
            share.replies = match (block, &share.batch, lost.0.get(&idx)) {
                (Some(block), ..) => {
                    let outcomes = handle(idx).send_block(block).await;
                    Some(Replies::Block(outcomes.into_iter().map(Some).collect()))
                }
                (None, None, _) => None,
                (None, Some(_), Some(cause)) => {
                    let kind = node::ErrorKind::Down { cause: Arc::clone(cause) };
                    let error = node::Error::new(Arc::clone(nodes.name(idx)), "pipeline", kind);
                    Some(Replies::Batch(Err(error)))
                }
                (None, Some(batch), None) => {
                    let replies = handle(idx).send_batch(batch).await;
                    Some(Replies::Batch(replies))
                }
            };
        });
        join_all(sent).await;
        for (idx, share) in self.shares.iter().enumerate() {
            if let Some(Replies::Batch(Err(error))) = &share.replies {
                lost.0.entry(idx).or_insert_with(|| match error.kind() {
                    node::ErrorKind::Down { cause } => Arc::clone(cause),
                    kind => Arc::new(kind.clone()),
                });
            }
        }
    }

    /// Returns whether the command in this place of a batch has a reply that is no error.
    pub(crate) fn has_reply(&self, (node, i): At) -> bool {
        match self.shares.get(node).and_then(|share| share.replies.as_ref()) {
            Some(Replies::Batch(Ok(replies))) => replies.get(i).is_some_and(|reply| !is_error(reply)),
            _ => false,
        }
    }

    /// Returns whether every command of every batch has such a reply.
    pub(crate) fn is_whole(&self) -> bool {
        self.shares.iter().all(|share| match (&share.batch, &share.replies) {
            (None, _) => true,
            (Some(batch), Some(Replies::Batch(Ok(replies)))) => {
                batch.len() <= replies.len() && !replies.iter().any(is_error)
            }
            _ => false,
        })
    }

    /// Takes the reply in this place, or the reason why there is none.
    pub(crate) fn take(&mut self, (node, i): At, spec: &'static Spec) -> Result<Value, node::Error> {
        let nodes = self.nodes;
        let failed = |kind| Err(node::Error::new(Arc::clone(nodes.name(node)), spec.name, kind));
        match self.shares.get_mut(node).and_then(|share| share.replies.as_mut()) {
            None => failed(given_up()),
            Some(Replies::Batch(Err(error))) => failed(error.kind().clone()),
            Some(Replies::Batch(Ok(replies))) => match replies.get_mut(i) {
                Some(reply) => nodes.at(node).accept(spec.name, std::mem::replace(reply, Value::Nil)),
                None => failed(too_few()),
            },
            Some(Replies::Block(outcomes)) => {
                outcomes.get_mut(i).and_then(Option::take).unwrap_or_else(|| failed(too_few()))
            }
        }
    }

    /// Returns the replies to the batches that were not taken, under the names of the nodes.
    pub(crate) fn into_replies(self) -> Vec<(Arc<str>, Vec<Value>)> {
        let replies = |share: Share<'_>| match share.replies {
            Some(Replies::Batch(Ok(replies))) => replies,
            _ => Vec::new(),
        };
        let names = self.nodes.members().map(|member| Arc::clone(member.name()));
        names.zip(self.shares.into_iter().map(replies)).collect()
    }
}

fn is_error(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(_))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use redisdb_node::command::rows;

    use super::*;
    use crate::RedisRing;

    #[tokio::test]
    async fn a_node_that_did_not_answer_a_wave_is_sent_no_later_one_and_its_errors_say_why() {
        // Nobody listens at this port.
        let ring = RedisRing::builder().node("a", "redis://127.0.0.1:1").build().unwrap();
        let topology = ring.topology();
        let (mut lost, n_sent, get) = (Lost::default(), AtomicUsize::new(0), rows::GET.spec());
        let handle = |idx| {
            n_sent.fetch_add(1, Ordering::SeqCst);
            Cow::Borrowed(topology.nodes.at(idx))
        };
        let mut causes = Vec::new();
        for _ in 0..3 {
            let mut wave = Wave::new(&topology.nodes, 1);
            let at = wave.put(0, rows::GET.cmd().arg("k").take());
            wave.send(&mut lost, handle).await;
            assert!(!wave.has_reply(at) && !wave.is_whole());
            let error = wave.take(at, get).unwrap_err();
            assert!(error.is_not_sent(), "{error}");
            causes.push(match error.kind() {
                node::ErrorKind::Down { cause } => cause.to_string(),
                kind => kind.to_string(),
            });
        }
        assert_eq!(n_sent.into_inner(), 1);
        assert!(causes.iter().all(|cause| *cause == causes[0]), "{causes:?}");
    }
}

//! Change feeds: the names of the keys that change on a server, told by the server itself.

mod queue;
mod tracking;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use futures_util::Stream;
use tokio::sync::oneshot;

use self::tracking::TRACKING;
use self::tracking::Tracking;
use super::listener::Listener;
use crate::error::Error;
use crate::node::Node;
use crate::pipeline::block::given_up;

/// The change feed of one node: the names of the keys that change there, whoever changes them, as a
/// [`Stream`] of [`Changes`]. Made by [`Node::changes`] and [`Node::changes_under`].
///
/// The server itself tells them (`CLIENT TRACKING ON BCAST`): writes of any client, alone, in a block or by a
/// script, and keys that expire or are evicted. The server tells the name of a key, not what happened to it,
/// and names of all its databases, without the number of the database. `SWAPDB` is not told.
///
/// Each feed has a connection of its own. A lost connection is made anew, with pauses from 50 ms to 1 s.
/// Changes that were made meanwhile are not known, and an [`UnknownChanges::Gap`] says so once the server tells
/// changes again. When connections are lost again within a minute, the pauses grow: 1, 4, 16 and then 30 s. An
/// idle connection is tested every second.
///
/// A feed never ends by itself. Dropped, it closes its connection.
///
/// # Trade-offs
/// Each write on the server costs a little more for each feed. No server waits for a slow reader: up to
/// 1,000,000 names that were not read yet, or 64 MiB of names, are kept. Beyond that, an
/// [`UnknownChanges::Overflow`] takes their place. A name that waits is kept once, however often its key changes.
/// A server that cannot send as fast as keys change ends the connection (`client-output-buffer-limit pubsub`),
/// which makes a gap.
///
/// Since Redis 8.10 the server leaves out the keys that its user may not read.
///
/// A feed needs the protocol RESP3, and so Redis 6.0.
///
/// # Example
/// ```no_run
/// use redisdb_node::{Changes, Node};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let mut feed = node.changes().await?;
/// loop {
///     match feed.next().await {
///         Changes::Keys(keys) => println!("{} keys have changed", keys.len()),
///         Changes::Unknown(why) => println!("any key may have changed: {why:?}"),
///         Changes::Refused(error) => println!("no changes are told for now: {error}"),
///         other => println!("{other:?}"),
///     }
/// }
/// # }
/// ```
pub struct ChangeFeed {
    node: Node,
    tracking: Arc<Tracking>,
    /// The process that the last changes are of.
    process: Option<Arc<str>>,
    _listener: Listener,
}

/// The news that a [`ChangeFeed`] tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Changes {
    /// These keys have changed since their names were last read, or are gone. Each name comes once, in no
    /// order.
    Keys(Vec<Vec<u8>>),
    /// Any key may have changed before this is read. Names that waited are left out; names of later changes
    /// follow.
    Unknown(UnknownChanges),
    /// The server does not let changes be heard any more: a permission was taken away, or another server
    /// answers. Told once; the feed tries again, and an [`UnknownChanges::Gap`] follows when it succeeds.
    Refused(Error),
}

/// The reason why any key may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownChanges {
    /// All keys of a database, or of all databases, were removed (`FLUSHDB`, `FLUSHALL`).
    Flushed,
    /// The connection was lost, and is there again. Any change may have been made meanwhile, a flush too.
    Gap,
    /// The reader was too slow: more names waited than are kept.
    Overflow,
}

impl ChangeFeed {
    /// The channel that a user must be permitted (`&` before its name in an ACL), beside `+client|tracking` and `+subscribe`.
    /// Nothing is published to it.
    pub const CHANNEL: &str = tracking::CHANNEL;

    /// Starts a feed of the keys whose names begin so, or of all keys. A quiet one does not log the error that this returns.
    pub(crate) async fn start(node: &Node, prefixes: Vec<Vec<u8>>, is_quiet: bool) -> Result<Self, Error> {
        let tracking = Arc::new(Tracking::new(prefixes, is_quiet));
        let (begins, begin) = oneshot::channel();
        let listener = Listener::start(node.clone(), Arc::clone(&tracking), begins);
        // Without a word its task has ended with its runtime.
        begin.await.unwrap_or_else(|_| Err(node.failed(TRACKING, given_up())))?;
        Ok(Self { node: node.clone(), tracking, process: None, _listener: listener })
    }

    /// Waits for the next changes.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Changes {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Returns the changes that wait already; `None` if there are none. After a
    /// [barrier](Self::barrier), call it until it returns `None`.
    pub fn try_next(&mut self) -> Option<Changes> {
        let (changes, process) = self.tracking.queue.take()?;
        self.process = process;
        Some(changes)
    }

    /// Waits until every change that the server had executed when this was called can be read: by its name, or
    /// as [`Changes::Unknown`]. Takes two round trips.
    ///
    /// # Errors
    /// The feed has no connection, or lost it meanwhile: an [`UnknownChanges::Gap`] follows when there is one
    /// again. Or the server did not answer within the response timeout, twice at most. Nothing is promised
    /// then.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn barrier(&self) -> Result<(), Error> {
        let timeout = self.node.config().response_timeout();
        self.tracking.barrier(timeout).await.map_err(|kind| self.node.failed("PING", kind))
    }

    /// The node whose changes these are.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The [name](Node::process) of the server process that the changes read last are of. `None` before the
    /// first were read, and if nothing proves which process it is. Another process always has a gap before
    /// its changes.
    #[doc(hidden)]
    pub fn process(&self) -> Option<&str> {
        self.process.as_deref()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Changes> {
        self.tracking.queue.poll(context).map(|(changes, process)| {
            self.process = process;
            changes
        })
    }
}

impl Stream for ChangeFeed {
    type Item = Changes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Changes>> {
        self.get_mut().poll(context).map(Some)
    }
}

impl fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeFeed")
            .field("node", &self.node.name())
            .field("waiting", &self.tracking.queue)
            .finish_non_exhaustive()
    }
}

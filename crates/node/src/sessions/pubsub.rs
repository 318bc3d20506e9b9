//! Subscriptions: messages as a stream that survives the loss of a connection, and says so.

mod queue;
mod topic_source;

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use futures_util::Stream;
use redis::FromRedisValue;
use redis::Value;
use tokio::sync::oneshot;

use self::queue::Queue;
use self::topic_source::TopicSource;
use super::listener::Listener;
use crate::error::Error;
use crate::node::Node;
use crate::pipeline::block::given_up;
use crate::redis_rs::decode;

/// A subscription: the messages of channels as a [`Stream`] of [`PubSubEvent`]s. Made by `subscribe`,
/// `psubscribe` and `ssubscribe` of a node, a ring or a copy. Each node that is listened to has a connection
/// for the subscription alone.
///
/// A lost connection is made anew, with pauses from 50 ms to 1 s, and its channels are subscribed to again.
/// When connections are lost again within a minute, the pauses grow: 1, 4, 16 and then 30 s. Messages that
/// were published meanwhile are lost, and a [`PubSubEvent::Gap`] reports that. An idle connection is tested
/// every second, so that a server that hangs is noticed too.
///
/// A subscription never ends by itself. Dropped, it closes its connections.
///
/// # Trade-offs
/// No server waits for a slow reader: up to 10,000 events, or 64 MiB, are kept for it. Further messages are
/// dropped, and a [`PubSubEvent::Overflow`] counts them in their place. A gap among the dropped events is
/// reported once for each node, after the overflow.
///
/// # On a ring
/// A channel belongs to the node that a key of the same name belongs to. Patterns, and the channels of
/// keyspace notifications, are subscribed to on every node.
///
/// # On a copy
/// Every node is listened to. A message is published to one node, so it arrives once. Keyspace notifications
/// are left out, because every node sends its own.
///
/// A subscription needs the protocol RESP3, and so Redis 6.0.
///
/// # Example
/// ```no_run
/// use redisdb_node::{PubSubEvent, Node};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let mut news = node.subscribe(&["news", "weather"]).await?;
/// loop {
///     match news.next().await {
///         PubSubEvent::Message(message) => println!("{}", String::from_utf8_lossy(&message.payload)),
///         PubSubEvent::Gap { node } => println!("some may have been missed, `{node}` was away"),
///         other => println!("{other:?}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
    _listeners: Vec<Listener>,
}

/// A message of a [`Subscription`], or a report that messages were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PubSubEvent {
    /// A message.
    Message(Message),
    /// The connection to this node was lost, and is there again: what was published meanwhile is missing.
    Gap {
        /// The node's name.
        node: Arc<str>,
    },
    /// The reader was too slow: here so many messages are missing.
    Overflow {
        /// The number of events that were lost.
        lost: u64,
    },
}

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The node that it came from.
    pub node: Arc<str>,
    /// The channel that it was published to.
    pub channel: Vec<u8>,
    /// The pattern that matched the channel; `None` if it was subscribed to by its name.
    pub pattern: Option<Vec<u8>>,
    /// The payload of the message.
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as another type: a text, a number.
    ///
    /// # Errors
    /// The payload is not of that type.
    pub fn payload_as<T: FromRedisValue>(&self) -> Result<T, redis::ParsingError> {
        decode(Value::BulkString(self.payload.clone()))
    }

    /// Returns whether it is a keyspace notification: a server's word on its own keys.
    pub fn is_keyspace_event(&self) -> bool {
        is_keyspace_channel(&self.channel)
    }
}

/// Returns whether a channel is one of those in which a server speaks of its own keys.
///
/// See <https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/>.
pub fn is_keyspace_channel(channel: &[u8]) -> bool {
    channel.starts_with(b"__keyspace@") || channel.starts_with(b"__keyevent@")
}

/// The topics of a subscription on one node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Topics {
    /// Channels.
    Channels(Vec<Vec<u8>>),
    /// Patterns of channels.
    Patterns(Vec<Vec<u8>>),
    /// Channels of `SPUBLISH`. Since Redis 7.0.
    Shards(Vec<Vec<u8>>),
}

impl Topics {
    /// The command that subscribes to them, and their names.
    pub(super) fn command(&self) -> (&'static str, &[Vec<u8>]) {
        match self {
            Self::Channels(names) => ("SUBSCRIBE", names),
            Self::Patterns(names) => ("PSUBSCRIBE", names),
            Self::Shards(names) => ("SSUBSCRIBE", names),
        }
    }
}

impl Subscription {
    /// Listens to several nodes at once, and says how it went at first with each. A node that could not be
    /// reached is tried again, and has a gap when it is.
    ///
    /// Messages that `accept` does not accept are left out.
    #[doc(hidden)]
    pub async fn start(
        parts: Vec<(Node, Topics)>,
        accept: fn(&Message) -> bool,
    ) -> (Self, Vec<Result<(), Error>>) {
        let queue = Arc::new(Queue::new(accept));
        let mut listeners = Vec::with_capacity(parts.len());
        let mut begun = Vec::with_capacity(parts.len());
        for (node, topics) in parts {
            let (command, _) = topics.command();
            let (begins, begin) = oneshot::channel();
            let source = TopicSource { node: node.name().into(), topics, queue: Arc::clone(&queue) };
            listeners.push(Listener::start(node.clone(), Arc::new(source), begins));
            begun.push((node, command, begin));
        }
        let mut outcomes = Vec::with_capacity(begun.len());
        for (node, command, begin) in begun {
            // Without a word its task has ended with its runtime.
            outcomes.push(begin.await.unwrap_or_else(|_| Err(node.failed(command, given_up()))));
        }
        (Self { queue, _listeners: listeners }, outcomes)
    }

    /// Waits for the next event.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> PubSubEvent {
        std::future::poll_fn(|context| self.queue.poll(context)).await
    }
}

impl Stream for Subscription {
    type Item = PubSubEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<PubSubEvent>> {
        self.queue.poll(context).map(Some)
    }
}

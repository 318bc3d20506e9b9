//! Events: what happens to the nodes, as a stream.

use std::fmt;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::StreamExt;
use redisdb_node::NodeEvent;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use crate::anti_entropy::conflict::Conflict;
use crate::engine::replace::Replaced;
use crate::health::Health;
use crate::membership::forget::Forgotten;
use crate::shadow::Shadow;

/// The number of events that a listener may be behind before it misses the oldest.
const KEPT: usize = 256;

/// An event of the nodes of a ring or a copy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A node's health has changed.
    Node {
        /// The node.
        node: String,
        /// The change.
        event: NodeEvent,
    },
    /// On a copy: the health of a node has changed. The supervisor tells it a quarter of a second to a second later.
    Health {
        /// The node.
        node: String,
        /// Its health now.
        health: Health,
    },
    /// On a copy: no node is known to have a key right, so reads of it wait until somebody decides.
    Conflict(Conflict),
    /// On a ring: other nodes answer for the keys of this one, which is down, as [`OnDown`](crate::OnDown) says.
    Away {
        /// The node.
        node: String,
    },
    /// On a ring: a node that was away serves its keys again.
    Back {
        /// The node.
        node: String,
    },
    /// On a copy: a node was [forgotten](crate::RedisCopy::forget), by this process or another one.
    Forgotten(Forgotten),
    /// The nodes were replaced by others.
    Replaced(Replaced),
    /// This listener was too slow, and has missed this many events.
    Missed(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, event } => write!(f, "node `{node}`: {event}"),
            Self::Health { node, health } => write!(f, "node `{node}` is {health:?}"),
            Self::Conflict(conflict) => write!(f, "{conflict}"),
            Self::Away { node } => write!(f, "node `{node}` is away: others answer for its keys"),
            Self::Back { node } => write!(f, "node `{node}` serves its keys again"),
            Self::Forgotten(forgotten) => write!(f, "{forgotten}"),
            Self::Replaced(replaced) => write!(
                f,
                "nodes replaced: {} added, {} removed, {} changed, {} kept",
                replaced.added.len(),
                replaced.removed.len(),
                replaced.changed.len(),
                replaced.kept.len()
            ),
            Self::Missed(n) => write!(f, "{n} events were missed"),
        }
    }
}

/// The sender of events to all listeners.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: broadcast::Sender<Event>,
    shadow: Option<Arc<Shadow>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { sender: broadcast::channel(KEPT).0, shadow: None }
    }
}

impl Events {
    /// The same, which a shadow hears first.
    pub(crate) fn heard_by(self, shadow: Option<Shadow>) -> Self {
        Self { shadow: shadow.map(Arc::new), ..self }
    }

    /// The shadow that hears them, if there is one.
    pub(crate) fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_deref()
    }

    /// Sends an event. Without a listener the event is lost.
    pub(crate) fn tell(&self, event: Event) {
        self.shadow.iter().for_each(|shadow| shadow.hear(&event));
        let _nobody_listens = self.sender.send(event);
    }

    /// Returns the events from now on. The stream ends when the last handle and the last node are gone.
    pub(crate) fn stream(&self) -> impl Stream<Item = Event> + Send + Unpin + use<> {
        let missed = |BroadcastStreamRecvError::Lagged(n)| Event::Missed(n);
        BroadcastStream::new(self.sender.subscribe()).map(move |event| event.unwrap_or_else(missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed_and_the_end_is_an_end() {
        let events = Events::default();
        let mut listener = events.stream();
        for i in 0..KEPT + 10 {
            events.tell(Event::Back { node: i.to_string() });
        }
        drop(events);
        assert!(matches!(listener.next().await, Some(Event::Missed(10))));
        assert!(matches!(listener.next().await, Some(Event::Back { node }) if node == "10"));
        assert_eq!(listener.count().await, KEPT - 1);
    }
}

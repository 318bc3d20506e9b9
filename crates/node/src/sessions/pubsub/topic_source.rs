//! The part of a subscription on one node: its topics, and where its messages go.

use std::sync::Arc;

use redis::PushKind;
use redis::Value;

use super::Message;
use super::Topics;
use super::queue::Queue;
use crate::sessions::listener::Source;

/// Topics on one node, whose messages go to the queue that all nodes of the subscription share.
pub(super) struct TopicSource {
    pub(super) node: Arc<str>,
    pub(super) topics: Topics,
    pub(super) queue: Arc<Queue>,
}

impl Source for TopicSource {
    const NAME: &'static str = "subscription";

    fn topics(&self) -> &Topics {
        &self.topics
    }

    fn begin(&self, missed: bool) {
        if missed {
            self.queue.gap(&self.node);
        }
    }

    fn receive(&self, kind: PushKind, data: Vec<Value>) {
        if let Some(message) = message(&self.node, &kind, data) {
            self.queue.push(message);
        }
    }
}

fn message(node: &Arc<str>, kind: &PushKind, data: Vec<Value>) -> Option<Message> {
    let mut data = data.into_iter().map(|value| match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    });
    let pattern = match kind {
        PushKind::Message | PushKind::SMessage => None,
        PushKind::PMessage => Some(data.next()??),
        _ => return None,
    };
    Some(Message { node: Arc::clone(node), pattern, channel: data.next()??, payload: data.next()?? })
}

//! The queue of events between the connections of a subscription and its reader.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use parking_lot::Mutex;

use super::Message;
use super::PubSubEvent;

/// The most events that are kept for a slow reader, and the most bytes of messages.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;

/// Events in their order, of all nodes. Full, it drops what comes.
pub(super) struct Queue {
    accept: fn(&Message) -> bool,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<PubSubEvent>,
    bytes: usize,
    /// The number of messages have been dropped since the last event.
    lost: u64,
    /// Nodes with a gap for which there was no room, each once.
    gaps: Vec<Arc<str>>,
    reader: Option<Waker>,
}

impl Queue {
    pub(super) fn new(accept: fn(&Message) -> bool) -> Self {
        Self { accept, waiting: Mutex::default() }
    }

    pub(super) fn push(&self, message: Message) {
        if (self.accept)(&message) {
            self.waiting.lock().push(message);
        }
    }

    pub(super) fn gap(&self, node: &Arc<str>) {
        let mut waiting = self.waiting.lock();
        waiting.gap(node);
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<PubSubEvent> {
        let mut waiting = self.waiting.lock();
        match waiting.pop() {
            Some(event) => Poll::Ready(event),
            None => {
                waiting.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Waiting {
    fn push(&mut self, message: Message) {
        let bytes = size(&message);
        if self.events.len() >= MOST || self.bytes + bytes > MOST_BYTES && !self.events.is_empty() {
            self.lost += 1;
            return;
        }
        self.say_left_out();
        self.bytes += bytes;
        self.events.push_back(PubSubEvent::Message(message));
        self.wake();
    }

    /// A connection that breaks again and again does not fill the memory either.
    fn gap(&mut self, node: &Arc<str>) {
        if self.events.len() >= MOST {
            if !self.gaps.contains(node) {
                self.gaps.push(Arc::clone(node));
            }
            return;
        }
        self.say_left_out();
        let event = PubSubEvent::Gap { node: Arc::clone(node) };
        if self.events.back() != Some(&event) {
            self.events.push_back(event);
        }
        self.wake();
    }

    fn pop(&mut self) -> Option<PubSubEvent> {
        let event = self.events.pop_front();
        if let Some(PubSubEvent::Message(message)) = &event {
            self.bytes -= size(message).min(self.bytes);
        }
        if event.is_none() {
            self.say_left_out();
            return self.events.pop_front();
        }
        event
    }

    /// Puts the number of what was dropped in its place, and the gaps among it.
    fn say_left_out(&mut self) {
        if self.lost > 0 {
            self.events.push_back(PubSubEvent::Overflow { lost: std::mem::take(&mut self.lost) });
        }
        self.events.extend(self.gaps.drain(..).map(|node| PubSubEvent::Gap { node }));
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

fn size(message: &Message) -> usize {
    let pattern = message.pattern.as_ref().map_or(0, Vec::len);
    message.payload.len() + message.channel.len() + pattern + size_of::<PubSubEvent>()
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.waiting.lock();
        f.debug_struct("Queue").field("events", &waiting.events.len()).field("lost", &waiting.lost).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Vec<u8>) -> Message {
        Message { node: "a".into(), channel: b"c".to_vec(), pattern: None, payload }
    }

    fn next(queue: &Queue) -> Option<PubSubEvent> {
        match queue.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_a_slow_reader_loses_is_counted_where_it_is_missing() {
        let queue = Queue::new(|_| true);
        for i in 0..MOST + 5 {
            queue.push(message(i.to_string().into_bytes()));
        }
        let first = message(b"0".to_vec());
        assert_eq!(next(&queue), Some(PubSubEvent::Message(first)));
        queue.push(message(b"late".to_vec()));
        for _ in 1..MOST {
            assert!(matches!(next(&queue), Some(PubSubEvent::Message(_))));
        }
        assert_eq!(next(&queue), Some(PubSubEvent::Overflow { lost: 5 }));
        assert_eq!(next(&queue), Some(PubSubEvent::Message(message(b"late".to_vec()))));
        assert_eq!(next(&queue), None);
    }

    #[test]
    fn big_messages_are_bounded_by_their_bytes_and_one_always_fits() {
        let queue = Queue::new(|_| true);
        queue.push(message(vec![0; MOST_BYTES + 1]));
        queue.push(message(vec![0; 1]));
        assert!(matches!(next(&queue), Some(PubSubEvent::Message(_))));
        assert_eq!(next(&queue), Some(PubSubEvent::Overflow { lost: 1 }));
        assert_eq!(next(&queue), None);
    }

    #[test]
    fn gaps_are_bounded_with_the_messages_and_each_node_has_one_in_the_end() {
        let queue = Queue::new(|_| true);
        let nodes: [Arc<str>; 2] = ["a".into(), "b".into()];
        for _ in 0..MOST {
            nodes.iter().for_each(|node| queue.gap(node));
        }
        queue.push(message(b"lost".to_vec()));
        let events: Vec<PubSubEvent> = std::iter::from_fn(|| next(&queue)).collect();
        assert_eq!(events.len(), MOST + 3);
        let gap = |node: &Arc<str>| PubSubEvent::Gap { node: Arc::clone(node) };
        assert_eq!(events[MOST..], [PubSubEvent::Overflow { lost: 1 }, gap(&nodes[0]), gap(&nodes[1])]);
    }

    #[test]
    fn gaps_in_a_row_are_one() {
        let queue = Queue::new(|_| true);
        let node: Arc<str> = "a".into();
        (0..3).for_each(|_| queue.gap(&node));
        assert_eq!(next(&queue), Some(PubSubEvent::Gap { node }));
        assert_eq!(next(&queue), None);
    }
}

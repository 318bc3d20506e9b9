//! The aggregates of a reply: arrays, sets, maps, push frames and attributes, while their elements come.

use redis::PushKind;
use redis::Value;

use super::Broken;

/// So many elements have room at once: the number that a server says is not believed.
const ROOM: usize = 1024;

/// An aggregate that lacks elements.
#[derive(Debug)]
pub(super) struct Aggregate {
    kind: u8,
    /// The number of values that are still to come.
    to_come: usize,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    Elements(Vec<Value>),
    /// The pairs, the number that there will be, and the key or the data that came last.
    Pairs {
        pairs: Vec<(Value, Value)>,
        n_pairs: usize,
        last: Option<Value>,
    },
}

impl Aggregate {
    /// Returns the value of an aggregate that no elements follow; `None` if some follow.
    pub(super) fn without_elements(kind: u8, length: i64) -> Result<Option<Value>, Broken> {
        Ok(match (kind, length) {
            (b'>', ..=0) => Some(Value::Push { kind: PushKind::Other(String::new()), data: Vec::new() }),
            (b'%' | b'|', ..0) => return Err(Broken::Syntax("a map has a negative length")),
            (_, ..0) => Some(Value::Nil),
            (b'*', 0) => Some(Value::Array(Vec::new())),
            (b'~', 0) => Some(Value::Set(Vec::new())),
            (b'%', 0) => Some(Value::Map(Vec::new())),
            _ => None,
        })
    }

    /// Returns the number of values that an aggregate of this length has.
    pub(super) fn n_values(kind: u8, length: usize) -> usize {
        match kind {
            b'%' => length.saturating_mul(2),
            // The attributes stand before the value that they are of.
            b'|' => length.saturating_mul(2).saturating_add(1),
            _ => length,
        }
    }

    /// Begins an aggregate.
    pub(super) fn new(kind: u8, length: usize) -> Self {
        let room = length.min(ROOM);
        let parts = match kind {
            b'%' | b'|' => Parts::Pairs { pairs: Vec::with_capacity(room), n_pairs: length, last: None },
            _ => Parts::Elements(Vec::with_capacity(room)),
        };
        Self { kind, to_come: Self::n_values(kind, length), parts }
    }

    /// Adds an element. Returns whether the aggregate is complete by it.
    pub(super) fn push(&mut self, value: Value) -> bool {
        match &mut self.parts {
            Parts::Elements(elements) => {
                make_room(elements, self.to_come);
                elements.push(value);
            }
            Parts::Pairs { pairs, n_pairs, last } => match last.take() {
                Some(key) => {
                    make_room(pairs, *n_pairs - pairs.len());
                    pairs.push((key, value));
                }
                None => *last = Some(value),
            },
        }
        self.to_come -= 1;
        self.to_come == 0
    }

    /// Returns the value of a complete aggregate.
    pub(super) fn close(self) -> Result<Value, Broken> {
        match (self.kind, self.parts) {
            (b'>', Parts::Elements(elements)) => push_frame(elements),
            (b'~', Parts::Elements(elements)) => Ok(Value::Set(elements)),
            (_, Parts::Elements(elements)) => Ok(Value::Array(elements)),
            (_, Parts::Pairs { pairs, last: Some(data), .. }) => {
                Ok(Value::Attribute { data: Box::new(data), attributes: pairs })
            }
            (_, Parts::Pairs { pairs, last: None, .. }) => Ok(Value::Map(pairs)),
        }
    }
}

/// Makes room for elements, for no more than there will be, and no more than there are already.
fn make_room<T>(elements: &mut Vec<T>, to_come: usize) {
    if elements.len() == elements.capacity() {
        elements.reserve_exact(elements.len().min(to_come).max(1));
    }
}

fn push_frame(elements: Vec<Value>) -> Result<Value, Broken> {
    const NO_KIND: Broken = Broken::Syntax("a push frame does not begin with its kind");
    let mut elements = elements.into_iter();
    let kind = match elements.next() {
        Some(Value::BulkString(kind)) => String::from_utf8(kind).map_err(|_| NO_KIND)?,
        Some(Value::SimpleString(kind)) => kind,
        _ => return Err(NO_KIND),
    };
    let kind = match kind.as_str() {
        "invalidate" => PushKind::Invalidate,
        "message" => PushKind::Message,
        "pmessage" => PushKind::PMessage,
        "smessage" => PushKind::SMessage,
        "unsubscribe" => PushKind::Unsubscribe,
        "punsubscribe" => PushKind::PUnsubscribe,
        "sunsubscribe" => PushKind::SUnsubscribe,
        "subscribe" => PushKind::Subscribe,
        "psubscribe" => PushKind::PSubscribe,
        "ssubscribe" => PushKind::SSubscribe,
        _ => PushKind::Other(kind),
    };
    Ok(Value::Push { kind, data: elements.collect() })
}

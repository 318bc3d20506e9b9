//! A frame: a reply by its bytes, as the server sent it.

use std::fmt;

use redis::ParsingError;
use redis::Value;

use crate::redis_rs::ill_formed;
use crate::wire::Parser;

/// A reply by its bytes, as the server sent it: one whole value of the protocol, with its line ends. Returned by
/// [`Node::send_raw`](crate::Node::send_raw).
///
/// Equal replies need not be equal frames: `Debug` shows the first byte and the length, never what the reply holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, from the one that says the kind of the reply to the last line end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes without copying them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Returns whether the reply is an error (`-ERR ..`, or `!` in RESP3). An error within an array is none of the
    /// reply.
    pub fn is_error(&self) -> bool {
        matches!(self.0.first(), Some(b'-' | b'!'))
    }

    /// Returns the value as which the bytes wait for their call, among the values of other calls.
    pub(crate) fn into_reply(self) -> Value {
        Value::BulkString(self.0)
    }

    /// Returns the frame that waited as this value.
    #[inline]
    pub(crate) fn from_reply(reply: Value) -> Option<Self> {
        match reply {
            Value::BulkString(bytes) => Some(Self(bytes)),
            _ => None,
        }
    }

    pub(crate) fn is_push(&self) -> bool {
        self.0.first() == Some(&b'>')
    }

    /// Reads the value, which is the one that [`Node::send`](crate::Node::send) would have given; that of an error
    /// reply is a [`Value::ServerError`].
    ///
    /// # Errors
    /// A line within the frame is not what its kind says, `:x` for example. Only its end was looked at before.
    pub fn decode(&self) -> Result<Value, ParsingError> {
        // The bound on a reply was kept when the frame was read.
        let mut rest = self.0.as_slice();
        match Parser::new(usize::MAX).next(&mut rest) {
            Ok(Some(value)) => Ok(value),
            Ok(None) | Err(_) => Err(ill_formed()),
        }
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.first().map(|kind| char::from(*kind));
        f.debug_struct("Frame").field("kind", &kind).field("len", &self.0.len()).finish()
    }
}

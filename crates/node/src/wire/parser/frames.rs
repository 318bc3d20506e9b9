//! The frames of replies: the bytes of each, without a value made of them.
//!
//! A call has one outcome in either form, for a reply is refused exactly where its value would take too much.

use super::Broken;
use super::ROOM;
use super::ends::Ends;

/// A frame has at most so many bytes more than its value may take: the kind, the length and the line ends of what
/// stands in no aggregate.
pub(super) const MORE: usize = 64;

/// The state between two pieces of a stream, of whose replies the bytes are wanted.
#[derive(Debug)]
pub(crate) struct Frames {
    limit: usize,
    ends: Ends,
    /// The bytes of the present frame that came in pieces before.
    gathered: Vec<u8>,
}

impl Frames {
    /// Returns the state before a stream, the value of whose every reply may take so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ends: Ends::new(limit), gathered: Vec::new() }
    }

    /// Returns whether a frame has begun and lacks bytes.
    pub(crate) fn is_within(&self) -> bool {
        self.ends.is_within()
    }

    /// Takes bytes up to the end of a frame, and returns that; `None` if all bytes are taken, and the frame lacks
    /// some.
    ///
    /// # Errors
    /// The stream is broken, and this must not be used again.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        let before = *bytes;
        let is_whole = self.ends.pass_reply(bytes)?;
        let (passed, _) = before.split_at(before.len() - bytes.len());
        if is_whole {
            return Ok(Some(self.end(passed)));
        }
        self.gather(passed);
        Ok(None)
    }

    /// Returns a frame whose last bytes these are. They are copied once, but where the frame came in pieces.
    fn end(&mut self, end: &[u8]) -> Vec<u8> {
        if self.gathered.is_empty() {
            return end.to_vec();
        }
        let mut frame = std::mem::take(&mut self.gathered);
        frame.reserve_exact(end.len());
        frame.extend_from_slice(end);
        frame.shrink_to_fit();
        frame
    }

    fn gather(&mut self, bytes: &[u8]) {
        let length = self.gathered.len();
        if self.gathered.capacity() < length + bytes.len() {
            // As much again as there is, and no more than will come.
            let room = match self.ends.to_come_of_string() {
                Some(lacks) => length.max(ROOM).min(bytes.len().saturating_add(lacks)),
                None => length.min(self.limit.saturating_add(MORE).saturating_sub(length)),
            };
            self.gathered.reserve_exact(room.max(bytes.len()));
        }
        self.gathered.extend_from_slice(bytes);
    }
}

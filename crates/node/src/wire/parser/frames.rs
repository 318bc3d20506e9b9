//! The frames of replies: where the bytes of each end, without a value made of them.
//!
//! A frame is refused exactly where its value would take too much, so a call has one outcome in either form. Of a line that is a
//! value only the end is looked at.

use super::Broken;
use super::ELEMENT;
use super::FEWEST;
use super::LENGTH;
use super::ROOM;
use super::aggregate::Aggregate;
use super::check_kind;
use super::check_unfinished;
use super::line_end;
use super::split_string;
use super::text;

/// A frame has at most so many bytes more than its value may take: the kind, the length and the line ends of what
/// stands in no aggregate.
pub(super) const MORE: usize = 64;

/// The state between two pieces of a stream, of whose replies the bytes are wanted.
#[derive(Debug)]
pub(crate) struct Frames {
    limit: usize,
    /// The value of the present frame may take so much more.
    left: usize,
    /// The bytes of the present frame that came in pieces before.
    gathered: Vec<u8>,
    /// The numbers of values that the aggregates lack, the outermost first.
    open: Vec<usize>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before a value.
    Value,
    /// In a line that begins at this place of what is gathered.
    Line(usize),
    /// In a string, of which so many bytes are to come, its line end included.
    Blob(usize),
}

/// The outcome of a step.
enum Passed {
    /// What comes next is a part of the same value.
    Part,
    Value,
    /// All bytes are passed, and the value lacks some.
    All,
}

impl Frames {
    /// Returns the state before a stream, the value of whose every reply may take so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, left: limit, gathered: Vec::new(), open: Vec::new(), place: Place::Value }
    }

    /// Returns whether a frame has begun and lacks bytes.
    pub(crate) fn is_within(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Takes bytes up to the end of a frame, and returns that; `None` if all bytes are taken, and the frame lacks
    /// some.
    ///
    /// # Errors
    /// The stream is broken, and this must not be used again.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        let mut rest = *bytes;
        loop {
            let passed = match self.place {
                Place::Value => self.pass_value(bytes.len(), &mut rest)?,
                Place::Line(from) => {
                    let passed = self.pass_line(from, bytes)?;
                    rest = bytes;
                    passed
                }
                Place::Blob(lacks) => self.pass_blob(lacks, &mut rest)?,
            };
            match passed {
                Passed::Part => {}
                Passed::Value if !self.complete() => {}
                Passed::Value => {
                    let (end, behind) = bytes.split_at(bytes.len() - rest.len());
                    *bytes = behind;
                    return Ok(Some(self.end(end)));
                }
                Passed::All => {
                    self.gather(bytes);
                    *bytes = &[];
                    return self.check().map(|()| None);
                }
            }
        }
    }

    /// Counts a value. Returns whether the frame is complete by it.
    fn complete(&mut self) -> bool {
        while let Some(to_come) = self.open.last_mut() {
            *to_come -= 1;
            if 0 < *to_come {
                return false;
            }
            self.open.pop();
        }
        true
    }

    /// Returns a frame whose last bytes these are. They are copied once, but where the frame came in pieces.
    fn end(&mut self, end: &[u8]) -> Vec<u8> {
        self.left = self.limit;
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
            let room = match self.place {
                Place::Blob(lacks) if self.open.is_empty() => {
                    length.max(ROOM).min(bytes.len().saturating_add(lacks))
                }
                _ => length.min(self.limit.saturating_add(MORE).saturating_sub(length)),
            };
            self.gathered.reserve_exact(room.max(bytes.len()));
        }
        self.gathered.extend_from_slice(bytes);
    }

    /// Makes sure that a line without an end is not too long already.
    fn check(&self) -> Result<(), Broken> {
        let Place::Line(from) = self.place else { return Ok(()) };
        check_unfinished(self.gathered.get(from..).unwrap_or_default(), self.left, self.open.len())
    }

    /// Passes a value or its first line, where so many bytes are here of what is not gathered.
    fn pass_value(&mut self, n_here: usize, rest: &mut &[u8]) -> Result<Passed, Broken> {
        let Some(kind) = rest.first() else { return Ok(Passed::All) };
        check_kind(*kind, self.open.len())?;
        if let Some((string, behind)) = split_string(rest) {
            self.take(string.len())?;
            *rest = behind;
            return Ok(Passed::Value);
        }
        let Some(end) = line_end(rest, 0) else {
            self.place = Place::Line(self.gathered.len() + n_here - rest.len());
            return Ok(Passed::All);
        };
        let (line, behind) = rest.split_at(end);
        *rest = behind;
        self.read_line(line)
    }

    /// Passes the end of a line that began in a piece before.
    fn pass_line(&mut self, from: usize, bytes: &mut &[u8]) -> Result<Passed, Broken> {
        let taken = match (self.gathered.last(), bytes.first()) {
            (Some(b'\r'), Some(b'\n')) => Some(1),
            _ => line_end(bytes, 0),
        };
        let Some(taken) = taken else { return Ok(Passed::All) };
        let (part, behind) = bytes.split_at(taken);
        self.gather(part);
        *bytes = behind;
        let gathered = std::mem::take(&mut self.gathered);
        let passed = self.read_line(gathered.get(from..).unwrap_or_default());
        self.gathered = gathered;
        passed
    }

    /// Reads a line with its kind and its end.
    fn read_line(&mut self, line: &[u8]) -> Result<Passed, Broken> {
        let [kind, line @ .., b'\r', b'\n'] = line else {
            return Err(Broken::Syntax("a line has no kind"));
        };
        self.place = Place::Value;
        match kind {
            b'$' => match self.length(line)? {
                ..0 => Ok(Passed::Value),
                length => self.begin_blob(length),
            },
            b'=' | b'!' => {
                let length = self.length(line)?;
                self.begin_blob(length)
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let length = self.length(line)?;
                self.begin_aggregate(*kind, length)
            }
            _ => self.take(line.len() + 2).map(|()| Passed::Value),
        }
    }

    /// Reads a length. Bytes beyond those of any number count.
    fn length(&mut self, line: &[u8]) -> Result<i64, Broken> {
        self.take(line.len().saturating_sub(LENGTH))?;
        text::number(line)
    }

    fn begin_blob(&mut self, length: i64) -> Result<Passed, Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        self.take(length)?;
        self.place = Place::Blob(length.saturating_add(2));
        Ok(Passed::Part)
    }

    fn begin_aggregate(&mut self, kind: u8, length: i64) -> Result<Passed, Broken> {
        if Aggregate::without_elements(kind, length)?.is_some() {
            return Ok(Passed::Value);
        }
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        let n_values = Aggregate::n_values(kind, length);
        self.take(n_values.max(FEWEST).saturating_mul(ELEMENT))?;
        self.open.push(n_values);
        Ok(Passed::Part)
    }

    /// Passes bytes of a string that lacks so many.
    fn pass_blob(&mut self, lacks: usize, rest: &mut &[u8]) -> Result<Passed, Broken> {
        let (part, behind) = rest.split_at(lacks.min(rest.len()));
        *rest = behind;
        // The last two that it lacks are its line end, of which one may have come.
        let end = part.get(lacks.saturating_sub(2)..).unwrap_or_default();
        let expected = if lacks == 1 { b"\n".as_slice() } else { b"\r\n" };
        if !expected.starts_with(end) {
            return Err(Broken::Syntax("a string is longer than it says"));
        }
        let lacks = lacks - part.len();
        self.place = if lacks == 0 { Place::Value } else { Place::Blob(lacks) };
        Ok(if lacks == 0 { Passed::Value } else { Passed::All })
    }

    fn take(&mut self, bytes: usize) -> Result<(), Broken> {
        self.left = self.left.checked_sub(bytes).ok_or(Broken::TooLarge)?;
        Ok(())
    }
}

//! The parser of replies: from the bytes of a stream, in whatever pieces they come, to the values that redis-rs
//! would give.
//!
//! The bound on what a reply may take is kept before the memory is taken: a length is not believed, and an
//! endless line is not gathered.

mod aggregate;
mod ends;
mod frames;
mod text;

use redis::Value;

use self::aggregate::Aggregate;

pub(crate) use self::frames::Frames;

/// An element of a reply takes so many bytes besides those of its own.
const ELEMENT: usize = size_of::<Value>();
/// A vector has room for so many elements where there are fewer, but for none.
const FEWEST: usize = 4;
/// So deep may aggregates lie in each other. redis-rs has the same bound.
const DEEPEST: usize = 100;
/// A string has so much room at once: the length that a server says is not believed.
const ROOM: usize = 64 << 10;
/// So many bytes of a line that says a length do not count.
const LENGTH: usize = 32;

/// The reason why no more replies can be read from a stream: nobody knows where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes are no reply.
    Syntax(&'static str),
    /// The reply takes more than it may.
    TooLarge,
}

/// The state between two pieces of a stream.
#[derive(Debug)]
pub(crate) struct Parser {
    limit: usize,
    /// The present reply may take so much more.
    left: usize,
    /// The aggregates that have begun and lack elements, the outermost first.
    open: Vec<Aggregate>,
    /// The beginning of a line, its kind included, whose end has not come.
    line: Vec<u8>,
    /// The string that has begun and lacks bytes.
    blob: Option<Blob>,
}

/// A string whose length is known.
#[derive(Debug)]
struct Blob {
    kind: u8,
    bytes: Vec<u8>,
    /// The number of bytes of the string itself.
    length: usize,
    /// So much of the line end behind the string has come. It takes no room.
    n_end: usize,
}

/// The outcome of a line.
enum Line {
    /// The line is a value, or the whole of an empty aggregate.
    Value(Value),
    /// The line began an aggregate.
    Aggregate,
    /// The line says the kind and the length of a string.
    Blob(u8, usize),
}

impl Parser {
    /// Returns a parser for a stream that has just begun, of whose replies each may take so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, left: limit, open: Vec::new(), line: Vec::new(), blob: None }
    }

    /// Returns whether a reply has begun and lacks bytes.
    pub(crate) fn is_within(&self) -> bool {
        !self.open.is_empty() || !self.line.is_empty() || self.blob.is_some()
    }

    /// Takes bytes up to the end of a reply, and returns that; `None` if all bytes are taken, and the reply lacks
    /// some.
    ///
    /// # Errors
    /// The stream is broken, and the parser must not be used again.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Value>, Broken> {
        loop {
            let value = match self.blob.take() {
                Some(blob) => self.fill(blob, bytes)?,
                None => match self.take_whole(bytes)? {
                    Some(value) => Some(value),
                    None => match self.next_line(bytes)? {
                        Some(Line::Value(value)) => Some(value),
                        Some(Line::Aggregate) => continue,
                        Some(Line::Blob(kind, length)) => self.begin_blob(kind, length, bytes)?,
                        None => None,
                    },
                },
            };
            let Some(value) = value else { return Ok(None) };
            if let Some(reply) = self.complete(value)? {
                self.left = self.limit;
                return Ok(Some(reply));
            }
        }
    }

    /// Gives a value to the aggregate that it is an element of. Returns the reply that is complete by it.
    fn complete(&mut self, mut value: Value) -> Result<Option<Value>, Broken> {
        while let Some(aggregate) = self.open.last_mut() {
            if !aggregate.push(value) {
                return Ok(None);
            }
            value = match self.open.pop() {
                Some(aggregate) => aggregate.close()?,
                None => return Ok(None),
            };
        }
        Ok(Some(value))
    }

    /// Takes a value of the two kinds that most are, where it is here as a whole: a string, and `OK`. Its bytes
    /// are gone through once.
    fn take_whole(&mut self, bytes: &mut &[u8]) -> Result<Option<Value>, Broken> {
        if !self.line.is_empty() || DEEPEST <= self.open.len() {
            return Ok(None);
        }
        if let Some(rest) = bytes.strip_prefix(b"+OK\r\n") {
            self.take(b"OK\r\n".len())?;
            *bytes = rest;
            return Ok(Some(Value::Okay));
        }
        let Some((string, rest)) = split_string(bytes) else { return Ok(None) };
        self.take(string.len())?;
        *bytes = rest;
        Ok(Some(Value::BulkString(string.to_vec())))
    }

    /// Takes a line; `None` if its end has not come.
    fn next_line(&mut self, bytes: &mut &[u8]) -> Result<Option<Line>, Broken> {
        if self.line.is_empty() {
            if let Some(end) = line_end(bytes, 0) {
                let (line, rest) = bytes.split_at(end);
                *bytes = rest;
                return self.read_line(line).map(Some);
            }
            self.line.extend_from_slice(bytes);
            *bytes = &[];
            return check_unfinished(&self.line, self.left, self.open.len()).map(|()| None);
        }
        // The end may be split, so the last byte is looked at once more.
        let from = self.line.len() - 1;
        let taken = match (self.line.last(), bytes.first()) {
            (Some(b'\r'), Some(b'\n')) => Some(1),
            _ => line_end(bytes, 0),
        };
        let (part, rest) = bytes.split_at(taken.unwrap_or(bytes.len()));
        self.line.extend_from_slice(part);
        *bytes = rest;
        if line_end(&self.line, from).is_none() {
            return check_unfinished(&self.line, self.left, self.open.len()).map(|()| None);
        }
        let mut line = std::mem::take(&mut self.line);
        let read = self.read_line(&line);
        if line.capacity() <= 4096 {
            line.clear();
            self.line = line;
        }
        read.map(Some)
    }

    /// Reads a line with its kind and its end.
    fn read_line(&mut self, line: &[u8]) -> Result<Line, Broken> {
        let [kind, line @ .., b'\r', b'\n'] = line else {
            return Err(Broken::Syntax("a line has no kind"));
        };
        if DEEPEST <= self.open.len() {
            return check_kind(*kind, self.open.len()).map(|()| Line::Aggregate);
        }
        match kind {
            b'$' => match self.length(line)? {
                ..0 => Ok(Line::Value(Value::Nil)),
                length => self.take_length(length).map(|length| Line::Blob(*kind, length)),
            },
            // redis-rs takes a negative length for an endless string.
            b'=' | b'!' => {
                let length = self.length(line)?;
                self.take_length(length).map(|length| Line::Blob(*kind, length))
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let length = self.length(line)?;
                self.begin_aggregate(*kind, length)
            }
            _ => {
                self.take(line.len() + 2)?;
                text::scalar(*kind, line).map(Line::Value)
            }
        }
    }

    /// Reads a length. Bytes beyond those of any number count.
    fn length(&mut self, line: &[u8]) -> Result<i64, Broken> {
        self.take(line.len().saturating_sub(LENGTH))?;
        text::number(line)
    }

    fn begin_aggregate(&mut self, kind: u8, length: i64) -> Result<Line, Broken> {
        if let Some(value) = Aggregate::without_elements(kind, length)? {
            return Ok(Line::Value(value));
        }
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        let n_values = Aggregate::n_values(kind, length);
        self.take(n_values.max(FEWEST).saturating_mul(ELEMENT))?;
        self.open.push(Aggregate::new(kind, length));
        Ok(Line::Aggregate)
    }

    fn begin_blob(&mut self, kind: u8, length: usize, bytes: &mut &[u8]) -> Result<Option<Value>, Broken> {
        let blob = Blob { kind, bytes: Vec::with_capacity(length.min(ROOM)), length, n_end: 0 };
        self.fill(blob, bytes)
    }

    /// Takes bytes of a string. Returns it when it is complete.
    fn fill(&mut self, mut blob: Blob, bytes: &mut &[u8]) -> Result<Option<Value>, Broken> {
        let lacks = blob.length - blob.bytes.len();
        let (part, behind) = bytes.split_at(lacks.min(bytes.len()));
        if blob.bytes.capacity() < blob.bytes.len() + part.len() {
            blob.bytes.reserve_exact(blob.bytes.len().max(part.len()).min(lacks));
        }
        blob.bytes.extend_from_slice(part);
        let end = b"\r\n".get(blob.n_end..).unwrap_or_default();
        let (end_here, rest) = behind.split_at(end.len().min(behind.len()));
        blob.n_end += end_here.len();
        *bytes = rest;
        if !end.starts_with(end_here) {
            return Err(Broken::Syntax("a string is longer than it says"));
        }
        if end_here.len() < end.len() {
            self.blob = Some(blob);
            return Ok(None);
        }
        if blob.kind == b'$' {
            return Ok(Some(Value::BulkString(blob.bytes)));
        }
        if std::str::from_utf8(&blob.bytes).is_err() {
            // What stands for a byte that is no text has three.
            self.take(blob.length.saturating_mul(2))?;
        }
        text::blob(blob.kind, &blob.bytes).map(Some)
    }

    fn take_length(&mut self, length: i64) -> Result<usize, Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        self.take(length).map(|()| length)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Broken> {
        self.left = self.left.checked_sub(bytes).ok_or(Broken::TooLarge)?;
        Ok(())
    }
}

/// Makes sure that a line without an end, in so many aggregates, is not too long already.
fn check_unfinished(line: &[u8], left: usize, depth: usize) -> Result<(), Broken> {
    let Some(kind) = line.first() else { return Ok(()) };
    check_kind(*kind, depth)?;
    let more = if says_length(*kind) { LENGTH + 1 } else { 0 }; // with the `\r`
    let most = left.saturating_add(more);
    if most < line.len() - 1 { Err(Broken::TooLarge) } else { Ok(()) }
}

/// Returns whether the line of a value of this kind says how long it is, or how many elements it has.
fn says_length(kind: u8) -> bool {
    b"$=!*~>%|".contains(&kind)
}

fn check_kind(kind: u8, depth: usize) -> Result<(), Broken> {
    if DEEPEST <= depth {
        return Err(Broken::Syntax("aggregates lie too deep in each other"));
    }
    match b"$:*+-_#,%~>=|!(".contains(&kind) {
        true => Ok(()),
        false => Err(Broken::Syntax("no kind of reply begins like this")),
    }
}

/// The string that bytes begin with, without its length, and what is behind it; `None` where a part of it is not
/// here, or where the length has another form than servers give it.
pub(super) fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    /// A longer string is not here as a whole.
    const MOST_DIGITS: usize = 9;
    let mut rest = bytes.strip_prefix(b"$")?;
    let (mut length, mut n_digits) = (0, 0);
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        (length, n_digits, rest) = (length * 10 + usize::from(digit - b'0'), n_digits + 1, behind);
        if MOST_DIGITS < n_digits {
            return None;
        }
    }
    let (string, rest) = rest.strip_prefix(b"\r\n")?.split_at_checked(length)?;
    // `$` alone says no length.
    (0 < n_digits).then_some((string, rest.strip_prefix(b"\r\n")?))
}

/// The place after the first line end behind `from`.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let behind = bytes.get(from..)?;
    let mut before = 0;
    let end = behind.iter().position(|byte| {
        let is_end = before == b'\r' && *byte == b'\n';
        before = *byte;
        is_end
    })?;
    Some(from + end + 1)
}

#[cfg(test)]
mod tests;

//! The ends of replies: where in a stream each one ends, without a value made of it.
//!
//! A reply is refused exactly where its value would take too much. Of a line that is a value only the end is looked at.

use super::Broken;
use super::ELEMENT;
use super::FEWEST;
use super::LENGTH;
use super::aggregate::Aggregate;
use super::check_kind;
use super::line_end;
use super::says_length;
use super::split_string;
use super::text;

/// The state between two pieces of a stream.
#[derive(Debug)]
pub(super) struct Ends {
    limit: usize,
    /// The value of the present reply may take so much more.
    left: usize,
    /// The numbers of values that the aggregates lack, the outermost first.
    open: Vec<usize>,
    place: Place,
    /// The beginning of a line that says a length, its kind included, whose end has not come.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before a reply.
    Reply,
    /// Before a value of a reply that has begun.
    Value,
    /// In a line that says a length.
    Length,
    /// In a line that is a value.
    Line { after_cr: bool },
    /// In a string, of which so many bytes are to come, its line end included.
    Blob(usize),
}

impl Ends {
    /// Returns the state before a stream, of whose replies the value of each may take so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, left: limit, open: Vec::new(), place: Place::Reply, line: Vec::new() }
    }

    /// Returns whether a reply has begun and lacks bytes.
    pub(super) fn is_within(&self) -> bool {
        !matches!(self.place, Place::Reply)
    }

    /// The number of bytes that are sure to come of the reply, where it is a string; `None` of any other.
    pub(super) fn to_come_of_string(&self) -> Option<usize> {
        match self.place {
            Place::Blob(lacks) if self.open.is_empty() => Some(lacks),
            _ => None,
        }
    }

    /// Passes bytes up to the end of a reply. Returns false if all bytes are passed, and the reply lacks some.
    ///
    /// # Errors
    /// The stream is broken, and this must not be used again.
    pub(super) fn pass_reply(&mut self, bytes: &mut &[u8]) -> Result<bool, Broken> {
        loop {
            let is_value = match self.place {
                Place::Reply | Place::Value => self.pass_value(bytes)?,
                Place::Length => self.pass_length(bytes)?,
                Place::Line { after_cr } => self.pass_line(bytes, after_cr)?,
                Place::Blob(lacks) => self.pass_blob(bytes, lacks)?,
            };
            match is_value {
                Some(true) if self.complete() => {
                    (self.left, self.place) = (self.limit, Place::Reply);
                    return Ok(true);
                }
                Some(_) => {}
                None => return Ok(false),
            }
        }
    }

    /// Counts a value. Returns whether the reply is complete by it.
    fn complete(&mut self) -> bool {
        self.place = Place::Value;
        while let Some(to_come) = self.open.last_mut() {
            *to_come -= 1;
            if 0 < *to_come {
                return false;
            }
            self.open.pop();
        }
        true
    }

    /// Passes a value or its first line. Returns whether that was the whole value; `None` if some of the line is to come.
    fn pass_value(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Broken> {
        let Some(kind) = bytes.first() else { return Ok(None) };
        check_kind(*kind, self.open.len())?;
        if let Some((string, rest)) = split_string(bytes) {
            self.take(string.len())?;
            *bytes = rest;
            return Ok(Some(true));
        }
        if !says_length(*kind) {
            *bytes = bytes.get(1..).unwrap_or_default();
            return self.pass_line(bytes, false);
        }
        match line_end(bytes, 0) {
            Some(end) => {
                let (line, rest) = bytes.split_at(end);
                *bytes = rest;
                self.read_length(line).map(Some)
            }
            None => self.keep_line(bytes),
        }
    }

    /// Passes bytes of a line that is a value; as [`pass_value`](Self::pass_value).
    fn pass_line(&mut self, bytes: &mut &[u8], mut after_cr: bool) -> Result<Option<bool>, Broken> {
        let end = match (after_cr, bytes.first()) {
            (true, Some(b'\n')) => Some(1),
            _ => line_end(bytes, 0),
        };
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.take(part.len())?;
        *bytes = rest;
        after_cr = part.last().map_or(after_cr, |last| *last == b'\r');
        self.place = Place::Line { after_cr };
        Ok(end.map(|_| true))
    }

    /// Passes the rest of a line that says a length; as [`pass_value`](Self::pass_value).
    fn pass_length(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Broken> {
        let end = match (self.line.last(), bytes.first()) {
            (Some(b'\r'), Some(b'\n')) => Some(1),
            _ => line_end(bytes, 0),
        };
        let Some(end) = end else { return self.keep_line(bytes) };
        let (part, rest) = bytes.split_at(end);
        *bytes = rest;
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(part);
        self.read_length(&line).map(Some)
    }

    /// Keeps a part of a line that says a length.
    fn keep_line(&mut self, bytes: &mut &[u8]) -> Result<Option<bool>, Broken> {
        self.place = Place::Length;
        self.line.extend_from_slice(bytes);
        *bytes = &[];
        // A line of which no end comes does not take more than a reply may: with the kind and the `\r`.
        match self.left.saturating_add(LENGTH + 2) < self.line.len() {
            true => Err(Broken::TooLarge),
            false => Ok(None),
        }
    }

    /// Reads a line that says a length, with its kind and its end. Returns whether it is a whole value.
    fn read_length(&mut self, line: &[u8]) -> Result<bool, Broken> {
        let [kind, line @ .., b'\r', b'\n'] = line else {
            return Err(Broken::Syntax("a line has no kind"));
        };
        // Bytes beyond those of any number count.
        self.take(line.len().saturating_sub(LENGTH))?;
        let length = text::number(line)?;
        self.place = Place::Value;
        if matches!(kind, b'$' | b'=' | b'!') {
            if *kind == b'$' && length < 0 {
                return Ok(true);
            }
            let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
            self.take(length)?;
            self.place = Place::Blob(length.saturating_add(2));
            return Ok(false);
        }
        if Aggregate::without_elements(*kind, length)?.is_some() {
            return Ok(true);
        }
        let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
        let n_values = Aggregate::n_values(*kind, length);
        self.take(n_values.max(FEWEST).saturating_mul(ELEMENT))?;
        self.open.push(n_values);
        Ok(false)
    }

    /// Passes bytes of a string that lacks so many; as [`pass_value`](Self::pass_value).
    fn pass_blob(&mut self, bytes: &mut &[u8], lacks: usize) -> Result<Option<bool>, Broken> {
        let (part, rest) = bytes.split_at(lacks.min(bytes.len()));
        *bytes = rest;
        // The last two that it lacks are its line end, of which one may have come.
        let end = part.get(lacks.saturating_sub(2)..).unwrap_or_default();
        let expected = if lacks == 1 { b"\n".as_slice() } else { b"\r\n" };
        if !expected.starts_with(end) {
            return Err(Broken::Syntax("a string is longer than it says"));
        }
        let lacks = lacks - part.len();
        self.place = Place::Blob(lacks);
        Ok(if lacks == 0 { Some(true) } else { None })
    }

    fn take(&mut self, bytes: usize) -> Result<(), Broken> {
        self.left = self.left.checked_sub(bytes).ok_or(Broken::TooLarge)?;
        Ok(())
    }
}

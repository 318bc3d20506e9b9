//! The bound on what a reply may take in memory, kept before the memory is taken.
//!
//! redis-rs puts a reply together whatever its size: a string is held as a whole twice, and a number of
//! elements is believed. This follows the replies on their way in, reading of each no more than its kind and
//! its length, and ends the connection before the first byte of what would be too much.

mod usual;

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use redis::RedisError;
use redis::Value;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use self::usual::Usual;
use self::usual::padded_head;
use self::usual::usual;
use crate::error::io_error;

/// What an element of a reply takes besides its bytes.
const ELEMENT: usize = size_of::<Value>();
/// Redis-rs makes room for so many elements where there are fewer, but for none.
const FEWEST: usize = 4;

/// A stream whose replies are bounded.
pub(crate) struct Bounded<S> {
    stream: S,
    replies: Replies,
    broken: Broken,
}

/// The note that a reply was too large, for those who wait for one.
pub(crate) type Broken = Arc<OnceLock<TooLarge>>;

/// A reply is larger than this node takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLarge {
    pub(crate) limit: usize,
}

impl TooLarge {
    /// Returns it if it is what a command failed with.
    pub(crate) fn of(error: &RedisError) -> Option<&Self> {
        io_error(error)?.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a reply takes more than {} bytes", self.limit)
    }
}

impl std::error::Error for TooLarge {}

impl From<TooLarge> for io::Error {
    fn from(error: TooLarge) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl<S> Bounded<S> {
    pub(crate) fn new(stream: S, limit: usize, broken: Broken) -> Self {
        Self { stream, replies: Replies::new(limit), broken }
    }

    /// Returns the stream, if no part of a reply has been read from it.
    pub(crate) fn into_stream(self) -> Option<S> {
        let is_between = self.broken.get().is_none()
            && self.replies.to_come == 0
            && matches!(self.replies.place, Place::Kind);
        is_between.then_some(self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.broken.get() {
            return Poll::Ready(Err((*error).into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let Err(passed) = self.replies.follow(new) else { return Poll::Ready(Ok(())) };
        let error = TooLarge { limit: self.replies.limit };
        let _first = self.broken.set(error);
        // The replies before it are for other callers, who must not be told of it.
        buffer.set_filled(before + passed);
        Poll::Ready(if passed == 0 { Err(error.into()) } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Where in the replies a stream is, and how much the present one takes so far.
///
/// It must not see less than redis-rs does. So a line ends with `\r\n` only, and of a number every digit
/// counts; what redis-rs does not understand ends the connection anyway.
struct Replies {
    limit: usize,
    /// How much the present reply may take yet.
    left: usize,
    /// The number of values that are still to come of the present reply.
    to_come: usize,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    /// Before a value.
    Kind,
    /// In the line that says how long a value is, or how many elements it has.
    Length { of: Length, number: usize, is_negative: bool, after_cr: bool },
    /// In a value that is a line, perhaps an error.
    Line { is_error: bool, after_cr: bool },
    /// In a string, with its line end; so many bytes of it are still to come.
    Bytes(usize),
}

#[derive(Clone, Copy)]
enum Length {
    /// Of a string that is nothing if its length is negative.
    String,
    /// Of a string for which redis-rs takes a negative length for an endless one.
    Text,
    /// Of so many values each: 1, 2 for a map, and whether one value more follows.
    Elements { each: usize, more: usize },
}

impl Replies {
    fn new(limit: usize) -> Self {
        Self { limit, left: limit, to_come: 0, place: Place::Kind }
    }

    /// Follows what has come.
    ///
    /// # Errors
    /// How much of it may be passed on, where the rest is of a reply that takes too much.
    fn follow(&mut self, bytes: &mut [u8]) -> Result<(), usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            let usual = if matches!(self.place, Place::Kind) { self.pass_usual(rest) } else { 0 };
            at += match usual {
                0 => {
                    let before = self.place;
                    let (place, passed) = self.step(before, rest).ok_or(at)?;
                    if let (Place::Line { is_error: true, .. }, Some(text)) = (before, rest.get_mut(..passed))
                    {
                        to_text(text);
                    }
                    self.place = place;
                    passed
                }
                passed => passed,
            };
        }
        Ok(())
    }

    /// Passes values in the form that they have as a rule, up to one of another form, one that is not here as
    /// a whole, or one that takes too much.
    // A function of its own, which needs few registers: it is run for each value, and the steps seldom.
    #[inline(never)]
    fn pass_usual(&mut self, bytes: &[u8]) -> usize {
        let (mut left, mut to_come, mut rest) = (self.left, self.to_come, bytes);
        while !rest.is_empty() {
            let padded;
            let head = match rest.first_chunk() {
                Some(head) => head,
                None => {
                    padded = padded_head(rest);
                    &padded
                }
            };
            let Some(Usual { length, takes, elements }) = usual(head) else { break };
            let before = if to_come == 0 { self.limit } else { left };
            let (Some(after), Some(now)) = (rest.get(length..), before.checked_sub(takes)) else { break };
            (left, to_come, rest) = (now, to_come.saturating_sub(1) + elements, after);
        }
        (self.left, self.to_come) = (left, to_come);
        bytes.len() - rest.len()
    }

    fn begin_value(&mut self) {
        match self.to_come {
            0 => self.left = self.limit,
            _ => self.to_come -= 1,
        }
    }

    /// Goes on by at least one byte; `None` if the reply takes too much.
    fn step(&mut self, place: Place, rest: &[u8]) -> Option<(Place, usize)> {
        let (byte, n) = (*rest.first()?, rest.len());
        Some(match place {
            Place::Bytes(left) if n < left => (Place::Bytes(left - n), n),
            Place::Bytes(left) => (Place::Kind, left),
            Place::Kind => {
                self.begin_value();
                (kind(byte), 1)
            }
            Place::Line { is_error, mut after_cr } => {
                let end = rest.iter().position(|byte| {
                    let is_end = after_cr && *byte == b'\n';
                    after_cr = *byte == b'\r';
                    is_end
                });
                let passed = end.map_or(n, |end| end + 1);
                self.take(passed)?;
                (if end.is_some() { Place::Kind } else { Place::Line { is_error, after_cr } }, passed)
            }
            Place::Length { of, number, is_negative, after_cr } => {
                let mut length = (number, is_negative, after_cr);
                for (at, byte) in rest.iter().enumerate() {
                    match byte {
                        b'0'..=b'9' => {
                            length.0 = length.0.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                        }
                        b'\n' if length.2 => {
                            return Some((self.begin(of, length.0, length.1)?, at + 1));
                        }
                        _ => length.1 |= *byte == b'-',
                    }
                    length.2 = *byte == b'\r';
                }
                (Place::Length { of, number: length.0, is_negative: length.1, after_cr: length.2 }, n)
            }
        })
    }

    /// Begins what is so long.
    fn begin(&mut self, of: Length, number: usize, is_negative: bool) -> Option<Place> {
        // To redis-rs, `-0` is no less than `0`.
        let is_negative = is_negative && number > 0;
        match of {
            Length::String if is_negative => Some(Place::Kind),
            Length::Text if is_negative => None,
            Length::String | Length::Text => {
                self.take(number)?;
                Some(Place::Bytes(number.saturating_add(2)))
            }
            Length::Elements { .. } if is_negative => Some(Place::Kind),
            Length::Elements { each, more } => {
                let elements = number.saturating_mul(each).saturating_add(more);
                self.take(room(elements))?;
                self.to_come += elements;
                Some(Place::Kind)
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }
}

/// Makes a part of an error line a text. Servers quote what they were sent, whatever bytes that had, and
/// redis-rs takes such an error for none, which would end the connection.
fn to_text(line: &mut [u8]) {
    if std::str::from_utf8(line).is_err() {
        line.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
    }
}

/// What redis-rs makes room for where so many elements are.
fn room(elements: usize) -> usize {
    if elements == 0 { 0 } else { elements.max(FEWEST).saturating_mul(ELEMENT) }
}

fn kind(byte: u8) -> Place {
    let of = match byte {
        b'$' => Length::String,
        b'=' | b'!' => Length::Text,
        b'*' | b'~' | b'>' => Length::Elements { each: 1, more: 0 },
        b'%' => Length::Elements { each: 2, more: 0 },
        b'|' => Length::Elements { each: 2, more: 1 },
        _ => return Place::Line { is_error: byte == b'-', after_cr: false },
    };
    Place::Length { of, number: 0, is_negative: false, after_cr: false }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_LIMIT: usize = usize::MAX;

    /// Follows bytes in pieces of this length; whether the last of them ended a reply.
    fn ends(bytes: &[u8], piece: usize, limit: usize) -> Option<bool> {
        let mut replies = Replies::new(limit);
        bytes.to_vec().chunks_mut(piece).try_for_each(|piece| replies.follow(piece)).ok()?;
        Some(replies.to_come == 0 && matches!(replies.place, Place::Kind))
    }

    fn takes(bytes: &[u8], limit: usize) -> bool {
        let taken = ends(bytes, NO_LIMIT, limit).is_some();
        for piece in 1..bytes.len() {
            assert_eq!(ends(bytes, piece, limit).is_some(), taken, "in pieces of {piece}");
        }
        taken
    }

    #[test]
    fn what_takes_more_than_the_limit_is_refused_by_its_length_alone() {
        assert!(takes(b"$1000\r\n", 1000) && !takes(b"$1001\r\n", 1000));
        assert!(takes(b"$-1\r\n$-1\r\n", 0));
        let four = 4 * ELEMENT;
        assert!(takes(b"*4\r\n", four) && !takes(b"*5\r\n", four) && !takes(b"*1\r\n", four - 1));
        assert!(takes(b"*0\r\n*-1\r\n", 0));
        assert!(takes(b"%2\r\n", four) && !takes(b"%3\r\n", four));
        assert!(takes(b"~4\r\n", four) && takes(b">4\r\n", four));
        assert!(!takes(b"~5\r\n", four) && !takes(b">5\r\n", four));
        assert!(takes(b"|1\r\n", four) && !takes(b"|2\r\n", four));
        for huge in ["$99999999999999999999", "*99999999999999999999", "%9223372036854775807", "=-5", "!-5"] {
            assert!(!takes(format!("{huge}\r\n").as_bytes(), 1 << 40), "{huge}");
        }
    }

    #[test]
    fn what_a_reply_takes_is_added_up_and_the_next_one_begins_from_nothing() {
        let limit = 4 * ELEMENT + 10;
        assert!(takes(b"*2\r\n$5\r\nabcde\r\n$5\r\nabcde\r\n$10\r\n", limit));
        assert!(!takes(b"*2\r\n$5\r\nabcde\r\n$6\r\n", limit));
        assert!(!takes(b"*1\r\n*1\r\n", limit));
        // A line has no length before it.
        assert!(takes(b"+12345678\r\n:12345678\r\n-2345678\r\n", 10) && !takes(b"+12345678901", 10));
    }

    #[test]
    fn a_value_that_comes_at_once_takes_what_it_takes_in_pieces() {
        for n in [1, 9, 10, 98, 123, 999, 1000, 4312, 10_000] {
            let string = format!("${n}\r\n{}\r\n", "x".repeat(n));
            let nils = format!("*{n}\r\n{}", "$-1\r\n".repeat(n));
            let lines = format!("*2\r\n:{n}\r\n+OK\r\n");
            let of_lines = 4 * ELEMENT + n.to_string().len() + 2 + 4;
            for (value, takes) in [(string, n), (nils, n.max(4) * ELEMENT), (lines, of_lines)] {
                for piece in [1, 7, NO_LIMIT] {
                    assert_eq!(ends(value.as_bytes(), piece, takes), Some(true), "{n}");
                    assert_eq!(ends(value.as_bytes(), piece, takes - 1), None, "{n}");
                }
            }
        }
    }

    #[test]
    fn replies_before_one_that_is_too_large_are_passed_on() {
        let mut bytes = *b"+OK\r\n$5\r\nabcde\r\n$11\r\nabcdefghijk\r\n";
        let passed = Replies::new(10).follow(&mut bytes).unwrap_err();
        assert!(
            bytes[..passed].starts_with(b"+OK\r\n$5\r\nabcde\r\n")
                && !bytes[..passed].ends_with(b"\n$11\r\n")
        );
    }

    #[test]
    fn an_error_is_a_text_whatever_bytes_it_quotes_and_other_replies_stay_as_they_are() {
        let followed = |bytes: &[u8], piece: usize| {
            let (mut bytes, mut replies) = (bytes.to_vec(), Replies::new(NO_LIMIT));
            bytes.chunks_mut(piece).for_each(|piece| replies.follow(piece).unwrap());
            bytes
        };
        let quoting = "-ERR unknown command 'я'\r\n".as_bytes();
        assert_eq!(followed(quoting, NO_LIMIT), quoting);
        for piece in 1..9 {
            let bytes = followed(b"*2\r\n-ERR '\xff\xc3'\r\n$2\r\n\xff\xc3\r\n", piece);
            assert_eq!(bytes, b"*2\r\n-ERR '??'\r\n$2\r\n\xff\xc3\r\n", "in pieces of {piece}");
            assert!(std::str::from_utf8(&followed(quoting, piece)).is_ok());
        }
    }

    /// A reply of any kind, by its bytes; numbers in each form that redis-rs reads.
    fn reply() -> impl Strategy<Value = Vec<u8>> {
        let number = |n: usize, form: u8| match form {
            0 => format!("+{n}"),
            1 => format!(" {n} "),
            2 => format!("\n{n}"),
            3 if n == 0 => "-0".to_owned(),
            _ => n.to_string(),
        };
        let line = (proptest::sample::select(b"+-,(".to_vec()), "[$*0-9\n ]{0,8}");
        let one = prop_oneof![
            line.prop_map(|(kind, line)| [&[kind], line.as_bytes(), b"\r\n"].concat()),
            (proptest::sample::select(b"$!".to_vec()), "[$*0-9\r\n+]{0,12}|[$\r\n]{100}", 0..8_u8).prop_map(
                move |(kind, text, form)| {
                    let length = number(text.len(), form);
                    [&[kind], length.as_bytes(), b"\r\n", text.as_bytes(), b"\r\n"].concat()
                }
            ),
            (0..20_000_i64).prop_map(|n| format!(":{n}\r\n").into_bytes()),
            Just(b"+OK\r\n".to_vec()),
            Just(b"_\r\n".to_vec()),
            Just(b"$-1\r\n".to_vec()),
            Just(b"*-1\r\n".to_vec()),
            Just(b"#t\r\n".to_vec()),
            Just(b"=7\r\ntxt:*9\r\r\n".to_vec()),
        ];
        one.prop_recursive(4, 32, 6, move |inner| {
            (proptest::sample::select(b"*~>%|".to_vec()), proptest::collection::vec(inner, 0..7), 0..8_u8)
                .prop_map(move |(kind, mut parts, form)| {
                    let n = match kind {
                        b'%' => {
                            parts.truncate(parts.len() / 2 * 2);
                            parts.len() / 2
                        }
                        b'|' => {
                            if parts.len() % 2 == 0 {
                                parts.push(b"+OK\r\n".to_vec());
                            }
                            parts.len() / 2
                        }
                        b'>' => {
                            parts.insert(0, b"+push\r\n".to_vec());
                            parts.len()
                        }
                        _ => parts.len(),
                    };
                    [&[kind], number(n, form).as_bytes(), b"\r\n", &parts.concat()].concat()
                })
        })
    }

    proptest! {
        /// Where redis-rs sees the end of a reply, so does this, in whatever pieces it comes.
        #[test]
        fn it_sees_replies_end_where_redis_rs_does(first in reply(), second in reply(), piece in 1_usize..40) {
            let both = [first.as_slice(), &second].concat();
            let mut parser = redis::Parser::new();
            let mut reader = both.as_slice();
            // What redis-rs does not understand ends the connection.
            if parser.parse_value(&mut reader).is_ok() && parser.parse_value(&mut reader).is_ok() {
                prop_assert!(parser.parse_value(&mut reader).is_err());
                prop_assert_eq!(ends(&first, piece, NO_LIMIT), Some(true));
                prop_assert_eq!(ends(&both, piece, NO_LIMIT), Some(true));
                prop_assert_eq!(ends(&first[..first.len() - 1], piece, NO_LIMIT), Some(false));
            }
        }
    }
}

//! The bound on what a reply may take in memory, for a connection of redis-rs, kept before the memory is taken.
//!
//! redis-rs puts a reply together whatever its size: a string is held as a whole twice, and a number of
//! elements is believed. The [wire](crate::wire) knows where a reply ends and what it takes. So each piece of a stream is passed by
//! it first, and the connection ends before the first byte of what would be too much.

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
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::error::io_error;
use crate::wire::Broken;
use crate::wire::Ends;

/// A stream whose replies are bounded.
pub(crate) struct Bounded<S> {
    stream: S,
    limit: usize,
    ends: Ends,
    /// What ends the stream: the replies before it were passed on.
    broken: Option<Broken>,
    too_large: IsTooLarge,
}

/// The note that a reply was too large, for those who wait for one.
pub(crate) type IsTooLarge = Arc<OnceLock<TooLarge>>;

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
    pub(crate) fn new(stream: S, limit: usize, too_large: IsTooLarge) -> Self {
        Self { stream, limit, ends: Ends::new(limit), broken: None, too_large }
    }

    /// The error that a reader meets behind the last whole reply.
    fn error(&self, broken: Broken) -> io::Error {
        match broken {
            Broken::TooLarge => TooLarge { limit: self.limit }.into(),
            Broken::Syntax(reason) => io::Error::new(io::ErrorKind::InvalidData, reason),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(broken) = self.broken {
            return Poll::Ready(Err(self.error(broken)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let Err((passed, broken)) = follow(&mut self.ends, new) else { return Poll::Ready(Ok(())) };
        self.broken = Some(broken);
        if broken == Broken::TooLarge {
            let _first = self.too_large.set(TooLarge { limit: self.limit });
        }
        // The replies before it are for other callers, who must not be told of it.
        buffer.set_filled(before + passed);
        Poll::Ready(if passed == 0 { Err(self.error(broken)) } else { Ok(()) })
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

/// Follows what has come, and makes each error a text.
///
/// # Errors
/// How much of it may be passed on, and why the rest may not.
fn follow(ends: &mut Ends, bytes: &mut [u8]) -> Result<(), (usize, Broken)> {
    let mut at = 0;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let is_error = ends.is_in_error(rest);
        let mut behind = &*rest;
        ends.step(&mut behind).map_err(|broken| (at, broken))?;
        let passed = rest.len() - behind.len();
        if is_error && let Some(text) = rest.get_mut(..passed) {
            to_text(text);
        }
        at += passed;
    }
    Ok(())
}

/// Makes a part of an error line a text. Servers quote what they were sent, whatever bytes that had, and
/// redis-rs takes such an error for none, which would end the connection.
fn to_text(line: &mut [u8]) {
    if std::str::from_utf8(line).is_err() {
        line.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Reads a stream of so many bytes at once through the bound: what comes of it, and the error behind that.
    fn read(stream: &[u8], piece: usize, limit: usize) -> (Vec<u8>, Option<io::Error>, IsTooLarge) {
        let too_large = IsTooLarge::default();
        let mut bounded = Bounded::new(stream, limit, Arc::clone(&too_large));
        let (mut read, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match bounded.read(&mut buffer).now_or_never().unwrap() {
                Ok(0) => return (read, None, too_large),
                Ok(n) => read.extend_from_slice(&buffer[..n]),
                Err(error) => return (read, Some(error), too_large),
            }
        }
    }

    #[test]
    fn replies_before_one_that_is_too_large_are_passed_on_and_its_error_says_so() {
        let stream = b"+OK\r\n$5\r\nabcde\r\n$11\r\nabcdefghijk\r\n+OK\r\n";
        for piece in 1..=stream.len() {
            let (passed, error, too_large) = read(stream, piece, 10);
            assert!(passed.starts_with(b"+OK\r\n$5\r\nabcde\r\n"), "in pieces of {piece}");
            assert!(!passed.ends_with(b"\n$11\r\n"), "in pieces of {piece}");
            let error = RedisError::from(error.unwrap());
            assert_eq!(TooLarge::of(&error).map(|found| found.limit), Some(10));
            assert_eq!(too_large.get().map(|found| found.limit), Some(10));
        }
    }

    #[test]
    fn what_is_no_reply_ends_the_stream_and_is_not_too_large() {
        let (passed, error, too_large) = read(b"+OK\r\nHTTP/1.1 400 Bad Request\r\n", 100, 10);
        assert_eq!(
            (passed.as_slice(), error.unwrap().kind()),
            (b"+OK\r\n".as_slice(), io::ErrorKind::InvalidData)
        );
        assert!(too_large.get().is_none());
    }

    #[test]
    fn an_error_is_a_text_whatever_bytes_it_quotes_and_other_replies_stay_as_they_are() {
        let read = |stream, piece| read(stream, piece, usize::MAX).0;
        let quoting = "-ERR unknown command 'я'\r\n".as_bytes();
        assert_eq!(read(quoting, 100), quoting);
        for piece in 1..9 {
            let bytes = read(b"*2\r\n-ERR '\xff\xc3'\r\n$2\r\n\xff\xc3\r\n", piece);
            assert_eq!(bytes, b"*2\r\n-ERR '??'\r\n$2\r\n\xff\xc3\r\n", "in pieces of {piece}");
            assert!(std::str::from_utf8(&read(quoting, piece)).is_ok());
        }
    }
}

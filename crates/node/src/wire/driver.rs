//! The driver of a connection: one task that reads all replies, and writes what callers have not written by
//! themselves.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::task::ready;

use redis::Value;
use tokio::io::ReadBuf;

use super::Failure;
use super::Shared;
use super::Stream;
use super::parser::Broken;
use super::parser::Parser;

/// So much is read at once.
const READ: usize = 64 << 10;

/// The driver of a connection. When it goes, all calls that lack replies fail.
pub(crate) struct Driver<S: Stream> {
    shared: Arc<Shared<S>>,
    parser: Parser,
    limit: usize,
    buffer: Box<[u8]>,
    /// The replies and the callers of one read, of which there are none between two reads.
    replies: Vec<Value>,
    woken: Vec<Waker>,
    /// True if others have had their turn since there was something to write.
    has_yielded: bool,
}

/// The reason why a connection is over.
enum End {
    Error(io::Error),
    TooLarge,
}

impl<S: Stream> Driver<S> {
    pub(super) fn new(shared: Arc<Shared<S>>, limit: usize) -> Self {
        Self {
            shared,
            parser: Parser::new(limit),
            limit,
            buffer: vec![0; READ].into(),
            replies: Vec::new(),
            woken: Vec::new(),
            has_yielded: false,
        }
    }

    /// Reads once, and hands out what replies there are.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let read = {
            let mut socket = self.shared.socket.lock();
            let read = Pin::new(&mut socket.stream).poll_read(context, &mut buffer);
            match (&read, socket.error.take()) {
                // What the server said before it went is read first.
                (Poll::Pending, Some(error)) => Poll::Ready(Err(error)),
                (_, error) => {
                    socket.error = error;
                    read
                }
            }
        };
        ready!(read).map_err(End::Error)?;
        let mut bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Err(End::Error(io::ErrorKind::UnexpectedEof.into())));
        }
        let end = loop {
            match self.parser.next(&mut bytes) {
                // Nothing on this connection subscribes to anything.
                Ok(Some(Value::Push { .. })) => {}
                Ok(Some(reply)) => self.replies.push(reply),
                Ok(None) => break Ok(()),
                Err(Broken::TooLarge) => break Err(End::TooLarge),
                Err(Broken::Syntax(reason)) => {
                    break Err(End::Error(io::Error::new(io::ErrorKind::InvalidData, reason)));
                }
            }
        };
        self.hand_out();
        Poll::Ready(end)
    }

    fn hand_out(&mut self) {
        if self.replies.is_empty() {
            return;
        }
        let mut state = self.shared.state.lock();
        self.woken.extend(self.replies.drain(..).filter_map(|reply| state.slots.answer(reply)));
        state.is_lone = self.woken.len() <= 1;
        drop(state);
        self.woken.drain(..).for_each(Waker::wake);
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.poll_read(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => break,
            }
        }
        // Those who were woken have their turn before all is written at once.
        if self.shared.wants_flush(context.waker()) && !self.has_yielded {
            self.has_yielded = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.has_yielded = false;
        match self.shared.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(End::Error(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn end(&mut self, end: End) {
        let (error, is_too_large) = match end {
            End::Error(error) => (Arc::new(error), false),
            End::TooLarge => {
                let reason = "the reply to another call takes more than this node takes";
                (Arc::new(io::Error::new(io::ErrorKind::InvalidData, reason)), true)
            }
        };
        let limit = self.limit;
        self.shared.end(&error, |is_first| match (is_too_large, is_first) {
            (true, true) => Failure::TooLarge(limit),
            (true, false) => Failure::Ended(Arc::clone(&error)),
            (false, _) => Failure::Lost(Arc::clone(&error)),
        });
    }
}

impl<S: Stream> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.poll_ended(context));
        self.end(end);
        Poll::Ready(())
    }
}

impl<S: Stream> Drop for Driver<S> {
    fn drop(&mut self) {
        self.end(End::Error(io::Error::new(io::ErrorKind::NotConnected, "the connection was closed")));
    }
}

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

use redis::PushKind;
use redis::Value;
use tokio::io::AsyncRead;
use tokio::io::ReadBuf;

use super::Failure;
use super::Shared;
use super::form::unasked;
use super::parser::Broken;
use super::parser::Frames;
use super::parser::Parser;
use super::slots::Run;
use crate::frame::Frame;

/// So much is read at once by a new connection, and by one that has much to read.
const FIRST_READ: usize = 4 << 10;
const READ: usize = 64 << 10;

/// Takes what a server says unasked. It is called by the driver, which it must not hold up.
pub(crate) type Pushes = Box<dyn FnMut(PushKind, Vec<Value>) + Send>;

/// The driver of a connection. When it goes, all calls that lack replies fail.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    /// The most that a reply may take.
    limit: usize,
    buffer: Vec<u8>,
    incoming: Incoming,
    /// True if others have had their turn since there was something to write.
    has_yielded: bool,
}

/// The replies on their way from the stream to the calls.
struct Incoming {
    parser: Parser,
    frames: Frames,
    /// Without it, what the server says unasked goes to nobody.
    pushes: Option<Pushes>,
    /// The replies and the callers of one read, of which there are none between two reads.
    replies: Vec<Value>,
    woken: Vec<Waker>,
}

/// The reason why a connection is over.
enum End {
    Error(io::Error),
    TooLarge,
    /// The server has begun a block, and refused to end it.
    LeftOpen,
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::TooLarge => Self::TooLarge,
            Broken::Syntax(reason) => Self::Error(io::Error::new(io::ErrorKind::InvalidData, reason)),
        }
    }
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, limit: usize) -> Self {
        Self {
            shared,
            limit,
            buffer: vec![0; FIRST_READ],
            incoming: Incoming {
                parser: Parser::new(limit),
                frames: Frames::new(limit),
                pushes: None,
                replies: Vec::new(),
                woken: Vec::new(),
            },
            has_yielded: false,
        }
    }

    /// Has what the server says unasked told.
    pub(crate) fn telling(mut self, pushes: Option<Pushes>) -> Self {
        self.incoming.pushes = pushes;
        self
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
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Err(End::Error(io::ErrorKind::UnexpectedEof.into())));
        }
        let n_read = bytes.len();
        let passed = self.incoming.pass_on(bytes, &self.shared);
        if n_read == self.buffer.len() && n_read < READ {
            self.buffer = vec![0; READ];
        }
        Poll::Ready(passed)
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
        let invalid = |reason| Arc::new(io::Error::new(io::ErrorKind::InvalidData, reason));
        let limit = self.limit;
        match end {
            End::Error(error) => {
                let error = Arc::new(error);
                self.shared.end(&error, |_| Failure::Lost(Arc::clone(&error)));
            }
            End::TooLarge => {
                let error = invalid("the reply to another call takes more than this node takes");
                self.shared.end(&error, |is_first| match is_first {
                    true => Failure::TooLarge(limit),
                    false => Failure::Ended(Arc::clone(&error)),
                });
            }
            End::LeftOpen => {
                let error = invalid(
                    "the server refused to end a block (`EXEC`) of another call, so it would only queue",
                );
                self.shared.end(&error, |_| Failure::Ended(Arc::clone(&error)));
            }
        }
        self.incoming.woken.drain(..).for_each(Waker::wake);
    }
}

impl Incoming {
    /// Reads all bytes, and hands out what replies there are.
    #[inline]
    fn pass_on(&mut self, mut bytes: &[u8], shared: &Shared) -> Result<(), End> {
        // The calls that these bytes answer are in the queue, for they were sent.
        let end = if self.frames.is_within() || shared.state.lock().slots.has_raw() {
            self.pass_runs(bytes, shared)
        } else {
            let read = self.read_values(&mut bytes);
            self.hand_out(shared, false).and(read)
        };
        // Who would go on with a connection that is over is woken when that can be seen.
        if end.is_ok() {
            self.woken.drain(..).for_each(Waker::wake);
        }
        end
    }

    /// Does the same where some call wants a frame: run by run, each in its form. A reply that has begun keeps its form.
    #[cold]
    #[inline(never)]
    fn pass_runs(&mut self, mut bytes: &[u8], shared: &Shared) -> Result<(), End> {
        while !bytes.is_empty() {
            let run = match (self.frames.is_within(), self.parser.is_within()) {
                (false, false) => shared.state.lock().slots.next_run(),
                (is_raw, _) => Run { is_raw, n_replies: 1 },
            };
            let read = self.read_run(&mut bytes, run);
            self.hand_out(shared, run.is_raw).and(read)?;
        }
        Ok(())
    }

    /// Takes what the server says unasked. The confirmation of a subscription is also the reply to the command.
    #[cold]
    fn pushed(&mut self, kind: PushKind, data: Vec<Value>) {
        if let PushKind::Subscribe | PushKind::PSubscribe | PushKind::SSubscribe = kind {
            self.replies.push(Value::Push { kind: kind.clone(), data: data.clone() });
        }
        if let Some(pushes) = &mut self.pushes {
            pushes(kind, data);
        }
    }

    /// Reads all bytes as values.
    #[inline(always)] // the usual case
    fn read_values(&mut self, bytes: &mut &[u8]) -> Result<(), End> {
        loop {
            match self.parser.next(bytes) {
                Ok(Some(Value::Push { kind, data })) => self.pushed(kind, data),
                Ok(Some(reply)) => self.replies.push(reply),
                Ok(None) => return Ok(()),
                Err(broken) => return Err(broken.into()),
            }
        }
    }

    /// Reads at most the replies of a run; push frames count.
    fn read_run(&mut self, bytes: &mut &[u8], run: Run) -> Result<(), End> {
        for _ in 0..run.n_replies {
            if run.is_raw {
                match self.frames.next(bytes)?.map(Frame::new) {
                    Some(frame) if frame.is_push() => {}
                    Some(frame) => self.replies.push(frame.into_reply()),
                    None => break,
                }
            } else {
                match self.parser.next(bytes)? {
                    Some(Value::Push { kind, data }) => self.pushed(kind, data),
                    Some(reply) => self.replies.push(reply),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Hands out the replies that were read, which are frames or are not.
    ///
    /// # Errors
    /// A call wanted the other form, or a block was left open.
    #[inline]
    fn hand_out(&mut self, shared: &Shared, is_raw: bool) -> Result<(), End> {
        if self.replies.is_empty() {
            return Ok(());
        }
        let mut state = shared.state.lock();
        // The usual case looks at no call's form.
        if is_raw || state.slots.has_raw() {
            for reply in self.replies.drain(..) {
                if state.slots.found_open() {
                    return Err(End::LeftOpen);
                }
                if state.slots.is_next_raw() != is_raw {
                    return Err(End::Error(unasked()));
                }
                let woken = match is_raw {
                    true => state.slots.answer_frame(reply),
                    false => state.slots.answer(reply),
                };
                self.woken.extend(woken);
            }
        } else {
            self.woken.extend(self.replies.drain(..).filter_map(|reply| state.slots.answer(reply)));
        }
        state.is_lone = self.woken.len() <= 1;
        if !state.for_calls.is_empty() {
            let invited = state.invite_calls();
            self.woken.extend(invited);
        }
        if state.slots.found_open() { Err(End::LeftOpen) } else { Ok(()) }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.poll_ended(context));
        self.end(end);
        Poll::Ready(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end(End::Error(io::Error::new(io::ErrorKind::NotConnected, "the connection was closed")));
    }
}

//! The wire: a connection that many callers share. Their commands are encoded straight into its buffer, and
//! their replies are handed to them in place.
//!
//! ```text
//! caller ── command ──> state.out ── swap ──> socket.writing ── write ──> server
//!        <── reply ──── state.slots <─ parser ─ driver <──────── read ───
//! ```
//! The [driver](Driver) writes what has gathered when all who were woken have had their turn. A caller who is
//! alone writes by itself, so that nobody is waited for.

mod call;
mod crowd;
mod driver;
mod encode;
mod failure;
mod form;
mod parser;
mod slots;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::task::ready;

use parking_lot::Mutex;
use redis::Cmd;
use redis::Value;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use self::call::Call;
use self::call::Request;
use self::crowd::Crowd;
use self::slots::Slots;

pub(crate) use self::call::Many;
pub(crate) use self::call::Sending;
pub(crate) use self::driver::Driver;
pub(crate) use self::driver::Pushes;
pub(crate) use self::encode::decode_command;
pub(crate) use self::encode::encode;
pub(crate) use self::encode::encode_noting;
pub(crate) use self::failure::Failure;
pub(crate) use self::form::Form;
pub(crate) use self::form::unasked;
pub(crate) use self::parser::Broken;
#[cfg(any(test, fuzzing))]
pub(crate) use self::parser::Frames;
pub(crate) use self::parser::Parser;
pub(crate) use self::slots::Patience;

/// Callers wait for room while so many bytes wait to be written. The last command or pipeline may go beyond.
pub(crate) const MOST_WAITING: usize = 1 << 20;
/// A call that waits for [`Patience::Ticks`] waits for so many: the first has begun already.
pub(crate) const TICKS: usize = 33;
/// A buffer that has grown beyond this is given back when it is empty.
const KEPT: usize = 64 << 10;

/// A stream that a connection is made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// The limits of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A reply may take so many bytes.
    pub(crate) max_reply: usize,
    /// So many calls may lack replies, also those whose callers have gone.
    pub(crate) max_calls: usize,
    /// True if a caller above that waits for room. Others fail at once.
    pub(crate) waits_for_room: bool,
}

impl Limits {
    /// Limits of replies only.
    pub(crate) fn of_reply(max_reply: usize) -> Self {
        Self { max_reply, max_calls: usize::MAX, waits_for_room: false }
    }
}

/// A connection that many callers share. A cheap handle: clones are the same connection.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Locked before the state where both are.
    socket: Mutex<Socket>,
}

/// The calls, and the commands that wait to be written.
struct State {
    out: Vec<u8>,
    /// The number of bytes that were ever put into `out`.
    n_put: u64,
    slots: Slots,
    max_calls: usize,
    waits_for_room: bool,
    /// Those who wait until fewer calls lack replies.
    for_calls: Crowd,
    /// Those who wait until the bytes in `out` are being written.
    for_bytes: Crowd,
    driver: Option<Waker>,
    /// True if the driver is to write.
    wants_flush: bool,
    /// True if the last read had the reply to one call: others are unlikely to write at the same time.
    is_lone: bool,
    /// The reason why the connection is over.
    ended: Option<Arc<io::Error>>,
}

/// The socket, and the bytes that are being written to it.
struct Socket {
    writing: Vec<u8>,
    /// So much of it is written.
    n_written: usize,
    /// The number of bytes that were ever given to the stream.
    n_given: u64,
    driver: Option<Waker>,
    /// The error that a caller met who wrote by itself.
    error: Option<io::Error>,
    stream: Box<dyn Stream>,
}

impl Wire {
    /// Makes a connection of a stream on which nothing is under way, and its driver.
    pub(crate) fn new(stream: Box<dyn Stream>, limits: Limits) -> (Self, Driver) {
        let state = State {
            out: Vec::new(),
            n_put: 0,
            slots: Slots::default(),
            max_calls: limits.max_calls,
            waits_for_room: limits.waits_for_room,
            for_calls: Crowd::default(),
            for_bytes: Crowd::default(),
            driver: None,
            wants_flush: false,
            is_lone: true,
            ended: None,
        };
        let socket =
            Socket { writing: Vec::new(), n_written: 0, n_given: 0, driver: None, error: None, stream };
        let shared = Arc::new(Shared { state: Mutex::new(state), socket: Mutex::new(socket) });
        let driver = Driver::new(Arc::clone(&shared), limits.max_reply);
        (Self(shared), driver)
    }

    /// Sends a command, which has a word, and waits for its reply, in either form; an error reply is a reply.
    ///
    /// # Cancel safety
    /// When the future is dropped the command is sent nevertheless, unless it was not polled or still [waits](Sending::waits_for).
    pub(crate) fn send<'a, F: Form>(&'a self, cmd: &'a Cmd, patience: Patience) -> Sending<'a, F> {
        Sending { call: Call::new(&self.0, F::request(cmd), patience, true), form: PhantomData }
    }

    /// Sends a question of our own; as [`send`](Self::send), but there is always room for it.
    pub(crate) fn ask<'a>(&'a self, cmd: &'a Cmd, patience: Patience) -> Sending<'a, Value> {
        Sending { call: Call::new(&self.0, Request::Command(cmd), patience, false), form: PhantomData }
    }

    /// Sends commands, which have words, together, and returns an array of `count` of their replies from
    /// `offset` on; as [`send`](Self::send).
    pub(crate) fn send_many<'a>(
        &'a self,
        many: Many<'a>,
        offset: usize,
        count: usize,
        patience: Patience,
    ) -> Sending<'a, Value> {
        let request = Request::Many(many, offset, count);
        Sending { call: Call::new(&self.0, request, patience, true), form: PhantomData }
    }

    /// Counts a tick. Calls that have waited for [`TICKS`] are given up. Returns whether a server has left a call without a
    /// reply for so long, and no caller notices.
    pub(crate) fn pass_tick(&self) -> bool {
        let mut state = self.0.state.lock();
        let (late, is_unnoticed) = state.slots.pass(TICKS);
        // Those who wait for room look at the time.
        let waiting = [state.for_calls.all(), state.for_bytes.all()];
        drop(state);
        late.into_iter().chain(waiting.into_iter().flatten()).for_each(Waker::wake);
        is_unnoticed
    }
}

impl Shared {
    /// Notes the waker of the driver. Returns whether it is to write.
    fn wants_flush(&self, driver: &Waker) -> bool {
        {
            let mut socket = self.socket.lock();
            note(&mut socket.driver, driver);
        }
        let mut state = self.state.lock();
        note(&mut state.driver, driver);
        state.wants_flush
    }

    /// Writes all there is, with the waker of the driver.
    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(&mut self.socket.lock(), context)
    }

    /// Writes all there is by the hands of a caller, who does not wait: the driver goes on where this ends.
    fn write_alone(&self) {
        if let Some(mut socket) = self.socket.try_lock()
            && let Some(driver) = socket.driver.clone()
        {
            if let Poll::Ready(Err(error)) = self.write(&mut socket, &mut Context::from_waker(&driver)) {
                socket.error = Some(error);
                drop(socket);
                driver.wake();
            }
            return;
        }
        self.state.lock().call_driver();
    }

    fn write(&self, socket: &mut Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = socket.writing.get(socket.n_written..).unwrap_or_default();
            if rest.is_empty() {
                (socket.n_written, socket.writing) = (0, emptied(std::mem::take(&mut socket.writing)));
                let mut state = self.state.lock();
                state.wants_flush = false;
                if state.out.is_empty() {
                    break;
                }
                std::mem::swap(&mut socket.writing, &mut state.out);
                let invited = state.for_bytes.invite(usize::MAX);
                drop(state);
                invited.into_iter().for_each(Waker::wake);
                continue;
            }
            let n = ready!(Pin::new(&mut socket.stream).poll_write(context, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            socket.n_written += n;
            socket.n_given += n as u64;
        }
        Pin::new(&mut socket.stream).poll_flush(context)
    }

    /// Ends the connection, if it has not ended yet: each call that lacks replies fails, those that were
    /// given to the stream by `why`, which is told of the first.
    fn end(&self, error: &Arc<io::Error>, why: impl Fn(bool) -> Failure) {
        let mut socket = self.socket.lock();
        let n_given = socket.n_given;
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(Arc::clone(error));
        let failed = state.slots.fail(|begins_at, is_first| match begins_at < n_given {
            true => why(is_first),
            false => Failure::Unsent(Arc::clone(error)),
        });
        let waiting = [state.for_calls.invite(usize::MAX), state.for_bytes.invite(usize::MAX)];
        (state.out, socket.writing, socket.n_written) = (Vec::new(), Vec::new(), 0);
        drop(state);
        drop(socket);
        failed.into_iter().chain(waiting.into_iter().flatten()).for_each(Waker::wake);
    }
}

impl State {
    /// Has the driver write.
    fn call_driver(&mut self) {
        if !std::mem::replace(&mut self.wants_flush, true)
            && let Some(driver) = &self.driver
        {
            driver.wake_by_ref();
        }
    }
}

fn note(noted: &mut Option<Waker>, driver: &Waker) {
    if noted.as_ref().is_none_or(|noted| !noted.will_wake(driver)) {
        *noted = Some(driver.clone());
    }
}

/// An empty buffer, the same one if it is not too large.
fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    if KEPT < buffer.capacity() { Vec::new() } else { buffer }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

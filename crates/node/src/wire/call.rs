//! A call: the future of one command or pipeline on a connection.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use parking_lot::MutexGuard;
use redis::Cmd;
use redis::Pipeline;
use redis::Value;

use super::Failure;
use super::Form;
use super::MOST_WAITING;
use super::Shared;
use super::State;
use super::TICKS;
use super::crowd::Crowd;
use super::crowd::Place;
use super::encode::encode;
use super::slots::Patience;
use super::slots::Replies;
use super::slots::Ticket;
use crate::error::Bound;
use crate::pipeline::Words;
use crate::pipeline::block::n_replies;
use crate::redis_rs::empty::is_wordless;

/// The command or the commands of a call.
pub(crate) enum Request<'a> {
    Command(&'a Cmd),
    /// A command whose reply is wanted as a frame.
    Raw(&'a Cmd),
    /// Commands that are sent together, the first reply that is kept, and how many are kept.
    Many(Many<'a>, usize, usize),
}

/// Commands that are sent together, by whoever keeps them.
#[derive(Clone, Copy)]
pub(crate) enum Many<'a> {
    /// A pipeline of redis-rs, which may be a block.
    Pipeline(&'a Pipeline),
    Batch(&'a [Words<'a>]),
    /// A `MULTI` block.
    Block(&'a [Words<'a>]),
}

impl Many<'_> {
    pub(crate) fn n_commands(&self) -> usize {
        match self {
            Self::Pipeline(pipeline) => pipeline.len(),
            Self::Batch(commands) | Self::Block(commands) => commands.len(),
        }
    }

    pub(crate) fn is_block(&self) -> bool {
        match self {
            Self::Pipeline(pipeline) => pipeline.is_transaction(),
            Self::Batch(_) => false,
            Self::Block(_) => true,
        }
    }

    /// Returns whether any of the commands has no word. A server does not answer such a command.
    pub(crate) fn has_wordless(&self) -> bool {
        match self {
            Self::Pipeline(pipeline) => pipeline.cmd_iter().any(is_wordless),
            Self::Batch(commands) | Self::Block(commands) => commands.iter().any(Words::is_empty),
        }
    }

    /// Encodes the commands at the end of a buffer. Returns how many replies they have.
    fn encode(&self, out: &mut Vec<u8>) -> usize {
        if self.is_block() {
            out.extend_from_slice(b"*1\r\n$5\r\nMULTI\r\n");
        }
        match self {
            Self::Pipeline(pipeline) => pipeline.cmd_iter().for_each(|cmd| encode(cmd, out)),
            Self::Batch(commands) | Self::Block(commands) => {
                commands.iter().for_each(|words| words.encode(out))
            }
        }
        if !self.is_block() {
            return self.n_commands();
        }
        out.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        n_replies(self.n_commands())
    }
}

/// The future of a call with its reply in a form.
///
/// There is one kind of call for all forms, so that the one that is polled for every command stays in this crate.
pub(crate) struct Sending<'a, F> {
    pub(super) call: Call<'a>,
    pub(super) form: PhantomData<fn() -> F>,
}

impl<F> Sending<'_, F> {
    /// Returns for what the call waits, if it waits for room: nothing of it was sent, or will be.
    pub(crate) fn waits_for(&self) -> Option<Bound> {
        match &self.call.step {
            Step::Begins(_, waits) => waits.map(|waits| waits.of),
            Step::Waits(_) | Step::Over => None,
        }
    }
}

impl<F: Form> Future for Sending<'_, F> {
    type Output = Result<F, Failure>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.call).poll(context).map(|reply| reply.and_then(F::of))
    }
}

/// The future of a call. Dropped after it began, it leaves its replies to be thrown away.
pub(super) struct Call<'a> {
    shared: &'a Shared,
    patience: Patience,
    /// True if there must be room for it.
    needs_room: bool,
    step: Step<'a>,
}

enum Step<'a> {
    /// Nothing of it is in the buffer yet. It may wait for room.
    Begins(Request<'a>, Option<ForRoom>),
    Waits(Ticket),
    Over,
}

/// A call that waits for room.
#[derive(Clone, Copy)]
struct ForRoom {
    of: Bound,
    /// The tick that was the present one when it began to wait.
    since: usize,
    /// Its place in the crowd.
    place: Place,
}

impl Request<'_> {
    /// Encodes it at the end of a buffer. Returns which replies it has.
    fn encode(&self, out: &mut Vec<u8>) -> Replies {
        match self {
            Self::Command(cmd) | Self::Raw(cmd) => {
                encode(cmd, out);
                Replies::One
            }
            Self::Many(many, offset, count) => {
                let n_replies = many.encode(out);
                let skipped = (*offset).min(n_replies);
                let kept = (*count).min(n_replies - skipped);
                Replies::many(skipped, kept, n_replies - skipped - kept)
            }
        }
    }
}

impl State {
    /// Puts a call behind those that wait to be written.
    #[inline] // into the one future that begins a call
    fn put(&mut self, request: &Request<'_>, patience: Patience, waker: &Waker) -> Ticket {
        let (begins_at, before) = (self.n_put, self.out.len());
        let replies = request.encode(&mut self.out);
        self.n_put += (self.out.len() - before) as u64;
        let ticket = self.slots.begin(begins_at, replies, patience, waker);
        match request {
            Request::Command(_) => {}
            Request::Raw(_) => self.slots.want_frame(),
            Request::Many(many, ..) if many.is_block() => self.slots.is_block(many.n_commands()),
            Request::Many(..) => {}
        }
        ticket
    }

    /// Returns for what a call would have to wait, one that may wait already.
    #[inline]
    fn is_full_for(&self, waits: Option<ForRoom>) -> Option<Bound> {
        let mut n_calls = self.slots.n_waiting();
        // The room of those who were invited is theirs.
        if !waits.is_some_and(|waits| waits.of == Bound::InFlight && self.for_calls.is_invited(waits.place)) {
            n_calls += self.for_calls.n_invited();
        }
        if self.max_calls <= n_calls {
            return Some(Bound::InFlight);
        }
        (MOST_WAITING <= self.out.len()).then_some(Bound::Unwritten)
    }

    fn crowd(&mut self, of: Bound) -> &mut Crowd {
        if of == Bound::InFlight { &mut self.for_calls } else { &mut self.for_bytes }
    }

    /// Invites those who wait for fewer calls without replies, as many as there is room for.
    #[cold]
    pub(super) fn invite_calls(&mut self) -> Vec<Waker> {
        let n_taken = self.slots.n_waiting() + self.for_calls.n_invited();
        self.for_calls.invite(self.max_calls.saturating_sub(n_taken))
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        request: Request<'a>,
        patience: Patience,
        needs_room: bool,
    ) -> Self {
        Self { shared, patience, needs_room, step: Step::Begins(request, None) }
    }

    fn begin(
        &mut self,
        request: Request<'a>,
        waits: Option<ForRoom>,
        context: &Context<'_>,
    ) -> Poll<Result<Value, Failure>> {
        let mut state = self.shared.state.lock();
        if let Some(error) = &state.ended {
            return Poll::Ready(Err(Failure::Unsent(Arc::clone(error))));
        }
        if self.needs_room
            && let Some(of) = state.is_full_for(waits)
        {
            return self.wait_for_room(state, request, waits, of, context);
        }
        if let Some(waits) = waits {
            state.crowd(waits.of).come(waits.place);
        }
        let is_alone = state.is_lone && state.slots.n_waiting() == 0 && state.out.is_empty();
        self.step = Step::Waits(state.put(&request, self.patience, context.waker()));
        match is_alone {
            true => {
                drop(state);
                self.shared.write_alone();
            }
            false => state.call_driver(),
        }
        Poll::Pending
    }

    /// Waits for room, or fails where that is not to be waited for, or has been for long enough.
    #[cold]
    fn wait_for_room(
        &mut self,
        mut state: MutexGuard<'_, State>,
        request: Request<'a>,
        waits: Option<ForRoom>,
        of: Bound,
        context: &Context<'_>,
    ) -> Poll<Result<Value, Failure>> {
        let since = waits.map_or(state.slots.tick(), |waits| waits.since);
        let is_late = self.patience == Patience::Ticks && TICKS <= state.slots.tick().wrapping_sub(since);
        let is_refused = of == Bound::InFlight && !state.waits_for_room;
        let stays = waits.filter(|waits| waits.of == of && !is_late && !is_refused);
        // Whoever goes elsewhere leaves its place, and perhaps its room.
        let next = waits.filter(|_| stays.is_none()).and_then(|waits| state.crowd(waits.of).go(waits.place));
        if is_late || is_refused {
            drop(state);
            next.into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(Failure::NoRoom(of)));
        }
        let (place, before) = state.crowd(of).join(context.waker(), stays.map(|waits| waits.place));
        self.step = Step::Begins(request, Some(ForRoom { of, since, place }));
        drop(state);
        drop(before);
        next.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    #[cold]
    fn leave_crowd(&self, waits: ForRoom) {
        let next = self.shared.state.lock().crowd(waits.of).go(waits.place);
        next.into_iter().for_each(Waker::wake);
    }
}

impl Future for Call<'_> {
    type Output = Result<Value, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Begins(request, waits) => self.begin(request, waits, context),
            Step::Waits(ticket) => {
                let taken = self.shared.state.lock().slots.take(ticket, context.waker());
                match taken {
                    Ok(outcome) => Poll::Ready(outcome),
                    Err((ticket, _remains)) => {
                        self.step = Step::Waits(ticket);
                        Poll::Pending
                    }
                }
            }
            Step::Over => Poll::Pending,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Waits(ticket) => {
                let remains = self.shared.state.lock().slots.leave(ticket);
                drop(remains);
            }
            Step::Begins(_, Some(waits)) => self.leave_crowd(waits),
            Step::Begins(_, None) | Step::Over => {}
        }
    }
}

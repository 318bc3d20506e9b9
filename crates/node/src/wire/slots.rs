//! The calls on a connection, each in a slot: the replies come in the order of the commands, and go to the
//! calls that wait.
//!
//! Two know a slot: its caller by the [`Ticket`], and the queue of the calls that lack replies. A slot is
//! free when both have let go of it, so a reply never goes to another call than the one that it is for.

use std::collections::VecDeque;
use std::task::Waker;

use redis::Value;

use super::Failure;
use crate::pipeline::block::leaves_block_open;
use crate::pipeline::block::n_replies;

/// The replies or the failure of a call; of a pipeline the replies are an array.
pub(crate) type Outcome = Result<Value, Failure>;

/// The right of a caller to the outcome of a call. It must be given back, by [`Slots::take`] or
/// [`Slots::leave`].
#[derive(Debug)]
pub(crate) struct Ticket(usize);

/// The replies that a call has.
#[derive(Debug)]
pub(crate) enum Replies {
    /// The reply to one command.
    One,
    /// The replies to a pipeline.
    Many(Many),
}

/// How many replies of a pipeline are still passed over, how many are kept, how many still come behind, and those that are kept by now.
#[derive(Debug)]
pub(crate) struct Many {
    skipped: usize,
    kept: usize,
    behind: usize,
    values: Vec<Value>,
}

impl Many {
    /// Takes a reply, which may be one that is not kept.
    fn take(&mut self, reply: Value) {
        if 0 < self.skipped {
            self.skipped -= 1;
        } else if self.values.len() < self.kept {
            self.values.push(reply);
        } else {
            self.behind = self.behind.saturating_sub(1);
        }
    }

    fn n_to_come(&self) -> usize {
        self.skipped + (self.kept - self.values.len()) + self.behind
    }
}

impl Replies {
    /// The replies to a pipeline: how many are passed over, how many are kept, and how many come behind.
    pub(crate) fn many(skipped: usize, kept: usize, behind: usize) -> Self {
        Self::Many(Many { skipped, kept, behind, values: Vec::with_capacity(kept) })
    }

    /// The number of replies that are still to come.
    fn n_to_come(&self) -> usize {
        match self {
            Self::One => 1,
            Self::Many(many) => many.n_to_come(),
        }
    }
}

/// The replies to come that are read in one form: at least so many. Behind them nobody has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) is_raw: bool,
    pub(crate) n_replies: usize,
}

/// So many calls are looked at for one run, where there are calls of both forms.
const MOST_LOOKED_AT: usize = 64;

/// The remains of a slot. They are not dropped under a lock: a waker may own a future that holds another ticket.
#[must_use]
#[derive(Debug)]
#[expect(dead_code, reason = "it is only dropped")]
pub(crate) enum Remains {
    Nothing,
    Waker(Waker),
    Slot(Slot),
}

/// The time that a call waits for its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As many ticks as all calls.
    Ticks,
    /// Whatever its caller thinks.
    Own,
}

/// The calls on a connection.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// The slots that are free.
    free: Vec<usize>,
    /// The calls that lack replies, in the order of their commands.
    queue: VecDeque<Queued>,
    /// So many at the front of the queue have waited for their ticks.
    n_late: usize,
    /// So many of the queue want a frame.
    n_raw: usize,
    /// The number of ticks that have passed.
    tick: usize,
    /// The calls behind a block that the server has left open, which have no replies of their own: they are queued in the block.
    behind_open: Option<VecDeque<Queued>>,
}

#[derive(Debug)]
struct Queued {
    slot: usize,
    /// The place of its first byte among all that were sent.
    begins_at: u64,
    /// The tick that was the present one when it began.
    tick: usize,
    patience: Patience,
    is_raw: bool,
    block: Option<Block>,
}

/// A `MULTI` block of so many commands, and what has been heard of it. Its caller may have gone.
#[derive(Debug)]
struct Block {
    n_commands: usize,
    n_heard: usize,
    has_begun: bool,
}

impl Block {
    /// Hears a reply. Returns whether it is the last, and leaves the block open.
    fn hears_that_it_stays_open(&mut self, reply: &Value) -> bool {
        self.has_begun |= self.n_heard == 0 && !matches!(reply, Value::ServerError(_));
        self.n_heard += 1;
        self.has_begun
            && self.n_heard == n_replies(self.n_commands)
            && leaves_block_open(self.n_commands, reply)
    }
}

/// A place for one call.
#[derive(Debug)]
pub(crate) enum Slot {
    Free,
    Waiting(Waker, Replies),
    /// Its caller has gone; so many replies are still to come.
    Left(usize),
    /// It took too long, which its caller has not seen yet; so many replies are still to come.
    Late(usize),
    Done(Outcome),
}

impl Slots {
    /// Begins a call whose bytes begin at this place of the stream.
    pub(crate) fn begin(
        &mut self,
        begins_at: u64,
        replies: Replies,
        patience: Patience,
        waker: &Waker,
    ) -> Ticket {
        let waiting = Slot::Waiting(waker.clone(), replies);
        let slot = match self.free.pop() {
            Some(free) => {
                if let Some(slot) = self.slots.get_mut(free) {
                    *slot = waiting;
                }
                free
            }
            None => {
                self.slots.push(waiting);
                self.slots.len() - 1
            }
        };
        self.queue.push_back(Queued {
            slot,
            begins_at,
            tick: self.tick,
            patience,
            is_raw: false,
            block: None,
        });
        Ticket(slot)
    }

    /// Has the call that began last, of one command, get its reply as a frame.
    pub(crate) fn want_frame(&mut self) {
        if let Some(last) = self.queue.back_mut() {
            last.is_raw = true;
            self.n_raw += 1;
        }
    }

    /// Says that the call that began last is a block of so many commands.
    pub(crate) fn is_block(&mut self, n_commands: usize) {
        if let Some(last) = self.queue.back_mut() {
            last.block = Some(Block { n_commands, n_heard: 0, has_begun: false });
        }
    }

    /// Counts a tick, and gives up the calls that have waited for so many ticks. Returns who is to be woken, and whether
    /// there was one of them whose caller has gone, so that nobody else notices.
    pub(crate) fn pass(&mut self, n_ticks: usize) -> (Vec<Waker>, bool) {
        self.tick = self.tick.wrapping_add(1);
        let (mut woken, mut is_unnoticed) = (Vec::new(), false);
        // They are in the order in which they began.
        while let Some(queued) = self.queue.get(self.n_late)
            && n_ticks <= self.tick.wrapping_sub(queued.tick)
        {
            self.n_late += 1;
            let Some(slot) = self.slots.get_mut(queued.slot) else { continue };
            is_unnoticed |= matches!(slot, Slot::Left(_));
            if queued.patience == Patience::Ticks
                && let Slot::Waiting(_, replies) = slot
            {
                let late = Slot::Late(replies.n_to_come());
                if let Slot::Waiting(waker, ..) = std::mem::replace(slot, late) {
                    woken.push(waker);
                }
            }
        }
        (woken, is_unnoticed)
    }

    /// The number of ticks that have passed.
    pub(crate) fn tick(&self) -> usize {
        self.tick
    }

    /// The number of calls that lack replies.
    pub(crate) fn n_waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes the outcome of a call. Where it is not there yet, the waker is called when it is.
    ///
    /// # Errors
    /// The ticket, with which the caller goes on waiting, and the waker of before.
    #[inline] // into the one future that asks
    pub(crate) fn take(&mut self, ticket: Ticket, waker: &Waker) -> Result<Outcome, (Ticket, Remains)> {
        let Some(slot) = self.slots.get_mut(ticket.0) else { return Err((ticket, Remains::Nothing)) };
        if let Slot::Waiting(before, ..) = slot {
            let before = (!before.will_wake(waker)).then(|| std::mem::replace(before, waker.clone()));
            return Err((ticket, before.map_or(Remains::Nothing, Remains::Waker)));
        }
        match std::mem::replace(slot, Slot::Free) {
            Slot::Done(outcome) => {
                self.free.push(ticket.0);
                Ok(outcome)
            }
            Slot::Late(to_come) => {
                *slot = Slot::Left(to_come);
                Ok(Err(Failure::TooLate))
            }
            other => {
                *slot = other;
                Err((ticket, Remains::Nothing))
            }
        }
    }

    /// Leaves a call to itself: its replies will be thrown away.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Remains {
        let Some(slot) = self.slots.get_mut(ticket.0) else { return Remains::Nothing };
        let left = match slot {
            Slot::Waiting(_, replies) => Slot::Left(replies.n_to_come()),
            Slot::Late(to_come) => Slot::Left(*to_come),
            Slot::Done(_) => {
                self.free.push(ticket.0);
                Slot::Free
            }
            Slot::Free | Slot::Left(_) => return Remains::Nothing,
        };
        Remains::Slot(std::mem::replace(slot, left))
    }

    /// Returns whether any call that lacks replies wants a frame.
    #[inline]
    pub(crate) fn has_raw(&self) -> bool {
        0 < self.n_raw
    }

    /// Returns whether the next reply is wanted as a frame.
    #[inline]
    pub(crate) fn is_next_raw(&self) -> bool {
        self.has_raw() && self.queue.front().is_some_and(|queued| queued.is_raw)
    }

    /// The form of the next replies.
    pub(crate) fn next_run(&self) -> Run {
        let is_raw = self.is_next_raw();
        let n_of_form = if is_raw { self.n_raw } else { self.queue.len() - self.n_raw };
        if n_of_form == self.queue.len() {
            return Run { is_raw, n_replies: usize::MAX };
        }
        let same = self.queue.iter().take(MOST_LOOKED_AT).take_while(|queued| queued.is_raw == is_raw);
        let n_to_come = |queued: &Queued| match self.slots.get(queued.slot) {
            Some(Slot::Waiting(_, replies)) => replies.n_to_come(),
            Some(Slot::Left(to_come) | Slot::Late(to_come)) => *to_come,
            Some(Slot::Free | Slot::Done(_)) | None => 1,
        };
        Run { is_raw, n_replies: same.map(n_to_come).sum::<usize>().max(1) }
    }

    /// Gives a value to the call that it is for, which wants no frame; to nobody where no call lacks one, or where a block has been
    /// left open. Returns who is to be woken.
    pub(crate) fn answer(&mut self, reply: Value) -> Option<Waker> {
        let block = self.queue.front_mut()?.block.as_mut();
        if block.is_some_and(|block| block.hears_that_it_stays_open(&reply)) {
            let woken = self.give(reply);
            self.behind_open = Some(std::mem::take(&mut self.queue));
            return woken;
        }
        self.give(reply)
    }

    /// Returns, once, whether a block has been left open. Calls behind it wait again, and can only fail.
    #[inline]
    pub(crate) fn found_open(&mut self) -> bool {
        match self.behind_open.take() {
            Some(behind) => {
                self.queue = behind;
                true
            }
            None => false,
        }
    }

    #[inline(always)] // the usual case of the one above
    fn give(&mut self, reply: Value) -> Option<Waker> {
        let index = self.queue.front()?.slot;
        let slot = self.slots.get_mut(index)?;
        let reply = match slot {
            Slot::Waiting(_, Replies::One) => reply,
            Slot::Waiting(_, Replies::Many(many)) => {
                many.take(reply);
                if 0 < many.n_to_come() {
                    return None;
                }
                Value::Array(std::mem::take(&mut many.values))
            }
            Slot::Left(to_come @ 2..) | Slot::Late(to_come @ 2..) => {
                *to_come -= 1;
                return None;
            }
            Slot::Late(_) => {
                *slot = Slot::Done(Err(Failure::TooLate));
                (self.n_late, _) = (self.n_late.saturating_sub(1), self.queue.pop_front());
                return None;
            }
            Slot::Left(_) | Slot::Free | Slot::Done(_) => {
                *slot = Slot::Free;
                self.free.push(index);
                (self.n_late, _) = (self.n_late.saturating_sub(1), self.queue.pop_front());
                return None;
            }
        };
        (self.n_late, _) = (self.n_late.saturating_sub(1), self.queue.pop_front());
        match std::mem::replace(slot, Slot::Done(Ok(reply))) {
            Slot::Waiting(waker, ..) => Some(waker),
            _ => None,
        }
    }

    /// Gives a frame, by its [value](crate::frame::Frame::into_reply), to the call that it is for, which wants
    /// one. Returns who is to be woken.
    pub(crate) fn answer_frame(&mut self, frame: Value) -> Option<Waker> {
        // The call has this one reply, so it leaves the queue.
        self.n_raw = self.n_raw.saturating_sub(1);
        self.answer(frame)
    }

    /// Fails all calls that lack replies, each by where its bytes begin, and the first of them apart. Returns
    /// who is to be woken.
    pub(crate) fn fail(&mut self, mut why: impl FnMut(u64, bool) -> Failure) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut is_first = true;
        (self.n_late, self.n_raw) = (0, 0);
        for Queued { slot: index, begins_at, .. } in self.queue.drain(..) {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            let failure = why(begins_at, std::mem::take(&mut is_first));
            match slot {
                Slot::Waiting(..) => {
                    if let Slot::Waiting(waker, ..) = std::mem::replace(slot, Slot::Done(Err(failure))) {
                        woken.push(waker);
                    }
                }
                Slot::Late(_) => *slot = Slot::Done(Err(Failure::TooLate)),
                _ => {
                    *slot = Slot::Free;
                    self.free.push(index);
                }
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::frame::Frame;

    /// An event among the calls of a connection.
    #[derive(Debug, Clone)]
    enum Event {
        Begin,
        BeginRaw,
        BeginMany(usize, usize, usize),
        Answer,
        Take(Index),
        Leave(Index),
        Tick,
    }

    /// A call of the model.
    struct Call {
        ticket: Ticket,
        expected: Value,
        /// The number of answers by which it has its own.
        end: i64,
        /// The tick that was the present one when it began.
        begun: usize,
        /// The tick that makes it too late.
        last_tick: usize,
    }

    const TICKS: usize = 3;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            2 => Just(Event::Begin),
            1 => Just(Event::BeginRaw),
            1 => (0..3_usize, 0..4_usize, 0..3_usize)
                .prop_filter("a pipeline has commands", |(a, b, c)| 0 < a + b + c)
                .prop_map(|(a, b, c)| Event::BeginMany(a, b, c)),
            5 => Just(Event::Answer),
            3 => any::<Index>().prop_map(Event::Take),
            1 => any::<Index>().prop_map(Event::Leave),
            1 => Just(Event::Tick),
        ]
    }

    fn numbers(numbers: std::ops::Range<i64>) -> Value {
        Value::Array(numbers.map(Value::Int).collect())
    }

    fn number(number: i64, is_raw: bool) -> Value {
        match is_raw {
            true => Frame::new(format!(":{number}\r\n").into_bytes()).into_reply(),
            false => Value::Int(number),
        }
    }

    proptest! {
        /// The server answers each command by its number. Each call gets the numbers of its own commands,
        /// whoever else has gone, or is told that it is too late.
        #[test]
        fn every_call_gets_its_own_replies_or_none(events in vec(event(), 0..200)) {
            let waker = Waker::noop();
            let (mut slots, mut n_commands, mut n_answers, mut n_ticks) = (Slots::default(), 0, 0, 0);
            let mut calls: Vec<Call> = Vec::new();
            let mut ends = VecDeque::new();
            // Of each call whose caller has gone, the number of answers by which it had its own, and the tick that makes it too late.
            let mut left = Vec::new();
            // Of each command, whether its reply is wanted as a frame.
            let mut forms: Vec<bool> = Vec::new();
            for event in events {
                match event {
                    Event::Begin | Event::BeginRaw => {
                        let is_raw = matches!(event, Event::BeginRaw);
                        let ticket = slots.begin(0, Replies::One, Patience::Ticks, waker);
                        if is_raw {
                            slots.want_frame();
                        }
                        let expected = number(n_commands, is_raw);
                        forms.push(is_raw);
                        n_commands += 1;
                        calls.push(Call { ticket, expected, end: n_commands, begun: n_ticks, last_tick: n_ticks + TICKS });
                        ends.push_back(n_commands);
                    }
                    Event::BeginMany(skipped, kept, behind) => {
                        let replies = Replies::many(skipped, kept, behind);
                        let ticket = slots.begin(0, replies, Patience::Own, waker);
                        let first = n_commands + skipped as i64;
                        let expected = numbers(first..first + kept as i64);
                        n_commands += (skipped + kept + behind) as i64;
                        forms.resize(n_commands as usize, false);
                        calls.push(Call { ticket, expected, end: n_commands, begun: n_ticks, last_tick: usize::MAX });
                        ends.push_back(n_commands);
                    }
                    // Also where nobody waits for it.
                    Event::Answer if n_answers == n_commands => {
                        prop_assert!(!slots.is_next_raw() && slots.answer(Value::Nil).is_none());
                    }
                    Event::Answer => {
                        let form = forms[n_answers as usize];
                        let same = forms[n_answers as usize..].iter().take_while(|other| **other == form).count();
                        let run = slots.next_run();
                        let is_last_run = same == forms.len() - n_answers as usize;
                        prop_assert_eq!((run.is_raw, run.n_replies == usize::MAX), (form, is_last_run));
                        prop_assert!(is_last_run || run.n_replies == same);
                        prop_assert_eq!(slots.is_next_raw(), form);
                        let reply = number(n_answers, form);
                        let woken = if form { slots.answer_frame(reply) } else { slots.answer(reply) };
                        n_answers += 1;
                        let mut waiting = calls.iter_mut().filter(|call| n_ticks < call.last_tick);
                        let answered = waiting.find(|call| call.end == n_answers);
                        prop_assert_eq!(woken.is_some(), answered.is_some());
                        if let Some(answered) = answered {
                            answered.last_tick = usize::MAX;
                        }
                        if ends.front() == Some(&n_answers) {
                            ends.pop_front();
                        }
                    }
                    Event::Tick => {
                        n_ticks += 1;
                        let n_late = calls.iter().filter(|call| call.last_tick == n_ticks).count();
                        let (woken, is_unnoticed) = slots.pass(TICKS);
                        let left_late = left.iter().any(|(end, late)| n_answers < *end && *late == n_ticks);
                        prop_assert_eq!((woken.len(), is_unnoticed), (n_late, left_late));
                    }
                    Event::Take(_) | Event::Leave(_) if calls.is_empty() => {}
                    Event::Take(which) => {
                        let call = calls.swap_remove(which.index(calls.len()));
                        match slots.take(call.ticket, waker) {
                            Ok(Ok(value)) => prop_assert_eq!((value, call.end <= n_answers), (call.expected, true)),
                            Ok(Err(failure)) => {
                                prop_assert!(matches!(failure, Failure::TooLate));
                                prop_assert!(call.last_tick <= n_ticks);
                            }
                            Err((ticket, _)) => {
                                prop_assert!(n_answers < call.end && n_ticks < call.last_tick);
                                calls.push(Call { ticket, ..call });
                            }
                        }
                    }
                    Event::Leave(which) => {
                        let call = calls.swap_remove(which.index(calls.len()));
                        left.push((call.end, call.begun + TICKS));
                        drop(slots.leave(call.ticket));
                    }
                }
                prop_assert_eq!(slots.n_waiting(), ends.len());
            }
            // Whoever is left is told that it is over, and every slot is free again.
            let error = Arc::new(io::Error::from(io::ErrorKind::UnexpectedEof));
            let woken = slots.fail(|_, _| Failure::Lost(Arc::clone(&error)));
            let waits = |call: &&Call| n_answers < call.end && n_ticks < call.last_tick;
            prop_assert_eq!(woken.len(), calls.iter().filter(waits).count());
            for call in calls {
                let outcome = slots.take(call.ticket, waker);
                prop_assert!(outcome.is_ok(), "a call has no outcome");
                if let Ok(Ok(value)) = outcome {
                    prop_assert_eq!((value, call.end <= n_answers), (call.expected, true));
                }
            }
            prop_assert_eq!(slots.free.len(), slots.slots.len());
        }
    }
}

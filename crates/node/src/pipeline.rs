//! Many commands at once, by the same typed methods.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use redis::Cmd;
use redis::FromRedisValue;

use crate::command;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;
use crate::execute::Execute;

/// For how many commands there is room at first.
const FIRST_ROOM: usize = 32;

/// Gathers commands and sends them together: one write, one wait, one outcome for each of them.
///
/// The typed commands are the same methods as everywhere. What they return here is the promise of a reply: call them
/// first, then [`execute`](Self::execute), then await what they returned. A command is recorded when its method is
/// called, whether its promise is kept or dropped.
///
/// The order of the commands is kept on each node. A command that fails takes no other one with it.
///
/// # Trade-offs
/// * It is not atomic: commands of others may run in between, unless it was made [`atomic`](Self::atomic).
/// * All commands and their replies are held in memory. They are sent in portions of 1000 commands or 1 MiB to a node,
///   the next when the one before is answered, so nothing is in memory twice; each portion has the response timeout
///   for itself. When a portion has no answer, what comes after it for that node is not sent.
///
/// # On a ring
/// Grouped by node: a portion for each is sent at the same time, the next ones when all have answered. Split commands such
/// as `mget` are split as ever. Atomic, all keys must have one hash tag.
///
/// # Example
/// ```no_run
/// use redisdb_node::{HashCommands, Node, StringCommands};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let pipeline = node.pipeline();
/// let visits = pipeline.incr("visits");
/// let name = pipeline.hget::<String>("user:1", "name");
/// drop(pipeline.set("seen", "now")); // sent as well, its reply is not wanted
/// pipeline.execute().await.ok()?;
/// println!("{:?} is visitor {}", name.await?, visits.await?);
/// # Ok(()) }
/// ```
pub struct Pipeline<S: SendMany> {
    to: S,
    atomic: bool,
    state: Mutex<State<S>>,
}

struct State<S: SendMany> {
    /// What has been recorded and not sent, and how many were sent before.
    recorded: Vec<Recorded>,
    sent: usize,
    slots: Vec<Slot<S>>,
}

/// Where one command stands.
enum Slot<S: SendMany> {
    Recorded,
    /// With who waits for its reply.
    Sent(Option<Waker>),
    Answered(Result<S::Reply, S::Error>),
    /// Nobody wants the reply, or somebody has it.
    Done,
}

/// A command in a [`Pipeline`], with its row.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// Its row in the command table.
    pub spec: &'static Spec,
    /// The command.
    pub cmd: Cmd,
}

impl Recorded {
    /// A command with its row.
    pub fn new(spec: &'static Spec, cmd: Cmd) -> Self {
        Self { spec, cmd }
    }
}

/// What a [`Pipeline`] can be sent to.
pub trait SendMany: Execute<Error: Clone> + Send {
    /// A reply whose type is still to be given.
    type Reply: Send;

    /// Sends commands, in their order on each node, and hands over as many outcomes in the same order.
    ///
    /// It may take the commands out of their places, so that none is copied.
    fn send_many(
        &self,
        commands: &mut [Recorded],
        outcome: impl FnMut(Result<Self::Reply, Self::Error>) + Send,
    ) -> impl Future<Output = ()> + Send;

    /// Sends commands as one `MULTI` block, and hands over as many outcomes in the same order.
    fn send_atomic(
        &self,
        commands: &[Recorded],
        outcome: impl FnMut(Result<Self::Reply, Self::Error>) + Send,
    ) -> impl Future<Output = ()> + Send;

    /// Gives the reply of a read its type.
    ///
    /// # Errors
    /// It is of another type.
    fn read_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<T, Self::Error>;

    /// Gives the reply of a write its type.
    ///
    /// # Errors
    /// It is of another type.
    fn write_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<Self::Write<T>, Self::Error>;

    /// Gives the reply of a question to each server its type.
    ///
    /// # Errors
    /// It is of another type.
    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<Self::Each<T>, Self::Error>;

    /// The error of a command that was not sent, with the reason.
    fn not_sent(&self, command: &str, reason: &'static str) -> Self::Error;

    /// The error of a command whose sending was given up: it may have been executed.
    fn given_up(&self, command: &'static str) -> Self::Error;
}

impl<S: SendMany> Pipeline<S> {
    /// Starts an empty pipeline. [`Node::pipeline`](crate::Node::pipeline) and its like are shorter.
    pub fn new(to: S) -> Self {
        // It is for many: growing from one to a hundred would be as much work as routing them.
        let (recorded, slots) = (Vec::with_capacity(FIRST_ROOM), Vec::with_capacity(FIRST_ROOM));
        let state = State { recorded, sent: 0, slots };
        Self { to, atomic: false, state: Mutex::new(state) }
    }

    /// Makes it one `MULTI` block: all commands run with none of others in between, or, if one of them is malformed or
    /// the server does not take it, none runs. One that fails while it runs undoes nothing.
    ///
    /// It goes out in one write, whatever its size.
    #[must_use]
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// How many commands are recorded and not sent.
    pub fn len(&self) -> usize {
        self.state().recorded.len()
    }

    /// Returns whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records a command that has no method, and returns the promise of its reply.
    ///
    /// # Errors
    /// As for the typed commands; also that it is not in the command table.
    pub fn command<T: FromRedisValue + Send>(
        &self,
        cmd: Cmd,
    ) -> impl Future<Output = Result<S::Write<T>, S::Error>> + Send {
        let recorded = match command::lookup(&cmd) {
            Some(spec) => Ok((spec, self.record(spec, cmd))),
            None => {
                Err(self.to.not_sent("", "it is not in the command table; send it outside of a pipeline"))
            }
        };
        async move {
            let (spec, reply) = recorded?;
            S::write_reply(spec, reply.await?)
        }
    }

    /// Sends what was recorded and waits for all of it. What is recorded after that can be executed again.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed; their promises say so.
    pub async fn execute(&self) -> Executed<S::Error> {
        let (commands, first) = self.state().start();
        let mut in_flight = InFlight { pipeline: self, commands, first };
        let total = in_flight.commands.len();
        let mut failures = Vec::new();
        let mut i = 0;
        let outcome = |outcome: Result<S::Reply, S::Error>| {
            if let Err(error) = &outcome {
                failures.push((i, error.clone()));
            }
            self.state().answer(first + i, outcome);
            i += 1;
        };
        match self.atomic {
            true => self.to.send_atomic(&in_flight.commands, outcome).await,
            false => self.to.send_many(&mut in_flight.commands, outcome).await,
        }
        Executed { total, failures }
    }

    fn record(&self, spec: &'static Spec, cmd: Cmd) -> Promise<'_, S> {
        let mut state = self.state();
        let slot = state.slots.len();
        state.slots.push(Slot::Recorded);
        state.recorded.push(Recorded::new(spec, cmd));
        Promise { pipeline: self, slot, spec, kept: false }
    }

    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: SendMany> State<S> {
    fn start(&mut self) -> (Vec<Recorded>, usize) {
        let commands = std::mem::take(&mut self.recorded);
        let first = self.sent;
        self.sent += commands.len();
        for slot in self.slots.iter_mut().skip(first) {
            if matches!(slot, Slot::Recorded) {
                *slot = Slot::Sent(None);
            }
        }
        (commands, first)
    }

    fn is_waited_for(&self, slot: usize) -> bool {
        matches!(self.slots.get(slot), Some(Slot::Sent(_)))
    }

    fn answer(&mut self, slot: usize, outcome: Result<S::Reply, S::Error>) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        if let Slot::Sent(waker) = slot {
            let waker = waker.take();
            *slot = Slot::Answered(outcome);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// Commands under way. Left behind, their promises must not wait for ever.
struct InFlight<'a, S: SendMany> {
    pipeline: &'a Pipeline<S>,
    commands: Vec<Recorded>,
    first: usize,
}

impl<S: SendMany> Drop for InFlight<'_, S> {
    fn drop(&mut self) {
        let mut state = self.pipeline.state();
        for (i, command) in self.commands.iter().enumerate() {
            if state.is_waited_for(self.first + i) {
                state.answer(self.first + i, Err(self.pipeline.to.given_up(command.spec.name)));
            }
        }
    }
}

/// The reply that a command in a pipeline will have.
struct Promise<'a, S: SendMany> {
    pipeline: &'a Pipeline<S>,
    slot: usize,
    spec: &'static Spec,
    /// Whether it has been read: then there is nothing to be thrown away.
    kept: bool,
}

impl<S: SendMany> Future for Promise<'_, S> {
    type Output = Result<S::Reply, S::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        const FIRST: &str = "its pipeline has not been executed; call `execute` before awaiting its reply";
        const TWICE: &str = "its reply has been taken already";
        let pipeline = self.pipeline;
        let to = &pipeline.to;
        let mut state = pipeline.state();
        let Some(slot) = state.slots.get_mut(self.slot) else {
            return Poll::Ready(Err(to.not_sent(self.spec.name, FIRST)));
        };
        match slot {
            Slot::Recorded => Poll::Ready(Err(to.not_sent(self.spec.name, FIRST))),
            Slot::Sent(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Slot::Answered(_) => match std::mem::replace(slot, Slot::Done) {
                Slot::Answered(outcome) => {
                    self.kept = true;
                    Poll::Ready(outcome)
                }
                _ => Poll::Pending,
            },
            Slot::Done => Poll::Ready(Err(to.not_sent(self.spec.name, TWICE))),
        }
    }
}

impl<S: SendMany> Drop for Promise<'_, S> {
    fn drop(&mut self) {
        // A reply that nobody will read is not kept.
        if !self.kept
            && let Some(slot @ (Slot::Sent(_) | Slot::Answered(_))) =
                self.pipeline.state().slots.get_mut(self.slot)
        {
            *slot = Slot::Done;
        }
    }
}

impl<S: SendMany> Execute for Pipeline<S> {
    type Error = S::Error;
    type Write<T: Send> = S::Write<T>;
    type Each<T: Send> = S::Each<T>;

    fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, S::Error>> + Send {
        let promise = self.record(command.spec(), cmd);
        async move { S::read_reply(command.spec(), promise.await?) }
    }

    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<S::Write<T>, S::Error>> + Send {
        let promise = self.record(command.spec(), cmd);
        async move { S::write_reply(command.spec(), promise.await?) }
    }

    fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<S::Each<T>, S::Error>> + Send {
        let promise = self.record(command.spec(), cmd);
        async move { S::each_reply(command.spec(), promise.await?) }
    }

    fn one_reply<T: Send>(written: S::Write<T>) -> Result<T, S::Error> {
        S::one_reply(written)
    }
}

impl<S: SendMany> fmt::Debug for Pipeline<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("len", &self.len())
            .field("atomic", &self.atomic)
            .finish_non_exhaustive()
    }
}

/// What became of the commands of a [`Pipeline`], in short.
#[derive(Debug, Clone)]
#[must_use]
pub struct Executed<E> {
    total: usize,
    failures: Vec<(usize, E)>,
}

impl<E> Executed<E> {
    /// How many commands there were.
    #[expect(clippy::len_without_is_empty, reason = "it is a number of commands, not a list")]
    pub fn len(&self) -> usize {
        self.total
    }

    /// The commands that failed, each by its number in the order of recording, from 0, with what went wrong.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (usize, &E)> {
        self.failures.iter().map(|(i, error)| (*i, error))
    }

    /// Returns the error of the first command that failed, if one did.
    ///
    /// # Errors
    /// That one.
    pub fn ok(self) -> Result<(), E> {
        match self.failures.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

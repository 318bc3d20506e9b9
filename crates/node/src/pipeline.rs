//! Pipelines: many commands in one write, by the same typed methods.

pub(crate) mod batch;
pub(crate) mod block;
mod pending;
mod recording;
mod words;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redis::Cmd;
use redis::FromRedisValue;

use self::pending::Pending;
use self::pending::Sent;
use self::recording::Recording;
use crate::command;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;
use crate::command::name_of;
use crate::error::Error;
use crate::execute::Execute;

pub use self::batch::Batch;
pub use self::batch::too_few;
pub use self::block::given_up;
pub use self::recording::Recorded;
pub use self::words::Words;

/// A pipeline: commands that are sent together, with one write, one wait, and one outcome for each command.
/// Made by `pipeline()` of a node, a ring or a copy.
///
/// A pipeline has the same typed methods as a node. Here a method records its command and returns a promise
/// of the reply. Call the methods first, then [`execute`](Self::execute), then await the promises. A command
/// is recorded when its method is called, also if the promise is dropped.
///
/// Each node gets its commands in the order of recording. A command that fails affects no other command.
///
/// # Trade-offs
/// * A pipeline is not atomic: commands of other clients may run in between, unless it is
///   [`atomic`](Self::atomic).
/// * All commands are held in memory until the last answer, and so are the replies; besides, the batch that is
///   being sent. A node is sent them in batches of 1000 commands or 1 MiB, each when the one before it is answered.
///   Each batch has the response timeout for itself. When a batch has no answer, later batches are not sent to
///   that node.
///
/// # On a ring
/// Commands are grouped by node. All nodes get a batch at the same time, and the next one when all have
/// answered. Commands such as `mget` are split as usual. In an atomic pipeline all keys must have one hash
/// tag.
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
/// pipeline.execute().await.check()?;
/// println!("{:?} is visitor {}", name.await?, visits.await?);
/// # Ok(()) }
/// ```
#[must_use = "a pipeline sends nothing before it is executed"]
pub struct Pipeline<S: SendMany> {
    to: S,
    atomic: bool,
    state: Mutex<Pending<S>>,
}

/// Something that a [`Pipeline`] can be sent to.
pub trait SendMany: Execute<Error: Clone + From<Error>> + Send {
    /// A reply whose type is still to be given.
    type Reply: Send;
    /// The answers to several commands.
    type Answers: Answers<Reply = Self::Reply, Error = Self::Error>;

    /// True if a command of one key can be given packed, which only saves work where nobody asks for its
    /// words.
    const TAKES_PACKED: bool = false;

    /// Sends commands, in their order on each node, and hands over their answers in the same order: in as
    /// many groups as it likes, each when it is there.
    fn send_many(
        &self,
        commands: &[Recorded<'_>],
        answered: impl FnMut(Self::Answers) + Send,
    ) -> impl Future<Output = ()> + Send;

    /// Sends commands as one `MULTI` block, and returns their answers in the same order.
    fn send_atomic(&self, commands: &[Recorded<'_>]) -> impl Future<Output = Self::Answers> + Send;

    /// Gives the reply of a read its type.
    ///
    /// # Errors
    /// The reply is of another type.
    fn read_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<T, Self::Error>;

    /// Gives the reply of a write its type.
    ///
    /// # Errors
    /// The reply is of another type.
    fn write_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<Self::Write<T>, Self::Error>;

    /// Gives the reply of a question to each server its type.
    ///
    /// # Errors
    /// The reply is of another type.
    fn each_reply<T: FromRedisValue + Send>(
        spec: &'static Spec,
        reply: Self::Reply,
    ) -> Result<Self::Each<T>, Self::Error>;

    /// The error of a command that was not sent, with the reason.
    fn not_sent(&self, command: &str, reason: &'static str) -> Self::Error;

    /// The error of a command whose sending was given up: it may have been executed.
    fn given_up(&self, command: &'static str) -> Self::Error {
        Error::without_node(command, given_up()).into()
    }
}

/// The answers to several commands, in their order. Each answer is taken out once, when somebody
/// wants it.
pub trait Answers: Send {
    /// A reply.
    type Reply;
    /// The error of a command.
    type Error;

    /// The number of commands that were answered.
    fn n_commands(&self) -> usize;

    /// Takes the answer to a command, by its number in this group; `None` if it has been taken, or is of
    /// another group.
    fn take(&mut self, i: usize) -> Option<Result<Self::Reply, Self::Error>>;

    /// The errors that have not been taken, by the numbers of their commands.
    fn failures(&self) -> impl Iterator<Item = (usize, &Self::Error)>;
}

/// Answers one after the other.
impl<R: Send, E: Send> Answers for Vec<Option<Result<R, E>>> {
    type Reply = R;
    type Error = E;

    fn n_commands(&self) -> usize {
        self.len()
    }

    fn take(&mut self, i: usize) -> Option<Result<R, E>> {
        self.get_mut(i)?.take()
    }

    fn failures(&self) -> impl Iterator<Item = (usize, &E)> {
        self.iter().enumerate().filter_map(|(i, answer)| Some((i, answer.as_ref()?.as_ref().err()?)))
    }
}

impl<S: SendMany> Pipeline<S> {
    /// Starts an empty pipeline. [`Node::pipeline`](crate::Node::pipeline) and its like are shorter.
    pub fn new(to: S) -> Self {
        Self { to, atomic: false, state: Mutex::new(Pending::new()) }
    }

    /// Makes it one `MULTI` block: all commands run with none of others in between, or, if one of them is
    /// malformed or the server does not take it, none runs. A command that fails while it runs undoes
    /// nothing.
    ///
    /// The block goes out in one write, whatever its size.
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// The number of commands that are recorded and not sent.
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
            Some(spec) => Ok(self.record(spec, cmd, S::write_reply)),
            None => {
                let reason =
                    "it is not in the command table; register it, or send it to one node by `Node::send`";
                Err(self.to.not_sent(&name_of(&cmd), reason))
            }
        };
        async move { recorded?.await }
    }

    /// Sends what was recorded and waits for all of it. Commands recorded after that can be executed again.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed; their promises say so.
    pub async fn execute(&self) -> Executed<S::Error> {
        let (recording, first) = self.state().start();
        let total = recording.len();
        let mut executing = Executing { pipeline: self, recording, first, n_answered: 0 };
        let commands = executing.recording.lend();
        let mut failures = Vec::new();
        let n_answered = &mut executing.n_answered;
        let mut answered = |answers: S::Answers| {
            failures.extend(answers.failures().map(|(i, error)| (*n_answered + i, error.clone())));
            let (from, n) = (first + *n_answered, answers.n_commands());
            *n_answered += n;
            self.state().answered(from, n, Sent::Answered(answers));
        };
        match self.atomic {
            true => answered(self.to.send_atomic(&commands).await),
            false => self.to.send_many(&commands, answered).await,
        }
        Executed { total, failures }
    }

    /// Records a command. Its promise is read by what gives a reply its type.
    fn record<F>(&self, spec: &'static Spec, cmd: Cmd, read: F) -> Promise<'_, S, F> {
        let mut state = self.state();
        let number = state.sent + state.recorded.len();
        match S::TAKES_PACKED {
            true => state.recorded.pack(spec, cmd),
            false => state.recorded.keep(spec, cmd),
        }
        Promise { pipeline: self, number, spec, kept: false, read }
    }

    fn state(&self) -> MutexGuard<'_, Pending<S>> {
        self.state.lock()
    }
}

/// Commands under way. Left behind, their promises must not wait for ever.
struct Executing<'a, S: SendMany> {
    pipeline: &'a Pipeline<S>,
    recording: Recording,
    first: usize,
    n_answered: usize,
}

impl<S: SendMany> Drop for Executing<'_, S> {
    fn drop(&mut self) {
        let names = self.recording.names_from(self.n_answered);
        if !names.is_empty() {
            let (first, n) = (self.first + self.n_answered, names.len());
            self.pipeline.state().answered(first, n, Sent::GivenUp(names));
        }
    }
}

/// The reply that a command in a pipeline will have, and how it is read.
struct Promise<'a, S: SendMany, F> {
    pipeline: &'a Pipeline<S>,
    /// The position of the command in the pipeline, from 0.
    number: usize,
    spec: &'static Spec,
    /// True if the reply has been taken: then there is nothing to be thrown away.
    kept: bool,
    read: F,
}

impl<S, T, F> Future for Promise<'_, S, F>
where
    S: SendMany,
    F: Fn(&'static Spec, S::Reply) -> Result<T, S::Error> + Unpin,
{
    type Output = Result<T, S::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        const FIRST: &str = "its pipeline has not been executed; call `execute` before awaiting its reply";
        const TWICE: &str = "its reply has been taken already";
        let to = &self.pipeline.to;
        if self.kept {
            return Poll::Ready(Err(to.not_sent(self.spec.name, TWICE)));
        }
        let mut state = self.pipeline.state();
        if state.sent <= self.number {
            return Poll::Ready(Err(to.not_sent(self.spec.name, FIRST)));
        }
        let answer = state.take(self.number, |sent, i| match sent {
            Sent::Answered(answers) => answers.take(i),
            Sent::GivenUp(_) => Some(Err(to.given_up(self.spec.name))),
        });
        let Some(answer) = answer else {
            state.waiting.insert(self.number, context.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        self.kept = true;
        Poll::Ready(match answer {
            Some(reply) => (self.read)(self.spec, reply?),
            None => Err(to.not_sent(self.spec.name, TWICE)),
        })
    }
}

impl<S: SendMany, F> Drop for Promise<'_, S, F> {
    #[inline]
    fn drop(&mut self) {
        // A reply that nobody will read is not kept.
        if !self.kept {
            self.pipeline.state().give_up(self.number);
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
        self.record(command.spec(), cmd, S::read_reply)
    }

    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<S::Write<T>, S::Error>> + Send {
        self.record(command.spec(), cmd, S::write_reply)
    }

    fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<S::Each<T>, S::Error>> + Send {
        self.record(command.spec(), cmd, S::each_reply)
    }

    fn one_reply<T: Send>(written: S::Write<T>) -> Result<T, S::Error> {
        S::one_reply(written)
    }

    fn error_code(error: &S::Error) -> Option<&str> {
        S::error_code(error)
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

/// The result of executing a [`Pipeline`]: which commands failed.
#[derive(Debug, Clone)]
#[must_use = "commands may have failed: `failures` has them, `check` returns the first"]
pub struct Executed<E> {
    total: usize,
    failures: Vec<(usize, E)>,
}

impl<E> Executed<E> {
    /// The number of commands that were sent.
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
    /// The error of that command.
    pub fn check(self) -> Result<(), E> {
        match self.failures.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

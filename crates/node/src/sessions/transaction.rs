//! Optimistic transactions: keys are watched and read, and the writes run only if nobody changed the keys
//! (`WATCH`, `MULTI`, `EXEC`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::Value;

use crate::command;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Spec;
use crate::command::Write;
use crate::command::rows;
use crate::connection::dedicated::DedicatedConnection;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::execute::Execute;
use crate::node::Node;
use crate::pipeline::Pipeline;
use crate::pipeline::Recorded;
use crate::pipeline::SendMany;
use crate::pipeline::batch::too_few;
use crate::pipeline::block;
use crate::pipeline::block::Block;
use crate::redis_rs::decode;

/// The most attempts of one transaction.
const ATTEMPTS: u32 = 100;
/// After the third conflict an attempt waits a random time first: up to this, doubled each time ..
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// .. up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// An optimistic transaction: a connection that watches keys. Made by [`Node::transaction`]. Reads on it are
/// answered at once. Commands in its [queue](Self::queue) run in one `MULTI` block, and only if nobody has
/// changed the watched keys meanwhile.
///
/// A write that is called on the transaction itself, not on the queue, runs at once, and counts as a change
/// of a watched key.
///
/// A transaction is a cheap handle.
#[derive(Debug, Clone)]
pub struct Transaction {
    shared: Arc<WatchedConnection>,
}

#[derive(Debug)]
struct WatchedConnection {
    node: Arc<str>,
    connection: DedicatedConnection,
    stage: AtomicU8,
}

/// Nothing has been executed.
const WATCHING: u8 = 0;
/// The block has been sent; what became of it is its own outcome.
const EXECUTED: u8 = 1;
/// The block was refused, because a watched key was changed.
const CONFLICT: u8 = 2;

/// Runs a function on watching connections until no conflict comes of it; see [`Node::transaction`].
pub(crate) async fn run<T, F>(
    node: &Node,
    keys: impl ToRedisArgs,
    f: impl Fn(Transaction) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let watch = rows::WATCH.cmd().arg(keys).take();
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS {
        if attempt > 3 {
            // Transactions that were in each other's way must not be again.
            tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let connection = node.dedicated().await?;
        connection.run(rows::WATCH.spec(), &watch).await?;
        let shared =
            WatchedConnection { node: node.name().into(), connection, stage: AtomicU8::new(WATCHING) };
        let transaction = Transaction { shared: Arc::new(shared) };
        let outcome = f(transaction.clone()).await;
        if transaction.shared.stage.load(Ordering::Acquire) != CONFLICT {
            return outcome;
        }
    }
    Err(node.failed("EXEC", ErrorKind::Conflict { attempts: ATTEMPTS }))
}

impl Transaction {
    /// Starts the block of writes: a pipeline whose commands run together, once it is executed.
    ///
    /// A transaction executes one block. Its commands fail with [`ErrorKind::Conflict`] when a watched key
    /// was changed; the function can simply return that error, and is run again.
    pub fn queue(&self) -> Pipeline<Transaction> {
        Pipeline::new(self.clone())
    }

    /// Runs any command of Redis, or one that was [registered](crate::command::Registration), at once, as the
    /// typed commands do, and converts its reply.
    ///
    /// # Errors
    /// As [`Node::query`]; and that the command would change the connection, as `MULTI` and `SELECT` do, when
    /// nothing is sent.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        let refused = |name, reason: &'static str| {
            Error::new(Arc::clone(&self.shared.node), name, ErrorKind::Unsupported(reason.into()))
        };
        let Some(spec) = command::lookup(cmd) else {
            return Err(refused(command::name_of(cmd), "it is not in the command table; register it"));
        };
        if let Some(reason) = spec.needs_dedicated(cmd).filter(|_| !spec.blocks_for_keys()) {
            return Err(refused(spec.name.into(), reason));
        }
        let reply = self.shared.connection.run(spec, cmd).await?;
        decode(reply).map_err(|error| self.error(spec.name, ErrorKind::Reply(error.into())))
    }

    fn error(&self, command: &'static str, kind: ErrorKind) -> Error {
        self.shared.connection.error(command, kind)
    }

    async fn execute(&self, commands: &[Recorded<'_>]) -> Result<Vec<Result<Value, ErrorKind>>, ErrorKind> {
        const ONCE: &str = "a transaction executes one block; start another transaction";
        if let Some(reason) = commands.iter().find_map(Recorded::needs_dedicated) {
            return Err(ErrorKind::Unsupported(reason.into()));
        }
        let stage = &self.shared.stage;
        stage
            .compare_exchange(WATCHING, EXECUTED, Ordering::AcqRel, Ordering::Acquire)
            .map_err(|_| ErrorKind::Unsupported(ONCE.into()))?;
        let replies = self.shared.connection.send_block(&block::block(commands)).await?;
        let names: Vec<_> = commands.iter().map(|command| command.spec.name.into()).collect();
        Block::of(commands.len(), replies).outcomes(&names).ok_or_else(|| {
            stage.store(CONFLICT, Ordering::Release);
            ErrorKind::Conflict { attempts: 1 }
        })
    }
}

impl Execute for Transaction {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.shared.connection.read(command, cmd).await
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.shared.connection.write(command, cmd).await
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.shared.connection.each(command, cmd).await
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }
}

impl SendMany for Transaction {
    type Reply = (Arc<str>, Value);
    type Answers = Vec<Option<Result<Self::Reply, Error>>>;

    async fn send_many(&self, commands: &[Recorded<'_>], mut answered: impl FnMut(Self::Answers) + Send) {
        answered(self.send_atomic(commands).await);
    }

    async fn send_atomic(&self, commands: &[Recorded<'_>]) -> Self::Answers {
        let (mut replies, failed) = match self.execute(commands).await {
            Ok(replies) => (replies.into_iter(), too_few()),
            Err(kind) => (Vec::new().into_iter(), kind),
        };
        let answer = |command: &Recorded<'_>| match replies.next().unwrap_or_else(|| Err(failed.clone())) {
            Ok(reply) => Ok((Arc::clone(&self.shared.node), reply)),
            Err(kind) => Err(self.error(command.spec.name, kind)),
        };
        commands.iter().map(answer).map(Some).collect()
    }

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        block::decode(spec, reply)
    }

    fn write_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        block::decode(spec, reply)
    }

    fn each_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        block::decode(spec, reply)
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::new(Arc::clone(&self.shared.node), command.to_owned(), ErrorKind::Unsupported(reason.into()))
    }

    fn given_up(&self, command: &'static str) -> Error {
        self.error(command, block::given_up())
    }
}

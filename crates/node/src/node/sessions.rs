//! The calls of a node that take more than one command: pipelines, blocks, transactions, locks,
//! subscriptions, change feeds.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use redis::Cmd;
use redis::FromRedisValue;
use redis::Pipeline;
use redis::ToRedisArgs;
use redis::Value;

use super::Node;
use crate::command::Spec;
use crate::commands::ScriptingCommands;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::pipeline::Batch;
use crate::pipeline::Recorded;
use crate::pipeline::SendMany;
use crate::pipeline::Words;
use crate::pipeline::batch::too_few;
use crate::pipeline::block;
use crate::pipeline::block::Block;
use crate::redis_rs::empty;
use crate::sessions::ChangeFeed;
use crate::sessions::HoldLocks;
use crate::sessions::Lock;
use crate::sessions::LockOptions;
use crate::sessions::RunScript;
use crate::sessions::Subscription;
use crate::sessions::Topics;
use crate::sessions::Transaction;
use crate::sessions::lock;
use crate::sessions::transaction;
use crate::wire::Many;

/// # Pipelines, transactions, locks, subscriptions, change feeds
impl Node {
    /// Starts a pipeline, whose typed commands are sent together.
    pub fn pipeline(&self) -> crate::pipeline::Pipeline<Node> {
        crate::pipeline::Pipeline::new(self.clone())
    }

    /// Sends commands as one `MULTI` block, and returns the outcome of each command.
    ///
    /// # Cancel safety
    /// When the future is dropped all of the commands may have been executed, or none.
    #[doc(hidden)]
    pub async fn send_block(&self, commands: &[Recorded<'_>]) -> Vec<Result<Value, Error>> {
        let fail = |kind: &ErrorKind| {
            commands.iter().map(|command| Err(self.failed(command.spec.name, kind.clone()))).collect()
        };
        if commands.is_empty() {
            return Vec::new();
        }
        if let Some(reason) = commands.iter().find_map(Recorded::needs_dedicated) {
            return fail(&ErrorKind::Unsupported(reason.into()));
        }
        let words: Vec<Words<'_>> = commands.iter().map(|command| command.words.clone()).collect();
        let replies = match self.send_all(Many::Block(&words), 0, block::n_replies(words.len())).await {
            Ok(replies) => replies,
            Err(error) => return fail(error.kind()),
        };
        let names: Vec<_> = commands.iter().map(|command| command.spec.name.into()).collect();
        match Block::of(commands.len(), replies).outcomes(&names) {
            Some(outcomes) => {
                let named = commands.iter().zip(outcomes);
                named
                    .map(|(command, outcome)| outcome.map_err(|kind| self.failed(command.spec.name, kind)))
                    .collect()
            }
            None => fail(&ErrorKind::Conflict { attempts: 1 }),
        }
    }

    /// Sends a pipeline in one write and returns `count` of its replies from `offset` on, as
    /// [`ConnectionLike`](redis::aio::ConnectionLike) does: error replies are values. A pipeline without
    /// commands is not sent. No command may block or change the connection, for other callers share it; this
    /// method does not check that.
    ///
    /// # Errors
    /// The error of the connection, for the whole pipeline; for an atomic pipeline also why it was not
    /// executed as a block.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    #[doc(hidden)]
    pub async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        if let Some(answer) = empty::answer(pipeline, offset, count) {
            return Ok(answer);
        }
        if !pipeline.is_transaction() {
            return self.send_all(Many::Pipeline(pipeline), offset, count).await;
        }
        let replies = self.send_all(Many::Pipeline(pipeline), 0, block::n_replies(pipeline.len())).await?;
        block::part_of(pipeline, replies, offset, count).map_err(|(command, kind)| self.failed(command, kind))
    }

    /// Sends the commands of a batch, which have words, in one write, and returns their replies; as
    /// [`send_pipeline`](Self::send_pipeline).
    ///
    /// # Errors
    /// The error of the connection, for the whole batch.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    #[doc(hidden)]
    pub async fn send_batch(&self, batch: &Batch<'_>) -> Result<Vec<Value>, Error> {
        self.send_all(Many::Batch(batch.commands()), 0, batch.len()).await
    }

    /// Sends commands in their order, in batches of 1000 commands or 1 MiB, and returns the outcome of each
    /// command. A batch is sent when the one before it is answered.
    ///
    /// When a batch has no answer, each of its commands may have been executed, and later batches are not
    /// sent. No command may block or change the connection.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    #[doc(hidden)]
    pub async fn send_each<'a>(
        &self,
        commands: impl IntoIterator<Item = (&'static Spec, &'a Cmd)>,
    ) -> Vec<Result<Value, Error>> {
        let mut all = Vec::new();
        let commands = commands.into_iter().map(|(spec, cmd)| (spec, Words::from(cmd)));
        self.send_batches(commands.collect(), |mut outcomes| all.append(&mut outcomes)).await;
        all
    }

    /// The same, the outcomes of each batch handed over when they are there.
    pub(crate) async fn send_batches<'a>(
        &self,
        commands: Vec<(&'static Spec, Words<'a>)>,
        mut outcomes: impl FnMut(Vec<Result<Value, Error>>),
    ) {
        let mut commands = commands.into_iter();
        loop {
            let mut specs = Vec::with_capacity(commands.len().min(Batch::MOST_COMMANDS));
            let mut batch = Batch::with_capacity(commands.len());
            while !batch.is_full()
                && let Some((spec, cmd)) = commands.next()
            {
                specs.push(spec);
                batch.push(cmd);
            }
            if batch.is_empty() {
                return;
            }
            match self.send_batch(&batch).await {
                Ok(replies) => {
                    let mut replies = replies.into_iter();
                    let outcome = |spec: &'static Spec| match replies.next() {
                        Some(reply) => self.accept(spec.name, reply),
                        None => Err(self.failed(spec.name, too_few())),
                    };
                    outcomes(specs.into_iter().map(outcome).collect());
                }
                Err(error) => {
                    let fail = |spec: &'static Spec, kind| Err(self.failed(spec.name, kind));
                    let cause = match error.kind() {
                        ErrorKind::Down { cause } => Arc::clone(cause),
                        kind => Arc::new(kind.clone()),
                    };
                    let asked = specs.into_iter().map(|spec| fail(spec, error.kind().clone()));
                    let down = || ErrorKind::Down { cause: Arc::clone(&cause) };
                    outcomes(asked.chain(commands.by_ref().map(|(spec, _)| fail(spec, down()))).collect());
                }
            }
        }
    }

    /// Runs an optimistic transaction: a function reads some keys and writes values that depend on them. The
    /// function runs again until nobody else has changed these keys between its reads and its writes. Returns
    /// what the function returns.
    ///
    /// The function is given the watching connection. The function reads by the typed commands, puts its
    /// writes into a [queue](Transaction::queue) and executes the queue once. The function must be safe to
    /// repeat: it is tried up to 100 times, with pauses of up to 64 ms in between. A function that executes
    /// no queue runs once, and only what it writes on the connection itself takes effect.
    ///
    /// # Errors
    /// The error that the function returns; [`ErrorKind::Conflict`] after the last attempt, when nothing was
    /// executed.
    ///
    /// # Cancel safety
    /// When the future is dropped, the block of writes has been executed as a whole or not at all. The
    /// connection watches nothing when another caller gets it.
    ///
    /// See <https://redis.io/docs/latest/develop/interact/transactions/>.
    ///
    /// # Example
    /// ```no_run
    /// use redisdb_node::{Node, StringCommands};
    ///
    /// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
    /// let left = node
    ///     .transaction(&["stock", "sold"], |tx| async move {
    ///         let stock = tx.get::<i64>("stock").await?.unwrap_or(0);
    ///         if stock == 0 {
    ///             return Ok(None);
    ///         }
    ///         let queue = tx.queue();
    ///         let left = queue.decr("stock");
    ///         drop(queue.incr("sold"));
    ///         queue.execute().await.check()?;
    ///         Ok(Some(left.await?))
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub async fn transaction<T, F>(
        &self,
        keys: impl ToRedisArgs,
        f: impl Fn(Transaction) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        transaction::run(self, keys, f).await
    }

    /// Returns a lock of this name on this node. Nothing is sent yet.
    pub fn lock(&self, name: impl AsRef<[u8]>, options: LockOptions) -> Lock<Node> {
        Lock::new(self, name, options)
    }

    /// Listens to channels.
    ///
    /// # Errors
    /// The node cannot be reached now, or does not let the user listen.
    ///
    /// See <https://redis.io/docs/latest/commands/subscribe/>.
    pub async fn subscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(Topics::Channels(channels.to_redis_args())).await
    }

    /// Listens to all channels that match a pattern, or one of several. Keyspace notifications are such
    /// channels.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// See <https://redis.io/docs/latest/commands/psubscribe/>.
    pub async fn psubscribe(&self, patterns: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(Topics::Patterns(patterns.to_redis_args())).await
    }

    /// Listens to channels of `SPUBLISH`. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// See <https://redis.io/docs/latest/commands/ssubscribe/>.
    pub async fn ssubscribe(&self, channels: impl ToRedisArgs) -> Result<Subscription, Error> {
        self.listen(Topics::Shards(channels.to_redis_args())).await
    }

    /// Has the server tell the names of all keys that change, from now on.
    ///
    /// # Errors
    /// The node cannot be reached now, or the server does not permit tracking (`NOPERM`).
    /// [`ErrorKind::Unsupported`] if the server knows no RESP3 or no tracking.
    ///
    /// See <https://redis.io/docs/latest/commands/client-tracking/>.
    pub async fn changes(&self) -> Result<ChangeFeed, Error> {
        ChangeFeed::start(self, Vec::new(), false).await
    }

    /// Has the server tell the names that begin with a prefix, or with one of several. No prefix may begin with
    /// another one.
    ///
    /// # Errors
    /// As [`changes`](Self::changes). [`ErrorKind::Unsupported`] if no prefix is named.
    pub async fn changes_under(&self, prefixes: impl ToRedisArgs) -> Result<ChangeFeed, Error> {
        let prefixes = prefixes.to_redis_args();
        if prefixes.is_empty() {
            let reason = "no prefix is named; `changes()` tells all keys";
            return Err(self.failed("CLIENT TRACKING", ErrorKind::Unsupported(reason.into())));
        }
        ChangeFeed::start(self, prefixes, false).await
    }

    /// The same for whoever tries again and again, and tells of errors: it logs none that it returns. All names are told if there
    /// is no prefix.
    #[doc(hidden)]
    pub async fn changes_quietly(&self, prefixes: Vec<Vec<u8>>) -> Result<ChangeFeed, Error> {
        ChangeFeed::start(self, prefixes, true).await
    }

    async fn listen(&self, topics: Topics) -> Result<Subscription, Error> {
        let (subscription, begun) = Subscription::start(vec![(self.clone(), topics)], |_| true).await;
        begun.into_iter().collect::<Result<(), Error>>()?;
        Ok(subscription)
    }
}

impl SendMany for Node {
    type Reply = (Arc<str>, Value);
    type Answers = Vec<Option<Result<Self::Reply, Error>>>;

    const TAKES_PACKED: bool = true;

    async fn send_many(&self, commands: &[Recorded<'_>], mut answered: impl FnMut(Self::Answers) + Send) {
        let name: Arc<str> = self.name().into();
        let mut sent = Vec::with_capacity(commands.len());
        let mut all = Vec::with_capacity(commands.len());
        for command in commands {
            let refused = command.needs_dedicated();
            all.push((command.spec, refused));
            if refused.is_none() {
                sent.push((command.spec, command.words.clone()));
            }
        }
        // Commands that are not sent stand between those that are.
        let mut all = all.into_iter();
        let refused = |spec: &Spec, reason: Option<&'static str>| {
            let kind = reason.map_or_else(too_few, |reason| ErrorKind::Unsupported(reason.into()));
            Some(Err(self.failed(spec.name, kind)))
        };
        self.send_batches(sent, |outcomes| {
            let mut answers = Vec::with_capacity(outcomes.len());
            for outcome in outcomes {
                let before = all.by_ref().map_while(|(spec, reason)| Some((spec, Some(reason?))));
                answers.extend(before.map(|(spec, reason)| refused(spec, reason)));
                answers.push(Some(outcome.map(|reply| (Arc::clone(&name), reply))));
            }
            answered(answers);
        })
        .await;
        answered(all.map(|(spec, reason)| refused(spec, reason)).collect());
    }

    async fn send_atomic(&self, commands: &[Recorded<'_>]) -> Self::Answers {
        let name: Arc<str> = self.name().into();
        let outcomes = self.send_block(commands).await.into_iter();
        outcomes.map(|outcome| Some(outcome.map(|reply| (Arc::clone(&name), reply)))).collect()
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
        Error::new(self.name().into(), command.to_owned(), ErrorKind::Unsupported(reason.into()))
    }

    fn given_up(&self, command: &'static str) -> Error {
        self.failed(command, block::given_up())
    }
}

impl HoldLocks for Node {
    async fn take_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let begun = Instant::now();
        // With its code at once: on a copy, a node whose answer is not waited for must take it all the same,
        // and would not be asked a second time.
        let taken: bool = self.eval(lock::TAKE, name, (token, lock::millis(time))).await?;
        Ok(if taken { begun.checked_add(time.min(lock::LONGEST)) } else { None })
    }

    async fn extend_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let begun = Instant::now();
        let extended: bool = self.invoke(&lock::EXTEND.key(name).arg(token).arg(lock::millis(time))).await?;
        Ok(if extended { begun.checked_add(time.min(lock::LONGEST)) } else { None })
    }

    async fn owns_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        self.invoke(&lock::OWNS.key(name).arg(token)).await
    }

    async fn release_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        self.invoke(&lock::RELEASE.key(name).arg(token)).await
    }
}

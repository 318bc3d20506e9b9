//! Transactions on a ring, at the one node that owns their keys.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::Value;
use redisdb_node as node;
use redisdb_node::Execute;
use redisdb_node::Pipeline;
use redisdb_node::Transaction;
use redisdb_node::command::Command;
use redisdb_node::command::Each;
use redisdb_node::command::Read;
use redisdb_node::command::Spec;
use redisdb_node::command::Write;
use redisdb_node::command::rows;
use redisdb_node::plumbing::Recorded;
use redisdb_node::plumbing::SendMany;

use crate::dispatch::scatter::on_owner;
use crate::engine::ring::RingEngine;
use crate::engine::ring::topology::RingTopology;
use crate::error::Error;
use crate::pipeline::cmds_of;
use crate::plan::context::Context;
use crate::plan::context::row;

/// A [`Transaction`] on the node of a ring that owns its keys. The keys of its commands must have the hash tag of the watched
/// ones, or with [`allow_colocated`](crate::RingBuilder::allow_colocated) the same owner: any other command would run where its
/// keys are not. Commands for every node of a ring are refused too.
///
/// Made by [`RedisRing::transaction`](crate::RedisRing::transaction). A cheap handle.
#[derive(Debug, Clone)]
pub struct RingTransaction {
    /// The topology with which it began.
    topology: Arc<RingTopology>,
    transaction: Transaction,
    watched: Arc<Cmd>,
}

impl RingEngine {
    /// Runs a function on the owner of its keys; see [`RedisRing::transaction`](crate::RedisRing::transaction).
    pub(crate) async fn transaction<T, F>(
        &self,
        keys: impl ToRedisArgs,
        f: impl Fn(RingTransaction) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let watched = Arc::new(rows::EXISTS.cmd().arg(&keys).take());
        let topology = self.topology();
        let owner = topology.route_together(std::iter::once(watching(&watched)), Context::Transaction)?;
        let ready = self.ready(&topology, owner, "MULTI").await;
        ready.map_err(|error| on_owner(rows::EXISTS.spec(), &watched, error))?;
        let owner = topology.nodes.at(owner);
        // The function's own error is kept here, because it says more than that of a node.
        let own = Mutex::new(None);
        let outcome = owner.transaction(keys, |transaction| {
            // Only the error of the last attempt counts.
            *own.lock() = None;
            let (topology, watched) = (Arc::clone(&topology), Arc::clone(&watched));
            let future = f(RingTransaction { topology, transaction, watched });
            let own = &own;
            async move {
                match future.await {
                    Ok(value) => Ok(value),
                    Err(error) => {
                        let first = error.node_errors().first().map(|error| (*error).clone());
                        *own.lock() = Some(error);
                        Err(first.unwrap_or_else(|| {
                            node::Error::without_node("MULTI", node::ErrorKind::Unsupported("".into()))
                        }))
                    }
                }
            }
        });
        let error = match outcome.await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let own = own.into_inner();
        match (error.kind(), own) {
            // The function's error is of the last attempt, and this one of all.
            (node::ErrorKind::Conflict { attempts: 2.. }, _) | (_, None) => {
                Err(on_owner(rows::EXISTS.spec(), &watched, error))
            }
            (_, Some(own)) => Err(own),
        }
    }
}

impl RingTransaction {
    /// Starts the block of writes, as [`Transaction::queue`] does.
    pub fn queue(&self) -> Pipeline<RingTransaction> {
        Pipeline::new(self.clone())
    }

    /// Runs any command of Redis, or one that was [registered](redisdb_node::command::Registration), at once, as the typed
    /// commands do, and converts its reply.
    ///
    /// # Errors
    /// As [`RedisRing::query`](crate::RedisRing::query). Nothing is sent if the keys do not belong to the watched ones, or if the
    /// command would change the connection, as `MULTI` and `SELECT` do.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        self.belongs(row(cmd)?, cmd)?;
        Ok(self.transaction.query(cmd).await?)
    }

    fn belongs(&self, spec: &'static Spec, cmd: &Cmd) -> Result<(), Error> {
        let commands = [watching(&self.watched), (spec, cmd)];
        self.topology.route_together(commands.into_iter(), Context::Transaction).map(drop)
    }
}

/// Returns the watched keys as those of an `EXISTS`, for `WATCH` itself has no route.
fn watching(watched: &Cmd) -> (&'static Spec, &Cmd) {
    (rows::EXISTS.spec(), watched)
}

impl Execute for RingTransaction {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    async fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.belongs(command.spec(), &cmd)?;
        Ok(self.transaction.read(command, cmd).await?)
    }

    async fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.belongs(command.spec(), &cmd)?;
        Ok(self.transaction.write(command, cmd).await?)
    }

    async fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> Result<T, Error> {
        self.belongs(command.spec(), &cmd)?;
        Ok(self.transaction.each(command, cmd).await?)
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }
}

impl SendMany for RingTransaction {
    type Reply = (Arc<str>, Value);
    type Answers = Vec<Option<Result<Self::Reply, Error>>>;

    async fn send_many(&self, commands: &[Recorded<'_>], mut answered: impl FnMut(Self::Answers) + Send) {
        answered(self.send_atomic(commands).await);
    }

    async fn send_atomic(&self, commands: &[Recorded<'_>]) -> Self::Answers {
        // If one command belongs elsewhere, none is sent.
        let cmds = cmds_of(commands);
        let queued = cmds.iter().map(|(spec, cmd)| (*spec, cmd.as_ref()));
        let all = std::iter::once(watching(&self.watched)).chain(queued);
        if let Err(error) = self.topology.route_together(all, Context::Block) {
            return commands.iter().map(|_| Some(Err(error.clone()))).collect();
        }
        let answers = self.transaction.send_atomic(commands).await.into_iter();
        answers.map(|answer| Some(answer?.map_err(Error::Node))).collect()
    }

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        Ok(Transaction::read_reply(spec, reply)?)
    }

    fn write_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        Ok(Transaction::write_reply(spec, reply)?)
    }

    fn each_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        Ok(Transaction::each_reply(spec, reply)?)
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::Node(self.transaction.not_sent(command, reason))
    }

    fn given_up(&self, command: &'static str) -> Error {
        Error::Node(self.transaction.given_up(command))
    }
}

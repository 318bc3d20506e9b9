//! The run of a command on a node: the retries, and a blocking command on a dedicated connection.

use std::borrow::Cow;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use tokio::time::Instant;

use super::Deadline;
use super::Node;
use super::after;
use crate::command;
use crate::command::Access;
use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Retry;
use crate::command::Spec;
use crate::command::Write;
use crate::command::name_of;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::execute::Execute;
use crate::frame::Frame;
use crate::observe::NodeEvent;
use crate::redis_rs::decode;
use crate::retry;
use crate::wire::Many;

/// # One command
impl Node {
    /// Sends a command once, as it is, and returns its reply. The command need not be in the command table. A
    /// command that the table knows to block or to change its connection is refused, because other callers
    /// share the connection.
    ///
    /// # Errors
    /// [`Error`], also for an error reply.
    ///
    /// # Cancel safety
    /// When the future is dropped the command may have been executed.
    pub async fn send(&self, cmd: &Cmd) -> Result<Value, Error> {
        self.may_be_sent(cmd)?;
        let by = self.by(Instant::now());
        let reply = self.inner.connection.send(cmd, by, self.fence.as_ref()).await;
        self.judged(|| name_of(cmd), reply)
    }

    /// Sends a command once, as [`send`](Self::send) does, and returns its reply as the bytes that the server sent:
    /// for a program that forwards replies, which pays for no [`Value`]. The bytes are copied once, into a vector that
    /// the caller keeps. The protocol is RESP2; [`in_resp3`](Self::in_resp3) has the other one.
    ///
    /// An error reply is a frame too, in the server's words, which may quote what it was sent: a password that the
    /// command had is not taken out. The node takes notice of it all the same: of one that says that the server takes
    /// no writes ([`refuses_writes`](Self::refuses_writes)), and of `READONLY` as for any call.
    ///
    /// Deadlines, limits and the circuit breaker are those of other calls. A reply that would take more than
    /// [`max_reply`](crate::NodeConfig::with_max_reply) as a value is refused in this form too.
    ///
    /// ```no_run
    /// # async fn f(node: redisdb_node::Node) -> Result<(), redisdb_node::Error> {
    /// let reply = node.send_raw(redis::cmd("GET").arg("user:1")).await?;
    /// assert_eq!(reply.as_bytes(), b"$3\r\nAnn\r\n");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error`], of everything but an error reply.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_raw(&self, cmd: &Cmd) -> Result<Frame, Error> {
        let spec = self.may_be_sent(cmd)?;
        let by = self.by(Instant::now());
        let reply = self.inner.connection.send::<Frame>(cmd, by, self.fence.as_ref()).await;
        let frame = reply.map_err(|kind| self.failed(name_of(cmd), kind))?;
        if frame.is_error() {
            self.look_at_error(cmd, &frame);
        } else if self.refuses_writes() && spec.is_some_and(|spec| spec.access == Access::Write) {
            self.writes_are_taken(None);
        }
        Ok(frame)
    }

    /// Takes notice of an error reply that the caller gets as it is.
    #[cold]
    fn look_at_error(&self, cmd: &Cmd, frame: &Frame) {
        if let Ok(reply) = frame.decode()
            && let Err(error) = self.judged(|| name_of(cmd), Ok(reply))
            && error.refuses_writes()
        {
            self.writes_are_taken(error.code());
        }
    }

    /// Makes sure that a command may be sent on the shared connection. Returns its row, if it has one.
    #[inline(always)] // into `send`, as where it was a part of that
    fn may_be_sent(&self, cmd: &Cmd) -> Result<Option<&'static Spec>, Error> {
        let spec = command::lookup(cmd);
        match spec.and_then(|spec| spec.needs_dedicated(cmd)) {
            Some(reason) => Err(self.failed(name_of(cmd), ErrorKind::Unsupported(reason.into()))),
            None => Ok(spec),
        }
    }

    /// Judges a reply to a command. An error reply is a reply too, and may mean that this server is not the
    /// one to ask.
    fn judged(
        &self,
        command: impl FnOnce() -> Cow<'static, str>,
        reply: Result<Value, ErrorKind>,
    ) -> Result<Value, Error> {
        match reply {
            Ok(reply @ Value::ServerError(_)) => {
                self.look_for_demotion(std::slice::from_ref(&reply));
                self.accept(command(), reply)
            }
            Ok(reply) => Ok(reply),
            Err(kind) => Err(self.failed(command(), kind)),
        }
    }

    /// A server that takes no writes any more may not be the one that the address leads to by now.
    fn look_for_demotion(&self, replies: &[Value]) {
        if replies
            .iter()
            .any(|reply| matches!(reply, Value::ServerError(error) if error.code() == "READONLY"))
        {
            self.inner.connection.renew();
        }
    }

    /// Turns an error reply into an [`Error`] of this node, and returns any other reply as it is.
    ///
    /// # Errors
    /// The error reply.
    #[doc(hidden)]
    pub fn accept(&self, command: impl Into<Cow<'static, str>>, reply: Value) -> Result<Value, Error> {
        match reply {
            Value::ServerError(reply) => {
                Err(self.failed(command, ErrorKind::Server(ServerError::from(&reply))))
            }
            reply => Ok(reply),
        }
    }

    /// Sends commands as they are, a block not judged: all of its replies must be asked for.
    pub(crate) async fn send_all(
        &self,
        many: Many<'_>,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        let start = Instant::now();
        let (by, fence) = (self.by(start), self.fence.as_ref());
        let replies = self.inner.connection.send_many(many, offset, count, by, fence).await;
        let replies = replies.map_err(|kind| self.failed("pipeline", kind));
        self.inner.metrics.called(None, start, self.in_flight(), &replies);
        self.look_for_demotion(replies.as_deref().unwrap_or_default());
        replies
    }

    /// Sends a command by its row in the command table. A blocking command waits on a dedicated connection; a
    /// command that would change the shared connection is refused; a failed command is sent again if its row
    /// permits that.
    ///
    /// # Errors
    /// As [`send`](Self::send). When several attempts fail, the error is that of the last attempt. The error
    /// never says that the command was not executed when an earlier attempt may have executed it.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send). When the future of a blocking command is dropped, the server forgets the
    /// command; an element that the server had just popped for it is lost.
    pub async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        if let Some(reason) = spec.needs_dedicated(cmd) {
            return match spec.blocks_for_keys() {
                // Boxed, for it is rare: the future of every other command would have room for it, and its
                // type in it.
                true => self.run_dedicated(spec, cmd).boxed().await,
                false => Err(self.failed(spec.name, ErrorKind::Unsupported(reason.into()))),
            };
        }
        let start = Instant::now();
        let (by, fence) = (self.by(start), self.fence.as_ref());
        let reply = self.inner.connection.send(cmd, by, fence).await;
        let reply = match self.tried(spec, reply) {
            Ok(reply) => Ok(reply),
            // Boxed, for it is rare.
            Err(error) => Box::pin(self.repeat(spec, cmd, error, start)).await,
        };
        self.inner.metrics.called(Some(spec.group), start, self.in_flight(), &reply);
        reply
    }

    /// Sends a command by its row, and never again: for callers that would rather ask another server.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    #[doc(hidden)]
    pub async fn run_once(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        match spec.needs_dedicated(cmd) {
            Some(_) => self.run(spec, cmd).await,
            None => {
                let start = Instant::now();
                let (by, fence) = (self.by(start), self.fence.as_ref());
                let reply = self.inner.connection.send(cmd, by, fence).await;
                let reply = self.tried(spec, reply);
                self.inner.metrics.called(Some(spec.group), start, self.in_flight(), &reply);
                reply
            }
        }
    }

    /// Notes the outcome of an attempt to run a command, also whether the server takes writes.
    fn tried(&self, spec: &'static Spec, reply: Result<Value, ErrorKind>) -> Result<Value, Error> {
        let reply = self.judged(|| spec.name.into(), reply);
        self.note_writes(spec, &reply);
        reply
    }

    /// Notes whether the server takes writes.
    fn note_writes(&self, spec: &'static Spec, reply: &Result<Value, Error>) {
        match reply {
            Ok(_) if spec.access == Access::Write && self.refuses_writes() => self.writes_are_taken(None),
            Err(error) if error.refuses_writes() => self.writes_are_taken(error.code()),
            _ => {}
        }
    }

    #[cold]
    async fn repeat(
        &self,
        spec: &'static Spec,
        cmd: &Cmd,
        mut error: Error,
        start: Instant,
    ) -> Result<Value, Error> {
        let connection = &self.inner.connection;
        let by = self.by(start).unwrap_or_else(|| after(start, self.inner.config.response_timeout()));
        for tried in 0.. {
            // A command that a replica turned away may be meant for the server that took its place.
            let may_be_demoted = tried == 0 && error.code() == Some("READONLY") && connection.renew();
            // A script may say so itself.
            let demoted = may_be_demoted && !error.may_have_executed();
            let pause = match demoted {
                true => Some(Duration::ZERO),
                false => retry::pause(spec, cmd, &error, tried),
            };
            let Some(pause) = pause.map(|pause| pause.mul_f64(fastrand::f64())) else { break };
            if by <= Instant::now() + pause || !connection.may_repeat() {
                break;
            }
            tokio::time::sleep(pause).await;
            tracing::debug!(node = self.name(), command = spec.name, %error, "sent again");
            self.inner.metrics.repeated();
            let reply = connection.send(cmd, Some(by), self.fence.as_ref()).await;
            match self.tried(spec, reply) {
                Ok(reply) => return Ok(reply),
                // No later attempt undoes what an earlier one may have done; a read has done nothing.
                Err(last)
                    if spec.retry != Retry::Read
                        && error.may_have_executed()
                        && !last.may_have_executed() =>
                {
                    break;
                }
                Err(last) => error = last,
            }
        }
        Err(error)
    }

    #[cold]
    fn writes_are_taken(&self, refused: Option<&str>) {
        if self.inner.refuses_writes.swap(refused.is_some(), Ordering::Relaxed) != refused.is_some() {
            let event = match refused {
                Some(code) => NodeEvent::WritesRefused { code: code.to_owned() },
                None => NodeEvent::WritesTaken,
            };
            self.inner.connection.observer().tell(self.name(), event);
        }
    }

    async fn run_dedicated(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        let connection = &self.inner.connection;
        match self.try_dedicated(spec, cmd).await {
            // What a replica turned away may be meant for the server that took its place.
            Err(error)
                if error.code() == Some("READONLY") && connection.renew() && connection.may_repeat() =>
            {
                self.inner.metrics.repeated();
                self.try_dedicated(spec, cmd).await
            }
            reply => reply,
        }
    }

    async fn try_dedicated(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        let dedicated = self.dedicated().await?;
        let reply = dedicated.run(spec, cmd).await;
        self.note_writes(spec, &reply);
        if reply.as_ref().is_err_and(|error| error.code() == Some("READONLY")) {
            // It does not lead to the server that took the place of this one.
            dedicated.close();
        }
        reply
    }

    /// Runs any command in the command table, or one that was [registered](crate::command::Registration), and
    /// converts its reply.
    ///
    /// ```no_run
    /// # async fn f(node: redisdb_node::Node) -> Result<(), redisdb_node::Error> {
    /// let kind: String = node.query(redis::cmd("OBJECT").arg("ENCODING").arg("user:1")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run); also that the command is not in the table. [`send`](Self::send) sends such a
    /// command.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        match command::lookup(cmd) {
            Some(spec) => self.answer(spec, cmd.clone()).await,
            None => {
                let reason = "it is not in the command table; register it, or send it as it is, by `send`";
                Err(self.failed(name_of(cmd), ErrorKind::Unsupported(reason.into())))
            }
        }
    }

    pub(crate) async fn answer<T: FromRedisValue>(&self, spec: &'static Spec, cmd: Cmd) -> Result<T, Error> {
        let reply = self.run(spec, &cmd).await?;
        decode(reply).map_err(|error| self.failed(spec.name, ErrorKind::Reply(error.into())))
    }

    pub(super) fn by(&self, start: Instant) -> Option<Instant> {
        match self.deadline {
            Deadline::None => None,
            Deadline::Of(deadline) => Some(after(start, deadline)),
            Deadline::At(by) => Some(by),
        }
    }
}

impl Execute for Node {
    type Error = Error;
    type Write<T: Send> = T;
    type Each<T: Send> = T;

    #[inline]
    fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    #[inline]
    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Error>> + Send {
        self.answer(command.spec(), cmd)
    }

    fn one_reply<T: Send>(written: T) -> Result<T, Error> {
        Ok(written)
    }

    fn error_code(error: &Error) -> Option<&str> {
        error.code()
    }

    fn by_key<T: FromRedisValue>(error: Error, keys: &[Vec<u8>]) -> Option<Vec<Result<T, Error>>> {
        Some(keys.iter().map(|_| Err(error.clone())).collect())
    }
}

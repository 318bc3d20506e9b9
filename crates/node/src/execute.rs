//! The trait of whatever runs commands: one server, a ring of servers, or a copy.

use std::future::Future;

use redis::Cmd;
use redis::FromRedisValue;

use crate::command::Command;
use crate::command::Each;
use crate::command::Read;
use crate::command::Write;
use crate::error::Error;

/// The questions that every error of a call answers, whatever the command ran on: one server, a ring or a
/// copy.
pub trait Failure {
    /// Returns whether time ran out on a server.
    fn is_timeout(&self) -> bool;

    /// Returns whether a server could not be reached.
    fn is_connect(&self) -> bool;

    /// Returns whether the command cannot run like this, whatever the state of the servers.
    fn is_unsupported(&self) -> bool;

    /// Returns whether a server may have executed the command or a part of it, or may do so later. `false` is
    /// a proof that none did.
    fn may_have_executed(&self) -> bool;
}

impl Failure for Error {
    fn is_timeout(&self) -> bool {
        Error::is_timeout(self)
    }

    fn is_connect(&self) -> bool {
        Error::is_connect(self)
    }

    fn is_unsupported(&self) -> bool {
        Error::is_unsupported(self)
    }

    fn may_have_executed(&self) -> bool {
        Error::may_have_executed(self)
    }
}

/// Something that commands run on. The typed commands ([`StringCommands`](crate::StringCommands) and the
/// others) are methods of everything that implements this.
///
/// A caller names the row of the command, which says where it goes, and gives the command itself:
///
/// ```
/// use redisdb_node::{Execute, command::rows};
///
/// async fn longest<E: Execute>(store: &E, a: &str, b: &str) -> Result<u64, E::Error> {
///     let mut len = 0;
///     for key in [a, b] {
///         len = len.max(store.read::<u64>(&rows::STRLEN, rows::STRLEN.cmd().arg(key).take()).await?);
///     }
///     Ok(len)
/// }
/// ```
///
/// # Cancel safety
/// Dropping the future of a read does no harm. A write whose future is dropped may have been executed, on
/// none, some or all of the servers it was meant for.
pub trait Execute: Sync {
    /// The error of a call.
    type Error: std::error::Error + Send + Sync + 'static;
    /// The result of a write: the reply on a node and on a ring, each node's reply on a copy.
    type Write<T: Send>: Send;
    /// The result of a question to each server: the reply on a node, each node's reply on a ring and on a
    /// copy.
    type Each<T: Send>: Send;

    /// Sends a command that reads data, and converts its reply.
    ///
    /// # Errors
    /// [`Execute::Error`]: the command could not be routed, sent or answered, or its reply is not a
    /// `T`.
    fn read<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Read>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send;

    /// Sends a command that may change something.
    ///
    /// # Errors
    /// As [`Execute::read`]; after an error the write may have been executed all the same, if the error says
    /// so.
    fn write<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Write>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send;

    /// Asks each server about itself.
    ///
    /// # Errors
    /// As [`Execute::read`]; of several servers, each answers for itself.
    fn each<T: FromRedisValue + Send>(
        &self,
        command: &'static Command<Each>,
        cmd: Cmd,
    ) -> impl Future<Output = Result<Self::Each<T>, Self::Error>> + Send;

    /// Returns one reply of a write: the reply itself, or, on a copy, that of a node that took it and is not
    /// known to be behind.
    ///
    /// # Errors
    /// On a copy, when no node took it, or that reply is not a `T`.
    fn one_reply<T: Send>(written: Self::Write<T>) -> Result<T, Self::Error>;

    /// The bytes before and after the part of a key that decides where the key is, where a key has such a
    /// part. By the text between them, a user who may choose a key could choose its node.
    fn tag_delimiters(&self) -> (u8, u8) {
        (b'{', b'}')
    }

    /// The code of the servers' error reply behind an error, `WRONGTYPE` for example. `None` if there is
    /// none, or if servers gave different ones.
    fn error_code(error: &Self::Error) -> Option<&str> {
        let _ = error;
        None
    }

    /// Takes apart the error of a read like `MGET`, whose reply has an element for each key: returns the
    /// elements that came all the same, and the errors of the others. `keys` are those of the command.
    ///
    /// `None` if it says nothing of single keys, so that asking for them one by one may give more.
    fn by_key<T: FromRedisValue>(
        error: Self::Error,
        keys: &[Vec<u8>],
    ) -> Option<Vec<Result<T, Self::Error>>> {
        let _ = (error, keys);
        None
    }
}

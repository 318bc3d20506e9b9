//! Scripts and functions: <https://redis.io/docs/latest/commands/?group=scripting>.

use std::future::Future;

use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::ToSingleRedisArg;
use redis::Value;

use super::counted::Counted;
use super::server::FlushMode;
use crate::Execute;
use crate::command::rows::EVAL;
use crate::command::rows::EVAL_RO;
use crate::command::rows::EVALSHA;
use crate::command::rows::EVALSHA_RO;
use crate::command::rows::FCALL;
use crate::command::rows::FCALL_RO;
use crate::command::rows::FUNCTION_DELETE;
use crate::command::rows::FUNCTION_DUMP;
use crate::command::rows::FUNCTION_FLUSH;
use crate::command::rows::FUNCTION_KILL;
use crate::command::rows::FUNCTION_LIST;
use crate::command::rows::FUNCTION_LOAD;
use crate::command::rows::FUNCTION_RESTORE;
use crate::command::rows::FUNCTION_STATS;
use crate::command::rows::SCRIPT_EXISTS;
use crate::command::rows::SCRIPT_FLUSH;
use crate::command::rows::SCRIPT_KILL;
use crate::command::rows::SCRIPT_LOAD;

/// The commands on scripts and functions. [`Script`](crate::Script) is the comfortable way to run a script.
///
/// # Errors
/// The error that the script gives, or that a command in it gives; its writes before that stay. Otherwise as
/// [`Execute::read`] and [`Execute::write`].
///
/// # On a ring
/// A script or function runs at the owner of its keys, which must have one hash tag; without keys it is
/// refused. Loading, deleting and flushing is done on every node, at the same time.
///
/// # On a copy
/// A call that may write is refused, because the nodes could end up different: use a
/// [`Script`](crate::Script), which can be declared [deterministic](crate::Script::deterministic). A call
/// that only reads runs on one node. Loading, deleting and flushing are done on every node.
pub trait ScriptingCommands: Execute {
    /// Runs a script.
    ///
    /// See <https://redis.io/docs/latest/commands/eval/>.
    fn eval<T: FromRedisValue + Send>(
        &self,
        code: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send {
        self.write(&EVAL, EVAL.cmd().arg(code).arg(Counted(keys)).arg(args).take())
    }

    /// Runs a script in which no command may write. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/eval_ro/>.
    fn eval_ro<T: FromRedisValue + Send>(
        &self,
        code: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send {
        self.read(&EVAL_RO, EVAL_RO.cmd().arg(code).arg(Counted(keys)).arg(args).take())
    }

    /// Runs a script that the server knows, by the hash that [`script_load`](Self::script_load) returned.
    ///
    /// # Errors
    /// `NOSCRIPT` if the server does not know it, as after a restart.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha/>.
    fn evalsha<T: FromRedisValue + Send>(
        &self,
        hash: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send {
        self.write(&EVALSHA, EVALSHA.cmd().arg(hash).arg(Counted(keys)).arg(args).take())
    }

    /// Runs a script that the server knows, in which no command may write. Since Redis 7.0.
    ///
    /// # Errors
    /// `NOSCRIPT` if the server does not know it, as after a restart.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha_ro/>.
    fn evalsha_ro<T: FromRedisValue + Send>(
        &self,
        hash: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send {
        self.read(&EVALSHA_RO, EVALSHA_RO.cmd().arg(hash).arg(Counted(keys)).arg(args).take())
    }

    /// Runs a function of a loaded library. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/fcall/>.
    fn fcall<T: FromRedisValue + Send>(
        &self,
        function: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send {
        self.write(&FCALL, FCALL.cmd().arg(function).arg(Counted(keys)).arg(args).take())
    }

    /// Runs a function that has the flag `no-writes`. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/fcall_ro/>.
    fn fcall_ro<T: FromRedisValue + Send>(
        &self,
        function: impl ToSingleRedisArg + Send,
        keys: impl ToRedisArgs + Send,
        args: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send {
        self.read(&FCALL_RO, FCALL_RO.cmd().arg(function).arg(Counted(keys)).arg(args).take())
    }

    /// Deletes a library with its functions. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-delete/>.
    fn function_delete(
        &self,
        library: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FUNCTION_DELETE, FUNCTION_DELETE.with(library))
    }

    /// Returns all libraries in a form that [`function_restore`](Self::function_restore) reads. Since Redis
    /// 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-dump/>.
    fn function_dump(&self) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send {
        self.read(&FUNCTION_DUMP, FUNCTION_DUMP.cmd())
    }

    /// Deletes all libraries. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-flush/>.
    fn function_flush(
        &self,
        mode: FlushMode,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FUNCTION_FLUSH, FUNCTION_FLUSH.with(mode))
    }

    /// Ends the function that keeps a server busy, as [`script_kill`](Self::script_kill) does a script. Since
    /// Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-kill/>.
    fn function_kill(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&FUNCTION_KILL, FUNCTION_KILL.cmd())
    }

    /// Returns the loaded libraries. On a ring and a copy one node answers: all have been given the same.
    /// Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-list/>.
    fn function_list(&self) -> impl Future<Output = Result<Vec<FunctionLibrary>, Self::Error>> + Send {
        self.read(&FUNCTION_LIST, FUNCTION_LIST.cmd())
    }

    /// Loads a library and returns its name. The code starts with `#!lua name=..`. Since Redis 7.0.
    ///
    /// # Errors
    /// If there is a library of this name, or a function of one of its names.
    ///
    /// See <https://redis.io/docs/latest/commands/function-load/>.
    fn function_load(
        &self,
        code: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&FUNCTION_LOAD, FUNCTION_LOAD.with(code))
    }

    /// Loads a library in place of the one of the same name, if there is one, and returns its name. Since
    /// Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-load/>.
    fn function_load_replace(
        &self,
        code: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&FUNCTION_LOAD, FUNCTION_LOAD.cmd().arg("REPLACE").arg(code).take())
    }

    /// Loads the libraries that [`function_dump`](Self::function_dump) returned. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-restore/>.
    fn function_restore(
        &self,
        dump: &[u8],
        policy: FunctionRestore,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        let policy = match policy {
            FunctionRestore::Append => "APPEND",
            FunctionRestore::Flush => "FLUSH",
            FunctionRestore::Replace => "REPLACE",
        };
        self.write(&FUNCTION_RESTORE, FUNCTION_RESTORE.cmd().arg(dump).arg(policy).take())
    }

    /// Returns what function runs, and what engines there are, as the server says it. Since Redis 7.0.
    ///
    /// See <https://redis.io/docs/latest/commands/function-stats/>.
    fn function_stats(&self) -> impl Future<Output = Result<Self::Each<Value>, Self::Error>> + Send {
        self.each(&FUNCTION_STATS, FUNCTION_STATS.cmd())
    }

    /// Returns of each hash whether its script is known, on a ring and a copy by every node.
    ///
    /// See <https://redis.io/docs/latest/commands/script-exists/>.
    fn script_exists(
        &self,
        hashes: impl ToRedisArgs + Send,
    ) -> impl Future<Output = Result<Vec<bool>, Self::Error>> + Send {
        self.read(&SCRIPT_EXISTS, SCRIPT_EXISTS.with(hashes))
    }

    /// Forgets all scripts.
    ///
    /// See <https://redis.io/docs/latest/commands/script-flush/>.
    fn script_flush(
        &self,
        mode: FlushMode,
    ) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SCRIPT_FLUSH, SCRIPT_FLUSH.with(mode))
    }

    /// Ends the script that keeps a server busy, if it has written nothing yet.
    ///
    /// # Errors
    /// `NOTBUSY` if none runs, `UNKILLABLE` if it has written something.
    ///
    /// # On a ring, on a copy
    /// Refused: call it on the node that answers `BUSY`.
    ///
    /// See <https://redis.io/docs/latest/commands/script-kill/>.
    fn script_kill(&self) -> impl Future<Output = Result<Self::Write<()>, Self::Error>> + Send {
        self.write(&SCRIPT_KILL, SCRIPT_KILL.cmd())
    }

    /// Makes a script known and returns its hash.
    ///
    /// See <https://redis.io/docs/latest/commands/script-load/>.
    fn script_load(
        &self,
        code: impl ToSingleRedisArg + Send,
    ) -> impl Future<Output = Result<Self::Write<String>, Self::Error>> + Send {
        self.write(&SCRIPT_LOAD, SCRIPT_LOAD.with(code))
    }
}

impl<E: Execute + ?Sized> ScriptingCommands for E {}

/// The treatment of existing libraries by [`function_restore`](ScriptingCommands::function_restore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FunctionRestore {
    /// Keeps them; one of the same name is an error.
    Append,
    /// Deletes all of them first.
    Flush,
    /// Replaces those of the same name.
    Replace,
}

/// A library of functions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionLibrary {
    /// Its name.
    pub name: String,
    /// The engine that runs it: `LUA`.
    pub engine: String,
    /// Its functions.
    pub functions: Vec<FunctionInfo>,
}

/// A function of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// The flags that the function was registered with.
    pub description: Option<String>,
    /// Its flags: `no-writes`, for example.
    pub flags: Vec<String>,
}

impl FromRedisValue for FunctionLibrary {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let mut library = Self { name: String::new(), engine: String::new(), functions: Vec::new() };
        for (field, value) in fields(value)? {
            match field.as_str() {
                "library_name" => library.name = String::from_redis_value(value)?,
                "engine" => library.engine = String::from_redis_value(value)?,
                "functions" => library.functions = Vec::from_redis_value(value)?,
                _ => {}
            }
        }
        Ok(library)
    }
}

impl FromRedisValue for FunctionInfo {
    fn from_redis_value(value: Value) -> Result<Self, redis::ParsingError> {
        let mut function = Self { name: String::new(), description: None, flags: Vec::new() };
        for (field, value) in fields(value)? {
            match field.as_str() {
                "name" => function.name = String::from_redis_value(value)?,
                "description" => function.description = Option::from_redis_value(value)?,
                "flags" => function.flags = Vec::from_redis_value(value)?,
                _ => {}
            }
        }
        Ok(function)
    }
}

/// A list of fields and their values, or, in RESP3, a map of them.
fn fields(value: Value) -> Result<Vec<(String, Value)>, redis::ParsingError> {
    FromRedisValue::from_redis_value(value)
}

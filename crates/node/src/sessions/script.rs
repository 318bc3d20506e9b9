//! Lua scripts, called by their hash, and functions, called by their name.

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;

use crate::command::Command;
use crate::command::Read;
use crate::command::Spec;
use crate::command::rows;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::execute::Execute;

/// A Lua script that a server is sent once and then runs by its hash, or a function that a server knows by its
/// name.
///
/// Made by [`new`](Self::new) from its code, or by [`function`](Self::function). A call begins with
/// [`key`](Self::key), [`arg`](Self::arg) or [`call`](Self::call).
///
/// Give every key that the script touches by [`key`](ScriptCall::key), because the keys decide where the
/// script runs. Give data by [`arg`](ScriptCall::arg), never in the code, because a server keeps every code
/// that it was ever sent.
///
/// A failed script counts as executed: its writes before the failure stay. A script is not sent again after a
/// lost connection, unless it is declared [`idempotent`](Self::idempotent) or [`read_only`](Self::read_only).
///
/// # On a ring
/// A script runs on the node that owns its keys, which must have one hash tag. A script without keys is
/// refused.
///
/// # On a copy
/// Every node runs a script that is declared [`deterministic`](Self::deterministic). A script that is
/// declared [`read_only`](Self::read_only) runs on one node. Other scripts are refused.
///
/// # Example
/// ```no_run
/// use redisdb_node::{Node, Script};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let add_if_there = Script::new(
///     "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCRBY', KEYS[1], ARGV[1]) end",
/// );
/// let sum: Option<i64> = add_if_there.key("visits").arg(1).invoke(&node).await?;
/// # Ok(()) }
/// ```
#[doc(alias = "Function")]
#[derive(Debug, Clone)]
pub struct Script {
    program: Program,
    declared: Declared,
}

/// The program that a server runs, with the name by which the server knows it.
#[derive(Debug, Clone)]
enum Program {
    Lua { code: Arc<str>, hash: Arc<str> },
    Function { name: Arc<str> },
}

/// The caller's declarations about a [`Script`], which nobody else can know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Declared {
    read_only: bool,
    idempotent: bool,
    deterministic: bool,
}

impl Script {
    /// Makes a script of its code. A server that does not know the script is sent the code, and keeps it from
    /// then on.
    pub fn new(code: &str) -> Self {
        let hash = redis::Script::new(code).get_hash().into();
        Self { program: Program::Lua { code: code.into(), hash }, declared: Declared::default() }
    }

    /// Makes a script of the function of this name, which every node has to know:
    /// [`function_load`](crate::ScriptingCommands::function_load) gives it to them. No call loads a function.
    /// Since Redis 7.0.
    ///
    /// ```no_run
    /// use redisdb_node::{Node, Script};
    ///
    /// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
    /// let visits: i64 = Script::function("add").deterministic().key("visits").arg(1).invoke(&node).await?;
    /// # Ok(()) }
    /// ```
    pub fn function(name: &str) -> Self {
        Self { program: Program::Function { name: name.into() }, declared: Declared::default() }
    }

    /// Declares that the script only reads, and has the server see to it: no command in it may write. Since
    /// Redis 7.0.
    ///
    /// A script that only reads is sent again when the connection breaks, as often as a read is. On a copy the
    /// script goes to one node, as every read does.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.declared.read_only = true;
        self
    }

    /// Declares that a call that is executed twice, one after the other, leaves the same as once, and that
    /// its reply may be that of the second time. Such a call is sent once more when the connection breaks.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.declared.idempotent = true;
        self
    }

    /// Declares that the same call does the same on every server that holds the same keys. Then a copy runs
    /// the script, on every node.
    ///
    /// Such a script asks for no time and no random number, does nothing that depends on the order of a set
    /// or a hash, and sets no relative expiry.
    #[must_use]
    pub fn deterministic(mut self) -> Self {
        self.declared.deterministic = true;
        self
    }

    /// The code; `None` for a function.
    pub fn code(&self) -> Option<&str> {
        match &self.program {
            Program::Lua { code, .. } => Some(code),
            Program::Function { .. } => None,
        }
    }

    /// The name by which servers know the script: the SHA-1 of its code in hexadecimal digits, or the name of
    /// the function.
    pub fn name(&self) -> &str {
        match &self.program {
            Program::Lua { hash, .. } => hash,
            Program::Function { name } => name,
        }
    }

    /// Starts a call without keys or arguments.
    pub fn call(&self) -> ScriptCall<'_> {
        ScriptCall { script: self, declared: self.declared, keys: Vec::new(), args: Vec::new() }
    }

    /// Starts a call with a key, or several.
    pub fn key(&self, key: impl ToRedisArgs) -> ScriptCall<'_> {
        self.call().key(key)
    }

    /// Starts a call without keys, with an argument, or several.
    pub fn arg(&self, arg: impl ToRedisArgs) -> ScriptCall<'_> {
        self.call().arg(arg)
    }
}

/// A [`Script`] with its keys and arguments.
#[derive(Debug, Clone)]
#[must_use = "nothing runs before the call is invoked"]
pub struct ScriptCall<'a> {
    script: &'a Script,
    declared: Declared,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl ScriptCall<'_> {
    /// Adds a key, or several: `KEYS[1]`, `KEYS[2]` ..
    pub fn key(mut self, key: impl ToRedisArgs) -> Self {
        self.keys.extend(key.to_redis_args());
        self
    }

    /// Adds an argument, or several: `ARGV[1]`, `ARGV[2]` ..
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        self.args.extend(arg.to_redis_args());
        self
    }

    /// Returns whether the script was declared to [only read](Script::read_only).
    pub fn is_read_only(&self) -> bool {
        self.declared.read_only
    }

    /// Returns whether the script was declared [idempotent](Script::idempotent).
    pub fn is_idempotent(&self) -> bool {
        self.declared.idempotent
    }

    /// Returns whether the script was declared [deterministic](Script::deterministic).
    pub fn is_deterministic(&self) -> bool {
        self.declared.deterministic
    }

    /// The command that is sent, with its row: `EVALSHA` with the script's hash, or `FCALL` with the
    /// function's name; for a script that only reads, the read-only form of it.
    pub fn command(&self) -> (&'static Spec, Cmd) {
        let spec = match (&self.script.program, self.declared.read_only) {
            (Program::Lua { .. }, false) => rows::EVALSHA.spec(),
            (Program::Lua { .. }, true) => rows::EVALSHA_RO.spec(),
            (Program::Function { .. }, false) => rows::FCALL.spec(),
            (Program::Function { .. }, true) => rows::FCALL_RO.spec(),
        };
        (spec, self.with(redis::cmd(spec.name), self.script.name()))
    }

    /// The command that is sent where a script is not known, `EVAL` with its code; `None` for a function.
    pub fn command_with_code(&self) -> Option<(&'static Spec, Cmd)> {
        let spec = match self.declared.read_only {
            false => rows::EVAL.spec(),
            true => rows::EVAL_RO.spec(),
        };
        Some((spec, self.with(redis::cmd(spec.name), self.script.code()?)))
    }

    fn with(&self, mut cmd: Cmd, program: &str) -> Cmd {
        cmd.arg(program).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        cmd
    }

    /// Runs the call, where the type of the reply is inferred. [`RunScript::invoke`] names the type:
    /// `node.invoke::<i64>(&call)`.
    ///
    /// # Errors
    /// As [`RunScript::invoke`].
    ///
    /// # Cancel safety
    /// When the future is dropped the script may have been executed.
    pub async fn invoke<T: FromRedisValue + Send, E: RunScript>(
        &self,
        on: &E,
    ) -> Result<E::Write<T>, E::Error> {
        on.invoke(self).await
    }

    /// Runs the call as one that [only reads](Script::read_only); see [`RunScript::invoke_ro`].
    ///
    /// # Errors
    /// As [`RunScript::invoke_ro`].
    pub async fn invoke_ro<T: FromRedisValue + Send, E: RunScript>(&self, on: &E) -> Result<T, E::Error> {
        on.invoke_ro(self).await
    }

    /// The same call, declared to read only, with the row of what is sent by its hash or name.
    fn as_read_only(&self) -> (&'static Command<Read>, Self) {
        let mut call = self.clone();
        call.declared.read_only = true;
        let row = match call.script.program {
            Program::Lua { .. } => &rows::EVALSHA_RO,
            Program::Function { .. } => &rows::FCALL_RO,
        };
        (row, call)
    }
}

/// A node, a ring or a copy that runs the calls of a [`Script`].
///
/// ```no_run
/// use redisdb_node::{Node, RunScript, Script};
///
/// # async fn f(node: Node) -> Result<(), redisdb_node::Error> {
/// let larger = Script::new("return math.max(tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1]))");
/// let best = node.invoke::<i64>(&larger.key("best").arg(17)).await?;
/// # Ok(()) }
/// ```
pub trait RunScript: Execute {
    /// Runs a call by the hash of its script, and sends the code to a server that does not know the script.
    ///
    /// # Errors
    /// An error reply of the script, or of a command in it; otherwise as [`Execute::write`].
    ///
    /// # Cancel safety
    /// When the future is dropped the script may have been executed.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha/>.
    fn invoke<T: FromRedisValue + Send>(
        &self,
        call: &ScriptCall<'_>,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send;

    /// Runs a call as one that [only reads](Script::read_only), whatever was declared of it. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); also that the script writes.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha_ro/>.
    fn invoke_ro<T: FromRedisValue + Send>(
        &self,
        call: &ScriptCall<'_>,
    ) -> impl Future<Output = Result<T, Self::Error>> + Send {
        async move {
            let (row, call) = call.as_read_only();
            let (_, cmd) = call.command();
            match (self.read(row, cmd).await, call.command_with_code()) {
                (Err(error), Some((_, cmd))) if Self::is_unknown_script(&error) => {
                    self.read(&rows::EVAL_RO, cmd).await
                }
                (reply, _) => reply,
            }
        }
    }

    /// Returns whether an error says that a server does not know the script.
    fn is_unknown_script(error: &Self::Error) -> bool;

    /// Returns the time by which a script that every node runs is to end what it writes, so that all nodes end it
    /// at once; `None` where one node runs it.
    #[doc(hidden)]
    fn common_clock(&self) -> impl Future<Output = Option<SystemTime>> + Send {
        std::future::ready(None)
    }
}

impl Error {
    /// Returns whether the server does not know the script it was to run; then it ran nothing.
    pub fn is_unknown_script(&self) -> bool {
        match self.kind() {
            ErrorKind::Server(reply) => reply.is_unknown_script(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_sha1_of_the_code() {
        // As `SCRIPT LOAD "return 1"` answers.
        assert_eq!(Script::new("return 1").name(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }

    #[test]
    fn keys_stand_before_arguments_in_whatever_order_they_were_given() {
        let script = Script::new("return 1");
        let (_, cmd) = script.arg("x").key(&["a", "b"]).arg(2).command_with_code().unwrap();
        let words = cmd.args_iter().map(|arg| match arg {
            redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
            _ => String::new(),
        });
        assert_eq!(words.collect::<Vec<_>>(), ["EVAL", "return 1", "2", "a", "b", "x", "2"]);
    }
}

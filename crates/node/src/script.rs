//! Lua scripts that are sent once and called by their hash.

use std::future::Future;
use std::sync::Arc;

use redis::Cmd;
use redis::FromRedisValue;
use redis::ToRedisArgs;
use redis::Value;

use crate::command::rows;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::execute::Execute;
use crate::node::Node;

/// A Lua script. It is called by its hash; a server that does not know it is sent the code, which it keeps from then on.
///
/// All keys that it touches belong into [`key`](ScriptCall::key), for they decide where it runs; data belongs into
/// [`arg`](ScriptCall::arg), never into the code: a server keeps every code that it was ever sent.
///
/// A failed script counts as executed: what it did before it failed stays.
///
/// # On a ring
/// At the owner of its keys, which must have one hash tag; without keys it is refused.
///
/// # On a copy
/// Refused, unless it is declared [`deterministic`](Self::deterministic); then every node runs it. A read-only call
/// goes to one node.
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
#[derive(Debug, Clone)]
pub struct Script {
    code: Arc<str>,
    hash: Arc<str>,
    deterministic: bool,
}

impl Script {
    /// A script of this code.
    pub fn new(code: &str) -> Self {
        let hash = redis::Script::new(code).get_hash().into();
        Self { code: code.into(), hash, deterministic: false }
    }

    /// Declares that the same call does the same on every server that holds the same keys: it asks for no time and no
    /// random number, does nothing that depends on the order of a set or a hash, and sets no relative expiry. Only then
    /// a copy runs it.
    #[must_use]
    pub fn deterministic(mut self) -> Self {
        self.deterministic = true;
        self
    }

    /// Returns whether it was declared deterministic.
    pub fn is_deterministic(&self) -> bool {
        self.deterministic
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The SHA-1 of the code in hexadecimal digits, by which servers know it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Starts a call without keys or arguments.
    pub fn call(&self) -> ScriptCall<'_> {
        ScriptCall { script: self, keys: Vec::new(), args: Vec::new() }
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
#[must_use]
pub struct ScriptCall<'a> {
    script: &'a Script,
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

    /// The script.
    pub fn script(&self) -> &Script {
        self.script
    }

    /// The call by the script's hash, `EVALSHA`.
    pub fn by_hash(&self) -> Cmd {
        self.with(rows::EVALSHA.cmd(), &self.script.hash)
    }

    /// The call with the code itself, `EVAL`.
    pub fn by_code(&self) -> Cmd {
        self.with(rows::EVAL.cmd(), &self.script.code)
    }

    fn with(&self, mut cmd: Cmd, script: &str) -> Cmd {
        cmd.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        cmd
    }

    /// Runs it.
    ///
    /// # Errors
    /// An error reply of the script, or of a command in it; otherwise as [`Execute::write`].
    ///
    /// # Cancel safety
    /// When the future is dropped the script may have been executed.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha/>.
    pub async fn invoke<T: FromRedisValue + Send, E: RunScript>(
        &self,
        on: &E,
    ) -> Result<E::Write<T>, E::Error> {
        on.run_script(self).await
    }

    /// Runs it as one that only reads: the server lets no command in it write. Since Redis 7.0.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); also that the script writes.
    ///
    /// See <https://redis.io/docs/latest/commands/evalsha_ro/>.
    pub async fn invoke_ro<T: FromRedisValue + Send, E: RunScript>(&self, on: &E) -> Result<T, E::Error> {
        let by_hash = self.with(rows::EVALSHA_RO.cmd(), &self.script.hash);
        match on.read(&rows::EVALSHA_RO, by_hash).await {
            Err(error) if E::is_unknown_script(&error) => {
                on.read(&rows::EVAL_RO, self.with(rows::EVAL_RO.cmd(), &self.script.code)).await
            }
            reply => reply,
        }
    }
}

/// What a [`Script`] runs on.
pub trait RunScript: Execute {
    /// Runs a script by its hash, and sends its code where that is not known.
    ///
    /// # Errors
    /// As [`ScriptCall::invoke`].
    fn run_script<T: FromRedisValue + Send>(
        &self,
        call: &ScriptCall<'_>,
    ) -> impl Future<Output = Result<Self::Write<T>, Self::Error>> + Send;

    /// Returns whether an error says that a server does not know the script.
    fn is_unknown_script(error: &Self::Error) -> bool;
}

impl Error {
    /// Returns whether the server does not know the script it was to run; then it ran nothing.
    pub fn is_unknown_script(&self) -> bool {
        match self.kind() {
            // A script that runs may answer with the same code, though not with the server's text.
            ErrorKind::Server(reply) => {
                reply.code == "NOSCRIPT" && reply.message.starts_with("No matching script")
            }
            _ => false,
        }
    }
}

impl Node {
    /// Runs a script and returns its reply as it is: by its hash, and by its code where that is not known.
    ///
    /// # Errors
    /// As [`ScriptCall::invoke`].
    ///
    /// # Cancel safety
    /// When the future is dropped the script may have been executed.
    pub async fn invoke(&self, call: &ScriptCall<'_>) -> Result<Value, Error> {
        match self.run(rows::EVALSHA.spec(), &call.by_hash()).await {
            Err(error) if error.is_unknown_script() => self.run(rows::EVAL.spec(), &call.by_code()).await,
            reply => reply,
        }
    }
}

impl RunScript for Node {
    async fn run_script<T: FromRedisValue + Send>(&self, call: &ScriptCall<'_>) -> Result<T, Error> {
        let reply = self.invoke(call).await?;
        T::from_redis_value(reply).map_err(|error| self.failed("EVALSHA", ErrorKind::Reply(error.into())))
    }

    fn is_unknown_script(error: &Error) -> bool {
        error.is_unknown_script()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_sha1_of_the_code() {
        // As `SCRIPT LOAD "return 1"` answers.
        assert_eq!(Script::new("return 1").hash(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }

    #[test]
    fn keys_stand_before_arguments_in_whatever_order_they_were_given() {
        let script = Script::new("return 1");
        let cmd = script.arg("x").key(&["a", "b"]).arg(2).by_code();
        let words = cmd.args_iter().map(|arg| match arg {
            redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
            _ => String::new(),
        });
        assert_eq!(words.collect::<Vec<_>>(), ["EVAL", "return 1", "2", "a", "b", "x", "2"]);
    }
}

//! Commands and pipelines with nothing to send. A server answers nothing to it, and redis-rs takes that for a
//! lost connection.

use redis::Cmd;
use redis::ErrorKind;
use redis::Pipeline;
use redis::RedisError;
use redis::Value;

/// The reason why a command without a word is not sent.
pub(crate) const WORDLESS: &str = "a command needs a name";

/// The error of redis-rs for a command or a pipeline in which there is nothing to send.
pub(crate) fn error() -> RedisError {
    (ErrorKind::Client, "empty command").into()
}

/// The answer of a server to a pipeline without a command, which need not be sent.
pub(crate) fn answer(pipeline: &Pipeline, offset: usize, count: usize) -> Option<Vec<Value>> {
    if !pipeline.is_empty() {
        return None;
    }
    let replies = match pipeline.is_transaction() {
        // To `MULTI` and to `EXEC`.
        true => vec![Value::Okay, Value::Array(Vec::new())],
        false => Vec::new(),
    };
    Some(replies.into_iter().skip(offset).take(count).collect())
}

/// Returns whether a command has no word.
pub(crate) fn is_wordless(cmd: &Cmd) -> bool {
    cmd.args_iter().next().is_none()
}

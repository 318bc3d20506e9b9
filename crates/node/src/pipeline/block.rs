//! `MULTI` blocks: what is sent, and what each command is told.

use std::borrow::Cow;
use std::sync::Arc;

use redis::FromRedisValue;
use redis::Pipeline;
use redis::Value;

use crate::command::Spec;
use crate::command::name_of;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::pipeline::Recorded;
use crate::pipeline::batch::too_few;

/// A block as it goes out on a dedicated connection. All replies to it are asked for, also those to `MULTI` and
/// to each command that is queued: what redis-rs makes of them hides why a block was not executed.
pub(crate) fn block(commands: &[Recorded<'_>]) -> Pipeline {
    let mut block = Pipeline::with_capacity(commands.len());
    block.atomic();
    for command in commands {
        block.add_command(command.cmd().into_owned());
    }
    block
}

/// The number of replies that a block of so many commands has.
pub(crate) fn n_replies(n_commands: usize) -> usize {
    n_commands + 2
}

/// The outcome of a block, by all replies to it.
#[derive(Debug)]
pub(crate) enum Block {
    /// Each command has its reply, which may be an error.
    Executed(Vec<Value>),
    /// A watched key was changed: nothing was executed.
    Conflict,
    /// Nothing was executed: what `EXEC` was answered, and which commands were refused before.
    Discarded(ServerError, Vec<Option<ServerError>>),
    /// `MULTI` was refused, so each command ran by itself and has its own reply.
    OneByOne(ServerError, Vec<Value>),
    /// The values that came cannot be replies to the block.
    Cut,
}

impl Block {
    /// Tells what a block of `n` commands came to.
    pub(crate) fn of(n: usize, replies: Vec<Value>) -> Self {
        let mut replies = replies.into_iter();
        let begun = replies.next();
        let queued: Vec<Value> = replies.by_ref().take(n).collect();
        match (begun, replies.next()) {
            (Some(Value::ServerError(refusal)), Some(_)) => {
                Self::OneByOne(ServerError::from(&refusal), queued)
            }
            (Some(_), Some(Value::Nil)) => Self::Conflict,
            (Some(_), Some(Value::Array(replies))) if replies.len() == n => Self::Executed(replies),
            (Some(_), Some(Value::ServerError(discarded))) => {
                let refused = |reply| match reply {
                    Value::ServerError(error) => Some(ServerError::from(&error)),
                    _ => None,
                };
                Self::Discarded(ServerError::from(&discarded), queued.into_iter().map(refused).collect())
            }
            _ => Self::Cut,
        }
    }

    /// The outcome of each command, by their names; `None` where a watched key was changed.
    pub(crate) fn outcomes(self, names: &[Cow<'_, str>]) -> Option<Vec<Result<Value, ErrorKind>>> {
        Some(match self {
            Self::Conflict => return None,
            Self::Executed(replies) => replies.into_iter().map(accept).collect(),
            // Who is to blame has its own error, the others that of the block.
            Self::Discarded(discarded, refused) => {
                let others = ErrorKind::Server(discarded.because_of(names, &refused));
                let own = |own: ServerError| {
                    ErrorKind::Server(ServerError { cause: Some(own.code.clone()), ..own })
                };
                let each = refused.into_iter();
                each.map(|refused| Err(refused.map_or_else(|| others.clone(), own))).collect()
            }
            Self::OneByOne(refusal, replies) => {
                let alone = |reply| accept(reply).and_then(|_| Err(ErrorKind::NotAtomic(refusal.clone())));
                replies.into_iter().map(alone).collect()
            }
            Self::Cut => names.iter().map(|_| Err(too_few())).collect(),
        })
    }

    /// Returns why the block was not executed as one, and the command that says so. A changed watched key is
    /// no error.
    fn error(self, names: &[Cow<'_, str>]) -> Option<(&'static str, ErrorKind)> {
        match self {
            Self::Executed(_) | Self::Conflict => None,
            Self::Discarded(discarded, refused) => {
                Some(("EXEC", ErrorKind::Server(discarded.because_of(names, &refused))))
            }
            Self::OneByOne(refusal, replies) => {
                let is_refused = |reply: &Value| matches!(reply, Value::ServerError(_));
                match replies.iter().all(is_refused) {
                    true => Some(("MULTI", ErrorKind::Server(refusal))),
                    false => Some(("MULTI", ErrorKind::NotAtomic(refusal))),
                }
            }
            Self::Cut => Some(("EXEC", too_few())),
        }
    }
}

/// A part of the replies to a block, of which here are all.
///
/// # Errors
/// If it was not executed as one, with the command that says so.
pub(crate) fn part_of(
    block: &Pipeline,
    replies: Vec<Value>,
    offset: usize,
    count: usize,
) -> Result<Vec<Value>, (&'static str, ErrorKind)> {
    if !is_executed(block.len(), &replies) {
        let names: Vec<_> = block.cmd_iter().map(name_of).collect();
        if let Some(error) = Block::of(block.len(), replies.clone()).error(&names) {
            return Err(error);
        }
    }
    Ok(replies.into_iter().skip(offset).take(count).collect())
}

fn is_executed(n: usize, replies: &[Value]) -> bool {
    let is_refused = matches!(replies.first(), None | Some(Value::ServerError(_)));
    !is_refused && matches!(replies.get(n + 1), Some(Value::Array(replies)) if replies.len() == n)
}

/// Returns by the reply to `EXEC` whether the server may still be inside a block of `n` commands, which had begun. The next command would
/// then be queued.
pub(crate) fn leaves_block_open(n: usize, exec: &Value) -> bool {
    match exec {
        Value::ServerError(error) => {
            let is_without = error.details().is_some_and(|details| details.contains("without MULTI"));
            error.code() != "EXECABORT" && !is_without
        }
        Value::Array(replies) => replies.len() != n,
        Value::Nil => false,
        _ => true,
    }
}

fn accept(reply: Value) -> Result<Value, ErrorKind> {
    match reply {
        Value::ServerError(reply) => Err(ErrorKind::Server(ServerError::from(&reply))),
        reply => Ok(reply),
    }
}

/// The error of a command whose future was dropped: its reply never came.
pub fn given_up() -> ErrorKind {
    let reason = "the pipeline was dropped before its replies came";
    ErrorKind::Disconnected(Arc::new(std::io::Error::new(std::io::ErrorKind::Interrupted, reason)))
}

pub(crate) fn decode<T: FromRedisValue>(
    spec: &'static Spec,
    (node, reply): (Arc<str>, Value),
) -> Result<T, Error> {
    crate::redis_rs::decode(reply)
        .map_err(|error| Error::new(node, spec.name, ErrorKind::Reply(error.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Outcome;

    /// The replies to `MULTI`, to each command, and to `EXEC`; an error begins with `-`.
    fn replies(lines: &[&str]) -> Vec<Value> {
        let line = |line: &&str| redis::parse_redis_value(format!("{line}\r\n").as_bytes()).unwrap();
        lines.iter().map(line).collect()
    }

    /// The outcomes of two commands, and whether the connection may be used again.
    fn check(lines: &[&str], expected: [(Outcome, Option<&str>, Option<&str>); 2], is_over: bool) {
        let replies = replies(lines);
        let is_left_open = replies.get(3).is_none_or(|exec| leaves_block_open(2, exec));
        assert_eq!(is_left_open, is_over, "{lines:?}");
        let names = [Cow::Borrowed("SET"), Cow::Borrowed("INCR")];
        let outcomes = Block::of(2, replies).outcomes(&names).unwrap();
        for ((outcome, expected), name) in outcomes.into_iter().zip(expected).zip(["SET", "INCR"]) {
            let error = Error::new("a".into(), name, outcome.unwrap_err());
            let cause = match error.kind() {
                ErrorKind::Server(error) => error.cause.as_deref(),
                _ => None,
            };
            assert_eq!((error.outcome(), error.code(), cause), expected, "{lines:?}: {error}");
        }
    }

    #[test]
    fn a_block_that_is_discarded_was_not_executed_and_says_which_command_is_to_blame() {
        use Outcome::*;
        let lines = [
            "+OK",
            "+QUEUED",
            "-OOM no memory",
            "-EXECABORT Transaction discarded because of previous errors.",
        ];
        check(
            &lines,
            [(Rejected, Some("EXECABORT"), Some("OOM")), (Rejected, Some("OOM"), Some("OOM"))],
            false,
        );
        let names = [Cow::Borrowed("SET"), Cow::Borrowed("INCR")];
        let outcomes = Block::of(2, replies(&lines)).outcomes(&names).unwrap();
        let text = outcomes[0].as_ref().unwrap_err().to_string();
        assert_eq!(text, "EXECABORT Transaction discarded because of previous errors: `INCR`: OOM no memory");
        let at_the_end = "-EXECABORT Transaction discarded because of: READONLY You can't write";
        let both = (Rejected, Some("EXECABORT"), Some("READONLY"));
        check(&["+OK", "+QUEUED", "+QUEUED", at_the_end], [both, both], false);
    }

    #[test]
    fn each_command_ran_by_itself_when_multi_was_refused() {
        use Outcome::*;
        let lines = ["-NOPERM no", "+OK", "-WRONGTYPE no", "-ERR EXEC without MULTI"];
        check(&lines, [(Unknown, Some("NOPERM"), None), (Rejected, Some("WRONGTYPE"), None)], false);
    }

    #[test]
    fn a_block_that_may_still_be_open_ends_the_connection() {
        use Outcome::*;
        let refused = (Rejected, Some("ERR"), None);
        check(&["+OK", "+QUEUED", "+QUEUED", "-ERR unknown command 'EXEC'"], [refused; 2], true);
        let cut = (Unknown, None, None);
        check(&["+OK", "+QUEUED", "+QUEUED"], [cut; 2], true);
        check(&["+OK", "+QUEUED", "+QUEUED", "*1\r\n+OK"], [cut; 2], true);
    }
}

//! The texts of the errors.

use std::fmt;

use redis::Cmd;
use redisdb_node::command::words;
use redisdb_node::plumbing::foreign;

use super::CrossNode;
use super::Error;
use super::Merged;
use super::Partial;
use super::TooFewNodes;
use super::Unavailable;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Says(self).fmt(f)?;
        // The nodes' errors say it themselves, where they are shown.
        let is_said = !matches!(self, Self::Disagreement(_))
            && self.node_errors().iter().any(|error| error.may_have_executed());
        match self.may_have_executed() && !is_said {
            true => f.write_str("; the command, or a part of it, may have been executed"),
            false => Ok(()),
        }
    }
}

/// The text of an error, without the note that the command may have been executed.
struct Says<'a>(&'a Error);

impl fmt::Display for Says<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::Node(error) => error.fmt(f),
            Error::Unavailable(unavailable) => unavailable.fmt(f),
            Error::CrossNode(cross) => cross.fmt(f),
            Error::Unsupported { command, strategy, reason } => {
                write!(f, "`{command}` cannot run on a {strategy}: {reason}")
            }
            Error::UnknownCommand { command } => write!(
                f,
                "`{command}` is not in the command table, so it is not known where it may go; \
                 send it to one node, by `on_node(name)`"
            ),
            Error::Keys { command, reason } => write!(f, "`{command}`: {reason}"),
            Error::Partial(partial) => partial.fmt(f),
            Error::TooFewReplies(write) => {
                write!(
                    f,
                    "`{}`: {} of {} nodes took it, {} should have",
                    write.command,
                    write.replies.successes().count(),
                    write.replies.len(),
                    write.wanted
                )?;
                self.0.node_errors().iter().try_for_each(|error| write!(f, "; {error}"))
            }
            Error::Merged(merged) => {
                let Merged { command, nodes, reason } = &**merged;
                let names = nodes.join("`, `");
                write!(f, "`{command}`: the merged replies of `{names}`: {reason}")
            }
            Error::TooFewNodes(too_few) => {
                let TooFewNodes { command, wanted, answered, errors } = &**too_few;
                write!(f, "`{command}` needs {wanted} nodes, and {} answered", answered.len())?;
                errors.iter().try_for_each(|error| write!(f, "; {error}"))
            }
            Error::Disagreement(write) => write!(
                f,
                "`{}`: the nodes gave different answers; the typed commands return each of them",
                write.command
            ),
            Error::NotConverged(not) => not.fmt(f),
            Error::Repair(error) => error.fmt(f),
            Error::NotReplaced { stale } => write!(
                f,
                "the nodes were not replaced: of those that stay (`{}`) none is up and in sync, so what only the others hold \
                 would be lost; try again when one is, or replace other nodes first",
                stale.join("`, `")
            ),
            Error::Identity { reason } => f.write_str(reason),
            Error::NoSuchNode { name } => write!(f, "there is no node `{name}`"),
            Error::Ring(error) => error.fmt(f),
            Error::Config(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.command)?;
        if let Some(key) = &self.key {
            write!(f, " of key `{}`", foreign::bytes(key))?;
        }
        if let ([error], [], []) = (self.errors.as_slice(), self.behind.as_slice(), self.in_vain.as_slice()) {
            f.write_str(": its node ")?;
            if let Some(node) = error.node() {
                write!(f, "`{node}` ")?;
            }
            return write!(f, "cannot answer: {}", error.reason());
        }
        f.write_str(": no node can answer")?;
        self.errors.iter().try_for_each(|error| match error.node() {
            Some(node) => write!(f, "; node `{node}`: {}", error.reason()),
            None => write!(f, "; {}", error.reason()),
        })?;
        for name in &self.in_vain {
            match self.behind.contains(name) {
                true => write!(f, "; node `{name}` is behind, so what it did does not count")?,
                false => write!(f, "; node `{name}` had been emptied when it did it")?,
            }
        }
        self.behind.iter().filter(|name| !self.in_vain.contains(name)).try_for_each(|name| {
            write!(f, "; node `{name}` is behind: repair it and `readmit` it, or read with `ReadFrom::Any`")
        })
    }
}

impl fmt::Display for CrossNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot run on a ring with keys that do not belong together: ", self.command)?;
        const SHOWN: usize = 4;
        for (i, (key, node)) in self.keys.iter().take(SHOWN).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}`{}` is on `{node}`", foreign::bytes(key))?;
        }
        if self.keys.len() > SHOWN {
            write!(f, " and {} more", self.keys.len() - SHOWN)?;
        }
        f.write_str("; give them one hash tag, as in `{user:1}:a` and `{user:1}:b`")
    }
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.parts.iter().map(|part| part.keys.len()).sum();
        match total {
            0 => write!(
                f,
                "`{}`: {} of {} nodes failed",
                self.command,
                self.failures().count(),
                self.parts.len()
            )?,
            _ => write!(f, "`{}`: {} of {total} keys failed", self.command, self.failed_keys().count())?,
        }
        self.failures().try_for_each(|(part, error)| write!(f, "; node `{}`: {}", part.node, error.reason()))
    }
}

/// Returns the first word of a command that is not in the table, escaped and cut.
pub(crate) fn first_word(cmd: &Cmd) -> String {
    foreign::bytes(words(cmd).next().unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use redis::Value;
    use redisdb_hashring::BuildError;
    use redisdb_node as node;
    use redisdb_node::ErrorKind;
    use redisdb_node::command::KeyError;

    use super::*;
    use crate::config::ConfigError;
    use crate::dispatch::scatter::unfit;
    use crate::error::PartReply;
    use crate::error::RepairReason;
    use crate::error::TooFewReplies;
    use crate::replies::Outcome;
    use crate::replies::Replies;

    fn check(error: &Error) {
        let text = error.to_string();
        let says = text.contains("may have been executed") || text.contains("may still be");
        assert_eq!(says, error.may_have_executed(), "{text}");
    }

    #[test]
    fn an_error_says_that_something_may_have_been_executed_where_that_is_so() {
        let timeout = || ErrorKind::Timeout(Duration::from_secs(1));
        let down = || ErrorKind::Down { cause: Arc::new(timeout()) };
        let of = |kind| node::Error::new("a".into(), "INCR", kind);
        let replies = |outcomes: Vec<Outcome<Value>>| {
            let named = outcomes.into_iter().map(|outcome| ("a".into(), outcome));
            Box::new(TooFewReplies { command: "INCR", wanted: 3, replies: Replies::new(named.collect()) })
        };
        let part = |reply| PartReply { node: "a".to_owned(), keys: vec![b"k".to_vec()], reply };
        let partial = |parts: Vec<_>| Error::Partial(Box::new(Partial { command: "MGET", parts }));
        let unavailable = |errors| Error::unavailable("INCR", Some(b"k"), errors, vec!["b".to_owned()]);
        let too_few = |errors| {
            Error::TooFewNodes(Box::new(TooFewNodes {
                command: "verify",
                wanted: 2,
                answered: Vec::new(),
                errors,
            }))
        };
        for (error, may_have_executed) in [
            (Error::Node(of(timeout())), true),
            (Error::Node(of(down())), false),
            (unavailable(vec![of(down())]), false),
            (unavailable(vec![of(down()), of(timeout())]), true),
            (unavailable(vec![]).done_in_vain(vec!["a".to_owned()]), true),
            (unavailable(vec![of(timeout())]).done_in_vain(vec!["a".to_owned()]), true),
            (partial(vec![part(Ok(Value::Nil)), part(Err(of(down())))]), true),
            (partial(vec![part(Err(of(down())))]), false),
            (partial(vec![part(Err(of(timeout())))]), true),
            (
                Error::TooFewReplies(replies(vec![Outcome::Ok(Value::Nil), Outcome::NotSent(of(down()))])),
                true,
            ),
            (Error::TooFewReplies(replies(vec![Outcome::NotSent(of(down()))])), false),
            (Error::TooFewReplies(replies(vec![Outcome::Unknown(of(timeout()))])), true),
            (Error::Disagreement(replies(vec![Outcome::Ok(Value::Nil), Outcome::Ok(Value::Int(1))])), true),
            (Error::Disagreement(replies(vec![Outcome::Unknown(of(timeout()))])), true),
            (Error::unmerged("MGET", &["a".into()], unfit("text".to_owned())), true),
            (Error::unrepaired("b", RepairReason::Busy), false),
            (Error::unrepaired("b", RepairReason::LeaseLost), true),
            (Error::unrepaired("b", RepairReason::Restarted), true),
            (Error::unrepaired("b", RepairReason::SourceLost), true),
            (Error::unrepaired("b", RepairReason::NoSource), false),
            (Error::unrepaired("b", RepairReason::OtherCopy), false),
            (Error::unrepaired("b", RepairReason::Foreign), false),
            (too_few(vec![of(down())]), false),
            (too_few(vec![of(timeout())]), true),
            (Error::CrossNode(Box::new(CrossNode { command: "RENAME", keys: Vec::new() })), false),
            (Error::refused("BLPOP", "copy", "text"), false),
            (Error::UnknownCommand { command: "X".to_owned() }, false),
            (Error::Keys { command: "GET", reason: KeyError::TooShort }, false),
            (Error::Identity { reason: "text".to_owned() }, false),
            (Error::NotReplaced { stale: vec!["x".to_owned()] }, false),
            (Error::NotConverged(Box::default()), false),
            (Error::NoSuchNode { name: "x".to_owned() }, false),
            (Error::Ring(BuildError::Empty), false),
            (Error::Config(ConfigError::WriteTo { wanted: 2, nodes: 1 }), false),
        ] {
            check(&error);
            assert_eq!(error.may_have_executed(), may_have_executed, "{error}");
        }
    }

    #[test]
    fn a_timeout_or_a_failed_connection_of_any_node_is_that_of_the_error() {
        let timeout = || ErrorKind::Timeout(Duration::from_secs(1));
        let refused = || ErrorKind::ConnectTimeout(Duration::from_secs(1));
        let of = |kind| node::Error::new("a".into(), "GET", kind);
        let unavailable = |errors| Error::unavailable("GET", None, errors, Vec::new());
        for (error, is_timeout, is_connect) in [
            (unavailable(vec![of(ErrorKind::Fenced), of(timeout())]), true, true),
            (unavailable(vec![of(ErrorKind::Fenced)]), false, true),
            (unavailable(vec![of(timeout())]), true, false),
            (unavailable(vec![of(refused())]), true, true),
            (Error::NoSuchNode { name: "x".to_owned() }, false, false),
        ] {
            assert_eq!((error.is_timeout(), error.is_connect()), (is_timeout, is_connect), "{error}");
        }
    }
}

//! What errors say.

use std::fmt;

use redis::Cmd;
use redisdb_node::command::words;

use super::CrossNode;
use super::Error;
use super::Partial;
use super::TooFewNodes;
use super::Unavailable;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => error.fmt(f),
            Self::Unavailable(unavailable) => unavailable.fmt(f),
            Self::CrossNode(cross) => cross.fmt(f),
            Self::Unsupported { command, strategy, reason } => {
                write!(f, "`{command}` cannot run on a {strategy}: {reason}")
            }
            Self::UnknownCommand { command } => write!(
                f,
                "`{command}` is not in the command table, so it is not known where it may go; \
                 send it to one node, by `on_node(name)`"
            ),
            Self::Keys { command, reason } => write!(f, "`{command}`: {reason}"),
            Self::Partial(partial) => partial.fmt(f),
            Self::TooFewReplies(write) => {
                write!(
                    f,
                    "`{}`: {} of {} nodes took it, {} should have",
                    write.command,
                    write.replies.successes().count(),
                    write.replies.len(),
                    write.wanted
                )?;
                self.node_errors().iter().try_for_each(|error| write!(f, "; {error}"))
            }
            Self::TooFewNodes(too_few) => {
                let TooFewNodes { command, wanted, answered, errors } = &**too_few;
                write!(f, "`{command}` needs {wanted} nodes, and {} answered", answered.len())?;
                errors.iter().try_for_each(|error| write!(f, "; {error}"))
            }
            Self::Disagreement(write) => write!(
                f,
                "`{}`: the nodes gave different answers; the typed commands return each of them",
                write.command
            ),
            Self::Repair(error) => error.fmt(f),
            Self::Identity { reason } => f.write_str(reason),
            Self::NoSuchNode { name } => write!(f, "there is no node `{name}`"),
            Self::Ring(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.command)?;
        if let Some(key) = &self.key {
            write!(f, " of key `{}`", Shown(key))?;
        }
        if let ([error], [], []) = (self.errors.as_slice(), self.behind.as_slice(), self.in_vain.as_slice()) {
            return write!(f, ": its node `{}` cannot answer: {}", error.node(), error.kind());
        }
        f.write_str(": no node can answer")?;
        self.errors.iter().try_for_each(|error| write!(f, "; node `{}`: {}", error.node(), error.kind()))?;
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
            write!(f, "{comma}`{}` is on `{node}`", Shown(key))?;
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
        self.failures().try_for_each(|(part, error)| write!(f, "; node `{}`: {}", part.node, error.kind()))
    }
}

/// The first word of a command, for one that is not in the table.
pub(crate) fn first_word(cmd: &Cmd) -> String {
    Shown(words(cmd).next().unwrap_or_default()).to_string()
}

/// A key as text: escaped, and cut when it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 64;
        let (shown, rest) = self.0.split_at(self.0.len().min(LONGEST));
        write!(f, "{}", shown.escape_ascii())?;
        if rest.is_empty() { Ok(()) } else { write!(f, "..({} bytes)", self.0.len()) }
    }
}

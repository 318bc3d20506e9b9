//! The context in which a command is sent, and which commands it refuses.

use redis::Cmd;
use redisdb_node::command;
use redisdb_node::command::Spec;

use crate::error::Error;

/// How a command is sent: what runs by itself may not run among others. Every way in names one of these, and so does
/// `explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    /// By itself: by its method, by `query`, or through redis-rs.
    Alone,
    /// In a pipeline, of ours or of redis-rs.
    Pipeline,
    /// In a `MULTI` block: an atomic pipeline of ours or of redis-rs, or the queue of a transaction.
    Block,
    /// By itself, on the connection of a transaction.
    Transaction,
}

const OWNED: &str = "it needs a connection of its own; run it on one, by `on_node(name)` and `dedicated()`";
const HOLDS_UP: &str = "in a pipeline it would hold up what comes after it; call it by itself";
const NEVER_WAITS: &str =
    "in a `MULTI` block nothing waits; put the command there that does not wait, or call it by itself";

impl Context {
    /// Says why a command is not sent like this because of what it does to its connection, if it is not.
    pub(crate) fn refuses(self, spec: &Spec, cmd: &Cmd) -> Option<&'static str> {
        spec.needs_dedicated(cmd)?;
        match self {
            _ if !spec.blocks_for_keys() => Some(OWNED),
            Self::Alone | Self::Transaction => None,
            Self::Pipeline => Some(HOLDS_UP),
            Self::Block => Some(NEVER_WAITS),
        }
    }
}

/// The row of a command.
pub(crate) fn row(cmd: &Cmd) -> Result<&'static Spec, Error> {
    command::lookup(cmd).ok_or_else(|| Error::unknown(cmd))
}

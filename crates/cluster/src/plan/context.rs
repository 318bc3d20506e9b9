//! The context in which a command is sent, and which commands it refuses.

use redis::Cmd;
use redisdb_node::command;
use redisdb_node::command::Spec;

use crate::error::Error;

/// The way in which a command is sent: some commands run by themselves only. Every way in names its context, and so does
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
const HOLDS_UP: &str = "it would hold up the commands after it in the pipeline; call it by itself";
const NEVER_WAITS: &str =
    "nothing waits in a `MULTI` block; use the command that does not wait, or call this one by itself";

impl Context {
    /// Returns why a command cannot be sent in this context, because of its use of the connection; `None` if it can.
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

/// Returns the row of a command in the command table.
pub(crate) fn row(cmd: &Cmd) -> Result<&'static Spec, Error> {
    command::lookup(cmd).ok_or_else(|| Error::unknown(cmd))
}

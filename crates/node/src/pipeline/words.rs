//! The words of a command on its way to the wire. Nothing on the way copies them.

use std::borrow::Cow;
use std::sync::Arc;

use redis::Arg;
use redis::Cmd;

use crate::redis_rs::empty::is_wordless;
use crate::wire::decode_command;
use crate::wire::encode;

/// The words of a command as they go out.
#[derive(Debug, Clone)]
pub enum Words<'a> {
    /// Those of a command that its caller keeps.
    Lent(&'a Cmd),
    /// Those that were made for the batches of one or several nodes.
    Shared(Arc<Cmd>),
    /// Those of a command that is encoded already.
    Packed(Packed<'a>),
}

/// A command of one key as a server reads it, which may run on a shared connection.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) key: &'a [u8],
}

impl<'a> From<&'a Cmd> for Words<'a> {
    fn from(cmd: &'a Cmd) -> Self {
        Self::Lent(cmd)
    }
}

impl From<Cmd> for Words<'_> {
    fn from(cmd: Cmd) -> Self {
        Self::Shared(Arc::new(cmd))
    }
}

impl Words<'_> {
    /// The command; made anew where it is packed.
    pub fn cmd(&self) -> Cow<'_, Cmd> {
        match self {
            Self::Lent(cmd) => Cow::Borrowed(cmd),
            Self::Shared(cmd) => Cow::Borrowed(cmd),
            Self::Packed(packed) => Cow::Owned(decode_command(packed.bytes)),
        }
    }

    /// Returns whether there is none, which a server does not answer.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Lent(cmd) => is_wordless(cmd),
            Self::Shared(cmd) => is_wordless(cmd),
            Self::Packed(packed) => packed.bytes.is_empty(),
        }
    }

    /// Puts them at the end of a buffer as a server reads them.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Lent(cmd) => encode(cmd, out),
            Self::Shared(cmd) => encode(cmd, out),
            Self::Packed(packed) => out.extend_from_slice(packed.bytes),
        }
    }

    /// Returns about the number of bytes that they take on the wire.
    #[inline]
    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Self::Lent(cmd) => n_bytes(cmd),
            Self::Shared(cmd) => n_bytes(cmd),
            Self::Packed(packed) => packed.bytes.len(),
        }
    }
}

/// Returns about the number of bytes that a command takes on the wire.
#[inline]
pub(super) fn n_bytes(cmd: &Cmd) -> usize {
    cmd.args_iter()
        .map(|arg| match arg {
            Arg::Simple(word) => word.len() + 16,
            _ => 16,
        })
        .sum()
}

//! A batch of a pipeline: the commands that go out to one node in one write.

use std::io;
use std::sync::Arc;

use super::words::Words;
use crate::error::ErrorKind;

/// The number of bytes that go out in one write at most.
const MOST_BYTES: usize = 1 << 20;

/// Commands that are sent to one node in one write.
///
/// ```
/// # use redisdb_node::plumbing::Batch;
/// let (mut batch, get) = (Batch::with_capacity(2), redis::cmd("GET").arg("a").take());
/// batch.push(&get);
/// assert_eq!((batch.len(), batch.is_full()), (1, false)); // `node.send_batch(&batch)` sends it
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    commands: Vec<Words<'a>>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    /// The number of commands that go out in one write at most.
    pub const MOST_COMMANDS: usize = 1000;

    /// Starts a batch with room for so many commands.
    pub fn with_capacity(n_commands: usize) -> Self {
        Self { commands: Vec::with_capacity(n_commands.min(Self::MOST_COMMANDS)), bytes: 0 }
    }

    /// Adds a command.
    #[inline]
    pub fn push(&mut self, cmd: impl Into<Words<'a>>) {
        let cmd = cmd.into();
        self.bytes = self.bytes.saturating_add(cmd.n_bytes());
        self.commands.push(cmd);
    }

    /// The number of commands it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Returns whether the batch has no command.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Returns whether the batch should be sent before more is added: it has 1000 commands, or 1 MiB.
    #[inline]
    pub fn is_full(&self) -> bool {
        Self::MOST_COMMANDS <= self.len() || MOST_BYTES <= self.bytes
    }

    /// The commands in their order.
    pub(crate) fn commands(&self) -> &[Words<'a>] {
        &self.commands
    }
}

/// The error of a server that answered fewer commands than it was sent.
pub fn too_few() -> ErrorKind {
    let reason = "it gave fewer replies than there were commands";
    ErrorKind::Disconnected(Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
}

#[cfg(test)]
mod tests {
    use redis::Cmd;

    use super::*;

    #[test]
    fn a_batch_is_neither_too_long_nor_too_big() {
        let batches_of = |commands: &[Cmd]| {
            let mut lengths = vec![0];
            let mut batch = Batch::with_capacity(commands.len());
            for cmd in commands {
                if batch.is_full() {
                    batch = Batch::with_capacity(0);
                    lengths.push(0);
                }
                batch.push(cmd);
                *lengths.last_mut().unwrap() = batch.len();
            }
            lengths
        };
        let of = |bytes: usize| redis::cmd("GET").arg(vec![0_u8; bytes]).take();
        assert_eq!(batches_of(&[]), [0]);
        assert_eq!(batches_of(&vec![of(1); 2500]), [1000, 1000, 500]);
        assert_eq!(batches_of(&vec![of(MOST_BYTES / 2); 5]), [2, 2, 1]);
        assert_eq!(batches_of(&[of(1), of(2 * MOST_BYTES), of(1)]), [2, 1]);
    }
}

//! Sending many commands to one node without holding all of them twice.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use redis::Cmd;
use redis::Pipeline;
use redis::Value;

use crate::command::Spec;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::multi;
use crate::node::Node;
use crate::nothing;

/// How many bytes go out in one write at most.
const MOST_BYTES: usize = 1 << 20;

/// Commands that are sent to one node in one write.
///
/// ```
/// # use redisdb_node::Portion;
/// let mut portion = Portion::with_capacity(2);
/// portion.push(redis::cmd("GET").arg("a").take());
/// assert_eq!((portion.len(), portion.is_full()), (1, false)); // `node.send_pipeline(portion.pipeline(), 0, 1)` sends it
/// ```
#[derive(Debug)]
pub struct Portion {
    pipeline: Pipeline,
    bytes: usize,
}

impl Portion {
    /// How many commands go out in one write at most.
    pub const MOST_COMMANDS: usize = 1000;

    /// Starts a portion with room for so many commands.
    pub fn with_capacity(n_commands: usize) -> Self {
        Self { pipeline: Pipeline::with_capacity(n_commands.min(Self::MOST_COMMANDS)), bytes: 0 }
    }

    /// Adds a command.
    #[inline]
    pub fn push(&mut self, cmd: Cmd) {
        self.bytes = self.bytes.saturating_add(size(&cmd));
        self.pipeline.add_command(cmd);
    }

    /// How many commands it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.pipeline.len()
    }

    /// Whether it has no command.
    pub fn is_empty(&self) -> bool {
        self.pipeline.is_empty()
    }

    /// Whether it should be sent before more is added: it has 1000 commands, or 1 MiB.
    #[inline]
    pub fn is_full(&self) -> bool {
        Self::MOST_COMMANDS <= self.len() || MOST_BYTES <= self.bytes
    }

    /// The commands, to be sent by [`Node::send_pipeline`].
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }
}

impl Node {
    /// Sends a pipeline in one write and returns `count` of its replies from `offset` on, as
    /// [`ConnectionLike`](redis::aio::ConnectionLike) does: error replies are values. Of one without a command nothing is
    /// sent. None of the commands may be one that blocks or changes a connection, for others share this one; it is not
    /// looked for.
    ///
    /// # Errors
    /// Of the connection, for the whole pipeline; of an atomic one also why it was not executed as a block.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    pub async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        if let Some(answer) = nothing::answer(pipeline, offset, count) {
            return Ok(answer);
        }
        if pipeline.cmd_iter().any(nothing::is_wordless) {
            return Err(self.wordless());
        }
        if !pipeline.is_transaction() {
            return self.send_all(pipeline, offset, count).await;
        }
        let replies = self.send_all(pipeline, 0, multi::n_replies(pipeline)).await?;
        multi::part_of(pipeline, replies, offset, count).map_err(|(command, kind)| self.failed(command, kind))
    }

    /// Sends commands in their order, in portions of 1000 commands or 1 MiB, the next when the one before is answered,
    /// and returns one outcome for each.
    ///
    /// When a portion has no answer, each of its commands may have been executed, and those after it are not sent. None
    /// may be one that blocks or changes a connection.
    ///
    /// # Cancel safety
    /// When the future is dropped any of the commands may have been executed.
    pub async fn send_each<'a>(
        &self,
        commands: impl IntoIterator<Item = (&'static Spec, &'a Cmd)>,
    ) -> Vec<Result<Value, Error>> {
        let mut all = Vec::new();
        let commands: Vec<_> = commands.into_iter().map(|(spec, cmd)| (spec, Cow::Borrowed(cmd))).collect();
        self.send_portions(commands, |mut outcomes| all.append(&mut outcomes)).await;
        all
    }

    /// The same, the outcomes of each portion handed over when they are there. A command that is given by value is not
    /// copied.
    pub(crate) async fn send_portions<'a>(
        &self,
        commands: Vec<(&'static Spec, Cow<'a, Cmd>)>,
        mut outcomes: impl FnMut(Vec<Result<Value, Error>>),
    ) {
        let mut commands = commands.into_iter();
        loop {
            let mut specs = Vec::with_capacity(commands.len().min(Portion::MOST_COMMANDS));
            let mut portion = Portion::with_capacity(commands.len());
            while !portion.is_full()
                && let Some((spec, cmd)) = commands.next()
            {
                specs.push(spec);
                portion.push(cmd.into_owned());
            }
            if portion.is_empty() {
                return;
            }
            match self.send_pipeline(portion.pipeline(), 0, portion.len()).await {
                Ok(replies) => {
                    let mut replies = replies.into_iter();
                    let outcome = |spec: &'static Spec| match replies.next() {
                        Some(reply) => self.accept(spec.name, reply),
                        None => Err(self.failed(spec.name, too_few())),
                    };
                    outcomes(specs.into_iter().map(outcome).collect());
                }
                Err(error) => {
                    let fail = |spec: &'static Spec, kind| Err(self.failed(spec.name, kind));
                    let cause = match error.kind() {
                        ErrorKind::Down { cause } => Arc::clone(cause),
                        kind => Arc::new(kind.clone()),
                    };
                    let asked = specs.into_iter().map(|spec| fail(spec, error.kind().clone()));
                    let down = || ErrorKind::Down { cause: Arc::clone(&cause) };
                    outcomes(asked.chain(commands.by_ref().map(|(spec, _)| fail(spec, down()))).collect());
                }
            }
        }
    }

    pub(crate) fn failed(&self, command: &'static str, kind: ErrorKind) -> Error {
        Error::new(self.name().into(), command, kind)
    }
}

pub(crate) fn too_few() -> ErrorKind {
    let reason = "it gave fewer replies than there were commands";
    ErrorKind::Disconnected(Arc::new(io::Error::new(io::ErrorKind::UnexpectedEof, reason)))
}

/// About what a command takes on the wire.
#[inline]
fn size(cmd: &Cmd) -> usize {
    cmd.args_iter()
        .map(|arg| match arg {
            redis::Arg::Simple(word) => word.len() + 16,
            _ => 16,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_neither_too_long_nor_too_big() {
        let portions_of = |commands: &[Cmd]| {
            let mut lengths = vec![0];
            let mut portion = Portion::with_capacity(commands.len());
            for cmd in commands {
                if portion.is_full() {
                    portion = Portion::with_capacity(0);
                    lengths.push(0);
                }
                portion.push(cmd.clone());
                *lengths.last_mut().unwrap() = portion.len();
            }
            lengths
        };
        let of = |bytes: usize| redis::cmd("GET").arg(vec![0_u8; bytes]).take();
        assert_eq!(portions_of(&[]), [0]);
        assert_eq!(portions_of(&vec![of(1); 2500]), [1000, 1000, 500]);
        assert_eq!(portions_of(&vec![of(MOST_BYTES / 2); 5]), [2, 2, 1]);
        assert_eq!(portions_of(&[of(1), of(2 * MOST_BYTES), of(1)]), [2, 1]);
    }
}

//! Sending many commands to one node without holding all of them twice.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use redis::Cmd;
use redis::Pipeline;
use redis::Value;

use crate::command::Spec;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::node::Node;

/// How many commands go out in one write at most, and how many bytes.
const MOST_COMMANDS: usize = 1000;
const MOST_BYTES: usize = 1 << 20;

impl Node {
    /// Sends commands in their order, in portions of up to 1000 commands or 1 MiB, the next when the one before is
    /// answered, and returns one outcome for each.
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
        let mut outcomes = Vec::new();
        self.send_portions(commands, |outcome| outcomes.push(outcome)).await;
        outcomes
    }

    /// The same, each outcome handed over when it is there.
    pub(crate) async fn send_portions<'a>(
        &self,
        commands: impl IntoIterator<Item = (&'static Spec, &'a Cmd)>,
        mut outcome: impl FnMut(Result<Value, Error>),
    ) {
        let commands: Vec<_> = commands.into_iter().collect();
        let sizes: Vec<usize> = commands.iter().map(|(_, cmd)| size(cmd)).collect();
        let mut failed: Option<Arc<ErrorKind>> = None;
        for range in portions(&sizes) {
            let portion = commands.get(range).unwrap_or_default();
            if let Some(cause) = &failed {
                let down = |(spec, _): &(&'static Spec, &Cmd)| {
                    Err(self.failed(spec.name, ErrorKind::Down { cause: Arc::clone(cause) }))
                };
                portion.iter().map(down).for_each(&mut outcome);
                continue;
            }
            let mut pipeline = Pipeline::with_capacity(portion.len());
            for (_, cmd) in portion {
                pipeline.add_command((*cmd).clone());
            }
            match self.send_pipeline(&pipeline, 0, portion.len()).await {
                Ok(replies) => {
                    let mut replies = replies.into_iter();
                    for (spec, _) in portion {
                        outcome(match replies.next() {
                            Some(reply) => self.accept(spec.name, reply),
                            None => Err(self.failed(spec.name, too_few())),
                        });
                    }
                }
                Err(error) => {
                    for (spec, _) in portion {
                        outcome(Err(self.failed(spec.name, error.kind().clone())));
                    }
                    failed = Some(match error.kind() {
                        ErrorKind::Down { cause } => Arc::clone(cause),
                        kind => Arc::new(kind.clone()),
                    });
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
fn size(cmd: &Cmd) -> usize {
    cmd.args_iter()
        .map(|arg| match arg {
            redis::Arg::Simple(word) => word.len() + 16,
            _ => 16,
        })
        .sum()
}

/// Cuts a list of sizes into runs that are not too long; a command that is too big alone has its own.
fn portions(sizes: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = sizes.get(start..)?;
        let mut bytes = 0usize;
        let fits = |size: &&usize| {
            bytes = bytes.saturating_add(**size);
            bytes <= MOST_BYTES
        };
        let n = rest.iter().take(MOST_COMMANDS).take_while(fits).count().max(1).min(rest.len());
        let range = start..start + n;
        start += n;
        (n > 0).then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_neither_too_long_nor_too_big_nor_empty() {
        let check = |sizes: &[usize], expected: &[Range<usize>]| {
            assert_eq!(portions(sizes).collect::<Vec<_>>(), expected);
        };
        check(&[], &[]);
        check(&[1, 1], &vec![0..2; 1]);
        check(&[1; 2500], &[0..1000, 1000..2000, 2000..2500]);
        check(&[MOST_BYTES / 2; 5], &[0..2, 2..4, 4..5]);
        check(&[5 * MOST_BYTES, 1, 5 * MOST_BYTES], &[0..1, 1..2, 2..3]);
    }
}

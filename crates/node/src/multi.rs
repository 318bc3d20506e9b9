//! `MULTI` blocks: what is sent, and what each command is told.

use std::borrow::Cow;
use std::sync::Arc;

use redis::Pipeline;
use redis::Value;

use crate::command::Spec;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::Node;
use crate::pipeline::Recorded;
use crate::pipeline::SendMany;
use crate::portion::too_few;
use redis::FromRedisValue;

/// A block as it goes out. redis-rs has its own, which hides why a block was not executed.
pub(crate) fn block(commands: &[Recorded]) -> Pipeline {
    let mut block = Pipeline::with_capacity(commands.len() + 2);
    block.cmd("MULTI");
    for command in commands {
        block.add_command(command.cmd.clone());
    }
    block.cmd("EXEC");
    block
}

/// What a block came to.
pub(crate) enum Block {
    /// Each command has its outcome.
    Outcomes(Vec<Result<Value, ErrorKind>>),
    /// A watched key was changed: nothing was executed.
    Conflict,
}

/// Tells what became of each of `n` commands from the replies to a [`block`].
pub(crate) fn outcomes(n: usize, replies: Vec<Value>) -> Block {
    let mut replies = replies.into_iter();
    let begun = replies.next();
    let queued: Vec<Value> = replies.by_ref().take(n).collect();
    match (begun, replies.next()) {
        (_, Some(Value::Nil)) => Block::Conflict,
        (_, Some(Value::Array(replies))) if replies.len() == n => {
            Block::Outcomes(replies.into_iter().map(accept).collect())
        }
        // Not executed. Who is to blame has its own error, the others that of the block.
        (Some(begun), Some(aborted)) => {
            let aborted = accept(begun).err().or(accept(aborted).err()).unwrap_or_else(too_few);
            let own = |queued| accept(queued).err().unwrap_or_else(|| aborted.clone());
            Block::Outcomes(queued.into_iter().map(|queued| Err(own(queued))).collect())
        }
        _ => Block::Outcomes((0..n).map(|_| Err(too_few())).collect()),
    }
}

fn accept(reply: Value) -> Result<Value, ErrorKind> {
    match reply {
        Value::ServerError(reply) => {
            Err(ErrorKind::Server(ServerError::new(reply.code(), reply.details().unwrap_or_default())))
        }
        reply => Ok(reply),
    }
}

impl Node {
    /// Starts a pipeline: typed commands that are sent together.
    pub fn pipeline(&self) -> crate::pipeline::Pipeline<Node> {
        crate::pipeline::Pipeline::new(self.clone())
    }

    /// Sends commands as one `MULTI` block, and returns one outcome for each.
    ///
    /// # Cancel safety
    /// When the future is dropped all of the commands may have been executed, or none.
    pub async fn send_block(&self, commands: &[Recorded]) -> Vec<Result<Value, Error>> {
        let fail = |kind: &ErrorKind| {
            commands.iter().map(|command| Err(self.failed(command.spec.name, kind.clone()))).collect()
        };
        if commands.is_empty() {
            return Vec::new();
        }
        if let Some(reason) = commands.iter().find_map(|command| command.spec.needs_owned(&command.cmd)) {
            return fail(&ErrorKind::Unsupported(reason.into()));
        }
        let block = block(commands);
        match self.send_pipeline(&block, 0, block.len()).await {
            Err(error) => fail(error.kind()),
            Ok(replies) => match outcomes(commands.len(), replies) {
                Block::Outcomes(outcomes) => {
                    let named = commands.iter().zip(outcomes);
                    named
                        .map(|(command, outcome)| {
                            outcome.map_err(|kind| self.failed(command.spec.name, kind))
                        })
                        .collect()
                }
                Block::Conflict => fail(&ErrorKind::Conflict { attempts: 1 }),
            },
        }
    }
}

impl SendMany for Node {
    type Reply = (Arc<str>, Value);
    type Answers = Vec<Option<Result<Self::Reply, Error>>>;

    async fn send_many(&self, commands: &mut [Recorded], mut answered: impl FnMut(Self::Answers) + Send) {
        let name: Arc<str> = self.name().into();
        let mut sent = Vec::with_capacity(commands.len());
        let mut all = Vec::with_capacity(commands.len());
        for Recorded { spec, cmd } in commands {
            let refused = spec.needs_owned(cmd);
            all.push((*spec, refused));
            if refused.is_none() {
                sent.push((*spec, Cow::Owned(cmd.take())));
            }
        }
        // Those that are not sent stand between those that are.
        let mut all = all.into_iter();
        let refused = |spec: &Spec, reason: Option<&'static str>| {
            let kind = reason.map_or_else(too_few, |reason| ErrorKind::Unsupported(reason.into()));
            Some(Err(self.failed(spec.name, kind)))
        };
        self.send_portions(sent, |outcomes| {
            let mut answers = Vec::with_capacity(outcomes.len());
            for outcome in outcomes {
                let before = all.by_ref().map_while(|(spec, reason)| Some((spec, Some(reason?))));
                answers.extend(before.map(|(spec, reason)| refused(spec, reason)));
                answers.push(Some(outcome.map(|reply| (Arc::clone(&name), reply))));
            }
            answered(answers);
        })
        .await;
        answered(all.map(|(spec, reason)| refused(spec, reason)).collect());
    }

    async fn send_atomic(&self, commands: &[Recorded]) -> Self::Answers {
        let name: Arc<str> = self.name().into();
        let outcomes = self.send_block(commands).await.into_iter();
        outcomes.map(|outcome| Some(outcome.map(|reply| (Arc::clone(&name), reply)))).collect()
    }

    fn read_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        decode(spec, reply)
    }

    fn write_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        decode(spec, reply)
    }

    fn each_reply<T: FromRedisValue + Send>(spec: &'static Spec, reply: Self::Reply) -> Result<T, Error> {
        decode(spec, reply)
    }

    fn not_sent(&self, command: &str, reason: &'static str) -> Error {
        Error::new(self.name().into(), command.to_owned(), ErrorKind::Unsupported(reason.into()))
    }

    fn given_up(&self, command: &'static str) -> Error {
        self.failed(command, given_up())
    }
}

pub(crate) fn given_up() -> ErrorKind {
    let reason = "the pipeline was dropped before its replies came";
    ErrorKind::Disconnected(Arc::new(std::io::Error::new(std::io::ErrorKind::Interrupted, reason)))
}

pub(crate) fn decode<T: FromRedisValue>(
    spec: &'static Spec,
    (node, reply): (Arc<str>, Value),
) -> Result<T, Error> {
    T::from_redis_value(reply).map_err(|error| Error::new(node, spec.name, ErrorKind::Reply(error.into())))
}

//! The answers to a pipeline, kept until they are taken.

use std::sync::Arc;

use redis::Value;
use redisdb_node::plumbing::Answers;

use crate::error::Error;
use crate::reply::NodesReply;

/// The answers to the commands of a pipeline on a ring or a copy. The replies stay in the lists of their nodes until they are
/// taken.
#[derive(Debug)]
#[must_use = "each of them may be an error"]
pub struct PipelineAnswers {
    /// The place of the answer to each command.
    pub(crate) places: Vec<Place>,
    /// The replies of each node, with its name.
    pub(crate) replies: Vec<(Arc<str>, Vec<Value>)>,
    /// The answers to the commands that have no single reply.
    pub(crate) others: Vec<Option<Result<NodesReply, Error>>>,
}

/// The place of a reply: the node, and the number among its replies.
pub(crate) type At = (usize, usize);

/// The place of the answer to a command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// The answer is a reply of a node, and no error.
    Reply(At),
    /// The answer is one of the others.
    Other(usize),
    /// The answer has been taken.
    Taken,
}

impl PipelineAnswers {
    /// Returns answers that are no single replies.
    pub(crate) fn listed(outcomes: Vec<Result<NodesReply, Error>>) -> Self {
        let places = (0..outcomes.len()).map(Place::Other).collect();
        Self { places, replies: Vec::new(), others: outcomes.into_iter().map(Some).collect() }
    }

    /// Returns the answers to commands of which none was sent.
    pub(crate) fn refused(n_commands: usize, error: &Error) -> Self {
        Self::listed((0..n_commands).map(|_| Err(error.clone())).collect())
    }
}

impl Answers for PipelineAnswers {
    type Reply = NodesReply;
    type Error = Error;

    fn n_commands(&self) -> usize {
        self.places.len()
    }

    #[inline]
    fn take(&mut self, i: usize) -> Option<Result<NodesReply, Error>> {
        match std::mem::replace(self.places.get_mut(i)?, Place::Taken) {
            Place::Reply((node, i)) => {
                let (name, replies) = self.replies.get_mut(node)?;
                let reply = std::mem::replace(replies.get_mut(i)?, Value::Nil);
                Some(Ok(NodesReply::One(Arc::clone(name), reply)))
            }
            Place::Other(i) => self.others.get_mut(i)?.take(),
            Place::Taken => None,
        }
    }

    fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        // Most often there is nothing to look for.
        let places = if self.others.is_empty() { &[] } else { self.places.as_slice() };
        places.iter().enumerate().filter_map(|(number, place)| match place {
            Place::Other(i) => Some((number, self.others.get(*i)?.as_ref()?.as_ref().err()?)),
            _ => None,
        })
    }
}

//! The answers to a pipeline on a ring, kept until they are taken.

use std::sync::Arc;

use redis::FromRedisValue;
use redis::Value;
use redisdb_node::plumbing::Answers;

use crate::error::Error;
use crate::replies::PerNode;
use crate::replies::Replies;
use crate::replies::decode;
use crate::replies::decode_merged;

/// The reply to one command of a pipeline on a ring.
#[derive(Debug)]
#[non_exhaustive]
pub enum RingReply {
    /// One reply, and the node that gave it.
    One(Arc<str>, Value),
    /// One reply, merged from those of these nodes.
    Merged(Box<[Arc<str>]>, Value),
    /// Each node's own answer.
    Each(PerNode<Value>),
}

impl RingReply {
    /// One value: of what each node was asked, each answer under its node's name.
    pub(crate) fn into_one(self, command: &'static str) -> Result<Value, Error> {
        match self {
            Self::One(_, value) | Self::Merged(_, value) => Ok(value),
            Self::Each(replies) => replies.by_name(command),
        }
    }

    /// The value of this type, or who gave another one.
    pub(crate) fn read<T: FromRedisValue>(self, command: &'static str) -> Result<T, Error> {
        match self {
            Self::One(name, value) => Ok(decode(&name, command, value)?),
            Self::Merged(names, value) => decode_merged(&names, command, value),
            Self::Each(replies) => {
                let names = replies.names();
                decode_merged(&names, command, replies.by_name(command)?)
            }
        }
    }

    /// Each node's answer, of this type.
    pub(crate) fn read_each<T: FromRedisValue>(self, command: &'static str) -> Result<PerNode<T>, Error> {
        match self {
            Self::Each(replies) => Ok(replies.decode(command)),
            Self::One(name, value) => {
                let outcome = decode(&name, command, value).into();
                Ok(Replies::new(vec![(name, outcome)]))
            }
            // Of this no node alone can be told.
            Self::Merged(names, value) => {
                let outcome =
                    |name: &Arc<str>| (Arc::clone(name), decode(name, command, value.clone()).into());
                Ok(Replies::new(names.iter().map(outcome).collect()))
            }
        }
    }
}

/// What the commands of a pipeline on a ring were answered. The replies stay where the nodes' own lists have them, until they
/// are taken.
#[derive(Debug)]
#[must_use = "each of them may be an error"]
pub struct RingAnswers {
    /// Of each command.
    pub(crate) places: Vec<Place>,
    /// Of each node, by its name.
    pub(crate) replies: Vec<(Arc<str>, Vec<Value>)>,
    /// Of the commands that have no single reply.
    pub(crate) others: Vec<Option<Result<RingReply, Error>>>,
}

/// Where the reply of a node stands: the node, and which of its replies.
pub(crate) type At = (usize, usize);

/// Where the answer to a command stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Among the replies of a node, and it is no error.
    Reply(At),
    /// Among the others.
    Other(usize),
    /// It has been taken.
    Taken,
}

impl RingAnswers {
    /// Answers that are no single replies.
    pub(crate) fn listed(outcomes: Vec<Result<RingReply, Error>>) -> Self {
        let places = (0..outcomes.len()).map(Place::Other).collect();
        Self { places, replies: Vec::new(), others: outcomes.into_iter().map(Some).collect() }
    }
}

impl Answers for RingAnswers {
    type Reply = RingReply;
    type Error = Error;

    fn n_commands(&self) -> usize {
        self.places.len()
    }

    #[inline]
    fn take(&mut self, i: usize) -> Option<Result<RingReply, Error>> {
        match std::mem::replace(self.places.get_mut(i)?, Place::Taken) {
            Place::Reply((node, i)) => {
                let (name, replies) = self.replies.get_mut(node)?;
                Some(Ok(RingReply::One(Arc::clone(name), take(replies, i)?)))
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

#[inline]
pub(crate) fn take(replies: &mut [Value], i: usize) -> Option<Value> {
    Some(std::mem::replace(replies.get_mut(i)?, Value::Nil))
}

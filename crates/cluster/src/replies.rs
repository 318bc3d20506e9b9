//! The replies of the nodes to one command, by name.

use std::fmt;
use std::sync::Arc;

use redis::FromRedisValue;
use redis::Value;
use redisdb_node as node;

use crate::error::Error;
use crate::error::PartReply;
use crate::error::Partial;

/// The outcome of one command on each node: nothing is hidden, nothing is merged.
///
/// ```
/// # fn f(replies: redisdb_cluster::Replies<i64>) {
/// for (node, error) in replies.failures() {
///     eprintln!("{node} missed a write: {error}");
/// }
/// assert!(replies.agreed());
/// # }
/// ```
#[derive(Clone)]
#[must_use = "the replies say which nodes did not take the command, and why"]
pub struct Replies<T> {
    replies: Vec<(Arc<str>, Outcome<T>)>,
    /// The node whose answer is taken where one is wanted.
    first: usize,
    /// The nodes whose answers do not count where others do.
    uncounted: Box<[usize]>,
}

/// Equality of the outcomes, by node.
impl<T: PartialEq> PartialEq for Replies<T> {
    fn eq(&self, other: &Self) -> bool {
        self.replies == other.replies
    }
}

impl<T: Eq> Eq for Replies<T> {}

/// Each node's own answer to a question about itself, such as `INFO`, under the node's name.
pub type PerNode<T> = Replies<T>;

/// The outcome of a command on one node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// The node took it and answered.
    Ok(T),
    /// The node answered with an error, or with a reply of another type.
    Error(node::Error),
    /// The command was not sent: the node is down, or cannot be reached.
    NotSent(node::Error),
    /// The command was sent, and no answer came: it may have been executed, or may still be.
    Unknown(node::Error),
    /// The command was not meant for this node.
    Skipped,
}

/// Equality of the answers; two errors are equal when their texts are.
impl<T: PartialEq> PartialEq for Outcome<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ok(a), Self::Ok(b)) => a == b,
            (Self::Skipped, Self::Skipped) => true,
            (Self::Error(a), Self::Error(b))
            | (Self::NotSent(a), Self::NotSent(b))
            | (Self::Unknown(a), Self::Unknown(b)) => a.to_string() == b.to_string(),
            _ => false,
        }
    }
}

impl<T: Eq> Eq for Outcome<T> {}

impl<T> Outcome<T> {
    /// Returns the answer, if there is one.
    pub fn ok(&self) -> Option<&T> {
        match self {
            Self::Ok(reply) => Some(reply),
            _ => None,
        }
    }

    /// Returns the error, if there is one.
    pub fn error(&self) -> Option<&node::Error> {
        match self {
            Self::Error(error) | Self::NotSent(error) | Self::Unknown(error) => Some(error),
            Self::Ok(_) | Self::Skipped => None,
        }
    }
}

impl<T> From<Result<T, node::Error>> for Outcome<T> {
    fn from(result: Result<T, node::Error>) -> Self {
        match result {
            Ok(reply) => Self::Ok(reply),
            Err(error) => match (error.outcome(), error.kind()) {
                (node::Outcome::NotSent, _) => Self::NotSent(error),
                (node::Outcome::Rejected | node::Outcome::Answered, _) | (_, node::ErrorKind::Server(_)) => {
                    Self::Error(error)
                }
                _ => Self::Unknown(error),
            },
        }
    }
}

impl<T> Replies<T> {
    pub(crate) fn new(replies: Vec<(Arc<str>, Outcome<T>)>) -> Self {
        Self { replies, first: 0, uncounted: Box::default() }
    }

    /// Returns the same replies, where the answer of node `first` is taken, and those of `uncounted` do not count.
    pub(crate) fn counting_from(self, first: usize, uncounted: Vec<usize>) -> Self {
        Self { first, uncounted: uncounted.into(), ..self }
    }

    /// Returns every node with the outcome there, in the order of the configuration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Outcome<T>)> {
        self.replies.iter().map(|(node, outcome)| (&**node, outcome))
    }

    /// Returns the nodes that answered, with their answers.
    pub fn successes(&self) -> impl Iterator<Item = (&str, &T)> {
        self.iter().filter_map(|(node, outcome)| Some((node, outcome.ok()?)))
    }

    /// Returns the nodes with an error, with the error.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &node::Error)> {
        self.iter().filter_map(|(node, outcome)| Some((node, outcome.error()?)))
    }

    /// Returns the outcome on one node; `None` if there is no node of this name.
    pub fn get(&self, node: &str) -> Option<&Outcome<T>> {
        self.iter().find(|(name, _)| *name == node).map(|(_, outcome)| outcome)
    }

    /// Returns the answer to go by.
    ///
    /// # On a copy
    /// For a write, the answer of a node in sync: one that is not known to be behind for its keys, and is not just coming back
    /// empty. If such nodes gave different answers, that of the node that the key is read from counts; without an identity, that of most
    /// of them, if there is one. If only nodes that are behind took it, as they may a write of the whole value, the first of their answers counts.
    pub fn first(&self) -> Option<&T> {
        self.answers().next().map(|(_, _, reply)| reply)
    }

    /// Returns whether all answers that count are the same. A node without an answer does not count, nor does one that is
    /// known to be behind where another one is not.
    pub fn agreed(&self) -> bool
    where
        T: PartialEq,
    {
        let mut answers = self.answers().map(|(_, _, reply)| reply);
        answers.next().is_none_or(|first| answers.all(|reply| reply == first))
    }

    /// Returns the outcomes that count, the one to go by first, each with its place and its node.
    fn counting(&self) -> impl Iterator<Item = (usize, &Arc<str>, &Outcome<T>)> {
        let others =
            (0..self.replies.len()).filter(|idx| *idx != self.first && !self.uncounted.contains(idx));
        let outcome = |idx: usize| self.replies.get(idx).map(|(name, outcome)| (idx, name, outcome));
        std::iter::once(self.first).chain(others).filter_map(outcome)
    }

    /// Returns those of them that are answers.
    fn answers(&self) -> impl Iterator<Item = (usize, &Arc<str>, &T)> {
        self.counting().filter_map(|(idx, name, outcome)| Some((idx, name, outcome.ok()?)))
    }

    /// Returns the node whose answer is the one to go by; `None` if no node answered.
    pub(crate) fn first_node(&self) -> Option<Arc<str>> {
        self.answers().next().map(|(_, name, _)| Arc::clone(name))
    }

    /// Returns the answer to go by, or the error why there is none.
    pub(crate) fn into_first(mut self) -> Result<T, Option<node::Error>> {
        let answer = self.answers().next().map(|(idx, ..)| idx);
        let error = || self.counting().find_map(|(.., outcome)| outcome.error().cloned());
        let Some(answer) = answer else { return Err(error()) };
        match self.replies.swap_remove(answer).1 {
            Outcome::Ok(reply) => Ok(reply),
            _ => Err(None),
        }
    }

    /// Returns whether every node that the command was meant for answered.
    pub fn is_complete(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Returns the names of all nodes.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.replies.iter().map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Returns the number of nodes.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one node")]
    pub fn len(&self) -> usize {
        self.replies.len()
    }
}

impl Replies<Value> {
    /// Returns one value: each node's answer under its name.
    ///
    /// # Errors
    /// [`Partial`] if a node failed.
    pub(crate) fn by_name(self, command: &'static str) -> Result<Value, Error> {
        if self.is_complete() {
            let named = |(name, reply): (&str, &Value)| (Value::BulkString(name.into()), reply.clone());
            return Ok(Value::Map(self.successes().map(named).collect()));
        }
        let part = |(name, outcome): (Arc<str>, Outcome<Value>)| {
            let reply = match outcome {
                Outcome::Ok(reply) => Ok(reply),
                Outcome::Error(error) | Outcome::NotSent(error) | Outcome::Unknown(error) => Err(error),
                Outcome::Skipped => return None,
            };
            Some(PartReply { node: name.to_string(), keys: Vec::new(), reply })
        };
        let parts = self.replies.into_iter().filter_map(part).collect();
        Err(Error::Partial(Box::new(Partial { command, parts })))
    }

    /// Converts each answer; one that does not convert becomes an error of its node.
    pub(crate) fn decode<T: FromRedisValue>(self, command: &'static str) -> Replies<T> {
        let replies = self.replies.into_iter().map(|(name, outcome)| {
            let outcome = match outcome {
                Outcome::Ok(reply) => decode(&name, command, reply).into(),
                Outcome::Error(error) => Outcome::Error(error),
                Outcome::NotSent(error) => Outcome::NotSent(error),
                Outcome::Unknown(error) => Outcome::Unknown(error),
                Outcome::Skipped => Outcome::Skipped,
            };
            (name, outcome)
        });
        let replies = replies.collect();
        Replies { replies, first: self.first, uncounted: self.uncounted }
    }
}

/// Converts the reply of one node.
#[inline(always)] // or the reply is moved once more
pub(crate) fn decode<T: FromRedisValue>(
    name: &str,
    command: &'static str,
    reply: Value,
) -> Result<T, node::Error> {
    node::plumbing::decode(reply)
        .map_err(|error| node::Error::new(name.into(), command, node::ErrorKind::Reply(error.into())))
}

/// Converts a reply that was merged from those of several nodes.
pub(crate) fn decode_merged<T: FromRedisValue>(
    names: &[Arc<str>],
    command: &'static str,
    reply: Value,
) -> Result<T, Error> {
    node::plumbing::decode(reply).map_err(|error| Error::unmerged(command, names, error.into()))
}

impl<T> IntoIterator for Replies<T> {
    type Item = (Arc<str>, Outcome<T>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.replies.into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

//! What each node said.

use std::fmt;
use std::sync::Arc;

use redis::FromRedisValue;
use redis::Value;
use redisdb_node as node;

/// What each node said to one command: nothing is hidden, nothing is merged.
///
/// ```
/// # fn f(replies: redisdb_cluster::Replies<i64>) {
/// for (node, error) in replies.failures() {
///     eprintln!("{node} missed a write: {error}");
/// }
/// assert!(replies.agreed());
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Replies<T> {
    replies: Vec<(Arc<str>, Outcome<T>)>,
}

/// Each node's own answer to a question about itself, such as `INFO`, under the node's name.
pub type PerNode<T> = Replies<T>;

/// What became of a command on one node.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// The node took it and answered.
    Ok(T),
    /// The node answered with an error, or with something of another type.
    Error(node::Error),
    /// It never left: the node is down, or cannot be reached.
    NotSent(node::Error),
    /// It left, and no answer came: it may have been executed, or may still be.
    Unknown(node::Error),
    /// It was not meant for this node.
    Skipped,
}

/// The equality of what was said; two errors are equal when their texts are.
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
    /// The answer, if there is one.
    pub fn ok(&self) -> Option<&T> {
        match self {
            Self::Ok(reply) => Some(reply),
            _ => None,
        }
    }

    /// What went wrong, if something did.
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
        Self { replies }
    }

    /// Every node with what became of the command there, in the order of the configuration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Outcome<T>)> {
        self.replies.iter().map(|(node, outcome)| (&**node, outcome))
    }

    /// The nodes that answered, with their answers.
    pub fn successes(&self) -> impl Iterator<Item = (&str, &T)> {
        self.iter().filter_map(|(node, outcome)| Some((node, outcome.ok()?)))
    }

    /// The nodes where something went wrong, with what it was.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &node::Error)> {
        self.iter().filter_map(|(node, outcome)| Some((node, outcome.error()?)))
    }

    /// What became of the command on one node; `None` for a name that is not there.
    pub fn get(&self, node: &str) -> Option<&Outcome<T>> {
        self.iter().find(|(name, _)| *name == node).map(|(_, outcome)| outcome)
    }

    /// The first answer, in the order of the configuration.
    pub fn first(&self) -> Option<&T> {
        self.successes().next().map(|(_, reply)| reply)
    }

    /// Returns whether all answers are the same. Nodes without an answer do not count.
    pub fn agreed(&self) -> bool
    where
        T: PartialEq,
    {
        let mut answers = self.successes().map(|(_, reply)| reply);
        answers.next().is_none_or(|first| answers.all(|reply| reply == first))
    }

    /// Returns whether every node that the command was meant for answered.
    pub fn is_complete(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The number of nodes.
    #[expect(clippy::len_without_is_empty, reason = "there is at least one node")]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    fn map<U>(self, f: impl Fn(&Arc<str>, T) -> Result<U, node::Error>) -> Replies<U> {
        let replies = self.replies.into_iter().map(|(name, outcome)| {
            let outcome = match outcome {
                Outcome::Ok(reply) => Outcome::from(f(&name, reply)),
                Outcome::Error(error) => Outcome::Error(error),
                Outcome::NotSent(error) => Outcome::NotSent(error),
                Outcome::Unknown(error) => Outcome::Unknown(error),
                Outcome::Skipped => Outcome::Skipped,
            };
            (name, outcome)
        });
        Replies::new(replies.collect())
    }
}

impl Replies<Value> {
    /// Converts each answer; one that does not convert becomes an error of its node.
    pub(crate) fn decode<T: FromRedisValue>(self, command: &'static str) -> Replies<T> {
        self.map(|name, reply| decode(name, command, reply))
    }
}

/// Converts the reply of one node.
#[inline(always)] // or the reply is moved once more
pub(crate) fn decode<T: FromRedisValue>(
    name: &Arc<str>,
    command: &'static str,
    reply: Value,
) -> Result<T, node::Error> {
    T::from_redis_value(reply)
        .map_err(|error| node::Error::new(Arc::clone(name), command, node::ErrorKind::Reply(error.into())))
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

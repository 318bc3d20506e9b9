//! The errors of a ring and of a copy.

pub(crate) mod debug;
mod repair;
mod says;

use std::collections::HashMap;
use std::sync::Arc;

use redis::Cmd;
use redis::FromRedisValue;
use redis::Value;
use redisdb_hashring::BuildError;
use redisdb_node as node;
use redisdb_node::command::KeyError;
use redisdb_node::command::Spec;
use redisdb_node::plumbing::foreign;

use crate::anti_entropy::convergence::NotConverged;
use crate::config::ConfigError;
use crate::replies::Replies;
use crate::replies::decode;

pub use self::repair::RepairError;
pub use self::repair::RepairReason;
pub(crate) use self::says::first_word;

/// The error of a call on a ring or a copy.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// One node failed: it answered with an error, could not be reached, or did not answer.
    Node(node::Error),
    /// No node can answer: on a ring the owner of the key, on a copy any node that is in sync.
    Unavailable(Box<Unavailable>),
    /// The keys do not belong together, and the command cannot be split.
    CrossNode(Box<CrossNode>),
    /// The command cannot run on several independent servers, or not like this.
    Unsupported {
        /// The command.
        command: String,
        /// `ring` or `copy`.
        strategy: &'static str,
        /// Why, and what to do instead.
        reason: String,
    },
    /// The command is not in the command table, so it is not known where it may go.
    UnknownCommand {
        /// The command.
        command: String,
    },
    /// The keys of the command cannot be found.
    Keys {
        /// The command.
        command: &'static str,
        /// Why.
        reason: KeyError,
    },
    /// Some or all parts of a command for several nodes failed; the other parts were executed. Through redis-rs and `query`, a
    /// question to each node is such a command, if a node failed.
    Partial(Box<Partial>),
    /// The replies of several nodes cannot be merged into one of the type that was asked for. The command was executed.
    Merged(Box<Merged>),
    /// Fewer nodes took a write than [`WriteTo`](crate::WriteTo) wants. Those that took it keep it.
    TooFewReplies(Box<TooFewReplies>),
    /// Fewer nodes answered than a comparison of them needs.
    TooFewNodes(Box<TooFewNodes>),
    /// The nodes gave different answers where one was asked for.
    Disagreement(Box<TooFewReplies>),
    /// A key did not become the [same on all nodes](crate::RedisCopy::converged) of a copy in time.
    NotConverged(Box<NotConverged>),
    /// A node of a copy was not repaired.
    Repair(RepairError),
    /// The nodes of a copy were not [replaced](crate::RedisCopy::replace): none of those that stay is up and in sync, so what
    /// only the others hold would be lost.
    NotReplaced {
        /// The nodes that would stay.
        stale: Vec<String>,
    },
    /// The servers are not those of this copy, as far as their markers say.
    Identity {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// There is no node of this name.
    NoSuchNode {
        /// The name.
        name: String,
    },
    /// The nodes do not make a ring.
    Ring(BuildError),
    /// The configuration is wrong.
    Config(ConfigError),
}

/// The reasons why no node can answer.
#[derive(Clone)]
#[non_exhaustive]
pub struct Unavailable {
    /// The command.
    pub command: &'static str,
    /// The first key, if the command has one.
    pub key: Option<Vec<u8>>,
    /// The error of each node that was asked; on a ring there is one.
    pub errors: Vec<node::Error>,
    /// The nodes of a copy that do not count, because they have missed a write, or came back with other data.
    pub behind: Vec<String>,
    /// The nodes of a copy that executed it all the same, though they are behind, or had been emptied a moment before. Repair
    /// will overwrite what they did.
    pub in_vain: Vec<String>,
}

/// Replies of several nodes that cannot be merged into the one that was asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Merged {
    /// The command.
    pub command: &'static str,
    /// The nodes whose replies were merged.
    pub nodes: Vec<String>,
    /// What does not fit.
    pub reason: redis::RedisError,
}

/// The keys of a command that are on several nodes.
#[derive(Clone)]
#[non_exhaustive]
pub struct CrossNode {
    /// The command.
    pub command: &'static str,
    /// Each key and the name of the node that owns it, in the order of the command.
    pub keys: Vec<(Vec<u8>, String)>,
}

/// The outcome of each part of a command that was split.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Partial {
    /// The command.
    pub command: &'static str,
    /// The parts, in the order of the nodes.
    pub parts: Vec<PartReply>,
}

/// The part of one node in a command that was split.
#[derive(Clone)]
#[non_exhaustive]
pub struct PartReply {
    /// The node.
    pub node: String,
    /// The keys it owns, in the order of the command; none if the command has no keys.
    pub keys: Vec<Vec<u8>>,
    /// The reply of the node.
    pub reply: Result<Value, node::Error>,
}

impl Partial {
    /// Returns the keys whose part failed, each with the error.
    pub fn failed_keys(&self) -> impl Iterator<Item = (&[u8], &node::Error)> {
        self.failures().flat_map(|(part, error)| part.keys.iter().map(move |key| (key.as_slice(), error)))
    }

    /// Returns the keys whose part was executed.
    pub fn done_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.parts
            .iter()
            .filter(|part| part.reply.is_ok())
            .flat_map(|part| part.keys.iter().map(Vec::as_slice))
    }

    /// Returns the outcome for each of these keys, of a command whose reply has an element for each key.
    pub(crate) fn by_key<T: FromRedisValue>(self, keys: &[Vec<u8>]) -> Vec<Result<T, Error>> {
        let command = self.command;
        let mut found = HashMap::with_capacity(keys.len());
        for PartReply { node, keys, reply } in self.parts {
            let node: Arc<str> = node.into();
            let replies: Vec<_> = match reply.and_then(|reply| decode(&node, command, reply)) {
                Ok(elements) if Vec::len(&elements) == keys.len() => {
                    elements.into_iter().map(|value: Value| Ok((Arc::clone(&node), value))).collect()
                }
                // Nobody knows which element belongs to which key.
                Ok(elements) => {
                    let reason = format!("{} elements for {} keys", elements.len(), keys.len());
                    let reason =
                        (redis::ErrorKind::UnexpectedReturnType, "not one element for each key", reason);
                    let kind = node::ErrorKind::Reply(reason.into());
                    let error = node::Error::new(Arc::clone(&node), command, kind);
                    keys.iter().map(|_| Err(error.clone())).collect()
                }
                Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
            };
            found.extend(keys.into_iter().zip(replies));
        }
        let unasked = || node::ErrorKind::Unsupported("no node was asked for this key".into());
        let of = |key| match found.get(key) {
            Some(Ok((node, value))) => decode(node, command, value.clone()),
            Some(Err(error)) => Err(error.clone()),
            None => Err(node::Error::without_node(command, unasked())),
        };
        keys.iter().map(|key| of(key).map_err(Error::Node)).collect()
    }

    fn failures(&self) -> impl Iterator<Item = (&PartReply, &node::Error)> {
        self.parts.iter().filter_map(|part| Some((part, part.reply.as_ref().err()?)))
    }
}

/// A write that too few nodes took, or whose answers differ.
#[derive(Clone)]
#[non_exhaustive]
pub struct TooFewReplies {
    /// The command.
    pub command: &'static str,
    /// The number of nodes that should have taken it.
    pub wanted: usize,
    /// The outcome on each node.
    pub replies: Replies<Value>,
}

/// A comparison of nodes that too few of them answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TooFewNodes {
    /// `verify`, for example.
    pub command: &'static str,
    /// The number of nodes that it needs.
    pub wanted: usize,
    /// The nodes that answered.
    pub answered: Vec<String>,
    /// The errors of the others.
    pub errors: Vec<node::Error>,
}

impl Error {
    /// Returns the error of a command that is not sent, with the reason and what to do instead.
    pub(crate) fn refused(command: &str, strategy: &'static str, reason: impl Into<String>) -> Self {
        Self::Unsupported { command: command.to_owned(), strategy, reason: reason.into() }
    }

    /// Returns the error of a command that names a key which a copy keeps on its servers for itself.
    #[cold]
    pub(crate) fn own_key(command: &str, key: &[u8]) -> Self {
        let reason = format!(
            "the key `{}` is one that the copy keeps on its servers for itself, by its identity; give yours another name, or \
             look at one server's by `on_node(name)`",
            foreign::bytes(key)
        );
        Self::refused(command, "copy", reason)
    }

    /// Returns the error of replies that cannot be merged, or not into one of the type that was asked for.
    pub(crate) fn unmerged(command: &'static str, nodes: &[Arc<str>], reason: redis::RedisError) -> Self {
        let nodes = nodes.iter().map(|name| name.to_string()).collect();
        Self::Merged(Box::new(Merged { command, nodes, reason }))
    }

    /// Returns the error of a node of a copy that was not repaired.
    pub(crate) fn unrepaired(node: &str, reason: RepairReason) -> Self {
        Self::Repair(RepairError::new(node, reason))
    }

    /// Returns the error of a command without a row.
    pub(crate) fn unknown(cmd: &Cmd) -> Self {
        Self::UnknownCommand { command: first_word(cmd) }
    }

    /// Returns the error of a command whose keys cannot be found.
    pub(crate) fn keys(spec: &Spec) -> impl Fn(KeyError) -> Self + use<> {
        let command = spec.name;
        move |reason| Self::Keys { command, reason }
    }

    /// Returns the error of a command that no node can answer.
    pub(crate) fn unavailable(
        command: &'static str,
        key: Option<&[u8]>,
        errors: Vec<node::Error>,
        behind: Vec<String>,
    ) -> Self {
        let key = key.map(<[u8]>::to_vec);
        Self::Unavailable(Box::new(Unavailable { command, key, errors, behind, in_vain: Vec::new() }))
    }

    /// Returns the same error, of a command that these nodes have executed in vain.
    pub(crate) fn done_in_vain(self, nodes: Vec<String>) -> Self {
        match self {
            Self::Unavailable(unavailable) => {
                Self::Unavailable(Box::new(Unavailable { in_vain: nodes, ..*unavailable }))
            }
            other => other,
        }
    }

    /// Returns the errors of single nodes in this one.
    pub fn node_errors(&self) -> Vec<&node::Error> {
        match self {
            Self::Node(error) => vec![error],
            Self::Unavailable(unavailable) => unavailable.errors.iter().collect(),
            Self::TooFewNodes(too_few) => too_few.errors.iter().collect(),
            Self::Partial(partial) => partial.failures().map(|(_, error)| error).collect(),
            Self::TooFewReplies(write) | Self::Disagreement(write) => {
                write.replies.failures().map(|(_, error)| error).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the code of the error reply, `WRONGTYPE` for example, if every node that failed gave the same.
    pub fn code(&self) -> Option<&str> {
        let errors = self.node_errors();
        let code = errors.first()?.code()?;
        errors.iter().all(|error| error.code() == Some(code)).then_some(code)
    }

    /// Returns whether time ran out on some node, or for a key to become the same on all.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::NotConverged(_)) || self.node_errors().iter().any(|error| error.is_timeout())
    }

    /// Returns whether some node could not be reached.
    pub fn is_connect(&self) -> bool {
        self.node_errors().iter().any(|error| error.is_connect())
    }

    /// Returns whether a scan has to be started anew: its server was restarted or replaced, or its cursor is of other servers.
    pub fn is_stale_cursor(&self) -> bool {
        self.node_errors().iter().any(|error| error.is_stale_cursor())
    }

    /// Returns whether the command cannot run like this, whatever the state of the servers.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Unsupported { .. }
            | Self::CrossNode(_)
            | Self::UnknownCommand { .. }
            | Self::Keys { .. } => true,
            Self::Node(error) => error.is_unsupported(),
            _ => false,
        }
    }

    /// Returns whether some server may have executed the command or a part of it, or may do so later.
    ///
    /// `false` is a proof that none did.
    pub fn may_have_executed(&self) -> bool {
        let was_executed = match self {
            Self::Partial(partial) => partial.parts.iter().any(|part| part.reply.is_ok()),
            Self::TooFewReplies(write) | Self::Disagreement(write) => {
                write.replies.successes().next().is_some()
            }
            Self::Unavailable(unavailable) => !unavailable.in_vain.is_empty(),
            Self::Merged(_) => true,
            Self::Repair(error) => error.may_have_begun(),
            _ => false,
        };
        was_executed || self.node_errors().iter().any(|error| error.may_have_executed())
    }
}

impl std::error::Error for Error {}

impl node::Failure for Error {
    fn is_timeout(&self) -> bool {
        Self::is_timeout(self)
    }

    fn is_connect(&self) -> bool {
        Self::is_connect(self)
    }

    fn is_unsupported(&self) -> bool {
        Self::is_unsupported(self)
    }

    fn may_have_executed(&self) -> bool {
        Self::may_have_executed(self)
    }
}

impl From<node::Error> for Error {
    fn from(error: node::Error) -> Self {
        Self::Node(error)
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Ring(error)
    }
}

/// The error of a builder that is made of itself, which cannot fail.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_one_element_for_each_key_is_believed_for_none() {
        let keys = [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
        for n_elements in [0, 1, 3] {
            let reply = Value::Array(vec![Value::Int(7); n_elements]);
            let down = node::ErrorKind::Timeout(std::time::Duration::from_secs(1));
            let parts = vec![
                PartReply { node: "x".to_owned(), keys: keys[..2].to_vec(), reply: Ok(reply) },
                PartReply {
                    node: "y".to_owned(),
                    keys: keys[2..].to_vec(),
                    reply: Err(node::Error::new("y".into(), "MGET", down)),
                },
            ];
            let found = Partial { command: "MGET", parts }.by_key::<u8>(&keys);
            for found in &found[..2] {
                let Err(Error::Node(error)) = found else { panic!("{found:?}") };
                assert!(matches!(error.kind(), node::ErrorKind::Reply(_)), "{error}");
                assert_eq!(error.node(), Some("x"));
            }
            assert!(matches!(&found[2], Err(Error::Node(error)) if error.is_timeout()));
        }
    }
}

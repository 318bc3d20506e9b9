//! The reply to one command on a ring or a copy: one node's, one that was merged, or each node's own.

use std::sync::Arc;

use redis::FromRedisValue;
use redis::Value;
use redisdb_node::command::Access;
use redisdb_node::command::Keys;
use redisdb_node::command::Spec;

use crate::error::Error;
use crate::error::TooFewReplies;
use crate::replies::Outcome;
use crate::replies::Replies;
use crate::replies::decode;
use crate::replies::decode_merged;

/// The reply to one command on a ring or a copy.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodesReply {
    /// One reply, and the node that gave it.
    One(Arc<str>, Value),
    /// One reply, merged from those of these nodes.
    Merged(Box<[Arc<str>]>, Value),
    /// The outcome on each node.
    Each(Replies<Value>),
}

impl NodesReply {
    /// Returns one value. For a question to each node that is each answer under its node's name; for a write on a copy, the
    /// answer on which all nodes that count agree.
    pub(crate) fn into_one(self, spec: &'static Spec) -> Result<Value, Error> {
        match self {
            Self::One(_, value) | Self::Merged(_, value) => Ok(value),
            Self::Each(replies) if spec.access == Access::Each => replies.by_name(spec.name),
            Self::Each(replies) => match replies.first() {
                // `SORT` without `STORE` gives elements of equal weight in any order.
                Some(first) if replies.agreed() || matches!(spec.keys, Keys::OneAndAfter { .. }) => {
                    Ok(first.clone())
                }
                _ => Err(Error::Disagreement(Box::new(TooFewReplies {
                    command: spec.name,
                    wanted: replies.len(),
                    replies,
                }))),
            },
        }
    }

    /// Returns the value as this type; the error names the nodes that gave another one.
    pub(crate) fn read<T: FromRedisValue>(self, spec: &'static Spec) -> Result<T, Error> {
        let names = match self {
            Self::One(name, value) => return Ok(decode(&name, spec.name, value)?),
            Self::Merged(names, value) => return decode_merged(&names, spec.name, value),
            Self::Each(ref replies) if spec.access == Access::Each => replies.names(),
            Self::Each(ref replies) => replies.first_node().into_iter().collect(),
        };
        let value = self.into_one(spec)?;
        match names.as_slice() {
            [name] if spec.access != Access::Each => Ok(decode(name, spec.name, value)?),
            names => decode_merged(names, spec.name, value),
        }
    }

    /// Returns the outcome on each node as this type.
    pub(crate) fn read_each<T: FromRedisValue>(self, spec: &'static Spec) -> Replies<T> {
        let outcome =
            |name: &Arc<str>, value| (Arc::clone(name), Outcome::from(decode(name, spec.name, value)));
        match self {
            Self::Each(replies) => replies.decode(spec.name),
            Self::One(name, value) => Replies::new(vec![outcome(&name, value)]),
            // No node's own share of a merged reply is known.
            Self::Merged(names, value) => {
                Replies::new(names.iter().map(|name| outcome(name, value.clone())).collect())
            }
        }
    }
}

//! The errors as `Debug` shows them: keys escaped and cut, and of replies only the kind and size.

use std::fmt;

use redis::Value;
use redisdb_node::plumbing::foreign;
use redisdb_node::plumbing::shape;

use super::CrossNode;
use super::PartReply;
use super::TooFewReplies;
use super::Unavailable;
use crate::replies::Outcome;

/// Writes the `Debug` of a struct: its fields, some of them shown as another value.
macro_rules! debug {
    ($type:ident { $($field:ident $(= $shown:expr)?),* $(,)? }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let Self { $($field),* } = self;
                $($(let $field = &$shown;)?)*
                f.debug_struct(stringify!($type))$(.field(stringify!($field), $field))*.finish()
            }
        }
    };
}
pub(crate) use debug;

debug!(Unavailable { command, key = key.as_deref().map(Shown), errors, behind, in_vain });
debug!(CrossNode { command, keys = Pairs(keys) });
debug!(PartReply { node, keys = Keys(keys), reply = reply.as_ref().map(Answer) });
debug!(TooFewReplies {
    command,
    wanted,
    replies = replies.iter().map(|(node, outcome)| (node, Told(outcome))).collect::<Vec<_>>(),
});

/// The outcome of a command on a node, whose answer is shown without its bytes.
struct Told<'a>(&'a Outcome<Value>);

impl fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Outcome::Ok(reply) => f.debug_tuple("Ok").field(&Answer(reply)).finish(),
            other => other.fmt(f),
        }
    }
}

/// A reply without its bytes: it may hold a secret, or megabytes.
struct Answer<'a>(&'a Value);

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shape(self.0))
    }
}

/// A key, escaped and cut, because somebody else may have chosen it.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", foreign::bytes(self.0))
    }
}

/// Several keys, each shown like one.
pub(crate) struct Keys<'a>(pub(crate) &'a [Vec<u8>]);

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| Shown(key))).finish()
    }
}

/// Several keys, each with the text that belongs to it.
pub(crate) struct Pairs<'a>(pub(crate) &'a [(Vec<u8>, String)]);

impl fmt::Debug for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, text)| (Shown(key), text))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::error::Partial;
    use crate::replies::Replies;

    #[test]
    fn no_error_shows_a_value_or_a_whole_key() {
        let key = || b"\x1b[2J\n".repeat(1 << 16);
        let value = || Value::BulkString(b"hunter2".repeat(1 << 16));
        let errors: [Error; 4] = [
            Error::Unavailable(Box::new(Unavailable {
                command: "GET",
                key: Some(key()),
                errors: Vec::new(),
                behind: Vec::new(),
                in_vain: Vec::new(),
            })),
            Error::CrossNode(Box::new(CrossNode { command: "MSETNX", keys: vec![(key(), "a".to_owned())] })),
            Error::Partial(Box::new(Partial {
                command: "MGET",
                parts: vec![PartReply { node: "a".to_owned(), keys: vec![key()], reply: Ok(value()) }],
            })),
            Error::TooFewReplies(Box::new(TooFewReplies {
                command: "GETSET",
                wanted: 2,
                replies: Replies::new(vec![("a".into(), Outcome::Ok(value()))]),
            })),
        ];
        for error in errors {
            for shown in [format!("{error:?}"), format!("{:#?}", [&error])] {
                assert!(shown.len() < 800, "{} bytes: {shown:.500}", shown.len());
                assert!(!shown.contains('\u{1b}') && !shown.contains("hunter2"), "{shown}");
                assert!(
                    shown.contains("a string of 458752 bytes") || shown.contains("..(327680 bytes)"),
                    "{shown}"
                );
            }
        }
    }
}

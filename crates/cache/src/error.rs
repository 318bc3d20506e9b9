//! The errors of a cache.

mod load;

use redisdb_node::Failure;

pub use load::LoadError;

/// What went wrong with a cache over a store whose errors are `S`: [`redisdb_node::Error`] for a node, the
/// cluster's for a ring or a copy.
///
/// A value never stands in a message.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error<S> {
    /// The store answered with an error, could not be reached, or does not run the command.
    #[error(transparent)]
    Store(S),
    /// What is stored is not what was asked for.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The value cannot be written with the cache's codec. Nothing was sent.
    #[error(transparent)]
    Encode(EncodeError),
    /// The value is longer than [the limit](crate::CacheBuilder::max_stored_len) when it is stored. Nothing
    /// was sent.
    #[error(transparent)]
    TooLarge(TooLargeError),
    /// The key cannot be used. Nothing was sent.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is nothing under the key, where something must be.
    #[error(transparent)]
    Missing(MissingError),
    /// There is no value to return, because it could not be loaded.
    #[error(transparent)]
    Load(LoadError),
    /// The store's reply has not one element for each key that was asked for, so no element is taken for any
    /// key's.
    #[error(transparent)]
    Reply(ReplyError),
    /// The cache was [closed](crate::Cache::close). Nothing was sent.
    #[error("the cache is closed")]
    Closed,
    /// Many keys were to be deleted, and the cache has no prefix that would tell its own from those of
    /// others. Nothing was sent.
    #[error("without a prefix the cache cannot tell its keys from those of others; give it one")]
    Unprefixed,
}

/// Why what is stored cannot be returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The key, as in messages: escaped, and cut if it is long.
    pub key: String,
    /// What is wrong with it.
    pub reason: DecodeReason,
}

/// What is wrong with what is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// It is no integer and has no envelope: something else wrote it.
    #[error("what is stored there was not written by a cache with envelopes")]
    Foreign,
    /// It has an envelope of a version that this version of the library does not read.
    #[error("it was written by another version of the cache (envelope {0})")]
    Version(u8),
    /// It was cut, or has something behind its end.
    #[error("what is stored there was cut, or lengthened")]
    Length,
    /// It was changed after it was written, or was written under another key.
    #[error("what is stored there was changed after it was written, or was written under another key")]
    Checksum,
    /// It was written with a codec that this cache was not told to [read](crate::CacheBuilder::also_reads).
    #[error("it was written with codec {0}, which this cache does not read; see `also_reads`")]
    Codec(u8),
    /// It was written with another schema.
    #[error("it was written with schema {stored}, and this cache has schema {wanted}")]
    Schema {
        /// The schema it was written with.
        stored: u16,
        /// The schema of this cache.
        wanted: u16,
    },
    /// It is compressed, and this cache was not told to read such (by `zstd`), or it cannot be decompressed.
    #[error("it is compressed, and cannot be read; a cache reads such entries that has `zstd`")]
    Compression,
    /// It would be longer than [the limit](crate::CacheBuilder::max_decoded_len).
    #[error("it is {len} bytes long, and at most {limit} are accepted")]
    TooLarge {
        /// How long it is, or says it is, in bytes.
        len: u64,
        /// How long it may be.
        limit: u64,
    },
    /// It would be longer than what is left of the limit (`CacheBuilder::max_unpacked_len`) for the
    /// compressed entries of one call.
    #[error(
        "it is {len} bytes long when it is decompressed, and the entries before it have left {left} of the {limit} that one \
         call may take (`max_unpacked_len`)"
    )]
    TooMuch {
        /// How long it says it is, in bytes.
        len: u64,
        /// How much the entries before it have left.
        left: u64,
        /// How long all of them may be together.
        limit: u64,
    },
    /// It is intact, but is not of the type that was asked for, or is nested more deeply than is
    /// [read](crate::Codec).
    #[error("what is stored there is no `{wanted}`")]
    Type {
        /// The type.
        wanted: &'static str,
    },
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: the value cannot be written: {reason}")]
#[non_exhaustive]
pub struct EncodeError {
    /// The key, as in messages.
    pub key: String,
    /// What the codec, or the type's `Serialize`, says.
    pub reason: String,
}

/// That a value is too long to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: {len} bytes would be stored, and at most {limit} may be")]
#[non_exhaustive]
pub struct TooLargeError {
    /// The key, as in messages.
    pub key: String,
    /// How many bytes would be stored.
    pub len: usize,
    /// How many may be.
    pub limit: usize,
}

/// That a key is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: it is {len} bytes long, and at most {limit} may be")]
#[non_exhaustive]
pub struct KeyError {
    /// The key, as in messages.
    pub key: String,
    /// How long it is with prefix, version and escapes, in bytes.
    pub len: usize,
    /// How long it may be.
    pub limit: usize,
}

/// That there is nothing under a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: there is nothing")]
#[non_exhaustive]
pub struct MissingError {
    /// The key, as in messages.
    pub key: String,
}

/// That a reply does not have one element for each key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reply to `{command}` of {n_keys} keys has {n_elements} elements; is this a Redis server?")]
#[non_exhaustive]
pub struct ReplyError {
    /// The command.
    pub command: &'static str,
    /// How many keys were asked for.
    pub n_keys: usize,
    /// How many elements came.
    pub n_elements: usize,
}

impl ReplyError {
    pub(crate) fn to_mget(n_keys: usize, n_elements: usize) -> Self {
        Self { command: "MGET", n_keys, n_elements }
    }
}

impl<S> Error<S> {
    /// The store's own error, if it is one.
    pub fn store(&self) -> Option<&S> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether there is a value under the key that cannot be returned.
    pub fn is_decode(&self) -> bool {
        matches!(self, Self::Decode(_))
    }
}

impl<S: Failure> Error<S> {
    /// Returns whether time ran out on a server.
    pub fn is_timeout(&self) -> bool {
        self.store().is_some_and(Failure::is_timeout)
    }

    /// Returns whether a server could not be reached.
    pub fn is_connect(&self) -> bool {
        self.store().is_some_and(Failure::is_connect)
    }

    /// Returns whether the store does not run such a command, or not like this, whatever the state of the
    /// servers.
    pub fn is_unsupported(&self) -> bool {
        self.store().is_some_and(Failure::is_unsupported)
    }

    /// Returns whether a server may have written what was to be written, or may do so later. `false` is a
    /// proof that none did.
    ///
    /// It speaks of the call that failed: the text of a [loader's](Error::Load) own error may say something
    /// else of the loader's, and [`move_to_version`](crate::Cache::move_to_version) makes several, of which
    /// those before may have been executed.
    pub fn may_have_executed(&self) -> bool {
        self.store().is_some_and(Failure::may_have_executed)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use redisdb_node as node;
    use redisdb_node::ErrorKind;

    use super::*;
    use crate::key::AsKey;

    fn of(kind: ErrorKind) -> node::Error {
        node::Error::new("a".into(), "GET", kind)
    }

    /// What an error answers: timeout, connect, unsupported, decode, executed.
    type Answers = [bool; 5];

    fn check(error: &Error<node::Error>, text: &str, answers: Answers) {
        let shown = error.to_string();
        assert!(shown.contains(text), "{shown}");
        let says = shown.contains("may have been executed") || shown.contains("may still be");
        assert_eq!(says, error.may_have_executed(), "{shown}");
        let found = [
            error.is_timeout(),
            error.is_connect(),
            error.is_unsupported(),
            error.is_decode(),
            error.may_have_executed(),
        ];
        assert_eq!(found, answers, "{shown}");
        assert_eq!(error.store().is_some(), matches!(error, Error::Store(_)), "{shown}");
        // The text is whole, so that a chain of sources would say a part of it twice.
        assert!(error.source().is_none(), "{shown}");
    }

    #[test]
    fn every_kind_says_what_it_answers() {
        let second = Duration::from_secs(1);
        let io = || Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
        let key = || "k".to_owned();
        let (timeout, down) =
            (ErrorKind::Timeout(second), ErrorKind::Down { cause: Arc::new(ErrorKind::Timeout(second)) });
        for (error, text, answers) in [
            (Error::Store(of(timeout)), "no reply within 1s", [true, false, false, false, true]),
            (
                Error::Store(of(ErrorKind::Disconnected(io()))),
                "connection lost",
                [false, false, false, false, true],
            ),
            (Error::Store(of(down)), "down: no reply within 1s", [true, true, false, false, false]),
            (Error::Store(of(ErrorKind::Connect(io()))), "no connection", [false, true, false, false, false]),
            (
                Error::Store(of(ErrorKind::ConnectTimeout(second))),
                "no connection within 1s",
                [true, true, false, false, false],
            ),
            (
                Error::Store(of(ErrorKind::Unsupported("text".into()))),
                "text",
                [false, false, true, false, false],
            ),
            (
                Error::Encode(EncodeError { key: key(), reason: "text".to_owned() }),
                "the value cannot be written: text",
                [false; 5],
            ),
            (
                Error::TooLarge(TooLargeError { key: key(), len: 2, limit: 1 }),
                "2 bytes would be stored, and at most 1",
                [false; 5],
            ),
            (
                Error::Key(KeyError { key: key(), len: 2, limit: 1 }),
                "it is 2 bytes long, and at most 1",
                [false; 5],
            ),
            (Error::Missing(MissingError { key: key() }), "there is nothing", [false; 5]),
            (Error::Load(LoadError::timeout("k", second)), "its loader gave nothing within 1s", [false; 5]),
            (
                Error::Load(LoadError::lost("k".as_key())),
                "its loader panicked, or the cache was closed",
                [false; 5],
            ),
            (
                Error::Load(LoadError::of("k", MissingError { key: key() })),
                "its loader gave an error, so nothing was stored: key `k`: there is nothing",
                [false; 5],
            ),
            (
                Error::Load(LoadError::overloaded("k".as_key(), 9)),
                "9 loads are under way, which is the most",
                [false; 5],
            ),
            (
                Error::Reply(ReplyError::to_mget(3, 2)),
                "the reply to `MGET` of 3 keys has 2 elements",
                [false; 5],
            ),
            (Error::Closed, "the cache is closed", [false; 5]),
            (Error::Unprefixed, "without a prefix", [false; 5]),
        ] {
            check(&error, text, answers);
            // Each that is about a key names it.
            let is_of_a_key =
                !matches!(error, Error::Store(_) | Error::Reply(_) | Error::Closed | Error::Unprefixed);
            assert_eq!(error.to_string().starts_with("key `k`: "), is_of_a_key, "{error}");
        }
        for (reason, text) in [
            (DecodeReason::Foreign, "was not written by a cache with envelopes"),
            (DecodeReason::Version(9), "another version of the cache (envelope 9)"),
            (DecodeReason::Length, "was cut, or lengthened"),
            (DecodeReason::Checksum, "was changed after it was written"),
            (DecodeReason::Codec(9), "codec 9, which this cache does not read"),
            (DecodeReason::Schema { stored: 1, wanted: 2 }, "schema 1, and this cache has schema 2"),
            (DecodeReason::Compression, "it is compressed, and cannot be read"),
            (DecodeReason::TooMuch { len: 3, left: 2, limit: 9 }, "have left 2 of the 9"),
            (DecodeReason::TooLarge { len: 2, limit: 1 }, "it is 2 bytes long, and at most 1 are accepted"),
            (DecodeReason::Type { wanted: "u8" }, "is no `u8`"),
        ] {
            check(
                &Error::Decode(DecodeError { key: key(), reason }),
                text,
                [false, false, false, true, false],
            );
        }
    }
}

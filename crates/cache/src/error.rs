//! The errors of a cache.

mod load;

use redisdb_node::Failure;

pub use load::LoadError;

/// The error of a cache over a store whose errors are `S`: [`redisdb_node::Error`] for a node, the cluster's
/// for a ring or a copy.
///
/// No message contains a value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error<S> {
    /// The store answered with an error, could not be reached, or does not run the command.
    #[error(transparent)]
    Store(S),
    /// The stored value is not the one that was asked for.
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
    /// The store's reply does not have one element for each key that was asked for, so no element is taken as
    /// the value of a key.
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

/// The reason why what is stored cannot be returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: {reason}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The key, as in messages: escaped, and cut if it is long.
    pub key: String,
    /// The reason.
    pub reason: DecodeReason,
}

/// The reason why a stored value cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeReason {
    /// The value is no integer and has no envelope: another program wrote it.
    #[error("the value was not written by a cache with envelopes")]
    Foreign,
    /// The envelope has a version that this version of the library does not read.
    #[error("the value was written by another version of the cache (envelope {0})")]
    Version(u8),
    /// The value was cut, or has more bytes behind its end.
    #[error("the value was cut, or lengthened")]
    Length,
    /// The value was changed after it was written, or was written under another key.
    #[error("the value was changed after it was written, or was written under another key")]
    Checksum,
    /// The value was written with a codec that this cache was not told to
    /// [read](crate::CacheBuilder::also_reads).
    #[error("the value was written with codec {0}, which this cache does not read; see `also_reads`")]
    Codec(u8),
    /// The value was written with another schema.
    #[error("the value was written with schema {stored}, and this cache has schema {wanted}")]
    Schema {
        /// The schema it was written with.
        stored: u16,
        /// The schema of this cache.
        wanted: u16,
    },
    /// The value is compressed. This cache was not told by `zstd` to read such values, or the value cannot be
    /// decompressed.
    #[error("the value is compressed, and cannot be read; a cache built with `zstd` reads such values")]
    Compression,
    /// The value would be longer than [the limit](crate::CacheBuilder::max_decoded_len).
    #[error("the value is {len} bytes long, and at most {limit} are accepted")]
    TooLarge {
        /// The length that the value has, or says it has, in bytes.
        len: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The value would be longer than the rest of the limit (`CacheBuilder::max_unpacked_len`) for the
    /// compressed entries of one call.
    #[error(
        "the value is {len} bytes long when it is decompressed, and the entries before it have left {left} of the {limit} that one \
         call may take (`max_unpacked_len`)"
    )]
    TooMuch {
        /// The length that the value says it has, in bytes.
        len: u64,
        /// The bytes that the entries before it have left.
        left: u64,
        /// The limit for all of them together, in bytes.
        limit: u64,
    },
    /// The value is intact, but it is not of the type that was asked for, or it is nested more deeply than
    /// the codec [reads](crate::Codec).
    #[error("the value is no `{wanted}`")]
    Type {
        /// The type.
        wanted: &'static str,
    },
}

/// The reason why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: the value cannot be written: {reason}")]
#[non_exhaustive]
pub struct EncodeError {
    /// The key, as in messages.
    pub key: String,
    /// The error of the codec, or of the type's `Serialize`.
    pub reason: String,
}

/// A value is too long to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: {len} bytes would be stored, and at most {limit} may be")]
#[non_exhaustive]
pub struct TooLargeError {
    /// The key, as in messages.
    pub key: String,
    /// The number of bytes that would be stored.
    pub len: usize,
    /// The limit, in bytes.
    pub limit: usize,
}

/// A key is too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: the key is {len} bytes long, and at most {limit} may be")]
#[non_exhaustive]
pub struct KeyError {
    /// The key, as in messages.
    pub key: String,
    /// The length with prefix, version and escapes, in bytes.
    pub len: usize,
    /// The limit, in bytes.
    pub limit: usize,
}

/// A key has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: there is nothing")]
#[non_exhaustive]
pub struct MissingError {
    /// The key, as in messages.
    pub key: String,
}

/// A reply does not have one element for each key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reply to `{command}` of {n_keys} keys has {n_elements} elements; is this a Redis server?")]
#[non_exhaustive]
pub struct ReplyError {
    /// The command.
    pub command: &'static str,
    /// The number of keys that were asked for.
    pub n_keys: usize,
    /// The number of elements that came.
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
    /// The answer is about the call that failed. The text of a [loader's](Error::Load) own error may speak of
    /// the loader's calls, and [`move_to_version`](crate::Cache::move_to_version) makes several calls, of
    /// which earlier ones may have been executed.
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

    /// The answers of an error: timeout, connect, unsupported, decode, executed.
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
        // The text is whole, so a chain of sources would say a part of it twice.
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
                "the key is 2 bytes long, and at most 1",
                [false; 5],
            ),
            (Error::Missing(MissingError { key: key() }), "there is nothing", [false; 5]),
            (Error::Load(LoadError::timeout("k", second)), "the loader gave nothing within 1s", [false; 5]),
            (
                Error::Load(LoadError::lost("k".as_key())),
                "the loader panicked, or the cache was closed",
                [false; 5],
            ),
            (
                Error::Load(LoadError::of("k", MissingError { key: key() })),
                "the loader gave an error, so nothing was stored: key `k`: there is nothing",
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
            // An error about a key names the key.
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
            (DecodeReason::Compression, "the value is compressed, and cannot be read"),
            (DecodeReason::TooMuch { len: 3, left: 2, limit: 9 }, "have left 2 of the 9"),
            (
                DecodeReason::TooLarge { len: 2, limit: 1 },
                "the value is 2 bytes long, and at most 1 are accepted",
            ),
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

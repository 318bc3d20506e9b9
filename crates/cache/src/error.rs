//! What may go wrong with a cache.

mod load;

use std::fmt;

use redisdb_node as node;
use redisdb_node::Failure;

pub use load::LoadError;

/// What went wrong with a cache over a store whose errors are `S`: [`redisdb_node::Error`] for a node, the cluster's
/// for a ring or a copy.
///
/// A value never stands in a message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error<S> {
    /// The store answered with an error, could not be reached, or does not run the command.
    Store(S),
    /// What is stored is not what was asked for.
    Decode(DecodeError),
    /// The value cannot be written with the cache's codec. Nothing was sent.
    Encode(EncodeError),
    /// The value is longer than [the limit](crate::CacheBuilder::max_stored_len) when it is stored. Nothing was sent.
    TooLarge(TooLargeError),
    /// The key cannot be used. Nothing was sent.
    Key(KeyError),
    /// There is nothing under the key, where something must be.
    Missing(MissingError),
    /// There is no value to return, because it could not be loaded.
    Load(LoadError),
    /// The store's reply has not one element for each key that was asked for, so no element is taken for any key's.
    Reply(ReplyError),
    /// The cache was [closed](crate::Cache::close). Nothing was sent.
    Closed,
    /// Many keys were to be deleted, and the cache has no prefix that would tell its own from those of others. Nothing was
    /// sent.
    Unprefixed,
}

/// Why what is stored cannot be returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The key, as in messages: escaped, and cut if it is long.
    pub key: String,
    /// What is wrong with it.
    pub reason: DecodeReason,
}

/// What is wrong with what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeReason {
    /// It is no integer and has no envelope: something else wrote it.
    Foreign,
    /// It has an envelope of a version that this version of the library does not read.
    Version(u8),
    /// It was cut, or has something behind its end.
    Length,
    /// It was changed after it was written, or was written under another key.
    Checksum,
    /// It was written with a codec that this cache was not told to [read](crate::CacheBuilder::also_reads).
    Codec(u8),
    /// It was written with another schema.
    Schema {
        /// The schema it was written with.
        stored: u16,
        /// The schema of this cache.
        wanted: u16,
    },
    /// It is compressed, and this cache was not told to read such (by `zstd`), or it cannot be decompressed.
    Compression,
    /// It would be longer than [the limit](crate::CacheBuilder::max_decoded_len).
    TooLarge {
        /// How long it is, or says it is, in bytes.
        len: u64,
        /// How long it may be.
        limit: u64,
    },
    /// It would be longer than what is left of the limit (`CacheBuilder::max_unpacked_len`) for the compressed entries
    /// of one call.
    TooMuch {
        /// How long it says it is, in bytes.
        len: u64,
        /// How much the entries before it have left.
        left: u64,
        /// How long all of them may be together.
        limit: u64,
    },
    /// It is intact, but is not of the type that was asked for, or is nested more deeply than is [read](crate::Codec).
    Type {
        /// The type.
        wanted: &'static str,
    },
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeError {
    /// The key, as in messages.
    pub key: String,
    /// What the codec, or the type's `Serialize`, says.
    pub reason: String,
}

/// That a value is too long to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingError {
    /// The key, as in messages.
    pub key: String,
}

/// That a reply does not have one element for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    /// Returns whether the store does not run such a command, or not like this, whatever the state of the servers.
    pub fn is_unsupported(&self) -> bool {
        self.store().is_some_and(Failure::is_unsupported)
    }

    /// Returns whether a server may have written what was to be written, or may do so later. `false` is a proof that none did.
    ///
    /// It speaks of the call that failed: the text of a [loader's](Error::Load) own error may say something else of the loader's,
    /// and [`move_to_version`](crate::Cache::move_to_version) makes several, of which those before may have been executed.
    pub fn may_have_executed(&self) -> bool {
        self.store().is_some_and(Failure::may_have_executed)
    }
}

/// Returns whether a store's error says that what is under a key is no string.
pub(crate) fn is_wrong_type(error: &(dyn std::error::Error + 'static)) -> bool {
    node_error(error).is_some_and(|error| error.code() == Some("WRONGTYPE"))
}

/// The first error of a server behind an error.
fn node_error<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> Option<&'a node::Error> {
    loop {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        error = error.source()?;
    }
}

impl<S> From<DecodeError> for Error<S> {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl<S> From<KeyError> for Error<S> {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl<S: fmt::Display> fmt::Display for Error<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
            Self::TooLarge(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Missing(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::Reply(error) => error.fmt(f),
            Self::Closed => f.write_str("the cache is closed"),
            Self::Unprefixed => f.write_str(
                "without a prefix the cache cannot tell its keys from those of others; give it one",
            ),
        }
    }
}

impl<S: std::error::Error + 'static> std::error::Error for Error<S> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Load(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: {}", self.key, self.reason)
    }
}

impl std::error::Error for DecodeError {}

impl fmt::Display for DecodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("what is stored there was not written by a cache with envelopes"),
            Self::Version(version) => {
                write!(f, "it was written by another version of the cache (envelope {version})")
            }
            Self::Length => f.write_str("what is stored there was cut, or lengthened"),
            Self::Checksum => f.write_str(
                "what is stored there was changed after it was written, or was written under another key",
            ),
            Self::Codec(id) => {
                write!(f, "it was written with codec {id}, which this cache does not read; see `also_reads`")
            }
            Self::Schema { stored, wanted } => {
                write!(f, "it was written with schema {stored}, and this cache has schema {wanted}")
            }
            Self::Compression => f.write_str(
                "it is compressed, and cannot be read; a cache reads such entries that has `zstd`",
            ),
            Self::TooLarge { len, limit } => {
                write!(f, "it is {len} bytes long, and at most {limit} are accepted")
            }
            Self::TooMuch { len, left, limit } => write!(
                f,
                "it is {len} bytes long when it is decompressed, and the entries before it have left {left} of the {limit} \
                 that one call may take (`max_unpacked_len`)"
            ),
            Self::Type { wanted } => write!(f, "what is stored there is no `{wanted}`"),
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: the value cannot be written: {}", self.key, self.reason)
    }
}

impl std::error::Error for EncodeError {}

impl fmt::Display for TooLargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: {} bytes would be stored, and at most {} may be", self.key, self.len, self.limit)
    }
}

impl std::error::Error for TooLargeError {}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: it is {} bytes long, and at most {} may be", self.key, self.len, self.limit)
    }
}

impl std::error::Error for KeyError {}

impl fmt::Display for MissingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: there is nothing", self.key)
    }
}

impl std::error::Error for MissingError {}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, n_keys, n_elements } = self;
        write!(
            f,
            "the reply to `{command}` of {n_keys} keys has {n_elements} elements; is this a Redis server?"
        )
    }
}

impl std::error::Error for ReplyError {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

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
        // The store's error is shown whole; of a load's the cause is given, not the error once more.
        let source = error.source().map(ToString::to_string);
        match error {
            Error::Store(store) => assert_eq!(source, Some(store.to_string())),
            Error::Load(load) => assert_eq!(source, load.source().map(ToString::to_string)),
            _ => assert_eq!(source, None),
        }
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

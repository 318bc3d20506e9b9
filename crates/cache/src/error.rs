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
    /// It has an envelope of a version that this version of the library does not know.
    Version(u8),
    /// It was cut, or has something behind its end.
    Length,
    /// It was changed after it was written.
    Checksum,
    /// It was written with a codec that is not known here: the feature for it may be off.
    Codec(u8),
    /// It was written with another schema.
    Schema {
        /// The schema it was written with.
        stored: u16,
        /// The schema of this cache.
        wanted: u16,
    },
    /// It is compressed in a way that is not known here (the feature for it may be off), or cannot be decompressed.
    Compression,
    /// It would be longer than [the limit](crate::CacheBuilder::max_decoded_len).
    TooLarge {
        /// How long it is, or says it is, in bytes.
        len: u64,
        /// How long it may be.
        limit: u64,
    },
    /// It is intact, but is not of the type that was asked for.
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
                write!(f, "it was written by a newer version of the cache (envelope {version})")
            }
            Self::Length => f.write_str("what is stored there was cut, or lengthened"),
            Self::Checksum => f.write_str("what is stored there was changed after it was written"),
            Self::Codec(id) => {
                write!(f, "it was written with codec {id}, which is not known here; is its feature on?")
            }
            Self::Schema { stored, wanted } => {
                write!(f, "it was written with schema {stored}, and this cache has schema {wanted}")
            }
            Self::Compression => f.write_str("it cannot be decompressed; is the feature `zstd` on?"),
            Self::TooLarge { len, limit } => {
                write!(f, "it is {len} bytes long, and at most {limit} are accepted")
            }
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

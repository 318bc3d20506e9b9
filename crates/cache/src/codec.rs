//! From values to bytes and back.

mod bounded;
mod integer;
mod raw;
#[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
mod strict;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(any(feature = "json", feature = "msgpack", feature = "postcard"))]
use self::strict::Limits;
use crate::error::DecodeReason;

pub(crate) use integer::ascii_integer;
pub(crate) use integer::from_integer;
pub(crate) use integer::integer_of;

/// The format in which values are written. An entry says which codec wrote it, and a cache reads those of its
/// own one, and of those that it is [told to](crate::CacheBuilder::also_reads).
///
/// Whatever the codec, an integer is stored as its digits: other programs read it, and the server counts with
/// it.
///
/// A value that is read is the one that was written. A value that the codec would change, or could not read
/// back, is [`Error::Encode`](crate::Error::Encode), and nothing is stored. No codec can know whether a
/// type's own `Deserialize` takes the output of its `Serialize`.
///
/// No bytes can overflow the stack of their reader, or keep it busy for longer than their length says. A
/// value is refused that is nested more than 127 deep, has more than 255 `Some`s and newtypes inside each
/// other, or more than 4,096 elements that take no bytes: it is neither written nor read. These limits are
/// for a stack of 2 MiB, and for types whose own code needs no more stack than derived code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: readable everywhere, and fields may be added and left out over time. The default, by feature
    /// `json`.
    ///
    /// These values are refused: infinity and NaN; keys of maps that are neither text nor number; and a
    /// `Some` of `None`, of `()` or of a unit struct, which would all be `null`.
    #[cfg(feature = "json")]
    Json,
    /// MessagePack with field names: about as tolerant as JSON, shorter, and fit for bytes and any float. By
    /// feature `msgpack`. Refused is a `Some` of `None` or of `()`.
    #[cfg(feature = "msgpack")]
    MsgPack,
    /// Postcard: the shortest. This codec knows neither names nor types: any change of the value's type needs
    /// another `schema`, and a value written with a different one is an error. The envelope is needed. By
    /// feature `postcard`.
    ///
    /// Refused is a struct of which `skip_serializing_if` leaves a field out, and one with `flatten`. A type
    /// that has to see what there is before it can be read (`untagged`, `tag`, `serde_json::Value`) is
    /// written, and cannot be read.
    #[cfg(feature = "postcard")]
    Postcard {
        /// A number of the caller's for the current form of the values.
        schema: u16,
    },
    /// Strings and bytes as they are; nothing else. This codec does not tell one from the other, so a type
    /// that may be either is written, and cannot be read. Without an envelope it does not tell digits from an
    /// integer either.
    Raw,
}

impl Codec {
    /// The number of kinds.
    pub(crate) const N_KINDS: usize = 4;

    /// The number of the codec in an entry: 1 and up, because 0 is easily there by accident.
    pub(crate) fn id(self) -> u8 {
        match self {
            #[cfg(feature = "json")]
            Self::Json => 1,
            #[cfg(feature = "msgpack")]
            Self::MsgPack => 2,
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => 3,
            Self::Raw => 4,
        }
    }

    pub(crate) fn schema(self) -> u16 {
        match self {
            #[cfg(feature = "postcard")]
            Self::Postcard { schema } => schema,
            _ => 0,
        }
    }

    /// Returns whether a written value may look like the digits of an integer that it is not, or the schema
    /// has no other place.
    pub(crate) fn needs_envelope(self) -> bool {
        match self {
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => true,
            _ => false,
        }
    }

    /// Returns whether `Serialize` of times, addresses and the like is asked for text.
    pub(crate) fn is_human_readable(self) -> bool {
        match self {
            #[cfg(feature = "json")]
            Self::Json => true,
            Self::Raw => true,
            #[cfg(any(feature = "msgpack", feature = "postcard"))]
            _ => false,
        }
    }

    /// Writes a value behind what is in `out` already, if it can be read again as what it is.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T, out: Vec<u8>) -> Result<Vec<u8>, Unwritten> {
        match self {
            #[cfg(feature = "json")]
            Self::Json => {
                let limits = Limits {
                    finite_only: true,
                    one_nothing: true,
                    nothing_struct: true,
                    text_keys: true,
                    ..Limits::default()
                };
                strict::write(value, limits, out, |value, mut out| {
                    serde_json::to_writer(&mut out, &value).map(|()| out)
                })
            }
            #[cfg(feature = "msgpack")]
            Self::MsgPack => {
                let limits = Limits { one_nothing: true, ..Limits::default() };
                strict::write(value, limits, out, |value, mut out| {
                    rmp_serde::encode::write_named(&mut out, &value).map(|()| out)
                })
            }
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => {
                let limits = Limits { ordered: true, ..Limits::default() };
                strict::write(value, limits, out, |value, out| postcard::to_extend(&value, out))
            }
            Self::Raw => raw::encode(value, out).map_err(Unwritten::from),
        }
    }

    /// Reads a value; there must be nothing behind it.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeReason> {
        let value = match self {
            #[cfg(feature = "json")]
            Self::Json => {
                let mut json = serde_json::Deserializer::from_slice(bytes);
                let value = bounded::read(&mut json, bytes.len()).ok();
                value.filter(|_| json.end().is_ok())
            }
            #[cfg(feature = "msgpack")]
            Self::MsgPack => {
                let mut rest = bytes;
                let value = bounded::read(&mut rmp_serde::Deserializer::new(&mut rest), bytes.len()).ok();
                value.filter(|_| rest.is_empty())
            }
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => {
                let mut postcard = postcard::Deserializer::from_bytes(bytes);
                let value = bounded::read(&mut postcard, bytes.len()).ok();
                value.filter(|_| postcard.finalize().is_ok_and(<[u8]>::is_empty))
            }
            Self::Raw => raw::decode(bytes).ok(),
        };
        // The codec's error may quote the value.
        value.ok_or(DecodeReason::Type { wanted: std::any::type_name::<T>() })
    }
}

/// The reason why a value was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// Its own `Serialize` says so, whatever the codec.
    ByType(String),
    /// The value would not be read as what it is.
    Refused(String),
}

impl Unwritten {
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::ByType(reason) | Self::Refused(reason) => reason,
        }
    }
}

//! From values to bytes and back.

mod integer;
mod raw;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::DecodeReason;

pub(crate) use integer::ascii_integer;
pub(crate) use integer::from_integer;
pub(crate) use integer::integer_of;

/// How values are written. An entry says which codec wrote it, so a cache whose codec is changed reads the old ones.
///
/// Whatever the codec, an integer is stored as its digits: other programs read it, and the server counts with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: readable everywhere, and fields may be added and left out over time. The default, by feature `json`.
    #[cfg(feature = "json")]
    Json,
    /// MessagePack with field names: about as tolerant as JSON, shorter, and fit for bytes. By feature `msgpack`.
    #[cfg(feature = "msgpack")]
    MsgPack,
    /// Postcard: the shortest. It knows neither names nor types: any change of the value's type needs another `schema`,
    /// and what was written with a different one is an error. It needs the envelope. It knows no depth either: of a type
    /// that contains itself, bytes that somebody forged can overflow the stack. By feature `postcard`.
    #[cfg(feature = "postcard")]
    Postcard {
        /// A number of the caller's for the current form of the values.
        schema: u16,
    },
    /// Strings and bytes as they are; nothing else.
    Raw,
}

impl Codec {
    /// What the entry says of its codec: 1 and up, for 0 is easily there by accident.
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

    /// Whether what it writes may look like the digits of an integer that it is not, or its schema has no other place.
    pub(crate) fn needs_envelope(self) -> bool {
        match self {
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => true,
            _ => false,
        }
    }

    /// The codec that an entry was written with, where the cache's own is `self`.
    pub(crate) fn by_id(self, id: u8, schema: u16) -> Result<Self, DecodeReason> {
        let codec = match id {
            #[cfg(feature = "json")]
            1 => Self::Json,
            #[cfg(feature = "msgpack")]
            2 => Self::MsgPack,
            #[cfg(feature = "postcard")]
            3 => Self::Postcard { schema },
            4 => Self::Raw,
            _ => return Err(DecodeReason::Codec(id)),
        };
        // The schema of another codec than the cache's own cannot be compared with anything but nothing.
        let wanted = if codec.id() == self.id() { self.schema() } else { 0 };
        if schema == wanted { Ok(codec) } else { Err(DecodeReason::Schema { stored: schema, wanted }) }
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

    /// Writes a value behind what is in `out` already.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T, out: Vec<u8>) -> Result<Vec<u8>, String> {
        match self {
            #[cfg(feature = "json")]
            Self::Json => {
                let mut out = out;
                serde_json::to_writer(&mut out, value).map_err(|error| error.to_string())?;
                Ok(out)
            }
            #[cfg(feature = "msgpack")]
            Self::MsgPack => {
                let mut out = out;
                rmp_serde::encode::write_named(&mut out, value).map_err(|error| error.to_string())?;
                Ok(out)
            }
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => postcard::to_extend(value, out).map_err(|error| error.to_string()),
            Self::Raw => raw::encode(value, out).map_err(|error| error.to_string()),
        }
    }

    /// Reads a value; there must be nothing behind it.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeReason> {
        let value = match self {
            #[cfg(feature = "json")]
            Self::Json => serde_json::from_slice(bytes).ok(),
            #[cfg(feature = "msgpack")]
            Self::MsgPack => {
                let mut rest = bytes;
                let value = T::deserialize(&mut rmp_serde::Deserializer::new(&mut rest)).ok();
                value.filter(|_| rest.is_empty())
            }
            #[cfg(feature = "postcard")]
            Self::Postcard { .. } => postcard::take_from_bytes(bytes)
                .ok()
                .and_then(|(value, rest)| rest.is_empty().then_some(value)),
            Self::Raw => raw::decode(bytes).ok(),
        };
        // What the codec has to say may quote the value.
        value.ok_or(DecodeReason::Type { wanted: std::any::type_name::<T>() })
    }
}

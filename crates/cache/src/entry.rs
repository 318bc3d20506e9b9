//! What is stored under a key: digits, an envelope, or, without envelopes, the codec's bytes alone.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::codec::ascii_integer;
use crate::codec::from_integer;
use crate::codec::integer_of;
use crate::envelope::HEADER;
use crate::envelope::Header;
use crate::error::DecodeReason;

/// How entries are written and what is accepted of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) codec: Codec,
    pub(crate) envelope: bool,
    pub(crate) max_decoded_len: usize,
}

/// What was found under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    Value(T),
    /// A value that should be loaded anew, at the time it was read.
    Stale(T),
    /// The note that there is no value.
    Negative,
}

impl Format {
    /// The bytes to store for a value that becomes stale at `stale_at`, milliseconds since 1970; 0 for never.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T, stale_at: u64) -> Result<Vec<u8>, String> {
        if let Some(integer) = integer_of(value, self.codec.is_human_readable())
            && stale_at == 0
        {
            return Ok(integer.to_string().into_bytes());
        }
        if !self.envelope {
            return self.codec.encode(value, Vec::new());
        }
        let bytes = self.codec.encode(value, vec![0; HEADER])?;
        let decoded_len = bytes.len() - HEADER;
        let header = Header {
            codec: self.codec.id(),
            compression: 0,
            negative: false,
            schema: self.codec.schema(),
            stale_at,
            decoded_len: u32::try_from(decoded_len).map_err(|_| "it is longer than 4 GiB".to_owned())?,
        };
        Ok(header.seal(bytes))
    }

    /// The bytes to store where there is no value.
    pub(crate) fn encode_negative(self) -> Vec<u8> {
        let (codec, schema) = (self.codec.id(), self.codec.schema());
        let header = Header { codec, compression: 0, negative: true, schema, stale_at: 0, decoded_len: 0 };
        header.seal(vec![0; HEADER])
    }

    /// The value in stored bytes.
    pub(crate) fn decode<T: DeserializeOwned>(
        self,
        bytes: &[u8],
        now: u64,
    ) -> Result<Entry<T>, DecodeReason> {
        if let Some(integer) = ascii_integer(bytes) {
            // Without an envelope, raw digits may have been written as a string.
            return match self.codec {
                Codec::Raw if !self.envelope => Codec::Raw.decode(bytes).or_else(|_| from_integer(integer)),
                _ => from_integer(integer),
            }
            .map(Entry::Value);
        }
        if !self.envelope {
            self.check_len(bytes.len())?;
            return self.codec.decode(bytes).map(Entry::Value);
        }
        let (header, payload) = Header::open(bytes)?;
        if header.negative {
            return Ok(Entry::Negative);
        }
        let codec = self.codec.by_id(header.codec, header.schema)?;
        if header.compression != 0 {
            return Err(DecodeReason::Compression);
        }
        self.check_len(payload.len())?;
        if payload.len() as u64 != u64::from(header.decoded_len) {
            return Err(DecodeReason::Length);
        }
        let value = codec.decode(payload)?;
        Ok(if header.stale_at != 0 && header.stale_at <= now {
            Entry::Stale(value)
        } else {
            Entry::Value(value)
        })
    }

    fn check_len(self, len: usize) -> Result<(), DecodeReason> {
        if len <= self.max_decoded_len {
            return Ok(());
        }
        Err(DecodeReason::TooLarge { len: len as u64, limit: self.max_decoded_len as u64 })
    }
}

//! The envelope around a stored value: version, flags and checksum, so that a damaged or foreign one is never
//! taken for a value.
//!
//! ```text
//!  0      magic 0xC5, which no integer and no UTF-8 text starts with
//!  1      version of the envelope: 2
//!  2      codec (4 bits), compression (2), negative (1), 0
//!  3..5   schema, big endian as all below
//!  5..13  soft expiry: milliseconds since 1970 after which the value is stale; 0 for never
//! 13..17  length of the payload when decompressed
//! 17..    payload
//! last 8  XXH3-64 of all before, whose seed is the XXH3-64 of the name of the Redis key
//! ```
//!
//! The checksum finds damage, and an entry that was copied onto another key. An envelope is no signature:
//! anyone who can write to the server can write a valid one. The checksum of version 1 did not cover the
//! key, so its envelopes could belong to any key: they are not read.

use twox_hash::XxHash3_64;

use crate::error::DecodeReason;

const MAGIC: u8 = 0xC5;
const VERSION: u8 = 2;
/// The position at which the payload starts.
pub(crate) const HEADER: usize = 17;
const CHECKSUM: usize = 8;

/// The statements of an envelope about its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) compression: u8,
    pub(crate) negative: bool,
    pub(crate) schema: u16,
    pub(crate) stale_at: u64,
    pub(crate) decoded_len: u32,
}

impl Header {
    /// Finishes an envelope for a Redis key: `bytes` holds [`HEADER`] bytes of anything, and the payload.
    pub(crate) fn seal(self, name: &[u8], mut bytes: Vec<u8>) -> Vec<u8> {
        let flags = self.codec & 15 | (self.compression & 3) << 4 | u8::from(self.negative) << 6;
        let [s0, s1] = self.schema.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.stale_at.to_be_bytes();
        let [l0, l1, l2, l3] = self.decoded_len.to_be_bytes();
        if let Some(header) = bytes.first_chunk_mut::<HEADER>() {
            *header = [MAGIC, VERSION, flags, s0, s1, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3];
        }
        bytes.extend(checksum_of(name, &bytes).to_be_bytes());
        bytes
    }

    /// Opens the envelope that is under a Redis key: what it says, and its payload.
    pub(crate) fn open<'a>(name: &[u8], bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeReason> {
        match bytes {
            [MAGIC, VERSION, ..] => {}
            [MAGIC, version, ..] => return Err(DecodeReason::Version(*version)),
            _ => return Err(DecodeReason::Foreign),
        }
        let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(DecodeReason::Length)?;
        let (header, payload) = sealed.split_first_chunk::<HEADER>().ok_or(DecodeReason::Length)?;
        if checksum_of(name, sealed) != u64::from_be_bytes(*checksum) {
            return Err(DecodeReason::Checksum);
        }
        let [_, _, flags, s0, s1, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
        let header = Self {
            codec: flags & 15,
            compression: flags >> 4 & 3,
            negative: flags >> 6 & 1 == 1,
            schema: u16::from_be_bytes([s0, s1]),
            stale_at: u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            decoded_len: u32::from_be_bytes([l0, l1, l2, l3]),
        };
        if flags >> 7 != 0 {
            return Err(DecodeReason::Version(VERSION));
        }
        Ok((header, payload))
    }
}

fn checksum_of(name: &[u8], sealed: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(name), sealed)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn header() -> impl Strategy<Value = Header> {
        (0..16u8, 0..4u8, any::<bool>(), any::<u16>(), any::<u64>(), any::<u32>()).prop_map(
            |(codec, compression, negative, schema, stale_at, decoded_len)| Header {
                codec,
                compression,
                negative,
                schema,
                stale_at,
                decoded_len,
            },
        )
    }

    fn sealed(header: Header, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes.extend(payload);
        header.seal(b"k", bytes)
    }

    proptest! {
        #[test]
        fn an_envelope_gives_back_what_was_put_in(header in header(), payload in vec(any::<u8>(), 0..99)) {
            let bytes = sealed(header, &payload);
            prop_assert_eq!(Header::open(b"k", &bytes), Ok((header, payload.as_slice())));
        }

        #[test]
        fn a_changed_byte_is_noticed(
            header in header(),
            payload in vec(any::<u8>(), 0..99),
            at in any::<prop::sample::Index>(),
            change in 1..=255u8,
        ) {
            let mut bytes = sealed(header, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(Header::open(b"k", &bytes).is_err());
        }

        #[test]
        fn a_cut_or_lengthened_envelope_is_noticed(
            header in header(),
            payload in vec(any::<u8>(), 0..99),
            len in any::<prop::sample::Index>(),
            more in vec(any::<u8>(), 1..9),
        ) {
            let bytes = sealed(header, &payload);
            prop_assert!(Header::open(b"k", &bytes[..len.index(bytes.len())]).is_err());
            prop_assert!(Header::open(b"k", &[bytes, more].concat()).is_err());
        }

        #[test]
        fn an_envelope_of_another_key_is_noticed(
            header in header(),
            payload in vec(any::<u8>(), 0..999),
            name in vec(any::<u8>(), 0..9),
        ) {
            prop_assume!(name != b"k");
            let bytes = sealed(header, &payload);
            prop_assert_eq!(Header::open(&name, &bytes), Err(DecodeReason::Checksum));
        }

        #[test]
        fn any_bytes_are_an_error_at_worst(bytes in vec(any::<u8>(), 0..99)) {
            let _ = Header::open(b"k", &bytes);
        }
    }

    #[test]
    fn what_has_no_envelope_is_told_from_what_is_damaged() {
        assert_eq!(Header::open(b"k", b""), Err(DecodeReason::Foreign));
        assert_eq!(Header::open(b"k", b"hello"), Err(DecodeReason::Foreign));
        assert_eq!(Header::open(b"k", &[MAGIC, VERSION]), Err(DecodeReason::Length));
        for other in [1, 3] {
            let bytes = [&[MAGIC, other], [0; 40].as_slice()].concat();
            assert_eq!(Header::open(b"k", &bytes), Err(DecodeReason::Version(other)));
        }
    }
}

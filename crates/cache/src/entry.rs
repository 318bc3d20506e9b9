//! The entry that is stored under a key: digits, an envelope, or, without envelopes, the codec's bytes alone.

pub(crate) mod compress;
pub(crate) mod envelope;

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::codec::Unwritten;
use crate::codec::ascii_integer;
use crate::codec::from_integer;
use crate::codec::integer_of;
use crate::entry::compress::PLAIN;
use crate::entry::compress::Room;
use crate::entry::compress::decompress;
use crate::entry::envelope::HEADER;
use crate::entry::envelope::Header;
use crate::error::DecodeReason;

/// The format in which entries are written, and those in which they are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) codec: Codec,
    /// The other codecs that are read, at most one of each kind.
    pub(crate) also_reads: [Option<Codec>; Codec::N_KINDS],
    pub(crate) envelope: bool,
    pub(crate) max_decoded_len: usize,
    #[cfg(feature = "zstd")]
    pub(crate) zstd: Option<crate::entry::compress::Zstd>,
}

/// The entry that was found under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    Value(T),
    /// A value that should be loaded anew, at the time it was read.
    Stale(T),
    /// The note that there is no value.
    Negative,
}

impl Format {
    /// The bytes to store under a Redis key for a value that becomes stale at `stale_at`, milliseconds since
    /// 1970; 0 for never.
    pub(crate) fn encode<T: Serialize + ?Sized>(
        self,
        name: &[u8],
        value: &T,
        stale_at: u64,
    ) -> Result<Vec<u8>, Unwritten> {
        if let Some(integer) = integer_of(value, self.codec.is_human_readable())
            && stale_at == 0
        {
            return Ok(integer.to_string().into_bytes());
        }
        if !self.envelope {
            let bytes = self.codec.encode(value, Vec::new())?;
            return self.checked(bytes.len()).map(|()| bytes);
        }
        // Room for a short value, so that its writer need not make more again and again.
        let mut bytes = Vec::with_capacity(256);
        bytes.resize(HEADER, 0);
        let bytes = self.codec.encode(value, bytes)?;
        let decoded_len = bytes.len() - HEADER;
        self.checked(decoded_len)?;
        let (bytes, compression) = self.compress(bytes);
        let header = Header {
            codec: self.codec.id(),
            compression,
            negative: false,
            schema: self.codec.schema(),
            stale_at,
            decoded_len: u32::try_from(decoded_len)
                .map_err(|_| Unwritten::Refused("it is longer than 4 GiB".to_owned()))?,
        };
        Ok(header.seal(name, bytes))
    }

    /// The bytes to store under a Redis key where there is no value.
    pub(crate) fn encode_negative(self, name: &[u8]) -> Vec<u8> {
        let (codec, schema) = (self.codec.id(), self.codec.schema());
        let header =
            Header { codec, compression: PLAIN, negative: true, schema, stale_at: 0, decoded_len: 0 };
        header.seal(name, vec![0; HEADER])
    }

    /// The value in the bytes that are stored under a Redis key, in a call that has so much room left.
    pub(crate) fn decode<T: DeserializeOwned>(
        self,
        name: &[u8],
        bytes: &[u8],
        room: &mut Room,
        now: impl FnOnce() -> u64,
    ) -> Result<Entry<T>, DecodeReason> {
        if let Some(integer) = ascii_integer(bytes) {
            let read = |integer| from_integer(integer, self.codec.is_human_readable());
            // Without an envelope, raw digits may have been written as a string.
            return match self.codec {
                Codec::Raw if !self.envelope => Codec::Raw.decode(bytes).or_else(|_| read(integer)),
                _ => read(integer),
            }
            .map(Entry::Value);
        }
        if !self.envelope {
            self.check_len(bytes.len())?;
            return self.codec.decode(bytes).map(Entry::Value);
        }
        let (header, payload) = Header::open(name, bytes)?;
        if header.negative {
            return Ok(Entry::Negative);
        }
        let codec = self.codec_of(header)?;
        let decoded_len = usize::try_from(header.decoded_len).unwrap_or(usize::MAX);
        self.check_len(decoded_len)?;
        let payload = match header.compression {
            PLAIN if payload.len() == decoded_len => Cow::Borrowed(payload),
            PLAIN => return Err(DecodeReason::Length),
            compression if self.decompresses() => {
                room.take(decoded_len)?;
                Cow::Owned(decompress(compression, payload, decoded_len)?)
            }
            _ => return Err(DecodeReason::Compression),
        };
        let value = codec.decode(&payload)?;
        Ok(if header.stale_at != 0 && header.stale_at <= now() {
            Entry::Stale(value)
        } else {
            Entry::Value(value)
        })
    }

    /// The same bytes as they are stored under another Redis key: what is sealed for the one is not read
    /// under the other.
    pub(crate) fn moved(self, from: &[u8], to: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>, DecodeReason> {
        if !self.envelope || ascii_integer(&bytes).is_some() {
            return Ok(bytes);
        }
        let (header, payload) = Header::open(from, &bytes)?;
        Ok(header.seal(to, [&[0; HEADER], payload].concat()))
    }

    /// The codec that an entry was written with, if it is the cache's own or one that it was told to read. A
    /// codec that is compiled in is not read for that: other crates decide about features, and the writer of
    /// an entry chooses its codec.
    fn codec_of(self, header: Header) -> Result<Codec, DecodeReason> {
        let mut wanted = None;
        for codec in [Some(self.codec)].into_iter().chain(self.also_reads).flatten() {
            if codec.id() == header.codec && codec.schema() == header.schema {
                return Ok(codec);
            }
            if codec.id() == header.codec {
                wanted.get_or_insert(codec.schema());
            }
        }
        Err(match wanted {
            Some(wanted) => DecodeReason::Schema { stored: header.schema, wanted },
            None => DecodeReason::Codec(header.codec),
        })
    }

    /// Writes the payload behind the room for the header, compressed if that is wanted and pays.
    #[cfg(feature = "zstd")]
    fn compress(self, bytes: Vec<u8>) -> (Vec<u8>, u8) {
        let payload = bytes.get(HEADER..).unwrap_or_default();
        match self.zstd.and_then(|zstd| zstd.compress(payload)) {
            Some(compressed) => {
                ([&[0; HEADER], compressed.as_slice()].concat(), crate::entry::compress::ZSTD)
            }
            None => (bytes, PLAIN),
        }
    }

    #[cfg(feature = "zstd")]
    fn decompresses(self) -> bool {
        self.zstd.is_some()
    }

    #[cfg(not(feature = "zstd"))]
    fn decompresses(self) -> bool {
        false
    }

    #[cfg(not(feature = "zstd"))]
    fn compress(self, bytes: Vec<u8>) -> (Vec<u8>, u8) {
        (bytes, PLAIN)
    }

    /// A value that is too long to be read is not written either.
    fn checked(self, len: usize) -> Result<(), Unwritten> {
        self.check_len(len).map_err(|reason| Unwritten::Refused(reason.to_string()))
    }

    fn check_len(self, len: usize) -> Result<(), DecodeReason> {
        if len <= self.max_decoded_len {
            return Ok(());
        }
        Err(DecodeReason::TooLarge { len: len as u64, limit: self.max_decoded_len as u64 })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn format(codec: Codec) -> Format {
        Format {
            codec,
            also_reads: [None; Codec::N_KINDS],
            envelope: true,
            max_decoded_len: 1 << 20,
            #[cfg(feature = "zstd")]
            zstd: Some(crate::entry::compress::Zstd { level: 1, over: 64 }),
        }
    }

    fn codecs() -> Vec<Codec> {
        vec![
            #[cfg(feature = "json")]
            Codec::Json,
            #[cfg(feature = "msgpack")]
            Codec::MsgPack,
            #[cfg(feature = "postcard")]
            Codec::Postcard { schema: 7 },
        ]
    }

    type Value = (Option<i64>, String, Vec<u8>, BTreeMap<String, bool>);

    fn value() -> impl Strategy<Value = Value> {
        (any::<Option<i64>>(), ".*", vec(any::<u8>(), 0..300), btree_map(".{0,3}", any::<bool>(), 0..4))
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(value in value(), now in 1..9u64, stale_at in 0..9u64) {
            for codec in codecs() {
                let bytes = format(codec).encode(b"k", &value, stale_at).unwrap();
                let entry = format(codec).decode::<Value>(b"k", &bytes, &mut Room::any(), || now);
                let is_stale = stale_at != 0 && stale_at <= now;
                let expected = if is_stale { Entry::Stale(value.clone()) } else { Entry::Value(value.clone()) };
                prop_assert_eq!(entry, Ok(expected));
            }
        }

        #[test]
        fn a_change_is_an_error(
            value in value(),
            at in any::<prop::sample::Index>(),
            change in 1..=255u8,
            cut in any::<prop::sample::Index>(),
        ) {
            for codec in codecs() {
                let bytes = format(codec).encode(b"k", &value, 0).unwrap();
                let mut changed = bytes.clone();
                changed[at.index(bytes.len())] ^= change;
                prop_assert!(format(codec).decode::<Value>(b"k", &changed, &mut Room::any(), || 0).is_err());
                let bytes = &bytes[..cut.index(bytes.len())];
                prop_assert!(format(codec).decode::<Value>(b"k", bytes, &mut Room::any(), || 0).is_err());
            }
        }

        #[test]
        fn a_forged_envelope_never_panics(
            payload in vec(any::<u8>(), 0..200),
            codec in 0..16u8,
            compression in 0..4u8,
            schema in prop_oneof![Just(0u16), Just(7), any::<u16>()],
            decoded_len in prop_oneof![0..300u32, any::<u32>()],
        ) {
            let header = Header { codec, compression, negative: false, schema, stale_at: 0, decoded_len };
            let mut bytes = vec![0; HEADER];
            bytes.extend(payload);
            let bytes = header.seal(b"k", bytes);
            for codec in codecs() {
                let _ = format(codec).decode::<Value>(b"k", &bytes, &mut Room::any(), || 0);
                let _ = format(codec).decode::<String>(b"k", &bytes, &mut Room::any(), || 0);
            }
        }

        #[test]
        fn any_bytes_without_an_envelope_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            for codec in codecs().into_iter().chain([Codec::Raw]) {
                let format = Format { envelope: false, ..format(codec) };
                let _ = format.decode::<Value>(b"k", &bytes, &mut Room::any(), || 0);
                let _ = format.decode::<Vec<u8>>(b"k", &bytes, &mut Room::any(), || 0);
            }
        }
    }

    #[test]
    fn a_codec_reads_what_another_one_wrote_if_it_is_told_to() {
        let mut all = [None; Codec::N_KINDS];
        all.iter_mut().zip(codecs()).for_each(|(also, codec)| *also = Some(codec));
        for written in codecs() {
            for reading in codecs() {
                let bytes = format(written).encode(b"k", "text", 0).unwrap();
                let told = Format { also_reads: all, ..format(reading) };
                let read = told.decode::<String>(b"k", &bytes, &mut Room::any(), || 0);
                assert_eq!(read, Ok(Entry::Value("text".to_owned())), "{written:?} {reading:?}");
                if written != reading {
                    // However it was compiled.
                    let read = format(reading).decode::<String>(b"k", &bytes, &mut Room::any(), || 0);
                    assert_eq!(read, Err(DecodeReason::Codec(written.id())), "{written:?} {reading:?}");
                }
            }
        }
    }

    #[test]
    fn an_entry_is_read_under_its_own_key_only() {
        for codec in codecs() {
            for bytes in [format(codec).encode(b"k", "text", 0).unwrap(), format(codec).encode_negative(b"k")]
            {
                let read = |name: &[u8], bytes: &[u8]| {
                    format(codec).decode::<String>(name, bytes, &mut Room::any(), || 0)
                };
                assert!(read(b"k", &bytes).is_ok());
                assert_eq!(read(b"l", &bytes), Err(DecodeReason::Checksum));
                let moved = format(codec).moved(b"k", b"l", bytes.clone()).unwrap();
                assert_eq!(read(b"l", &moved), read(b"k", &bytes));
                assert!(format(codec).moved(b"l", b"m", bytes).is_err());
            }
            // Digits are everybody's.
            assert_eq!(format(codec).moved(b"k", b"l", b"42".to_vec()), Ok(b"42".to_vec()));
        }
    }

    #[cfg(feature = "postcard")]
    #[test]
    fn another_schema_is_an_error() {
        let bytes = format(Codec::Postcard { schema: 1 }).encode(b"k", "text", 0).unwrap();
        let read =
            format(Codec::Postcard { schema: 2 }).decode::<String>(b"k", &bytes, &mut Room::any(), || 0);
        assert_eq!(read, Err(DecodeReason::Schema { stored: 1, wanted: 2 }));
    }

    #[test]
    fn something_behind_the_value_is_an_error() {
        for codec in codecs() {
            let mut bytes = codec.encode("text", vec![0; HEADER]).unwrap();
            bytes.push(b' ' + 1);
            let decoded_len = u32::try_from(bytes.len() - HEADER).unwrap();
            let (codec_id, schema) = (codec.id(), codec.schema());
            let header =
                Header { codec: codec_id, compression: 0, negative: false, schema, stale_at: 0, decoded_len };
            assert!(
                format(codec)
                    .decode::<String>(b"k", &header.seal(b"k", bytes), &mut Room::any(), || 0)
                    .is_err(),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn raw_digits_are_a_string_or_a_number_as_is_asked() {
        let raw = Format { envelope: false, ..format(Codec::Raw) };
        assert_eq!(raw.encode(b"k", "42", 0).unwrap(), b"42");
        assert_eq!(raw.encode(b"k", &42, 0).unwrap(), b"42");
        assert_eq!(
            raw.decode::<String>(b"k", b"42", &mut Room::any(), || 0),
            Ok(Entry::Value("42".to_owned()))
        );
        assert_eq!(raw.decode::<u8>(b"k", b"42", &mut Room::any(), || 0), Ok(Entry::Value(42)));
    }

    #[test]
    fn a_value_over_the_limit_is_not_decoded() {
        for codec in codecs() {
            let generous = Format { max_decoded_len: 4 << 20, ..format(codec) };
            let long = generous.encode(b"k", &"x".repeat(2 << 20), 0).unwrap();
            let read = format(codec).decode::<String>(b"k", &long, &mut Room::any(), || 0);
            assert!(matches!(read, Err(DecodeReason::TooLarge { limit: 0x10_0000, .. })), "{codec:?}");
        }
    }

    #[cfg(feature = "zstd")]
    mod compressed {
        use super::*;

        /// Returns whether the envelope says that its payload is compressed.
        fn is_compressed<T: Serialize + ?Sized>(codec: Codec, value: &T) -> bool {
            let bytes = format(codec).encode(b"k", value, 0).unwrap();
            Header::open(b"k", &bytes).unwrap().0.compression == crate::entry::compress::ZSTD
        }

        #[test]
        fn only_what_is_long_and_pays_is_compressed() {
            for codec in codecs() {
                assert!(!is_compressed(codec, &"x".repeat(60)), "{codec:?}");
                assert!(is_compressed(codec, &"x".repeat(70)), "{codec:?}");
            }
            let noise: Vec<u8> = (0..250u64)
                .flat_map(|i| twox_hash::XxHash3_64::oneshot(&i.to_be_bytes()).to_be_bytes())
                .collect();
            assert!(!is_compressed(Codec::Raw, &noise));
        }

        #[test]
        fn a_cache_that_does_not_compress_decompresses_nothing() {
            for codec in codecs() {
                let bytes = format(codec).encode(b"k", &"x".repeat(70), 0).unwrap();
                let read = |zstd| {
                    let format = Format { zstd, ..format(codec) };
                    format.decode::<String>(b"k", &bytes, &mut Room::any(), || 0)
                };
                assert_eq!(read(None), Err(DecodeReason::Compression));
                let reads_only = crate::entry::compress::Zstd { level: 1, over: usize::MAX };
                assert_eq!(read(Some(reads_only)), Ok(Entry::Value("x".repeat(70))));
            }
        }

        #[test]
        fn a_bomb_is_an_error_before_it_goes_off() {
            let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
            let check = |decoded_len, expected: &DecodeReason| {
                let mut bytes = vec![0; HEADER];
                bytes.extend(&bomb);
                let codec = Codec::Raw.id();
                let header = Header {
                    codec,
                    compression: crate::entry::compress::ZSTD,
                    negative: false,
                    schema: 0,
                    stale_at: 0,
                    decoded_len,
                };
                let read = format(Codec::Raw).decode::<String>(
                    b"k",
                    &header.seal(b"k", bytes),
                    &mut Room::any(),
                    || 0,
                );
                assert_eq!(read.as_ref(), Err(expected));
            };
            check(64 << 20, &DecodeReason::TooLarge { len: 64 << 20, limit: 1 << 20 });
            // An entry that lies about its length gets no more room than it said.
            check(1000, &DecodeReason::Compression);
        }
    }
}

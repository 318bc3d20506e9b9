//! The entry point of the fuzzer of the decoder. `fuzz/` calls it, and so does a test below, with the same
//! corpus.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::entry::Entry;
use crate::entry::Format;
use crate::entry::compress::Room;
use crate::entry::envelope::HEADER;
use crate::entry::envelope::Header;

#[cfg(test)]
#[path = "../../../fuzz/inputs.rs"]
mod inputs;

/// The number of bytes that may be read of one entry at most.
const LIMIT: usize = 1 << 16;

/// The Redis key that all entries are under.
const NAME: &[u8] = b"fuzz:1:k";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: Option<String>,
    shape: Shape,
    tags: BTreeMap<String, Vec<i16>>,
    #[serde(default)]
    pair: (bool, char),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(u32),
    Box { width: i8, height: i8 },
}

/// A value that contains values of its own kind, as deep as the bytes say.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

/// A type of which most codecs write nothing, and which they read from any bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bare(Option<Box<Bare>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    New(Box<Chain>),
    Pair(Box<Chain>, u8),
    Named { next: Option<Box<Chain>> },
}

/// Reads bytes as an entry of every kind. Whatever they are, the outcome is a value, the note that there is
/// none, or an error, never a panic; a value is within the limit, and is the same after it was written and
/// read again.
///
/// The first byte chooses the codec, whether the others are read too (not if 4 is in it), and whether the
/// rest is an entry as it is (0 to 63), an entry without an envelope (64 to 127), or header and payload of an
/// envelope that is made whole here (from 128), for no fuzzer finds a checksum.
pub fn decode(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let codecs = [
        #[cfg(feature = "json")]
        Codec::Json,
        #[cfg(feature = "msgpack")]
        Codec::MsgPack,
        #[cfg(feature = "postcard")]
        Codec::Postcard { schema: 7 },
        Codec::Raw,
    ];
    let Some(&codec) = codecs.get(usize::from(choice % 4) % codecs.len()) else { return };
    let envelope = choice >> 6 != 1;
    if !envelope && codec.needs_envelope() {
        return; // There is no such cache.
    }
    let mut also_reads = [None; Codec::N_KINDS];
    if choice & 4 == 0 && envelope {
        also_reads.iter_mut().zip(codecs).for_each(|(also, codec)| *also = Some(codec));
    }
    let format = Format {
        codec,
        also_reads,
        envelope,
        max_decoded_len: LIMIT,
        #[cfg(feature = "zstd")]
        zstd: Some(crate::entry::compress::Zstd { level: 1, over: 64 }),
    };
    let sealed = (choice >> 7 == 1).then(|| seal(rest));
    read_all(format, sealed.as_deref().unwrap_or(rest));
}

/// Makes an envelope of flags, schema, time, length, and payload.
fn seal(data: &[u8]) -> Vec<u8> {
    let mut fields = [0; HEADER - 2];
    for (field, byte) in fields.iter_mut().zip(data) {
        *field = *byte;
    }
    let [flags, s0, s1, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = fields;
    let mut bytes = vec![0; HEADER];
    bytes.extend_from_slice(data.get(HEADER - 2..).unwrap_or_default());
    let header = Header {
        codec: flags & 15,
        compression: flags >> 4 & 3,
        negative: flags >> 6 & 1 == 1,
        schema: u16::from_be_bytes([s0, s1]),
        stale_at: u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        decoded_len: u32::from_be_bytes([l0, l1, l2, l3]),
    };
    header.seal(NAME, bytes)
}

fn read_all(format: Format, bytes: &[u8]) {
    if let Some(text) = read::<String>(format, bytes) {
        assert!(text.len() <= LIMIT);
    }
    if let Some(bytes) = read::<Vec<u8>>(format, bytes) {
        assert!(bytes.len() <= LIMIT);
    }
    read::<Record>(format, bytes);
    read::<Vec<Record>>(format, bytes);
    read::<i64>(format, bytes);
    read::<Option<u8>>(format, bytes);
    read::<u128>(format, bytes);
    read::<bool>(format, bytes);
    read::<()>(format, bytes);
    read::<[u8; 4]>(format, bytes);
    read::<Tree>(format, bytes);
    read::<Bare>(format, bytes);
    read::<Chain>(format, bytes);
    // As much for a few bytes as a length says, if nobody counts.
    read::<Vec<()>>(format, bytes);
    read::<Vec<Vec<[(); 9]>>>(format, bytes);
    read::<BTreeMap<(), Vec<()>>>(format, bytes);
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(format: Format, bytes: &[u8]) -> Option<T> {
    let now = || 1_700_000_000_000;
    let value = match format.decode::<T>(NAME, bytes, &mut Room::of(LIMIT), now) {
        Ok(Entry::Value(value) | Entry::Stale(value)) => value,
        Ok(Entry::Negative) | Err(_) => return None,
    };
    // An entry of another codec may be of a type that this one does not write.
    if let Ok(written) = format.encode(NAME, &value, 0) {
        let again = format.decode::<T>(NAME, &written, &mut Room::any(), now);
        assert_eq!(
            again.as_ref(),
            Ok(&Entry::Value(value)),
            "{bytes:?} was read, written as {written:?}, and read"
        );
        return match again {
            Ok(Entry::Value(value)) => Some(value),
            _ => None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: 7,
            name: Some("Ann".to_owned()),
            shape: Shape::Box { width: -3, height: 4 },
            tags: BTreeMap::from([("a".to_owned(), vec![1, -1])]),
            pair: (true, '☃'),
        }
    }

    /// Returns one input of each kind that there is, each with its first byte.
    fn seeds() -> Vec<(String, Vec<u8>)> {
        let codecs: &[(u8, Codec)] = &[
            #[cfg(feature = "json")]
            (0, Codec::Json),
            #[cfg(feature = "msgpack")]
            (1, Codec::MsgPack),
            #[cfg(feature = "postcard")]
            (2, Codec::Postcard { schema: 7 }),
            #[cfg(all(feature = "json", feature = "msgpack", feature = "postcard"))]
            (3, Codec::Raw),
        ];
        let mut seeds = Vec::new();
        for &(choice, codec) in codecs {
            let format = Format {
                codec,
                also_reads: [None; Codec::N_KINDS],
                envelope: true,
                max_decoded_len: LIMIT,
                // What another version of zstd would compress otherwise is in the corpus, and not here.
                #[cfg(feature = "zstd")]
                zstd: None,
            };
            let bare = Format { envelope: false, ..format };
            let name = format!("{codec:?}").to_lowercase().replace([' ', '{', '}', ':'], "");
            let mut add = |kind: &str, first: u8, bytes: &[u8]| {
                seeds.push((format!("{name}-{kind}"), [&[first | choice], bytes].concat()));
            };
            // Without magic and version, and without the checksum, which is made anew.
            let unsealed = |entry: &[u8]| entry[2..entry.len() - 8].to_vec();
            let text = format.encode(NAME, "text", 0).unwrap();
            add("text", 0, &text);
            add("text-unsealed", 128, &unsealed(&text));
            add("stale-unsealed", 128, &unsealed(&format.encode(NAME, "text", 9).unwrap()));
            add("negative-unsealed", 128, &unsealed(&format.encode_negative(NAME)));
            add("text-bare", 64, &bare.encode(NAME, "text", 0).unwrap());
            add("bytes-unsealed", 128, &unsealed(&format.encode(NAME, &vec![0u8, 255, 1], 0).unwrap()));
            if let Ok(entry) = format.encode(NAME, &record(), 0) {
                add("record-unsealed", 128, &unsealed(&entry));
                add("record-bare", 64, &bare.encode(NAME, &record(), 0).unwrap());
            }
            let tree = Tree(vec![Tree(vec![]), Tree(vec![Tree(vec![])])]);
            if choice < 3 {
                add("tree-unsealed", 128, &unsealed(&format.encode(NAME, &tree, 0).unwrap()));
            }
        }
        // What ended the process, or kept it busy: envelopes that are whole, with a payload of one byte so
        // many times.
        #[cfg(all(feature = "json", feature = "msgpack", feature = "postcard"))]
        for (name, choice, id, schema, byte, n) in [
            ("json-deep", 0u8, 1u8, 0u8, b'[', 5000u16),
            ("msgpack-deep", 1, 2, 0, 0x91, 1000),
            ("postcard-deep", 2, 3, 7, 1, 60_000),
            ("postcard-from-json-deep", 0, 3, 7, 1, 60_000),
            ("postcard-long", 2, 3, 7, 0xff, 9),
            ("raw-endless", 3, 4, 0, b'x', 1),
            ("json-endless", 0, 1, 0, b'5', 1),
        ] {
            let [hi, lo] = (n + u16::from(name == "postcard-long")).to_be_bytes();
            let mut seed = vec![128 | choice, id, 0, schema, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, hi, lo];
            seed.resize(seed.len() + usize::from(n), byte);
            if name == "postcard-long" {
                seed.push(1); // The end of the number of elements.
            }
            seeds.push((name.to_owned(), seed));
        }
        seeds.push(("digits".to_owned(), b"\0-42".to_vec()));
        seeds.push(("digits-too-many".to_owned(), b"\x0092233720368547758080".to_vec()));
        seeds.push(("foreign".to_owned(), b"\0\x80\x04\x95pickled".to_vec()));
        seeds
    }

    #[test]
    fn the_corpus_has_an_entry_of_every_kind() {
        inputs::assert_in_corpus("decode", seeds());
    }

    /// Measures the stack and the time of a call: on a thread as tests and runtimes have it, of 2
    /// MiB.
    #[test]
    #[cfg(all(feature = "json", feature = "msgpack", feature = "postcard"))]
    fn no_payload_of_one_byte_repeated_ends_the_process() {
        for byte in 0..=255u8 {
            for id in 1..=4u8 {
                for n in [1u16, 9, 1000, 60_000] {
                    let [hi, lo] = n.to_be_bytes();
                    let schema = if id == 3 { 7 } else { 0 };
                    let header = [id, 0, schema, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, hi, lo];
                    decode(&[&[128 | (id - 1)], header.as_slice(), &vec![byte; n.into()]].concat());
                }
            }
        }
    }

    #[test]
    fn every_input_of_the_corpus_is_a_value_or_an_error() {
        inputs::try_corpus("decode", decode);
    }

    #[test]
    fn every_other_input_is_a_value_or_an_error() {
        inputs::try_others("decode", 5000, decode);
    }

    #[test]
    #[cfg(all(feature = "json", feature = "msgpack", feature = "postcard"))]
    fn a_value_of_each_kind_is_read_whole() {
        // Or else nothing above says anything: an input that is refused at once is no test of what comes
        // after.
        let format = Format {
            codec: Codec::Raw,
            also_reads: [Some(Codec::Json), Some(Codec::MsgPack), None, None],
            envelope: true,
            max_decoded_len: LIMIT,
            #[cfg(feature = "zstd")]
            zstd: None,
        };
        let seeds = seeds();
        let sealed = |name: &str| {
            let (_, seed) = seeds.iter().find(|(seed, _)| seed == name).unwrap();
            seal(&seed[1..])
        };
        assert_eq!(read::<String>(format, &sealed("raw-text-unsealed")).as_deref(), Some("text"));
        for codec in ["json", "msgpack"] {
            let entry = format.decode::<Record>(
                NAME,
                &sealed(&format!("{codec}-record-unsealed")),
                &mut Room::any(),
                || 0,
            );
            assert_eq!(entry, Ok(Entry::Value(record())));
        }
    }
}

//! What a fuzzer does with the decoder. `fuzz/` calls it, and so does a test below, with the same corpus.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::Codec;
use crate::entry::Entry;
use crate::entry::Format;
use crate::envelope::HEADER;
use crate::envelope::Header;

/// What may be read of one entry at most, in bytes.
const LIMIT: usize = 1 << 16;

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

/// A value that contains values of its own kind, as deep as the bytes say. Not for Postcard, which knows no depth.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

/// Reads bytes as an entry of every kind. Whatever they are, the outcome is a value, the note that there is none, or an
/// error, never a panic; a value is within the limit, and is the same after it was written and read again.
///
/// The first byte chooses the codec, and whether the rest is an entry as it is (0 to 63), an entry without an envelope
/// (64 to 127), or header and payload of an envelope that is made whole here (from 128), for no fuzzer finds a checksum.
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
    let format = Format {
        codec,
        envelope,
        max_decoded_len: LIMIT,
        #[cfg(feature = "zstd")]
        zstd: Some(crate::compress::Zstd { level: 1, over: 64 }),
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
    header.seal(bytes)
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
    if !may_be_postcard(format, bytes) {
        read::<Tree>(format, bytes);
    }
}

fn may_be_postcard(format: Format, bytes: &[u8]) -> bool {
    const POSTCARD: u8 = 3;
    format.codec.id() == POSTCARD || Header::open(bytes).is_ok_and(|(header, _)| header.codec == POSTCARD)
}

fn read<T: Serialize + DeserializeOwned + PartialEq + Debug>(format: Format, bytes: &[u8]) -> Option<T> {
    let now = || 1_700_000_000_000;
    let value = match format.decode::<T>(bytes, now) {
        Ok(Entry::Value(value) | Entry::Stale(value)) => value,
        Ok(Entry::Negative) | Err(_) => return None,
    };
    // An entry of another codec may be of a type that this one does not write.
    if let Ok(written) = format.encode(&value, 0) {
        let again = format.decode::<T>(&written, now);
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
    use std::fs;
    use std::path::PathBuf;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// `fuzz/corpus/decode`, which is also where a fuzzer begins.
    fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/decode");
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
    }

    fn record() -> Record {
        Record {
            id: 7,
            name: Some("Ann".to_owned()),
            shape: Shape::Box { width: -3, height: 4 },
            tags: BTreeMap::from([("a".to_owned(), vec![1, -1])]),
            pair: (true, '☃'),
        }
    }

    /// One input of each kind that there is, each with its first byte.
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
            let text = format.encode("text", 0).unwrap();
            add("text", 0, &text);
            add("text-unsealed", 128, &unsealed(&text));
            add("stale-unsealed", 128, &unsealed(&format.encode("text", 9).unwrap()));
            add("negative-unsealed", 128, &unsealed(&format.encode_negative()));
            add("text-bare", 64, &bare.encode("text", 0).unwrap());
            add("bytes-unsealed", 128, &unsealed(&format.encode(&vec![0u8, 255, 1], 0).unwrap()));
            if let Ok(entry) = format.encode(&record(), 0) {
                add("record-unsealed", 128, &unsealed(&entry));
                add("record-bare", 64, &bare.encode(&record(), 0).unwrap());
            }
            let tree = Tree(vec![Tree(vec![]), Tree(vec![Tree(vec![])])]);
            if choice < 2 {
                add("tree-unsealed", 128, &unsealed(&format.encode(&tree, 0).unwrap()));
            }
        }
        seeds.push(("digits".to_owned(), b"\0-42".to_vec()));
        seeds.push(("digits-too-many".to_owned(), b"\x0092233720368547758080".to_vec()));
        seeds.push(("foreign".to_owned(), b"\0\x80\x04\x95pickled".to_vec()));
        seeds
    }

    #[test]
    fn the_corpus_has_an_entry_of_every_kind() {
        let corpus = corpus();
        for (name, seed) in seeds() {
            // One that changed is one that entries of before are no longer like.
            assert!(corpus.iter().any(|(_, input)| *input == seed), "{name} is not in the corpus: {seed:?}");
        }
    }

    #[test]
    fn every_input_of_the_corpus_is_a_value_or_an_error() {
        for (path, input) in corpus() {
            eprintln!("{}", path.display());
            decode(&input);
        }
    }

    #[test]
    #[cfg(all(feature = "json", feature = "msgpack", feature = "postcard"))]
    fn a_value_of_each_kind_is_read_whole() {
        // Or else nothing above says anything: an input that is refused at once is no test of what comes after.
        let format = Format {
            codec: Codec::Raw,
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
            let entry = format.decode::<Record>(&sealed(&format!("{codec}-record-unsealed")), || 0);
            assert_eq!(entry, Ok(Entry::Value(record())));
        }
    }

    /// What is done to an input.
    #[derive(Debug, Clone)]
    enum Edit {
        Change(Index, u8),
        Insert(Index, u8),
        Remove(Index),
        Cut(Index),
        Repeat(Index, u8),
        Append(Vec<u8>),
    }

    impl Edit {
        fn apply(&self, input: &mut Vec<u8>) {
            match self {
                Self::Append(more) => input.extend(more),
                _ if input.is_empty() => {}
                Self::Change(at, change) => {
                    let at = at.index(input.len());
                    input[at] ^= change;
                }
                Self::Insert(at, byte) => input.insert(at.index(input.len()), *byte),
                Self::Remove(at) => drop(input.remove(at.index(input.len()))),
                Self::Cut(at) => input.truncate(at.index(input.len())),
                Self::Repeat(at, n) => {
                    let part = input[at.index(input.len())..].to_vec();
                    for _ in 0..n % 8 {
                        input.extend(&part);
                    }
                }
            }
        }
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, change)| Edit::Change(at, change)),
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
            any::<Index>().prop_map(Edit::Remove),
            any::<Index>().prop_map(Edit::Cut),
            (any::<Index>(), any::<u8>()).prop_map(|(at, n)| Edit::Repeat(at, n)),
            vec(any::<u8>(), 0..20).prop_map(Edit::Append),
        ]
    }

    #[test]
    fn every_input_like_those_of_the_corpus_is_a_value_or_an_error() {
        let corpus: Vec<Vec<u8>> = corpus().into_iter().map(|(_, input)| input).collect();
        let inputs = (any::<Index>(), vec(edit(), 0..5));
        proptest!(ProptestConfig::with_cases(5000), |((which, edits) in inputs)| {
            let mut input = which.get(&corpus).clone();
            edits.iter().for_each(|edit| edit.apply(&mut input));
            decode(&input);
        });
    }

    proptest! {
        #[test]
        fn any_input_is_a_value_or_an_error(input in vec(any::<u8>(), 0..200)) {
            decode(&input);
        }
    }
}

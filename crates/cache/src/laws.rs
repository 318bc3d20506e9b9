//! The law of codecs: each gives back what it was given, or says that it cannot.

mod values;

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::values::*;
use crate::codec::Codec;
use crate::codec::Unwritten;
use crate::entry::Entry;
use crate::entry::Format;
use crate::entry::compress::Room;

const LIMIT: usize = 1 << 20;

fn formats() -> Vec<Format> {
    let codecs = [
        #[cfg(feature = "json")]
        Codec::Json,
        #[cfg(feature = "msgpack")]
        Codec::MsgPack,
        #[cfg(feature = "postcard")]
        Codec::Postcard { schema: 7 },
        Codec::Raw,
    ];
    let with = |(codec, envelope)| Format {
        codec,
        also_reads: [None; Codec::N_KINDS],
        envelope,
        max_decoded_len: LIMIT,
        #[cfg(feature = "zstd")]
        zstd: envelope.then_some(crate::entry::compress::Zstd { level: 1, over: 64 }),
    };
    let pairs = codecs.into_iter().flat_map(|codec| [(codec, true), (codec, false)]);
    pairs.filter(|(codec, envelope)| *envelope || !codec.needs_envelope()).map(with).collect()
}

/// A codec by the name of its variant.
fn name(format: Format) -> String {
    let name = format!("{:?}", format.codec);
    name.split(' ').next().unwrap().to_owned()
}

/// Returns whether a format holds a value. A format that takes a value must give it back.
fn held_by<T: Serialize + DeserializeOwned + PartialEq + Debug>(format: Format, value: &T) -> bool {
    // With a time, as a loaded value has, an integer is in an envelope too.
    let times: &[u64] = if format.envelope { &[0, 9] } else { &[0] };
    let mut is_held = false;
    for &stale_at in times {
        if let Ok(bytes) = format.encode(b"k", value, stale_at) {
            let read = format.decode::<T>(b"k", &bytes, &mut Room::any(), || 0);
            assert!(
                matches!(&read, Ok(Entry::Value(read)) if read == value),
                "{format:?} took {value:?} and gave {read:?}"
            );
            is_held = true;
        }
    }
    is_held
}

/// The codecs that hold a value.
fn held<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Vec<String> {
    let mut held: Vec<_> = formats().into_iter().filter(|format| held_by(*format, value)).map(name).collect();
    held.dedup();
    held
}

/// Asserts that exactly these codecs hold a value. Raw holds any integer that is stored as digits.
fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, expected: &[&str]) {
    let there: Vec<String> = formats().into_iter().map(name).collect();
    let expected: Vec<_> = expected.iter().filter(|name| there.iter().any(|there| there == *name)).collect();
    assert_eq!(held(&value), expected.into_iter().map(ToString::to_string).collect::<Vec<_>>(), "{value:?}");
}

const ALL_BUT_RAW: &[&str] = &["Json", "MsgPack", "Postcard"];
const BINARY: &[&str] = &["MsgPack", "Postcard"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_value_is_given_back_or_refused(value in any_value()) {
        held(&value);
        held(&New(value.clone()));
        held(&Some(value.clone()));
        held(&(value.clone(), Some(Some(value.clone()))));
        held(&vec![value]);
    }

    #[test]
    fn every_number_is_given_back(double in any_float(), single in any_single(), wide: i128, natural: u128) {
        let both = |finite: bool| if finite { ALL_BUT_RAW } else { BINARY };
        check(F64(double), both(double.is_finite()));
        check(F32(single), both(single.is_finite()));
        check(Some(F64(double)), both(double.is_finite()));
        check(vec![F32(single)], both(single.is_finite()));
        check(wide, ALL_BUT_RAW);
        check(natural, ALL_BUT_RAW);
        check((wide as u64, wide as i64), ALL_BUT_RAW);
    }

    #[test]
    fn what_a_reader_does_not_ask_for_is_given_back_or_refused(
        wide: Option<i128>,
        double in any_float(),
        pair: Option<(u64, u8)>,
        untagged in untagged(),
        small: Option<u8>,
        list in vec(any_single().prop_map(F32), 0..3),
        last: i16,
    ) {
        held(&Flat { name: "a".to_owned(), rest: Rest { wide, double: F64(double), list: Some(vec![pair.map(|(n, single)| (n, F32(single.into())))]) } });
        held(&Sparse { maybe: small, list, last });
        for format in formats() {
            // Types that the others never read, whatever the value: their docs say so.
            if ["Json", "MsgPack"].contains(&name(format).as_str()) {
                held_by(format, &untagged);
                held_by(format, &Adjacent::Number(F64(double)));
                held_by(format, &Adjacent::Pair(3, small.map(|small| small < 9)));
                held_by(format, &Tagged::Point { at: F64(double), maybe: small });
                held_by(format, &Tagged::Text(New(BTreeMap::from([("a".to_owned(), "b".to_owned())]))));
            }
        }
    }

    #[test]
    fn a_text_and_bytes_are_given_back(text in ".*", bytes in vec(any::<u8>(), 0..99)) {
        let all = ["Json", "MsgPack", "Postcard", "Raw"];
        check(text.clone(), &all);
        check(Some(New(text)), &all);
        check(bytes.clone(), &all);
        check(bytes.iter().map(|byte| Some(New(*byte))).collect::<Vec<_>>(), &all);
        check(Bytes(bytes), &all);
    }
}

#[test]
fn a_known_number_is_given_back() {
    check(287.0 / 3.0, ALL_BUT_RAW);
    check(F64(-0.0), ALL_BUT_RAW);
    check(F32(-0.0), ALL_BUT_RAW);
    check(5e-324, ALL_BUT_RAW);
    check(f64::MAX, ALL_BUT_RAW);
    // Its shortest form is no form of it as an f64.
    check(7.038531e-26_f32, ALL_BUT_RAW);
    check((1u64 << 53) + 1, &["Json", "MsgPack", "Postcard", "Raw"]);
    check(u128::MAX, ALL_BUT_RAW);
    check(i128::MIN, ALL_BUT_RAW);
}

#[test]
fn what_json_has_no_form_for_is_refused() {
    check(F64(f64::NAN), BINARY);
    check(F64(f64::NEG_INFINITY), BINARY);
    check(F32(f32::from_bits(0x7f80_0001)), BINARY);
    check(Some(F64(f64::NAN)), BINARY);
    check(BTreeMap::from([(1, vec![(F32(f32::INFINITY), true)])]), BINARY);
}

#[test]
fn some_of_nothing_is_not_stored_as_none() {
    check(Some(None::<u8>), &["Postcard"]);
    check(Some(()), &["Postcard"]);
    check(Some(Nothing), BINARY);
    check(Some(New(None::<String>)), &["Postcard"]);
    check(vec![Some(Some(1)), Some(None), None], &["Postcard"]);
    check(vec![Some(Some(1)), None], ALL_BUT_RAW);
    check(Some(vec![None::<u8>]), ALL_BUT_RAW);
    check(Some(Any::Maybe(None)), ALL_BUT_RAW);
    check(Some((None::<u8>, ())), ALL_BUT_RAW);
    check(None::<()>, ALL_BUT_RAW);
}

#[test]
fn a_key_that_is_no_text_is_given_back_or_refused() {
    check(BTreeMap::from([(1u128 << 100, 2)]), ALL_BUT_RAW);
    check(BTreeMap::from([(true, 2)]), ALL_BUT_RAW);
    check(BTreeMap::from([(Some(1), 2)]), ALL_BUT_RAW);
    check(BTreeMap::from([(None::<u8>, 2)]), BINARY);
    check(BTreeMap::from([(Some(None::<u8>), 2)]), &["Postcard"]);
    check(BTreeMap::from([((1, 2), 3)]), BINARY);
    check(BTreeMap::from([(Side::Left, 2)]), ALL_BUT_RAW);
}

#[test]
fn a_number_for_machines_is_read_as_one() {
    // An integer of one's own, and a text for people: what is stored decides how it is asked for.
    check(Code(7), &["Json", "MsgPack", "Postcard", "Raw"]);
}

#[test]
fn a_field_that_is_left_out_is_not_read_as_another() {
    check(Sparse { maybe: Some(1), list: vec![F32(1.5)], last: 2 }, ALL_BUT_RAW);
    check(Sparse { maybe: None, list: vec![F32(1.5)], last: 2 }, &["Json", "MsgPack"]);
    check(Sparse { maybe: None, list: vec![], last: 2 }, &["Json", "MsgPack"]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Link {
    next: Option<Box<Link>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    New(Box<Chain>),
    Pair(Box<Chain>, u8),
    Named { next: Box<Chain> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bare(Option<Box<Bare>>);

/// The innermost value, put into another so many times.
fn nested<T>(depth: usize, innermost: T, around: impl Fn(T) -> T) -> T {
    (0..depth).fold(innermost, |inner, _| around(inner))
}

#[test]
fn however_deep_a_value_is_it_is_given_back_or_refused() {
    for depth in (0..140).chain([200, 500, 1000, 1100]) {
        let levels = |per_level: usize| if depth * per_level <= 127 { ALL_BUT_RAW } else { &[] };
        check(
            Link { next: nested(depth, None, |next| Some(Box::new(Link { next }))) },
            levels(1 + usize::from(126 < depth)),
        );
        check(nested(depth, Chain::End, |next| Chain::New(Box::new(next))), levels(1));
        check(nested(depth, Chain::End, |next| Chain::Pair(Box::new(next), 1)), levels(2));
        check(nested(depth, Chain::End, |next| Chain::Named { next: Box::new(next) }), levels(2));
        let bare = nested(depth, Bare(None), |next| Bare(Some(Box::new(next))));
        check(
            bare,
            if depth == 0 {
                ALL_BUT_RAW
            } else if depth <= 127 {
                &["Postcard"]
            } else {
                &[]
            },
        );
    }
    check(nested(126, Tree(vec![]), |tree| Tree(vec![tree])), ALL_BUT_RAW);
    check(nested(127, Tree(vec![]), |tree| Tree(vec![tree])), &[]);
}

#[test]
fn elements_that_take_no_bytes_are_given_back_or_refused() {
    for (n, postcard) in [(1, true), (4096, true), (4098, true), (4099, false), (1 << 17, false)] {
        check(vec![(); n], if postcard { ALL_BUT_RAW } else { &["Json", "MsgPack"] });
    }
    check(vec![vec![(); 1000]; 5], &["Json", "MsgPack"]);
    // Fields of a tuple are no elements: the type says how many there are.
    check(vec![(7u8, (), (), ()); 5000], ALL_BUT_RAW);
}

#[test]
fn what_is_longer_than_may_be_read_is_refused() {
    check("x".repeat(LIMIT * 2), &[]);
    check(vec!["x".repeat(LIMIT / 2 - 9); 2], ALL_BUT_RAW);
}

#[test]
fn a_refusal_says_why() {
    let reason = |value: &dyn Fn(Format) -> Result<Vec<u8>, Unwritten>, codec: &str| {
        let format = formats().into_iter().find(|format| name(*format) == codec);
        format.map(|format| value(format).unwrap_err().into_reason())
    };
    for (codec, value, wanted) in [
        ("Json", &(|f: Format| f.encode(b"k", &f64::NAN, 0)) as &dyn Fn(Format) -> _, "infinity"),
        (
            "Json",
            &|f: Format| f.encode(b"k", &BTreeMap::from([(F64(f64::NAN).0.to_bits(), f32::NAN)]), 0),
            "no number",
        ),
        ("MsgPack", &|f: Format| f.encode(b"k", &Some(()), 0), "a `Some` of nothing"),
        (
            "Postcard",
            &|f: Format| f.encode(b"k", &Sparse { maybe: None, list: vec![], last: 2 }, 0),
            "`skip_serializing_if`",
        ),
        (
            "Postcard",
            &|f: Format| f.encode(b"k", &nested(200, Tree(vec![]), |tree| Tree(vec![tree])), 0),
            "127 deep",
        ),
        ("Raw", &|f: Format| f.encode(b"k", &true, 0), "strings and bytes only"),
        ("MsgPack", &|f: Format| f.encode(b"k", &"x".repeat(LIMIT), 0), "bytes long"),
    ] {
        if let Some(reason) = reason(value, codec) {
            assert!(reason.contains(wanted), "{reason}");
        }
    }
}

//! Values of every kind that serde knows.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Debug;

use proptest::collection::btree_map;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// A float that is equal to itself, whatever it is.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct F32(pub(super) f32);

impl PartialEq for F32 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Debug for F32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.0, self.0.to_bits())
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct F64(pub(super) f64);

impl PartialEq for F64 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Debug for F64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.0, self.0.to_bits())
    }
}

/// A value that serde calls bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Reader)
    }
}

/// Written as a number, or for people as a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Code(pub(super) u16);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(&format_args!("code {}", self.0)),
            false => serializer.serialize_u16(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u16::deserialize(deserializer).map(Code);
        }
        let text = String::deserialize(deserializer)?;
        let number = text.strip_prefix("code ").and_then(|number| number.parse().ok());
        number.map(Code).ok_or_else(|| D::Error::custom("no code"))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Nothing;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct New<T>(pub(super) T);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Side {
    Left,
    Right,
}

/// Everything that serde knows, inside of each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Any {
    None,
    Bool(bool),
    Short(i8),
    Long(i64),
    Natural(u64),
    Wide(i128),
    WideNatural(u128),
    Single(F32),
    Double(F64),
    Char(char),
    Text(String),
    Bytes(Bytes),
    Unit(()),
    Struct(Nothing),
    Side(Side),
    Code(Code),
    New(New<Box<Any>>),
    Maybe(Option<Box<Any>>),
    Twice(Option<Option<u8>>),
    Thrice(Option<New<Option<Option<bool>>>>),
    MaybeUnit(Option<()>),
    MaybeStruct(Option<Nothing>),
    List(Vec<Any>),
    Pair(Box<Any>, u8),
    Named { value: Box<Any>, other: Option<F64> },
    ByText(BTreeMap<String, Any>),
    ByNumber(BTreeMap<i64, Any>),
    ByWide(BTreeMap<u128, u8>),
    ByBool(BTreeMap<bool, u8>),
    ByChar(BTreeMap<char, u8>),
    BySide(BTreeMap<Side, u8>),
    ByMaybe(BTreeMap<Option<u8>, u8>),
    ByPair(BTreeMap<(u8, bool), u8>),
    Results(Vec<Result<u8, String>>),
}

pub(super) fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (any::<i32>(), 1..1000).prop_map(|(a, b)| f64::from(a) / f64::from(b)),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            5e-324,
            2.0
        ]),
    ]
}

pub(super) fn any_single() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

pub(super) fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::None),
        any::<bool>().prop_map(Any::Bool),
        any::<i8>().prop_map(Any::Short),
        any::<i64>().prop_map(Any::Long),
        any::<u64>().prop_map(Any::Natural),
        any::<i128>().prop_map(Any::Wide),
        any::<u128>().prop_map(Any::WideNatural),
        any_single().prop_map(|float| Any::Single(F32(float))),
        any_float().prop_map(|float| Any::Double(F64(float))),
        any::<char>().prop_map(Any::Char),
        ".*".prop_map(Any::Text),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Any::Bytes(Bytes(bytes))),
        Just(Any::Unit(())),
        Just(Any::Struct(Nothing)),
        Just(Any::Side(Side::Right)),
        any::<u16>().prop_map(|code| Any::Code(Code(code))),
        any::<Option<Option<u8>>>().prop_map(Any::Twice),
        any::<Option<Option<Option<bool>>>>().prop_map(|value| Any::Thrice(value.map(New))),
        any::<Option<()>>().prop_map(Any::MaybeUnit),
        any::<bool>().prop_map(|is| Any::MaybeStruct(is.then_some(Nothing))),
        btree_map(any::<u128>(), any::<u8>(), 0..3).prop_map(Any::ByWide),
        btree_map(any::<bool>(), any::<u8>(), 0..3).prop_map(Any::ByBool),
        btree_map(any::<char>(), any::<u8>(), 0..3).prop_map(Any::ByChar),
        any::<u8>().prop_map(|n| Any::BySide(BTreeMap::from([(Side::Left, n), (Side::Right, n)]))),
        btree_map(any::<Option<u8>>(), any::<u8>(), 0..3).prop_map(Any::ByMaybe),
        btree_map(any::<(u8, bool)>(), any::<u8>(), 0..2).prop_map(Any::ByPair),
        vec(any::<Result<u8, String>>(), 0..3).prop_map(Any::Results),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed().prop_map(|value| Any::New(New(value))),
            boxed().prop_map(|value| Any::Maybe(Some(value))),
            vec(inner.clone(), 0..4).prop_map(Any::List),
            (boxed(), any::<u8>()).prop_map(|(value, n)| Any::Pair(value, n)),
            (boxed(), any::<bool>(), any_float())
                .prop_map(|(value, is, float)| Any::Named { value, other: is.then_some(F64(float)) }),
            btree_map(".{0,3}", inner.clone(), 0..3).prop_map(Any::ByText),
            btree_map(any::<i64>(), inner.clone(), 0..3).prop_map(Any::ByNumber),
        ]
    })
}

/// Fields that a reader is given before it says which it wants.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flat {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rest {
    pub(super) wide: Option<i128>,
    pub(super) double: F64,
    pub(super) list: Option<Vec<Option<(u64, F32)>>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Untagged {
    Number(F64),
    Text(String),
    List(Vec<Untagged>),
    Named { name: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(super) enum Tagged {
    Point { at: F64, maybe: Option<u8> },
    Text(New<BTreeMap<String, String>>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
pub(super) enum Adjacent {
    None,
    Number(F64),
    Pair(i8, Option<bool>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) maybe: Option<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) list: Vec<F32>,
    pub(super) last: i16,
}

pub(super) fn untagged() -> impl Strategy<Value = Untagged> {
    let leaf = prop_oneof![
        any_float().prop_map(|float| Untagged::Number(F64(float))),
        ".*".prop_map(Untagged::Text),
        ".*".prop_map(|name| Untagged::Named { name }),
    ];
    leaf.prop_recursive(3, 9, 3, |inner| vec(inner, 0..3).prop_map(Untagged::List))
}

//! Integers, which are stored as their digits whatever the codec.

use std::fmt;

use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer;
use serde::de::Visitor;
use serde::forward_to_deserialize_any;
use serde::ser;
use serde::ser::Impossible;

use super::bounded;
use crate::error::DecodeReason;

/// The integer that a value is, if it is one that the server can count with.
///
/// `Some(5)` and a newtype around 5 are; `true`, `5.0` and `'5'` are not.
pub(crate) fn integer_of<T: Serialize + ?Sized>(value: &T, human_readable: bool) -> Option<i64> {
    value.serialize(Probe { human_readable }).ok()
}

/// The integer that stored bytes are, if they are one as the server writes it: no sign but `-`, no leading
/// zero.
pub(crate) fn ascii_integer(bytes: &[u8]) -> Option<i64> {
    // The longest is `-9223372036854775808`.
    let bytes = Some(bytes).filter(|bytes| bytes.len() <= 20)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let integer: i64 = text.parse().ok()?;
    (integer.to_string() == text).then_some(integer)
}

/// The value of type `T` that an integer is.
pub(crate) fn from_integer<T: DeserializeOwned>(value: i64, human_readable: bool) -> Result<T, DecodeReason> {
    bounded::read(Integer { value, human_readable }, 1)
        .map_err(|_| DecodeReason::Type { wanted: std::any::type_name::<T>() })
}

/// The error with which [`Probe`] or [`Integer`] gives up: nobody reads it.
#[derive(Debug, thiserror::Error)]
#[error("no integer")]
pub(super) struct NotThis;

impl ser::Error for NotThis {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl de::Error for NotThis {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Gives up at the first thing that is no integer, so it costs nothing on a large value.
struct Probe {
    human_readable: bool,
}

type Never = Impossible<i64, NotThis>;

impl Serializer for Probe {
    type Ok = i64;
    type Error = NotThis;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn is_human_readable(&self) -> bool {
        self.human_readable
    }

    fn serialize_i8(self, v: i8) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_i16(self, v: i16) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_i32(self, v: i32) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_i64(self, v: i64) -> Result<i64, NotThis> {
        Ok(v)
    }

    fn serialize_u8(self, v: u8) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_u16(self, v: u16) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_u32(self, v: u32) -> Result<i64, NotThis> {
        Ok(v.into())
    }

    fn serialize_u64(self, v: u64) -> Result<i64, NotThis> {
        i64::try_from(v).map_err(|_| NotThis)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<i64, NotThis> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<i64, NotThis> {
        value.serialize(self)
    }

    fn serialize_bool(self, _: bool) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_f32(self, _: f32) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_f64(self, _: f64) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_char(self, _: char) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_str(self, _: &str) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_none(self) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_unit(self) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<i64, NotThis> {
        Err(NotThis)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_tuple(self, _: usize) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, NotThis> {
        Err(NotThis)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, NotThis> {
        Err(NotThis)
    }
}

/// An integer as a source of whatever was made of an integer. Serde's own does not know options and newtypes.
pub(super) struct Integer {
    pub(super) value: i64,
    pub(super) human_readable: bool,
}

/// Among others of a list.
impl IntoDeserializer<'_, NotThis> for Integer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Integer {
    type Error = NotThis;

    fn is_human_readable(&self) -> bool {
        self.human_readable
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotThis> {
        match u64::try_from(self.value) {
            Ok(natural) => visitor.visit_u64(natural),
            Err(_) => visitor.visit_i64(self.value),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotThis> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotThis> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Id(u32);

    fn check<T: Serialize>(value: T, expected: Option<i64>) {
        assert_eq!(integer_of(&value, true), expected);
    }

    #[test]
    fn an_integer_is_found_where_there_is_one() {
        check(5u8, Some(5));
        check(i64::MIN, Some(i64::MIN));
        check(u64::MAX, None);
        check(Some(7), Some(7));
        check(Id(3), Some(3));
        check(true, None);
        check(5.0, None);
        check("5", None);
        check([5], None);
        check(None::<i32>, None);
        check((), None);
    }

    #[test]
    fn digits_are_an_integer_as_the_server_writes_it() {
        assert_eq!(ascii_integer(b"0"), Some(0));
        assert_eq!(ascii_integer(b"-9223372036854775808"), Some(i64::MIN));
        for no in ["", "-", "+5", "05", "-0", "5 ", "9223372036854775808", "5.0", "00000000000000000000005"] {
            assert_eq!(ascii_integer(no.as_bytes()), None, "{no}");
        }
    }

    #[test]
    fn an_integer_becomes_what_was_made_of_one() {
        assert_eq!(from_integer(5, true), Ok(5u64));
        assert_eq!(from_integer(-5, true), Ok(Some(-5i8)));
        assert_eq!(from_integer(5, true), Ok(Id(5)));
        assert_eq!(from_integer(5, true), Ok(5.0));
        assert!(from_integer::<u8>(300, true).is_err());
        assert!(from_integer::<u64>(-1, true).is_err());
        assert!(from_integer::<bool>(1, true).is_err());
        assert!(from_integer::<String>(1, true).is_err());
    }
}

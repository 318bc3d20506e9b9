//! Strings and bytes as they are.

use std::fmt;

use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;
use serde::de::DeserializeOwned;
use serde::de::Visitor;
use serde::de::value::SeqDeserializer;
use serde::forward_to_deserialize_any;
use serde::ser;
use serde::ser::Impossible;

use super::Unwritten;
use super::bounded;
use super::integer::Integer;
use super::integer::NotThis;
use super::integer::integer_of;

/// Writes a string, bytes, or a sequence of bytes behind what is in `out`.
pub(super) fn encode<T: Serialize + ?Sized>(value: &T, out: Vec<u8>) -> Result<Vec<u8>, RawError> {
    value.serialize(Writer { out })
}

/// Reads a string (if it is UTF-8), bytes, or a sequence of bytes.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RawError> {
    bounded::read(Reader { bytes }, bytes.len())
}

/// The error of a value that cannot be raw.
#[derive(Debug, thiserror::Error)]
pub(super) enum RawError {
    /// The value is neither a string nor bytes.
    #[error("the raw codec writes strings and bytes only")]
    Neither,
    /// The type's own error.
    #[error("{0}")]
    Says(String),
}

impl ser::Error for RawError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Says(message.to_string())
    }
}

impl de::Error for RawError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Says(message.to_string())
    }
}

impl From<NotThis> for RawError {
    fn from(_: NotThis) -> Self {
        Self::Neither
    }
}

impl From<RawError> for Unwritten {
    fn from(error: RawError) -> Self {
        match error {
            RawError::Neither => Self::Refused(error.to_string()),
            RawError::Says(text) => Self::ByType(text),
        }
    }
}

fn neither<T>() -> Result<T, RawError> {
    Err(RawError::Neither)
}

struct Writer {
    out: Vec<u8>,
}

type Never = Impossible<Vec<u8>, RawError>;

impl Serializer for Writer {
    type Ok = Vec<u8>;
    type Error = RawError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_str(self, v: &str) -> Result<Vec<u8>, RawError> {
        self.serialize_bytes(v.as_bytes())
    }

    fn serialize_bytes(mut self, v: &[u8]) -> Result<Vec<u8>, RawError> {
        self.out.extend_from_slice(v);
        Ok(self.out)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Vec<u8>, RawError> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, RawError> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, RawError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, RawError> {
        Ok(self)
    }

    fn serialize_bool(self, _: bool) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_i8(self, _: i8) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_i16(self, _: i16) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_i32(self, _: i32) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_i64(self, _: i64) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_u8(self, _: u8) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_u16(self, _: u16) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_u32(self, _: u32) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_u64(self, _: u64) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_f32(self, _: f32) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_f64(self, _: f64) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_char(self, _: char) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_none(self) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_unit(self) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Vec<u8>, RawError> {
        neither()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, RawError> {
        neither()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, RawError> {
        neither()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Never, RawError> {
        neither()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Never, RawError> {
        neither()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, RawError> {
        neither()
    }
}

/// `Vec<u8>` is a sequence to serde, not bytes.
impl ser::SerializeSeq for Writer {
    type Ok = Vec<u8>;
    type Error = RawError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RawError> {
        match integer_of(value, true).map(u8::try_from) {
            Some(Ok(byte)) => {
                self.out.push(byte);
                Ok(())
            }
            _ => neither(),
        }
    }

    fn end(self) -> Result<Vec<u8>, RawError> {
        Ok(self.out)
    }
}

impl ser::SerializeTuple for Writer {
    type Ok = Vec<u8>;
    type Error = RawError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RawError> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<Vec<u8>, RawError> {
        Ok(self.out)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = RawError;

    /// For who does not say what is wanted: nobody knows what it was.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, RawError> {
        neither()
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        match std::str::from_utf8(self.bytes) {
            Ok(text) => visitor.visit_str(text),
            Err(_) => neither(),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        visitor.visit_bytes(self.bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        visitor.visit_bytes(self.bytes)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        let integer = |&byte: &u8| Integer { value: byte.into(), human_readable: true };
        let mut bytes = SeqDeserializer::new(self.bytes.iter().map(integer));
        let value = visitor.visit_seq(&mut bytes)?;
        bytes.end()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, RawError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RawError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, RawError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct tuple_struct map struct enum
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Name(String);

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "nothing is read as one")]
    enum Either {
        Text(String),
        Bytes(Vec<u8>),
    }

    fn check<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: T, bytes: &[u8]) {
        assert_eq!(encode(&value, Vec::new()).unwrap(), bytes);
        assert_eq!(decode::<T>(bytes).unwrap(), value);
    }

    #[test]
    fn strings_and_bytes_are_written_as_they_are() {
        check("x\0".to_owned(), b"x\0");
        check(String::new(), b"");
        check(vec![0u8, 255], &[0, 255]);
        check(Vec::<u8>::new(), b"");
        check([1u8, 2], &[1, 2]);
        check(Some("x".to_owned()), b"x");
        check(Name("x".to_owned()), b"x");
    }

    #[test]
    fn nothing_else_is_written() {
        assert!(encode(&true, Vec::new()).is_err());
        assert!(encode(&1.5, Vec::new()).is_err());
        assert!(encode(&None::<String>, Vec::new()).is_err());
        assert!(encode(&["x"], Vec::new()).is_err());
        assert!(encode(&[256], Vec::new()).is_err());
        assert!(encode(&("x", 1), Vec::new()).is_err());
    }

    #[test]
    fn what_is_no_text_is_no_string() {
        assert!(decode::<String>(&[255]).is_err());
        assert!(decode::<[u8; 2]>(&[1, 2, 3]).is_err());
        assert!(decode::<u64>(b"12").is_err());
        assert!(decode::<serde::de::IgnoredAny>(b"x").is_err());
        assert!(decode::<Either>(b"x").is_err(), "it may have been either");
    }
}

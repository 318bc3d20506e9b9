//! The parts of a value, as a codec and a type pass them to each other.

use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::EnumAccess;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::VariantAccess;
use serde::de::Visitor;

use super::Bounded;

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Bounded { inner: deserializer, at: self.at })
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_bool<E: Error>(self, v: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(v)
    }

    #[inline]
    fn visit_i8<E: Error>(self, v: i8) -> Result<V::Value, E> {
        self.inner.visit_i8(v)
    }

    #[inline]
    fn visit_i16<E: Error>(self, v: i16) -> Result<V::Value, E> {
        self.inner.visit_i16(v)
    }

    #[inline]
    fn visit_i32<E: Error>(self, v: i32) -> Result<V::Value, E> {
        self.inner.visit_i32(v)
    }

    #[inline]
    fn visit_i64<E: Error>(self, v: i64) -> Result<V::Value, E> {
        self.inner.visit_i64(v)
    }

    #[inline]
    fn visit_i128<E: Error>(self, v: i128) -> Result<V::Value, E> {
        self.inner.visit_i128(v)
    }

    #[inline]
    fn visit_u8<E: Error>(self, v: u8) -> Result<V::Value, E> {
        self.inner.visit_u8(v)
    }

    #[inline]
    fn visit_u16<E: Error>(self, v: u16) -> Result<V::Value, E> {
        self.inner.visit_u16(v)
    }

    #[inline]
    fn visit_u32<E: Error>(self, v: u32) -> Result<V::Value, E> {
        self.inner.visit_u32(v)
    }

    #[inline]
    fn visit_u64<E: Error>(self, v: u64) -> Result<V::Value, E> {
        self.inner.visit_u64(v)
    }

    #[inline]
    fn visit_u128<E: Error>(self, v: u128) -> Result<V::Value, E> {
        self.inner.visit_u128(v)
    }

    #[inline]
    fn visit_f32<E: Error>(self, v: f32) -> Result<V::Value, E> {
        self.inner.visit_f32(v)
    }

    #[inline]
    fn visit_f64<E: Error>(self, v: f64) -> Result<V::Value, E> {
        self.inner.visit_f64(v)
    }

    #[inline]
    fn visit_char<E: Error>(self, v: char) -> Result<V::Value, E> {
        self.inner.visit_char(v)
    }

    #[inline]
    fn visit_str<E: Error>(self, v: &str) -> Result<V::Value, E> {
        self.inner.visit_str(v)
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(v)
    }

    #[inline]
    fn visit_string<E: Error>(self, v: String) -> Result<V::Value, E> {
        self.inner.visit_string(v)
    }

    #[inline]
    fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<V::Value, E> {
        self.inner.visit_bytes(v)
    }

    #[inline]
    fn visit_borrowed_bytes<E: Error>(self, v: &'de [u8]) -> Result<V::Value, E> {
        self.inner.visit_borrowed_bytes(v)
    }

    #[inline]
    fn visit_byte_buf<E: Error>(self, v: Vec<u8>) -> Result<V::Value, E> {
        self.inner.visit_byte_buf(v)
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Bounded { inner: deserializer, at: self.at.wrapped()? })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Bounded { inner: deserializer, at: self.at.wrapped()? })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Bounded { inner: parts, at: self.at.inside()? })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, parts: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Bounded { inner: parts, at: self.at.inside()? })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Bounded { inner: variant, at: self.at })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(Bounded { inner: seed, at: self.at })?;
        if element.is_some() {
            self.at.element()?;
        }
        Ok(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let key = self.inner.next_key_seed(Bounded { inner: seed, at: self.at })?;
        if key.is_some() {
            self.at.element()?;
        }
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Bounded { inner: seed, at: self.at })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'a, A> {
    type Error = A::Error;
    type Variant = Bounded<'a, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.inner.variant_seed(Bounded { inner: seed, at: self.at })?;
        Ok((name, Bounded { inner: variant, at: self.at }))
    }
}

/// The variant is one level, and its fields are another.
impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Bounded { inner: seed, at: self.at.inside()? })
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let at = self.at.inside()?.fixed();
        self.inner.tuple_variant(len, Bounded { inner: visitor, at })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let at = self.at.inside()?.fixed();
        self.inner.struct_variant(fields, Bounded { inner: visitor, at })
    }
}

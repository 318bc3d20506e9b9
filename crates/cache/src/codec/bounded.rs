//! A deserializer that ends in an error what would not end, or would overflow the stack: bytes that somebody
//! forged.

mod parts;

use std::cell::Cell;

use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::Error;
use serde::de::Visitor;

/// The depth to which a value may be nested, as it is [written](super::strict): what `serde_json` reads.
pub(super) const MAX_LEVELS: u8 = 127;
/// The number of `Some`s and newtypes that may be inside each other besides: a codec that writes nothing for them would
/// go on with the same bytes for ever.
pub(super) const MAX_WRAPPERS: u8 = 255;
/// The number of elements of lists and maps that there may be beyond the number of bytes: a length costs nothing where
/// elements take none.
pub(super) const MAX_EMPTY: usize = 4096;

/// Reads a value from so many bytes.
pub(super) fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
    n_bytes: usize,
) -> Result<T, D::Error> {
    let elements = Cell::new(n_bytes.saturating_add(MAX_EMPTY));
    let at = At { elements: &elements, levels: MAX_LEVELS, wrappers: MAX_WRAPPERS, is_fixed: false };
    T::deserialize(Bounded { inner: deserializer, at })
}

/// A place in a value. Small: each of its parts is given a copy.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The number of elements that are left.
    elements: &'a Cell<usize>,
    /// The number of levels that are left.
    levels: u8,
    wrappers: u8,
    /// True if the type says how many parts there are.
    is_fixed: bool,
}

impl At<'_> {
    /// For what stands inside of a list, a map or a variant.
    #[inline]
    fn inside<E: Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(E::custom("it is nested more than 127 deep")),
        }
    }

    /// For what stands inside of a `Some` or a newtype.
    #[inline]
    fn wrapped<E: Error>(self) -> Result<Self, E> {
        match self.wrappers.checked_sub(1) {
            Some(wrappers) => Ok(Self { wrappers, ..self }),
            None => Err(E::custom("it has more than 255 `Some`s and newtypes inside each other")),
        }
    }

    /// Counts an element.
    #[inline]
    fn element<E: Error>(self) -> Result<(), E> {
        if self.is_fixed {
            return Ok(());
        }
        match self.elements.get().checked_sub(1) {
            Some(elements) => {
                self.elements.set(elements);
                Ok(())
            }
            None => Err(E::custom("it has more elements than bytes")),
        }
    }

    fn open(self) -> Self {
        Self { is_fixed: false, ..self }
    }

    fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }
}

/// A codec's deserializer, or what it and a type tell each other the parts of a value by, and where in the
/// value that is.
struct Bounded<'a, X> {
    inner: X,
    at: At<'a>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_bool(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_i8(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_i16(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_i32(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_i64(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_i128(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u8(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u16(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u32(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u64(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_u128(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_f32(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_f64(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_char(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_string(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_bytes(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_byte_buf(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(Bounded { inner: visitor, at: self.at.open() })
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_seq(Bounded { inner: visitor, at: self.at.open() })
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Bounded { inner: visitor, at: self.at.open() })
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_identifier(Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(Bounded { inner: visitor, at: self.at.open() })
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, Bounded { inner: visitor, at: self.at })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Bounded { inner: visitor, at: self.at.fixed() })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, Bounded { inner: visitor, at: self.at.fixed() })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Bounded { inner: visitor, at: self.at.fixed() })
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, Bounded { inner: visitor, at: self.at })
    }
}

//! A serializer that refuses what the codec behind it would store as something else, or could not read back.

mod checked;

use std::cell::Cell;
use std::fmt;

use serde::Serialize;
use serde::Serializer;
use serde::ser::Error;

use self::checked::Checked;
use super::Unwritten;
use super::bounded::MAX_EMPTY;
use super::bounded::MAX_LEVELS;
use super::bounded::MAX_WRAPPERS;

/// The values that a codec cannot hold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    /// True if infinity and NaN have no form of their own.
    pub(super) finite_only: bool,
    /// True if `None` and `()` are one thing, which a `Some` of them is then too.
    pub(super) one_nothing: bool,
    /// True if a unit struct is that as well.
    pub(super) nothing_struct: bool,
    /// True if a key of a map is a text, or has the form of one.
    pub(super) text_keys: bool,
    /// True if fields stand in their order without a name, so that none may be left out, and lengths before
    /// what is so long.
    pub(super) ordered: bool,
}

/// Writes a value by `write` behind what is in `out` if the codec can hold it, or says why not.
pub(super) fn write<T: Serialize + ?Sized, E: fmt::Display>(
    value: &T,
    limits: Limits,
    out: Vec<u8>,
    write: impl FnOnce(Strict<'_, T>, Vec<u8>) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, Unwritten> {
    // Not every codec's error keeps what it is told.
    let whole = Whole { limits, refusal: Cell::new(None), n_elements: Cell::new(0) };
    let rules = Rules {
        whole: &whole,
        levels: MAX_LEVELS,
        wrappers: MAX_WRAPPERS,
        in_some: false,
        in_key: false,
        in_flat: false,
    };
    let before = out.len();
    let out = write(Strict { value, rules }, out).map_err(|error| match whole.refusal.get() {
        Some(why) => Unwritten::Refused(why.to_owned()),
        None => Unwritten::ByType(error.to_string()),
    })?;
    if out.len().saturating_sub(before).saturating_add(MAX_EMPTY) < whole.n_elements.get() {
        return Err(Unwritten::Refused("it has more than 4096 elements that take no bytes".to_owned()));
    }
    Ok(out)
}

/// The state of a check that holds everywhere in a value.
struct Whole {
    limits: Limits,
    refusal: Cell<Option<&'static str>>,
    /// The number of elements of its lists and maps so far.
    n_elements: Cell<usize>,
}

/// The state of a check at one place in a value. Small: each of its parts is given a copy.
#[derive(Clone, Copy)]
struct Rules<'a> {
    whole: &'a Whole,
    /// The number of levels left.
    levels: u8,
    /// The number of `Some`s and newtypes.
    wrappers: u8,
    /// True if it is directly inside of a `Some`.
    in_some: bool,
    /// True if it is a key of a map.
    in_key: bool,
    /// True if it is inside of a map whose length was not known: serde's `flatten`, which reads no integers
    /// of 128 bits.
    in_flat: bool,
}

impl Rules<'_> {
    #[cold]
    fn refuse<E: Error>(self, why: &'static str) -> E {
        self.whole.refusal.set(Some(why));
        E::custom(why)
    }

    /// For what stands inside of a list, a map or a variant.
    #[inline]
    fn inside<E: Error>(self) -> Result<Self, E> {
        self.key()?;
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, in_some: false, in_key: false, ..self }),
            None => Err(self.refuse("it is nested more than 127 deep")),
        }
    }

    /// For what stands inside of a `Some` or a newtype.
    #[inline]
    fn wrapped<E: Error>(self) -> Result<Self, E> {
        match self.wrappers.checked_sub(1) {
            Some(wrappers) => Ok(Self { wrappers, ..self }),
            None => Err(self.refuse("it has more than 255 `Some`s and newtypes inside each other")),
        }
    }

    /// Counts an element of a list or a map.
    #[inline]
    fn element(self) {
        self.whole.n_elements.set(self.whole.n_elements.get().saturating_add(1));
    }

    #[inline]
    fn finite<E: Error>(self, is_finite: bool) -> Result<(), E> {
        match self.whole.limits.finite_only && !is_finite {
            true => Err(self.refuse("JSON has no form for infinity and for what is no number")),
            false => Ok(()),
        }
    }

    /// For what is no text, no number, and no bool.
    #[inline]
    fn key<E: Error>(self) -> Result<(), E> {
        match self.in_key && self.whole.limits.text_keys {
            true => Err(self.refuse("a key of a map in JSON is a text, a number or a bool")),
            false => Ok(()),
        }
    }

    #[inline]
    fn nothing<E: Error>(self) -> Result<(), E> {
        self.key()?;
        match self.in_some && self.whole.limits.one_nothing {
            true => Err(self.refuse("this codec does not tell a `Some` of nothing from `None`")),
            false => Ok(()),
        }
    }

    #[inline]
    fn wide<E: Error>(self) -> Result<(), E> {
        match self.in_flat {
            true => Err(self.refuse("serde reads no integer of 128 bits in a flattened struct")),
            false => Ok(()),
        }
    }

    #[inline]
    fn len<E: Error>(self, len: Option<usize>) -> Result<(), E> {
        match self.whole.limits.ordered && len.is_none() {
            true => {
                Err(self.refuse("Postcard writes no list, map or flattened struct whose length is not known"))
            }
            false => Ok(()),
        }
    }

    #[inline]
    fn left_out<E: Error>(self) -> Result<(), E> {
        match self.whole.limits.ordered {
            true => Err(self.refuse("Postcard cannot leave out a field, as `skip_serializing_if` asks for")),
            false => Ok(()),
        }
    }
}

/// A value that is written by these rules.
pub(super) struct Strict<'a, T: ?Sized> {
    value: &'a T,
    rules: Rules<'a>,
}

impl<T: Serialize + ?Sized> Serialize for Strict<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Checked { inner: serializer, rules: self.rules })
    }
}

//! The keys of a cache, and the style of their names on the server.

pub(crate) mod name;

use std::fmt;

use redisdb_node::plumbing::foreign;

/// A key of the cache, before prefix and version are added.
///
/// Strings and bytes are keys as they are; only [`Key::tagged`] has to be called for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    pub(crate) tag: Option<&'a [u8]>,
    pub(crate) name: &'a [u8],
}

impl<'a> Key<'a> {
    /// A key that is its own.
    pub fn new(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { tag: None, name: name.as_ref() }
    }

    /// A key that lives on the same node of a ring as all others with this tag (and this cache's prefix or
    /// another).
    ///
    /// The key with a tag is another key than the one without it, or with another tag. An empty tag keeps
    /// nothing together.
    pub fn tagged(tag: &'a (impl AsRef<[u8]> + ?Sized), name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { tag: Some(tag.as_ref()), name: name.as_ref() }
    }
}

/// As it would be written by hand, escaped: `{user:7}cart`.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key in a message is there to be recognized, not to be copied.
        if let Some(tag) = self.tag {
            write!(f, "{{{}}}", foreign::bytes(tag))?;
        }
        foreign::bytes(self.name).fmt(f)
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A value that can be a key: a string, bytes, a [`Key`], or a reference to one.
pub trait AsKey {
    /// The key.
    fn as_key(&self) -> Key<'_>;
}

impl AsKey for Key<'_> {
    fn as_key(&self) -> Key<'_> {
        *self
    }
}

impl AsKey for str {
    fn as_key(&self) -> Key<'_> {
        Key::new(self)
    }
}

impl AsKey for String {
    fn as_key(&self) -> Key<'_> {
        Key::new(self)
    }
}

impl AsKey for [u8] {
    fn as_key(&self) -> Key<'_> {
        Key::new(self)
    }
}

impl<const N: usize> AsKey for [u8; N] {
    fn as_key(&self) -> Key<'_> {
        Key::new(self)
    }
}

impl AsKey for Vec<u8> {
    fn as_key(&self) -> Key<'_> {
        Key::new(self)
    }
}

impl<K: AsKey + ?Sized> AsKey for &K {
    fn as_key(&self) -> Key<'_> {
        (**self).as_key()
    }
}

/// The way in which prefix, version and key become the name of a Redis key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStyle {
    /// `prefix:version:key`, where `%`, `{` and `}` (and `:` in the prefix) are percent-escaped. So are other
    /// bytes that the ring or copy looks for before and after a tag. The default.
    ///
    /// No two different triples make one name, and no key can choose its node by a tag of its own.
    #[default]
    Escaped,
    /// `prefix:version:key`, nothing escaped: the names that a Django application uses.
    ///
    /// Prefix `a` with key `2:x` in version 1 and prefix `a:1` with key `x` in version 2 are one name. A user
    /// who may choose a key may choose its node.
    Django,
}

/// A key that was found on a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoundKey {
    pub(crate) tag: Option<Vec<u8>>,
    pub(crate) name: Vec<u8>,
}

impl FoundKey {
    /// The key without its tag.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The tag that it was [given](Key::tagged). In [`KeyStyle::Django`] it cannot be told from the name.
    pub fn tag(&self) -> Option<&[u8]> {
        self.tag.as_deref()
    }
}

impl AsKey for FoundKey {
    fn as_key(&self) -> Key<'_> {
        Key { tag: self.tag.as_deref(), name: &self.name }
    }
}

impl fmt::Display for FoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}

impl fmt::Debug for FoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FoundKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_escaped_and_cut() {
        assert_eq!(Key::tagged("u", "a\n").to_string(), "{u}a\\n");
        assert_eq!(Key::new(&"x".repeat(70)).to_string(), format!("{}..(70 bytes)", "x".repeat(64)));
    }
}

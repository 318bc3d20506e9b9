//! What a key of the cache is called on the server.

use std::fmt;

/// A key of the cache, before prefix and version are added.
///
/// Strings and bytes are keys as they are; only [`Key::tagged`] has to be called for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    tag: Option<&'a [u8]>,
    name: &'a [u8],
}

impl<'a> Key<'a> {
    /// A key that is its own.
    pub fn new(name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { tag: None, name: name.as_ref() }
    }

    /// A key that lives on the same node of a ring as all others with this tag (and this cache's prefix or another).
    ///
    /// It is another key than the one without the tag, or with another one. An empty tag keeps nothing together.
    pub fn tagged(tag: &'a (impl AsRef<[u8]> + ?Sized), name: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { tag: Some(tag.as_ref()), name: name.as_ref() }
    }
}

/// As it would be written by hand, escaped: `{user:7}cart`.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A key in a message is there to be recognized, not to be copied.
        const LONGEST: usize = 64;
        if let Some(tag) = self.tag {
            write!(f, "{{{}}}", tag.escape_ascii())?;
        }
        let (shown, rest) = self.name.split_at(self.name.len().min(LONGEST));
        write!(f, "{}", shown.escape_ascii())?;
        if rest.is_empty() { Ok(()) } else { write!(f, "..({} bytes)", self.name.len()) }
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// What can be a key: strings, bytes, [`Key`] itself, and references to them.
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

/// How prefix, version and key become the name of a Redis key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStyle {
    /// `prefix:version:key`, where `%`, `{` and `}` (and `:` in the prefix) are percent-escaped. The default.
    ///
    /// No two different triples make one name, and no key can choose its node by braces of its own.
    #[default]
    Escaped,
    /// `prefix:version:key`, nothing escaped: the names that a Django application uses.
    ///
    /// Prefix `a` with key `2:x` in version 1 and prefix `a:1` with key `x` in version 2 are one name, and whoever
    /// may choose a key may choose its node.
    Django,
}

/// A key that was found on a server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoundKey {
    tag: Option<Vec<u8>>,
    name: Vec<u8>,
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

impl KeyStyle {
    /// The glob-style pattern of the names of all keys with this prefix, of any version.
    pub(crate) fn pattern_of_all(self, prefix: &str) -> Vec<u8> {
        let mut pattern = self.literal_prefix(prefix);
        pattern.extend_from_slice(b"[0-9]*:*");
        pattern
    }

    /// The glob-style pattern of the names of the keys that match a pattern.
    pub(crate) fn pattern(self, prefix: &str, version: u32, pattern: &str) -> Vec<u8> {
        let mut whole = self.literal_prefix(prefix);
        whole.extend_from_slice(version.to_string().as_bytes());
        whole.push(b':');
        self.push(&mut whole, pattern.as_bytes(), b"%{}");
        whole
    }

    /// The version and the key of a name, if it is one of this prefix. What a pattern finds need not be: `*` stands for
    /// anything.
    pub(crate) fn take_apart(self, prefix: &str, name: &[u8]) -> Option<(u32, FoundKey)> {
        let mut own = Vec::new();
        self.push(&mut own, prefix.as_bytes(), b"%{}:");
        let rest = name.strip_prefix(own.as_slice())?.strip_prefix(b":")?;
        let end = rest.iter().position(|&byte| byte == b':')?;
        let (version, key) = rest.split_at_checked(end)?;
        let text = std::str::from_utf8(version).ok()?;
        let version: u32 = text.parse().ok().filter(|version: &u32| version.to_string() == text)?;
        let key = key.strip_prefix(b":")?;
        let tagged = key.strip_prefix(b"{").filter(|_| self == Self::Escaped);
        let found = match tagged.and_then(|key| Some((key, key.iter().position(|&byte| byte == b'}')?))) {
            Some((key, end)) => {
                let (tag, name) = key.split_at_checked(end)?;
                FoundKey { tag: Some(self.unescaped(tag)?), name: self.unescaped(name.strip_prefix(b"}")?)? }
            }
            None => FoundKey { tag: None, name: self.unescaped(key)? },
        };
        Some((version, found))
    }

    /// The prefix with its colon, so that a pattern takes it literally.
    fn literal_prefix(self, prefix: &str) -> Vec<u8> {
        let mut plain = Vec::new();
        self.push(&mut plain, prefix.as_bytes(), b"%{}:");
        let mut literal = Vec::with_capacity(plain.len() + 16);
        for byte in plain {
            if b"*?[]\\^-".contains(&byte) {
                literal.push(b'\\');
            }
            literal.push(byte);
        }
        literal.push(b':');
        literal
    }

    fn unescaped(self, part: &[u8]) -> Option<Vec<u8>> {
        if self == Self::Django {
            return Some(part.to_vec());
        }
        let mut bytes = part.iter().copied();
        let mut plain = Vec::with_capacity(part.len());
        while let Some(byte) = bytes.next() {
            plain.push(match byte {
                b'%' => {
                    let hex = [bytes.next()?, bytes.next()?];
                    u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
                }
                byte => byte,
            });
        }
        Some(plain)
    }

    /// What the names of all keys of a version start with.
    pub(crate) fn head(self, prefix: &str, version: u32) -> Vec<u8> {
        let mut head = Vec::with_capacity(prefix.len() + 12);
        self.push(&mut head, prefix.as_bytes(), b"%{}:");
        head.extend_from_slice(format!(":{version}:").as_bytes());
        head
    }

    /// The name of a Redis key, behind what all of them start with.
    pub(crate) fn name(self, head: &[u8], key: Key<'_>) -> Vec<u8> {
        // Room for the braces, and for a few escapes.
        let len = head.len() + key.name.len() + key.tag.map_or(0, <[u8]>::len) + 12;
        let mut name = Vec::with_capacity(len);
        name.extend_from_slice(head);
        if let Some(tag) = key.tag {
            name.push(b'{');
            self.push(&mut name, tag, b"%{}");
            name.push(b'}');
        }
        self.push(&mut name, key.name, b"%{}");
        name
    }

    fn push(self, name: &mut Vec<u8>, part: &[u8], escaped: &[u8]) {
        const HEX: [u8; 16] = *b"0123456789ABCDEF";
        if self == Self::Django || !part.iter().any(|byte| escaped.contains(byte)) {
            return name.extend_from_slice(part);
        }
        for &byte in part {
            if escaped.contains(&byte) {
                let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
                name.extend([b'%', digit(byte >> 4), digit(byte)]);
            } else {
                name.push(byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn check(style: KeyStyle, prefix: &str, version: u32, key: impl AsKey, expected: &str) {
        let name = style.name(&style.head(prefix, version), key.as_key());
        assert_eq!(String::from_utf8_lossy(&name), expected);
    }

    #[test]
    fn a_name_is_prefix_version_and_key() {
        check(KeyStyle::Escaped, "shop", 1, "user:7", "shop:1:user:7");
        check(KeyStyle::Escaped, "", 2, "x", ":2:x");
        check(KeyStyle::Escaped, "a:b", 1, "50%", "a%3Ab:1:50%25");
        check(KeyStyle::Django, "a:b", 1, "50%{x}", "a:b:1:50%{x}");
    }

    #[test]
    fn braces_of_a_key_do_not_make_a_hash_tag() {
        check(KeyStyle::Escaped, "shop", 1, "{evil}x", "shop:1:%7Bevil%7Dx");
        check(KeyStyle::Escaped, "{evil}", 1, "x", "%7Bevil%7D:1:x");
    }

    #[test]
    fn a_tag_is_the_hash_tag() {
        check(KeyStyle::Escaped, "shop", 1, Key::tagged("user:7", "cart"), "shop:1:{user:7}cart");
        check(KeyStyle::Escaped, "shop", 1, Key::tagged("a}b", "c{d"), "shop:1:{a%7Db}c%7Bd");
        check(KeyStyle::Django, "shop", 1, Key::tagged("user:7", "cart"), "shop:1:{user:7}cart");
    }

    #[test]
    fn any_bytes_are_a_key_and_length_is_no_matter() {
        check(KeyStyle::Escaped, "p", 1, b"\r\n\0 #/:*(<+=> )&$@?;'\"", "p:1:\r\n\0 #/:*(<+=> )&$@?;'\"");
        let long = "k".repeat(2048);
        let name = |key: &str| KeyStyle::Escaped.name(b"p:1:", key.as_key());
        assert_ne!(name(&long), name(&format!("{long}x")));
    }

    #[test]
    fn a_key_is_shown_escaped_and_cut() {
        assert_eq!(Key::tagged("u", "a\n").to_string(), "{u}a\\n");
        assert_eq!(Key::new(&"x".repeat(70)).to_string(), format!("{}..(70 bytes)", "x".repeat(64)));
    }

    /// Bytes that matter to the format, and a few that do not.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        vec(
            prop_oneof![Just(b':'), Just(b'%'), Just(b'{'), Just(b'}'), Just(b'2'), Just(b'5'), any::<u8>()],
            0..6,
        )
    }

    fn text() -> impl Strategy<Value = String> {
        part().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn triple() -> impl Strategy<Value = (String, u32, Option<Vec<u8>>, Vec<u8>)> {
        (text(), prop_oneof![0..30u32, any::<u32>()], option::of(part()), part())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_two_keys_have_one_name(a in triple(), b in triple()) {
            let name = |(prefix, version, tag, key): &(String, u32, Option<Vec<u8>>, Vec<u8>)| {
                let key = match tag {
                    Some(tag) => Key::tagged(tag, key),
                    None => Key::new(key),
                };
                KeyStyle::Escaped.name(&KeyStyle::Escaped.head(prefix, *version), key)
            };
            prop_assert_eq!(name(&a) == name(&b), a == b);
        }

        #[test]
        fn a_name_can_be_taken_apart_again(a in triple()) {
            let (prefix, version, tag, key) = &a;
            let whole = match tag {
                Some(tag) => Key::tagged(tag, key),
                None => Key::new(key),
            };
            let head = KeyStyle::Escaped.head(prefix, *version);
            let name = KeyStyle::Escaped.name(&head, whole);
            let (found_version, found) = KeyStyle::Escaped.take_apart(prefix, &name).unwrap();
            prop_assert_eq!(found_version, *version);
            prop_assert_eq!(found.tag(), tag.as_deref());
            prop_assert_eq!(found.name(), key);
            prop_assert_eq!(&KeyStyle::Escaped.name(&head, found.as_key()), &name);
            let other = format!("{prefix}x");
            prop_assert!(KeyStyle::Escaped.take_apart(&other, &name).is_none());
        }

        #[test]
        fn any_name_can_be_tried(name in part()) {
            for style in [KeyStyle::Escaped, KeyStyle::Django] {
                let _ = style.take_apart("", &name);
            }
        }
    }

    #[test]
    fn a_pattern_takes_the_prefix_literally() {
        let pattern =
            |prefix, pattern| String::from_utf8(KeyStyle::Escaped.pattern(prefix, 1, pattern)).unwrap();
        assert_eq!(pattern("shop", "user:*"), "shop:1:user:*");
        assert_eq!(pattern("a*[b]?\\", "50%"), "a\\*\\[b\\]\\?\\\\:1:50%25");
        assert_eq!(KeyStyle::Escaped.pattern_of_all("a:b"), b"a%3Ab:[0-9]*:*");
    }

    #[test]
    fn a_foreign_name_is_not_taken_apart() {
        let check = |name: &str, own| {
            assert_eq!(KeyStyle::Django.take_apart("shop", name.as_bytes()).is_some(), own, "{name}");
        };
        check("shop:1:k", true);
        check("shop:1:", true);
        check("shop:1", false);
        check("shop:k", false);
        check("shop:1x:k", false);
        check("shop:01:k", false);
        check("shopping:1:k", false);
        check("shop:4294967296:k", false);
    }
}

//! The name of a Redis key: made of prefix, version and key, and taken apart again.

use crate::key::FoundKey;
use crate::key::Key;
use crate::key::KeyStyle;
use crate::keys::glob;

/// The bytes with a meaning in a glob-style pattern.
const GLOB: &[u8] = b"*?[]\\^-";

/// The delimiters of tags nearly everywhere.
pub(crate) const BRACES: (u8, u8) = (b'{', b'}');

/// The names of the Redis keys of a cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    style: KeyStyle,
    /// The delimiters of tags on the store.
    open: u8,
    close: u8,
    /// The byte that an escape begins with.
    marker: u8,
}

impl Names {
    /// The names on something that looks for a tag between these bytes.
    pub(crate) fn new(style: KeyStyle, (open, close): (u8, u8)) -> Self {
        // The bytes of an escape must be none of them either: three leave one.
        let marker = b"%~!".iter().copied().find(|byte| ![open, close].contains(byte)).unwrap_or(b'%');
        Self { style, open, close, marker }
    }

    /// The digits of an escape, of which there are sixteen or more. Few names have an escape, so they are not kept.
    fn digits(&self) -> impl Iterator<Item = u8> {
        let delimiters = [self.open, self.close];
        b"0123456789ABCDEFGH".iter().copied().filter(move |byte| !delimiters.contains(byte))
    }

    pub(crate) fn delimiters(&self) -> (u8, u8) {
        (self.open, self.close)
    }

    /// The glob-style pattern of the names of all keys with this prefix, of any version.
    pub(crate) fn pattern_of_all(&self, prefix: &str) -> Vec<u8> {
        let mut pattern = self.literal_prefix(prefix);
        pattern.extend_from_slice(b"[0-9]*:*");
        pattern
    }

    /// The glob-style pattern that finds the names of all keys that match a pattern. It may find others too:
    /// where a name has an escape, `*` stands for what a key has there. [`found`](Self::found) leaves them out.
    pub(crate) fn pattern(&self, prefix: &str, version: u32, pattern: &str) -> Vec<u8> {
        let mut whole = self.literal_prefix(prefix);
        whole.extend_from_slice(version.to_string().as_bytes());
        whole.push(b':');
        if self.style == KeyStyle::Django {
            whole.extend_from_slice(pattern.as_bytes());
            return whole;
        }
        let mut bytes = pattern.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'[' => {
                    let mut is_escaped = false;
                    let _class = bytes.find(|byte| {
                        let ends = *byte == b']' && !is_escaped;
                        is_escaped = *byte == b'\\' && !is_escaped;
                        ends
                    });
                    whole.push(b'*');
                }
                b'\\' => match bytes.next() {
                    Some(literal) if !self.is_special(literal) => whole.extend([byte, literal]),
                    Some(_) => whole.push(b'*'),
                    None => whole.extend([byte, byte]),
                },
                b'?' => whole.push(b'*'),
                _ if self.is_special(byte) => whole.push(b'*'),
                _ => whole.push(byte),
            }
        }
        whole
    }

    /// Returns the key of a name if it is one of this prefix and version, and matches this pattern. The pattern
    /// is held against the key as it was given; a tag stands before the rest, between the delimiters.
    pub(crate) fn found(&self, prefix: &str, version: u32, pattern: &str, name: &[u8]) -> Option<FoundKey> {
        let (of, key) = self.take_apart(prefix, name)?;
        let mut text = Vec::with_capacity(name.len());
        if let Some(tag) = key.tag() {
            text.push(self.open);
            text.extend_from_slice(tag);
            text.push(self.close);
        }
        text.extend_from_slice(key.name());
        (of == version && glob::matches(pattern.as_bytes(), &text)).then_some(key)
    }

    /// The version and the key of a name, if it is one of this prefix. A name that a pattern finds need not
    /// be one: `*` stands for anything.
    pub(crate) fn take_apart(&self, prefix: &str, name: &[u8]) -> Option<(u32, FoundKey)> {
        let mut own = Vec::new();
        self.push_prefix(&mut own, prefix);
        let rest = name.strip_prefix(own.as_slice())?.strip_prefix(b":")?;
        let end = rest.iter().position(|&byte| byte == b':')?;
        let (version, key) = rest.split_at_checked(end)?;
        let text = std::str::from_utf8(version).ok()?;
        let version: u32 = text.parse().ok().filter(|version: &u32| version.to_string() == text)?;
        let key = key.strip_prefix(b":")?;
        let tagged = key.strip_prefix(&[self.open]).filter(|_| self.style == KeyStyle::Escaped);
        let found = match tagged.and_then(|key| Some((key, key.iter().position(|&byte| byte == self.close)?)))
        {
            Some((key, end)) => {
                let (tag, name) = key.split_at_checked(end)?;
                FoundKey {
                    tag: Some(self.unescaped(tag)?),
                    name: self.unescaped(name.strip_prefix(&[self.close])?)?,
                }
            }
            None => FoundKey { tag: None, name: self.unescaped(key)? },
        };
        Some((version, found))
    }

    /// The prefix with its colon, so that a pattern takes it literally.
    fn literal_prefix(&self, prefix: &str) -> Vec<u8> {
        let mut plain = Vec::new();
        self.push_prefix(&mut plain, prefix);
        let mut literal = Vec::with_capacity(plain.len() + 16);
        for byte in plain {
            if GLOB.contains(&byte) {
                literal.push(b'\\');
            }
            literal.push(byte);
        }
        literal.push(b':');
        literal
    }

    fn unescaped(&self, part: &[u8]) -> Option<Vec<u8>> {
        if self.style == KeyStyle::Django {
            return Some(part.to_vec());
        }
        let mut bytes = part.iter().copied();
        let mut plain = Vec::with_capacity(part.len());
        while let Some(byte) = bytes.next() {
            let digit = |byte: u8| self.digits().take(16).position(|digit| digit == byte);
            plain.push(match byte == self.marker {
                true => u8::try_from(digit(bytes.next()?)? << 4 | digit(bytes.next()?)?).ok()?,
                false => byte,
            });
        }
        Some(plain)
    }

    /// The beginning of the names of all keys of a version.
    pub(crate) fn head(&self, prefix: &str, version: u32) -> Vec<u8> {
        let mut head = Vec::with_capacity(prefix.len() + 12);
        self.push_prefix(&mut head, prefix);
        head.extend_from_slice(format!(":{version}:").as_bytes());
        head
    }

    /// The name of a Redis key, behind what all of them start with.
    pub(crate) fn name(&self, head: &[u8], key: Key<'_>) -> Vec<u8> {
        // Room for the braces, and for a few escapes.
        let len = head.len() + key.name.len() + key.tag.map_or(0, <[u8]>::len) + 12;
        let mut name = Vec::with_capacity(len);
        name.extend_from_slice(head);
        if let Some(tag) = key.tag {
            name.push(self.open);
            self.push(&mut name, tag, |byte| self.is_special(byte));
            name.push(self.close);
        }
        self.push(&mut name, key.name, |byte| self.is_special(byte));
        name
    }

    /// The bytes that could choose a node, and the one that escapes begin with. The braces are always among
    /// it, so that a name depends on as little as possible.
    fn is_special(&self, byte: u8) -> bool {
        [self.marker, b'{', b'}', self.open, self.close].contains(&byte)
    }

    fn push_prefix(&self, name: &mut Vec<u8>, prefix: &str) {
        self.push(name, prefix.as_bytes(), |byte| byte == b':' || self.is_special(byte));
    }

    fn push(&self, name: &mut Vec<u8>, part: &[u8], is_escaped: impl Fn(u8) -> bool) {
        if self.style == KeyStyle::Django || !part.iter().any(|byte| is_escaped(*byte)) {
            return name.extend_from_slice(part);
        }
        for &byte in part {
            if is_escaped(byte) {
                let digit = |n: u8| self.digits().nth(usize::from(n & 15)).unwrap_or(b'0');
                name.extend([self.marker, digit(byte >> 4), digit(byte)]);
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
    use crate::key::AsKey;

    fn of(style: KeyStyle) -> Names {
        Names::new(style, BRACES)
    }

    fn check(style: KeyStyle, prefix: &str, version: u32, key: impl AsKey, expected: &str) {
        let names = of(style);
        let name = names.name(&names.head(prefix, version), key.as_key());
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
        let name = |key: &str| of(KeyStyle::Escaped).name(b"p:1:", key.as_key());
        assert_ne!(name(&long), name(&format!("{long}x")));
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
                of(KeyStyle::Escaped).name(&of(KeyStyle::Escaped).head(prefix, *version), key)
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
            let head = of(KeyStyle::Escaped).head(prefix, *version);
            let name = of(KeyStyle::Escaped).name(&head, whole);
            let (found_version, found) = of(KeyStyle::Escaped).take_apart(prefix, &name).unwrap();
            prop_assert_eq!(found_version, *version);
            prop_assert_eq!(found.tag(), tag.as_deref());
            prop_assert_eq!(found.name(), key);
            prop_assert_eq!(&of(KeyStyle::Escaped).name(&head, found.as_key()), &name);
            let other = format!("{prefix}x");
            prop_assert!(of(KeyStyle::Escaped).take_apart(&other, &name).is_none());
        }

        #[test]
        fn any_name_can_be_tried(name in part()) {
            for style in [KeyStyle::Escaped, KeyStyle::Django] {
                let _ = of(style).take_apart("", &name);
            }
        }
    }

    /// The part of a key that a ring with these delimiters hashes: see `HashTag::Delimiters`.
    fn tag(name: &[u8], (open, close): (u8, u8)) -> Option<&[u8]> {
        let tag = &name[name.iter().position(|byte| *byte == open)? + 1..];
        let tag = &tag[..tag.iter().position(|byte| *byte == close)?];
        (!tag.is_empty()).then_some(tag)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_pattern_finds_what_matches_it_and_nothing_else(
            pattern in "[ab%{}?*\\[\\]^\\\\25B-]{0,6}",
            key in "[ab%{}25B]{0,4}",
        ) {
            let names = of(KeyStyle::Escaped);
            let name = names.name(&names.head("p", 1), key.as_key());
            let matches = glob::matches(pattern.as_bytes(), key.as_bytes());
            prop_assert_eq!(names.found("p", 1, &pattern, &name).is_some(), matches);
            prop_assert!(!matches || glob::matches(&names.pattern("p", 1, &pattern), &name), "the server finds it");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_key_chooses_a_node_whatever_the_ring_looks_for(
            delimiters: (u8, u8),
            (prefix, version, given, key) in triple(),
            other in part(),
            own in any::<bool>(),
        ) {
            let names = Names::new(KeyStyle::Escaped, delimiters);
            let head = names.head(&prefix, version);
            // As somebody would write a key who wants it elsewhere, and one of any bytes.
            let key = if own { [&[delimiters.0][..], &key, &[delimiters.1]].concat() } else { key };
            let tags = [&key, &other].map(|key| tag(&names.name(&head, Key::new(key)), delimiters).map(<[u8]>::to_vec));
            prop_assert_eq!(&tags[0], &tags[1], "the key chose");
            let given = given.unwrap_or_default();
            let name = names.name(&head, Key::tagged(&given, &key));
            let same = names.name(&head, Key::tagged(&given, &other));
            let structural = [b':'].iter().chain(head.iter()).any(|byte| [delimiters.0, delimiters.1].contains(byte));
            if !structural {
                let escaped = tag(&name, delimiters).map(<[u8]>::to_vec);
                prop_assert_eq!(escaped.is_some(), !given.is_empty());
                prop_assert_eq!(escaped.as_deref(), tag(&same, delimiters));
            }
            for key in [Key::new(&key), Key::tagged(&given, &key)] {
                let name = names.name(&head, key);
                let (found_version, found) = names.take_apart(&prefix, &name).unwrap();
                prop_assert_eq!((found_version, found.tag(), found.name()), (version, key.tag, key.name));
            }
        }
    }

    #[test]
    fn other_delimiters_are_escaped_and_stand_around_a_tag() {
        let names = Names::new(KeyStyle::Escaped, (b'<', b'>'));
        let name = |key: Key<'_>| String::from_utf8(names.name(&names.head("a<b", 1), key)).unwrap();
        assert_eq!(name(Key::new("<evil>{x}")), "a%3Cb:1:%3Cevil%3E%7Bx%7D");
        assert_eq!(name(Key::tagged("user:7", "cart")), "a%3Cb:1:<user:7>cart");
        let names = Names::new(KeyStyle::Escaped, (b'%', b'5'));
        assert_eq!(names.name(b"p:1:", Key::new("%evil5~")), b"p:1:~26evil~36~8F");
        let names = Names::new(KeyStyle::Escaped, (b'[', b']'));
        assert_eq!(names.pattern("p", 1, "[ab]*{"), b"p:1:***");
    }

    #[test]
    fn a_pattern_takes_the_prefix_literally() {
        let pattern =
            |prefix, pattern| String::from_utf8(of(KeyStyle::Escaped).pattern(prefix, 1, pattern)).unwrap();
        assert_eq!(pattern("shop", "user:*"), "shop:1:user:*");
        assert_eq!(pattern("a*[b]?\\", "50%"), "a\\*\\[b\\]\\?\\\\:1:50*");
        assert_eq!(pattern("p", "a[^b\\]c]d\\*e\\{f[g"), "p:1:a*d\\*e*f*");
        assert_eq!(of(KeyStyle::Escaped).pattern_of_all("a:b"), b"a%3Ab:[0-9]*:*");
    }

    #[test]
    fn a_foreign_name_is_not_taken_apart() {
        let check = |name: &str, own| {
            assert_eq!(of(KeyStyle::Django).take_apart("shop", name.as_bytes()).is_some(), own, "{name}");
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

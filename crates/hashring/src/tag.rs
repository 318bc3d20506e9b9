//! Hash tags: the part of a key that is hashed.

/// The rule for the part of a key that decides where the key lives, so that related keys can be kept on one
/// node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", remote = "Self"))]
#[non_exhaustive]
pub enum HashTag {
    /// The rule of [Redis
    /// Cluster](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags): what
    /// stands between the first `{` and the first `}` after it, if that is at least one byte; otherwise the
    /// whole key. The default.
    #[default]
    Cluster,
    /// Always the whole key; braces mean nothing.
    None,
    /// The rule of [`Cluster`](Self::Cluster) with other delimiters. Both may be the same byte, as in
    /// `$tag$`.
    Delimiters {
        /// The byte before the tag.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::written::byte"))]
        open: u8,
        /// The byte after the tag.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::written::byte"))]
        close: u8,
    },
    /// The rule of Ruby's `Redis::Distributed`: a tag stands at the start of a line and has no line break in
    /// it. The tag of `{}}` is `}`.
    #[cfg(feature = "layouts")]
    RedisRb,
    /// The rule of PHP's `RedisArray`: the rule of [`Cluster`](Self::Cluster) up to the first NUL byte, but
    /// `{}` is a tag too.
    #[cfg(feature = "layouts")]
    #[cfg_attr(feature = "serde", serde(rename = "phpredis"))]
    PhpRedis,
    /// The rule of `DEFAULT_KEY_TAG_PATTERN` of Jedis, `\\{(.+?)\\}`: the first tag that has no line break in
    /// it. The tag of `{}}` is `}`.
    #[cfg(feature = "layouts")]
    Jedis,
}

impl HashTag {
    /// The part of `key` that is hashed: its tag, or all of it.
    ///
    /// ```
    /// use redisdb_hashring::HashTag;
    ///
    /// assert_eq!(HashTag::Cluster.of(b"{user:1}:name"), b"user:1");
    /// assert_eq!(HashTag::Cluster.of(b"{}:name"), b"{}:name");
    /// assert_eq!(HashTag::None.of(b"{user:1}:name"), b"{user:1}:name");
    /// ```
    #[inline(always)] // part of every lookup
    #[must_use]
    pub fn of<'key>(&self, key: &'key [u8]) -> &'key [u8] {
        // Most keys have no tag, and a lookup takes a few nanoseconds: that case must not go byte by byte.
        match *self {
            Self::Cluster if !contains(key, b'{') => key,
            Self::None => key,
            rule => rule.search(key),
        }
    }

    #[inline(never)]
    fn search(self, key: &[u8]) -> &[u8] {
        let tag = match self {
            Self::Cluster => between(key, b'{', b'}'),
            Self::None => None,
            Self::Delimiters { open, close } => between(key, open, close),
            #[cfg(feature = "layouts")]
            Self::RedisRb => at_line_start(key),
            #[cfg(feature = "layouts")]
            Self::PhpRedis => before_nul(key),
            #[cfg(feature = "layouts")]
            Self::Jedis => on_one_line(key),
        };
        tag.unwrap_or(key)
    }
}

/// The bytes between the first `open` and the first `close` after it, if there are any.
fn between(key: &[u8], open: u8, close: u8) -> Option<&[u8]> {
    let start = key.iter().position(|&byte| byte == open)? + 1;
    let rest = key.get(start..)?;
    let len = rest.iter().position(|&byte| byte == close)?;
    rest.get(..len).filter(|tag| !tag.is_empty())
}

/// The rule of Redis::Distributed: the Ruby expression `^\{(.+?)\}`.
#[cfg(feature = "layouts")]
fn at_line_start(key: &[u8]) -> Option<&[u8]> {
    key.split(|&byte| byte == b'\n').find_map(|line| {
        let tag = line.strip_prefix(b"{")?;
        // At least one byte, whatever it is.
        let len = 1 + tag.get(1..)?.iter().position(|&byte| byte == b'}')?;
        tag.get(..len)
    })
}

/// The rule of RedisArray.
#[cfg(feature = "layouts")]
fn before_nul(key: &[u8]) -> Option<&[u8]> {
    let text = key.split(|&byte| byte == 0).next()?;
    let start = text.iter().position(|&byte| byte == b'{')? + 1;
    let rest = text.get(start..)?;
    rest.get(..rest.iter().position(|&byte| byte == b'}')?)
}

/// The rule of Jedis: the Java expression `\{(.+?)\}`.
#[cfg(feature = "layouts")]
fn on_one_line(key: &[u8]) -> Option<&[u8]> {
    // The ends of a line for Java, in UTF-8.
    const LINE_ENDS: [&[u8]; 5] =
        [b"\n", b"\r", "\u{85}".as_bytes(), "\u{2028}".as_bytes(), "\u{2029}".as_bytes()];
    let ends_line = |rest: &[u8]| LINE_ENDS.iter().any(|end| rest.starts_with(end));
    (0..key.len()).find_map(|start| {
        let tag = key.get(start..)?.strip_prefix(b"{")?;
        for len in 0..tag.len() {
            let rest = tag.get(len..)?;
            if ends_line(rest) {
                return None;
            }
            if len > 0 && rest.starts_with(b"}") {
                return tag.get(..len);
            }
        }
        None
    })
}

/// Returns whether `byte` is among `bytes`. Looks at many bytes at once, and at some twice so that none is left over.
#[inline(always)]
fn contains(bytes: &[u8], byte: u8) -> bool {
    match bytes.len() {
        0..4 => bytes.contains(&byte),
        4..8 => at_both_ends::<4>(bytes, byte),
        8..16 => at_both_ends::<8>(bytes, byte),
        16..=32 => at_both_ends::<16>(bytes, byte),
        33..=64 => at_both_ends::<32>(bytes, byte),
        _ => {
            let (chunks, _) = bytes.as_chunks::<64>();
            chunks.iter().any(|chunk| is_in(chunk, byte)) || at_both_ends::<64>(bytes, byte)
        }
    }
}

/// Returns whether `byte` is among the first or the last `N` bytes.
#[inline(always)]
fn at_both_ends<const N: usize>(bytes: &[u8], byte: u8) -> bool {
    match (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        (Some(first), Some(last)) => is_in(first, byte) | is_in(last, byte),
        _ => false,
    }
}

#[inline(always)]
fn is_in<const N: usize>(bytes: &[u8; N], byte: u8) -> bool {
    bytes.iter().fold(false, |found, &other| found | (other == byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "layouts")]
    #[test]
    fn others_have_other_rules() {
        for (key, redis_rb, phpredis, jedis) in [
            ("{a}", "a", "a", "a"),
            ("x{a}", "x{a}", "a", "a"),
            ("{}", "{}", "", "{}"),
            ("{}}x", "}", "", "}"),
            ("{}{a}", "}{a", "", "}{a"),
            ("{a}}", "a", "a", "a"),
            ("{{a}}", "{a", "{a", "{a"),
            ("foo\n{bar}baz", "bar", "bar", "bar"),
            ("{foo\nbar}", "{foo\nbar}", "foo\nbar", "{foo\nbar}"),
            ("{foo\n{bar}", "bar", "foo\n{bar", "bar"),
            ("{\r}", "\r", "\r", "{\r}"),
            ("{a\u{2028}b}{c}", "a\u{2028}b", "a\u{2028}b", "c"),
            ("a\0{b}", "a\0{b}", "a\0{b}", "b"),
            ("{a}\0b", "a", "a", "a"),
            ("}{", "}{", "}{", "}{"),
            ("{", "{", "{", "{"),
        ] {
            let key = key.as_bytes();
            assert_eq!(HashTag::RedisRb.of(key), redis_rb.as_bytes(), "redis-rb, {key:?}");
            assert_eq!(HashTag::PhpRedis.of(key), phpredis.as_bytes(), "phpredis, {key:?}");
            assert_eq!(HashTag::Jedis.of(key), jedis.as_bytes(), "Jedis, {key:?}");
        }
    }

    #[test]
    fn a_byte_is_seen_wherever_it_stands() {
        for len in 0..200 {
            let mut key = vec![b'x'; len];
            assert!(!contains(&key, b'{'));
            for at in 0..len {
                key[at] = b'{';
                assert!(contains(&key, b'{'), "at {at} of {len}");
                key[at] = b'x';
            }
        }
    }
}

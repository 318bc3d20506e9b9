//! Which part of a key is hashed.

/// Which part of a key decides where it lives, so that related keys can be kept on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HashTag {
    /// The rule of [Redis Cluster](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags):
    /// what stands between the first `{` and the first `}` after it, if that is at least one byte;
    /// otherwise the whole key. The default.
    #[default]
    Cluster,
    /// Always the whole key; braces mean nothing.
    None,
    /// The rule of [`Cluster`](Self::Cluster) with other delimiters. They may be the same byte, as in `$tag$`.
    Delimiters {
        /// The byte before the tag.
        open: u8,
        /// The byte after the tag.
        close: u8,
    },
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
    #[inline]
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

/// Whether `byte` is among `bytes`. Looks at 16 or 8 bytes at once, at the end at some for the second time.
#[inline(always)]
fn contains(bytes: &[u8], byte: u8) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let (chunks, _) = bytes.as_chunks::<16>();
        is_in(last, byte) || chunks.iter().any(|chunk| is_in(chunk, byte))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        is_in(first, byte) | is_in(last, byte)
    } else {
        bytes.contains(&byte)
    }
}

#[inline(always)]
fn is_in<const N: usize>(bytes: &[u8; N], byte: u8) -> bool {
    bytes.iter().fold(false, |found, &other| found | (other == byte))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_byte_is_seen_wherever_it_stands() {
        for len in 0..70 {
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

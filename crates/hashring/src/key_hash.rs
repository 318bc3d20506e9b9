//! The hashes of keys: from the bytes of a key to its position on the circle.

use twox_hash::XxHash3_64;
#[cfg(feature = "layouts")]
use {
    crate::{
        hash32::{Hash32, word},
        php_hash::PhpHash,
    },
    md5::{Digest as _, Md5},
};

/// The hash by which a key becomes a position on the circle. Hashes of 32 bits are the upper half of the
/// position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyHash {
    /// XXH3-64: our own.
    Xxh3,
    #[cfg(feature = "layouts")]
    Hash32(Hash32),
    /// As `Hash32`, but nothing has the hash zero, whatever the hash.
    #[cfg(feature = "layouts")]
    ZeroIfEmpty(Hash32),
    /// MD5 of what stands before the first NUL.
    #[cfg(feature = "layouts")]
    CString,
    /// MD5 of the text that Python 3 shows for the bytes of the digest.
    #[cfg(feature = "layouts")]
    Md5Repr,
    /// The first eight bytes of MD5, big-endian.
    #[cfg(feature = "layouts")]
    Md5Wide,
    #[cfg(feature = "layouts")]
    Murmur64,
    #[cfg(feature = "layouts")]
    Xxh64,
    /// A PHP hash modulo 2^32 - 1, or CRC-32 with all bits flipped.
    #[cfg(feature = "layouts")]
    Php(Option<PhpHash>),
    /// The same with all bits flipped.
    #[cfg(feature = "layouts")]
    PhpFlipped(Option<PhpHash>),
}

impl KeyHash {
    #[inline(always)]
    pub(crate) fn of(self, key: &[u8]) -> u64 {
        match self {
            Self::Xxh3 => XxHash3_64::oneshot(key),
            #[cfg(feature = "layouts")]
            other => other.of_others(key),
        }
    }

    #[cfg(feature = "layouts")]
    #[inline(never)]
    fn of_others(self, key: &[u8]) -> u64 {
        let position = |hash: u32| u64::from(hash) << 32;
        match self {
            Self::Xxh3 => XxHash3_64::oneshot(key),
            Self::Hash32(hash) => position(hash.of(key)),
            Self::ZeroIfEmpty(hash) => position(if key.is_empty() { 0 } else { hash.of(key) }),
            Self::CString => {
                let text = key.split(|&byte| byte == 0).next().unwrap_or_default();
                position(Hash32::Md5.of(text))
            }
            Self::Md5Repr => position(word(&python_repr(&Md5::digest(key)), 0)),
            Self::Md5Wide => md5_wide(key),
            Self::Murmur64 => murmur64(key),
            Self::Xxh64 => twox_hash::XxHash64::oneshot(0, key),
            Self::Php(algorithm) => position(php(algorithm, key)),
            Self::PhpFlipped(algorithm) => position(!php(algorithm, key)),
        }
    }
}

#[cfg(feature = "layouts")]
fn php(algorithm: Option<PhpHash>, key: &[u8]) -> u32 {
    match algorithm {
        None => !crc32fast::hash(key),
        Some(algorithm) => {
            let digest = algorithm.digest(key);
            let first = u64::from(word(&digest, 0)) | u64::from(word(&digest, 1)) << 32;
            (first % u64::from(u32::MAX)) as u32
        }
    }
}

/// The first eight bytes of MD5, big-endian.
#[cfg(feature = "layouts")]
pub(crate) fn md5_wide(bytes: &[u8]) -> u64 {
    Md5::digest(bytes).iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// The text that Python 3 shows for some bytes, as in `b'\x00a'`.
#[cfg(feature = "layouts")]
pub(crate) fn python_repr(bytes: &[u8]) -> Vec<u8> {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    let mut text = vec![b'b', quote];
    for &byte in bytes {
        match byte {
            b'\\' => text.extend(br"\\"),
            b'\t' => text.extend(br"\t"),
            b'\n' => text.extend(br"\n"),
            b'\r' => text.extend(br"\r"),
            _ if byte == quote => text.extend([b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            _ => text.extend(format!("\\x{byte:02x}").into_bytes()),
        }
    }
    text.push(quote);
    text
}

/// MurmurHash64A with the seed of Jedis.
#[cfg(feature = "layouts")]
pub(crate) fn murmur64(bytes: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let (blocks, tail) = bytes.as_chunks::<8>();
    let mut hash = 0x1234_abcd ^ (bytes.len() as u64).wrapping_mul(M);
    for &block in blocks {
        let mut k = u64::from_le_bytes(block).wrapping_mul(M);
        k ^= k >> 47;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let last = u64::from(word(tail, 0)) | u64::from(word(tail, 1)) << 32;
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 47;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 47
}

#[cfg(feature = "layouts")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_originals() {
        assert_eq!(murmur64(b"key:7"), 0xeb01_7906_2ceb_a418);
        assert_eq!(murmur64(b"SHARD-0-NODE-0"), 0xbd32_a55c_5369_ab7c);
        assert_eq!(KeyHash::Xxh64.of(b"key:7"), 0xb6b1_4fe1_a937_b0b1);
        assert_eq!(md5_wide(b"key:7"), 0xc818_be47_2ca4_de08);
        assert_eq!(KeyHash::Php(None).of(b"key:7") >> 32, 0x1df3_6126);
        assert_eq!(KeyHash::Php(Some(PhpHash::Md5)).of(b"key:7") >> 32, 0x509c_bcf4);
        assert_eq!(KeyHash::Md5Repr.of(b"key:7") >> 32, 0x785c_2762);
        assert_eq!(KeyHash::ZeroIfEmpty(Hash32::Md5).of(b""), 0);
        assert_eq!(KeyHash::CString.of(b"a\0b"), KeyHash::Hash32(Hash32::Md5).of(b"a"));
    }

    #[test]
    fn bytes_are_shown_as_python_shows_them() {
        assert_eq!(python_repr(b"\x00a'\xff\t"), br#"b"\x00a'\xff\t""#);
        assert_eq!(python_repr(b"'\"\\\x7f\x1f~ "), br#"b'\'"\\\x7f\x1f~ '"#);
    }
}

//! The 32-bit hashes that twemproxy and libmemcached offer.

use md5::{Digest as _, Md5};

/// A 32-bit hash under the name that twemproxy and libmemcached use for it.
///
/// Some are not what their names say; each is what those programs compute on x86-64, where a C `char` has a
/// sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Hash32 {
    /// Jenkins's one-at-a-time hash.
    OneAtATime,
    /// The first four bytes of MD5, little-endian.
    Md5,
    /// CRC-16/XMODEM in a register that is not cut to 16 bits.
    Crc16,
    /// 15 bits of CRC-32.
    Crc32,
    /// CRC-32.
    Crc32a,
    /// FNV-1 with the low halves of the 64-bit constants.
    #[cfg_attr(feature = "serde", serde(rename = "fnv1_64"))]
    Fnv1_64,
    /// FNV-1a with the low halves of the 64-bit constants: the default of twemproxy.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "fnv1a_64"))]
    Fnv1a64,
    /// FNV-1.
    #[cfg_attr(feature = "serde", serde(rename = "fnv1_32"))]
    Fnv1_32,
    /// FNV-1a.
    #[cfg_attr(feature = "serde", serde(rename = "fnv1a_32"))]
    Fnv1a32,
    /// Hsieh's SuperFastHash, started from zero.
    Hsieh,
    /// MurmurHash2, seeded with the length.
    Murmur,
    /// Jenkins's lookup3.
    Jenkins,
}

impl Hash32 {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::OneAtATime,
        Self::Md5,
        Self::Crc16,
        Self::Crc32,
        Self::Crc32a,
        Self::Fnv1_64,
        Self::Fnv1a64,
        Self::Fnv1_32,
        Self::Fnv1a32,
        Self::Hsieh,
        Self::Murmur,
        Self::Jenkins,
    ];

    /// Its name in a twemproxy configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => "one_at_a_time",
            Self::Md5 => "md5",
            Self::Crc16 => "crc16",
            Self::Crc32 => "crc32",
            Self::Crc32a => "crc32a",
            Self::Fnv1_64 => "fnv1_64",
            Self::Fnv1a64 => "fnv1a_64",
            Self::Fnv1_32 => "fnv1_32",
            Self::Fnv1a32 => "fnv1a_32",
            Self::Hsieh => "hsieh",
            Self::Murmur => "murmur",
            Self::Jenkins => "jenkins",
        }
    }

    /// The hash with this name in a twemproxy configuration.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::OneAtATime => one_at_a_time(bytes),
            Self::Md5 => word(&Md5::digest(bytes), 0),
            Self::Crc16 => crc16(bytes),
            Self::Crc32 => (crc32fast::hash(bytes) >> 16) & 0x7fff,
            Self::Crc32a => crc32fast::hash(bytes),
            Self::Fnv1_64 => fnv1(bytes, 0x8422_2325, 0x1b3),
            Self::Fnv1a64 => fnv1a(bytes, 0x8422_2325, 0x1b3),
            Self::Fnv1_32 => fnv1(bytes, 0x811c_9dc5, 0x0100_0193),
            Self::Fnv1a32 => fnv1a(bytes, 0x811c_9dc5, 0x0100_0193),
            Self::Hsieh => hsieh(bytes),
            Self::Murmur => murmur(bytes),
            Self::Jenkins => jenkins(bytes),
        }
    }
}

/// The little-endian 32-bit word number `n` of some bytes; what is missing counts as zero.
pub(crate) fn word(bytes: &[u8], n: usize) -> u32 {
    bytes.iter().skip(4 * n).take(4).rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// A byte as C sees it on x86-64: with a sign.
fn signed(byte: u8) -> u32 {
    byte as i8 as u32
}

fn fnv1(bytes: &[u8], basis: u32, prime: u32) -> u32 {
    bytes.iter().fold(basis, |hash, &byte| hash.wrapping_mul(prime) ^ signed(byte))
}

fn fnv1a(bytes: &[u8], basis: u32, prime: u32) -> u32 {
    bytes.iter().fold(basis, |hash, &byte| (hash ^ signed(byte)).wrapping_mul(prime))
}

fn one_at_a_time(bytes: &[u8]) -> u32 {
    let mut hash = 0u32;
    for &byte in bytes {
        hash = hash.wrapping_add(signed(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

fn crc16(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        let row = ((crc >> 8) ^ u32::from(byte)) & 0xff;
        let entry =
            (0..8).fold(row << 8, |c, _| if c & 0x8000 == 0 { c << 1 } else { c << 1 ^ 0x1021 }) & 0xffff;
        crc << 8 ^ entry
    })
}

fn hsieh(bytes: &[u8]) -> u32 {
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for &[a, b, c, d] in blocks {
        hash = hash.wrapping_add(u16::from_le_bytes([a, b]).into());
        let mixed = u32::from(u16::from_le_bytes([c, d])) << 11 ^ hash;
        hash = hash << 16 ^ mixed;
        hash = hash.wrapping_add(hash >> 11);
    }
    match *tail {
        [a, b, c] => {
            hash = hash.wrapping_add(u16::from_le_bytes([a, b]).into());
            hash ^= hash << 16;
            hash ^= signed(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(u16::from_le_bytes([a, b]).into());
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(a.into());
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

fn murmur(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let len = bytes.len() as u32;
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0xdead_beef_u32.wrapping_mul(len) ^ len;
    for &block in blocks {
        let mut k = u32::from_le_bytes(block).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        hash = (hash ^ word(tail, 0)).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

fn jenkins(bytes: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32).wrapping_add(13);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = bytes;
    while let Some((block, more)) = rest.split_first_chunk::<12>().filter(|(_, more)| !more.is_empty()) {
        a = a.wrapping_add(word(block, 0));
        b = b.wrapping_add(word(block, 1));
        c = c.wrapping_add(word(block, 2));
        for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
            a = a.wrapping_sub(c) ^ c.rotate_left(first);
            c = c.wrapping_add(b);
            b = b.wrapping_sub(a) ^ a.rotate_left(second);
            a = a.wrapping_add(c);
            c = c.wrapping_sub(b) ^ b.rotate_left(third);
            b = b.wrapping_add(a);
        }
        rest = more;
    }
    if rest.is_empty() {
        return c;
    }
    a = a.wrapping_add(word(rest, 0));
    b = b.wrapping_add(word(rest, 1));
    c = c.wrapping_add(word(rest, 2));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::Hash32;

    /// The values that the originals compute: libhashkit 1.1.4, and twemproxy 0.5.0 for crc16, crc32a and hsieh.
    #[rustfmt::skip]
    const KNOWN: [(&str, [(&str, u32); 6]); 12] = [
        ("fnv1_64", [("key:7", 0xfdc93303), ("ключ-12", 0x09cd6e7b), ("a", 0x8601b7be), ("abc", 0x6bafadcb), ("abcd", 0xfb844f95), ("0123456789abc", 0x0d0f5624)]),
        ("fnv1a_64", [("key:7", 0x962f5e2f), ("ключ-12", 0x085c0be7), ("a", 0x8601ec8c), ("abc", 0x0541574b), ("abcd", 0xee0724dd), ("0123456789abc", 0x0bd2b7f6)]),
        ("fnv1_32", [("key:7", 0x8964f7a3), ("ключ-12", 0xbadca01b), ("a", 0x050c5d7e), ("abc", 0x439c2f4b), ("abcd", 0xb9de7375), ("0123456789abc", 0x54a63804)]),
        ("fnv1a_32", [("key:7", 0x5a1412cf), ("ключ-12", 0xf37fb907), ("a", 0xe40c292c), ("abc", 0x1a47e90b), ("abcd", 0xce3479bd), ("0123456789abc", 0x8136b5b6)]),
        ("crc16", [("key:7", 0x7012fac7), ("ключ-12", 0x2713c343), ("a", 0x00007c87), ("abc", 0x7c749dd6), ("abcd", 0x749da836), ("0123456789abc", 0x66f21798)]),
        ("crc32", [("key:7", 0x0000620c), ("ключ-12", 0x0000319d), ("a", 0x000068b7), ("abc", 0x00003524), ("abcd", 0x00006d82), ("0123456789abc", 0x00004e68)]),
        ("crc32a", [("key:7", 0xe20c9ed9), ("ключ-12", 0xb19defdc), ("a", 0xe8b7be43), ("abc", 0x352441c2), ("abcd", 0xed82cd11), ("0123456789abc", 0xce68ad26)]),
        ("one_at_a_time", [("key:7", 0x4742db9b), ("ключ-12", 0x2a0c7772), ("a", 0xca2e9442), ("abc", 0xed131f5b), ("abcd", 0xcd8b6206), ("0123456789abc", 0xcae77770)]),
        ("md5", [("key:7", 0x47be18c8), ("ключ-12", 0x4b370106), ("a", 0xb975c10c), ("abc", 0x98500190), ("abcd", 0x4c71fce2), ("0123456789abc", 0x71d9312d)]),
        ("murmur", [("key:7", 0x5b916f6d), ("ключ-12", 0x86db5922), ("a", 0x4b41757c), ("abc", 0x7b0cc428), ("abcd", 0xef6a86af), ("0123456789abc", 0xc23faf3e)]),
        ("hsieh", [("key:7", 0x25e55917), ("ключ-12", 0xbc58b5a6), ("a", 0x93642e87), ("abc", 0xe5186b3a), ("abcd", 0x3ab452d8), ("0123456789abc", 0x9aefedfa)]),
        ("jenkins", [("key:7", 0x9fcc1614), ("ключ-12", 0x14081f07), ("a", 0xe0a38690), ("abc", 0x8f415600), ("abcd", 0xd512151a), ("0123456789abc", 0x37f93ead)]),
    ];

    #[test]
    fn hashes_are_those_of_the_originals() {
        for (name, values) in KNOWN {
            let hash = Hash32::from_name(name).unwrap();
            for (key, value) in values {
                assert_eq!(hash.of(key.as_bytes()), value, "{name} of {key:?}");
            }
        }
    }

    #[test]
    fn nothing_has_a_hash_too() {
        let known = [
            ("one_at_a_time", 0x00000000),
            ("md5", 0xd98c1dd4),
            ("crc32", 0x00000000),
            ("fnv1_64", 0x84222325),
            ("fnv1a_64", 0x84222325),
            ("fnv1_32", 0x811c9dc5),
            ("fnv1a_32", 0x811c9dc5),
            ("murmur", 0x00000000),
            ("jenkins", 0xdeadbefc),
        ];
        for (name, value) in known {
            assert_eq!(Hash32::from_name(name).unwrap().of(b""), value, "{name}");
        }
    }
}

//! The hashes of PHP's `hash` that phpredis can be told to use.

use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A hash of PHP, by its name in `hash_algos()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the algorithm of that name")]
pub enum PhpHash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Crc32b,
    Adler32,
    Fnv132,
    Fnv1a32,
    Fnv164,
    Fnv1a64,
    Joaat,
    Xxh64,
    Xxh3,
}

impl PhpHash {
    /// The algorithm with this name in PHP.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            "crc32b" => Self::Crc32b,
            "adler32" => Self::Adler32,
            "fnv132" => Self::Fnv132,
            "fnv1a32" => Self::Fnv1a32,
            "fnv164" => Self::Fnv164,
            "fnv1a64" => Self::Fnv1a64,
            "joaat" => Self::Joaat,
            "xxh64" => Self::Xxh64,
            "xxh3" => Self::Xxh3,
            _ => return None,
        })
    }

    /// The bytes that PHP's `hash` returns, or the first eight of them.
    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
            Self::Crc32b => crc32fast::hash(bytes).to_be_bytes().into(),
            Self::Adler32 => adler32(bytes).to_be_bytes().into(),
            Self::Fnv132 => fnv1(bytes, 0x811c_9dc5, 0x0100_0193).to_be_bytes().into(),
            Self::Fnv1a32 => fnv1a(bytes, 0x811c_9dc5, 0x0100_0193).to_be_bytes().into(),
            Self::Fnv164 => fnv1_64(bytes).to_be_bytes().into(),
            Self::Fnv1a64 => fnv1a_64(bytes).to_be_bytes().into(),
            Self::Joaat => joaat(bytes).to_be_bytes().into(),
            Self::Xxh64 => twox_hash::XxHash64::oneshot(0, bytes).to_be_bytes().into(),
            Self::Xxh3 => twox_hash::XxHash3_64::oneshot(bytes).to_be_bytes().into(),
        }
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

fn fnv1(bytes: &[u8], basis: u32, prime: u32) -> u32 {
    bytes.iter().fold(basis, |hash, &byte| hash.wrapping_mul(prime) ^ u32::from(byte))
}

fn fnv1a(bytes: &[u8], basis: u32, prime: u32) -> u32 {
    bytes.iter().fold(basis, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(prime))
}

fn fnv1_64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte))
}

fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn joaat(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0u32, |hash, &byte| {
        let hash = hash.wrapping_add(byte.into());
        let hash = hash.wrapping_add(hash << 10);
        hash ^ hash >> 6
    });
    let hash = hash.wrapping_add(hash << 3);
    let hash = hash ^ hash >> 11;
    hash.wrapping_add(hash << 15)
}

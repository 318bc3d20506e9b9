//! Chance, for clients that would otherwise all act at the same moment.

use std::hash::BuildHasher;
use std::hash::RandomState;

/// A random number from 0 to 1.
pub(crate) fn jitter() -> f64 {
    // Each state has keys of its own.
    let bits = RandomState::new().hash_one(0u8) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

//! What a dump says of its value, without the order in which a server happens to keep it:
//! <https://github.com/redis/redis/blob/7.0/src/rdb.c>.
//!
//! A server keeps a large set and a large hash in an order of its own. Their dumps differ between servers that hold the same, and are
//! the same again once the elements are added up in any order.

use twox_hash::XxHash3_128;

/// What a dump ends with: the version of its format, and a checksum.
const VERSION: usize = 2;
const CHECKSUM: usize = 8;

/// The types of values that follow the order of a table.
const SET: u8 = 2;
const HASH: u8 = 4;
/// The types up to this one mean the same to every server that knows them.
const COMMON: u8 = 21;

/// A number for what a dump holds: of two dumps with the same number, both hold the same. Different numbers prove nothing.
pub(crate) fn digest(dump: &[u8]) -> u128 {
    let value = dump.len().checked_sub(VERSION + CHECKSUM).and_then(|len| dump.get(..len));
    let digest = value.and_then(|value| match value.split_first()? {
        (&kind @ (SET | HASH), rest) => unordered(kind, rest),
        (0..=COMMON, _) => Some(XxHash3_128::oneshot(value)),
        _ => None,
    });
    digest.unwrap_or_else(|| XxHash3_128::oneshot(dump))
}

/// The sum of what each element gives, as it stands there: whether an integer or a short form, all servers choose it alike.
fn unordered(kind: u8, rest: &[u8]) -> Option<u128> {
    let (Length::Bytes(n), mut rest) = length(rest)? else { return None };
    let mut sum = XxHash3_128::oneshot_with_seed(kind.into(), &n.to_be_bytes());
    for _ in 0..n {
        let after = match kind {
            HASH => text(text(rest)?)?,
            _ => text(rest)?,
        };
        let element = rest.get(..rest.len() - after.len())?;
        sum = sum.wrapping_add(XxHash3_128::oneshot(element));
        rest = after;
    }
    rest.is_empty().then_some(sum)
}

/// What follows a text.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    let (len, rest) = length(bytes)?;
    match len {
        Length::Bytes(n) => rest.get(usize::try_from(n).ok()?..),
        Length::Compressed => {
            let (Length::Bytes(short), rest) = length(rest)? else { return None };
            let (Length::Bytes(_), rest) = length(rest)? else { return None };
            rest.get(usize::try_from(short).ok()?..)
        }
    }
}

/// How a text goes on.
enum Length {
    /// For so many bytes.
    Bytes(u64),
    /// With the length of its short form, its own, and the short form.
    Compressed,
}

/// A length, and what follows it.
fn length(bytes: &[u8]) -> Option<(Length, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let low = u64::from(first & 63);
    Some(match (first >> 6, low) {
        (0, _) => (Length::Bytes(low), rest),
        (1, _) => {
            let (next, rest) = rest.split_first()?;
            (Length::Bytes(low << 8 | u64::from(*next)), rest)
        }
        (2, 0) => {
            let (four, rest) = rest.split_first_chunk()?;
            (Length::Bytes(u32::from_be_bytes(*four).into()), rest)
        }
        (2, 1) => {
            let (eight, rest) = rest.split_first_chunk()?;
            (Length::Bytes(u64::from_be_bytes(*eight)), rest)
        }
        // Integers of one, two and four bytes.
        (3, 0..=2) => (Length::Bytes(1 << low), rest),
        (3, 3) => (Length::Compressed, rest),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOOTER: &[u8] = b"\x0a\x00checksum";

    fn dump(kind: u8, n: u8, texts: &[&[u8]]) -> Vec<u8> {
        [&[kind, n], texts.concat().as_slice(), FOOTER].concat()
    }

    #[test]
    fn sets_and_hashes_give_the_same_in_any_order() {
        // Short, as an integer of two bytes, compressed, and with a length of two bytes.
        let long = [&[0x41, 0x00][..], &[b'x'; 256]].concat();
        let texts: [&[u8]; 4] = [b"\x03abc", b"\xc1\x10\x27", b"\xc3\x02\x40\x50zz", &long];
        let swapped = [texts[2], texts[3], texts[0], texts[1]];
        for (kind, n) in [(SET, 4), (HASH, 2)] {
            let (one, other) = (dump(kind, n, &texts), dump(kind, n, &swapped));
            assert_eq!(digest(&one), digest(&other), "{kind}");
            let fewer = dump(kind, n, &[texts[0], texts[0], texts[2], texts[3]]);
            assert_ne!(digest(&one), digest(&fewer), "{kind}");
        }
        let crossed = [texts[0], texts[3], texts[2], texts[1]];
        assert_ne!(digest(&dump(HASH, 2, &texts)), digest(&dump(HASH, 2, &crossed)), "other values");
        assert_ne!(digest(&dump(SET, 4, &texts)), digest(&dump(HASH, 2, &texts)));
        assert_ne!(digest(&dump(1, 4, &texts)), digest(&dump(1, 4, &swapped)), "a list has an order");
    }

    #[test]
    fn the_version_of_the_format_counts_for_types_that_are_not_common() {
        for (kind, counts) in [(SET, false), (16, false), (COMMON, false), (COMMON + 1, true)] {
            let one = [&[kind, 1, 1, b'a'], FOOTER].concat();
            let other = [&[kind, 1, 1, b'a'], &b"\x50\x00another1"[..]].concat();
            assert_eq!(digest(&one) != digest(&other), counts, "{kind}");
        }
    }

    #[test]
    fn what_is_no_dump_is_never_the_same_as_another() {
        let mut seen = std::collections::BTreeSet::new();
        let whole = dump(SET, 2, &[b"\x03abc", b"\xc3\x02\x40\x50zz"]);
        for len in 0..=whole.len() {
            assert!(seen.insert(digest(&whole[..len])), "{len}");
        }
        for first in 0..=u8::MAX {
            // Whatever the length of the first element is said to be.
            assert!(seen.insert(digest(&[&[SET, 2, first], &whole[3..]].concat())) || first == whole[2]);
        }
    }
}

//! Glob-style patterns as servers read them: <https://redis.io/docs/latest/commands/keys/>.
//!
//! A server that pays no heed to a pattern must not have the cache delete what nobody asked it to.

/// Returns whether a pattern stands for a name. `*` stands for anything, `?` for one byte, and `[ab]`,
/// `[a-c]` and `[^a]` for one of several. A backslash takes from the next byte its meaning.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    // The positions to go on with when the last star stands for one byte more.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', after)) = rest.split_first() {
            star = Some((after, left));
            rest = after;
            continue;
        }
        match (left.split_first(), star) {
            (None, _) if rest.is_empty() => return true,
            (Some((&byte, behind)), _) if let Some(after) = one(rest, byte) => (rest, left) = (after, behind),
            (_, Some((after, from))) => {
                let Some((_, from)) = from.split_first() else { return false };
                star = Some((after, from));
                (rest, left) = (after, from);
            }
            (_, None) => return false,
        }
    }
}

/// The pattern behind its first part, if that stands for this byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, rest) = pattern.split_first()?;
    match (first, rest.split_first()) {
        (b'?', _) => Some(rest),
        (b'[', _) => one_of(rest, byte),
        (b'\\', Some((escaped, rest))) => (*escaped == byte).then_some(rest),
        (first, _) => (*first == byte).then_some(rest),
    }
}

/// The same of a class, behind its bracket. A set that does not end does so with the pattern.
fn one_of(class: &[u8], byte: u8) -> Option<&[u8]> {
    let (is_not, mut rest) = match class.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, class),
    };
    let mut is_in = false;
    loop {
        rest = match rest {
            [b'\\', escaped, after @ ..] => {
                is_in |= *escaped == byte;
                after
            }
            [b']', after @ ..] => return (is_in != is_not).then_some(after),
            [from, b'-', to, after @ ..] => {
                is_in |= (*from.min(to)..=*from.max(to)).contains(&byte);
                after
            }
            [only, after @ ..] => {
                is_in |= *only == byte;
                after
            }
            [] => return (is_in != is_not).then_some(rest),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_it_does_on_a_server() {
        for (pattern, of, others) in [
            ("", &[""][..], &["a"][..]),
            ("*", &["", "a", "abc"], &[]),
            ("a*c", &["ac", "abc", "acc"], &["a", "abcd", "ab"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc"], &["acb"]),
            ("a?c", &["abc", "a?c"], &["ac", "abbc"]),
            ("[ab]*", &["a", "bx"], &["", "c"]),
            ("[a-c]", &["a", "b", "c"], &["d", "-"]),
            ("[c-a]", &["b"], &["d"]),
            ("[^a]", &["b", "^"], &["a", ""]),
            ("[\\]]", &["]"], &["\\"]),
            ("[a", &["a"], &["b", "["]),
            ("[]a", &[], &["]a", "a"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a\\", &["a\\"], &["a"]),
        ] {
            of.iter()
                .for_each(|name| assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}"));
            others.iter().for_each(|name| {
                assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
            });
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let name = "a".repeat(10_000);
        assert!(!matches("*a".repeat(100).as_bytes(), format!("{name}b").as_bytes()));
        assert!(matches("*a".repeat(100).as_bytes(), name.as_bytes()));
    }
}

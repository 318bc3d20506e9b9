//! What most values look like on the wire.
//!
//! A shortcut for them: what it does not know is followed byte by byte.

use super::room;

/// A value, or how an array begins, in a form that most have.
pub(super) struct Usual {
    /// The number of bytes it has on the wire.
    pub(super) length: usize,
    /// What it takes of the bound.
    pub(super) takes: usize,
    pub(super) elements: usize,
}

/// What begins with these bytes; a string has its line end, and is perhaps not here as a whole.
// It is inlined because it is run for each value of each reply.
#[inline(always)]
pub(super) fn usual(head: &[u8; 8]) -> Option<Usual> {
    let value = |length, takes| Some(Usual { length, takes, elements: 0 });
    let (n, number) = match *head {
        [_, a, ref end @ ..] if end.starts_with(b"\r\n") => (1, number([a])?),
        [_, a, b, ref end @ ..] if end.starts_with(b"\r\n") => match number([a, b]) {
            Some(number) => (2, number),
            None if head.starts_with(b"$-1") => return value(5, 0),
            None if head.starts_with(b"+OK") => return value(5, 4),
            None => return None,
        },
        [_, a, b, c, ref end @ ..] if end.starts_with(b"\r\n") => (3, number([a, b, c])?),
        [_, a, b, c, d, ref end @ ..] if end.starts_with(b"\r\n") => (4, number([a, b, c, d])?),
        _ => return None,
    };
    match head[0] {
        b'$' => value(n + number + 5, number),
        b':' => value(n + 3, n + 2),
        b'*' => Some(Usual { length: n + 3, takes: room(number), elements: number }),
        _ => None,
    }
}

/// The first of fewer bytes than it takes, with others behind them that are no part of any value.
pub(super) fn padded_head(bytes: &[u8]) -> [u8; 8] {
    let mut head = [0; 8];
    head.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    head
}

/// The number that these digits say, if they are digits.
#[inline(always)]
fn number<const N: usize>(digits: [u8; N]) -> Option<usize> {
    digits.into_iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit <= 9).then_some(number * 10 + usize::from(digit))
    })
}

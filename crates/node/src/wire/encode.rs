//! The encoder of commands: from the words of a command to the bytes that a server reads.

use std::ops::Range;

use redis::Arg;
use redis::Cmd;

use super::parser::split_string;

/// Puts a command, which has a word, at the end of a buffer.
///
/// redis-rs goes through a command twice, first for its length, and has a general way to write a number. Together
/// that takes three times the instructions for a short command.
pub(crate) fn encode(cmd: &Cmd, out: &mut Vec<u8>) {
    let before = out.len();
    if !put_words(cmd, out, |_, _| {}) {
        // Only redis-rs knows the cursor of a command.
        out.truncate(before);
        cmd.write_packed_command(out);
    }
}

/// Encodes a command, and returns where its word of this number stands in the buffer; `None` where there is no such word, or the
/// command has a cursor, and what was put is of no use.
pub(crate) fn encode_noting(cmd: &Cmd, number: usize, out: &mut Vec<u8>) -> Option<Range<usize>> {
    let mut noted = None;
    let note = |at, place| {
        if at == number {
            noted = Some(place);
        }
    };
    if put_words(cmd, out, note) { noted } else { None }
}

/// Makes a command anew of its bytes.
pub(crate) fn decode_command(bytes: &[u8]) -> Cmd {
    let mut cmd = Cmd::new();
    let first = bytes.iter().position(|byte| *byte == b'$').unwrap_or(bytes.len());
    let mut rest = bytes.get(first..).unwrap_or_default();
    while let Some((word, behind)) = split_string(rest) {
        cmd.arg(word);
        rest = behind;
    }
    cmd
}

/// Puts the words of a command, and tells the number and the place of each. Returns false at a cursor.
#[inline]
fn put_words(cmd: &Cmd, out: &mut Vec<u8>, mut tell: impl FnMut(usize, Range<usize>)) -> bool {
    let args = cmd.args_iter();
    begin(b'*', args.len(), out);
    for (number, arg) in args.enumerate() {
        let Arg::Simple(word) = arg else { return false };
        begin(b'$', word.len(), out);
        tell(number, out.len()..out.len() + word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    true
}

/// Puts a line that says how many words or bytes follow.
#[inline(always)] // for a short number it is as short as a call
fn begin(kind: u8, n: usize, out: &mut Vec<u8>) {
    match n {
        0..10 => out.extend_from_slice(&[kind, digit(n), b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[kind, digit(n / 10), digit(n), b'\r', b'\n']),
        _ => {
            out.push(kind);
            put_digits(n, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

fn put_digits(n: usize, out: &mut Vec<u8>) {
    if 10 <= n {
        put_digits(n / 10, out);
    }
    out.push(digit(n));
}

/// The last digit of a number.
fn digit(n: usize) -> u8 {
    b'0' + (n % 10) as u8
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn check(cmd: &Cmd) {
        let mut out = b"before".to_vec();
        encode(cmd, &mut out);
        assert_eq!(out, [b"before".as_slice(), &cmd.get_packed_command()].concat());
    }

    #[test]
    fn a_cursor_is_a_word_too() {
        check(redis::cmd("SCAN").cursor_arg(1234567).arg("COUNT").arg(10));
    }

    #[test]
    fn words_may_be_of_any_length() {
        for length in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12345, 100_000] {
            check(redis::cmd("SET").arg("k").arg(vec![b'x'; length]));
            check(redis::cmd("MGET").arg(vec!["k"; length]));
        }
    }

    proptest! {
        #[test]
        fn a_command_is_encoded_as_by_redis_rs(words in vec(vec(any::<u8>(), 0..120), 1..12)) {
            let mut cmd = Cmd::new();
            cmd.arg(words);
            check(&cmd);
        }
    }
}

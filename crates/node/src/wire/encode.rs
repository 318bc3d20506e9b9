//! The encoder of commands: from the words of a command to the bytes that a server reads.

use redis::Arg;
use redis::Cmd;

/// Puts a command, which has a word, at the end of a buffer.
///
/// redis-rs goes through a command twice, first for its length, and has a general way to write a number. Together
/// that takes three times the instructions for a short command.
pub(super) fn encode(cmd: &Cmd, out: &mut Vec<u8>) {
    let before = out.len();
    let args = cmd.args_iter();
    begin(b'*', args.len(), out);
    for arg in args {
        let Arg::Simple(word) = arg else {
            // Only redis-rs knows the cursor of a command.
            out.truncate(before);
            return cmd.write_packed_command(out);
        };
        begin(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
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

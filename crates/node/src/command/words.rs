//! The words of a command as they go on the wire.

use redis::Arg;
use redis::Cmd;

/// The words of a command, its name among them; a cursor counts as an empty word.
#[inline]
pub fn words(cmd: &Cmd) -> impl Iterator<Item = &[u8]> {
    cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => b"",
    })
}

/// The options of `XREAD` and `XREADGROUP` that values follow, each with the number of them.
pub(super) const STREAM_OPTIONS: &[(&str, usize)] = &[("GROUP", 2), ("BLOCK", 1), ("COUNT", 1), ("CLAIM", 1)];

/// Returns the value of an option of `XREAD` and `XREADGROUP`; a stream, group or consumer of its name is
/// none.
pub(crate) fn value_of_stream_option<'a>(cmd: &'a Cmd, option: &str) -> Option<&'a [u8]> {
    let at = position_after(cmd, option, 1, STREAM_OPTIONS)?;
    let is_before = position_after(cmd, "STREAMS", 1, STREAM_OPTIONS).is_none_or(|streams| at < streams);
    words(cmd).nth(at).filter(|_| is_before)
}

/// Returns the position after `word`, which is looked for from `from` on; the values of the options `values`,
/// each with the number of them, are skipped.
pub(super) fn position_after(cmd: &Cmd, word: &str, from: usize, values: &[(&str, usize)]) -> Option<usize> {
    let mut words = words(cmd).enumerate().skip(from);
    while let Some((at, option)) = words.next() {
        if is(option, word) {
            return Some(at + 1);
        }
        let skipped = values.iter().find(|(name, _)| is(option, name)).map_or(0, |(_, n)| *n);
        for _ in 0..skipped {
            words.next();
        }
    }
    None
}

pub(super) fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

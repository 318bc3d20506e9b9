//! The expiry of a write: a relative one (`EX 10`) becomes absolute, so that a key ends everywhere at once.

use std::ops::Range;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use redis::Cmd;
use redisdb_node::command::Spec;
use redisdb_node::command::words;

/// The form of a relative expiry in a command, and of the absolute one that replaces it.
enum Relative {
    /// The command's second argument: `EXPIRE key seconds`. The name changes.
    Argument { unit: Duration, absolute: &'static str },
    /// `SETEX key seconds value` becomes `SET key value PXAT ..`.
    Setex { unit: Duration },
    /// `RESTORE key ttl value`, with `ABSTTL` added; 0 means none.
    Restore,
    /// An option and its value, `EX seconds`; the options begin this many words after the last key.
    Options { after_key: usize },
}

/// Returns whether a command can have a relative expiry.
pub(crate) fn tells_a_life(spec: &Spec) -> bool {
    relative(spec.name).is_some()
}

fn relative(name: &str) -> Option<Relative> {
    let (seconds, millis) = (Duration::from_secs(1), Duration::from_millis(1));
    match name {
        "EXPIRE" => Some(Relative::Argument { unit: seconds, absolute: "PEXPIREAT" }),
        "PEXPIRE" => Some(Relative::Argument { unit: millis, absolute: "PEXPIREAT" }),
        "HEXPIRE" => Some(Relative::Argument { unit: seconds, absolute: "HPEXPIREAT" }),
        "HPEXPIRE" => Some(Relative::Argument { unit: millis, absolute: "HPEXPIREAT" }),
        "SETEX" => Some(Relative::Setex { unit: seconds }),
        "PSETEX" => Some(Relative::Setex { unit: millis }),
        "RESTORE" => Some(Relative::Restore),
        "SET" | "MSETEX" => Some(Relative::Options { after_key: 2 }),
        "GETEX" | "HGETEX" | "HSETEX" => Some(Relative::Options { after_key: 1 }),
        _ => None,
    }
}

/// Returns the command with its relative expiry made absolute, the same for all nodes. `None` if it has none, or one that
/// stays as it is, such as 0. `now` is called only for a command that has one.
pub(crate) fn absolute(spec: &Spec, cmd: &Cmd, now: impl FnOnce() -> SystemTime) -> Option<Cmd> {
    let relative = relative(spec.name)?;
    if let Relative::Options { after_key } = relative {
        // Most have no options at all: a plain `SET`.
        words(cmd).nth(1 + after_key)?;
    }
    let words: Vec<&[u8]> = words(cmd).collect();
    match (relative, words.as_slice()) {
        (Relative::Argument { unit, absolute }, [_, key, time, rest @ ..]) => {
            Some(redis::cmd(absolute).arg(key).arg(at(time, unit, now)?).arg(rest).take())
        }
        (Relative::Setex { unit }, [_, key, time, value]) => {
            Some(redis::cmd("SET").arg(key).arg(value).arg("PXAT").arg(at(time, unit, now)?).take())
        }
        (Relative::Restore, [_, key, time, value, rest @ ..]) => {
            let is_absolute = rest.iter().any(|word| word.eq_ignore_ascii_case(b"ABSTTL"));
            let at = at(time, Duration::from_millis(1), now).filter(|_| !is_absolute)?;
            Some(redis::cmd("RESTORE").arg(key).arg(at).arg(value).arg(rest).arg("ABSTTL").take())
        }
        (Relative::Options { after_key }, _) => {
            let last_key = spec.keys_of(cmd).ok().and_then(|keys| keys.last());
            last_key.and_then(|(at, _)| options(&words, at + after_key, spec.fields_of(cmd), now))
        }
        _ => None,
    }
}

/// Replaces `EX seconds` or `PX milliseconds` by `PXAT`. The options start at word `first`; none stands among the fields of a
/// hash, or is the value of another option.
fn options(
    words: &[&[u8]],
    first: usize,
    fields: Option<Range<usize>>,
    now: impl FnOnce() -> SystemTime,
) -> Option<Cmd> {
    let mut at_word = first;
    let unit = loop {
        if let Some(fields) = fields.as_ref().filter(|fields| fields.contains(&at_word)) {
            at_word = fields.end;
        }
        match words.get(at_word)?.to_ascii_uppercase().as_slice() {
            b"EX" => break Duration::from_secs(1),
            b"PX" => break Duration::from_millis(1),
            b"IFEQ" | b"IFNE" | b"IFDEQ" | b"IFDNE" | b"EXAT" | b"PXAT" => at_word += 2,
            _ => at_word += 1,
        }
    };
    let at = at(words.get(at_word + 1)?, unit, now)?;
    let mut cmd = Cmd::new();
    cmd.arg(words.get(..at_word)?).arg("PXAT").arg(at).arg(words.get(at_word + 2..)?);
    Some(cmd)
}

/// Returns the moment `time` units from now, in milliseconds since 1970; `None` if `time` is not positive. Such a time is left
/// to the server, which refuses it or ends the key at once; a moment could still be ahead of its clock.
fn at(time: &[u8], unit: Duration, now: impl FnOnce() -> SystemTime) -> Option<i64> {
    // The server takes no sign and no leading zero.
    let is_positive = time.iter().all(u8::is_ascii_digit) && !time.starts_with(b"0");
    let time = std::str::from_utf8(time).ok().filter(|_| is_positive)?.parse::<i64>().ok()?;
    let now = i64::try_from(now().duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    let unit = i64::try_from(unit.as_millis()).ok()?;
    time.checked_mul(unit)?.checked_add(now)
}

#[cfg(test)]
mod tests {
    use redisdb_node::command::Effect;
    use redisdb_node::command::OnCopy;
    use redisdb_node::command::lookup;

    use super::*;

    /// Checks what is sent, 1000 s after 1970.
    fn check(words: &[&str], expected: &[&str]) {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        let absolute = absolute(lookup(&cmd).unwrap(), &cmd, || UNIX_EPOCH + Duration::from_secs(1000));
        let found = absolute.unwrap_or(cmd);
        assert_eq!(
            super::words(&found).map(String::from_utf8_lossy).collect::<Vec<_>>(),
            expected,
            "{words:?}"
        );
    }

    #[test]
    fn a_relative_expiry_becomes_one_absolute_deadline() {
        check(&["SET", "k", "v"], &["SET", "k", "v"]);
        check(&["SET", "k", "v", "ex", "5"], &["SET", "k", "v", "PXAT", "1005000"]);
        check(&["SET", "k", "v", "PX", "5", "KEEPTTL"], &["SET", "k", "v", "PXAT", "1000005", "KEEPTTL"]);
        check(&["SET", "k", "EX"], &["SET", "k", "EX"]);
        check(&["SET", "EX", "5"], &["SET", "EX", "5"]);
        check(&["SET", "k", "v", "EXAT", "5"], &["SET", "k", "v", "EXAT", "5"]);
        check(&["SETEX", "k", "5", "v"], &["SET", "k", "v", "PXAT", "1005000"]);
        check(&["PSETEX", "k", "5", "v"], &["SET", "k", "v", "PXAT", "1000005"]);
        check(&["EXPIRE", "k", "5"], &["PEXPIREAT", "k", "1005000"]);
        check(&["PEXPIRE", "k", "5"], &["PEXPIREAT", "k", "1000005"]);
        check(&["GETEX", "k", "EX", "5"], &["GETEX", "k", "PXAT", "1005000"]);
        check(&["GETEX", "k", "PERSIST"], &["GETEX", "k", "PERSIST"]);
        check(&["RESTORE", "k", "5", "x"], &["RESTORE", "k", "1000005", "x", "ABSTTL"]);
        check(&["RESTORE", "k", "0", "x", "REPLACE"], &["RESTORE", "k", "0", "x", "REPLACE"]);
        check(
            &["HEXPIRE", "k", "5", "FIELDS", "1", "f"],
            &["HPEXPIREAT", "k", "1005000", "FIELDS", "1", "f"],
        );
        check(&["HGETEX", "k", "FIELDS", "2", "EX", "5"], &["HGETEX", "k", "FIELDS", "2", "EX", "5"]);
        check(&["MSETEX", "1", "EX", "9", "PX", "5"], &["MSETEX", "1", "EX", "9", "PXAT", "1000005"]);
    }

    #[test]
    fn no_key_value_or_field_is_taken_for_an_option() {
        check(&["SET", "k", "fields", "EX", "5"], &["SET", "k", "fields", "PXAT", "1005000"]);
        check(&["SET", "FIELDS", "v", "PX", "5"], &["SET", "FIELDS", "v", "PXAT", "1000005"]);
        check(&["GETEX", "fields", "EX", "5"], &["GETEX", "fields", "PXAT", "1005000"]);
        check(&["MSETEX", "1", "k", "fields", "EX", "5"], &["MSETEX", "1", "k", "fields", "PXAT", "1005000"]);
        check(
            &["SET", "k", "v", "IFEQ", "EX", "PX", "5"],
            &["SET", "k", "v", "IFEQ", "EX", "PXAT", "1000005"],
        );
        check(&["SET", "k", "v", "IFEQ", "ex"], &["SET", "k", "v", "IFEQ", "ex"]);
        let hsetex = |rest: &[&'static str]| [&["HSETEX", "k", "FIELDS", "1", "EX", "5"], rest].concat();
        check(&hsetex(&[]), &hsetex(&[]));
        check(&hsetex(&["EX", "5"]), &hsetex(&["PXAT", "1005000"]));
    }

    #[test]
    fn a_time_that_a_server_refuses_stays_as_it_is() {
        for time in ["+5", "05", "5 ", "", "5.0", "0x5", "9223372036854775807"] {
            check(&["EXPIRE", "k", time], &["EXPIRE", "k", time]);
            check(&["SET", "k", "v", "EX", time], &["SET", "k", "v", "EX", time]);
            check(&["SETEX", "k", time, "v"], &["SETEX", "k", time, "v"]);
        }
    }

    #[test]
    fn an_expiry_that_is_not_positive_stays_relative() {
        for over in [["EXPIRE", "k", "0"], ["PEXPIRE", "k", "-5"]] {
            check(&over, &over);
        }
        check(&["HEXPIRE", "k", "0", "FIELDS", "1", "f"], &["HEXPIRE", "k", "0", "FIELDS", "1", "f"]);
    }

    #[test]
    fn every_row_with_a_relative_expiry_is_made_absolute() {
        let rows = redisdb_node::command::ALL.iter();
        for row in rows.filter(|row| row.copy == OnCopy::Effect(Effect::Deadline)) {
            assert!(relative(row.name).is_some(), "{}", row.name);
        }
    }

    #[test]
    fn an_expiry_that_the_server_refuses_is_left_for_it_to_refuse() {
        check(&["SET", "k", "v", "EX", "0"], &["SET", "k", "v", "EX", "0"]);
        check(&["SET", "k", "v", "EX", "x"], &["SET", "k", "v", "EX", "x"]);
        check(&["SET", "k", "v", "EX"], &["SET", "k", "v", "EX"]);
        check(
            &["SET", "k", "v", "EX", "9223372036854775807"],
            &["SET", "k", "v", "EX", "9223372036854775807"],
        );
    }
}

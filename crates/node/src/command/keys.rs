//! Where the keys of one command stand, by its row.

use std::fmt;

use redis::Arg;
use redis::Cmd;

use super::spec::Keys;
use super::spec::Spec;

impl Spec {
    /// Returns the keys of a command with their positions, in the order they stand in.
    ///
    /// A command without keys gives none.
    ///
    /// # Errors
    /// [`KeyError`] when the command is cut short or its number of keys does not fit: its keys are not known, so it
    /// must not be sent anywhere.
    ///
    /// ```
    /// use redisdb_node::command::rows;
    /// let zinterstore = rows::MGET.cmd().arg("a").arg("b").take();
    /// let keys = rows::MGET.spec().keys_of(&zinterstore)?;
    /// assert_eq!(keys.collect::<Vec<_>>(), [(1, b"a".as_slice()), (2, b"b")]);
    /// # Ok::<(), redisdb_node::command::KeyError>(())
    /// ```
    pub fn keys_of<'a>(
        &self,
        cmd: &'a Cmd,
    ) -> Result<impl Iterator<Item = (usize, &'a [u8])> + use<'a>, KeyError> {
        let mut positions = self.positions(cmd)?;
        let mut next = positions.next();
        Ok(words(cmd).enumerate().filter(move |(at, _)| {
            let found = next == Some(*at);
            if found {
                next = positions.next();
            }
            found
        }))
    }

    /// Returns the first key of a command, if it has one.
    ///
    /// # Errors
    /// As [`Spec::keys_of`].
    pub fn first_key<'a>(&self, cmd: &'a Cmd) -> Result<Option<&'a [u8]>, KeyError> {
        match self.keys {
            Keys::One(at) | Keys::Channel(at) => {
                words(cmd).nth(usize::from(at)).map(Some).ok_or(KeyError::TooShort)
            }
            Keys::None => Ok(None),
            _ => Ok(self.keys_of(cmd)?.next().map(|(_, key)| key)),
        }
    }

    fn positions(&self, cmd: &Cmd) -> Result<KeyPositions, KeyError> {
        let n_args = cmd.args_iter().len();
        if !self.accepts(n_args) {
            return Err(KeyError::TooShort);
        }
        match self.keys {
            Keys::None => Ok(KeyPositions::default()),
            Keys::One(at) | Keys::Channel(at) => KeyPositions::run(at.into(), 1, 1, n_args),
            Keys::Pair(a, b) => {
                KeyPositions::run(b.into(), 1, 1, n_args).map(|positions| positions.after(a.into()))
            }
            Keys::Each { first, step } => {
                let (first, step) = (usize::from(first), usize::from(step).max(1));
                let rest = n_args.saturating_sub(first);
                if rest % step != 0 {
                    return Err(KeyError::Unbalanced);
                }
                KeyPositions::run(first, step, rest / step, n_args)
            }
            Keys::Until { first, trailing } => {
                let (first, end) = (usize::from(first), n_args.saturating_sub(trailing.into()));
                KeyPositions::run(first, 1, end.saturating_sub(first), n_args)
            }
            Keys::Counted(at) => {
                let at = usize::from(at);
                KeyPositions::run(at + 1, 1, count_at(cmd, at)?, n_args)
            }
            Keys::StoreCounted(destination, at) => {
                let at = usize::from(at);
                KeyPositions::run(at + 1, 1, count_at(cmd, at)?, n_args)
                    .map(|positions| positions.after(destination.into()))
            }
            Keys::Streams => {
                let word = words(cmd).position(|word| word.eq_ignore_ascii_case(b"STREAMS"));
                let first = word.ok_or(KeyError::TooShort)? + 1;
                let rest = n_args - first;
                if rest == 0 || rest % 2 != 0 {
                    return Err(KeyError::Unbalanced);
                }
                KeyPositions::run(first, 1, rest / 2, n_args)
            }
            Keys::OneAndAfter(options) => {
                // As in Redis, the last one counts when an option is given twice.
                let after = words(cmd)
                    .enumerate()
                    .skip(2)
                    .filter(|(_, word)| options.iter().any(|o| word.eq_ignore_ascii_case(o.as_bytes())))
                    .last();
                match after {
                    Some((at, _)) => KeyPositions::run(at + 1, 1, 1, n_args).map(|p| p.after(1)),
                    None => KeyPositions::run(1, 1, 1, n_args),
                }
            }
            Keys::Migrate => {
                if words(cmd).nth(3).is_some_and(|key| !key.is_empty()) {
                    return KeyPositions::run(3, 1, 1, n_args);
                }
                let word = words(cmd).position(|word| word.eq_ignore_ascii_case(b"KEYS"));
                let first = word.ok_or(KeyError::TooShort)? + 1;
                KeyPositions::run(first, 1, n_args - first, n_args)
            }
        }
    }
}

/// The positions of a command's keys: a run of equal steps, and possibly one before it.
#[derive(Debug, Clone, Default)]
struct KeyPositions {
    before: Option<usize>,
    next: usize,
    step: usize,
    left: usize,
}

impl KeyPositions {
    fn run(first: usize, step: usize, count: usize, n_args: usize) -> Result<Self, KeyError> {
        let last = count.checked_sub(1).and_then(|n| n.checked_mul(step)).and_then(|n| n.checked_add(first));
        match last {
            Some(last) if last >= n_args => Err(KeyError::TooShort),
            _ => Ok(Self { before: None, next: first, step, left: count }),
        }
    }

    fn after(mut self, before: usize) -> Self {
        self.before = Some(before);
        self
    }
}

impl Iterator for KeyPositions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if let Some(before) = self.before.take() {
            return Some(before);
        }
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next += self.step;
        Some(at)
    }
}

/// The words of a command; a cursor counts as an empty word.
fn words(cmd: &Cmd) -> impl Iterator<Item = &[u8]> {
    cmd.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        _ => b"",
    })
}

fn count_at(cmd: &Cmd, at: usize) -> Result<usize, KeyError> {
    let word = words(cmd).nth(at).ok_or(KeyError::TooShort)?;
    std::str::from_utf8(word).ok().and_then(|word| word.parse().ok()).ok_or(KeyError::NotACount)
}

/// Why the keys of a command cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// It has too few arguments, or too many.
    TooShort,
    /// Its keys and what belongs to them do not come in equal numbers: `MSET a 1 b`.
    Unbalanced,
    /// Where the number of keys should stand is no number: `EVAL script key`.
    NotACount,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "wrong number of arguments",
            Self::Unbalanced => "its keys and what belongs to them do not come in equal numbers",
            Self::NotACount => "the number of its keys is not a number",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;
    use crate::command::rows;

    fn check(row: &Spec, words: &[&str], expected: Result<&[usize], KeyError>) {
        let mut it = words.iter();
        let mut command = cmd(it.next().unwrap());
        for word in it {
            command.arg(*word);
        }
        let positions = row.keys_of(&command).map(|keys| keys.map(|(at, _)| at).collect::<Vec<_>>());
        assert_eq!(positions.as_deref().map_err(|e| *e), expected, "{words:?}");
    }

    fn with_keys(keys: Keys) -> Spec {
        Spec { keys, arity: -2, ..*rows::GET.spec() }
    }

    #[test]
    fn each_shape_finds_its_keys() {
        check(rows::GET.spec(), &["GET", "k"], Ok(&[1]));
        check(rows::GET.spec(), &["GET"], Err(KeyError::TooShort));
        check(rows::MGET.spec(), &["MGET", "a", "b", "a"], Ok(&[1, 2, 3]));
        check(rows::MSET.spec(), &["MSET", "a", "1", "b", "2"], Ok(&[1, 3]));
        check(rows::MSET.spec(), &["MSET", "a", "1", "b"], Err(KeyError::Unbalanced));
        check(&with_keys(Keys::Pair(1, 2)), &["RENAME", "a", "b"], Ok(&[1, 2]));
        check(&with_keys(Keys::Until { first: 1, trailing: 1 }), &["BLPOP", "a", "b", "0"], Ok(&[1, 2]));
        let eval = with_keys(Keys::Counted(2));
        check(&eval, &["EVAL", "return 1", "2", "a", "b", "x"], Ok(&[3, 4]));
        check(&eval, &["EVAL", "return 1", "0"], Ok(&[]));
        check(&eval, &["EVAL", "return 1", "3", "a"], Err(KeyError::TooShort));
        check(&eval, &["EVAL", "return 1", "x", "a"], Err(KeyError::NotACount));
        check(&eval, &["EVAL", "return 1", "-1", "a"], Err(KeyError::NotACount));
        check(&eval, &["EVAL", "return 1", "18446744073709551615", "a"], Err(KeyError::TooShort));
        check(&with_keys(Keys::StoreCounted(1, 2)), &["ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS"], Ok(&[1, 3, 4]));
        let xread = with_keys(Keys::Streams);
        check(&xread, &["XREAD", "COUNT", "1", "streams", "a", "b", "0", "0"], Ok(&[4, 5]));
        check(&xread, &["XREAD", "STREAMS", "a", "b", "0"], Err(KeyError::Unbalanced));
        check(&xread, &["XREAD", "COUNT", "1"], Err(KeyError::TooShort));
        let sort = with_keys(Keys::OneAndAfter(&["STORE"]));
        check(&sort, &["SORT", "a", "ALPHA", "store", "d"], Ok(&[1, 4]));
        check(&sort, &["SORT", "a", "STORE"], Err(KeyError::TooShort));
        let migrate = with_keys(Keys::Migrate);
        check(&migrate, &["MIGRATE", "h", "1", "k", "0", "1"], Ok(&[3]));
        check(&migrate, &["MIGRATE", "h", "1", "", "0", "1", "KEYS", "a", "b"], Ok(&[7, 8]));
    }
}

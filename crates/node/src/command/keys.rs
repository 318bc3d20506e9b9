//! The positions of the keys and the options of one command, by its row.

use std::ops::Range;

use redis::Cmd;

use super::spec::Effect;
use super::spec::Group;
use super::spec::Keys;
use super::spec::OnCopy;
use super::spec::Spec;
use super::spec::Until;
use super::words::STREAM_OPTIONS;
use super::words::is;
use super::words::position_after;
use super::words::words;

impl Spec {
    /// Returns the keys of a command with their positions, in the order they stand in.
    ///
    /// A command without keys gives none.
    ///
    /// # Errors
    /// [`KeyError`] when the command is cut short or its number of keys does not fit: its keys are not known,
    /// so it must not be sent anywhere.
    ///
    /// ```
    /// use redisdb_node::command::rows;
    /// let zunionstore = rows::ZUNIONSTORE.cmd().arg("to").arg(2).arg("a").arg("b").arg("WEIGHTS").arg(2).arg(3).take();
    /// let keys = rows::ZUNIONSTORE.spec().keys_of(&zunionstore)?;
    /// assert_eq!(keys.collect::<Vec<_>>(), [(1, b"to".as_slice()), (3, b"a"), (4, b"b")]);
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
    #[inline]
    pub fn first_key<'a>(&self, cmd: &'a Cmd) -> Result<Option<&'a [u8]>, KeyError> {
        match self.keys {
            Keys::One(at) | Keys::Channel(at) => {
                words(cmd).nth(usize::from(at)).map(Some).ok_or(KeyError::TooShort)
            }
            Keys::None => Ok(None),
            _ => Ok(self.keys_of(cmd)?.next().map(|(_, key)| key)),
        }
    }

    /// Returns the patterns by which the command reads keys that it does not name: `SORT .. BY weight_*`.
    ///
    /// The elements decide which keys those are, so no client can tell where they are, unless they carry a
    /// hash tag. `GET #` and a pattern without a `*` read no other key.
    pub fn patterns_of<'a>(&self, cmd: &'a Cmd) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (from, stores, patterns) = match self.keys {
            Keys::OneAndAfter { from, stores, patterns } => (from.into(), stores, patterns),
            _ => (usize::MAX, [].as_slice(), [].as_slice()),
        };
        Options { words: words(cmd).enumerate().skip(from), with_value: [stores, patterns] }
            .filter(|(_, option, _)| is_one_of(option, patterns))
            .filter_map(|(_, _, value)| value)
            .filter(|pattern| pattern.contains(&b'*'))
    }

    /// Returns the option, in capitals, because of which the command takes effect only under a condition:
    /// `NX` in `SET key value NX`.
    ///
    /// `None` if there is none, and for a command that is not [`Effect::ConditionalIf`].
    pub fn condition_of(&self, cmd: &Cmd) -> Option<&'static str> {
        let OnCopy::Effect(Effect::ConditionalIf { from, until, options }) = self.copy else { return None };
        let fields = self.fields_of(cmd);
        // Neither a key nor its value is an option, whatever its text.
        let from = match self.keys {
            Keys::CountedPairs(_) => self.keys_of(cmd).ok()?.last().map_or(usize::MAX, |(at, _)| at + 2),
            _ => from.into(),
        };
        words(cmd)
            .enumerate()
            .skip(from)
            .take_while(|(_, word)| until != Until::Number || !is_number(word))
            .filter(|(at, _)| !fields.as_ref().is_some_and(|fields| fields.contains(at)))
            .find_map(|(_, word)| options.iter().copied().find(|option| is(word, option)))
    }

    /// Returns the positions of the fields that a command of hashes names after `FIELDS` and their number: `4..6`
    /// in `HTTL key FIELDS 2 a b`. Options may stand before `FIELDS`, and after the fields.
    pub fn fields_of(&self, cmd: &Cmd) -> Option<Range<usize>> {
        if self.group != Group::Hash {
            return None;
        }
        let at = words(cmd).skip(2).position(|word| is(word, "FIELDS"))? + 2;
        // A command that is cut short, or counts wrongly, has no words after its fields.
        let n = count_at(cmd, at + 1).unwrap_or(usize::MAX);
        let width = if self.name == "HSETEX" { 2 } else { 1 };
        let (first, n_words) = (at + 2, words(cmd).count());
        Some(first.min(n_words)..first.saturating_add(n.saturating_mul(width)).min(n_words))
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
                if !rest.is_multiple_of(step) {
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
            Keys::CountedPairs(at) => {
                let at = usize::from(at);
                let count = count_at(cmd, at)?;
                // The last key's value must be there as well.
                KeyPositions::run(at + 1, 1, count.checked_mul(2).ok_or(KeyError::TooShort)?, n_args)?;
                KeyPositions::run(at + 1, 2, count, n_args)
            }
            Keys::Streams => {
                let first = position_after(cmd, "STREAMS", 1, STREAM_OPTIONS).ok_or(KeyError::TooShort)?;
                let rest = n_args - first;
                if rest == 0 || !rest.is_multiple_of(2) {
                    return Err(KeyError::Unbalanced);
                }
                KeyPositions::run(first, 1, rest / 2, n_args)
            }
            Keys::OneAndAfter { from, stores, patterns } => {
                // As in Redis, the last one counts when an option is given twice.
                let options = Options {
                    words: words(cmd).enumerate().skip(from.into()),
                    with_value: [stores, patterns],
                };
                match options.filter(|(_, option, _)| is_one_of(option, stores)).last() {
                    Some((at, ..)) => {
                        KeyPositions::run(at + 1, 1, 1, n_args).map(|positions| positions.after(1))
                    }
                    None => KeyPositions::run(1, 1, 1, n_args),
                }
            }
            Keys::Channels { first } => {
                let first = usize::from(first);
                KeyPositions::run(first, 1, n_args.saturating_sub(first), n_args)
            }
            Keys::Migrate => {
                let keys = position_after(cmd, "KEYS", 6, &[("AUTH", 1), ("AUTH2", 2)]);
                match keys {
                    Some(first) if words(cmd).nth(3).is_some_and(<[u8]>::is_empty) => {
                        KeyPositions::run(first, 1, n_args - first, n_args)
                    }
                    _ => KeyPositions::run(3, 1, 1, n_args),
                }
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
        // A count that a caller wrote may be as large as an integer can be.
        let end =
            count.checked_mul(step).and_then(|length| length.checked_add(first)).ok_or(KeyError::TooShort)?;
        if count > 0 && end - step >= n_args {
            return Err(KeyError::TooShort);
        }
        Ok(Self { before: None, next: first, step, left: count })
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

/// The words of a command from its first option on, each option with its position and its value, if it has
/// one.
struct Options<'a, W> {
    words: W,
    /// The options that a value follows, which is therefore no option itself.
    with_value: [&'a [&'a str]; 2],
}

impl<'a, 'c, W: Iterator<Item = (usize, &'c [u8])>> Iterator for Options<'a, W> {
    type Item = (usize, &'c [u8], Option<&'c [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (at, option) = self.words.next()?;
        let has_value = self.with_value.iter().any(|options| is_one_of(option, options));
        let value = if has_value { self.words.next().map(|(_, value)| value) } else { None };
        Some((at, option, value))
    }
}

fn is_one_of(word: &[u8], options: &[&str]) -> bool {
    options.iter().any(|option| is(word, option))
}

fn is_number(word: &[u8]) -> bool {
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<f64>().is_ok())
}

fn count_at(cmd: &Cmd, at: usize) -> Result<usize, KeyError> {
    let word = words(cmd).nth(at).ok_or(KeyError::TooShort)?;
    // The server takes digits only, where `parse` would take `+1` as well.
    let digits = word.iter().all(u8::is_ascii_digit).then_some(word).ok_or(KeyError::NotACount)?;
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(KeyError::NotACount)
}

/// The reason why the keys of a command cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The command has too few arguments, or too many.
    #[error("wrong number of arguments")]
    TooShort,
    /// Its keys and what belongs to them do not come in equal numbers: `MSET a 1 b`.
    #[error("its keys and what belongs to them do not come in equal numbers")]
    Unbalanced,
    /// The word that should be the number of keys is no number: `EVAL script key`.
    #[error("the number of its keys is not a number")]
    NotACount,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::cmd;

    use super::*;
    use crate::command::ALL;
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

    #[test]
    fn each_shape_finds_its_keys() {
        check(rows::GET.spec(), &["GET", "k"], Ok(&[1]));
        check(rows::GET.spec(), &["GET"], Err(KeyError::TooShort));
        check(rows::MGET.spec(), &["MGET", "a", "b", "a"], Ok(&[1, 2, 3]));
        check(rows::MSET.spec(), &["MSET", "a", "1", "b", "2"], Ok(&[1, 3]));
        check(rows::MSET.spec(), &["MSET", "a", "1", "b"], Err(KeyError::Unbalanced));
        check(rows::RENAME.spec(), &["RENAME", "a", "b"], Ok(&[1, 2]));
        check(rows::BLPOP.spec(), &["BLPOP", "a", "b", "0"], Ok(&[1, 2]));
        check(rows::BITOP.spec(), &["BITOP", "AND", "d", "a", "b"], Ok(&[2, 3, 4]));
        check(rows::OBJECT_FREQ.spec(), &["OBJECT", "FREQ", "a"], Ok(&[2]));
        check(rows::SUBSCRIBE.spec(), &["SUBSCRIBE", "a", "b"], Ok(&[1, 2]));
        check(rows::PUBLISH.spec(), &["PUBLISH", "a", "b"], Ok(&[1]));
        check(rows::INFO.spec(), &["INFO", "a", "b"], Ok(&[]));
    }

    #[test]
    fn counted_keys_are_as_many_as_the_count_says() {
        let eval = rows::EVAL.spec();
        check(eval, &["EVAL", "return 1", "2", "a", "b", "x"], Ok(&[3, 4]));
        check(eval, &["EVAL", "return 1", "0"], Ok(&[]));
        check(eval, &["EVAL", "return 1", "3", "a"], Err(KeyError::TooShort));
        check(eval, &["EVAL", "return 1", "x", "a"], Err(KeyError::NotACount));
        check(eval, &["EVAL", "return 1", "-1", "a"], Err(KeyError::NotACount));
        check(eval, &["EVAL", "return 1", "+1", "a"], Err(KeyError::NotACount));
        check(eval, &["EVAL", "return 1", "", "a"], Err(KeyError::NotACount));
        check(eval, &["EVAL", "return 1", "18446744073709551615", "a"], Err(KeyError::TooShort));
        check(eval, &["EVAL", "return 1", "18446744073709551616", "a"], Err(KeyError::NotACount));
        let union = rows::ZUNIONSTORE.spec();
        check(union, &["ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS"], Ok(&[1, 3, 4]));
        let msetex = rows::MSETEX.spec();
        check(msetex, &["MSETEX", "2", "a", "1", "b", "2", "EX", "9"], Ok(&[2, 4]));
        check(msetex, &["MSETEX", "2", "a", "1", "b"], Err(KeyError::TooShort));
        check(msetex, &["MSETEX", "18446744073709551615", "a", "1"], Err(KeyError::TooShort));
    }

    #[test]
    fn a_name_that_looks_like_an_option_is_no_option() {
        let xread = rows::XREAD.spec();
        check(xread, &["XREAD", "COUNT", "1", "streams", "a", "b", "0", "0"], Ok(&[4, 5]));
        check(xread, &["XREAD", "STREAMS", "a", "b", "0"], Err(KeyError::Unbalanced));
        check(xread, &["XREAD", "STREAMS", "STREAMS", "0"], Ok(&[2]));
        check(xread, &["XREAD", "COUNT", "1", "x"], Err(KeyError::TooShort));
        let group = rows::XREADGROUP.spec();
        check(group, &["XREADGROUP", "GROUP", "streams", "streams", "STREAMS", "a", ">"], Ok(&[5]));
        let sort = rows::SORT.spec();
        check(sort, &["SORT", "a"], Ok(&[1]));
        check(sort, &["SORT", "a", "ALPHA", "store", "d"], Ok(&[1, 4]));
        check(sort, &["SORT", "a", "STORE", "d", "STORE", "e"], Ok(&[1, 5]));
        check(sort, &["SORT", "a", "STORE", "store", "ALPHA"], Ok(&[1, 3]));
        check(sort, &["SORT", "STORE", "BY", "STORE", "ALPHA"], Ok(&[1]));
        check(sort, &["SORT", "a", "STORE"], Err(KeyError::TooShort));
        let near = rows::GEORADIUSBYMEMBER.spec();
        check(near, &["GEORADIUSBYMEMBER", "g", "STORE", "10", "m", "STOREDIST", "d"], Ok(&[1, 6]));
        let migrate = rows::MIGRATE.spec();
        check(migrate, &["MIGRATE", "h", "1", "k", "0", "1"], Ok(&[3]));
        check(migrate, &["MIGRATE", "h", "1", "", "0", "1", "KEYS", "a", "b"], Ok(&[7, 8]));
        check(migrate, &["MIGRATE", "h", "1", "", "0", "1", "AUTH", "KEYS", "KEYS", "a"], Ok(&[9]));
    }

    fn command(words: &str) -> Cmd {
        let mut it = words.split(' ');
        let mut command = cmd(it.next().unwrap());
        for word in it {
            command.arg(word);
        }
        command
    }

    #[test]
    fn a_stream_named_block_does_not_block() {
        let blocks = |row: &Spec, words| row.needs_dedicated(&command(words)).is_some();
        assert!(blocks(rows::XREAD.spec(), "XREAD COUNT 1 block 0 STREAMS a 0"));
        assert!(!blocks(rows::XREAD.spec(), "XREAD STREAMS block 0"));
        assert!(!blocks(rows::XREAD.spec(), "XREAD COUNT BLOCK STREAMS a 0"));
        let row = rows::XREADGROUP.spec();
        assert!(blocks(row, "XREADGROUP GROUP block c BLOCK 5 STREAMS a >"));
        assert!(!blocks(row, "XREADGROUP GROUP block block STREAMS block >"));
        assert!(!blocks(rows::GET.spec(), "GET BLOCK"));
    }

    #[test]
    fn a_pattern_of_other_keys_is_found() {
        let patterns = |row: &Spec, words| {
            row.patterns_of(&command(words))
                .map(|pattern| String::from_utf8(pattern.to_vec()).unwrap())
                .collect()
        };
        let of_sort = |words| -> Vec<String> { patterns(rows::SORT.spec(), words) };
        assert_eq!(of_sort("SORT a BY w_* GET v_*"), ["w_*", "v_*"]);
        assert_eq!(of_sort("SORT a by nosort get # get h_*->f"), ["h_*->f"]);
        assert_eq!(of_sort("SORT a BY nosort GET #"), [""; 0]);
        assert_eq!(of_sort("SORT BY STORE * BY"), [""; 0]);
        assert_eq!(patterns(rows::GET.spec(), "GET *"), [""; 0]);
    }

    #[test]
    fn a_condition_is_found_where_options_stand() {
        let condition = |row: &Spec, words| row.condition_of(&command(words));
        assert_eq!(condition(rows::SET.spec(), "SET k NX"), None);
        assert_eq!(condition(rows::SET.spec(), "SET k v EX 10 nx"), Some("NX"));
        assert_eq!(condition(rows::EXPIRE.spec(), "EXPIRE k 10 Gt"), Some("GT"));
        assert_eq!(condition(rows::ZADD.spec(), "ZADD countries 5 GT -inf LT"), None);
        assert_eq!(condition(rows::ZADD.spec(), "ZADD countries CH INCR 5 GT"), Some("INCR"));
        assert_eq!(condition(rows::HEXPIRE.spec(), "HEXPIRE k 10 FIELDS 1 NX"), None);
        assert_eq!(condition(rows::GET.spec(), "GET NX"), None);
        // After the fields, as Redis 8.4 takes it, and not among them.
        assert_eq!(condition(rows::HEXPIRE.spec(), "HEXPIRE k 10 FIELDS 2 NX f gt"), Some("GT"));
        assert_eq!(condition(rows::HSETEX.spec(), "HSETEX k FIELDS 1 FNX v"), None);
        assert_eq!(condition(rows::HSETEX.spec(), "HSETEX k FIELDS 1 FNX fxx FNX"), Some("FNX"));
        assert_eq!(condition(rows::HSETEX.spec(), "HSETEX k fxx FIELDS 1 f v"), Some("FXX"));
        assert_eq!(condition(rows::MSETEX.spec(), "MSETEX 2 a nx NX 1"), None, "keys and values");
        assert_eq!(condition(rows::MSETEX.spec(), "MSETEX 1 a 1 EX 5 XX"), Some("XX"));
    }

    /// Words that mean something to some row, and some that mean nothing.
    fn words_of_any_command() -> impl Strategy<Value = Vec<Vec<u8>>> {
        const MEANINGFUL: [&str; 22] = [
            "",
            "0",
            "1",
            "2",
            "3",
            "99",
            "-1",
            "18446744073709551615",
            "18446744073709551616",
            "1.5",
            "*",
            "BY",
            "FIELDS",
            "GET",
            "GROUP",
            "KEYS",
            "NX",
            "STORE",
            "STOREDIST",
            "STREAMS",
            "streams",
            "AUTH2",
        ];
        let meaningful = (0..MEANINGFUL.len()).prop_map(|at| MEANINGFUL[at].as_bytes().to_vec());
        let word = prop_oneof![3 => meaningful, 1 => prop::collection::vec(any::<u8>(), 0..4)];
        prop::collection::vec(word, 0..12)
    }

    proptest! {
        #[test]
        fn the_keys_of_any_command_are_some_of_its_words(words in words_of_any_command()) {
            for row in ALL {
                let mut command = Cmd::new();
                for word in row.words() {
                    command.arg(word);
                }
                command.arg(&words);
                let all: Vec<_> = super::words(&command).collect();
                let n_name = row.words().count();

                let first = row.first_key(&command);
                if let Ok(keys) = row.keys_of(&command) {
                    let keys: Vec<_> = keys.collect();
                    prop_assert_eq!(first, Ok(keys.first().map(|(_, key)| *key)), "{}", row.name);
                    prop_assert!(keys.is_sorted_by(|a, b| a.0 < b.0), "{}: {:?}", row.name, keys);
                    for (at, key) in keys {
                        prop_assert!(at >= n_name && all.get(at) == Some(&key), "{}: {} {:?}", row.name, at, key);
                    }
                }
                for pattern in row.patterns_of(&command) {
                    prop_assert!(all.contains(&pattern), "{}", row.name);
                }
                if let Some(option) = row.condition_of(&command) {
                    prop_assert!(all.iter().any(|word| is(word, option)), "{}", row.name);
                }
            }
        }
    }
}

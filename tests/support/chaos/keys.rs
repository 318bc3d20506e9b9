//! The keys of a run: one of each kind for each task of each client, those that all write, and what of their values is looked at.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use redisdb_node::command::Command;
use redisdb_node::command::Read;
use redisdb_node::command::rows;

use crate::journal::Seen;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;
use redisdb_tests::words;

/// The number of tasks a client has. Each of them writes keys of its own.
pub(crate) const TASKS: usize = 4;

/// The number of keys a task writes by one `MSET`.
pub(crate) const MANY: usize = 3;

/// From when on keys expire, in seconds since 1970: long after any run.
pub(crate) const EXPIRY: u64 = 4_102_444_800;

/// The seconds between the ends of two lives: a time to live is less exact.
pub(crate) const EXPIRY_STEP: u64 = 10;

/// The kind of what a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum KeyKind {
    /// The number of the last write.
    Value,
    /// The same, written together with others.
    Many,
    /// The same, set only where there is nothing.
    Once,
    /// The numbers of the writes, one after the other.
    Text,
    /// The number of times that it was counted.
    Counter,
    /// The same in halves, as a floating-point number.
    Sum,
    /// Fields with the number of the last write of each, and a counter.
    Hash,
    /// A member for each write.
    Set,
    /// Members with the number of the last write of each as the score, and a counter.
    Sorted,
    /// An element for each write.
    List,
    /// An entry for each write.
    Stream,
    /// A HyperLogLog.
    Distinct,
    /// The number of the last write, and an end of its life that tells the number too.
    Expiring,
    /// The number of times that all clients together counted it.
    Shared,
    /// The same in halves, as a floating-point number.
    SharedSum,
}

impl KeyKind {
    /// Returns whether all clients write the one key of this kind.
    pub(crate) fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::SharedSum)
    }
}

/// All kinds, by what the names of their keys begin with.
pub(crate) const KEY_KINDS: [(&str, KeyKind); 15] = [
    ("value", KeyKind::Value),
    ("many", KeyKind::Many),
    ("once", KeyKind::Once),
    ("text", KeyKind::Text),
    ("counter", KeyKind::Counter),
    ("sum", KeyKind::Sum),
    ("hash", KeyKind::Hash),
    ("set", KeyKind::Set),
    ("sorted", KeyKind::Sorted),
    ("list", KeyKind::List),
    ("stream", KeyKind::Stream),
    ("distinct", KeyKind::Distinct),
    ("expiring", KeyKind::Expiring),
    ("shared", KeyKind::Shared),
    ("shared-sum", KeyKind::SharedSum),
];

/// The names of the keys of a kind that a task writes.
pub(crate) fn names(kind: KeyKind, slot: usize, task: usize) -> Vec<String> {
    let prefix = KEY_KINDS.iter().find(|(_, other)| *other == kind).map_or("", |(prefix, _)| prefix);
    match kind {
        KeyKind::Many => (0..MANY).map(|i| format!("{prefix}:{slot}:{task}:{i}")).collect(),
        _ if kind.is_shared() => vec![format!("{prefix}:all")],
        _ => vec![format!("{prefix}:{slot}:{task}")],
    }
}

/// All keys of all clients.
pub(crate) fn all(n_processes: usize) -> Vec<String> {
    let tasks = (0..n_processes).flat_map(|slot| (0..TASKS).map(move |task| (slot, task)));
    let keys =
        tasks.flat_map(|(slot, task)| KEY_KINDS.iter().flat_map(move |(_, kind)| names(*kind, slot, task)));
    keys.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns what a key of this name holds; `None` if it is none of ours.
pub(crate) fn kind_of(key: &str) -> Option<KeyKind> {
    let (prefix, _) = key.split_once(':')?;
    KEY_KINDS.iter().find(|(other, _)| *other == prefix).map(|(_, kind)| *kind)
}

/// The way in which a key is read, and the element that is seen by that: `*` means all, `-` none.
pub(crate) struct Look {
    pub(crate) row: &'static Command<Read>,
    pub(crate) cmd: Cmd,
    pub(crate) scope: &'static str,
}

/// The ways to look at a key. All together they see all of it.
pub(crate) fn looks(key: &str) -> Vec<Look> {
    let look = |row: &'static Command<Read>, scope, rest: &[&str]| {
        let mut cmd = row.cmd();
        cmd.arg(key).arg(rest);
        Look { row, cmd, scope }
    };
    match kind_of(key) {
        Some(KeyKind::Hash) => vec![look(&rows::HGETALL, "*", &[])],
        Some(KeyKind::Set) => vec![look(&rows::SMEMBERS, "*", &[])],
        Some(KeyKind::Sorted) => vec![look(&rows::ZRANGE, "*", &["0", "-1", "WITHSCORES"])],
        Some(KeyKind::List) => vec![look(&rows::LRANGE, "*", &["0", "-1"])],
        Some(KeyKind::Stream) => vec![look(&rows::XRANGE, "*", &["-", "+"])],
        Some(KeyKind::Distinct) => vec![look(&rows::PFCOUNT, "-", &[])],
        Some(KeyKind::Expiring) => vec![look(&rows::GET, "v", &[]), look(&rows::PTTL, "ttl", &[])],
        _ => vec![look(&rows::GET, "*", &[])],
    }
}

/// Returns what a reply to such a look shows. What nobody can have written is shown as 0.
pub(crate) fn seen(key: &str, scope: &str, reply: &Value) -> Seen {
    if scope == "ttl" {
        return ends(reply);
    }
    let words = words(reply);
    let number = |word: &str| word.parse().unwrap_or(0);
    let pairs = || words.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).map_or(0, |word| plain(word))));
    match kind_of(key) {
        Some(KeyKind::Value | KeyKind::Many | KeyKind::Once | KeyKind::Expiring) => {
            words.iter().map(|word| ("v".to_owned(), number(word))).collect()
        }
        Some(KeyKind::Counter | KeyKind::Shared) => {
            words.iter().map(|word| ("n".to_owned(), number(word))).collect()
        }
        Some(KeyKind::Sum | KeyKind::SharedSum) => {
            let halves =
                |word: &String| word.parse::<f64>().map_or(u64::MAX, |sum| (sum * 2.0).round() as u64);
            words.iter().map(|word| ("n".to_owned(), halves(word))).collect()
        }
        Some(KeyKind::Hash | KeyKind::Sorted) => pairs().collect(),
        Some(KeyKind::Text) => {
            let text = words.concat();
            once(text.split_terminator(',').map(str::to_owned))
        }
        Some(KeyKind::Set | KeyKind::List) => once(words.into_iter()),
        // Of each entry its identifier, and one field with its value.
        Some(KeyKind::Stream) => once(words.chunks(3).map(|entry| entry.last().cloned().unwrap_or_default())),
        Some(KeyKind::Distinct) | None => Seen::new(),
    }
}

/// Each number as an element with that value. A number that is there twice was written by nobody.
fn once(numbers: impl Iterator<Item = String>) -> Seen {
    let mut seen = BTreeMap::new();
    for number in numbers {
        let value = number.parse().unwrap_or(0);
        seen.entry(number).and_modify(|value| *value = 0).or_insert(value);
    }
    seen
}

/// The end of a life that a time to live tells.
fn ends(reply: &Value) -> Seen {
    let Value::Int(left @ 0..) = reply else { return Seen::new() };
    let end = now() / micros(Duration::from_millis(1)) + left.unsigned_abs();
    let steps = (end as f64 / 1000.0 - EXPIRY as f64) / EXPIRY_STEP as f64;
    Seen::from([("ttl".to_owned(), steps.round().max(0.0) as u64)])
}

/// A score, or a number, as a server writes it.
fn plain(word: &str) -> u64 {
    word.parse::<f64>().map_or(0, |number| number.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn list(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| text(word)).collect())
    }

    fn elements(pairs: &[(&str, u64)]) -> Seen {
        pairs.iter().map(|(element, value)| ((*element).to_owned(), *value)).collect()
    }

    #[test]
    fn each_kind_shows_its_elements() {
        for (key, reply, expected) in [
            ("value:0:0", text("7"), elements(&[("v", 7)])),
            ("value:0:0", Value::Nil, elements(&[])),
            ("value:0:0", text("nonsense"), elements(&[("v", 0)])),
            ("counter:0:0", text("7"), elements(&[("n", 7)])),
            ("sum:0:0", text("3.5"), elements(&[("n", 7)])),
            ("text:0:0", text("1,2,"), elements(&[("1", 1), ("2", 2)])),
            ("hash:0:0", list(&["f1", "7", "n", "2"]), elements(&[("f1", 7), ("n", 2)])),
            ("sorted:0:0", list(&["m1", "7", "n", "2"]), elements(&[("m1", 7), ("n", 2)])),
            ("list:0:0", list(&["4", "5"]), elements(&[("4", 4), ("5", 5)])),
            (
                "stream:0:0",
                Value::Array(vec![Value::Array(vec![text("1-1"), list(&["s", "7"])])]),
                elements(&[("7", 7)]),
            ),
        ] {
            assert_eq!(seen(key, "*", &reply), expected, "{key}");
        }
    }

    #[test]
    fn what_is_there_twice_was_written_by_nobody() {
        assert_eq!(seen("list:0:0", "*", &list(&["4", "4"])), elements(&[("4", 0)]));
        assert_eq!(seen("text:0:0", "*", &text("4,5,4,")), elements(&[("4", 0), ("5", 5)]));
    }

    #[test]
    fn a_time_to_live_tells_the_number_of_its_write() {
        let left = EXPIRY + 7 * EXPIRY_STEP - now() / 1_000_000;
        let reply = Value::Int(i64::try_from(left * 1000).unwrap());
        assert_eq!(seen("expiring:0:0", "ttl", &reply), elements(&[("ttl", 7)]));
        assert_eq!(seen("expiring:0:0", "ttl", &Value::Int(-1)), elements(&[]));
    }

    #[test]
    fn the_keys_of_two_tasks_are_different_and_each_is_known_by_its_name() {
        let keys = all(3);
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        let n_shared = KEY_KINDS.iter().filter(|(_, kind)| kind.is_shared()).count();
        assert_eq!(keys.len(), 3 * TASKS * (KEY_KINDS.len() - n_shared + MANY - 1) + n_shared);
        assert!(keys.iter().all(|key| kind_of(key).is_some() && !looks(key).is_empty()));
    }
}

//! The next write of a task, and its effect on its key.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use redis::Cmd;
use redisdb_node::command::Command;
use redisdb_node::command::Write;
use redisdb_node::command::rows;

use crate::journal::Effect;
use crate::keys::EXPIRY;
use crate::keys::EXPIRY_STEP;
use crate::keys::KEY_KINDS;
use crate::keys::KeyKind;
use crate::keys::names;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;

/// The number of elements a key may come to until it is deleted and begins anew.
const MOST: u64 = 25;

/// The number of fields, or members with a score, there are.
const FIELDS: u64 = 6;

/// A write: its command, and what it does to each of its keys.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) kind: KeyKind,
    pub(crate) row: &'static Command<Write>,
    pub(crate) cmd: Cmd,
    /// Key, number among the writes of the key, and effects.
    pub(crate) steps: Vec<(String, u64, Vec<Effect>)>,
    /// True if a reply of 0 says that nothing was done.
    pub(crate) zero_is_nothing: bool,
}

/// The knowledge of a task about the keys that it writes.
#[derive(Debug)]
pub(crate) struct Writer {
    slot: usize,
    task: usize,
    dice: Rng,
    /// The number of the last write of each key.
    last: BTreeMap<String, u64>,
    /// The number of elements that were added to each kind since it was deleted.
    grown: BTreeMap<KeyKind, u64>,
}

impl Writer {
    /// One that goes on after the writes with these numbers.
    pub(crate) fn new(slot: usize, task: usize, dice: Rng, last: BTreeMap<String, u64>) -> Self {
        Self { slot, task, dice, last, grown: BTreeMap::new() }
    }

    /// The next write, of any kind.
    pub(crate) fn next(&mut self) -> Planned {
        let (_, kind) = KEY_KINDS[self.dice.usize(..KEY_KINDS.len())];
        self.of(kind)
    }

    /// Has the key of this kind deleted by its next write, as nobody knows which element is gone.
    pub(crate) fn begin_anew(&mut self, kind: KeyKind) {
        self.grown.insert(kind, MOST);
    }

    /// The next write of this kind.
    pub(crate) fn of(&mut self, kind: KeyKind) -> Planned {
        let keys = names(kind, self.slot, self.task);
        let numbers: Vec<u64> = keys.iter().map(|key| self.next_number(key)).collect();
        let (key, seq) = (keys[0].clone(), numbers[0]);
        let die = self.dice.u32(..10);
        if kind == KeyKind::Many {
            let mut cmd = rows::MSET.cmd();
            let steps = keys.into_iter().zip(numbers).map(|(key, seq)| {
                cmd.arg(&key).arg(seq);
                (key, seq, vec![Effect::Put("v".into(), seq)])
            });
            let steps = steps.collect();
            return Planned { kind, row: &rows::MSET, cmd, steps, zero_is_nothing: false };
        }
        let grows =
            matches!(kind, KeyKind::Text | KeyKind::Set | KeyKind::List | KeyKind::Stream | KeyKind::Once);
        let grown = self.grown.entry(kind).or_default();
        if grows && MOST <= *grown {
            *grown = 0;
            let row = if die < 5 { &rows::DEL } else { &rows::UNLINK };
            return planned(kind, row, &key, seq, &[], vec![Effect::Clear]);
        }
        // `SETNX` is tried once, then its key is deleted.
        *grown += if kind == KeyKind::Once { MOST } else { 1 };
        self.change(kind, &key, seq, die)
    }

    fn change(&mut self, kind: KeyKind, key: &str, seq: u64, die: u32) -> Planned {
        let n = seq.to_string();
        let put = |element: &str| vec![Effect::Put(element.to_owned(), seq)];
        let count = |n: u64| vec![Effect::Add("n".to_owned(), n)];
        let field = format!("f{}", seq % FIELDS);
        let before = self.dice.u64(1..6).min(seq.saturating_sub(1)).max(1);
        let earlier = seq.saturating_sub(before).to_string();
        let to = |row, rest: &[&str], effects| planned(kind, row, key, seq, rest, effects);
        match (kind, die) {
            (KeyKind::Value, 0..=4) => to(&rows::SET, &[&n], put("v")),
            (KeyKind::Value, 5) => to(&rows::SET, &[&n, "EX", "100000"], put("v")),
            (KeyKind::Value, 6) => to(&rows::SETEX, &["100000", &n], put("v")),
            (KeyKind::Value, 7) => to(&rows::GETSET, &[&n], put("v")),
            (KeyKind::Value, 8) => to(&rows::GETDEL, &[], vec![Effect::Clear]),
            (KeyKind::Value, _) => to(&rows::DEL, &[], vec![Effect::Clear]),
            (KeyKind::Once, 0..=4) => nothing_if_zero(to(&rows::SETNX, &[&n], put("v"))),
            (KeyKind::Once, _) => nothing_if_zero(to(&rows::MSETNX, &[&n], put("v"))),
            (KeyKind::Text, _) => to(&rows::APPEND, &[&format!("{n},")], put(&n)),
            (KeyKind::Shared, _) => to(&rows::INCR, &[], count(1)),
            (KeyKind::Counter, 0..=6) => to(&rows::INCR, &[], count(1)),
            (KeyKind::Counter, _) => to(&rows::INCRBY, &["3"], count(3)),
            (KeyKind::Sum | KeyKind::SharedSum, _) => to(&rows::INCRBYFLOAT, &["0.5"], count(1)),
            (KeyKind::Hash, 0..=5) => to(&rows::HSET, &[&field, &n], put(&field)),
            (KeyKind::Hash, 6 | 7) => to(&rows::HDEL, &[&field], vec![Effect::Del(field.clone())]),
            (KeyKind::Hash, _) => to(&rows::HINCRBY, &["n", "1"], count(1)),
            (KeyKind::Set, 0..=5) => to(&rows::SADD, &[&n], put(&n)),
            (KeyKind::Set, 6 | 7) => to(&rows::SREM, &[&earlier], vec![Effect::Del(earlier.clone())]),
            (KeyKind::Set, _) => to(&rows::SPOP, &[], vec![Effect::Pop]),
            (KeyKind::Sorted, 0..=5) => to(&rows::ZADD, &[&n, &field], put(&field)),
            (KeyKind::Sorted, 6 | 7) => to(&rows::ZREM, &[&field], vec![Effect::Del(field.clone())]),
            (KeyKind::Sorted, _) => to(&rows::ZINCRBY, &["1", "n"], count(1)),
            (KeyKind::List, 0..=4) => to(&rows::RPUSH, &[&n], put(&n)),
            (KeyKind::List, 5 | 6) => to(&rows::LPUSH, &[&n], put(&n)),
            (KeyKind::List, 7 | 8) => to(&rows::LPOP, &[], vec![Effect::Pop]),
            (KeyKind::List, _) => to(&rows::RPOP, &[], vec![Effect::Pop]),
            (KeyKind::Stream, _) => to(&rows::XADD, &["*", "s", &n], put(&n)),
            (KeyKind::Distinct, _) => to(&rows::PFADD, &[&format!("e{}", seq % (4 * MOST))], Vec::new()),
            (KeyKind::Expiring, 0..=4) => {
                to(&rows::SET, &[&n], [put("v"), vec![Effect::Del("ttl".into())]].concat())
            }
            _ if seq == 1 => to(&rows::SET, &[&n], [put("v"), vec![Effect::Del("ttl".into())]].concat()),
            (_, 5 | 6) => {
                let end = (EXPIRY + EXPIRY_STEP * seq).to_string();
                nothing_if_zero(to(&rows::EXPIREAT, &[&end], put("ttl")))
            }
            (_, 7) => {
                let left = EXPIRY + EXPIRY_STEP * seq - now() / micros(Duration::from_secs(1));
                nothing_if_zero(to(&rows::EXPIRE, &[&left.to_string()], put("ttl")))
            }
            _ => to(&rows::PERSIST, &[], vec![Effect::Del("ttl".into())]),
        }
    }

    fn next_number(&mut self, key: &str) -> u64 {
        let last = self.last.entry(key.to_owned()).or_default();
        *last += 1;
        *last
    }
}

fn planned(
    kind: KeyKind,
    row: &'static Command<Write>,
    key: &str,
    seq: u64,
    rest: &[&str],
    effects: Vec<Effect>,
) -> Planned {
    let mut cmd = row.cmd();
    cmd.arg(key).arg(rest);
    Planned { kind, row, cmd, steps: vec![(key.to_owned(), seq, effects)], zero_is_nothing: false }
}

fn nothing_if_zero(planned: Planned) -> Planned {
    Planned { zero_is_nothing: true, ..planned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writes_of_a_key_are_numbered_and_no_value_comes_twice() {
        let mut writer = Writer::new(0, 0, Rng::with_seed(1), BTreeMap::new());
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut values = std::collections::BTreeSet::new();
        for (key, seq, effects) in (0..2000).flat_map(|_| writer.next().steps) {
            assert_eq!(seq, last.get(&key).copied().unwrap_or(0) + 1, "{key}");
            last.insert(key.clone(), seq);
            for effect in effects {
                if let Effect::Put(element, value) = effect {
                    assert!(values.insert((key.clone(), element, value)));
                }
            }
        }
    }

    #[test]
    fn whoever_takes_over_goes_on_with_the_numbers_and_with_what_is_there() {
        let key = names(KeyKind::List, 0, 0).remove(0);
        let mut writer = Writer::new(0, 0, Rng::with_seed(1), BTreeMap::from([(key.clone(), 7)]));
        let first = writer.of(KeyKind::List).steps.remove(0);
        assert_eq!((first.0, first.1), (key, 8));
        assert_ne!(first.2, [Effect::Clear]);
    }

    #[test]
    fn a_key_that_has_grown_is_deleted_and_so_is_one_that_is_to_begin_anew() {
        let mut writer = Writer::new(0, 0, Rng::with_seed(1), BTreeMap::new());
        let until_cleared = |writer: &mut Writer| {
            (0..).find(|_| writer.of(KeyKind::Stream).steps[0].2 == [Effect::Clear]).unwrap()
        };
        assert_eq!(until_cleared(&mut writer), MOST);
        assert_eq!(until_cleared(&mut writer), MOST);
        writer.begin_anew(KeyKind::Stream);
        assert_eq!(until_cleared(&mut writer), 0);
    }
}

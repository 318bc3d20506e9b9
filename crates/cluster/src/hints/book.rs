//! The book of the durable hints: which of them this process knows to stand on which server, a value without I/O.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::Value;
use tokio::sync::Notify;

use crate::engine::member::Member;

/// What one hint says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Hint {
    /// Since this epoch the set tells all that the node has missed of what this process of the server took: the first hint of
    /// each set.
    Since(u64, String),
    /// The node has missed a write of this key.
    Key(Vec<u8>),
    /// The node may have missed any write.
    All,
}

impl Hint {
    pub(super) fn text(&self) -> Vec<u8> {
        match self {
            Self::Since(epoch, process) => format!("s{epoch}:{process}").into_bytes(),
            Self::Key(key) => [b"k", key.as_slice()].concat(),
            Self::All => b"a".to_vec(),
        }
    }

    pub(super) fn read(text: &[u8]) -> Self {
        let since = |text: &[u8]| {
            let (epoch, process) = std::str::from_utf8(text).ok()?.split_once(':')?;
            Some(Self::Since(epoch.parse().ok()?, process.to_owned()))
        };
        match text.split_first() {
            Some((b'k', key)) => Self::Key(key.to_vec()),
            Some((b's', text)) if let Some(since) = since(text) => since,
            // What a later version may write is not understood, so it may be anything.
            _ => Self::All,
        }
    }
}

/// The names of a server that holds hints, and of the node that they are about.
type Pair = (Arc<str>, Arc<str>);

fn pair(holder: &Member, about: &Member) -> Pair {
    (Arc::clone(holder.name()), Arc::clone(about.name()))
}

/// The hints that this process has read on the servers.
#[derive(Debug, Default)]
pub(crate) struct DurableHints {
    read: Mutex<HashMap<Pair, ReadHints>>,
    /// The hints that were given before their write, which is under way; how often.
    ahead: Mutex<HashMap<Hint, usize>>,
    pub(super) giving: Giving,
}

/// The hints that are just being given. What is read meanwhile may be one of them, and is known only when its number is.
#[derive(Debug, Default)]
pub(super) struct Giving {
    under_way: Mutex<(u64, BTreeSet<u64>)>,
    ended: Notify,
}

/// Some hints are being given, until this is dropped.
pub(super) struct Given<'a>(&'a Giving, u64);

impl Giving {
    pub(super) fn begin(&self) -> Given<'_> {
        let mut under_way = self.under_way.lock();
        under_way.0 += 1;
        let number = under_way.0;
        under_way.1.insert(number);
        Given(self, number)
    }

    /// Waits until those have been given that are being given now.
    pub(super) async fn settle(&self) {
        let last = self.under_way.lock().0;
        loop {
            let ended = self.ended.notified();
            if self.under_way.lock().1.first().is_none_or(|first| last < *first) {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().1.remove(&self.1);
        self.0.ended.notify_waiters();
    }
}

/// The hints that one server holds about one node, as far as they were read.
#[derive(Debug, Default)]
struct ReadHints {
    /// The process of the server that was read.
    incarnation: u64,
    /// The highest number that was read.
    upto: u64,
    standing: HashMap<Hint, u64>,
    /// What stood on the process before.
    before: HashMap<Hint, u64>,
    /// How often they are being read at this moment, and what was removed meanwhile: it may be on its way here still.
    n_readers: usize,
    removed: HashMap<Hint, u64>,
}

/// The keys of the hints about a node that count no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Void {
    /// They have served their purpose.
    pub(crate) served: Vec<Vec<u8>>,
    /// Only servers that take part no more said so.
    pub(crate) unsaid: Vec<Vec<u8>>,
}

/// The hints of one server about one node are being read, until this is dropped.
pub(super) struct Reading<'a>(&'a DurableHints, Pair);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut read = self.0.read.lock();
        let Some(hints) = read.get_mut(&self.1) else { return };
        hints.n_readers -= 1;
        if hints.n_readers == 0 {
            hints.removed.clear();
        }
    }
}

/// What the servers are given before a write, because nodes are away that will miss it.
pub(crate) struct HintsAhead<'a> {
    durable: &'a DurableHints,
    pub(super) away: Vec<&'a Member>,
    pub(super) hints: Vec<Hint>,
    /// True if a server has taken all of these hints.
    pub(super) is_given: bool,
}

impl HintsAhead<'_> {
    /// The write has been judged, and what the nodes missed is recorded: of what was given already, nothing is given again.
    pub(crate) fn are_recorded(&self) {
        let keys = self.hints.iter().filter_map(|hint| match hint {
            Hint::Key(key) => Some(key.as_slice()),
            _ => None,
        });
        if self.is_given {
            self.away.iter().for_each(|member| member.hints().given_now(keys.clone()));
        }
    }
}

impl Drop for HintsAhead<'_> {
    fn drop(&mut self) {
        let mut ahead = self.durable.ahead.lock();
        for hint in &self.hints {
            if let Some(n) = ahead.get_mut(hint).filter(|n| 1 < **n) {
                *n -= 1;
            } else {
                ahead.remove(hint);
            }
        }
    }
}

impl DurableHints {
    /// What is known of these hints is recorded when their write has ended, and until then they have not served their purpose.
    pub(super) fn begin<'a>(&'a self, away: Vec<&'a Member>, hints: Vec<Hint>) -> HintsAhead<'a> {
        let mut ahead = self.ahead.lock();
        hints.iter().for_each(|hint| *ahead.entry(hint.clone()).or_default() += 1);
        drop(ahead);
        HintsAhead { durable: self, away, hints, is_given: false }
    }

    pub(super) fn begin_to_read(&self, holder: &Member, about: &Member) -> Reading<'_> {
        let of = pair(holder, about);
        self.read.lock().entry(of.clone()).or_default().n_readers += 1;
        Reading(self, of)
    }

    /// From which number on a server's hints about a node are to be read. Of another process all are: it may have come back with
    /// an older dump.
    pub(super) fn upto(&self, holder: &Member, about: &Member, incarnation: u64) -> u64 {
        let mut read = self.read.lock();
        let hints = read.entry(pair(holder, about)).or_default();
        if hints.incarnation != incarnation {
            (hints.incarnation, hints.upto) = (incarnation, 0);
            // What that process holds may be older.
            hints.before = std::mem::take(&mut hints.standing);
        }
        hints.upto
    }

    /// This process has given these: it need not be told what they say, which it remembers or has brought over by then.
    pub(super) fn gave(&self, holder: &Member, about: &Member, given: &[Hint], number: &Value) {
        let Value::Int(number) = number else { return };
        let mut read = self.read.lock();
        let hints = read.entry(pair(holder, about)).or_default();
        let numbers = u64::try_from(*number).unwrap_or_default()..;
        for (hint, number) in given.iter().zip(numbers) {
            // Answers to two calls may be heard in either order.
            let known = hints.standing.entry(hint.clone()).or_default();
            *known = (*known).max(number);
        }
    }

    pub(super) fn is_known(&self, holder: &Member, about: &Member, hint: &Hint, number: u64) -> bool {
        let read = self.read.lock();
        let hints = read.get(&pair(holder, about));
        let is_in = |known: &HashMap<Hint, u64>| known.get(hint).is_some_and(|known| number <= *known);
        hints.is_some_and(|hints| is_in(&hints.standing) || is_in(&hints.removed) || is_in(&hints.before))
    }

    /// These were found up to this number; those that are void are left out.
    pub(super) fn add(&self, holder: &Member, about: &Member, found: &[(Hint, u64)], last: u64) {
        let mut read = self.read.lock();
        let Some(hints) = read.get_mut(&pair(holder, about)) else {
            return;
        };
        hints.upto = hints.upto.max(last);
        for (hint, number) in found {
            let is_removed = hints.removed.get(hint).is_some_and(|removed| number <= removed);
            if !is_removed {
                let known = hints.standing.entry(hint.clone()).or_default();
                *known = (*known).max(*number);
            }
        }
    }

    /// Takes out the hints about a node that count no more, and returns their keys, but for those of which another server still
    /// says so. Such hints have served their purpose, as others have found, or stand on a server that takes part no more. The
    /// latter stay while another server is being read, which may say the same.
    pub(crate) fn take_void(&self, about: &Member, takes_part: impl Fn(&str) -> bool) -> Void {
        let mut read = self.read.lock();
        let (mut served, mut unsaid) = (HashSet::new(), HashSet::new());
        let is_read = read
            .iter()
            .any(|((holder, name), hints)| name == about.name() && 0 < hints.n_readers && takes_part(holder));
        read.retain(|(holder, name), hints| {
            let ReadHints { standing, before, n_readers, .. } = hints;
            if name != about.name() {
                return true;
            }
            if !takes_part(holder) {
                if is_read {
                    return true;
                }
                unsaid.extend(standing.drain().chain(before.drain()).map(|(hint, _)| hint));
                return 0 < *n_readers;
            }
            let upto = about.void_upto(holder);
            let is_void = |hint: &Hint, number: u64| number <= upto && !matches!(hint, Hint::Since(..));
            for known in [standing, before] {
                served.extend(known.extract_if(|hint, number| is_void(hint, *number)).map(|(hint, _)| hint));
            }
            true
        });
        let stands = |hint: &Hint| {
            read.iter().any(|((_, name), hints)| name == about.name() && hints.standing.contains_key(hint))
        };
        unsaid.retain(|hint| !served.contains(hint));
        let keys = |hints: HashSet<Hint>| {
            let void = hints.into_iter().filter(|hint| !stands(hint));
            void.filter_map(|hint| if let Hint::Key(key) = hint { Some(key) } else { None }).collect()
        };
        Void { served: keys(served), unsaid: keys(unsaid) }
    }

    /// The hints of a server about a node that have served their purpose, as far as all up to them were read: between those that
    /// this process has given, others may have given theirs.
    pub(super) fn served(&self, holder: &Member, about: &Member) -> Vec<(Hint, u64)> {
        let read = self.read.lock();
        let Some(hints) = read.get(&pair(holder, about)) else {
            return Vec::new();
        };
        let served = hints.standing.iter().filter(|(_, number)| **number <= hints.upto);
        let served = served.filter(|(hint, _)| self.is_served(about, hint));
        served.map(|(hint, number)| (hint.clone(), *number)).collect()
    }

    /// Returns whether a hint about a node has served its purpose: this process knows better than what it
    /// says.
    fn is_served(&self, about: &Member, hint: &Hint) -> bool {
        let is_served = match hint {
            Hint::Key(key) => about.has_memory() && !about.hints().has_missed_of(key),
            Hint::All => about.has_memory(),
            Hint::Since(..) => false,
        };
        is_served && !self.ahead.lock().contains_key(hint)
    }

    /// The keys that a server is known to say that a node has missed, but for those that have served their purpose, and whether it
    /// says so of all.
    pub(crate) fn standing(&self, holder: &Member, about: &Member) -> (Vec<Vec<u8>>, bool) {
        let read = self.read.lock();
        let Some(hints) = read.get(&pair(holder, about)) else { return Default::default() };
        let standing = hints.standing.keys().filter(|hint| !self.is_served(about, hint));
        let keys = standing
            .clone()
            .filter_map(|hint| if let Hint::Key(key) = hint { Some(key.clone()) } else { None });
        (keys.collect(), standing.clone().any(|hint| *hint == Hint::All))
    }

    /// Up to which number the hints of a server about a node have all served their purpose; `None` if there are none.
    pub(super) fn served_upto(&self, holder: &Member, about: &Member) -> Option<u64> {
        let served: HashSet<Hint> = self.served(holder, about).into_iter().map(|(hint, _)| hint).collect();
        let read = self.read.lock();
        let hints = read.get(&pair(holder, about))?;
        let numbers = |is_served: bool| {
            let hints = hints.standing.iter().filter(|(hint, _)| !matches!(hint, Hint::Since(..)));
            hints.filter(move |(hint, _)| served.contains(hint) == is_served).map(|(_, number)| *number)
        };
        let (last, first_left) = (numbers.clone()(true).max()?, numbers(false).min());
        Some(first_left.map_or(last, |left| last.min(left.saturating_sub(1))))
    }

    /// The first hint of a server's set about a node, if it has one.
    pub(super) fn first(&self, holder: &Member, about: &Member) -> Option<Hint> {
        let read = self.read.lock();
        let hints = read.get(&pair(holder, about))?;
        let firsts = hints.standing.iter().filter(|(hint, _)| matches!(hint, Hint::Since(..)));
        // One that was lost may have been followed by another one.
        firsts.max_by_key(|(_, number)| **number).map(|(hint, _)| hint.clone())
    }

    /// Returns whether a server is known to say that a node has missed a write of this key.
    pub(crate) fn says(&self, holder: &Member, about: &Member, key: &[u8]) -> bool {
        let read = self.read.lock();
        let hints = read.get(&pair(holder, about));
        hints.is_some_and(|hints| hints.standing.contains_key(&Hint::Key(key.to_vec())))
    }

    /// A node takes part no more: nothing is known of it, and what its server says of the others is [void](Self::take_void). If it
    /// takes part again, its server is read from the beginning. What is just being read is known still.
    pub(crate) fn leave_out(&self, name: &str) {
        self.read.lock().retain(|(holder, about), hints| {
            if &**holder == name {
                hints.upto = 0;
                hints.before.extend(hints.standing.drain());
            }
            &**about != name || 0 < hints.n_readers
        });
    }

    /// These are removed; or, if the set is gone, all are.
    pub(super) fn forget(&self, holder: &Member, about: &Member, removed: &[(Hint, u64)], is_gone: bool) {
        let mut read = self.read.lock();
        let Some(hints) = read.get_mut(&pair(holder, about)) else {
            return;
        };
        for (hint, number) in removed {
            if hints.standing.get(hint) == Some(number) {
                hints.standing.remove(hint);
            }
            if 0 < hints.n_readers {
                hints.removed.insert(hint.clone(), *number);
            }
        }
        if is_gone {
            hints.standing.retain(|hint, _| !matches!(hint, Hint::Since(..)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::FutureExt;
    use redisdb_node::NodeConfig;

    use super::*;
    use crate::event::Events;

    #[tokio::test]
    async fn what_was_read_waits_for_what_is_being_given_and_not_for_later_ones() {
        let giving = Giving::default();
        giving.settle().await;
        let first = giving.begin();
        let mut settled = Box::pin(giving.settle());
        assert!((&mut settled).now_or_never().is_none());
        let _second = giving.begin();
        drop(first);
        settled.await;
        assert!(giving.settle().now_or_never().is_none());
    }

    #[test]
    fn a_hint_has_served_its_purpose_when_its_key_is_not_missed_and_not_if_it_was_given_once_more() {
        let member = |name: &str| {
            Member::new(NodeConfig::new("redis://h").unwrap().with_name(name), &Events::default())
        };
        let (a, b, c, hints) = (member("a"), member("b"), member("c"), DurableHints::default());
        let key = |key: &str| Hint::Key(key.into());
        assert_eq!(hints.upto(&a, &b, 0), 0);
        hints.add(&a, &b, &[(Hint::Since(1, String::new()), 5), (key("x"), 6), (key("y"), 7)], 7);
        b.hints().record_hint(std::iter::once(b"y".as_slice()));
        assert_eq!((hints.upto(&a, &b, 0), hints.first(&a, &b)), (7, Some(Hint::Since(1, String::new()))));
        assert_eq!(hints.served(&a, &b), [(key("x"), 6)]);
        hints.add(&a, &b, &[(key("x"), 8)], 8);
        assert!(hints.is_known(&a, &b, &key("x"), 8) && !hints.is_known(&a, &b, &key("x"), 9));
        hints.forget(&a, &b, &[(key("x"), 6)], false);
        assert_eq!(hints.served(&a, &b), [(key("x"), 8)]);
        hints.forget(&a, &b, &[(key("x"), 8)], true);
        assert_eq!((hints.served(&a, &b), hints.first(&a, &b)), (Vec::new(), None));
        let reading = hints.begin_to_read(&a, &b);
        hints.add(&a, &b, &[(key("q"), 10)], 10);
        hints.forget(&a, &b, &[(key("q"), 10)], false);
        assert!(hints.is_known(&a, &b, &key("q"), 10), "it may have been read before it was removed");
        hints.add(&a, &b, &[(key("q"), 10)], 10);
        assert_eq!(hints.served(&a, &b), []);
        drop(reading);
        assert!(!hints.is_known(&a, &b, &key("q"), 10));
        hints.gave(&a, &b, &[key("z"), key("zz")], &Value::Int(20));
        hints.gave(&a, &b, &[key("zz")], &Value::Int(19));
        hints.add(&a, &b, &[(key("zz"), 18)], 18);
        assert!(hints.is_known(&a, &b, &key("zz"), 21), "what this process gave it need not be told");
        assert_eq!(hints.upto(&a, &b, 0), 18, "others may have given some before");
        b.hints().record_hint([b"z".as_slice(), b"zz"].into_iter());
        b.learn_void(&BTreeMap::from([("a".to_owned(), 20)]));
        let take_void = || hints.take_void(&b, |_| true).served;
        let mut void = take_void();
        void.sort();
        assert_eq!(void, [b"y", b"z"], "another process has found them brought over");
        assert_eq!(take_void(), [b""; 0]);
        assert_eq!(hints.upto(&c, &b, 0), 0);
        hints.add(&c, &b, &[(key("zz"), 9)], 9);
        b.learn_void(&BTreeMap::from([("a".to_owned(), 30)]));
        assert_eq!(take_void(), [b""; 0], "somebody else still says so");
        hints.gave(&a, &b, &[key("zzz")], &Value::Int(39));
        assert_eq!(hints.upto(&a, &b, 1), 0, "another process is read from the beginning");
        assert!(hints.is_known(&a, &b, &key("zzz"), 39), "and what is found there may be known");
        assert_eq!(hints.served(&a, &b), []);
        hints.add(&a, &b, &[(key("w"), 40)], 40);
        let under_way = [hints.begin(vec![&b], vec![key("w")]), hints.begin(vec![&b], vec![key("w")])];
        for ahead in under_way {
            assert_eq!(hints.served(&a, &b), [], "its write is under way");
            drop(ahead);
        }
        assert_eq!(hints.served(&a, &b), [(key("w"), 40)]);
    }

    #[test]
    fn no_hint_is_void_before_those_were_read_that_others_gave_before_it() {
        let member = |name: &str| {
            Member::new(NodeConfig::new("redis://h").unwrap().with_name(name), &Events::default())
        };
        let (a, b, hints) = (member("a"), member("b"), DurableHints::default());
        let key = |key: &str| Hint::Key(key.into());
        assert_eq!(hints.upto(&a, &b, 0), 0);
        hints.add(&a, &b, &[(key("x"), 5)], 5);
        // Another process has given `y` as number 6, and that is on its way here.
        hints.gave(&a, &b, &[key("z")], &Value::Int(7));
        assert_eq!((hints.served_upto(&a, &b), hints.served(&a, &b)), (Some(5), vec![(key("x"), 5)]));
        assert_eq!(hints.standing(&a, &b), (Vec::new(), false), "it says no more than this process knows");
        b.hints().learn_hint(std::iter::once(b"y".as_slice()));
        hints.add(&a, &b, &[(key("y"), 6), (key("z"), 7)], 7);
        assert_eq!(hints.served_upto(&a, &b), Some(5));
        b.hints().forget(b"y", b.hints().last_missed());
        assert_eq!(hints.served_upto(&a, &b), Some(7));
    }

    #[test]
    fn the_word_of_a_server_that_takes_part_no_more_is_void_and_so_is_that_of_a_process_before() {
        let member = |name: &str| {
            Member::new(NodeConfig::new("redis://h").unwrap().with_name(name), &Events::default())
        };
        let (a, b, c, hints) = (member("a"), member("b"), member("c"), DurableHints::default());
        let key = |key: &str| Hint::Key(key.into());
        let without_b = |served: &[&str], unsaid: &[&str]| {
            let keys = |keys: &[&str]| keys.iter().map(|key| key.as_bytes().to_vec()).collect();
            let mut void = hints.take_void(&c, |holder| holder != "b");
            void.unsaid.sort();
            assert_eq!(void, Void { served: keys(served), unsaid: keys(unsaid) });
        };
        for (holder, found) in [(&a, [key("x"), key("y")]), (&b, [key("x"), key("z")])] {
            assert_eq!(hints.upto(holder, &c, 0), 0);
            hints.add(holder, &c, &found.map(|hint| (hint, 5)), 5);
        }
        assert_eq!(hints.upto(&c, &b, 0), 0);
        // In this order: what `a` has said of `x` is void while `b` says it still.
        c.learn_void(&BTreeMap::from([("a".to_owned(), 5)]));
        assert_eq!(hints.take_void(&c, |_| true), Void { served: vec![b"y".to_vec()], unsaid: Vec::new() });
        hints.leave_out("b");
        assert!(!hints.says(&b, &c, b"x") && hints.upto(&b, &c, 0) == 0);
        without_b(&[], &["x", "z"]);
        without_b(&[], &[]);
        // Whoever was about to read it when it was left out, or to give it something, comes too late.
        let reading = hints.begin_to_read(&b, &c);
        hints.add(&b, &c, &[(key("x"), 7)], 7);
        hints.add(&a, &c, &[(key("z"), 8)], 8);
        hints.gave(&b, &c, &[key("z")], &Value::Int(8));
        without_b(&[], &["x"]);
        hints.add(&b, &c, &[(key("x"), 7)], 7);
        drop(reading);
        let reading = hints.begin_to_read(&a, &c);
        without_b(&[], &[]);
        drop(reading);
        without_b(&[], &["x"]);
        // Another process of the server is being read, which may not have it any more.
        assert_eq!(hints.upto(&a, &c, 1), 0);
        c.learn_void(&BTreeMap::from([("a".to_owned(), 8)]));
        without_b(&["z"], &[]);
    }

    #[test]
    fn a_page_of_void_hints_alone_hides_no_later_one() {
        let member = |name: &str| {
            Member::new(NodeConfig::new("redis://h").unwrap().with_name(name), &Events::default())
        };
        let (a, b, hints) = (member("a"), member("b"), DurableHints::default());
        assert_eq!(hints.upto(&a, &b, 0), 0);
        hints.add(&a, &b, &[], 5000);
        assert_eq!(hints.upto(&a, &b, 0), 5000);
    }
}

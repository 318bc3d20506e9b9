//! The verdict on a seed: a function of what was written, read and done, and of what the servers hold in the end.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dumps::Contents;
use crate::history::Elements;
use crate::history::History;
use crate::history::Looked;
use crate::history::Timeline;
use crate::journal::Outcome;
use crate::judgement::Judgement;
use crate::judgement::judge;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::overlap;

/// For so long after the acknowledgement, the return, or its own resumption another process may see what was there before.
pub(crate) const STALE: u64 = micros(Duration::from_secs(2));

/// A process that there was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lived {
    pub(crate) name: String,
    /// The time when it was ready.
    pub(crate) ready: u64,
    /// The times when it was stopped, each from when to when.
    pub(crate) stops: Vec<(u64, u64)>,
    pub(crate) was_killed: bool,
}

/// A fault as it happened.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    pub(crate) what: String,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// True if a server, or the way to it, came back by its end.
    pub(crate) is_return: bool,
    /// The number of its outage.
    pub(crate) outage: u64,
}

/// The faults that were done to the copy meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circumstances {
    pub(crate) processes: Vec<Lived>,
    pub(crate) faults: Vec<Happened>,
    /// The times when the machine was late.
    pub(crate) lapses: Vec<(u64, u64)>,
    /// The time when all writes had returned and the servers were looked at.
    pub(crate) finish: u64,
    /// The longest time a call may take.
    pub(crate) patience: u64,
}

/// The breach of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Breach {
    /// Something acknowledged is on no server in the end, and nobody was told.
    Lost,
    /// A read said "missing" of something that had been acknowledged before the outage.
    Missing,
    /// A read gave what nobody wrote.
    Wrong,
    /// A process read what was there before its own write.
    OwnStale,
    /// Another process read what was there before, and later than it may.
    OtherStale,
    /// A call took longer than its time limits allow.
    Hung,
}

/// One breach, with its place in the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) breach: Breach,
    pub(crate) key: String,
    pub(crate) element: String,
    pub(crate) at: u64,
    /// The process that saw it, if one did.
    pub(crate) by: Option<usize>,
    /// Since when it should have been otherwise.
    pub(crate) since: u64,
}

/// The facts about a seed after it was run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) acked: usize,
    pub(crate) not: usize,
    pub(crate) unknown: usize,
    pub(crate) read: usize,
    pub(crate) failed: usize,
    /// Reads of another process that were older, and not later than they may.
    pub(crate) late: usize,
    /// Acknowledged writes that are gone and were told.
    pub(crate) told: usize,
    pub(crate) found: Vec<Found>,
}

impl Verdict {
    /// Returns how many breaches of a kind there are.
    pub(crate) fn n(&self, breach: Breach) -> usize {
        self.found.iter().filter(|found| found.breach == breach).count()
    }

    /// Returns how many elements the breaches of a kind concern.
    pub(crate) fn n_elements(&self, breach: Breach) -> usize {
        let of = self.found.iter().filter(|found| found.breach == breach);
        of.map(|found| (&found.key, &found.element)).collect::<BTreeSet<_>>().len()
    }
}

/// Judges all of it.
pub(crate) fn judge_all(history: &History, circumstances: &Circumstances, nodes: &[Contents]) -> Verdict {
    let mut verdict = Verdict::default();
    for (key, writes) in &history.writes {
        for write in writes {
            match write.outcome {
                Outcome::Ok => verdict.acked += 1,
                Outcome::Not => verdict.not += 1,
                Outcome::Unknown => verdict.unknown += 1,
            }
            verdict.found.extend(hung(circumstances, key, write.by, write.start, write.end));
        }
    }
    let elements = history.elements();
    let none = Elements::new();
    for read in &history.reads {
        let of_key = elements.get(read.key.as_str()).unwrap_or(&none);
        verdict.found.extend(hung(
            circumstances,
            &read.key,
            read.by,
            read.start,
            read.end.as_ref().map(|end| end.0),
        ));
        match &read.end {
            Some((end, Ok(seen))) => {
                verdict.read += 1;
                match worst(of_key, read, (*end, seen), history, circumstances) {
                    Some(Sight::Found(found)) => verdict.found.push(found),
                    Some(Sight::Late) => verdict.late += 1,
                    None => {}
                }
            }
            _ => verdict.failed += 1,
        }
    }
    for (key, of_key) in &elements {
        in_the_end(key, of_key, history, circumstances.finish, nodes, &mut verdict);
    }
    verdict.found.sort_by_key(|found| (found.breach, found.at));
    verdict
}

enum Sight {
    Found(Found),
    Late,
}

/// The worst that a read saw of a key.
fn worst(
    elements: &Elements,
    read: &Looked,
    (end, seen): (u64, &crate::journal::Seen),
    history: &History,
    circumstances: &Circumstances,
) -> Option<Sight> {
    let mut is_late = false;
    let mut found: Option<Found> = None;
    let mut note = |breach, element: &str, since| {
        let new = Found {
            breach,
            key: read.key.clone(),
            element: element.to_owned(),
            at: read.start,
            by: Some(read.by),
            since,
        };
        if found.as_ref().is_none_or(|found| new.breach < found.breach) {
            found = Some(new);
        }
    };
    let last_told = last_told(history, &read.key, read.start);
    let is_forgotten = |timeline: &Timeline, value| {
        let judged = |told| judge(&timeline.forgetting(told), value, read.start, end, Some(read.by));
        match last_told.map(judged) {
            Some(Judgement::Fine) => true,
            Some(Judgement::Older { since, .. }) => is_within(since, read, circumstances),
            Some(Judgement::Wrong) | None => false,
        }
    };
    for element in seen.keys().filter(|element| !elements.contains_key(*element)) {
        note(Breach::Wrong, element, read.start);
    }
    for (element, timeline) in elements {
        if read.scope != "*" && read.scope != *element {
            continue;
        }
        let value = seen.get(element).copied();
        match judge(timeline, value, read.start, end, Some(read.by)) {
            Judgement::Fine => {}
            Judgement::Wrong => note(Breach::Wrong, element, read.start),
            Judgement::Older { since, .. }
                if value.is_none() && was_before_the_outage(since, read.start, circumstances) =>
            {
                note(Breach::Missing, element, since);
            }
            Judgement::Older { own: Some(own), .. } => note(Breach::OwnStale, element, own),
            Judgement::Older { since, own: None } if is_within(since, read, circumstances) => is_late = true,
            // Who was told that nobody is right knows that what was acknowledged until then may be gone.
            Judgement::Older { own: None, .. } if is_forgotten(timeline, value) => is_late = true,
            Judgement::Older { since, own: None } => note(Breach::OtherStale, element, since),
        }
    }
    found.map(Sight::Found).or(is_late.then_some(Sight::Late))
}

/// Returns whether a moment was before the last outage that had begun by then; without any, whether it was long before.
fn was_before_the_outage(moment: u64, by_then: u64, circumstances: &Circumstances) -> bool {
    let outage =
        circumstances.faults.iter().filter(|fault| fault.begin <= by_then).map(|fault| fault.outage).max();
    let of_it = circumstances.faults.iter().filter(|fault| Some(fault.outage) == outage);
    match of_it.map(|fault| fault.begin).min() {
        Some(begin) => moment < begin,
        None => moment + STALE < by_then,
    }
}

/// Returns whether a process may still see what was there before a write that was acknowledged then.
fn is_within(since: u64, read: &Looked, circumstances: &Circumstances) -> bool {
    let returned = circumstances.faults.iter().filter(|fault| fault.is_return).map(|fault| fault.end);
    let process = circumstances.processes.get(read.by);
    let resumed = process
        .into_iter()
        .flat_map(|process| process.stops.iter().map(|(_, resumed)| *resumed).chain([process.ready]));
    let last = returned.chain(resumed).filter(|at| *at <= read.start).max().unwrap_or(0).max(since);
    read.start <= last + STALE + overlap(&circumstances.lapses, last, read.start)
}

/// Returns when anybody was told last, before a time, that a key is in conflict.
fn last_told(history: &History, key: &str, before: u64) -> Option<u64> {
    let is_it = |what: &str| what.contains("conflict") && what.contains(key);
    let told = history.told.iter().filter(|(at, _, what)| *at < before && is_it(what));
    told.map(|(at, ..)| *at).max()
}

/// Returns whether a call took longer than it may, but for the time that its process was stopped or the machine was late.
fn hung(circumstances: &Circumstances, key: &str, by: usize, start: u64, end: Option<u64>) -> Option<Found> {
    let process = circumstances.processes.get(by)?;
    if end.is_none() && process.was_killed {
        return None;
    }
    let end = end.unwrap_or(circumstances.finish);
    let excused = overlap(&process.stops, start, end) + overlap(&circumstances.lapses, start, end);
    let key = key.to_owned();
    let found =
        Found { breach: Breach::Hung, key, element: String::new(), at: start, by: Some(by), since: end };
    (circumstances.patience + excused < end.saturating_sub(start)).then_some(found)
}

/// Notes what of a key is lost on all servers in the end, and what one of them holds that nobody wrote.
fn in_the_end(
    key: &str,
    elements: &Elements,
    history: &History,
    finish: u64,
    nodes: &[Contents],
    verdict: &mut Verdict,
) {
    for (element, timeline) in elements {
        let judged = |timeline: &Timeline| -> Vec<Judgement> {
            let values = nodes.iter().map(|node| node.get(key)?.seen.get(element).copied());
            values.map(|value| judge(timeline, value, finish, finish, None)).collect()
        };
        // On all servers: since when the first of them is older.
        let lost = |on_each: &[Judgement]| -> Option<u64> {
            let older = |judgement: &Judgement| match judgement {
                Judgement::Older { since, .. } => Some(*since),
                _ => None,
            };
            on_each.iter().map(older).collect::<Option<Vec<u64>>>()?.into_iter().min()
        };
        let on_each = judged(timeline);
        // What was acknowledged before a conflict was told may be gone, and nothing that came after it.
        let is_told = || {
            let told = last_told(history, key, u64::MAX);
            told.is_some_and(|told| lost(&judged(&timeline.forgetting(told))).is_none())
        };
        let found = |breach, since| Found {
            breach,
            key: key.to_owned(),
            element: element.clone(),
            at: finish,
            by: None,
            since,
        };
        match lost(&on_each) {
            Some(_) if is_told() => verdict.told += 1,
            Some(since) => verdict.found.push(found(Breach::Lost, since)),
            None if on_each.contains(&Judgement::Wrong) => verdict.found.push(found(Breach::Wrong, finish)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dumps::Entry;
    use crate::journal::Effect;
    use crate::journal::Record;
    use crate::journal::Seen;

    const SECOND: u64 = 1_000_000;
    const KEY: &str = "value:0:0";

    /// Two processes, of which the first writes; everything in seconds.
    #[derive(Default)]
    struct Story {
        journals: [Vec<Record>; 2],
        next: u64,
        circumstances: Circumstances,
        in_the_end: Vec<Seen>,
    }

    impl Story {
        fn new() -> Self {
            let lived = Lived { name: "client".into(), ..Lived::default() };
            let processes = vec![lived.clone(), lived];
            let circumstances = Circumstances {
                processes,
                finish: 100 * SECOND,
                patience: 6 * SECOND,
                ..Circumstances::default()
            };
            Self { circumstances, ..Self::default() }
        }

        fn writes(mut self, value: u64, at: u64, outcome: Option<Outcome>) -> Self {
            let (id, seq) = (self.next, value);
            self.next += 1;
            let effects = vec![Effect::Put("v".into(), value)];
            let at = at * SECOND;
            self.journals[0].push(Record::Sent { id, at, key: KEY.into(), seq, effects });
            if let Some(outcome) = outcome {
                self.journals[0].push(Record::Done { id, at: at + 1, outcome, detail: "-".into() });
            }
            self
        }

        fn acked(self, value: u64, at: u64) -> Self {
            self.writes(value, at, Some(Outcome::Ok))
        }

        fn reads(self, by: usize, value: Option<u64>, at: u64) -> Self {
            self.takes(by, value, at * SECOND, at * SECOND + 1)
        }

        fn takes(mut self, by: usize, value: Option<u64>, at: u64, end: u64) -> Self {
            let id = self.next;
            self.next += 1;
            let seen = value.into_iter().map(|value| ("v".to_owned(), value)).collect();
            self.journals[by].push(Record::Asked { id, at, key: KEY.into(), scope: "*".into() });
            self.journals[by].push(Record::Saw { id, at: end, seen });
            self
        }

        fn fault(mut self, begin: u64, end: u64) -> Self {
            let (begin, end) = (begin * SECOND, end * SECOND);
            let outage = self.circumstances.faults.len() as u64;
            let what = "kill".to_owned();
            self.circumstances.faults.push(Happened { what, begin, end, is_return: true, outage });
            self
        }

        fn stopped(mut self, by: usize, begin: u64, end: u64) -> Self {
            self.circumstances.processes[by].stops.push((begin * SECOND, end * SECOND));
            self
        }

        fn ends_with(mut self, values: &[Option<u64>]) -> Self {
            let seen = |value: &Option<u64>| value.iter().map(|value| ("v".to_owned(), *value)).collect();
            self.in_the_end = values.iter().map(seen).collect();
            self
        }

        fn told(mut self, what: &str, at: u64) -> Self {
            self.journals[1].push(Record::Told { at: at * SECOND, what: what.into() });
            self
        }

        fn verdict(self) -> Verdict {
            let node = |seen: Seen| Contents::from([(KEY.to_owned(), Entry { seen, ..Entry::default() })]);
            let nodes: Vec<Contents> = self.in_the_end.into_iter().map(node).collect();
            // Without servers nothing is on all of them.
            let nodes = if nodes.is_empty() { vec![node(Seen::from([("v".into(), 9)]))] } else { nodes };
            judge_all(&History::of(self.journals.into()), &self.circumstances, &nodes)
        }

        fn breaches(self) -> Vec<Breach> {
            self.acked(9, 90).verdict().found.iter().map(|found| found.breach).collect()
        }
    }

    #[test]
    fn a_history_without_a_fault_breaks_nothing() {
        let story = Story::new().acked(1, 10).reads(0, Some(1), 11).reads(1, Some(1), 13).acked(2, 20);
        let verdict =
            story.reads(1, Some(1), 21).reads(1, Some(2), 30).ends_with(&[Some(2), Some(2)]).verdict();
        assert_eq!((verdict.found.as_slice(), verdict.acked, verdict.read, verdict.late), (&[][..], 2, 4, 1));
    }

    #[test]
    fn what_is_on_no_server_is_lost_unless_it_was_told() {
        let story = || Story::new().acked(1, 10).acked(2, 20);
        let breaches =
            |story: Story| story.verdict().found.iter().map(|found| found.breach).collect::<Vec<_>>();
        assert_eq!(breaches(story().ends_with(&[Some(1), None])), [Breach::Lost]);
        assert_eq!(breaches(story().ends_with(&[Some(1), Some(2)])), []);
        assert_eq!(breaches(story().ends_with(&[Some(1), Some(3)])), [Breach::Wrong]);
        let told = |key: &str, at| story().ends_with(&[Some(1)]).told(&format!("a conflict about {key}"), at);
        let verdict = told("value:0:0", 25).verdict();
        assert_eq!((verdict.found.len(), verdict.told), (0, 1));
        assert_eq!(breaches(told("value:0:1", 25)), [Breach::Lost]);
        assert_eq!(breaches(told("value:0:0", 15)), [Breach::Lost], "it was acknowledged after that");
    }

    #[test]
    fn another_process_may_read_what_was_there_before_a_write_if_a_conflict_was_told_since() {
        let conflict = "a conflict about value:0:0";
        let story = || Story::new().acked(1, 10).acked(2, 20);
        assert_eq!(story().reads(1, Some(1), 30).breaches(), [Breach::OtherStale]);
        assert_eq!(story().told(conflict, 25).reads(1, Some(1), 30).breaches(), []);
        assert_eq!(story().told(conflict, 15).reads(1, Some(1), 30).breaches(), [Breach::OtherStale]);
        assert_eq!(story().told(conflict, 35).reads(1, Some(1), 30).breaches(), [Breach::OtherStale]);
        let decided = || story().told(conflict, 25).acked(3, 27);
        assert_eq!(decided().reads(1, Some(1), 40).breaches(), [Breach::OtherStale], "of what came after it");
        assert_eq!(decided().reads(1, Some(2), 40).breaches(), [Breach::OtherStale]);
        assert_eq!(decided().reads(1, Some(3), 40).breaches(), []);
        assert_eq!(story().told(conflict, 25).reads(0, Some(1), 30).breaches(), [Breach::OwnStale]);
    }

    #[test]
    fn a_read_of_nothing_is_missing_if_it_was_there_before_the_outage() {
        let story = || Story::new().acked(1, 10).fault(20, 25);
        assert_eq!(story().reads(1, None, 26).breaches(), [Breach::Missing]);
        assert_eq!(story().reads(0, None, 26).breaches(), [Breach::Missing]);
        assert_eq!(Story::new().acked(1, 10).reads(1, None, 13).breaches(), [Breach::Missing]);
        // It came during the outage: that is an old reply, and the return excuses it for a moment.
        assert_eq!(Story::new().fault(5, 25).acked(1, 10).reads(1, None, 26).breaches(), []);
        assert_eq!(
            Story::new().fault(5, 25).acked(1, 10).reads(1, None, 28).breaches(),
            [Breach::OtherStale]
        );
    }

    #[test]
    fn a_process_never_reads_what_was_there_before_its_own_write() {
        let story = || Story::new().acked(1, 10).acked(2, 20);
        assert_eq!(story().fault(15, 20).reads(0, Some(1), 21).breaches(), [Breach::OwnStale]);
        assert_eq!(story().writes(3, 30, None).reads(0, Some(2), 31).breaches(), [Breach::Hung]);
    }

    #[test]
    fn another_process_reads_it_no_later_than_two_seconds_after() {
        let story = || Story::new().acked(1, 10).acked(2, 20);
        assert_eq!(story().reads(1, Some(1), 21).breaches(), []);
        assert_eq!(story().reads(1, Some(1), 23).breaches(), [Breach::OtherStale]);
        assert_eq!(story().fault(15, 22).reads(1, Some(1), 23).breaches(), []);
        assert_eq!(story().fault(15, 22).reads(1, Some(1), 25).breaches(), [Breach::OtherStale]);
        assert_eq!(story().stopped(1, 15, 22).reads(1, Some(1), 23).breaches(), []);
        assert_eq!(story().stopped(0, 15, 22).reads(1, Some(1), 23).breaches(), [Breach::OtherStale]);
    }

    #[test]
    fn a_process_that_has_just_begun_is_given_the_same_time_and_so_is_a_late_machine() {
        let story = || Story::new().acked(1, 10).acked(2, 20);
        let mut young = story();
        young.circumstances.processes[1].ready = 22 * SECOND;
        assert_eq!(young.reads(1, Some(1), 23).breaches(), []);
        let mut late = story();
        late.circumstances.lapses.push((21 * SECOND, 23 * SECOND));
        assert_eq!(late.reads(1, Some(1), 23).breaches(), []);
    }

    #[test]
    fn a_look_at_one_element_says_nothing_of_the_others() {
        let mut story = Story::new().acked(1, 10);
        let (id, key, scope) = (77, KEY.to_owned(), "ttl".to_owned());
        story.journals[1].push(Record::Asked { id, at: 20 * SECOND, key, scope });
        story.journals[1].push(Record::Saw { id, at: 20 * SECOND + 1, seen: Seen::new() });
        assert_eq!(story.breaches(), []);
    }

    #[test]
    fn what_nobody_wrote_is_wrong() {
        assert_eq!(Story::new().acked(1, 10).reads(1, Some(7), 11).breaches(), [Breach::Wrong]);
        let rejected = Story::new().writes(1, 10, Some(Outcome::Not));
        assert_eq!(rejected.reads(1, Some(1), 11).breaches(), [Breach::Wrong]);
        let unknown = Story::new().writes(1, 10, Some(Outcome::Unknown));
        assert_eq!(unknown.reads(1, Some(1), 11).reads(1, None, 12).breaches(), []);
    }

    #[test]
    fn a_call_hangs_that_takes_longer_than_it_may_while_its_process_runs() {
        let story = || Story::new().acked(1, 10);
        let long = |story: Story| story.takes(1, Some(1), 20 * SECOND, 27 * SECOND);
        assert_eq!(long(story()).breaches(), [Breach::Hung]);
        assert_eq!(long(story().stopped(1, 22, 25)).breaches(), []);
        assert_eq!(long(story().stopped(0, 22, 25)).breaches(), [Breach::Hung]);
        assert_eq!(story().takes(1, Some(1), 20 * SECOND, 25 * SECOND).breaches(), []);
        let mut late = story();
        late.circumstances.lapses.push((22 * SECOND, 25 * SECOND));
        assert_eq!(long(late).breaches(), []);
    }

    #[test]
    fn a_call_that_never_returns_hangs_unless_its_process_was_killed() {
        let story = || Story::new().acked(1, 10).writes(2, 20, None);
        assert_eq!(story().breaches(), [Breach::Hung]);
        let mut killed = story();
        killed.circumstances.processes[0].was_killed = true;
        assert_eq!(killed.breaches(), []);
    }
}

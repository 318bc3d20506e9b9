//! The report about a seed: a line, a row of the table, and the traces of what broke a promise.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::journal::shown;
use crate::journal::shown_elements;
use crate::seed::Ran;
use crate::verdict::Breach;
use crate::verdict::Found;

/// The number of breaches of a kind are traced.
const TRACED: usize = 4;

/// The microseconds before and after a breach that its trace covers.
const AROUND: u64 = 3_000_000;

/// The number of lines a trace has at most.
const LINES: usize = 100;

/// The kinds of breaches, as they are named and in the order of the columns.
const BREACHES: [(Breach, &str); 6] = [
    (Breach::Lost, "lost"),
    (Breach::Missing, "missing"),
    (Breach::Wrong, "wrong"),
    (Breach::OwnStale, "own stale"),
    (Breach::OtherStale, "stale"),
    (Breach::Hung, "hung"),
];

impl Ran {
    /// Returns what broke a promise, each kind with how often; empty if nothing did.
    pub(crate) fn broken(&self) -> Vec<String> {
        let n =
            |breach| self.verdict.found.iter().filter(|it| it.breach == breach && !self.excuses(it)).count();
        let counted = BREACHES.iter().map(|(breach, name)| (*name, n(*breach)));
        let of_rolling = |n: usize| if self.is_rolling { n } else { 0 };
        let others = [
            ("failed reads", of_rolling(self.verdict.failed)),
            ("in conflict", of_rolling(self.conflicts.len())),
            ("not healed", self.unhealed.len()),
            ("unreadable", self.unread),
            ("differing", self.differing.len()),
            ("compared too much", self.returned.iter().filter(|it| it.is_too_much()).count()),
            ("replayed otherwise", self.replayed.broken.len()),
            ("worthless", self.troubles.len()),
        ];
        let broken = counted.chain(others).filter(|(_, n)| 0 < *n);
        broken.map(|(name, n)| format!("{name} {n}")).collect()
    }

    /// Returns whether a write that is not seen was acknowledged while more than two faults met: it may have been on lost servers
    /// alone. It is counted and shown.
    fn excuses(&self, found: &Found) -> bool {
        let is_unseen =
            matches!(found.breach, Breach::Lost | Breach::Missing | Breach::OwnStale | Breach::OtherStale);
        is_unseen && self.crowded.iter().any(|(from, to)| (*from..=*to).contains(&found.since))
    }

    /// The line of the seed.
    pub(crate) fn line(&self) -> String {
        let verdict = &self.verdict;
        let broken = self.broken();
        let judged =
            if broken.is_empty() { "kept".to_owned() } else { format!("BROKEN: {}", broken.join(", ")) };
        let counts: Vec<String> = BREACHES
            .iter()
            .map(|(breach, name)| match (verdict.n(*breach), verdict.n_elements(*breach)) {
                (n, of) if of < n => format!("{name} {n} (of {of})"),
                (n, _) => format!("{name} {n}"),
            })
            .collect();
        let longest = self.healing.iter().max().copied().unwrap_or(0) as f64 / 1e6;
        let returned: String = self.returned.iter().map(|returned| format!("{returned} | ")).collect();
        let late: u64 = self.circumstances.lapses.iter().map(|(from, to)| to - from).sum();
        format!(
            "seed {}: {judged} | writes {} ok, {} not, {} unknown; reads {} ok, {} failed; {} faults in {} outages, \
             healed within {longest:.1} s | {}, late {}, told {}, in conflict {}, unreadable {}, differing {}, not healed {} | \
             {returned}{} | machine late {} ms",
            self.seed,
            verdict.acked,
            verdict.not,
            verdict.unknown,
            verdict.read,
            verdict.failed,
            self.circumstances.faults.len(),
            self.n_outages,
            counts.join(", "),
            verdict.late,
            verdict.told,
            self.conflicts.len(),
            self.unread,
            self.differing.len(),
            self.unhealed.len(),
            self.replayed,
            late / 1000,
        )
    }

    /// All that helps to find out why a promise was broken.
    pub(crate) fn traces(&self) -> String {
        let mut text = format!("{}\n", self.line());
        let start = self.circumstances.faults.iter().map(|fault| fault.begin).min().unwrap_or(0);
        text.push_str("\ntimes are in seconds from the first fault\n\nfaults:\n");
        for fault in &self.circumstances.faults {
            let (begin, end) = (at(fault.begin, start), at(fault.end, start));
            writeln!(text, "  {begin} to {end}, outage {}: {}", fault.outage, fault.what).unwrap();
        }
        for (what, lines) in [
            ("troubles", &self.troubles),
            ("not healed", &self.unhealed),
            ("replayed otherwise", &self.replayed.broken),
        ] {
            lines.iter().for_each(|line| writeln!(text, "\n{what}: {line}").unwrap());
        }
        for (key, on_each) in &self.differing {
            writeln!(text, "\ndiffering: {key}").unwrap();
            for (node, value) in on_each.iter().enumerate() {
                writeln!(text, "  {}: {value}", crate::fault::node_name(node)).unwrap();
            }
        }
        self.trace_failed(start, &mut text);
        for (breach, name) in BREACHES {
            let mut seen = std::collections::BTreeSet::new();
            let of_kind = self.verdict.found.iter().filter(|found| found.breach == breach);
            let firsts = of_kind.filter(|found| seen.insert((&found.key, &found.element)));
            for found in firsts.take(TRACED) {
                writeln!(text, "\n{name}: {} of {}", found.element, found.key).unwrap();
                let by = found.by.map_or("in the end".to_owned(), |by| format!("by {}", self.name(by)));
                let (seen, since) = (at(found.at, start), at(found.since, start));
                writeln!(text, "  seen at {seen} {by}; otherwise since {since}").unwrap();
                self.trace((&found.key, &found.element), (found.since, found.at), start, &mut text);
            }
        }
        text
    }

    /// Shows how many reads of each key failed, and the first of them.
    fn trace_failed(&self, start: u64, text: &mut String) {
        let mut failed: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
        for read in &self.history.reads {
            if let Some((end, Err(why))) = &read.end {
                failed.entry(&read.key).or_default().push((*end, why));
            }
        }
        for (key, reads) in failed {
            let (end, why) = reads.iter().min().copied().unwrap_or_default();
            let n = reads.len();
            writeln!(text, "\nfailed reads: {n} of {key}, the first at {}: {why}", at(end, start)).unwrap();
            self.trace((key, ""), (end, end), start, text);
        }
    }

    /// The name of a process, by its position among all that there were.
    fn name(&self, by: usize) -> &str {
        self.circumstances.processes.get(by).map_or("?", |lived| lived.name.as_str())
    }

    /// Shows what was written and read of an element of a key, and told, around two moments. Without an element it shows all.
    fn trace(&self, (key, element): (&str, &str), around: (u64, u64), start: u64, text: &mut String) {
        let name = |by: usize| self.name(by);
        let near = |moment: u64| [around.0, around.1].iter().any(|around| moment.abs_diff(*around) < AROUND);
        let mut lines: Vec<(u64, String)> = Vec::new();
        for write in self.history.writes.get(key).into_iter().flatten() {
            let effects = shown(&write.effects);
            let concerns = element.is_empty()
                || effects.split(',').any(|effect| {
                    let named = effect.trim_start_matches(['+', '-', '#']);
                    matches!(effect, "!" | "?") || named.split('=').next() == Some(element)
                });
            if !concerns || !near(write.start) {
                continue;
            }
            let end = write.end.map_or("never".to_owned(), |end| at(end, start));
            let (outcome, detail) = (write.outcome.name(), &write.detail);
            let line =
                format!("write {} {effects} to {end} by {}: {outcome} {detail}", write.seq, name(write.by));
            lines.push((write.start, line));
        }
        for read in self.history.reads.iter().filter(|read| read.key == key && near(read.start)) {
            let what = match &read.end {
                Some((end, Ok(seen))) => format!("{} to {}", shown_elements(seen), at(*end, start)),
                Some((end, Err(why))) => format!("failed at {}: {why}", at(*end, start)),
                None => "never returned".to_owned(),
            };
            lines.push((read.start, format!("read of {} by {}: {what}", read.scope, name(read.by))));
        }
        for (moment, by, what) in self.history.told.iter().filter(|(moment, ..)| near(*moment)) {
            lines.push((*moment, format!("told {}: {what}", name(*by))));
        }
        // The nearest, in the order of time.
        let distance = |moment: u64| moment.abs_diff(around.0).min(moment.abs_diff(around.1));
        lines.sort_by_key(|(moment, _)| distance(*moment));
        let n_left = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        lines.sort();
        for (moment, line) in &lines {
            writeln!(text, "  {} {line}", at(*moment, start)).unwrap();
        }
        if 0 < n_left {
            writeln!(text, "  .. and {n_left} farther from it").unwrap();
        }
    }
}

/// A moment in seconds from the first fault.
fn at(moment: u64, start: u64) -> String {
    format!("{:.3}", (moment as f64 - start as f64) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    /// What should have been seen since the moment 5.
    fn ran(breaches: &[Breach]) -> Ran {
        let found = |breach: &Breach| Found {
            breach: *breach,
            key: "list:0:0".into(),
            element: "7".into(),
            at: 0,
            by: None,
            since: 5,
        };
        let verdict = Verdict { found: breaches.iter().map(found).collect(), ..Verdict::default() };
        Ran { verdict, ..Ran::default() }
    }

    #[test]
    fn every_kind_of_breach_breaks_a_seed() {
        assert!(ran(&[]).broken().is_empty());
        for (breach, name) in BREACHES {
            assert_eq!(ran(&[breach]).broken(), [format!("{name} 1")]);
        }
        let unread = Ran { unread: 3, ..ran(&[]) };
        assert_eq!(unread.broken(), ["unreadable 3"]);
        let unhealed = Ran { unhealed: vec!["outage 1".into()], ..ran(&[]) };
        assert_eq!(unhealed.broken(), ["not healed 1"]);
        let differing = Ran { differing: vec![("list:0:0".into(), Vec::new())], ..ran(&[]) };
        assert_eq!(differing.broken(), ["differing 1"]);
        // In an outage of other faults that is what they cost.
        for (is_rolling, expected) in [(false, [].as_slice()), (true, &["failed reads 2", "in conflict 1"])] {
            let conflicts = ["list:0:0".to_owned()].into();
            let verdict = Verdict { failed: 2, ..Verdict::default() };
            assert_eq!(Ran { is_rolling, conflicts, verdict, ..Ran::default() }.broken(), expected);
        }
        let worthless = Ran { troubles: vec!["the clock has jumped".into()], ..ran(&[]) };
        assert_eq!(worthless.broken(), ["worthless 1"]);
    }

    #[test]
    fn what_was_acknowledged_while_more_than_two_faults_met_may_be_lost_is_counted_and_breaks_nothing() {
        for (breach, name) in BREACHES {
            let crowded = |from, to| Ran { crowded: vec![(from, to)], ..ran(&[breach]) };
            for outage in [(0, 4), (6, 9)] {
                assert_eq!(crowded(outage.0, outage.1).broken(), [format!("{name} 1")], "{outage:?}");
            }
            let excused = crowded(5, 9);
            let stays = matches!(breach, Breach::Wrong | Breach::Hung);
            assert_eq!(excused.broken().is_empty(), !stays, "{name}");
            assert!(excused.line().contains(&format!("{name} 1")), "{}", excused.line());
        }
    }

    #[test]
    fn a_trace_has_what_happened_to_the_element_and_nothing_of_others() {
        use crate::history::History;
        use crate::journal::Effect;
        use crate::journal::Outcome;
        use crate::journal::Record;

        let write = |id, element: &str| {
            let (key, effects) = ("list:0:0".to_owned(), vec![Effect::Put(element.into(), id)]);
            [
                Record::Sent { id, at: id, key, seq: id, effects },
                Record::Done { id, at: id + 1, outcome: Outcome::Ok, detail: String::new() },
            ]
        };
        let journal = [write(7, "7"), write(8, "8")].concat();
        let traced = Ran { history: History::of(vec![journal]), ..ran(&[Breach::Lost]) };
        let text = traced.traces();
        assert!(text.contains("lost: 7 of list:0:0") && text.contains("write 7 +7=7"), "{text}");
        assert!(!text.contains("write 8"), "{text}");
    }
}

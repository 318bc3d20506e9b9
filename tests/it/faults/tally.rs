//! The tally of a load, and the line that it makes of the table at the end of the run.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use redisdb::Error;
use redisdb::node;
use redisdb::node::ErrorKind;
use redisdb_tests::NAMES;
use redisdb_tests::leave_row;

use super::machine::Lateness;
use super::verdict::SLOW;
use super::verdict::require;

/// The time that a call may take that is within its deadline.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// A machine that does much else may be late itself: calls past this are counted ..
const TOLERANCE: Duration = Duration::from_millis(50);
/// .. and calls past this, and as much more as the machine itself was late meanwhile, are a failure.
const MUCH_TOO_LATE: Duration = Duration::from_secs(3);
/// The errors of calls on a machine that is late: they run out of time, or the connection is given up for that.
const OF_LATENESS: [&str; 3] = ["Timeout", "ConnectTimeout", "Disconnected"];
/// One call of so many may be excused of running out of time; if it is more, the run has shown too little.
const EXCUSED: usize = 10;
/// The number of complaints are kept to be shown.
const SHOWN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Before = 0,
    During = 1,
    After = 2,
}

/// The class of a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    NotSent,
    Rejected,
    Unknown,
}

#[derive(Debug, Default)]
pub struct Tally {
    calls: usize,
    pub failed: BTreeMap<Class, usize>,
    /// Of those that failed, those that no lateness explains.
    failed_in_time: usize,
    /// Failed although its node was not at fault, and those of them that no lateness explains.
    innocent: usize,
    innocent_in_time: usize,
    /// The calls that ran out of time, to be excused if that was while the machine was late.
    untimely: Vec<Untimely>,
    /// The part of what was counted that is [excused](Self::settle).
    excused: BTreeMap<Class, usize>,
    excused_innocent: usize,
    excused_errors: BTreeMap<(String, String), usize>,
    /// Calls that took much too long, from when to when.
    much_too_late: Vec<(Instant, Instant)>,
    n_much_too_late: usize,
    /// Replies that belong to something else, or were never written.
    pub wrong: usize,
    /// By the node that the key is read from.
    pub missing: [usize; NAMES.len()],
    pub stale: [usize; NAMES.len()],
    /// Acknowledged, and not there in the end.
    pub lost: usize,
    /// Counters outside of what was acknowledged and what may have been executed.
    pub miscounted: usize,
    hung: usize,
    late: usize,
    worst: Duration,
    /// The times when the machine was late.
    machine: Lateness,
    /// The times of the calls that were answered, by phase, in microseconds.
    latencies: [Vec<u32>; 3],
    /// Of those that failed, in microseconds.
    failures: Vec<u32>,
    /// The number of times that each node gave each error.
    pub errors: BTreeMap<(String, String), usize>,
    /// The errors that nodes gave during the call that is under way.
    notes: Vec<(String, String)>,
    complaints: Vec<String>,
}

/// A call during which something ran out of time.
#[derive(Debug)]
struct Untimely {
    start: Instant,
    end: Instant,
    /// The class of the call, if it failed by that, and whether its node was not at fault.
    failed: Option<(Class, bool)>,
    /// The timeouts of single nodes.
    errors: Vec<(String, String)>,
}

impl Class {
    pub fn of(error: &Error) -> Class {
        let errors = error.node_errors();
        match () {
            // A write that only nodes took that are behind is no error of theirs.
            () if matches!(error, Error::Unavailable(unavailable) if !unavailable.in_vain.is_empty()) => {
                Class::Unknown
            }
            () if errors.iter().any(|error| error.may_have_executed()) => Class::Unknown,
            () if errors.iter().any(|error| error.code().is_some()) => Class::Rejected,
            () => Class::NotSent,
        }
    }
}

impl Tally {
    /// Counts a call that began at some moment and has ended now; `None` if it hangs. `is_excused` tells whether an error is
    /// one of nodes that are at fault.
    pub fn count(
        &mut self,
        phase: usize,
        start: Instant,
        outcome: Option<Result<(), &Error>>,
        is_excused: impl FnOnce(&Error) -> bool,
    ) {
        let end = Instant::now();
        let took = end - start;
        self.calls += 1;
        self.worst = self.worst.max(took);
        self.late += usize::from(DEADLINE + TOLERANCE < took);
        if MUCH_TOO_LATE < took {
            self.much_too_late.push((start, end));
        }
        let mut failed = None;
        match outcome {
            None => {
                self.hung += 1;
                self.complain(format!("a call has not ended after {took:?}"));
            }
            Some(Ok(())) => self.latencies[phase].push(micros(took)),
            Some(Err(error)) => {
                error.node_errors().into_iter().for_each(|error| self.note(error));
                self.failures.push(micros(took));
                let (class, is_innocent) = (Class::of(error), !is_excused(error));
                failed = Some((class, is_innocent));
                if is_innocent {
                    self.complain(format!("no fault of its node: {error}"));
                }
            }
        }
        self.count_errors(start, end, failed);
    }

    /// Counts what a call failed as, if it failed, and what single nodes said during it.
    fn count_errors(&mut self, start: Instant, end: Instant, failed: Option<(Class, bool)>) {
        let notes = std::mem::take(&mut self.notes);
        let is_untimely = |(_, kind): &&(String, String)| kind == "Timeout";
        if let Some((class, is_innocent)) = failed {
            *self.failed.entry(class).or_default() += 1;
            let is_in_time = !notes.iter().any(|(_, kind)| OF_LATENESS.contains(&kind.as_str()));
            self.failed_in_time += usize::from(is_in_time);
            self.innocent += usize::from(is_innocent);
            self.innocent_in_time += usize::from(is_innocent && is_in_time);
        }
        let errors: Vec<_> = notes.iter().filter(is_untimely).cloned().collect();
        if !errors.is_empty() {
            self.untimely.push(Untimely { start, end, failed, errors });
        }
        notes.into_iter().for_each(|error| *self.errors.entry(error).or_default() += 1);
    }

    /// Notes what one node said during the call that is under way.
    pub fn note(&mut self, error: &node::Error) {
        self.notes.push((error.node().unwrap_or("no node").to_owned(), label(error.kind())));
    }

    /// Excuses what ran out of time while the machine was late.
    pub fn settle(&mut self, machine: Lateness) {
        for Untimely { start, end, failed, errors } in std::mem::take(&mut self.untimely) {
            if machine.within(start, end) < SLOW {
                continue;
            }
            if let Some((class, is_innocent)) = failed {
                *self.excused.entry(class).or_default() += 1;
                self.excused_innocent += usize::from(is_innocent);
            }
            errors.into_iter().for_each(|error| *self.excused_errors.entry(error).or_default() += 1);
        }
        let is_too_late = |(start, end): &(Instant, Instant)| {
            MUCH_TOO_LATE + machine.within(*start, *end) < end.duration_since(*start)
        };
        self.n_much_too_late = self.much_too_late.drain(..).filter(is_too_late).count();
        self.machine = machine;
    }

    pub fn complain(&mut self, complaint: String) {
        if self.complaints.len() < SHOWN {
            self.complaints.push(complaint);
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.calls += other.calls;
        other.failed.iter().for_each(|(class, n)| *self.failed.entry(*class).or_default() += n);
        self.failed_in_time += other.failed_in_time;
        self.innocent += other.innocent;
        self.innocent_in_time += other.innocent_in_time;
        self.untimely.extend(other.untimely);
        self.much_too_late.extend(other.much_too_late);
        self.wrong += other.wrong;
        for node in 0..NAMES.len() {
            self.missing[node] += other.missing[node];
            self.stale[node] += other.stale[node];
        }
        self.lost += other.lost;
        self.miscounted += other.miscounted;
        self.hung += other.hung;
        self.late += other.late;
        self.worst = self.worst.max(other.worst);
        for (all, latencies) in self.latencies.iter_mut().zip(other.latencies) {
            all.extend(latencies);
        }
        self.failures.extend(other.failures);
        other.errors.into_iter().for_each(|(error, n)| *self.errors.entry(error).or_default() += n);
        other.complaints.into_iter().for_each(|complaint| self.complain(complaint));
    }

    /// Only these nodes have given errors, and only of these kinds; but for timeouts while the machine was late.
    pub fn only_errors(&self, nodes: &[&str], kinds: &[&str]) {
        // Of the calls on a connection that breaks, some may not have been sent.
        let lost = |kind: &str| if kind == "Unsent" { "Disconnected".to_owned() } else { kind.to_owned() };
        let is_expected = |(node, kind): &(String, String)| {
            nodes.contains(&node.as_str()) && kinds.contains(&lost(kind).as_str())
        };
        let is_excused = |error: &(String, String), n: usize| self.excused_errors.get(error) == Some(&n);
        let others = self.errors.iter().filter(|(error, n)| !is_expected(error) && !is_excused(error, **n));
        let others: Vec<_> = others.map(|(error, _)| error).collect();
        let is_of_lateness = others.iter().all(|(_, kind)| OF_LATENESS.contains(&lost(kind).as_str()));
        self.require(others.is_empty(), is_of_lateness, || {
            format!("{others:?}; expected {kinds:?} of {nodes:?}: {:?}", self.errors)
        });
    }

    /// A node has given each of these errors.
    pub fn has_errors(&self, node: &str, kinds: &[&str]) {
        for kind in kinds {
            let error = (node.to_owned(), (*kind).to_owned());
            // If the machine was late, there may have been no call to give it to.
            self.require(self.errors.contains_key(&error), true, || {
                format!("no {error:?}: {:?}", self.errors)
            });
        }
    }

    /// Half of the calls that failed took no longer than this.
    pub fn half_failed_within(&self, most: Duration) {
        let mut failures = self.failures.clone();
        failures.sort_unstable();
        let median = Duration::from_micros(failures.get(failures.len() / 2).copied().unwrap_or(0).into());
        self.require(median <= most, true, || {
            format!("half of the calls that failed took {median:?} or more")
        });
    }

    /// No call failed, but for those that ran out of time while the machine was late.
    pub fn none_failed(&self) {
        let n: usize = self.n_failed().values().sum();
        self.require(n == 0, self.failed_in_time == 0, || format!("{n} calls failed: {:?}", self.errors));
    }

    pub fn some_failed(&self) {
        self.require(!self.failed.is_empty(), true, || "no call failed".to_owned());
    }

    /// Some calls failed, and all of them as this, but for those that ran out of time while the machine was late.
    pub fn all_failed_as(&self, class: Class) {
        self.require(self.failed.contains_key(&class), true, || format!("no call was {class:?}"));
        let others: Vec<_> =
            self.n_failed().into_iter().filter(|(other, n)| *other != class && *n > 0).collect();
        let is_of_lateness = !others.iter().any(|(other, _)| *other == Class::Rejected);
        self.require(others.is_empty(), is_of_lateness, || {
            format!("{others:?}, not {class:?}: {:?}", self.errors)
        });
    }

    /// Returns how many calls failed without an excuse.
    fn n_failed(&self) -> BTreeMap<Class, usize> {
        let excused = |class: &Class| self.excused.get(class).copied().unwrap_or(0);
        self.failed.iter().map(|(class, n)| (*class, n - excused(class))).collect()
    }

    /// Fails unless something holds; if not holding may be the machine's lateness, the run may be inconclusive instead.
    fn require(&self, holds: bool, may_be_lateness: bool, why: impl FnOnce() -> String) {
        require(holds, may_be_lateness.then_some(&self.machine), why);
    }

    /// Checks what holds whatever the fault; keys of the nodes named may be missing and stale.
    pub fn check(&self, may_lose: &[usize]) {
        let of_others = |counts: &[usize; NAMES.len()]| -> usize {
            (0..NAMES.len()).filter(|node| !may_lose.contains(node)).map(|node| counts[node]).sum()
        };
        // The last two may be the machine's fault.
        let found = [
            ("wrong replies", self.wrong),
            ("missing keys", of_others(&self.missing)),
            ("stale replies", of_others(&self.stale)),
            ("lost writes", self.lost),
            ("counters out of bounds", self.miscounted),
            ("hung calls", self.hung),
            ("failures of nodes without fault, not by time", self.innocent_in_time),
            ("failures of nodes without fault", self.innocent - self.excused_innocent),
            ("calls much too late", self.n_much_too_late),
        ];
        let is_of_lateness = found.iter().take(found.len() - 2).all(|(_, n)| *n == 0);
        let found: Vec<String> =
            found.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
        self.require(found.is_empty(), is_of_lateness, || {
            format!("{}\n{}\n{:?}", found.join(", "), self.complaints.join("\n"), self.errors)
        });
        let n = self.excused_innocent;
        self.require(n * EXCUSED <= self.calls, true, || format!("{n} of {} calls are excused", self.calls));
    }

    /// Leaves the line of this fault where `test-cluster` finds it.
    pub fn write_row(&self, name: &str, back: Option<Duration>) {
        let class = |class| self.failed.get(&class).copied().unwrap_or(0);
        let millis = |time: Duration| time.as_millis().to_string();
        let sum = |counts: &[usize; NAMES.len()]| counts.iter().sum::<usize>();
        let answered: usize = self.latencies.iter().map(Vec::len).sum();
        let cells = [
            ("fault", name.to_owned()),
            ("calls", self.calls.to_string()),
            ("answered", answered.to_string()),
            ("not sent", class(Class::NotSent).to_string()),
            ("rejected", class(Class::Rejected).to_string()),
            ("unknown", class(Class::Unknown).to_string()),
            ("wrong", self.wrong.to_string()),
            ("missing", sum(&self.missing).to_string()),
            ("stale", sum(&self.stale).to_string()),
            ("lost", self.lost.to_string()),
            ("late", self.late.to_string()),
            ("worst", millis(self.worst)),
            ("machine", millis(self.machine.total())),
            ("excused", self.excused.values().sum::<usize>().to_string()),
            ("back", back.map_or("-".to_owned(), millis)),
            ("p50 before", self.percentile(Phase::Before, 50)),
            ("during", self.percentile(Phase::During, 50)),
            ("after", self.percentile(Phase::After, 50)),
            ("p99 before", self.percentile(Phase::Before, 99)),
            ("during", self.percentile(Phase::During, 99)),
            ("after", self.percentile(Phase::After, 99)),
        ];
        leave_row(name, &cells);
        println!("{:?}", self.errors);
    }

    /// In milliseconds, of the calls that were answered.
    fn percentile(&self, phase: Phase, percent: usize) -> String {
        let mut latencies = self.latencies[phase as usize].clone();
        latencies.sort_unstable();
        let at = latencies.len() * percent / 100;
        latencies.get(at).map_or("-".to_owned(), |micros| format!("{:.1}", f64::from(*micros) / 1000.0))
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The code of an error reply, or the kind of the error; of a node that is down, why.
fn label(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Server(reply) => reply.code.clone(),
        ErrorKind::Down { cause } => label(cause),
        kind => {
            let text = format!("{kind:?}");
            text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;

    use super::*;

    const A_SECOND: Duration = Duration::from_secs(1);

    /// A load of 100 calls, whose first took a second and ended in a timeout of node `a`, which was not at fault, on a
    /// machine that was late from the one to the other of these moments, in milliseconds from the call's beginning.
    fn timed_out(late: Option<(u64, u64)>) -> Tally {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut tally = Tally { calls: 100, ..Tally::default() };
        tally.notes.push(("a".to_owned(), "Timeout".to_owned()));
        tally.count_errors(start, start + A_SECOND, Some((Class::Unknown, true)));
        tally.settle(late.map_or_else(Lateness::default, |(from, to)| Lateness::of(at(from), at(to))));
        tally
    }

    /// Returns how it ends: well, by a panic that says why, or inconclusively.
    fn verdict(checks: impl FnOnce()) -> &'static str {
        match catch_unwind(AssertUnwindSafe(checks)) {
            Ok(()) => "holds",
            Err(panic) if panic.is::<String>() => "fails",
            Err(_) => "is inconclusive",
        }
    }

    #[test]
    fn a_timeout_is_excused_only_by_a_machine_that_was_late_meanwhile() {
        for (late, expected) in [
            (Some((500, 900)), "holds"),
            // Too little of it.
            (Some((900, 1900)), "is inconclusive"),
            (Some((2000, 4000)), "is inconclusive"),
            (Some((500, 600)), "fails"),
            (None, "fails"),
        ] {
            let tally = timed_out(late);
            assert_eq!(verdict(|| tally.check(&[])), expected, "{late:?}");
            assert_eq!(verdict(|| tally.none_failed()), expected, "{late:?}");
            assert_eq!(verdict(|| tally.only_errors(&["b"], &["Timeout"])), expected, "{late:?}");
            assert_eq!(verdict(|| tally.only_errors(&["a"], &["Timeout"])), "holds");
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_time_fails_on_any_machine() {
        for wrong in [
            Tally { wrong: 1, ..timed_out(Some((0, 900))) },
            Tally { lost: 1, ..timed_out(Some((0, 900))) },
            Tally { hung: 1, ..timed_out(Some((0, 900))) },
        ] {
            assert_eq!(verdict(|| wrong.check(&[])), "fails");
        }
        let start = Instant::now();
        let mut refused = timed_out(Some((0, 900)));
        refused.notes.push(("a".to_owned(), "READONLY".to_owned()));
        refused.count_errors(start, start + A_SECOND, Some((Class::Rejected, true)));
        assert_eq!(verdict(|| refused.check(&[])), "fails");
        assert_eq!(verdict(|| refused.none_failed()), "fails");
        assert_eq!(verdict(|| refused.only_errors(&["b"], &["READONLY"])), "fails");
    }

    #[test]
    fn what_has_to_happen_is_not_excused_but_waited_for() {
        assert_eq!(
            verdict(|| timed_out(Some((2000, 4000))).has_errors("b", &["Timeout"])),
            "is inconclusive"
        );
        assert_eq!(verdict(|| timed_out(None).has_errors("b", &["Timeout"])), "fails");
        assert_eq!(verdict(|| timed_out(None).has_errors("a", &["Timeout"])), "holds");
    }

    #[test]
    fn a_run_of_which_much_is_excused_has_shown_too_little() {
        assert_eq!(verdict(|| Tally { calls: 9, ..timed_out(Some((0, 900))) }.check(&[])), "is inconclusive");
    }
}

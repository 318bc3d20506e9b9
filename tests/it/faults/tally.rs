//! What a load has counted, and the line that it makes of the table at the end of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use redisdb::Error;
use redisdb::node;
use redisdb::node::ErrorKind;
use redisdb_tests::NAMES;
use redisdb_tests::leave_row;

/// How long a call may take that is within its deadline.
pub const DEADLINE: Duration = Duration::from_secs(1);
/// A machine that does much else may be late itself: calls past this are counted ..
const TOLERANCE: Duration = Duration::from_millis(50);
/// .. and calls past this, and as much more as the machine itself was late, are a failure.
const MUCH_TOO_LATE: Duration = Duration::from_secs(3);
/// A machine that was late by so much may make a server look as if it hung.
const SLOW_MACHINE: Duration = Duration::from_millis(300);
/// How many complaints are kept to be shown.
const SHOWN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Before = 0,
    During = 1,
    After = 2,
}

/// What became of a call that failed.
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
    /// Of those that failed.
    timeouts: usize,
    /// Failed although its node was not at fault, and those of them that timed out.
    innocent: usize,
    innocent_timeouts: usize,
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
    /// How late the machine was.
    pub machine: Duration,
    /// Of the calls that were answered, by phase, in microseconds.
    latencies: [Vec<u32>; 3],
    /// Of those that failed, in microseconds.
    failures: Vec<u32>,
    /// How often each node gave each error.
    pub errors: BTreeMap<(String, String), usize>,
    complaints: Vec<String>,
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
    /// Counts a call; `None` if it hangs. `is_excused` tells whether an error is one of nodes that are at fault.
    pub fn count(
        &mut self,
        phase: usize,
        took: Duration,
        outcome: Option<Result<(), &Error>>,
        is_excused: impl FnOnce(&Error) -> bool,
    ) {
        self.calls += 1;
        self.worst = self.worst.max(took);
        self.late += usize::from(DEADLINE + TOLERANCE < took);
        match outcome {
            None => {
                self.hung += 1;
                self.complain(format!("a call has not ended after {took:?}"));
            }
            Some(Ok(())) => self.latencies[phase].push(micros(took)),
            Some(Err(error)) => {
                self.failures.push(micros(took));
                *self.failed.entry(Class::of(error)).or_default() += 1;
                self.timeouts += usize::from(error.is_timeout());
                error.node_errors().into_iter().for_each(|error| self.note(error));
                if !is_excused(error) {
                    self.innocent += 1;
                    self.innocent_timeouts += usize::from(error.is_timeout());
                    self.complain(format!("no fault of its node: {error}"));
                }
            }
        }
    }

    /// Notes what one node said.
    pub fn note(&mut self, error: &node::Error) {
        *self.errors.entry((error.node().to_owned(), label(error.kind()))).or_default() += 1;
    }

    pub fn complain(&mut self, complaint: String) {
        if self.complaints.len() < SHOWN {
            self.complaints.push(complaint);
        }
    }

    pub fn add(&mut self, other: Tally) {
        self.calls += other.calls;
        other.failed.iter().for_each(|(class, n)| *self.failed.entry(*class).or_default() += n);
        self.timeouts += other.timeouts;
        self.innocent += other.innocent;
        self.innocent_timeouts += other.innocent_timeouts;
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

    /// Only these nodes have given errors, and only of these kinds; but for timeouts on a machine that was late.
    pub fn only_errors(&self, nodes: &[&str], kinds: &[&str]) {
        let is_expected = |(node, kind): &&(String, String)| {
            nodes.contains(&node.as_str()) && kinds.contains(&kind.as_str())
                || kind == "Timeout" && SLOW_MACHINE < self.machine
        };
        let others: Vec<_> = self.errors.keys().filter(|error| !is_expected(error)).collect();
        assert!(others.is_empty(), "{others:?}; expected {kinds:?} of {nodes:?}: {:?}", self.errors);
    }

    /// A node has given each of these errors, unless the machine was so late that there may have been no call to give
    /// them to.
    pub fn has_errors(&self, node: &str, kinds: &[&str]) {
        for kind in kinds {
            let error = (node.to_owned(), (*kind).to_owned());
            let is_there = self.errors.contains_key(&error) || SLOW_MACHINE < self.machine;
            assert!(is_there, "no {error:?}: {:?}", self.errors);
        }
    }

    /// How long half of the calls that failed took, at most.
    pub fn median_of_failures(&self) -> Duration {
        let mut failures = self.failures.clone();
        failures.sort_unstable();
        Duration::from_micros(failures.get(failures.len() / 2).copied().unwrap_or(0).into())
    }

    /// How many calls failed, but for those that ran out of time on a machine that was late.
    pub fn n_failed(&self) -> usize {
        let excused = if SLOW_MACHINE < self.machine { self.timeouts } else { 0 };
        self.failed.values().sum::<usize>() - excused
    }

    /// What holds whatever the fault; of the nodes named, keys may be missing and stale.
    pub fn check(&self, may_lose: &[usize]) {
        let of_others = |counts: &[usize; NAMES.len()]| -> usize {
            (0..NAMES.len()).filter(|node| !may_lose.contains(node)).map(|node| counts[node]).sum()
        };
        let excused = if SLOW_MACHINE < self.machine { self.innocent_timeouts } else { 0 };
        let found = [
            ("wrong replies", self.wrong),
            ("missing keys", of_others(&self.missing)),
            ("stale replies", of_others(&self.stale)),
            ("lost writes", self.lost),
            ("counters out of bounds", self.miscounted),
            ("hung calls", self.hung),
            ("failures of nodes without fault", self.innocent - excused),
            ("calls much too late", usize::from(MUCH_TOO_LATE + self.machine < self.worst)),
        ];
        let found: Vec<String> =
            found.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
        assert!(found.is_empty(), "{}\n{}\n{:?}", found.join(", "), self.complaints.join("\n"), self.errors);
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
            ("machine", millis(self.machine)),
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

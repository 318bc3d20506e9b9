//! The client processes of a seed, as the runner holds them, and what they have said.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

use redisdb_tests::ClientProcess;
use redisdb_tests::Outcome;
use redisdb_tests::ROUND;

use crate::client::Place;

/// The time that a client may take to be ready, or to do what it was asked for.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The convergence of the nodes, as a client tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Convergence {
    pub(crate) leads: bool,
    pub(crate) is_round_due: bool,
    pub(crate) dirty: u64,
    pub(crate) lag_ms: u64,
    pub(crate) converged: u64,
    pub(crate) gaps: u64,
    pub(crate) rounds: u64,
    /// The memory of the process.
    pub(crate) mib: u64,
}

impl Convergence {
    pub(crate) fn of(convergence: redisdb::Convergence, mib: u64) -> Self {
        Self {
            leads: convergence.leads,
            is_round_due: convergence.round_due,
            dirty: convergence.dirty as u64,
            lag_ms: convergence.lag.as_millis() as u64,
            converged: convergence.converged,
            gaps: convergence.gaps,
            rounds: convergence.rounds,
            mib,
        }
    }

    fn read(words: &str) -> Option<Self> {
        let mut numbers = words.split(' ').map(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        Some(Self {
            leads: next()? == 1,
            is_round_due: next()? == 1,
            dirty: next()?,
            lag_ms: next()?,
            converged: next()?,
            gaps: next()?,
            rounds: next()?,
            mib: next()?,
        })
    }
}

impl fmt::Display for Convergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leads, is_round_due, dirty, lag_ms, converged, gaps, rounds, mib } = *self;
        let (leads, due) = (u64::from(leads), u64::from(is_round_due));
        write!(f, "{leads} {due} {dirty} {lag_ms} {converged} {gaps} {rounds} {mib}")
    }
}

/// The outcomes of the writes of a key, by all writers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fates {
    pub(crate) acknowledged: usize,
    /// They may have been executed.
    pub(crate) unknown: usize,
    /// They were not executed.
    pub(crate) refused: usize,
}

struct Member {
    place: Place,
    process: ClientProcess,
    incarnation: usize,
    is_ready: bool,
    /// The order that it is doing.
    asked: Option<String>,
    /// The keys of the round whose fate it has told.
    told: BTreeSet<usize>,
}

/// All clients of a seed. They end with this value.
pub(crate) struct Crowd {
    members: Vec<Member>,
    folder: PathBuf,
    sender: Sender<(usize, usize, String)>,
    lines: Receiver<(usize, usize, String)>,
    /// The outcomes of each key, by its place.
    pub(crate) fates: Vec<Fates>,
    /// The first node of each key, by its place, where it was asked for.
    pub(crate) firsts: BTreeMap<usize, String>,
    /// The number of changes that were made by pipelines.
    pub(crate) changed: u64,
    /// The last words of each process, by its slot and how many there were before it in that slot.
    convergence: BTreeMap<(usize, usize), Convergence>,
    /// The times when a client began or ended to lead, or to compare all keys, and what it said then.
    pub(crate) history: Vec<(Instant, String)>,
    /// The longest that a quiet key has waited, in milliseconds.
    pub(crate) longest_lag_ms: u64,
    pub(crate) n_killed: usize,
}

impl Crowd {
    /// Starts the clients, one after the other, and waits until all are ready.
    pub(crate) fn start(place: &Place, folder: &Path) -> Outcome<Self> {
        let (sender, lines) = channel();
        let mut crowd = Self {
            members: Vec::new(),
            folder: folder.to_owned(),
            sender,
            lines,
            fates: vec![Fates::default(); place.n_keys],
            firsts: BTreeMap::new(),
            changed: 0,
            convergence: BTreeMap::new(),
            history: Vec::new(),
            longest_lag_ms: 0,
            n_killed: 0,
        };
        for slot in 0..place.n_processes {
            let place = Place { slot, ..place.clone() };
            let process = crowd.process(&place, 0)?;
            crowd.members.push(Member {
                place,
                process,
                incarnation: 0,
                is_ready: false,
                asked: None,
                told: BTreeSet::new(),
            });
            crowd.ready(slot)?;
        }
        Ok(crowd)
    }

    fn process(&self, place: &Place, incarnation: usize) -> Outcome<ClientProcess> {
        let errors = self.folder.join(format!("client-{}-{incarnation}.stderr", place.slot));
        let (sender, slot) = (self.sender.clone(), place.slot);
        Ok(ClientProcess::start(place.words(), &errors, move |line| {
            let _nobody_listens = sender.send((slot, incarnation, line.to_owned()));
        })?)
    }

    /// Waits until a client is ready.
    fn ready(&mut self, slot: usize) -> Outcome<()> {
        match self.until(LIMIT, |crowd| crowd.members[slot].is_ready) {
            true => Ok(()),
            false => Err(format!("client {slot} was not ready within {LIMIT:?}").into()),
        }
    }

    /// Waits until a process leads and has compared all keys, as it does when it begins to.
    pub(crate) fn led(&mut self) -> Outcome<()> {
        let is_led = |crowd: &Self| crowd.leader().is_some_and(|it| !it.is_round_due && 0 < it.rounds);
        match self.until(LIMIT, is_led) {
            true => Ok(()),
            false => Err(format!("no client led within {LIMIT:?}").into()),
        }
    }

    pub(crate) fn ask(&mut self, slot: usize, order: &str) {
        let member = &mut self.members[slot];
        member.asked = Some(order.to_owned());
        member.told.clear();
        member.process.ask(order);
    }

    /// Asks all for the same.
    pub(crate) fn ask_all(&mut self, order: &str) {
        (0..self.members.len()).for_each(|slot| self.ask(slot, order));
    }

    /// Waits until all have done what they were asked for.
    pub(crate) fn done(&mut self, limit: Duration) -> Outcome<()> {
        if self.until(limit, |crowd| crowd.members.iter().all(|member| member.asked.is_none())) {
            return Ok(());
        }
        let late = self.members.iter().filter_map(|member| Some((member.place.slot, member.asked.as_ref()?)));
        let late: Vec<String> = late.map(|(slot, asked)| format!("client {slot}: {asked}")).collect();
        Err(format!("not done within {limit:?}: {}", late.join(", ")).into())
    }

    /// Kills a client in the middle of a round. What it has not told of this round may have been executed.
    pub(crate) fn kill(&mut self, slot: usize) {
        self.members[slot].process.kill();
        self.hear();
        let member = &mut self.members[slot];
        self.n_killed += 1;
        let round = member.asked.take().and_then(|asked| asked.strip_prefix("round ")?.parse::<usize>().ok());
        let keys = round.into_iter().flat_map(|round| round * ROUND..(round + 1) * ROUND);
        for at in keys.filter(|at| !member.told.contains(at)) {
            if let Some(fates) = self.fates.get_mut(at) {
                fates.unknown += 1;
            }
        }
        let last = self.convergence.entry((slot, member.incarnation)).or_default();
        if std::mem::take(&mut last.leads) {
            self.history.push((Instant::now(), format!("client {slot} ({}) is killed", member.incarnation)));
        }
    }

    /// Starts a client anew that was killed, and waits until it is ready.
    pub(crate) fn replace(&mut self, slot: usize) -> Outcome<()> {
        let incarnation = self.members[slot].incarnation + 1;
        let process = self.process(&self.members[slot].place, incarnation)?;
        let member = &mut self.members[slot];
        (member.process, member.incarnation, member.is_ready) = (process, incarnation, false);
        self.ready(slot)
    }

    /// Hears the clients until the condition holds, and returns whether it does in time.
    pub(crate) fn until(&mut self, limit: Duration, condition: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + limit;
        loop {
            self.hear();
            if condition(self) {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else { return false };
            if let Ok(said) = self.lines.recv_timeout(left) {
                self.take_in(said);
            }
        }
    }

    /// Hears the clients for so long.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    fn hear(&mut self) {
        while let Ok(said) = self.lines.try_recv() {
            self.take_in(said);
        }
    }

    fn take_in(&mut self, (slot, incarnation, line): (usize, usize, String)) {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let member = &mut self.members[slot];
        let is_current = member.incarnation == incarnation;
        match word {
            "ready" if is_current => member.is_ready = true,
            "did" if is_current && member.asked.as_deref() == Some(rest) => member.asked = None,
            "changed" => self.changed += rest.parse().unwrap_or(0),
            "convergence" => {
                let Some(convergence) = Convergence::read(rest) else { return };
                if convergence.leads {
                    self.longest_lag_ms = self.longest_lag_ms.max(convergence.lag_ms);
                }
                let before = self.convergence.insert((slot, incarnation), convergence).unwrap_or_default();
                let turns = |it: &Convergence| (it.leads, it.is_round_due, it.rounds);
                if turns(&before) != turns(&convergence) {
                    let Convergence { leads, is_round_due, dirty, rounds, .. } = convergence;
                    let is = if leads { "leads" } else { "does not lead" };
                    let due = if is_round_due { ", is comparing all keys" } else { "" };
                    let line =
                        format!("client {slot} ({incarnation}) {is}{due}: {dirty} dirty, {rounds} rounds");
                    self.history.push((Instant::now(), line));
                }
            }
            "first" => {
                if let Some((at, name)) = rest.split_once(' ') {
                    self.firsts.insert(at.parse().unwrap_or(usize::MAX), name.to_owned());
                }
            }
            fate => {
                let at = rest.parse().unwrap_or(usize::MAX);
                let Some(fates) = self.fates.get_mut(at) else { return };
                match fate {
                    "acknowledged" => fates.acknowledged += 1,
                    "unknown" => fates.unknown += 1,
                    "refused" => fates.refused += 1,
                    _ => return,
                }
                member.told.insert(at);
            }
        }
    }

    /// Returns what the process says that leads.
    pub(crate) fn leader(&self) -> Option<Convergence> {
        self.convergence.values().copied().find(|it| it.leads)
    }

    /// Returns what all processes that there were have said last, added up.
    pub(crate) fn together(&self) -> Convergence {
        self.convergence.values().fold(Convergence::default(), |sum, it| Convergence {
            converged: sum.converged + it.converged,
            gaps: sum.gaps + it.gaps,
            rounds: sum.rounds + it.rounds,
            ..sum
        })
    }

    /// The clients that have ended by themselves, which none does.
    pub(crate) fn ended(&mut self) -> Vec<String> {
        let ended = self.members.iter_mut().filter_map(|member| {
            member.process.has_ended().then(|| format!("client {} has ended by itself", member.place.slot))
        });
        ended.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_the_convergence_is_read_as_it_was_written() {
        let convergence = Convergence {
            leads: true,
            is_round_due: false,
            dirty: 1,
            lag_ms: 2,
            converged: 3,
            gaps: 4,
            rounds: 5,
            mib: 6,
        };
        assert_eq!(Convergence::read(&convergence.to_string()), Some(convergence));
        assert_eq!(Convergence::read("1 2"), None);
    }
}

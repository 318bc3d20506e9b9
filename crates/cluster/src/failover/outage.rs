//! The outage of one node of a ring, a value without I/O: whether the node is away, what it misses meanwhile, and what
//! others may hold of its keys from before.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::hints::key_log::Flooded;
use crate::hints::key_log::KeyLog;

/// How many keys are removed at once.
pub(crate) const BATCH: usize = 500;
/// How few keys are left to be removed when no write begins any more, so that there is an end to it.
const FEW: usize = 4 * BATCH;
/// How much later than this client another one may notice that a node is back.
const LATE: Duration = Duration::from_secs(5);

/// A node as others stand in for it: it is away from the moment it is down until it may serve again.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    is_away: bool,
    /// Since when others have answered for it.
    began: Option<Instant>,
    /// When it went; later than that if it came and went again while it was away.
    went: Option<Instant>,
    /// Since when it answered before it went, as far as this client saw.
    served: Option<Instant>,
    /// When it served again after others had answered for it.
    returned: Option<Instant>,
    /// The keys that others took writes of; if they are too many, all of the node's are removed when it returns.
    missed: KeyLog,
    missed_too_many: bool,
    /// The last of them are being removed from it: no write begins elsewhere until that is done.
    is_closing: bool,
    /// The keys of which nothing is left from before, on each node that stands in.
    known: HashMap<Arc<str>, KeyLog>,
    /// How many writes are under way on each node that stands in.
    writing: HashMap<Arc<str>, usize>,
    /// The nodes that may hold keys of it from before.
    unclean: HashSet<Arc<str>>,
}

/// What becomes of a write on a node that stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Now,
    /// The node that is stood in for serves in a moment.
    NotYet,
    /// It serves by now.
    Elsewhere,
}

/// What is to be removed from a node before it serves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) all: bool,
    pub(crate) keys: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        !self.all && self.keys.is_empty()
    }
}

impl Outage {
    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// The node is down. Returns whether it was here until now.
    pub(crate) fn goes(&mut self, now: Instant) -> bool {
        self.went = Some(now);
        self.is_closing = false;
        if !self.is_away {
            self.began = Some(now);
            self.known.clear();
        }
        !std::mem::replace(&mut self.is_away, true)
    }

    /// The node is connected.
    pub(crate) fn comes(&mut self, now: Instant) {
        if !self.is_away {
            self.served.get_or_insert(now);
        }
    }

    pub(crate) fn went_within(&self, time: Duration, now: Instant) -> bool {
        self.went.is_some_and(|went| now < went + time)
    }

    pub(crate) fn returned_within(&self, time: Duration, now: Instant) -> bool {
        self.returned.is_some_and(|returned| now < returned + time)
    }

    /// Begins a write on a node that stands in. A key that is thereby missed is noted by now, for the node may serve again
    /// before the write has ended.
    pub(crate) fn begin(&mut self, on: &Arc<str>, missed: Option<&[u8]>) -> Begin {
        if !self.is_away {
            return Begin::Elsewhere;
        }
        if self.is_closing {
            return Begin::NotYet;
        }
        *self.writing.entry(Arc::clone(on)).or_default() += 1;
        self.missed_too_many |= self.missed.record(missed.into_iter()).0;
        Begin::Now
    }

    /// A write has ended, in whatever way.
    pub(crate) fn end(&mut self, on: &str, now: Instant) {
        if !self.is_away {
            // It is as if the node had served from now on only: the value is there from before.
            self.served = Some(now);
            self.returned = self.returned.map(|_| now);
        }
        if let Some(n) = self.writing.get_mut(on) {
            *n -= 1;
            if *n == 0 {
                self.writing.remove(on);
            }
        }
    }

    /// What is to be removed next. When little is left no write begins any more, until the node serves or that has failed.
    pub(crate) fn batch(&mut self) -> Batch {
        let all = std::mem::take(&mut self.missed_too_many);
        self.is_closing = !all && self.missed.len() <= FEW;
        Batch { all, keys: self.missed.iter().take(BATCH).map(|(key, _)| key.to_vec()).collect() }
    }

    pub(crate) fn removed(&mut self, batch: &Batch) {
        for key in &batch.keys {
            self.missed.forget(key, u64::MAX);
        }
    }

    pub(crate) fn not_removed(&mut self, batch: &Batch) {
        self.missed_too_many |= batch.all;
        self.open();
    }

    /// Lets writes begin again on the nodes that stand in.
    pub(crate) fn open(&mut self) {
        self.is_closing = false;
    }

    /// Lets the node serve if nothing is left to be removed from it. Returns whether it does.
    pub(crate) fn serve(&mut self, now: Instant) -> bool {
        if !self.missed.is_empty() || self.missed_too_many {
            return false;
        }
        self.is_closing = false;
        self.is_away = false;
        self.served = Some(now);
        self.returned = Some(now);
        true
    }

    /// Lets the node serve for which nobody has answered.
    pub(crate) fn serve_as_before(&mut self) {
        self.is_away = false;
    }

    /// Since when others have answered for it.
    pub(crate) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// How long at most a key has to live on a node that stands in, if it is there from before; `None` if it is not. What is
    /// written meanwhile may live for `cap`. Of all nodes in whose place that one stands `began` is when the last one went.
    pub(crate) fn may_be_old(
        &self,
        on: &str,
        key: &[u8],
        began: Instant,
        cap: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let served = self.served.filter(|_| !self.known.get(on).is_some_and(|known| known.contains(key)))?;
        (now < served + cap + LATE).then(|| cap.checked_sub(now.saturating_duration_since(began)))?
    }

    /// Nothing of a key is left from before on a node that stands in.
    pub(crate) fn knows(&mut self, on: &Arc<str>, key: &[u8]) {
        // Of too many none is known, and each is looked at again.
        let Flooded(_) = self.known.entry(Arc::clone(on)).or_default().record(std::iter::once(key));
    }

    /// These nodes may hold keys that the node has by now.
    pub(crate) fn left_on(&mut self, nodes: impl Iterator<Item = Arc<str>>) {
        self.unclean.extend(nodes);
    }

    pub(crate) fn is_unclean(&self, node: &str) -> bool {
        self.unclean.contains(node)
    }

    /// The nodes from which something is to be removed; those that still take writes are not ready for that.
    pub(crate) fn to_clean(&self) -> Vec<Arc<str>> {
        self.unclean.iter().filter(|node| !self.writing.contains_key(*node)).cloned().collect()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.unclean.is_empty()
    }

    pub(crate) fn cleaned(&mut self, node: &str) {
        self.unclean.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hints::key_log::MOST_KEYS;

    #[test]
    fn too_many_keys_count_as_all() {
        let mut absence = Outage::default();
        absence.goes(Instant::now());
        for i in 0..=MOST_KEYS {
            assert_eq!(absence.begin(&"b".into(), Some(i.to_string().as_bytes())), Begin::Now);
        }
        let batch = absence.batch();
        assert!(batch.all && batch.keys.is_empty());
        absence.not_removed(&batch);
        assert_eq!(absence.batch(), batch, "it is still to be done");
    }

    #[test]
    fn what_is_written_elsewhere_when_the_node_has_returned_lives_from_then_on() {
        let (mut outage, on, start) = (Outage::default(), Arc::from("b"), Instant::now());
        let (time, late) = (Duration::from_secs(2), Duration::from_millis(300));
        outage.goes(start);
        assert_eq!(outage.begin(&on, None), Begin::Now);
        assert!(outage.serve(start));
        assert!(!outage.returned_within(time, start + time));
        outage.end(&on, start + late);
        assert!(
            outage.returned_within(time, start + time) && !outage.returned_within(time, start + time + late)
        );
    }

    const KEY: &[u8] = b"k";
    const CAP: Duration = Duration::from_secs(20);

    /// A write: when it began and ended, by the number of the step.
    #[derive(Clone, Copy)]
    struct Write {
        began: usize,
        ended: Option<usize>,
    }

    /// A write that is under way: its value, where it goes, and what it forgets there first.
    struct Call {
        value: usize,
        on: usize,
        forgets: Option<Duration>,
    }

    /// A value on a server, which may end.
    #[derive(Clone, Copy)]
    struct Stored {
        value: usize,
        until: Option<Instant>,
    }

    /// One key, its three nodes in the order in which they answer for it, and one client, in a time of its own.
    struct World {
        is_failover: bool,
        now: Instant,
        step: usize,
        is_up: [bool; 3],
        held: [Option<Stored>; 3],
        absences: [Outage; 3],
        /// What is being removed from a node that is to serve again, and whether that was done.
        removing: [Option<(Batch, bool)>; 3],
        writes: Vec<Write>,
        calls: Vec<Call>,
    }

    impl World {
        fn new(is_failover: bool) -> Self {
            let mut world = Self {
                is_failover,
                now: Instant::now(),
                step: 0,
                is_up: [true; 3],
                held: [None; 3],
                absences: Default::default(),
                removing: Default::default(),
                writes: Vec::new(),
                calls: Vec::new(),
            };
            world.absences.iter_mut().for_each(|absence| absence.comes(world.now));
            world
        }

        fn serving(&self) -> Option<usize> {
            (0..3).find(|node| !self.absences[*node].is_away())
        }

        fn name(node: usize) -> Arc<str> {
            node.to_string().into()
        }

        fn is_unclean(&self, on: usize) -> bool {
            self.absences[..on].iter().any(|absence| absence.is_unclean(&on.to_string()))
        }

        fn forgets(&self, on: usize) -> Option<Duration> {
            let before = || self.absences[..on].iter().filter(|_| self.is_failover);
            let began = before().filter_map(Outage::began).max()?;
            before()
                .filter_map(|absence| absence.may_be_old(&on.to_string(), KEY, began, CAP, self.now))
                .max()
        }

        /// What is there, once what may be old has been forgotten.
        fn found(&self, on: usize, forgets: Option<Duration>) -> Option<usize> {
            let stored = self.held[on].filter(|stored| stored.until.is_none_or(|until| self.now < until))?;
            let left = stored.until.map(|until| until - self.now);
            let is_forgotten = left.is_some_and(|left| forgets.is_some_and(|forgets| left <= forgets));
            (!is_forgotten).then_some(stored.value)
        }

        /// No value is read that had ended before another one began that ended before this step.
        fn is_not_old(&self, found: Option<usize>, since: usize) {
            let Some(ended) = found.and_then(|value| self.writes[value].ended) else { return };
            let newer = self
                .writes
                .iter()
                .position(|write| ended < write.began && write.ended.is_some_and(|write| write < since));
            assert_eq!(newer, None, "at step {} write {found:?} was read", self.step);
        }

        fn begin(&mut self) {
            let Some(on) = self.serving().filter(|on| self.is_up[*on] && !self.is_unclean(*on)) else {
                return;
            };
            let forgets = self.forgets(on);
            let missed = self.is_failover.then_some(KEY);
            let before = &mut self.absences[..on];
            if before.iter_mut().all(|absence| absence.begin(&Self::name(on), missed) == Begin::Now) {
                self.calls.push(Call { value: self.writes.len(), on, forgets });
                self.writes.push(Write { began: self.step, ended: None });
            } else {
                // It begins on all or on none.
                before.iter_mut().for_each(|absence| absence.end(&on.to_string(), self.now));
            }
        }

        fn end(&mut self, call: usize) {
            let Call { value, on, forgets } = self.give_up(call);
            if self.is_up[on] {
                // As a counter would.
                self.is_not_old(self.found(on, forgets), self.writes[value].began);
                let until = (self.is_failover && 0 < on).then(|| self.now + CAP);
                self.held[on] = Some(Stored { value, until });
                self.writes[value].ended = Some(self.step);
                if forgets.is_some() {
                    self.absences[..on].iter_mut().for_each(|absence| absence.knows(&Self::name(on), KEY));
                }
            }
        }

        /// The connection to a node ends: what is under way on it was executed by then, or never will be.
        fn cut(&mut self, node: usize, is_executed: bool) {
            while let Some(call) = self.calls.iter().position(|call| call.on == node) {
                match is_executed {
                    true => self.end(call),
                    false => drop(self.give_up(call)),
                }
            }
        }

        fn give_up(&mut self, call: usize) -> Call {
            let call = self.calls.swap_remove(call);
            self.absences[..call.on]
                .iter_mut()
                .for_each(|absence| absence.end(&call.on.to_string(), self.now));
            call
        }

        fn read(&mut self, changes: bool) {
            let Some(on) = self.serving().filter(|on| self.is_up[*on] && !self.is_unclean(*on)) else {
                return;
            };
            let forgets = self.forgets(on);
            let found = self.found(on, forgets);
            self.is_not_old(found, self.step);
            if changes && forgets.is_some() {
                self.held[on] = self.held[on].filter(|_| found.is_some());
                self.absences[..on].iter_mut().for_each(|absence| absence.knows(&Self::name(on), KEY));
            }
        }

        /// A step on the way of a node back.
        fn rejoin(&mut self, node: usize) {
            let absence = &mut self.absences[node];
            if !absence.is_away() {
                return;
            }
            match self.removing[node].take() {
                None if self.is_up[node] => {
                    let all = !self.is_failover;
                    let batch = if all { Batch { all, keys: Vec::new() } } else { absence.batch() };
                    self.removing[node] = Some((batch, false));
                }
                None => {}
                Some((batch, false)) if self.is_up[node] => {
                    if !batch.is_empty() {
                        self.held[node] = None;
                    }
                    self.removing[node] = Some((batch, true));
                }
                Some((batch, false)) => absence.not_removed(&batch),
                Some((batch, true)) => {
                    absence.removed(&batch);
                    let serves = self.is_up[node] && absence.serve(self.now);
                    if !serves {
                        absence.open();
                    } else if !self.is_failover {
                        absence.left_on((0..3).filter(|other| *other != node).map(Self::name));
                    }
                }
            }
        }

        fn clean(&mut self, of: usize) {
            for on in self.absences[of].to_clean() {
                let at: usize = on.parse().unwrap();
                if self.is_up[at] {
                    self.held[at] = self.held[at].filter(|_| at < of);
                    self.absences[of].cleaned(&on);
                }
            }
        }

        fn step(&mut self, random: usize) {
            let (choice, node) = (random / 3 % 16, random % 3);
            match choice {
                0 => {
                    self.cut(node, (random / 48).is_multiple_of(2));
                    self.is_up[node] = false;
                }
                // Also when it hangs, and answers again.
                1 if !self.absences[node].is_away() => {
                    self.cut(node, (random / 48).is_multiple_of(2));
                    self.absences[node].goes(self.now);
                }
                2 if !self.is_up[node] => {
                    self.absences[node].goes(self.now);
                }
                3 if !self.is_up[node] => {
                    self.is_up[node] = true;
                    self.absences[node].comes(self.now);
                }
                4 => self.now += Duration::from_secs(random as u64 / 48 % 9),
                5 | 6 => self.begin(),
                7 | 8 if !self.calls.is_empty() => self.end(random / 48 % self.calls.len()),
                9 => self.read(true),
                10..=13 => self.rejoin(node),
                14 => self.clean(node),
                _ => {}
            }
            self.step += 1;
            self.read(false);
        }
    }

    #[test]
    fn nothing_old_is_read_whatever_comes_and_goes_in_whatever_order() {
        // Numbers as random as these steps need: <https://prng.di.unimi.it/splitmix64.c>
        let mut state = 0_u64;
        let mut random = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap()
        };
        for is_failover in [true, false] {
            let mut n_read = 0;
            for _ in 0..6_000 {
                let mut world = World::new(is_failover);
                for _ in 0..80 {
                    world.step(random());
                    n_read += usize::from(
                        world.serving().is_some_and(|on| 0 < on && world.found(on, None).is_some()),
                    );
                }
            }
            assert!(n_read > 3_000, "values are read from nodes that stand in, too: {n_read}");
        }
    }
}

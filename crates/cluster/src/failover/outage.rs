//! The outage of one node of a ring, a value without I/O: whether the node is away, the keys that it misses, and the nodes that
//! may hold old values of its keys.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::hints::key_log::Flooded;
use crate::hints::key_log::KeyLog;

/// The number of keys that are removed at once.
pub(crate) const BATCH: usize = 500;
/// While no more keys than these are left to remove, no write begins on a stand-in, so that the removal ends.
const FEW: usize = 4 * BATCH;
/// How much later than this client another one may notice that a node is back.
const LATE: Duration = Duration::from_secs(5);

/// The outages of one node for which others stand in. The node is away from the moment it is down until it may serve again.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// The longest time to live, which a return waits for with [`WaitMaxTtl`](crate::Rejoin::WaitMaxTtl); otherwise zero.
    max_ttl: Duration,
    is_away: bool,
    /// The begin of the latest outage, since when others have answered for the node.
    began: Option<Instant>,
    /// The moment the node last went down; later than `began` if it came and went during the outage.
    went: Option<Instant>,
    /// The moment since which the node has served, as far as this client saw. A write that ends later on a stand-in moves it
    /// on.
    served: Option<Instant>,
    /// The moment of the latest return after an outage. A write that ends later on a stand-in moves it on too.
    returned: Option<Instant>,
    /// The keys whose writes stand-ins took, to be removed from the node before it serves again.
    missed: KeyLog,
    /// The number of times that `missed` has overflowed, so that all keys of the node were to be removed; and the overflow after
    /// which they were removed last.
    overflows: u64,
    removed_after: u64,
    /// The last of the missed keys are being removed: no write begins on a stand-in until that is done.
    is_closing: bool,
    /// The keys of which each stand-in holds no old value.
    known: HashMap<Arc<str>, KeyLog>,
    /// The number of writes under way on each stand-in.
    writing: HashMap<Arc<str>, usize>,
    /// The other nodes that may hold old values of the node's keys.
    unclean: HashSet<Arc<str>>,
}

/// The answer to whether a write may begin on a stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Now,
    /// The node is about to serve again.
    NotYet,
    /// The node serves, so the write belongs to it.
    Elsewhere,
}

/// The keys to remove from a node before it serves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// All keys are to be removed: the log of the missed ones has overflowed so often.
    pub(crate) all: Option<u64>,
    pub(crate) keys: Vec<Vec<u8>>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_none() && self.keys.is_empty()
    }
}

impl Outage {
    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// Records that the node is down. Returns whether that begins an outage.
    pub(crate) fn goes(&mut self, now: Instant) -> bool {
        self.went = Some(now);
        self.is_closing = false;
        if !self.is_away {
            self.began = Some(now);
            self.known.clear();
        }
        !std::mem::replace(&mut self.is_away, true)
    }

    /// Records that the node is connected.
    pub(crate) fn comes(&mut self, now: Instant) {
        if !self.is_away {
            self.served.get_or_insert(now);
        }
    }

    pub(crate) fn wait_for(&mut self, max_ttl: Duration) {
        self.max_ttl = max_ttl;
    }

    /// Returns whether the node may hold old values, from before it went.
    pub(crate) fn went_lately(&self, now: Instant) -> bool {
        self.went.is_some_and(|went| now.saturating_duration_since(went) < self.max_ttl)
    }

    /// Returns whether stand-ins may hold old values, from before the node returned. Then no node stands in.
    pub(crate) fn returned_lately(&self, now: Instant) -> bool {
        self.returned.is_some_and(|returned| now.saturating_duration_since(returned) < self.max_ttl)
    }

    /// Begins a write on the stand-in `on`. The missed key is recorded now, for the node may serve again before the write
    /// has ended.
    pub(crate) fn begin(&mut self, on: &Arc<str>, missed: Option<&[u8]>) -> Begin {
        if !self.is_away {
            return Begin::Elsewhere;
        }
        if self.is_closing {
            return Begin::NotYet;
        }
        *self.writing.entry(Arc::clone(on)).or_default() += 1;
        self.overflows += u64::from(self.missed.record(missed.into_iter()).0);
        Begin::Now
    }

    /// Records that a write on a stand-in has ended, in whatever way.
    pub(crate) fn end(&mut self, on: &str, now: Instant) {
        // Its value may live on the stand-in from now on, so the node counts as returned only now.
        if !self.is_away {
            self.served = Some(now);
        }
        // Also if the node has gone again: no write begins on a stand-in this soon after a return, so this one began before it.
        if !self.is_away || self.returned_lately(now) {
            self.returned = self.returned.map(|_| now);
        }
        if let Some(n) = self.writing.get_mut(on) {
            *n -= 1;
            if *n == 0 {
                self.writing.remove(on);
            }
        }
    }

    /// Returns whether stand-ins took writes of keys that are still to be removed from the node.
    pub(crate) fn has_missed(&self) -> bool {
        !self.missed.is_empty() || self.removed_after < self.overflows
    }

    /// Returns the keys to remove next, which stay noted until they are removed. Once few are left, no write begins on a stand-in
    /// until the node serves or a removal fails.
    pub(crate) fn batch(&mut self) -> Batch {
        let all = (self.removed_after < self.overflows).then_some(self.overflows);
        self.is_closing = all.is_none() && self.missed.len() <= FEW;
        Batch { all, keys: self.missed.iter().take(BATCH).map(|(key, _)| key.to_vec()).collect() }
    }

    pub(crate) fn removed(&mut self, batch: &Batch) {
        self.removed_after = batch.all.unwrap_or(self.removed_after);
        for key in &batch.keys {
            self.missed.forget(key, u64::MAX);
        }
    }

    /// Lets writes begin again on stand-ins.
    pub(crate) fn open(&mut self) {
        self.is_closing = false;
    }

    /// Lets the node serve if no keys are left to be removed from it. Returns whether it serves.
    pub(crate) fn serve(&mut self, now: Instant) -> bool {
        if self.has_missed() {
            return false;
        }
        self.is_closing = false;
        self.is_away = false;
        self.served = Some(now);
        self.returned = Some(now);
        true
    }

    /// Lets the node serve after an outage in which no other node answered for it.
    pub(crate) fn serve_as_before(&mut self) {
        self.is_away = false;
    }

    /// Returns the begin of the latest outage.
    pub(crate) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Returns the longest time that an old value of a key can have left to live on the stand-in `on`; `None` if no old value
    /// can be there. A value of this outage has longer left, unless it was given a shorter life than `cap`. `began` is the
    /// moment at which the last of the nodes went that `on` stands in for.
    pub(crate) fn may_be_old(
        &self,
        on: &str,
        key: &[u8],
        began: Instant,
        cap: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let served = self.served.filter(|_| !self.known.get(on).is_some_and(|known| known.contains(key)))?;
        let may_live = now.saturating_duration_since(served) < cap.saturating_add(LATE);
        may_live.then(|| cap.checked_sub(now.saturating_duration_since(began)))?
    }

    /// Records that the stand-in `on` holds no old value of a key.
    pub(crate) fn knows(&mut self, on: &Arc<str>, key: &[u8]) {
        // A log that overflows forgets all keys, so each is looked at again.
        let Flooded(_) = self.known.entry(Arc::clone(on)).or_default().record(std::iter::once(key));
    }

    /// Records that these nodes may hold old values of the node's keys.
    pub(crate) fn left_on(&mut self, nodes: impl Iterator<Item = Arc<str>>) {
        self.unclean.extend(nodes);
    }

    pub(crate) fn is_unclean(&self, node: &str) -> bool {
        self.unclean.contains(node)
    }

    /// Returns the nodes to remove keys from, without those on which writes are still under way.
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
        let mut outage = Outage::default();
        outage.goes(Instant::now());
        for i in 0..=MOST_KEYS {
            assert_eq!(outage.begin(&"b".into(), Some(i.to_string().as_bytes())), Begin::Now);
        }
        let batch = outage.batch();
        assert_eq!(batch, Batch { all: Some(1), keys: Vec::new() });
        outage.open();
        assert_eq!(outage.batch(), batch, "whoever was to remove them may have ended");
        for i in 0..=MOST_KEYS {
            assert_eq!(outage.begin(&"b".into(), Some(i.to_string().as_bytes())), Begin::Now);
        }
        outage.removed(&batch);
        let again = outage.batch();
        assert_eq!(again.all, Some(2), "they are too many once more");
        outage.removed(&again);
        assert!(!outage.has_missed() && outage.serve(Instant::now()));
    }

    #[test]
    fn a_write_that_ends_on_a_stand_in_after_the_return_counts_from_its_end() {
        let (mut outage, on, start) = (Outage::default(), Arc::from("b"), Instant::now());
        let (time, late) = (Duration::from_secs(2), Duration::from_millis(300));
        outage.wait_for(time);
        outage.goes(start);
        assert_eq!(outage.begin(&on, None), Begin::Now);
        assert!(outage.serve(start));
        assert!(!outage.returned_lately(start + time));
        outage.end(&on, start + late);
        assert!(outage.returned_lately(start + time) && !outage.returned_lately(start + time + late));
    }

    const KEY: &[u8] = b"k";
    const CAP: Duration = Duration::from_secs(20);

    /// The steps at which a write began and ended.
    #[derive(Clone, Copy)]
    struct Write {
        began: usize,
        ended: Option<usize>,
    }

    /// A write under way on a node. It first forgets a value there that has no more than `forgets` left to live.
    struct Call {
        value: usize,
        on: usize,
        forgets: Option<Duration>,
    }

    /// A value on a server, and when it expires.
    #[derive(Clone, Copy)]
    struct Stored {
        value: usize,
        until: Option<Instant>,
    }

    /// The ways in which a ring does without a node, as [`OnDown`](crate::OnDown) has them.
    #[derive(Clone, Copy, PartialEq)]
    enum Mode {
        Failover,
        FlushPrefix,
        /// No value lives longer than [`CAP`], on any node.
        WaitMaxTtl,
    }

    /// One key, its three nodes in the order in which they answer for it, one client, and a clock.
    struct World {
        mode: Mode,
        now: Instant,
        step: usize,
        is_up: [bool; 3],
        held: [Option<Stored>; 3],
        outages: [Outage; 3],
        /// The batch that is being removed from a node before it serves, and whether it is gone.
        removing: [Option<(Batch, bool)>; 3],
        writes: Vec<Write>,
        calls: Vec<Call>,
    }

    impl World {
        fn new(mode: Mode) -> Self {
            let mut world = Self {
                mode,
                now: Instant::now(),
                step: 0,
                is_up: [true; 3],
                held: [None; 3],
                outages: Default::default(),
                removing: Default::default(),
                writes: Vec::new(),
                calls: Vec::new(),
            };
            for outage in &mut world.outages {
                outage.wait_for(if mode == Mode::WaitMaxTtl { CAP } else { Duration::ZERO });
                outage.comes(world.now);
            }
            world
        }

        fn serving(&self) -> Option<usize> {
            (0..3).find(|node| !self.outages[*node].is_away())
        }

        fn name(node: usize) -> Arc<str> {
            node.to_string().into()
        }

        fn is_unclean(&self, on: usize) -> bool {
            self.outages[..on].iter().any(|outage| match self.mode {
                Mode::WaitMaxTtl => outage.returned_lately(self.now),
                _ => outage.is_unclean(&on.to_string()),
            })
        }

        fn forgets(&self, on: usize) -> Option<Duration> {
            let before = || self.outages[..on].iter().filter(|_| self.mode == Mode::Failover);
            let began = before().filter_map(Outage::began).max()?;
            before().filter_map(|outage| outage.may_be_old(&on.to_string(), KEY, began, CAP, self.now)).max()
        }

        /// Returns the value on a node, unless it is forgotten because it may be old.
        fn found(&self, on: usize, forgets: Option<Duration>) -> Option<usize> {
            let stored = self.held[on].filter(|stored| stored.until.is_none_or(|until| self.now < until))?;
            let left = stored.until.map(|until| until - self.now);
            let is_forgotten = left.is_some_and(|left| forgets.is_some_and(|forgets| left <= forgets));
            (!is_forgotten).then_some(stored.value)
        }

        /// Asserts that the value found is not old: no write that began after its end had ended before step `since`.
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
            let missed = (self.mode == Mode::Failover).then_some(KEY);
            let before = &mut self.outages[..on];
            if before.iter_mut().all(|outage| outage.begin(&Self::name(on), missed) == Begin::Now) {
                self.calls.push(Call { value: self.writes.len(), on, forgets });
                self.writes.push(Write { began: self.step, ended: None });
            } else {
                // It begins on all or on none.
                before.iter_mut().for_each(|outage| outage.end(&on.to_string(), self.now));
            }
        }

        fn end(&mut self, call: usize) {
            let Call { value, on, forgets } = self.give_up(call);
            if self.is_up[on] {
                // The write reads first, as that of a counter does.
                self.is_not_old(self.found(on, forgets), self.writes[value].began);
                let is_capped = self.mode == Mode::WaitMaxTtl || self.mode == Mode::Failover && 0 < on;
                let until = is_capped.then(|| self.now + CAP);
                self.held[on] = Some(Stored { value, until });
                self.writes[value].ended = Some(self.step);
                if forgets.is_some() {
                    self.outages[..on].iter_mut().for_each(|outage| outage.knows(&Self::name(on), KEY));
                }
            }
        }

        /// Ends the connection to a node: the writes under way on it were executed by then, or never will be.
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
            self.outages[..call.on].iter_mut().for_each(|outage| outage.end(&call.on.to_string(), self.now));
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
                self.outages[..on].iter_mut().for_each(|outage| outage.knows(&Self::name(on), KEY));
            }
        }

        /// Takes the next step of a node's rejoin.
        fn rejoin(&mut self, node: usize) {
            let outage = &mut self.outages[node];
            if !outage.is_away() {
                return;
            }
            if self.mode == Mode::WaitMaxTtl {
                if outage.returned_lately(self.now) && self.is_up[node] {
                    outage.serve_as_before();
                } else if !outage.went_lately(self.now) && self.is_up[node] {
                    outage.serve(self.now);
                }
                return;
            }
            match self.removing[node].take() {
                None if self.is_up[node] => {
                    let batch = match self.mode {
                        Mode::FlushPrefix => Batch { all: Some(0), keys: Vec::new() },
                        _ => outage.batch(),
                    };
                    self.removing[node] = Some((batch, false));
                }
                None => {}
                Some((batch, false)) if self.is_up[node] => {
                    if !batch.is_empty() {
                        self.held[node] = None;
                    }
                    self.removing[node] = Some((batch, true));
                }
                Some((_, false)) => outage.open(),
                Some((batch, true)) => {
                    outage.removed(&batch);
                    let serves = self.is_up[node] && outage.serve(self.now);
                    if !serves {
                        outage.open();
                    } else if self.mode == Mode::FlushPrefix {
                        outage.left_on((0..3).filter(|other| *other != node).map(Self::name));
                    }
                }
            }
        }

        fn clean(&mut self, of: usize) {
            for on in self.outages[of].to_clean() {
                let at: usize = on.parse().unwrap();
                if self.is_up[at] {
                    self.held[at] = self.held[at].filter(|_| at < of);
                    self.outages[of].cleaned(&on);
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
                // The server hangs, and answers again.
                1 if !self.outages[node].is_away() => {
                    self.cut(node, (random / 48).is_multiple_of(2));
                    self.outages[node].goes(self.now);
                }
                2 if !self.is_up[node] => {
                    self.outages[node].goes(self.now);
                }
                3 if !self.is_up[node] => {
                    self.is_up[node] = true;
                    self.outages[node].comes(self.now);
                }
                4 | 14 if choice == 4 || self.mode == Mode::WaitMaxTtl => {
                    self.now += Duration::from_secs(random as u64 / 48 % 9);
                }
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
        for mode in [Mode::Failover, Mode::FlushPrefix, Mode::WaitMaxTtl] {
            let mut n_read = 0;
            for _ in 0..6_000 {
                let mut world = World::new(mode);
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

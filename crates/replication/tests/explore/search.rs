//! The search: breadth first over all worlds, with the shortest way to what must not happen.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;
use std::iter;
use std::time::Duration;
use std::time::Instant;

use super::world::Nexts;
use super::world::Physics;
use super::world::Told;
use super::world::World;
use super::world::bounds::Bounds;

/// What a search has found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) n_states: usize,
    /// How many steps tell a conflict, and how many of those a needless one.
    pub(crate) n_told: usize,
    pub(crate) n_needless: usize,
    pub(crate) took: Duration,
    pub(crate) verdict: Verdict,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing that must not happen can happen within the bounds.
    Holds,
    /// The search was cut off.
    CutOff,
    /// This must not happen, and this is the shortest way to it.
    Violated { what: String, trace: Vec<String> },
}

impl fmt::Display for Found {
    /// The cells of a row of the table: states, seconds, told, needless, verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match &self.verdict {
            Verdict::Holds => "holds",
            Verdict::CutOff => "cut off",
            Verdict::Violated { what, .. } => what,
        };
        let Self { n_states, n_told, n_needless, took, .. } = self;
        write!(f, "{n_states} | {:.1} | {n_told} | {n_needless} | {verdict}", took.as_secs_f64())
    }
}

/// Goes through all worlds within the bounds.
pub(crate) fn search(bounds: Bounds) -> Found {
    let mut search = Search::new(bounds);
    let verdict = search.run();
    let Search { n_told, n_needless, began, ways, .. } = search;
    Found { n_states: ways.len(), n_told, n_needless, took: began.elapsed(), verdict }
}

/// How a world was reached: from which one, by which of the things that could happen there.
#[derive(Clone, Copy, Debug)]
struct Way {
    from: u32,
    choice: u16,
    /// The last one of the inner steps that lead to it, by its place plus one.
    last_step: u32,
}

impl Way {
    fn new(from: u32, choice: usize) -> Self {
        Self { from, choice: u16::try_from(choice).unwrap_or(u16::MAX), last_step: 0 }
    }
}

/// A step that nobody from outside takes.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: u32,
    /// The one before it that leads to the same world, by its place plus one.
    before: u32,
}

#[derive(Debug)]
struct Search {
    physics: Physics,
    limit: usize,
    began: Instant,
    seen: Seen,
    ways: Vec<Way>,
    queue: VecDeque<(u32, World)>,
    /// The steps that nobody from outside takes, for the way back from good ends.
    inner: Vec<Step>,
    ends: Vec<u32>,
    n_told: usize,
    n_needless: usize,
}

impl Search {
    fn new(bounds: Bounds) -> Self {
        let physics = Physics::new(bounds);
        let start = physics.at_rest();
        let mut seen = Seen::new();
        seen.number_of(fingerprint(&start), 0);
        Self {
            physics,
            limit: bounds.limit,
            began: Instant::now(),
            seen,
            ways: vec![Way::new(0, 0)],
            queue: VecDeque::from([(0, start)]),
            inner: Vec::new(),
            ends: Vec::new(),
            n_told: 0,
            n_needless: 0,
        }
    }

    fn run(&mut self) -> Verdict {
        let mut nexts = Nexts::default();
        while let Some((at, world)) = self.queue.pop_front() {
            self.physics.nexts(&world, &mut nexts);
            if let Some(violation) = nexts.violation.take() {
                return self.violated(violation.what, at, Some(violation.act.to_string()));
            }
            let has_inner = self.add(at, &mut nexts);
            if !has_inner {
                if let Some(what) = self.physics.fault_at_rest(&world) {
                    return self.violated(what, at, None);
                }
                self.ends.push(at);
            }
            if self.limit < self.ways.len() {
                return Verdict::CutOff;
            }
        }
        match self.without_end() {
            Some(at) => self.violated("L: it goes round for ever".to_owned(), at, None),
            None => Verdict::Holds,
        }
    }

    /// Adds what can happen next. Returns whether anything of it happens by itself.
    fn add(&mut self, at: u32, nexts: &mut Nexts) -> bool {
        let mut has_inner = false;
        for (choice, next) in nexts.list.drain(..).enumerate() {
            match next.told {
                Some(Told::Needless) => {
                    (self.n_told, self.n_needless) = (self.n_told + 1, self.n_needless + 1)
                }
                Some(Told::Real) => self.n_told += 1,
                None => {}
            }
            let new = u32::try_from(self.ways.len()).unwrap_or(u32::MAX);
            let number = self.seen.number_of(fingerprint(&next.world), new);
            if number == new {
                self.ways.push(Way::new(at, choice));
                self.queue.push_back((number, next.world));
            }
            if !next.is_from_outside
                && number != at
                && let Some(way) = self.ways.get_mut(number as usize)
            {
                has_inner = true;
                self.inner.push(Step { from: at, before: way.last_step });
                way.last_step = u32::try_from(self.inner.len()).unwrap_or(u32::MAX);
            }
        }
        has_inner
    }

    /// Returns a world from which no end can be reached without something from outside. As all ends are good, none such means
    /// that each terminal strongly connected component is one good world.
    fn without_end(&self) -> Option<u32> {
        let step = |place: u32| self.inner.get((place as usize).checked_sub(1)?);
        let mut reaches = vec![false; self.ways.len()];
        let mut todo = self.ends.clone();
        while let Some(to) = todo.pop() {
            let to = to as usize;
            let (Some(known), Some(way)) = (reaches.get_mut(to), self.ways.get(to)) else { continue };
            if !std::mem::replace(known, true) {
                let steps = iter::successors(step(way.last_step), |last| step(last.before));
                todo.extend(steps.map(|step| step.from));
            }
        }
        let lost = reaches.iter().position(|reaches| !reaches)?;
        u32::try_from(lost).ok()
    }

    fn violated(&self, what: String, at: u32, last: Option<String>) -> Verdict {
        let mut choices = Vec::new();
        let mut at = at;
        while let Some(way) = self.ways.get(at as usize).filter(|_| at != 0) {
            choices.push(way.choice);
            at = way.from;
        }
        let mut trace = Vec::new();
        let mut world = self.physics.at_rest();
        let mut nexts = Nexts::default();
        for choice in choices.into_iter().rev() {
            self.physics.nexts(&world, &mut nexts);
            if let Some(next) = nexts.list.get(usize::from(choice)) {
                trace.push(match next.told {
                    Some(_) => format!("{}: A CONFLICT IS TOLD", next.act),
                    None => next.act.to_string(),
                });
                world = next.world.clone();
            }
        }
        trace.extend(last);
        trace.push(format!("then: {world}"));
        Verdict::Violated { what, trace }
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut mixer = Mixer { a: 0, b: 1, word: 0, n_bytes: 0 };
    world.hash(&mut mixer);
    mixer.finish().max(1)
}

/// Mixes a world into 64 bits: bytes are gathered into words, two multiplications for each word.
struct Mixer {
    a: u64,
    b: u64,
    word: u64,
    n_bytes: u32,
}

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.a = (self.a.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        let b = (self.b ^ word.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.b = b.rotate_left(29);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        let mut last = Self { ..*self };
        last.mix(self.word ^ u64::from(self.n_bytes) << 60);
        let mut mixed = last.a ^ last.b.rotate_left(31);
        mixed ^= mixed >> 32;
        mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u8(*byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.n_bytes = self.n_bytes.wrapping_add(1);
        if self.n_bytes == 8 {
            self.mix(self.word);
            (self.word, self.n_bytes) = (0, 0);
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    /// A length, of which none here is 256.
    fn write_usize(&mut self, length: usize) {
        self.write_u8(length as u8);
    }

    /// The number of an enum's variant, of which none has 256.
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant as u8);
    }
}

/// The worlds that were seen: from a fingerprint to a number, with open addressing.
#[derive(Debug)]
struct Seen {
    slots: Vec<(u64, u32)>,
    n_used: usize,
}

impl Seen {
    fn new() -> Self {
        Self { slots: vec![(0, 0); 1 << 12], n_used: 0 }
    }

    /// Returns the number of a fingerprint, which is the new one if it was not seen before.
    fn number_of(&mut self, fingerprint: u64, new: u32) -> u32 {
        if self.slots.len() < 2 * self.n_used {
            let doubled = vec![(0, 0); 2 * self.slots.len()];
            let old = std::mem::replace(&mut self.slots, doubled);
            for (fingerprint, number) in old.into_iter().filter(|slot| slot.0 != 0) {
                *self.slot(fingerprint) = (fingerprint, number);
            }
        }
        let slot = self.slot(fingerprint);
        if slot.0 == fingerprint {
            return slot.1;
        }
        *slot = (fingerprint, new);
        self.n_used += 1;
        new
    }

    /// Returns the slot of a fingerprint, or the free one where it belongs.
    #[expect(clippy::indexing_slicing, reason = "the position is masked by the length, a power of two")]
    fn slot(&mut self, fingerprint: u64) -> &mut (u64, u32) {
        let mask = self.slots.len() - 1;
        let mut at = fingerprint as usize & mask;
        while self.slots[at].0 != 0 && self.slots[at].0 != fingerprint {
            at = (at + 1) & mask;
        }
        &mut self.slots[at]
    }
}

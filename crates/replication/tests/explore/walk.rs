//! Random walks: what happens is drawn by lot, for bounds that are too large to go through.

use std::time::Instant;

use super::search::Found;
use super::search::Verdict;
use super::world::Next;
use super::world::Nexts;
use super::world::Physics;
use super::world::Told;
use super::world::bounds::Bounds;

/// After so many steps nothing comes from outside any more.
const N_STEPS: usize = 120;
/// One step in so many comes from outside.
const ONE_IN: usize = 3;
/// A walk that has not come to rest after so many steps more is given up.
const N_STEPS_TO_REST: usize = 5_000;

/// Walks as often as the bounds say, each time from the world at rest until nothing happens any more.
pub(crate) fn walk(bounds: Bounds) -> Found {
    let began = Instant::now();
    let physics = Physics::new(bounds);
    let mut found =
        Found { n_states: 0, n_told: 0, n_needless: 0, took: began.elapsed(), verdict: Verdict::Holds };
    for seed in 0..u64::from(bounds.n_walks) {
        let mut walk = Walk { physics, lot: Lot::new(seed), trace: Vec::new(), found: &mut found };
        if let Err(what) = walk.run() {
            let trace = walk.trace;
            found.verdict = Verdict::Violated { what: format!("{what} (walk {seed})"), trace };
            break;
        }
    }
    Found { took: began.elapsed(), ..found }
}

struct Walk<'a> {
    physics: Physics,
    lot: Lot,
    trace: Vec<String>,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut world = self.physics.at_rest();
        let mut nexts = Nexts::default();
        for n_steps in 0..N_STEPS + N_STEPS_TO_REST {
            self.physics.nexts(&world, &mut nexts);
            if let Some(violation) = nexts.violation.take() {
                self.trace.push(violation.act.to_string());
                self.trace.push(format!("then: {world}"));
                return Err(violation.what);
            }
            // What comes from outside comes seldom, or all faults were over before the first write.
            let wants_outside = n_steps < N_STEPS && self.lot.draw(ONE_IN) == 0;
            let by_itself = nexts.list.iter().filter(|next| !next.is_from_outside);
            let from_outside = nexts.list.iter().filter(|next| next.is_from_outside && n_steps < N_STEPS);
            let (inner, outer): (Vec<&Next>, Vec<&Next>) = (by_itself.collect(), from_outside.collect());
            let choices = if outer.is_empty() || !wants_outside && !inner.is_empty() { inner } else { outer };
            let Some(next) = choices.get(self.lot.draw(choices.len())) else {
                let fault = self.physics.fault_at_rest(&world);
                self.trace.push(format!("then: {world}"));
                return fault.map_or(Ok(()), Err);
            };
            self.trace.push(next.act.to_string());
            self.found.n_states += 1;
            self.found.n_told += usize::from(next.told.is_some());
            self.found.n_needless += usize::from(next.told == Some(Told::Needless));
            world = next.world.clone();
        }
        Err("L: no rest was reached".to_owned())
    }
}

/// Draws by lot (xorshift).
struct Lot(u64);

impl Lot {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below this one.
    fn draw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % below.max(1)
    }
}

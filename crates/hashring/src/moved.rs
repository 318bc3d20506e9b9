//! The shares of keys that move between two rings.

use std::{collections::BTreeMap, iter};

use crate::HashRing;

/// The shares that change owner when one ring replaces another. Made by [`HashRing::moved`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Moved {
    /// The share of the key space that changes owner, from 0 to 1.
    pub total: f64,
    /// From which node to which, in the order of their names.
    pub flows: Vec<Flow>,
    /// True if the shares are exact. Shares are exact unless the two rings hash keys differently or one of
    /// them has a layout without arcs. Then they are those of 65,536 sample keys.
    pub exact: bool,
}

/// A part of the key space that leaves one node for another.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Flow {
    /// The name of the node that loses it.
    pub from: String,
    /// The name of the node that gets it.
    pub to: String,
    /// Its share of the whole key space, from 0 to 1.
    pub share: f64,
}

/// Keys to try where there is no exact way.
const SAMPLES: u32 = 1 << 16;

impl Moved {
    pub(crate) fn between(before: &HashRing, after: &HashRing) -> Self {
        let mut flows = BTreeMap::<(&str, &str), u128>::new();
        let mut add = |from, to, length: u128| {
            let (from, to) = (before.name(from), after.name(to));
            if from != to {
                *flows.entry((from, to)).or_default() += length;
            }
        };
        let arcs = before.comparable_stretches(after);
        let exact = arcs.is_some();
        let whole = match arcs {
            Some((before, after)) => {
                let (mut before, mut after) = (Arcs::of(&before), Arcs::of(&after));
                let mut start = 0u128;
                while start < CIRCLE {
                    let end = before.end().min(after.end());
                    add(before.owner(), after.owner(), end - start);
                    start = end;
                    before.go_past(end);
                    after.go_past(end);
                }
                CIRCLE
            }
            None => {
                for sample in 0..SAMPLES {
                    let key = format!("key:{sample}");
                    add(before.lookup(&key), after.lookup(&key), 1);
                }
                SAMPLES.into()
            }
        };
        let share = |length: u128| length as f64 / whole as f64;
        Self {
            total: share(flows.values().sum()),
            flows: flows
                .into_iter()
                .map(|((from, to), length)| Flow { from: from.into(), to: to.into(), share: share(length) })
                .collect(),
            exact,
        }
    }
}

/// The length of the whole circle.
pub(crate) const CIRCLE: u128 = 1 << 64;

/// A way along the stretches of a circle.
struct Arcs<'a> {
    stretches: &'a [(u64, u16)],
}

impl<'a> Arcs<'a> {
    fn of(stretches: &'a [(u64, u16)]) -> Self {
        Self { stretches }
    }

    /// The end of the current stretch: the first position that is not part of it.
    fn end(&self) -> u128 {
        self.stretches.first().map_or(CIRCLE, |&(last, _)| u128::from(last) + 1)
    }

    fn owner(&self) -> usize {
        self.stretches.first().map_or(0, |&(_, owner)| owner.into())
    }

    fn go_past(&mut self, end: u128) {
        if self.end() <= end {
            self.stretches = self.stretches.get(1..).unwrap_or_default();
        }
    }
}

/// The length of each stretch with its owner.
pub(crate) fn lengths(stretches: &[(u64, u16)]) -> impl Iterator<Item = (u128, u16)> {
    let ends = stretches.iter().map(|&(last, _)| u128::from(last) + 1);
    let starts = iter::once(0).chain(ends.clone());
    iter::zip(ends, starts).zip(stretches).map(|((end, start), &(_, owner))| (end - start, owner))
}

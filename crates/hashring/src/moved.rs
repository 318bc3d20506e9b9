//! What changes hands between two rings.

use std::collections::BTreeMap;

use crate::HashRing;

/// What changes owner when one ring replaces another. Made by [`HashRing::moved`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Moved {
    /// The share of the key space that changes owner, from 0 to 1.
    pub total: f64,
    /// From which node to which, in the order of their names.
    pub flows: Vec<Flow>,
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

impl Moved {
    pub(crate) fn between(before: &HashRing, after: &HashRing) -> Self {
        let mut ends: Vec<u64> =
            before.arcs().iter().chain(after.arcs().iter()).map(|(end, _)| end).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut previous = ends.last().copied().unwrap_or_default();
        let whole = ends.len() == 1;
        let mut lengths = BTreeMap::<(&str, &str), u128>::new();
        for end in ends {
            let length = if whole { 1 << 64 } else { u128::from(end.wrapping_sub(previous)) };
            previous = end;
            let from = before.name(before.lookup_hash(end));
            let to = after.name(after.lookup_hash(end));
            if from != to {
                *lengths.entry((from, to)).or_default() += length;
            }
        }
        Self {
            total: share(lengths.values().sum()),
            flows: lengths
                .into_iter()
                .map(|((from, to), length)| Flow { from: from.into(), to: to.into(), share: share(length) })
                .collect(),
        }
    }
}

/// A length on the circle as a share of it.
pub(crate) fn share(length: u128) -> f64 {
    length as f64 / 2f64.powi(64)
}

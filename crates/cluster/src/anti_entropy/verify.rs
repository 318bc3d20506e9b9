//! Verification: the nodes of a copy are compared, and the keys that differ are listed.

use std::fmt;
use std::ops::Deref;

use futures_util::future::join_all;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::plumbing::foreign;

use crate::anti_entropy::key_scan::BATCH;
use crate::anti_entropy::key_scan::Keys;
use crate::anti_entropy::key_scan::size;
use crate::anti_entropy::progress::Meter;
use crate::anti_entropy::progress::Progress;
use crate::anti_entropy::skipped::Skipped;
use crate::anti_entropy::throttle::Throttle;
use crate::anti_entropy::value;
use crate::anti_entropy::value::Compared;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::error::TooFewNodes;
use crate::error::debug::Shown;
use crate::error::debug::debug;

/// A key that is not the same on all nodes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// The nodes that do not have it.
    pub missing: Vec<String>,
    /// The nodes that hold something else than the first node that has it.
    pub other: Vec<String>,
}

/// What a [`Verify`] compared, and what it found: the differences, as a slice and one after the other.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "it says what differs, and which nodes were left out"]
pub struct Verified {
    /// The number of keys that were compared.
    pub compared: u64,
    /// The nodes that were compared, at least two.
    pub nodes: Vec<String>,
    /// The nodes that did not answer, with the reason: what they hold is not known.
    pub left_out: Vec<(String, node::Error)>,
    /// The keys that were not compared, because the user may not read them.
    pub skipped: Skipped,
    /// The keys that are not the same on all nodes that were compared, in order.
    pub differences: Vec<Difference>,
}

/// Compares all nodes of a copy; see [`RedisCopy::verify`](crate::RedisCopy::verify).
#[must_use = "it does nothing until it is run"]
pub struct Verify<'a> {
    copy: CopyEngine,
    rounds: usize,
    pace: Throttle,
    meter: Meter<'a>,
}

impl<'a> Verify<'a> {
    pub(crate) fn new(copy: CopyEngine) -> Self {
        Self { copy, rounds: 3, pace: Throttle::default(), meter: Meter::new(|_| {}) }
    }

    /// Sets how often a key that differs is looked at again before it counts: writes that are on their way make keys
    /// differ for a moment. Default 3.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// Sets how many keys are compared in a second at most. Default: as many as the servers answer.
    pub fn keys_per_second(mut self, keys: u32) -> Self {
        self.pace = Throttle::of(keys);
        self
    }

    /// Calls a function with the progress after every batch of keys.
    pub fn on_progress(mut self, f: impl FnMut(Progress) + Send + 'a) -> Self {
        self.meter = Meter::new(f);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Error::TooFewNodes`] if fewer than two nodes answer: there is nothing to compare. When a node that answered
    /// cannot be reached any more.
    pub async fn run(mut self) -> Result<Verified, Error> {
        let topology = &*self.copy.topology;
        let sizes = join_all(topology.nodes.iter().map(async |node| {
            node.ready().await?;
            size(node).await
        }));
        let (mut nodes, mut sizes_of, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        for (node, size) in topology.nodes.iter().zip(sizes.await) {
            match size {
                Ok(size) => {
                    nodes.push(node);
                    sizes_of.push(size);
                }
                Err(error) => left_out.push((node.name().to_owned(), error)),
            }
        }
        let names: Vec<String> = nodes.iter().map(|node| node.name().to_owned()).collect();
        if nodes.len() < 2 {
            let errors = left_out.into_iter().map(|(_, error)| error).collect();
            let too_few = TooFewNodes { command: "verify", wanted: 2, answered: names, errors };
            return Err(Error::TooFewNodes(Box::new(too_few)));
        }
        self.meter.begin(sizes_of.iter().copied().max().unwrap_or(0), sizes_of.iter().sum());
        let (mut compared, mut suspects) = (0, Vec::new());
        let mut skipped = Skipped::default();
        for (i, node) in nodes.iter().enumerate() {
            let mut skipped_here = Skipped::default();
            let mut denied = |key: &[u8], error: &node::Error| {
                skipped_here.add(key, || topology.reason(key, error));
            };
            let mut keys = Keys::of(&self.copy, node);
            // What an earlier node has was compared with that node's keys.
            let earlier = nodes.get(..i).unwrap_or_default();
            while let Some((n_keys, batch)) = keys.next_but(earlier, &mut denied).await? {
                let (found, n_compared) = differences(&nodes, batch, &mut denied).await?;
                compared += n_compared;
                suspects.extend(found);
                self.meter.step(n_keys, suspects.len() as u64);
                self.pace.wait(n_keys).await;
            }
            if skipped.n_keys < skipped_here.n_keys {
                skipped = skipped_here;
            }
        }
        for _ in 1..self.rounds {
            if suspects.is_empty() {
                break;
            }
            let keys: Vec<Vec<u8>> =
                suspects.drain(..).map(|difference: Difference| difference.key).collect();
            for batch in keys.chunks(BATCH) {
                suspects.extend(differences(&nodes, batch.to_vec(), |_, _| ()).await?.0);
            }
        }
        suspects.sort_by(|a, b| a.key.cmp(&b.key));
        suspects.dedup();
        self.meter.end(suspects.len() as u64);
        Ok(Verified { compared, nodes: names, left_out, skipped, differences: suspects })
    }
}

impl Deref for Verified {
    type Target = [Difference];

    fn deref(&self) -> &[Difference] {
        &self.differences
    }
}

impl IntoIterator for Verified {
    type Item = Difference;
    type IntoIter = std::vec::IntoIter<Difference>;

    fn into_iter(self) -> Self::IntoIter {
        self.differences.into_iter()
    }
}

impl<'a> IntoIterator for &'a Verified {
    type Item = &'a Difference;
    type IntoIter = std::slice::Iter<'a, Difference>;

    fn into_iter(self) -> Self::IntoIter {
        self.differences.iter()
    }
}

/// By what differs.
impl<T> PartialEq<T> for Verified
where
    Vec<Difference>: PartialEq<T>,
{
    fn eq(&self, other: &T) -> bool {
        self.differences == *other
    }
}

/// Compares keys on all nodes, each node with the first one that has the key; calls a function with those that this user
/// may not read on some node. Returns the differences, and how many keys were compared.
pub(crate) async fn differences(
    nodes: &[&Node],
    keys: Vec<Vec<u8>>,
    denied: impl FnMut(&[u8], &node::Error),
) -> Result<(Vec<Difference>, u64), Error> {
    let sizes = value::sizes(nodes, &keys).await?;
    differences_of(nodes, keys, &sizes, denied).await
}

/// The same of keys whose sizes are known.
pub(crate) async fn differences_of(
    nodes: &[&Node],
    keys: Vec<Vec<u8>>,
    sizes: &[u64],
    mut denied: impl FnMut(&[u8], &node::Error),
) -> Result<(Vec<Difference>, u64), Error> {
    let (looks, compared) = value::read_and_compare(nodes, &keys, sizes, Limits::DEFAULT).await?;
    let (mut found, mut n_compared) = (Vec::new(), 0);
    for (at, (key, compared)) in keys.into_iter().zip(compared).enumerate() {
        let first = match compared {
            Compared::First(first) => first,
            Compared::Denied(error) => {
                denied(&key, &error);
                continue;
            }
        };
        n_compared += 1;
        let is_missing =
            |place: usize| matches!(looks.get(place).and_then(|look| look.get(at)), Some(Snapshot::Missing));
        let names = |is_one: &dyn Fn(usize) -> bool| -> Vec<String> {
            let named = nodes.iter().enumerate().filter(|(place, _)| is_one(*place));
            named.map(|(_, node)| node.name().to_owned()).collect()
        };
        let Some(present) = (0..nodes.len()).find(|place| !is_missing(*place)) else { continue };
        let missing = names(&is_missing);
        let other = names(&|place| !is_missing(place) && first.get(place) != Some(&present));
        if !missing.is_empty() || !other.is_empty() {
            found.push(Difference { key, missing, other });
        }
    }
    Ok((found, n_compared))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", foreign::bytes(&self.key))?;
        if !self.missing.is_empty() {
            write!(f, " is missing on {}", self.missing.join(", "))?;
        }
        if !self.other.is_empty() {
            write!(f, " is something else on {}", self.other.join(", "))?;
        }
        Ok(())
    }
}

debug!(Difference { key = Shown(key), missing, other });

impl fmt::Debug for Verify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_somebody_else_chose_is_shown_escaped_and_cut() {
        let key = b"\x1b[2J\n".repeat(1 << 20);
        let difference = Difference { key, missing: vec!["a".to_owned()], other: vec!["b".to_owned()] };
        for shown in [difference.to_string(), format!("{difference:?}"), format!("{:#?}", [&difference])] {
            assert!(shown.contains("..(5242880 bytes)") && shown.len() < 500, "{}", shown.len());
            assert!(!shown.contains('\u{1b}'), "{shown}");
        }
    }
}

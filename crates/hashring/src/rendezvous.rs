//! Rendezvous hashing: every node has a score for every key, and the highest wins.

use std::cmp::Reverse;

/// The hashes of the nodes' names, which give their scores together with the hash of a key
/// ([Thaler and Ravishankar, 1998](https://www.eecs.umich.edu/techreports/cse/96/CSE-TR-316-96.pdf)).
#[derive(Clone, Debug)]
pub(crate) struct Rendezvous(Box<[u64]>);

impl Rendezvous {
    pub(crate) fn new(nodes: impl Iterator<Item = u64>) -> Self {
        Self(nodes.collect())
    }

    /// The node that owns a hash.
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        self.next(hash, None).map_or(0, |(_, node)| node)
    }

    /// The node with the highest score below that of `last`; of equal scores the lower index comes first.
    pub(crate) fn next(&self, hash: u64, last: Option<(u64, u16)>) -> Option<(u64, u16)> {
        let order = |(score, node): (u64, u16)| (score, Reverse(node));
        (0..)
            .zip(&self.0)
            .map(|(node, seed)| (score(seed ^ hash), node))
            .filter(|&candidate| last.is_none_or(|last| order(candidate) < order(last)))
            .max_by_key(|&candidate| order(candidate))
    }

    /// All nodes, in an order that depends on nothing else.
    pub(crate) fn equal_shares(&self) -> Vec<u16> {
        let mut nodes: Vec<(u64, u16)> = self.0.iter().copied().zip(0..).collect();
        nodes.sort_unstable();
        nodes.into_iter().map(|(_, node)| node).collect()
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

/// The mixer of [xorshift64*](https://arxiv.org/abs/1402.6246), which go-redis takes for the score.
fn score(mut x: u64) -> u64 {
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    x.wrapping_mul(2_685_821_657_736_338_717)
}

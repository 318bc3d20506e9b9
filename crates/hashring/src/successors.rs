//! The nodes of a key, in order of preference.

use std::iter::FusedIterator;

use crate::placement::{Placement, Walk};

/// The distinct nodes in the order in which they would own a key. Made by
/// [`HashRing::successors`](crate::HashRing::successors).
///
/// The iterator walks the ring only as far as it is asked to, and allocates nothing for the first eight
/// nodes.
#[derive(Clone, Debug)]
pub struct Successors<'ring> {
    walk: Walk<'ring>,
    nodes: usize,
    seen: Seen,
}

impl<'ring> Successors<'ring> {
    pub(crate) fn new(placement: &'ring Placement, nodes: usize, hash: u64) -> Self {
        Self { walk: placement.walk(hash), nodes, seen: Seen::default() }
    }
}

impl Iterator for Successors<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.seen.len() == self.nodes {
            return None; // or the walk would go all around to find nobody new
        }
        let seen = &mut self.seen;
        self.walk.find(|&node| seen.insert(node)).map(usize::from)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.nodes - self.seen.len()))
    }
}

impl FusedIterator for Successors<'_> {}

/// The nodes already met: the first few in place, more of them in a bit set.
#[derive(Clone, Debug, Default)]
struct Seen {
    few: [u16; 8],
    n_few: usize,
    more: Vec<u64>,
    n_more: usize,
}

impl Seen {
    fn len(&self) -> usize {
        self.n_few + self.n_more
    }

    /// Returns whether the node is new.
    fn insert(&mut self, node: u16) -> bool {
        if self.few.iter().take(self.n_few).any(|&seen| seen == node) {
            return false;
        }
        if let Some(place) = self.few.get_mut(self.n_few) {
            *place = node;
            self.n_few += 1;
            return true;
        }
        let (word, bit) = (usize::from(node / 64), 1 << (node % 64));
        if self.more.len() <= word {
            self.more.resize(word + 1, 0);
        }
        let Some(word) = self.more.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        self.n_more += usize::from(new);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn a_node_is_new_once() {
        let mut seen = Seen::default();
        for node in (0..1000).rev() {
            assert!(seen.insert(node));
        }
        assert!((0..1000).all(|node| !seen.insert(node)));
        assert_eq!(seen.len(), 1000);
    }
}

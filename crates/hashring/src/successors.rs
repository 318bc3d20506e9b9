//! The nodes of a key, in order of preference.

use crate::arcs::Arcs;

/// The distinct nodes met on the way around the ring, starting with the owner of the key.
///
/// Lazy: the walk goes only as far as it is asked to.
#[derive(Clone, Debug)]
pub struct Successors<'ring> {
    arcs: &'ring Arcs,
    nodes: usize,
    arc: usize,
    walked: usize,
    seen: Seen,
}

impl<'ring> Successors<'ring> {
    pub(crate) fn new(arcs: &'ring Arcs, nodes: usize, hash: u64) -> Self {
        Self { arcs, nodes, arc: arcs.find(hash), walked: 0, seen: Seen::default() }
    }
}

impl Iterator for Successors<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.seen.len() < self.nodes && self.walked < self.arcs.len() {
            let node = self.arcs.owner(self.arc);
            self.walked += 1;
            self.arc = if self.arc + 1 < self.arcs.len() { self.arc + 1 } else { 0 };
            if self.seen.insert(node) {
                return Some(node);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.nodes - self.seen.len()))
    }
}

impl std::iter::FusedIterator for Successors<'_> {}

/// The nodes already met: the first few in place, more of them on the heap.
#[derive(Clone, Debug, Default)]
struct Seen {
    few: [u16; 8],
    n_few: usize,
    more: Vec<u16>,
}

impl Seen {
    fn len(&self) -> usize {
        self.n_few + self.more.len()
    }

    fn insert(&mut self, node: usize) -> bool {
        let node = node as u16;
        if self.few.iter().take(self.n_few).any(|&seen| seen == node) || self.more.contains(&node) {
            return false;
        }
        match self.few.get_mut(self.n_few) {
            Some(place) => {
                *place = node;
                self.n_few += 1;
            }
            None => self.more.push(node),
        }
        true
    }
}

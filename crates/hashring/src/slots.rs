//! The simplest placement: a list of nodes, taken modulo its length.

/// A list of nodes; a key belongs to the one at its hash modulo the length of the list.
///
/// The hash has 32 bits, and they are the upper half of ours.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Box<[u16]>);

impl Slots {
    /// Each node as many times in a row as its weight says.
    pub(crate) fn new(nodes: impl Iterator<Item = (u16, u64)>) -> Self {
        Self(nodes.flat_map(|(node, weight)| (0..weight).map(move |_| node)).collect())
    }

    /// The node that owns a hash.
    pub(crate) fn owner(&self, hash: u64) -> u16 {
        self.nth(hash, 0).unwrap_or_default()
    }

    /// The node some slots after that of a hash, until all have been passed.
    pub(crate) fn nth(&self, hash: u64, passed: usize) -> Option<u16> {
        let slot = (hash >> 32).checked_rem(self.0.len() as u64)? as usize;
        let (before, from) = self.0.split_at_checked(slot)?;
        from.iter().chain(before).nth(passed).copied()
    }

    /// Each entry is an equal share.
    pub(crate) fn equal_shares(&self) -> Vec<u16> {
        self.0.to_vec()
    }

    /// The bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

//! The ring: from a key to a node.

use std::collections::BTreeSet;

use twox_hash::XxHash3_64;

use crate::{
    BuildError, Builder, HashTag, Member, Moved, RingConfig, Successors, fingerprint, moved,
    placement::{Placement, Stretches},
    points,
    table::Table,
};

/// The nodes a ring can number.
const MAX_NODES: usize = u16::MAX as usize;
/// The points a ring can hold.
const MAX_POINTS: u64 = 1 << 27;

/// A consistent-hash ring over named, weighted nodes.
///
/// A ring never changes; to change the nodes, build another and compare with [`moved`](Self::moved).
#[derive(Clone, Debug)]
pub struct HashRing {
    config: RingConfig,
    placement: Placement,
}

impl HashRing {
    /// Starts a ring without nodes.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(config: RingConfig) -> Result<Self, BuildError> {
        check(&config.nodes)?;
        Ok(Self { placement: Placement::Table(Table::new(&config.nodes)), config })
    }

    /// The node that owns `key`, as an index in the order the nodes were given.
    #[inline]
    #[must_use]
    pub fn lookup(&self, key: impl AsRef<[u8]>) -> usize {
        self.lookup_hash(self.hash(key))
    }

    /// The node that owns the keys with this [`hash`](Self::hash).
    #[inline]
    #[must_use]
    pub fn lookup_hash(&self, hash: u64) -> usize {
        self.placement.owner(hash).into()
    }

    /// The position of `key` on the circle: the hash of its [`tag`](Self::tag).
    #[inline]
    #[must_use]
    pub fn hash(&self, key: impl AsRef<[u8]>) -> u64 {
        XxHash3_64::oneshot(self.config.hash_tag.of(key.as_ref()))
    }

    /// The part of `key` that is hashed.
    #[inline]
    #[must_use]
    pub fn tag<'key>(&self, key: &'key (impl AsRef<[u8]> + ?Sized)) -> &'key [u8] {
        self.config.hash_tag.of(key.as_ref())
    }

    /// All nodes in the order in which they would own `key`: the owner, then the one that would own it
    /// without the owner, and so on.
    #[must_use]
    pub fn successors(&self, key: impl AsRef<[u8]>) -> Successors<'_> {
        Successors::new(&self.placement, self.len(), self.hash(key))
    }

    /// The first `r` nodes of [`successors`](Self::successors), or all nodes if there are fewer.
    pub fn replicas(&self, key: impl AsRef<[u8]>, r: usize) -> impl Iterator<Item = usize> + '_ {
        self.successors(key).take(r)
    }

    /// The number of nodes.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a ring has at least one node")]
    pub fn len(&self) -> usize {
        self.config.nodes.len()
    }

    /// The name of a node; empty if there is no such index.
    #[must_use]
    pub fn name(&self, node: usize) -> &str {
        self.config.nodes.get(node).map_or("", |node| &node.name)
    }

    /// The names of all nodes, in the order they were given.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        self.config.nodes.iter().map(|node| node.name.as_str())
    }

    /// The weight of a node; 0 if there is no such index.
    #[must_use]
    pub fn weight(&self, node: usize) -> f64 {
        self.config.nodes.get(node).map_or(0.0, |node| node.weight)
    }

    /// Which part of a key is hashed.
    #[must_use]
    pub fn hash_tag(&self) -> &HashTag {
        &self.config.hash_tag
    }

    /// The memory that the placement takes, in bytes, without names.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.placement.bytes()
    }

    /// Everything that decides where keys land.
    #[must_use]
    pub fn config(&self) -> &RingConfig {
        &self.config
    }

    /// The share of the key space that each node owns, from 0 to 1, exactly.
    ///
    /// Layouts without arcs are the exception: there it is what the weights say.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut lengths = vec![0u128; self.len()];
        match self.placement.stretches() {
            Some(stretches) => {
                for (length, owner) in moved::lengths(&stretches) {
                    if let Some(sum) = lengths.get_mut(usize::from(owner)) {
                        *sum += length;
                    }
                }
                lengths.into_iter().map(|length| length as f64 / moved::CIRCLE as f64).collect()
            }
            None => {
                let total: f64 = self.config.nodes.iter().map(|node| node.weight).sum();
                self.config.nodes.iter().map(|node| node.weight / total).collect()
            }
        }
    }

    /// What changes owner when `after` takes the place of this ring, by the names of the nodes.
    ///
    /// Adding a node moves keys only to it, and removing a node moves only its keys.
    /// If the two rings disagree on [`hash_tag`](Self::hash_tag), further keys that have tags move.
    #[must_use]
    pub fn moved(&self, after: &HashRing) -> Moved {
        Moved::between(self, after)
    }

    /// A number that is equal for two rings exactly when every key lands on a node of the same name.
    ///
    /// Compare it between the programs that share the nodes: it does not depend on the order of the nodes,
    /// on the machine, or on the version of this crate. (Different rings collide as any 64-bit hashes do.)
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint::of(self)
    }

    /// The arcs of this ring and of another, if both place a key at the same hash.
    pub(crate) fn comparable_stretches(&self, other: &Self) -> Option<(Stretches, Stretches)> {
        Some((self.placement.stretches()?, other.placement.stretches()?))
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.placement
    }
}

fn check(nodes: &[Member]) -> Result<(), BuildError> {
    if nodes.is_empty() {
        return Err(BuildError::Empty);
    }
    if nodes.len() > MAX_NODES {
        return Err(BuildError::TooManyNodes { nodes: nodes.len(), limit: MAX_NODES });
    }
    let mut names = BTreeSet::new();
    let mut total = 0u64;
    for Member { name, weight, .. } in nodes {
        if *weight == 0.0 {
            return Err(BuildError::ZeroWeight { name: name.clone() });
        }
        if !weight.is_finite() || *weight < 0.0 {
            return Err(BuildError::InvalidWeight { name: name.clone(), weight: *weight });
        }
        if !names.insert(name) {
            return Err(BuildError::DuplicateName { name: name.clone() });
        }
        total = total.saturating_add(points::count(*weight));
    }
    if total > MAX_POINTS {
        return Err(BuildError::TooManyPoints { points: total, limit: MAX_POINTS });
    }
    Ok(())
}

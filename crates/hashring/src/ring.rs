//! The ring: from a key to a node.

use std::collections::BTreeSet;

use crate::{
    BuildError, Builder, HashTag, Member, Moved, RingConfig, Successors, fingerprint,
    key_hash::KeyHash,
    layout::{Layout, Plan},
    moved,
    placement::Placement,
    stretches::Stretches,
};

/// The nodes a ring can number.
const MAX_NODES: usize = u16::MAX as usize;
/// The points a ring can hold.
const MAX_POINTS: u64 = 1 << 27;

/// A consistent-hash ring over named, weighted nodes. Made by [`builder`](Self::builder), or of a
/// [`RingConfig`] by its [`build`](RingConfig::build).
///
/// A ring never changes; to change the nodes, build another and compare with [`moved`](Self::moved).
#[derive(Clone, Debug)]
pub struct HashRing {
    key_hash: KeyHash,
    hash_tag: HashTag,
    placement: Placement,
    config: RingConfig,
}

impl HashRing {
    /// Starts a ring without nodes.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(config: RingConfig) -> Result<Self, BuildError> {
        check(config.layout, &config.nodes)?;
        let Plan { key_hash, placement } = config.layout.plan(&config.nodes);
        let hash_tag = config.hash_tag.unwrap_or(config.layout.hash_tag());
        Ok(Self { key_hash, hash_tag, placement, config })
    }

    /// The node that owns `key`, as an index in the order the nodes were given.
    #[inline(always)] // a call would be a third of its cost
    #[must_use]
    pub fn lookup(&self, key: impl AsRef<[u8]>) -> usize {
        self.lookup_hash(self.hash(key))
    }

    /// The node that owns the keys with this [`hash`](Self::hash).
    #[inline(always)] // a call would be a third of its cost
    #[must_use]
    pub fn lookup_hash(&self, hash: u64) -> usize {
        self.placement.owner(hash).into()
    }

    /// The position of `key` on the circle: the hash of its [`tag`](Self::tag).
    #[inline(always)] // a call would be a third of its cost
    #[must_use]
    pub fn hash(&self, key: impl AsRef<[u8]>) -> u64 {
        self.key_hash.of(self.hash_tag.of(key.as_ref()))
    }

    /// The part of `key` that is hashed.
    #[inline]
    #[must_use]
    pub fn tag<'key>(&self, key: &'key (impl AsRef<[u8]> + ?Sized)) -> &'key [u8] {
        self.hash_tag.of(key.as_ref())
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

    /// The rule for the part of a key that is hashed.
    #[must_use]
    pub fn hash_tag(&self) -> &HashTag {
        &self.hash_tag
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
    /// A share is that of all hashes; of layouts without arcs (modula, go-redis), the mean over all rings.
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
                let equal = self.placement.equal_shares();
                for &owner in &equal {
                    if let Some(sum) = lengths.get_mut(usize::from(owner)) {
                        *sum += 1;
                    }
                }
                lengths.into_iter().map(|length| length as f64 / equal.len() as f64).collect()
            }
        }
    }

    /// The shares that change owner when `after` takes the place of this ring, by the names of the nodes.
    ///
    /// Adding a node moves keys only to it, and removing a node moves only its keys.
    /// If the two rings disagree on [`hash_tag`](Self::hash_tag), further keys that have tags move.
    #[must_use]
    pub fn moved(&self, after: &HashRing) -> Moved {
        Moved::between(self, after)
    }

    /// A number that is equal for two rings exactly when every key lands on a node of the same name.
    ///
    /// Compare the fingerprint between the programs that share the nodes. The order of the nodes, the machine
    /// and the version of this crate do not change it. (Different rings collide as any 64-bit hashes do.)
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        fingerprint::of(self)
    }

    /// The arcs of this ring and of another, if both place a key at the same hash.
    pub(crate) fn comparable_stretches(&self, other: &Self) -> Option<(Stretches, Stretches)> {
        if self.key_hash != other.key_hash {
            return None;
        }
        Some((self.placement.stretches()?, other.placement.stretches()?))
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.placement
    }

    pub(crate) fn key_hash(&self) -> KeyHash {
        self.key_hash
    }
}

fn check(layout: Layout, nodes: &[Member]) -> Result<(), BuildError> {
    if nodes.len() > MAX_NODES {
        return Err(BuildError::TooManyNodes { nodes: nodes.len(), limit: MAX_NODES });
    }
    let mut names = BTreeSet::new();
    let mut points = 0u64;
    for node in nodes {
        layout.check(node)?;
        if !names.insert(&node.name) {
            return Err(BuildError::DuplicateName { name: node.name.clone() });
        }
        points = points.saturating_add(layout.size(node.weight));
    }
    if points > MAX_POINTS {
        return Err(BuildError::TooManyPoints { points, limit: MAX_POINTS });
    }
    // A layout that lets single nodes have nothing still needs one that has something.
    match nodes.iter().find(|node| node.weight > 0.0).or(nodes.first()) {
        None => Err(BuildError::Empty),
        Some(node) if node.weight == 0.0 => Err(BuildError::ZeroWeight { name: node.name.clone() }),
        Some(_) => Ok(()),
    }
}

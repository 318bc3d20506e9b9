//! The ring: from a key to a node.

use std::collections::BTreeSet;

use twox_hash::XxHash3_64;

use crate::{BuildError, Builder, HashTag, Member, Moved, RingConfig, Successors, arcs::Arcs, moved, points};

/// The nodes a ring can number.
const MAX_NODES: usize = u16::MAX as usize + 1;
/// The points a ring can hold.
const MAX_POINTS: u64 = 1 << 26;

/// A consistent-hash ring over named, weighted nodes.
///
/// A ring never changes; to change the nodes, build another and compare with [`moved`](Self::moved).
#[derive(Clone, Debug)]
pub struct HashRing {
    config: RingConfig,
    arcs: Arcs,
}

impl HashRing {
    /// Starts a ring without nodes.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(config: RingConfig) -> Result<Self, BuildError> {
        check(&config.nodes)?;
        let mut by_name: Vec<(u16, &Member)> = (0..).zip(&config.nodes).collect();
        by_name.sort_by_key(|(_, node)| node.name.as_str());
        let mut all = Vec::new();
        for (index, node) in by_name {
            all.extend(points::of(&node.name, points::count(node.weight)).map(|point| (point, index)));
        }
        Ok(Self { arcs: Arcs::from_points(all), config })
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
        self.arcs.owner(self.arcs.find(hash))
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
        Successors::new(&self.arcs, self.len(), self.hash(key))
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

    /// Everything that decides where keys land.
    #[must_use]
    pub fn config(&self) -> &RingConfig {
        &self.config
    }

    /// The exact share of the key space that each node owns, from 0 to 1.
    #[must_use]
    pub fn shares(&self) -> Vec<f64> {
        let mut lengths = vec![0u128; self.len()];
        let mut previous = self.arcs.iter().last().map_or(0, |(end, _)| end);
        for (end, owner) in self.arcs.iter() {
            if let Some(length) = lengths.get_mut(owner) {
                *length += u128::from(end.wrapping_sub(previous));
            }
            previous = end;
        }
        if self.arcs.len() == 1 {
            lengths.fill(1 << 64);
        }
        lengths.into_iter().map(moved::share).collect()
    }

    /// What changes owner when `after` takes the place of this ring, by the names of the nodes.
    #[must_use]
    pub fn moved(&self, after: &HashRing) -> Moved {
        Moved::between(self, after)
    }

    /// A number that is equal for two rings exactly when every key lands on a node of the same name.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut state = XxHash3_64::oneshot(format!("{:?}", self.config.hash_tag).as_bytes());
        for (end, owner) in self.arcs.iter() {
            state = XxHash3_64::oneshot_with_seed(state, &end.to_le_bytes());
            state = XxHash3_64::oneshot_with_seed(state, self.name(owner).as_bytes());
        }
        state
    }

    pub(crate) fn arcs(&self) -> &Arcs {
        &self.arcs
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

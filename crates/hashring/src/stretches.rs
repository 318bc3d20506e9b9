//! The stretches of the circle, each with its owner.

/// Stretches of the circle with one owner each, as last hash and owner, in ascending order. There is no gap
/// from hash 0 to the last hash, and neighbors have different owners.
pub(crate) type Stretches = Vec<(u64, u16)>;

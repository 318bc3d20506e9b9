//! The points of the default layout.

use twox_hash::XxHash3_64;

/// Points per unit of weight.
const POINTS: f64 = 160.0;

/// How many points a node of this weight has: at least one.
pub(crate) fn count(weight: f64) -> u64 {
    ((weight * POINTS).round() as u64).max(1)
}

/// The points of the node `name`.
pub(crate) fn of(name: &str, count: u64) -> impl Iterator<Item = u64> {
    let identity = XxHash3_64::oneshot(name.as_bytes());
    (0..count).map(move |i| XxHash3_64::oneshot_with_seed(identity, &i.to_le_bytes()))
}

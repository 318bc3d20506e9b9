//! The fingerprint of a placement: one number for where all keys land.

use twox_hash::XxHash3_64;

use crate::{HashRing, HashTag, key_hash::KeyHash};

/// Hashes what decides where keys land, and nothing else: not the order of the nodes, not how
/// the arcs came about.
pub(crate) fn of(ring: &HashRing) -> u64 {
    let stretches = ring.placement().stretches().unwrap_or_default();
    let equal_shares = ring.placement().equal_shares();
    let mut fingerprint = Fingerprint(0);
    let mut owners = stretches.iter().map(|stretch| stretch.1).chain(equal_shares.iter().copied());
    let first = owners.next().unwrap_or_default();
    if owners.all(|owner| owner == first) {
        // Whatever is hashed, it lands here.
        fingerprint.add(ring.name(first.into()).as_bytes());
        return fingerprint.0;
    }
    match ring.key_hash() {
        KeyHash::Xxh3 => {}
        #[cfg(feature = "layouts")]
        other => fingerprint.add(format!("{other:?}").as_bytes()),
    }
    match *ring.hash_tag() {
        HashTag::None => fingerprint.add(b"whole key"),
        HashTag::Cluster => fingerprint.add(b"{}"),
        HashTag::Delimiters { open, close } => fingerprint.add(&[open, close]),
        #[cfg(feature = "layouts")]
        other => fingerprint.add(format!("{other:?}").as_bytes()),
    }
    for (last, owner) in stretches {
        fingerprint.add(&last.to_le_bytes());
        fingerprint.add(ring.name(owner.into()).as_bytes());
    }
    for owner in equal_shares {
        fingerprint.add(ring.name(owner.into()).as_bytes());
    }
    fingerprint.0
}

struct Fingerprint(u64);

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, bytes);
    }
}

//! Which process of a server calls may go to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// No connection is of this incarnation: each has counted from 0.
const NOBODY: u64 = u64::MAX;

/// Which process of a server is given the calls of a [`Node`](crate::Node) handle; see
/// [`Node::admitting`](crate::Node::admitting). A cheap handle: clones are the same admission.
///
/// An address is not a server: after a restart, a failover or a change of a name another process answers there. Whoever
/// has to look at it first admits it after that.
#[derive(Debug, Clone)]
pub struct Admission(Arc<AtomicU64>);

impl Admission {
    /// Admits nobody yet.
    pub fn nobody() -> Self {
        Self::to(NOBODY)
    }

    /// Admits the process of this [incarnation](crate::Node::incarnation).
    pub fn to(incarnation: u64) -> Self {
        Self(Arc::new(AtomicU64::new(incarnation)))
    }

    /// Admits the process of this incarnation, and no other, from now on.
    pub fn admit(&self, incarnation: u64) {
        self.0.store(incarnation, Ordering::Release);
    }

    /// Admits nobody from now on.
    pub fn deny(&self) {
        self.admit(NOBODY);
    }

    /// Returns whether it admits the process of this incarnation.
    pub fn admits(&self, incarnation: u64) -> bool {
        self.0.load(Ordering::Acquire) == incarnation
    }
}

//! The fence of a node handle: which process of the server calls may go to.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// No connection is of this incarnation: each has counted from 0.
const NOBODY: u64 = u64::MAX;

/// Lets the calls of a [`Node`](crate::Node) handle through to one process of its server, or to none; see
/// [`Node::fenced`](crate::Node::fenced). A cheap handle: clones are the same fence.
///
/// An address is not a server: after a restart, a failover or a change of a name another process answers
/// there. Whoever has to look at that process first opens the fence to it afterwards.
#[derive(Debug, Clone)]
pub struct Fence(Arc<AtomicU64>);

impl Fence {
    /// Returns a fence that admits nobody yet.
    pub fn closed() -> Self {
        Self::open_to(NOBODY)
    }

    /// Returns a fence that admits the process of this [incarnation](crate::Node::incarnation).
    pub fn open_to(incarnation: u64) -> Self {
        Self(Arc::new(AtomicU64::new(incarnation)))
    }

    /// Admits the process of this incarnation, and no other, from now on.
    pub fn admit(&self, incarnation: u64) {
        self.0.store(incarnation, Ordering::Release);
    }

    /// Admits nobody from now on.
    pub fn close(&self) {
        self.admit(NOBODY);
    }

    /// Returns whether it admits the process of this incarnation.
    pub fn admits(&self, incarnation: u64) -> bool {
        self.0.load(Ordering::Acquire) == incarnation
    }
}

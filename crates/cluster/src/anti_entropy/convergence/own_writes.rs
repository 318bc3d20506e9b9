//! The writes of this process, as a source of dirty keys: where a server does not tell what changes, each process compares the keys that
//! it has written itself.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::anti_entropy::convergence::TICK;
use crate::anti_entropy::convergence::dirty::Size;
use crate::anti_entropy::convergence::dirty::Told;
use crate::anti_entropy::convergence::work::Work;
use crate::anti_entropy::key_scan::BATCH;
use crate::engine::copy::CopyEngine;

/// The keys that this process has written, while a server does not tell what changes.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    are_noted: AtomicBool,
    work: Work,
}

impl OwnWrites {
    /// This process has written these keys, or may have.
    pub(crate) fn note<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        if self.are_noted.load(Ordering::Relaxed) {
            keys.for_each(|key| self.work.change(key, Told::default()));
        }
    }
}

impl CopyEngine {
    /// Compares the keys that this process has written and that are quiet, while the process that leads is not told what changes,
    /// forever.
    pub(super) async fn converge_own_writes(&self) {
        let (own, quiet) = (&self.topology.lasting.own_writes, self.topology.quiet());
        let followed = tokio::sync::Mutex::new(self.nobody_followed());
        loop {
            own.are_noted.store(self.is_leader_deaf(), Ordering::Relaxed);
            // Large values are compared one after the other, as they are by the process that leads.
            for (size, most) in [(Size::Small, BATCH), (Size::Large, 1)] {
                let due = own.work.take_quiet(size, quiet, most);
                if !due.is_empty() {
                    self.converge_some((&due, size), &followed, &own.work).await;
                }
            }
            tokio::time::sleep(TICK * 5).await;
        }
    }
}

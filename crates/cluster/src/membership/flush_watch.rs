//! The flush watch: a server tells each process at once that all its keys were removed, so that nothing is believed there
//! that was built up since.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use redisdb_node::Changes;

use crate::engine::copy::CopyEngine;
use crate::membership::identity::Identity;

/// A server that cannot be reached is asked again after this time to tell of flushes ..
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// .. and one that does not let this user be told after this time.
const ASK_AGAIN_IF_REFUSED: Duration = Duration::from_secs(30);

/// The flushes that a server has told of, and those after which its marker was looked at.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    told: AtomicU64,
    seen: AtomicU64,
}

impl Flushes {
    /// The server may have been flushed.
    fn tell(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
    }

    /// How often the server may have been flushed until now.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// The marker was looked at, and conclusions were drawn, when the server had told of so many.
    pub(crate) fn saw(&self, told: u64) {
        self.seen.fetch_max(told, Ordering::AcqRel);
    }

    /// Returns whether the server may have been flushed since its marker was looked at.
    pub(crate) fn are_unseen(&self) -> bool {
        self.seen.load(Ordering::Acquire) < self.told()
    }
}

impl CopyEngine {
    /// Hears of the flushes of all nodes, forever. Only a marker shows what a flush has removed, so a copy without an identity
    /// hears of none.
    pub(crate) async fn watch_flushes(&self) {
        let Some(identity) = &self.topology.identity else { return };
        join_all((0..self.topology.nodes.len()).map(|idx| self.watch_flushes_of(idx, identity))).await;
    }

    async fn watch_flushes_of(&self, idx: usize, identity: &Identity) {
        let member = self.topology.nodes.member(idx);
        loop {
            // The names of keys are not wanted.
            match member.node().changes_quietly(vec![identity.trial().into_bytes()]).await {
                Ok(mut feed) => loop {
                    match feed.next().await {
                        Changes::Unknown(_) => member.flushes().tell(),
                        Changes::Refused(error) => self.topology.tell_refused(&error, None),
                        _ => {}
                    }
                },
                Err(error) => {
                    self.topology.tell_refused(&error, None);
                    let is_refused = error.is_unsupported() || error.code().is_some();
                    tokio::time::sleep(if is_refused { ASK_AGAIN_IF_REFUSED } else { ASK_AGAIN }).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_that_is_told_while_the_marker_is_looked_at_is_still_unseen() {
        let flushes = Flushes::default();
        assert!(!flushes.are_unseen());
        flushes.tell();
        let told = flushes.told();
        assert!(flushes.are_unseen());
        flushes.tell();
        flushes.saw(told);
        assert!(flushes.are_unseen());
        flushes.saw(flushes.told());
        flushes.saw(told);
        assert!(!flushes.are_unseen());
    }
}

//! The marker watch: a server tells each process at once that its marker has changed or is gone. It is gone after a flush: then
//! nothing is believed that was built up there since. It changes when the first hint about another node comes to stand there.

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

/// The number of times that a server has told of something, now and when this process looked there last.
#[derive(Debug, Default)]
pub(crate) struct News {
    told: AtomicU64,
    seen: AtomicU64,
}

impl News {
    /// The server tells of it once more.
    fn tell(&self) {
        self.told.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the number of times that the server has told of it until now.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// This process has looked, and drawn its conclusions, when the server had told of it so often.
    pub(crate) fn saw(&self, told: u64) {
        self.seen.fetch_max(told, Ordering::AcqRel);
    }

    /// Returns whether the server has told of it since this process looked.
    pub(crate) fn are_unseen(&self) -> bool {
        self.seen.load(Ordering::Acquire) < self.told()
    }
}

impl CopyEngine {
    /// Hears of what becomes of the markers of all nodes, forever. A copy without an identity has none.
    pub(crate) async fn watch_markers(&self) {
        let Some(identity) = &self.topology.identity else { return };
        join_all((0..self.topology.nodes.len()).map(|idx| self.watch_marker_of(idx, identity))).await;
    }

    async fn watch_marker_of(&self, idx: usize, identity: &Identity) {
        let member = self.topology.nodes.member(idx);
        loop {
            match member.node().changes_quietly(vec![identity.marker().into_bytes()]).await {
                Ok(mut feed) => loop {
                    match feed.next().await {
                        Changes::Keys(_) => member.new_hints().tell(),
                        Changes::Unknown(_) => {
                            member.flushes().tell();
                            member.new_hints().tell();
                        }
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
    fn what_is_told_while_this_process_looks_is_still_unseen() {
        let news = News::default();
        assert!(!news.are_unseen());
        news.tell();
        let told = news.told();
        assert!(news.are_unseen());
        news.tell();
        news.saw(told);
        assert!(news.are_unseen());
        news.saw(news.told());
        news.saw(told);
        assert!(!news.are_unseen());
    }
}

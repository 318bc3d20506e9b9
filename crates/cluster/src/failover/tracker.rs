//! The tracker of a node's outages, shared by all calls. It begins writes on stand-ins, makes the node ready to serve again,
//! and cleans the stand-ins before they stand in another time.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures_util::TryStreamExt;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::NodeEvent;
use redisdb_node::Observer;
use redisdb_node::Scan;
use redisdb_node::command::rows;
use redisdb_node::commands::ScanOptions;
use tokio::sync::Notify;

use crate::engine::ring::topology::RingTopology;
use crate::event::Event;
use crate::event::Events;
use crate::failover::outage::BATCH;
use crate::failover::outage::Begin;
use crate::failover::outage::Outage;
use crate::policy::OnDown;
use crate::policy::Rejoin;

/// The outage of one node, shared between calls.
#[derive(Debug, Default)]
pub(crate) struct OutageTracker {
    is_away: AtomicBool,
    is_stood_in_for: AtomicBool,
    /// The number of observers that there have been. Only the latest one is that of the node's present address.
    observers: AtomicU64,
    outage: Mutex<Outage>,
    /// Wakes calls that wait: the node serves, writes may begin on stand-ins again, or a stand-in is clean.
    changed: Notify,
}

/// A write under way on a stand-in, which ends when this is dropped.
pub(crate) struct StandingIn {
    away: Arc<OutageTracker>,
    on: Arc<str>,
}

impl OutageTracker {
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// Sets what the ring does without the node.
    pub(crate) fn follow(&self, on_down: &OnDown) {
        self.is_stood_in_for.store(*on_down != OnDown::Fail, Ordering::Release);
        self.held().wait_for(match on_down {
            OnDown::Remap { on_return: Rejoin::WaitMaxTtl(longest) } => *longest,
            _ => Duration::ZERO,
        });
    }

    /// Returns the observer that records when the node is down or connected, and passes on all its events. It takes the place of
    /// the one before, which is that of the address that the node had.
    pub(crate) fn observer(self: &Arc<Self>, events: &Events) -> Observer {
        let (away, events) = (Arc::clone(self), events.clone());
        let latest = 1 + self.observers.fetch_add(1, Ordering::AcqRel);
        Observer::new(move |node, event| {
            let is_down = match event {
                NodeEvent::Down { .. } => Some(true),
                NodeEvent::Connected { .. } => Some(false),
                _ => None,
            };
            events.tell(Event::Node { node: node.to_owned(), event });
            match is_down.filter(|_| away.observers.load(Ordering::Acquire) == latest) {
                Some(true) => {
                    let mut held = away.held();
                    let was_here = held.goes(Instant::now());
                    away.is_away.store(true, Ordering::Release);
                    drop(held);
                    if was_here && away.is_stood_in_for.load(Ordering::Acquire) {
                        events.tell(Event::Away { node: node.to_owned() });
                    }
                }
                Some(false) => {
                    let mut held = away.held();
                    // Nobody has stood in for it, so it need not be made ready.
                    if !away.is_stood_in_for.load(Ordering::Acquire) && !held.has_missed() {
                        held.serve_as_before();
                        away.is_away.store(false, Ordering::Release);
                    }
                    held.comes(Instant::now());
                }
                None => {}
            }
        })
    }

    /// Begins a write on the stand-in `on`, or waits up to `limit` while the node is about to serve. Returns `None` if the
    /// node serves again, or the time is up.
    pub(crate) async fn stand_in(
        self: &Arc<Self>,
        on: &Arc<str>,
        missed: Option<&[u8]>,
        limit: Duration,
    ) -> Option<StandingIn> {
        let begin = || match self.held().begin(on, missed) {
            Begin::NotYet => None,
            begin => Some(begin),
        };
        match self.until(begin, limit).await {
            Some(Begin::Now) => Some(StandingIn { away: Arc::clone(self), on: Arc::clone(on) }),
            _ => None,
        }
    }

    /// Returns whether `node` may stand in. With `FlushPrefix` and `WaitMaxTtl` it must hold no old values of this node's
    /// keys; a node that is being cleaned is waited for, up to `limit`.
    pub(crate) async fn is_clean_of(&self, node: &str, on_down: &OnDown, limit: Duration) -> bool {
        match on_down {
            OnDown::Remap { on_return: Rejoin::WaitMaxTtl(_) } => {
                !self.held().returned_lately(Instant::now())
            }
            OnDown::Remap { on_return: Rejoin::FlushPrefix(_) } => {
                let is_clean = || (!self.held().is_unclean(node)).then_some(());
                self.until(is_clean, limit).await.is_some()
            }
            _ => true,
        }
    }

    /// Returns whether the node serves, or will within `limit`.
    pub(crate) async fn serves_within(&self, limit: Duration) -> bool {
        self.until(|| (!self.is_away()).then_some(()), limit).await.is_some()
    }

    /// Asks now and after each change. Returns the first answer, or `None` after `limit`.
    async fn until<T>(&self, ask: impl Fn() -> Option<T>, limit: Duration) -> Option<T> {
        let answer = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(answer) = ask() {
                    return answer;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, answer).await.ok()
    }

    /// Makes the node ready to serve again, as [`OnDown`] says. Returns whether it serves.
    pub(crate) async fn rejoin(&self, node: &Node, topology: &RingTopology) -> Result<bool, node::Error> {
        let fails_over = matches!(topology.on_down, OnDown::Failover { .. });
        // The ring may have failed over when the outage began, and do something else by now.
        if fails_over || self.held().has_missed() {
            self.remove_missed(node).await?;
        }
        if !fails_over {
            self.held().open();
            self.changed.notify_waiters();
        }
        match &topology.on_down {
            OnDown::Remap { on_return: Rejoin::WaitMaxTtl(_) } => {
                let mut held = self.held();
                let now = Instant::now();
                if held.returned_lately(now) && !node.is_down() {
                    held.serve_as_before();
                } else if !held.went_lately(now) {
                    self.serve(&mut held, node);
                }
                self.is_away.store(held.is_away(), Ordering::Release);
                self.changed.notify_waiters();
                return Ok(!held.is_away());
            }
            OnDown::Remap { on_return: Rejoin::FlushPrefix(prefix) } => {
                remove_all(node, prefix, |_| true).await?;
                let mut held = self.held();
                let serves = self.serve(&mut held, node);
                if serves {
                    let names = topology.nodes.iter().map(Node::name);
                    held.left_on(names.filter(|name| *name != node.name()).map(Arc::from));
                }
                return Ok(serves);
            }
            _ => {}
        }
        Ok(self.serve(&mut self.held(), node))
    }

    fn serve(&self, held: &mut Outage, node: &Node) -> bool {
        // The node may have gone down again just now.
        let serves = !node.is_down() && held.serve(Instant::now());
        if !serves {
            held.open();
        }
        self.is_away.store(held.is_away(), Ordering::Release);
        self.changed.notify_waiters();
        serves
    }

    /// Removes from the node the keys whose writes stand-ins took.
    async fn remove_missed(&self, node: &Node) -> Result<(), node::Error> {
        loop {
            let batch = self.held().batch();
            if batch.is_empty() {
                return Ok(());
            }
            let removed = async {
                if batch.all.is_some() {
                    remove_all(node, "", |_| true).await?;
                }
                remove(node, &batch.keys).await
            };
            if let Err(error) = removed.await {
                self.held().open();
                self.changed.notify_waiters();
                return Err(error);
            }
            self.held().removed(&batch);
        }
    }

    /// Returns whether other nodes may still hold old values of the node's keys.
    pub(crate) fn has_left_something(&self) -> bool {
        !self.held().is_clean()
    }

    /// Removes the keys of this node, whose index is `of`, from the other nodes that are up.
    pub(crate) async fn clean(&self, of: usize, topology: &RingTopology) -> Result<(), node::Error> {
        let names = self.held().to_clean();
        for name in names {
            if let (Ok(at), Some(prefix)) = (topology.nodes.position(&name), topology.on_down.flushes()) {
                let node = topology.nodes.at(at);
                if node.is_down() {
                    continue;
                }
                remove_all(node, prefix, |key| topology.stands_before(of, at, key)).await?;
            }
            self.held().cleaned(&name);
            self.changed.notify_waiters();
        }
        Ok(())
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock()
    }
}

impl Drop for StandingIn {
    fn drop(&mut self) {
        self.away.held().end(&self.on, Instant::now());
    }
}

/// Removes these keys from a node.
pub(crate) async fn remove(node: &Node, keys: &[impl AsRef<[u8]>]) -> Result<(), node::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut unlink = rows::UNLINK.cmd();
    for key in keys {
        unlink.arg(key.as_ref());
    }
    node.run(rows::UNLINK.spec(), &unlink).await.map(drop)
}

/// Removes all keys that begin with `prefix` and for which `is_meant` holds.
async fn remove_all(node: &Node, prefix: &str, is_meant: impl Fn(&[u8]) -> bool) -> Result<(), node::Error> {
    let pattern = format!("{}*", escaped(prefix));
    let options = ScanOptions::new().pattern(pattern).count(BATCH as u64);
    let keys = node.scan_iter::<Vec<u8>>(options).try_filter(|key| ready(is_meant(key))).try_chunks(BATCH);
    let removed = keys.map_err(|error| error.1).try_for_each(async |keys| remove(node, &keys).await);
    removed.await
}

/// Returns a pattern that matches exactly this text.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The pause between two looks at whether nodes may serve again, and others are clean.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use redisdb_node::NodeConfig;

    use super::*;
    use crate::RedisRing;

    #[tokio::test]
    async fn a_node_serves_again_while_writes_on_its_stand_in_are_under_way() {
        let on_down = OnDown::Failover { ttl_cap: Duration::from_secs(60) };
        let plan = RedisRing::builder().node("a", "redis://h").on_down(on_down).plan().unwrap();
        let topology = RingTopology::new(plan);
        let node = Node::new(NodeConfig::new("redis://h").unwrap());
        let away = Arc::new(OutageTracker::default());
        let (other, limit) = ("b".into(), Duration::from_secs(1));
        assert!(away.stand_in(&other, None, limit).await.is_none(), "the node is not away");
        away.held().goes(Instant::now());
        let _writing = away.stand_in(&other, None, limit).await.unwrap();
        assert!(away.rejoin(&node, &topology).await.unwrap() && !away.is_away());
        assert!(away.stand_in(&other, None, limit).await.is_none());
    }

    #[test]
    fn a_prefix_matches_literally() {
        assert_eq!(escaped("a[b]*?\\"), "a\\[b\\]\\*\\?\\\\");
        assert_eq!(escaped("user:"), "user:");
    }
}

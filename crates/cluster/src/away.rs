//! Nodes of a ring that are away: who answers for their keys meanwhile, and what must be done before they serve again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures_util::TryStreamExt;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::NodeEvent;
use redisdb_node::Observer;
use redisdb_node::Scan;
use redisdb_node::command::rows;
use redisdb_node::commands::ScanOptions;

use crate::observe::Event;
use crate::observe::Events;
use crate::policy::OnDown;
use crate::policy::Rejoin;

/// How many keys are remembered; above, all of the node's are removed when it returns.
const MOST_KEYS: usize = 100_000;
/// How many keys are removed at once.
const BATCH: usize = 500;

/// Whether one node is away, and what it has missed.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// From the moment it is down until it may serve again.
    is_away: AtomicBool,
    is_stood_in_for: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// The keys that others took writes of.
    missed: HashSet<Vec<u8>>,
    missed_too_many: bool,
    /// How many writes are under way on the nodes that stand in.
    n_writing: usize,
}

/// A write that is under way on a node that stands in. It is noted when it ends, in whatever way.
pub(crate) struct StandingIn<'a> {
    away: &'a Away,
    keys: Vec<Vec<u8>>,
}

impl Away {
    pub(crate) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// Sets whether others answer for the node while it is away.
    pub(crate) fn is_stood_in_for(&self, is_stood_in_for: bool) {
        self.is_stood_in_for.store(is_stood_in_for, Ordering::Release);
    }

    /// What the node tells of itself.
    pub(crate) fn observer(self: &Arc<Self>, events: &Events) -> Observer {
        let (away, events) = (Arc::clone(self), events.clone());
        Observer::new(move |node, event| {
            let is_down = matches!(event, NodeEvent::Down { .. });
            events.tell(Event::Node { node: node.to_owned(), event });
            if is_down {
                away.held().since = Some(Instant::now());
                let was_here = !away.is_away.swap(true, Ordering::AcqRel);
                if was_here && away.is_stood_in_for.load(Ordering::Acquire) {
                    events.tell(Event::Away { node: node.to_owned() });
                }
            }
        })
    }

    /// Begins a write on a node that stands in; `None` if the node has come back meanwhile.
    pub(crate) fn stand_in<'a>(&'a self, keys: impl Iterator<Item = &'a [u8]>) -> Option<StandingIn<'a>> {
        let mut held = self.held();
        held.n_writing += usize::from(self.is_away());
        self.is_away().then(|| StandingIn { away: self, keys: keys.map(<[u8]>::to_vec).collect() })
    }

    /// Does what must be done before the node may serve again. Returns whether it does.
    pub(crate) async fn rejoin(&self, node: &Node, on_down: &OnDown) -> Result<bool, node::Error> {
        match on_down {
            OnDown::Fail | OnDown::Remap { on_return: Rejoin::Trust } => {}
            OnDown::Remap { on_return: Rejoin::WaitMaxTtl(longest) } => {
                if self.held().since.is_some_and(|since| since.elapsed() < *longest) {
                    return Ok(false);
                }
            }
            OnDown::Remap { on_return: Rejoin::FlushPrefix(prefix) } => remove_all(node, prefix).await?,
            OnDown::Failover { .. } => {
                let (keys, all) = {
                    let mut held = self.held();
                    let keys: HashSet<_> = held.missed.iter().take(BATCH).cloned().collect();
                    (keys, std::mem::take(&mut held.missed_too_many))
                };
                if all && let Err(error) = remove_all(node, "").await {
                    self.held().missed_too_many = true;
                    return Err(error);
                }
                if !keys.is_empty() {
                    remove(node, &Vec::from_iter(keys.iter())).await?;
                }
                let mut held = self.held();
                held.missed.retain(|key| !keys.contains(key));
                if !held.missed.is_empty() || held.missed_too_many || held.n_writing > 0 {
                    return Ok(false);
                }
                // With the lock held no write begins on a node that stands in.
                return Ok(self.serve(node));
            }
        }
        Ok(self.serve(node))
    }

    fn serve(&self, node: &Node) -> bool {
        self.is_away.store(false, Ordering::Release);
        // It may have gone again just before that.
        if node.is_down() {
            self.is_away.store(true, Ordering::Release);
        }
        !self.is_away()
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StandingIn<'_> {
    fn drop(&mut self) {
        let mut held = self.away.held();
        held.n_writing -= 1;
        held.missed.extend(self.keys.drain(..));
        if held.missed.len() > MOST_KEYS {
            held.missed.clear();
            held.missed_too_many = true;
        }
    }
}

/// Removes keys.
async fn remove(node: &Node, keys: &[impl AsRef<[u8]>]) -> Result<(), node::Error> {
    let mut unlink = rows::UNLINK.cmd();
    for key in keys {
        unlink.arg(key.as_ref());
    }
    node.run(rows::UNLINK.spec(), &unlink).await.map(drop)
}

/// Removes all keys that begin with a prefix.
async fn remove_all(node: &Node, prefix: &str) -> Result<(), node::Error> {
    let pattern = format!("{}*", escaped(prefix));
    let options = ScanOptions::new().pattern(pattern).count(BATCH as u64);
    let keys = node.scan_iter::<Vec<u8>>(options).try_chunks(BATCH);
    let removed = keys.map_err(|error| error.1).try_for_each(async |keys| remove(node, &keys).await);
    removed.await
}

/// A pattern that matches just this text.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// How often it is looked whether a node may serve again.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_on_a_node_that_stands_in_is_noted_also_when_it_is_dropped() {
        let away = Away::default();
        let keys = || std::iter::once(b"k".as_slice());
        let counts = || {
            let held = away.held();
            (held.n_writing, held.missed.len())
        };
        assert!(away.stand_in(keys()).is_none(), "it is not away");
        away.is_away.store(true, Ordering::Release);
        let writing = away.stand_in(keys()).unwrap();
        assert_eq!(counts(), (1, 0));
        drop(writing);
        assert_eq!(counts(), (0, 1));
    }

    #[tokio::test]
    async fn a_node_does_not_serve_while_a_write_on_another_is_under_way() {
        let away = Away { is_away: true.into(), ..Away::default() };
        let node = Node::new(redisdb_node::NodeConfig::new("redis://h").unwrap());
        let on_down = OnDown::Failover { ttl_cap: Duration::from_secs(60) };
        let writing = away.stand_in(std::iter::empty()).unwrap();
        assert!(!away.rejoin(&node, &on_down).await.unwrap());
        drop(writing);
        assert!(away.rejoin(&node, &on_down).await.unwrap());
    }

    #[test]
    fn too_many_keys_count_as_all() {
        let away = Away { is_away: true.into(), ..Away::default() };
        let keys: Vec<Vec<u8>> = (0..=MOST_KEYS).map(|i| i.to_string().into_bytes()).collect();
        drop(away.stand_in(keys.iter().map(Vec::as_slice)));
        let held = away.held();
        assert!(held.missed_too_many && held.missed.is_empty());
    }

    #[test]
    fn a_prefix_matches_as_it_is_written() {
        assert_eq!(escaped("a[b]*?\\"), "a\\[b\\]\\*\\?\\\\");
        assert_eq!(escaped("user:"), "user:");
    }
}

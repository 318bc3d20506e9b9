//! The background tasks that let a node of a ring serve again after an outage.

use std::sync::Arc;
use std::sync::Weak;

use crate::engine::ring::Shared;
use crate::event::Event;
use crate::failover::tracker;

impl Shared {
    /// Starts the task by which nodes serve again once they are back, unless it runs.
    pub(crate) fn look_after_those_away(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        self.rejoining.ensure(move || async move {
            while let Some(topology) = shared.upgrade().map(|shared| shared.topology.load_full()) {
                let mut is_any_away = false;
                for (node, away) in topology.outages().filter(|(_, away)| away.is_away()) {
                    match node.is_down() {
                        true => is_any_away = true,
                        false => match away.rejoin(node, &topology).await {
                            Ok(true) => {
                                topology.nodes.events().tell(Event::Back { node: node.name().to_owned() });
                                shared.upgrade().iter().for_each(Self::clean);
                            }
                            Ok(false) => is_any_away = true,
                            Err(error) => {
                                is_any_away = true;
                                tracing::warn!(node = node.name(), %error, "the node cannot serve again yet");
                            }
                        },
                    }
                }
                drop(topology);
                if !is_any_away {
                    return;
                }
                tokio::time::sleep(tracker::LOOK_EVERY).await;
            }
        });
        self.clean();
    }

    /// Has the keys of those that serve again removed from the other nodes, by a task that then waits for the next return.
    fn clean(self: &Arc<Self>) {
        if !self.topology.load().outages().any(|(_, away)| away.has_left_something()) {
            return;
        }
        let (shared, is_to_clean) = (Arc::downgrade(self), Arc::clone(&self.is_to_clean));
        self.cleaning.ensure(move || async move {
            loop {
                is_to_clean.notified().await;
                clean_all(&shared).await;
            }
        });
        self.is_to_clean.notify_one();
    }
}

/// Removes the keys of nodes that serve again from the other nodes, until nothing is left.
async fn clean_all(shared: &Weak<Shared>) {
    while let Some(topology) = shared.upgrade().map(|shared| shared.topology.load_full()) {
        for (idx, (node, away)) in topology.outages().enumerate() {
            if let Err(error) = away.clean(idx, &topology).await {
                tracing::warn!(node = node.name(), %error, "other nodes may still hold old values of its keys");
            }
        }
        if !topology.outages().any(|(_, away)| away.has_left_something()) {
            return;
        }
        drop(topology);
        tokio::time::sleep(tracker::LOOK_EVERY).await;
    }
}

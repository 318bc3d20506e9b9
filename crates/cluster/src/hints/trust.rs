//! How far a node's answer can be trusted: the rules judge what its hint log and its state say.

use std::sync::atomic::Ordering;

use redisdb_node::Node;
use redisdb_replication::Standing;

use crate::health::Health;
use crate::hints::log::HintLog;
use crate::hints::log::Keys;
use crate::membership::state_machine::Memory;
use crate::plan::evidence::Evidence;

/// How far a node's answer about some keys can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// As much as any other node's.
    Full,
    /// The node has missed no write of them as far as this client knows, but it was away until a moment ago, or answered a write of them
    /// otherwise than another node.
    Provisional,
    /// Not at all: the node may have missed a write of them, or lost its memory.
    Stale,
}

impl HintLog {
    /// What the node's answer about these keys is worth; of none, about anything.
    pub(crate) fn trust<'a>(&self, node: &Node, keys: impl Iterator<Item = &'a [u8]> + Clone) -> Trust {
        let readable = self.readable.load(Ordering::Acquire);
        if readable && self.n_keys.load(Ordering::Acquire) == 0 && self.is_trusted(node) {
            return Trust::Full;
        }
        let held = self.held();
        match self.evidence(&held, node, keys.clone()).is_readable() {
            false => Trust::Stale,
            true if held.state.health == Health::Replaying || held.has_crossed(keys) => Trust::Provisional,
            true => Trust::Full,
        }
    }

    /// What is known of the node about these keys; of none, about everything.
    pub(crate) fn evidence_on<'a>(
        &self,
        node: &Node,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Evidence {
        self.evidence(&self.held(), node, keys)
    }

    fn evidence<'a>(
        &self,
        held: &Keys,
        node: &Node,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Evidence {
        let is_trusted = self.is_trusted(node);
        Evidence {
            standing: match held.state.memory {
                Memory::Whole if is_trusted => Standing::Current,
                _ => Standing::Restarted,
            },
            is_there: match held.state.health {
                Health::Up | Health::Suspect | Health::WriteDegraded | Health::Replaying => is_trusted,
                Health::Syncing => true,
                Health::Down | Health::Probing | Health::Fencing | Health::Misconfigured => false,
            },
            is_behind: held.is_behind(keys.clone()),
            has_agreed: held.agrees_on(node, keys),
        }
    }

    /// Returns whether the node has only answered otherwise of any of these keys.
    pub(crate) fn has_crossed<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        self.has_missed() && self.held().has_crossed(keys)
    }

    /// Returns whether the node holds what it should of these keys as far as this client knows, also while it is away; of
    /// none, of everything.
    pub(crate) fn holds<'a>(&self, node: &Node, keys: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        self.evidence_on(node, keys).is_entitled()
    }

    /// Returns whether the node's answer about these keys can be trusted; of none, about anything.
    pub(crate) fn in_sync<'a>(&self, node: &Node, keys: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        self.trust(node, keys) == Trust::Full
    }

    /// Returns whether nothing was missed at all.
    pub(crate) fn is_in_sync(&self, node: &Node) -> bool {
        self.in_sync(node, std::iter::empty())
    }
}

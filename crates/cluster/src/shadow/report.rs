//! What a server says, as the rules want to hear it.

use redisdb_replication::Node;
use redisdb_replication::Report;
use redisdb_replication::Standing;

use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::membership::marker::Marker;

impl Marker {
    /// What a node with this marker is to the rules.
    pub(crate) fn standing(&self) -> Standing {
        match (self.is_ready(), self.was_empty) {
            (true, _) => Standing::Current,
            (false, false) => Standing::Filling,
            (false, true) => Standing::FillingEmpty,
        }
    }
}

/// Returns whether this process knows that a node has missed a write of a key. The hint about it stands on other servers until all that
/// the node has missed was brought over.
fn knows_of(about: &Member, key: &[u8]) -> bool {
    about.hints().is_flooded() || about.hints().lacks(key)
}

/// As many hints that nobody was given yet are looked at.
const MOST: usize = 100_000;

impl CopyTopology {
    /// A server was looked at, and its hints were read.
    pub(crate) fn tell_shadow(&self, idx: usize, standing: Option<Standing>) {
        let Some(shadow) = self.shadow() else { return };
        let holder = self.nodes.member(idx);
        let process = holder.node().incarnation();
        let Some(standing) = standing.or_else(|| shadow.standing(idx, process)) else { return };
        let mut report = Report::of(standing);
        for (idx, about) in self.nodes.members().enumerate() {
            let Some(node) = Node::new(idx).filter(|_| !about.is_the_same(holder)) else { continue };
            let (mut keys, mut all) = self.lasting.durable.standing(holder, about);
            keys.retain(|key| knows_of(about, key));
            // It is given them before any call returns.
            let (ungiven, flood) = about.hints().ungiven(MOST);
            keys.extend(ungiven.into_iter().map(|(key, _)| key));
            all |= flood.is_some();
            keys.into_iter().for_each(|key| report.missed.entry(key).or_default().insert(node));
            if all {
                report.all.insert(node);
            }
        }
        shadow.learn(idx, process, report);
        shadow.are_mended(|idx, key| knows_of(self.nodes.member(idx), key));
    }

    /// A server was looked at: it may have said that hints of others are void.
    pub(crate) fn tell_shadow_of_look(&self, idx: usize, standing: Option<Standing>) {
        self.tell_shadow(idx, standing);
        self.tell_shadow_all();
    }

    /// All servers that were heard say what they hold: some of it has served its purpose.
    pub(crate) fn tell_shadow_all(&self) {
        if self.shadow().is_some() {
            (0..self.nodes.len()).for_each(|idx| self.tell_shadow(idx, None));
        }
    }
}

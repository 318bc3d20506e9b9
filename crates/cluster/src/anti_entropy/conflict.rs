//! Conflicts: the keys that no node of a copy has right, as far as is known, so that somebody must decide.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use futures_util::future::join_all;
use redisdb_node::Node;
use redisdb_node::plumbing::foreign;

use crate::anti_entropy::key_scan::BATCH;
use crate::anti_entropy::value;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Snapshot;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::error::Error;
use crate::error::debug::Shown;
use crate::error::debug::debug;
use crate::event::Event;

/// So many conflicts are told, or listed, one by one.
const TOLD: usize = 1000;

/// A key that no node of a copy is known to have right: each has missed a write of it that another one took.
///
/// Reads of the key are [`Unavailable`](crate::Unavailable). A write of the whole value ends the conflict, and so does
/// [`RedisCopy::resolve`](crate::RedisCopy::resolve).
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The key.
    pub key: Vec<u8>,
    /// The values of the nodes, in the order of the configuration.
    pub held: Vec<Held>,
}

/// The value of one node for a key in [conflict](Conflict).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The node.
    pub node: String,
    /// A digest of its value: nodes with the same digest hold the same. `None` if it does not have the key, cannot be
    /// asked, or does not give this user its value.
    pub digest: Option<u64>,
}

impl CopyTopology {
    /// The keys that every node has missed.
    fn missed_by_all(&self) -> Vec<Vec<u8>> {
        Self::missed_by(self.nodes.members())
    }

    /// The keys that all of these nodes have missed, in order.
    pub(crate) fn missed_by<'a>(members: impl Iterator<Item = &'a Member> + Clone) -> Vec<Vec<u8>> {
        // Where one has missed nothing, nothing was missed by all.
        if !members.clone().all(|member| member.hints().has_missed()) {
            return Vec::new();
        }
        let Some(first) = members.clone().next() else { return Vec::new() };
        let mut keys: Vec<Vec<u8>> = first.hints().missed_keys().into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| members.clone().all(|member| member.hints().lacks(key)));
        keys.sort_unstable();
        keys
    }

    /// Returns whether a rule may decide now: every node is there, so that all processes decide alike.
    fn decides_conflicts(&self) -> bool {
        let is_there = |member: &Member| member.node().is_connected() && member.has_memory();
        self.policy.on_conflict.decides() && self.nodes.members().all(is_there)
    }
}

impl CopyEngine {
    /// The keys that no node has right, with what each node holds.
    pub(crate) async fn conflicts(&self) -> Result<Conflicts, Error> {
        self.connect().await?;
        let mut keys = self.topology.missed_by_all();
        let n_keys = keys.len();
        keys.truncate(TOLD);
        Ok(Conflicts { first: self.described(&keys).await.0, n_keys })
    }

    /// Returns what each node holds of keys in conflict, and whether all nodes have answered.
    async fn described(&self, keys: &[Vec<u8>]) -> (Vec<Conflict>, bool) {
        let (mut conflicts, mut have_answered) = (Vec::with_capacity(keys.len()), true);
        for keys in keys.chunks(BATCH) {
            let digests = digests(&self.topology.nodes.iter().collect::<Vec<_>>(), keys).await;
            have_answered &= digests.len() == self.topology.nodes.len()
                && digests.iter().all(|of_node| of_node.len() == keys.len());
            conflicts.extend(keys.iter().enumerate().map(|(i, key)| {
                let held = self.topology.nodes.iter().zip(&digests).map(|(node, digests)| Held {
                    node: node.name().to_owned(),
                    digest: digests.get(i).copied().flatten(),
                });
                Conflict { key: key.clone(), held: held.collect() }
            }));
        }
        (conflicts, have_answered)
    }

    /// Takes what one node holds of a key for right, if no node is known to have it right. Returns whether that was so.
    pub(crate) async fn resolve(&self, key: &[u8], name: &str) -> Result<bool, Error> {
        let idx = self.topology.nodes.position(name)?;
        self.connect().await?;
        let member = self.topology.nodes.member(idx);
        member.node().ready().await?;
        let is_conflict = self.topology.nodes.members().all(|member| member.hints().lacks(key));
        if !is_conflict {
            return Ok(false);
        }
        if !member.has_memory() {
            // Also the others cannot be brought to what it holds before all its keys were compared.
            return Err(Error::unavailable("resolve", Some(key), Vec::new(), vec![name.to_owned()]));
        }
        let hints = member.hints();
        hints.forget(key, hints.last_missed());
        self.remove_hints(idx).await;
        Ok(true)
    }

    /// Tells of each conflict once, when it has lasted from one look to the next, and ends those that the
    /// [rule](crate::OnConflict) decides.
    pub(crate) async fn tell_conflicts(&self, known: &mut KnownConflicts) {
        let KnownConflicts { seen, told, asked } = known;
        let now: BTreeSet<Vec<u8>> = self.topology.missed_by_all().into_iter().collect();
        let before = std::mem::replace(seen, now);
        #[cfg(feature = "metrics")]
        metrics::gauge!("redisdb_copy_conflicts").set(seen.len() as f64);
        told.retain(|key| seen.contains(key));
        asked.retain(|key| seen.contains(key));
        let is_decided = self.topology.decides_conflicts();
        let is_news = |key: &&Vec<u8>| {
            before.contains(*key)
                && (told.len() < TOLD && !told.contains(*key) || is_decided && !asked.contains(*key))
        };
        let news: Vec<Vec<u8>> = seen.iter().filter(is_news).take(TOLD).cloned().collect();
        let (conflicts, have_answered) = self.described(&news).await;
        // The rule is asked once, so it is told what all nodes hold.
        let is_decided = is_decided && have_answered;
        for conflict in conflicts {
            let key = conflict.key.clone();
            let chosen = if is_decided { self.topology.policy.on_conflict.choose(&conflict) } else { None };
            if told.len() < TOLD && told.insert(key.clone()) {
                tracing::warn!(%conflict, "write the key anew, or say which node counts by `resolve(key, node)`");
                self.topology.nodes.events().tell(Event::Conflict(conflict));
            }
            let Some(node) = chosen else {
                if is_decided {
                    asked.insert(key);
                }
                continue;
            };
            match self.resolve(&key, &node).await {
                Ok(_) => {
                    tracing::info!(key = %foreign::bytes(&key), node, "a conflict was decided by the rule")
                }
                Err(error) => tracing::debug!(%error, node, "the node that the rule names cannot decide yet"),
            }
        }
        if TOLD < seen.len() && self.topology.is_news("too many conflicts".to_owned()) {
            tracing::warn!(n_conflicts = seen.len(), "too many keys are in conflict to tell of each");
        }
    }
}

/// The conflicts as they are known from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct KnownConflicts {
    seen: BTreeSet<Vec<u8>>,
    told: BTreeSet<Vec<u8>>,
    /// Those that the rule leaves to somebody else.
    asked: BTreeSet<Vec<u8>>,
}

/// Returns what each node holds of these keys, as digests; nothing of a node that does not answer.
async fn digests(nodes: &[&Node], keys: &[Vec<u8>]) -> Vec<Vec<Option<u64>>> {
    let digest = |state: &Snapshot| match state {
        Snapshot::Present { content, .. } => content.digest().map(|digest| digest as u64),
        _ => None,
    };
    let answers: Vec<&Node> = nodes.iter().copied().filter(|node| node.is_connected()).collect();
    // Each value is read in the same way on all of them, or its digests say nothing.
    let Ok(sizes) = value::sizes(&answers, keys).await else { return Vec::new() };
    let states = nodes.iter().map(|node| value::read_sized(node, keys, &sizes, Limits::DEFAULT));
    let states = join_all(states).await.into_iter().map(Result::unwrap_or_default);
    states.map(|states| states.iter().map(digest).collect()).collect()
}

/// The keys in [conflict](Conflict) that [`RedisCopy::conflicts`](crate::RedisCopy::conflicts) has found. It is a slice of
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflicts {
    /// The first 1,000 of them, in the order of their keys.
    pub first: Vec<Conflict>,
    /// The number of keys that are in conflict.
    pub n_keys: usize,
}

impl Deref for Conflicts {
    type Target = [Conflict];

    fn deref(&self) -> &[Conflict] {
        &self.first
    }
}

impl IntoIterator for Conflicts {
    type Item = Conflict;
    type IntoIter = std::vec::IntoIter<Conflict>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter()
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conflict: no node is known to have `{}` right", foreign::bytes(&self.key))?;
        for (i, held) in self.held.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { ", " })?;
            match held.digest {
                Some(digest) => write!(f, "{} holds {digest:016x}", held.node)?,
                None => write!(f, "{} holds nothing known", held.node)?,
            }
        }
        Ok(())
    }
}

debug!(Conflict { key = Shown(key), held });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_who_holds_the_same_and_shows_its_key_escaped_and_cut() {
        let held = |node: &str, digest| Held { node: node.to_owned(), digest };
        let conflict = Conflict { key: b"k".to_vec(), held: vec![held("a", Some(7)), held("b", None)] };
        assert_eq!(
            conflict.to_string(),
            "conflict: no node is known to have `k` right: a holds 0000000000000007, b holds nothing known"
        );
        let long = Conflict { key: b"\x1b[2J\n".repeat(1 << 20), held: Vec::new() };
        for shown in [long.to_string(), format!("{long:?}")] {
            assert!(shown.contains("..(5242880 bytes)") && shown.len() < 500 && !shown.contains('\u{1b}'));
        }
    }
}

//! Conflicts: the keys that no node of a copy has right, as far as is known, so that somebody must decide.

use std::fmt;

use futures_util::future::join_all;
use redisdb_node::plumbing::foreign;
use twox_hash::XxHash3_64;

use crate::anti_entropy::value;
use crate::anti_entropy::value::Snapshot;
use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::error::Error;
use crate::error::debug::Shown;
use crate::error::debug::debug;
use crate::event::Event;

/// So many conflicts are told one by one.
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
    pub(crate) fn missed_by<'a>(mut members: impl Iterator<Item = &'a Member> + Clone) -> Vec<Vec<u8>> {
        // Where one has missed nothing, nothing was missed by all.
        if !members.clone().all(|member| member.hints().has_missed()) {
            return Vec::new();
        }
        let Some(first) = members.next() else { return Vec::new() };
        let mut keys: Vec<Vec<u8>> = first.hints().missed_keys().into_iter().map(|(key, _)| key).collect();
        keys.retain(|key| members.clone().all(|member| member.hints().has_missed_of(key)));
        keys.sort_unstable();
        keys
    }
}

impl CopyEngine {
    /// The keys that no node has right, with what each node holds.
    pub(crate) async fn conflicts(&self) -> Result<Vec<Conflict>, Error> {
        self.connect().await?;
        let keys = self.topology.missed_by_all();
        Ok(join_all(keys.into_iter().map(|key| self.conflict(key))).await)
    }

    async fn conflict(&self, key: Vec<u8>) -> Conflict {
        let held = self.topology.nodes.iter().map(async |node| {
            let read = value::read(node, std::slice::from_ref(&key), value::WHOLE).await;
            let digest = match read.ok().and_then(|mut states| states.pop()) {
                Some(Snapshot::Present { dump: Some(dump), .. }) => Some(XxHash3_64::oneshot(&dump)),
                _ => None,
            };
            Held { node: node.name().to_owned(), digest }
        });
        let held = join_all(held).await;
        Conflict { key, held }
    }

    /// Takes what one node holds of a key for right, if no node is known to have it right. Returns whether that was so.
    pub(crate) async fn resolve(&self, key: &[u8], name: &str) -> Result<bool, Error> {
        let idx = self.topology.nodes.position(name)?;
        self.connect().await?;
        let member = self.topology.nodes.member(idx);
        member.node().ready().await?;
        let is_conflict = self.topology.nodes.members().all(|member| member.hints().has_missed_of(key));
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

    /// Tells of each conflict once, when it has lasted from one look to the next.
    pub(crate) async fn tell_conflicts(&self, seen: &mut Vec<Vec<u8>>, told: &mut Vec<Vec<u8>>) {
        let now = self.topology.missed_by_all();
        told.retain(|key| now.binary_search(key).is_ok());
        for key in now.iter().filter(|key| seen.binary_search(key).is_ok()) {
            if told.contains(key) {
                continue;
            }
            if told.len() == TOLD {
                if self.topology.is_news("too many conflicts".to_owned()) {
                    tracing::warn!(n_conflicts = now.len(), "too many keys are in conflict to tell of each");
                }
                break;
            }
            told.push(key.clone());
            let conflict = self.conflict(key.clone()).await;
            tracing::warn!(%conflict, "write the key anew, or say which node counts by `resolve(key, node)`");
            self.topology.nodes.events().tell(Event::Conflict(conflict));
        }
        *seen = now;
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

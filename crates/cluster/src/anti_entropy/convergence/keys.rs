//! The comparison of dirty keys on all nodes in sight, and the copy of the state that counts to the nodes that hold another one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::future::join_all;
use parking_lot::Mutex;
use redisdb_node::Node;
use redisdb_node::commands::ServerCommands;

use crate::anti_entropy::convergence::dirty::Dirty;
use crate::anti_entropy::convergence::dirty::Size;
use crate::anti_entropy::convergence::second_look::FirstLooks;
use crate::anti_entropy::convergence::second_look::Shown;
use crate::anti_entropy::convergence::second_look::is_same;
use crate::anti_entropy::decide::Decision;
use crate::anti_entropy::decide::Meanwhile;
use crate::anti_entropy::decide::Seen;
use crate::anti_entropy::decide::decide;
use crate::anti_entropy::source::Source;
use crate::anti_entropy::value;
use crate::anti_entropy::value::Compared;
use crate::anti_entropy::value::Limits;
use crate::anti_entropy::value::Put;
use crate::anti_entropy::value::Snapshot;
use crate::anti_entropy::value::Written;
use crate::anti_entropy::value::is_denied;
use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::error::Error;

/// So many bytes of large values are read on each node in a second at most.
const LARGE_PER_SECOND: u64 = 16 << 20;

/// What was heard of keys by the time that they were looked at.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Which of the keys have changed, or may have, since they were quiet.
    pub(crate) has_changed: Vec<bool>,
    /// A node that was looked at does not tell what changes there.
    pub(crate) is_deaf: bool,
}

/// What became of some dirty keys.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How many keys were made equal.
    pub(crate) n_converged: u64,
    /// Keys that are to be looked at again: they have changed meanwhile, or a node could not be asked or written to.
    pub(crate) again: Vec<Dirty>,
    /// Keys that were not looked at, because their values are large.
    pub(crate) large: Vec<Dirty>,
}

/// The nodes that are compared: they take part, and hold what they should but for what is hinted.
#[derive(Debug)]
pub(super) struct InSight<'a> {
    /// By their place among the nodes of the copy.
    idxs: Vec<usize>,
    nodes: Vec<&'a Node>,
}

impl CopyEngine {
    /// Compares keys that are quiet, and makes those equal that are not. Those with large values are left
    /// out, unless they are known to be [`Large`](Size::Large). `heard` is asked after the nodes were looked at, with
    /// the places of these nodes among those of the copy.
    ///
    /// # Errors
    /// If a node could not be asked. Nothing was written then.
    pub(crate) async fn converge_keys(
        &self,
        (keys, size): (&[Dirty], Size),
        first_looks: &Mutex<FirstLooks>,
        heard: impl AsyncFnOnce(&[Vec<u8>], &[usize]) -> Result<Heard, Error>,
    ) -> Result<Outcome, Error> {
        let Some(sight) = self.in_sight() else {
            return Ok(Outcome { again: keys.to_vec(), ..Outcome::default() });
        };
        // What a node is known to have missed, the repair brings over first.
        let is_hinted = |key: &[u8]| {
            sight.idxs.iter().any(|idx| self.topology.nodes.member(*idx).hints().has_missed_of(key))
        };
        let (hinted, keys): (Vec<Dirty>, Vec<Dirty>) =
            keys.iter().cloned().partition(|dirty| is_hinted(&dirty.key));
        let names: Vec<Vec<u8>> = keys.iter().map(|dirty| dirty.key.clone()).collect();
        let sizes = value::sizes(&sight.nodes, &names).await?;
        let is_small = |at: usize| sizes.get(at).is_none_or(|size| *size <= value::LARGE);
        let (looked_at, large): (Vec<usize>, Vec<usize>) =
            (0..keys.len()).partition(|at| size == Size::Large || is_small(*at));
        let (large, names) = (chosen(&keys, &large), chosen(&names, &looked_at));
        let keys = chosen(&keys, &looked_at);
        let limits = Limits { bytes_per_second: Some(LARGE_PER_SECOND), ..Limits::DEFAULT };
        let sizes = chosen(&sizes, &looked_at);
        let (looks, compared) = value::read_and_compare(&sight.nodes, &names, &sizes, limits).await?;
        let Heard { has_changed, is_deaf } = heard(&names, &sight.idxs).await?;
        let may_evict = self.may_have_evicted(&sight, &looks).await?;
        // A write that was quiet has its hints by now, also those of another process.
        join_all(sight.idxs.iter().map(|idx| self.read_hints_on(*idx))).await;
        let mut outcome = Outcome { again: hinted, large: large.into_owned(), ..Outcome::default() };
        let mut copies: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (at, (dirty, has_changed)) in keys.iter().zip(has_changed).enumerate() {
            let Dirty { key, told, .. } = dirty;
            let before = first_looks.lock().take(key);
            let Some(Compared::First(first)) = compared.get(at) else { continue };
            if is_hinted(key) {
                outcome.again.push(dirty.clone());
                continue;
            }
            let order: Vec<usize> = self
                .topology
                .nodes
                .places(key)
                .filter_map(|idx| sight.idxs.iter().position(|it| *it == idx))
                .collect();
            let seen = |place: &usize| {
                let idx = sight.idx(*place);
                let look = looks.get(*place).and_then(|looks| looks.get(at));
                let is_there = matches!(look, Some(Snapshot::Present { .. }));
                let state = is_there.then(|| first.get(*place).copied().unwrap_or(*place));
                let has_told = told.includes(idx);
                // What a node did not keep it would not keep again: by its clock it is over.
                let is_over = told.was_given(idx) && !is_there && !has_told;
                // A node that may evict or not is not taken at its word that the key was removed.
                let evicts =
                    may_evict.get(*place).copied().unwrap_or_default().unwrap_or(has_told) || is_over;
                Seen { state, has_told, was_given: told.was_given(idx) && is_there, evicts }
            };
            let seen: Vec<Seen> = order.iter().map(seen).collect();
            let shown = |place: usize| Some((sight.idx(place), looks.get(place)?.get(at)?.clone()));
            let shown = || (0..looks.len()).filter_map(shown).collect::<Vec<Shown>>();
            let meanwhile = match (has_changed, is_deaf) {
                (true, _) => Meanwhile::Changed,
                (false, false) => Meanwhile::Still,
                (false, true) => {
                    Meanwhile::Unheard { is_second: before.is_some_and(|before| is_same(&before, &shown())) }
                }
            };
            let (source, targets) = match decide(&seen, meanwhile) {
                Decision::Copy { source, targets } => (source, targets),
                Decision::Again => {
                    if matches!(meanwhile, Meanwhile::Unheard { .. }) {
                        first_looks.lock().keep(key, &shown());
                    }
                    // What the nodes have told of it counts until it was seen equal.
                    outcome.again.push(dirty.clone());
                    continue;
                }
                Decision::Done => continue,
            };
            let place = |at: usize| order.get(at).copied().unwrap_or_default();
            for target in targets {
                copies.entry((place(source), place(target))).or_default().push(at);
            }
        }
        for ((source, target), ats) in copies {
            if let Err(error) = self
                .copy_some((&sight, &looks, limits), (source, target), (&keys, &sizes, &ats), &mut outcome)
                .await
            {
                tracing::debug!(%error, "keys that differ are compared again");
                outcome.again.extend(ats.iter().filter_map(|at| keys.get(*at).cloned()));
            }
        }
        Ok(outcome)
    }

    /// The nodes that can be compared: two at least, all of those that take part. `None` while one of them is being made
    /// whole.
    pub(super) fn in_sight(&self) -> Option<InSight<'_>> {
        let members = self.topology.nodes.members().enumerate();
        let (idxs, members): (Vec<_>, Vec<&Member>) =
            members.filter(|(_, member)| self.topology.takes_part(member)).unzip();
        if members.len() < 2 || !members.iter().all(|member| member.has_memory()) {
            return None;
        }
        Some(InSight { idxs, nodes: members.into_iter().map(|member| member.writer()).collect() })
    }

    /// Returns which of the nodes lack a key that another one holds, and may have thrown it away to make room. They are asked after
    /// they were looked at: one that did so before may do so still. `None` is a node that does not say so.
    async fn may_have_evicted(
        &self,
        sight: &InSight<'_>,
        looks: &[Vec<Snapshot>],
    ) -> Result<Vec<Option<bool>>, Error> {
        let is_missing = |looks: &Vec<Snapshot>, at: usize| matches!(looks.get(at), Some(Snapshot::Missing));
        let is_held =
            |at: usize| looks.iter().any(|looks| matches!(looks.get(at), Some(Snapshot::Present { .. })));
        let lacks = |looks: &Vec<Snapshot>| (0..looks.len()).any(|at| is_missing(looks, at) && is_held(at));
        let asked = sight.nodes.iter().zip(looks).map(async |(node, looks)| {
            if !lacks(looks) {
                return Ok(Some(false));
            }
            match node.info_with(&["memory"]).await {
                Ok(info) => {
                    let says = |name| info.get("memory", name).unwrap_or_default();
                    Ok(Some(says("maxmemory") != "0" && says("maxmemory_policy") != "noeviction"))
                }
                Err(error) if is_denied(&error) => {
                    self.topology.tell_refused(&error, None);
                    Ok(None)
                }
                Err(error) => Err(Error::Node(error)),
            }
        });
        join_all(asked).await.into_iter().collect()
    }

    async fn copy_some(
        &self,
        (sight, looks, limits): (&InSight<'_>, &[Vec<Snapshot>], Limits),
        (source, target): (usize, usize),
        (keys, sizes, ats): (&[Dirty], &[u64], &[usize]),
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let (Some(from), Some(to)) = (sight.nodes.get(source), sight.nodes.get(target)) else {
            return Ok(());
        };
        // A node that was emptied a moment ago takes nothing away from the others.
        Source::found(self, sight.idx(source), to.name())?.check(to.name()).await?;
        let look = |place: usize, at: usize| looks.get(place)?.get(at);
        let puts = ats.iter().filter_map(|at| {
            let size = sizes.get(*at).copied().unwrap_or(0);
            Some(Put {
                key: &keys.get(*at)?.key,
                wanted: look(source, *at)?,
                replaces: look(target, *at)?,
                size,
            })
        });
        let puts: Vec<Put<'_>> = puts.collect();
        for (at, written) in ats.iter().zip(value::write(from, to, &puts, limits).await?) {
            match written {
                Ok(Written::Yes) => {
                    outcome.n_converged += 1;
                    // A delete that came meanwhile found nothing there, and nobody was told of it.
                    if let (Some(dirty), Some(Snapshot::Missing)) = (keys.get(*at), look(target, *at)) {
                        let told = dirty.told.given_to(sight.idx(target));
                        outcome.again.push(Dirty { told, ..dirty.clone() });
                    }
                }
                // The change has been told, or will be. What was told before still counts.
                Ok(Written::Changed) => outcome.again.extend(keys.get(*at).cloned()),
                Err(error) => {
                    tracing::debug!(%error, node = to.name(), "a key that differs is compared again");
                    self.topology.tell_denied(&error, keys.get(*at).map(|dirty| dirty.key.as_slice()));
                    outcome.again.extend(keys.get(*at).cloned());
                }
            }
        }
        Ok(())
    }
}

impl InSight<'_> {
    fn idx(&self, place: usize) -> usize {
        self.idxs.get(place).copied().unwrap_or_default()
    }
}

/// Those at these places; without a copy where that is all.
pub(super) fn chosen<'a, T: Clone>(all: &'a [T], places: &[usize]) -> Cow<'a, [T]> {
    match places.len() == all.len() {
        true => Cow::Borrowed(all),
        false => places.iter().filter_map(|at| all.get(*at).cloned()).collect(),
    }
}

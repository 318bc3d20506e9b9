//! Rounds: all keys are compared while any may have changed unheard. What is unheard meanwhile has the round go on, and not begin anew.

use std::sync::atomic::Ordering;
use std::time::Instant;

use redisdb_node::Node;
use redisdb_node::ScanCursor;

use crate::anti_entropy::convergence::TICK;
use crate::anti_entropy::convergence::dirty::Told;
use crate::anti_entropy::convergence::keys::chosen;
use crate::anti_entropy::convergence::work::Work;
use crate::anti_entropy::key_scan::Keys;
use crate::anti_entropy::throttle::Throttle;
use crate::anti_entropy::value;
use crate::anti_entropy::verify::differences_of;
use crate::engine::copy::CopyEngine;
use crate::error::Error;

/// While a node does not tell what changes, one round follows the other, at a fraction of the pace: one in so many keys.
const DEAF: u64 = 4;
/// While so many large values wait to be compared, no further ones are looked for.
const MOST_LARGE: usize = 1000;

/// A place in a round: a node, as the process that it is, and from where on its keys are gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    node: usize,
    incarnation: u64,
    cursor: Option<ScanCursor>,
}

/// How far a round has to go: once around, from where it was when any key may have changed unheard last. What was gone through before that
/// is gone through again, and nothing else.
#[derive(Debug, Default)]
struct Round {
    /// Up to which of these times all keys are compared at its end.
    upto: u64,
    /// Where it was then.
    from: Option<Place>,
    /// It has come to the last key since.
    is_around: bool,
}

impl Round {
    /// The round is at this place, and any key may have changed unheard so many times. Returns whether it is done.
    fn is_done_at(&mut self, place: &Place, unheard: u64) -> bool {
        if self.upto < unheard {
            *self = Self { upto: unheard, from: Some(place.clone()), is_around: false };
        }
        self.is_around && self.from.as_ref() == Some(place)
    }

    /// All keys of a node were gone through. Returns whether it is done.
    fn is_done_after(&mut self, node: usize, is_last: bool) -> bool {
        let is_done = self.is_around && self.from.as_ref().is_some_and(|from| from.node <= node);
        self.is_around |= is_last;
        is_done
    }
}

impl CopyEngine {
    /// Compares all keys whenever any may have changed unheard, forever. A key that differs is dirty from then on.
    pub(super) async fn rounds(&self, work: &Work, keys_per_second: u32) {
        loop {
            if work.round_due().is_some() {
                let upto = self.round(work, keys_per_second).await;
                work.compared.store(upto, Ordering::Release);
                self.topology.lasting.convergence.lock().rounds += 1;
            }
            tokio::time::sleep(TICK * 5).await;
        }
    }

    /// Compares all keys. Returns up to which of the times that any may have changed unheard they were.
    async fn round(&self, work: &Work, keys_per_second: u32) -> u64 {
        let (mut round, mut pace) = (Round::default(), Throttle::of(keys_per_second));
        let n_nodes = self.topology.nodes.len();
        for node in (0..n_nodes).cycle() {
            if self.keys_of(node, &mut round, &mut pace, work).await
                || round.is_done_after(node, node + 1 == n_nodes)
            {
                break;
            }
        }
        round.upto
    }

    /// Compares the keys of a node that no earlier node has, if it can be reached. Returns whether the round is done before it has come to
    /// the end.
    async fn keys_of(&self, idx: usize, round: &mut Round, pace: &mut Throttle, work: &Work) -> bool {
        let node = self.topology.nodes.at(idx);
        let mut keys = Keys::of(self, node);
        let mut incarnation = node.incarnation();
        loop {
            // While nodes are made whole, most keys may differ.
            while self.in_sight().is_none() || MOST_LARGE < work.dirty.lock().n_large() {
                tokio::time::sleep(TICK * 5).await;
            }
            if incarnation != node.incarnation() {
                // Another process goes through its keys in another order.
                (keys, incarnation) = (Keys::of(self, node), node.incarnation());
            }
            let place = Place { node: idx, incarnation, cursor: keys.cursor().cloned() };
            if round.is_done_at(&place, work.times_unheard()) && !keys.are_waiting() {
                return true;
            }
            if !self.topology.takes_part(self.topology.nodes.member(idx)) {
                return false;
            }
            match self.some_keys_of(idx, &mut keys, work).await {
                Ok(Some(cost)) if work.is_deaf.load(Ordering::Relaxed) => pace.wait(cost * DEAF).await,
                Ok(Some(cost)) => pace.wait(cost).await,
                Ok(None) => return false,
                Err(error) => {
                    tracing::debug!(%error, "keys are compared later");
                    keys.go_back();
                    tokio::time::sleep(TICK * 5).await;
                }
            }
        }
    }

    /// Compares the next keys of a node. Returns what that counts against the pace; `None` at the end.
    async fn some_keys_of(&self, idx: usize, keys: &mut Keys<'_>, work: &Work) -> Result<Option<u64>, Error> {
        let members = self.topology.nodes.members().enumerate();
        let taking_part = members.filter(|(_, member)| self.topology.takes_part(member));
        let (idxs, nodes): (Vec<usize>, Vec<&Node>) =
            taking_part.map(|(other, member)| (other, member.node())).unzip();
        // What an earlier node has was compared with that node's keys.
        let n_earlier = idxs.iter().filter(|other| **other < idx).count();
        let earlier = nodes.get(..n_earlier).unwrap_or_default();
        let Some((n_keys, batch)) = keys.next_but(earlier, |_, _| ()).await? else { return Ok(None) };
        // To see that costs less than to compare.
        let cost = (n_keys / 8).max(batch.len() as u64);
        let sizes = value::sizes(&nodes, &batch).await?;
        let is_large = |at: usize| sizes.get(at).is_some_and(|size| value::LARGE < *size);
        let (large, small): (Vec<usize>, Vec<usize>) = (0..batch.len()).partition(|at| is_large(*at));
        let (large, sizes) = (chosen(&batch, &large), chosen(&sizes, &small));
        let (found, _) =
            differences_of(&nodes, chosen(&batch, &small).into_owned(), &sizes, |_, _| ()).await?;
        found.iter().for_each(|difference| work.differs(&difference.key));
        let (now, quiet) = (Instant::now(), self.topology.quiet());
        let since = now.checked_sub(quiet).unwrap_or(now);
        large.iter().for_each(|key| work.is_large(key, Told::default(), since));
        Ok(Some(cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: usize = 3;
    const STEPS: usize = 4;

    fn place(node: usize, step: usize) -> Place {
        let cursor = (step < STEPS).then(|| format!("0-0-{step}-0").parse().unwrap());
        Place { node, incarnation: 1, cursor }
    }

    /// Goes round, and has keys change unheard before these steps. Returns the steps, and how many there were when that was so last.
    fn go(unheard_before: &[usize]) -> (Vec<(usize, usize)>, usize) {
        let (mut round, mut done, mut last) = (Round::default(), Vec::new(), 0);
        for node in (0..NODES).cycle() {
            for step in 0..=STEPS {
                let n_unheard = unheard_before.iter().filter(|before| **before <= done.len()).count();
                let before = round.upto;
                if round.is_done_at(&place(node, step), 1 + n_unheard as u64) {
                    return (done, last);
                }
                if before < round.upto {
                    last = done.len();
                }
                if step < STEPS {
                    done.push((node, step));
                }
            }
            if round.is_done_after(node, node + 1 == NODES) {
                return (done, last);
            }
            assert!(done.len() < 1000, "it has no end");
        }
        (done, last)
    }

    #[test]
    fn what_was_gone_through_before_a_gap_is_gone_through_again_and_nothing_else() {
        const ALL: usize = NODES * STEPS;
        assert_eq!(go(&[]).0.len(), ALL);
        for first in 0..2 * ALL {
            for second in first..2 * ALL {
                let (done, last) = go(&[first, second]);
                let since = &done[last..];
                let all = (0..NODES).flat_map(|node| (0..STEPS).map(move |step| (node, step)));
                assert!(all.into_iter().all(|step| since.contains(&step)), "{first}, {second}: {done:?}");
                // A gap at the end of a node has the next node's keys gone through first.
                assert_eq!(since.len(), ALL, "{first}, {second}: {done:?}");
            }
        }
    }

    #[test]
    fn a_place_that_is_not_met_again_is_left_behind_with_its_node() {
        let mut round = Round::default();
        assert!(!round.is_done_at(&place(0, 0), 1));
        // It is another process by now.
        assert!(!round.is_done_at(&Place { incarnation: 2, ..place(1, 2) }, 2));
        assert!(!round.is_done_after(1, false));
        assert!(!round.is_done_after(2, true));
        assert!(!round.is_done_at(&place(0, 0), 2) && !round.is_done_after(0, false));
        assert!(!round.is_done_at(&place(1, 2), 2));
        assert!(round.is_done_after(1, false));
    }
}

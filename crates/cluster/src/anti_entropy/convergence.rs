//! Convergence: the nodes of a copy become equal by themselves, whoever wrote at the same time, and whoever died meanwhile.
//!
//! The servers tell which keys change. A key that has been quiet for a while is compared on all nodes in sight. Where it differs, the
//! state that counts is copied to the others by compare-and-set. The process that leads does so for all.

mod barrier;
pub use barrier::NotConverged;
mod dirty;
mod keys;
mod own_writes;
pub(crate) use own_writes::OwnWrites;
mod rounds;
mod second_look;
mod work;

use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join;
use futures_util::future::join_all;
use futures_util::future::join3;
use redisdb_node::ChangeFeed;
use redisdb_node::Changes;
use redisdb_node::UnknownChanges;

use self::dirty::Dirty;
use self::dirty::Size;
use self::dirty::Told;
use self::keys::Heard;
use self::work::UnderWay;
use self::work::Work;
use crate::anti_entropy::key_scan::BATCH;
use crate::engine::copy::CopyEngine;
use crate::membership::leadership::LEASE;
use crate::membership::leadership::Post;
use crate::membership::leadership::Says;
use crate::membership::leadership::Tenure;
use crate::policy::OnReturn;

/// The pause after which a process that does not lead tries again to lead.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The pause after which the leader reads the feeds again, and takes the keys that are quiet.
const TICK: Duration = Duration::from_millis(50);
/// The pause after which a feed that could not be opened is tried again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The time after which the leader compares all keys again, while a node does not tell what changes.
const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How far the nodes of a copy are equal, as this process knows; see [`RedisCopy::convergence`](crate::RedisCopy::convergence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Convergence {
    /// True if this process leads: it makes the nodes equal for all processes. The counts below are those of this process, which has
    /// little to count while another one leads.
    pub leads: bool,
    /// True if this process stands by: it hears what changes, and leads when the process that leads ends.
    pub stands_by: bool,
    /// The number of keys that have changed and are to be compared, or are being compared.
    pub dirty: usize,
    /// The time for which the first of these keys has waited to be found equal. It waits from the moment when it
    /// has not changed for twice the longest response timeout.
    pub lag: Duration,
    /// The number of keys that were made equal.
    pub converged: u64,
    /// The number of times that changes were not heard, so that any key may have changed.
    pub gaps: u64,
    /// The number of times that all keys were compared: when this process began to lead, after gaps, and when a node took part again.
    pub rounds: u64,
    /// True if all keys are to be compared, or are being compared. In a process that stands by it is true if
    /// the process would have to compare all keys if it led now, because it has not listened for long enough.
    pub round_due: bool,
}

/// A node whose changes are followed.
#[derive(Debug, Default)]
struct Followed {
    feed: Option<ChangeFeed>,
    /// When the feed was opened last, or could not be.
    tried: Option<Instant>,
    /// True if the process that answered at the last look was not known to be the node's: the others are made equal without it.
    is_left_out: bool,
}

impl CopyEngine {
    /// Makes the nodes equal for all processes, whenever no other process does, forever.
    pub(crate) async fn converge(&self) {
        let OnReturn::Repair { keys_per_second } = self.topology.policy.on_return else { return };
        if !self.topology.converges() {
            return;
        }
        join(self.converge_for_all(keys_per_second).boxed(), self.converge_own_writes().boxed()).await;
    }

    async fn converge_for_all(&self, keys_per_second: u32) {
        loop {
            // The process that stands by knows more than this one, so it has the time to lead first.
            if let Some(tenure) = self.take(Post::Leader, 2 * LEASE).await {
                let work = Work::default();
                // Nobody knows what the process that led before has not done.
                work.any_may_have_changed();
                self.lead(&tenure, self.nobody_followed(), &work, keys_per_second).await;
            } else if let Some(tenure) = self.take(Post::Standby, LEASE).await {
                self.stand_by(&tenure, keys_per_second).await;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn lead(
        &self,
        tenure: &Tenure<'_>,
        mut followed: Vec<Followed>,
        work: &Work,
        keys_per_second: u32,
    ) {
        let says = || {
            let owes = work.round_due().is_some() || LEASE / 2 <= work.lag(self.topology.quiet());
            Says { owes, is_deaf: work.is_deaf.load(Ordering::Relaxed) }
        };
        // The feeds are opened before all keys are compared: a feed that opens later has them compared once
        // more.
        self.look_at_followed(&mut followed, work).boxed().await;
        let followed = tokio::sync::Mutex::new(followed);
        let (small, large) = (self.follow(&followed, work), self.follow_large(&followed, work));
        let rounds = self.rounds(work, keys_per_second);
        tenure.while_held(join3(small.boxed(), large.boxed(), rounds.boxed()).map(drop), says).await;
        // What is left to be done, somebody else counts from now on.
        let known = &mut *self.topology.lasting.convergence.lock();
        (known.leads, known.dirty, known.lag) = (false, 0, Duration::ZERO);
    }

    /// Follows the feeds without doing anything, and leads when the process that leads falls silent.
    async fn stand_by(&self, tenure: &Tenure<'_>, keys_per_second: u32) {
        let (mut followed, work) = (self.nobody_followed(), Work::default());
        self.topology.lasting.convergence.lock().stands_by = true;
        let next = tenure.while_held(
            async {
                loop {
                    self.look_at_followed(&mut followed, &work).await;
                    self.hear(&mut followed, &work);
                    // While the process that leads is heard, all that was quiet so long ago is done.
                    work.is_done_upto(self.silence(Post::Leader) + self.topology.quiet() + LEASE);
                    self.topology.lasting.convergence.lock().round_due = work.round_due().is_some();
                    if let Some(next) = self.take(Post::Leader, LEASE).await {
                        return next;
                    }
                    tokio::time::sleep(TICK * 5).await;
                }
            },
            Says::default,
        );
        let next = next.await;
        self.topology.lasting.convergence.lock().stands_by = false;
        if let Some(next) = next {
            if next.is_owed || self.is_a_feed_missing(&followed) {
                work.any_may_have_changed();
            }
            self.lead(&next, followed, &work, keys_per_second).await;
        }
    }

    fn nobody_followed(&self) -> Vec<Followed> {
        self.topology.nodes.iter().map(|_| Followed::default()).collect()
    }

    /// Follows the feeds, and compares the keys that are quiet, forever. Keys with large values are put
    /// aside.
    async fn follow(&self, followed: &tokio::sync::Mutex<Vec<Followed>>, work: &Work) {
        let quiet = self.topology.quiet();
        let mut round_by = Instant::now() + ROUND_EVERY;
        loop {
            if work.round_due().is_some() || !work.is_deaf.load(Ordering::Relaxed) {
                round_by = Instant::now() + ROUND_EVERY;
            } else if round_by <= Instant::now() {
                work.any_may_have_changed();
            }
            loop {
                {
                    let mut followed = followed.lock().await;
                    self.look_at_followed(&mut followed, work).await;
                    work.is_deaf.store(self.is_a_feed_missing(&followed), Ordering::Relaxed);
                    self.hear(&mut followed, work);
                }
                let due = work.take_quiet(Size::Small, quiet, BATCH);
                if due.is_empty() {
                    break;
                }
                self.converge_some((&due, Size::Small), followed, work).await;
                self.tell_convergence(work, quiet);
            }
            self.tell_convergence(work, quiet);
            tokio::time::sleep(TICK).await;
        }
    }

    /// Compares the keys with large values that are quiet, one after the other, forever.
    async fn follow_large(&self, followed: &tokio::sync::Mutex<Vec<Followed>>, work: &Work) {
        let quiet = self.topology.quiet();
        loop {
            let due = work.take_quiet(Size::Large, quiet, 1);
            match due.is_empty() {
                true => tokio::time::sleep(TICK).await,
                false => self.converge_some((&due, Size::Large), followed, work).await,
            }
        }
    }

    async fn converge_some(
        &self,
        (due, size): (&[Dirty], Size),
        followed: &tokio::sync::Mutex<Vec<Followed>>,
        work: &Work,
    ) {
        let times_unheard = work.times_unheard();
        let heard = async |keys: &[Vec<u8>], looked_at: &[usize]| {
            let followed = &mut *followed.lock().await;
            // All that was executed before the looks is heard before the decision.
            let feeds = looked_at.iter().map(|idx| followed.get(*idx)?.feed.as_ref());
            let feeds: Vec<Option<&ChangeFeed>> = feeds.collect();
            let is_deaf = feeds.iter().any(Option::is_none);
            for heard in join_all(feeds.into_iter().flatten().map(ChangeFeed::barrier)).await {
                heard?;
            }
            self.hear(followed, work);
            Ok(Heard { has_changed: work.changed_since(keys, times_unheard), is_deaf })
        };
        let under_way = UnderWay::new(work, due, size);
        let (again, large) = match self.converge_keys((due, size), &work.first_looks, heard).await {
            Ok(outcome) => {
                self.topology.lasting.convergence.lock().converged += outcome.n_converged;
                #[cfg(feature = "metrics")]
                metrics::counter!("redisdb_copy_converged_keys").increment(outcome.n_converged);
                (outcome.again, outcome.large)
            }
            Err(error) => {
                tracing::debug!(%error, "keys that have changed are compared later");
                (due.to_vec(), Vec::new())
            }
        };
        // A node that was flushed meanwhile may be among those that told of a key.
        let still_counts = work.times_unheard() == times_unheard;
        let told = |dirty: Dirty| match still_counts {
            true => dirty,
            false => Dirty { told: dirty.told.by_nobody(), ..dirty },
        };
        let told = |all: Vec<Dirty>| all.into_iter().map(told).collect::<Vec<_>>();
        under_way.are_done(&told(again), &told(large));
    }

    /// Takes in what the feeds have told so far.
    fn hear(&self, followed: &mut [Followed], work: &Work) {
        for (idx, one) in followed.iter_mut().enumerate() {
            let is_admitted = self.topology.is_admitted(self.topology.nodes.member(idx));
            let Some(feed) = &mut one.feed else { continue };
            let mut is_refused = false;
            while let Some(changes) = feed.try_next() {
                match changes {
                    Changes::Keys(keys) => {
                        let users = keys.iter().filter(|key| !self.topology.is_ours(key));
                        // What somebody else's server tells takes no key away from ours.
                        let told = if is_admitted { Told::by(idx) } else { Told::default() };
                        users.for_each(|key| work.change(key, told));
                    }
                    Changes::Unknown(why) => {
                        if why == UnknownChanges::Flushed {
                            work.dirty.lock().disregard(idx);
                        }
                        self.topology.lasting.convergence.lock().gaps += 1;
                        #[cfg(feature = "metrics")]
                        metrics::counter!("redisdb_copy_feed_gaps").increment(1);
                        work.any_may_have_changed();
                    }
                    Changes::Refused(error) => {
                        self.topology.tell_refused(&error, None);
                        is_refused = true;
                    }
                    _ => {}
                }
            }
            if is_refused {
                // From now on the node does not tell what changes. The feed is opened anew when it may.
                *one = Followed { tried: Some(Instant::now()), ..Followed::default() };
            }
        }
    }

    /// Opens the feeds that are missing.
    async fn look_at_followed(&self, followed: &mut [Followed], work: &Work) {
        let looks = followed.iter_mut().zip(self.topology.nodes.members()).map(async |(one, member)| {
            if !self.topology.takes_part(member) {
                one.is_left_out |= member.node().is_connected();
                return;
            }
            if std::mem::take(&mut one.is_left_out) {
                work.any_may_have_changed();
            }
            let is_recent = one.tried.is_some_and(|at| at.elapsed() < LOOK_AGAIN);
            if one.feed.is_none() && !is_recent {
                one.tried = Some(Instant::now());
                match member.node().changes_quietly(Vec::new()).await {
                    Ok(feed) => {
                        one.feed = Some(feed);
                        work.any_may_have_changed();
                    }
                    Err(error) => self.topology.tell_refused(&error, None),
                }
            }
        });
        join_all(looks).await;
    }

    fn is_a_feed_missing(&self, followed: &[Followed]) -> bool {
        let mut nodes = followed.iter().zip(self.topology.nodes.members());
        nodes.any(|(one, member)| one.feed.is_none() && self.topology.takes_part(member))
    }

    fn tell_convergence(&self, work: &Work, quiet: Duration) {
        let dirty = work.dirty.lock().len();
        let lag = work.lag(quiet);
        let known = &mut *self.topology.lasting.convergence.lock();
        known.leads = true;
        known.dirty = dirty;
        known.lag = lag;
        known.round_due = work.round_due().is_some();
        #[cfg(feature = "metrics")]
        {
            metrics::gauge!("redisdb_copy_dirty_keys").set(dirty as f64);
            metrics::gauge!("redisdb_copy_convergence_lag_seconds").set(known.lag.as_secs_f64());
        }
    }
}

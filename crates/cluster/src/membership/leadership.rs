//! Leadership: one process does for all what only one need do, and says so in the marker of a server with each beat.
//!
//! The others see the beat when they look at the marker, which they do all the time. One of them takes over when the beat stands
//! still. Nothing that must be right rests on it: for a while two processes may lead.

use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::select;
use serde::Deserialize;
use serde::Serialize;

use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::membership::look::Found;

/// How often the process that leads says so.
const RENEW: Duration = Duration::from_secs(1);
/// How long the beat must have stood still before another process takes over, and how long a process leads without being able to
/// say so.
const LEASE: Duration = Duration::from_secs(5);

/// Which process leads, as a marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    by: String,
    beat: u64,
}

/// The leader that a marker names, and since when it has said the same.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    leader: Option<Leader>,
    since: Instant,
}

impl Member {
    /// The server's marker says that this process leads.
    pub(crate) fn learn_leader(&self, leader: Option<&Leader>) {
        let heard = &mut self.marked().lock().leader;
        if heard.as_ref().is_none_or(|heard| heard.leader.as_ref() != leader) {
            *heard = Some(Heard { leader: leader.cloned(), since: Instant::now() });
        }
    }

    /// Whether nobody leads by the word of this server, which was looked at.
    fn is_leaderless(&self) -> bool {
        let marked = self.marked().lock();
        marked.leader.as_ref().is_some_and(|heard| heard.leader.is_none() || LEASE <= heard.since.elapsed())
    }
}

/// The leadership of this process, by the word of one server.
#[derive(Debug)]
pub(crate) struct Leadership<'a> {
    copy: &'a CopyEngine,
    idx: usize,
    by: String,
}

impl CopyEngine {
    /// Leads from now on, if no other process does.
    pub(crate) async fn take_lead(&self) -> Option<Leadership<'_>> {
        let is_asked = |member: &Member| member.node().is_connected() && member.has_memory();
        let idx = self.topology.nodes.members().position(is_asked)?;
        let leadership = Leadership { copy: self, idx, by: format!("{:032x}", fastrand::u128(..)) };
        let is_leaderless = self.topology.nodes.member(idx).is_leaderless();
        (is_leaderless && leadership.beat(|_| true).await).then_some(leadership)
    }
}

impl Leadership<'_> {
    /// Does something for as long as this process leads.
    pub(crate) async fn while_kept(&self, work: impl Future<Output = ()> + Send) {
        let lost = async {
            let mut said = Instant::now();
            while said.elapsed() < LEASE {
                tokio::time::sleep(RENEW).await;
                if self.beat(|leader| leader.by == self.by).await {
                    said = Instant::now();
                }
            }
        };
        select(work.boxed(), lost.boxed()).await;
    }

    /// Says that this process leads, if the leader that the marker names permits that. Returns whether it is said.
    async fn beat(&self, permits: impl Fn(&Leader) -> bool) -> bool {
        let Found::Marked(marker, text) = self.copy.look(self.idx).await.found else { return false };
        if !marker.leader.as_ref().is_none_or(permits) {
            return false;
        }
        let beat = marker.leader.as_ref().map_or(0, |leader| leader.beat.wrapping_add(1));
        let next = marker.led_by(Some(Leader { by: self.by.clone(), beat }));
        let member = self.copy.topology.nodes.member(self.idx);
        self.copy.exchange(member, &text, &next).await
    }
}

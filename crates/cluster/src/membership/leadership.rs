//! Leadership: one process does for all what only one need do, a second one stands by, and both say so in the marker of a server.
//!
//! Each says so once in a second. The others see it when they look at the marker, which they do all the time. A post is vacant when its
//! holder has fallen silent. Nothing that must be right rests on it: for a while two processes may hold one post.

use std::time::Duration;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::Either;
use futures_util::future::select;
use serde::Deserialize;
use serde::Serialize;

use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::membership::look::Found;
use crate::membership::marker::Marker;

/// The pause after which the holder of a post says again that it holds it.
const RENEW: Duration = Duration::from_secs(1);
/// The time for which the holder must have been silent before the process that stands by takes over. It is
/// also the time for which a process holds a post without being able to say so.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// What a process may do for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    /// It leads.
    Leader,
    /// It follows what happens, so that it can lead at once.
    Standby,
}

/// Who holds a post, as a marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    by: String,
    beat: u64,
    #[serde(flatten)]
    says: Says,
}

/// What the holder of a post says of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Says {
    /// Its work is not known to whoever stands by: all keys are to be compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) owes: bool,
    /// A server does not tell it what changes there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_deaf: bool,
}

/// The holder of a post by the word of a marker, and since when the marker has said the same.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    holder: Option<Holder>,
    since: Instant,
}

/// Who holds the posts by the word of one server.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    leader: Option<Heard>,
    standby: Option<Heard>,
}

impl Posts {
    fn of(&self, post: Post) -> Option<&Heard> {
        match post {
            Post::Leader => self.leader.as_ref(),
            Post::Standby => self.standby.as_ref(),
        }
    }

    /// Takes note of what a marker says.
    pub(crate) fn hear(&mut self, marker: &Marker, now: Instant) {
        let says = [(&mut self.leader, &marker.leader), (&mut self.standby, &marker.standby)];
        for (heard, holder) in says {
            if heard.as_ref().is_none_or(|heard| heard.holder != *holder) {
                *heard = Some(Heard { holder: holder.clone(), since: now });
            }
        }
    }

    /// Returns the last holder of a post that is vacant: there was none, or it has been silent for so long. `None` if the post is
    /// held, or if no marker was read yet.
    fn last_holder(&self, post: Post, silent: Duration, now: Instant) -> Option<Option<Holder>> {
        let is_silent = |heard: &Heard| silent <= now.saturating_duration_since(heard.since);
        let heard = self.of(post).filter(|heard| heard.holder.is_none() || is_silent(heard))?;
        Some(heard.holder.clone())
    }
}

/// The time in which this process holds a post, by the word of one server.
#[derive(Debug)]
pub(crate) struct Tenure<'a> {
    copy: &'a CopyEngine,
    idx: usize,
    by: String,
    post: Post,
    /// What the holder before has left undone is not known to whoever stood by.
    pub(crate) is_owed: bool,
}

impl CopyEngine {
    /// How long the holder of a post has been silent.
    pub(crate) fn silence(&self, post: Post) -> Duration {
        let silences = self.topology.nodes.members().filter_map(|member| {
            member
                .marked()
                .lock()
                .posts
                .of(post)
                .filter(|heard| heard.holder.is_some())
                .map(|heard| heard.since.elapsed())
        });
        silences.min().unwrap_or_default()
    }

    /// Returns whether the process that leads says that a server does not tell it what changes there. Who has led before may still say so
    /// on another server.
    pub(crate) fn is_leader_deaf(&self) -> bool {
        let said = self.topology.nodes.members().filter_map(|member| {
            let marked = member.marked().lock();
            let heard = marked.posts.of(Post::Leader)?;
            heard.holder.as_ref().map(|leader| (heard.since, leader.says.is_deaf))
        });
        said.max_by_key(|(since, _)| *since).is_some_and(|(_, is_deaf)| is_deaf)
    }

    /// Takes a post if its holder has been silent for so long.
    pub(crate) async fn take(&self, post: Post, silent: Duration) -> Option<Tenure<'_>> {
        let is_asked = |member: &Member| member.node().is_connected() && member.has_memory();
        let idx = self.topology.nodes.members().position(is_asked)?;
        let member = self.topology.nodes.member(idx);
        let last = member.marked().lock().posts.last_holder(post, silent, Instant::now())?;
        let is_owed = last.as_ref().is_none_or(|last| last.says.owes);
        let tenure = Tenure { copy: self, idx, by: format!("{:032x}", fastrand::u128(..)), post, is_owed };
        // Not from one who has just taken it.
        let says = Says { owes: true, is_deaf: false };
        tenure.renew(|holder| Some(holder) == last.as_ref(), says).await.then_some(tenure)
    }
}

impl Tenure<'_> {
    /// Does something for as long as this process holds the post, of which it says this. Returns what was done; `None` if the post was
    /// lost.
    pub(crate) async fn while_held<T>(
        &self,
        work: impl Future<Output = T> + Send,
        says: impl Fn() -> Says + Sync,
    ) -> Option<T> {
        let lost = async {
            let mut said = Instant::now();
            while said.elapsed() < LEASE {
                tokio::time::sleep(RENEW).await;
                if self.renew(|holder| holder.by == self.by, says()).await {
                    said = Instant::now();
                }
            }
        };
        match select(work.boxed(), lost.boxed()).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// Says that this process holds the post, if that may be taken from the present holder. Returns whether it is said.
    async fn renew(&self, may_be_taken_from: impl Fn(&Holder) -> bool, says: Says) -> bool {
        let Found::Marked(marker, text) = self.copy.look(self.idx).await.found else { return false };
        let present = marker.holder(self.post);
        if !present.as_ref().is_none_or(may_be_taken_from) {
            return false;
        }
        let beat = present.as_ref().map_or(0, |holder| holder.beat.wrapping_add(1));
        let next = marker.held_by(self.post, Holder { by: self.by.clone(), beat, says });
        let member = self.copy.topology.nodes.member(self.idx);
        self.copy.exchange(member, &text, &next).await
    }
}

impl Marker {
    fn holder(&self, post: Post) -> &Option<Holder> {
        match post {
            Post::Leader => &self.leader,
            Post::Standby => &self.standby,
        }
    }

    fn held_by(self, post: Post, holder: Holder) -> Self {
        let (leader, standby) = (self.leader.clone(), self.standby.clone());
        match post {
            Post::Leader => self.with_posts(Some(holder), standby),
            Post::Standby => self.with_posts(leader, Some(holder)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::marker::Stage;

    #[test]
    fn a_post_is_vacant_when_nobody_holds_it_or_its_holder_has_been_silent() {
        let (mut posts, start) = (Posts::default(), Instant::now());
        let marker = || Marker::new("a", Stage::Ready, 1, None);
        let leader = |posts: &Posts, at| posts.last_holder(Post::Leader, LEASE, at);
        assert_eq!(leader(&posts, start), None, "nothing is known yet");
        posts.hear(&marker(), start);
        assert_eq!(leader(&posts, start), Some(None));
        let holder = |beat| Holder { by: "x".to_owned(), beat, says: Says::default() };
        let says = |beat| marker().held_by(Post::Leader, holder(beat));
        posts.hear(&says(1), start);
        posts.hear(&says(1), start + LEASE / 2);
        assert_eq!(leader(&posts, start + LEASE / 2), None);
        assert_eq!(posts.last_holder(Post::Standby, LEASE, start), Some(None), "that one is another post");
        assert_eq!(leader(&posts, start + LEASE), Some(Some(holder(1))));
        posts.hear(&says(2), start + LEASE);
        assert_eq!(leader(&posts, start + LEASE), None);
    }
}

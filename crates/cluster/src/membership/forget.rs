//! Forgetting: a node that never comes back is left out by all processes, and what nobody else has right is told as lost.
//!
//! The servers that stay note in their markers who is forgotten. Whoever reads that leaves the node out, and has it noted where
//! it is not noted yet. What the node itself has said of the others counts no more, as
//! `redisdb-replication` explores it: a node that stays is behind for a key only if a server that stays says so.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::Value;
use redisdb_node::command::rows;
use redisdb_node::plumbing::foreign;

use crate::engine::copy::CopyEngine;
use crate::engine::copy::topology::CopyTopology;
use crate::engine::member::Member;
use crate::engine::replace::Replaced;
use crate::error::Error;
use crate::error::debug::Keys;
use crate::error::debug::debug;
use crate::membership::marker::Marker;
use crate::membership::state_machine::Observation;

/// The most lost keys that are named.
const NAMED: usize = 1000;
/// The most of these keys that stand in the text.
const SHOWN: usize = 10;
/// The number of attempts to write a marker that somebody else changes at the same moment.
const ATTEMPTS: usize = 3;
/// What is said of the server of a node that is forgotten.
pub(crate) const WAS_FORGOTTEN: &str = "was forgotten, so nothing counts that it holds; to use it again, empty it and add it under \
                                        another name";

/// What [`RedisCopy::forget`](crate::RedisCopy::forget) has done: which keys have lost their last writes with the node, as far as
/// this client knows.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forgotten {
    /// The node.
    pub node: String,
    /// The keys whose last writes no node has that stays, in order; the first 1,000.
    pub lost: Vec<Vec<u8>>,
    /// The number of such keys.
    pub n_lost: usize,
    /// True if any key may have lost its last writes: each node that stays lost its data too, or has missed
    /// more than is remembered key by key.
    pub may_be_any: bool,
}

/// Who is forgotten, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    names: Mutex<BTreeSet<String>>,
    /// The servers that may hold hints still about nodes that were replaced: each holder, and whom they are about.
    left_over: Mutex<BTreeSet<(String, String)>>,
    /// Held while a node is left out.
    under_way: tokio::sync::Mutex<()>,
}

impl Forgetting {
    pub(crate) fn contains(&self, node: &str) -> bool {
        self.names.lock().contains(node)
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.names.lock().clone()
    }

    /// Somebody has forgotten these.
    pub(crate) fn hear(&self, names: &BTreeSet<String>) {
        if !names.is_empty() {
            self.names.lock().extend(names.iter().cloned());
        }
    }

    /// Those that stay may hold hints about those that were removed.
    pub(crate) fn are_replaced(&self, replaced: &Replaced) {
        let Replaced { added, removed, changed, kept } = replaced;
        let mut left_over = self.left_over.lock();
        left_over.retain(|(holder, about)| !removed.contains(holder) && !added.contains(about));
        for holder in [kept, changed, added].into_iter().flatten() {
            left_over.extend(removed.iter().map(|about| (holder.clone(), about.clone())));
        }
    }

    /// The nodes whose hints this server is to drop.
    fn to_drop(&self, holder: &str) -> BTreeSet<String> {
        let mut names = self.names();
        let left_over = self.left_over.lock();
        names.extend(left_over.iter().filter(|(on, _)| on == holder).map(|(_, about)| about.clone()));
        names
    }

    fn dropped(&self, holder: &str, names: &BTreeSet<String>) {
        self.left_over.lock().retain(|(on, about)| on != holder || !names.contains(about));
    }
}

impl CopyEngine {
    /// Forgets a node; see [`RedisCopy::forget`](crate::RedisCopy::forget).
    pub(crate) async fn forget(&self, name: &str) -> Result<Forgotten, Error> {
        self.topology.nodes.position(name)?;
        self.connect().await?;
        let lasting = &self.topology.lasting;
        let gone = || Error::NoSuchNode { name: name.to_owned() };
        let present = lasting.present.upgrade().ok_or_else(gone)?;
        let _alone = lasting.forgotten.under_way.lock().await;
        // Another node may have been left out meanwhile, or this one.
        let copy = present.engine();
        let nodes = &copy.topology.nodes;
        let idx = nodes.position(name)?;
        let names = BTreeSet::from([name.to_owned()]);
        if nodes.len() == 1 {
            return Err(Error::refused(
                "forget",
                "copy",
                "it is the last node, and what it holds is all there is",
            ));
        }
        copy.read_all_hints().await;
        let stay = || nodes.members().filter(|member| &**member.name() != name);
        if nodes.at(idx).is_connected() && !stay().any(Member::is_in_sync) {
            let stale = stay().map(|member| member.name().to_string()).collect();
            return Err(Error::NotReplaced { stale });
        }
        if copy.topology.identity.is_some() {
            let stay = (0..nodes.len()).filter(|on| *on != idx);
            let noted = join_all(stay.map(|on| copy.note_forgotten(on, &names))).await;
            if !noted.contains(&true) {
                let reason = "no server that stays could note that the node is forgotten, so other processes would go on \
                              with it; try again when one can be reached"
                    .to_owned();
                return Err(Error::Identity { reason });
            }
            // Its own server notes it too, if it can: it may be all that another process reaches.
            copy.note_forgotten(idx, &names).await;
        }
        lasting.forgotten.hear(&names);
        present.leave_out(&names)?.pop().ok_or_else(gone)
    }

    /// Leaves those nodes out that were found to be forgotten, if any node is left then; if not, none is used.
    pub(crate) async fn leave_forgotten(&self) {
        let lasting = &self.topology.lasting;
        let names = lasting.forgotten.names();
        if !self.topology.nodes.iter().any(|node| names.contains(node.name())) {
            return;
        }
        let Ok(_alone) = lasting.forgotten.under_way.try_lock() else { return };
        self.read_all_hints().boxed().await;
        if let Some(present) = lasting.present.upgrade()
            && let Err(error) = present.leave_out(&names)
        {
            tracing::debug!(%error, "every node is forgotten");
        }
    }

    /// Reads what all servers know at this moment that others have missed.
    async fn read_all_hints(&self) {
        let nodes = &self.topology.nodes;
        let connected = (0..nodes.len()).filter(|idx| nodes.at(*idx).is_connected());
        join_all(connected.map(|idx| self.read_hints_on(idx))).await;
    }

    /// Has a server note who is forgotten, if it has not, and drop the hints about those that take part no more: processes that
    /// have not heard of it give new ones.
    pub(crate) async fn pass_on(&self, idx: usize) {
        let topology = &*self.topology;
        let (member, forgotten) = (topology.nodes.member(idx), &topology.lasting.forgotten);
        if topology.identity.is_none() {
            return;
        }
        // Also about a node that is away: what this process has seen it miss is to stand on a server again.
        topology.drop_void(member);
        if !member.node().is_connected() {
            return;
        }
        let names = forgotten.names();
        if !names.is_subset(&member.marked().lock().forgotten) {
            self.note_forgotten(idx, &names).await;
        }
        let to_drop = forgotten.to_drop(member.name());
        let keys: Vec<String> = to_drop.iter().filter_map(|about| topology.hints_key(about)).collect();
        if keys.is_empty() {
            return;
        }
        match member.writer().send(rows::UNLINK.cmd().arg(&keys)).await {
            Ok(_) => forgotten.dropped(member.name(), &to_drop),
            Err(error) => topology.tell_refused(&error, keys.first().map(String::as_bytes)),
        }
    }

    /// Has a server note in its marker that these nodes are forgotten. Returns whether it is noted.
    async fn note_forgotten(&self, idx: usize, names: &BTreeSet<String>) -> bool {
        let Some(key) = self.topology.marker_key() else { return false };
        let member = self.topology.nodes.member(idx);
        for _ in 0..ATTEMPTS {
            let Ok(Value::BulkString(text)) = member.node().send(rows::GET.cmd().arg(&key)).await else {
                return false;
            };
            let marker = match Marker::read(&text, member.name()) {
                Ok(marker) if !marker.is_of_the_first_format() => marker,
                _ => return false,
            };
            let is_noted = names.is_subset(&marker.forgotten);
            if is_noted || self.exchange(member, &text, &marker.forgetting(names)).await {
                member.marked().lock().forgotten.extend(names.iter().cloned());
                return true;
            }
        }
        false
    }
}

impl CopyTopology {
    /// Drops what is known of a node by hints that are void: they have served their purpose, or are those of a server that takes
    /// part no more.
    pub(crate) fn drop_void(&self, about: &Member) {
        let Some(present) = self.lasting.present.upgrade() else { return };
        // A call that is still under way on the nodes of before drops nothing that a node of now says.
        let takes_part = |name: &str| present.engine().topology.nodes.position(name).is_ok();
        // What is learned from now on is kept.
        let last = about.hints().last_missed();
        let void = self.lasting.durable.take_void(about, takes_part);
        let incarnation = about.node().incarnation();
        void.served.iter().for_each(|key| about.hints().forget_given(incarnation, key, last));
        void.unsaid.iter().for_each(|key| about.hints().unsaid(key, last));
    }

    /// Has the nodes of this topology take the place of those that are gone: of a key that all of these have missed, what one of
    /// them holds counts from now on. Returns what is lost with each of those.
    pub(crate) fn take_over_from(&self, gone: &[&Member]) -> Vec<Forgotten> {
        // Those that have lost all are no word on a single key.
        let whole = self.nodes.members().filter(|member| member.hints().is_whole());
        let is_any_whole = whole.clone().next().is_some();
        let mut forgotten: Vec<Forgotten> = gone
            .iter()
            .map(|member| Forgotten {
                node: member.name().to_string(),
                lost: Vec::new(),
                n_lost: 0,
                may_be_any: !is_any_whole && member.hints().is_whole(),
            })
            .collect();
        for key in Self::missed_by(whole) {
            let heir = self.heir(&key);
            if let Some(heir) = heir {
                let hints = self.nodes.member(heir).hints();
                hints.forget(&key, hints.last_missed());
            }
            let had_it = |member: &&Member| member.hints().is_whole() && !member.hints().has_missed_of(&key);
            let is_known_who = gone.iter().any(had_it);
            for (member, forgotten) in gone.iter().zip(&mut forgotten) {
                // By whose word else would the heir be behind?
                if had_it(member) || heir.is_some() && !is_known_who {
                    forgotten.add(&key);
                }
            }
        }
        let mut members = self.nodes.members();
        if let (Some(last), None) = (members.next(), members.next())
            && !last.has_joined()
        {
            last.hints().on(Observation::LeftAlone);
        }
        forgotten
    }

    /// Whose value counts of a key that all have missed: of the first node, in the order in which the key is read, of which none
    /// of the others says so. Where nobody else can say it, only the last node is known to be the best.
    fn heir(&self, key: &[u8]) -> Option<usize> {
        if self.identity.is_none() && 1 < self.nodes.len() {
            return None;
        }
        let durable = &self.lasting.durable;
        let is_heir = |idx: &usize| {
            let about = self.nodes.member(*idx);
            about.hints().is_whole() && !self.nodes.members().any(|holder| durable.says(holder, about, key))
        };
        let heirs = || self.nodes.places(key).filter(is_heir);
        heirs().find(|idx| self.nodes.at(*idx).is_connected()).or_else(|| heirs().next())
    }
}

impl Forgotten {
    fn add(&mut self, key: &[u8]) {
        self.n_lost += 1;
        if self.lost.len() < NAMED {
            self.lost.push(key.to_vec());
        }
    }
}

impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node `{}` was forgotten; ", foreign::name(&self.node))?;
        match (self.may_be_any, self.n_lost) {
            (true, _) => f.write_str(
                "any key may have lost its last writes, for no node that stays is known to be whole",
            ),
            (false, 0) => f.write_str("no key is known to have lost a write"),
            (false, n_lost) => {
                write!(f, "{n_lost} keys have lost their last writes:")?;
                for (i, key) in self.lost.iter().take(SHOWN).enumerate() {
                    write!(f, "{} `{}`", if i == 0 { "" } else { "," }, foreign::bytes(key))?;
                }
                if SHOWN < n_lost { f.write_str(", ..") } else { Ok(()) }
            }
        }
    }
}

debug!(Forgotten { node, lost = Keys(lost), n_lost, may_be_any });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_keys_are_lost_escaped_and_within_bounds() {
        let mut forgotten =
            Forgotten { node: "b".to_owned(), lost: Vec::new(), n_lost: 0, may_be_any: false };
        let says = |forgotten: &Forgotten| forgotten.to_string();
        assert_eq!(says(&forgotten), "node `b` was forgotten; no key is known to have lost a write");
        forgotten.add(b"\x1b[2J");
        assert!(says(&forgotten).contains("1 keys have lost their last writes: `"), "{forgotten}");
        (0..NAMED).for_each(|i| forgotten.add(i.to_string().as_bytes()));
        assert_eq!((forgotten.lost.len(), forgotten.n_lost), (NAMED, NAMED + 1));
        for shown in [says(&forgotten), format!("{forgotten:?}")] {
            assert!(!shown.contains('\u{1b}'), "{shown}");
        }
        assert!(says(&forgotten).ends_with("`8`, .."), "{forgotten}");
        forgotten.may_be_any = true;
        assert!(says(&forgotten).contains("any key"));
    }

    #[test]
    fn a_server_drops_the_hints_about_a_node_once_and_about_a_forgotten_one_always() {
        let (forgetting, names) = (Forgetting::default(), |name: &str| BTreeSet::from([name.to_owned()]));
        let replaced = |removed: &str, kept: &str| Replaced {
            removed: vec![removed.to_owned()],
            kept: vec![kept.to_owned()],
            ..Replaced::default()
        };
        forgetting.are_replaced(&replaced("b", "a"));
        assert_eq!((forgetting.to_drop("a"), forgetting.to_drop("c")), (names("b"), BTreeSet::new()));
        forgetting.dropped("a", &names("b"));
        assert_eq!(forgetting.to_drop("a"), BTreeSet::new());
        forgetting.are_replaced(&replaced("b", "a"));
        forgetting.are_replaced(&Replaced { added: vec!["b".to_owned()], ..replaced("c", "a") });
        assert_eq!(forgetting.to_drop("a"), names("c"), "what is there again is hinted about");
        forgetting.hear(&names("d"));
        forgetting.dropped("a", &BTreeSet::from(["c".to_owned(), "d".to_owned()]));
        assert_eq!(forgetting.to_drop("a"), names("d"));
    }
}

//! What a hint log has recorded and the other servers were not told yet.

use std::sync::atomic::Ordering;

use crate::hints::log::HintLog;

impl HintLog {
    /// From now on what is recorded is to be given to the other servers too.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Release);
    }

    /// Returns whether anything is recorded that the other servers were not given.
    pub(crate) fn has_ungiven(&self) -> bool {
        0 < self.n_ungiven.load(Ordering::Acquire)
    }

    /// Returns whether the other servers were not given that the node missed one of these keys, or that it missed all.
    pub(crate) fn has_ungiven_of<'a>(&self, mut keys: impl Iterator<Item = &'a [u8]>) -> bool {
        let held = self.held();
        held.ungiven_flood.is_some() || keys.any(|key| held.ungiven.contains(key))
    }

    /// Up to so many keys that the other servers were not given, each with its number; and the number of the flood, if they
    /// are to be told that all was missed.
    pub(crate) fn ungiven(&self, most: usize) -> (Vec<(Vec<u8>, u64)>, Option<u64>) {
        let held = self.held();
        let keys = held.ungiven.iter().take(most).map(|(key, number)| (key.to_vec(), number));
        (keys.collect(), held.ungiven_flood)
    }

    /// The missed keys of which no other process can have heard. They were not given yet, or are known by a difference, which
    /// nobody is told.
    pub(crate) fn untold(&self) -> Vec<Vec<u8>> {
        let held = self.held();
        let ungiven = held.ungiven.iter().map(|(key, _)| key.to_vec());
        let differing = held.firsthand.keys().filter(|key| held.is_seen_to_differ(key));
        ungiven.chain(differing.cloned()).collect()
    }

    /// The other servers have just been given these keys.
    pub(crate) fn given_now<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut held = self.held();
        let last = held.ungiven.last();
        keys.for_each(|key| held.ungiven.forget(key, last));
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }

    /// The other servers were given these, or that all was missed, or both.
    pub(crate) fn given(&self, keys: &[(Vec<u8>, u64)], flood: Option<u64>) {
        let mut held = self.held();
        keys.iter().for_each(|(key, number)| held.ungiven.forget(key, *number));
        if held.ungiven_flood == flood {
            held.ungiven_flood = None;
        }
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }

    /// Forgets a key that another process has found to be the same as on a node in sync.
    ///
    /// The key stays if it was missed again after the write with this number. It also stays if this process knows more: it has a
    /// hint that nobody was given yet, has seen the key differ, or has sent this incarnation of the server a write that may run
    /// late.
    pub(crate) fn forget_given(&self, incarnation: u64, key: &[u8], last: u64) {
        let mut held = self.held();
        let is_firsthand = held.firsthand.get(key).is_some_and(|known| known.outweighs_others(incarnation));
        if held.ungiven.contains(key) || held.ungiven_flood.is_some() || is_firsthand {
            return;
        }
        held.forget(key, last);
        self.n_keys.store(held.missed.len(), Ordering::Release);
    }

    /// No server says any more that the node has missed this key. What only others knew is forgotten, unless it was learned again
    /// after this write. What this process has seen itself is to be given to the other servers anew.
    pub(crate) fn unsaid(&self, key: &[u8], last: u64) {
        let mut held = self.held();
        if held.is_seen_to_differ(key) {
            return;
        }
        if held.is_learned(key) {
            held.forget(key, last);
        } else if held.missed.contains(key) && held.ungiven.record(std::iter::once(key)).0 {
            held.ungiven_flood = Some(held.n_floods);
        }
        self.n_keys.store(held.missed.len(), Ordering::Release);
        self.n_ungiven.store(held.n_ungiven(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use crate::hints::testing::key;
    use crate::hints::testing::new;
    use crate::hints::trust::Trust;

    #[test]
    fn what_is_recorded_is_given_once_unless_it_is_recorded_once_more() {
        let (hints, _) = new();
        hints.record_hint(key("before"));
        assert!(!hints.has_ungiven(), "nobody else is to be told");
        hints.share();
        hints.record_hint([b"a".as_slice(), b"b"].into_iter());
        hints.learn_hint(key("learned"));
        hints.inherit_hint(key("inherited"));
        let (mut ungiven, flood) = hints.ungiven(9);
        ungiven.sort();
        assert_eq!(
            (ungiven.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), flood),
            (vec![b"a".as_slice(), b"b"], None)
        );
        hints.record_difference(key("differs"));
        let mut untold = hints.untold();
        untold.sort();
        assert_eq!(untold, [b"a".as_slice(), b"b", b"differs"], "what others can have heard of is left out");
        hints.record_hint(key("b"));
        hints.given(&ungiven, flood);
        assert!(hints.has_ungiven() && hints.ungiven(9).0[0].0 == b"b");
        hints.given_now(key("b"));
        assert!(!hints.has_ungiven());
        hints.record_hint(key("c"));
        hints.forget(b"c", hints.last_missed());
        assert!(!hints.has_ungiven(), "it was brought over before anybody was told");
        hints.record_hint(std::iter::empty());
        let (_, flood) = hints.ungiven(9);
        hints.record_hint(std::iter::empty());
        hints.given(&[], flood);
        assert!(hints.has_ungiven(), "all was missed once more");
        hints.given(&[], hints.ungiven(9).1);
        assert!(!hints.has_ungiven());
    }

    #[test]
    fn what_no_server_says_any_more_is_known_only_to_a_process_that_has_seen_it_which_gives_it_anew() {
        let (hints, node) = new();
        hints.share();
        hints.record_hint(key("own"));
        hints.given_now(key("own"));
        hints.learn_hint([b"own".as_slice(), b"learned", b"again", b"said"].into_iter());
        let last = hints.last_missed();
        hints.learn_hint(key("again"));
        ["own", "learned", "again", "never"].iter().for_each(|key| hints.unsaid(key.as_bytes(), last));
        let is_behind = |name| !hints.in_sync(&node, key(name));
        assert_eq!(
            ["own", "learned", "again", "never", "said"].map(is_behind),
            [true, false, true, false, true]
        );
        let ungiven: Vec<Vec<u8>> = hints.ungiven(9).0.into_iter().map(|(key, _)| key).collect();
        assert!(hints.has_ungiven() && ungiven == [b"own"]);
        let last = hints.last_missed();
        hints.learn_hint(key("said"));
        hints.forget_given(0, b"said", last);
        assert!(is_behind("said"), "it was learned again");
    }

    #[test]
    fn what_this_process_has_seen_differ_is_not_settled_by_what_others_say() {
        let (hints, _) = new();
        hints.share();
        hints.learn_hint(key("k"));
        hints.record_difference(key("k"));
        assert!(!hints.has_ungiven(), "the others are not told");
        hints.forget_given(0, b"k", hints.last_missed());
        hints.unsaid(b"k", hints.last_missed());
        assert!(hints.has_missed_of(b"k") && !hints.has_ungiven());
        hints.forget(b"k", hints.last_missed());
        assert!(!hints.has_missed_of(b"k"));
        hints.learn_hint(key("k"));
        hints.forget_given(0, b"k", hints.last_missed());
        assert!(!hints.has_missed_of(b"k"), "it was seen to be the same since");
    }

    #[test]
    fn a_request_that_may_run_late_is_not_settled_by_what_others_say_while_its_server_lives() {
        let (hints, node) = new();
        hints.share();
        hints.record_crossing(key("k"));
        hints.record_unanswered(7, key("k"));
        assert!(hints.has_ungiven() && hints.trust(&node, key("k")) == Trust::Stale);
        hints.given_now(key("k"));
        hints.forget_given(7, b"k", hints.last_missed());
        assert!(hints.has_missed_of(b"k"), "it may run yet");
        hints.unsaid(b"k", hints.last_missed());
        assert!(hints.has_ungiven(), "it is told anew where nobody says it any more");
        hints.given_now(key("k"));
        hints.forget_given(8, b"k", hints.last_missed());
        assert!(!hints.has_missed_of(b"k"), "its server has ended");
        hints.record_unanswered(8, key("k"));
        hints.forget(b"k", hints.last_missed());
        assert!(!hints.has_missed_of(b"k"), "this process has compared it");
    }
}

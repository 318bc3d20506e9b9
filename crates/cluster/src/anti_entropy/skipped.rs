//! Keys that a repair left out because a user may not read or write them, and the ACL rule that mends it.

use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::plumbing::foreign;

use crate::anti_entropy::repair::Repaired;
use crate::anti_entropy::value;
use crate::engine::copy::topology::CopyTopology;
use crate::error::Error;
use crate::error::debug::Pairs;
use crate::error::debug::debug;

/// Keys that were left out, because the user may not use them: those of another application, for example.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The number of such keys, on the node that has most of them.
    pub n_keys: u64,
    /// A few of them, each with what the server said.
    pub examples: Vec<(Vec<u8>, String)>,
}

impl Skipped {
    /// So many are named.
    const FEW: usize = 10;

    pub(crate) fn add(&mut self, key: &[u8], reason: impl FnOnce() -> String) {
        self.n_keys += 1;
        if self.examples.len() < Self::FEW {
            self.examples.push((key.to_vec(), reason()));
        }
    }
}

debug!(Skipped { n_keys, examples = Pairs(examples) });

impl CopyTopology {
    /// What a node said about a key, and what would permit it.
    pub(crate) fn reason(&self, key: &[u8], error: &node::Error) -> String {
        match self.mending(error, Some(key)) {
            Some(mending) => format!("{error}; {mending}"),
            None => error.to_string(),
        }
    }

    /// Tells once which keys a repair by itself left as they were, and why.
    pub(crate) fn tell_left(&self, node: &Node, repaired: &Repaired) {
        let name = node.name();
        let Repaired { failed, skipped, .. } = repaired;
        for (left, n, first, are) in [
            (
                "failed",
                failed.len() as u64,
                failed.first(),
                "cannot be brought over, and are not read from it",
            ),
            ("skipped", skipped.n_keys, skipped.examples.first(), "are not this user's, and are left alone"),
        ] {
            let Some((key, reason)) = first else { continue };
            let key = foreign::bytes(key);
            if self.is_news(format!("{name} {left} {key}")) {
                tracing::warn!(node = name, "{n} keys {are}; the first: `{key}`: {reason}");
            }
        }
    }

    /// Tells once what the nodes refused that a copy needs; of each node as [`tell_refused`](Self::tell_refused).
    pub(crate) fn tell_all_refused(&self, error: &Error) {
        for error in error.node_errors() {
            self.tell_refused(error, None);
        }
    }

    /// Tells once what a node refused that a copy needs and tries again and again, and what would permit it. That it cannot
    /// be reached, or is full, the node itself tells.
    pub(crate) fn tell_refused(&self, error: &node::Error, key: Option<&[u8]>) {
        if self.tell_denied(error, key)
            || error.code().is_none()
            || error.is_passing()
            || error.refuses_writes()
        {
            return;
        }
        let (node, command, code) = (error.node(), error.command(), error.code());
        if self.is_news(format!("{} {command} {code:?}", node.unwrap_or_default())) {
            tracing::warn!(node, %error, "the copy is refused what it needs, and tries again");
        }
    }

    /// Tells once of a permission that the user of the copy lacks. Returns whether it is that.
    pub(crate) fn tell_denied(&self, error: &node::Error, key: Option<&[u8]>) -> bool {
        let (node, mending) = (error.node(), self.mending(error, key));
        if let Some(mending) = &mending
            && self.is_news(format!("{} {mending}", node.unwrap_or_default()))
        {
            tracing::warn!(node, %error, "the copy lacks a permission: {mending}");
        }
        mending.is_some()
    }

    /// Tells once why a server is not used.
    pub(crate) fn tell_barred(&self, node: &Node, why: &str) {
        let name = node.name();
        if self.is_news(format!("{name} {why}")) {
            tracing::warn!(node = name, "it is not used: its server {why}");
        }
    }

    /// Returns whether something is said for the first time.
    pub(crate) fn is_news(&self, text: String) -> bool {
        /// Beyond this many nothing is news.
        const MOST: usize = 1000;
        let mut told = self.lasting.told.lock();
        told.len() < MOST && told.insert(text)
    }

    fn mending(&self, error: &node::Error, key: Option<&[u8]>) -> Option<String> {
        let idx = self.nodes.position(error.node()?).ok()?;
        value::mending(self.nodes.at(idx), error, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_somebody_else_chose_are_shown_escaped_and_cut() {
        let key = b"\x1b[2J\n".repeat(1 << 20);
        let skipped = Skipped { n_keys: 1, examples: vec![(key.clone(), "why".to_owned())] };
        let repaired = Repaired {
            failed: vec![(key.clone(), "why".to_owned())],
            skipped: skipped.clone(),
            doubtful: vec![key.clone()],
            undecided: vec![key],
            ..Repaired::default()
        };
        for (shown, n_keys) in
            [(format!("{skipped:?}"), 1), (format!("{repaired:?}"), 4), (format!("{:#?}", [&repaired]), 4)]
        {
            assert_eq!(shown.matches("..(5242880 bytes)").count(), n_keys, "{shown:.500}");
            assert!(shown.len() < 2500 && !shown.contains('\u{1b}') && shown.contains("why"), "{shown:.500}");
        }
    }
}

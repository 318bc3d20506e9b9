//! A quorum: the nodes vote, and a majority of all of them decides.

use std::sync::Arc;

use redis::Value;
use redisdb_node as node;

use crate::error::Error;
use crate::error::TooFewReplies;
use crate::replies::Replies;

/// The votes so far, each a yes, a no, or an error.
#[derive(Debug)]
pub(crate) struct Quorum {
    majority: usize,
    n_nodes: usize,
    yes: usize,
    no: usize,
    votes: Vec<(Arc<str>, Result<bool, node::Error>)>,
}

impl Quorum {
    pub(crate) fn of(n_nodes: usize) -> Self {
        Self { majority: n_nodes / 2 + 1, n_nodes, yes: 0, no: 0, votes: Vec::new() }
    }

    /// Counts the vote of a node.
    pub(crate) fn count(&mut self, node: &Arc<str>, vote: Result<bool, node::Error>) {
        match vote {
            Ok(true) => self.yes += 1,
            Ok(false) => self.no += 1,
            Err(_) => {}
        }
        self.votes.push((Arc::clone(node), vote));
    }

    /// Returns whether the nodes still to be heard can change nothing.
    pub(crate) fn is_decided(&self) -> bool {
        self.majority <= self.yes || self.n_nodes - self.majority < self.votes.len() - self.yes
    }

    /// Returns whether a majority said yes.
    ///
    /// # Errors
    /// If so few nodes voted that those without a vote could have made it a yes.
    pub(crate) fn outcome(self, command: &'static str) -> Result<bool, Error> {
        if self.majority <= self.yes {
            return Ok(true);
        }
        let silent = self.votes.len() - self.yes - self.no;
        if self.yes + silent < self.majority {
            return Ok(false);
        }
        let replies = self.votes.into_iter();
        let replies = replies.map(|(name, vote)| (name, vote.map(|yes| Value::Int(yes.into())).into()));
        let replies = Replies::new(replies.collect());
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command, wanted: self.majority, replies })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a quorum of `n_nodes` with these votes: `y`, `n`, or `-` for an error.
    fn quorum(n_nodes: usize, votes: &str) -> Quorum {
        let mut quorum = Quorum::of(n_nodes);
        for vote in votes.chars() {
            let silent = || node::Error::new("n".into(), "SET", node::ErrorKind::Unsupported("".into()));
            quorum.count(&"n".into(), if vote == '-' { Err(silent()) } else { Ok(vote == 'y') });
        }
        quorum
    }

    #[test]
    fn a_majority_of_all_nodes_decides() {
        let outcome = |n_nodes, votes| quorum(n_nodes, votes).outcome("SET").ok();
        assert_eq!(outcome(3, "yy"), Some(true));
        assert_eq!(outcome(3, "yyn"), Some(true));
        assert_eq!(outcome(3, "ynn"), Some(false));
        assert_eq!(outcome(3, "yn-"), None, "the third could have said yes");
        assert_eq!(outcome(2, "yn"), Some(false));
        assert_eq!(outcome(2, "y-"), None);
    }

    #[test]
    fn a_vote_is_decided_as_soon_as_the_others_can_change_nothing() {
        assert!(quorum(3, "yy").is_decided() && quorum(3, "nn").is_decided() && quorum(3, "n-").is_decided());
        assert!(
            !quorum(3, "y").is_decided() && !quorum(3, "yn").is_decided() && !quorum(5, "nn").is_decided()
        );
    }
}

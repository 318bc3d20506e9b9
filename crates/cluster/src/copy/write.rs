//! Writes: every node takes them, and says so.

use std::sync::Arc;
use std::time::SystemTime;

use redis::Cmd;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::Spec;

use super::Shared;
use super::refused;
use crate::copy::RedisCopy;
use crate::effect;
use crate::effect::Plan;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::replies::Outcome;
use crate::replies::Replies;

impl RedisCopy {
    /// Sends a write to every node at once; the outcome is judged by [`WriteTo`].
    pub(crate) async fn run_write(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Replies<Value>, Error> {
        let shared = &*self.shared;
        // The keys must be known before anything is sent: a node that misses the write is behind on them.
        let _known = spec.keys_of(cmd).map_err(|reason| Error::Keys { command: spec.name, reason })?;
        let rewritten;
        let cmd = match effect::plan(spec, cmd, SystemTime::now()) {
            Plan::AsItIs => cmd,
            Plan::Instead(instead) => {
                rewritten = instead;
                &rewritten
            }
            Plan::OneNode => return self.run_on_one(spec, cmd).await,
            Plan::Refuse(reason) => return Err(refused(spec, reason)),
        };
        let results = shared.nodes.run_on_all(spec, cmd).await;
        shared.note_missed(spec, cmd, &results);
        let replies = shared.nodes.replies(results);
        let wanted = shared.write_to.wanted(replies.len());
        if replies.successes().count() >= wanted {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted, replies })))
    }

    /// Sends a command to one node: the channel's owner, or the next one when that cannot be reached.
    async fn run_on_one(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Replies<Value>, Error> {
        let shared = &*self.shared;
        let channel = spec.first_key(cmd).ok().flatten().unwrap_or_default();
        let mut replies: Vec<_> = (0..shared.nodes.len())
            .map(|idx| (Arc::clone(shared.nodes.name(idx)), Outcome::Skipped))
            .collect();
        for idx in shared.nodes.ring().successors(channel) {
            let result = shared.nodes.at(idx).run(spec, cmd).await;
            let next = result.as_ref().is_err_and(node::Error::is_connect);
            if let Some((_, outcome)) = replies.get_mut(idx) {
                *outcome = result.into();
            }
            if !next {
                break;
            }
        }
        let replies = Replies::new(replies);
        if replies.first().is_some() {
            return Ok(replies);
        }
        Err(Error::TooFewReplies(Box::new(TooFewReplies { command: spec.name, wanted: 1, replies })))
    }
}

impl Shared {
    /// Records which nodes may not hold what the others hold after a write.
    ///
    /// A node is behind if it did not take what another one took. If none took it for certain, those that may have
    /// are behind the others, which certainly did not; if all may have, nothing tells them apart.
    fn note_missed(&self, spec: &Spec, cmd: &Cmd, results: &[Result<Value, node::Error>]) {
        let taken = results.iter().any(Result::is_ok);
        let maybe =
            |result: &Result<Value, node::Error>| result.as_ref().is_err_and(node::Error::may_have_executed);
        if results.iter().all(Result::is_ok) || !taken && results.iter().all(maybe) {
            return;
        }
        for (behind, result) in self.behind.iter().zip(results) {
            if if taken { result.is_err() } else { maybe(result) } {
                behind.missed(spec.keys_of(cmd).into_iter().flatten().map(|(_, key)| key));
            }
        }
    }
}

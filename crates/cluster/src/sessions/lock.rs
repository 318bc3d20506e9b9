//! Locks: on a ring at the owner of the name, on a copy at a majority of the nodes.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use redisdb_node as node;
use redisdb_node::command::rows;
use redisdb_node::plumbing::HoldLocks;

use crate::copy::RedisCopy;
use crate::dispatch::scatter::on_owner;
use crate::engine::copy::CopyEngine;
use crate::error::Error;
use crate::error::TooFewReplies;
use crate::replies::Replies;
use crate::ring::RedisRing;

fn at_owner(name: &[u8]) -> impl FnOnce(node::Error) -> Error + use<'_> {
    move |error| on_owner(rows::GET.spec(), &rows::GET.cmd().arg(name).take(), error)
}

impl HoldLocks for RedisRing {
    async fn take_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        self.node_for(name).take_lock(name, token, time).await.map_err(at_owner(name))
    }

    async fn extend_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        self.node_for(name).extend_lock(name, token, time).await.map_err(at_owner(name))
    }

    async fn owns_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        self.node_for(name).owns_lock(name, token).await.map_err(at_owner(name))
    }

    async fn release_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        self.node_for(name).release_lock(name, token).await.map_err(at_owner(name))
    }
}

/// What the nodes have said so far; an answer is a yes or a no.
struct Vote {
    majority: usize,
    n_nodes: usize,
    yes: usize,
    no: usize,
    replies: Vec<(Arc<str>, Result<bool, node::Error>)>,
}

impl Vote {
    fn among(copy: &CopyEngine) -> Self {
        let n_nodes = copy.shared.nodes.len();
        Self { majority: n_nodes / 2 + 1, n_nodes, yes: 0, no: 0, replies: Vec::new() }
    }

    /// Counts the answer of the node at this position. One that has lost its data knows of no lock that others took: its yes
    /// is none.
    fn count(&mut self, copy: &CopyEngine, idx: usize, name: &str, answer: Result<bool, node::Error>) {
        let answer = answer.map(|yes| yes && copy.has_memory(idx));
        match answer {
            Ok(true) => self.yes += 1,
            Ok(false) => self.no += 1,
            Err(_) => {}
        }
        self.replies.push((name.into(), answer));
    }

    /// Whether the nodes still to be heard can change nothing.
    fn is_decided(&self) -> bool {
        self.yes >= self.majority || self.replies.len() - self.yes > self.n_nodes - self.majority
    }

    /// Whether a majority said yes. If too few said anything at all, that is an error.
    fn outcome(self) -> Result<bool, Error> {
        if self.yes >= self.majority {
            return Ok(true);
        }
        let silent = self.replies.len() - self.yes - self.no;
        if self.yes + silent < self.majority {
            return Ok(false);
        }
        let replies = self
            .replies
            .into_iter()
            .map(|(name, answer)| (name, answer.map(|yes| Value::Int(yes.into())).into()));
        Err(Error::TooFewReplies(Box::new(TooFewReplies {
            command: rows::EVALSHA.spec().name,
            wanted: self.majority,
            replies: Replies::new(replies.collect()),
        })))
    }
}

/// Until when a lock that was asked for at `begun` is certainly held: clocks may differ by 1 % and 2 milliseconds.
fn until(begun: Instant, time: Duration) -> Option<Instant> {
    let certain = time.checked_sub(time / 100 + Duration::from_millis(2))?;
    begun.checked_add(certain).filter(|until| *until > Instant::now())
}

impl HoldLocks for RedisCopy {
    async fn take_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let writers = self.engine.writers().await?;
        let begun = Instant::now();
        let mut vote = Vote::among(&self.engine);
        let mut answers: FuturesUnordered<_> = writers
            .enumerate()
            .map(async |(idx, node)| {
                (idx, node.name(), node.take_lock(name, token, time).await.map(|taken| taken.is_some()))
            })
            .collect();
        // A node that hangs does not hold up what the others have decided.
        while let Some((idx, name, answer)) = answers.next().await {
            vote.count(&self.engine, idx, name, answer);
            if vote.is_decided() {
                break;
            }
        }
        drop(answers);
        let taken = vote.outcome();
        if let Ok(true) = taken
            && let Some(until) = until(begun, time)
        {
            return Ok(Some(until));
        }
        // What was taken by a minority, or too slowly, is in everybody's way.
        let _best_effort = self.release_lock(name, token).await;
        taken.map(|_| None)
    }

    async fn extend_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let writers = self.engine.writers().await?;
        let begun = Instant::now();
        let mut vote = Vote::among(&self.engine);
        let answers = writers.map(|node| node.extend_lock(name, token, time));
        for ((idx, node), answer) in self.engine.shared.nodes.iter().enumerate().zip(join_all(answers).await)
        {
            vote.count(&self.engine, idx, node.name(), answer.map(|extended| extended.is_some()));
        }
        Ok(if vote.outcome()? { until(begun, time) } else { None })
    }

    async fn owns_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        let answers = self.engine.writers().await?.map(|node| node.owns_lock(name, token));
        let mut vote = Vote::among(&self.engine);
        for ((idx, node), answer) in self.engine.shared.nodes.iter().enumerate().zip(join_all(answers).await)
        {
            vote.count(&self.engine, idx, node.name(), answer);
        }
        vote.outcome()
    }

    async fn release_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        let answers = self.engine.writers().await?.map(|node| node.release_lock(name, token));
        let mut vote = Vote::among(&self.engine);
        for ((idx, node), answer) in self.engine.shared.nodes.iter().enumerate().zip(join_all(answers).await)
        {
            vote.count(&self.engine, idx, node.name(), answer);
        }
        vote.outcome()
    }
}

//! Locks: on a ring at the owner of the name, on a copy at a majority of the nodes.

use std::time::Duration;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redisdb_node as node;
use redisdb_node::Node;
use redisdb_node::command::rows;
use redisdb_node::plumbing::HoldLocks;
use redisdb_node::plumbing::LONGEST;

use crate::copy::RedisCopy;
use crate::dispatch::scatter::on_owner;
use crate::engine::copy::CopyEngine;
use crate::engine::member::Member;
use crate::error::Error;
use crate::plan::quorum::Quorum;
use crate::ring::RedisRing;

fn at_owner(name: &[u8]) -> impl FnOnce(node::Error) -> Error + use<'_> {
    move |error| on_owner(rows::GET.spec(), &rows::GET.cmd().arg(name).take(), error)
}

/// The owner of a lock, once it may say who holds it.
async fn ready_owner(ring: &RedisRing, name: &[u8]) -> Result<Node, Error> {
    let topology = ring.engine.topology();
    let owner = topology.nodes.ring().lookup(name);
    ring.engine.ready(&topology, owner, rows::SET.spec().name).await.map_err(at_owner(name))?;
    Ok(ring.node_for(name))
}

impl HoldLocks for RedisRing {
    async fn take_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        ready_owner(self, name).await?.take_lock(name, token, time).await.map_err(at_owner(name))
    }

    async fn extend_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        ready_owner(self, name).await?.extend_lock(name, token, time).await.map_err(at_owner(name))
    }

    async fn owns_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        ready_owner(self, name).await?.owns_lock(name, token).await.map_err(at_owner(name))
    }

    async fn release_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        self.node_for(name).release_lock(name, token).await.map_err(at_owner(name))
    }
}

/// Returns how long a lock of this lease is certainly held: clocks may differ by 1 % and 2 milliseconds.
///
/// # Errors
/// The lease is so short that the lock never is.
fn certain(lease: Duration) -> Result<Duration, Error> {
    let lease = lease.min(LONGEST);
    let certain =
        lease.checked_sub(lease / 100 + Duration::from_millis(2)).filter(|certain| !certain.is_zero());
    let reason = "so short a lease is never certain, for the clocks of the servers may differ by 2 ms; give it at least 10 ms";
    certain.ok_or_else(|| Error::refused("lock", "copy", reason))
}

/// Returns until when a lock that was asked for at `begun` is certainly held.
fn until(begun: Instant, certain: Duration) -> Option<Instant> {
    begun.checked_add(certain).filter(|until| *until > Instant::now())
}

/// Returns the vote of a node. A node that has lost its data does not know the locks of others, so its yes is a no.
fn vote(member: &Member, answer: Result<bool, node::Error>) -> Result<bool, node::Error> {
    answer.map(|yes| yes && member.has_memory())
}

/// Returns whether a majority of the nodes answered yes. The answers stand in the order of the nodes.
fn majority(copy: &CopyEngine, answers: Vec<Result<bool, node::Error>>) -> Result<bool, Error> {
    let mut quorum = Quorum::of(answers.len());
    for (member, answer) in copy.topology.nodes.members().zip(answers) {
        quorum.count(member.name(), vote(member, answer));
    }
    quorum.outcome(rows::EVALSHA.spec().name)
}

/// The nodes as a lock of this name is held on them.
async fn writers_of<'a>(copy: &'a CopyEngine, name: &[u8]) -> Result<impl Iterator<Item = &'a Node>, Error> {
    copy.writers_of("lock", std::iter::once(name)).await
}

impl HoldLocks for RedisCopy {
    async fn take_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let (engine, certain) = (self.engine(), certain(time)?);
        let writers = writers_of(&engine, name).await?;
        let begun = Instant::now();
        let members = engine.topology.nodes.members();
        let mut quorum = Quorum::of(members.len());
        let mut answers: FuturesUnordered<_> = members
            .zip(writers)
            .map(async |(member, node)| {
                (member, node.take_lock(name, token, time).await.map(|taken| taken.is_some()))
            })
            .collect();
        // A node that hangs does not hold up what the others have decided.
        while let Some((member, answer)) = answers.next().await {
            quorum.count(member.name(), vote(member, answer));
            if quorum.is_decided() {
                break;
            }
        }
        drop(answers);
        let taken = quorum.outcome(rows::EVALSHA.spec().name);
        if let Ok(true) = taken
            && let Some(until) = until(begun, certain)
        {
            return Ok(Some(until));
        }
        // A lock that only a minority took, or that took too long, is in everybody's way.
        let _best_effort = self.release_lock(name, token).await;
        taken.map(|_| None)
    }

    async fn extend_lock(&self, name: &[u8], token: &str, time: Duration) -> Result<Option<Instant>, Error> {
        let (engine, certain) = (self.engine(), certain(time)?);
        let writers = writers_of(&engine, name).await?;
        let begun = Instant::now();
        let extended = writers.map(async |node| Ok(node.extend_lock(name, token, time).await?.is_some()));
        Ok(if majority(&engine, join_all(extended).await)? { until(begun, certain) } else { None })
    }

    async fn owns_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        let engine = self.engine();
        let owned = writers_of(&engine, name).await?.map(|node| node.owns_lock(name, token));
        majority(&engine, join_all(owned).await)
    }

    async fn release_lock(&self, name: &[u8], token: &str) -> Result<bool, Error> {
        let engine = self.engine();
        let released = writers_of(&engine, name).await?.map(|node| node.release_lock(name, token));
        majority(&engine, join_all(released).await)
    }
}

//! The subject of a fault, a ring or a copy: what the scenes must know of it beyond `Servers`.

use std::time::Duration;

use redisdb::Error;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::Replies;
use redisdb::Servers;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;

use super::tally::Tally;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ring,
    Copy,
}

/// A ring or a copy that faults are done to.
pub trait Subject: Servers + Send + 'static {
    const KIND: Kind;

    /// One over servers at these addresses. An identity is for a copy; a ring has none.
    fn over(urls: &[String], identity: Option<&str>, deadline: Duration) -> Self;

    /// The copy, if it is one.
    fn copy(&self) -> Option<&RedisCopy>;

    /// Returns whether a node, which owns this key or is read from first, takes a write and answers a read.
    fn answers(&self, node: &Node, key: &str) -> impl Future<Output = bool>;

    /// Puts into the tally what single nodes of a copy said against a write that was taken.
    fn note<T: Send>(written: &Self::Write<T>, tally: &mut Tally);

    /// Returns whether an error is one of nodes that are at fault.
    fn excuses(error: &Error, faulty: &[bool; NAMES.len()]) -> bool;
}

impl Subject for RedisRing {
    const KIND: Kind = Kind::Ring;

    fn over(urls: &[String], _: Option<&str>, deadline: Duration) -> Self {
        let nodes = NAMES.iter().zip(urls);
        let ring = nodes.fold(RedisRing::builder(), |ring, (name, url)| ring.node(*name, url));
        ring.response_timeout(deadline).build().unwrap().with_deadline(deadline)
    }

    fn copy(&self) -> Option<&RedisCopy> {
        None
    }

    async fn answers(&self, _: &Node, key: &str) -> bool {
        self.set(key, 1).await.is_ok() && self.get::<u8>(key).await.is_ok()
    }

    fn note<T: Send>(_: &T, _: &mut Tally) {}

    fn excuses(error: &Error, faulty: &[bool; NAMES.len()]) -> bool {
        let is_faulty = |name| NAMES.iter().zip(faulty).any(|(n, faulty)| Some(*n) == name && *faulty);
        let errors = error.node_errors();
        !errors.is_empty() && errors.iter().all(|error| is_faulty(error.node()))
    }
}

impl Subject for RedisCopy {
    const KIND: Kind = Kind::Copy;

    fn over(urls: &[String], identity: Option<&str>, deadline: Duration) -> Self {
        let nodes = NAMES.iter().zip(urls);
        let copy = nodes.fold(RedisCopy::builder(), |copy, (name, url)| copy.node(*name, url));
        let copy = identity.iter().fold(copy, |copy, identity| copy.identity(*identity));
        copy.response_timeout(deadline).build().unwrap().with_deadline(deadline)
    }

    fn copy(&self) -> Option<&RedisCopy> {
        Some(self)
    }

    async fn answers(&self, node: &Node, key: &str) -> bool {
        node.ready().await.is_ok() && self.set(key, 1).await.is_ok_and(|replies| replies.is_complete())
    }

    fn note<T: Send>(written: &Replies<T>, tally: &mut Tally) {
        written.failures().for_each(|(_, error)| tally.note(error));
    }

    /// A call may need any node; that none fails is for the row to say.
    fn excuses(_: &Error, faulty: &[bool; NAMES.len()]) -> bool {
        faulty.contains(&true)
    }
}

/// Returns the position of the node that owns a key, or that it is read from first.
pub fn node_of(servers: &impl Servers, key: &str) -> usize {
    let node = servers.node_for(key);
    NAMES.iter().position(|name| *name == node.name()).unwrap()
}

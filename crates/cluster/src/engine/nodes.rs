//! The nodes and the placement of keys on them: one value that never changes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::join_all;
use futures_util::future::select_ok;
use redisdb_hashring::HashRing;
use redisdb_hashring::HashTag;
use redisdb_node as node;
use redisdb_node::Node;
use tokio::time::Instant;

use crate::engine::member::Member;
use crate::error::Error;
use crate::event::Events;
use crate::replies::Replies;

/// The nodes in the order of the configuration; a ring's index is theirs.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    ring: Arc<HashRing>,
    members: Vec<Member>,
    events: Events,
    replicas: Replicas,
}

/// How many nodes hold a key: the parameter in which a ring and a copy differ.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Replicas {
    One,
    All,
}

impl Nodes {
    /// The members of a placement, in its order.
    pub(crate) fn new(ring: Arc<HashRing>, members: Vec<Member>, events: Events, replicas: Replicas) -> Self {
        Node::keep_apart(members.iter().map(Member::node));
        Self { ring, members, events, replicas }
    }

    /// The events that tell of these nodes.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// The same nodes for a call that ends at this moment; with `None`, without a deadline of the call.
    pub(crate) fn until(&self, by: Option<Instant>) -> Cow<'_, Self> {
        let Some(by) = by else { return Cow::Borrowed(self) };
        let members = self.members.iter().map(|member| member.until(by)).collect();
        Cow::Owned(Self { members, ring: Arc::clone(&self.ring), events: self.events.clone(), ..*self })
    }

    /// Connects to all at once. A server that is down now may come up later, so only two things are errors: a node
    /// that is wrongly configured, and that none can be reached.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        let attempts = join_all(self.iter().map(Node::ready)).await;
        let mut down = None;
        let mut any_up = false;
        for attempt in attempts {
            match attempt {
                Ok(()) => any_up = true,
                Err(error) if error.is_config() => return Err(Error::Node(error)),
                Err(error) => down = Some(error),
            }
        }
        match down {
            Some(error) if !any_up => Err(Error::Node(error)),
            _ => Ok(()),
        }
    }

    /// The time by the middle one of the servers' clocks that are known, or by this machine's clock if none is.
    pub(crate) fn clock(&self) -> SystemTime {
        let mut clocks: Vec<_> = self.iter().filter_map(Node::server_clock).collect();
        clocks.sort_unstable();
        clocks.get(clocks.len() / 2).copied().unwrap_or_else(SystemTime::now)
    }

    pub(crate) fn no_clock_is_known(&self) -> bool {
        self.iter().all(|node| node.server_clock().is_none())
    }

    /// Waits for the first connection, with which a server tells the time, or until none can be made.
    pub(crate) async fn learn_clock(&self) {
        let _none = select_ok(self.iter().map(|node| node.ready().boxed())).await;
    }

    /// The ring that places the keys.
    pub(crate) fn ring(&self) -> &Arc<HashRing> {
        &self.ring
    }

    /// The two bytes between which a hash tag stands.
    pub(crate) fn tag_delimiters(&self) -> (u8, u8) {
        match self.ring.hash_tag() {
            HashTag::Delimiters { open, close } => (*open, *close),
            // Between braces, by one rule or another, or nowhere.
            _ => (b'{', b'}'),
        }
    }

    /// The nodes that hold a key, in the order in which it is read: on a ring its owner, on a copy all.
    pub(crate) fn places(&self, key: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
        let n = match self.replicas {
            Replicas::One => 1,
            Replicas::All => self.len(),
        };
        self.ring.successors(key).take(n)
    }

    /// The first of the nodes that hold a key.
    pub(crate) fn owner(&self, key: impl AsRef<[u8]>) -> &Node {
        self.at(self.ring.lookup(key))
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.members.iter().map(Member::node)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the ring was built from these nodes: its indices are theirs"
    )]
    pub(crate) fn member(&self, idx: usize) -> &Member {
        &self.members[idx]
    }

    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = &Member> + Clone {
        self.members.iter()
    }

    pub(crate) fn at(&self, idx: usize) -> &Node {
        self.member(idx).node()
    }

    pub(crate) fn name(&self, idx: usize) -> &Arc<str> {
        self.member(idx).name()
    }

    pub(crate) fn position(&self, name: &str) -> Result<usize, Error> {
        let found = self.members.iter().position(|member| **member.name() == *name);
        found.ok_or_else(|| Error::NoSuchNode { name: name.to_owned() })
    }

    /// Puts each node's name to its result; the results stand in the order of the nodes.
    pub(crate) fn replies<T>(&self, results: Vec<Result<T, node::Error>>) -> Replies<T> {
        let names = self.members.iter().map(|member| Arc::clone(member.name()));
        Replies::new(names.zip(results.into_iter().map(Into::into)).collect())
    }

    /// Calls a function with every node, all at once.
    pub(crate) async fn on_each<T, F>(&self, f: impl Fn(Node) -> F) -> Replies<T>
    where
        F: Future<Output = Result<T, node::Error>>,
    {
        self.replies(join_all(self.iter().map(|node| f(node.clone()))).await)
    }
}

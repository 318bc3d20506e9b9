//! A member: one node of a ring or a copy, with all that this client knows of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_replication::Standing;
use tokio::time::Instant;

use crate::event::Events;
use crate::failover::tracker::OutageTracker;
use crate::health::Health;
use crate::hints::log::HintLog;
use crate::hints::trust::Trust;
use crate::membership::marker::Data;
use crate::membership::marker::LATELY;
use crate::membership::marker::Marked;
use crate::membership::marker::void_too;
use crate::membership::marker_watch::News;
use crate::membership::state_machine::Observation;
use crate::plan::evidence::Evidence;

/// One node, with all that this client knows of it. Clones share what is known.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    name: Arc<str>,
    node: Node,
    writer: Node,
    known: Arc<Known>,
}

/// What this client knows of a node. It outlives the node's connection, and a change of its address.
#[derive(Debug, Default)]
struct Known {
    hints: HintLog,
    outages: Arc<OutageTracker>,
    marked: Mutex<Marked>,
    flushes: News,
    new_hints: News,
    /// On a copy: the node has joined it, and its keys were not compared yet.
    has_joined: AtomicBool,
}

impl Member {
    /// A node that nothing is known of yet, which tells of itself by these events.
    pub(crate) fn new(config: NodeConfig, events: &Events) -> Self {
        Self::knowing(Arc::default(), config, events)
    }

    fn knowing(known: Arc<Known>, config: NodeConfig, events: &Events) -> Self {
        let node = Node::observed(config, known.outages.observer(events));
        Self { name: node.name().into(), writer: node.clone(), node, known }
    }

    /// The same node at another address, or with other settings: what is known of it was learned by its name.
    pub(crate) fn moved(&self, config: NodeConfig, events: &Events) -> Self {
        Self::knowing(Arc::clone(&self.known), config, events)
    }

    /// The same node of a copy with an identity: writes go only to the process that was found to be the node's, and what the
    /// node misses is told to the other servers.
    pub(crate) fn fenced(self) -> Self {
        self.hints().share();
        Self { writer: self.node.fenced(self.known.hints.fence()), ..self }
    }

    /// The same member, whose node is called by a handle whose calls end at this moment.
    pub(crate) fn until(&self, by: Instant) -> Self {
        Self { node: self.node.until(by), ..self.clone() }
    }

    /// The node joins a copy: whatever its server holds counts for nothing before all its keys were compared.
    pub(crate) fn joining(self) -> Self {
        self.hints().on(Observation::Flooded);
        self.known.has_joined.store(true, Ordering::Release);
        self
    }

    /// Returns whether the node has joined a copy, and its keys were not compared yet.
    pub(crate) fn has_joined(&self) -> bool {
        self.known.has_joined.load(Ordering::Acquire)
    }

    /// All keys of the node were compared.
    pub(crate) fn was_compared(&self) {
        self.known.has_joined.store(false, Ordering::Release);
    }

    /// Returns whether what is known of the one member is known of the other.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// The node as it is written to.
    pub(crate) fn writer(&self) -> &Node {
        &self.writer
    }

    /// On a copy: what the node has missed.
    pub(crate) fn hints(&self) -> &HintLog {
        &self.known.hints
    }

    /// The node, and what it has missed.
    pub(crate) fn with_hints(&self) -> (&Node, &HintLog) {
        (&self.node, &self.known.hints)
    }

    /// On a ring: whether other nodes stand in for it.
    pub(crate) fn outages(&self) -> &Arc<OutageTracker> {
        &self.known.outages
    }

    /// On a copy with an identity: what the server was marked with.
    pub(crate) fn marked(&self) -> &Mutex<Marked> {
        &self.known.marked
    }

    /// On a copy with an identity: the flushes that the server has told of, and the looks at its marker since.
    pub(crate) fn flushes(&self) -> &News {
        &self.known.flushes
    }

    /// On a copy with an identity: that the server has begun to hold hints about a node, or holds none any more; and the reading
    /// of its hints since.
    pub(crate) fn new_hints(&self) -> &News {
        &self.known.new_hints
    }

    /// On a copy with an identity: whether the server was without its marker when it was looked at last.
    pub(crate) fn was_emptied(&self) -> bool {
        self.data() == Data::Gone
    }

    /// On a copy with an identity: what became of the server's data, as of the last look at it.
    pub(crate) fn data(&self) -> Data {
        self.marked().lock().data
    }

    /// On a copy with an identity: whether this process of the server had a recent marker, so that it is ours.
    pub(crate) fn is_ours(&self, incarnation: u64) -> bool {
        self.marked().lock().ours == Some(incarnation)
    }

    /// On a copy with an identity: whether the server, while it was ours, was seen without its marker lately, or came back
    /// empty. It may have come back with a dump of that time.
    pub(crate) fn was_emptied_lately(&self) -> bool {
        self.marked().lock().emptied.is_some_and(|emptied| emptied.elapsed() < LATELY)
    }

    /// On a copy with an identity: the hints about the node that others hold are void up to these numbers.
    pub(crate) fn learn_void(&self, void: &BTreeMap<String, u64>) {
        void_too(&mut self.marked().lock().void, void);
    }

    /// The number up to which the hints about the node that `holder` holds are void.
    pub(crate) fn void_upto(&self, holder: &str) -> u64 {
        self.marked().lock().void.get(holder).copied().unwrap_or_default()
    }

    /// On a copy with an identity: the server says that it holds hints about these nodes.
    pub(crate) fn learn_held(&self, holds: &BTreeSet<String>) {
        self.marked().lock().holds.clone_from(holds);
    }

    /// Returns whether the server said, at the last look at it, that it holds hints about a node.
    pub(crate) fn says_that_it_holds(&self, about: &Self) -> bool {
        self.marked().lock().holds.contains(&**about.name())
    }

    /// How far the node's answer about these keys can be trusted; of none, about anything.
    pub(crate) fn trust<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) -> Trust {
        self.hints().trust(&self.node, keys)
    }

    /// Returns whether the node holds what it should of these keys as far as this client knows, also while it is away; of
    /// none, of everything.
    pub(crate) fn holds<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        self.hints().holds(&self.node, keys)
    }

    /// Returns whether the node's answer about these keys counts, together with equal answers of all other nodes for which this
    /// holds.
    pub(crate) fn may_agree<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        let evidence = self.hints().evidence_on(&self.node, keys);
        let standing = match self.data() {
            Data::Kept => evidence.standing,
            Data::Filling => Standing::FillingEmpty,
            Data::Gone => Standing::Empty,
        };
        let is_there = evidence.is_there && self.node.is_connected();
        Evidence { standing, is_there, ..evidence }.may_agree()
    }

    /// Returns whether the node, though it was restarted, holds what it should of these keys.
    pub(crate) fn agrees_on<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> bool {
        self.hints().agrees_on(&self.node, keys)
    }

    /// Returns whether the node has missed nothing at all.
    pub(crate) fn is_in_sync(&self) -> bool {
        self.hints().is_in_sync(&self.node)
    }

    /// Returns whether the node answers reads, but for what it has missed.
    pub(crate) fn is_readable(&self) -> bool {
        self.hints().is_readable(&self.node)
    }

    /// Returns whether the server is the process whose memory is trusted.
    pub(crate) fn is_trusted(&self) -> bool {
        self.hints().is_trusted(&self.node)
    }

    /// Returns whether the node holds what it was sent since this client knows it, but for the keys that it missed.
    pub(crate) fn has_memory(&self) -> bool {
        self.hints().has_memory(&self.node)
    }

    /// On a copy: how the node is.
    pub(crate) fn health(&self) -> Health {
        self.hints().health(&self.node)
    }
}

//! The engine of a copy: what its handle calls.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use redis::Cmd;
use redis::Value;
use redisdb_hashring::HashRing;
use redisdb_node::Node;
use redisdb_node::NodeConfig;
use redisdb_node::command::Spec;
use redisdb_node::command::rows;
use tokio::sync::OnceCell;

use crate::call::Call;
use crate::engine::background_task::BackgroundTask;
use crate::engine::deadline::Budget;
use crate::engine::member::Member;
use crate::engine::nodes::Nodes;
use crate::error::Error;
use crate::event::Events;
use crate::hints::log::Trust;
use crate::membership::marker::Beat;
use crate::membership::marker::Stage;
use crate::membership::state_machine::Observation;
use crate::policy::OnReturn;
use crate::policy::Policy;
use crate::policy::ReadFrom;
use crate::policy::WriteTo;

/// What the handle of a copy calls. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct CopyEngine {
    pub(crate) shared: Arc<Shared>,
    /// What watches over the nodes while there is a handle; it has an engine itself, without this.
    pub(crate) supervisor: Option<Arc<BackgroundTask>>,
    pub(crate) deadline: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) nodes: Nodes,
    pub(crate) write_to: WriteTo,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_return: OnReturn,
    /// What the servers are marked with, and that they have been looked at.
    pub(crate) identity: Option<String>,
    pub(crate) identified: OnceCell<()>,
    pub(crate) beat: Mutex<Beat>,
    /// Held while it is judged what became of a write that not every node took alike.
    pub(crate) judging: Mutex<()>,
    /// What was said already, and need not be said again.
    pub(crate) told: Mutex<HashSet<String>>,
}

impl CopyEngine {
    pub(crate) fn new(
        ring: HashRing,
        nodes: Vec<NodeConfig>,
        policy: Policy,
        identity: Option<String>,
    ) -> Self {
        let events = Events::default();
        let members = nodes.into_iter().map(|config| Member::new(config, &events));
        let members = match identity {
            Some(_) => members.map(Member::fenced).collect(),
            None => members.collect(),
        };
        let nodes = Nodes::new(Arc::new(ring), members, events);
        let Policy { write_to, read_from, on_return } = policy;
        let shared = Shared {
            nodes,
            write_to,
            read_from,
            on_return,
            identity,
            identified: OnceCell::new(),
            beat: Mutex::new(Beat::new(Instant::now())),
            judging: Mutex::default(),
            told: Mutex::default(),
        };
        Self { shared: Arc::new(shared), supervisor: Some(Arc::default()), deadline: None }
    }

    /// The same copy, whose calls take no longer than this in all.
    pub(crate) fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self.clone() }
    }

    /// The nodes as they are written to. The servers have been looked at: whoever asks for them may be the first.
    pub(crate) async fn writers(&self) -> Result<impl Iterator<Item = &Node>, Error> {
        self.check_identity().await?;
        Ok(self.shared.nodes.members().map(Member::writer))
    }

    /// The nodes as they are listened to; the servers have been looked at.
    pub(crate) async fn listened_to(&self) -> Result<impl Iterator<Item = &Node>, Error> {
        self.check_identity().await?;
        Ok(self.shared.nodes.iter())
    }

    /// Whether a node holds what it was sent, but for what it is known to have missed.
    pub(crate) fn has_memory(&self, idx: usize) -> bool {
        self.shared.nodes.member(idx).has_memory()
    }

    /// Which node a key is read from first.
    pub(crate) fn placement(&self) -> &HashRing {
        self.shared.nodes.ring()
    }

    /// Runs a command by its row, and makes one value of what the nodes said.
    pub(crate) async fn run(&self, spec: &'static Spec, cmd: &Cmd) -> Result<Value, Error> {
        self.run_by_itself(&Call::new(spec, cmd)).await?.into_one(spec)
    }

    /// Lets a node answer reads again; see [`RedisCopy::readmit`](crate::RedisCopy::readmit).
    pub(crate) async fn readmit(&self, name: &str) -> Result<(), Error> {
        let idx = self.shared.nodes.position(name)?;
        self.check_identity().await?;
        let node = self.shared.nodes.at(idx);
        // Connected first: a restart that nobody has noticed yet would make it fall behind again at once.
        node.ready().await?;
        let hints = self.shared.nodes.member(idx).hints();
        hints.on(Observation::Connected);
        for (key, number) in hints.missed_keys() {
            if self.shared.source_of(idx, &key).is_none() {
                hints.forget(&key, number);
            }
        }
        hints.readmit(node);
        self.mark(idx..=idx, Stage::Ready).await
    }

    /// The node whose keys, or whose elements of a key, are gone through: it is in sync about them, and its server has not been
    /// emptied.
    pub(crate) async fn to_go_through(&self, key: Option<&[u8]>) -> Result<Node, Error> {
        self.connect().await?;
        for _ in 0..self.shared.nodes.len() {
            let idx = self.in_sync_about(key)?;
            if self.has_its_marker(idx, &Budget::new(self.deadline, 1)).await {
                return Ok(self.shared.nodes.at(idx).clone());
            }
        }
        Err(self.none_is_in_sync(key))
    }

    /// Connects, if nobody has yet, and makes sure of the servers: what chooses a node by what is known of it may be the first
    /// call.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        if !self.shared.nodes.iter().any(Node::is_connected) {
            self.shared.nodes.connect().await?;
        }
        self.check_identity().await
    }

    /// The first node, in the order in which this key is read, that is up and has missed nothing of it; without a key,
    /// nothing at all.
    fn in_sync_about(&self, key: Option<&[u8]>) -> Result<usize, Error> {
        let nodes = &self.shared.nodes;
        let order = |wanted: Trust| {
            nodes
                .ring()
                .successors(key.unwrap_or_default())
                .filter(move |idx| nodes.member(*idx).trust(key.into_iter()) == wanted)
        };
        // A node that is down now may be up again in a moment, so it is the choice where no other is left.
        let up = order(Trust::Full).find(|idx| nodes.at(*idx).is_connected());
        let found = up.or_else(|| order(Trust::Provisional).next()).or_else(|| order(Trust::Full).next());
        found.ok_or_else(|| self.none_is_in_sync(key))
    }

    fn none_is_in_sync(&self, key: Option<&[u8]>) -> Error {
        let stale = self.shared.nodes.iter().map(|node| node.name().to_owned()).collect();
        Error::unavailable(rows::SCAN.spec().name, key, Vec::new(), stale)
    }
}

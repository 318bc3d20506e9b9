//! One fault from before to after: three servers, a ring or a copy over them, and the load on it.

use std::marker::PhantomData;
use std::time::Duration;
use std::time::Instant;

use redisdb::Health;
use redisdb::RedisCopy;
use redisdb_tests::NAMES;
use redisdb_tests::Proxy;
use redisdb_tests::eventually;
use xtask::Server;
use xtask::ServerBuilder;
use xtask::Servers;

use super::load::Load;
use super::subject::Kind;
use super::subject::Subject;
use super::subject::node_of;
use super::tally::DEADLINE;
use super::tally::Phase;
use super::tally::Tally;
use super::verdict::require;
use super::verdict::run;

const BEFORE: Duration = Duration::from_millis(600);
pub const DURING: Duration = Duration::from_millis(1500);
const AFTER: Duration = Duration::from_millis(700);

/// The time that a copy may take to be brought back.
const PATIENCE: Duration = Duration::from_secs(15);

/// The position of the node that most faults are done to.
pub const B: usize = 1;

/// The parts that a scene is made of.
pub struct Stage<S> {
    fault: &'static str,
    server: ServerBuilder,
    is_proxied: bool,
    n_clients: usize,
    identity: Option<&'static str>,
    subject: PhantomData<S>,
}

/// A load in the middle of a fault.
pub struct Scene<S> {
    name: String,
    pub servers: Servers,
    pub proxies: Vec<Proxy>,
    clients: Vec<S>,
    load: Load<S>,
    may_lose: Vec<usize>,
    /// The node that the others are repaired from, where a copy cannot know.
    source: Option<&'static str>,
    /// True if one node will never answer.
    is_broken: bool,
    back: Option<Duration>,
}

/// A ring or a copy on three servers, for a fault of this name.
pub fn stage<S: Subject>(fault: &'static str) -> Stage<S> {
    let server = Server::builder();
    Stage { fault, server, is_proxied: false, n_clients: 1, identity: None, subject: PhantomData }
}

impl<S: Subject> Stage<S> {
    /// Servers that keep everything they answered for.
    pub fn persistent(mut self) -> Stage<S> {
        self.server = self.server.persistent();
        self
    }

    pub fn server(mut self, name: &str, value: &str) -> Stage<S> {
        self.server = self.server.arg(name, value);
        self
    }

    /// A proxy before each server.
    pub fn proxied(mut self) -> Stage<S> {
        self.is_proxied = true;
        self
    }

    /// So many clients, each with a part of the keys.
    pub fn clients(mut self, n: usize) -> Stage<S> {
        self.n_clients = n;
        self
    }

    pub fn identity(mut self, identity: &'static str) -> Stage<S> {
        self.identity = Some(identity);
        self
    }

    /// Starts it, and returns after the time before the fault.
    pub async fn start(self) -> Scene<S> {
        let servers = self.server.clone().start_many(NAMES.len()).unwrap();
        let proxies = Proxy::to_each(servers.iter().filter(|_| self.is_proxied)).await;
        let urls = match self.is_proxied {
            true => proxies.iter().map(Proxy::url).collect(),
            false => servers.urls(),
        };
        let scene = self.start_over(servers, proxies, urls, &[]);
        scene.go_on(BEFORE).await;
        scene.load.enter(Phase::During);
        scene
    }

    /// The same with another address for one node, which is at fault from the beginning to the end.
    pub async fn start_with(self, url: &str) -> Scene<S> {
        let servers = self.server.clone().start_many(NAMES.len()).unwrap();
        let mut urls = servers.urls();
        url.clone_into(&mut urls[B]);
        let mut scene = self.start_over(servers, Vec::new(), urls, &[B]);
        scene.gives_up_on(B);
        scene.load.enter(Phase::During);
        scene
    }

    fn start_over(
        self,
        servers: Servers,
        proxies: Vec<Proxy>,
        urls: Vec<String>,
        faulty: &[usize],
    ) -> Scene<S> {
        let clients: Vec<_> = (0..self.n_clients).map(|_| S::over(&urls, self.identity, DEADLINE)).collect();
        let mut name = format!("{} ({})", self.fault, if S::KIND == Kind::Ring { "ring" } else { "copy" });
        if run() > 1 {
            name += &format!(", run {}", run());
        }
        let load = Load::start(clients.clone(), faulty);
        let (may_lose, source, back) = (Vec::new(), None, None);
        Scene { name, servers, proxies, clients, load, may_lose, source, back, is_broken: false }
    }
}

impl<S: Subject> Scene<S> {
    /// Says that these nodes are at fault from now on.
    pub fn blame(&self, nodes: &[usize]) {
        nodes.iter().for_each(|&node| self.load.blame(node, true));
    }

    /// Says that what these nodes hold may be gone: on a ring, for a copy has others that hold it.
    pub fn may_lose(&mut self, nodes: &[usize]) {
        if S::KIND == Kind::Ring {
            self.may_lose.extend(nodes);
        }
    }

    /// Says that a node will not be well again: nothing is expected of it in the end.
    pub fn gives_up_on(&mut self, node: usize) {
        self.is_broken = true;
        self.may_lose.push(node);
        self.blame(&[node]);
    }

    /// Says that a node of a copy has all that was acknowledged, where the client cannot know.
    pub fn trust(&mut self, name: &'static str) {
        self.source = Some(name);
    }

    /// Lets the load go on for a while.
    pub async fn go_on(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Waits until all clients have a connection to a node.
    pub async fn connected(&self, name: &str) {
        for client in &self.clients {
            let node = client.on_node(name).unwrap();
            eventually("it is connected", async || node.ready().await.is_ok()).await;
        }
    }

    /// Says that the fault is over, and returns when all nodes answer and, on a copy, are in sync again.
    pub async fn healed(&mut self) {
        let start = Instant::now();
        for client in &self.clients {
            for name in NAMES {
                eventually("the node answers writes and reads", async || answers(client, name).await).await;
            }
        }
        self.back = Some(start.elapsed());
        self.require_in_sync().await;
        (0..NAMES.len()).for_each(|node| self.load.blame(node, false));
    }

    /// The copies, one of each client; none if it is about a ring.
    pub fn copies(&self) -> impl Iterator<Item = &RedisCopy> {
        self.clients.iter().filter_map(Subject::copy)
    }

    /// Waits until all nodes of all copies are in sync again. A machine that is late may be too slow for that under load.
    async fn require_in_sync(&self) {
        for copy in self.copies() {
            let problems = in_sync(copy, self.source).await.err();
            let why = || format!("not all nodes are in sync: {problems:#?}");
            require(problems.is_none(), Some(&self.load.machine_late()), why);
        }
    }

    /// Lets the load go on for a while after the fault, ends it, and checks what holds whatever the fault.
    pub async fn end(mut self) -> Tally {
        if !self.is_broken {
            self.load.enter(Phase::After);
            self.go_on(AFTER).await;
        }
        let mut tally = self.load.end().await;
        if !self.is_broken {
            self.require_in_sync().await;
        }
        self.load.check(&self.may_lose, &mut tally).await;
        tally.write_row(&self.name, self.back);
        if self.is_broken {
            tally.check(&self.may_lose);
            return tally;
        }
        if let Some(copy) = self.copies().next() {
            assert_eq!(copy.verify().run().await.unwrap(), [], "after healing");
        }
        tally.check(&self.may_lose);
        if S::KIND == Kind::Copy {
            assert!(self.copies().flat_map(RedisCopy::health).all(|(_, health)| health == Health::Up));
        }
        tally
    }
}

/// Returns whether a node takes a write and answers a read.
async fn answers(client: &impl Subject, name: &str) -> bool {
    let key = (0..).map(|i| format!("probe:{i}")).find(|key| NAMES[node_of(client, key)] == name).unwrap();
    client.answers(&client.on_node(name).unwrap(), &key).await
}

/// Waits until all nodes of a copy are in sync again, which it sees to itself; from a source, only when it is told to.
///
/// # Errors
/// The nodes that are not in sync when it has waited for long.
pub async fn in_sync(copy: &RedisCopy, source: Option<&str>) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let repaired = eventually("all nodes are in sync", async || {
        let health: Vec<_> =
            copy.health().into_iter().map(|(name, health)| (name.to_string(), health)).collect();
        problems.clear();
        for (name, health) in health.iter().filter(|(_, health)| *health != Health::Up) {
            // A server that has just come up may not let itself be repaired yet: then it is tried again.
            let repaired = match source {
                None => Ok(()),
                Some(source) if source == name => copy.readmit(name).await,
                Some(source) => copy.repair(name).from(source).run().await.map(drop),
            };
            problems.push(format!("{name} is {health:?}: {repaired:?}"));
        }
        problems.is_empty()
    });
    tokio::time::timeout(PATIENCE, repaired).await.map_err(|_| problems)
}

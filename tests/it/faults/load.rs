//! The load that goes on during a fault, and the record of what was promised to it.
//!
//! Each key has one writer, and each value says which key it is of and the how manieth: so a reply shows whether it is
//! somebody else's, older than what was acknowledged, or of a write that never was.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::join_all;
use redisdb::Error;
use redisdb::Servers;
use redisdb::node::StringCommands;
use redisdb_tests::NAMES;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::machine::Lateness;
use super::machine::Machine;
use super::subject::Kind;
use super::subject::Subject;
use super::subject::node_of;
use super::tally::Class;
use super::tally::Phase;
use super::tally::Tally;

pub const TASKS: usize = 64;
const KEYS_OF_TASK: usize = 6;
/// Between two calls of a task: some 2500 calls in a second, as many as a busy machine can bear.
const PACE: Duration = Duration::from_millis(25);
/// The time that a call may take that is not hung.
const HUNG: Duration = Duration::from_secs(10);

/// A running load.
pub struct Load<S> {
    machine: Machine,
    shared: Arc<Shared<S>>,
    tasks: Vec<JoinHandle<Tally>>,
}

struct Shared<S> {
    /// The clients; task `i` calls the one at `i` modulo their number.
    clients: Vec<S>,
    /// The keys of task 0, then those of task 1 ..
    keys: Vec<Key>,
    counters: Vec<Counter>,
    phase: AtomicUsize,
    has_ended: AtomicBool,
    /// The nodes that are at fault at this moment.
    faulty: [AtomicBool; NAMES.len()],
}

struct Key {
    name: String,
    /// The node that owns it, or that it is read from first.
    node: usize,
    attempted: AtomicU64,
    acknowledged: AtomicU64,
}

struct Counter {
    name: String,
    node: usize,
    acknowledged: AtomicU64,
    unknown: AtomicU64,
}

async fn get_piped(servers: &impl Servers, keys: &[&str]) -> Vec<Result<Option<String>, Error>> {
    let pipeline = servers.pipeline();
    let replies: Vec<_> = keys.iter().map(|key| pipeline.get(*key)).collect();
    let _each_reply_tells = pipeline.execute().await;
    join_all(replies).await
}

impl<S: Subject> Load<S> {
    /// Writes all keys once, and starts; these nodes are at fault from the first call on.
    pub fn start(clients: Vec<S>, faulty: &[usize]) -> Load<S> {
        let key = |i: usize| {
            let name = format!("key:{i}");
            let node = node_of(&clients[0], &name);
            Key { name, node, attempted: AtomicU64::new(0), acknowledged: AtomicU64::new(0) }
        };
        let counter = |i: usize| {
            let name = format!("counter:{i}");
            let node = node_of(&clients[0], &name);
            Counter { name, node, acknowledged: AtomicU64::new(0), unknown: AtomicU64::new(0) }
        };
        let (keys, counters) = ((0..TASKS * KEYS_OF_TASK).map(key), (0..TASKS).map(counter));
        let shared = Shared {
            keys: keys.collect(),
            counters: counters.collect(),
            clients,
            phase: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
            faulty: std::array::from_fn(|node| AtomicBool::new(faulty.contains(&node))),
        };
        let shared = Arc::new(shared);
        let tasks = (0..TASKS).map(|task| {
            let mut worker =
                Worker { shared: Arc::clone(&shared), task, tally: Tally::default(), random: task };
            tokio::spawn(async move {
                worker.run().await;
                worker.tally
            })
        });
        Load { machine: Machine::watch(), tasks: tasks.collect(), shared }
    }

    pub fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as usize, Ordering::Relaxed);
    }

    /// Says that a node is at fault, so that calls for its keys may fail, or that it is so no more.
    pub fn blame(&self, node: usize, is_faulty: bool) {
        self.shared.faulty[node].store(is_faulty, Ordering::SeqCst);
    }

    /// Returns the times when the machine was late so far.
    pub fn machine_late(&self) -> Lateness {
        self.machine.late()
    }

    /// Ends the load and returns what it has counted.
    pub async fn end(&mut self) -> Tally {
        self.shared.has_ended.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for task in self.tasks.drain(..) {
            tally.add(task.await.unwrap());
        }
        tally.settle(self.machine.late());
        tally
    }

    /// Compares what is there with what was acknowledged, but for the keys of these nodes.
    pub async fn check(&self, but: &[usize], tally: &mut Tally) {
        let n_clients = self.shared.clients.len();
        for (i, key) in self.shared.keys.iter().enumerate().filter(|(_, key)| !but.contains(&key.node)) {
            let client = &self.shared.clients[i / KEYS_OF_TASK % n_clients];
            let found = client.get::<String>(&key.name).await.unwrap();
            let version = found.as_deref().and_then(|value| version(&key.name, value));
            let acknowledged = key.acknowledged.load(Ordering::SeqCst);
            if version.unwrap_or(0) < acknowledged {
                tally.lost += 1;
                tally.complain(format!("{} of {acknowledged} is {found:?} in the end", key.name));
            }
        }
        for (i, counter) in self.shared.counters.iter().enumerate() {
            let found = match self.shared.clients[i % n_clients].get::<String>(&counter.name).await {
                Err(_) if but.contains(&counter.node) => continue,
                found => found.unwrap(),
            };
            let found: u64 = found.map_or(0, |found| found.parse().unwrap());
            let acknowledged = counter.acknowledged.load(Ordering::SeqCst);
            let most = acknowledged + counter.unknown.load(Ordering::SeqCst);
            if found < acknowledged && !but.contains(&counter.node) || most < found {
                tally.miscounted += 1;
                tally.complain(format!("{} is {found}, not in {acknowledged}..={most}", counter.name));
            }
        }
    }
}

impl<S> Shared<S> {
    fn faulty(&self) -> [bool; NAMES.len()] {
        std::array::from_fn(|node| self.faulty[node].load(Ordering::SeqCst))
    }
}

struct Worker<S> {
    shared: Arc<Shared<S>>,
    task: usize,
    tally: Tally,
    random: usize,
}

impl<S: Subject> Worker<S> {
    async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let client = &shared.clients[self.task % shared.clients.len()];
        let own = &shared.keys[self.task * KEYS_OF_TASK..][..KEYS_OF_TASK];
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for key in own {
            self.write(client, key).await;
        }
        while !shared.has_ended.load(Ordering::Relaxed) {
            pace.tick().await;
            match self.random(10) {
                0..5 => self.read(client, &shared).await,
                5 => self.read_many(client, &shared).await,
                6 => self.read_piped(client, &shared).await,
                7..9 => {
                    let key = &own[self.random(KEYS_OF_TASK)];
                    self.write(client, key).await;
                }
                _ => self.count(client, &shared.counters[self.task]).await,
            }
        }
    }

    /// A key that the same client writes: it knows what it saw itself.
    fn any_key<'a>(&mut self, shared: &'a Shared<S>) -> &'a Key {
        let n_clients = shared.clients.len();
        let task = self.random(TASKS / n_clients) * n_clients + self.task % n_clients;
        &shared.keys[task * KEYS_OF_TASK + self.random(KEYS_OF_TASK)]
    }

    /// Several, with what has been acknowledged of each so far.
    fn any_keys<'a>(&mut self, shared: &'a Shared<S>) -> Vec<(&'a Key, u64)> {
        (0..4)
            .map(|_| self.any_key(shared))
            .map(|key| (key, key.acknowledged.load(Ordering::SeqCst)))
            .collect()
    }

    async fn read(&mut self, client: &S, shared: &Shared<S>) {
        let key = self.any_key(shared);
        let acknowledged = key.acknowledged.load(Ordering::SeqCst);
        let call = async |_: &mut Tally| client.get::<String>(&key.name).await;
        if let Some(Ok(found)) = self.call(call).await {
            self.tally.missing[key.node] += usize::from(self.judge(key, acknowledged, found));
        }
    }

    async fn read_many(&mut self, client: &S, shared: &Shared<S>) {
        let keys = self.any_keys(shared);
        let names: Vec<&str> = keys.iter().map(|(key, _)| key.name.as_str()).collect();
        let call = async |_: &mut Tally| client.mget::<String>(&names).await;
        if let Some(Ok(found)) = self.call(call).await {
            assert_eq!(found.len(), keys.len());
            for ((key, acknowledged), found) in keys.iter().zip(found) {
                self.tally.missing[key.node] += usize::from(self.judge(key, *acknowledged, found));
            }
        }
    }

    /// Several in one pipeline, which counts as one call: one that failed if one of them did.
    async fn read_piped(&mut self, client: &S, shared: &Shared<S>) {
        let keys = self.any_keys(shared);
        let names: Vec<&str> = keys.iter().map(|(key, _)| key.name.as_str()).collect();
        let mut found = Vec::new();
        let call = async |_: &mut Tally| {
            let mut failed = None;
            for reply in get_piped(client, &names).await {
                found.push(reply.map_err(|error| failed = failed.take().or(Some(error))).ok());
            }
            failed.map_or(Ok(()), Err)
        };
        self.call(call).await;
        for ((key, acknowledged), found) in keys.iter().zip(found) {
            let is_missing = found.is_some_and(|found| self.judge(key, *acknowledged, found));
            self.tally.missing[key.node] += usize::from(is_missing);
        }
    }

    /// Compares a reply with what had been acknowledged when it was asked for; returns whether it is missing.
    fn judge(&mut self, key: &Key, acknowledged: u64, found: Option<String>) -> bool {
        let of_version = found.as_deref().map(|value| version(&key.name, value));
        let complaint = match of_version {
            None if acknowledged > 0 => "missing",
            None => return false,
            Some(Some(version)) if version < acknowledged => {
                self.tally.stale[key.node] += 1;
                "stale"
            }
            Some(Some(version)) if version <= key.attempted.load(Ordering::SeqCst) => return false,
            _ => {
                self.tally.wrong += 1;
                "wrong"
            }
        };
        self.tally.complain(format!("{} of {acknowledged} read as {found:?}: {complaint}", key.name));
        of_version.is_none()
    }

    async fn write(&mut self, client: &S, key: &Key) {
        let version = key.attempted.fetch_add(1, Ordering::SeqCst) + 1;
        let value = value(&key.name, version);
        let call = async |tally: &mut Tally| {
            let written = client.set(&key.name, &value).await?;
            S::note(&written, tally);
            Ok(())
        };
        if let Some(Ok(())) = self.call(call).await {
            key.acknowledged.store(version, Ordering::SeqCst);
        }
    }

    async fn count(&mut self, client: &S, counter: &Counter) {
        let call = async |tally: &mut Tally| {
            let written = client.incr(&counter.name).await?;
            S::note(&written, tally);
            // Of a copy, no single server says the sum for all.
            Ok(match S::KIND {
                Kind::Ring => Some(S::one_reply(written)?),
                Kind::Copy => None,
            })
        };
        let acknowledged = counter.acknowledged.load(Ordering::SeqCst);
        match self.call(call).await {
            Some(Ok(sum)) => {
                counter.acknowledged.store(acknowledged + 1, Ordering::SeqCst);
                let most = acknowledged + 1 + counter.unknown.load(Ordering::SeqCst);
                if let Some(sum) = sum.filter(|sum| most < sum.cast_unsigned()) {
                    self.tally.wrong += 1;
                    self.tally.complain(format!("{} counts to {sum}, not {most}", counter.name));
                }
            }
            Some(Err(Class::Unknown)) | None => drop(counter.unknown.fetch_add(1, Ordering::SeqCst)),
            Some(Err(_)) => {}
        }
    }

    /// Makes one call and counts it; `None` if it hangs.
    async fn call<T>(
        &mut self,
        call: impl AsyncFnOnce(&mut Tally) -> Result<T, Error>,
    ) -> Option<Result<T, Class>> {
        let phase = self.shared.phase.load(Ordering::Relaxed);
        let before = self.shared.faulty();
        let start = Instant::now();
        let outcome = tokio::time::timeout(HUNG, call(&mut self.tally)).await.ok();
        let after = self.shared.faulty();
        let faulty = std::array::from_fn(|node| before[node] || after[node]);
        let failed = outcome.as_ref().map(|outcome| outcome.as_ref().map(drop));
        self.tally.count(phase, start, failed, |error| S::excuses(error, &faulty));
        outcome.map(|outcome| outcome.map_err(|error| Class::of(&error)))
    }

    /// A number below `n`, from a fixed sequence for each task.
    fn random(&mut self, n: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % n
    }
}

/// The value of a version of a key. Its length varies, so that the end of one is not taken for that of another.
fn value(key: &str, version: u64) -> String {
    let filling = "x".repeat(usize::try_from(version * 7 % 200).unwrap());
    format!("{key}|{version}|{filling}")
}

/// The version that a value is of, if it is one of this key at all.
fn version(key: &str, found: &str) -> Option<u64> {
    let version = found.split('|').nth(1)?.parse().ok()?;
    (found == value(key, version)).then_some(version)
}

#[test]
fn a_value_is_known_for_what_it_is() {
    assert_eq!(version("key:1", &value("key:1", 12)), Some(12));
    for other in ["", "key:1", &value("key:2", 12), &format!("{}x", value("key:1", 12)), "key:1|12|"] {
        assert_eq!(version("key:1", other), None, "{other}");
    }
}

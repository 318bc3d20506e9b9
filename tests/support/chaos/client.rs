//! A client process of a run: writes its own keys and those that all write, reads all, and notes everything in its journal.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use redis::Value;
use redisdb::Error;
use redisdb::Execute;
use redisdb::Health;
use redisdb::RedisCopy;

use crate::fault::node_name;
use crate::journal;
use crate::journal::Effect;
use crate::journal::Journal;
use crate::journal::Outcome;
use crate::journal::Record;
use crate::journal::Seen;
use crate::keys;
use crate::keys::KEY_KINDS;
use crate::keys::KeyKind;
use crate::keys::TASKS;
use crate::keys::looks;
use crate::keys::seen;
use crate::rules;
use crate::teller;
use crate::writes::Planned;
use crate::writes::Writer;
use redisdb_tests::clock::now;
use redisdb_tests::orders;

/// The time that connecting, or a reply, may take for a client.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);

/// The time that a task waits between two operations, at most.
const PAUSE_MS: u64 = 30;

/// The interval at which the health of the nodes is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The words that a client process is started with.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The folder of the journals.
    pub(crate) folder: PathBuf,
    /// The place that it has among the clients, whose keys it writes.
    pub(crate) slot: usize,
    /// The number of clients that had this place before.
    pub(crate) incarnation: usize,
    pub(crate) n_processes: usize,
    pub(crate) seed: u64,
    pub(crate) identity: Option<String>,
    pub(crate) urls: Vec<String>,
}

impl Place {
    /// The words that [`read`](Self::read) reads.
    pub(crate) fn words(&self) -> Vec<String> {
        let numbers = [self.slot as u64, self.incarnation as u64, self.n_processes as u64, self.seed];
        let mut words = vec![self.folder.display().to_string()];
        words.extend(numbers.map(|number| number.to_string()));
        words.push(self.identity.clone().unwrap_or_else(|| "-".to_owned()));
        words.extend(self.urls.iter().cloned());
        words
    }

    /// Reads the words of a command line.
    ///
    /// # Panics
    /// If they are not such words.
    pub(crate) fn read(words: &[String]) -> Self {
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        Self {
            folder: PathBuf::from(&words[0]),
            slot: number(1) as usize,
            incarnation: number(2) as usize,
            n_processes: number(3) as usize,
            seed: number(4),
            identity: Some(words[5].clone()).filter(|identity| identity != "-"),
            urls: words[6..].to_vec(),
        }
    }

    /// The journal of one that has, or had, this place.
    pub(crate) fn journal(&self, incarnation: usize) -> PathBuf {
        self.folder.join(format!("client-{}-{incarnation}", self.slot))
    }

    /// The record of the explored rules in one that has, or had, this place, for each attempt to connect.
    fn record(&self, incarnation: usize, attempt: usize) -> PathBuf {
        self.folder.join(format!("rules-{}-{incarnation}-{attempt}", self.slot))
    }

    /// All records of one that has, or had, this place.
    pub(crate) fn records(&self, incarnation: usize) -> impl Iterator<Item = PathBuf> {
        (1..).map(move |attempt| self.record(incarnation, attempt)).take_while(|path| path.exists())
    }
}

/// Runs until standard input ends. What the runner asks for comes by there, a line each, and is answered by a line.
pub(crate) async fn run(place: Place) {
    let mut orders = orders();
    let last = numbers_before(&place);
    let journal = Arc::new(Journal::create(&place.journal(place.incarnation)).unwrap());
    teller::listen(&journal);
    let copy = connect(&place, &journal).await;
    let client = Client {
        copy,
        journal,
        next_id: Arc::default(),
        stop: Arc::default(),
        keys: keys::all(place.n_processes).into(),
    };
    let mut events = client.copy.events();
    let listener = Arc::clone(&client.journal);
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            listener.tell(&event.to_string());
        }
    });
    tokio::spawn(tell_health(client.copy.clone(), Arc::clone(&client.journal)));
    let tasks = (0..TASKS).map(|task| {
        let mixed =
            (place.seed << 16) + ((place.slot as u64) << 8) + ((place.incarnation as u64) << 4) + task as u64;
        let own: Vec<String> =
            KEY_KINDS.iter().flat_map(|(_, kind)| keys::names(*kind, place.slot, task)).collect();
        let last: BTreeMap<String, u64> = last
            .iter()
            .filter(|(key, _)| own.contains(key))
            .map(|(key, last)| (key.clone(), *last))
            .collect();
        let writer = Writer::new(place.slot, task, Rng::with_seed(mixed), last);
        tokio::spawn(client.clone().load(writer, own, Rng::with_seed(!mixed)))
    });
    let mut tasks: Vec<_> = tasks.collect();
    println!("ready");
    while let Some(order) = orders.recv().await {
        match order.split_once(' ') {
            Some(("sweep", number)) => println!("swept {number} {}", client.sweep().await),
            _ if order == "stop" => {
                client.stop.store(true, Ordering::Relaxed);
                for task in tasks.drain(..) {
                    task.await.unwrap();
                }
                println!("stopped");
            }
            _ => panic!("an unknown order: {order}"),
        }
    }
}

/// The number of the last write of each key that those before this one have written down.
fn numbers_before(place: &Place) -> BTreeMap<String, u64> {
    let mut last = BTreeMap::new();
    for incarnation in 0..place.incarnation {
        let path: PathBuf = place.journal(incarnation);
        for record in journal::read(Path::new(&path)).unwrap_or_default() {
            if let Record::Sent { key, seq, .. } = record {
                let last: &mut u64 = last.entry(key).or_default();
                *last = seq.max(*last);
            }
        }
    }
    last
}

/// A copy that is ready. Where it is refused it is tried again, as a service that is started again does.
async fn connect(place: &Place, journal: &Journal) -> RedisCopy {
    let mut n_attempts = 0;
    loop {
        let nodes = place.urls.iter().enumerate();
        let builder = nodes
            .fold(RedisCopy::builder(), |builder, (position, url)| builder.node(node_name(position), url));
        let builder = builder.connect_timeout(TIMEOUT).response_timeout(TIMEOUT);
        let builder = match &place.identity {
            Some(identity) => {
                n_attempts += 1;
                let record = rules::record(&place.record(place.incarnation, n_attempts)).unwrap();
                builder.identity(identity.as_str()).shadow(record)
            }
            None => builder,
        };
        match builder.connect().await {
            Ok(copy) => return copy,
            Err(error) => journal.tell(&format!("not connected: {error}")),
        }
        tokio::time::sleep(TIMEOUT).await;
    }
}

/// The keys that are in conflict, as this process knows.
async fn conflicts(copy: &RedisCopy) -> BTreeSet<String> {
    let conflicts = copy.conflicts().await;
    let keys = conflicts.iter().flat_map(|conflicts| conflicts.iter());
    keys.map(|conflict| String::from_utf8_lossy(&conflict.key).into_owned()).collect()
}

/// Tells each change of the health of the nodes to the runner, and which keys are in conflict.
async fn tell_health(copy: RedisCopy, journal: Arc<Journal>) {
    let (mut before, mut in_conflict) = (String::new(), BTreeSet::new());
    loop {
        // Each node is behind for what is in conflict.
        let are_all_behind = copy.health().iter().all(|(_, health)| *health == Health::Suspect);
        let now = if are_all_behind { conflicts(&copy).await } else { BTreeSet::new() };
        if now != in_conflict {
            let keys: Vec<&str> = now.iter().map(String::as_str).collect();
            println!("conflicts {}", keys.join(" "));
            in_conflict = now;
        }
        let health =
            copy.health().iter().map(|(name, health)| format!(" {name}={health:?}")).collect::<String>();
        if health != before {
            println!("health{health}");
            journal.tell(&format!("health{health}"));
            before = health;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[derive(Debug, Clone)]
struct Client {
    copy: RedisCopy,
    journal: Arc<Journal>,
    next_id: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    keys: Arc<[String]>,
}

impl Client {
    /// Reads and writes in turn, at random, until the client is stopped.
    async fn load(self, mut writer: Writer, own: Vec<String>, mut dice: Rng) {
        // Whoever takes over looks first at what there is.
        for key in &own {
            self.read(key, &mut dice).await;
        }
        while !self.stop.load(Ordering::Relaxed) {
            match dice.u32(..20) {
                0 => self.write_together(&mut writer).await,
                1..=9 => {
                    let planned = writer.next();
                    self.write(planned, &mut writer, dice.u32(..5) == 0).await;
                }
                10..=13 => self.read(&own[dice.usize(..own.len())], &mut dice).await,
                _ => self.read(&self.keys[dice.usize(..self.keys.len())], &mut dice).await,
            }
            tokio::time::sleep(Duration::from_millis(dice.u64(1..PAUSE_MS))).await;
        }
    }

    /// One write, by its row or, as any command, by `query`.
    async fn write(&self, planned: Planned, writer: &mut Writer, by_query: bool) {
        let sent = self.send(&planned);
        let replied = match by_query {
            true => self.copy.query::<Value>(&planned.cmd).await,
            false => {
                let replies = self.copy.write::<Value>(planned.row, planned.cmd.clone()).await;
                replies.map(|replies| replies.first().cloned().unwrap_or(Value::Nil))
            }
        };
        self.done(sent, &planned, replied, writer);
    }

    /// Several writes as one pipeline.
    async fn write_together(&self, writer: &mut Writer) {
        let kinds =
            [KeyKind::Value, KeyKind::Counter, KeyKind::Set, KeyKind::Hash, KeyKind::List, KeyKind::Sum];
        let pipeline = self.copy.pipeline();
        let mut recorded = Vec::new();
        for kind in kinds {
            let planned = writer.of(kind);
            let sent = self.send(&planned);
            let reply = Box::pin(pipeline.command::<Value>(planned.cmd.clone()));
            recorded.push((sent, planned, reply));
        }
        let _said_by_each = pipeline.execute().await;
        for (sent, planned, reply) in recorded {
            let replied = reply.await.map(|replies| replies.first().cloned().unwrap_or(Value::Nil));
            self.done(sent, &planned, replied, writer);
        }
    }

    /// Notes a write that is about to be sent, and returns its number and the time.
    fn send(&self, planned: &Planned) -> (u64, u64) {
        let (id, at) = (self.id(), now());
        for (key, seq, effects) in &planned.steps {
            let (key, effects) = (key.clone(), effects.clone());
            self.journal.note(&Record::Sent { id, at, key, seq: *seq, effects });
        }
        (id, at)
    }

    fn done(
        &self,
        (id, begin): (u64, u64),
        planned: &Planned,
        replied: Result<Value, Error>,
        writer: &mut Writer,
    ) {
        let takes = planned.steps.iter().any(|(_, _, effects)| effects.contains(&Effect::Pop));
        let (outcome, detail) = match &replied {
            Ok(Value::Int(0)) if planned.zero_is_nothing => (Outcome::Not, "0".to_owned()),
            Ok(reply) if takes => {
                (Outcome::Ok, redisdb_tests::words(reply).into_iter().next().unwrap_or_default())
            }
            Ok(_) => (Outcome::Ok, String::new()),
            Err(error) => {
                let outcome = if error.may_have_executed() { Outcome::Unknown } else { Outcome::Not };
                (outcome, error.to_string().replace(char::is_whitespace, "_"))
            }
        };
        if takes && outcome == Outcome::Unknown {
            writer.begin_anew(planned.kind);
        }
        self.journal.note(&Record::Done { id, at: now(), outcome, detail });
        // What says that there was nothing to change has looked at the key too.
        match replied {
            Ok(Value::Nil) if takes => self.found_nothing(begin, planned, "*"),
            Ok(Value::Int(0)) if planned.kind == KeyKind::Expiring && planned.zero_is_nothing => {
                self.found_nothing(begin, planned, "v");
            }
            _ => {}
        }
    }

    fn found_nothing(&self, begin: u64, planned: &Planned, scope: &str) {
        let id = self.id();
        for (key, ..) in &planned.steps {
            self.journal.note(&Record::Asked { id, at: begin, key: key.clone(), scope: scope.to_owned() });
        }
        self.journal.note(&Record::Saw { id, at: now(), seen: Seen::new() });
    }

    async fn read(&self, key: &str, dice: &mut Rng) {
        let looks = looks(key);
        let n_looks = looks.len();
        if let Some(look) = looks.into_iter().nth(dice.usize(..n_looks)) {
            self.look(key, look).await;
        }
    }

    /// Looks at a key once, and returns whether there was an answer.
    async fn look(&self, key: &str, look: keys::Look) -> bool {
        let id = self.id();
        let scope = look.scope.to_owned();
        self.journal.note(&Record::Asked { id, at: now(), key: key.to_owned(), scope });
        let replied = self.copy.read::<Value>(look.row, look.cmd).await;
        let is_answered = replied.is_ok();
        self.journal.note(&match replied {
            Ok(reply) => Record::Saw { id, seen: seen(key, look.scope, &reply), at: now() },
            Err(error) => Record::Failed { id, at: now(), why: error.to_string() },
        });
        is_answered
    }

    /// Looks at all keys, and returns how many could not be read, but for those in conflict.
    async fn sweep(&self) -> usize {
        let (mut unread, conflicts) = (0, conflicts(&self.copy).await);
        for key in self.keys.iter() {
            let mut is_read = true;
            for look in looks(key) {
                is_read &= self.look(key, look).await;
            }
            unread += usize::from(!is_read && !conflicts.contains(key));
        }
        unread
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Place {
            folder: PathBuf::from("a/b"),
            slot: 1,
            incarnation: 2,
            n_processes: 3,
            seed: 4,
            identity: None,
            urls: vec!["redis://127.0.0.1:1".to_owned()],
        };
        for identity in [None, Some("shop".to_owned())] {
            let place = Place { identity, ..place.clone() };
            assert_eq!(format!("{:?}", Place::read(&place.words())), format!("{place:?}"));
        }
    }
}

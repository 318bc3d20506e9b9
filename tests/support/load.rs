//! A load on a copy that knows what it may find: each key has one writer, who remembers what was acknowledged.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use redisdb::Health;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::commands::*;
use tokio::task::JoinHandle;

/// The number of keys are there before the load begins, for all to read and none to change.
pub const STANDING: u64 = 200;
/// The number of keys and how many counters a task writes.
const OWN: u64 = 12;

/// Tasks that write and read until they are [stopped](Self::stop).
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Tally>>,
}

/// The tally of a load.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of calls that it made.
    pub calls: u64,
    /// The number of calls that gave an error.
    pub failed: u64,
    /// The number of times that a key was missing that was certainly there.
    pub missing: u64,
    /// The number of times that a key had a value that nobody wrote.
    pub wrong: u64,
    /// How often each key had a value from before an acknowledged write.
    pub stale: BTreeMap<String, u64>,
    /// The nodes that were not up at some moment.
    pub away: BTreeSet<String>,
    /// The least and the most that each key may be.
    keys: BTreeMap<String, (u64, u64)>,
}

/// Writes the keys that are there before the load begins.
pub async fn fill(copy: &RedisCopy) {
    _ = copy.mset((0..STANDING).map(|i| (format!("standing:{i}"), i))).await.unwrap();
}

impl Load {
    /// Starts so many tasks; the keys they write begin with `who`.
    pub fn start(copy: &RedisCopy, who: &str, n_tasks: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..n_tasks).map(|task| {
            let (copy, stop, who) = (copy.clone(), Arc::clone(&stop), format!("{who}:{task}"));
            tokio::spawn(async move {
                let mut tally = Tally::default();
                let mut dice = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(task + 1);
                while !stop.load(Ordering::Relaxed) {
                    dice =
                        dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    tally.step(&copy, &who, dice >> 33).await;
                }
                tally
            })
        });
        Self { tasks: tasks.collect(), stop }
    }

    /// Stops the tasks and adds up what they have seen.
    pub async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for task in std::mem::take(&mut self.tasks) {
            all += task.await.unwrap();
        }
        all
    }
}

impl Drop for Load {
    /// While a runtime ends all calls fail at once, and a task that goes on would never let it end.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Tally {
    async fn step(&mut self, copy: &RedisCopy, who: &str, dice: u64) {
        self.calls += 1;
        let is_away = |(name, health): (String, Health)| (health != Health::Up).then_some(name);
        self.away.extend(copy.health().into_iter().filter_map(is_away));
        let i = dice / 10 % OWN;
        let (key, counter) = (format!("{who}:{i}"), format!("{who}:n:{i}"));
        match dice % 10 {
            0..=3 => {
                let (_, most) = *self.keys.entry(key.clone()).or_default();
                let value = most + 1;
                let written = copy.set(&key, value).await;
                let (least, most) = self.keys.get_mut(&key).unwrap();
                *most = value;
                match written {
                    Ok(_) => *least = value,
                    Err(_) => self.failed += 1,
                }
            }
            4 | 5 => {
                let counted = copy.incr(&counter).await;
                let (least, most) = self.keys.entry(counter).or_default();
                match counted {
                    Ok(_) => (*least, *most) = (*least + 1, *most + 1),
                    Err(error) if error.may_have_executed() => {
                        (*most, self.failed) = (*most + 1, self.failed + 1)
                    }
                    Err(_) => self.failed += 1,
                }
            }
            6 => {
                let i = dice / 10 % STANDING;
                let key = format!("standing:{i}");
                let found = copy.get::<u64>(&key).await;
                self.judge(key, found, (i, i), true);
            }
            _ => {
                let key = if (dice / 1000).is_multiple_of(2) { key } else { counter };
                let found = copy.get::<u64>(&key).await;
                let bounds = self.keys.get(&key).copied().unwrap_or_default();
                self.judge(key, found, bounds, bounds.0 > 0);
            }
        }
    }

    /// Judges what was found of a key that has been written once, then twice .. up to between `least` and `most` times.
    fn judge<E>(
        &mut self,
        key: String,
        found: Result<Option<u64>, E>,
        (least, most): (u64, u64),
        is_there: bool,
    ) {
        match found {
            Err(_) => self.failed += 1,
            Ok(None) if is_there => self.missing += 1,
            Ok(Some(value)) if most < value => self.wrong += 1,
            Ok(Some(value)) if value < least => *self.stale.entry(key).or_default() += 1,
            Ok(_) => {}
        }
    }

    /// Looks on a server for what must be there now.
    ///
    /// # Panics
    /// If something is not there, or has a value that it cannot have.
    pub async fn check(&self, node: &Node) {
        for (key, (least, most)) in &self.keys {
            let found = node.get::<u64>(key).await.unwrap();
            let value = found.unwrap_or(0);
            let name = node.name();
            assert!(
                (*least..=*most).contains(&value),
                "`{key}` on {name}: {found:?}, not in {least}..={most}"
            );
        }
    }

    /// Reads what [`Display`](fmt::Display) has written, in another process.
    pub fn read(text: &str) -> Self {
        let mut tally = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "calls" => {
                    (tally.calls, tally.failed) = (number(1), number(2));
                    (tally.missing, tally.wrong) = (number(3), number(4));
                }
                "stale" => _ = tally.stale.insert(words[1].to_owned(), number(2)),
                "away" => _ = tally.away.insert(words[1].to_owned()),
                key => _ = tally.keys.insert(key.to_owned(), (number(1), number(2))),
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.missing += other.missing;
        self.wrong += other.wrong;
        // Each task reads keys of its own, but for those that nobody writes.
        other.stale.into_iter().for_each(|(key, n)| *self.stale.entry(key).or_default() += n);
        self.away.extend(other.away);
        self.keys.extend(other.keys);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "calls {} {} {} {}", self.calls, self.failed, self.missing, self.wrong)?;
        self.stale.iter().try_for_each(|(key, n)| writeln!(f, "stale {key} {n}"))?;
        self.away.iter().try_for_each(|node| writeln!(f, "away {node}"))?;
        self.keys.iter().try_for_each(|(key, (least, most))| writeln!(f, "{key} {least} {most}"))
    }
}

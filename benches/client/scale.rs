//! How what a ring does grows with its nodes: connecting, loading, scanning, flushing, and a new topology under load.
//!
//! Prints one line for each step: its name, its nanoseconds, and the memory of this process after it, in KiB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redisdb::commands::ScanOptions;
use redisdb::node::ScanCursor;
use redisdb::prelude::*;
use redisdb::{RedisRing, Scan};

use crate::measure::{key, memory};

/// How many keys go out in one command: with their values about 100 KiB.
const BATCH: usize = 1000;
const VALUE: [u8; 64] = [b'x'; 64];
/// How many tasks read while the topology is replaced, and for how long before and after.
const TASKS: usize = 16;
const READING: Duration = Duration::from_millis(300);

/// The ring of all servers but the last, which joins it and leaves it again.
pub(crate) async fn run(urls: &[String], n_keys: usize) {
    let (_, without_last) = urls.split_last().expect("two servers or more");
    let builder = |urls: &[String]| {
        let nodes = urls.iter().enumerate();
        // A server is asked to forget a third of a million keys, which takes longer than a call may take otherwise.
        let ring = RedisRing::builder().response_timeout(Duration::from_secs(60));
        nodes.fold(ring, |ring, (i, url)| ring.node(format!("node-{i}"), url))
    };
    say("start", Duration::ZERO);

    let start = Instant::now();
    let ring = builder(without_last).connect().await.expect("a ring");
    say("connect", start.elapsed());

    let start = Instant::now();
    for first in (0..n_keys).step_by(BATCH) {
        let entries: Vec<(String, &[u8])> =
            (first..n_keys.min(first + BATCH)).map(|i| (key(i), VALUE.as_slice())).collect();
        ring.mset(entries).await.unwrap_or_else(|error| panic!("{error}"));
    }
    say("load", start.elapsed());
    let sizes = ring.on_each(async |node| node.dbsize().await).await;
    assert_eq!(sizes.successes().map(|(_, n)| usize::try_from(*n).expect("a size")).sum::<usize>(), n_keys);

    let start = Instant::now();
    let (mut found, mut cursor) = (0, Some(ScanCursor::default()));
    while let Some(from) = cursor {
        let step =
            ring.scan_from::<String>(from, ScanOptions::new().count(BATCH as u64)).await.expect("keys");
        found += step.items.len();
        cursor = step.next;
    }
    say("scan", start.elapsed());
    // A server whose table shrinks or grows meanwhile may give a key twice; these do neither.
    assert_eq!(found, n_keys, "every key is found once");

    let readers = Readers::start(&ring, n_keys);
    tokio::time::sleep(READING).await;
    let start = Instant::now();
    let replaced = ring.replace(builder(urls)).expect("a topology");
    say("join", start.elapsed());
    assert_eq!((replaced.added.len(), replaced.kept.len()), (1, without_last.len()));
    tokio::time::sleep(READING).await;
    let start = Instant::now();
    ring.replace(builder(without_last)).expect("a topology");
    say("leave", start.elapsed());
    tokio::time::sleep(READING).await;
    let Reads { slowest, missing } = readers.stop().await;
    say("slowest read meanwhile", slowest);
    // The new node has none of the keys that it owned for a while.
    assert!(missing > 0, "nobody read from the node that joined");

    let start = Instant::now();
    ring.flushall().await.expect("empty servers");
    say("flushall", start.elapsed());
}

fn say(step: &str, time: Duration) {
    println!("{}\t{}\t{}", step, time.as_nanos(), memory("VmRSS:").unwrap_or(0));
}

/// What a task that reads has seen.
#[derive(Default)]
struct Reads {
    slowest: Duration,
    missing: u64,
}

struct Readers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Reads>>,
}

impl Readers {
    fn start(ring: &RedisRing, n_keys: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |idx: usize| {
            let (ring, stop) = (ring.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut reads = Reads::default();
                let mut at = idx * 7919 % n_keys;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 61_027) % n_keys;
                    let start = Instant::now();
                    let value = ring.get::<Vec<u8>>(key(at)).await.expect("a reply, whatever the topology");
                    reads.slowest = reads.slowest.max(start.elapsed());
                    reads.missing += u64::from(value.is_none());
                }
                reads
            })
        };
        Self { tasks: (0..TASKS).map(task).collect(), stop }
    }

    async fn stop(self) -> Reads {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Reads::default();
        for task in self.tasks {
            let reads = task.await.expect("a task that ends well");
            all.slowest = all.slowest.max(reads.slowest);
            all.missing += reads.missing;
        }
        all
    }
}

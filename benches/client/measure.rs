//! Runs the tasks, and says how many operations they did in which time.

use std::fs;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

use crate::client::{Client, Work};

/// How many keys there are; every server holds them all, so that placement decides nothing but the way.
pub(crate) const KEYS: usize = 100_000;
/// How many keys a batch has.
const BATCH: usize = 100;

pub(crate) struct Plan {
    pub(crate) work: Work,
    pub(crate) tasks: usize,
    pub(crate) size: usize,
    pub(crate) length: Length,
    pub(crate) multi: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Length {
    /// So many by all tasks together.
    Operations(u64),
    /// As many as there is time for.
    For(Duration),
}

/// What the tasks share.
struct Shared<C> {
    client: C,
    keys: Vec<String>,
    value: Vec<u8>,
    stop: AtomicBool,
}

pub(crate) fn key(i: usize) -> String {
    format!("user:{i:08}:name")
}

/// Runs a future to its end, as the plan says.
pub(crate) fn run<T, F: Future<Output = T>>(plan: &Plan, future: impl FnOnce() -> F) -> T {
    runtime(plan).block_on(future())
}

fn runtime(plan: &Plan) -> Runtime {
    let mut builder = match plan.multi {
        true => Builder::new_multi_thread(),
        false => Builder::new_current_thread(),
    };
    builder.enable_all().build().expect("a runtime")
}

/// Does the work and prints `ops wall_ns cpu_ns p50_ns p99_ns`; latencies are those of the first task.
pub(crate) fn measure<C: Client, F: Future<Output = C>>(plan: &Plan, connect: impl FnOnce() -> F) {
    run(plan, || async {
        let shared = Arc::new(Shared {
            client: connect().await,
            keys: (0..KEYS).map(key).collect(),
            value: vec![b'x'; plan.size],
            stop: AtomicBool::new(false),
        });
        // What freeing the keys costs is chance, which would be counted with the calls.
        std::mem::forget(Arc::clone(&shared));
        if let Length::For(time) = plan.length {
            // Buffers, caches and the connection's window grow to their size.
            let warm = tasks(plan, &shared, u64::MAX, time / 10).await;
            black_box(warm);
        }
        let each = match plan.length {
            Length::Operations(ops) => ops / plan.tasks as u64,
            Length::For(_) => u64::MAX,
        };
        let time = match plan.length {
            Length::Operations(_) => Duration::ZERO,
            Length::For(time) => time,
        };
        // Whoever counts operations counts instructions, under a tool that has no such clock.
        let clock = || if time == Duration::ZERO { Duration::ZERO } else { cpu_time() };
        let (start, cpu) = (Instant::now(), clock());
        let (ops, latencies) = tasks(plan, &shared, each, time).await;
        print(ops, start.elapsed(), clock() - cpu, latencies);
    });
}

pub(crate) fn print(ops: u64, wall: Duration, cpu: Duration, mut latencies: Vec<u64>) {
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or(0);
    println!(
        "{ops} {} {} {} {} {}",
        wall.as_nanos(),
        cpu.as_nanos(),
        at(50),
        at(99),
        memory("VmHWM:").unwrap_or(0)
    );
}

/// A walk through all keys in an order that no cache foresees; every task starts elsewhere.
pub(crate) fn walk(idx: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some((idx * 7919 + 61_027) % KEYS), |at| Some((at + 61_027) % KEYS))
}

/// Runs all tasks and returns how many operations they did, and how long those of the first took.
async fn tasks<C: Client>(
    plan: &Plan,
    shared: &Arc<Shared<C>>,
    each: u64,
    time: Duration,
) -> (u64, Vec<u64>) {
    shared.stop.store(false, Ordering::Relaxed);
    let running: Vec<_> = (0..plan.tasks)
        .map(|idx| {
            let (shared, work) = (Arc::clone(shared), plan.work);
            // A clock costs too: one task of many reads it.
            let timed = idx == 0 && time != Duration::ZERO;
            tokio::spawn(async move { task(&shared, work, idx, each, timed).await })
        })
        .collect();
    if time != Duration::ZERO {
        tokio::time::sleep(time).await;
        shared.stop.store(true, Ordering::Relaxed);
    }
    let mut sum = 0;
    let mut latencies = Vec::new();
    for task in running {
        let (ops, mut of_task) = task.await.expect("a task that ends well");
        sum += ops;
        latencies.append(&mut of_task);
    }
    (sum, latencies)
}

async fn task<C: Client>(
    shared: &Shared<C>,
    work: Work,
    idx: usize,
    each: u64,
    timed: bool,
) -> (u64, Vec<u64>) {
    let Shared { client, keys, value, stop } = shared;
    let mut latencies = Vec::new();
    let mut walk = walk(idx);
    let mut next = || walk.next().map_or("", |at| keys[at].as_str());
    let mut made = vec![String::new(); BATCH];
    let mut done = 0;
    while done < each && !stop.load(Ordering::Relaxed) {
        let start = timed.then(Instant::now);
        match work {
            Work::Get => found(client.get(next()).await.is_some()),
            Work::Set => client.set(next(), value).await,
            Work::Mix if done % 10 < 7 => found(client.get(next()).await.is_some()),
            Work::Mix => client.set(next(), value).await,
            Work::Mget | Work::Pipeline => {
                // A caller has just made the keys of a batch. If each were read for the first time, a client that begins with
                // a short loop over all of them would wait for memory once, and one that does all its work key by key a
                // hundred times.
                made.iter_mut().for_each(|made| next().clone_into(made));
                let batch: Vec<&str> = made.iter().map(String::as_str).collect();
                let values = match work {
                    Work::Mget => client.mget(&batch).await,
                    _ => client.pipeline(&batch).await,
                };
                found(values.len() == BATCH && values.iter().all(Option::is_some));
            }
        }
        if let Some(start) = start {
            latencies.push(start.elapsed().as_nanos() as u64);
        }
        done += 1;
    }
    (done, latencies)
}

/// A client that is fast because it finds nothing is no contender.
pub(crate) fn found(found: bool) {
    assert!(found, "a value that is there was not found");
}

pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The memory of the process in KiB: `VmRSS:` is what it has, `VmHWM:` the most it has had.
pub(crate) fn memory(which: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(which))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

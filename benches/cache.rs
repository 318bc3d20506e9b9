//! What the cache adds to the commands it sends: a struct of about 100 bytes as JSON, on a ring.
//! `cargo xtask bench cache` starts the servers; with `-- --ratios` it prints the table of the README.

use std::env;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use futures_util::future::join_all;
use redisdb::RedisRing;
use redisdb::cache::Cache;
use redisdb::commands::SetOptions;
use redisdb::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

const KEYS: usize = 10_000;
const BATCH: usize = 100;
const TASKS: [usize; 2] = [1, 64];
const LIFE: Duration = Duration::from_secs(3600);
/// How often each has its turn in the table of ratios, and with how many calls.
const ROUNDS: usize = 21;
const CALLS: usize = 1500;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    mail: String,
    is_admin: bool,
    visits: [u32; 2],
}

struct Clients {
    ring: RedisRing,
    cache: Cache<RedisRing>,
    keys: Vec<String>,
    /// What the cache calls them.
    names: Vec<String>,
    user: User,
    /// What it stores.
    bytes: Vec<u8>,
}

impl Clients {
    async fn connect(urls: &str) -> Self {
        let ring = RedisRing::builder().nodes(urls.split(',')).connect().await.expect("a ring");
        let cache = Cache::builder(ring.clone()).prefix("bench").default_ttl(LIFE).build().expect("a cache");
        let keys: Vec<String> = (0..KEYS).map(|i| format!("user:{i:08}")).collect();
        let names: Vec<String> = keys.iter().map(|key| format!("bench:1:{key}")).collect();
        let user = User {
            id: 10_023_456,
            name: "Ann Example".to_owned(),
            mail: "ann12@mail.example".to_owned(),
            is_admin: false,
            visits: [12, 3456],
        };
        assert_eq!(serde_json::to_vec(&user).expect("JSON").len(), 100);
        let batch = cache.set_many(keys.iter().map(|key| (key, &user))).await.expect("replies");
        assert_eq!(batch.n_done, KEYS);
        let bytes = ring.get(&names[0]).await.expect("a reply").expect("what was set");
        Self { ring, cache, keys, names, user, bytes }
    }

    async fn raw_get(&self, i: usize) {
        let bytes = self.ring.get::<Vec<u8>>(&self.names[i]).await.expect("a reply");
        assert_eq!(bytes.map(|bytes| bytes.len()), Some(self.bytes.len()));
    }

    async fn cache_get(&self, i: usize) {
        let user = self.cache.get::<User>(&self.keys[i]).await.expect("a reply");
        assert_eq!(user.map(|user| user.id), Some(self.user.id));
    }

    async fn raw_set(&self, i: usize) {
        let options = SetOptions::new().px(LIFE);
        assert!(self.ring.set_with(&self.names[i], &self.bytes, options).await.expect("a reply"));
    }

    async fn cache_set(&self, i: usize) {
        assert!(self.cache.set(&self.keys[i], &self.user).await.expect("a reply").is_written());
    }

    async fn many_gets(&self, i: usize) {
        for i in i..i + BATCH {
            self.cache_get(i % KEYS).await;
        }
    }

    async fn get_many(&self, i: usize) {
        let keys = (i..i + BATCH).map(|i| &self.keys[i % KEYS]);
        let found = self.cache.get_many::<User, _>(keys).await.expect("replies");
        assert_eq!(found.values.len(), BATCH);
    }
}

struct Bench {
    runtime: Runtime,
    clients: Clients,
}

impl Bench {
    /// So many calls, shared by so many tasks.
    fn time(&self, tasks: usize, calls: usize, call: impl AsyncFn(&Clients, usize)) -> Duration {
        self.runtime.block_on(async {
            let start = Instant::now();
            join_all((0..tasks).map(async |task| {
                for i in (task..calls).step_by(tasks) {
                    call(&self.clients, i * 6_101 % KEYS).await;
                }
            }))
            .await;
            start.elapsed()
        })
    }

    fn group(&self, criterion: &mut Criterion, name: &str, call: impl AsyncFn(&Clients, usize) + Copy) {
        let mut group = criterion.benchmark_group(name);
        for tasks in TASKS {
            group.bench_function(BenchmarkId::from_parameter(format!("{tasks} tasks/100 B")), |bencher| {
                bencher.iter_custom(|calls| self.time(tasks, calls as usize, call));
            });
        }
        group.finish();
    }

    /// Two by turns: the median of the one over that of the other.
    fn ratio(
        &self,
        name: &str,
        (tasks, calls): (usize, usize),
        of: impl AsyncFn(&Clients, usize) + Copy,
        to: impl AsyncFn(&Clients, usize) + Copy,
    ) {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            times[0].push(self.time(tasks, calls, of));
            times[1].push(self.time(tasks, calls, to));
        }
        let [of, to] = times.map(|mut times| {
            times.sort_unstable();
            times[ROUNDS / 2].as_secs_f64()
        });
        println!("{name:44} {tasks:3} tasks {:8.2}", of / to);
    }
}

fn main() {
    let Ok(urls) = env::var("REDISDB_RING") else {
        eprintln!("no servers; `cargo xtask bench cache` starts some");
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clients = runtime.block_on(Clients::connect(&urls));
    let bench = Bench { runtime, clients };
    if env::args().any(|arg| arg == "--ratios") {
        for tasks in TASKS {
            let much = (tasks, CALLS * tasks.min(4));
            bench.ratio("cache.get / ring.get", much, Clients::cache_get, Clients::raw_get);
            bench.ratio("cache.set / ring.set", much, Clients::cache_set, Clients::raw_set);
        }
        let few = (1, CALLS / BATCH);
        bench.ratio("100 cache.get / cache.get_many of 100", few, Clients::many_gets, Clients::get_many);
        return;
    }
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    bench.group(&mut criterion, "ring.get", Clients::raw_get);
    bench.group(&mut criterion, "cache.get", Clients::cache_get);
    bench.group(&mut criterion, "ring.set", Clients::raw_set);
    bench.group(&mut criterion, "cache.set", Clients::cache_set);
    bench.group(&mut criterion, "100 cache.get", Clients::many_gets);
    bench.group(&mut criterion, "cache.get_many of 100", Clients::get_many);
    criterion.final_summary();
}

//! Commands on a ring, a copy and a cache, beside redis-rs on one connection, as criterion measures them.
//! `cargo xtask bench commands` starts the servers; `cargo xtask bench compare` is the fair comparison.

use std::env;
use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use futures_util::future::join_all;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use redisdb::cache::{Cache, Codec};
use redisdb::node::ErrorKind;
use redisdb::prelude::*;
use redisdb::{RedisCopy, RedisRing};
use tokio::runtime::{Builder, Runtime};

const KEYS: usize = 10_000;
const BATCH: usize = 100;
const TASKS: [usize; 3] = [1, 16, 64];

struct Clients {
    ring: RedisRing,
    copy: RedisCopy,
    cache: Cache<RedisRing>,
    /// A ring with a server that is down, and a key of that.
    down: (RedisRing, String),
    redis: MultiplexedConnection,
    keys: Vec<String>,
    value: String,
}

impl Clients {
    async fn connect(ring: &str, copy: &str) -> Self {
        let down = with_a_node_down(ring).await;
        let connect = redis::Client::open(ring.split(',').next().expect("a URL")).expect("a URL");
        let ring = RedisRing::builder().nodes(ring.split(',')).connect().await.expect("a ring");
        let copy = RedisCopy::builder().nodes(copy.split(',')).connect().await.expect("a copy");
        let cache = Cache::builder(ring.clone()).prefix("bench").codec(Codec::Raw).build().expect("a cache");
        let redis = connect.get_multiplexed_async_connection().await.expect("a connection");
        let keys: Vec<String> = (0..KEYS).map(|i| format!("user:{i:08}:name")).collect();
        let clients = Self { ring, copy, cache, down, redis, keys, value: "x".repeat(64) };
        for key in &clients.keys {
            clients.ring.set(key, &clients.value).await.expect("a reply");
            clients.redis.clone().set::<_, _, ()>(key, &clients.value).await.expect("a reply");
            clients.cache.set(key, &clients.value).await.expect("a reply");
        }
        clients
    }

    fn key(&self, i: u64) -> &str {
        &self.keys[i as usize * 6_101 % KEYS]
    }

    fn batch(&self, i: u64) -> &[String] {
        let start = i as usize * 6_101 % (KEYS - BATCH);
        &self.keys[start..start + BATCH]
    }
}

/// The ring with one node more, at a port where nobody listens.
async fn with_a_node_down(urls: &str) -> (RedisRing, String) {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let ring = RedisRing::builder().nodes(urls.split(',')).node("down", &format!("redis://127.0.0.1:{port}"));
    let ring = ring.connect().await.expect("a ring");
    let key = (0..).map(|i| format!("key:{i}")).find(|key| ring.node_for(key).name() == "down");
    let key = key.expect("a key of each node");
    // What is measured is a node that is known to be down.
    let is_down = |error: redisdb::Error| {
        error.node_errors().iter().any(|error| matches!(error.kind(), ErrorKind::Down { .. }))
    };
    while !is_down(ring.get::<String>(&key).await.expect_err("nobody answers there")) {}
    (ring, key)
}

fn main() {
    let (Ok(ring), Ok(copy)) = (env::var("REDISDB_RING"), env::var("REDISDB_COPY")) else {
        eprintln!("no servers; `cargo xtask bench commands` starts some");
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let clients = Arc::new(runtime.block_on(Clients::connect(&ring, &copy)));
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    let mut bench = Bench { criterion: &mut criterion, runtime: &runtime, clients: &clients };
    bench.calls("redis-rs get", async |c, i| {
        c.redis.clone().get::<_, Option<String>>(c.key(i)).await.expect("a reply").is_some()
    });
    bench.calls("ring.get", async |c, i| c.ring.get::<String>(c.key(i)).await.expect("a reply").is_some());
    bench.calls("cache.get", async |c, i| c.cache.get::<String>(c.key(i)).await.expect("a reply").is_some());
    bench.calls("get of a node that is down", async |c, _| c.down.0.get::<String>(&c.down.1).await.is_err());
    bench.calls("redis-rs set", async |c, i| {
        c.redis.clone().set::<_, _, bool>(c.key(i), &c.value).await.expect("a reply")
    });
    bench.calls("ring.set", async |c, i| c.ring.set(c.key(i), &c.value).await.is_ok());
    bench
        .calls("copy.set", async |c, i| c.copy.set(c.key(i), &c.value).await.expect("replies").is_complete());
    bench.calls("redis-rs mget of 100", async |c, i| {
        c.redis.clone().mget::<_, Vec<Option<String>>>(c.batch(i)).await.expect("a reply").len() == BATCH
    });
    bench.calls("ring.mget of 100", async |c, i| {
        c.ring.mget::<String>(c.batch(i)).await.expect("a reply").len() == BATCH
    });
    bench.calls("cache.get_many of 100", async |c, i| {
        c.cache.get_many::<String, _>(c.batch(i)).await.expect("replies").values.len() == BATCH
    });
    bench.calls("pipeline of 100 on a ring", async |c, i| {
        let pipeline = c.ring.pipeline();
        for key in c.batch(i) {
            drop(pipeline.get::<String>(key));
        }
        pipeline.execute().await.check().is_ok()
    });
    criterion.final_summary();
}

struct Bench<'a> {
    criterion: &'a mut Criterion,
    runtime: &'a Runtime,
    clients: &'a Arc<Clients>,
}

impl Bench<'_> {
    /// One call after the other by one task, and by several at the same time.
    fn calls(&mut self, name: &str, call: impl AsyncFn(&Clients, u64) -> bool) {
        let mut group = self.criterion.benchmark_group(name);
        for tasks in TASKS {
            group.bench_function(BenchmarkId::from_parameter(format!("{tasks} tasks/64 B")), |bencher| {
                bencher.iter_custom(|calls| {
                    self.runtime.block_on(timed(async || {
                        let tasks = tasks as u64;
                        join_all((0..tasks).map(async |task| {
                            for i in (task..calls).step_by(tasks as usize) {
                                assert!(call(self.clients, i).await, "{name}");
                            }
                        }))
                        .await;
                    }))
                });
            });
        }
        group.finish();
    }
}

async fn timed<F: Future>(work: impl FnOnce() -> F) -> Duration {
    let start = Instant::now();
    work().await;
    start.elapsed()
}

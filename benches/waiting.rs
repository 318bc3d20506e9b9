//! What a call that waits costs the others: GETs on a node beside a `BLPOP` that waits there, and without one, by turns.
//! `cargo xtask bench waiting` starts the server.

use std::env;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redisdb::Node;
use redisdb::node::BlockingCommands;
use redisdb::prelude::*;
use tokio::runtime::Builder;

/// So many GETs make a turn, by so many tasks.
const GETS: u64 = 10_000;
const TASKS: u64 = 16;
const TURNS: usize = 15;
/// How long the call waits; each turn begins one and ends it.
const WAIT: Duration = Duration::from_secs(30);

fn main() {
    let Ok(urls) = env::var("REDISDB_RING") else {
        eprintln!("no servers; `cargo xtask bench waiting` starts some");
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let node = Node::connect(urls.split(',').next().expect("a URL")).await.expect("a node");
        node.set("k", "v".repeat(64)).await.expect("a reply");
        gets(&node).await;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            alone.push(gets(&node).await);
            let waiting = tokio::spawn({
                let node = node.clone();
                async move { node.blpop::<String, String>("empty", WAIT).await }
            });
            while blocked(&node).await == 0 {}
            beside.push(gets(&node).await);
            assert!(!waiting.is_finished(), "it waits still");
            waiting.abort();
            while blocked(&node).await > 0 {}
        }
        let mut ratios: Vec<f64> =
            beside.iter().zip(&alone).map(|(b, a)| b.as_secs_f64() / a.as_secs_f64()).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{GETS} GETs by {TASKS} tasks beside a BLPOP that waits {WAIT:?}: {:.2} times what they take without \
             (median of {TURNS} turns; {:.2} to {:.2})",
            ratios[TURNS / 2],
            ratios[0],
            ratios[TURNS - 1]
        );
    });
}

async fn gets(node: &Node) -> Duration {
    let start = Instant::now();
    join_all((0..TASKS).map(async |_| {
        for _ in 0..GETS / TASKS {
            node.get::<String>("k").await.expect("a reply");
        }
    }))
    .await;
    start.elapsed()
}

async fn blocked(node: &Node) -> u64 {
    let info: String = node.query(redis::cmd("INFO").arg("clients")).await.expect("a reply");
    let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).expect("a number");
    line.trim().parse().expect("a number")
}

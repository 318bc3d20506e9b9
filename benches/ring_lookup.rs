//! From a key to a node: what a lookup costs. `README.md` says how to read and compare it.

use std::{env, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};

mod designs;

use designs::{Design, Keys};

const NODES: [usize; 4] = [3, 10, 100, 1000];
/// How often each design has its turn in the table of ratios.
const ROUNDS: usize = 15;
const KEY_LENGTHS: [usize; 4] = [8, 24, 64, 250];

/// All designs; the crates and the textbook only with keys of a usual length.
fn all(n: usize, len: usize) -> Vec<Design> {
    let mut all = vec![designs::floor(), designs::ours(n), designs::ours_whole_keys(n)];
    if len == 24 {
        all.extend(designs::crates(n));
        all.extend(designs::textbook(n));
    }
    all
}

fn orders(len: usize) -> [(&'static str, Keys); 2] {
    [("hot", Keys::hot(len)), ("1 M random keys", Keys::random(len))]
}

/// Each design over each set of keys, as criterion measures it: times, one design after the other.
fn times() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    for len in KEY_LENGTHS {
        for (order, keys) in orders(len) {
            for n in NODES {
                let mut group = criterion.benchmark_group(format!("lookup/{n} nodes/{len} B key, {order}"));
                group.throughput(Throughput::Elements(keys.lookups()));
                for design in all(n, len) {
                    if design.name == "crate hash_ring" {
                        continue; // a thousand times slower than the rest; `--ratios` has it
                    }
                    group.bench_function(BenchmarkId::from_parameter(design.name), |bencher| {
                        bencher.iter_custom(|passes| (0..passes).map(|_| (design.pass)(&keys)).sum());
                    });
                }
                group.finish();
            }
        }
    }
    criterion.final_summary();
}

/// All designs in turn, again and again, so that whatever else the machine does hits all of them: a table of
/// the fastest pass of each relative to the fastest of the floor. Numbers after `--ratios` are the lengths of keys to try.
fn ratios() {
    let wanted: Vec<usize> = env::args().filter_map(|arg| arg.parse().ok()).collect();
    for len in KEY_LENGTHS.into_iter().filter(|len| wanted.is_empty() || wanted.contains(len)) {
        for (order, keys) in orders(len) {
            println!("\n{len} B key, {order}; times the floor");
            for n in NODES {
                let mut all = all(n, len);
                all.retain(|design| design.name != "crate hash_ring" || (n, order) == (100, "hot"));
                let times = fastest(&all, &keys);
                println!("  {n} nodes");
                for (design, time) in all.iter().zip(&times) {
                    println!("    {:32} {:8.2}", design.name, time / times[0]);
                }
            }
            growth(len, order, &keys);
        }
    }
}

/// What the number of nodes costs.
fn growth(len: usize, order: &str, keys: &Keys) {
    let times = fastest(&NODES.map(designs::ours), keys);
    let ratios: Vec<f64> = times.iter().map(|time| time / times[0]).collect();
    println!("  redisdb-hashring relative to 3 nodes, {len} B key, {order}: {ratios:.2?} at {NODES:?} nodes");
}

/// The fastest pass of each design, in seconds.
fn fastest(designs: &[Design], keys: &Keys) -> Vec<f64> {
    let mut fastest = vec![f64::MAX; designs.len()];
    for _ in 0..ROUNDS {
        for (fastest, design) in fastest.iter_mut().zip(designs) {
            *fastest = fastest.min((design.pass)(keys).as_secs_f64());
        }
    }
    fastest
}

fn main() {
    if env::args().any(|arg| arg == "--ratios") { ratios() } else { times() }
}

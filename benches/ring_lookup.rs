//! From a key to a node: what a lookup costs. `README.md` says how to read and compare it.

use std::{env, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput};

mod designs;

use designs::{Design, Keys, LOOKUPS};

const NODES: [usize; 4] = [3, 10, 100, 1000];
/// How often each design has its turn in the table of ratios, and how many lookups a turn is: so many that bringing the
/// table back into the caches does not count, which the turns of the others have put out of them.
const TURNS: usize = 100;
const TURN: usize = 100_000;
/// How many lookups come before each turn, for the same reason: nearly every line of the table of the floor is touched
/// by as many.
const WARM_UP: usize = 50_000;
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
                group.throughput(Throughput::Elements(LOOKUPS as u64));
                for design in all(n, len) {
                    if design.name == "crate hash_ring" {
                        continue; // a thousand times slower than the rest; `--ratios` has it
                    }
                    group.bench_function(BenchmarkId::from_parameter(design.name), |bencher| {
                        bencher.iter_custom(|passes| {
                            (0..passes).map(|_| (design.pass)(&keys, 0..LOOKUPS)).sum()
                        });
                    });
                }
                group.finish();
            }
        }
    }
    criterion.final_summary();
}

/// All designs in turn, again and again, so that whatever else the machine does hits all of them: a table of each
/// relative to the floor. Numbers after `--ratios` are the lengths of keys to try.
fn ratios() {
    let wanted: Vec<usize> = env::args().filter_map(|arg| arg.parse().ok()).collect();
    for len in KEY_LENGTHS.into_iter().filter(|len| wanted.is_empty() || wanted.contains(len)) {
        for (order, keys) in orders(len) {
            println!("\n{len} B key, {order}; times the floor");
            for n in NODES {
                let mut all = all(n, len);
                all.retain(|design| design.name != "crate hash_ring" || (n, order) == (100, "hot"));
                println!("  {n} nodes");
                for (design, ratio) in all.iter().zip(to_the_first(&all, &keys)) {
                    println!("    {:32} {ratio:8.2}", design.name);
                }
            }
            // What the number of nodes costs.
            let ratios = to_the_first(&NODES.map(designs::ours), &keys);
            println!(
                "  redisdb-hashring relative to 3 nodes, {len} B key, {order}: {ratios:.2?} at {NODES:?} nodes"
            );
        }
    }
}

/// The median, over all turns, of what each design took relative to the first one.
fn to_the_first(designs: &[Design], keys: &Keys) -> Vec<f64> {
    let mut ratios = vec![Vec::with_capacity(TURNS); designs.len()];
    for turn in 0..TURNS {
        let mut times = vec![0.0; designs.len()];
        for i in 0..designs.len() {
            // In another order every time, and each with other keys than the one before it, which are in the cache.
            let (i, first) = ((i + turn) % designs.len(), (turn * 7 + i * 3) % (LOOKUPS / TURN) * TURN);
            let (warm_up, pass) = ((first + LOOKUPS / 2) % LOOKUPS, &designs[i].pass);
            let _warm = pass(keys, warm_up..warm_up + WARM_UP);
            times[i] = pass(keys, first..first + TURN).as_secs_f64();
        }
        for (ratios, time) in ratios.iter_mut().zip(&times) {
            ratios.push(time / times[0]);
        }
    }
    ratios.iter_mut().map(|ratios| *ratios.select_nth_unstable_by(TURNS / 2, f64::total_cmp).1).collect()
}

fn main() {
    if env::args().any(|arg| arg == "--ratios") { ratios() } else { times() }
}

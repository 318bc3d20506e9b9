//! How long a ring takes to build and how many bytes it takes.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion};
use redisdb_hashring::HashRing;

// The other designs are for `ring_lookup`.
#[expect(dead_code)]
mod designs;

fn build(n: usize) -> HashRing {
    HashRing::builder().nodes(designs::names(n)).build().unwrap()
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    let mut group = criterion.benchmark_group("build");
    for n in [3, 10, 100, 1000] {
        group.bench_with_input(BenchmarkId::from_parameter(format!("{n} nodes")), &n, |bencher, &n| {
            bencher.iter(|| black_box(build(n)));
        });
        let bytes = build(n).bytes();
        println!(
            "{n} nodes: {bytes} bytes, {:.2} for each of {} points",
            bytes as f64 / (n * 3072) as f64,
            n * 3072
        );
    }
    group.finish();
    criterion.final_summary();
}

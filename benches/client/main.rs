//! One client doing one piece of work for a while: what `cargo xtask bench` starts again and again, each time with
//! another client. It prints one line of numbers.

use std::time::Duration;

mod client;
mod contenders;
mod floor;
mod measure;
mod ours;
mod scale;

use client::Work;
use measure::{Length, Plan};
use redisdb::OnDifference;

const USAGE: &str = "redisdb-bench-client <client> <work> <urls, separated by commas> [--tasks n] [--size bytes] \
                     [--ops n | --millis n] [--multi]";

fn main() {
    let mut words = std::env::args().skip(1);
    // Not in the environment, which not every tool that runs this hands on.
    let (Some(client), Some(work), Some(urls)) = (words.next(), words.next(), words.next()) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let work = Work::named(&work).unwrap_or_else(|| panic!("no work `{work}`; there is: {}", Work::names()));
    let mut plan =
        Plan { work, tasks: 1, size: 64, length: Length::For(Duration::from_secs(1)), multi: false };
    while let Some(option) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect(USAGE);
        match option.as_str() {
            "--tasks" => plan.tasks = number() as usize,
            "--size" => plan.size = number() as usize,
            "--ops" => plan.length = Length::Operations(number()),
            "--millis" => plan.length = Length::For(Duration::from_millis(number())),
            "--multi" => plan.multi = true,
            _ => panic!("{USAGE}"),
        }
    }
    let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
    match client.as_str() {
        "scale" => match plan.length {
            Length::Operations(n_keys) => measure::run(&plan, || scale::run(&urls, n_keys as usize)),
            Length::For(_) => panic!("`scale` wants the number of keys, as `--ops`"),
        },
        "fill" => measure::run(&plan, || contenders::fill(&urls, plan.size)),
        "ring" => measure::measure(&plan, || ours::Ring::connect(&urls)),
        "ring-as-connection" => measure::measure(&plan, || ours::AsConnection::connect(&urls)),
        "node" => measure::measure(&plan, || ours::OneNode::connect(&urls)),
        "node-value" => measure::measure(&plan, || ours::Replies::connect(&urls, ours::Form::Value)),
        "node-frame" => measure::measure(&plan, || ours::Replies::connect(&urls, ours::Form::Frame)),
        "node-decoded" => measure::measure(&plan, || ours::Replies::connect(&urls, ours::Form::Decoded)),
        "nodes" => measure::measure(&plan, || ours::ByHand::connect(&urls)),
        "copy" => measure::measure(&plan, || ours::OnCopy::connect(&urls)),
        "copy-left" => measure::measure(&plan, || ours::OnCopy::marked(&urls, OnDifference::Leave)),
        "copy-equal" => measure::measure(&plan, || ours::OnCopy::marked(&urls, OnDifference::Converge)),
        "hold" => measure::run(&plan, || ours::OnCopy::hold(&urls)),
        "cache" => measure::measure(&plan, || ours::OnCache::connect(&urls)),
        "redis" => measure::measure(&plan, || contenders::Multiplexed::connect(&urls)),
        "redis-packed" => measure::measure(&plan, || contenders::Packed::connect(&urls)),
        "floor" => floor::measure(&plan, &urls, floor::To::One),
        "floor-copy" => floor::measure(&plan, &urls, floor::To::All),
        "redis-copy" => measure::measure(&plan, || contenders::HandCopy::connect(&urls)),
        #[cfg(feature = "peers")]
        "deadpool" => measure::measure(&plan, || contenders::Pooled::connect(&urls)),
        #[cfg(feature = "peers")]
        "fred" => measure::measure(&plan, || contenders::Fred::connect(&urls)),
        #[cfg(feature = "peers")]
        "rustis" => measure::measure(&plan, || contenders::Rustis::connect(&urls)),
        other => panic!("no client `{other}`"),
    }
}

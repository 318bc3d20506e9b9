//! The program of `cargo xtask races`: the runner, which has processes write the same keys at the same moment, and the client
//! process that it starts.
//!
//! `races --seeds A..B ..` is the runner, and `races client ..` a client: one program, so that nothing has to be found twice.
//! `races cost` measures what it takes the servers that the nodes become equal.

mod client;
mod cost;
mod crowd;
mod lives;
mod options;
mod race;
mod report;
mod runner;
mod stage;
mod storm;

use std::process::ExitCode;

use client::Place;
use options::Options;
use redisdb_tests::CLIENT;
use redisdb_tests::exit;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == CLIENT) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(client::run(Place::read(&words[1..])));
        return ExitCode::SUCCESS;
    }
    exit(match words.as_slice() {
        [first, rest @ ..] if first == "cost" => cost::run(rest),
        words => Options::read(words).map_err(Into::into).and_then(|options| runner::run(&options)),
    })
}

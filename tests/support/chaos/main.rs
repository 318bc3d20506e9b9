//! The program of `cargo xtask chaos`: the runner, which plays seeds of faults, and the client process that it starts.
//!
//! `chaos --seeds A..B ..` is the runner, and `chaos client ..` a client: one program, so that nothing has to be found twice.

mod client;
mod dumps;
mod fault;
mod history;
mod journal;
mod judgement;
mod keys;
mod link;
mod options;
mod plan;
mod process;
mod report;
mod returned;
mod rules;
mod runner;
mod seed;
mod stage;
mod teller;
mod verdict;
mod writes;

use std::process::ExitCode;

use client::Place;
use options::Options;
use redisdb_tests::CLIENT;
use redisdb_tests::exit;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if words.first().is_some_and(|word| word == CLIENT) {
        runtime.block_on(client::run(Place::read(&words[1..])));
        return ExitCode::SUCCESS;
    }
    exit(Options::read(&words).map_err(Into::into).and_then(|options| runner::run(&runtime, &options)))
}

//! `cargo xtask races`: processes that write the same keys of a copy at the same moment, and whether its nodes become equal.

use std::process::ExitCode;

use crate::chaos::play;
use crate::{Result, flags};

pub(crate) fn run(flags: &flags::Races) -> Result<ExitCode> {
    let words = if flags.cost { words_of_cost(flags) } else { words(flags) };
    play("races", &words, flags.server.as_deref())
}

fn words_of_cost(flags: &flags::Races) -> Vec<String> {
    ["cost".to_owned()].into_iter().chain(flags.keys.map(|n| n.to_string())).collect()
}

/// The flags as the program reads them.
fn words(flags: &flags::Races) -> Vec<String> {
    let values = [
        ("--seeds", flags.seeds.clone()),
        ("--processes", flags.processes.map(|n| n.to_string())),
        ("--keys", flags.keys.map(|n| n.to_string())),
    ];
    let switches = [
        ("--resume", flags.resume),
        ("--kill", flags.kill),
        ("--storm", flags.storm),
        ("--clock", flags.clock),
        ("--leave", flags.leave),
        ("--keep", flags.keep),
        ("--monitor", flags.monitor),
    ];
    let values = values.into_iter().flat_map(|(name, value)| value.map(|value| [name.to_owned(), value]));
    let switches = switches.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| (*name).to_owned());
    values.flatten().chain(switches).collect()
}

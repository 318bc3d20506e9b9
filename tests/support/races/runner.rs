//! The runner: servers and clients for each seed, the scene, and the verdict.

use std::path::Path;

use redisdb_tests::Judged;
use redisdb_tests::NAMES;
use redisdb_tests::Outcome;
use redisdb_tests::clock::Watch;
use redisdb_tests::preloaded;
use xtask::Binary;
use xtask::workspace;

use crate::client::Place;
use crate::crowd::Crowd;
use crate::lives;
use crate::options::Options;
use crate::options::Scene;
use crate::race;
use crate::report::Ran;
use crate::stage::Stage;
use crate::storm;

/// Runs all seeds, and returns whether every promise was kept.
pub(crate) fn run(options: &Options) -> Outcome<bool> {
    let binary = Binary::find()?;
    let folder = workspace::target_dir().join("races");
    options.seeds.judge(&folder, &options.conditions(&binary.version), |seed, folder| {
        let (ran, traces) = run_seed(options, &binary, folder, seed)?;
        let is_kept = ran.broken(options).is_empty();
        Ok(Judged { is_kept, line: ran.line(options), traces, is_final: ran.troubles.is_empty() })
    })
}

/// Runs a seed in a folder of its own, and returns what came of it, with its traces.
fn run_seed(options: &Options, binary: &Binary, folder: &Path, seed: u64) -> Outcome<(Ran, String)> {
    let watch = Watch::start();
    let library;
    let (ahead, node) = match options.scene {
        Scene::Clock => {
            // Without it there is no verdict.
            library = preloaded("REDISDB_LIBFAKETIME", "faketime/libfaketimeMT.so.1")?;
            let node = (seed % NAMES.len() as u64) as usize;
            (Some((node, library.as_path())), node)
        }
        _ => (None, 0),
    };
    let stage = Stage::start(NAMES.len(), binary, folder, ahead)?;
    if options.monitor {
        stage.monitor()?;
    }
    let place = Place {
        slot: 0,
        n_processes: options.n_processes,
        seed,
        n_keys: options.n_keys(),
        scene: options.scene,
        leave: options.leave,
        is_told_more: options.monitor,
        urls: stage.urls(),
    };
    let keys = place.keys();
    let mut crowd = Crowd::start(&place, folder)?;
    if !options.leave {
        crowd.led()?;
    }
    let mut ran = Ran { seed, ..Ran::default() };
    match options.scene {
        Scene::Race | Scene::Kill => race::run(options, (&stage, &mut crowd), &keys, &mut ran)?,
        Scene::Storm => storm::run(options, (&stage, &mut crowd), &mut ran)?,
        Scene::Clock => lives::run(options, (&stage, &mut crowd), (&keys, node), &mut ran)?,
    }
    ran.convergence = crowd.together();
    (ran.longest_lag_ms, ran.n_killed) = (crowd.longest_lag_ms, crowd.n_killed);
    ran.troubles = crowd.ended();
    ran.late_ms = watch.lapses().iter().map(|(from, to)| to - from).sum::<u64>() / 1000;
    let traces = traces(options, &ran, &stage, &crowd);
    Ok((ran, traces))
}

/// All that helps to find out why a promise was broken.
fn traces(options: &Options, ran: &Ran, stage: &Stage, crowd: &Crowd) -> String {
    let mut text = ran.line(options) + "\n\ntimes are in seconds from the last write\n";
    for (at, line) in &crowd.history {
        let last = ran.last.unwrap_or(*at);
        let before = last.saturating_duration_since(*at).as_secs_f64();
        text += &format!("{:.2} {line}\n", at.saturating_duration_since(last).as_secs_f64() - before);
    }
    ran.wrong_sums.iter().chain(&ran.early).for_each(|line| text += &format!("{line}\n"));
    text + &stage.traces(&ran.differing) + &stage.traces(&ran.traced)
}

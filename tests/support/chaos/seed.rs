//! One seed: its load, its outages, what is looked at in the end, and the verdict.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use xtask::Binary;

use crate::client::TIMEOUT;
use crate::dumps;
use crate::fault::FaultKind;
use crate::history::History;
use crate::journal;
use crate::options::Options;
use crate::plan::outage;
use crate::returned::Returned;
use crate::rules::Replayed;
use crate::stage::Stage;
use crate::verdict::Circumstances;
use crate::verdict::Verdict;
use crate::verdict::judge_all;
use redisdb_tests::Outcome;
use redisdb_tests::clock::Watch;
use redisdb_tests::clock::micros;
use redisdb_tests::clock::now;
use redisdb_tests::clock::wait;

/// The time that the load goes on before the first fault.
const BEFORE: Duration = Duration::from_secs(2);

/// By how much the clock of the day may go otherwise than time.
const CLOCK: Duration = Duration::from_millis(200);

/// A seed that was run.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) seed: u64,
    pub(crate) verdict: Verdict,
    pub(crate) history: History,
    pub(crate) circumstances: Circumstances,
    pub(crate) n_outages: u64,
    /// When there were more than two faults in one outage, until it had healed. What is written then may be on servers alone that
    /// lose it.
    pub(crate) crowded: Vec<(u64, u64)>,
    /// There were rolling restarts and nothing else: then no read may fail, and no key may be in conflict.
    pub(crate) is_rolling: bool,
    /// The time that each outage took to heal, in microseconds.
    pub(crate) healing: Vec<u64>,
    /// The faults that were left where an outage had not healed in time.
    pub(crate) unhealed: Vec<String>,
    /// The number of keys that could not be read in the end.
    pub(crate) unread: usize,
    /// The keys that are in conflict in the end, as the copies tell.
    pub(crate) conflicts: BTreeSet<String>,
    /// The keys that are not the same on all servers in the end, but for those.
    pub(crate) differing: Vec<(String, Vec<String>)>,
    /// What it took to bring servers up to date that were away for long.
    pub(crate) returned: Vec<Returned>,
    /// The result of replaying the events that the explored rules were told.
    pub(crate) replayed: Replayed,
    /// The troubles that make the run worthless.
    pub(crate) troubles: Vec<String>,
}

/// Runs a seed in a folder of its own, and says how far it is by `progress`.
pub(crate) fn run(
    runtime: &Runtime,
    options: &Options,
    binary: &Binary,
    folder: &Path,
    seed: u64,
    progress: &dyn Fn(&str),
) -> Outcome<Ran> {
    let watch = Watch::start();
    progress("starting");
    let stage = Stage::start(runtime, options, binary, folder, seed)?;
    let is_rolling = options.shape.kinds == [FaultKind::Rolling];
    let mut ran = Ran { seed, is_rolling, ..Ran::default() };
    let nodes = thread::scope(|scope| {
        // Each of them costs the servers something.
        if options.shape.kinds.contains(&FaultKind::Dump) {
            scope.spawn(|| stage.take_dumps());
        }
        let played = play(&stage, options, &mut ran, progress);
        progress("looking");
        let nodes = played.and_then(|last| look(&stage, last, options.heal(), &mut ran));
        // Also after an error: the scope waits for the thread of the dumps.
        stage.stop(Duration::ZERO);
        nodes
    })?;
    for client in stage.ended() {
        ran.troubles.push(format!("{client} has ended by itself"));
    }
    let (lived, faults) = stage.end();
    for (node, log) in stage.logs().iter().enumerate() {
        fs::write(folder.join(format!("server-{node}.log")), log)?;
    }
    let jumped = watch.jumped();
    if micros(CLOCK) < jumped {
        ran.troubles.push(format!("the clock has jumped by {} ms", jumped / 1000));
    }
    progress("judging");
    let journals = lived.iter().map(|(place, _)| journal::read(&place.journal(place.incarnation)));
    for path in lived.iter().flat_map(|(place, _)| place.records(place.incarnation)) {
        ran.replayed.add(&path)?;
    }
    for back in stage.backs() {
        let later = faults.iter().map(|fault| fault.begin).filter(|begin| back.at < *begin);
        let next = later.min().unwrap_or(u64::MAX);
        ran.returned.push(back.judge(&ran.replayed.compared, next));
    }
    ran.history = History::of(journals.collect::<Result<_, _>>()?);
    ran.circumstances = Circumstances {
        processes: lived.into_iter().map(|(_, lived)| lived).collect(),
        faults,
        lapses: watch.lapses(),
        patience: patience(options.shape.n_nodes),
        finish: ran.circumstances.finish,
    };
    ran.verdict = judge_all(&ran.history, &ran.circumstances, &nodes);
    Ok(ran)
}

/// The longest time a call may take: it may ask one node after the other, or two steps of each, and each of them may have to
/// be connected to first.
fn patience(n_nodes: usize) -> u64 {
    let n_waits = u32::try_from(2 * (n_nodes + 1)).unwrap_or(u32::MAX);
    micros(TIMEOUT * n_waits + Duration::from_secs(2))
}

/// Has one outage after the other until the time is up, one at least, and returns when the last fault ended.
fn play(stage: &Stage, options: &Options, ran: &mut Ran, progress: &dyn Fn(&str)) -> Outcome<u64> {
    let end = now() + micros(options.time);
    thread::sleep(BEFORE);
    let mut last = now();
    for number in 0.. {
        if 0 < number && end <= now() {
            break;
        }
        let outage = outage(ran.seed, number, &options.shape);
        let shown: Vec<String> = outage.faults.iter().map(|fault| fault.to_string()).collect();
        progress(&format!(
            "{} s left, outage {number}: {}",
            end.saturating_sub(now()) / 1_000_000,
            shown.join(", ")
        ));
        let began = now();
        thread::scope(|scope| {
            let faults: Vec<_> =
                outage.faults.iter().map(|fault| scope.spawn(|| stage.suffer(fault, number))).collect();
            let outcomes: Vec<_> = faults.into_iter().map(|fault| fault.join().unwrap()).collect();
            outcomes.into_iter().collect::<Outcome<Vec<()>>>()
        })?;
        last = now();
        ran.n_outages += 1;
        match stage.healed(options.heal()) {
            Some(healed) => ran.healing.push(healed.saturating_sub(last)),
            None => ran.unhealed.push(format!("outage {number}: {}", stage.ailing())),
        }
        if 2 < outage.n_counted() {
            ran.crowded.push((began, now()));
        }
        thread::sleep(outage.quiet);
    }
    Ok(last)
}

/// Ends the load, and looks at all keys by all clients and on all servers, until the copy should have healed.
fn look(stage: &Stage, last: u64, heal: Duration, ran: &mut Ran) -> Outcome<Vec<dumps::Contents>> {
    let going_on = stage.stop(heal);
    ran.troubles.extend(going_on.iter().map(|slot| format!("client {slot} does not end its load")));
    let deadline = (last + micros(heal)).max(now() + micros(Duration::from_secs(3)));
    let left = || Duration::from_micros(deadline.saturating_sub(now()).max(micros(Duration::from_secs(3))));
    ran.circumstances.finish = now();
    let mut number = 0;
    loop {
        ran.unread = stage.sweep(number, left());
        number += 1;
        if ran.unread == 0 || deadline <= now() {
            break;
        }
    }
    let mut nodes = stage.contents()?;
    wait(left(), || {
        if let Ok(contents) = stage.contents() {
            nodes = contents;
        }
        ran.conflicts = stage.conflicts();
        ran.differing = dumps::differences(&nodes);
        ran.differing.retain(|(key, _)| !ran.conflicts.contains(key));
        ran.differing.is_empty()
    });
    // What is read after that is the same as before, or differs once more.
    stage.sweep(number, left());
    Ok(nodes)
}

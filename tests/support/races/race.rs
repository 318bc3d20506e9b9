//! The scenes in which all processes write the same keys at the same moment, and none or one of them is killed meanwhile.

use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use redisdb_tests::Outcome;
use redisdb_tests::ROUND;
use redisdb_tests::Raced;
use redisdb_tests::differences;
use redisdb_tests::progress;

use crate::crowd::Crowd;
use crate::crowd::Fates;
use crate::crowd::LIMIT;
use crate::options::Options;
use crate::options::Scene;
use crate::report::Ran;
use crate::stage::Stage;

/// The time that nodes that differ are looked at further, to see when they become equal.
const FURTHER: Duration = Duration::from_secs(60);

/// The interval at which a process is killed: long enough for one of them to lead now and then, and to be killed in the middle of that.
const KILLED: Duration = Duration::from_millis(100);

/// Has the keys raced, and looks at the servers when they are to be equal.
pub(crate) fn run(
    options: &Options,
    (stage, crowd): (&Stage, &mut Crowd),
    keys: &[Raced],
    ran: &mut Ran,
) -> Outcome<()> {
    crowd.ask(0, "before");
    crowd.done(LIMIT)?;
    let start = Instant::now();
    let mut dice = Rng::with_seed(!ran.seed);
    let n_rounds = keys.len().div_ceil(ROUND);
    let mut last = Instant::now();
    let mut longest = Duration::from_millis(20);
    for round in 0..n_rounds {
        progress(ran.seed, &format!("round {round} of {n_rounds}"));
        let begin = Instant::now();
        crowd.ask_all(&format!("round {round}"));
        let killed = (options.scene == Scene::Kill).then(|| dice.usize(..options.n_processes));
        if let Some(slot) = killed {
            crowd.pause(longest.mul_f64(dice.f64()));
            crowd.kill(slot);
        }
        crowd.done(LIMIT)?;
        longest = begin.elapsed();
        last = Instant::now();
        if let Some(slot) = killed {
            crowd.replace(slot)?;
            crowd.pause(KILLED.saturating_sub(begin.elapsed()));
        }
    }
    ran.lasted = start.elapsed();
    ran.last = Some(last);
    ran.differed_at_once = differences(&stage.contents()?).len();
    let limit = match options.scene {
        Scene::Kill => Duration::from_secs(10),
        _ => Duration::from_secs(5),
    };
    look(stage, crowd, last, limit, ran, !options.leave)?;
    let fates = |fate: fn(&Fates) -> usize| crowd.fates.iter().map(fate).sum();
    ran.acknowledged = fates(|fates| fates.acknowledged);
    ran.unknown = fates(|fates| fates.unknown);
    ran.refused = fates(|fates| fates.refused);
    if !options.leave {
        judge_sums(stage, crowd, keys, ran)?;
    }
    Ok(())
}

/// Compares all servers this long after the last write, and if they differ until they do not.
pub(crate) fn look(
    stage: &Stage,
    crowd: &mut Crowd,
    last: Instant,
    limit: Duration,
    ran: &mut Ran,
    further: bool,
) -> Outcome<()> {
    crowd.pause(limit.saturating_sub(last.elapsed()));
    ran.looked_after = last.elapsed();
    ran.differing = differences(&stage.contents()?);
    let mut differing = ran.differing.len();
    while further && 0 < differing && last.elapsed() < limit + FURTHER {
        crowd.pause(Duration::from_secs(1));
        differing = differences(&stage.contents()?).len();
    }
    if !ran.differing.is_empty() && differing == 0 {
        ran.equal_after = Some(last.elapsed());
    }
    Ok(())
}

/// Judges what was added up: at least what was acknowledged, and at most also what may have been executed.
fn judge_sums(stage: &Stage, crowd: &Crowd, keys: &[Raced], ran: &mut Ran) -> Outcome<()> {
    let contents = stage.contents()?;
    for (raced, fates) in keys.iter().zip(&crowd.fates) {
        let Some(adds) = raced.adds() else { continue };
        ran.n_sums += 1;
        let (least, most) =
            (fates.acknowledged as f64 * adds, (fates.acknowledged + fates.unknown) as f64 * adds);
        let name = raced.name();
        let sums = contents.iter().map(|node| raced.sum(node.get(&name))).collect::<Vec<_>>();
        if !sums.iter().all(|sum| (least..=most).contains(sum)) {
            ran.wrong_sums.push(format!("{name} is {sums:?}, and not {least} to {most}"));
            ran.traced.push((name, sums.iter().map(f64::to_string).collect()));
        }
    }
    Ok(())
}

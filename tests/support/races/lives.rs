//! The scene in which keys end, and the clock of one server is ahead.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use redisdb_tests::END;
use redisdb_tests::Held;
use redisdb_tests::LIFE;
use redisdb_tests::NAMES;
use redisdb_tests::Outcome;
use redisdb_tests::ROUND;
use redisdb_tests::Raced;

use crate::crowd::Crowd;
use crate::crowd::LIMIT;
use crate::options::Options;
use crate::report::Ran;
use crate::stage::AHEAD;
use crate::stage::Stage;

/// The interval at which the servers are looked at.
const LOOK: Duration = Duration::from_secs(4);

/// The time when no key may be copied any more, after the last write: the lives by the clock that is ahead have ended, at 19 s, and the keys were
/// compared twice since.
const REST: Duration = Duration::from_secs(24);

/// The time that after its end a key may still be there.
const GONE: Duration = Duration::from_secs(10);

/// Has the keys raced, and looks at the servers until all keys have ended.
pub(crate) fn run(
    options: &Options,
    (stage, crowd): (&Stage, &mut Crowd),
    (keys, ahead): (&[Raced], usize),
    ran: &mut Ran,
) -> Outcome<()> {
    crowd.ask(0, "firsts");
    crowd.done(LIMIT)?;
    crowd.ask(0, "before");
    crowd.done(LIMIT)?;
    let start = Instant::now();
    for round in 0..keys.len().div_ceil(ROUND) {
        crowd.ask_all(&format!("round {round}"));
        crowd.done(LIMIT)?;
    }
    let last = Instant::now();
    ran.lasted = start.elapsed();
    ran.last = Some(last);
    let mut early = BTreeSet::new();
    let mut copied_at_rest = None;
    // A key of the last writer lives longest.
    let gone = END + Duration::from_secs(2 * options.n_processes as u64) + GONE;
    for passed in (1..).map(|i| LOOK * i).take_while(|passed| *passed < gone) {
        crowd.pause(passed.saturating_sub(last.elapsed()));
        let contents = stage.contents()?;
        // A moment for the look itself.
        let is_before = |life: Duration| start.elapsed() + Duration::from_secs(1) < life;
        for (at, raced) in keys.iter().enumerate() {
            let life = if raced.op == "EXPIREAT" { END } else { LIFE };
            // A copy gives all nodes the same end of a life. It comes early by the clock that is ahead: on the node that has it, and
            // on all where that node is the first of the key.
            let is_by_the_clock_ahead = crowd.firsts.get(&at).is_some_and(|first| first == NAMES[ahead]);
            for node in lacking(&contents, &raced.name()) {
                let is_early = is_by_the_clock_ahead || node == ahead;
                if is_before(if is_early { life - AHEAD } else { life }) {
                    early.insert(raced.name());
                }
            }
        }
        let n_copied = stage.n_copied()?;
        ran.over_time.push(format!("{} s: {n_copied} copied", passed.as_secs()));
        if is_before(LIFE) && REST <= passed {
            let before = *copied_at_rest.get_or_insert(n_copied);
            ran.copied_on = ran.copied_on.max(n_copied - before);
        }
    }
    let before = stage.n_copied()?;
    crowd.pause(LOOK);
    ran.copied_on = ran.copied_on.max(stage.n_copied()? - before);
    ran.looked_after = last.elapsed();
    ran.differing = redisdb_tests::differences(&stage.contents()?);
    ran.left_over = stage.contents()?.iter().map(BTreeMap::len).sum();
    ran.early = early.into_iter().collect();
    Ok(())
}

/// The nodes that do not hold a key.
fn lacking(contents: &[BTreeMap<String, Held>], key: &str) -> impl Iterator<Item = usize> {
    contents.iter().enumerate().filter(move |(_, node)| !node.contains_key(key)).map(|(node, _)| node)
}

//! The scene in which keys are changed as fast as can be.

use std::time::Duration;
use std::time::Instant;

use redisdb_tests::Outcome;
use redisdb_tests::differences;
use redisdb_tests::progress;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::race;
use crate::report::Ran;
use crate::stage::Stage;

/// The number of keys are changed in a second at most, by all processes together.
const RATE: usize = 20_000;

/// The time that keys are changed.
const LASTS: Duration = Duration::from_secs(60);

/// The time when all nodes are to be equal, after that.
const EQUAL: Duration = Duration::from_secs(30);

/// The interval at which the process that leads is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Has keys changed, notes how the process that leads keeps up, and looks at the servers when they are to be equal.
pub(crate) fn run(options: &Options, (stage, crowd): (&Stage, &mut Crowd), ran: &mut Ran) -> Outcome<()> {
    let start = Instant::now();
    note(crowd, start, ran);
    crowd.ask_all(&format!("storm {} {}", RATE / options.n_processes, LASTS.as_secs()));
    for passed in (1..).map(|i| LOOK * i).take_while(|passed| *passed < LASTS) {
        crowd.pause(passed.saturating_sub(start.elapsed()));
        note(crowd, start, ran);
        progress(ran.seed, &format!("{} s of {} s", passed.as_secs(), LASTS.as_secs()));
    }
    crowd.done(LASTS)?;
    let last = Instant::now();
    ran.lasted = start.elapsed();
    ran.last = Some(last);
    ran.changed = crowd.changed;
    note(crowd, start, ran);
    ran.differed_at_once = differences(&stage.contents()?).len();
    for passed in (1..).map(|i| LOOK * i).take_while(|passed| *passed < EQUAL) {
        crowd.pause(passed.saturating_sub(last.elapsed()));
        note(crowd, start, ran);
    }
    race::look(stage, crowd, last, EQUAL, ran, true)
}

fn note(crowd: &Crowd, start: Instant, ran: &mut Ran) {
    let seconds = start.elapsed().as_secs();
    ran.most_mib = crowd.leader().map_or(ran.most_mib, |it| ran.most_mib.max(it.mib));
    ran.over_time.push(match crowd.leader() {
        Some(it) => {
            format!("{seconds} s: lag {:.1} s, {} dirty, {} MiB", it.lag_ms as f64 / 1e3, it.dirty, it.mib)
        }
        None => format!("{seconds} s: nobody leads"),
    });
}

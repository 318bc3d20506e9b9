//! The verdict on a scene. A failure on a machine that was late, which may be the cause, shows nothing: the scene
//! is played again, and if no run shows anything it has failed.

use std::panic::AssertUnwindSafe;
use std::panic::resume_unwind;
use std::time::Duration;

use futures_util::FutureExt;
use xtask::skipped;

use super::machine::Lateness;

/// A machine that was late by so much, all in all or during a call, may make a server look as if it hung.
pub const SLOW: Duration = Duration::from_millis(300);
/// The number of times that a scene is played until a run shows something.
const RUNS: usize = 3;

tokio::task_local! {
    static RUN: usize;
}

/// The end of a run that shows nothing: a panic that nobody is told of.
struct Inconclusive(String);

/// Returns which run of a scene this is, from 1.
pub fn run() -> usize {
    RUN.try_with(|run| *run).unwrap_or(1)
}

/// Fails unless something holds; if the machine was late, and that may be why, the run is inconclusive.
///
/// # Panics
/// If it does not hold.
pub fn require(holds: bool, late: Option<&Lateness>, why: impl FnOnce() -> String) {
    if holds {
        return;
    }
    match late.map(Lateness::total).filter(|total| SLOW <= *total) {
        Some(total) => {
            resume_unwind(Box::new(Inconclusive(format!("the machine was {total:.1?} late: {}", why()))))
        }
        None => panic!("{}", why()),
    }
}

/// Plays a scene until a run shows something.
///
/// # Panics
/// If a run fails, or none shows anything.
pub async fn conclude(scene: impl AsyncFn()) {
    let inconclusive = |run: usize, why: &str| {
        let part = format!("run {run} of {RUNS}, inconclusive: {why}");
        skipped("the machine was late, so a scene of the fault suite was played again", Some(&part));
    };
    play(scene, inconclusive).await;
}

async fn play(scene: impl AsyncFn(), inconclusive: impl Fn(usize, &str)) {
    let mut reasons = Vec::new();
    for run in 1..=RUNS {
        let played = RUN.scope(run, AssertUnwindSafe(scene()).catch_unwind()).await;
        let Err(panic) = played else { return };
        match panic.downcast::<Inconclusive>() {
            Ok(why) => {
                inconclusive(run, &why.0);
                reasons.push(why.0);
            }
            Err(panic) => resume_unwind(panic),
        }
    }
    panic!("none of {RUNS} runs has shown anything: {}", reasons.join("; "));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cell::RefCell;
    use std::time::Instant;

    use super::*;

    /// Returns what comes of a scene that fails in these runs by a machine that is late, and in others by itself.
    async fn played(late: &[usize], failing: &[usize]) -> (usize, Vec<usize>, Option<String>) {
        let start = Instant::now();
        let slow = Lateness::of(start, start + SLOW);
        let (n_runs, told) = (Cell::new(0), RefCell::new(Vec::new()));
        let scene = async || {
            n_runs.set(run());
            require(!late.contains(&run()), Some(&slow), || "too late".to_owned());
            require(!failing.contains(&run()), None, || "wrong".to_owned());
        };
        let outcome =
            AssertUnwindSafe(play(scene, |run, _| told.borrow_mut().push(run))).catch_unwind().await;
        let failure = outcome.err().map(|panic| *panic.downcast::<String>().unwrap());
        (n_runs.get(), told.into_inner(), failure)
    }

    #[tokio::test]
    async fn a_scene_is_played_again_only_if_it_has_shown_nothing() {
        assert_eq!(played(&[], &[]).await, (1, vec![], None));
        assert_eq!(played(&[1, 2], &[]).await, (3, vec![1, 2], None));
        assert_eq!(played(&[], &[1]).await, (1, vec![], Some("wrong".to_owned())));
        assert_eq!(played(&[1], &[2]).await, (2, vec![1], Some("wrong".to_owned())));
        let (n_runs, told, failure) = played(&[1, 2, 3], &[]).await;
        assert_eq!((n_runs, told), (3, vec![1, 2, 3]));
        let failure = failure.unwrap();
        assert!(
            failure.contains("none of 3 runs has shown anything") && failure.contains("too late"),
            "{failure}"
        );
    }

    #[test]
    fn a_machine_that_was_hardly_late_is_no_excuse() {
        let start = Instant::now();
        let hardly = Lateness::of(start, start + SLOW / 2);
        let failed = std::panic::catch_unwind(|| require(false, Some(&hardly), || "wrong".to_owned()));
        assert!(failed.unwrap_err().downcast_ref::<String>().is_some());
    }
}

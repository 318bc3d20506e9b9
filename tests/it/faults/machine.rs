//! The lateness of the machine itself: a call cannot be better than the machine that makes it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

const BEAT: Duration = Duration::from_millis(10);
/// A thread may be so late on a machine that is well.
const USUAL: Duration = Duration::from_millis(20);

/// A thread that wants to run every 10 ms and notes when it was not let; it ends with this.
pub struct Machine {
    late: Arc<Mutex<Lateness>>,
    _end: Sender<()>,
}

/// The time when a machine was late: each time from when something was to run until it did.
#[derive(Debug, Clone, Default)]
pub struct Lateness(Vec<(Instant, Instant)>);

impl Machine {
    pub fn watch() -> Machine {
        let (end, ended) = mpsc::channel::<()>();
        let late = Arc::<Mutex<Lateness>>::default();
        let noted = Arc::clone(&late);
        thread::spawn(move || {
            loop {
                let due = Instant::now() + BEAT;
                if ended.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let now = Instant::now();
                if USUAL < now.saturating_duration_since(due) {
                    noted.lock().unwrap().0.push((due, now));
                }
            }
        });
        Machine { late, _end: end }
    }

    /// Returns the times when it was late so far.
    pub fn late(&self) -> Lateness {
        self.late.lock().unwrap().clone()
    }
}

impl Lateness {
    /// Returns how late it was all in all.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|(from, to)| *to - *from).sum()
    }

    /// Returns how late it was between two moments.
    pub fn within(&self, start: Instant, end: Instant) -> Duration {
        let shared =
            |(from, to): &(Instant, Instant)| (*to).min(end).saturating_duration_since((*from).max(start));
        self.0.iter().map(shared).sum()
    }
}

#[cfg(test)]
impl Lateness {
    /// A machine that was late from one moment to another.
    pub fn of(from: Instant, to: Instant) -> Lateness {
        Lateness(vec![(from, to)])
    }
}

#[test]
fn only_the_moments_of_a_call_count() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let late = Lateness(vec![(at(100), at(200)), (at(500), at(900))]);
    let within = |from, to| late.within(at(from), at(to)).as_millis();
    assert_eq!((within(0, 100), within(0, 150), within(120, 150), within(0, 1000)), (0, 50, 30, 500));
    assert_eq!((within(200, 500), within(800, 2000), within(900, 2000)), (0, 100, 0));
    assert_eq!(late.total().as_millis(), 500);
}

//! The time that all processes of a run share, and how late the machine was.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// A lapse shorter than this excuses nothing.
const LATE: Duration = Duration::from_millis(100);

/// The interval at which the watch wants to run.
const STEP: Duration = Duration::from_millis(10);

/// The time of day in microseconds, which every process of the machine reads from one clock.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// A duration in the same unit.
pub const fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// A thread that wants to run every 10 ms, and notes when it was not let.
#[derive(Debug)]
pub struct Watch {
    lapses: Arc<Mutex<Vec<(u64, u64)>>>,
    start: (u64, Instant),
}

impl Watch {
    /// Starts the thread; it ends with this value.
    pub fn start() -> Self {
        let lapses = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::downgrade(&lapses);
        thread::spawn(move || {
            let mut before = now();
            while let Some(lapses) = noted.upgrade() {
                let at = now();
                if before + micros(STEP + LATE) < at {
                    lapses.lock().unwrap().push((before + micros(STEP), at));
                }
                before = at;
                drop(lapses);
                thread::sleep(STEP);
            }
        });
        Self { lapses, start: (now(), Instant::now()) }
    }

    /// Returns when the machine was late so far, each from when to when.
    pub fn lapses(&self) -> Vec<(u64, u64)> {
        self.lapses.lock().unwrap().clone()
    }

    /// Returns by how much the time of day has gone otherwise than time, in microseconds.
    pub fn jumped(&self) -> u64 {
        let (day, instant) = self.start;
        now().abs_diff(day + micros(instant.elapsed()))
    }
}

/// Returns how much of this time falls into these periods.
pub fn overlap(periods: &[(u64, u64)], from: u64, to: u64) -> u64 {
    periods.iter().map(|(begin, end)| (*end).min(to).saturating_sub((*begin).max(from))).sum()
}

/// Waits until a condition holds, and returns whether it does in time.
pub fn wait(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = now() + micros(limit);
    loop {
        if condition() {
            return true;
        }
        if end <= now() {
            return false;
        }
        thread::sleep(STEP * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_falls_into_a_period_counts() {
        let periods = [(10, 20), (30, 40)];
        assert_eq!(overlap(&periods, 0, 100), 20);
        assert_eq!(overlap(&periods, 15, 35), 10);
        assert_eq!(overlap(&periods, 20, 30), 0);
    }
}

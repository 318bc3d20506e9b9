//! The time by a server's clock, counted on by a clock that does not jump.
//!
//! The clock of this machine may be set at any moment, and be off by any time. An end at an instant of a
//! server's is counted from that server's answer, by the monotonic clock.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

/// A server's clock may be set as well, so it is asked again.
const EVERY: Duration = Duration::from_secs(60);
/// Nothing is known.
const UNKNOWN: i64 = i64::MIN;

/// The clock of a server.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// The server's clock at the start, in microseconds since 1970.
    at_start: AtomicI64,
    /// When it was last asked, in microseconds since the start.
    asked_at: AtomicI64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), at_start: AtomicI64::new(UNKNOWN), asked_at: AtomicI64::new(0) }
    }

    /// Learns from what `INFO server` said to a question of that moment; older servers do not say it.
    pub(crate) fn learn(&self, info: &[u8], asked: Instant) {
        self.asked_at.store(micros(self.start.elapsed()), Ordering::Relaxed);
        let Some(says) = field(info, b"server_time_usec:").and_then(|says| says.parse::<i64>().ok()) else {
            return;
        };
        // The server read its clock somewhere between the question and the answer.
        let said = asked.saturating_duration_since(self.start) + asked.elapsed() / 2;
        self.at_start.store(says.saturating_sub(micros(said)), Ordering::Relaxed);
    }

    /// The server's clock now; `None` if the server has not said.
    pub(crate) fn now(&self) -> Option<SystemTime> {
        let at_start = self.at_start.load(Ordering::Relaxed);
        let now = at_start.checked_add(micros(self.start.elapsed()))?;
        UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(now).ok()?))
    }

    /// Returns whether it is time to ask again; never if the server does not say.
    pub(crate) fn is_old(&self) -> bool {
        let asked_at = self.asked_at.load(Ordering::Relaxed);
        self.at_start.load(Ordering::Relaxed) != UNKNOWN
            && asked_at.saturating_add(micros(EVERY)) < micros(self.start.elapsed())
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A field of `INFO`, as text.
pub(crate) fn field<'a>(info: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let line = info.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(name))?;
    std::str::from_utf8(line.trim_ascii()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_what_the_server_said_and_from_nothing_else() {
        let clock = Clock::new();
        assert!(clock.now().is_none() && !clock.is_old());
        clock.learn(b"# Server\r\nredis_version:5.0.0\r\n", Instant::now());
        assert!(clock.now().is_none());
        clock.learn(b"run_id:1\r\nserver_time_usec:1000000\r\n", Instant::now());
        let now = clock.now().unwrap().duration_since(UNIX_EPOCH).unwrap();
        assert!(Duration::from_secs(1) <= now && now < Duration::from_secs(30), "{now:?}");
        assert!(!clock.is_old());
    }
}

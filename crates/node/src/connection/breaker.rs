//! The circuit breaker: when a server is left alone, and for how long. Plain functions of what calls and
//! connections came to, and when.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ErrorKind;

/// So many calls and signs of life in a row without an answer, and the server is left alone. A single one may
/// be a slow command.
const IN_A_ROW: u32 = 3;
/// Or half of at least so many within [`WINDOW`] after the first of them.
const ENOUGH: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// So many connections in a row that ended before anything was answered on them, and the server is left
/// alone.
const LOST_IN_A_ROW: u32 = 3;
/// A connection that ended sooner than this, though something was answered on it, was short. Somebody may end
/// connections for a good reason, ..
const SHORT: Duration = Duration::from_secs(1);
/// .. but of more than so many in a row the next one is made after a pause. Calls wait for it: none fails at once.
const SHORT_IN_A_ROW: u32 = 32;
/// That pause: this, doubled by each ..
const FIRST_GAP: Duration = Duration::from_millis(10);
/// .. up to this, which is less than a call waits for a connection.
const LONGEST_GAP: Duration = Duration::from_millis(250);
/// The pause before a server is tried again: this, doubled by each attempt in vain ..
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// .. up to this. A restart is noticed soon, and trying costs no caller anything.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The same for a wrong password and the like, which time alone does not heal: some servers lock such clients
/// out.
const FIRST_LONG_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_LONG_PAUSE: Duration = Duration::from_secs(30);
/// A server that comes and goes is left alone for this when it goes the second time, four times as long each
/// further time, up to [`LONGEST_LONG_PAUSE`] ..
const FIRST_REST: Duration = Duration::from_secs(1);
/// .. until it has been well for so long.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// The knowledge about a server's health.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Calls in a row that were not answered.
    unanswered: u32,
    window: Option<Window>,
    /// Connections in a row that ended before anything was answered on them.
    lost: u32,
    open: Option<Open>,
    /// The number of times the server went since it was last well for long.
    times_gone: u32,
    connected_at: Option<Instant>,
    /// Connections in a row that were short.
    short: u32,
    /// When the next connection may be made, though the server is not left alone.
    gap_ends: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    calls: u32,
    unanswered: u32,
}

#[derive(Debug)]
struct Open {
    cause: Arc<ErrorKind>,
    pause: Duration,
    try_at: Instant,
    /// When it may be tried by whoever does not rest for longer than [`FIRST_REST`].
    try_at_soonest: Instant,
}

impl Breaker {
    /// Why the server is left alone, if it is.
    pub(crate) fn cause(&self) -> Option<&Arc<ErrorKind>> {
        self.open.as_ref().map(|open| &open.cause)
    }

    /// When a connection may be tried.
    pub(crate) fn try_at(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.try_at).max(self.gap_ends)
    }

    /// Lets a connection be tried at once, by callers who wait for it.
    pub(crate) fn half_open(&mut self) {
        self.open = None;
    }

    /// Does not rest for longer than a second, though the server comes and goes.
    pub(crate) fn shorten_rest(&mut self) {
        if let Some(open) = &mut self.open {
            open.try_at = open.try_at_soonest;
        }
    }

    /// A call was answered. Returns whether there is nothing that has to be counted any more.
    pub(crate) fn answered(&mut self, now: Instant) -> bool {
        self.unanswered = 0;
        self.lost = 0;
        match &mut self.window {
            Some(window) if now < window.since + WINDOW => {
                window.calls = window.calls.saturating_add(1);
                false
            }
            _ => {
                self.window = None;
                true
            }
        }
    }

    /// A call was not answered. Returns whether the server is left alone from now on.
    pub(crate) fn unanswered(&mut self, now: Instant, cause: &ErrorKind, jitter: f64) -> bool {
        self.unanswered += 1;
        let window = self.window.take().filter(|window| now < window.since + WINDOW);
        let mut window = window.unwrap_or(Window { since: now, calls: 0, unanswered: 0 });
        window.calls = window.calls.saturating_add(1);
        window.unanswered += 1;
        let too_many = window.calls >= ENOUGH && window.unanswered >= window.calls / 2;
        self.window = Some(window);
        self.open_if(self.unanswered >= IN_A_ROW || too_many, now, cause, jitter)
    }

    /// A connection ended that was in use. Returns whether the server is left alone from now on.
    pub(crate) fn lost(&mut self, now: Instant, cause: &ErrorKind, jitter: f64) -> bool {
        self.lost = self.lost.saturating_add(1);
        let is_short = self.connected_at.is_some_and(|at| now < at + SHORT);
        self.short = if is_short { self.short.saturating_add(1) } else { 0 };
        if let Some(times) = self.short.checked_sub(SHORT_IN_A_ROW) {
            let gap = FIRST_GAP.saturating_mul(2u32.saturating_pow(times)).min(LONGEST_GAP);
            self.gap_ends = Some(now + jittered(gap, jitter));
        }
        self.open_if(self.lost >= LOST_IN_A_ROW, now, cause, jitter)
    }

    /// A connection could not be made. Returns whether that is news.
    pub(crate) fn refused(&mut self, now: Instant, cause: Arc<ErrorKind>, jitter: f64) -> bool {
        let was_open = self.open.is_some();
        self.open(now, cause, jitter);
        !was_open
    }

    /// A connection was made.
    pub(crate) fn connected(&mut self, now: Instant) {
        // A connection that was let in is no answer yet: a server that closes each at the first command is
        // left alone too.
        self.unanswered = self.unanswered.min(1);
        self.window = None;
        self.open = None;
        self.gap_ends = None;
        self.connected_at = Some(now);
    }

    /// Returns whether the server is left alone from now on.
    fn open_if(&mut self, too_many: bool, now: Instant, cause: &ErrorKind, jitter: f64) -> bool {
        let is_gone = self.open.is_none() && too_many;
        if is_gone {
            self.open(now, Arc::new(cause.clone()), jitter);
        }
        is_gone
    }

    fn open(&mut self, now: Instant, cause: Arc<ErrorKind>, jitter: f64) {
        let (first, longest) = match is_config(&cause) {
            true => (FIRST_LONG_PAUSE, LONGEST_LONG_PAUSE),
            false => (FIRST_PAUSE, LONGEST_PAUSE),
        };
        let pause = self.open.as_ref().map_or(first, |open| (open.pause * 2).clamp(first, longest));
        let mut rest = Duration::ZERO;
        if let Some(connected_at) = self.connected_at.take() {
            self.times_gone = if now < connected_at + WELL_AFTER { self.times_gone + 1 } else { 1 };
            if let Some(times) = self.times_gone.checked_sub(2) {
                rest = FIRST_REST.saturating_mul(4u32.saturating_pow(times)).min(LONGEST_LONG_PAUSE);
            }
        }
        let at = |rest| now + jittered(pause.max(rest), jitter);
        self.open = Some(Open { cause, pause, try_at: at(rest), try_at_soonest: at(rest.min(FIRST_REST)) });
    }
}

fn jittered(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

fn is_config(cause: &ErrorKind) -> bool {
    matches!(cause, ErrorKind::Config(_) | ErrorKind::Auth(_) | ErrorKind::NotRedis(_) | ErrorKind::Tls(_))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timeout() -> ErrorKind {
        ErrorKind::Timeout(Duration::from_secs(1))
    }

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn three_in_a_row_are_too_many_and_an_answer_between_counts() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        assert!(!breaker.answered(now));
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        assert!(breaker.cause().is_none());
        assert!(breaker.unanswered(now, &timeout(), 0.5));
        assert!(breaker.cause().is_some());
        // A server that is left alone is news once.
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
    }

    #[test]
    fn two_are_too_many_on_a_connection_that_was_made_anew_after_one() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        breaker.connected(now);
        assert!(!breaker.unanswered(now, &timeout(), 0.5));
        assert!(breaker.unanswered(now, &timeout(), 0.5));
    }

    /// The number of connections a server gets in a minute that ends each of them after so long.
    fn connections_in_a_minute(lives: Duration, answers: bool) -> u32 {
        let start = Instant::now();
        let (mut breaker, mut now, mut n) = (Breaker::default(), start, 0);
        while now < start + after(60_000) && n < 10_000 {
            breaker.connected(now);
            n += 1;
            if answers {
                breaker.answered(now);
            }
            now += lives;
            breaker.lost(now, &timeout(), 0.5);
            now = breaker.try_at().unwrap_or(now);
        }
        n
    }

    #[test]
    fn a_server_that_ends_each_connection_is_left_alone_longer_and_longer() {
        // Three at once, then after 50 ms, 1 s, 4 s, 16 s, 30 s.
        assert_eq!(connections_in_a_minute(Duration::ZERO, false), 8);
        assert_eq!(connections_in_a_minute(after(20), false), 8);
        // A server that answers meanwhile is not left alone: somebody may end its connections.
        assert_eq!(connections_in_a_minute(after(1000), true), 60);
    }

    #[test]
    fn connections_that_are_ended_soon_come_at_growing_distances_and_the_server_is_not_left_alone() {
        // 32 at once, then after 10, 20, 40, 80, 160 and 250 ms, and every 250 ms.
        assert_eq!(connections_in_a_minute(Duration::ZERO, true), 275);
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for n in 1..100 {
            breaker.connected(now);
            breaker.answered(now);
            assert!(!breaker.lost(now, &timeout(), 0.5) && breaker.cause().is_none());
            assert_eq!(breaker.try_at().is_some(), n >= SHORT_IN_A_ROW, "{n}");
        }
        // One that lasts, and what was before is forgotten.
        breaker.connected(now);
        breaker.lost(now + SHORT, &timeout(), 0.5);
        assert_eq!(breaker.try_at(), None);
    }

    #[test]
    fn half_of_many_are_too_many_within_the_window_only() {
        let start = Instant::now();
        let run = |step: Duration| {
            let (mut breaker, mut now) = (Breaker::default(), start);
            for _ in 0..40 {
                breaker.answered(now);
                if breaker.unanswered(now, &timeout(), 0.5) {
                    return true;
                }
                now += step;
            }
            false
        };
        assert!(run(after(10)));
        assert!(!run(after(2000)));
        let mut breaker = Breaker::default();
        breaker.unanswered(start, &timeout(), 0.5);
        assert!(!breaker.answered(start + after(9_000)) && breaker.answered(start + after(11_000)));
    }

    #[test]
    fn attempts_in_vain_come_at_growing_distances() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let pauses: Vec<u128> = (0..7)
            .map(|i| {
                let cause = Arc::new(ErrorKind::ConnectTimeout(after(1)));
                assert_eq!(breaker.refused(now, cause, 0.5), i == 0);
                (breaker.try_at().unwrap() - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        let auth = Arc::new(ErrorKind::Auth("WRONGPASS".to_owned()));
        for _ in 0..9 {
            breaker.refused(now, Arc::clone(&auth), 0.5);
        }
        assert_eq!(breaker.try_at().unwrap() - now, Duration::from_secs(30));
    }

    #[test]
    fn a_server_that_comes_and_goes_is_left_alone_longer_and_longer() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut gone = || {
            breaker.connected(now);
            now += after(1000);
            breaker.refused(now, Arc::new(timeout()), 0.5);
            let rest = breaker.try_at().unwrap() - now;
            now += rest;
            rest.as_millis()
        };
        assert_eq!([gone(), gone(), gone(), gone(), gone()], [50, 1000, 4000, 16_000, 30_000]);
        breaker.connected(now);
        breaker.refused(now + WELL_AFTER, Arc::new(timeout()), 0.5);
        assert_eq!(breaker.try_at().unwrap() - now, WELL_AFTER + after(50));
    }

    #[test]
    fn a_rest_can_be_made_shorter_and_a_pause_cannot() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let mut soonest = |cause: ErrorKind, n: usize| {
            for _ in 0..n {
                breaker.refused(now, Arc::new(cause.clone()), 0.5);
            }
            breaker.shorten_rest();
            breaker.try_at().map(|at| (at - now).as_millis())
        };
        assert_eq!(soonest(timeout(), 2), Some(100));
        assert_eq!(soonest(ErrorKind::Auth("no".into()), 3), Some(4000));
        for _ in 0..4 {
            breaker.connected(now);
            breaker.refused(now, Arc::new(timeout()), 0.5);
        }
        assert_eq!(breaker.try_at().map(|at| (at - now).as_millis()), Some(16_000));
        breaker.shorten_rest();
        assert_eq!(breaker.try_at().map(|at| (at - now).as_millis()), Some(1000));
    }

    proptest! {
        /// Whatever happens, a server that answers is not left alone, and one that is left alone is tried
        /// again.
        #[test]
        fn it_is_left_alone_only_after_failures_and_never_for_ever(
            steps in proptest::collection::vec((0u8..5, 0u64..5000, 0.0f64..1.0), 0..200)
        ) {
            let (mut breaker, mut now) = (Breaker::default(), Instant::now());
            let mut in_a_row = 0;
            for (step, ms, jitter) in steps {
                now += after(ms);
                match step {
                    0 | 1 => {
                        breaker.answered(now);
                        in_a_row = 0;
                    }
                    2 => {
                        in_a_row += 1;
                        let is_gone = breaker.unanswered(now, &timeout(), jitter);
                        prop_assert!(in_a_row < IN_A_ROW || is_gone || breaker.cause().is_some());
                    }
                    3 => {
                        breaker.refused(now, Arc::new(timeout()), jitter);
                        prop_assert!(breaker.try_at().unwrap() <= now + LONGEST_LONG_PAUSE.mul_f64(1.2));
                        prop_assert!(now < breaker.try_at().unwrap());
                    }
                    _ => {
                        breaker.connected(now);
                        in_a_row = 0;
                        prop_assert!(breaker.cause().is_none());
                    }
                }
            }
        }
    }
}

//! The retry policy, the only one there is: what is sent again, how soon, and how often at most.

use std::time::Duration;

use redis::Cmd;
use tokio::time::Instant;

use crate::command::Retry;
use crate::command::Spec;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::Outcome;

/// The pause before another attempt is a random part of this, doubled by each ..
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// .. up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// The most retries of a command that the server turned away for a moment.
const REJECTED: u32 = 3;
/// The most retries of a read without an answer.
const READ: u32 = 2;
/// The most retries of a command whose connection was lost before it was sent.
const UNSENT: u32 = 2;
/// The most retries of a write that leaves the same state when it runs twice.
const IDEMPOTENT: u32 = 1;

/// Returns the longest pause before a command is sent again, after `tried` retries. `None` if it is not sent
/// again.
///
/// A command that was rejected, or whose outcome is unknown, may be sent again, and so may one whose connection was
/// lost before it was sent. A command that had no connection fails at once: the background task, not the callers,
/// tries a server that is down.
pub(crate) fn pause(spec: &Spec, cmd: &Cmd, error: &Error, tried: u32) -> Option<Duration> {
    let most = match error.outcome() {
        Outcome::Rejected if error.is_passing() => REJECTED,
        Outcome::NotSent if matches!(error.kind(), ErrorKind::Unsent(_)) => UNSENT,
        // A script that only reads has done nothing, whether the server or the script itself said it.
        Outcome::Unknown if spec.retry == Retry::Read && error.is_passing() => REJECTED,
        // The same reply would come again.
        Outcome::Unknown
            if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::ReplyTooLarge { .. }) =>
        {
            0
        }
        Outcome::Unknown => match spec.retry {
            Retry::Read => READ,
            Retry::Idempotent if spec.condition_of(cmd).is_none() => IDEMPOTENT,
            _ => 0,
        },
        _ => 0,
    };
    let pause = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(tried)).min(LONGEST_PAUSE);
    (tried < most).then_some(pause)
}

impl Error {
    /// Returns whether the server turned the command away for a reason that may have passed in a moment: it
    /// is loading its data, or a script keeps it busy.
    pub fn is_passing(&self) -> bool {
        self.code().is_some_and(is_passing)
    }
}

/// Returns whether an error code means that the server turned a command away for a reason that may pass in a
/// moment.
pub(crate) fn is_passing(code: &str) -> bool {
    matches!(code, "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN")
}

/// The budget of repeated attempts: a share for each call, and a share for each second.
///
/// A server that is slow because it has too much to do is not given more to do by all who wait for it.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: f64,
    calls: u64,
    since: Instant,
}

impl Budget {
    const PER_CALL: f64 = 0.2;
    const PER_SECOND: f64 = 10.0;
    /// Unused budget is kept for about ten seconds.
    const MOST: f64 = 10.0 * Self::PER_SECOND;

    pub(crate) fn new(now: Instant) -> Self {
        Self { tokens: Self::PER_SECOND, calls: 0, since: now }
    }

    /// Takes one repetition, `calls` having been made since the beginning; `false` if there is none.
    pub(crate) fn take(&mut self, now: Instant, calls: u64) -> bool {
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        let new = calls.saturating_sub(self.calls) as f64 * Self::PER_CALL + seconds * Self::PER_SECOND;
        *self = Self { tokens: (self.tokens + new).min(Self::MOST), calls, since: now };
        let is_left = self.tokens >= 1.0;
        if is_left {
            self.tokens -= 1.0;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::command::lookup;
    use crate::error::ServerError;

    fn check(command: &str, kind: ErrorKind, expected: u32) {
        let mut cmd = Cmd::new();
        cmd.arg(command.split(' ').collect::<Vec<_>>());
        let spec = lookup(&cmd).unwrap();
        let error = Error::new("n".into(), spec.name, kind);
        let tries = (0..10).take_while(|tried| pause(spec, &cmd, &error, *tried).is_some()).count();
        assert_eq!(tries, expected as usize, "{command} {error}");
    }

    fn lost() -> ErrorKind {
        ErrorKind::Disconnected(Arc::new(io::ErrorKind::ConnectionReset.into()))
    }

    fn code(code: &str) -> ErrorKind {
        ErrorKind::Server(ServerError::new(code, "says the server"))
    }

    #[test]
    fn a_command_without_an_answer_is_repeated_as_its_row_says() {
        check("GET k", lost(), READ);
        check("GET k", ErrorKind::Timeout(Duration::ZERO), READ);
        check("SET k v", lost(), IDEMPOTENT);
        check("SET k v NX", lost(), 0);
        check("SET k v GET", lost(), 0);
        check("ZADD z 1 m", lost(), IDEMPOTENT);
        check("ZADD z INCR 1 m", lost(), 0);
        check("DEL k", lost(), 0);
        check("INCR k", lost(), 0);
        check("EVAL s 0", lost(), 0);
        check("PUBLISH c m", lost(), 0);
    }

    #[test]
    fn what_was_turned_away_for_a_moment_is_repeated_whatever_it_is() {
        for name in ["LOADING", "BUSY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"] {
            check("INCR k", code(name), REJECTED);
            check("GET k", code(name), REJECTED);
        }
        for name in ["OOM", "MISCONF", "WRONGTYPE", "NOAUTH", "NOPERM", "ERR", "READONLY", "NOREPLICAS"] {
            check("SET k v", code(name), 0);
        }
        // Of a script it proves nothing: it may have said so itself.
        check("EVAL s 0", code("MASTERDOWN"), 0);
        check("EVAL s 0", code("BUSY"), 0);
        check("EVAL_RO s 0", code("BUSY"), REJECTED);
    }

    #[test]
    fn what_lost_its_connection_before_it_was_sent_is_sent_again_whatever_it_is() {
        let unsent = || ErrorKind::Unsent(Arc::new(io::ErrorKind::ConnectionReset.into()));
        check("GET k", unsent(), UNSENT);
        check("INCR k", unsent(), UNSENT);
    }

    #[test]
    fn what_had_no_connection_fails_at_once() {
        check("GET k", ErrorKind::ConnectTimeout(Duration::ZERO), 0);
        check("GET k", ErrorKind::Down { cause: Arc::new(lost()) }, 0);
        check("GET k", ErrorKind::Overloaded { limit: 1, of: crate::error::Bound::InFlight }, 0);
        check("GET k", ErrorKind::ReplyTooLarge { limit: 1 }, 0);
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let (cmd, error) = (redis::cmd("GET").arg("k").take(), Error::new("n".into(), "GET", code("BUSY")));
        let spec = lookup(&cmd).unwrap();
        let pauses: Vec<_> = (0..3)
            .filter_map(|tried| pause(spec, &cmd, &error, tried))
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [10, 20, 40]);
    }

    proptest! {
        /// Over any stretch of time, not only the whole.
        #[test]
        fn no_more_is_repeated_than_the_budget_allows(
            steps in proptest::collection::vec((0u64..50, 0u64..300, 0u32..60), 1..60)
        ) {
            let start = Instant::now();
            let (mut budget, mut now, mut calls) = (Budget::new(start), start, 0);
            let mut history = vec![];
            for (new_calls, ms, wanted) in steps {
                calls += new_calls;
                now += Duration::from_millis(ms);
                let granted = (0..wanted).filter(|_| budget.take(now, calls)).count();
                history.push((now, calls, granted));
            }
            for (i, (from, calls_before, _)) in history.iter().enumerate() {
                let mut granted = 0;
                for (to, calls, more) in &history[i + 1..] {
                    granted += more;
                    let allowed = Budget::MOST
                        + (calls - calls_before) as f64 * Budget::PER_CALL
                        + (*to - *from).as_secs_f64() * Budget::PER_SECOND;
                    prop_assert!(granted as f64 <= allowed + 1e-6, "{granted} of {allowed}");
                }
            }
        }
    }
}

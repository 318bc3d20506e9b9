//! The response timeout of all calls on one connection, by one timer.
//!
//! A timer of its own for each call is more work than its routing: each reads the clock twice and is put into
//! the runtime's timers and taken out again. Here a task counts ticks, and a call waits for one of the next
//! ticks.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::runtime::Id;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::wire;
use crate::wire::Failure;

/// A timeout has so many ticks. The present one does not count, for it has begun already.
const TICKS: usize = wire::TICKS - 1;
/// A call that keeps its own time has waited for the timeout if so many have passed: a process that stood
/// still has not.
const ENOUGH: usize = TICKS * 3 / 4;
/// The runtime's timers count milliseconds: ticks of a shorter timeout would be too long by much.
const SHORTEST: Duration = Duration::from_millis(5 * TICKS as u64);

/// The deadlines of the calls on one connection.
///
/// A call is given up after the timeout, and after about a thirtieth of it more at the latest: a tick of the
/// runtime can be a millisecond late.
pub(crate) struct Deadlines {
    timeout: Duration,
    /// Where the ticks are counted. A call in another runtime has its own timer: this one may stand still.
    runtime: Option<Id>,
    passed: AtomicUsize,
    /// True if a call has begun since the last tick.
    used: AtomicBool,
    /// True if nobody has called for long, so that no ticks are counted.
    resting: AtomicBool,
    wake: Notify,
}

/// When a call began that keeps its own time.
pub(crate) struct Begun {
    at: Instant,
    tick: usize,
}

impl Begun {
    pub(crate) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }
}

impl Deadlines {
    /// Returns the deadlines of a connection that is driven by the present runtime.
    pub(crate) fn new(timeout: Duration) -> Self {
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        Self {
            timeout,
            runtime: runtime.filter(|_| SHORTEST <= timeout),
            passed: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Waits for a call that the ticks end.
    ///
    /// The call is pinned by the caller: this future, which is moved with every command, would hold it twice.
    ///
    /// # Errors
    /// [`Failure::TooLate`] when it took too long.
    pub(crate) async fn within<T>(
        &self,
        call: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let here = Handle::try_current().ok().map(|runtime| runtime.id());
        if self.runtime.is_none() || self.runtime != here {
            // Boxed, for it is rare: every other call would have room for it.
            let reply = Box::pin(tokio::time::timeout(self.timeout, call)).await;
            return reply.unwrap_or(Err(Failure::TooLate));
        }
        self.use_now();
        call.await
    }

    /// Begins a call that keeps its own time.
    pub(crate) fn begin(&self) -> Begun {
        self.use_now();
        Begun { at: Instant::now(), tick: self.passed.load(Ordering::Acquire) }
    }

    /// Returns whether a call that keeps its own time has waited as long as a reply may take. A process that
    /// was stopped, or was not given its turn, finds the time gone by and the replies unread: that says
    /// nothing of the server.
    pub(crate) fn has_passed_since(&self, begun: &Begun) -> bool {
        let here = Handle::try_current().ok().map(|runtime| runtime.id());
        let is_counted = self.runtime.is_some() && self.runtime == here;
        let ticks = self.passed.load(Ordering::Acquire).wrapping_sub(begun.tick);
        self.timeout <= begun.elapsed() && (!is_counted || ENOUGH <= ticks)
    }

    /// Sees to it that ticks are counted, and do not rest before the call that begins is over.
    fn use_now(&self) {
        // Written only when it changes: this cache line is shared by every caller.
        if !self.used.load(Ordering::SeqCst) {
            self.used.store(true, Ordering::SeqCst);
            if self.resting.load(Ordering::SeqCst) {
                self.wake.notify_one();
            }
        }
    }

    /// Counts ticks, for as long as there are calls that wait for one; never ends.
    pub(crate) async fn count(&self, pass_tick: impl Fn()) {
        let mut unused = 0;
        loop {
            // As many ticks as any call may wait have passed since the last one began: nobody waits any more. One that waited for
            // room waits for its reply as long again.
            if 2 * wire::TICKS + 1 < unused {
                self.resting.store(true, Ordering::SeqCst);
                // Either this sees that a call has begun, or that call sees that it must wake this.
                if !self.used.load(Ordering::SeqCst) {
                    self.wake.notified().await;
                }
                self.resting.store(false, Ordering::SeqCst);
                unused = 0;
            }
            tokio::time::sleep(self.timeout / TICKS as u32).await;
            let passed = self.passed.load(Ordering::Relaxed).wrapping_add(1);
            self.passed.store(passed, Ordering::Release);
            pass_tick();
            unused = if self.used.swap(false, Ordering::SeqCst) { 0 } else { unused + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::future::ready;
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::wire::Limits;
    use crate::wire::Patience;
    use crate::wire::Wire;

    const TIMEOUT: Duration = SHORTEST;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_call_is_never_given_up_too_early_also_after_a_rest() {
        runtime().block_on(async {
            let (stream, _silent_server) = tokio::io::duplex(1 << 20);
            let (wire, driver) = Wire::new(Box::new(stream), Limits::of_reply(1000));
            let deadlines = Arc::new(Deadlines::new(TIMEOUT));
            assert!(deadlines.runtime.is_some());
            let (counting, counted) = (Arc::clone(&deadlines), wire.clone());
            let counting = tokio::spawn(async move { counting.count(|| _ = counted.pass_tick()).await });
            let driver = tokio::spawn(driver);
            let cmd = redis::cmd("GET");
            for _ in 0..3 {
                assert!(matches!(deadlines.within(pin!(ready(Ok(1)))).await, Ok(1)));
                let start = Instant::now();
                let reply = deadlines.within(pin!(wire.send::<redis::Value>(&cmd, Patience::Ticks))).await;
                assert!(matches!(reply, Err(Failure::TooLate)));
                assert!(TIMEOUT <= start.elapsed());
                while !deadlines.resting.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            counting.abort();
            driver.abort();
        });
    }

    #[test]
    fn a_process_that_stood_still_has_not_waited() {
        runtime().block_on(async {
            let deadlines = Arc::new(Deadlines::new(TIMEOUT));
            let counting = Arc::clone(&deadlines);
            let counting = tokio::spawn(async move { counting.count(|| {}).await });
            let begun = deadlines.begin();
            // Nothing else of this process has its turn meanwhile.
            std::thread::sleep(2 * TIMEOUT);
            tokio::task::yield_now().await;
            assert!(TIMEOUT <= begun.elapsed() && !deadlines.has_passed_since(&begun));
            while !deadlines.has_passed_since(&begun) {
                tokio::time::sleep(Duration::from_millis(1)).await;
                deadlines.use_now();
            }
            assert!(3 * TIMEOUT * 3 / 4 <= begun.elapsed());
            counting.abort();
        });
    }

    #[test]
    fn a_call_in_another_runtime_has_its_own_timer() {
        let elsewhere = runtime();
        let deadlines = elsewhere.block_on(async { Deadlines::new(TIMEOUT) });
        // Nobody counts ticks.
        let reply = runtime().block_on(deadlines.within(pin!(pending::<Result<(), Failure>>())));
        assert!(matches!(reply, Err(Failure::TooLate)));
    }

    #[test]
    fn a_timeout_too_short_for_ticks_has_its_own_timer() {
        runtime().block_on(async {
            let deadlines = Deadlines::new(Duration::from_millis(1));
            let reply = deadlines.within(pin!(pending::<Result<(), Failure>>())).await;
            assert!(matches!(reply, Err(Failure::TooLate)));
        });
    }
}

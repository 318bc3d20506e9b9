//! The response timeout of all calls on one connection, by one timer.
//!
//! A timer of its own for each call is more work than its routing: each reads the clock twice and is put into
//! the runtime's timers and taken out again. Here a task counts ticks, and a call waits for one of the next
//! ticks.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::runtime::Id;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A timeout has so many ticks, and a call may wait for one more.
const TICKS: usize = 32;
/// A call that keeps its own time has waited for the timeout if so many have passed: a process that stood
/// still has not.
const ENOUGH: usize = TICKS * 3 / 4;
/// One place for each tick that a call may wait for, and one for the tick that passes now.
const PLACES: usize = TICKS + 2;
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
    /// Those who wait for a tick, at its number modulo the number of places.
    waiting: [Notify; PLACES],
    /// Whether a call has begun since the last tick.
    used: AtomicBool,
    /// Whether nobody has called for long, so that no ticks are counted.
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
            waiting: std::array::from_fn(|_| Notify::new()),
            used: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Waits for a call; `None` when it took too long.
    ///
    /// The call is pinned by the caller: this future, which is moved with every command, would hold it twice.
    pub(crate) async fn within<F: Future>(&self, mut call: Pin<&mut F>) -> Option<F::Output> {
        let here = Handle::try_current().ok().map(|runtime| runtime.id());
        let place = match self.runtime.is_some() && self.runtime == here {
            // The present tick has begun already, so it does not count.
            true => (self.passed.load(Ordering::Acquire) + 1 + TICKS) % PLACES,
            false => PLACES,
        };
        let Some(tick) = self.waiting.get(place) else {
            // Boxed, for it is rare: every other call would have room for it.
            return Box::pin(tokio::time::timeout(self.timeout, call)).await.ok();
        };
        // From here on this call is woken by the tick, also if it passes before the first poll.
        let mut tick = pin!(tick.notified());
        self.use_now();
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending => tick.as_mut().poll(context).map(|()| None),
        })
        .await
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

    /// Sees to it that ticks are counted. After this every place has its turn before they may rest.
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
    pub(crate) async fn count(&self) {
        let mut unused = 0;
        loop {
            // As many ticks as there are places have passed since the last call began: nobody waits any more.
            if PLACES < unused {
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
            if let Some(waiting) = self.waiting.get(passed % PLACES) {
                waiting.notify_waiters();
            }
            unused = if self.used.swap(false, Ordering::SeqCst) { 0 } else { unused + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::future::ready;
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    const TIMEOUT: Duration = SHORTEST;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn a_call_is_never_given_up_too_early_also_after_a_rest() {
        runtime().block_on(async {
            let deadlines = Arc::new(Deadlines::new(TIMEOUT));
            assert!(deadlines.runtime.is_some());
            let counting = Arc::clone(&deadlines);
            let counting = tokio::spawn(async move { counting.count().await });
            for _ in 0..3 {
                assert_eq!(deadlines.within(pin!(ready(1))).await, Some(1));
                let start = Instant::now();
                assert_eq!(deadlines.within(pin!(pending::<()>())).await, None);
                assert!(TIMEOUT <= start.elapsed());
                while !deadlines.resting.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            counting.abort();
        });
    }

    #[test]
    fn a_process_that_stood_still_has_not_waited() {
        runtime().block_on(async {
            let deadlines = Arc::new(Deadlines::new(TIMEOUT));
            let counting = Arc::clone(&deadlines);
            let counting = tokio::spawn(async move { counting.count().await });
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
        assert_eq!(runtime().block_on(deadlines.within(pin!(pending::<()>()))), None);
    }

    #[test]
    fn a_timeout_too_short_for_ticks_has_its_own_timer() {
        runtime().block_on(async {
            let deadlines = Deadlines::new(Duration::from_millis(1));
            assert_eq!(deadlines.within(pin!(pending::<()>())).await, None);
        });
    }
}

//! Single flight: one load for each key at a time, however many callers wait for it.

mod solo;

use std::collections::HashMap;
use std::collections::hash_map;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redisdb_node::plumbing::FAR;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::error::LoadError;

/// The outcome of a load, for all who wait: not a value but its bytes, because each caller may want another
/// type.
#[derive(Debug, Clone)]
pub(crate) enum Landed {
    Value(Arc<[u8]>),
    Nothing,
    /// A value of which there are no bytes. Only the caller whose loader gave it has it.
    Unwritten,
    Failed(LoadError),
}

/// The reason why a load is neither joined nor started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFlight {
    /// The cache is closed.
    Closed,
    /// So many loads are under way that no more are started.
    Overloaded,
}

/// The channel that a caller waits on.
pub(crate) type Waiter = watch::Receiver<Option<Landed>>;

/// The loads of one cache, by the names of their Redis keys.
#[derive(Debug)]
pub(crate) struct Flights {
    /// The number of tasks that may load at once, the overtaken ones included.
    limit: usize,
    state: Mutex<Loads>,
    /// Changed under the lock, and read without it by every call.
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Loads {
    running: HashMap<Vec<u8>, Flight>,
    /// Until when a stale value is served without another attempt, because the last one failed.
    resting: HashMap<Vec<u8>, Instant>,
    /// Loads that run in their caller's own future, by the names of their Redis keys: the ticket of those
    /// that began since the key was last set or deleted, and their number. As many as there are callers, whom
    /// nobody here bounds.
    solo: HashMap<Vec<u8>, (Ticket, usize)>,
    /// Tasks of loads that were overtaken, to be stopped with the others; among them some that have ended.
    overtaken: Vec<AbortHandle>,
    /// The number of `overtaken` loads that still ran when the ended ones were last removed.
    n_overtaken: usize,
    /// The number of loads that have not ended, overtaken or not.
    n_loads: usize,
}

#[derive(Debug)]
struct Flight {
    ticket: Ticket,
    waiter: Waiter,
    task: Option<AbortHandle>,
}

/// Tells one load from a later one of the same key, and whether its value may still be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket {
    overtaken: Arc<AtomicBool>,
}

impl Ticket {
    /// Returns whether the key was set or deleted since the load began.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.overtaken.load(Ordering::SeqCst)
    }
}

impl Flights {
    /// The number of keys that may rest. Above, those that have rested enough are forgotten, and all if those
    /// are not a half.
    const MOST_RESTING: usize = 10_000;

    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// Joins the load of a key, or starts it: `task` makes the future that is spawned.
    pub(crate) fn join<F>(
        self: &Arc<Self>,
        name: &[u8],
        task: impl FnOnce(Ticket, Landing) -> F,
    ) -> Result<Waiter, NoFlight>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.lock();
        if self.is_closed() {
            return Err(NoFlight::Closed);
        }
        let is_full = self.limit <= state.n_loads;
        let ticket = Ticket::default();
        let (sender, waiter) = watch::channel(None);
        match state.running.entry(name.to_vec()) {
            hash_map::Entry::Occupied(flight) => return Ok(flight.get().waiter.clone()),
            hash_map::Entry::Vacant(_) if is_full => return Err(NoFlight::Overloaded),
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Flight { ticket: ticket.clone(), waiter: waiter.clone(), task: None });
            }
        }
        state.n_loads += 1;
        drop(state);
        let landing =
            Landing { flights: Arc::clone(self), name: name.to_vec(), ticket: ticket.clone(), sender };
        // Spawned outside of the lock: making the task is the caller's code.
        let handle = tokio::spawn(task(ticket.clone(), landing)).abort_handle();
        let mut state = self.lock();
        if self.is_closed() {
            handle.abort();
            return Ok(waiter);
        }
        match state.running.get_mut(name).filter(|flight| flight.ticket.is(&ticket)) {
            Some(flight) => flight.task = Some(handle),
            None => state.note_overtaken(handle),
        }
        Ok(waiter)
    }

    /// Notes that a key is about to be set or deleted. The value of a load under way is not written, and
    /// callers who ask from now on do not get it.
    pub(crate) fn overtake(&self, name: &[u8]) {
        let mut state = self.lock();
        // Nearly always there is nothing, and no need to hash the name.
        if !state.running.is_empty()
            && let Some(flight) = state.running.remove(name)
        {
            state.overtake(flight);
        }
        if !state.solo.is_empty() {
            state.overtake_solo(name);
        }
        if !state.resting.is_empty() {
            state.resting.remove(name);
        }
    }

    /// Notes that any key may be about to be deleted.
    pub(crate) fn overtake_all(&self) {
        let mut state = self.lock();
        for flight in mem::take(&mut state.running).into_values() {
            state.overtake(flight);
        }
        state.overtake_all_solo();
        state.resting.clear();
    }

    /// Lets a key rest after a load of it failed.
    pub(crate) fn rest(&self, name: Vec<u8>, pause: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.resting.len();
        if Self::MOST_RESTING <= before {
            state.resting.retain(|_, until| now < *until);
        }
        // Or else they would all be gone through again soon.
        if Self::MOST_RESTING / 2 < state.resting.len() && Self::MOST_RESTING <= before {
            state.resting.clear();
        }
        state.resting.insert(name, now + pause.min(FAR));
    }

    /// Returns whether the last load of a key failed so recently that it should not be tried again.
    pub(crate) fn is_resting(&self, name: &[u8]) -> bool {
        self.lock().resting.get(name).is_some_and(|until| Instant::now() < *until)
    }

    /// Stops all loads, and starts none any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        self.closed.store(true, Ordering::SeqCst);
        for (_, flight) in state.running.drain() {
            flight.ticket.overtaken.store(true, Ordering::SeqCst);
            if let Some(task) = flight.task {
                task.abort();
            }
        }
        state.overtaken.drain(..).for_each(|task| task.abort());
        state.overtake_all_solo();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Loads> {
        self.state.lock()
    }
}

impl Loads {
    fn overtake(&mut self, flight: Flight) {
        flight.ticket.overtaken.store(true, Ordering::SeqCst);
        if let Some(task) = flight.task {
            self.note_overtaken(task);
        }
    }

    fn note_overtaken(&mut self, task: AbortHandle) {
        self.overtaken.push(task);
        // Not each time: as many have come since the last time as are gone through now.
        if 2 * self.n_overtaken + 64 < self.overtaken.len() {
            self.overtaken.retain(|task| !task.is_finished());
            self.n_overtaken = self.overtaken.len();
        }
    }
}

impl Ticket {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.overtaken, &other.overtaken)
    }
}

/// Held by a load while it runs. When it goes, after a panic too, the next caller starts another load.
#[derive(Debug)]
pub(crate) struct Landing {
    flights: Arc<Flights>,
    name: Vec<u8>,
    ticket: Ticket,
    sender: watch::Sender<Option<Landed>>,
}

impl Landing {
    /// Gives the outcome to all who wait, and to those who ask until this goes.
    pub(crate) fn tell(&self, outcome: Landed) {
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.flights.lock();
        state.n_loads = state.n_loads.saturating_sub(1);
        if state.running.get(&self.name).is_some_and(|flight| flight.ticket.is(&self.ticket)) {
            state.running.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(mut waiter: Waiter) -> Option<Landed> {
        waiter.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }

    fn flights() -> Arc<Flights> {
        Arc::new(Flights::new(100_000))
    }

    fn value(byte: u8) -> Landed {
        Landed::Value(vec![byte].into())
    }

    #[tokio::test]
    async fn all_who_ask_meanwhile_wait_for_one_load() {
        let flights = flights();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let first = flights.join(b"k", |_, landing| async move {
            gone.await.unwrap();
            landing.tell(value(1));
        });
        let second = flights.join(b"k", |_, landing| async move { landing.tell(value(2)) });
        go.send(()).unwrap();
        for waiter in [first, second] {
            assert!(matches!(outcome(waiter.unwrap()).await, Some(Landed::Value(bytes)) if *bytes == [1]));
        }
        assert!(flights.lock().running.is_empty());
    }

    #[tokio::test]
    async fn a_panic_ends_the_wait_and_the_next_load_runs() {
        let flights = flights();
        let waiter = flights.join(b"k", |_, landing| async {
            let _landing = landing;
            panic!("the loader's own");
        });
        assert!(outcome(waiter.unwrap()).await.is_none());
        let waiter = flights.join(b"k", |_, landing| async move { landing.tell(Landed::Nothing) });
        assert!(matches!(outcome(waiter.unwrap()).await, Some(Landed::Nothing)));
    }

    #[tokio::test]
    async fn who_asks_after_a_write_gets_a_load_of_its_own() {
        let flights = flights();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let old = flights.join(b"k", |ticket, landing| async move {
            gone.await.unwrap();
            assert!(ticket.is_overtaken());
            landing.tell(value(1));
        });
        flights.overtake(b"k");
        let (go_on, gone_on) = tokio::sync::oneshot::channel::<()>();
        let new = flights.join(b"k", |ticket, landing| async move {
            gone_on.await.unwrap();
            assert!(!ticket.is_overtaken());
            landing.tell(value(2));
        });
        go.send(()).unwrap();
        assert!(matches!(outcome(old.unwrap()).await, Some(Landed::Value(bytes)) if *bytes == [1]));
        assert_eq!(flights.lock().running.len(), 1, "the end of the old load does not end the new one");
        go_on.send(()).unwrap();
        assert!(matches!(outcome(new.unwrap()).await, Some(Landed::Value(bytes)) if *bytes == [2]));
    }

    #[tokio::test]
    async fn closing_stops_what_runs_and_starts_nothing() {
        let flights = flights();
        let waiter = flights.join(b"k", |_, landing| async {
            let _landing = landing;
            std::future::pending::<()>().await;
        });
        flights.close();
        assert!(outcome(waiter.unwrap()).await.is_none());
        let again = flights.join(b"k", |_, landing| async move { landing.tell(Landed::Nothing) });
        assert_eq!(again.err(), Some(NoFlight::Closed));
    }

    #[tokio::test]
    async fn closing_stops_what_was_overtaken_too() {
        let flights = flights();
        let waiter = flights.join(b"k", |_, landing| async {
            let _landing = landing;
            std::future::pending::<()>().await;
        });
        flights.overtake(b"k");
        flights.close();
        assert!(outcome(waiter.unwrap()).await.is_none());
    }

    /// A load that does not end by itself.
    fn hang(flights: &Arc<Flights>, name: &[u8]) -> Result<Waiter, NoFlight> {
        flights.join(name, |_, landing| async {
            let _landing = landing;
            std::future::pending::<()>().await;
        })
    }

    #[tokio::test]
    async fn only_so_many_loads_run_overtaken_ones_included() {
        let flights = Arc::new(Flights::new(3));
        let _waiters = [hang(&flights, b"a").unwrap(), hang(&flights, b"b").unwrap()];
        flights.overtake(b"a");
        let _waiter = hang(&flights, b"a").unwrap();
        flights.overtake_all();
        assert_eq!(hang(&flights, b"c").err(), Some(NoFlight::Overloaded));
        flights.close();
        while 0 < flights.lock().n_loads {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_joins_a_load_needs_no_room_and_one_that_ended_makes_some() {
        let flights = Arc::new(Flights::new(1));
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let load = flights.join(b"a", |_, landing| async move {
            gone.await.unwrap();
            landing.tell(value(1));
        });
        assert!(hang(&flights, b"a").is_ok());
        assert_eq!(hang(&flights, b"b").err(), Some(NoFlight::Overloaded));
        go.send(()).unwrap();
        assert!(outcome(load.unwrap()).await.is_some());
        while hang(&flights, b"b").is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// The cost of an overtaken load must not grow with their number: the test counts the loads that are gone
    /// through.
    #[tokio::test]
    async fn overtaking_many_loads_goes_through_each_a_few_times() {
        const N: usize = 20_000;
        let flights = flights();
        let waiters: Vec<_> = (0..N).map(|i| hang(&flights, &i.to_be_bytes()).unwrap()).collect();
        let task = || tokio::spawn(async {}).abort_handle();
        {
            let mut state = flights.lock();
            let (mut n_sweeps, mut last) = (0, state.n_overtaken);
            for flight in mem::take(&mut state.running).into_values() {
                state.overtake(flight);
                if state.n_overtaken != last {
                    (n_sweeps, last) = (n_sweeps + 1, state.n_overtaken);
                }
            }
            assert!(n_sweeps < 20, "{n_sweeps} times through all of them");
            assert_eq!(state.overtaken.len(), N);
            // Loads that have ended are removed in the course of time.
            state.overtaken.iter().for_each(AbortHandle::abort);
        }
        drop(waiters);
        while 0 < flights.lock().n_loads {
            tokio::task::yield_now().await;
        }
        let mut state = flights.lock();
        for _ in 0..2 * N {
            state.note_overtaken(task());
        }
        assert!(state.overtaken.len() < 3 * N);
    }

    #[test]
    fn only_so_many_keys_rest() {
        let flights = flights();
        flights.rest(b"k".to_vec(), Duration::from_secs(60));
        assert!(flights.is_resting(b"k"));
        flights.overtake(b"k");
        assert!(!flights.is_resting(b"k"));
        for i in 0..Flights::MOST_RESTING + 5 {
            flights.rest(i.to_string().into_bytes(), Duration::from_secs(60));
        }
        assert!(flights.lock().resting.len() <= Flights::MOST_RESTING);
    }
}

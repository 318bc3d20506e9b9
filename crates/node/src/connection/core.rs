//! The state of a shared connection: what is known of the server, and how each call is judged.

use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redis::ProtocolVersion;
use tokio::runtime::Id;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::breaker::Breaker;
use super::clock::Clock;
use super::distinct::Roll;
use super::live::Live;
use super::login::Login;
use super::process::Known;
use super::process::Meeting;
use super::process::Process;
use crate::config::ConfigError;
use crate::config::NodeConfig;
use crate::error::Bound;
use crate::error::ErrorKind;
use crate::observe::NodeEvent;
use crate::observe::Observer;
use crate::retry::Budget;
use crate::wire::Failure;
use crate::wire::Form;
use crate::wire::MOST_WAITING;
use crate::wire::Sending;

/// The state that the callers and the task that connects share.
pub(crate) struct Core {
    pub(super) config: Arc<NodeConfig>,
    pub(super) observer: Observer,
    pub(super) live: ArcSwapOption<Live>,
    pub(super) standing: Mutex<Standing>,
    /// Told when there is a connection, or an attempt has failed.
    pub(super) changed: Notify,
    /// Tells the task to look after the connection now.
    pub(super) wake: Arc<Notify>,
    /// True if the server is left alone.
    pub(super) down: AtomicBool,
    /// True if calls have gone without an answer lately, so that answers are counted too.
    pub(super) troubled: Arc<AtomicBool>,
    /// The number of connections that led to another process than the one before.
    pub(super) incarnation: AtomicU64,
    /// The number of calls that have begun, and of those that have ended.
    pub(super) begun: AtomicU64,
    ended: AtomicU64,
    /// So many may be under way, where none waits for room.
    max_in_flight: u64,
    /// The protocol that the connection speaks.
    pub(super) protocol: ProtocolVersion,
    pub(super) login: Arc<Login>,
    /// The time of the server.
    pub(super) clock: Clock,
}

/// The knowledge about a server between connections.
pub(crate) struct Standing {
    pub(super) breaker: Breaker,
    pub(super) task: Option<Task>,
    /// The task that renews the credentials of the last connection, if they end.
    pub(super) renewal: Option<AbortOnDropHandle<()>>,
    pub(super) known: Known,
    /// The servers that the nodes beside this one are connected to.
    pub(super) roll: Option<Arc<Roll>>,
    /// The server's name for the last connection.
    pub(super) client_id: Option<i64>,
    /// True if it has been told that connections that are lost cannot be ended.
    pub(super) is_told_unfenced: bool,
    pub(super) budget: Budget,
    pub(super) renewed_at: Option<Instant>,
}

/// The task that makes the connection and looks after it, and the runtime that it is in.
pub(super) struct Task {
    pub(super) handle: AbortOnDropHandle<()>,
    pub(super) runtime: Id,
}

/// A call that is under way.
pub(super) struct InFlight<'a>(&'a Core);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Core {
    pub(super) fn new(config: Arc<NodeConfig>, observer: Observer, protocol: ProtocolVersion) -> Self {
        let standing = Standing {
            breaker: Breaker::default(),
            task: None,
            renewal: None,
            known: Known::default(),
            roll: None,
            client_id: None,
            is_told_unfenced: false,
            budget: Budget::new(Instant::now()),
            renewed_at: None,
        };
        Self {
            max_in_flight: if config.waits_for_room() { u64::MAX } else { config.max_in_flight() as u64 },
            protocol,
            clock: Clock::new(),
            login: Arc::new(Login::new(Arc::clone(&config), observer.clone())),
            config,
            observer,
            live: ArcSwapOption::empty(),
            standing: Mutex::new(standing),
            changed: Notify::new(),
            wake: Arc::new(Notify::new()),
            down: AtomicBool::new(false),
            troubled: Arc::new(AtomicBool::new(false)),
            incarnation: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock()
    }

    pub(crate) fn login(&self) -> &Arc<Login> {
        &self.login
    }

    pub(super) fn open_live(&self) -> Option<Arc<Live>> {
        self.live.load_full().filter(|live| live.is_open())
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    pub(super) fn in_flight(&self) -> u64 {
        // In this order a call that ends meanwhile counts as one that is under way, not as less than none.
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    pub(super) fn begin(&self) -> Result<InFlight<'_>, ErrorKind> {
        // In this order, so that a call that ends meanwhile counts as under way, and never more are than may
        // be.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let in_flight = InFlight(self);
        match begun.saturating_sub(ended) > self.max_in_flight {
            false => Ok(in_flight),
            true => Err(self.overloaded(Bound::InFlight)),
        }
    }

    #[cold]
    fn overloaded(&self, of: Bound) -> ErrorKind {
        let limit = match of {
            Bound::InFlight => self.config.max_in_flight(),
            Bound::Unwritten => MOST_WAITING,
            Bound::Dedicated => self.config.max_dedicated(),
        };
        ErrorKind::Overloaded { limit, of }
    }

    /// Waits for a reply for as long as a reply may take, or until `by` where that is given.
    pub(super) async fn reply<F: Form>(
        &self,
        live: &Arc<Live>,
        call: &mut Sending<'_, F>,
        by: Option<Instant>,
    ) -> Result<F, ErrorKind> {
        match by {
            None => self.received(live, live.deadlines.within(Pin::new(call)).await),
            Some(by) => Box::pin(self.received_by(live, by, call)).await,
        }
    }

    /// Waits for a reply until `by`. A caller who has less patience than the response timeout proves nothing
    /// about the server.
    async fn received_by<F: Form>(
        &self,
        live: &Arc<Live>,
        by: Instant,
        call: &mut Sending<'_, F>,
    ) -> Result<F, ErrorKind> {
        let begun = live.deadlines.begin();
        let reply = tokio::time::timeout_at(by, &mut *call).await;
        if let (Err(_), Some(of)) = (&reply, call.waits_for()) {
            return Err(self.overloaded(of));
        }
        match reply {
            Ok(reply) => self.received(live, reply),
            Err(_) if live.deadlines.has_passed_since(&begun) => self.received(live, Err(Failure::TooLate)),
            Err(_) => {
                // The task asks with more patience.
                self.troubled.store(true, Ordering::Relaxed);
                self.wake.notify_one();
                Err(ErrorKind::Timeout(begun.elapsed()))
            }
        }
    }

    /// Judges the server by what became of a call.
    pub(super) fn received<T>(&self, live: &Arc<Live>, reply: Result<T, Failure>) -> Result<T, ErrorKind> {
        match reply {
            Ok(reply) => {
                if self.is_troubled() {
                    self.answered();
                }
                Ok(reply)
            }
            Err(failure) => Err(self.judged(live, failure)),
        }
    }

    #[cold]
    fn judged(&self, live: &Arc<Live>, failure: Failure) -> ErrorKind {
        if let Failure::NoRoom(of) = failure {
            return self.overloaded(of);
        }
        let Some((kind, is_fault)) = failure.into_error() else {
            let kind = ErrorKind::Timeout(self.config.response_timeout());
            if self.failed(Breaker::unanswered, &kind) {
                self.give_up(live);
            }
            return kind;
        };
        let kind = kind.without_secrets(&self.config);
        // However many calls a lost connection had, it is one failure; and none of the server's if it
        // answered too much.
        if self.give_up(live) && is_fault {
            let cause = match &kind {
                ErrorKind::Unsent(error) => ErrorKind::Disconnected(Arc::clone(error)),
                kind => kind.clone(),
            };
            self.failed(Breaker::unanswered, &cause);
            self.failed(Breaker::lost, &cause);
        }
        kind
    }

    #[cold]
    fn answered(&self) {
        let mut standing = self.standing();
        if standing.breaker.answered(Instant::now()) {
            // With the lock held, so that no failure is counted before this and noted behind it.
            self.troubled.store(false, Ordering::Relaxed);
        }
    }

    /// Has the breaker count a call without an answer, or a connection that ended. Returns whether the server
    /// is left alone from now on.
    #[cold]
    pub(super) fn failed(
        &self,
        count: fn(&mut Breaker, Instant, &ErrorKind, f64) -> bool,
        kind: &ErrorKind,
    ) -> bool {
        let mut standing = self.standing();
        // Answers from here on count too.
        self.troubled.store(true, Ordering::Relaxed);
        let is_gone = count(&mut standing.breaker, Instant::now(), kind, fastrand::f64());
        drop(standing);
        if is_gone {
            self.now_down(Arc::new(kind.clone()));
        }
        is_gone
    }

    /// Waits until the server is left alone.
    pub(crate) async fn goes_down(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change goes unnoticed.
            changed.as_mut().enable();
            if self.down.load(Ordering::Acquire) {
                return;
            }
            changed.await;
        }
    }

    /// Tells that the server is left alone.
    pub(super) fn now_down(&self, cause: Arc<ErrorKind>) {
        if !self.down.swap(true, Ordering::AcqRel) {
            self.observer.tell(self.config.name(), NodeEvent::Down { cause });
        }
        self.changed.notify_waiters();
    }

    pub(super) fn now_up(&self, restarted: bool) {
        self.down.store(false, Ordering::Release);
        self.observer.tell(self.config.name(), NodeEvent::Connected { restarted });
        self.changed.notify_waiters();
    }

    /// Takes a connection out of use. Returns whether it was still in use.
    pub(super) fn give_up(&self, live: &Arc<Live>) -> bool {
        live.ended.store(true, Ordering::Release);
        let current = self.live.load();
        let is_current = current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live));
        // Of all who notice, the one whose swap takes effect.
        let was_in_use = is_current
            && self
                .live
                .compare_and_swap(&*current, None)
                .as_ref()
                .is_some_and(|before| Arc::ptr_eq(before, live));
        if was_in_use {
            self.observer.tell(self.config.name(), NodeEvent::Disconnected);
            self.wake.notify_one();
        }
        was_in_use
    }

    /// Takes note of the process that a new connection leads to; returns its incarnation.
    pub(super) fn met(&self, process: Process, meeting: Meeting) -> u64 {
        let mut standing = self.standing();
        let is_news = process == Process::Unknown && !std::mem::replace(&mut standing.known.is_told, true);
        standing.known.process = Some(process);
        // With the lock held, so that nobody takes the name of the one for that of the other.
        let incarnation = match meeting {
            Meeting::First | Meeting::Same => self.incarnation.load(Ordering::Acquire),
            Meeting::Another | Meeting::Unproved => self.incarnation.fetch_add(1, Ordering::AcqRel) + 1,
        };
        drop(standing);
        if is_news {
            let user = self.config.user();
            tracing::warn!(
                node = self.config.name(),
                "nothing proves which process of the server answers: on a copy each new connection counts as one to a \
                 server that may have lost its data; let the user call INFO, by `ACL SETUSER {user} +info`, and do not \
                 rename it"
            );
        }
        incarnation
    }

    pub(super) fn move_to(&self, roll: &Arc<Roll>) {
        let is_connected = self.open_live().is_some();
        let mut standing = self.standing();
        standing.roll = Some(Arc::clone(roll));
        if let Some(Process::RunId(run_id)) = standing.known.process().filter(|_| is_connected) {
            // Nodes that are connected were apart before.
            let _of_which_one_stays = roll.enter(self.config.name(), (run_id.clone(), self.config.db()));
        }
    }

    /// Leaves the place to others: a connection is about to be made, which may lead elsewhere.
    pub(super) fn leave_roll(&self) {
        if let Some(roll) = &self.standing().roll {
            roll.leave(self.config.name());
        }
    }

    /// Makes sure that no other node is connected to the same database of this process.
    pub(super) fn enter_roll(&self, process: &Process) -> Result<(), ErrorKind> {
        let (Some(roll), Process::RunId(run_id)) = (self.standing().roll.clone(), process) else {
            return Ok(());
        };
        roll.enter(self.config.name(), (run_id.clone(), self.config.db()))
            .map_err(|other| ErrorKind::Config(ConfigError::SameServer { other }))
    }
}

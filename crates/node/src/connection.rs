//! The shared connection of a node: what is sent on it, and what becomes of the calls. How it is made is
//! [`keeper`](crate::keeper)'s.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use parking_lot::MutexGuard;
use redis::Cmd;
use redis::Pipeline;
use redis::RedisResult;
use redis::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::bounded::TooLarge;
use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::Address;
use crate::config::NodeConfig;
use crate::error::Bound;
use crate::error::ErrorKind;
use crate::fault::Fate;
use crate::fault::Fault;
use crate::heard;
use crate::keeper::Keeper;
use crate::live::Live;
use crate::live::admitted;
use crate::multi;
use crate::observe::NodeEvent;
use crate::observe::Observer;
use crate::process::Known;
use crate::retry::Budget;
use crate::roll::Roll;

/// A connection to a server that turned out to be the wrong one is made anew once in so long at most.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The shared connection of a node. Its keeper ends with it.
pub(crate) struct Connection {
    core: Arc<Core>,
}

/// What the callers and the keeper share.
pub(crate) struct Core {
    pub(crate) config: Arc<NodeConfig>,
    pub(crate) observer: Observer,
    pub(crate) live: ArcSwapOption<Live>,
    pub(crate) standing: Mutex<Standing>,
    /// Told when there is a connection, or an attempt has failed.
    pub(crate) changed: Notify,
    /// Tells the keeper to look after the connection now.
    pub(crate) wake: Arc<Notify>,
    /// Whether the server is left alone.
    down: AtomicBool,
    /// Whether calls have gone without an answer lately, so that answers are counted too.
    troubled: AtomicBool,
    /// How often a connection has led to another process than the one before.
    pub(crate) incarnation: AtomicU64,
    /// How many calls have begun, and how many have ended.
    begun: AtomicU64,
    ended: AtomicU64,
    max_in_flight: u64,
    /// What time it is for the server.
    pub(crate) clock: Clock,
}

/// What is known of a server between connections.
pub(crate) struct Standing {
    pub(crate) breaker: Breaker,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) known: Known,
    /// What the nodes beside this one are connected to.
    pub(crate) roll: Option<Arc<Roll>>,
    /// What the server called the last connection.
    pub(crate) client_id: Option<i64>,
    /// Whether it has been told that connections that are lost cannot be ended.
    pub(crate) is_told_unfenced: bool,
    budget: Budget,
    renewed_at: Option<Instant>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.core.standing().keeper.take());
    }
}

/// A call that is under way.
struct InFlight<'a>(&'a Core);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(crate) fn new(config: Arc<NodeConfig>, observer: Observer) -> Self {
        let standing = Standing {
            breaker: Breaker::default(),
            keeper: None,
            known: Known::default(),
            roll: None,
            client_id: None,
            is_told_unfenced: false,
            budget: Budget::new(Instant::now()),
            renewed_at: None,
        };
        let core = Core {
            max_in_flight: config.max_in_flight() as u64,
            clock: Clock::new(),
            config,
            observer,
            live: ArcSwapOption::empty(),
            standing: Mutex::new(standing),
            changed: Notify::new(),
            wake: Arc::new(Notify::new()),
            down: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            incarnation: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        };
        Self { core: Arc::new(core) }
    }

    /// Sends one command and returns its reply, waiting for a connection where there is none; no longer than until `by`
    /// where that is given. It is sent only to a process that is admitted.
    pub(crate) async fn send(
        &self,
        cmd: &Cmd,
        by: Option<Instant>,
        admission: Option<&Admission>,
    ) -> Result<Value, ErrorKind> {
        let core = &self.core;
        let _in_flight = core.begin()?;
        // What is rare is boxed: the future of every call would have room for it, and be moved with it.
        let live = match core.open_live() {
            Some(live) => live,
            None => Box::pin(Keeper::wait_for_live(core, by)).await?,
        };
        let live = admitted(live, admission)?;
        let mut connection = live.connection.clone();
        let heard = heard::with_reply(cmd);
        let call = pin!(connection.send_packed_command(heard.as_deref().unwrap_or(cmd)));
        match by {
            None => core.received(&live, live.deadlines.within(call).await),
            Some(by) => Box::pin(core.received_by(&live, by, call)).await,
        }
    }

    /// Sends a pipeline and returns `count` of its replies from `offset` on. Of one that is atomic all are asked for.
    pub(crate) async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Option<Instant>,
        admission: Option<&Admission>,
    ) -> Result<Vec<Value>, ErrorKind> {
        let core = &self.core;
        let _in_flight = core.begin()?;
        let live = self.live(by, admission).await?;
        let mut connection = live.connection.clone();
        let call = pin!(connection.send_packed_commands(pipeline, offset, count));
        let replies = match by {
            None => core.received(&live, live.deadlines.within(call).await),
            Some(by) => Box::pin(core.received_by(&live, by, call)).await,
        };
        if replies.as_deref().is_ok_and(|replies| multi::leaves_open(pipeline, replies)) {
            core.give_up(&live);
        }
        match (replies, live.broken.get()) {
            // Of a pipeline with such a reply redis-rs tells only that it was cut short.
            (Err(ErrorKind::Disconnected(_)), Some(TooLarge { limit })) => {
                Err(ErrorKind::ReplyTooLarge { limit: *limit })
            }
            (replies, _) => replies,
        }
    }

    /// Makes sure that there is a connection, to a process that is admitted.
    pub(crate) async fn connect(
        &self,
        by: Option<Instant>,
        admission: Option<&Admission>,
    ) -> Result<(), ErrorKind> {
        self.live(by, admission).await.map(drop)
    }

    /// What [`send`](Self::send) has within itself, for every layer costs each single call.
    async fn live(&self, by: Option<Instant>, admission: Option<&Admission>) -> Result<Arc<Live>, ErrorKind> {
        let live = match self.core.open_live() {
            Some(live) => live,
            None => Box::pin(Keeper::wait_for_live(&self.core, by)).await?,
        };
        admitted(live, admission)
    }

    /// How often the server has turned out to be another process than before: it was restarted, or replaced.
    pub(crate) fn incarnation(&self) -> u64 {
        self.core.incarnation.load(Ordering::Acquire)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Whether there is a connection at this moment.
    pub(crate) fn is_connected(&self) -> bool {
        self.core.live.load().as_ref().is_some_and(|live| live.is_open())
    }

    /// Whether the server is left alone at this moment.
    pub(crate) fn is_down(&self) -> bool {
        self.core.down.load(Ordering::Acquire)
    }

    /// How many calls are under way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.core.in_flight()
    }

    /// What time it is for the server, as far as it has said.
    pub(crate) fn clock(&self) -> Option<SystemTime> {
        self.core.clock.now()
    }

    pub(crate) fn observer(&self) -> &Observer {
        &self.core.observer
    }

    /// Takes one repetition from the budget.
    pub(crate) fn may_repeat(&self) -> bool {
        let calls = self.core.begun.load(Ordering::Relaxed);
        self.core.standing().budget.take(Instant::now(), calls)
    }

    /// Makes the connection anew, because the server takes no writes: a name may lead to another server by now, and
    /// sentinels to another master. Returns whether that may help.
    pub(crate) fn renew(&self) -> bool {
        let core = &*self.core;
        let by_name = match core.config.address() {
            Address::Sentinel { .. } => true,
            Address::Tcp { host, .. } | Address::Tls { host, .. } => {
                host.parse::<std::net::IpAddr>().is_err()
            }
            Address::Unix(_) => false,
        };
        let (mut standing, now) = (core.standing(), Instant::now());
        if !by_name {
            return false;
        }
        if standing.renewed_at.is_some_and(|at| now < at + RENEW_EVERY) {
            return true;
        }
        standing.renewed_at = Some(now);
        // Calls that are under way on the connection before are well there: it is not to be ended.
        standing.client_id = None;
        drop(standing);
        core.live.store(None);
        core.wake.notify_one();
        true
    }
}

impl Core {
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock()
    }

    pub(crate) fn open_live(&self) -> Option<Arc<Live>> {
        self.live.load_full().filter(|live| live.is_open())
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    fn in_flight(&self) -> u64 {
        // In this order a call that ends meanwhile counts as one that is under way, not as less than none.
        let ended = self.ended.load(Ordering::Relaxed);
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    fn begin(&self) -> Result<InFlight<'_>, ErrorKind> {
        // In this order, so that a call that ends meanwhile counts as under way, and never more are than may be.
        let ended = self.ended.load(Ordering::Acquire);
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let in_flight = InFlight(self);
        match begun.saturating_sub(ended) > self.max_in_flight {
            false => Ok(in_flight),
            true => Err(ErrorKind::Overloaded { limit: self.config.max_in_flight(), of: Bound::InFlight }),
        }
    }

    /// Waits for a reply until `by`. A caller who has less patience than the response timeout proves nothing about the
    /// server.
    async fn received_by<T>(
        &self,
        live: &Arc<Live>,
        by: Instant,
        call: Pin<&mut impl Future<Output = RedisResult<T>>>,
    ) -> Result<T, ErrorKind> {
        let begun = live.deadlines.begin();
        match tokio::time::timeout_at(by, call).await {
            Ok(reply) => self.received(live, Some(reply)),
            Err(_) if live.deadlines.has_passed_since(&begun) => self.received(live, None),
            Err(_) => {
                // The keeper asks with more patience.
                self.troubled.store(true, Ordering::Relaxed);
                self.wake.notify_one();
                Err(ErrorKind::Timeout(begun.elapsed()))
            }
        }
    }

    /// Judges the server by what became of a call, `None` if that took too long.
    pub(crate) fn received<T>(
        &self,
        live: &Arc<Live>,
        reply: Option<RedisResult<T>>,
    ) -> Result<T, ErrorKind> {
        match reply {
            Some(Ok(reply)) => {
                if self.is_troubled() {
                    self.answered();
                }
                Ok(reply)
            }
            None => {
                let kind = ErrorKind::Timeout(self.config.response_timeout());
                if self.failed(Breaker::unanswered, &kind) {
                    self.give_up(live);
                }
                Err(kind)
            }
            Some(Err(error)) => {
                let Fault { kind, connection } = Fault::of(error);
                // However many calls a lost connection had, it is one failure; and none of the server's if it answered
                // too much.
                if connection != Fate::Lives && self.give_up(live) && live.broken.get().is_none() {
                    self.failed(Breaker::unanswered, &kind);
                    self.failed(Breaker::lost, &kind);
                }
                Err(kind)
            }
        }
    }

    #[cold]
    fn answered(&self) {
        if self.standing().breaker.answered(Instant::now()) {
            self.troubled.store(false, Ordering::Relaxed);
        }
    }

    /// Has the breaker count a call without an answer, or a connection that ended. Returns whether the server is left alone
    /// from now on.
    #[cold]
    pub(crate) fn failed(
        &self,
        count: fn(&mut Breaker, Instant, &ErrorKind, f64) -> bool,
        kind: &ErrorKind,
    ) -> bool {
        // What is answered from here on counts too.
        self.troubled.store(true, Ordering::Relaxed);
        let is_gone = count(&mut self.standing().breaker, Instant::now(), kind, fastrand::f64());
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
    pub(crate) fn now_down(&self, cause: Arc<ErrorKind>) {
        self.down.store(true, Ordering::Release);
        self.observer.tell(self.config.name(), NodeEvent::Down { cause });
        self.changed.notify_waiters();
    }

    pub(crate) fn now_up(&self, restarted: bool) {
        self.down.store(false, Ordering::Release);
        self.observer.tell(self.config.name(), NodeEvent::Connected { restarted });
        self.changed.notify_waiters();
    }

    /// Takes a connection out of use. Returns whether it was still in use.
    pub(crate) fn give_up(&self, live: &Arc<Live>) -> bool {
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
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("connected", &self.is_connected())
            .field("down", &self.is_down())
            .field("incarnation", &self.incarnation())
            .finish_non_exhaustive()
    }
}

//! The shared connection of a node: what is sent on it, and what becomes of the calls. [`reconnect`] makes
//! it.

pub(crate) mod breaker;
mod clock;
mod core;
pub(crate) mod dedicated;
pub(crate) mod dial;
mod distinct;
mod fence;
pub(crate) mod handshake;
pub(crate) mod identify;
mod live;
pub(crate) mod login;
mod process;
mod reconnect;
mod response_timeout;
pub(crate) mod sentinel;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use redis::Cmd;
use redis::ProtocolVersion;
use redis::Value;
use tokio::time::Instant;

use self::live::Live;
use self::live::admitted;
use crate::config::Address;
use crate::config::NodeConfig;
use crate::error::ErrorKind;
use crate::observe::Observer;
use crate::redis_rs::empty;
use crate::wire::Form;
use crate::wire::Many;
use crate::wire::Patience;

pub(crate) use self::core::Core;
pub(crate) use self::dedicated::DedicatedPool;
pub(crate) use self::distinct::Roll;
pub(crate) use self::identify::is_there;
use self::process::Process;
pub(crate) use self::process::SCRIPT;
pub use dedicated::DedicatedConnection;
pub use fence::Fence;

/// A connection to a server that turned out to be the wrong one is made anew once in so long at most.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// The shared connection of a node. The task that makes it ends with it.
pub(crate) struct Connection {
    core: Arc<Core>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut standing = self.core.standing();
        drop((standing.task.take(), standing.renewal.take()));
    }
}

impl Connection {
    pub(crate) fn new(config: Arc<NodeConfig>, observer: Observer, protocol: ProtocolVersion) -> Self {
        Self { core: Arc::new(Core::new(config, observer, protocol)) }
    }

    /// Sends one command and returns its reply in the form that is asked for, waiting for a connection where there
    /// is none; no longer than until `by` where that is given. The command is sent only to a process that is admitted.
    pub(crate) async fn send<F: Form>(
        &self,
        cmd: &Cmd,
        by: Option<Instant>,
        fence: Option<&Fence>,
    ) -> Result<F, ErrorKind> {
        // Nothing would answer it, and it would get the reply of the next call.
        if empty::is_wordless(cmd) {
            return Err(ErrorKind::Unsupported(empty::WORDLESS.into()));
        }
        let core = &self.core;
        let _in_flight = core.begin()?;
        // Rare cases are boxed: the future of every call would have room for them, and be moved with it.
        let live = match core.open_live() {
            Some(live) => live,
            None => Box::pin(reconnect::wait_for_live(core, by)).await?,
        };
        let live = admitted(live, fence)?;
        // The rare case is a function of its own, and the call is lent, so that this future has room for the call only once.
        let mut call = live.wire.send(cmd, patience(by));
        let reply = core.reply(&live, &mut call, by).await;
        if !matches!(reply, Err(ErrorKind::Unsent(_))) {
            return reply;
        }
        drop((call, reply));
        Box::pin(self.send_again(cmd, by, fence)).await
    }

    /// Sends a command of which nothing was sent on the connection before, which is over.
    async fn send_again<F: Form>(
        &self,
        cmd: &Cmd,
        by: Option<Instant>,
        fence: Option<&Fence>,
    ) -> Result<F, ErrorKind> {
        let live = self.live(by, fence).await?;
        self.core.reply(&live, &mut live.wire.send(cmd, patience(by)), by).await
    }

    /// Sends commands together and returns `count` of their replies from `offset` on. Of a block all are asked
    /// for.
    pub(crate) async fn send_many(
        &self,
        many: Many<'_>,
        offset: usize,
        count: usize,
        by: Option<Instant>,
        fence: Option<&Fence>,
    ) -> Result<Vec<Value>, ErrorKind> {
        if many.has_wordless() {
            return Err(ErrorKind::Unsupported(empty::WORDLESS.into()));
        }
        if many.n_commands() == 0 && !many.is_block() {
            return Ok(Vec::new());
        }
        let core = &self.core;
        let _in_flight = core.begin()?;
        let live = self.live(by, fence).await?;
        let mut call = live.wire.send_many(many, offset, count, patience(by));
        let mut replies = core.reply(&live, &mut call, by).await;
        drop(call);
        if let Err(ErrorKind::Unsent(_)) = replies {
            // Nothing of it was sent on a connection that is over.
            let live = self.live(by, fence).await?;
            replies =
                core.reply(&live, &mut live.wire.send_many(many, offset, count, patience(by)), by).await;
        }
        Ok(match replies? {
            Value::Array(replies) => replies,
            _ => Vec::new(),
        })
    }

    /// Makes sure that there is a connection, to a process that is admitted. Returns the incarnation of that.
    pub(crate) async fn connect(&self, by: Option<Instant>, fence: Option<&Fence>) -> Result<u64, ErrorKind> {
        self.live(by, fence).await.map(|live| live.incarnation)
    }

    /// What [`send`](Self::send) has within itself, for every layer costs each single call.
    async fn live(&self, by: Option<Instant>, fence: Option<&Fence>) -> Result<Arc<Live>, ErrorKind> {
        let live = match self.core.open_live() {
            Some(live) => live,
            None => Box::pin(reconnect::wait_for_live(&self.core, by)).await?,
        };
        admitted(live, fence)
    }

    /// The number of times the server has turned out to be another process than before: it was restarted, or
    /// replaced.
    pub(crate) fn incarnation(&self) -> u64 {
        self.core.incarnation.load(Ordering::Acquire)
    }

    /// The name of the process of an incarnation, if that is the present one.
    pub(crate) fn process(&self, incarnation: u64) -> Option<String> {
        let standing = self.core.standing();
        let is_it = self.incarnation() == incarnation;
        standing.known.process.as_ref().filter(|_| is_it).and_then(Process::name)
    }

    /// Returns whether the server may be asked what no caller asked.
    pub(crate) fn may_be_asked(&self) -> bool {
        self.core.open_live().is_none_or(|live| live.may_be_asked)
    }

    /// Enters the node among others, in place of those before.
    pub(crate) fn move_to(&self, roll: &Arc<Roll>) {
        self.core.move_to(roll);
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Returns whether there is a connection at this moment.
    pub(crate) fn is_connected(&self) -> bool {
        self.core.live.load().as_ref().is_some_and(|live| live.is_open())
    }

    /// Returns whether the server is left alone at this moment.
    pub(crate) fn is_down(&self) -> bool {
        self.core.down.load(Ordering::Acquire)
    }

    /// Tries a server that comes and goes a second after it went, and not only after its rest.
    pub(crate) fn shorten_rest(&self) {
        if !self.is_connected() {
            self.core.standing().breaker.shorten_rest();
            self.core.wake.notify_one();
        }
    }

    /// The number of calls that are under way.
    pub(crate) fn in_flight(&self) -> u64 {
        self.core.in_flight()
    }

    /// The time of the server, as far as the server has said.
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

    /// Makes the connection anew, because the server takes no writes: a name may lead to another server by
    /// now, and sentinels to another master. Returns whether that may help.
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

fn patience(by: Option<Instant>) -> Patience {
    if by.is_none() { Patience::Ticks } else { Patience::Own }
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

//! The shared connection of a node: made when it is needed, replaced when it is lost.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::Cmd;
use redis::Pipeline;
use redis::RedisResult;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::config::Address;
use crate::config::NodeConfig;
use crate::deadlines::Deadlines;
use crate::dial;
use crate::error::ErrorKind;

/// After so many replies in a row that did not come in time, the connection is given up: a timeout alone never
/// shows that the other side is gone.
const LOST_AFTER: u32 = 3;
/// How long a server that could not be reached is left alone: this, doubled by each further failure ..
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// .. up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shared connection of a node.
pub(crate) struct Connection {
    config: Arc<NodeConfig>,
    live: ArcSwapOption<Live>,
    /// Held by the one caller that connects; the others wait for it.
    attempt: Mutex<Attempt>,
    /// How often a connection has led to another process than the one before.
    incarnation: AtomicU64,
}

/// What is known of a server between connections.
#[derive(Default)]
struct Attempt {
    failed: Option<Failed>,
    run_id: Option<String>,
    /// What the server called the last connection.
    client_id: Option<i64>,
}

struct Failed {
    cause: Arc<ErrorKind>,
    until: Instant,
    pause: Duration,
}

/// A connection in use. Its driver ends with it, and so does the task that counts its ticks.
struct Live {
    connection: MultiplexedConnection,
    deadlines: Arc<Deadlines>,
    driver: AbortHandle,
    ticks: AbortHandle,
    ended: Arc<AtomicBool>,
    timeouts: AtomicU32,
}

impl Drop for Live {
    fn drop(&mut self) {
        // Left to itself, the driver would wait for every reply that a hung server still owes.
        self.driver.abort();
        self.ticks.abort();
    }
}

impl Connection {
    pub(crate) fn new(config: Arc<NodeConfig>) -> Self {
        Self {
            config,
            live: ArcSwapOption::empty(),
            attempt: Mutex::new(Attempt::default()),
            incarnation: AtomicU64::new(0),
        }
    }

    /// Sends one command and returns its reply, connecting first where there is no connection.
    pub(crate) async fn send(&self, cmd: &Cmd) -> Result<Value, ErrorKind> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let reply = live.deadlines.within(pin!(connection.send_packed_command(cmd))).await;
        if let Some(Ok(reply)) = &reply {
            self.follow(&live, std::slice::from_ref(reply));
        }
        self.received(&live, reply)
    }

    /// Sends a pipeline and returns `count` of its replies from `offset` on.
    pub(crate) async fn send_pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, ErrorKind> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let call = pin!(connection.send_packed_commands(pipeline, offset, count));
        let reply = live.deadlines.within(call).await;
        if let Some(Ok(replies)) = &reply {
            self.follow(&live, replies);
        }
        self.received(&live, reply)
    }

    /// Gives up a connection to a master that is one no more, where sentinels say which server is.
    fn follow(&self, live: &Arc<Live>, replies: &[Value]) {
        let demoted =
            |reply: &Value| matches!(reply, Value::ServerError(error) if error.code() == "READONLY");
        if matches!(self.config.address(), Address::Sentinel { .. }) && replies.iter().any(demoted) {
            self.give_up(live);
        }
    }

    /// Makes sure that there is a connection.
    pub(crate) async fn connect(&self) -> Result<(), ErrorKind> {
        self.live().await.map(drop)
    }

    /// How often the server has turned out to be another process than before: it was restarted, or replaced.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// Whether there is a connection at this moment.
    pub(crate) fn is_connected(&self) -> bool {
        self.live.load().as_ref().is_some_and(|live| !live.ended.load(Ordering::Acquire))
    }

    async fn live(&self) -> Result<Arc<Live>, ErrorKind> {
        match self.live.load_full() {
            Some(live) if !live.ended.load(Ordering::Acquire) => Ok(live),
            // Boxed, for it is rare: the future of every call would have room for it, and be moved with it.
            _ => Box::pin(self.reconnect()).await,
        }
    }

    #[cold]
    async fn reconnect(&self) -> Result<Arc<Live>, ErrorKind> {
        let timeout = self.config.connect_timeout();
        let connecting = async {
            // Whoever gets the lock connects for all who wait for it. A caller that goes away hands it on.
            let mut attempt = self.attempt.lock().await;
            if let Some(live) = self.live.load_full().filter(|live| !live.ended.load(Ordering::Acquire)) {
                return Ok(live);
            }
            if let Some(failed) = &attempt.failed
                && Instant::now() < failed.until
            {
                return Err(ErrorKind::Down { cause: Arc::clone(&failed.cause) });
            }
            let deadline = Instant::now() + timeout;
            let dialed = tokio::time::timeout_at(deadline, self.dial(&mut attempt)).await;
            match dialed.unwrap_or(Err(ErrorKind::ConnectTimeout(timeout))) {
                Ok(live) => {
                    attempt.failed = None;
                    let live = Arc::new(live);
                    self.live.store(Some(Arc::clone(&live)));
                    tracing::info!(node = self.config.name(), "connected");
                    Ok(live)
                }
                Err(cause) => {
                    attempt.fail(cause.clone());
                    tracing::warn!(node = self.config.name(), error = %cause, "cannot connect");
                    Err(cause)
                }
            }
        };
        // Waiting for another caller's attempt counts too; the margin lets that attempt report its own cause.
        tokio::time::timeout(timeout + timeout / 4, connecting)
            .await
            .unwrap_or(Err(ErrorKind::ConnectTimeout(timeout)))
    }

    async fn dial(&self, attempt: &mut Attempt) -> Result<Live, ErrorKind> {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let dialed = dial::dial(&self.config, move || flag.store(true, Ordering::Release)).await?;
        let deadlines = Arc::new(Deadlines::new(self.config.response_timeout()));
        let counting = Arc::clone(&deadlines);
        let live = Live {
            connection: dialed.connection,
            deadlines,
            driver: dialed.driver,
            ticks: tokio::spawn(async move { counting.count().await }).abort_handle(),
            ended,
            timeouts: AtomicU32::new(0),
        };
        let run_id = identify(&live.connection).await?;
        if attempt.run_id.is_some() && attempt.run_id != run_id {
            self.incarnation.fetch_add(1, Ordering::AcqRel);
        } else if let Some(old) = attempt.client_id {
            fence(&live.connection, old).await?;
        }
        attempt.run_id = run_id;
        attempt.client_id = client_id(&live.connection).await?;
        Ok(live)
    }

    /// Judges a connection by what it gave, `None` if that took too long.
    fn received<T>(&self, live: &Arc<Live>, reply: Option<RedisResult<T>>) -> Result<T, ErrorKind> {
        match reply {
            Some(Ok(reply)) => {
                // Written only when it changes: this cache line is shared by every caller.
                if live.timeouts.load(Ordering::Relaxed) != 0 {
                    live.timeouts.store(0, Ordering::Relaxed);
                }
                Ok(reply)
            }
            None => {
                if live.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= LOST_AFTER {
                    self.give_up(live);
                }
                Err(ErrorKind::Timeout(self.config.response_timeout()))
            }
            Some(Err(error)) => {
                self.give_up(live);
                let kind = std::error::Error::source(&error)
                    .and_then(|source| source.downcast_ref::<std::io::Error>())
                    .map_or(std::io::ErrorKind::InvalidData, std::io::Error::kind);
                Err(ErrorKind::Disconnected(Arc::new(std::io::Error::new(kind, error))))
            }
        }
    }

    /// Takes a connection out of use, unless it has been replaced already.
    fn give_up(&self, live: &Arc<Live>) {
        live.ended.store(true, Ordering::Release);
        let current = self.live.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) {
            self.live.compare_and_swap(&*current, None);
            tracing::warn!(node = self.config.name(), "connection given up");
        }
    }
}

impl Attempt {
    fn fail(&mut self, cause: ErrorKind) {
        let pause = match &self.failed {
            Some(failed) => (failed.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        self.failed = Some(Failed { cause: Arc::new(cause), until: Instant::now() + pause, pause });
    }
}

/// Asks the server who it is: the answer proves that it is Redis, and its `run_id` names the process.
///
/// A user who may not call INFO is let through; such a server's restarts go unnoticed.
async fn identify(connection: &MultiplexedConnection) -> Result<Option<String>, ErrorKind> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let reply = connection.clone().send_packed_command(&info).await;
    match reply.and_then(Value::extract_error) {
        Ok(Value::BulkString(info)) => Ok(run_id(&info)),
        Ok(Value::VerbatimString { text, .. }) => Ok(run_id(text.as_bytes())),
        Ok(_) => Err(ErrorKind::NotRedis("INFO is not answered as Redis does".to_owned())),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        Err(error) => Err(dial::refused(error)),
    }
}

/// Ends the connection before this one, if the server still knows it.
///
/// A server that was paused executes what it was sent as soon as it goes on, although the connection has been closed
/// on this side. What comes after the reply to this comes after all of that.
async fn fence(connection: &MultiplexedConnection, old: i64) -> Result<(), ErrorKind> {
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(old);
    // An error reply means that there is nothing to end, or that this user may not: then it is as without.
    connection.clone().send_packed_command(&kill).await.map(drop).map_err(dial::refused)
}

/// What the server calls this connection; `None` if this user may not know.
async fn client_id(connection: &MultiplexedConnection) -> Result<Option<i64>, ErrorKind> {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("ID");
    match connection.clone().send_packed_command(&ask).await.map_err(dial::refused)? {
        Value::Int(id) => Ok(Some(id)),
        _ => Ok(None),
    }
}

fn run_id(info: &[u8]) -> Option<String> {
    let line = info.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"run_id:"))?;
    Some(String::from_utf8_lossy(line.trim_ascii()).into_owned())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("connected", &self.is_connected())
            .field("incarnation", &self.incarnation())
            .finish_non_exhaustive()
    }
}

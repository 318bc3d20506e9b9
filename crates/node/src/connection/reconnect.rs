//! The background task of a node: it makes the connection, makes it anew when it is lost, and probes one that
//! is idle.
//!
//! Callers never connect. Callers wait where a connection may come soon, and fail at once where the last
//! attempt has failed: a server that is down costs no caller a timeout.

use std::pin::pin;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::connection::breaker::Breaker;
use crate::connection::core::Core;
use crate::connection::core::Task;
use crate::connection::dial::Purpose;
use crate::connection::dial::dial;
use crate::connection::identify;
use crate::connection::live::Live;
use crate::connection::login::Grant;
use crate::connection::process::Meeting;
use crate::connection::process::Process;
use crate::connection::response_timeout::Deadlines;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::after;
use crate::wire::Patience;
use crate::wire::Wire;

/// Waits until there is a connection, or an attempt to make one has failed; no longer than until `by`, or the
/// connect timeout if that is not given.
pub(crate) async fn wait_for_live(core: &Arc<Core>, by: Option<Instant>) -> Result<Arc<Live>, ErrorKind> {
    let here = Handle::try_current().map_err(|error| {
        ErrorKind::Connect(Arc::new(std::io::Error::other(format!("{error}; run it inside tokio"))))
    })?;
    let timeout = core.config.connect_timeout();
    // The margin lets an attempt that takes too long report that itself.
    let by = by.unwrap_or_else(|| after(Instant::now(), timeout.saturating_add(timeout / 4)));
    let mut has_waited = false;
    loop {
        let mut changed = pin!(core.changed.notified());
        // From here on no change goes unnoticed.
        changed.as_mut().enable();
        if let Some(live) = core.open_live() {
            return Ok(live);
        }
        if let Some(cause) = ensure(core, &here) {
            return Err(match (&*cause, has_waited) {
                // An answer of a server to a connection is not its answer to a command.
                (ErrorKind::Server(_), _) | (_, false) => ErrorKind::Down { cause },
                (cause, true) => cause.clone(),
            });
        }
        if tokio::time::timeout_at(by, changed).await.is_err() {
            // A task in another runtime may stand still, for nobody drives that at present.
            let mut standing = core.standing();
            if standing.task.as_ref().is_some_and(|task| task.runtime != here.id()) {
                standing.task = None;
            }
            return Err(ErrorKind::ConnectTimeout(timeout));
        }
        has_waited = true;
    }
}

/// Sees to it that there is a task, at work; returns why the server is left alone, if it is.
fn ensure(core: &Arc<Core>, here: &Handle) -> Option<Arc<ErrorKind>> {
    let mut standing = core.standing();
    if standing.task.as_ref().is_none_or(|task| task.handle.is_finished()) {
        // No task has tried since the runtime of the last one ended: its findings are old.
        standing.breaker.half_open();
        let handle = AbortOnDropHandle::new(here.spawn(keep(Arc::downgrade(core), Arc::clone(&core.wake))));
        standing.task = Some(Task { handle, runtime: here.id() });
        return None;
    }
    let cause = standing.breaker.cause().cloned();
    if cause.is_none() {
        core.wake.notify_one();
    }
    cause
}

/// Looks after the connection of a node until that is gone.
async fn keep(core: Weak<Core>, wake: Arc<Notify>) {
    let _end = TellEnd(Weak::clone(&core));
    let mut begun = 0;
    loop {
        let Some(core) = core.upgrade() else { return };
        match core.open_live() {
            Some(live) => {
                // Where there are calls, they tell as much as a question of ours.
                if core.begun() == begun || core.is_troubled() {
                    probe(&core, &live).await;
                }
                begun = core.begun();
                if core.clock.is_old() && live.may_be_asked {
                    let asked = identify::info(&core, &live.wire);
                    let _told_or_not = tokio::time::timeout(core.config.response_timeout(), asked).await;
                }
            }
            None => {
                // The connection ended while nobody called.
                if let Some(ended) = core.live.load_full()
                    && core.give_up(&ended)
                {
                    core.failed(Breaker::lost, &ErrorKind::hung_up());
                }
                let try_at = core.standing().breaker.try_at();
                if try_at.is_none_or(|at| at <= Instant::now()) {
                    connect(&core).await;
                }
            }
        }
        let pause = pause(&core);
        // Held across the pause it would keep the node from going.
        drop(core);
        let _woken_or_not = tokio::time::timeout(pause, wake.notified()).await;
    }
}

/// The time for which there is nothing to do.
fn pause(core: &Core) -> Duration {
    if core.open_live().is_none() {
        let try_at = core.standing().breaker.try_at();
        return try_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
    }
    let interval = core.config.probe_interval();
    match interval.is_zero() {
        true => Duration::from_secs(3600),
        // A call without an answer asks for a second opinion soon.
        false if core.is_troubled() => interval.mul_f64(0.25),
        false => interval.mul_f64(0.8 + 0.4 * fastrand::f64()),
    }
}

/// Asks an idle connection for a sign of life.
async fn probe(core: &Core, live: &Arc<Live>) {
    if core.config.probe_interval().is_zero() {
        return;
    }
    let ping = redis::cmd("PING");
    // An error reply is a sign of life as well: a server that cannot save answers PING with `MISCONF`.
    let reply = live.deadlines.within(pin!(live.wire.ask(&ping, Patience::Ticks))).await;
    let _counted = core.received(live, reply);
}

/// Makes one attempt to connect.
async fn connect(core: &Arc<Core>) {
    let timeout = core.config.connect_timeout();
    let dialed = tokio::time::timeout(timeout, meet(core)).await;
    match dialed.unwrap_or(Err(ErrorKind::ConnectTimeout(timeout))) {
        Ok((live, grant)) => {
            let live = Arc::new(live);
            core.login.was_let_in();
            let restarted = {
                let mut standing = core.standing();
                standing.breaker.connected(Instant::now());
                standing.renewal = grant.ends().then(|| renew(core, &live, grant));
                standing.known.is_connected_anew(live.incarnation)
            };
            core.live.store(Some(live));
            core.now_up(restarted);
        }
        Err(cause) => could_not_connect(core, cause.without_secrets(&core.config)),
    }
}

fn could_not_connect(core: &Core, cause: ErrorKind) {
    tracing::debug!(node = core.config.name(), error = %cause, "cannot connect");
    let cause = Arc::new(cause);
    let _is_news = core.standing().breaker.refused(Instant::now(), Arc::clone(&cause), fastrand::f64());
    // A failure of this side says nothing of the server, so the first one that does may be a later one.
    match cause.is_local() {
        true => core.changed.notify_waiters(),
        false => core.now_down(cause),
    }
}

/// Makes a connection, and asks the server who it is. Where the connection ends at that, one more is made on
/// which nothing is asked: a proxy may close it at what it does not know. A server that has once said who it
/// is, is none.
async fn meet(core: &Core) -> Result<(Live, Arc<Grant>), ErrorKind> {
    core.leave_roll();
    let may_be_a_proxy = core.standing().known.is_unknown();
    let (mut live, grant) = open(core).await?;
    let error = match greet(core, &mut live).await {
        Ok(()) => return Ok((live, grant)),
        Err(error) => error.without_secrets(&core.config),
    };
    drop(live);
    if !may_be_a_proxy || !identify::may_not_know_us(&error) {
        return Err(error);
    }
    match meet_without_asking(core).await {
        Ok(dialed) => {
            tracing::info!(
                node = core.config.name(), %error,
                "the server ends connections at questions that no caller asked (`INFO`, `HELLO`, `SCRIPT`, `CLIENT`), \
                 and is used without them"
            );
            Ok(dialed)
        }
        // The server ends connections at everything.
        Err(_) => Err(error),
    }
}

async fn meet_without_asking(core: &Core) -> Result<(Live, Arc<Grant>), ErrorKind> {
    let (mut live, grant) = open(core).await?;
    let meeting = identify::meet_without_asking(core, &live.wire).await?;
    live.incarnation = core.met(Process::Unknown, meeting);
    live.may_be_asked = false;
    core.standing().client_id = None;
    Ok((live, grant))
}

/// Connects, and lets itself in.
async fn open(core: &Core) -> Result<(Live, Arc<Grant>), ErrorKind> {
    let grant = core.login.grant().await?;
    let ended = Arc::new(AtomicBool::new(false));
    let (flag, wake) = (Arc::clone(&ended), Arc::clone(&core.wake));
    let dialed = dial(&core.config, &grant.credentials, Purpose::Shared(core.protocol), move || {
        flag.store(true, Ordering::Release);
        wake.notify_one();
    })
    .await?;
    let deadlines = Arc::new(Deadlines::new(core.config.response_timeout()));
    let (counting, wire) = (Arc::clone(&deadlines), dialed.wire.clone());
    let (troubled, wake) = (Arc::clone(&core.troubled), Arc::clone(&core.wake));
    let pass_tick = move || {
        // Callers who gave up before a reply was due tell nobody that it did not come; the task asks by itself.
        if wire.pass_tick() {
            troubled.store(true, Ordering::Relaxed);
            wake.notify_one();
        }
    };
    let ticks = tokio::spawn(async move { counting.count(pass_tick).await });
    let live = Live {
        wire: dialed.wire,
        incarnation: 0,
        may_be_asked: true,
        deadlines,
        _driver: dialed.driver,
        _ticks: AbortOnDropHandle::new(ticks),
        ended,
    };
    Ok((live, grant))
}

/// Starts the task that renews the credentials of a connection.
fn renew(core: &Core, live: &Arc<Live>, grant: Arc<Grant>) -> AbortOnDropHandle<()> {
    // Held, it would keep open what was given up.
    let live = Arc::downgrade(live);
    let authenticate = move |auth: Cmd| {
        let live = live.upgrade().filter(|live| live.is_open());
        async move { identify::send(&live.ok_or_else(ErrorKind::hung_up)?.wire, &auth).await }
    };
    let login = Arc::clone(&core.login);
    AbortOnDropHandle::new(tokio::spawn(async move { login.keep_in(grant, authenticate).await }))
}

/// Finds out which process a connection leads to, and ends the one before, if it leads to the same.
async fn greet(core: &Core, live: &mut Live) -> Result<(), ErrorKind> {
    let (process, meeting) = identify::meet(core, &live.wire).await?;
    core.enter_roll(&process)?;
    let client_id = client_id(core, &live.wire).await?;
    let old = core.standing().client_id;
    let is_old_there = match meeting {
        Meeting::Same => true,
        // A number is given once by a process, and the next one begins anew: one that is higher is most
        // likely of the same.
        Meeting::Unproved => old < client_id,
        Meeting::First | Meeting::Another => false,
    };
    if is_old_there && let Some(old) = old {
        fence(core, &live.wire, old).await?;
    }
    // A connection that ends before this point does not count as met.
    live.incarnation = core.met(process, meeting);
    core.standing().client_id = client_id;
    Ok(())
}

/// Ends the connection before this one, if the server still knows it.
///
/// A server that was paused executes what it was sent as soon as it goes on, although the connection has been
/// closed on this side. A command that is sent after the reply to this one is executed after all of those.
async fn fence(core: &Core, wire: &Wire, old: i64) -> Result<(), ErrorKind> {
    let mut kill = redis::cmd("CLIENT");
    kill.arg("KILL").arg("ID").arg(old);
    // If this user may not end it, it is as without.
    if let Err(refused) = identify::ask(wire, &kill).await? {
        tell_unfenced(core, &refused);
    }
    Ok(())
}

/// The server's name for this connection; `None` if this user may not know.
async fn client_id(core: &Core, wire: &Wire) -> Result<Option<i64>, ErrorKind> {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("ID");
    match identify::ask(wire, &ask).await? {
        Ok(Value::Int(id)) => Ok(Some(id)),
        Ok(_) => Ok(None),
        Err(refused) => {
            tell_unfenced(core, &refused);
            Ok(None)
        }
    }
}

/// Tells once that a connection that is lost cannot be ended at the server.
fn tell_unfenced(core: &Core, refused: &ServerError) {
    if std::mem::replace(&mut core.standing().is_told_unfenced, true) {
        return;
    }
    let user = core.config.user();
    let refused = refused.clone().without_secrets(&core.config);
    tracing::warn!(
        node = core.config.name(), %refused,
        "what a connection that was lost had sent to a server that hung is not ended, and may be executed late; permit it by \
         `ACL SETUSER {user} +client|id +client|kill`, and do not rename the command"
    );
}

/// Tells those who wait for a connection that nobody makes it any more: the next of them sees to that.
struct TellEnd(Weak<Core>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        if let Some(core) = self.0.upgrade() {
            core.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use redis::ProtocolVersion;

    use super::*;
    use crate::config::NodeConfig;
    use crate::observe::Observer;

    #[test]
    fn a_server_that_refuses_after_this_side_had_no_descriptors_is_told_of() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let observer = Observer::new(move |_, event| heard.lock().push(event));
        let config = NodeConfig::new("redis://127.0.0.1:1").unwrap();
        let core = Core::new(Arc::new(config), observer, ProtocolVersion::RESP2);
        let fails = |code| {
            could_not_connect(&core, ErrorKind::Connect(Arc::new(std::io::Error::from_raw_os_error(code))))
        };
        fails(libc::EMFILE);
        assert!(!core.down.load(Ordering::Acquire) && told.lock().is_empty());
        for _ in 0..3 {
            fails(libc::ECONNREFUSED);
            assert!(core.down.load(Ordering::Acquire));
            assert_eq!(told.lock().len(), 1, "{told:?}");
        }
    }
}

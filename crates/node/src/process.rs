//! Which process of a server a new connection leads to, and what proves that it is the one from before.
//!
//! Only a proof counts. A server that cannot be known again may have been restarted, and may have lost what it held.

use std::sync::atomic::Ordering;

use redis::Cmd;
use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::admission::Admission;
use crate::clock;
use crate::connection::Core;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::fault::Fault;
use crate::node::Node;
use crate::retry;
use crate::token::token;

/// The first version of Redis that keeps no scripts in its dumps: before it, a script that is there may have come from one.
const FORGETS_SCRIPTS: u32 = 7;

/// By what a process is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Process {
    /// By its `run_id`.
    RunId(String),
    /// By a script that nobody else has, which was loaded into it and ends with it: its digest.
    Script(String),
    /// By nothing.
    Unknown,
}

/// What a process is to the one that was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// None was known.
    First,
    /// It is the same.
    Same,
    /// It is another one.
    Another,
    /// Nothing proves that it is the same.
    Unproved,
}

/// What is known of the processes that a node has been connected to.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The last of them; `None` before the first.
    process: Option<Process>,
    /// The incarnation that the last connection in use led to.
    connected_to: Option<u64>,
    /// Whether it has been told that nothing proves which one answers.
    is_told: bool,
}

impl Known {
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Whether it has never been known which process answers.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.process, None | Some(Process::Unknown))
    }

    /// Notes that a connection is in use. Returns whether it leads to another incarnation than the one before.
    pub(crate) fn is_connected_anew(&mut self, incarnation: u64) -> bool {
        self.connected_to.replace(incarnation).is_some_and(|before| before != incarnation)
    }
}

impl Core {
    /// Takes note of the process that a new connection leads to; returns its incarnation.
    pub(crate) fn met(&self, process: Process, meeting: Meeting) -> u64 {
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
            let user = self.config.username().unwrap_or("default");
            tracing::warn!(
                node = self.config.name(),
                "nothing proves which process of the server answers: on a copy each new connection counts as one to a \
                 server that may have lost its data; let the user call INFO, by `ACL SETUSER {user} +info`, and do not \
                 rename it"
            );
        }
        incarnation
    }
}

impl Process {
    /// What it is called where others may read it.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::RunId(run_id) => Some(run_id.clone()),
            Self::Script(digest) => Some(format!("{SCRIPT}{digest}")),
            Self::Unknown => None,
        }
    }
}

/// What the name of a process begins with that is known by a script.
const SCRIPT: &str = "script:";

impl Node {
    /// How often a new connection has led to another server process than the one before, or may have: it was restarted,
    /// or replaced. What was in its memory may be gone.
    ///
    /// That it is the same process is proved by the `run_id` of `INFO`; where this user may not call that, since Redis 7.0
    /// by a script that was loaded into it (`HELLO`, `SCRIPT LOAD`, `SCRIPT EXISTS`); else by nothing, and each new
    /// connection counts.
    pub fn incarnation(&self) -> u64 {
        self.connection().incarnation()
    }

    /// A name of the server process of this [incarnation](Self::incarnation) that no other process has. `None` if nothing
    /// proves which process it is, and of an incarnation that is not the present one.
    pub fn process(&self, incarnation: u64) -> Option<String> {
        let core = self.connection().core();
        let standing = core.standing();
        let is_it = core.incarnation.load(Ordering::Acquire) == incarnation;
        standing.known.process.as_ref().filter(|_| is_it).and_then(Process::name)
    }

    /// Returns whether the server process of this incarnation is the one of this [name](Self::process), which another
    /// client may have given it; `None` if nothing proves either.
    ///
    /// # Errors
    /// That it cannot be asked.
    pub async fn is_process(&self, incarnation: u64, name: &str) -> Result<Option<bool>, Error> {
        let own = self.process(incarnation);
        if own.as_deref() == Some(name) {
            return Ok(Some(true));
        }
        let Some(digest) = name.strip_prefix(SCRIPT) else {
            return Ok(own.filter(|own| !own.starts_with(SCRIPT)).map(|_| false));
        };
        if self.connection().core().open_live().is_some_and(|live| !live.may_be_asked) {
            return Ok(None);
        }
        let only_it = self.admitting(&Admission::to(incarnation));
        match only_it.send(redis::cmd("SCRIPT").arg("EXISTS").arg(digest)).await {
            Ok(reply) => Ok(is_there(&reply).then_some(true)),
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a reply to `SCRIPT EXISTS` says that it does.
fn is_there(reply: &Value) -> bool {
    matches!(reply, Value::Array(found) if found.first() == Some(&Value::Int(1)))
}

/// Finds out which process answers on a new connection, and whether it is the one that was known. Makes sure that this
/// client has been let in.
pub(crate) async fn meet(
    core: &Core,
    connection: &MultiplexedConnection,
) -> Result<(Process, Meeting), ErrorKind> {
    let known = core.standing().known.process.clone();
    let (run_id, refused) = match info(core, connection).await? {
        Ok(run_id) => (run_id, None),
        Err(refused) => (None, Some(refused)),
    };
    let meeting = match (&known, &run_id) {
        (None, _) => Meeting::First,
        (Some(Process::RunId(known)), Some(found)) if known == found => Meeting::Same,
        (Some(Process::RunId(_)), Some(_)) => Meeting::Another,
        (Some(Process::Script(digest)), _) if has_script(connection, digest).await? => Meeting::Same,
        _ => Meeting::Unproved,
    };
    let process = match (run_id, refused, known) {
        (Some(run_id), ..) => Process::RunId(run_id),
        (None, Some(_), Some(known @ Process::Script(_))) if meeting == Meeting::Same => known,
        (None, Some(refused), _) => leave_script(connection, refused).await?,
        // What does not say who it is may keep scripts as well.
        (None, None, _) => Process::Unknown,
    };
    Ok((process, meeting))
}

/// Whether a connection ended at a question of ours, and not for a reason that passes or bars the way: who answers may not know
/// the question.
pub(crate) fn may_not_know_us(error: &ErrorKind) -> bool {
    match error {
        ErrorKind::Connect(_) => true,
        // After this it was closed.
        ErrorKind::Server(refused) => !retry::is_passing(&refused.code),
        _ => false,
    }
}

/// Makes sure that this client has been let in where nothing can be asked: who says no to everybody says it once, and closes
/// the connection.
pub(crate) async fn meet_without_asking(
    core: &Core,
    connection: &MultiplexedConnection,
) -> Result<Meeting, ErrorKind> {
    for _ in 0..2 {
        let _pong_or_refusal = ask(connection, &redis::cmd("PING")).await?;
    }
    Ok(if core.standing().known.process.is_none() { Meeting::First } else { Meeting::Unproved })
}

/// Asks the server who it is: its `run_id` names the process, and it tells the time. Returns what it said if it does not
/// know the question, or does not answer it to this user.
pub(crate) async fn info(
    core: &Core,
    connection: &MultiplexedConnection,
) -> Result<Result<Option<String>, ServerError>, ErrorKind> {
    let asked = tokio::time::Instant::now().into_std();
    let read = |info: &[u8]| {
        core.clock.learn(info, asked);
        clock::field(info, b"run_id:").filter(|run_id| !run_id.is_empty()).map(str::to_owned)
    };
    match ask(connection, redis::cmd("INFO").arg("server")).await? {
        Ok(Value::BulkString(info)) => Ok(Ok(read(&info))),
        Ok(Value::VerbatimString { text, .. }) => Ok(Ok(read(text.as_bytes()))),
        Ok(_) => Err(ErrorKind::NotRedis("INFO is not answered as Redis does".to_owned())),
        Err(refused) => Ok(Err(refused)),
    }
}

/// Whether the process has a script.
async fn has_script(connection: &MultiplexedConnection, digest: &str) -> Result<bool, ErrorKind> {
    let reply = ask(connection, redis::cmd("SCRIPT").arg("EXISTS").arg(digest)).await?;
    Ok(reply.is_ok_and(|reply| is_there(&reply)))
}

/// Loads a script into a process that does not say who it is, if it ends with that.
async fn leave_script(
    connection: &MultiplexedConnection,
    refused: ServerError,
) -> Result<Process, ErrorKind> {
    // A server that closes the connection after such an answer says by it why.
    let refused = |error| match error {
        ErrorKind::Connect(_) => ErrorKind::Server(refused),
        error => error,
    };
    let version = match ask(connection, &redis::cmd("HELLO")).await {
        Ok(Ok(Value::Array(hello))) => version(&hello),
        Ok(_) => {
            // Of a command that it does not know a server says so to everybody; this one proves that they are let in.
            let _pong_or_refusal = ask(connection, &redis::cmd("PING")).await.map_err(refused)?;
            None
        }
        Err(error) => return Err(refused(error)),
    };
    if version.is_none_or(|version| version < FORGETS_SCRIPTS) {
        return Ok(Process::Unknown);
    }
    // A new one each time: one that was loaded before may be in another process, to which the address led then.
    let Some(token) = token() else { return Ok(Process::Unknown) };
    let script = format!("return '{token}'");
    Ok(match ask(connection, redis::cmd("SCRIPT").arg("LOAD").arg(script)).await? {
        Ok(Value::BulkString(digest)) => match String::from_utf8(digest) {
            Ok(digest) => Process::Script(digest),
            Err(_) => Process::Unknown,
        },
        _ => Process::Unknown,
    })
}

/// The first number of the version in a reply to `HELLO`.
fn version(hello: &[Value]) -> Option<u32> {
    let mut fields = hello.chunks_exact(2);
    fields.find_map(|field| match field {
        [Value::BulkString(name), Value::BulkString(version)] if name == b"version" => {
            std::str::from_utf8(version).ok()?.split('.').next()?.parse().ok()
        }
        _ => None,
    })
}

/// Asks a question of our own; `Err` inside if the server does not know it, or does not answer it to this user.
///
/// # Errors
/// Of the connection, that this client is not let in, and what a server says that cannot answer for a moment.
pub(crate) async fn ask(
    connection: &MultiplexedConnection,
    question: &Cmd,
) -> Result<Result<Value, ServerError>, ErrorKind> {
    let reply = connection.clone().send_packed_command(question).await.map_err(Fault::of_handshake)?;
    answer(reply)
}

/// What a reply to a question of our own says; as [`ask`].
pub(crate) fn answer(reply: Value) -> Result<Result<Value, ServerError>, ErrorKind> {
    let Value::ServerError(reply) = reply else { return Ok(Ok(reply)) };
    let reply = ServerError::from(&reply);
    if reply.is_auth() {
        Err(ErrorKind::Auth(reply.to_string()))
    } else if retry::is_passing(&reply.code) {
        Err(ErrorKind::Server(reply))
    } else {
        Ok(Err(reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_hello() {
        let check = |reply: &[u8], expected| {
            let Value::Array(hello) = redis::parse_redis_value(reply).unwrap() else { panic!() };
            assert_eq!(version(&hello), expected);
        };
        check(b"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n6.2.14\r\n", Some(6));
        check(b"*4\r\n$5\r\nproto\r\n:2\r\n$7\r\nversion\r\n$5\r\n9.0.1\r\n", Some(9));
        check(b"*2\r\n$7\r\nversion\r\n$3\r\nnew\r\n", None);
        check(b"*0\r\n", None);
    }

    #[test]
    fn what_passes_and_what_bars_the_way_is_told_from_what_is_refused_for_good() {
        let answer = |reply: &[u8]| answer(redis::parse_redis_value(reply).unwrap());
        for refused in ["-ERR unknown command 'INFO'\r\n", "-NOPERM no permissions\r\n", "-DENIED x\r\n"] {
            assert!(matches!(answer(refused.as_bytes()), Ok(Err(_))), "{refused}");
        }
        for passing in ["-LOADING x\r\n", "-BUSY x\r\n", "-MASTERDOWN x\r\n"] {
            assert!(matches!(answer(passing.as_bytes()), Err(ErrorKind::Server(_))), "{passing}");
        }
        for auth in ["-NOAUTH Authentication required.\r\n", "-WRONGPASS x\r\n"] {
            assert!(matches!(answer(auth.as_bytes()), Err(ErrorKind::Auth(_))), "{auth}");
        }
        assert!(matches!(answer(b"+OK\r\n"), Ok(Ok(Value::Okay))));
    }
}

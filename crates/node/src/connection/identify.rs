//! The questions to a new connection that prove whether it leads to the same server process as before.
//!
//! Only a proof counts. A server that cannot be known again may have been restarted, and may have lost what
//! it held.

use redis::Cmd;
use redis::Value;

use crate::connection::clock;
use crate::connection::core::Core;
use crate::connection::process::Meeting;
use crate::connection::process::Process;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::is_of_tls;
use crate::retry;
use crate::token::token;
use crate::wire::Failure;
use crate::wire::Patience;
use crate::wire::Wire;

/// The first version of Redis that keeps no scripts in its dumps: before it, a script that is there may have
/// come from one.
const FORGETS_SCRIPTS: u32 = 7;

/// Returns whether a reply to `SCRIPT EXISTS` says that it does.
pub(crate) fn is_there(reply: &Value) -> bool {
    matches!(reply, Value::Array(found) if found.first() == Some(&Value::Int(1)))
}

/// Finds out which process answers on a new connection, and whether it is the one that was known. Makes sure
/// that this client has been let in.
pub(crate) async fn meet(core: &Core, wire: &Wire) -> Result<(Process, Meeting), ErrorKind> {
    let known = core.standing().known.process.clone();
    let (run_id, refused) = match info(core, wire).await? {
        Ok(run_id) => (run_id, None),
        Err(refused) => (None, Some(refused)),
    };
    let meeting = match (&known, &run_id) {
        (None, _) => Meeting::First,
        (Some(Process::RunId(known)), Some(found)) if known == found => Meeting::Same,
        (Some(Process::RunId(_)), Some(_)) => Meeting::Another,
        (Some(Process::Script(digest)), _) if has_script(wire, digest).await? => Meeting::Same,
        _ => Meeting::Unproved,
    };
    let process = match (run_id, refused, known) {
        (Some(run_id), ..) => Process::RunId(run_id),
        (None, Some(_), Some(known @ Process::Script(_))) if meeting == Meeting::Same => known,
        (None, Some(refused), _) => leave_script(wire, refused).await?,
        // A server that does not say who it is may keep scripts as well.
        (None, None, _) => Process::Unknown,
    };
    Ok((process, meeting))
}

/// Asks a connection beside the shared one for the name of the process that it leads to; `None` if nothing
/// proves which one it is.
pub(crate) async fn process_behind(core: &Core, wire: &Wire) -> Result<Option<String>, ErrorKind> {
    let known = core.standing().known.process.clone();
    Ok(match known {
        Some(Process::RunId(_)) => info(core, wire).await?.ok().flatten(),
        Some(Process::Script(digest)) if has_script(wire, &digest).await? => Process::Script(digest).name(),
        Some(Process::Script(_) | Process::Unknown) | None => None,
    })
}

/// Returns whether a connection ended at a question of ours, and not for a reason that passes or bars the way: who
/// answers may not know the question.
pub(crate) fn may_not_know_us(error: &ErrorKind) -> bool {
    match error {
        ErrorKind::Connect(_) => true,
        // After this it was closed.
        ErrorKind::Server(refused) => !retry::is_passing(&refused.code),
        _ => false,
    }
}

/// Makes sure that this client has been let in where nothing can be asked: who says no to everybody says it
/// once, and closes the connection.
pub(crate) async fn meet_without_asking(core: &Core, wire: &Wire) -> Result<Meeting, ErrorKind> {
    for _ in 0..2 {
        let _pong_or_refusal = ask(wire, &redis::cmd("PING")).await?;
    }
    Ok(if core.standing().known.process.is_none() { Meeting::First } else { Meeting::Unproved })
}

/// Asks the server who it is: its `run_id` names the process, and it tells the time. Returns what it said if
/// it does not know the question, or does not answer it to this user.
pub(crate) async fn info(core: &Core, wire: &Wire) -> Result<Result<Option<String>, ServerError>, ErrorKind> {
    let asked = tokio::time::Instant::now().into_std();
    let read = |info: &[u8]| {
        core.clock.learn(info, asked);
        clock::field(info, b"run_id:").filter(|run_id| !run_id.is_empty()).map(str::to_owned)
    };
    match ask(wire, redis::cmd("INFO").arg("server")).await? {
        Ok(Value::BulkString(info)) => Ok(Ok(read(&info))),
        Ok(Value::VerbatimString { text, .. }) => Ok(Ok(read(text.as_bytes()))),
        Ok(_) => Err(ErrorKind::NotRedis("INFO is not answered as Redis does".to_owned())),
        Err(refused) => Ok(Err(refused)),
    }
}

/// Returns whether the process has a script.
async fn has_script(wire: &Wire, digest: &str) -> Result<bool, ErrorKind> {
    let reply = ask(wire, redis::cmd("SCRIPT").arg("EXISTS").arg(digest)).await?;
    Ok(reply.is_ok_and(|reply| is_there(&reply)))
}

/// Loads a script into a process that does not say who it is, if it ends with that.
async fn leave_script(wire: &Wire, refused: ServerError) -> Result<Process, ErrorKind> {
    // A server that closes the connection after such an answer says by it why.
    let refused = |error| match error {
        ErrorKind::Connect(_) => ErrorKind::Server(refused),
        error => error,
    };
    let version = match ask(wire, &redis::cmd("HELLO")).await {
        Ok(Ok(hello)) => version(hello),
        Ok(_) => {
            // Of a command that it does not know a server says so to everybody; this one proves that they are
            // let in.
            let _pong_or_refusal = ask(wire, &redis::cmd("PING")).await.map_err(refused)?;
            None
        }
        Err(error) => return Err(refused(error)),
    };
    if version.is_none_or(|version| version < FORGETS_SCRIPTS) {
        return Ok(Process::Unknown);
    }
    // A new one each time: one that was loaded before may be in another process, to which the address led
    // then.
    let Some(token) = token() else { return Ok(Process::Unknown) };
    let script = format!("return '{token}'");
    Ok(match ask(wire, redis::cmd("SCRIPT").arg("LOAD").arg(script)).await? {
        Ok(Value::BulkString(digest)) => match String::from_utf8(digest) {
            Ok(digest) => Process::Script(digest),
            Err(_) => Process::Unknown,
        },
        _ => Process::Unknown,
    })
}

/// The first number of the version in a reply to `HELLO`.
fn version(hello: Value) -> Option<u32> {
    hello.into_map_iter().ok()?.find_map(|field| match field {
        (Value::BulkString(name), Value::BulkString(version)) if name == b"version" => {
            std::str::from_utf8(&version).ok()?.split('.').next()?.parse().ok()
        }
        _ => None,
    })
}

/// Sends a question of our own and waits for its reply; an error is a value.
pub(crate) async fn send(wire: &Wire, question: &Cmd) -> Result<Value, ErrorKind> {
    wire.ask(question, Patience::Own).await.map_err(|failure| match failure {
        Failure::Unsent(error) | Failure::Lost(error) if is_of_tls(&error) => ErrorKind::Tls(error),
        failure => failure.in_handshake(),
    })
}

/// Asks a question of our own; `Err` inside if the server does not know it, or does not answer it to this
/// user.
///
/// # Errors
/// Of the connection, that this client is not let in, and what a server says that cannot answer for a moment.
pub(crate) async fn ask(wire: &Wire, question: &Cmd) -> Result<Result<Value, ServerError>, ErrorKind> {
    answer(send(wire, question).await?)
}

/// Reads a reply to a question of our own; as [`ask`].
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
            assert_eq!(version(redis::parse_redis_value(reply).unwrap()), expected);
        };
        check(b"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n6.2.14\r\n", Some(6));
        check(b"*4\r\n$5\r\nproto\r\n:2\r\n$7\r\nversion\r\n$5\r\n9.0.1\r\n", Some(9));
        check(b"*2\r\n$7\r\nversion\r\n$3\r\nnew\r\n", None);
        check(b"*0\r\n", None);
        check(b"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nversion\r\n$5\r\n8.2.1\r\n", Some(8));
        check(b"+OK\r\n", None);
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

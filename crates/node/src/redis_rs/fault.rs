//! The meaning of an error of redis-rs: whose fault it is, what became of the command, and whether the
//! connection lives.
//!
//! An error reply is a value to us, not an error. redis-rs gives an error where the connection broke, the
//! bytes are no reply, nothing was sent, or it judges replies itself.

use std::io;
use std::sync::Arc;

use redis::ErrorKind as RedisErrorKind;
use redis::RedisError;

use crate::config::ConfigError;
use crate::connection::bounded::TooLarge;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::foreign;
use crate::error::io_error;
use crate::error::is_of_tls;
use crate::retry;

/// The meaning of an error of redis-rs, of a call on a connection that was let in.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) connection: Fate,
}

/// The fate of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The connection is as well as before.
    Lives,
    /// The connection is over, by the fault of the server or the network.
    Lost,
    /// The connection is over, because we ended it.
    Ended,
}

impl Fault {
    /// Judges an error. Of what is not known here, nothing is taken for proven: the command may have been
    /// executed, and the connection is not used any more.
    #[cold]
    pub(crate) fn of(error: RedisError) -> Self {
        let lives = |kind| Self { kind, connection: Fate::Lives };
        match error.kind() {
            RedisErrorKind::Io => match TooLarge::of(&error) {
                Some(TooLarge { limit }) => {
                    Self { kind: ErrorKind::ReplyTooLarge { limit: *limit }, connection: Fate::Ended }
                }
                None => Self { kind: disconnected(error), connection: Fate::Lost },
            },
            // The bytes are no reply, and it cannot be told where the next reply begins.
            RedisErrorKind::Parse => Self { kind: disconnected(error), connection: Fate::Lost },
            RedisErrorKind::Server(_) | RedisErrorKind::Extension => {
                let code = error.code().unwrap_or("ERR").to_owned();
                let reply = match error.detail() {
                    Some(detail) => ServerError::new(&code, detail),
                    None => ServerError::new(&code, &error.to_string()),
                };
                lives(ErrorKind::Server(reply))
            }
            // The reply is there, and is not what was expected.
            RedisErrorKind::UnexpectedReturnType => lives(ErrorKind::Reply(error)),
            // "Identified on the client before execution": the command has no words.
            RedisErrorKind::Client => {
                lives(ErrorKind::Unsupported(format!("{error}; nothing was sent").into()))
            }
            RedisErrorKind::InvalidClientConfig
            | RedisErrorKind::EmptySentinelList
            | RedisErrorKind::RESP3NotSupported => {
                lives(ConfigError::Url { reason: error.to_string() }.into())
            }
            // Of letting in, and of ways to connect that are not ours: no call gives them.
            RedisErrorKind::AuthenticationFailed
            | RedisErrorKind::MasterNameNotFoundBySentinel
            | RedisErrorKind::NoValidReplicasFoundBySentinel
            | RedisErrorKind::ClusterConnectionNotFound => {
                Self { kind: disconnected(error), connection: Fate::Lost }
            }
            _ => Self { kind: disconnected(error), connection: Fate::Lost },
        }
    }

    /// The meaning of a refusal of `AUTH`. What the server says may quote the password.
    pub(crate) fn of_auth(reply: ServerError) -> ErrorKind {
        match retry::is_passing(&reply.code) {
            true => ErrorKind::Server(reply.hushed()),
            false => ErrorKind::Auth(reply.hushed().to_string()),
        }
    }

    /// The meaning of a refusal of `HELLO` or `SELECT`.
    pub(crate) fn of_set_up(reply: ServerError) -> ErrorKind {
        match reply {
            reply if reply.message.contains("unknown command") && reply.message.contains("HELLO") => {
                ErrorKind::Unsupported(NO_HELLO.into())
            }
            reply if reply.is_auth() => ErrorKind::Auth(reply.to_string()),
            reply => ErrorKind::Server(reply),
        }
    }

    /// The meaning while redis-rs sets a connection up: no caller's command was sent yet.
    pub(crate) fn of_handshake(error: RedisError) -> ErrorKind {
        if let Some(code) = error.code() {
            return Self::of_set_up(ServerError::new(code, error.detail().unwrap_or_default()));
        }
        match error.kind() {
            RedisErrorKind::AuthenticationFailed => {
                ErrorKind::Auth(ServerError::new("AUTH", &error.to_string()).message)
            }
            RedisErrorKind::Io => {
                let source = io_error(&error);
                let kind = source.map_or(io::ErrorKind::Other, io::Error::kind);
                match source.is_some_and(is_of_tls) {
                    true => ErrorKind::Tls(Arc::new(io::Error::new(kind, error))),
                    false => ErrorKind::Connect(Arc::new(io::Error::new(kind, error))),
                }
            }
            RedisErrorKind::RESP3NotSupported => ErrorKind::Unsupported(NO_HELLO.into()),
            RedisErrorKind::InvalidClientConfig => ConfigError::Url { reason: error.to_string() }.into(),
            _ => ErrorKind::NotRedis(ServerError::new("", &error.to_string()).message),
        }
    }
}

/// Only a subscription, a change feed and a node that was made for it ask for it.
const NO_HELLO: &str = "the server does not know `HELLO`: a subscription, a change feed and a node `in_resp3` speak RESP3, which \
                        begins with it; use Redis 6.0 or later, and do not rename the command";

fn disconnected(error: RedisError) -> ErrorKind {
    ErrorKind::Disconnected(Arc::new(match io_error(&error).map(io::Error::kind) {
        Some(kind) => io::Error::new(kind, error),
        // redis-rs tells of bytes that it cannot read in several lines.
        None => io::Error::new(io::ErrorKind::InvalidData, foreign::text(error.to_string().trim_end())),
    }))
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;
    use crate::error::Error;
    use crate::error::Outcome;

    fn check(error: RedisError, connection: Fate, outcome: Outcome, code: Option<&str>) {
        let text = error.to_string();
        let fault = Fault::of(error);
        assert_eq!(fault.connection, connection, "{text}");
        let error = Error::new("a".into(), "SET", fault.kind);
        assert_eq!((error.outcome(), error.code()), (outcome, code), "{text}: {error}");
    }

    #[test]
    fn an_error_reply_is_an_answer_whatever_its_code_and_the_connection_lives() {
        use ServerErrorKind::*;
        for (kind, code) in [
            (ResponseError, "ERR"),
            (ExecAbort, "EXECABORT"),
            (BusyLoading, "LOADING"),
            (NoScript, "NOSCRIPT"),
            (Moved, "MOVED"),
            (Ask, "ASK"),
            (TryAgain, "TRYAGAIN"),
            (ClusterDown, "CLUSTERDOWN"),
            (CrossSlot, "CROSSSLOT"),
            (MasterDown, "MASTERDOWN"),
            (ReadOnly, "READONLY"),
            (NotBusy, "NOTBUSY"),
            (NoSub, "NOSUB"),
            (NoPerm, "NOPERM"),
        ] {
            let error = (RedisErrorKind::Server(kind), "text", "detail".to_owned()).into();
            check(error, Fate::Lives, Outcome::Rejected, Some(code));
        }
        for code in ["OOM", "MISCONF", "NOREPLICAS", "NOAUTH", "BUSY", "WRONGTYPE", "UNKILLABLE"] {
            let error = redis::make_extension_error(code.to_owned(), Some("detail".to_owned()));
            check(error, Fate::Lives, Outcome::Rejected, Some(code));
        }
    }

    #[test]
    fn what_broke_is_told_from_what_was_not_sent_and_from_what_was_answered() {
        let of = |kind: RedisErrorKind| RedisError::from((kind, "text"));
        for kind in [
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::NotConnected,
            io::ErrorKind::TimedOut,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
            io::ErrorKind::InvalidData,
            io::ErrorKind::Other,
        ] {
            check(io::Error::from(kind).into(), Fate::Lost, Outcome::Unknown, None);
        }
        check(io::Error::from(TooLarge { limit: 1 }).into(), Fate::Ended, Outcome::Unknown, None);
        check(of(RedisErrorKind::Parse), Fate::Lost, Outcome::Unknown, None);
        check(of(RedisErrorKind::Client), Fate::Lives, Outcome::NotSent, None);
        check(of(RedisErrorKind::UnexpectedReturnType), Fate::Lives, Outcome::Answered, None);
        for kind in [
            RedisErrorKind::InvalidClientConfig,
            RedisErrorKind::EmptySentinelList,
            RedisErrorKind::RESP3NotSupported,
        ] {
            check(of(kind), Fate::Lives, Outcome::NotSent, None);
        }
        for kind in [
            RedisErrorKind::AuthenticationFailed,
            RedisErrorKind::MasterNameNotFoundBySentinel,
            RedisErrorKind::NoValidReplicasFoundBySentinel,
            RedisErrorKind::ClusterConnectionNotFound,
        ] {
            check(of(kind), Fate::Lost, Outcome::Unknown, None);
        }
    }
}

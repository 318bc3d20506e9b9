//! The error of a call to one server: which server, which command, why, and what became of the command.

pub mod foreign;
mod secrets;
mod server;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;

pub use self::server::ServerError;
use self::server::has_passwords;
use crate::config::ConfigError;

/// The error of a command on one server. The error names the server and the command, and says whether the
/// command may have been executed.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    node: Option<Arc<str>>,
    command: Cow<'static, str>,
    kind: ErrorKind,
}

/// The reason of an [`Error`]. Its text says nothing about the command, for one reason may be the cause of
/// several errors; the [`Error`] says what became of its command.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong. Not sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No connection could be made: refused, unreachable, name not found. Not sent.
    #[error("no connection: {0}")]
    Connect(Arc<io::Error>),
    /// No connection could be made in time, handshake included. Not sent.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The TLS handshake failed. Not sent.
    #[error(
        "no TLS connection: {0}; is it a TLS port, are its certificate (`ca`) and name (`server_name`) known here, and does it \
         want a certificate of this client (`cert`)?"
    )]
    Tls(Arc<io::Error>),
    /// The server refused the user or the password, or wants one. Not sent.
    #[error("not let in: {0}; check user and password in the node's URL, or what the provider gives")]
    Auth(String),
    /// The [provider](crate::CredentialsProvider) gave no user and password; the text is its words. Not sent.
    #[error("not let in: the credentials provider failed: {0}")]
    Credentials(String),
    /// The server does not speak the protocol of Redis. Not sent.
    #[error("this is not a Redis server: {0}")]
    NotRedis(String),
    /// The circuit breaker is open: the server failed just before, and is left alone until the next attempt.
    /// The command was not sent.
    #[error("down: {cause}")]
    Down {
        /// The reason why the last attempt to connect failed.
        cause: Arc<ErrorKind>,
    },
    /// The server process that answers is not the one last verified as this node: its handle is
    /// [fenced](crate::Node::fenced). Not sent.
    #[error(
        "the server process that answers is not the one last verified as this node; calls are held back until it is \
         verified; if this persists, check the node's URL"
    )]
    Fenced,
    /// Too many calls are in flight on this node, or too many dedicated connections are in use. Not sent.
    #[error("{}", of.says(*limit))]
    Overloaded {
        /// The number that may be in flight, or in use.
        limit: usize,
        /// Calls or connections.
        of: Bound,
    },
    /// No reply in time. The server may have executed the command, or may do so later.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// The connection broke before a byte of the command was given to it. Not sent.
    #[error("connection lost before this was sent: {0}")]
    Unsent(Arc<io::Error>),
    /// The connection broke after the command was handed over. The server may have executed it.
    #[error("connection lost: {0}")]
    Disconnected(Arc<io::Error>),
    /// A reply would have taken more memory than the node permits. The reply was not read, and the connection
    /// was closed. The server has executed a single command; of a pipeline, it has executed the commands up
    /// to that reply.
    #[error(
        "a reply takes more than {limit} bytes, which is the most that this node takes; ask for less at once, or raise \
         `max_reply`"
    )]
    ReplyTooLarge {
        /// The number of bytes that a reply may take.
        limit: usize,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Server(ServerError),
    /// The server refused `MULTI`, so the commands of a block ran one by one. The server may have executed
    /// the command, but not together with the others.
    #[error("`MULTI` was refused, so the commands ran one by one, not as a block: {0}")]
    NotAtomic(ServerError),
    /// The cursor of a [scan](crate::Scan) says nothing to the server process that answers: the server was restarted or
    /// replaced, or the cursor is of other servers. Not sent.
    #[error(
        "the cursor is of another process of the server, or of other servers, which keep their keys in another order; start \
         the scan anew, with `ScanCursor::default()`"
    )]
    StaleCursor,
    /// Other clients changed the keys that a transaction watched, in each of its attempts. Not executed.
    #[error("keys that it watched were changed by others, in each of {attempts} attempts")]
    Conflict {
        /// The number of attempts.
        attempts: u32,
    },
    /// The reply is not of the type that was asked for; the command has been executed.
    #[error("the reply has another type: {0}")]
    Reply(RedisError),
    /// The command cannot be run like this; the text says why and what to do. Not sent.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
}

/// The limits of a node that [`Overloaded`](ErrorKind::Overloaded) tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// Calls in flight on the shared connection: `max_in_flight`.
    InFlight,
    /// Bytes that wait to be written to the server on the shared connection, which reads more slowly than it is sent to.
    Unwritten,
    /// Dedicated connections: `max_dedicated`. Blocking calls, transactions and
    /// [`dedicated`](crate::Node::dedicated) share them.
    Dedicated,
}

impl Bound {
    fn says(self, limit: usize) -> String {
        match self {
            Self::InFlight => format!(
                "{limit} calls are under way already, which is the most this node takes; send less at once, or raise \
                 `max_in_flight`"
            ),
            Self::Unwritten => format!(
                "{limit} bytes or more have waited to be written to the server for as long as this call could wait; send less \
                 at once, or give the server more room"
            ),
            Self::Dedicated => format!(
                "all {limit} dedicated connections are in use, which blocking calls and transactions share; drop one, or raise \
                 `max_dedicated`"
            ),
        }
    }
}

/// The knowledge about the execution of a command that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The command was never handed to a connection.
    NotSent,
    /// The server answered with an error that proves that it did not execute the command.
    Rejected,
    /// The server may have executed the command or a part of it, or may do so later.
    Unknown,
    /// The server executed the command; the reply is not of the type that was asked for.
    Answered,
}

impl Error {
    /// Makes the error of a command on a node.
    #[cold]
    pub fn new(node: Arc<str>, command: impl Into<Cow<'static, str>>, kind: impl Into<ErrorKind>) -> Self {
        Self::made(Some(node), command.into(), kind.into())
    }

    /// Makes the error of a command that failed before a node was chosen, or on no node in particular.
    #[cold]
    pub fn without_node(command: impl Into<Cow<'static, str>>, kind: impl Into<ErrorKind>) -> Self {
        Self::made(None, command.into(), kind.into())
    }

    fn made(node: Option<Arc<str>>, command: Cow<'static, str>, kind: ErrorKind) -> Self {
        let kind = match kind {
            ErrorKind::Server(reply) if has_passwords(&command) => ErrorKind::Server(reply.hushed()),
            kind => kind,
        };
        Self { inner: Box::new(Inner { node, command, kind }) }
    }

    /// The name of the node; `None` where no node was asked, or no single one is at fault.
    pub fn node(&self) -> Option<&str> {
        self.inner.node.as_deref()
    }

    /// The name of the command, as on the wire; empty for a command without a name.
    pub fn command(&self) -> &str {
        &self.inner.command
    }

    /// The reason.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// The code of the server's error reply, `WRONGTYPE` for example; `None` if it is not one.
    pub fn code(&self) -> Option<&str> {
        match self.kind() {
            ErrorKind::Server(error) | ErrorKind::NotAtomic(error) => Some(&error.code),
            _ => None,
        }
    }

    /// Returns whether time ran out, in connecting or in waiting for the reply.
    pub fn is_timeout(&self) -> bool {
        self.root().is_timeout()
    }

    /// Returns whether there was no connection to send the command on: refused, not in time, not let in,
    /// down, lost before, or to another server process than the command is meant for.
    pub fn is_connect(&self) -> bool {
        self.kind().is_connect()
    }

    /// Returns whether user or password is wrong or missing.
    pub fn is_auth(&self) -> bool {
        matches!(self.root(), ErrorKind::Auth(_))
    }

    /// Returns whether the configuration, not the state of the server, is to blame: waiting does not help.
    pub fn is_config(&self) -> bool {
        matches!(
            self.root(),
            ErrorKind::Config(_) | ErrorKind::Auth(_) | ErrorKind::NotRedis(_) | ErrorKind::Tls(_)
        )
    }

    /// Returns whether this machine, not the server, is at fault: this process, or the whole system, has no
    /// file descriptors left for another connection.
    pub fn is_local(&self) -> bool {
        self.root().is_local()
    }

    /// Returns whether the command cannot be run like this.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unsupported(_))
    }

    /// Returns whether a scan has to be started anew: its server was restarted or replaced, or its cursor is of other servers.
    pub fn is_stale_cursor(&self) -> bool {
        matches!(self.kind(), ErrorKind::StaleCursor)
    }

    /// Returns whether the server may have executed the command, or may do so later.
    ///
    /// `false` is a proof: it was not sent, or was rejected. A failed script or transaction counts as
    /// executed, for what it did before it failed stays.
    pub fn may_have_executed(&self) -> bool {
        matches!(self.outcome(), Outcome::Unknown | Outcome::Answered)
    }

    /// The knowledge about the execution of the command.
    pub fn outcome(&self) -> Outcome {
        match self.kind() {
            ErrorKind::Timeout(_)
            | ErrorKind::Disconnected(_)
            | ErrorKind::ReplyTooLarge { .. }
            | ErrorKind::NotAtomic(_) => Outcome::Unknown,
            ErrorKind::Reply(_) => Outcome::Answered,
            ErrorKind::Server(error) if !error.proves_that_nothing_ran(self.command()) => Outcome::Unknown,
            ErrorKind::Server(_) | ErrorKind::Conflict { .. } => Outcome::Rejected,
            ErrorKind::Config(_)
            | ErrorKind::Connect(_)
            | ErrorKind::ConnectTimeout(_)
            | ErrorKind::Tls(_)
            | ErrorKind::Auth(_)
            | ErrorKind::Credentials(_)
            | ErrorKind::NotRedis(_)
            | ErrorKind::Down { .. }
            | ErrorKind::Unsent(_)
            | ErrorKind::Fenced
            | ErrorKind::Overloaded { .. }
            | ErrorKind::StaleCursor
            | ErrorKind::Unsupported(_) => Outcome::NotSent,
        }
    }

    /// Returns the cause and what became of the command, without the names of the node and the command.
    pub fn reason(&self) -> impl fmt::Display + '_ {
        Reason(self)
    }

    /// Returns whether the command was never handed to a connection.
    pub fn is_not_sent(&self) -> bool {
        self.outcome() == Outcome::NotSent
    }

    /// Returns whether so many calls are under way on the node, or so many connections of their own in use,
    /// that it takes no more.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind(), ErrorKind::Overloaded { .. })
    }

    /// Returns whether the server takes no writes at present, but answers reads: it has no memory left,
    /// cannot save, is a replica, or has too few.
    pub fn refuses_writes(&self) -> bool {
        let refuses = |code: &str| matches!(code, "OOM" | "MISCONF" | "READONLY" | "NOREPLICAS");
        match self.kind() {
            ErrorKind::Server(error) => refuses(&error.code) || error.cause.as_deref().is_some_and(refuses),
            _ => false,
        }
    }

    fn root(&self) -> &ErrorKind {
        match self.kind() {
            ErrorKind::Down { cause } => cause,
            kind => kind,
        }
    }
}

impl ErrorKind {
    /// The cause where a server ended a connection that nobody had asked it to end.
    pub(crate) fn hung_up() -> Self {
        let reason = "the server ended the connection";
        Self::Disconnected(Arc::new(io::Error::new(io::ErrorKind::ConnectionReset, reason)))
    }

    /// Returns whether this process, or the system, has no file descriptors left, which is not the server's
    /// fault.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Connect(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)))
    }

    fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout(_) | Self::Timeout(_))
    }

    fn is_connect(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::ConnectTimeout(_)
                | Self::Tls(_)
                | Self::Auth(_)
                | Self::Credentials(_)
                | Self::NotRedis(_)
                | Self::Down { .. }
                | Self::Unsent(_)
                | Self::Fenced
        )
    }
}

/// Returns whether a stream broke by what TLS says. A server that wants a client certificate says so only when the
/// client takes the connection for made.
#[cfg(feature = "tls")]
pub(crate) fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<rustls::Error>())
}

#[cfg(not(feature = "tls"))]
pub(crate) fn is_of_tls(_error: &io::Error) -> bool {
    false
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = self.node() {
            write!(f, "node `{node}`: ")?;
        }
        if !self.command().is_empty() {
            write!(f, "`{}`: ", foreign::word(self.command()))?;
        }
        self.reason().fmt(f)
    }
}

struct Reason<'a>(&'a Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.kind();
        kind.fmt(f)?;
        // From the one value that `may_have_executed` goes by.
        f.write_str(match (self.0.outcome(), kind) {
            (Outcome::NotSent | Outcome::Rejected, _) => "",
            (Outcome::Answered, _) => "; the command was answered, so it may have been executed",
            (Outcome::Unknown, ErrorKind::Server(_) | ErrorKind::NotAtomic(_)) => {
                "; the command, or a part of it, may have been executed"
            }
            (Outcome::Unknown, ErrorKind::ReplyTooLarge { .. }) => "; the command may have been executed",
            (Outcome::Unknown, _) => "; the command may have been executed, or may still be",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("node", &self.node())
            .field("command", &foreign::word(self.command()))
            .field("kind", self.kind())
            .finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_not_connected_to_whatever_the_cause() {
        let cause = Arc::new(ErrorKind::Timeout(Duration::from_secs(1)));
        let error = Error::new("a".into(), "GET", ErrorKind::Down { cause });
        assert!(error.is_connect() && error.is_timeout() && error.is_not_sent());
    }

    #[test]
    fn a_want_of_file_descriptors_is_local_also_as_a_cause() {
        let refused = |code| ErrorKind::Connect(Arc::new(io::Error::from_raw_os_error(code)));
        for (code, is_local) in [(libc::EMFILE, true), (libc::ENFILE, true), (libc::ECONNREFUSED, false)] {
            let down = ErrorKind::Down { cause: Arc::new(refused(code)) };
            for kind in [refused(code), down] {
                let error = Error::new("a".into(), "GET", kind);
                assert_eq!(error.is_local(), is_local, "{error}");
            }
        }
    }

    #[test]
    fn every_kind_says_whether_there_was_a_connection_and_what_became_of_the_command() {
        let io = || Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
        let (second, text) = (Duration::from_secs(1), || "text".to_owned());
        let other_type = redis::from_redis_value::<u8>(redis::Value::Nil).unwrap_err();
        for (kind, is_connect, outcome) in [
            (ErrorKind::Config(ConfigError::NoPath), false, Outcome::NotSent),
            (ErrorKind::Connect(io()), true, Outcome::NotSent),
            (ErrorKind::ConnectTimeout(second), true, Outcome::NotSent),
            (ErrorKind::Tls(io()), true, Outcome::NotSent),
            (ErrorKind::Auth(text()), true, Outcome::NotSent),
            (ErrorKind::NotRedis(text()), true, Outcome::NotSent),
            (ErrorKind::Down { cause: Arc::new(ErrorKind::Connect(io())) }, true, Outcome::NotSent),
            (ErrorKind::Fenced, true, Outcome::NotSent),
            (ErrorKind::Overloaded { limit: 1, of: Bound::InFlight }, false, Outcome::NotSent),
            (ErrorKind::Overloaded { limit: 1, of: Bound::Dedicated }, false, Outcome::NotSent),
            (ErrorKind::Timeout(second), false, Outcome::Unknown),
            (ErrorKind::Unsent(io()), true, Outcome::NotSent),
            (ErrorKind::Disconnected(io()), false, Outcome::Unknown),
            (ErrorKind::ReplyTooLarge { limit: 1 }, false, Outcome::Unknown),
            (ErrorKind::Server(ServerError::new("ERR", "text")), false, Outcome::Rejected),
            (ErrorKind::NotAtomic(ServerError::new("NOPERM", "text")), false, Outcome::Unknown),
            (ErrorKind::Conflict { attempts: 1 }, false, Outcome::Rejected),
            (ErrorKind::Reply(other_type.into()), false, Outcome::Answered),
            (ErrorKind::StaleCursor, false, Outcome::NotSent),
            (ErrorKind::Unsupported(text().into()), false, Outcome::NotSent),
        ] {
            let error = Error::new("a".into(), "GET", kind);
            assert_eq!((error.is_connect(), error.outcome()), (is_connect, outcome), "{error}");
            // Also where it is the cause of another call's error, or that of a program.
            let down = ErrorKind::Down { cause: Arc::new(error.kind().clone()) };
            let program = Error::new("a".into(), "EVALSHA", error.kind().clone());
            for error in [&error, &Error::new("a".into(), "GET", down), &program] {
                let text = error.to_string();
                let says = text.contains("may have been executed") || text.contains("may still be");
                assert_eq!(says, error.may_have_executed(), "{text}");
                assert!(error.is_not_sent() || !text.contains("not sent"), "{text}");
            }
        }
    }

    #[test]
    fn what_a_server_says_acts_on_no_terminal_and_takes_little_room() {
        let long = "A\u{1b}[2J\n".repeat(1 << 19);
        let error = Error::new("a".into(), long.clone(), ErrorKind::Server(ServerError::new(&long, &long)));
        for shown in [error.to_string(), format!("{error:?}"), error.reason().to_string()] {
            assert!(shown.len() < 1000 && !shown.contains(['\u{1b}', '\n']), "{}", shown.len());
        }
    }

    #[test]
    fn the_text_names_the_node_and_the_command_if_there_are_any() {
        let says = |error: Error| (error.node().map(str::to_owned), error.to_string());
        let kind = || ErrorKind::Unsupported("no".into());
        let of_a = |text: &str| (Some("a".to_owned()), text.to_owned());
        assert_eq!(says(Error::new("a".into(), "GET", kind())), of_a("node `a`: `GET`: no"));
        assert_eq!(says(Error::new("a".into(), "", kind())), of_a("node `a`: no"));
        assert_eq!(says(Error::without_node("GET", kind())), (None, "`GET`: no".to_owned()));
        assert_eq!(says(Error::without_node("", kind())), (None, "no".to_owned()));
    }
}

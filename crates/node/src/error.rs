//! What may go wrong with one server.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;

use crate::config::ConfigError;
use crate::foreign;

/// What went wrong, on which server, with which command.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    node: Arc<str>,
    command: Cow<'static, str>,
    kind: ErrorKind,
}

/// What went wrong with a command on one server. Its text says nothing of the command: what became of that, the
/// [`Error`] says, for the same may be the cause of another one.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is wrong. Not sent.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No connection could be made: refused, unreachable, name not found. Not sent.
    #[error("no connection: {0}")]
    Connect(#[source] Arc<io::Error>),
    /// No connection could be made in time, handshake included. Not sent.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// TLS could not be agreed on. Not sent.
    #[error("no TLS connection: {0}; is it a TLS port, and is its certificate known here?")]
    Tls(#[source] Arc<io::Error>),
    /// User or password was refused, or is missing. Not sent.
    #[error("not let in: {0}; check user and password in the node's URL")]
    Auth(String),
    /// The server does not talk as Redis does. Not sent.
    #[error("this is not a Redis server: {0}")]
    NotRedis(String),
    /// The server could not be reached just before, and is left alone until the next attempt. Not sent.
    #[error("down: {cause}")]
    Down {
        /// What the last attempt to connect ended in.
        cause: Arc<ErrorKind>,
    },
    /// Another server process answers than the one that the call is meant for; see [`Admission`](crate::Admission).
    /// Not sent.
    #[error(
        "another server process answers here than is known to be this node; nothing is sent to it before it has been \
         looked at; if that stays so, check the node's URL"
    )]
    NotAdmitted,
    /// So many calls are under way on this node already, or so many connections of their own in use, that no more are
    /// taken. Not sent.
    #[error("{}", of.says(*limit))]
    Overloaded {
        /// How many may be under way, or in use.
        limit: usize,
        /// Of what.
        of: Bound,
    },
    /// No reply in time. The server may have executed the command, or may do so later.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// The connection broke after the command was handed over. The server may have executed it.
    #[error("connection lost: {0}")]
    Disconnected(#[source] Arc<io::Error>),
    /// A reply would have taken more memory than this node takes, and was not read. It ended the connection. The server may
    /// have executed the command: of a single one that is certain, of a pipeline only up to that reply.
    #[error(
        "a reply takes more than {limit} bytes, which is the most that this node takes; ask for less at once, or raise \
         `max_reply`"
    )]
    ReplyTooLarge {
        /// How many bytes a reply may take.
        limit: usize,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Server(ServerError),
    /// `MULTI` was refused, so the commands of a block ran one by one: the server may have executed the command, though not
    /// together with the others.
    #[error("`MULTI` was refused, so the commands ran one by one, not as a block: {0}")]
    NotAtomic(ServerError),
    /// Keys that a transaction watched were changed by others, in each of its attempts. Not executed.
    #[error("keys that it watched were changed by others, in each of {attempts} attempts")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },
    /// The reply is not of the type that was asked for; the command has been executed.
    #[error("the reply has another type: {0}")]
    Reply(#[source] RedisError),
    /// The command cannot be run like this; the text says why and what to do. Not sent.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
}

/// Of what a node takes so many at a time only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// Calls under way on the shared connection: `max_in_flight`.
    InFlight,
    /// Connections of one's own: `max_owned`. What blocks, transactions and [`owned`](crate::Node::owned) share them.
    Owned,
}

impl Bound {
    fn says(self, limit: usize) -> String {
        match self {
            Self::InFlight => format!(
                "{limit} calls are under way already, which is the most this node takes; send less at once, or raise \
                 `max_in_flight`"
            ),
            Self::Owned => format!(
                "all {limit} owned connections are in use, which blocking calls and transactions share; drop one, or raise \
                 `max_owned`"
            ),
        }
    }
}

/// What is known of an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was never handed to a connection.
    NotSent,
    /// The server answered with an error that proves that it did not execute it.
    Rejected,
    /// It may have been executed, in part even, or may still be.
    Unknown,
    /// It was executed; its reply is not of the type that was asked for.
    Answered,
}

/// An error reply.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The first word of the reply: `WRONGTYPE`, `OOM`, `ERR`.
    pub code: String,
    /// The rest of it for people: control characters escaped, cut after 256 bytes. Of a command that has passwords among its
    /// words, such as `ACL SETUSER` or `CONFIG SET`, it is not shown.
    pub message: String,
    /// Where a `MULTI` block was discarded, the code of the error that it was discarded for, if that is known: `OOM`. Nothing
    /// of the block was executed.
    pub cause: Option<String>,
    /// The rest of it as it came, where that is something else.
    pub(crate) verbatim: Option<Arc<String>>,
}

/// What servers say of a user and a password without quoting any.
const WORDS_ON_USERS: [&str; 5] = [
    "invalid username-password pair or user is disabled.",
    "invalid username-password pair",
    "Authentication required.",
    "Client sent AUTH, but no password is set",
    "max number of clients reached",
];
/// With which codes they answer such a command.
const CODES: [&str; 12] = [
    "ERR",
    "WRONGPASS",
    "NOAUTH",
    "NOPERM",
    "NOPROTO",
    "DENIED",
    "LOADING",
    "BUSY",
    "MASTERDOWN",
    "READONLY",
    "OOM",
    "IOERR",
];
const HUSHED: &str =
    "(what the server says may quote a password and is not shown; `ServerError::details` has it)";

/// Commands that have passwords among their words, so that an error reply may quote one.
fn has_passwords(command: &str) -> bool {
    const COMMANDS: [&str; 7] =
        ["AUTH", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE", "SENTINEL SET", "SENTINEL CONFIG SET"];
    COMMANDS.contains(&command)
}

impl ServerError {
    pub(crate) fn new(code: &str, details: &str) -> Self {
        let kept = foreign::text(details);
        // What `EXEC` itself is refused for stands in its reply.
        let cause = kept.strip_prefix("Transaction discarded because of: ").filter(|_| code == "EXECABORT");
        let cause = cause.and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        let verbatim = (kept != details).then(|| Arc::new(details.to_owned()));
        Self { code: foreign::word(code), message: kept, cause, verbatim }
    }

    /// The same without what the server said, which may quote a password: it answers a command that has one.
    pub(crate) fn hushed(self) -> Self {
        if WORDS_ON_USERS.iter().any(|words| self.message == *words) {
            return self;
        }
        let verbatim = Some(Arc::new(self.details().to_owned()));
        // What is no code is the beginning of what it says.
        let code = if CODES.contains(&self.code.as_str()) { self.code } else { "ERR".to_owned() };
        Self { code, message: HUSHED.to_owned(), verbatim, ..self }
    }

    /// A block that was discarded, with the first of its commands that was refused.
    pub(crate) fn because_of(self, names: &[Cow<'_, str>], refused: &[Option<Self>]) -> Self {
        let mut blamed =
            names.iter().zip(refused).filter_map(|(name, refused)| Some((name, refused.as_ref()?)));
        let Some((name, refused)) = blamed.next() else { return self };
        let message = format!("{}: `{name}`: {refused}", self.message.trim_end_matches('.'));
        Self { cause: Some(refused.code.clone()), ..Self::new(&self.code, &message) }
    }

    /// What the server said after the code, as it said it: of any length, and with any character. Log the `message` instead.
    pub fn details(&self) -> &str {
        self.verbatim.as_deref().unwrap_or(&self.message)
    }

    /// Returns whether it proves that nothing was executed.
    ///
    /// A script or a function may answer with any error after it has written, also in the server's words (`LOADING`, `BUSY`), and
    /// so proves nothing, but for the server's own about a script that it does not know. A block is answered for by the server
    /// alone. What a server does at another one (`MIGRATE`) may be done though it was not told so (`IOERR`).
    fn proves_that_nothing_ran(&self, command: &str) -> bool {
        let code = self.code.as_str();
        let is = |name: &str| command.starts_with(name);
        match () {
            () if is("EVALSHA") => self.is_unknown_script(),
            () if is("EVAL") || is("FCALL") => false,
            () if is("EXEC") => matches!(code, "EXECABORT" | "LOADING" | "BUSY" | "NOAUTH"),
            () => code != "IOERR",
        }
    }

    /// A script that runs may answer with the same code, though not with the server's text.
    pub(crate) fn is_unknown_script(&self) -> bool {
        self.code == "NOSCRIPT" && self.message.starts_with("No matching script")
    }

    pub(crate) fn is_auth(&self) -> bool {
        matches!(self.code.as_str(), "NOAUTH" | "WRONGPASS")
            || self.message.contains("AUTH") && self.message.contains("password")
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ServerError");
        debug.field("code", &self.code).field("message", &self.message).finish_non_exhaustive()
    }
}

impl Error {
    /// An error of a command on a node.
    #[cold]
    pub fn new(node: Arc<str>, command: impl Into<Cow<'static, str>>, kind: impl Into<ErrorKind>) -> Self {
        let command = command.into();
        let kind = match kind.into() {
            ErrorKind::Server(reply) if has_passwords(&command) => ErrorKind::Server(reply.hushed()),
            kind => kind,
        };
        Self { inner: Box::new(Inner { node, command, kind }) }
    }

    /// The name of the node.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// The name of the command, as on the wire.
    pub fn command(&self) -> &str {
        &self.inner.command
    }

    /// What went wrong.
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

    /// Returns whether there was no connection to send the command on: refused, not in time, not let in, down, or one to
    /// another server process than the command is meant for.
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

    /// Returns whether the command cannot be run like this.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unsupported(_))
    }

    /// Returns whether the server may have executed the command, or may do so later.
    ///
    /// `false` is a proof: it was not sent, or was rejected. A failed script or transaction counts as executed, for
    /// what it did before it failed stays.
    pub fn may_have_executed(&self) -> bool {
        matches!(self.outcome(), Outcome::Unknown | Outcome::Answered)
    }

    /// What is known of the attempt.
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
            | ErrorKind::NotRedis(_)
            | ErrorKind::Down { .. }
            | ErrorKind::NotAdmitted
            | ErrorKind::Overloaded { .. }
            | ErrorKind::Unsupported(_) => Outcome::NotSent,
        }
    }

    /// Why, and what became of the command, without the names of the node and the command.
    pub fn reason(&self) -> impl fmt::Display + '_ {
        Reason(self)
    }

    /// Returns whether the command was never handed to a connection.
    pub fn is_not_sent(&self) -> bool {
        self.outcome() == Outcome::NotSent
    }

    /// Returns whether so many calls are under way on the node, or so many connections of their own in use, that it takes no
    /// more.
    pub fn is_overloaded(&self) -> bool {
        matches!(self.kind(), ErrorKind::Overloaded { .. })
    }

    /// Returns whether the server takes no writes at present, but answers reads: it has no memory left, cannot save, is
    /// a replica, or has too few.
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
                | Self::NotRedis(_)
                | Self::Down { .. }
                | Self::NotAdmitted
        )
    }
}

/// The I/O error that redis-rs wraps, if it is one.
pub(crate) fn io_error(error: &RedisError) -> Option<&io::Error> {
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    let source = std::error::Error::source(error)?;
    // It gives the `Arc` it holds it in for the source.
    source.downcast_ref::<Shared>().map_or_else(|| source.downcast_ref(), |shared| shared.downcast_ref())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node `{}`: `{}`: {}", self.node(), foreign::word(self.command()), self.reason())
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.kind())
    }
}

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
            (ErrorKind::NotAdmitted, true, Outcome::NotSent),
            (ErrorKind::Overloaded { limit: 1, of: Bound::InFlight }, false, Outcome::NotSent),
            (ErrorKind::Overloaded { limit: 1, of: Bound::Owned }, false, Outcome::NotSent),
            (ErrorKind::Timeout(second), false, Outcome::Unknown),
            (ErrorKind::Disconnected(io()), false, Outcome::Unknown),
            (ErrorKind::ReplyTooLarge { limit: 1 }, false, Outcome::Unknown),
            (ErrorKind::Server(ServerError::new("ERR", "text")), false, Outcome::Rejected),
            (ErrorKind::NotAtomic(ServerError::new("NOPERM", "text")), false, Outcome::Unknown),
            (ErrorKind::Conflict { attempts: 1 }, false, Outcome::Rejected),
            (ErrorKind::Reply(other_type.into()), false, Outcome::Answered),
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
    fn an_error_reply_is_a_proof_only_where_nobody_else_could_have_given_it() {
        let unknown = ("NOSCRIPT", "No matching script. Please use EVAL.");
        let (loading, busy) = (("LOADING", "Redis is loading the dataset in memory"), ("BUSY", "text"));
        let forged =
            [loading, busy, ("NOAUTH", "text"), ("EXECABORT", "text"), ("NOSCRIPT", "mine"), ("ERR", "text")];
        for command in ["EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "FCALL", "FCALL_RO"] {
            for (code, message) in forged {
                let error =
                    Error::new("a".into(), command, ErrorKind::Server(ServerError::new(code, message)));
                assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
            }
        }
        for (command, (code, message), expected) in [
            ("EVALSHA", unknown, Outcome::Rejected),
            ("EVAL", unknown, Outcome::Unknown),
            ("EXEC", loading, Outcome::Rejected),
            ("EXEC", ("ERR", "text"), Outcome::Unknown),
            ("SET", loading, Outcome::Rejected),
            ("SET", busy, Outcome::Rejected),
            ("MIGRATE", ("IOERR", "error or timeout reading to target instance"), Outcome::Unknown),
        ] {
            let error = Error::new("a".into(), command, ErrorKind::Server(ServerError::new(code, message)));
            assert_eq!(error.outcome(), expected, "{error}");
        }
    }

    #[test]
    fn an_error_reply_to_a_command_with_a_password_is_not_shown() {
        for command in ["AUTH", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE", "SENTINEL SET"] {
            let said = "Invalid argument 'hunter2' for CONFIG SET 'requirepass'";
            let error = Error::new("a".into(), command, ErrorKind::Server(ServerError::new("ERR", said)));
            let shown = format!("{error} {error:?} {}", error.reason());
            assert!(!shown.contains("hunter2") && shown.contains("ERR"), "{shown}");
            let ErrorKind::Server(reply) = error.kind() else { panic!("{error:?}") };
            assert_eq!(reply.details(), said);
        }
        let harmless = ServerError::new("WRONGPASS", "invalid username-password pair or user is disabled.");
        assert_eq!(harmless.clone().hushed(), harmless);
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
    fn the_kind_of_an_io_error_of_redis_rs_is_found() {
        let error = RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(io_error(&error).map(io::Error::kind), Some(io::ErrorKind::BrokenPipe));
        assert!(io_error(&RedisError::from((redis::ErrorKind::Client, "not one"))).is_none());
    }
}

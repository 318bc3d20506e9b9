//! Error replies, and what of them may be shown.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::config::NodeConfig;
use crate::error::foreign;

/// An error reply.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerError {
    /// The first word of the reply: `WRONGTYPE`, `OOM`. `ERR` in place of a word that may be a password.
    pub code: String,
    /// The rest of it for people: control characters escaped, cut after 256 bytes. It is not shown if a password
    /// of the node is in it, or if the command has passwords among its words, such as `ACL SETUSER` or `CONFIG
    /// SET`.
    pub message: String,
    /// Of a `MULTI` block that was discarded, the code of the error that it was discarded for, if that is
    /// known: `OOM`. Nothing of the block was executed.
    pub cause: Option<String>,
    /// The rest of it as it came, where that is something else.
    pub(crate) verbatim: Option<Arc<String>>,
    /// True if the text had a password of the node in it.
    pub(crate) is_withheld: bool,
}

/// The texts with which servers refuse such a command without quoting anything.
const HARMLESS: [&str; 7] = [
    "invalid username-password pair or user is disabled.",
    "invalid username-password pair",
    "Authentication required.",
    "Client sent AUTH, but no password is set",
    "max number of clients reached",
    "Target instance replied with error: NOAUTH Authentication required.",
    "Target instance replied with error: BUSYKEY Target key name already exists.",
];
/// The codes that such a command may be answered with.
const CODES: [&str; 14] = [
    "BUSY",
    "BUSYKEY",
    "CLUSTERDOWN",
    "DENIED",
    "IOERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOPROTO",
    "OOM",
    "READONLY",
    "WRONGPASS",
];
/// Other codes of Redis, which are no password either, whatever the password is.
const USUAL_CODES: [&str; 16] = [
    "ASK",
    "BUSYGROUP",
    "CROSSSLOT",
    "ERR",
    "EXECABORT",
    "INPROG",
    "MOVED",
    "NOGOODSLAVE",
    "NOGROUP",
    "NOREPLICAS",
    "NOSCRIPT",
    "NOTBUSY",
    "TRYAGAIN",
    "UNBLOCKED",
    "UNKILLABLE",
    "WRONGTYPE",
];
const HUSHED: &str =
    "(what the server says may quote a password and is not shown; `ServerError::details` has it)";

/// Commands that have passwords among their words, so that an error reply may quote one.
pub(super) fn has_passwords(command: &str) -> bool {
    const COMMANDS: [&str; 7] =
        ["AUTH", "HELLO", "ACL SETUSER", "CONFIG SET", "MIGRATE", "SENTINEL SET", "SENTINEL CONFIG SET"];
    COMMANDS.contains(&command)
}

fn is_code(word: &str) -> bool {
    CODES.contains(&word) || USUAL_CODES.contains(&word)
}

/// A text without what servers say to everybody: a password that is a part of that is not repeated by it.
pub(super) fn without_usual_words(text: &str) -> String {
    let rest = HARMLESS.iter().fold(text.to_owned(), |rest, words| rest.replace(words, ""));
    rest.split(' ').filter(|word| !is_code(word)).collect::<Vec<_>>().join(" ")
}

impl ServerError {
    pub(crate) fn new(code: &str, details: &str) -> Self {
        let kept = foreign::text(details);
        // The reason why `EXEC` itself is refused stands in its reply.
        let cause = kept.strip_prefix("Transaction discarded because of: ").filter(|_| code == "EXECABORT");
        let cause = cause.and_then(|rest| rest.split(' ').next()).map(str::to_owned);
        let verbatim = (kept != details).then(|| Arc::new(details.to_owned()));
        Self { code: foreign::word(code), message: kept, cause, verbatim, is_withheld: false }
    }

    /// The same without what the server said, which may quote a password: it answers a command that has one.
    pub(crate) fn hushed(self) -> Self {
        if HARMLESS.iter().any(|words| self.message == *words) {
            return self;
        }
        let verbatim = Some(Arc::new(self.details().to_owned()));
        // A first word that is no code is the beginning of the text, which may be the password.
        let is_code = CODES.contains(&self.code.as_str());
        let code = if is_code { self.code } else { "ERR".to_owned() };
        Self { code, message: HUSHED.to_owned(), verbatim, ..self }
    }

    /// The same without what the server said, if a password of the node is in it.
    pub(crate) fn without_secrets(self, of: &NodeConfig) -> Self {
        let (code, cause) = (self.code.as_str(), self.cause.as_deref());
        let is_repeated = |word: &str| !is_code(word) && of.has_secret(word);
        // A password may have a space in it.
        let is_said = of.has_secret(&without_usual_words(&format!("{code} {}", self.details())));
        if self.is_withheld || !is_said && !cause.is_some_and(is_repeated) {
            return self;
        }
        let kept = |word: &str| if is_code(word) { word.to_owned() } else { "ERR".to_owned() };
        let message = format!(
            "({} bytes with a password of this node in them are not shown; `ServerError::details` has them)",
            self.details().len()
        );
        let verbatim = Some(Arc::new(self.details().to_owned()));
        Self { code: kept(code), message, cause: cause.map(kept), verbatim, is_withheld: true }
    }

    /// A block that was discarded, with the first of its commands that was refused.
    pub(crate) fn because_of(self, names: &[Cow<'_, str>], refused: &[Option<Self>]) -> Self {
        let mut blamed =
            names.iter().zip(refused).filter_map(|(name, refused)| Some((name, refused.as_ref()?)));
        let Some((name, refused)) = blamed.next() else { return self };
        let message = format!("{}: `{name}`: {refused}", self.message.trim_end_matches('.'));
        Self { cause: Some(refused.code.clone()), ..Self::new(&self.code, &message) }
    }

    /// The server's text after the code, unchanged: of any length, and with any character. Log the `message`
    /// instead.
    pub fn details(&self) -> &str {
        self.verbatim.as_deref().unwrap_or(&self.message)
    }

    /// The [details](Self::details), but for those with a password of the node in them: then the message.
    #[doc(hidden)]
    pub fn open_details(&self) -> &str {
        if self.is_withheld { &self.message } else { self.details() }
    }

    /// Returns whether it proves that nothing was executed.
    ///
    /// A script or a function may answer with any error after it has written, also in the server's words
    /// (`LOADING`, `BUSY`). Such an error proves nothing, except the server's own about a script that it does
    /// not know. A block is answered for by the server alone. A command that acts on another server
    /// (`MIGRATE`) may be done although the reply is `IOERR`.
    pub(super) fn proves_that_nothing_ran(&self, command: &str) -> bool {
        let code = self.code.as_str();
        let is = |name: &str| command.starts_with(name);
        match () {
            () if is("EVALSHA") => self.is_unknown_script(),
            () if is("EVAL") || is("FCALL") => false,
            () if is("EXEC") => matches!(code, "EXECABORT" | "LOADING" | "BUSY" | "NOAUTH"),
            // Some of several keys may have gone before the other server said no.
            () if is("MIGRATE") => {
                matches!(code, "LOADING" | "BUSY" | "NOAUTH" | "NOPERM" | "READONLY" | "MISCONF")
            }
            () => code != "IOERR",
        }
    }

    /// A script that runs may answer with the same code, though not with the server's text.
    pub(crate) fn is_unknown_script(&self) -> bool {
        self.code == "NOSCRIPT" && self.details().starts_with("No matching script")
    }

    pub(crate) fn is_auth(&self) -> bool {
        matches!(self.code.as_str(), "NOAUTH" | "WRONGPASS")
            || self.details().contains("AUTH") && self.details().contains("password")
    }
}

impl From<&redis::ServerError> for ServerError {
    fn from(reply: &redis::ServerError) -> Self {
        Self::new(reply.code(), reply.details().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::error::ErrorKind;
    use crate::error::Outcome;

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
            ("MIGRATE", ("ERR", "Target instance replied with error: BUSYKEY"), Outcome::Unknown),
            ("MIGRATE", ("NOAUTH", "text"), Outcome::Rejected),
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
        // The first word may be the password, and look like a code.
        let repeated = ServerError::new("HUNTER", "is no command").hushed();
        assert_eq!((repeated.code.as_str(), repeated.details()), ("ERR", "is no command"));
        let harmless = ServerError::new("WRONGPASS", "invalid username-password pair or user is disabled.");
        assert_eq!(harmless.clone().hushed(), harmless);
    }
}

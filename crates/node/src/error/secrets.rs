//! Passwords in the texts of servers, which are not shown.
//!
//! A server was sent the password, and can repeat it in answer to anything. Each error of a node passes through here before
//! anybody sees it.

use std::io;
use std::sync::Arc;

use redis::RedisError;

use crate::config::NodeConfig;
use crate::error::ErrorKind;
use crate::error::server::without_usual_words;

/// The text that is shown in place of one that has a password in it. Of a short password hardly more than its place would be hidden
/// if it alone were taken out.
const UNTOLD: &str = "(what was said has a password of this node in it and is not shown)";

impl NodeConfig {
    /// Returns whether a text has a password of this node in it, that for its sentinels included.
    pub(crate) fn has_secret(&self, text: &str) -> bool {
        let passwords = [self.credentials().password(), self.sentinels().credentials.password()];
        let mut secrets = passwords.into_iter().flatten().filter(|password| !password.is_empty());
        secrets.any(|secret| text.contains(secret))
            || self.credentials_provider().is_some_and(|provider| provider.has_given(text))
    }
}

impl ErrorKind {
    /// The same, without what somebody else said with a password of this node in it.
    #[cold]
    pub(crate) fn without_secrets(self, of: &NodeConfig) -> Self {
        let quotes = |text: &str| of.has_secret(&without_usual_words(text));
        // The system's own errors, and ours, quote nobody.
        let io = |error: Arc<io::Error>| match is_quoting(&error) && quotes(&error.to_string()) {
            true => Arc::new(io::Error::new(error.kind(), UNTOLD)),
            false => error,
        };
        let text = |text: String| if quotes(&text) { UNTOLD.to_owned() } else { text };
        match self {
            Self::Server(reply) => Self::Server(reply.without_secrets(of)),
            Self::NotAtomic(reply) => Self::NotAtomic(reply.without_secrets(of)),
            Self::Auth(said) => Self::Auth(text(said)),
            Self::NotRedis(said) => Self::NotRedis(text(said)),
            Self::Credentials(said) => Self::Credentials(text(said)),
            Self::Connect(error) => Self::Connect(io(error)),
            Self::Tls(error) => Self::Tls(io(error)),
            Self::Unsent(error) => Self::Unsent(io(error)),
            Self::Disconnected(error) => Self::Disconnected(io(error)),
            Self::Reply(error) if quotes(&error.to_string()) => {
                Self::Reply(RedisError::from((error.kind(), UNTOLD)))
            }
            Self::Down { cause } if cause.is_quoting() => {
                Self::Down { cause: Arc::new(cause.as_ref().clone().without_secrets(of)) }
            }
            kind @ (Self::Reply(_)
            | Self::Down { .. }
            | Self::Config(_)
            | Self::ConnectTimeout(_)
            | Self::Fenced
            | Self::Overloaded { .. }
            | Self::Timeout(_)
            | Self::ReplyTooLarge { .. }
            | Self::Conflict { .. }
            | Self::StaleCursor
            | Self::Unsupported(_)) => kind,
        }
    }
}

impl ErrorKind {
    /// Returns whether the error may have text in it that came from elsewhere. The usual causes of calls that fail fast have not.
    fn is_quoting(&self) -> bool {
        match self {
            Self::Connect(error) | Self::Tls(error) | Self::Unsent(error) | Self::Disconnected(error) => {
                is_quoting(error)
            }
            Self::Server(_)
            | Self::NotAtomic(_)
            | Self::Auth(_)
            | Self::Credentials(_)
            | Self::NotRedis(_)
            | Self::Reply(_) => true,
            _ => false,
        }
    }
}

/// Returns whether an error may have text in it that came from elsewhere: bytes that are no reply, the names in a certificate.
fn is_quoting(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServerError;

    fn config() -> NodeConfig {
        NodeConfig::new("redis+sentinel://ann:hunter2@h/my?sentinel_password=hush").unwrap()
    }

    #[test]
    fn a_password_that_was_repeated_is_shown_by_no_kind_of_error() {
        let invalid = |text: &str| Arc::new(io::Error::new(io::ErrorKind::InvalidData, text));
        for secret in ["hunter2", "hush"] {
            let said = format!("what is {secret}?");
            let reply = || ServerError::new("ERR", &said);
            let kinds = [
                ErrorKind::Server(reply()),
                ErrorKind::Server(ServerError::new(secret, "?")),
                ErrorKind::Server(ServerError::new("ERR", &format!("{}{secret}", " ".repeat(253)))),
                ErrorKind::Server(ServerError {
                    cause: Some(secret.to_owned()),
                    ..ServerError::new("ERR", "")
                }),
                ErrorKind::NotAtomic(reply()),
                ErrorKind::Auth(said.clone()),
                ErrorKind::NotRedis(said.clone()),
                ErrorKind::Connect(invalid(&said)),
                ErrorKind::Tls(invalid(&said)),
                ErrorKind::Unsent(invalid(&said)),
                ErrorKind::Disconnected(invalid(&said)),
                ErrorKind::Credentials(said.clone()),
                ErrorKind::Reply((redis::ErrorKind::UnexpectedReturnType, "no", said.clone()).into()),
            ];
            for kind in kinds {
                let down = ErrorKind::Down { cause: Arc::new(kind.clone()) };
                for kind in [kind, down] {
                    let kind = kind.without_secrets(&config());
                    let shown = format!("{kind} {kind:?}");
                    assert!(!shown.contains(&secret[..3]), "{shown}");
                    assert!(shown.contains("not shown"), "{shown}");
                }
            }
        }
    }

    #[test]
    fn what_a_server_said_is_there_for_whoever_asks_for_it() {
        let kind = ErrorKind::Server(ServerError::new("ERR", "hunter2\n")).without_secrets(&config());
        let ErrorKind::Server(reply) = kind else { panic!("{kind:?}") };
        assert_eq!((reply.details(), reply.code.as_str()), ("hunter2\n", "ERR"));
        assert!(reply.message.contains("8 bytes"), "{reply}");
        // And is not hidden twice.
        assert_eq!(reply.clone().without_secrets(&config()), reply);
        assert_eq!(reply.clone().hushed().details(), "hunter2\n");
    }

    #[test]
    fn what_is_said_without_it_stays_and_so_does_what_servers_say_to_everybody() {
        let of = |url: &str, kind: &ErrorKind| {
            let told = kind.clone().without_secrets(&NodeConfig::new(url).unwrap()).to_string();
            assert_eq!(told, kind.to_string(), "{url}");
        };
        let wrong = "invalid username-password pair or user is disabled.";
        let refused = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        for url in ["redis://h", "redis://:@h", "redis://ann:@h", "redis://ann:password@h", "redis://:OOM@h"]
        {
            of(url, &ErrorKind::Server(ServerError::new("WRONGPASS", wrong)));
            of(url, &ErrorKind::Auth(format!("sentinel h:1: WRONGPASS {wrong}")));
            of(url, &ErrorKind::Server(ServerError::new("OOM", "what ann says")));
            of(url, &ErrorKind::NotRedis("x".to_owned()));
            of(url, &ErrorKind::Connect(Arc::clone(&refused)));
        }
        of("redis://:connection@h", &ErrorKind::hung_up());
    }
}

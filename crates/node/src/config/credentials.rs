//! User and password, as AUTH takes them.

use std::fmt;
use std::time::Duration;

use redis::Cmd;

use super::ConfigError;
use super::NodeConfig;
use super::parts::decode;

/// User and password, as AUTH takes them. A [`CredentialsProvider`](crate::CredentialsProvider) gives them.
///
/// An empty user is none, and an empty password without a user is none: what a template writes where nothing
/// was set. A user with an empty password is one who needs none, and is sent as such.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    username: Option<String>,
    password: Option<String>,
    lifetime: Option<Duration>,
}

impl Credentials {
    /// A password, and its user: `None` is the default user. The password is never shown.
    pub fn new(username: Option<String>, password: impl Into<String>) -> Self {
        Self::of(username, Some(password.into()))
    }

    /// Says for how long the server accepts them, from now on. Before that time is over the provider is asked for
    /// others. Default: for ever.
    #[must_use]
    pub fn valid_for(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    pub(super) fn of(username: Option<String>, password: Option<String>) -> Self {
        let username = username.filter(|username| !username.is_empty());
        let password = password.filter(|password| username.is_some() || !password.is_empty());
        Self { username, password, lifetime: None }
    }

    /// Reads what stands before the `@` of a URL.
    pub(super) fn of_url(text: &str) -> Result<Self, ConfigError> {
        let (username, password) = match text.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (text, None),
        };
        Ok(Self::of(Some(decode(username)?), password.map(decode).transpose()?))
    }

    /// Takes these where they are given.
    pub(super) fn set(&mut self, username: Option<String>, password: Option<String>) {
        *self = Self::of(username.or(self.username.take()), password.or(self.password.take()));
    }

    /// Makes sure that nobody is let in as somebody else: a user without a password is not sent.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self { username: Some(_), password: None, .. } => Err(ConfigError::UserWithoutPassword),
            _ => Ok(()),
        }
    }

    pub(crate) fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    pub(crate) fn lifetime(&self) -> Option<Duration> {
        self.lifetime
    }

    /// The command that lets a connection in; `None` without a password.
    pub(crate) fn auth(&self) -> Option<Cmd> {
        let password = self.password.as_ref()?;
        Some(redis::cmd("AUTH").arg(&self.username).arg(password).take())
    }

    /// The same for a server that knows no users; `None` also without a user.
    pub(crate) fn auth_without_user(&self) -> Option<Cmd> {
        let (_, password) = self.username.as_ref().zip(self.password.as_ref())?;
        Some(redis::cmd("AUTH").arg(password).take())
    }
}

/// # User and password
impl NodeConfig {
    /// Sets user and password, in place of what the URL says. An empty password is that of a user who needs
    /// none, and without a user it is none at all.
    #[must_use]
    pub fn with_credentials(mut self, username: Option<String>, password: impl Into<String>) -> Self {
        self.credentials = Credentials::new(username, password);
        self.credentials_provider = None;
        self
    }

    /// Sets user and password for the sentinels, in place of what the URL says. The master has credentials of
    /// its own. An empty password is as in [`with_credentials`](Self::with_credentials).
    #[must_use]
    pub fn with_sentinel_credentials(
        mut self,
        username: Option<String>,
        password: impl Into<String>,
    ) -> Self {
        self.sentinels.credentials = Credentials::new(username, password);
        self
    }

    /// The user for AUTH, `None` for the default user, and where a provider says who it is.
    pub fn username(&self) -> Option<&str> {
        self.credentials.username()
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) fn check_credentials(&self) -> Result<(), ConfigError> {
        self.credentials.check()?;
        self.sentinels.credentials.check()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("lifetime", &self.lifetime)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: (Option<&str>, Option<&str>)) {
        let config = NodeConfig::new(url).unwrap();
        let credentials = config.credentials();
        assert_eq!((credentials.username(), credentials.password()), expected, "{url}");
        let written = serde_json::to_string(&config).unwrap();
        let read: NodeConfig = serde_json::from_str(&written).unwrap();
        assert_eq!(read.credentials(), credentials, "{url}: {written}");
    }

    #[test]
    fn an_empty_password_is_told_from_none() {
        for host in ["redis://@h", "rediss://@h/1", "unix://@/run/s", "redis+sentinel://@h,i/my"] {
            let url = |credentials: &str| host.replacen('@', &format!("{credentials}@"), 1);
            check(&url("u:p"), (Some("u"), Some("p")));
            check(&url("u:p%40:%25%zz"), (Some("u"), Some("p@:%%zz")));
            check(&url(":p"), (None, Some("p")));
            check(&url("u:"), (Some("u"), Some("")));
            check(&url("a@b:p@q"), (Some("a@b"), Some("p@q")));
            check(&url(":"), (None, None));
            check(&url(""), (None, None));
        }
        check("redis://h?user=u&pass=", (Some("u"), Some("")));
        check("redis://h?user=u&pass=p", (Some("u"), Some("p")));
        check("redis://h?pass=", (None, None));
        check("redis://h?user=", (None, None));
    }

    #[test]
    fn a_user_without_a_password_is_an_error_that_does_not_show_it() {
        let text = |url: &str, fields: &str| format!(r#"{{"url": "{url}"{fields}}}"#);
        let sentinel = "redis+sentinel://h/my";
        for text in [
            text("redis://s3cret@h", ""),
            text("rediss://s3cret@h:1/2", ""),
            text("valkey://h?user=s3cret", ""),
            text("unix://s3cret@/run/s", ""),
            text("redis+sentinel://s3cret@h/my", ""),
            text(&format!("{sentinel}?sentinel_username=s3cret"), ""),
            text("redis://h", r#", "username": "s3cret""#),
            text(sentinel, r#", "username": "s3cret""#),
            text(sentinel, r#", "password": "p", "sentinel_username": "s3cret""#),
        ] {
            let error = serde_json::from_str::<NodeConfig>(&text).unwrap_err().to_string();
            assert!(error.contains("a user and no password"), "{text}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        // In two places, but there.
        for text in [
            text("redis://u@h", r#", "password": "p""#),
            text("redis://u@h", r#", "password": """#),
            text("redis://:p@h", r#", "username": "u""#),
            text(sentinel, r#", "sentinel_username": "u", "sentinel_password": """#),
        ] {
            serde_json::from_str::<NodeConfig>(&text).unwrap();
        }
    }
}

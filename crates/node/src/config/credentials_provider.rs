//! A credentials provider: a function that is asked for user and password at each handshake.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::Credentials;
use super::NodeConfig;
use crate::error::foreign;

/// So many of the passwords that were given last are known again where somebody repeats them.
const REMEMBERED: usize = 8;

/// A function that is asked for user and password whenever a connection is let in: for passwords that rotate, and
/// for tokens that end. Set by [`NodeConfig::with_credentials_provider`], or for all nodes of a ring or a copy by
/// its builder. Clones are the same provider. Who knows redis-rs's `StreamingCredentialsProvider` or the
/// `RedisCredentialsProvider` of Lettuce finds here what it is for.
///
/// ```
/// use redisdb_node::{Credentials, CredentialsProvider, NodeConfig};
/// use std::time::Duration;
///
/// # async fn token_of_the_cloud() -> Result<String, std::io::Error> { Ok(String::new()) }
/// let provider = CredentialsProvider::new(|| async {
///     let token = token_of_the_cloud().await?;
///     Ok::<_, std::io::Error>(Credentials::new(Some("app".to_owned()), token).valid_for(Duration::from_secs(900)))
/// });
/// let config = NodeConfig::new("redis://10.0.0.1")?.with_credentials_provider(provider);
/// # Ok::<(), redisdb_node::ConfigError>(())
/// ```
///
/// # When it is asked
/// At each handshake of a connection: of the shared one, of each dedicated one, of each subscription and change
/// feed. Not for sentinels, which have [credentials of their own](NodeConfig::with_sentinel_credentials). A
/// provider that asks somebody far away had better keep what it was given for a while.
///
/// # Credentials that end
/// When three quarters to 85 % of the time of [`valid_for`](Credentials::valid_for) have passed, the provider is
/// asked anew, and connections that are open are let in again by `AUTH`: the shared one, subscriptions and change
/// feeds at once, between two calls, and dedicated ones when they are next taken from their pool. No connection is
/// closed for that. A dedicated connection that is held keeps what it has.
///
/// # When it fails
/// Nine tenths of the connect timeout is how long the provider may take. A new connection then fails with
/// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials), which has the words of the provider, and is tried
/// again as any. A renewal is tried again after 0.1 s, 0.2 s, .. up to 5 s, and the
/// [observer](crate::Observer) is told once.
///
/// The function runs in a task, which ends when nobody waits for it any more.
#[derive(Clone)]
pub struct CredentialsProvider(Arc<Inner>);

struct Inner {
    ask: Box<Ask>,
    given: Mutex<VecDeque<String>>,
    /// The user whom it gave last.
    user: Mutex<Option<String>>,
}

type Ask = dyn Fn() -> BoxFuture<'static, Result<Credentials, String>> + Send + Sync;

impl CredentialsProvider {
    /// Asks a function.
    pub fn new<F, Given, E>(ask: F) -> Self
    where
        F: Fn() -> Given + Send + Sync + 'static,
        Given: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: fmt::Display,
    {
        let ask = move || -> BoxFuture<'static, Result<Credentials, String>> {
            let given = ask();
            Box::pin(async move { given.await.map_err(|error| foreign::text(&error.to_string())) })
        };
        Self(Arc::new(Inner { ask: Box::new(ask), given: Mutex::default(), user: Mutex::default() }))
    }

    /// Returns what the function gives, or its words if it fails.
    pub(crate) async fn ask(&self) -> Result<Credentials, String> {
        let asked = self.clone();
        // In a task of its own, so that its panic is not that of a node.
        let given = AbortOnDropHandle::new(tokio::spawn(async move { (asked.0.ask)().await })).await;
        let credentials = given.map_err(|error| match error.is_panic() {
            true => "it panicked".to_owned(),
            false => error.to_string(),
        })??;
        *self.0.user.lock() = credentials.username().map(str::to_owned);
        if let Some(password) = credentials.password() {
            let mut given = self.0.given.lock();
            given.retain(|other| other != password);
            given.truncate(REMEMBERED - 1);
            given.push_front(password.to_owned());
        }
        Ok(credentials)
    }

    /// Returns whether a text has a password in it that was given lately.
    pub(crate) fn has_given(&self, text: &str) -> bool {
        self.0.given.lock().iter().any(|password| !password.is_empty() && text.contains(password))
    }
}

/// # A provider of user and password
impl NodeConfig {
    /// Has a function asked for user and password at each handshake, in place of what the URL says. A
    /// configuration that is written has no provider.
    #[must_use]
    pub fn with_credentials_provider(mut self, provider: CredentialsProvider) -> Self {
        self.credentials = Credentials::default();
        self.credentials_provider = Some(provider);
        self
    }

    /// Has it asked if there is neither a password nor another provider.
    #[must_use]
    pub fn or_credentials_provider(self, provider: &CredentialsProvider) -> Self {
        match self.credentials.password().is_none() && self.credentials_provider.is_none() {
            true => self.with_credentials_provider(provider.clone()),
            false => self,
        }
    }

    /// The user as which connections are let in: that of the URL, or the last that the provider gave; else `default`.
    pub fn user(&self) -> String {
        let provided = self.credentials_provider.as_ref().and_then(|provider| provider.0.user.lock().clone());
        provided.or_else(|| self.username().map(str::to_owned)).unwrap_or_else(|| "default".to_owned())
    }

    pub(crate) fn credentials_provider(&self) -> Option<&CredentialsProvider> {
        self.credentials_provider.as_ref()
    }
}

/// Two are equal if one is a clone of the other.
impl PartialEq for CredentialsProvider {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CredentialsProvider {}

impl fmt::Debug for CredentialsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsProvider").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn provider(password: &'static str) -> CredentialsProvider {
        CredentialsProvider::new(move || async move { Ok::<_, Infallible>(Credentials::new(None, password)) })
    }

    #[tokio::test]
    async fn what_it_gave_lately_is_known_again_and_not_shown() {
        let provider = CredentialsProvider::new({
            let n = std::sync::atomic::AtomicUsize::new(0);
            move || {
                let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                async move { Ok::<_, Infallible>(Credentials::new(None, format!("s3cret-{n:03}"))) }
            }
        });
        let config = NodeConfig::new("redis://h").unwrap().with_credentials_provider(provider.clone());
        for _ in 0..REMEMBERED + 2 {
            let given = provider.ask().await.unwrap();
            assert!(!format!("{given:?} {provider:?} {config:?}").contains("s3cret"));
        }
        assert!(config.has_secret("you said s3cret-009!") && config.has_secret("s3cret-002"));
        assert!(!config.has_secret("s3cret-001") && !config.has_secret("what?"));
    }

    #[tokio::test]
    async fn its_words_are_told_and_its_panic_is_an_error() {
        let says = CredentialsProvider::new(|| async { Err::<Credentials, _>("the vault is sealed\n") });
        assert_eq!(says.ask().await.unwrap_err(), "the vault is sealed\\n");
        let panics = CredentialsProvider::new(|| async {
            assert_eq!(1, 2, "this is the panic of a test");
            Err("never")
        });
        assert_eq!(panics.ask().await.unwrap_err(), "it panicked");
    }

    #[test]
    fn it_stands_in_place_of_a_password_and_a_password_in_place_of_it() {
        let (of_all, own) = (provider("p"), provider("p"));
        let of = |config: NodeConfig| config.or_credentials_provider(&of_all).credentials_provider().cloned();
        let config = |url: &str| NodeConfig::new(url).unwrap();
        assert_eq!(of(config("redis://h")), Some(of_all.clone()));
        assert_eq!(of(config("redis://:p@h")), None);
        assert_eq!(of(config("redis://h").with_credentials_provider(own.clone())), Some(own.clone()));
        assert_ne!(own, of_all);
        let provided = config("redis://ann:p@h").with_credentials_provider(own);
        assert_eq!((provided.username(), provided.credentials().password()), (None, None));
        assert_eq!(of(provided.with_credentials(None, "p")), None);
    }
}

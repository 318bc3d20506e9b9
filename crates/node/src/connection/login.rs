//! The credentials that connections are let in with: asked for at each handshake, and renewed before they end.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::Credentials;
use crate::config::CredentialsProvider;
use crate::config::NodeConfig;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::node::after;
use crate::observe::NodeEvent;
use crate::observe::Observer;
use crate::retry;

/// A renewal that failed is tried again after the first pause, and each time after twice as long, up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The credentials of a node's connections.
pub(crate) struct Login {
    config: Arc<NodeConfig>,
    observer: Observer,
    /// The newest renewed credentials, which connections that are due share. It is held while the provider is asked.
    renewed: Mutex<Option<Arc<Grant>>>,
    /// True if the last renewal failed, which is told once.
    is_failing: AtomicBool,
}

/// The credentials that a connection was let in with.
pub(crate) struct Grant {
    pub(crate) credentials: Credentials,
    /// When others are to take their place.
    renew_at: Option<Instant>,
}

impl Grant {
    fn new(credentials: Credentials) -> Self {
        // Without a password there is nothing to send.
        let lifetime = credentials.lifetime().filter(|_| credentials.password().is_some());
        let renew_at = lifetime.map(|lifetime| {
            // Not all connections of all clients at the same moment.
            let early = lifetime.mul_f64(0.75 + 0.1 * fastrand::f64());
            after(Instant::now(), early.max(FIRST_PAUSE))
        });
        Self { credentials, renew_at }
    }

    pub(crate) fn ends(&self) -> bool {
        self.renew_at.is_some()
    }

    /// Returns whether others are to take its place now.
    pub(crate) fn is_due(&self) -> bool {
        self.renew_at.is_some_and(|at| at <= Instant::now())
    }
}

/// Why the credentials of a connection were not renewed.
pub(crate) enum NotRenewed {
    /// The provider gave none, or the server refused them: the connection is as it was.
    AsBefore(ErrorKind),
    /// `AUTH` was not answered: nobody knows what the connection is.
    Unanswered(ErrorKind),
}

impl Login {
    pub(super) fn new(config: Arc<NodeConfig>, observer: Observer) -> Self {
        Self { config, observer, renewed: Mutex::default(), is_failing: AtomicBool::new(false) }
    }

    /// Returns the credentials for a new connection.
    pub(crate) async fn grant(&self) -> Result<Arc<Grant>, ErrorKind> {
        let credentials = match self.config.credentials_provider() {
            Some(provider) => self.ask(provider).await?,
            None => self.config.credentials().clone(),
        };
        Ok(Arc::new(Grant::new(credentials)))
    }

    async fn ask(&self, provider: &CredentialsProvider) -> Result<Credentials, ErrorKind> {
        // The rest of the connect timeout lets this report itself.
        let within = self.config.connect_timeout().mul_f64(0.9);
        match tokio::time::timeout(within, provider.ask()).await {
            Ok(given) => given.map_err(ErrorKind::Credentials),
            Err(_) => Err(ErrorKind::Credentials(format!("no answer within {within:?}"))),
        }
    }

    /// Takes note that a connection was let in: the next renewal that fails is news.
    pub(crate) fn was_let_in(&self) {
        self.is_failing.store(false, Ordering::Relaxed);
    }

    /// Lets a connection in anew, if that is due, which nobody has used for a while. Where that fails, it keeps the credentials that it
    /// has, and nobody waits for it again until the shared connection was let in anew.
    ///
    /// # Errors
    /// If nobody knows what the connection is.
    pub(crate) async fn renew_idle<Sent>(
        &self,
        grant: &Arc<Grant>,
        send: impl Fn(Cmd) -> Sent,
    ) -> Result<Arc<Grant>, ErrorKind>
    where
        Sent: Future<Output = Result<Value, ErrorKind>>,
    {
        let is_renewed = || {
            let renewed = self.renewed.try_lock();
            renewed.is_ok_and(|last| last.as_ref().is_some_and(|last| !last.is_due()))
        };
        if self.is_failing.load(Ordering::Relaxed) && !is_renewed() {
            return Ok(Arc::clone(grant));
        }
        match self.renew(grant, send).await {
            Ok(renewed) => Ok(renewed),
            Err(NotRenewed::AsBefore(cause)) => {
                self.tell(cause);
                Ok(Arc::clone(grant))
            }
            Err(NotRenewed::Unanswered(cause)) => Err(cause),
        }
    }

    /// Lets a connection in anew, if that is due. `send` sends a command on it. Returns the credentials
    /// that it has from now on.
    pub(crate) async fn renew<Sent>(
        &self,
        grant: &Arc<Grant>,
        send: impl Fn(Cmd) -> Sent,
    ) -> Result<Arc<Grant>, NotRenewed>
    where
        Sent: Future<Output = Result<Value, ErrorKind>>,
    {
        if !grant.is_due() {
            return Ok(Arc::clone(grant));
        }
        let renewed = self.renewed().await.map_err(NotRenewed::AsBefore)?;
        let timeout = self.config.response_timeout();
        // Without a password there is nothing to send: a connection that is open stays who it is.
        let mut authentication = Authentication::new(&renewed.credentials);
        while let Some(auth) = authentication.next_command() {
            let reply = tokio::time::timeout(timeout, send(auth)).await;
            let reply = reply.unwrap_or(Err(ErrorKind::Timeout(timeout))).map_err(NotRenewed::Unanswered)?;
            if let Err(refused) = authentication.answered(&reply) {
                // Whoever is next asks the provider again.
                self.renewed.lock().await.take_if(|last| Arc::ptr_eq(last, &renewed));
                return Err(NotRenewed::AsBefore(refused));
            }
        }
        self.was_let_in();
        Ok(renewed)
    }

    /// Returns credentials that are not due, which one connection asks for and all have.
    async fn renewed(&self) -> Result<Arc<Grant>, ErrorKind> {
        let mut renewed = self.renewed.lock().await;
        if let Some(last) = renewed.as_ref().filter(|last| !last.is_due()) {
            return Ok(Arc::clone(last));
        }
        let grant = self.grant().await?;
        *renewed = Some(Arc::clone(&grant));
        Ok(grant)
    }

    /// Lets a connection in anew each time before its credentials end, until it is over.
    pub(crate) async fn keep_in<Sent>(&self, mut grant: Arc<Grant>, send: impl Fn(Cmd) -> Sent)
    where
        Sent: Future<Output = Result<Value, ErrorKind>>,
    {
        let mut pause = FIRST_PAUSE;
        while let Some(at) = grant.renew_at {
            tokio::time::sleep_until(at).await;
            match self.renew(&grant, &send).await {
                Ok(renewed) => (grant, pause) = (renewed, FIRST_PAUSE),
                // It is lost, which others tell.
                Err(NotRenewed::Unanswered(cause)) if !matches!(cause, ErrorKind::Timeout(_)) => return,
                Err(NotRenewed::AsBefore(cause) | NotRenewed::Unanswered(cause)) => {
                    self.tell(cause);
                    tokio::time::sleep(pause.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        std::future::pending().await
    }

    fn tell(&self, cause: ErrorKind) {
        let cause = Arc::new(cause.without_secrets(&self.config));
        match self.is_failing.swap(true, Ordering::Relaxed) {
            true => {
                tracing::debug!(node = self.config.name(), error = %cause, "credentials not renewed again")
            }
            false => self.observer.tell(self.config.name(), NodeEvent::CredentialsNotRenewed { cause }),
        }
    }
}

/// The commands that let a connection in, and the meaning of their replies.
pub(super) struct Authentication {
    to_send: Option<Cmd>,
    /// What is sent to a server that knows no users.
    without_user: Option<Cmd>,
}

impl Authentication {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self { to_send: credentials.auth(), without_user: credentials.auth_without_user() }
    }

    /// Returns what is to be sent next; `None` if the connection is let in, or there is nothing to send.
    pub(super) fn next_command(&mut self) -> Option<Cmd> {
        self.to_send.take()
    }

    /// Takes the reply to what was sent last.
    ///
    /// # Errors
    /// The server does not let the connection in.
    pub(super) fn answered(&mut self, reply: &Value) -> Result<(), ErrorKind> {
        match reply {
            Value::Okay => Ok(()),
            Value::ServerError(error) => match self.without_user.take() {
                Some(auth) if knows_no_users(error) => {
                    self.to_send = Some(auth);
                    Ok(())
                }
                _ => Err(refusal(ServerError::from(error))),
            },
            // Without its words, which may be the password.
            _ => Err(ErrorKind::NotRedis("AUTH is not answered as Redis does".to_owned())),
        }
    }
}

/// The meaning of a refusal of `AUTH`. What the server says may quote the password.
fn refusal(reply: ServerError) -> ErrorKind {
    match retry::is_passing(&reply.code) {
        true => ErrorKind::Server(reply.hushed()),
        false => ErrorKind::Auth(reply.hushed().to_string()),
    }
}

/// Returns whether a server has answered `AUTH` with a user and a password as those before Redis 6 do, which know no users.
fn knows_no_users(error: &redis::ServerError) -> bool {
    error.details().is_some_and(|text| text.contains("wrong number of arguments for 'auth' command"))
}

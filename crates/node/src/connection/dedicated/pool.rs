//! The pool of a node's dedicated connections.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;

use deadpool::Runtime;
use deadpool::managed::Manager;
use deadpool::managed::Metrics;
use deadpool::managed::Object;
use deadpool::managed::Pool;
use deadpool::managed::PoolError;
use deadpool::managed::RecycleError;
use deadpool::managed::RecycleResult;
use deadpool::managed::TimeoutType;
use redis::Pipeline;
use redis::Value;

use super::DedicatedConnection;
use crate::config::Address;
use crate::config::NodeConfig;
use crate::connection::dial::Purpose;
use crate::connection::dial::dial;
use crate::connection::handshake::Dialed;
use crate::connection::identify;
use crate::connection::login::Grant;
use crate::connection::login::Login;
use crate::connection::sentinel;
use crate::error::Bound;
use crate::error::ErrorKind;
use crate::node::Node;
use crate::wire::Many;
use crate::wire::Patience;
use crate::wire::Wire;

/// The dedicated connections of a node.
pub(crate) struct DedicatedPool {
    config: Arc<NodeConfig>,
    login: Arc<Login>,
    /// Made when it is first needed, for it has room for all of them.
    pool: OnceLock<Result<Pool<Dialer>, ErrorKind>>,
}

impl DedicatedPool {
    pub(crate) fn new(config: Arc<NodeConfig>, login: Arc<Login>) -> Self {
        Self { config, login, pool: OnceLock::new() }
    }

    fn open(&self) -> Result<Pool<Dialer>, ErrorKind> {
        let (config, login) = (Arc::clone(&self.config), Arc::clone(&self.login));
        Pool::builder(Dialer { config, login })
            .max_size(self.config.max_dedicated())
            .runtime(Runtime::Tokio1)
            // The check of a connection that is taken out again has no timeout of its own.
            .recycle_timeout(Some(self.config.response_timeout()))
            .create_timeout(Some(self.config.connect_timeout()))
            .wait_timeout(Some(self.config.response_timeout()))
            .build()
            .map_err(|error| ErrorKind::Connect(Arc::new(io::Error::other(error.to_string()))))
    }

    /// Takes a connection of a node to its process of this incarnation. Behind a fence the process is asked once who it is: the
    /// server may have been restarted since the shared connection was made.
    ///
    /// # Errors
    /// As [`Node::dedicated`](crate::Node::dedicated).
    pub(crate) async fn take(&self, incarnation: u64, node: &Node) -> Result<DedicatedConnection, ErrorKind> {
        let pool = self.pool.get_or_init(|| self.open()).as_ref().map_err(ErrorKind::clone)?;
        // A server that is another one by now, as a master that is one no more, need not be asked, nor waited
        // for.
        pool.retain(|pooled, _| pooled.incarnation.is_none_or(|of| of == incarnation));
        match self.let_in(pool).await {
            Ok(mut pooled) => {
                if node.is_fenced() && !pooled.is_proved {
                    if let Err(kind) = leads_to(incarnation, node, &pooled).await {
                        drop(Object::take(pooled));
                        return Err(kind);
                    }
                    pooled.is_proved = true;
                }
                pooled.incarnation = Some(incarnation);
                Ok(DedicatedConnection::new(node.clone(), pooled))
            }
            // An answer of a server to a connection is not its answer to a command.
            Err(PoolError::Backend(cause @ ErrorKind::Server(_))) => {
                Err(ErrorKind::Down { cause: Arc::new(cause) })
            }
            Err(PoolError::Backend(kind)) => Err(kind),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                Err(ErrorKind::Overloaded { limit: self.config.max_dedicated(), of: Bound::Dedicated })
            }
            Err(PoolError::Timeout(_)) => Err(ErrorKind::ConnectTimeout(self.config.connect_timeout())),
            Err(error) => Err(ErrorKind::Connect(Arc::new(io::Error::other(error.to_string())))),
        }
    }
}

impl DedicatedPool {
    /// Takes a connection whose credentials are not due, or were not renewed.
    async fn let_in(&self, pool: &Pool<Dialer>) -> Result<Object<Dialer>, PoolError<ErrorKind>> {
        loop {
            let mut pooled = pool.get().await?;
            let wire = &pooled.dialed.wire;
            let renewed =
                self.login.renew_idle(&pooled.grant, async |auth| identify::send(wire, &auth).await);
            match renewed.await {
                Ok(grant) => {
                    pooled.grant = grant;
                    return Ok(pooled);
                }
                Err(cause) => {
                    drop(Object::take(pooled));
                    // Of what the caller is about to send nothing was sent.
                    if let ErrorKind::Timeout(within) = cause {
                        return Err(PoolError::Backend(ErrorKind::ConnectTimeout(within)));
                    }
                }
            }
        }
    }
}

/// Makes sure that a connection leads to the process of this incarnation, as far as anything proves which one it leads to.
async fn leads_to(incarnation: u64, node: &Node, pooled: &Pooled) -> Result<(), ErrorKind> {
    let timeout = node.config().response_timeout();
    let asked = tokio::time::timeout(timeout, node.process_behind(&pooled.dialed.wire)).await;
    let found = asked.unwrap_or(Err(ErrorKind::ConnectTimeout(timeout)))?;
    match found.is_none() || found == node.process(incarnation) {
        true => Ok(()),
        false => Err(ErrorKind::Fenced),
    }
}

/// The maker of the connections of a pool, which also makes sure of one that is used again.
pub(super) struct Dialer {
    config: Arc<NodeConfig>,
    login: Arc<Login>,
}

/// A connection of a pool.
pub(super) struct Pooled {
    pub(super) dialed: Dialed,
    grant: Arc<Grant>,
    /// Of the process that it leads to; `None` before it was used.
    incarnation: Option<u64>,
    /// True if that process was asked who it is.
    is_proved: bool,
}

impl Manager for Dialer {
    type Type = Pooled;
    type Error = ErrorKind;

    async fn create(&self) -> Result<Pooled, ErrorKind> {
        let grant = self.login.grant().await?;
        let dialed = dial(&self.config, &grant.credentials, Purpose::Dedicated, || {}).await?;
        Ok(Pooled { dialed, grant, incarnation: None, is_proved: false })
    }

    async fn recycle(&self, pooled: &mut Pooled, metrics: &Metrics) -> RecycleResult<ErrorKind> {
        let wire = &pooled.dialed.wire;
        if let Address::Sentinel { .. } = self.config.address() {
            sentinel::is_master(wire).await.map_err(RecycleError::Backend)?;
        }
        match is_as_new(wire, metrics.recycle_count).await {
            true => Ok(()),
            false => Err(RecycleError::message("it does not answer as a new connection does")),
        }
    }
}

/// Has the server forget what a connection watches, and returns whether it answers at once, as on a new connection: in a block, as a
/// subscriber and behind a reply that nobody read it does not.
async fn is_as_new(wire: &Wire, n_checks: usize) -> bool {
    let token = n_checks.to_string();
    let mut check = Pipeline::with_capacity(2);
    check.cmd("UNWATCH").cmd("PING").arg(&token);
    match wire.send_many(Many::Pipeline(&check), 0, 2, Patience::Own).await {
        Ok(Value::Array(replies)) => replies == [Value::Okay, Value::BulkString(token.into_bytes())],
        Ok(_) | Err(_) => false,
    }
}

impl fmt::Debug for DedicatedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the pool: it would show the password.
        f.debug_struct("DedicatedPool").finish_non_exhaustive()
    }
}

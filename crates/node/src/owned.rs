//! Connections of one's own: for what blocks a connection, or changes its state.

use std::fmt;
use std::io;
use std::sync::Arc;

use deadpool_redis::Manager;
use deadpool_redis::Pool;
use deadpool_redis::PoolError;
use deadpool_redis::Runtime;
use deadpool_redis::TimeoutType;
use redis::AsyncConnectionConfig;
use redis::Cmd;
use redis::ConnectionAddr;
use redis::IntoConnectionInfo;
use redis::Pipeline;
use redis::RedisFuture;
use redis::Value;
use redis::aio::ConnectionLike;
use redis::io::tcp::TcpSettings;

use crate::config::Address;
use crate::config::NodeConfig;
use crate::dial;
use crate::error::ErrorKind;

/// How many owned connections a node opens at most.
const MOST: usize = 8;

/// A connection that nobody else uses, for `WATCH` and `MULTI`, and for commands that block.
///
/// Commands on it have no response timeout: a blocking command waits as long as it says. It goes back to its pool
/// when it is dropped; one that was left inside a `MULTI` or in the middle of a reply is thrown away there.
///
/// ```no_run
/// # async fn f(node: redisdb_node::Node) -> Result<(), Box<dyn std::error::Error>> {
/// let mut connection = node.owned().await?;
/// let (_list, item): (String, String) = redis::cmd("BLPOP").arg("jobs").arg(0).query_async(&mut connection).await?;
/// # Ok(()) }
/// ```
pub struct OwnedConnection {
    connection: deadpool_redis::Connection,
}

impl fmt::Debug for OwnedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedConnection").finish_non_exhaustive()
    }
}

impl ConnectionLike for OwnedConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.connection.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// The owned connections of a node.
pub(crate) struct Owned {
    pool: Pool,
    config: Arc<NodeConfig>,
}

impl Owned {
    pub(crate) fn new(config: Arc<NodeConfig>) -> Result<Self, ErrorKind> {
        let address = match config.address().clone() {
            Address::Tcp { host, port } => ConnectionAddr::Tcp(host, port),
            Address::Tls { host, port } => {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }
            Address::Unix(path) => ConnectionAddr::Unix(path),
        };
        let params = address
            .into_connection_info()
            .map_err(dial::refused)?
            .set_redis_settings(dial::settings(&config))
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let options = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(config.connect_timeout()));
        let manager = Manager::new_with_config(params, options).map_err(dial::refused)?;
        let pool = Pool::builder(manager)
            .max_size(MOST)
            .runtime(Runtime::Tokio1)
            // The check of a connection that is taken out again has no timeout of its own.
            .recycle_timeout(Some(config.response_timeout()))
            .create_timeout(Some(config.connect_timeout()))
            .wait_timeout(Some(config.response_timeout()))
            .build()
            .map_err(|error| ErrorKind::Unsupported(error.to_string().into()))?;
        Ok(Self { pool, config })
    }

    pub(crate) async fn take(&self) -> Result<OwnedConnection, ErrorKind> {
        match self.pool.get().await {
            Ok(connection) => Ok(OwnedConnection { connection }),
            Err(PoolError::Backend(error)) => Err(dial::refused(error)),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(ErrorKind::Unsupported(
                format!("all {MOST} owned connections are in use; drop one, or wait longer").into(),
            )),
            Err(PoolError::Timeout(_)) => Err(ErrorKind::ConnectTimeout(self.config.connect_timeout())),
            Err(error) => Err(ErrorKind::Connect(Arc::new(io::Error::other(error.to_string())))),
        }
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the pool: it would show the password.
        f.debug_struct("Owned").field("status", &self.pool.status()).finish_non_exhaustive()
    }
}

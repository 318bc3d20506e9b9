//! Dialing: from the address of a node to an authenticated connection.

#[cfg(not(unix))]
use std::io;

use redis::AsyncConnectionConfig;
use redis::RedisConnectionInfo;

use crate::config::Address;
use crate::config::NodeConfig;
use crate::connection::handshake::Dialed;
use crate::connection::handshake::connect;
use crate::connection::handshake::handshake;
use crate::connection::handshake::reach;
use crate::connection::handshake::settings;
use crate::connection::sentinel;
use crate::error::ErrorKind;

/// The number of commands that may wait to be written; above it callers wait for room.
const QUEUE: usize = 1024;

/// Connects, lets itself in, and has `ended` called when the connection ends, whatever the reason.
pub(crate) async fn dial(
    config: &NodeConfig,
    ended: impl FnOnce() + Send + 'static,
) -> Result<Dialed, ErrorKind> {
    // Whoever sends a command sees to its timeout: redis-rs would start a timer for each.
    let options = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
    dial_with(config, &settings(config), options, ended).await
}

/// The same, for a connection that is set up in its own way.
pub(crate) async fn dial_with(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    options: AsyncConnectionConfig,
    ended: impl FnOnce() + Send + 'static,
) -> Result<Dialed, ErrorKind> {
    let undriven = match config.address() {
        Address::Tcp { host, port } => reach(config, settings, options, (host, *port), false).await?,
        Address::Tls { host, port } => reach(config, settings, options, (host, *port), true).await?,
        Address::Sentinel { .. } => sentinel::master(config, settings, options).await?,
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(connect)?;
            handshake(config, settings, options, stream).await?
        }
        #[cfg(not(unix))]
        Address::Unix(_) => return Err(connect(io::ErrorKind::Unsupported.into())),
    };
    Ok(undriven.drive(ended))
}

//! Dialing: from the address of a node to an authenticated connection.

#[cfg(not(unix))]
use std::io;

use redis::AsyncConnectionConfig;
use redis::RedisConnectionInfo;

use crate::config::Address;
use crate::config::NodeConfig;
use crate::connection::handshake::Dialed;
use crate::connection::handshake::DialedWire;
use crate::connection::handshake::Undriven;
use crate::connection::handshake::connect;
use crate::connection::handshake::handshake;
use crate::connection::handshake::reach;
use crate::connection::sentinel;
use crate::error::ErrorKind;

/// Connects, lets itself in, and has `ended` called when the connection ends, whatever the reason.
pub(crate) async fn dial(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    ended: impl FnOnce() + Send + 'static,
) -> Result<DialedWire, ErrorKind> {
    // Connecting has a timeout as a whole.
    let options = AsyncConnectionConfig::new().set_response_timeout(None);
    undriven(config, settings, options).await?.share(ended)
}

/// The same, for a connection that has one user and is set up in its own way.
pub(crate) async fn dial_with(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    options: AsyncConnectionConfig,
    ended: impl FnOnce() + Send + 'static,
) -> Result<Dialed, ErrorKind> {
    Ok(undriven(config, settings, options).await?.drive(ended))
}

async fn undriven(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    options: AsyncConnectionConfig,
) -> Result<Undriven, ErrorKind> {
    match config.address() {
        Address::Tcp { host, port } => reach(config, settings, options, (host, *port), false).await,
        Address::Tls { host, port } => reach(config, settings, options, (host, *port), true).await,
        Address::Sentinel { .. } => sentinel::master(config, settings, options).await,
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(connect)?;
            handshake(config, settings, options, stream).await
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(connect(io::ErrorKind::Unsupported.into())),
    }
}

//! Dialing: from the address of a node to an authenticated connection.

#[cfg(not(unix))]
use std::io;

use redis::AsyncConnectionConfig;
use redis::ProtocolVersion;

use crate::config::Address;
use crate::config::Credentials;
use crate::config::NodeConfig;
use crate::connection::handshake::Dialed;
use crate::connection::handshake::DialedWire;
use crate::connection::handshake::Entered;
use crate::connection::handshake::connect;
use crate::connection::handshake::reach;
use crate::connection::sentinel;
use crate::error::ErrorKind;

/// Connects, lets itself in, and has `ended` called when the connection ends, whatever the reason.
pub(crate) async fn dial(
    config: &NodeConfig,
    credentials: &Credentials,
    protocol: ProtocolVersion,
    ended: impl FnOnce() + Send + 'static,
) -> Result<DialedWire, ErrorKind> {
    enter(config, credentials).await?.share(config, protocol, ended).await
}

/// The same, for a connection of redis-rs that has one user.
pub(crate) async fn dial_own(
    config: &NodeConfig,
    credentials: &Credentials,
    protocol: ProtocolVersion,
    options: AsyncConnectionConfig,
    ended: impl FnOnce() + Send + 'static,
) -> Result<Dialed, ErrorKind> {
    // Connecting has a timeout as a whole, and each command waits as long as it says, which redis-rs cannot know.
    let options = options.set_response_timeout(None);
    enter(config, credentials).await?.own(config, protocol, options, ended).await
}

async fn enter(config: &NodeConfig, credentials: &Credentials) -> Result<Entered, ErrorKind> {
    match config.address() {
        Address::Tcp { host, port } => reach(config, credentials, (host, *port), false).await,
        Address::Tls { host, port } => reach(config, credentials, (host, *port), true).await,
        Address::Sentinel { .. } => sentinel::master(config, credentials).await,
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(connect)?;
            Entered::enter(config, credentials, stream).await
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(connect(io::ErrorKind::Unsupported.into())),
    }
}

//! Dialing: from the address of a node to an authenticated connection.

#[cfg(not(unix))]
use std::io;

use redis::ProtocolVersion;

use crate::config::Address;
use crate::config::Credentials;
use crate::config::NodeConfig;
use crate::connection::handshake::Dialed;
use crate::connection::handshake::Entered;
use crate::connection::handshake::connect;
use crate::connection::handshake::reach;
use crate::connection::sentinel;
use crate::error::ErrorKind;
use crate::wire::Limits;
use crate::wire::Pushes;

/// What a connection is for.
pub(crate) enum Purpose {
    /// The calls of all callers.
    Shared(ProtocolVersion),
    /// One caller, who waits as long as it wants.
    Dedicated,
    /// What the server says unasked.
    Listening(Pushes),
}

impl Purpose {
    pub(super) fn protocol(&self) -> ProtocolVersion {
        match self {
            Self::Shared(protocol) => *protocol,
            Self::Dedicated => ProtocolVersion::RESP2,
            Self::Listening(_) => ProtocolVersion::RESP3,
        }
    }

    pub(super) fn limits(&self, config: &NodeConfig) -> Limits {
        let max_reply = config.max_reply();
        match self {
            Self::Shared(_) => Limits {
                max_reply,
                max_calls: config.max_in_flight(),
                waits_for_room: config.waits_for_room(),
            },
            Self::Dedicated | Self::Listening(_) => Limits::of_reply(max_reply),
        }
    }

    pub(super) fn into_pushes(self) -> Option<Pushes> {
        match self {
            Self::Listening(pushes) => Some(pushes),
            Self::Shared(_) | Self::Dedicated => None,
        }
    }
}

/// Connects, lets itself in, and has `ended` called when the connection ends, whatever the reason.
pub(crate) async fn dial(
    config: &NodeConfig,
    credentials: &Credentials,
    purpose: Purpose,
    ended: impl FnOnce() + Send + 'static,
) -> Result<Dialed, ErrorKind> {
    enter(config, credentials).await?.begin(config, purpose, ended).await
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

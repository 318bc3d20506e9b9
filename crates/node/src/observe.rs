//! Events of a node: changes of its health, told to an observer as they happen.

use std::fmt;
use std::sync::Arc;

use crate::error::ErrorKind;

/// A change of a node's health.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A connection was made.
    Connected {
        /// True if the connection leads to another server process than the one before, or nothing proves that
        /// it does not. The server's data may then be gone.
        restarted: bool,
    },
    /// The connection was lost, or closed after calls without an answer. The node reconnects in the
    /// background.
    Disconnected,
    /// The circuit breaker opened: no connection could be made, or calls were not answered. Calls fail at once
    /// until an attempt in the background succeeds.
    Down {
        /// The reason.
        cause: Arc<ErrorKind>,
    },
    /// The server refused a write, because it takes none at present. Reads are not affected.
    WritesRefused {
        /// `OOM`, `MISCONF`, `READONLY` or `NOREPLICAS`.
        code: String,
    },
    /// The server takes writes again.
    WritesTaken,
    /// Credentials that end could not be renewed: the [provider](crate::CredentialsProvider) failed, or the server
    /// refused what it gave. Told once; the renewal is tried again in the background. Calls go on until the server
    /// ends the connection.
    CredentialsNotRenewed {
        /// The reason.
        cause: Arc<ErrorKind>,
    },
}

impl fmt::Display for NodeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { restarted: false } => f.write_str("connected"),
            Self::Connected { restarted: true } => f.write_str("connected, to another process than before"),
            Self::Disconnected => f.write_str("disconnected"),
            Self::Down { cause } => write!(f, "down: {cause}"),
            Self::WritesRefused { code } => write!(f, "takes no writes: {code}"),
            Self::WritesTaken => f.write_str("takes writes again"),
            Self::CredentialsNotRenewed { cause } => write!(f, "credentials not renewed: {cause}"),
        }
    }
}

/// A function that is called with each change of a node's health, and the node's name. The function must not
/// block.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Tell>>);

type Tell = dyn Fn(&str, NodeEvent) + Send + Sync;

impl Observer {
    /// Calls a function.
    pub fn new(f: impl Fn(&str, NodeEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    pub(crate) fn tell(&self, node: &str, event: NodeEvent) {
        match &event {
            NodeEvent::Connected { .. } | NodeEvent::WritesTaken => tracing::info!(node, "{event}"),
            _ => tracing::warn!(node, "{event}"),
        }
        if let Some(f) = &self.0 {
            f(node, event);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

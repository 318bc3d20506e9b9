//! What a copy is asked to guarantee.

use serde::Deserialize;
use serde::Serialize;

/// How many nodes must take a write for the call to be `Ok`. It is sent to all of them in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteTo {
    /// One is enough. The default: data stays writable while all but one server are down.
    #[default]
    Any,
    /// So many.
    AtLeast(usize),
    /// All.
    All,
}

impl WriteTo {
    pub(crate) fn wanted(self, n_nodes: usize) -> usize {
        match self {
            Self::Any => 1,
            Self::AtLeast(n) => n,
            Self::All => n_nodes,
        }
    }
}

/// Which nodes of a copy may answer a read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadFrom {
    /// Those that have missed no write of this key by this client, and have not been restarted under it. The default:
    /// a server that comes back empty or old never answers.
    #[default]
    InSync,
    /// Those first; when none of them answers, the others too, which may serve old values or none.
    Any,
}

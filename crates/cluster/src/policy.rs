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

/// What is done with a node of a copy that has missed writes, or has lost its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnReturn {
    /// It is brought back by itself: what it has missed is copied to it from a node in sync, or all of it, and then it
    /// answers reads again. The default, with 10,000 keys per second.
    Repair {
        /// How many keys are compared in a second at most.
        keys_per_second: u32,
    },
    /// It answers no reads of what it may have missed until somebody calls
    /// [`repair`](crate::RedisCopy::repair) or [`readmit`](crate::RedisCopy::readmit).
    Wait,
}

impl Default for OnReturn {
    fn default() -> Self {
        // 100,000 keys are compared twice in 20 s, at some 10 % of what a server answers.
        Self::Repair { keys_per_second: 10_000 }
    }
}

/// What a copy was asked to guarantee.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) write_to: WriteTo,
    pub(crate) read_from: ReadFrom,
    pub(crate) on_return: OnReturn,
}

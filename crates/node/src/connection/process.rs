//! The proof of a server process: its `run_id`, or a script that was loaded into it.

/// By what a process is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Process {
    /// By its `run_id`.
    RunId(String),
    /// By a script that nobody else has, which was loaded into it and ends with it: its digest.
    Script(String),
    /// By nothing.
    Unknown,
}

/// The relation of a process to the one that was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// None was known.
    First,
    /// The process is the same.
    Same,
    /// The process is another one.
    Another,
    /// Nothing proves that it is the same.
    Unproved,
}

/// The knowledge about the processes that a node has been connected to.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The last of them; `None` before the first.
    pub(super) process: Option<Process>,
    /// The incarnation that the last connection in use led to.
    connected_to: Option<u64>,
    /// True if it has been told that nothing proves which one answers.
    pub(super) is_told: bool,
}

impl Known {
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Returns whether it has never been known which process answers.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.process, None | Some(Process::Unknown))
    }

    /// Notes that a connection is in use. Returns whether it leads to another incarnation than the one
    /// before.
    pub(crate) fn is_connected_anew(&mut self, incarnation: u64) -> bool {
        self.connected_to.replace(incarnation).is_some_and(|before| before != incarnation)
    }
}

impl Process {
    /// The name of the process where others may read it.
    pub(crate) fn name(&self) -> Option<String> {
        match self {
            Self::RunId(run_id) => Some(run_id.clone()),
            Self::Script(digest) => Some(format!("{SCRIPT}{digest}")),
            Self::Unknown => None,
        }
    }
}

/// The beginning of the name of a process that is known by a script.
pub(crate) const SCRIPT: &str = "script:";

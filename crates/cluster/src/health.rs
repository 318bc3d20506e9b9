//! How a node is.

/// How a node of a copy is, as far as this client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It is connected and has missed nothing.
    Up,
    /// There is no connection; the next call that needs it tries again.
    Down,
    /// It is connected, takes writes, and answers no reads of what it may have missed: some writes did not reach it,
    /// or it is another process than before, whose memory may be empty or old.
    Behind,
}

//! The health of a node.

/// How a node of a ring or a copy is, as far as this client has seen. A node of a ring is `Up`, `WriteDegraded`, `Down`, or
/// `Syncing` while it is made ready to serve again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// It is connected and has missed nothing.
    Up,
    /// It is connected and has missed some writes, or answered some otherwise than the others: it answers no read of
    /// those keys until they have been brought over.
    Suspect,
    /// It refuses writes, for want of memory or because it cannot save. It takes those that it will take, and answers
    /// no read of what it has missed.
    WriteDegraded,
    /// It cannot be reached, or there is no connection at this moment.
    Down,
    /// It was down, and is being connected to.
    Probing,
    /// It was down and is connected again. What it was sent before has been ended; whether it is the same server with
    /// the same data is being looked at.
    Fencing,
    /// It was down and has kept its data: what it missed meanwhile is being brought over. It takes writes. Reads go to
    /// the others; if none of those can answer, it does, but for what it has missed.
    Replaying,
    /// Its data may be gone, old, or behind in more than is remembered: all keys are being compared with those of
    /// another node, or will be. It takes writes and answers no reads.
    Syncing,
    /// It lets this client in no more, or is not the server it should be. It answers no reads.
    Misconfigured,
}

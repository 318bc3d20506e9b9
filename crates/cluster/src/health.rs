//! The health of a node.

/// The health of a node, as far as this client has seen. A node of a ring is `Up`, `WriteDegraded`, `Down`, or `Syncing` while
/// it is made ready to serve again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// The node is connected and has missed no write.
    Up,
    /// The node is connected, and has missed some writes or answered them otherwise than the others. It answers no read of
    /// those keys until they have been brought over.
    Suspect,
    /// The node refuses writes, because it is out of memory or cannot save. It is still sent all writes, and answers no read
    /// of a key that it has missed.
    WriteDegraded,
    /// The node cannot be reached, or has no connection at this moment.
    Down,
    /// The node was down, and is being connected to.
    Probing,
    /// The node was down and is connected again. The commands that it was sent before have been ended. Its process and its
    /// data are being looked at.
    Fencing,
    /// The node was down and has kept its data: the keys that it missed are being brought over. It takes writes. Reads go to
    /// the other nodes; if none of those can answer, this one does, but for the keys that it has missed.
    Replaying,
    /// The data of the node may be gone or old, or it missed more than is remembered: all keys are being compared with those
    /// of another node, or will be. It takes writes and answers no reads.
    Syncing,
    /// The node no longer lets this client in, or is not the server it should be. It answers no reads.
    Misconfigured,
}

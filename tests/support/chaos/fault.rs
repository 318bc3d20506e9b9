//! The kinds of faults, and one fault with its target.

use std::fmt;
use std::time::Duration;

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FaultKind {
    /// A server is ended by `kill -9`, and comes back with its data.
    Kill,
    /// A server is stopped by SIGSTOP, and goes on.
    Stop,
    /// A server is restarted with its data, at once.
    Restart,
    /// A server is ended, and comes back empty.
    Empty,
    /// A server is ended, and comes back with a dump that is 1 to 20 s old.
    Dump,
    /// Somebody else empties a server by `FLUSHALL`.
    Flush,
    /// One client is cut from one server.
    Cut,
    /// A client is ended by `kill -9`, and another one takes over its keys.
    ClientKill,
    /// A client is stopped by SIGSTOP, and goes on.
    ClientStop,
    /// All servers are restarted with their data, one after the other.
    Rolling,
    /// A server stands still for 90 s, which is longer than the epochs of the markers, and all clients are replaced meanwhile.
    Away,
    /// The same of a server that is ended, and comes back with its data.
    Gone,
}

/// All kinds, by their names on the command line.
pub(crate) const FAULT_KINDS: [(&str, FaultKind); 12] = [
    ("kill", FaultKind::Kill),
    ("stop", FaultKind::Stop),
    ("restart", FaultKind::Restart),
    ("empty", FaultKind::Empty),
    ("dump", FaultKind::Dump),
    ("flush", FaultKind::Flush),
    ("cut", FaultKind::Cut),
    ("client-kill", FaultKind::ClientKill),
    ("client-stop", FaultKind::ClientStop),
    ("rolling", FaultKind::Rolling),
    ("away", FaultKind::Away),
    ("gone", FaultKind::Gone),
];

/// The ways in which a client is cut from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its connections are reset, and new ones refused.
    Refuse,
    /// Nothing is delivered until the end of the cut, and then all of it.
    Hold,
    /// Nothing is delivered, ever.
    Lose,
}

/// To whom it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// To one server, by its position.
    Node(usize),
    /// To the client in one place.
    Client(usize),
    /// To the connection of the client in one place to one server.
    Link(usize, usize),
}

/// One fault of an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) target: Target,
    /// From the begin of the outage.
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    /// The age of the dump of a [`FaultKind::Dump`].
    pub(crate) age: Duration,
    /// The way of a [`FaultKind::Cut`].
    pub(crate) cut: Cut,
}

impl FaultKind {
    pub(crate) fn name(self) -> &'static str {
        FAULT_KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Returns whether it happens to a server, among other faults.
    pub(crate) fn is_of_node(self) -> bool {
        !matches!(self, Self::Cut | Self::ClientKill | Self::ClientStop) && !self.is_whole_outage()
    }

    /// Returns whether it is an outage of its own, and counts as one fault.
    pub(crate) fn is_whole_outage(self) -> bool {
        matches!(self, Self::Rolling) || self.is_long()
    }

    /// Returns whether a server is away for longer than the epochs of the markers.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::Away | Self::Gone)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind.name();
        match self.target {
            Target::Node(node) => write!(f, "{name} of {}", node_name(node))?,
            Target::Client(slot) => write!(f, "{name} of client {slot}")?,
            Target::Link(slot, node) => {
                write!(f, "{name} ({:?}) of client {slot} from {}", self.cut, node_name(node))?;
            }
        }
        if self.kind == FaultKind::Dump {
            write!(f, " ({} ms old)", self.age.as_millis())?;
        }
        let end = self.at + self.lasts;
        write!(f, " from {} to {} ms", self.at.as_millis(), end.as_millis())
    }
}

/// The name of the node in this position.
pub(crate) fn node_name(position: usize) -> String {
    let letter = u8::try_from(position).ok().and_then(|position| b'a'.checked_add(position));
    letter.map_or_else(|| position.to_string(), |letter| char::from(letter).to_string())
}

//! The failure of a call by its connection: what became of the command, and whose fault it is.

use std::io;
use std::sync::Arc;

use crate::error::Bound;
use crate::error::ErrorKind;

/// The failure of a call by its connection, which is over unless the call was only too late or had no room.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// No byte of the call was given to the socket.
    Unsent(Arc<io::Error>),
    /// The call was given to the socket, perhaps in part.
    Lost(Arc<io::Error>),
    /// The reply to the call takes more than so many bytes.
    TooLarge(usize),
    /// The reply to another call takes too much, or its block was left open.
    Ended(Arc<io::Error>),
    /// The reply has taken too long, and will be thrown away.
    TooLate,
    /// There was no room for the call: no byte of it was put anywhere.
    NoRoom(Bound),
}

impl Failure {
    /// The error of a call of a user whose connection is over, and whether it is the server's or the network's
    /// fault; `None` of one that was only too late or had no room.
    #[cold]
    pub(crate) fn into_error(self) -> Option<(ErrorKind, bool)> {
        Some(match self {
            Self::Unsent(error) => (ErrorKind::Unsent(error), true),
            Self::Lost(error) => (ErrorKind::Disconnected(error), true),
            Self::TooLarge(limit) => (ErrorKind::ReplyTooLarge { limit }, false),
            Self::Ended(error) => (ErrorKind::Disconnected(error), false),
            Self::TooLate | Self::NoRoom(_) => return None,
        })
    }

    /// The error of a call on a connection with one user, where no call is too late or has no room.
    #[cold]
    pub(crate) fn of_own(self) -> ErrorKind {
        self.into_error().map_or_else(ErrorKind::hung_up, |(kind, _)| kind)
    }

    /// The failure of a question while a connection is being made: no command of a user was sent yet.
    #[cold]
    pub(crate) fn in_handshake(self) -> ErrorKind {
        match self {
            Self::Lost(error) if error.kind() == io::ErrorKind::InvalidData => {
                ErrorKind::NotRedis(error.to_string())
            }
            Self::Unsent(error) | Self::Lost(error) | Self::Ended(error) => ErrorKind::Connect(error),
            Self::TooLate | Self::NoRoom(_) => ErrorKind::Connect(Arc::new(io::ErrorKind::TimedOut.into())),
            Self::TooLarge(limit) => {
                let text = format!("a reply takes more than {limit} bytes");
                ErrorKind::Connect(Arc::new(io::Error::new(io::ErrorKind::InvalidData, text)))
            }
        }
    }
}

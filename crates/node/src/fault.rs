//! Whose fault an error of redis-rs is, and what became of the command.

use std::io;
use std::sync::Arc;

use redis::RedisError;

use crate::bounded::TooLarge;
use crate::error::ErrorKind;
use crate::error::io_error;

/// What a call failed with whose connection was lost.
#[cold]
pub(crate) fn lost(error: RedisError) -> ErrorKind {
    if let Some(TooLarge { limit }) = TooLarge::of(&error) {
        return ErrorKind::ReplyTooLarge { limit: *limit };
    }
    let io = io_error(&error).map_or(io::ErrorKind::InvalidData, io::Error::kind);
    ErrorKind::Disconnected(Arc::new(io::Error::new(io, error)))
}

//! The forms of a reply: the value, and the frame.

use std::io;
use std::sync::Arc;

use redis::Cmd;
use redis::Value;

use super::Failure;
use super::call::Request;
use crate::frame::Frame;

/// A form in which a call may have its reply.
pub(crate) trait Form: Sized + Send {
    /// The request for a reply in this form.
    fn request(cmd: &Cmd) -> Request<'_>;

    /// Returns the reply to such a request in this form.
    ///
    /// # Errors
    /// It has the other form, which the driver sees to.
    fn of(reply: Value) -> Result<Self, Failure>;
}

impl Form for Value {
    #[inline]
    fn request(cmd: &Cmd) -> Request<'_> {
        Request::Command(cmd)
    }

    #[inline]
    fn of(reply: Value) -> Result<Self, Failure> {
        Ok(reply)
    }
}

impl Form for Frame {
    #[inline]
    fn request(cmd: &Cmd) -> Request<'_> {
        Request::Raw(cmd)
    }

    #[inline]
    fn of(reply: Value) -> Result<Self, Failure> {
        Self::from_reply(reply).ok_or_else(|| Failure::Lost(Arc::new(unasked())))
    }
}

/// The end of a connection whose server has said something before it was asked: a reply that has begun in one form cannot
/// be that of a call that wants another.
#[cold]
pub(crate) fn unasked() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it says what it was not asked")
}

//! A stream that is lent to redis-rs, and comes back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// A stream that may be taken back.
pub(crate) struct Lent<S>(Arc<Mutex<Option<S>>>);

/// The right to take a stream back.
pub(crate) struct Lender<S>(Arc<Mutex<Option<S>>>);

/// Lends a stream.
pub(crate) fn lend<S>(stream: S) -> (Lent<S>, Lender<S>) {
    let lent = Arc::new(Mutex::new(Some(stream)));
    (Lent(Arc::clone(&lent)), Lender(lent))
}

impl<S> Lender<S> {
    /// Takes the stream back. Whoever has it yet sees an error.
    pub(crate) fn take_back(self) -> Option<S> {
        self.0.lock().take()
    }
}

impl<S: Unpin> Lent<S> {
    fn with<T>(&self, f: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.lock().as_mut() {
            Some(stream) => f(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(context, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(context))
    }
}

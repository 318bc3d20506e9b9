//! A stream through TLS that says how much may have gone out, also when a write fails.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// The most that a record of TLS holds. A server can read nothing of a record before it has the whole.
const RECORD: usize = 16 << 10;

/// A stream through TLS. It takes one record at a time, and what it took counts as written.
///
/// A `TlsStream` makes many records of a long write. When the socket fails behind some of them, the stream returns the error
/// and not how much had gone out, and its user would take all of it for not sent.
pub(in crate::connection) struct Records<S> {
    stream: S,
    /// The error of the last write, of which nobody has been told yet.
    failed: Option<io::Error>,
}

impl<S> Records<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, failed: None }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Records<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let record = bytes.get(..RECORD).unwrap_or(bytes);
        Poll::Ready(match ready!(Pin::new(&mut self.stream).poll_write(context, record)) {
            Err(error) => {
                // The record may have gone out.
                self.failed = Some(error);
                Ok(record.len())
            }
            taken => taken,
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Records<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::future::join_all;
    use rustls::ClientConfig;
    use rustls::RootCertStore;
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::AsyncReadExt;
    use tokio::io::DuplexStream;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::wire::Failure;
    use crate::wire::Limits;
    use crate::wire::Patience;
    use crate::wire::Wire;

    /// A stream whose writes fail behind so many bytes.
    struct Failing(DuplexStream, usize);

    impl AsyncWrite for Failing {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.get(..self.1).unwrap_or(bytes);
            if taken.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let n = ready!(Pin::new(&mut self.0).poll_write(context, taken))?;
            self.1 -= n;
            Poll::Ready(Ok(n))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    impl AsyncRead for Failing {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    fn ends() -> (TlsConnector, TlsAcceptor) {
        let made = rcgen::generate_simple_self_signed(["server".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key.into()))
            .unwrap();
        (TlsConnector::from(Arc::new(client)), TlsAcceptor::from(Arc::new(server)))
    }

    #[tokio::test]
    async fn a_command_that_the_server_could_read_is_never_not_sent() {
        const N_CALLS: usize = 300;
        let (connector, acceptor) = ends();
        let mut cmd = redis::cmd("ECHO");
        cmd.arg(vec![b'x'; 1000]);
        let length = cmd.get_packed_command().len();
        // In one write: the first ends in the first record, the last goes out whole.
        for n_bytes in (0..20).map(|n| n * 16_000).chain([16_411, 16_412, 65_000, 66_000]) {
            let (here, there) = tokio::io::duplex(1 << 20);
            let server = tokio::spawn({
                let acceptor = acceptor.clone();
                async move {
                    let mut read = Vec::new();
                    let mut stream = acceptor.accept(there).await.unwrap();
                    let _ends_or_fails = stream.read_to_end(&mut read).await;
                    read.len()
                }
            });
            let name = "server".try_into().unwrap();
            let mut stream = connector.connect(name, Failing(here, usize::MAX)).await.unwrap();
            stream.get_mut().0.1 = n_bytes;
            let (wire, driver) = Wire::new(Box::new(Records::new(stream)), Limits::of_reply(1 << 20));
            let calls = join_all((0..N_CALLS).map(|_| wire.send::<redis::Value>(&cmd, Patience::Own)));
            let (outcomes, ()) = tokio::join!(calls, driver);
            drop(wire);
            let n_read = server.await.unwrap();
            let n_maybe =
                outcomes.iter().take_while(|outcome| !matches!(outcome, Err(Failure::Unsent(_)))).count();
            let n_unsent =
                outcomes.iter().filter(|outcome| matches!(outcome, Err(Failure::Unsent(_)))).count();
            assert_eq!(n_maybe + n_unsent, N_CALLS, "{n_bytes}: what is not sent comes last");
            assert!(
                n_read.div_ceil(length) <= n_maybe,
                "{n_bytes}: {n_read} bytes were read, {n_maybe} calls may have been sent"
            );
            // And no more than one record is in doubt.
            assert!(
                n_maybe * length <= n_read + RECORD + length,
                "{n_bytes}: {n_read} bytes were read, {n_maybe} calls may have been sent"
            );
        }
    }
}

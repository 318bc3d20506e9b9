//! The handshake: from a host to a TCP or TLS stream, and from a stream to an authenticated connection.
//!
//! redis-rs could do both, but it leaves `TCP_NODELAY` and keepalive off, reads the root certificates anew
//! for every connection, and does not tell when a connection has ended, nor with which words a server refuses `AUTH`.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::ProtocolVersion;
use redis::Value;
use socket2::SockRef;
use socket2::TcpKeepalive;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::config::Credentials;
use crate::config::NodeConfig;
use crate::connection::dial::Purpose;
use crate::connection::login::Authentication;
#[cfg(feature = "tls")]
use crate::connection::tls::encrypt;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::is_of_tls;
use crate::wire::Broken;
use crate::wire::Failure;
use crate::wire::Parser;
use crate::wire::Stream;
use crate::wire::Wire;
use crate::wire::unasked;

/// Only a subscription, a change feed and a node that was made for it ask for it.
const NO_HELLO: &str = "the server does not know `HELLO`: a subscription, a change feed and a node `in_resp3` speak RESP3, which \
                        begins with it; use Redis 6.0 or later, and do not rename the command";

/// A connection that has just been set up, and the task that drives it.
pub(crate) struct Dialed {
    pub(crate) wire: Wire,
    /// Left to itself, it would wait for every reply that a hung server still owes.
    pub(crate) driver: AbortOnDropHandle<()>,
}

/// Connects to a server that listens on a port, and lets itself in.
pub(crate) async fn reach(
    config: &NodeConfig,
    credentials: &Credentials,
    (host, port): (&str, u16),
    through_tls: bool,
) -> Result<Entered, ErrorKind> {
    #[cfg(any(test, fuzzing))]
    if let Some(stream) = crate::fuzz::connect(port) {
        return Entered::enter(config, credentials, stream.map_err(connect)?).await;
    }
    let stream = tcp(host, port).await?;
    match through_tls {
        // The handshake is a network exchange with its own ways to fail, so it is told apart from connecting.
        true => Entered::enter(config, credentials, encrypt(config, host, stream).await?).await,
        false => Entered::enter(config, credentials, stream).await,
    }
}

pub(super) fn connect(error: io::Error) -> ErrorKind {
    ErrorKind::Connect(Arc::new(error))
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, ErrorKind> {
    let stream = TcpStream::connect((host, port)).await.map_err(connect)?;
    // A command is a small write: without this it may wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(connect)?;
    // A peer that went away without a word is noticed after 15 s + 3 x 5 s without traffic, 5 s with.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive).map_err(connect)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(5))).map_err(connect)?;
    Ok(stream)
}

#[cfg(not(feature = "tls"))]
async fn encrypt(_config: &NodeConfig, _host: &str, _stream: TcpStream) -> Result<TcpStream, ErrorKind> {
    Err(crate::config::ConfigError::TlsNotCompiledIn.into())
}

/// A connection whose server has let this client in. Nobody else has it yet, and nothing is under way on it.
pub(crate) struct Entered {
    stream: Box<dyn Stream>,
    replies: Parser,
    limit: usize,
}

impl Entered {
    /// Lets itself in.
    pub(super) async fn enter(
        config: &NodeConfig,
        credentials: &Credentials,
        stream: impl Stream,
    ) -> Result<Self, ErrorKind> {
        let limit = config.max_reply();
        let mut entered = Self { stream: Box::new(stream), replies: Parser::new(limit), limit };
        let mut authentication = Authentication::new(credentials);
        while let Some(auth) = authentication.next_command() {
            authentication.answered(&entered.ask(&auth).await?)?;
        }
        Ok(entered)
    }

    /// Sends a command and waits for its reply; an error is a value.
    pub(crate) async fn ask(&mut self, question: &Cmd) -> Result<Value, ErrorKind> {
        self.stream.write_all(&question.get_packed_command()).await.map_err(lost)?;
        self.stream.flush().await.map_err(lost)?;
        let mut buffer = vec![0; 4096];
        loop {
            let n = self.stream.read(&mut buffer).await.map_err(lost)?;
            let mut read = buffer.get(..n).unwrap_or_default();
            if read.is_empty() {
                return Err(connect(io::ErrorKind::UnexpectedEof.into()));
            }
            match self.replies.next(&mut read) {
                Ok(None) => {}
                Ok(Some(reply)) if read.is_empty() => return Ok(reply),
                Ok(Some(_)) => return Err(ErrorKind::NotRedis(unasked().to_string())),
                Err(Broken::Syntax(reason)) => return Err(ErrorKind::NotRedis(reason.to_owned())),
                Err(Broken::TooLarge) => return Err(Failure::TooLarge(self.limit).in_handshake()),
            }
        }
    }

    /// Sets the connection up.
    async fn set_up(&mut self, command: &Cmd) -> Result<(), ErrorKind> {
        match self.ask(command).await? {
            Value::ServerError(reply) => Err(refusal(ServerError::from(&reply))),
            _ => Ok(()),
        }
    }

    /// Sets the connection up, hands it to a wire, has a task drive that, and `ended` called when it ends, whatever the reason.
    pub(super) async fn begin(
        mut self,
        config: &NodeConfig,
        purpose: Purpose,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Dialed, ErrorKind> {
        if purpose.protocol() == ProtocolVersion::RESP3 {
            self.set_up(redis::cmd("HELLO").arg(3)).await?;
        }
        if config.db() != 0 {
            self.set_up(redis::cmd("SELECT").arg(config.db())).await?;
        }
        let (wire, driver) = Wire::new(self.stream, purpose.limits(config));
        Ok(Dialed { wire, driver: drive(driver.telling(purpose.into_pushes()), ended) })
    }
}

/// The meaning of a refusal of `HELLO` or `SELECT`.
fn refusal(reply: ServerError) -> ErrorKind {
    match reply {
        reply if reply.message.contains("unknown command") && reply.message.contains("HELLO") => {
            ErrorKind::Unsupported(NO_HELLO.into())
        }
        reply if reply.is_auth() => ErrorKind::Auth(reply.to_string()),
        reply => ErrorKind::Server(reply),
    }
}

/// The error of a connection that ends while it is made.
fn lost(error: io::Error) -> ErrorKind {
    match is_of_tls(&error) {
        true => ErrorKind::Tls(Arc::new(error)),
        false => connect(error),
    }
}

fn drive(
    driver: impl Future<Output = ()> + Send + 'static,
    ended: impl FnOnce() + Send + 'static,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let _ended = OnDrop(Some(ended));
        driver.await;
    }))
}

/// Calls a function when it goes, also when the task that holds it is aborted.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

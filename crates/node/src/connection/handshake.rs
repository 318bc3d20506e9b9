//! The handshake: from a host to a TCP or TLS stream, and from a stream to an authenticated connection.
//!
//! redis-rs could do both, but it leaves `TCP_NODELAY` and keepalive off, reads the root certificates anew
//! for every connection, and does not tell when a connection has ended. It lets a connection in, and keeps one
//! for a single user; the [wire](crate::wire) takes over one that is shared.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use futures_util::future::select;
use redis::AsyncConnectionConfig;
use redis::Pipeline;
use redis::ProtocolVersion;
use redis::RedisConnectionInfo;
use redis::Value;
use redis::aio::MultiplexedConnection;
use socket2::SockRef;
use socket2::TcpKeepalive;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::config::NodeConfig;
use crate::connection::bounded::Bounded;
use crate::connection::bounded::Broken;
use crate::connection::lent::lend;
use crate::connection::login::Grant;
#[cfg(feature = "tls")]
use crate::connection::tls::encrypt;
use crate::error::ErrorKind;
use crate::error::ServerError;
use crate::error::is_of_tls;
use crate::redis_rs::Fault;
use crate::wire::Limits;
use crate::wire::Wire;

/// A connection that has just been let in, and the task that drives it.
pub(crate) struct Dialed {
    pub(crate) connection: MultiplexedConnection,
    /// Left to itself, it would wait for every reply that a hung server still owes.
    pub(crate) driver: AbortOnDropHandle<()>,
    /// True if a reply was too large, which has ended it.
    pub(crate) broken: Broken,
}

/// A wire that has just been let in, and the task that drives it.
pub(crate) struct DialedWire {
    pub(crate) wire: Wire,
    pub(crate) driver: AbortOnDropHandle<()>,
}

/// Connects to a server that listens on a port, and lets itself in.
pub(crate) async fn reach(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    options: AsyncConnectionConfig,
    (host, port): (&str, u16),
    through_tls: bool,
) -> Result<Undriven, ErrorKind> {
    #[cfg(any(test, fuzzing))]
    if let Some(stream) = crate::fuzz::connect(port) {
        return handshake(config, settings, options, stream.map_err(connect)?).await;
    }
    let stream = tcp(host, port).await?;
    match through_tls {
        // The handshake is a network exchange with its own ways to fail, so it is told apart from connecting.
        true => handshake(config, settings, options, encrypt(config, host, stream).await?).await,
        false => handshake(config, settings, options, stream).await,
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

pub(super) async fn handshake<S>(
    config: &NodeConfig,
    settings: &RedisConnectionInfo,
    options: AsyncConnectionConfig,
    mut stream: S,
) -> Result<Undriven, ErrorKind>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = &log_in(settings, &mut stream).await?;
    let broken = Broken::default();
    let max_reply = config.max_reply();
    let (lent, lender) = lend(Bounded::new(stream, max_reply, Broken::clone(&broken)));
    let judged = if settings.password().is_some() { Fault::of_login } else { Fault::of_handshake };
    let (connection, driver) =
        MultiplexedConnection::new_with_config(settings, lent, options).await.map_err(judged)?;
    let limits =
        Limits { max_reply, max_calls: config.max_in_flight(), waits_for_room: config.waits_for_room() };
    let make_wire = move || {
        let stream = lender.take_back().and_then(Bounded::into_stream)?;
        let (wire, driver) = Wire::new(stream, limits);
        Some((wire, Box::pin(driver) as Driving))
    };
    Ok(Undriven { connection, driver: Box::pin(driver), broken, make_wire: Box::new(make_wire) })
}

/// Lets a connection in, and returns what is left to set up. redis-rs does not tell with which words a server
/// refuses `AUTH`; of `HELLO`, with which RESP3 begins, it does.
async fn log_in<S>(settings: &RedisConnectionInfo, stream: &mut S) -> Result<RedisConnectionInfo, ErrorKind>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(password) = settings.password().filter(|_| settings.protocol() == ProtocolVersion::RESP2) else {
        return Ok(settings.clone());
    };
    let mut reply = authenticate(stream, settings.username(), password).await?;
    if settings.username().is_some() && knows_no_users(&reply) {
        reply = authenticate(stream, None, password).await?;
    }
    match reply {
        Value::Okay => Ok(RedisConnectionInfo::default().set_db(settings.db()).set_skip_set_lib_name()),
        Value::ServerError(error) => Err(Fault::of_auth(ServerError::from(&error))),
        // Without its words, which may be the password.
        _ => Err(ErrorKind::NotRedis("AUTH is not answered as Redis does".to_owned())),
    }
}

/// Returns whether a server has answered `AUTH` with a user and a password as those before Redis 6 do, which know no users.
pub(super) fn knows_no_users(reply: &Value) -> bool {
    let says = |text: &str| text.contains("wrong number of arguments for 'auth' command");
    matches!(reply, Value::ServerError(error) if error.details().is_some_and(says))
}

/// Sends `AUTH` and returns the reply to it, after which nothing was read.
async fn authenticate<S>(stream: &mut S, username: Option<&str>, password: &str) -> Result<Value, ErrorKind>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: io::Error| match is_of_tls(&error) {
        true => ErrorKind::Tls(Arc::new(error)),
        false => connect(error),
    };
    let auth = redis::cmd("AUTH").arg(username).arg(password).get_packed_command();
    stream.write_all(&auth).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n") {
        if LONGEST_REPLY <= reply.len() {
            return Err(ErrorKind::NotRedis("the reply to AUTH has no end".to_owned()));
        }
        reply.push(stream.read_u8().await.map_err(broken)?);
    }
    redis::parse_redis_value(&reply).map_err(Fault::of_login)
}

/// A reply to `AUTH` is one line, of so many bytes at most.
const LONGEST_REPLY: usize = 64 << 10;

/// A task that has not been spawned.
type Driving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes the wire of the stream that redis-rs has had, if that is between two replies.
type MakeWire = Box<dyn FnOnce() -> Option<(Wire, Driving)> + Send>;

/// A connection that has just been let in, and does nothing until it is driven.
pub(crate) struct Undriven {
    connection: MultiplexedConnection,
    driver: Driving,
    broken: Broken,
    make_wire: MakeWire,
}

impl Undriven {
    /// Sends commands and waits for their replies; errors are values.
    pub(crate) async fn ask(&mut self, commands: &Pipeline) -> Result<Vec<Value>, ErrorKind> {
        let replies = pin!(self.connection.send_packed_commands(commands, 0, commands.len()));
        match select(replies, &mut self.driver).await {
            Either::Left((replies, _)) => replies.map_err(Fault::of_handshake),
            Either::Right(_) => Err(connect(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Has a task drive it.
    pub(super) fn drive(self, ended: impl FnOnce() + Send + 'static) -> Dialed {
        let driver = drive(self.driver, ended);
        Dialed { connection: self.connection, driver, broken: self.broken }
    }

    /// Hands the stream to a wire, has a task drive that, and `ended` called when it ends, whatever the reason.
    pub(super) fn share(self, ended: impl FnOnce() + Send + 'static) -> Result<DialedWire, ErrorKind> {
        // The stream comes back when nobody else has it.
        drop((self.connection, self.driver));
        let Some((wire, driver)) = (self.make_wire)() else {
            return Err(ErrorKind::NotRedis("it says what it was not asked".to_owned()));
        };
        Ok(DialedWire { wire, driver: drive(driver, ended) })
    }
}

fn drive(driver: Driving, ended: impl FnOnce() + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let _ended = OnDrop(Some(ended));
        driver.await;
    }))
}

/// The commands that set a connection up.
pub(crate) fn settings(config: &NodeConfig, grant: &Grant) -> RedisConnectionInfo {
    // Some servers that speak the protocol close the connection on the `CLIENT SETINFO` that redis-rs would
    // send.
    grant
        .credentials
        .give_to(RedisConnectionInfo::default().set_db(config.db().into()).set_skip_set_lib_name())
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

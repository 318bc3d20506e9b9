//! A server that no real one is: it lets clients in as Redis does, and then says whatever it is told to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// A server on a port of 127.0.0.1 that answers every `GET` as it is told, or every command, and everything else well. It
/// ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
    answer: watch::Sender<Answer>,
    n_connections: Arc<AtomicU64>,
    hangs_up: Arc<Notify>,
    accepting: JoinHandle<()>,
}

/// The reaction of such a server to a command.
#[derive(Debug, Clone)]
pub enum Says {
    /// The server answers as one that is well.
    Usual,
    /// This.
    This(Vec<u8>),
    /// This, and then it ends the connection.
    ThisAndEnds(Vec<u8>),
}

type Rule = Arc<dyn Fn(&[String]) -> Says + Send + Sync>;

/// The answer to a `GET`.
#[derive(Debug, Clone)]
struct Answer {
    first: Arc<[u8]>,
    /// This follows again and again, for ever, unless it is empty.
    then: Arc<[u8]>,
}

impl Hostile {
    /// A server that is well so far, and has no key.
    pub async fn start() -> Self {
        Self::with(|_| Says::Usual).await
    }

    /// A server that does this with each command, by its words.
    pub async fn with(rule: impl Fn(&[String]) -> Says + Send + Sync + 'static) -> Self {
        let (port, listener) = loop {
            let port = xtask::free_port().unwrap();
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                break (port, listener);
            }
        };
        let (answer, answers) = watch::channel(Answer::of(b"$-1\r\n", b""));
        let (n_connections, hangs_up) = (Arc::default(), Arc::default());
        let (count, end) = (Arc::clone(&n_connections), Arc::clone(&hangs_up));
        let accepting = tokio::spawn(accept(listener, answers, Arc::new(rule), count, end));
        Self { port, answer, n_connections, hangs_up, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has it end all connections that it has.
    pub fn hang_up(&self) {
        self.hangs_up.notify_one();
    }

    /// Returns how many connections it has had.
    pub fn n_connections(&self) -> u64 {
        self.n_connections.load(Ordering::Relaxed)
    }

    /// Its address, for a client.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Has it answer each `GET` with this, and then with something else for ever, or with nothing more if that is empty.
    pub fn answers(&self, first: &[u8], then: &[u8]) {
        self.answer.send_replace(Answer::of(first, then));
    }

    /// Has it answer as a server does that is well and has no key.
    pub fn is_well(&self) {
        self.answers(b"$-1\r\n", b"");
    }
}

impl Answer {
    fn of(first: &[u8], then: &[u8]) -> Self {
        // In pieces large enough for a flood.
        let times = if then.is_empty() { 0 } else { (64 << 10) / then.len() + 1 };
        Self { first: first.into(), then: then.repeat(times).into() }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    answers: watch::Receiver<Answer>,
    rule: Rule,
    n_connections: Arc<AtomicU64>,
    hangs_up: Arc<Notify>,
) {
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let number = n_connections.fetch_add(1, Ordering::Relaxed) + 1;
                connections.spawn(serve(stream, number, answers.clone(), Arc::clone(&rule)));
            }
            Some(_) = connections.join_next() => {}
            () = hangs_up.notified() => connections.abort_all(),
        }
    }
}

async fn serve(mut stream: TcpStream, number: u64, answers: watch::Receiver<Answer>, rule: Rule) {
    let mut read = Vec::new();
    loop {
        while let Some((words, length)) = command(&read) {
            read.drain(..length);
            match rule(&words) {
                Says::Usual => {}
                Says::This(reply) if stream.write_all(&reply).await.is_ok() => continue,
                Says::ThisAndEnds(reply) => {
                    let _gone = stream.write_all(&reply).await;
                    return;
                }
                Says::This(_) => return,
            }
            let reply: Arc<[u8]> = match words.first().map(String::as_str) {
                Some("GET") => {
                    let Answer { first, then } = answers.borrow().clone();
                    if stream.write_all(&first).await.is_err() {
                        return;
                    }
                    while !then.is_empty() {
                        if stream.write_all(&then).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Some("INFO") => Arc::from(b"$14\r\nrun_id:hostile\r\n".as_slice()),
                Some("CLIENT") => format!(":{number}\r\n").into_bytes().into(),
                Some("PING") => Arc::from(b"+PONG\r\n".as_slice()),
                _ => Arc::from(b"+OK\r\n".as_slice()),
            };
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut read).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

/// The first whole command, by its words, and how long it is.
fn command(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let number = |at: &mut usize| -> Option<usize> {
        let rest = bytes.get(*at + 1..)?;
        let end = rest.windows(2).position(|end| end == b"\r\n")?;
        *at += end + 3;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    };
    let mut words = Vec::new();
    for _ in 0..number(&mut at)? {
        let length = number(&mut at)?;
        words.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned());
        at += length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

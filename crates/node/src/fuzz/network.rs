//! A network in memory, in place of the one of the system, and the servers in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

/// The number of bytes that a server says at most.
const MOST: usize = 2 << 20;

thread_local! {
    /// The network that connections of this thread are made in; the system's, if there is none.
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
}

/// All servers that there are, at any name and port.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<Says>>);

struct Says {
    /// The replies to the next commands, whichever server is sent them.
    replies: VecDeque<Vec<u8>>,
    n_connections: usize,
    secret: Vec<u8>,
}

impl Network {
    /// Servers that answer the first command, whichever of them gets it, with what comes before the first byte of 0, and so on,
    /// and end the connection when they have said all.
    ///
    /// In it a byte of 1 stands for the words of the command, 2 ends the connection, and what stands between 3 and 4 is said a
    /// thousand times. A byte of 5 stands for the password, which servers and sentinels know.
    pub(super) fn new(says: &[u8], secret: &str) -> Self {
        let replies = says.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        Self(Arc::new(Mutex::new(Says { replies, n_connections: 0, secret: secret.into() })))
    }

    /// Has a future live in this network, at a time that passes as soon as everybody waits. Returns its output, how many
    /// connections were made, and in which time.
    pub(super) fn run<T>(self, future: impl Future<Output = T>) -> Option<(T, usize, Duration)> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().ok()?;
        NETWORK.set(Some(self.clone()));
        let (ended, time) = runtime.block_on(async {
            let begun = tokio::time::Instant::now();
            (tokio::time::timeout(Duration::from_secs(60), future).await, begun.elapsed())
        });
        drop(runtime);
        NETWORK.set(None);
        assert!(ended.is_ok(), "it does not end");
        Some((ended.ok()?, self.says().n_connections, time))
    }

    fn says(&self) -> std::sync::MutexGuard<'_, Says> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a server of the network of this thread; `None` if that is the system's. Every fifth port is closed.
pub(crate) fn connect(port: u16) -> Option<io::Result<DuplexStream>> {
    let network = NETWORK.with_borrow(Clone::clone)?;
    if port % 5 == 2 {
        return Some(Err(io::ErrorKind::ConnectionRefused.into()));
    }
    network.says().n_connections += 1;
    let (here, there) = tokio::io::duplex(64 << 10);
    tokio::spawn(serve(there, network));
    Some(Ok(here))
}

async fn serve(mut stream: DuplexStream, network: Network) {
    let mut read = Vec::new();
    loop {
        while let Some((words, length)) = command(&read) {
            read.drain(..length);
            let Some(reply) = network.says().replies.pop_front() else { return };
            let secret = network.says().secret.clone();
            let (reply, ends) = spoken(&reply, &words, &secret);
            if stream.write_all(&reply).await.is_err() || ends {
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
fn command(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut rest = bytes;
    let mut words = Vec::new();
    for _ in 0..number(&mut rest)? {
        let length = number(&mut rest)?;
        words.push(rest.get(..length)?.to_vec());
        rest = rest.get(length + 2..)?;
    }
    Some((words, bytes.len() - rest.len()))
}

/// The number of a line, after its first byte.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let end = rest.windows(2).position(|end| end == b"\r\n")?;
    let number = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok();
    *rest = rest.get(end + 2..)?;
    number
}

/// The reply to a command, and whether the connection ends after it.
fn spoken(reply: &[u8], words: &[Vec<u8>], secret: &[u8]) -> (Vec<u8>, bool) {
    let (mut said, mut from, mut ends) = (Vec::new(), None, false);
    for byte in reply {
        match byte {
            // As servers quote them.
            1 => words.iter().for_each(|word| said.extend([b"'", word.as_slice(), b"' "].concat())),
            2 => ends = true,
            3 => from = Some(said.len()),
            4 => {
                let part = from.take().and_then(|from| said.get(from..)).unwrap_or_default().to_vec();
                said.extend(part.repeat(999.min(MOST / part.len().max(1))));
            }
            5 => said.extend(secret),
            byte => said.push(*byte),
        }
        if ends || MOST <= said.len() {
            break;
        }
    }
    (said, ends)
}

//! The floor: the least that the same work takes without a client. One loop writes the commands of all tasks at once to each server,
//! and reads until as many replies have come.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Work;
use crate::contenders::shard;
use crate::measure::{KEYS, Length, Plan, cpu_time, found, key, print, run, walk};

/// Whom a command goes to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum To {
    /// The server of its key.
    One,
    /// All servers.
    All,
}

/// A server, with the commands and replies that are under way.
struct Server {
    socket: TcpStream,
    out: Vec<u8>,
    n_due: usize,
    replies: Vec<u8>,
}

impl Server {
    async fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("redis://").split('/').next().expect("an address").to_owned();
        let socket = TcpStream::connect(address).await.expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        Self { socket, out: Vec::new(), n_due: 0, replies: Vec::with_capacity(1 << 16) }
    }

    async fn exchange(&mut self) {
        self.socket.write_all(&self.out).await.expect("a server that reads");
        self.out.clear();
        let mut at = 0;
        while 0 < self.n_due {
            match end(&self.replies, at) {
                Some(end) => {
                    at = end;
                    self.n_due -= 1;
                }
                None => {
                    let n = self.socket.read_buf(&mut self.replies).await.expect("a server that answers");
                    assert!(0 < n, "the server has closed the connection");
                }
            }
        }
        assert_eq!(at, self.replies.len(), "more replies than commands");
        self.replies.clear();
    }
}

/// Where the reply that begins here ends, if all of it is there.
fn end(replies: &[u8], from: usize) -> Option<usize> {
    let reply = replies.get(from..)?;
    let line = reply.iter().position(|byte| *byte == b'\n')? + 1;
    match reply.first()? {
        b'$' => {
            let digits = std::str::from_utf8(reply.get(1..line - 2)?).ok()?;
            let length: i64 = digits.parse().expect("a length");
            found(0 <= length);
            Some(from + line + length as usize + 2).filter(|end| *end <= replies.len())
        }
        b'+' => Some(from + line),
        other => panic!("an unexpected reply: {other}"),
    }
}

/// Does the work for a time, and prints what [`measure`](crate::measure::measure) does.
pub(crate) fn measure(plan: &Plan, urls: &[String], to: To) {
    let Length::For(time) = plan.length else { panic!("the floor wants `--millis`") };
    run(plan, || async {
        let mut servers: Vec<Server> = join_all(urls.iter().map(|url| Server::connect(url))).await;
        let commands: Vec<Vec<u8>> = (0..KEYS).map(|i| command(plan, &key(i))).collect();
        let places: Vec<usize> = (0..KEYS).map(|i| shard(&key(i), urls.len())).collect();
        let mut keys = walk(0);
        let mut turn = async |time: Duration| {
            let (mut n, mut latencies, start) = (0, Vec::new(), Instant::now());
            while start.elapsed() < time {
                let begin = Instant::now();
                for at in keys.by_ref().take(plan.tasks) {
                    let to = match to {
                        To::One => places[at]..=places[at],
                        To::All => 0..=urls.len() - 1,
                    };
                    for server in &mut servers[to] {
                        server.out.extend_from_slice(&commands[at]);
                        server.n_due += 1;
                    }
                }
                join_all(servers.iter_mut().map(Server::exchange)).await;
                latencies.push(begin.elapsed().as_nanos() as u64);
                n += plan.tasks as u64;
            }
            (n, latencies)
        };
        turn(time / 10).await;
        let (start, cpu) = (Instant::now(), cpu_time());
        let (n, latencies) = turn(time).await;
        print(n, start.elapsed(), cpu_time() - cpu, latencies);
    });
}

fn command(plan: &Plan, key: &str) -> Vec<u8> {
    let mut cmd = match plan.work {
        Work::Get => redis::cmd("GET"),
        Work::Set => redis::cmd("SET"),
        other => panic!("the floor does no {other:?}"),
    };
    cmd.arg(key);
    if plan.work == Work::Set {
        cmd.arg(vec![b'x'; plan.size]);
    }
    cmd.get_packed_command()
}
